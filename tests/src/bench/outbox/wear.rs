//! Bytes that go to the disk for each event: flash wears by them. Taken from the kernel's own count of
//! what this process wrote, pages as they are.

use std::fs;

use anyhow::{Context, Result};
use tillbind_agent::outbox::{Outbox, Ticket};

use super::{RECORD_BYTES, open, record};
use crate::bench::Row;
use crate::bench::peers::{Keeper, Preallocated, Sqlite};

/// Events that come one at a time, as at a till.
const ALONE: u64 = 3_000;
/// Events that come in groups, and the length of a group.
const GROUPED: u64 = 60_000;
const GROUP: u64 = 200;
/// As much as the uplink reads at once.
const BATCH_EVENTS: usize = 1_000;
const BATCH_BYTES: usize = 1024 * 1024;

pub(in crate::bench) fn measure() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (events, group) in [(ALONE, 1), (GROUPED, GROUP)] {
        rows.extend(wear(events, group)?);
    }
    Ok(rows)
}

fn wear(events: u64, group: u64) -> Result<Vec<Row>> {
    let dir = tempfile::Builder::new()
        .prefix("tillbind-wear-")
        .tempdir()?;
    let outbox = open(&dir.path().join("outbox"))?.outbox;
    let mut raw = Preallocated::create(&dir.path().join("raw"), events * RECORD_BYTES as u64)?;
    let mut sqlite = Sqlite::create(&dir.path().join("sqlite"))?;
    let of_raw = kept(&mut raw, events, group)?;
    let of_sqlite = kept(&mut sqlite, events, group)?;
    let begun = written_bytes()?;
    for _ in 0..events / group {
        let tickets: Vec<Ticket> = (0..group).map(|_| outbox.append(record())).collect();
        for ticket in tickets {
            ticket.wait().context("the outbox refused an event")?;
        }
    }
    let appended = written_bytes()?;
    drain(&outbox)?;
    outbox.close().context("the outbox does not close")?;
    let drained = written_bytes()?;
    let each = |bytes: u64| bytes as f64 / events as f64;
    let row = |what: &str, bytes: u64| Row {
        what: format!(
            "bytes to the disk for each event of {RECORD_BYTES} B, {what}, {group} at a time"
        ),
        measured: format!(
            "{:.0} ({:.2} × its own)",
            each(bytes),
            each(bytes) / RECORD_BYTES as f64
        ),
        beside: format!(
            "{}: {:.0}; {}: {:.0}",
            raw.name(),
            each(of_raw),
            sqlite.name(),
            each(of_sqlite)
        ),
        goal: String::new(),
    };
    Ok(vec![
        row("append", appended - begun),
        row("append, drain and close", drained - begun),
    ])
}

fn kept(keeper: &mut dyn Keeper, events: u64, group: u64) -> Result<u64> {
    let record = record();
    let begun = written_bytes()?;
    for _ in 0..events / group {
        let records = vec![record.as_slice(); usize::try_from(group)?];
        keeper.keep(&records)?;
    }
    Ok(written_bytes()? - begun)
}

fn drain(outbox: &Outbox) -> Result<()> {
    let mut after = outbox.acked().seq;
    loop {
        let events = outbox.read_after(after, BATCH_EVENTS, BATCH_BYTES)?;
        let Some(last) = events.last() else {
            return Ok(());
        };
        after = last.mark.seq;
        outbox.acknowledge(last.mark)?;
    }
}

/// Returns what this process has sent to the disk so far.
fn written_bytes() -> Result<u64> {
    let io =
        fs::read_to_string("/proc/self/io").context("the kernel does not count what is written")?;
    io.lines()
        .find_map(|line| line.strip_prefix("write_bytes: "))
        .and_then(|number| number.trim().parse().ok())
        .with_context(|| format!("no write_bytes in {io}"))
}
