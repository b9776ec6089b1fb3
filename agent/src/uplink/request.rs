//! What goes up: events, gap notices and how the terminal is, taken from the outbox.

use std::time::Duration;

use serde_json::value::RawValue;
use tillbind_protocol::chain::Mark;
use tillbind_protocol::exchange::{Batch, CURRENT, ExchangeRequest, Fork, GapNotice, Hello};
use tillbind_protocol::ids::Seq;
use tillbind_protocol::replica::Cursor;

use crate::identity::enrolment::Machine;
use crate::outbox::{Outbox, ReadError, Stored};

/// Events that central wants and the outbox no longer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) from: Seq,
    pub(super) to: Seq,
}

/// Events cut out of the outbox for one request.
#[derive(Debug, Default)]
pub(super) struct Cut {
    batch: Option<Batch>,
    gap: Option<GapNotice>,
}

/// Why a request cannot be built.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("the outbox is closed")]
    Stopped,
    #[error("the outbox cannot be read: {0}")]
    Read(String),
    #[error("event {0} in the outbox is not text")]
    NotText(Seq),
}

impl From<ReadError> for RequestError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Stopped => Self::Stopped,
            ReadError::Gone { .. } | ReadError::Gap { .. } | ReadError::Journal(_) => {
                Self::Read(error.to_string())
            }
        }
    }
}

const GONE: &str = "headquarters lost events that it had acknowledged, and the terminal keeps none of \
                    those";

/// Cuts the events after a place. What is lost becomes a gap notice, and the events behind it follow in
/// the same request. Blocks on the disk.
pub(super) fn batch(
    outbox: &Outbox,
    after: Seq,
    events_max: usize,
    bytes_max: usize,
    gap: Option<Gap>,
) -> Result<Cut, RequestError> {
    let mut notice = match gap {
        None => None,
        Some(gap) => outbox
            .mark_at(gap.to)?
            .map(|mark| notice(gap.from, mark, GONE.to_owned())),
    };
    let (before, stored) = match outbox.read_after(after, events_max, bytes_max) {
        Ok(stored) => (mark_before(outbox, after)?, stored),
        Err(ReadError::Gap {
            from,
            until,
            reason,
        }) => {
            notice = Some(self::notice(from, until, reason));
            (until, behind(outbox, until, events_max, bytes_max)?)
        }
        Err(ReadError::Gone { acked }) => {
            notice = Some(self::notice(after.next(), acked, GONE.to_owned()));
            (acked, behind(outbox, acked, events_max, bytes_max)?)
        }
        Err(error) => return Err(error.into()),
    };
    let batch = if stored.is_empty() {
        None
    } else {
        Some(to_batch(before, stored)?)
    };
    Ok(Cut { batch, gap: notice })
}

fn notice(from: Seq, until: Mark, reason: String) -> GapNotice {
    GapNotice {
        from,
        to: until.seq,
        after: until.chain,
        reason,
    }
}

/// Reads on behind a gap; a second gap right behind it waits for the next request.
fn behind(
    outbox: &Outbox,
    until: Mark,
    events_max: usize,
    bytes_max: usize,
) -> Result<Vec<Stored>, RequestError> {
    match outbox.read_after(until.seq, events_max, bytes_max) {
        Ok(stored) => Ok(stored),
        Err(ReadError::Gap { .. }) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

fn mark_before(outbox: &Outbox, after: Seq) -> Result<Mark, RequestError> {
    outbox
        .mark_at(after)?
        .ok_or_else(|| RequestError::Read(format!("the chain at event {after} is not kept")))
}

fn to_batch(before: Mark, stored: Vec<Stored>) -> Result<Batch, RequestError> {
    let events: Result<Vec<_>, _> = stored
        .into_iter()
        .map(|one| {
            let seq = one.mark.seq;
            String::from_utf8(one.record)
                .ok()
                .and_then(|text| RawValue::from_string(text).ok())
                .ok_or(RequestError::NotText(seq))
        })
        .collect();
    Ok(Batch {
        first: before.seq.next(),
        before: before.chain,
        events: events?,
        holes: Vec::new(),
    })
}

/// Writes the request around what was cut.
pub(super) fn exchange(
    outbox: &Outbox,
    cut: Cut,
    cursor: Cursor,
    keys: u32,
    wait: Duration,
    at_ms: i64,
    hello: Option<Hello>,
) -> ExchangeRequest {
    ExchangeRequest {
        v: CURRENT,
        epoch: outbox.epoch(),
        acked: outbox.acked(),
        head: outbox.appended(),
        batch: cut.batch,
        gap: cut.gap,
        express: Vec::new(),
        cursor,
        keys,
        dictionary: 0,
        page_bytes: 0,
        wait_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
        at_ms,
        hello,
    }
}

/// Says how the terminal is.
pub(super) fn hello(
    outbox: &Outbox,
    machine: &Machine,
    clock_offset_ms: Option<i64>,
    forked_from: Option<Fork>,
) -> Hello {
    Hello {
        machine: machine.fingerprint.clone(),
        version: machine.version.clone(),
        outbox_events: outbox.stats().events,
        clock_offset_ms,
        forked_from,
        outbox_bytes: None,
        disk: None,
        sacrificed: None,
        quarantined: None,
    }
}
