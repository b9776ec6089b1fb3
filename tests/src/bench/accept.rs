//! Durable accept, one event at a time, beside the least that a disk asks for and beside SQLite.

use anyhow::{Context, Result};

use super::outbox::{RECORD_BYTES, open, record};
use super::peers::{Growing, Keeper, Preallocated, Sqlite};
use super::{Row, micros, percentile, ratio};
use crate::clock::Stopwatch;

/// Turns, each of [`TURN_EVENTS`] on every side.
const TURNS: usize = 40;
const TURN_EVENTS: usize = 50;

pub(super) fn measure() -> Result<Vec<Row>> {
    let dir = tempfile::Builder::new()
        .prefix("tillbind-accept-")
        .tempdir()?;
    let outbox = open(&dir.path().join("outbox"))?.outbox;
    let events = (TURNS * TURN_EVENTS) as u64;
    let raw = Preallocated::create(&dir.path().join("raw"), events * RECORD_BYTES as u64)?;
    let mut peers: [Box<dyn Keeper>; 3] = [
        Box::new(raw),
        Box::new(Growing::create(&dir.path().join("growing"))?),
        Box::new(Sqlite::create(&dir.path().join("sqlite"))?),
    ];
    let record = record();
    let mut ours = Vec::new();
    let mut theirs = [const { Vec::new() }; 3];
    for _ in 0..TURNS {
        for _ in 0..TURN_EVENTS {
            let watch = Stopwatch::start();
            outbox
                .append(record.clone())
                .wait()
                .context("the outbox refused an event")?;
            ours.push(watch.elapsed());
        }
        for (peer, samples) in peers.iter_mut().zip(&mut theirs) {
            for _ in 0..TURN_EVENTS {
                let watch = Stopwatch::start();
                peer.keep(&[&record])?;
                samples.push(watch.elapsed());
            }
        }
    }
    let stats = outbox.stats();
    outbox.close().context("the outbox does not close")?;
    let mut rows = Vec::new();
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let mine = percentile(&mut ours, share);
        for (place, (peer, samples)) in peers.iter().zip(&mut theirs).enumerate() {
            let beside = percentile(samples, share);
            let goal = match (name, place) {
                ("p50", 1) => "at most 1.1 ×",
                ("p50", 2) => "below 1 ×",
                _ => "",
            };
            rows.push(Row {
                what: format!("durable accept of {RECORD_BYTES} B, one at a time, {name}"),
                measured: format!("{} ({:.2} ×)", micros(mine), ratio(mine, beside)),
                beside: format!("{}: {}", peer.name(), micros(beside)),
                goal: goal.to_owned(),
            });
        }
    }
    rows.push(Row {
        what: "syncs for each event accepted one at a time".to_owned(),
        measured: format!("{:.2}", stats.syncs as f64 / stats.commits.max(1) as f64),
        beside: format!(
            "{} syncs of the journal, {} events",
            stats.syncs, stats.commits
        ),
        goal: "1".to_owned(),
    });
    Ok(rows)
}
