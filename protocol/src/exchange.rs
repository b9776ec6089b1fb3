//! The one exchange that carries both directions: `POST /sync/v1/exchange`.
//!
//! Bodies are JSON under zstd. The terminal tells its epoch, what it believes acknowledged, its
//! newest event, a batch, and the replica's cursor; central answers with its watermark, a verdict,
//! the replica's changes and its clock.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::chain::{ChainHash, Mark};
use crate::ids::{Epoch, Seq};
use crate::member_code::KeySet;
use crate::replica::{Cursor, Page};

/// The version that this code writes.
///
/// Policy: fields are only ever added, each with a default, within a version; a change of meaning
/// raises it. Central reads [`MIN`] to [`CURRENT`] and answers in the version that it was asked in; a
/// terminal that is too old or too new gets HTTP 426 with both bounds in the text.
pub const CURRENT: u16 = 1;
/// The oldest version that this code reads.
pub const MIN: u16 = 1;

/// Path of the exchange on central's sync listener.
pub const PATH: &str = "/sync/v1/exchange";
/// Most events in one batch. Central refuses a longer one with HTTP 413.
pub const BATCH_EVENTS_MAX: usize = 2_000;
/// Most bytes of one request after decompression: room for one batch of average events or for a few
/// of the longest. Central refuses more with HTTP 413, so that a hostile frame cannot fill memory.
pub const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most bytes of one answer after decompression; a terminal refuses more.
pub const RESPONSE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest wait that a terminal may ask for in a long poll, in milliseconds. Central caps it.
pub const WAIT_MS_MAX: u32 = 60_000;

/// Terminal to central.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExchangeRequest {
    /// [`CURRENT`] of the writer.
    pub v: u16,
    /// Life of the outbox.
    pub epoch: Epoch,
    /// What the terminal believes acknowledged.
    pub acked: Mark,
    /// The newest event that is durable on the terminal.
    pub head: Mark,
    /// Events, in order; absent in a poll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// What the terminal can no longer send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<GapNotice>,
    /// What of the replica is durable on the terminal.
    #[serde(default)]
    pub cursor: Cursor,
    /// Version of the key set that the terminal holds; 0 for none.
    #[serde(default)]
    pub keys: u32,
    /// How long central may hold the request while it has nothing to tell, in milliseconds.
    #[serde(default)]
    pub wait_ms: u32,
    /// The terminal's wall clock when it sent this, in milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// How the terminal is; sent at the first exchange of a run and whenever it changed much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hello: Option<Hello>,
}

/// Events of one epoch in order, without a hole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Batch {
    /// Place of the first event.
    pub first: Seq,
    /// The chain before the first event.
    pub before: ChainHash,
    /// The records, byte for byte as they were journaled.
    pub events: Vec<Box<RawValue>>,
}

impl Batch {
    /// Returns the place of the last event; the place before `first` for an empty batch.
    pub fn last(&self) -> Seq {
        Seq(self
            .first
            .before()
            .0
            .saturating_add(self.events.len() as u64))
    }
}

/// Events that the terminal can no longer send, so that the watermark may pass them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapNotice {
    /// First missing place.
    pub from: Seq,
    /// Last missing place.
    pub to: Seq,
    /// The chain after `to`, as far as the terminal kept it.
    pub after: ChainHash,
    /// Why they are gone, for people at headquarters.
    pub reason: String,
}

/// How a terminal is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Fingerprint of the machine: central refuses an identity that turns up on other hardware.
    pub machine: String,
    /// Version of the agent.
    pub version: String,
    /// Events waiting.
    pub outbox_events: u64,
    /// Estimate of central's clock less the terminal's, in milliseconds, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_offset_ms: Option<i64>,
    /// The epoch that this one follows, and the first place that moved over, after a fork.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<Fork>,
}

/// Where an epoch left another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// The epoch that was left.
    pub epoch: Epoch,
    /// The first event that differed.
    pub at: Seq,
}

/// Central to terminal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExchangeResponse {
    /// The version of the request.
    pub v: u16,
    /// How the request was taken.
    pub verdict: Verdict,
    /// Up to where central has everything of this epoch and agrees with the terminal on it.
    pub acked: Mark,
    /// Changes of the replica, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Page>,
    /// A newer key set for member codes, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeySet>,
    /// Central's clock when the request had arrived, in milliseconds since 1970-01-01 UTC.
    pub received_ms: i64,
    /// Central's clock when the answer left, in milliseconds since 1970-01-01 UTC.
    pub sent_ms: i64,
}

/// How central took a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All of it.
    Ok,
    /// Send from this place on: central has everything before it and not the rest.
    Rewind {
        /// First place that central wants.
        to: Seq,
    },
    /// Two histories share this epoch: start a new one with everything from this place on.
    Fork {
        /// First place that differs from what central has.
        at: Seq,
    },
    /// Too much at once: nothing was taken, come back later.
    SlowDown {
        /// How long to wait, in milliseconds.
        for_ms: u32,
    },
    /// This identity may not sync.
    Refused {
        /// Why, and what to do, for the technician.
        reason: String,
    },
}
