//! The one exchange that carries both directions: `POST /sync/v1/exchange`.
//!
//! Bodies are JSON under zstd. The terminal tells its epoch, what it believes acknowledged, its
//! newest event, a batch, and the replica's cursor; central answers with its watermark, a verdict,
//! the replica's changes and its clock.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::chain::{ChainHash, Mark};
use crate::dictionary::Dictionary;
use crate::ids::{Epoch, Seq};
use crate::member_code::KeySet;
use crate::replica::{Cursor, Page};

/// The version that this code writes.
///
/// Policy: fields are only ever added, each with a default, within a version; a change of meaning
/// raises it. Central reads [`MIN`] to [`CURRENT`] and answers in the version that it was asked in,
/// with that version's fields and no others; a terminal that is too old or too new gets HTTP 426 with
/// both bounds ([`Versions`]). A terminal that is newer than its central goes on in central's version
/// and tries its own again later.
///
/// Version 2 added [`Batch::holes`], [`ExchangeRequest::express`], [`ExchangeRequest::page_bytes`], the
/// dictionary in both directions and the state of the disk in [`Hello`].
pub const CURRENT: u16 = 2;
/// The oldest version that this code reads.
pub const MIN: u16 = 1;

/// Path of the exchange on central's sync listener.
pub const PATH: &str = "/sync/v1/exchange";
/// Most events in one batch. Central refuses a longer one with HTTP 413.
pub const BATCH_EVENTS_MAX: usize = 2_000;
/// Most holes in one batch. Central refuses more with HTTP 413.
pub const BATCH_HOLES_MAX: usize = 2_000;
/// Most copies in [`ExchangeRequest::express`]. Central refuses more with HTTP 413: the lane is for
/// what a shopper waits for, and must not become a second queue.
pub const EXPRESS_MAX: usize = 32;
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
    /// Copies of waiting binding requests that lie behind the batch, so that their verdicts need not
    /// wait behind a backlog. The events themselves follow in their order and then change nothing.
    /// Since version 2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub express: Vec<Express>,
    /// What of the replica is durable on the terminal.
    #[serde(default)]
    pub cursor: Cursor,
    /// Version of the key set that the terminal holds; 0 for none.
    #[serde(default)]
    pub keys: u32,
    /// The compression dictionary that the terminal holds; 0 for none. Since version 2.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dictionary: u32,
    /// Most JSON of the answer's page, in bytes, for a slow line; one change always comes. 0 leaves it
    /// to central. Since version 2.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub page_bytes: u32,
    /// How long central may hold the request while it has nothing to tell, in milliseconds.
    #[serde(default)]
    pub wait_ms: u32,
    /// The terminal's wall clock when it sent this, in milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// How the terminal is; sent at the first exchange of a run and whenever it changed much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hello: Option<Hello>,
}

impl ExchangeRequest {
    /// Whether it brings anything that central is to take in.
    pub fn sends(&self) -> bool {
        let batch = self.batch.as_ref().is_some_and(|batch| !batch.is_empty());
        batch || self.gap.is_some() || !self.express.is_empty()
    }

    /// Whether it tells that its epoch left another one, which central is to keep also where nothing comes
    /// along: a disk from before the fork must be led to where its events are.
    pub fn tells_of_fork(&self) -> bool {
        let hello = self.hello.as_ref();
        hello.is_some_and(|hello| hello.forked_from.is_some())
    }

    /// Returns the highest place that it speaks of.
    pub fn highest_place(&self) -> Seq {
        let batch = self.batch.as_ref().map(Batch::last);
        let gap = self.gap.as_ref().map(|gap| gap.to.max(gap.from));
        let express = self.express.iter().map(|one| one.seq);
        let marks = [self.acked.seq, self.head.seq].into_iter();
        let all = marks.chain(batch).chain(gap).chain(express);
        all.max().unwrap_or(Seq::ZERO)
    }

    /// Says what is wrong with its places, if anything is.
    pub fn fault(&self) -> Option<&'static str> {
        let head = self.head.seq;
        if self
            .express
            .iter()
            .any(|one| one.seq == Seq::ZERO || one.seq > head)
        {
            return Some("an express copy is of no event");
        }
        self.batch.as_ref().and_then(|batch| batch.fault(head))
    }
}

