//! A chain's line comes back: as many terminals as this machine can play, each on a TLS connection of
//! its own over loopback, send what they have at once to a real central on PostgreSQL.
//!
//! Players and central share the processors, so the figures are of both. What counts is that nobody
//! hears an error and that central's memory stays where its bounds put it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rcgen::{CertificateParams, KeyPair};
use reqwest::{Certificate, Client, Identity};
use tillbind_central::ca::CertificateAuthority;
use tillbind_central::config::DatabaseConfig;
use tillbind_central::data_dir::DataDir;
use tillbind_central::enrolment::{self, NewToken};
use tillbind_central::store::Store;
use tillbind_protocol::enrol::EnrolRequest;
use tillbind_protocol::exchange::{ExchangeResponse, PATH, Verdict};
use tillbind_protocol::ids::{Epoch, StoreId, WorkstationId};
use tokio::task::JoinSet;

use super::Row;
use crate::backlog::{Backlog, Past};
use crate::central::Database;
use crate::clock::{self, Stopwatch};
use crate::postgres::Postgres;
use crate::provider;
use crate::scene::Scene;

/// Terminals, where the machine allows as many open files.
const TERMINALS: usize = 4_000;
/// Events that each has waiting.
const EVENTS: usize = 100;
/// Far longer than the whole takes.
const SERVED_WITHIN: Duration = Duration::from_secs(600);
/// As long as an agent waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(45);

pub(super) fn measure() -> Result<Vec<Row>> {
    provider::install();
    let postgres = Postgres::start_new()?;
    let url = postgres.database("flood")?;
    let scene = Scene::new("flood")?;
    let mut central = scene.central("central", &Database::Postgres(url.clone()))?;
    let address = central.sync()?;
    let data = central.data();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let crowd = runtime.block_on(crowd(&url, &data, &format!("https://{address}")))?;
    let terminals = crowd.len();
    let daemon = central.daemon()?;
    let before_kib = daemon.memory_kib("VmRSS")?;
    let watch = Stopwatch::start();
    let told = runtime.block_on(play(crowd))?;
    let took = watch.elapsed();
    let (after_kib, peak_kib) = (daemon.memory_kib("VmRSS")?, daemon.memory_kib("VmHWM")?);
    let mib = |kib: u64| kib as f64 / 1024.0;
    Ok(vec![Row {
        what: format!("{terminals} terminals return at once, {EVENTS} events each, over TLS"),
        measured: format!(
            "all served after {:.1} s; {} errors; told to slow down {:.2} times each",
            took.as_secs_f64(),
            told.errors,
            told.slow_downs as f64 / terminals as f64,
        ),
        beside: format!(
            "central's memory (RSS): {:.0} MiB before, {:.0} at most, {:.0} after, all still connected; \
             longest answer {:.1} s",
            mib(before_kib),
            mib(peak_kib),
            mib(after_kib),
            told.longest.as_secs_f64(),
        ),
        goal: "all served, no error but slow down".to_owned(),
    }])
}

/// One terminal: its line and what it sends.
struct Player {
    client: Client,
    url: String,
    body: Vec<u8>,
}

#[derive(Debug, Default)]
struct Told {
    slow_downs: usize,
    errors: usize,
    longest: Duration,
}

