//! What of the outbox goes up with one request: events, what is missing among them, and copies of
//! binding requests that wait behind them.
//!
//! Since version 2 a batch goes on behind a hole; in version 1 it ends there, and one gap notice may
//! stand before it. A record that is not text stops nothing: its place goes up as a hole.

use serde_json::value::RawValue;
use tillbind_protocol::chain::Mark;
use tillbind_protocol::exchange::{BATCH_HOLES_MAX, Batch, Express, GapNotice};
use tillbind_protocol::ids::Seq;
use tillbind_protocol::uplink::Load;

use crate::outbox::{Outbox, ReadError, Stored};

/// Most bytes of express copies in one request: far beyond 32 usual ones, and small beside a batch.
const EXPRESS_BYTES_MAX: usize = 64 * 1024;
/// Longest reason of a notice over several holes, in bytes.
const NOTICE_REASON_BYTES_MAX: usize = 400;
/// What a hole takes of a batch besides its reason, in bytes.
const HOLE_BYTES: usize = 90;

const GONE: &str = "headquarters lost events that it had acknowledged, and the terminal keeps none of \
                    those";
const NOT_TEXT: &str = "the terminal's record of this event is damaged: it is not text";

/// What is read: the outbox.
pub(super) trait Queue {
    /// As [`Outbox::read_after`].
    fn read_after(
        &self,
        after: Seq,
        events_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Stored>, ReadError>;
    /// As [`Outbox::mark_at`].
    fn mark_at(&self, seq: Seq) -> Result<Option<Mark>, ReadError>;
    /// As [`Outbox::urgent_after`].
    fn urgent_after(&self, after: Seq, events_max: usize) -> Result<Vec<Stored>, ReadError>;
}

impl Queue for Outbox {
    fn read_after(
        &self,
        after: Seq,
        events_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Stored>, ReadError> {
        Self::read_after(self, after, events_max, bytes_max)
    }

    fn mark_at(&self, seq: Seq) -> Result<Option<Mark>, ReadError> {
        Self::mark_at(self, seq)
    }

    fn urgent_after(&self, after: Seq, events_max: usize) -> Result<Vec<Stored>, ReadError> {
        Self::urgent_after(self, after, events_max)
    }
}

/// Events that central wants and the outbox no longer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) from: Seq,
    pub(super) to: Seq,
}

/// What to cut.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// The place before the first event.
    pub(super) after: Seq,
    /// Most events and holes.
    pub(super) events_max: usize,
    /// Most bytes of records; one always goes.
    pub(super) bytes_max: usize,
    /// Binding requests up to here were shown before.
    pub(super) express_after: Seq,
    /// Most copies of binding requests.
    pub(super) express_max: usize,
    /// The version of the request.
    pub(super) version: u16,
    /// What central is to be told that it cannot have.
    pub(super) gap: Option<Gap>,
}

impl Wanted {
    /// Whether the same events are wanted.
    pub(super) fn has_batch_of(&self, other: &Self) -> bool {
        let bounds = |wanted: &Self| (wanted.events_max, wanted.bytes_max, wanted.version);
        self.after == other.after && self.gap == other.gap && bounds(self) == bounds(other)
    }
}

/// What was cut.
#[derive(Debug, Default)]
pub(super) struct Cut {
    pub(super) batch: Option<Batch>,
    pub(super) gap: Option<GapNotice>,
    pub(super) express: Vec<Express>,
    pub(super) load: Load,
}

impl Cut {
    /// Whether it tells of events that are missing.
    pub(super) fn tells_of_gaps(&self) -> bool {
        let holes = self
            .batch
            .as_ref()
            .is_some_and(|batch| !batch.holes.is_empty());
        self.gap.is_some() || holes
    }

    /// Whether nothing that was appended since could have gone along.
    pub(super) fn is_full(&self, wanted: &Wanted) -> bool {
        let Some(batch) = &self.batch else {
            return false;
        };
        let parts = batch.events.len() + batch.holes.len();
        parts >= wanted.events_max || self.load.bytes >= wanted.bytes_max
    }
}