/// Events of one epoch in order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Batch {
    /// Place of the first event.
    pub first: Seq,
    /// The chain before the first event.
    pub before: ChainHash,
    /// The records, byte for byte as they were journaled.
    pub events: Vec<Box<RawValue>>,
    /// Places that the events skip, in order, disjoint; the first may begin at `first`, the last may
    /// follow the last event. Since version 2: in version 1 a batch ends where something is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holes: Vec<GapNotice>,
}

/// A part of a batch: what stands at its next place or places.
#[derive(Debug, Clone, Copy)]
pub enum Step<'b> {
    /// An event, byte for byte.
    Event(&'b str),
    /// Nothing any more.
    Hole(&'b GapNotice),
}

impl Batch {
    /// Returns the last place that the batch tells of; the place before `first` for an empty one.
    pub fn last(&self) -> Seq {
        let missing = self
            .holes
            .iter()
            .fold(0u64, |sum, hole| sum.saturating_add(hole.places()));
        let places = (self.events.len() as u64).saturating_add(missing);
        Seq(self.first.before().0.saturating_add(places))
    }

    /// Whether it tells of nothing.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.holes.is_empty()
    }

    /// Yields events and holes in the order of their places, each with its last place. Ends early at a
    /// hole that does not begin where the walk has come to: see [`Batch::fault`].
    pub fn steps(&self) -> impl Iterator<Item = (Seq, Step<'_>)> {
        let mut events = self.events.iter();
        let mut holes = self.holes.iter().peekable();
        let mut next = self.first;
        std::iter::from_fn(move || {
            let (last, step) = match holes.next_if(|hole| hole.from == next) {
                Some(hole) if hole.to < hole.from => return None,
                Some(hole) => (hole.to, Step::Hole(hole)),
                None => (next, Step::Event(events.next()?.get())),
            };
            next = last.next();
            Some((last, step))
        })
    }

    /// Says what is wrong with the places: each hole must begin where the walk has come to and end at
    /// or behind that place, and nothing may lie behind `head`.
    pub fn fault(&self, head: Seq) -> Option<&'static str> {
        if self.first == Seq::ZERO {
            return Some("places begin at 1");
        }
        let steps = self.steps().count();
        if steps != self.events.len() + self.holes.len() {
            return Some("a hole is not where the events leave one");
        }
        if self.last() > head {
            return Some("the batch ends behind the newest event");
        }
        None
    }
}

/// A copy of an event that central should decide before its turn.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Express {
    /// Its place.
    pub seq: Seq,
    /// Its record, byte for byte.
    pub record: Box<RawValue>,
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

impl GapNotice {
    /// Returns how many places are missing.
    pub fn places(&self) -> u64 {
        self.to.0.saturating_sub(self.from.before().0)
    }
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
    /// Bytes of the events waiting, as they lie on the disk. Since version 2, as all below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbox_bytes: Option<u64>,
    /// Whether the disk has room for what is to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskState>,
    /// Events given up for want of room since the agent's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sacrificed: Option<u64>,
    /// Records in the terminal's quarantine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<u64>,
}

/// Whether a terminal's disk has room for what is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskState {
    /// It has.
    Ok,
    /// Little is left.
    Tight,
    /// There is none: events are being given up by worth, or refused.
    Full,
}

impl DiskState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Tight, Self::Full];

    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Tight => "tight",
            Self::Full => "full",
        }
    }
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
    /// A newer compression dictionary, if there is one. Since version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dictionary: Option<Dictionary>,
    /// Central's clock when the request had arrived, in milliseconds since 1970-01-01 UTC.
    pub received_ms: i64,
    /// Central's clock when the answer left, in milliseconds since 1970-01-01 UTC.
    pub sent_ms: i64,
}

impl ExchangeResponse {
    /// Takes out what its version does not have.
    #[must_use]
    pub fn of_its_version(self) -> Self {
        let dictionary = self.dictionary.filter(|_| self.v >= 2);
        Self { dictionary, ..self }
    }
}

/// The versions that a program reads, as HTTP 426 tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The oldest.
    pub min: u16,
    /// The newest.
    pub current: u16,
}

impl Versions {
    /// What this code reads.
    pub const OURS: Self = Self {
        min: MIN,
        current: CURRENT,
    };
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

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
