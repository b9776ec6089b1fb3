//! What the terminal knows of central's clock.
//!
//! Every exchange is a sample in the manner of NTP: central's clock at the answer's arrival lies between
//! the time at which it was sent and the time at which the request was received plus the whole round
//! trip, however unevenly the way out and the way back share it. The estimate is what the last
//! [`SAMPLES_MAX`] samples have in common, each widened by what the clocks may have drifted apart since.
//!
//! **Anchor.** Samples are anchored to [`Uptime`], which never steps and counts sleep, so that a wall
//! clock that jumps (to 1970, to 2099, by an hour) changes the offset and never the corrected time.
//!
//! **Outliers and steps.** A slow exchange is a wide sample: it takes nothing from what narrower ones
//! say. A sample that contradicts what is believed is doubted; once [`CONFIRMATIONS`] in a row agree
//! with one another against it, central's clock was set, and they are believed instead. A step too small
//! to contradict is followed when the older samples have left, at the latest after
//! [`FOLLOWED_WITHIN`] exchanges. What an earlier run had noted is a guess: the first sample that
//! contradicts it wins.
//!
//! **Lacks** the rates of both clocks: their drift is a bound, never measured.

use std::collections::VecDeque;
use std::ops::Add;
use std::time::Duration;

use crate::event::Stamp;

/// How fast the uncertainty grows: a quartz in a warm cabinet drifts by less than 100 parts in a
/// million.
pub const DRIFT_PPM: u64 = 100;
/// How far sleep may have been told wrong for each time, in milliseconds: many clocks that run
/// through it count whole seconds.
pub const SLEEP_GRAIN_MS: u64 = 2_000;
/// How far sleep may have been told wrong beyond that, in parts in a million: a cheap clock on a
/// battery, in the cold, over several naps.
pub const SLEEP_PPM: u64 = 1_000;
/// Less sleep than this is the time between two readings, not sleep.
const SLEEP_MIN: Duration = Duration::from_millis(100);
/// Most samples that the estimate rests on. More would keep a step of central's clock from being
/// followed for longer; fewer let a slow line blur the estimate sooner.
pub const SAMPLES_MAX: usize = 8;
/// Samples in a row that must agree against the estimate before it is given up.
pub const CONFIRMATIONS: usize = 3;
/// Exchanges after which the estimate has followed a step of central's clock, however small and
/// however slow the line: those that are believed push the older ones out, and of those that are
/// doubted the last decides.
pub const FOLLOWED_WITHIN: usize = SAMPLES_MAX + CONFIRMATIONS - 1;

/// A reading of a clock that never steps: the time since the machine started, sleep apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Uptime {
    /// How long it was awake.
    pub awake: Duration,
    /// How long it slept.
    pub asleep: Duration,
}

impl Uptime {
    /// The start.
    pub const ZERO: Self = Self {
        awake: Duration::ZERO,
        asleep: Duration::ZERO,
    };

    /// Returns the whole time since the start.
    pub fn total(self) -> Duration {
        self.awake.saturating_add(self.asleep)
    }

    /// Returns the time since an earlier reading, sleep included; nothing if that was later.
    pub fn since(self, earlier: Self) -> Duration {
        self.total().saturating_sub(earlier.total())
    }

    fn micros_since(self, other: Self) -> i64 {
        micros(self.total()).saturating_sub(micros(other.total()))
    }

    /// How far two clocks may have drifted apart between two readings, in microseconds.
    fn drift_us(self, other: Self) -> i64 {
        let whole_us = self.micros_since(other).unsigned_abs();
        let asleep = self.asleep.abs_diff(other.asleep);
        let mut drift_us = parts(whole_us, DRIFT_PPM);
        if asleep >= SLEEP_MIN {
            drift_us = drift_us
                .saturating_add(SLEEP_GRAIN_MS * 1_000)
                .saturating_add(parts(micros(asleep).unsigned_abs(), SLEEP_PPM));
        }
        i64::try_from(drift_us).unwrap_or(i64::MAX)
    }
}

impl Add<Duration> for Uptime {
    type Output = Self;

    /// Returns the reading after so much time awake.
    fn add(self, awake: Duration) -> Self {
        Self {
            awake: self.awake.saturating_add(awake),
            ..self
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn parts(whole: u64, ppm: u64) -> u64 {
    (whole / 1_000_000)
        .saturating_mul(ppm)
        .saturating_add((whole % 1_000_000 * ppm).div_ceil(1_000_000))
}

/// An estimate of central's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Central's time, in milliseconds since 1970-01-01 UTC.
    pub central_ms: i64,
    /// How far that may be off, in milliseconds.
    pub uncertainty_ms: u32,
}

/// One exchange, seen from the terminal.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// When the request left.
    pub sent: Uptime,
    /// When the answer had arrived.
    pub received: Uptime,
    /// Central's clock when the request had arrived, in milliseconds.
    pub central_received_ms: i64,
    /// Central's clock when the answer left, in milliseconds.
    pub central_sent_ms: i64,
}

/// Bounds of central's time, in microseconds since 1970-01-01 UTC, at a moment.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    at: Uptime,
    from_us: i64,
    until_us: i64,
}

