//! The uplink's settings.

use std::time::Duration;

use crate::backoff::BackoffConfig;

/// Bounds of the uplink.
#[derive(Debug, Clone, Copy)]
pub struct UplinkConfig {
    /// Most events in one batch; at most [`crate::exchange::BATCH_EVENTS_MAX`].
    pub events_max: usize,
    /// Most bytes of records in one batch; one record always goes.
    pub bytes_max: usize,
    /// How long the first event waits for company.
    pub linger: Duration,
    /// How long a poll may be held by central.
    pub poll_wait: Duration,
    /// How long an answer may take, on top of the poll's wait, before the attempt has failed.
    pub answer_timeout: Duration,
    /// How long a refused terminal waits before it asks again.
    pub refused_retry: Duration,
    /// Back-off after failures.
    pub backoff: BackoffConfig,
}

impl Default for UplinkConfig {
    fn default() -> Self {
        Self {
            events_max: 1_000,
            bytes_max: 1024 * 1024,
            linger: Duration::from_millis(20),
            poll_wait: Duration::from_secs(25),
            answer_timeout: Duration::from_secs(20),
            refused_retry: Duration::from_secs(60),
            backoff: BackoffConfig::default(),
        }
    }
}
