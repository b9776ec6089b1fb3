//! What the terminal knows of central's clock.
//!
//! Every exchange is a sample in the manner of NTP: with the terminal's monotonic time at sending
//! and receiving and central's time at receiving and sending, central's clock is known to within half
//! of the round trip. The estimate is anchored to the monotonic clock, so that a wall clock that
//! jumps (to 1970, to 2038, by an hour) changes the offset and never the corrected time.

use std::time::Instant;

use crate::event::Stamp;

/// How fast the uncertainty grows: a quartz in a warm cabinet drifts by less than 100 parts in a
/// million.
pub const DRIFT_PPM: u64 = 100;

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
    pub sent: Instant,
    /// When the answer had arrived.
    pub received: Instant,
    /// Central's clock when the request had arrived, in milliseconds.
    pub central_received_ms: i64,
    /// Central's clock when the answer left, in milliseconds.
    pub central_sent_ms: i64,
}

#[derive(Debug, Clone, Copy)]
struct Anchor {
    at: Instant,
    central_ms: i64,
    uncertainty_ms: u32,
}

/// Keeps the best estimate.
#[derive(Debug, Clone, Default)]
pub struct ClockEstimator {
    anchor: Option<Anchor>,
}

impl ClockEstimator {
    /// Starts with an offset that an earlier run had stored. The machine may have slept or had its
    /// clock set in between, so `uncertainty_ms` is the caller's to widen.
    pub fn restored(now: Instant, local_ms: i64, offset_ms: i64, uncertainty_ms: u32) -> Self {
        let central_ms = local_ms.saturating_add(offset_ms);
        Self {
            anchor: Some(Anchor {
                at: now,
                central_ms,
                uncertainty_ms,
            }),
        }
    }

    /// Takes a sample in. It replaces the estimate when it is the more certain one, or when both
    /// cannot be true and the newer must be believed.
    pub fn handle_sample(&mut self, sample: &Sample) {
        let held = sample
            .central_sent_ms
            .saturating_sub(sample.central_received_ms);
        let round_trip = sample.received.saturating_duration_since(sample.sent);
        let round_trip_ms = i64::try_from(round_trip.as_millis()).unwrap_or(i64::MAX);
        if held < 0 || held > round_trip_ms.saturating_add(1) {
            // Central's clock was set while it held the request: this sample says nothing.
            return;
        }
        let on_the_way_ms = (round_trip_ms - held).max(0);
        let fresh = Anchor {
            at: sample.received,
            central_ms: sample.central_sent_ms.saturating_add(on_the_way_ms / 2),
            // Central's time has a grain of a millisecond.
            uncertainty_ms: u32::try_from(on_the_way_ms / 2 + 1).unwrap_or(u32::MAX),
        };
        let replace = match self.estimate(sample.received) {
            None => true,
            Some(old) => {
                let apart = old.central_ms.abs_diff(fresh.central_ms);
                fresh.uncertainty_ms <= old.uncertainty_ms
                    || apart > u64::from(old.uncertainty_ms) + u64::from(fresh.uncertainty_ms)
            }
        };
        if replace {
            self.anchor = Some(fresh);
        }
    }

    /// Returns central's time at `now`, if it was ever seen.
    pub fn estimate(&self, now: Instant) -> Option<Estimate> {
        let anchor = self.anchor?;
        let age = now.saturating_duration_since(anchor.at);
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let drift_ms =
            u32::try_from(age_ms.saturating_mul(DRIFT_PPM) / 1_000_000).unwrap_or(u32::MAX);
        Some(Estimate {
            central_ms: anchor.central_ms.saturating_add_unsigned(age_ms),
            uncertainty_ms: anchor.uncertainty_ms.saturating_add(drift_ms),
        })
    }

    /// Stamps an event that happens at `now`, while the wall clock says `local_ms`.
    pub fn stamp(&self, now: Instant, local_ms: i64) -> Stamp {
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
mod tests {
    use std::time::Duration;

    use super::*;

    fn sample(start: Instant, sent: u64, received: u64, central: (i64, i64)) -> Sample {
        Sample {
            sent: start + Duration::from_millis(sent),
            received: start + Duration::from_millis(received),
            central_received_ms: central.0,
            central_sent_ms: central.1,
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any origin of time will do")]
    fn a_long_poll_is_as_good_a_sample_as_a_short_exchange() {
        let start = Instant::now();
        let mut clock = ClockEstimator::default();
        // 20 ms each way, held for 25 s.
        clock.handle_sample(&sample(start, 0, 25_040, (1_000_020, 1_025_020)));
        let e = clock
            .estimate(start + Duration::from_millis(25_040))
            .unwrap();
        assert_eq!(
            e,
            Estimate {
                central_ms: 1_025_040,
                uncertainty_ms: 21
            }
        );
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any origin of time will do")]
    fn a_wall_clock_that_jumps_moves_the_offset_and_not_the_corrected_time() {
        let start = Instant::now();
        let mut clock = ClockEstimator::default();
        clock.handle_sample(&sample(start, 0, 10, (5_000_005, 5_000_005)));
        let later = start + Duration::from_millis(1_010);
        let before = clock.stamp(later, 4_990_000);
        let after = clock.stamp(later, 0);
        assert_eq!(before.corrected_ms(), after.corrected_ms());
        assert_eq!(after.offset_ms, 5_001_010);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any origin of time will do")]
    fn uncertainty_grows_until_a_better_sample_comes_and_a_contradiction_wins() {
        let start = Instant::now();
        let mut clock = ClockEstimator::default();
        clock.handle_sample(&sample(start, 0, 10, (1_000, 1_000)));
        let day = 86_400_000;
        let aged = clock.estimate(start + Duration::from_millis(day)).unwrap();
        assert!((8_600..8_700).contains(&aged.uncertainty_ms), "{aged:?}");
        // A worse sample that agrees is not taken.
        clock.handle_sample(&sample(start, 20, 4_020, (3_010, 3_010)));
        assert!(
            clock
                .estimate(start + Duration::from_millis(4_020))
                .unwrap()
                .uncertainty_ms
                < 100
        );
        // A worse sample that contradicts is: central's clock was set.
        clock.handle_sample(&sample(start, 5_000, 7_000, (900_000, 900_000)));
        let set = clock
            .estimate(start + Duration::from_millis(7_000))
            .unwrap();
        assert_eq!(set.central_ms, 901_000);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any origin of time will do")]
    fn without_a_sample_nothing_is_claimed() {
        let stamp = ClockEstimator::default().stamp(Instant::now(), 42);
        assert_eq!(
            stamp,
            Stamp {
                local_ms: 42,
                offset_ms: 0,
                uncertainty_ms: None
            }
        );
    }
}
