//! How an outbox is to be.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Smallest journal segment, in bytes: smaller ones would be changed after a few events.
pub const SEGMENT_BYTES_MIN: u64 = 64 * 1024;
/// Journal segment unless set otherwise, in bytes: some eight thousand events.
pub const SEGMENT_BYTES_DEFAULT: u64 = 4 * 1024 * 1024;
/// Backlog unless set otherwise, in bytes: some two million events, months without a line.
pub const BACKLOG_BYTES_MAX_DEFAULT: u64 = 1024 * 1024 * 1024;
/// Share of the file system that the journal may take unless set otherwise, in hundredths.
pub const DISK_PERCENT_MAX_DEFAULT: u8 = 50;

/// Tells the time since some fixed moment; never goes back.
pub type Monotonic = Arc<dyn Fn() -> Duration + Send + Sync>;

/// How an outbox is to be.
#[derive(Clone)]
pub struct OutboxConfig {
    /// Its directory, made if need be; its parent must exist.
    pub dir: PathBuf,
    /// Length of a journal segment, in bytes; at least [`SEGMENT_BYTES_MIN`].
    pub segment_bytes: u64,
    /// Plain bytes that may wait for central; beyond them something is given up, or appends fail as
    /// [`AppendError::Full`](super::AppendError::Full). The disk takes about a fourth more.
    pub backlog_bytes_max: u64,
    /// Share of the file system that the journal may take, in hundredths.
    pub disk_percent_max: u8,
    /// The clock for the figures.
    pub monotonic: Monotonic,
}

impl OutboxConfig {
    /// Returns the defaults for an outbox in `dir`.
    pub fn new(dir: impl Into<PathBuf>, monotonic: Monotonic) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            backlog_bytes_max: BACKLOG_BYTES_MAX_DEFAULT,
            disk_percent_max: DISK_PERCENT_MAX_DEFAULT,
            monotonic,
        }
    }
}

impl fmt::Debug for OutboxConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxConfig")
            .field("dir", &self.dir)
            .field("segment_bytes", &self.segment_bytes)
            .field("backlog_bytes_max", &self.backlog_bytes_max)
            .field("disk_percent_max", &self.disk_percent_max)
            .finish_non_exhaustive()
    }
}
