//! The one place that asks the machine for the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Returns central's time, in milliseconds since 1970-01-01 UTC.
#[expect(
    clippy::disallowed_methods,
    reason = "the shell's clock: everything else takes the time as an argument"
)]
pub fn now_ms() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(_) => 0,
    }
}

/// Returns a time that never jumps, to measure with.
#[expect(
    clippy::disallowed_methods,
    reason = "the shell's clock: everything else takes the time as an argument"
)]
pub fn monotonic() -> Instant {
    Instant::now()
}
