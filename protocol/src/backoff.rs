//! Exponential back-off with full jitter: after n failures in a row the next attempt comes at a
//! random time within `min(cap, base · 2ⁿ)`, so that tills that lost the line together do not come
//! back together.

use std::time::Duration;

/// Bounds of a back-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffConfig {
    /// Upper end of the first delay.
    pub base: Duration,
    /// Upper end of every delay: also the longest that a till needs to notice that central is back.
    pub cap: Duration,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
        }
    }
}

/// Counts failures and draws delays.
#[derive(Debug, Clone)]
pub struct Backoff {
    config: BackoffConfig,
    failures: u32,
}

impl Backoff {
    /// Starts with no failure.
    pub fn new(config: BackoffConfig) -> Self {
        Self {
            config,
            failures: 0,
        }
    }

    /// Returns how many attempts failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Counts a failure and returns how long to wait. `entropy` is any random number.
    pub fn handle_failure(&mut self, entropy: u64) -> Duration {
        let ceiling = self
            .config
            .base
            .saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        jitter(ceiling.min(self.config.cap), entropy)
    }

    /// Forgets the failures.
    pub fn handle_success(&mut self) {
        self.failures = 0;
    }
}

/// Returns a duration between zero and `ceiling`, chosen by `entropy`.
pub fn jitter(ceiling: Duration, entropy: u64) -> Duration {
    let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX - 1);
    Duration::from_nanos(entropy % (nanos + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_the_cap_and_a_success_resets_it() {
        let config = BackoffConfig {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(5),
        };
        let mut backoff = Backoff::new(config);
        let most = |b: &mut Backoff| {
            let ceiling = config
                .base
                .saturating_mul(1 << b.failures().min(8))
                .min(config.cap);
            b.handle_failure(u64::try_from(ceiling.as_nanos()).unwrap())
        };
        let delays: Vec<u64> = (0..5).map(|_| most(&mut backoff).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 5, 5]);
        backoff.handle_success();
        assert_eq!(backoff.handle_failure(0), Duration::ZERO);
        assert_eq!(backoff.failures(), 1);
    }

    #[test]
    fn a_year_of_failures_overflows_nothing() {
        let mut backoff = Backoff::new(BackoffConfig::default());
        for n in 0..10_000u64 {
            assert!(
                backoff.handle_failure(n.wrapping_mul(u64::MAX / 7)) <= Duration::from_secs(30)
            );
        }
    }
}
