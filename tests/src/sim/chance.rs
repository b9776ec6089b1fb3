//! All chance of a run: one seed, drawn from in one order.

use std::time::Duration;

use fastrand::Rng;

/// One step in so many takes up to [`SLOW_MS`] longer: a disk that collects its garbage, a database that
/// writes a checkpoint.
const SLOW_ONE_IN: u64 = 200;
const SLOW_MS: u64 = 25_000;

/// The source of chance.
#[derive(Debug)]
pub(super) struct Chance {
    rng: Rng,
    calm: bool,
}

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            calm: false,
        }
    }

    /// From now on nothing goes wrong any more.
    pub(super) fn calm_down(&mut self) {
        self.calm = true;
    }

    /// Whether a trouble of so many in a thousand happens.
    pub(super) fn happens(&mut self, per_mille: u32) -> bool {
        let drawn = self.rng.u32(..1_000);
        !self.calm && drawn < per_mille
    }

    /// A number below `end`, which is not zero.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.rng.u64(..end)
    }

    /// A place in a list that is not empty.
    pub(super) fn index(&mut self, len: usize) -> usize {
        self.rng.usize(..len)
    }

    /// Any number.
    pub(super) fn entropy(&mut self) -> u64 {
        self.rng.u64(..)
    }

    /// How long a step takes that typically takes so long: up to twice as much, and now and then far
    /// more.
    pub(super) fn lasts(&mut self, typical: Duration) -> Duration {
        let typical_us = u64::try_from(typical.as_micros()).unwrap_or(u64::MAX / 4);
        let drawn = Duration::from_micros(self.below(typical_us * 2 + 1));
        let slow = self.below(SLOW_ONE_IN) == 0 && !self.calm;
        if slow {
            drawn + Duration::from_millis(self.below(SLOW_MS))
        } else {
            drawn
        }
    }
}
