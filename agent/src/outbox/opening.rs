//! How an outbox comes up: which epoch counts, what the journal holds, whether the buffer can be trusted.
//!
//! 1. What a fork left half done goes; the highest generation that holds anything is the epoch.
//! 2. `clean` is read and removed. If it fits the journal's tail and the buffer's two ends, the buffer is
//!    trusted, and events that the journal's last write lost since are put back from it.
//! 3. Otherwise the buffer is made anew from the whole journal. Lost events become gaps.
//! 4. Numbers go on behind the highest mark that anything bears witness to.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::{Epoch, Seq};

use super::buffer::{Buffer, BufferError, plain_bytes};
use super::journal::{Found, Journal, Reach, Scan, Source};
use super::layout::{EpochDir, Layout};
use super::reading::{Limits, Reader};
use super::watermark::{CleanStop, read_watermark};
use super::{Damage, OpenError, Recovery};
use crate::vault::Random;

const REASON_AFTER_CLEAN_STOP: &str = "the journal lost them after a clean stop";
const REASON_UNREADABLE: &str = "a journal segment could not be read and is set aside in damaged/";
/// Events put back at once from the buffer.
const RESTORE_LIMITS: Limits = Limits {
    events: 1000,
    bytes: 1024 * 1024,
};

/// An outbox ready for its writer.
pub(super) struct Ready {
    pub(super) journal: Journal,
    pub(super) epoch_dir: EpochDir,
    pub(super) acked: Mark,
    pub(super) buffer: Option<(Buffer, u64)>,
    pub(super) unused_buffer_number: u64,
    pub(super) waiting_bytes: u64,
    pub(super) recovery: Recovery,
}

fn disk(doing: &'static str, layout: &Layout) -> impl Fn(io::Error) -> OpenError {
    let dir = layout.root.clone();
    move |source| OpenError::Disk {
        doing,
        dir: dir.clone(),
        source,
    }
}

/// Brings the outbox up. The caller holds its lock.
pub(super) fn ready(layout: &Layout, random: &Random) -> Result<Ready, OpenError> {
    layout.prepare().map_err(disk("prepare", layout))?;
    let epoch_dir = current_epoch(layout, random).map_err(disk("find the epoch in", layout))?;
    let source = layout.source(epoch_dir.epoch, epoch_dir.path.clone());
    let reading = disk("read the marks of", layout);
    let watermark = read_watermark(&*layout.disk, &epoch_dir.watermark()).map_err(&reading)?;
    let clean = CleanStop::read(&*layout.disk, &layout.clean()).map_err(&reading)?;
    layout
        .disk
        .remove_durably(&layout.clean())
        .map_err(disk("remove the clean-stop marker of", layout))?;
    let clean = clean.filter(|clean| clean.epoch == epoch_dir.epoch);
    let coming_up = ComingUp {
        layout,
        random,
        epoch_dir,
        source,
    };
    let recovering = disk("recover the journal of", layout);
    if let Some(clean) = &clean
        && let Some(ready) = coming_up.resume(clean).map_err(&recovering)?
    {
        return Ok(ready);
    }
    coming_up.rebuild(watermark, clean).map_err(recovering)
}

/// Returns the newest epoch that holds anything, or a new one.
fn current_epoch(layout: &Layout, random: &Random) -> io::Result<EpochDir> {
    let mut known = layout.list_epochs()?;
    let newest = known.last().map_or(0, |epoch| epoch.generation);
    let mut current = None;
    while let Some(epoch) = known.pop() {
        let holds_anything = current.is_none()
            && layout.disk.list(&epoch.path)?.iter().any(|name| {
                name.ends_with(".segment") || Some(name.as_str()) == file_name(&epoch.watermark())
            });
        if holds_anything {
            current = Some(epoch);
        } else {
            layout.remove_epoch(&epoch)?;
        }
    }
    match current {
        Some(epoch) => Ok(epoch),
        // An epoch whose history nobody knows is never used again: its numbers may be at central.
        None => layout.make_epoch(newest + 1, random_epoch(random)),
    }
}

fn file_name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn random_epoch(random: &Random) -> Epoch {
    let mut bytes = [0; 8];
    random(&mut bytes);
    Epoch(u64::from_le_bytes(bytes))
}

