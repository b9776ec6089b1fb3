//! Central's intake beside PostgreSQL's own COPY: a till's backlog, request after request from its
//! text, taken by the real intake function.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use tillbind_central::data_dir::DataDir;
use tillbind_central::intake::projection::Rules;
use tillbind_central::intake::{self, Arrival};
use tillbind_central::store::Store;
use tillbind_central::terminals::Terminal;
use tillbind_central::{keys, members};
use tillbind_protocol::exchange::ExchangeRequest;
use tillbind_protocol::ids::{Epoch, StoreId, TerminalId, WorkstationId};

use super::Row;
use super::copying::{self, Copied};
use crate::backlog::{Backlog, Past, bindings_at};
use crate::clock::{self, Stopwatch};
use crate::environment;
use crate::postgres::Postgres;

/// Events of a drain.
const EVENTS: usize = 100_000;
/// Events in one request, as the agent sends them.
const BATCH_EVENTS: usize = 1_000;
/// How long a member code lives, in seconds.
const CODE_S: i64 = 120;

pub(super) fn measure() -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let postgres = Postgres::start_new()?;
    let mut rows = vec![runtime.block_on(compare(&postgres, "played", None))?];
    if let Some(samples) = environment::samples("the real baskets of the intake's benchmark") {
        rows.push(runtime.block_on(compare(&postgres, "real", Some(&samples)))?);
    }
    Ok(rows)
}

async fn compare(postgres: &Postgres, name: &str, samples: Option<&Path>) -> Result<Row> {
    let dir = tempfile::tempdir()?;
    let taking = postgres.database(&format!("{name}_taken"))?;
    let store = copying::open(&taking, dir.path()).await?;
    let backlog = backlog(&store, dir.path(), samples).await?;
    let took = drain(&store, &backlog).await?;
    store.close().await?;
    let copied = Copied::again(postgres, &taking, &format!("{name}_copied")).await?;
    let events = backlog.records().len();
    let what = format!("intake of {events} {name} events into PostgreSQL, {BATCH_EVENTS} a commit");
    Ok(copied.row(what, events, took))
}

async fn backlog(store: &Store, dir: &Path, samples: Option<&Path>) -> Result<Backlog> {
    let data_dir = DataDir::open(dir)?;
    let now = clock::now();
    keys::ensure(store, &data_dir, now.timestamp_millis()).await?;
    let mut past = Past {
        store: "S001",
        workstation: "1",
        epoch: Epoch(7),
        began: now - chrono::TimeDelta::days(9),
        codes: &[],
    };
    if let Some(samples) = samples {
        return Backlog::real(&past, samples, EVENTS);
    }
    let mut codes = Vec::new();
    for (n, asked) in bindings_at(past.began, EVENTS).enumerate() {
        let account = format!("tmall:{n}").parse()?;
        let now_ms = asked.timestamp_millis();
        members::create_account(store, &account, None, "bench", now_ms).await?;
        let code = keys::create_member_code(store, &data_dir, &account, CODE_S, now_ms).await?;
        codes.push((account.to_string(), code));
    }
    past.codes = &codes;
    Backlog::played(&past, EVENTS)
}

/// Takes everything in, one request after another as one terminal sends them, from the request's text.
async fn drain(store: &Store, backlog: &Backlog) -> Result<Duration> {
    let terminal = Terminal {
        id: TerminalId::new("t-bench")?,
        store: StoreId::new("S001")?,
        workstation: WorkstationId::new("1")?,
        serial: String::new(),
        serial_pending: None,
        machine: String::new(),
        revoked_ms: None,
        last_seen_ms: None,
        epoch: None,
        disk: None,
    };
    let requests = backlog.requests(BATCH_EVENTS)?;
    let watch = Stopwatch::start();
    let (mut events, mut quarantined) = (0, 0);
    for text in &requests {
        let request: ExchangeRequest = serde_json::from_str(text)?;
        let arrival = Arrival {
            terminal: &terminal,
            received_ms: clock::now().timestamp_millis(),
            rules: Rules {
                minor_per_point: 100,
                cards_per_account_max: 5,
            },
        };
        let taken = intake::take(store, &arrival, &request).await?;
        events += taken.events;
        quarantined += taken.quarantined;
    }
    let took = watch.elapsed();
    ensure!(
        events == backlog.records().len() && quarantined == 0,
        "{events} events were taken, {quarantined} of them into quarantine"
    );
    Ok(took)
}
