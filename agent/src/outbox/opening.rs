//! How an outbox comes up: which epoch counts, what the journal holds, whether the buffer can be trusted.
//!
//! 1. What a fork left half done goes; the highest generation that holds anything is the epoch.
//! 2. `clean` is read and removed. If it fits the journal's tail and the buffer's two ends, the buffer is
//!    trusted.
//! 3. Otherwise the buffer is made anew from the whole journal. Lost events become gaps, and what stands in
//!    their place goes to the quarantine.
//! 4. Numbers go on behind the highest mark that anything bears witness to. Where the journal's end cannot
//!    be read, its files are set aside, and numbers go on behind the most events that they can have held:
//!    none is used twice, and central hears of one gap. (A new epoch for what can be read would send twice
//!    what central has of it already.)
//! 5. Where nothing of the journal can be read, and nobody knows how far it went, it is set aside whole: a
//!    new epoch begins with a gap that says so.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::{Epoch, Seq};

use super::buffer::{Buffer, BufferError, Entry, plain_bytes};
use super::journal::{Found, Gap, Journal, Reach, Scan, Source};
use super::layout::{EpochDir, Layout};
use super::quarantine::Quarantine;
use super::tally::Tally;
use super::watermark::{CleanStop, make_watermark, read_watermark};
use super::worth::Class;
use super::{Damage, OpenError, Recovery};
use crate::vault::Random;

const REASON_AFTER_CLEAN_STOP: &str = "the journal lost them after a clean stop";
const REASON_UNREADABLE: &str = "a journal segment could not be read and is set aside in damaged/";

/// An outbox ready for its writer.
pub(super) struct Ready {
    pub(super) journal: Journal,
    pub(super) epoch_dir: EpochDir,
    pub(super) acked: Mark,
    pub(super) buffer: Option<(Buffer, u64)>,
    pub(super) unused_buffer_number: u64,
    pub(super) waiting_bytes: u64,
    pub(super) tally: Tally,
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
pub(super) fn ready(
    layout: &Layout,
    quarantine: &Quarantine,
    random: &Random,
) -> Result<Ready, OpenError> {
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
        quarantine,
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
            clear_away(layout, &epoch)?;
        }
    }
    match current {
        Some(epoch) => Ok(epoch),
        // An epoch whose history nobody knows is never used again: its numbers may be at central.
        None => new_epoch(layout, newest + 1, random),
    }
}

/// Removes an epoch that no longer counts; one that cannot be read is only set aside.
fn clear_away(layout: &Layout, epoch: &EpochDir) -> io::Result<()> {
    let source = layout.source(epoch.epoch, epoch.path.clone());
    let lost_all = source
        .scan(Reach::Tail, &mut |_| ControlFlow::Break(()))?
        .lost_all();
    if lost_all {
        layout.set_epoch_aside(epoch)
    } else {
        layout.remove_epoch(epoch)
    }
}