/// Why a request cannot be built.
#[derive(Debug, thiserror::Error)]
pub(super) enum CutError {
    #[error("the outbox is closed")]
    Stopped,
    #[error("the outbox cannot be read: {0}")]
    Read(String),
}

impl From<ReadError> for CutError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Stopped => Self::Stopped,
            ReadError::Gone { .. } | ReadError::Gap { .. } | ReadError::Journal(_) => {
                Self::Read(error.to_string())
            }
        }
    }
}

/// Returns what a poll carries: with nothing left to send, what central cannot have is told by itself.
/// Blocks on the disk.
pub(super) fn told(queue: &impl Queue, gap: &Gap) -> Result<Cut, CutError> {
    Ok(Cut {
        gap: gone(queue, gap)?,
        ..Cut::default()
    })
}

/// Cuts a request's share out of the outbox. Blocks on the disk.
pub(super) fn cut(queue: &impl Queue, wanted: &Wanted) -> Result<Cut, CutError> {
    let mut cut = batch(queue, wanted)?;
    show(queue, wanted, &mut cut)?;
    Ok(cut)
}

/// Cuts a request's batch alone, without copies of what waits behind it. Blocks on the disk.
pub(super) fn batch(queue: &impl Queue, wanted: &Wanted) -> Result<Cut, CutError> {
    let mut knife = Knife::set(queue, wanted)?;
    while knife.has_room() {
        let (events, bytes) = (
            wanted.events_max - knife.parts(),
            wanted.bytes_max - knife.bytes,
        );
        let goes_on = match queue.read_after(knife.at.seq, events, bytes) {
            Ok(stored) if stored.is_empty() => false,
            Ok(stored) => knife.take_events(stored),
            Err(ReadError::Gap { until, reason, .. }) => knife.take_hole(until, &reason),
            // What was read before can go, and the next request will say the same.
            Err(_) if knife.parts() > 0 => false,
            Err(error) => return Err(error.into()),
        };
        if !goes_on {
            break;
        }
    }
    Ok(knife.finish())
}

/// A batch in the making.
struct Knife<'w> {
    wanted: &'w Wanted,
    notice: Option<GapNotice>,
    batch: Batch,
    /// The last place that the batch, or the notice before it, tells of.
    at: Mark,
    bytes: usize,
}

impl<'w> Knife<'w> {
    fn set(queue: &impl Queue, wanted: &'w Wanted) -> Result<Self, CutError> {
        let mut notice = match &wanted.gap {
            None => None,
            Some(gap) => gone(queue, gap)?,
        };
        let at = match queue.mark_at(wanted.after)? {
            Some(mark) => mark,
            // A notice needs no chain before it: central compares where it ends.
            None => {
                let (until, reason) = match queue.read_after(wanted.after, 1, 1) {
                    Err(ReadError::Gone { acked }) => (acked, GONE.to_owned()),
                    Err(ReadError::Gap { until, reason, .. }) => (until, reason),
                    Err(error) => return Err(error.into()),
                    Ok(_) => {
                        let after = wanted.after;
                        let lost = format!("the chain at event {after} is not kept");
                        return Err(CutError::Read(lost));
                    }
                };
                notice = Some(self::notice(wanted.after.next(), until, &reason));
                until
            }
        };
        Ok(Self {
            wanted,
            notice,
            batch: Batch {
                first: at.seq.next(),
                before: at.chain,
                events: Vec::new(),
                holes: Vec::new(),
            },
            at,
            bytes: 0,
        })
    }

    fn parts(&self) -> usize {
        self.batch.events.len() + self.batch.holes.len()
    }

    fn has_room(&self) -> bool {
        self.parts() < self.wanted.events_max
            && self.batch.holes.len() < BATCH_HOLES_MAX
            && self.bytes < self.wanted.bytes_max
    }

