//! What the outbox refuses, and why, in words for people.

use std::io;
use std::path::PathBuf;

use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::{Epoch, Seq};

use super::journal::CommitError;
use super::reading::ReadError;
use super::{LockError, SEGMENT_BYTES_MIN};

/// Why an outbox cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The setting is below the minimum.
    #[error(
        "a journal segment of {segment_bytes} bytes is too small: set at least {SEGMENT_BYTES_MIN}"
    )]
    SegmentTooSmall {
        /// The setting.
        segment_bytes: u64,
    },
    /// The directory cannot be had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The disk refused.
    #[error("cannot {doing} the outbox {dir}")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// The outbox's directory.
        dir: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// Why an event was not kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The record or its group is too long.
    #[error("an event or group of {bytes} bytes is too large: the limit is {bytes_max}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit it broke.
        bytes_max: usize,
    },
    /// More waits for the disk than the queue holds.
    #[error("the disk is too slow for what comes in: try again shortly")]
    Busy,
    /// More waits for central than the setting allows.
    #[error(
        "the outbox is full ({backlog_bytes_max} bytes wait for central): restore the line to central or raise the limit"
    )]
    Full {
        /// The setting.
        backlog_bytes_max: u64,
    },
    /// The disk refused.
    #[error(transparent)]
    NotKept(CommitError),
    /// The outbox is closed.
    #[error("the outbox is closed")]
    Stopped,
}

impl AppendError {
    /// Tells whether the same append can never succeed.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::TooLarge { .. } | Self::Stopped => true,
            Self::Busy | Self::Full { .. } | Self::NotKept(_) => false,
        }
    }
}

/// Why an acknowledgement is refused.
#[derive(Debug, thiserror::Error)]
pub enum AckError {
    /// It covers events that were never appended.
    #[error("event {} is acknowledged, but the last one here is {}", mark.seq, appended.seq)]
    Beyond {
        /// What was acknowledged.
        mark: Mark,
        /// The newest durable event.
        appended: Mark,
    },
    /// The chain differs: central speaks of another history.
    #[error("event {} is acknowledged with another chain than the one here", mark.seq)]
    OtherHistory {
        /// What was acknowledged.
        mark: Mark,
        /// The mark here, if the place is no gap.
        own: Option<Mark>,
    },
    /// The own chain cannot be read.
    #[error("the acknowledged event cannot be looked up")]
    Read(#[source] ReadError),
    /// The outbox is closed.
    #[error("the outbox is closed")]
    Stopped,
}

/// Why no new epoch could begin. The former one stands as it was.
#[derive(Debug, thiserror::Error)]
pub enum ForkError {
    /// It would begin behind the last event.
    #[error("cannot fork at event {at}: the last one here is {}", appended.seq)]
    Beyond {
        /// Where to fork.
        at: Seq,
        /// The newest durable event.
        appended: Mark,
    },
    /// The new epoch is the present one.
    #[error("cannot fork into {epoch}: it is the present epoch")]
    SameEpoch {
        /// The epoch.
        epoch: Epoch,
    },
    /// The events cannot be read.
    #[error("the events to move cannot be read")]
    Read(#[source] ReadError),
    /// The new journal cannot be written.
    #[error(transparent)]
    NotKept(CommitError),
    /// The disk refused.
    #[error("cannot make the new epoch's journal")]
    Disk(#[source] io::Error),
    /// The outbox is closed.
    #[error("the outbox is closed")]
    Stopped,
}

/// Why a clean stop failed. All events are durable; the next start takes longer.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// The disk refused.
    #[error("cannot {doing} the outbox")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The buffer could not be made durable.
    #[error("cannot make the outbox's buffer durable")]
    Buffer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It was closed before.
    #[error("the outbox is closed")]
    Stopped,
}
