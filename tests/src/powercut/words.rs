//! What the rig and the machine say to each other: one JSON object a line, over a virtual serial port.

use serde::{Deserialize, Serialize};

/// What runs on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Workload {
    /// The outbox alone, with small segments, drains, forks, clean stops and crashes.
    Outbox,
    /// The daemon `tillbind run`, told scans and sales through its API.
    Agent,
    /// sled 0.34 with its bare `flush()`: what the rig must catch.
    Control,
}

/// What the outbox is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// It comes up: for the first time, after a clean stop, after a crash.
    StartUp,
    /// It takes events.
    Append,
    /// Central acknowledges, and what it has goes.
    Drain,
    /// One journal segment ends and the next begins, or segments are given back.
    SegmentChange,
    /// It stops cleanly.
    Checkpoint,
    /// A new epoch begins.
    Fork,
    /// It comes up after a power cut: cuts here hit a recovery.
    Recovery,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::StartUp,
        Self::Append,
        Self::Drain,
        Self::SegmentChange,
        Self::Checkpoint,
        Self::Fork,
        Self::Recovery,
    ];
}

/// What the rig asks of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Order {
    /// Work on an empty disk until there is nothing left to do or the plug is pulled.
    Work {
        /// What to run.
        workload: Workload,
        /// Seed of what it does.
        seed: u64,
        /// How much it does.
        scenes: u32,
    },
    /// Come up on a disk after a power cut, tell what is there, and go on a little.
    Check {
        /// What ran on it.
        workload: Workload,
        /// Seed of how it goes on.
        seed: u64,
    },
    /// The rig has heard a word that had to be known outside.
    Heard,
}

/// What the machine says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Word {
    /// It is up.
    Ready,
    /// A phase begins.
    Phase(Phase),
    /// A segment changed since the last word.
    SegmentChanged,
    /// An event was acknowledged to whoever handed it in.
    Kept {
        /// Its epoch.
        epoch: u64,
        /// Its place.
        seq: u64,
        /// The chain after it, where the giver was told.
        chain: Option<String>,
        /// What tells its content.
        digest: String,
    },
    /// Central has all events up to a place, for good. Waits to be heard.
    AtCentral {
        /// Their epoch.
        epoch: u64,
        /// The last of them.
        seq: u64,
    },
    /// Events from a place on are about to move to a new epoch. Waits to be heard.
    Forking {
        /// The former epoch.
        epoch: u64,
        /// The first that moves.
        at: u64,
        /// The new epoch.
        into: u64,
    },
    /// They have moved.
    Forked {
        /// The new epoch.
        into: u64,
    },
    /// It came up.
    Opened {
        /// The epoch.
        epoch: u64,
        /// Up to where central has acknowledged.
        acked: u64,
        /// The newest event.
        appended: u64,
        /// Damages that it reports, in its own words.
        damages: Vec<String>,
    },
    /// An event is there.
    Held {
        /// Its place.
        seq: u64,
        /// The chain after it.
        chain: String,
        /// What tells its content.
        digest: String,
    },
    /// Events are reported as lost.
    Gap {
        /// The first.
        from: u64,
        /// The last.
        until: u64,
        /// Why.
        reason: String,
    },
    /// All that is there has been told.
    Listed,
    /// It contradicts itself.
    Disorder(String),
    /// It does not come up, or does not take events.
    Refused(String),
    /// The order is carried out; the disk is no longer in use, or the machine could not let go of it.
    Done {
        /// Whether the disk was let go.
        released: bool,
    },
}

impl Word {
    /// Whether the machine goes on only after [`Order::Heard`].
    pub(super) fn waits(&self) -> bool {
        matches!(self, Self::AtCentral { .. } | Self::Forking { .. })
    }

    /// Whether it bears on what must be there after a cut, or on where to cut.
    pub(super) fn counts_for_cuts(&self) -> bool {
        match self {
            Self::Phase(_)
            | Self::SegmentChanged
            | Self::Kept { .. }
            | Self::AtCentral { .. }
            | Self::Forking { .. }
            | Self::Forked { .. } => true,
            Self::Ready
            | Self::Opened { .. }
            | Self::Held { .. }
            | Self::Gap { .. }
            | Self::Listed
            | Self::Disorder(_)
            | Self::Refused(_)
            | Self::Done { .. } => false,
        }
    }
}