    /// Takes events; says whether there is more to be had.
    fn take_events(&mut self, stored: Vec<Stored>) -> bool {
        for one in stored {
            let (mark, length) = (one.mark, one.record.len());
            match text(one) {
                Some(record) => {
                    self.bytes += length;
                    self.batch.events.push(record);
                    self.at = mark;
                }
                None => {
                    tracing::error!(seq = %mark.seq, "an event in the outbox is not text: it is lost");
                    if !self.take_hole(mark, NOT_TEXT) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Takes a hole up to a place; says whether the batch may go on behind it.
    fn take_hole(&mut self, until: Mark, reason: &str) -> bool {
        let hole = notice(self.at.seq.next(), until, reason);
        if self.wanted.version < 2 {
            return self.take_notice(hole);
        }
        self.at = until;
        let before = self.batch.holes.last_mut();
        if let Some(before) = before.filter(|b| b.to.next() == hole.from && b.reason == reason) {
            before.to = hole.to;
            before.after = hole.after;
            return true;
        }
        self.bytes += HOLE_BYTES + reason.len();
        self.batch.holes.push(hole);
        true
    }

    /// In version 1 one notice may stand before the batch. It grows over the holes that follow it: a
    /// central of version 1 passes by a notice that no event follows.
    fn take_notice(&mut self, hole: GapNotice) -> bool {
        if !self.batch.events.is_empty() {
            return false;
        }
        self.at = Mark {
            seq: hole.to,
            chain: hole.after,
        };
        self.batch.first = hole.to.next();
        self.batch.before = hole.after;
        let Some(notice) = &mut self.notice else {
            self.notice = Some(hole);
            return true;
        };
        notice.to = hole.to;
        notice.after = hole.after;
        let says_more = !notice.reason.contains(&hole.reason);
        if says_more && notice.reason.len() + hole.reason.len() < NOTICE_REASON_BYTES_MAX {
            notice.reason.push_str("; ");
            notice.reason.push_str(&hole.reason);
        }
        true
    }

    fn finish(self) -> Cut {
        Cut {
            batch: (!self.batch.is_empty()).then_some(self.batch),
            gap: self.notice,
            express: Vec::new(),
            load: Load {
                bytes: self.bytes,
                express_to: None,
            },
        }
    }
}

/// Adds copies of the binding requests behind the batch. Blocks on the disk.
pub(super) fn show(queue: &impl Queue, wanted: &Wanted, cut: &mut Cut) -> Result<(), CutError> {
    if wanted.express_max == 0 {
        return Ok(());
    }
    let last = cut.batch.as_ref().map_or(wanted.after, Batch::last);
    let behind = last.max(wanted.express_after);
    let waiting = match queue.urgent_after(behind, wanted.express_max) {
        Ok(waiting) => waiting,
        Err(ReadError::Stopped) => return Err(CutError::Stopped),
        Err(error) => {
            // They have their turn in any case.
            tracing::warn!(%error, "waiting binding requests cannot be read before their turn");
            return Ok(());
        }
    };
    let mut bytes = 0;
    for one in waiting {
        let seq = one.mark.seq;
        bytes += one.record.len();
        if bytes > EXPRESS_BYTES_MAX && !cut.express.is_empty() {
            break;
        }
        cut.load.express_to = Some(seq);
        if let Some(record) = text(one) {
            cut.express.push(Express { seq, record });
        }
    }
    Ok(())
}

fn text(stored: Stored) -> Option<Box<RawValue>> {
    let text = String::from_utf8(stored.record).ok()?;
    RawValue::from_string(text).ok()
}

fn gone(queue: &impl Queue, gap: &Gap) -> Result<Option<GapNotice>, ReadError> {
    let until = queue.mark_at(gap.to)?;
    Ok(until.map(|until| notice(gap.from, until, GONE)))
}

fn notice(from: Seq, until: Mark, reason: &str) -> GapNotice {
    GapNotice {
        from,
        to: until.seq,
        after: until.chain,
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests;
