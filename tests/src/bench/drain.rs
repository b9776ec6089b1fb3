//! A backlog through the whole house: outbox, TLS, central, PostgreSQL.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tillbind_agent::outbox::{Outbox, OutboxConfig};
use tillbind_agent::vault::Vault;
use tillbind_protocol::ids::Epoch;

use super::Row;
use super::copying::Copied;
use crate::backlog::{Backlog, Past};
use crate::central::Database;
use crate::clock::{self, Stopwatch};
use crate::postgres::Postgres;
use crate::scene::Scene;
use crate::terminal::{Setup, Terminal};

const EVENTS: usize = 100_000;
/// Records that are appended together.
const APPENDED: usize = 1_000;
const DRAINED_WITHIN: Duration = Duration::from_secs(600);

pub(super) fn measure() -> Result<Vec<Row>> {
    let postgres = Postgres::start_new()?;
    let url = postgres.database("drained")?;
    let scene = Scene::new("drain")?;
    let central = scene.central("central", &Database::Postgres(url.clone()))?;
    let mut till = Terminal::new(&scene.folder("till")?, Setup::new("S001", "1"))?;
    till.enrol(&central)?.success()?;
    fill(&till)?;
    central.line().cut();
    till.start()?;
    let watch = Stopwatch::start();
    central.line().heal();
    till.wait_for_drained(DRAINED_WITHIN)?;
    let took = watch.elapsed();
    let there = postgres.sql("drained", "SELECT COUNT(*) FROM events")?;
    ensure!(
        there.trim() == EVENTS.to_string(),
        "{} events are at central",
        there.trim()
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let copied = runtime.block_on(Copied::again(&postgres, &url, "drained_copied"))?;
    let what = format!("drain of {EVENTS} events: outbox, TLS, central, PostgreSQL");
    Ok(vec![copied.row(what, EVENTS, took)])
}

/// Fills a terminal's outbox before the agent starts, as the agent itself would have.
fn fill(till: &Terminal) -> Result<()> {
    let past = Past {
        store: "S001",
        workstation: "1",
        epoch: Epoch(0),
        began: clock::now() - chrono::TimeDelta::days(9),
        codes: &[],
    };
    let backlog = Backlog::played(&past, EVENTS)?;
    // Keys of a benchmark guard nothing, so a seeded source will do.
    let source = Mutex::new(fastrand::Rng::with_seed(3));
    let random = Arc::new(move |bytes: &mut [u8]| {
        source
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill(bytes);
    });
    let vault = Vault::open(&till.data(), None, random.clone())?;
    let watch = Stopwatch::start();
    let config = OutboxConfig::new(
        till.data().join("outbox"),
        Arc::new(move || watch.elapsed()),
    );
    let outbox = Outbox::open(config, &vault, random)?.outbox;
    for records in backlog.records().chunks(APPENDED) {
        let records = records.iter().map(|record| record.clone().into_bytes());
        let appended = outbox.append_all(records.collect()).wait();
        appended.context("the outbox refused events")?;
    }
    outbox.close().context("the outbox does not close")
}
