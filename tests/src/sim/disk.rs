//! What is on a terminal's disk: the outbox's journal, the notes, the replica.
//!
//! The model of the outbox is its contract, not its files: entries with their marks, a watermark that
//! lags behind, segments that go when all in them is acknowledged, writes that a power cut may lose until
//! they are synced. The files themselves are under test in the agent.

use std::collections::{BTreeMap, BTreeSet};

use tillbind_protocol::chain::{Mark, forked_epoch};
use tillbind_protocol::clock::Uptime;
use tillbind_protocol::exchange::Fork;
use tillbind_protocol::ids::{Epoch, Seq};
use tillbind_protocol::replica::{BindingState, Cursor};

use super::record::{Class, Record};

/// Events in one segment of the journal.
const SEGMENT_EVENTS: u64 = 8;
/// Why events are gone that a full disk cost.
pub(super) const GIVEN_UP: &str = "given up, because the disk was full";
/// Why events are gone that cannot be read.
pub(super) const DAMAGED: &str = "damaged on the disk";
/// Why events are gone that central had acknowledged and lost.
pub(super) const GONE: &str = "acknowledged once, and kept no longer";

/// What is at a place of the journal.
#[derive(Debug, Clone)]
pub(super) enum Kept {
    Event { record: Record, text: String },
    Lost(&'static str),
}

/// A place of the journal.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) mark: Mark,
    pub(super) kept: Kept,
}

impl Entry {
    pub(super) fn record(&self) -> Option<&Record> {
        match &self.kept {
            Kept::Event { record, .. } => Some(record),
            Kept::Lost(_) => None,
        }
    }
}

/// Why events cannot be read.
#[derive(Debug)]
pub(super) enum ReadError {
    Gone { acked: Mark },
    Gap { until: Mark, reason: &'static str },
}

/// What was known of central's clock; as `run::effect::ClockNote`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClockNote {
    pub(super) local_ms: i64,
    pub(super) offset_ms: i64,
    pub(super) uncertainty_ms: u32,
    pub(super) boot: u64,
    pub(super) uptime: Uptime,
    /// The clock on the battery then.
    pub(super) battery_ms: Option<i64>,
}

/// The terminal's own notes.
#[derive(Debug, Clone, Default)]
pub(super) struct Notes {
    /// Where epochs left others, by the epoch that began.
    pub(super) forks: BTreeMap<Epoch, Fork>,
    /// Bindings that were requested and are not decided.
    pub(super) requested: BTreeSet<u64>,
    pub(super) clock: Option<ClockNote>,
}

/// Member data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Replica {
    pub(super) cursor: Option<Cursor>,
    pub(super) members: BTreeMap<String, i64>,
    pub(super) verdicts: BTreeMap<String, BindingState>,
}

/// A terminal's disk.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) epoch: Epoch,
    /// The mark before the first entry.
    begin: Mark,
    pub(super) journal: Vec<Entry>,
    watermark: Option<Mark>,
    /// Groups written and not synced: a kill keeps them, a power cut may not.
    pub(super) unsynced: Vec<Vec<Entry>>,
    pub(super) notes: Notes,
    pub(super) replica: Replica,
    /// How many events fit, when the disk is full.
    pub(super) room: Option<usize>,
}

