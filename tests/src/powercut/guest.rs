//! The program that runs on the virtual machine as its first and only process.
//!
//! It takes orders from the port, works on the drive, and tells what it was promised. Whatever fails on
//! a disk after a cut is told as a refusal; whatever fails otherwise ends the program, with which the
//! machine ends.

mod agent_life;
mod control_life;
mod outbox_life;
mod port;
mod till_api;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use tillbind_agent::outbox::{Outbox, ReadError};
use tillbind_protocol::chain::{CHAIN_BYTES, ChainHash};
use tillbind_protocol::ids::Seq;

use self::port::Port;
use super::words::{Order, Word, Workload};

const BUSYBOX: &str = "/bin/busybox";
const DRIVE: &str = "/dev/vda";
const DISK: &str = "/disk";
const FILE_SYSTEM_ERRORS: &str = "/sys/fs/ext4/vda/errors_count";
/// Events listed at once.
const LISTED_EVENTS_MAX: usize = 500;
const LISTED_BYTES_MAX: usize = 1024 * 1024;

/// Serves the rig for ever.
///
/// # Errors
/// When the machine is not as it should be.
pub fn serve() -> Result<()> {
    let mut port = Port::open()?;
    port.say(Word::Ready)?;
    loop {
        let (order, workload) = match port.order()? {
            order @ (Order::Work { workload, .. } | Order::Check { workload, .. }) => {
                (order, workload)
            }
            Order::Heard => bail!("nothing was said that had to be heard"),
        };
        // Panics are what sled answers damage with; here each is a start refused.
        let done = catch_unwind(AssertUnwindSafe(|| carry_out(&mut port, workload, &order)));
        let refused = match done {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("{error:#}")),
            Err(panic) => Some(format!("panicked: {}", panic_text(&*panic))),
        };
        if let Some(what) = refused {
            port.say(Word::Refused(what))?;
        }
        let released = release(&mut port)?;
        port.say(Word::Done { released })?;
    }
}

fn carry_out(port: &mut Port, workload: Workload, order: &Order) -> Result<()> {
    match order {
        Order::Work { seed, scenes, .. } => {
            // Pages go out by themselves while other work goes on, as on a till that runs for days.
            let hasty = seed.is_multiple_of(2);
            write_back(if hasty { 2 } else { 500 })?;
            mount()?;
            match workload {
                Workload::Outbox => outbox_life::work(port, *seed, *scenes),
                Workload::Agent => agent_life::work(port, *seed, *scenes),
                Workload::Control => control_life::work(port, *seed, *scenes),
            }
        }
        Order::Check { seed, .. } => {
            write_back(500)?;
            mount()?;
            match workload {
                Workload::Outbox => outbox_life::check(port, *seed),
                Workload::Agent => agent_life::check(port, *seed),
                Workload::Control => control_life::check(port),
            }
        }
        Order::Heard => Ok(()),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "without a word".to_owned())
}

fn busybox(args: &[&str]) -> Result<()> {
    let output = Command::new(BUSYBOX).args(args).output()?;
    ensure!(
        output.status.success(),
        "{} failed: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn mount() -> Result<()> {
    busybox(&["mount", "-t", "ext4", DRIVE, DISK])
}

/// Lets go of the disk and of all that memory holds of it; returns whether that went well.
fn release(port: &mut Port) -> Result<bool> {
    let mounts = std::fs::read_to_string("/proc/mounts")?;
    if mounts.lines().any(|line| line.contains(DISK)) {
        // A drive that keeps its word leaves a file system that is whole once its journal is replayed.
        let errors = std::fs::read_to_string(FILE_SYSTEM_ERRORS)?;
        if errors.trim() != "0" {
            port.say(Word::Disorder(format!(
                "the file system found {} errors in itself",
                errors.trim()
            )))?;
        }
        if busybox(&["umount", DISK]).is_err() {
            return Ok(false);
        }
    }
    std::fs::write("/proc/sys/vm/drop_caches", "3")?;
    Ok(true)
}

/// Sets after how many hundredths of a second written pages go to the drive by themselves.
fn write_back(centiseconds: u32) -> Result<()> {
    for name in ["dirty_expire_centisecs", "dirty_writeback_centisecs"] {
        std::fs::write(
            Path::new("/proc/sys/vm").join(name),
            centiseconds.to_string(),
        )?;
    }
    Ok(())
}

/// Returns what tells one content from another.
fn digest(record: &[u8]) -> String {
    ChainHash([0; CHAIN_BYTES])
        .next(Seq::ZERO, record)
        .to_string()
}

/// Tells all that an outbox holds, and checks its chain by the records alone.
fn list(port: &mut Port, outbox: &Outbox, tell: impl Fn(&[u8]) -> String) -> Result<()> {
    let mut last = outbox.acked();
    loop {
        match outbox.read_after(last.seq, LISTED_EVENTS_MAX, LISTED_BYTES_MAX) {
            Ok(events) if events.is_empty() => break,
            Ok(events) => {
                for event in events {
                    last = last.next(&event.record);
                    if event.mark != last {
                        port.say(Word::Disorder(format!(
                            "event {} bears {}, but its chain is {}",
                            event.mark.seq, event.mark.chain, last.chain
                        )))?;
                        last = event.mark;
                    }
                    port.mention(Word::Held {
                        seq: last.seq.0,
                        chain: last.chain.to_string(),
                        digest: tell(&event.record),
                    })?;
                }
            }
            Err(ReadError::Gap {
                from,
                until,
                reason,
            }) => {
                port.say(Word::Gap {
                    from: from.0,
                    until: until.seq.0,
                    reason,
                })?;
                last = until;
            }
            Err(error @ (ReadError::Gone { .. } | ReadError::Journal(_) | ReadError::Stopped)) => {
                return Err(error).context("the outbox cannot be read");
            }
        }
    }
    if last != outbox.appended() {
        port.say(Word::Disorder(format!(
            "reading ends at {}, but the newest event is said to be {}",
            last.seq,
            outbox.appended().seq
        )))?;
    }
    port.say(Word::Listed)
}
