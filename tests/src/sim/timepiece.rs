//! A terminal's clocks against the true time, which is central's: a quartz that runs a little fast or
//! slow, stands still while the machine is suspended, and a wall clock that is set to anything.

use std::time::{Duration, Instant};

use tillbind_protocol::clock::Uptime;

/// The true time when a run begins, in milliseconds since 1970-01-01 UTC.
const BEGIN_MS: i64 = 1_790_000_000_000;

/// Returns the true time, in milliseconds since 1970-01-01 UTC.
pub(super) fn true_ms(at: Duration) -> i64 {
    BEGIN_MS.saturating_add(i64::try_from(at.as_millis()).unwrap_or(i64::MAX))
}

/// Clocks of one machine.
#[derive(Debug, Clone)]
pub(super) struct Timepiece {
    origin: Instant,
    /// How much too fast the quartz is, in parts in a million.
    fast_ppm: i64,
    /// How long the machine was suspended: the monotonic clock does not count it, the wall clock does.
    suspended: Duration,
    /// The wall clock less what it should show by the quartz, in milliseconds.
    wall_off_ms: i64,
    /// The clock on the battery less the true time, where there is one, in milliseconds.
    battery_off_ms: Option<i64>,
    /// The machine's run, and where quartz and sleep stood when it began.
    boot: u64,
    booted: (Duration, Duration),
}

impl Timepiece {
    pub(super) fn new(
        origin: Instant,
        fast_ppm: i64,
        wall_off_ms: i64,
        battery_off_ms: Option<i64>,
    ) -> Self {
        Self {
            origin,
            fast_ppm,
            suspended: Duration::ZERO,
            wall_off_ms,
            battery_off_ms,
            boot: 0,
            booted: (Duration::ZERO, Duration::ZERO),
        }
    }

    fn quartz(&self, at: Duration) -> Duration {
        let counted = at.saturating_sub(self.suspended);
        let nanos = i128::try_from(counted.as_nanos()).unwrap_or(i128::MAX);
        let shown = nanos + nanos * i128::from(self.fast_ppm) / 1_000_000;
        Duration::from_nanos(u64::try_from(shown).unwrap_or(0))
    }

    /// Returns the monotonic clock.
    pub(super) fn monotonic(&self, at: Duration) -> Instant {
        self.origin + self.quartz(at)
    }

    /// Returns the time since the machine started.
    pub(super) fn uptime(&self, at: Duration) -> Uptime {
        Uptime {
            awake: self.quartz(at).saturating_sub(self.booted.0),
            asleep: self.suspended.saturating_sub(self.booted.1),
        }
    }

    /// Names the machine's run.
    pub(super) fn boot(&self) -> u64 {
        self.boot
    }

    /// Returns the clock on the battery, in milliseconds since 1970-01-01 UTC.
    pub(super) fn battery_ms(&self, at: Duration) -> Option<i64> {
        Some(true_ms(at).saturating_add(self.battery_off_ms?))
    }

    /// The machine starts: the wall clock comes from the battery, or from nowhere.
    pub(super) fn handle_start(&mut self, at: Duration, boot: u64) {
        self.boot = boot;
        self.booted = (self.quartz(at), self.suspended);
        self.set_wall(at, self.battery_ms(at).unwrap_or(0));
    }

    /// Returns the wall clock, in milliseconds since 1970-01-01 UTC.
    pub(super) fn wall_ms(&self, at: Duration) -> i64 {
        true_ms(self.quartz(at) + self.suspended).saturating_add(self.wall_off_ms)
    }

    /// Returns when the monotonic clock has come to `wanted`.
    pub(super) fn when(&self, wanted: Instant) -> Duration {
        let shown = wanted.saturating_duration_since(self.origin);
        let nanos = i128::try_from(shown.as_nanos()).unwrap_or(i128::MAX);
        let counted = nanos * 1_000_000 / (1_000_000 + i128::from(self.fast_ppm));
        let mut at = Duration::from_nanos(u64::try_from(counted).unwrap_or(0)) + self.suspended;
        while self.monotonic(at) < wanted {
            at += Duration::from_nanos(1);
        }
        at
    }

    /// Sets the wall clock.
    pub(super) fn set_wall(&mut self, at: Duration, wall_ms: i64) {
        self.wall_off_ms += wall_ms - self.wall_ms(at);
    }

    /// Takes note that the machine slept.
    pub(super) fn handle_suspended(&mut self, slept: Duration) {
        self.suspended += slept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any origin of time will do")]
    fn a_wanted_instant_is_found_however_the_quartz_runs_and_sleeps() {
        let origin = Instant::now();
        for fast_ppm in [-90, 0, 90] {
            let mut clock = Timepiece::new(origin, fast_ppm, 5, None);
            clock.handle_suspended(Duration::from_secs(7));
            let wanted = origin + Duration::from_millis(123_456);
            let at = clock.when(wanted);
            assert!(clock.monotonic(at) >= wanted);
            assert!(clock.monotonic(at - Duration::from_nanos(2)) < wanted);
            clock.set_wall(at, 60_000);
            assert_eq!(clock.wall_ms(at), 60_000);
        }
    }
}