impl Disk {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            begin: Mark::genesis(epoch),
            journal: Vec::new(),
            watermark: None,
            unsynced: Vec::new(),
            notes: Notes::default(),
            replica: Replica::default(),
            room: None,
        }
    }

    /// The newest durable mark.
    pub(super) fn head(&self) -> Mark {
        let last = self.journal.last().map_or(self.begin, |entry| entry.mark);
        let acked = self.watermark.unwrap_or(self.begin);
        if acked.seq > last.seq { acked } else { last }
    }

    /// What counts as acknowledged at a start.
    pub(super) fn acked(&self) -> Mark {
        self.watermark.unwrap_or(self.begin)
    }

    /// Makes entries of records that follow what is written already.
    pub(super) fn entries(&self, records: Vec<Record>) -> Vec<Entry> {
        let written = self.unsynced.iter().flatten().last();
        let mut mark = written.map_or(self.head(), |entry| entry.mark);
        records
            .into_iter()
            .map(|record| {
                let text = record.to_text();
                mark = mark.next(text.as_bytes());
                let kept = Kept::Event { record, text };
                Entry { mark, kept }
            })
            .collect()
    }

    pub(super) fn sync(&mut self) -> Vec<Entry> {
        let synced: Vec<Entry> = self.unsynced.drain(..).flatten().collect();
        self.journal.extend(synced.iter().cloned());
        synced
    }

    /// Events after a place, up to a gap; as `outbox::Outbox::read_after`.
    pub(super) fn read_after(
        &self,
        acked: Mark,
        after: Seq,
        events_max: usize,
    ) -> Result<Vec<&Entry>, ReadError> {
        if after < acked.seq {
            return Err(ReadError::Gone { acked });
        }
        let rest = self.journal.iter().filter(|entry| entry.mark.seq > after);
        let mut found: Vec<&Entry> = Vec::new();
        let mut gap = None;
        for entry in rest {
            match (&entry.kept, &mut gap) {
                (Kept::Event { .. }, None) if found.len() < events_max => found.push(entry),
                (Kept::Lost(reason), None) if found.is_empty() => {
                    gap = Some((entry.mark, *reason));
                }
                (Kept::Lost(reason), Some((until, known))) if known == reason => {
                    *until = entry.mark;
                }
                (Kept::Event { .. } | Kept::Lost(_), _) => break,
            }
        }
        match gap {
            Some((until, reason)) => Err(ReadError::Gap { until, reason }),
            None => Ok(found),
        }
    }

    /// Waiting binding requests behind a place, oldest first; as `outbox::Outbox::urgent_after`.
    pub(super) fn urgent_after(&self, acked: Mark, after: Seq, most: usize) -> Vec<&Entry> {
        let behind = after.max(acked.seq);
        let waiting = self.journal.iter().filter(|e| e.mark.seq > behind);
        let asks = |entry: &&Entry| entry.record().is_some_and(|record| record.wish.is_some());
        waiting.filter(asks).take(most).collect()
    }

    /// The mark at a place, if it is the acknowledged one or a waiting event's.
    pub(super) fn mark_at(&self, acked: Mark, seq: Seq) -> Option<Mark> {
        if seq == acked.seq {
            return Some(acked);
        }
        let waiting = self.journal.iter().map(|entry| entry.mark);
        waiting
            .filter(|mark| mark.seq > acked.seq)
            .find(|mark| mark.seq == seq)
    }

    /// Whether a segment can go.
    pub(super) fn has_released(&self, acked: Seq) -> bool {
        self.released(acked) > 0
    }

    fn released(&self, acked: Seq) -> usize {
        let segment = |seq: Seq| seq.before().0 / SEGMENT_EVENTS;
        let active = segment(self.head().seq.max(Seq(1)));
        self.journal
            .iter()
            .take_while(|entry| {
                let end = (segment(entry.mark.seq) + 1) * SEGMENT_EVENTS;
                segment(entry.mark.seq) < active && end <= acked.0
            })
            .count()
    }

    pub(super) fn keep_watermark(&mut self, acked: Mark) {
        self.watermark = Some(acked);
    }

    /// Removes segments in which all is acknowledged.
    pub(super) fn release(&mut self, acked: Seq) {
        let released = self.released(acked);
        if let Some(last) = self.journal.drain(..released).next_back() {
            self.begin = last.mark;
        }
    }

    /// Gives up waiting events of the least class, oldest first, at most so many; returns them.
    pub(super) fn thin(&mut self, acked: Seq, classes: &[Class], most: usize) -> Vec<Record> {
        let waits = |entry: &Entry, class: Class| {
            entry.mark.seq > acked && entry.record().is_some_and(|record| record.kind == class)
        };
        let least = classes
            .iter()
            .find(|class| self.journal.iter().any(|entry| waits(entry, **class)));
        let Some(least) = least else {
            return Vec::new();
        };
        let mut gone = Vec::new();
        for entry in self
            .journal
            .iter_mut()
            .filter(|e| waits(e, *least))
            .take(most)
        {
            gone.extend(entry.record().copied());
            entry.kept = Kept::Lost(GIVEN_UP);
        }
        gone
    }

    /// Damages a waiting event; returns it.
    pub(super) fn damage(&mut self, acked: Seq, which: usize) -> Option<Record> {
        let mut waiting: Vec<&mut Entry> = self
            .journal
            .iter_mut()
            .filter(|entry| entry.mark.seq > acked && entry.record().is_some())
            .collect();
        let count = waiting.len();
        let entry = waiting.get_mut(which.checked_rem(count)?)?;
        let record = entry.record().copied();
        entry.kept = Kept::Lost(DAMAGED);
        record
    }

    /// Moves what is waiting from `at` on into a new epoch; as `outbox::writer::fork`. Returns the places
    /// whose events are lost: the former and the new one of each.
    pub(super) fn fork(&mut self, at: Seq, acked: Mark, leave_behind: bool) -> Vec<(Seq, Seq)> {
        let first = at.max(acked.seq.next());
        let gone = (at.0..first.0).map(|place| Entry {
            mark: Mark {
                seq: Seq(place),
                chain: acked.chain,
            },
            kept: Kept::Lost(GONE),
        });
        let waiting = self.journal.drain(..).filter(|e| e.mark.seq >= first);
        let moving: Vec<Entry> = gone.chain(waiting).filter(|_| !leave_behind).collect();
        self.epoch = forked_epoch(self.epoch, at);
        self.begin = Mark::genesis(self.epoch);
        self.watermark = None;
        let genesis = self.begin;
        let mut mark = genesis;
        let mut lost = Vec::new();
        for Entry { mark: former, kept } in moving {
            mark = match &kept {
                Kept::Event { text, .. } => mark.next(text.as_bytes()),
                Kept::Lost(_) => {
                    let seq = mark.seq.next();
                    lost.push((former.seq, seq));
                    let chain = genesis.chain.next(seq, &former.chain.0);
                    Mark { seq, chain }
                }
            };
            self.journal.push(Entry { mark, kept });
        }
        lost
    }

    /// Places whose events are lost.
    pub(super) fn lost_places(&self) -> Vec<Seq> {
        let lost = self.journal.iter().filter(|entry| entry.record().is_none());
        lost.map(|entry| entry.mark.seq).collect()
    }

    /// Numbers of all events that are on the disk.
    pub(super) fn numbers(&self) -> BTreeSet<u64> {
        let written = self.unsynced.iter().flatten();
        let all = self.journal.iter().chain(written);
        all.filter_map(Entry::record)
            .map(|record| record.n)
            .collect()
    }
}
