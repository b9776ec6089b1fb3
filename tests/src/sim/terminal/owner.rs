//! The owner of the state, as `agent::run::terminal`, and the writer of its notes.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tillbind_protocol::clock::{ClockEstimator, Estimate, Sample, Uptime};
use tillbind_protocol::event::Stamp;

use super::super::disk::{ClockNote, Entry};
use super::super::fault::Fault;
use super::super::page::number_of;
use super::super::record::{Class, Record, Wish};
use super::super::stage::Due;
use super::{Run, Site};

/// As `run::terminal::CLOCK_NOTE_EVERY` and `CLOCK_NOTE_CHANGE_MS`.
const CLOCK_NOTE_EVERY: Duration = Duration::from_secs(600);
const CLOCK_NOTE_CHANGE_MS: u64 = 1_000;
/// As `run::notes::RESTART_MS`, `BATTERY_PPM` and `BATTERY_APART_MS`.
const RESTART_MS: u64 = 30_000;
const BATTERY_PPM: u64 = 200;
const BATTERY_APART_MS: u64 = 5 * 60 * 1_000;

#[derive(Debug)]
enum Note {
    Clock(ClockNote),
    Requested(u64),
    Decided(u64),
}

/// The owner.
#[derive(Debug)]
pub(super) struct Owner {
    clock: ClockEstimator,
    clock_noted: Option<(Uptime, i64)>,
    requested: BTreeSet<u64>,
    notes: VecDeque<Note>,
    writing: bool,
    /// The first offset ever measured, for [`Fault::TrustsWallClock`].
    offset_once: Option<Stamp>,
}

impl Owner {
    /// As `run::notes::learn`: the notes, then the events that wait.
    pub(super) fn open(site: &mut Site<'_>) -> Self {
        let note = site.disk.notes.clock;
        let clock = note.and_then(|note| restored(&note, site));
        let clock = clock.unwrap_or_default();
        let acked = site.disk.acked().seq;
        let waiting = site.disk.journal.iter().filter(|e| e.mark.seq > acked);
        let asked = waiting
            .filter_map(Entry::record)
            .filter(|r| r.wish.is_some());
        let asked: Vec<u64> = asked.map(|record| record.n).collect();
        site.disk.notes.requested.extend(asked);
        if !site.stage.has(Fault::VerdictForgotten) {
            let verdicts = &site.disk.replica.verdicts;
            let decided: BTreeSet<u64> = verdicts.keys().map(|id| number_of(id)).collect();
            site.disk.notes.requested.retain(|n| !decided.contains(n));
        }
        Self {
            clock,
            clock_noted: None,
            requested: site.disk.notes.requested.clone(),
            notes: VecDeque::new(),
            writing: false,
            offset_once: None,
        }
    }

    pub(super) fn requested(&self) -> impl Iterator<Item = u64> {
        self.requested.iter().copied()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.notes.is_empty()
    }

    pub(super) fn begin(&mut self, site: &mut Site<'_>) {
        if !self.writing && !self.notes.is_empty() {
            self.writing = true;
            site.begin(Due::Notes, Duration::from_millis(3));
        }
    }

    /// One note becomes durable.
    pub(super) fn note_step(&mut self, site: &mut Site<'_>) {
        self.writing = false;
        let notes = &mut site.disk.notes;
        match self.notes.pop_front() {
            Some(Note::Clock(note)) => notes.clock = Some(note),
            Some(Note::Requested(n)) => {
                notes.requested.insert(n);
            }
            Some(Note::Decided(n)) => {
                notes.requested.remove(&n);
            }
            None => {}
        }
    }

