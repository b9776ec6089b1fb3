//! Durable accept, one event at a time, beside the least that a disk asks for: append the same bytes
//! to a preallocated file and `fdatasync`.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rustix::fs::{FallocateFlags, fallocate, fdatasync};
use tillbind_agent::outbox::{Outbox, OutboxConfig};
use tillbind_agent::vault::Vault;

use super::{Row, micros, percentile, ratio};
use crate::clock::Stopwatch;

/// Length of a usual event, in bytes.
const RECORD_BYTES: usize = 400;
/// Turns, each of [`TURN_EVENTS`] on either side.
const TURNS: usize = 40;
const TURN_EVENTS: usize = 50;

pub(super) fn measure() -> Result<Vec<Row>> {
    let dir = tempfile::Builder::new()
        .prefix("tillbind-accept-")
        .tempdir()?;
    let outbox = open_outbox(&dir.path().join("outbox"))?;
    let mut raw = RawAppend::create(&dir.path().join("raw"))?;
    let record = record();
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        for _ in 0..TURN_EVENTS {
            let watch = Stopwatch::start();
            outbox
                .append(record.clone())
                .wait()
                .context("the outbox refused an event")?;
            ours.push(watch.elapsed());
        }
        for _ in 0..TURN_EVENTS {
            let watch = Stopwatch::start();
            raw.append(&record)?;
            limit.push(watch.elapsed());
        }
    }
    outbox.close().context("the outbox does not close")?;
    let row = |name: &str, share: f64, goal: &str| {
        let (mine, least) = (
            percentile(&mut ours.clone(), share),
            percentile(&mut limit.clone(), share),
        );
        Row {
            what: format!("durable accept, one at a time, {name}"),
            measured: format!("{} ({:.2} ×)", micros(mine), ratio(mine, least)),
            beside: format!(
                "raw append of {RECORD_BYTES} B + fdatasync: {}",
                micros(least)
            ),
            goal: goal.to_owned(),
        }
    };
    Ok(vec![row("p50", 0.5, "p50 1.1 ×"), row("p99", 0.99, "")])
}

fn open_outbox(dir: &Path) -> Result<Outbox> {
    // Keys of a benchmark guard nothing, so a seeded source will do.
    let source = Mutex::new(fastrand::Rng::with_seed(14));
    let random = Arc::new(move |bytes: &mut [u8]| {
        source
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill(bytes);
    });
    let watch = Stopwatch::start();
    let config = OutboxConfig::new(dir, Arc::new(move || watch.elapsed()));
    let vault = Vault::from_key([14; 32], random.clone());
    Ok(Outbox::open(config, &vault, random)?.outbox)
}

fn record() -> Vec<u8> {
    let head =
        r#"{"at":1767225600000,"kind":"scan","body":{"code":"unknown","device":"bench","text":""#;
    let tail = r#""}}"#;
    let filling = RECORD_BYTES - head.len() - tail.len();
    format!("{head}{}{tail}", "x".repeat(filling)).into_bytes()
}

/// A preallocated file that is appended to.
struct RawAppend {
    file: File,
    end: u64,
}

impl RawAppend {
    fn create(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create_new(true).write(true).open(path)?;
        let bytes = (TURNS * TURN_EVENTS * RECORD_BYTES) as u64;
        fallocate(&file, FallocateFlags::empty(), 0, bytes)?;
        // Zeros written once, as a journal's segment has them: no extent changes afterwards.
        file.write_all_at(&vec![0; TURNS * TURN_EVENTS * RECORD_BYTES], 0)?;
        file.sync_all()?;
        Ok(Self { file, end: 0 })
    }

    fn append(&mut self, record: &[u8]) -> Result<()> {
        self.file.write_all_at(record, self.end)?;
        fdatasync(&self.file)?;
        self.end += record.len() as u64;
        Ok(())
    }
}