async fn crowd(url: &str, data: &Path, base: &str) -> Result<Vec<Player>> {
    let database = DatabaseConfig::Postgres {
        url: url.to_owned(),
        connections: 4,
    };
    let store = Store::open(&database, data, "h-bench").await?;
    let data_dir = DataDir::open(data)?;
    let now_ms = clock::now().timestamp_millis();
    let ca = CertificateAuthority::open(&data_dir, now_ms)?;
    let root = Certificate::from_pem(ca.certificate_pem().as_bytes())?;
    // Each terminal is one open file here and one at central.
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let most = files.map_or(TERMINALS, |files| {
        usize::try_from(files / 2).unwrap_or(TERMINALS)
    });
    let mut crowd = Vec::new();
    for n in 0..TERMINALS.min(most) {
        let workstation = n.to_string();
        let token = NewToken {
            store: StoreId::new("S001")?,
            workstation: WorkstationId::new(workstation.as_str())?,
            life_ms: 3_600_000,
            url: base.to_owned(),
        };
        let token = enrolment::create_token(&store, &ca, &token, "bench", now_ms).await?;
        let key = KeyPair::generate()?;
        let request = EnrolRequest {
            secret: token.secret,
            csr_pem: CertificateParams::default()
                .serialize_request(&key)?
                .pem()?,
            machine: "machine".to_owned(),
            version: "bench".to_owned(),
        };
        let given = enrolment::enrol(&store, &ca, &request, now_ms).await?;
        let pem = format!("{}{}", given.certificate_pem, key.serialize_pem());
        let client = Client::builder()
            .tls_certs_only([root.clone()])
            .identity(Identity::from_pem(pem.as_bytes())?)
            .timeout(ANSWER_WITHIN)
            .pool_max_idle_per_host(1)
            .build()?;
        let past = Past {
            store: "S001",
            workstation: &workstation,
            epoch: Epoch(u64::try_from(n)? + 1),
            began: clock::now() - chrono::TimeDelta::days(1),
            codes: &[],
        };
        let requests = Backlog::played(&past, EVENTS)?.requests(EVENTS)?;
        let text = requests.first().context("no request")?;
        crowd.push(Player {
            client,
            url: format!("{base}{PATH}"),
            body: zstd::bulk::compress(text.as_bytes(), 3)?,
        });
    }
    store.close().await?;
    Ok(crowd)
}

async fn play(crowd: Vec<Player>) -> Result<Told> {
    let crowd: Arc<[Player]> = crowd.into();
    let mut playing = JoinSet::new();
    for n in 0..crowd.len() {
        let crowd = Arc::clone(&crowd);
        playing.spawn(async move {
            let player = crowd.get(n).context("no such player")?;
            player.play(u64::try_from(n)?).await
        });
    }
    let mut sum = Told::default();
    let all = async {
        while let Some(told) = playing.join_next().await {
            let told = told??;
            sum.slow_downs += told.slow_downs;
            sum.errors += told.errors;
            sum.longest = sum.longest.max(told.longest);
        }
        Ok::<_, anyhow::Error>(())
    };
    let ended = tokio::time::timeout(SERVED_WITHIN, all).await;
    ended.context("the crowd was not served in time")??;
    Ok(sum)
}

impl Player {
    async fn play(&self, seed: u64) -> Result<Told> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut told = Told::default();
        loop {
            let watch = Stopwatch::start();
            let answer = self.ask().await;
            told.longest = told.longest.max(watch.elapsed());
            let pause = match answer {
                Ok(Verdict::Ok) => return Ok(told),
                Ok(Verdict::SlowDown { for_ms }) => {
                    told.slow_downs += 1;
                    // As the uplink does: up to half of it more.
                    u64::from(for_ms) + random.u64(0..=u64::from(for_ms) / 2)
                }
                Ok(verdict) => anyhow::bail!("a terminal was told {verdict:?}"),
                Err(_) => {
                    told.errors += 1;
                    random.u64(0..=5_000)
                }
            };
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    async fn ask(&self) -> Result<Verdict> {
        let request = self
            .client
            .post(&self.url)
            .header("content-type", "application/json")
            .header("content-encoding", "zstd")
            .body(self.body.clone());
        let response = request.send().await?;
        ensure!(response.status().is_success(), "{}", response.status());
        let packed = response.bytes().await?;
        let json = zstd::bulk::decompress(&packed, 4 << 20)?;
        let answer: ExchangeResponse = serde_json::from_slice(&json)?;
        Ok(answer.verdict)
    }
}
