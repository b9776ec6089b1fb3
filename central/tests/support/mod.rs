//! What central's tests share: an installation over either engine, and tills that talk to it.

use std::sync::Arc;

use sea_orm::Value;
use tillbind_central::ca::CertificateAuthority;
use tillbind_central::claims::ClaimRules;
use tillbind_central::config::DatabaseConfig;
use tillbind_central::data_dir::DataDir;
use tillbind_central::enrolment::{self, NewToken};
use tillbind_central::intake::projection::Rules;
use tillbind_central::intake::{self, Arrival, Taken};
use tillbind_central::store::Store;
use tillbind_central::store::statement::{Row, rows};
use tillbind_central::terminals::{self, Terminal};
use tillbind_central::{keys, members};
use tillbind_protocol::enrol::EnrolRequest;
use tillbind_protocol::exchange::ExchangeRequest;
use tillbind_protocol::ids::{AccountRef, StoreId, WorkstationId};

use postgres::Cluster;
use till::NOW_MS;

pub(crate) mod postgres;
pub(crate) mod till;

pub(crate) const RULES: Rules = Rules {
    minor_per_point: 100,
    cards_per_account_max: 3,
};

pub(crate) const CLAIM_RULES: ClaimRules = ClaimRules {
    wait_ms: 7 * DAY_MS,
    valid_ms: 90 * DAY_MS,
    rules: RULES,
};
pub(crate) const DAY_MS: i64 = 86_400_000;

/// Lays a trap in the database: a defect of this program stands for what an engine may refuse one day.
pub(crate) async fn trap(bench: &Bench, sql: &str) {
    let tx = bench.store.begin().await.unwrap();
    tillbind_central::store::statement::execute(&*tx, "trap", sql, vec![])
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// An installation with its database and its data directory.
pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) ca: CertificateAuthority,
    pub(crate) data_dir: DataDir,
    pub(crate) database: DatabaseConfig,
    _dir: tempfile::TempDir,
    _cluster: Option<Arc<Cluster>>,
}

impl Bench {
    pub(crate) async fn sqlite() -> Option<Self> {
        Some(Self::open(DatabaseConfig::Sqlite, None).await)
    }

    pub(crate) async fn postgres() -> Option<Self> {
        let cluster = tokio::task::spawn_blocking(Cluster::shared)
            .await
            .unwrap()?;
        let url = cluster.database();
        let database = DatabaseConfig::Postgres {
            url,
            connections: 8,
        };
        Some(Self::open(database, Some(cluster)).await)
    }

    async fn open(database: DatabaseConfig, cluster: Option<Arc<Cluster>>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(dir.path()).unwrap();
        let store = Store::open(&database, dir.path(), "h-test").await.unwrap();
        keys::ensure(&store, &data_dir, NOW_MS).await.unwrap();
        Self {
            store,
            ca: CertificateAuthority::open(&data_dir, NOW_MS).unwrap(),
            data_dir,
            database,
            _dir: dir,
            _cluster: cluster,
        }
    }

    pub(crate) async fn token(&self, store: &str, workstation: &str, life_ms: i64) -> String {
        let token = NewToken {
            store: StoreId::new(store).unwrap(),
            workstation: WorkstationId::new(workstation).unwrap(),
            life_ms,
            url: "https://hq.example:7443".into(),
        };
        let token = enrolment::create_token(&self.store, &self.ca, &token, "cli:test", NOW_MS);
        token.await.unwrap().secret
    }

    pub(crate) async fn terminal(&self, store: &str, workstation: &str) -> Terminal {
        let secret = self.token(store, workstation, 60_000).await;
        let request = enrol_request(&secret);
        let given = enrolment::enrol(&self.store, &self.ca, &request, NOW_MS).await;
        let id = given.unwrap().terminal;
        let found = terminals::find(self.store.reader(), &id).await;
        found.unwrap().unwrap()
    }

    pub(crate) async fn take(&self, terminal: &Terminal, request: &ExchangeRequest) -> Taken {
        let arrival = arrival(terminal);
        intake::take(&self.store, &arrival, request).await.unwrap()
    }

    pub(crate) async fn account(&self, account: &str, now_ms: i64) -> String {
        let account: AccountRef = account.parse().unwrap();
        let made = members::create_account(&self.store, &account, None, "cli:test", now_ms);
        made.await.unwrap().to_string()
    }

    pub(crate) async fn code(&self, account: &str) -> String {
        let account: AccountRef = account.parse().unwrap();
        let code = keys::create_member_code(&self.store, &self.data_dir, &account, 120, NOW_MS);
        code.await.unwrap()
    }

    pub(crate) async fn rows(&self, sql: &str) -> Vec<Row> {
        let none: Vec<Value> = vec![];
        rows(self.store.reader(), "look", sql, none).await.unwrap()
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.rows(sql).await[0].int(0).unwrap()
    }

    pub(crate) async fn text(&self, sql: &str) -> String {
        let rows = self.rows(sql).await;
        rows.first()
            .and_then(|row| row.text_opt(0).unwrap())
            .unwrap_or_default()
    }

    /// Returns how many lines of the audit trail tell of an action.
    pub(crate) async fn trail(&self, action: &str) -> i64 {
        let sql = format!("SELECT COUNT(*) FROM audit WHERE action = '{action}'");
        self.number(&sql).await
    }

    /// Every balance is the sum of its entries, and transfers lose nothing.
    pub(crate) async fn assert_books_balance(&self) {
        let wrong = self
            .number(
                "SELECT COUNT(*) FROM cards c WHERE c.points <> (SELECT COALESCE(SUM(l.points), 0)
                FROM ledger l WHERE l.card = c.card AND l.member IS NULL)",
            )
            .await;
        assert_eq!(wrong, 0, "cards whose balance is not their entries");
        let wrong = self
            .number(
            "SELECT COUNT(*) FROM members m WHERE m.points <> (SELECT COALESCE(SUM(l.points), 0)
                FROM ledger l WHERE l.member = m.member)",
        ).await;
        assert_eq!(wrong, 0, "members whose balance is not their entries");
    }
}

pub(crate) fn arrival(terminal: &Terminal) -> Arrival<'_> {
    Arrival {
        terminal,
        received_ms: NOW_MS + 1_000,
        rules: RULES,
    }
}

pub(crate) fn csr() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::default();
    params.serialize_request(&key).unwrap().pem().unwrap()
}

pub(crate) fn enrol_request(secret: &str) -> EnrolRequest {
    EnrolRequest {
        secret: secret.into(),
        csr_pem: csr(),
        machine: "machine-1".into(),
        version: "0.1.0".into(),
    }
}
