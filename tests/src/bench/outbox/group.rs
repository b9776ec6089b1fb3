//! Group commit: many producers at once, beside what the disk takes in large writes and beside SQLite
//! with transactions as large as our groups.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tillbind_agent::outbox::{Outbox, Ticket};

use super::{RECORD_BYTES, open, record, thousands};
use crate::bench::Row;
use crate::bench::peers::{Keeper, Preallocated, Sqlite};
use crate::clock::Stopwatch;

const PRODUCERS: usize = 8;
/// Events that a producer has under way at once: scanners and tills do not wait for one another.
const UNDER_WAY: usize = 256;
/// Turns, each of so many events on every side.
const TURNS: usize = 4;
const TURN_EVENTS: usize = 64_000;
/// One write of the raw side: 1 MiB of events.
const RAW_EVENTS: usize = 1024 * 1024 / RECORD_BYTES;

pub(in crate::bench) fn measure() -> Result<Vec<Row>> {
    let dir = tempfile::Builder::new()
        .prefix("tillbind-group-")
        .tempdir()?;
    let outbox = open(&dir.path().join("outbox"))?.outbox;
    let bytes = (TURNS * TURN_EVENTS * RECORD_BYTES) as u64;
    let mut raw = Preallocated::create(&dir.path().join("raw"), bytes)?;
    let mut sqlite = Sqlite::create(&dir.path().join("sqlite"))?;
    let before = outbox.stats();
    let [mut ours, mut limit, mut peer] = [Duration::ZERO; 3];
    for _ in 0..TURNS {
        let watch = Stopwatch::start();
        produce(&outbox)?;
        ours += watch.elapsed();
        let watch = Stopwatch::start();
        keep(&mut raw, RAW_EVENTS)?;
        limit += watch.elapsed();
        let stats = outbox.stats();
        let syncs = (stats.syncs - before.syncs).max(1);
        let group = usize::try_from((stats.commits - before.commits) / syncs)?.max(1);
        let watch = Stopwatch::start();
        keep(&mut sqlite, group)?;
        peer += watch.elapsed();
        // What waits would make the next turn another one: central has it now.
        outbox.acknowledge(outbox.appended())?;
    }
    let stats = outbox.stats();
    outbox.close().context("the outbox does not close")?;
    let events = (TURNS * TURN_EVENTS) as f64;
    let per_second = |took: Duration| events / took.as_secs_f64();
    let syncs = (stats.syncs - before.syncs) as f64;
    let row = |beside: String, took: Duration, goal: &str| Row {
        what: format!("durable accept of {RECORD_BYTES} B under load, {PRODUCERS} producers"),
        measured: format!(
            "{} events/s ({:.2} × of it)",
            thousands(per_second(ours)),
            per_second(ours) / per_second(took)
        ),
        beside: format!("{beside}: {} events/s", thousands(per_second(took))),
        goal: goal.to_owned(),
    };
    Ok(vec![
        row(
            "raw append in writes of 1 MiB + fdatasync".to_owned(),
            limit,
            "100,000 events/s",
        ),
        row(
            format!("{}, transactions of {:.0}", sqlite.name(), events / syncs),
            peer,
            "ahead of it",
        ),
        Row {
            what: "syncs for each 100 events under load".to_owned(),
            measured: format!("{:.2}", syncs * 100.0 / events),
            beside: format!("{} events in a group on average", thousands(events / syncs)),
            goal: "at most 1".to_owned(),
        },
    ])
}

fn produce(outbox: &Outbox) -> Result<()> {
    let record = record();
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|_| {
            let (outbox, record) = (outbox.clone(), record.clone());
            thread::spawn(move || -> Result<()> {
                for _ in 0..TURN_EVENTS / PRODUCERS / UNDER_WAY {
                    let tickets: Vec<Ticket> = (0..UNDER_WAY)
                        .map(|_| outbox.append(record.clone()))
                        .collect();
                    for ticket in tickets {
                        ticket.wait()?;
                    }
                }
                Ok(())
            })
        })
        .collect();
    for producer in producers {
        producer
            .join()
            .map_err(|_| anyhow!("a producer panicked"))??;
    }
    Ok(())
}

fn keep(keeper: &mut dyn Keeper, group: usize) -> Result<()> {
    let record = record();
    let mut rest = TURN_EVENTS;
    while rest > 0 {
        let records = vec![record.as_slice(); group.min(rest)];
        keeper.keep(&records)?;
        rest -= records.len();
    }
    Ok(())
}
