//! Bytes that go to the disk for each event: flash wears by them. Taken from the kernel's count of what the
//! device was given, the file system's own journal included; so whatever else writes to it counts too.
//! (What the kernel charges a process with says nothing here: a page of a large folio that becomes dirty
//! is charged with the folio, of which the device gets one block.)

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

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
    let of_raw = kept(dir.path(), &mut raw, events, group)?;
    let of_sqlite = kept(dir.path(), &mut sqlite, events, group)?;
    let begun = written_bytes(dir.path())?;
    for _ in 0..events / group {
        let tickets: Vec<Ticket> = (0..group).map(|_| outbox.append(record())).collect();
        for ticket in tickets {
            ticket.wait().context("the outbox refused an event")?;
        }
    }
    let appended = written_bytes(dir.path())?;
    drain(&outbox)?;
    outbox.close().context("the outbox does not close")?;
    let drained = written_bytes(dir.path())?;
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

fn kept(dir: &Path, keeper: &mut dyn Keeper, events: u64, group: u64) -> Result<u64> {
    let record = record();
    let begun = written_bytes(dir)?;
    for _ in 0..events / group {
        let records = vec![record.as_slice(); usize::try_from(group)?];
        keeper.keep(&records)?;
    }
    Ok(written_bytes(dir)? - begun)
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

/// Unit of the kernel's count, in bytes, whatever the device's sectors are.
const SECTOR_BYTES: u64 = 512;

/// Returns what the device that holds `dir` has been given so far, once it has all that is under way.
fn written_bytes(dir: &Path) -> Result<u64> {
    rustix::fs::syncfs(File::open(dir)?).context("the file system cannot be brought to rest")?;
    let device = fs::metadata(dir)?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let path = format!("/sys/dev/block/{major}:{minor}/stat");
    let counts = fs::read_to_string(&path)
        .with_context(|| format!("{} is on no device that counts ({path})", dir.display()))?;
    let sectors = counts.split_whitespace().nth(6);
    let sectors = sectors.and_then(|number| number.parse::<u64>().ok());
    Ok(sectors.with_context(|| format!("{path} reads {counts}"))? * SECTOR_BYTES)
}