fn new_epoch(layout: &Layout, generation: u64, random: &Random) -> io::Result<EpochDir> {
    let made = layout.make_epoch(generation, random_epoch(random))?;
    make_watermark(&*layout.disk, &made.watermark(), Mark::genesis(made.epoch))?;
    Ok(made)
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
    quarantine: &'a Quarantine,
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
        if scan.tail != Some(clean.tail) || !scan.all_readable() {
            return Ok(None);
        }
        let torn_bytes = scan.torn_bytes;
        let mut tally = Tally::default();
        let weighed = buffer.visit_after(clean.acked.seq, |entry| {
            tally.add(&entry);
            Ok(true)
        });
        if let Err(error) = weighed {
            tracing::warn!(%error, "the buffer cannot be used and is made anew");
            return Ok(None);
        }
        let journal = self.journal(scan, clean.tail)?;
        let unused_buffer_number = self.layout.remove_buffers(Some(&dir))?;
        Ok(Some(Ready {
            journal,
            epoch_dir: self.epoch_dir.clone(),
            acked: clean.acked,
            buffer: Some((buffer, clean.buffer_number)),
            unused_buffer_number,
            waiting_bytes: clean.waiting_bytes,
            tally,
            recovery: Recovery {
                events: clean.tail.seq.0.saturating_sub(clean.acked.seq.0),
                torn_bytes,
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
        let fill = |settled, number| {
            let dir = self.layout.buffer(number);
            fill(&self.source, settled, &dir, Some(self.quarantine))
        };
        let mut filled = fill(settled, number)?;
        let mut settled = settled;
        let mut unused_buffer_number = number + 1;
        if filled.settled_disagrees {
            tracing::warn!("the watermark is of another history: all events are sent again");
            settled = None;
            drop(filled);
            unused_buffer_number += 1;
            filled = fill(None, number + 1)?;
        }
        if filled.scan.lost_all() && settled.is_none() {
            drop(filled);
            return self.begin_anew(unused_buffer_number);
        }
        let number = unused_buffer_number - 1;
        let begin = filled.scan.begin();
        let acked = settled.unwrap_or_else(|| {
            if filled.scan.lost_front() {
                // What came before the first event that can be read is a gap, and central knows how much
                // of it it has.
                Mark::genesis(self.source.epoch)
            } else {
                begin.unwrap_or(Mark::genesis(self.source.epoch))
            }
        });
        if let Some(begin) = begin.filter(|_| settled.is_none() && filled.scan.lost_front()) {
            filled.lose(acked, begin, REASON_UNREADABLE);
        }
        let tail = filled.scan.tail.filter(|tail| tail.seq > acked.seq);
        let mut head = tail.unwrap_or(acked);
        if let Some(clean) = clean.filter(|clean| clean.tail.seq > head.seq) {
            filled.lose(head, clean.tail, REASON_AFTER_CLEAN_STOP);
            head = clean.tail;
        } else if filled.scan.lost_back() {
            let lost_max = filled.scan.lost_back_max(&*self.layout.disk);
            // Nobody knows the chain of what is lost: the numbers behind it have one of their own.
            let until = Mark {
                seq: Seq(head.seq.0.saturating_add(lost_max)),
                ..head.next(REASON_UNREADABLE.as_bytes())
            };
            filled.lose(head, until, REASON_UNREADABLE);
            head = until;
        }
        let Filled {
            scan,
            buffer,
            waiting_bytes,
            tally,
            damages,
            ..
        } = filled;
        let recovery = Recovery {
            events: head.seq.0 - acked.seq.0,
            torn_bytes: scan.torn_bytes,
            damages,
            rebuilt: true,
            ..Recovery::default()
        };
        Ok(Ready {
            journal: self.journal(scan, head)?,
            epoch_dir: self.epoch_dir.clone(),
            acked,
            buffer: buffer.map(|buffer| (buffer, number)),
            unused_buffer_number,
            waiting_bytes,
            tally,
            recovery,
        })
    }

    /// Sets a journal aside of which nothing can be read, and begins a new epoch that says so.
    fn begin_anew(&self, unused_buffer_number: u64) -> io::Result<Ready> {
        let former = &self.epoch_dir;
        let reason = format!(
            "nothing of the journal of epoch {} could be read: it is set aside in damaged/, and how many \
             events are lost nobody knows",
            former.epoch
        );
        let made = new_epoch(self.layout, former.generation + 1, self.random)?;
        let mut journal = Journal::open(
            self.layout.source(made.epoch, made.path.clone()),
            self.layout.yard(),
            self.random.clone(),
            Scan::empty(),
            Mark::genesis(made.epoch),
        )?;
        let gap = Gap {
            from: Seq(1),
            until: Mark::genesis(made.epoch).next(reason.as_bytes()),
            reason,
        };
        journal.append_gap(&gap).map_err(io::Error::other)?;
        self.layout.set_epoch_aside(former)?;
        let acked = Mark::genesis(made.epoch);
        let filled = fill(
            journal.source(),
            Some(acked),
            &self.layout.buffer(unused_buffer_number),
            None,
        )?;
        Ok(Ready {
            acked,
            buffer: filled.buffer.map(|buffer| (buffer, unused_buffer_number)),
            unused_buffer_number: unused_buffer_number + 1,
            waiting_bytes: 0,
            tally: filled.tally,
            recovery: Recovery {
                events: 1,
                damages: filled.damages,
                rebuilt: true,
                ..Recovery::default()
            },
            epoch_dir: made,
            journal,
        })
    }
}

/// Opens the buffer that a clean stop named, if its two ends are what they were.
fn trusted(dir: &Path, clean: &CleanStop) -> Result<Option<Buffer>, BufferError> {
    if !dir.exists() {
        return Ok(None);
    }
    let buffer = Buffer::open(dir, clean.acked.seq)?;
    let fits = match buffer.ends()? {
        None => clean.tail == clean.acked,
        Some((first, last)) => {
            // A gap stands at its last event, so the first entry may lie behind the first place.
            first.mark().seq > clean.acked.seq && last.mark() == clean.tail
        }
    };
    Ok(fits.then_some(buffer))
}

/// A buffer made from the journal.
pub(super) struct Filled {
    pub(super) scan: Scan,
    /// None if sled failed: then reading goes by the journal.
    pub(super) buffer: Option<Buffer>,
    pub(super) waiting_bytes: u64,
    pub(super) tally: Tally,
    pub(super) damages: Vec<Damage>,
    /// The journal has another chain at the settled mark.
    pub(super) settled_disagrees: bool,
}

impl Filled {
    /// Takes note of events that are lost, after one mark up to another.
    fn lose(&mut self, after: Mark, until: Mark, reason: &str) {
        let from = after.seq.next();
        self.damages.push(Damage {
            from,
            to: until.seq,
            reason: reason.to_owned(),
        });
        let gap = Entry::Gap(Gap {
            from,
            until,
            reason: reason.to_owned(),
        });
        self.buffer = self
            .buffer
            .take()
            .filter(|buffer| kept(buffer.put(gap)).is_some());
    }
}

fn kept<T>(result: Result<T, BufferError>) -> Option<T> {
    result
        .inspect_err(|error| {
            tracing::warn!(%error, "the buffer failed: reading goes by the journal until it is made anew");
        })
        .ok()
}

/// Makes a buffer in `dir` of all events after `settled`.
pub(super) fn fill(
    source: &Source,
    settled: Option<Mark>,
    dir: &Path,
    quarantine: Option<&Quarantine>,
) -> io::Result<Filled> {
    let floor = settled.map_or(Seq::ZERO, |settled| settled.seq);
    let mut buffer = kept(Buffer::open(dir, floor));
    let mut waiting_bytes = 0;
    let mut tally = Tally::default();
    let mut damages = Vec::new();
    let mut settled_disagrees = false;
    let scan = source.scan(Reach::All(settled), &mut |found| {
        let mark = found.mark();
        if let Some(settled) = settled
            && mark.seq <= settled.seq
        {
            settled_disagrees |= mark.seq == settled.seq && mark.chain != settled.chain;
            return ControlFlow::Continue(());
        }
        let entry = match found {
            Found::Record { mark, at, plain } => {
                waiting_bytes += plain_bytes(at.sealed_bytes);
                let class = Class::of(&plain);
                Entry::Event { mark, class, at }
            }
            Found::Gap {
                from,
                until,
                reason,
                damaged,
                given_up,
            } => {
                let from = settled.map_or(from, |settled| from.max(settled.seq.next()));
                if let Some((quarantine, damaged)) = quarantine.zip(damaged)
                    && let Err(error) =
                        quarantine.put(source.epoch, (from, until.seq), &reason, &damaged)
                {
                    tracing::error!(%error, "a damage could not be put into quarantine");
                }
                if !given_up {
                    damages.push(Damage {
                        from,
                        to: until.seq,
                        reason: reason.clone().into_owned(),
                    });
                }
                Entry::Gap(Gap {
                    from,
                    until,
                    reason: reason.into_owned(),
                })
            }
        };
        tally.add(&entry);
        if buffer
            .as_ref()
            .is_some_and(|buffer| kept(buffer.put(entry)).is_none())
        {
            buffer = None;
        }
        ControlFlow::Continue(())
    })?;
    Ok(Filled {
        scan,
        buffer,
        waiting_bytes,
        tally,
        damages,
        settled_disagrees,
    })
}
