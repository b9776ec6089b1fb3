use std::error::Error;

use tillbind_central::ca::CertificateAuthority;
use tillbind_central::claims::{Gain, Outcome, redeem};
use tillbind_central::keys;
use tillbind_central::quarantine::bulk::{Choice, replay_many};
use tillbind_central::store::Store;
use tillbind_central::store::statement::execute;

use crate::support::till::{NOW_MS, Till, claim_code};
use crate::support::{Bench, CLAIM_RULES, RULES};

async fn again(bench: &Bench, history: &str) -> Result<Store, String> {
    let opened = Store::open(&bench.database, bench.data_dir.path(), history).await;
    opened.map_err(|e| format!("{e}: {}", e.source().unwrap()))
}

async fn run(bench: &Bench, sql: &str) {
    let tx = bench.store.begin().await.unwrap();
    execute(&*tx, "prepare", sql, vec![]).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) async fn many_processes_may_start_at_once_on_an_installation(bench: &Bench) {
    // As new: no table, no key.
    let all = if is_sqlite(bench) { "" } else { " CASCADE" };
    for row in bench.rows(tables(bench)).await {
        run(bench, &format!("DROP TABLE {}{all}", row.text(0).unwrap())).await;
    }
    std::fs::remove_file(bench.data_dir.path().join("member-code.key")).unwrap();
    std::fs::remove_file(bench.data_dir.path().join("ca.pem")).unwrap();
    std::fs::remove_file(bench.data_dir.path().join("ca.key")).unwrap();
    let start = async |n: usize| {
        let store = again(bench, &format!("h{n}")).await.unwrap();
        keys::ensure(&store, &bench.data_dir, NOW_MS).await.unwrap();
        let ca = CertificateAuthority::open(&bench.data_dir, NOW_MS).unwrap();
        (store.history().await.unwrap(), ca.sha256())
    };
    let (a, b, c, d) = tokio::join!(start(1), start(2), start(3), start(4));
    assert!(a == b && b == c && c == d, "{a:?} {b:?} {c:?} {d:?}");
    assert_eq!(bench.number("SELECT COUNT(*) FROM keys").await, 1);
}

fn is_sqlite(bench: &Bench) -> bool {
    bench.database == tillbind_central::config::DatabaseConfig::Sqlite
}

fn tables(bench: &Bench) -> &'static str {
    if is_sqlite(bench) {
        // Children before parents.
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
         ORDER BY name = 'members', name"
    } else {
        "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'"
    }
}

pub(crate) async fn a_database_of_a_newer_program_is_left_alone(bench: &Bench) {
    run(bench, "INSERT INTO schema_version (version) VALUES (9999)").await;
    let error = again(bench, "h").await.unwrap_err();
    assert!(error.contains("9999") && error.contains("newer"), "{error}");
    assert!(!error.contains("host="), "{error}");
}

pub(crate) async fn an_older_database_gains_claims_and_what_it_stored_of_them(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let member = bench.account("tmall:1", NOW_MS).await;
    let code = claim_code(1);
    let mut till = Till::new(7);
    till.sale("1", 1_000, None);
    till.offer("1", &code);
    bench.take(&terminal, &till.all()).await;
    // As the program before left it.
    for sql in [
        "DROP TABLE claims",
        "ALTER TABLE transactions DROP COLUMN account",
        "DELETE FROM schema_version WHERE version >= 4",
    ] {
        run(bench, sql).await;
    }
    let store = again(bench, "h").await.unwrap();
    let (account, text) = ("tmall:1".parse().unwrap(), code.to_string());
    let ask = async || redeem(&store, &text, &account, "cli:t", NOW_MS, CLAIM_RULES).await;
    let asked = ask().await;
    assert!(matches!(asked, Ok(Outcome::Waiting { .. })), "{asked:?}");
    let replayed = replay_many(&store, &Choice::default(), RULES, "cli:t", NOW_MS).await;
    assert_eq!(replayed.unwrap().replayed, 1);
    let expected = Gain::Sale {
        member: member.parse().unwrap(),
        points: 10,
    };
    match ask().await.unwrap() {
        Outcome::Redeemed { gain, .. } => assert_eq!(gain, expected),
        waiting @ Outcome::Waiting { .. } => panic!("{waiting:?}"),
    }
}

pub(crate) async fn nobody_but_its_owner_may_read_the_data_directory(bench: &Bench) {
    use std::os::unix::fs::PermissionsExt;

    bench.account("tmall:1", NOW_MS).await;
    for entry in std::fs::read_dir(bench.data_dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?} has mode {mode:o}", entry.path());
    }
}
