//! The only place that asks the machine what time it is, and the only source of randomness.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic time.
    pub instant: Instant,
    /// Wall clock, in milliseconds since 1970-01-01 UTC; suspect.
    pub local_ms: i64,
}

/// Reads both clocks.
pub fn now() -> Moment {
    Moment {
        instant: monotonic(),
        local_ms: wall().timestamp_millis(),
    }
}

/// Reads the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Reads the wall clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn wall() -> DateTime<Utc> {
    Utc::now()
}

/// Returns a clock that counts from now on.
pub fn elapsed_since_start() -> impl Fn() -> Duration + Send + Sync + Clone + 'static {
    let start = monotonic();
    move || monotonic().saturating_duration_since(start)
}

/// Fills `bytes` from the system's random source. A machine without one can make no key and no name:
/// the process ends.
pub fn fill_random(bytes: &mut [u8]) {
    if let Err(error) = getrandom::fill(bytes) {
        tracing::error!(%error, "the system gives no random numbers");
        std::process::abort();
    }
}

/// Returns random bytes.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill_random(&mut bytes);
    bytes
}
