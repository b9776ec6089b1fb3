//! What opening an outbox, or moving it to another epoch, found and did.

use std::time::Duration;

use tillbind_protocol::ids::Seq;

/// Events that are lost, for headquarters to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The first lost event.
    pub from: Seq,
    /// The last one. Where the end of the journal is lost, the last that can have been there.
    pub to: Seq,
    /// What happened to them.
    pub reason: String,
}

/// What opening an outbox found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Events that wait for central, lost ones in a gap included.
    pub events: u64,
    /// Bytes cut off at the journal's end: a write that was not acknowledged, or, after a damage to the
    /// last write of all, one that was; nothing on the disk can tell.
    pub torn_bytes: u64,
    /// Events that are lost.
    pub damages: Vec<Damage>,
    /// Whether the buffer was made anew.
    pub rebuilt: bool,
    /// How long it took.
    pub took: Duration,
}

/// What moved to a new epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forked {
    /// How many events moved.
    pub moved: u64,
    /// Events that should have moved, but were acknowledged and are no longer kept: first and last
    /// place in the former epoch. They moved as a gap.
    pub gone: Option<(Seq, Seq)>,
    /// Events that should have moved, but are lost; places in the former epoch. They moved as gaps.
    pub damages: Vec<Damage>,
}
