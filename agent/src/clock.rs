//! The only place that asks the machine what time it is, and the only source of randomness.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tillbind_protocol::clock::Uptime;

use crate::platform;

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Time since the machine started, sleep included: never steps.
    pub uptime: Uptime,
    /// Wall clock, in milliseconds since 1970-01-01 UTC; suspect.
    pub local_ms: i64,
}

/// Reads both clocks.
pub fn now() -> Moment {
    Moment {
        uptime: uptime(),
        local_ms: wall().timestamp_millis(),
    }
}

/// What is known of central's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CentralClock {
    /// Central's clock less the wall clock, in milliseconds.
    pub offset_ms: i64,
    /// Whether an exchange told so lately; otherwise an earlier run had noted it, or the line is down.
    pub is_confirmed: bool,
}

/// Reads the time since the machine started. Where the system does not tell it, the time since the
/// agent started is as good, save that sleep is missed.
pub fn uptime() -> Uptime {
    static START: OnceLock<Instant> = OnceLock::new();
    platform::uptime().unwrap_or_else(|| Uptime {
        awake: monotonic().saturating_duration_since(*START.get_or_init(monotonic)),
        asleep: Duration::ZERO,
    })
}

/// Reads the monotonic clock, which stands still while the machine sleeps: for timers.
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Reads the wall clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn wall() -> DateTime<Utc> {
    Utc::now()
}

/// Returns a clock that counts from now on, sleep included.
pub fn elapsed_since_start() -> impl Fn() -> Duration + Send + Sync + Clone + 'static {
    let start = uptime();
    move || uptime().since(start)
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
