//! A long backlog: what it takes in memory and on the disk, how fast it opens after a kill and drains.
//!
//! Each backlog is held by a process of its own (`bench --hold DIR`), so that its memory is its own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tillbind_agent::outbox::{Outbox, Ticket};
use tillbind_protocol::ids::Seq;

use super::{RECORD_BYTES, open, record, thousands};
use crate::bench::Row;
use crate::clock::Stopwatch;
use crate::environment;
use crate::process::{command, memory_kib};

/// Backlogs that are measured, with the goals of memory.
const BACKLOGS: [(u64, &str); 2] = [(100_000, "25 MB for the whole agent"), (1_000_000, "")];
/// Events that are under way at once while the backlog is made.
const UNDER_WAY: u64 = 4_096;
/// As much as the uplink reads at once.
const BATCH_EVENTS: usize = 1_000;
const BATCH_BYTES: usize = 1024 * 1024;

pub(in crate::bench) fn measure() -> Result<Vec<Row>> {
    let empty_dir = tempfile::tempdir()?;
    let empty = Holder::start(&empty_dir.path().join("outbox"))?.resident_bytes()?;
    let mut rows = Vec::new();
    for (events, goal) in BACKLOGS {
        rows.extend(backlog(events, empty, goal)?);
    }
    Ok(rows)
}

fn backlog(events: u64, empty: f64, memory_goal: &str) -> Result<Vec<Row>> {
    let dir = tempfile::Builder::new()
        .prefix("tillbind-waiting-")
        .tempdir()?;
    let outbox_dir = dir.path().join("outbox");
    let outbox = open(&outbox_dir)?.outbox;
    fill(&outbox, events)?;
    // As after a kill: the last handle goes without a word.
    drop(outbox);
    let plain = events as f64 * RECORD_BYTES as f64;
    let mut holder = Holder::start(&outbox_dir)?;
    ensure!(holder.told["events"] == events, "{} wait", holder.told);
    let opened_ms = number(&holder.told, "opened_ms")?;
    let resident = holder.resident_bytes()?;
    let held = disk_bytes(&outbox_dir)?;
    let drained = holder.drain()?;
    let drain_s = number(&drained, "drain_s")?;
    let resident_after = holder.resident_bytes()?;
    holder.end()?;
    let left = disk_bytes(&outbox_dir)?;
    let many = thousands(events as f64);
    let row = |what: &str, measured: String, beside: String, goal: &str| Row {
        what: format!("{many} events waiting: {what}"),
        measured,
        beside,
        goal: goal.to_owned(),
    };
    let megabytes = |bytes: f64| format!("{:.1} MB", bytes / 1e6);
    Ok(vec![
        row(
            "memory (RSS) of a process that holds nothing else",
            format!("{} ({:.2} × empty)", megabytes(resident), resident / empty),
            format!(
                "the same with an empty outbox: {}; after the drain: {}",
                megabytes(empty),
                megabytes(resident_after)
            ),
            memory_goal,
        ),
        row(
            "disk",
            format!("{} ({:.2} ×)", megabytes(held), held / plain),
            format!("their plain bytes: {}", megabytes(plain)),
            "at most 3 ×",
        ),
        row(
            "disk after the drain",
            megabytes(left),
            format!("{} before it", megabytes(held)),
            "given back",
        ),
        row(
            "opening after a kill",
            format!("{:.2} s", opened_ms / 1e3),
            format!(
                "{} events/s",
                thousands(events as f64 * 1e3 / opened_ms.max(1.0))
            ),
            if events == 100_000 { "2 s" } else { "" },
        ),
        row(
            "reading and acknowledging all",
            format!("{} events/s", thousands(events as f64 / drain_s)),
            format!("{drain_s:.2} s in batches of {BATCH_EVENTS}"),
            "",
        ),
    ])
}

fn fill(outbox: &Outbox, events: u64) -> Result<()> {
    let record = record();
    let mut left = events;
    while left > 0 {
        let some = left.min(UNDER_WAY);
        let tickets: Vec<Ticket> = (0..some).map(|_| outbox.append(record.clone())).collect();
        for ticket in tickets {
            ticket.wait().context("the outbox refused an event")?;
        }
        left -= some;
    }
    Ok(())
}

fn number(told: &Value, field: &str) -> Result<f64> {
    told[field]
        .as_f64()
        .with_context(|| format!("no {field} in {told}"))
}

/// Returns what the files below `dir` take on the disk, holes left out.
fn disk_bytes(dir: &Path) -> Result<f64> {
    let mut bytes = 0;
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                folders.push(entry.path());
            }
            bytes += metadata.blocks() * 512;
        }
    }
    Ok(bytes as f64)
}

/// The process that holds an outbox.
struct Holder {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    told: Value,
}

impl Holder {
    fn start(dir: &Path) -> Result<Self> {
        let mut command = command(&std::env::current_exe()?);
        command.envs(environment::of_the_unit()?);
        command
            .arg("--hold")
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().context("the holder cannot be started")?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("the holder has no output")?);
        let mut holder = Self {
            child,
            orders,
            answers,
            told: Value::Null,
        };
        holder.told = holder.answer()?;
        Ok(holder)
    }

    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("the holder said {line:?}"))
    }

    fn drain(&mut self) -> Result<Value> {
        let orders = self.orders.as_mut().context("the holder takes no orders")?;
        writeln!(orders, "drain")?;
        self.answer()
    }

    fn resident_bytes(&self) -> Result<f64> {
        Ok(memory_kib(self.child.id(), "VmRSS")? as f64 * 1024.0)
    }

    fn end(mut self) -> Result<()> {
        self.orders = None;
        let status = self.child.wait()?;
        ensure!(status.success(), "the holder ended with {status}");
        Ok(())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // It may be gone already; then there is nothing to kill and nothing to wait for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Opens the outbox in `dir` and tells so in a line of JSON; then takes orders, a line each, and closes
/// it when there are no more.
///
/// # Errors
/// When the outbox fails.
pub fn hold(dir: &Path, orders: &mut dyn BufRead, answers: &mut dyn Write) -> Result<()> {
    let watch = Stopwatch::start();
    let opened = open(dir)?;
    let outbox = opened.outbox;
    let opened_ms = watch.elapsed().as_secs_f64() * 1e3;
    let told = json!({"events": opened.recovery.events, "opened_ms": opened_ms});
    writeln!(answers, "{told}")?;
    for order in orders.lines() {
        ensure!(order? == "drain", "the only order is `drain`");
        let took = drain(&outbox)?;
        writeln!(answers, "{}", json!({"drain_s": took.as_secs_f64()}))?;
    }
    outbox.close()?;
    Ok(())
}

fn drain(outbox: &Outbox) -> Result<Duration> {
    let watch = Stopwatch::start();
    let mut after: Seq = outbox.acked().seq;
    loop {
        let events = outbox.read_after(after, BATCH_EVENTS, BATCH_BYTES)?;
        let Some(last) = events.last() else { break };
        after = last.mark.seq;
        outbox.acknowledge(last.mark)?;
    }
    Ok(watch.elapsed())
}
