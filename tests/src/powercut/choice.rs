//! Where in a recording to cut.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::tape::Recording;
use super::words::{Phase, Word};

/// The stretches of a recording, by what was going on; both ends are numbers of entries.
#[derive(Debug, Clone, Default)]
pub(super) struct Stretches(BTreeMap<Phase, Vec<RangeInclusive<usize>>>);

impl Stretches {
    /// Reads them off the words of a workload.
    pub(super) fn of_work(recording: &Recording) -> Self {
        let mut stretches = Self::default();
        let end = recording.entries.len();
        let mut present: Option<(Phase, usize)> = None;
        for (index, heard) in recording.words.iter().enumerate() {
            if heard.word == Word::SegmentChanged {
                let earlier = recording.words[..index].iter().rev();
                let before = earlier.map(|h| h.at).find(|at| *at < heard.at);
                stretches.add(Phase::SegmentChange, before.unwrap_or(0), heard.at);
            } else if let Word::Phase(phase) = heard.word
                && let Some((former, from)) = present.replace((phase, heard.at))
            {
                stretches.add(former, from, heard.at);
            }
        }
        if let Some((last, from)) = present {
            stretches.add(last, from, end);
        }
        stretches
    }

    /// Takes all that came before the first event was taken as one recovery.
    pub(super) fn of_check(recording: &Recording) -> Self {
        let mut stretches = Self::default();
        let mut words = recording.words.iter();
        let taken = words.find(|heard| matches!(heard.word, Word::Kept { .. }));
        let end = taken.map_or(recording.entries.len(), |heard| heard.at);
        if end > 0 {
            stretches.add(Phase::Recovery, 0, end);
        }
        stretches
    }

    fn add(&mut self, phase: Phase, from: usize, to: usize) {
        self.0.entry(phase).or_default().push(from..=to);
    }

    /// Returns the phases that occur.
    pub(super) fn phases(&self) -> Vec<Phase> {
        self.0.keys().copied().collect()
    }

    /// Draws a place within a phase, each with the same chance.
    pub(super) fn draw(&self, phase: Phase, rng: &mut fastrand::Rng) -> Option<usize> {
        let ranges = self.0.get(&phase)?;
        let length = |range: &RangeInclusive<usize>| range.end() - range.start() + 1;
        let mut place = rng.usize(0..ranges.iter().map(length).sum());
        for range in ranges {
            if place < length(range) {
                return Some(range.start() + place);
            }
            place -= length(range);
        }
        None
    }
}