    pub(super) fn handle_sample(&mut self, sample: &Sample, site: &Site<'_>) {
        self.clock.handle_sample(sample);
        let now = site.uptime();
        let stamp = self.clock.stamp(now, site.wall_ms());
        let Some(uncertainty_ms) = stamp.uncertainty_ms else {
            return;
        };
        self.offset_once.get_or_insert(stamp);
        let due = self.clock_noted.is_none_or(|(at, offset_ms)| {
            now.since(at) >= CLOCK_NOTE_EVERY
                || offset_ms.abs_diff(stamp.offset_ms) >= CLOCK_NOTE_CHANGE_MS
        });
        if due {
            self.clock_noted = Some((now, stamp.offset_ms));
            self.notes.push_back(Note::Clock(ClockNote {
                local_ms: stamp.local_ms,
                offset_ms: stamp.offset_ms,
                uncertainty_ms,
                boot: site.timepiece.boot(),
                uptime: now,
                battery_ms: site.timepiece.battery_ms(site.stage.now),
            }));
        }
    }

    pub(super) fn handle_kept(&mut self, record: &Record) {
        if record.wish.is_some() {
            self.requested.insert(record.n);
            self.notes.push_back(Note::Requested(record.n));
        }
    }

    pub(super) fn handle_verdicts(&mut self, decided: Vec<u64>) {
        for n in decided {
            if self.requested.remove(&n) {
                self.notes.push_back(Note::Decided(n));
            }
        }
    }

    fn stamp(&self, site: &Site<'_>) -> Stamp {
        let local_ms = site.wall_ms();
        match self.offset_once {
            Some(once) if site.stage.has(Fault::TrustsWallClock) => Stamp { local_ms, ..once },
            Some(_) | None => self.clock.stamp(site.uptime(), local_ms),
        }
    }
}

impl Run {
    /// A group of events on its way to the disk.
    pub(super) fn record(&mut self, kinds: &[(Class, Option<Wish>)], site: &mut Site<'_>) {
        let stamp = self.owner.stamp(site);
        let now = site.stage.now;
        let records: Vec<Record> = kinds
            .iter()
            .map(|(kind, wish)| {
                let n = site.stage.model.record(site.who, *wish, now);
                Record::new(n, *kind, stamp, *wish)
            })
            .collect();
        self.writer.append(records);
    }
}

/// As `run::notes::restored`.
fn restored(note: &ClockNote, site: &Site<'_>) -> Option<ClockEstimator> {
    let (uptime, local_ms) = (site.uptime(), site.wall_ms());
    if note.boot == site.timepiece.boot() && note.uptime.total() <= uptime.total() {
        let estimate = Estimate {
            central_ms: note.local_ms.saturating_add(note.offset_ms),
            uncertainty_ms: note.uncertainty_ms,
        };
        return Some(ClockEstimator::restored(note.uptime, estimate));
    }
    let off_ms = u64::try_from(local_ms.saturating_sub(note.local_ms)).ok()?;
    let apart_ms = local_ms.abs_diff(site.timepiece.battery_ms(site.stage.now)?);
    // Then as well: a wall clock that was set by itself is another one after the start.
    let was_apart_ms = note.local_ms.abs_diff(note.battery_ms?);
    let unnoted = site.stage.has(Fault::BatteryUnnoted);
    if apart_ms > BATTERY_APART_MS || (was_apart_ms > BATTERY_APART_MS && !unnoted) {
        return None;
    }
    let drift_ms = off_ms.saturating_mul(BATTERY_PPM) / 1_000_000;
    // What the clocks differed by then is how far the wall clock may have stepped at the start.
    let stepped_ms = if unnoted { 0 } else { was_apart_ms + apart_ms };
    let widened_ms = RESTART_MS
        .saturating_add(drift_ms)
        .saturating_add(stepped_ms);
    let estimate = Estimate {
        central_ms: local_ms.saturating_add(note.offset_ms),
        uncertainty_ms: note
            .uncertainty_ms
            .saturating_add(u32::try_from(widened_ms).unwrap_or(u32::MAX)),
    };
    Some(ClockEstimator::restored(uptime, estimate))
}
