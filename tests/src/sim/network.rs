//! Lines between terminals and central: cut, slow, or well.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// State of the lines.
#[derive(Debug, Default)]
pub(super) struct Network {
    cut: BTreeSet<usize>,
    /// Bytes a second of a line that is slow.
    slow: BTreeMap<usize, u64>,
}

impl Network {
    pub(super) fn is_cut(&self, who: usize) -> bool {
        self.cut.contains(&who)
    }

    /// Cuts a line, or mends it.
    pub(super) fn turn(&mut self, who: usize) {
        if !self.cut.remove(&who) {
            self.cut.insert(who);
        }
    }

    /// Makes a line slow; with none it is fast again.
    pub(super) fn throttle(&mut self, who: usize, bytes_per_s: Option<u64>) {
        match bytes_per_s {
            Some(rate) => self.slow.insert(who, rate),
            None => self.slow.remove(&who),
        };
    }

    pub(super) fn heal(&mut self) {
        self.cut.clear();
        self.slow.clear();
    }

    /// How long so many bytes take.
    pub(super) fn transfer(&self, who: usize, bytes: u64) -> Duration {
        match self.slow.get(&who) {
            Some(rate) => Duration::from_millis(bytes * 1_000 / (*rate).max(1)),
            None => Duration::ZERO,
        }
    }
}
