//! What machine and shell say to one another.

use std::time::Duration;

use crate::chain::Mark;
use crate::ids::Seq;

/// What the shell is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Read events after this place, at most so many and so much, and send them.
    SendBatch {
        /// The place before the first event.
        after: Seq,
        /// Most events.
        events_max: usize,
        /// Most bytes of records, but always one record.
        bytes_max: usize,
        /// Binding requests up to here were shown before.
        express_after: Seq,
        /// Most copies of binding requests that lie behind the batch and behind `express_after`.
        express_max: usize,
    },
    /// Send a request without events, but with the gap that is to be told if there is one, that central
    /// may hold so long.
    SendPoll {
        /// How long central may hold it.
        wait: Duration,
    },
    /// Drop the poll under way: there is something to send.
    AbortPoll,
}

/// What a request carries, as the shell built it after [`Action::SendBatch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Bytes of its records and holes, before compression.
    pub bytes: usize,
    /// The last of its express copies.
    pub express_to: Option<Seq>,
}

/// Why [`super::Uplink::poll_timeout`] wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The first event has waited for company long enough.
    Linger,
    /// A failure's delay is over.
    Backoff,
    /// Central's `slow down for` is over.
    SlowDown,
    /// A refused terminal may ask again.
    Refused,
    /// The request under way takes too long: drop it and call [`super::Uplink::handle_timeout`].
    AnswerTimeout,
}

/// What an answer asks of the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Central has everything up to here: the outbox may forget it.
    Acknowledged(Mark),
    /// Move everything from this place on into the epoch that [`crate::chain::forked_epoch`] names,
    /// then call [`super::Uplink::handle_forked`]. Everything before it is acknowledged.
    Forked {
        /// First place that differs.
        at: Seq,
    },
    /// Central wants events from `from` on, which the outbox no longer holds: the next request, batch
    /// or poll, carries a gap notice for `from ..= to`.
    Gap {
        /// First missing place.
        from: Seq,
        /// Last missing place.
        to: Seq,
    },
}

/// State of the line, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// No exchange has succeeded yet in this run.
    Connecting,
    /// The last exchange succeeded.
    Online,
    /// The last attempts failed, so many in a row.
    Offline {
        /// Failures in a row.
        failures: u32,
    },
    /// Central refuses this identity.
    Refused,
}