impl Bounds {
    /// Nothing when central's clock was set while it held the request.
    fn of(sample: &Sample) -> Option<Self> {
        let round_trip_us = sample.received.micros_since(sample.sent);
        let drift_us = sample.received.drift_us(sample.sent);
        let from_us = sample.central_sent_ms.saturating_mul(1_000);
        // Central's time has a grain of a millisecond.
        let until_us = sample
            .central_received_ms
            .saturating_add(1)
            .saturating_mul(1_000)
            .saturating_add(round_trip_us)
            .saturating_add(drift_us);
        let is_possible = sample.central_received_ms <= sample.central_sent_ms
            && round_trip_us >= 0
            && from_us <= until_us;
        is_possible.then_some(Self {
            at: sample.received,
            from_us,
            until_us,
        })
    }

    fn around(at: Uptime, estimate: Estimate) -> Self {
        let uncertainty_ms = i64::from(estimate.uncertainty_ms);
        let us = |ms: i64| ms.saturating_mul(1_000);
        Self {
            at,
            from_us: us(estimate.central_ms.saturating_sub(uncertainty_ms)),
            until_us: us(estimate.central_ms.saturating_add(uncertainty_ms)),
        }
    }

    fn moved_to(self, at: Uptime) -> Self {
        let passed_us = at.micros_since(self.at);
        let drift_us = at.drift_us(self.at);
        Self {
            at,
            from_us: self
                .from_us
                .saturating_add(passed_us)
                .saturating_sub(drift_us),
            until_us: self
                .until_us
                .saturating_add(passed_us)
                .saturating_add(drift_us),
        }
    }

    fn both(self, other: Self) -> Option<Self> {
        let both = Self {
            at: self.at,
            from_us: self.from_us.max(other.from_us),
            until_us: self.until_us.min(other.until_us),
        };
        (both.from_us <= both.until_us).then_some(both)
    }

    /// Says whether all of the others and this one can be true.
    fn agrees_with<'b>(self, others: impl IntoIterator<Item = &'b Self>) -> bool {
        let mut moved = others.into_iter().map(|other| other.moved_to(self.at));
        moved.try_fold(self, Self::both).is_some()
    }

    fn estimate(self) -> Estimate {
        let half_us = self.until_us.abs_diff(self.from_us) / 2;
        Estimate {
            central_ms: self
                .from_us
                .saturating_add_unsigned(half_us)
                .div_euclid(1_000),
            // Two halves of rounding: of the middle, and to milliseconds.
            uncertainty_ms: u32::try_from(half_us / 1_000 + 2).unwrap_or(u32::MAX),
        }
    }
}

/// Returns what all of them allow at `at`: nothing when there are none or they contradict each other.
fn common<'b>(all: impl IntoIterator<Item = &'b Bounds>, at: Uptime) -> Option<Bounds> {
    let mut moved = all.into_iter().map(|bounds| bounds.moved_to(at));
    let first = moved.next()?;
    moved.try_fold(first, Bounds::both)
}

/// Keeps the best estimate.
#[derive(Debug, Clone, Default)]
pub struct ClockEstimator {
    /// What an earlier run left, until a sample says otherwise.
    guess: Option<Bounds>,
    /// Samples that agree, oldest first.
    believed: VecDeque<Bounds>,
    /// The newest samples that contradict them and agree with one another.
    doubted: Vec<Bounds>,
}

impl ClockEstimator {
    /// Starts with an estimate from an earlier run. The machine may have slept or had its clock set in
    /// between, so its uncertainty is the caller's to widen.
    pub fn restored(now: Uptime, estimate: Estimate) -> Self {
        Self {
            guess: Some(Bounds::around(now, estimate)),
            ..Self::default()
        }
    }

    /// Takes a sample in.
    pub fn handle_sample(&mut self, sample: &Sample) {
        let Some(fresh) = Bounds::of(sample) else {
            return;
        };
        if !fresh.agrees_with(self.guess.iter().chain(&self.believed)) {
            self.guess = None;
        }
        let is_doubted = fresh.agrees_with(&self.doubted);
        if fresh.agrees_with(&self.believed) {
            if self.believed.len() == SAMPLES_MAX {
                self.believed.pop_front();
            }
            self.believed.push_back(fresh);
            if self.believed.len() == SAMPLES_MAX {
                self.guess = None;
            }
            // One that fits both tells nothing about which is right.
            if !is_doubted {
                self.doubted.clear();
            }
            return;
        }
        if !is_doubted {
            self.doubted.clear();
        }
        self.doubted.push(fresh);
        if self.doubted.len() == CONFIRMATIONS {
            self.guess = None;
            self.believed = std::mem::take(&mut self.doubted).into();
        }
    }

    /// Returns when the newest sample came that is believed; none before the first of this run.
    pub fn confirmed_at(&self) -> Option<Uptime> {
        self.believed.back().map(|bounds| bounds.at)
    }

    /// Returns central's time at `now`, if it was ever seen.
    pub fn estimate(&self, now: Uptime) -> Option<Estimate> {
        common(self.guess.iter().chain(&self.believed), now).map(Bounds::estimate)
    }

    /// Stamps an event that happens at `now`, while the wall clock says `local_ms`.
    pub fn stamp(&self, now: Uptime, local_ms: i64) -> Stamp {
        match self.estimate(now) {
            None => Stamp {
                local_ms,
                offset_ms: 0,
                uncertainty_ms: None,
            },
            Some(e) => Stamp {
                local_ms,
                offset_ms: e.central_ms.saturating_sub(local_ms),
                uncertainty_ms: Some(e.uncertainty_ms),
            },
        }
    }
}

#[cfg(test)]
mod tests;