struct ComingUp<'a> {
    layout: &'a Layout,
    random: &'a Random,
    epoch_dir: EpochDir,
    source: Source,
}

impl ComingUp<'_> {
    fn journal(&self, scan: Scan, head: Mark) -> io::Result<Journal> {
        Journal::open(
            self.source.clone(),
            self.layout.yard(),
            self.random.clone(),
            scan,
            head,
        )
    }

    /// Goes on from a clean stop, if all that is there agrees with it.
    fn resume(&self, clean: &CleanStop) -> io::Result<Option<Ready>> {
        let dir = self.layout.buffer(clean.buffer_number);
        let buffer = match trusted(&dir, clean) {
            Ok(Some(buffer)) => buffer,
            Ok(None) => return Ok(None),
            Err(error) => {
                tracing::warn!(%error, "the buffer cannot be used and is made anew");
                return Ok(None);
            }
        };
        let scan = self
            .source
            .scan(Reach::Tail, &mut |_| ControlFlow::Continue(()))?;
        let Some(tail) = scan.tail.filter(|tail| tail.seq <= clean.tail.seq) else {
            return Ok(None);
        };
        if !scan.all_readable() {
            return Ok(None);
        }
        let torn_bytes = scan.torn_bytes;
        let mut journal = self.journal(scan, tail)?;
        let reader = Reader {
            source: self.source.clone(),
            buffer: None,
            acked: clean.acked,
            appended: clean.tail,
        };
        if tail != clean.tail && !restore(&mut journal, &reader, &buffer, clean.tail) {
            return Ok(None);
        }
        let unused_buffer_number = self.layout.remove_buffers(Some(&dir))?;
        Ok(Some(Ready {
            journal,
            epoch_dir: self.epoch_dir.clone(),
            acked: clean.acked,
            buffer: Some((buffer, clean.buffer_number)),
            unused_buffer_number,
            waiting_bytes: clean.waiting_bytes,
            recovery: Recovery {
                events: clean.tail.seq.0.saturating_sub(clean.acked.seq.0),
                torn_bytes,
                restored: clean.tail.seq.0 - tail.seq.0,
                ..Recovery::default()
            },
        }))
    }

    /// Makes the buffer anew from the journal.
    fn rebuild(&self, watermark: Option<Mark>, clean: Option<CleanStop>) -> io::Result<Ready> {
        let settled = match (watermark, &clean) {
            (Some(mark), Some(clean)) if clean.acked.seq > mark.seq => Some(clean.acked),
            (None, Some(clean)) => Some(clean.acked),
            (watermark, _) => watermark,
        };
        let number = self.layout.remove_buffers(None)?;
        let mut filled = fill(&self.source, settled, &self.layout.buffer(number))?;
        let mut settled = settled;
        let mut unused_buffer_number = number + 1;
        if filled.settled_disagrees {
            tracing::warn!("the watermark is of another history: all events are sent again");
            settled = None;
            drop(filled);
            unused_buffer_number += 1;
            filled = fill(&self.source, None, &self.layout.buffer(number + 1))?;
        }
        let Filled {
            scan,
            mut buffer,
            waiting_bytes,
            mut damages,
            ..
        } = filled;
        let begin = scan.begin().unwrap_or(Mark::genesis(self.source.epoch));
        let acked = settled.unwrap_or(begin);
        let mut head = scan.tail.filter(|t| t.seq > acked.seq).unwrap_or(acked);
        if scan.lost_front() && settled.is_none() {
            damages.insert(
                0,
                Damage {
                    from: Seq(1),
                    to: Some(begin.seq),
                    reason: REASON_UNREADABLE.to_owned(),
                },
            );
        }
        if scan.lost_back() {
            damages.push(Damage {
                from: head.seq.next(),
                to: None,
                reason: REASON_UNREADABLE.to_owned(),
            });
        }
        if let Some(clean) = clean.filter(|clean| clean.tail.seq > head.seq) {
            damages.push(Damage {
                from: head.seq.next(),
                to: Some(clean.tail.seq),
                reason: REASON_AFTER_CLEAN_STOP.to_owned(),
            });
            buffer = buffer.and_then(|buffer| {
                let put = buffer.put_gap(head.seq.next(), clean.tail, REASON_AFTER_CLEAN_STOP);
                kept(put).map(|()| buffer)
            });
            head = clean.tail;
        }
        let recovery = Recovery {
            events: head.seq.0 - acked.seq.0,
            torn_bytes: scan.torn_bytes,
            damages,
            rebuilt: true,
            ..Recovery::default()
        };
        let number = unused_buffer_number - 1;
        Ok(Ready {
            journal: self.journal(scan, head)?,
            epoch_dir: self.epoch_dir.clone(),
            acked,
            buffer: buffer.map(|buffer| (buffer, number)),
            unused_buffer_number,
            waiting_bytes,
            recovery,
        })
    }
}

