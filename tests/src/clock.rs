//! The harness's only clock: deadlines, stopwatches and today's date.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use chrono::{DateTime, NaiveDate, Utc};

/// Pause between two looks at a condition: short beside what is waited for, long beside a look.
pub const LOOK_PAUSE: Duration = Duration::from_millis(15);

/// Measures elapsed time.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts to measure.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock module of the test harness"
    )]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Returns the wall clock's time.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock module of the test harness"
)]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Returns the date in UTC, which the tests take for the business day.
pub fn today() -> NaiveDate {
    now().date_naive()
}

/// Looks until `look` finds something, and fails with `what` once `within` is over.
///
/// # Errors
/// The first error of `look`, or the deadline.
pub fn wait_for<T>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let watch = Stopwatch::start();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if watch.elapsed() > within {
            bail!("waited {within:?} in vain for {what}");
        }
        thread::sleep(LOOK_PAUSE);
    }
}