/// Opens the buffer that a clean stop named, if its two ends are what they were.
fn trusted(dir: &Path, clean: &CleanStop) -> Result<Option<Buffer>, BufferError> {
    if !dir.exists() {
        return Ok(None);
    }
    let buffer = Buffer::open(dir)?;
    let fits = match buffer.ends()? {
        None => clean.tail == clean.acked,
        Some((first, last)) => {
            // A gap stands at its last event, so the first entry may lie behind the first place.
            first.mark().seq > clean.acked.seq && last.mark() == clean.tail
        }
    };
    Ok(fits.then_some(buffer))
}

/// Puts events back into the journal that the buffer still has.
fn restore(journal: &mut Journal, reader: &Reader, buffer: &Buffer, until: Mark) -> bool {
    while journal.head().seq < until.seq {
        let Ok(events) = reader.buffer_events(buffer, journal.head().seq, RESTORE_LIMITS) else {
            return false;
        };
        let records: Vec<_> = events.into_iter().map(|event| event.record).collect();
        let kept =
            !records.is_empty() && journal.make_room(Journal::group_bytes(&records)).is_ok() && {
                journal.stage(&records);
                journal.commit().is_ok()
            };
        journal.clear_staged();
        if !kept {
            return false;
        }
    }
    journal.head() == until
}

/// A buffer made from the journal.
pub(super) struct Filled {
    pub(super) scan: Scan,
    /// None if sled failed: then reading goes by the journal.
    pub(super) buffer: Option<Buffer>,
    pub(super) waiting_bytes: u64,
    pub(super) damages: Vec<Damage>,
    /// The journal has another chain at the settled mark.
    pub(super) settled_disagrees: bool,
}

fn kept<T>(result: Result<T, BufferError>) -> Option<T> {
    result
        .inspect_err(|error| {
            tracing::warn!(%error, "the buffer failed: reading goes by the journal until it is made anew");
        })
        .ok()
}

/// Makes a buffer in `dir` of all events after `settled`.
pub(super) fn fill(source: &Source, settled: Option<Mark>, dir: &Path) -> io::Result<Filled> {
    let mut buffer = kept(Buffer::open(dir));
    let mut waiting_bytes = 0;
    let mut damages = Vec::new();
    let mut settled_disagrees = false;
    let scan = source.scan(Reach::All(settled), &mut |found| {
        let (Found::Record { mark, .. } | Found::Gap { until: mark, .. }) = &found;
        if let Some(settled) = settled
            && mark.seq <= settled.seq
        {
            settled_disagrees |= mark.seq == settled.seq && mark.chain != settled.chain;
            return ControlFlow::Continue(());
        }
        let put = match found {
            Found::Record { mark, sealed, .. } => {
                waiting_bytes += plain_bytes(sealed.len());
                buffer.as_ref().map(|buffer| buffer.put_event(mark, sealed))
            }
            Found::Gap {
                from,
                until,
                reason,
            } => {
                let from = settled.map_or(from, |settled| from.max(settled.seq.next()));
                damages.push(Damage {
                    from,
                    to: Some(until.seq),
                    reason: reason.to_owned(),
                });
                buffer
                    .as_ref()
                    .map(|buffer| buffer.put_gap(from, until, reason))
            }
        };
        if put.is_some_and(|put| kept(put).is_none()) {
            buffer = None;
        }
        ControlFlow::Continue(())
    })?;
    Ok(Filled {
        scan,
        buffer,
        waiting_bytes,
        damages,
        settled_disagrees,
    })
}
