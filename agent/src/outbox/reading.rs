//! Reading the waiting events: from the buffer, and from the journal when the buffer is out of order.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::Seq;

use super::buffer::{Buffer, BufferError, Entry};
use super::journal::{Found, Reach, Source, event_place};

/// A durable event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its place, and the chain after it.
    pub mark: Mark,
    /// Its text, as it was appended.
    pub record: Vec<u8>,
}

/// Why events cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// They were acknowledged, and are no longer kept.
    #[error("events up to {} were acknowledged and are no longer kept", acked.seq)]
    Gone {
        /// The newest of them.
        acked: Mark,
    },
    /// The next event and maybe more were lost to a damage of the disk.
    #[error("events {from} to {} are lost: {reason}", until.seq)]
    Gap {
        /// The first lost event.
        from: Seq,
        /// The last lost event, and the chain after it: reading goes on behind it.
        until: Mark,
        /// What happened to them.
        reason: String,
    },
    /// The journal cannot be read.
    #[error("cannot read the journal")]
    Journal(#[source] io::Error),
    /// The outbox is closed.
    #[error("the outbox is closed")]
    Stopped,
}

/// Reads one state of the outbox.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) source: Source,
    pub(super) buffer: Option<Arc<Buffer>>,
    pub(super) acked: Mark,
    pub(super) appended: Mark,
}

/// What a reading yields; a gap ends it.
#[derive(Debug, Default)]
struct Yield {
    events: Vec<Stored>,
    bytes: usize,
    gap: Option<(Seq, Mark, String)>,
}

impl Yield {
    /// Takes an event; returns whether there is room for another.
    fn take(&mut self, event: Stored, limits: Limits) -> bool {
        self.bytes += event.record.len();
        self.events.push(event);
        self.events.len() < limits.events && self.bytes < limits.bytes
    }

    fn finish(self) -> Result<Vec<Stored>, ReadError> {
        match self.gap {
            Some((from, until, reason)) if self.events.is_empty() => Err(ReadError::Gap {
                from,
                until,
                reason,
            }),
            _ => Ok(self.events),
        }
    }
}

/// How much to read at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) events: usize,
    /// The event that reaches it is still taken.
    pub(super) bytes: usize,
}

impl Reader {
    /// Returns the events after a place, contiguous and in order; an empty list at the end. `distrust`
    /// is called when the buffer turns out to be out of order.
    pub(super) fn read_after(
        &self,
        after: Seq,
        limits: Limits,
        distrust: impl FnOnce(BufferError),
    ) -> Result<Vec<Stored>, ReadError> {
        if after < self.acked.seq {
            return Err(ReadError::Gone { acked: self.acked });
        }
        if after >= self.appended.seq || limits.events == 0 {
            return Ok(Vec::new());
        }
        if let Some(buffer) = &self.buffer {
            match self.read_buffer(buffer, after, limits) {
                Ok(found) => return found.finish(),
                Err(error) => distrust(error),
            }
        }
        self.read_journal(after, limits)?.finish()
    }

    fn read_buffer(
        &self,
        buffer: &Buffer,
        after: Seq,
        limits: Limits,
    ) -> Result<Yield, BufferError> {
        let mut previous = if after == self.acked.seq {
            self.acked
        } else {
            let entry = buffer.entry(after)?;
            entry.ok_or(BufferError::Disorder(after))?.mark()
        };
        let mut found = Yield::default();
        buffer.visit_after(after, |entry| {
            let next = previous.seq.next();
            match entry {
                Entry::Event { mark, sealed } => {
                    let place = event_place(self.source.epoch, mark.seq);
                    let opened = self.source.seal.open(&place, &sealed);
                    let record = opened.map_err(|_| BufferError::Disorder(mark.seq))?;
                    if previous.next(&record) != mark {
                        return Err(BufferError::Disorder(next));
                    }
                    previous = mark;
                    let more = found.take(Stored { mark, record }, limits);
                    Ok(more && mark.seq < self.appended.seq)
                }
                Entry::Gap {
                    from,
                    until,
                    reason,
                } if from <= next => {
                    found.gap = Some((next, until, reason));
                    Ok(false)
                }
                Entry::Gap { .. } => Err(BufferError::Disorder(next)),
            }
        })?;
        if found.events.is_empty() && found.gap.is_none() {
            return Err(BufferError::Disorder(after.next()));
        }
        Ok(found)
    }

    /// Returns the events after a place as the buffer has them, without help from the journal.
    pub(super) fn buffer_events(
        &self,
        buffer: &Buffer,
        after: Seq,
        limits: Limits,
    ) -> Result<Vec<Stored>, BufferError> {
        Ok(self.read_buffer(buffer, after, limits)?.events)
    }

    fn read_journal(&self, after: Seq, limits: Limits) -> Result<Yield, ReadError> {
        let mut found = Yield::default();
        self.scan_from(after.next(), |item| match item {
            Found::Record { mark, plain, .. } => {
                if mark.seq <= after {
                    return ControlFlow::Continue(());
                }
                let event = Stored {
                    mark,
                    record: plain,
                };
                // What is behind the durable mark is a write under way.
                if mark.seq > self.appended.seq || !found.take(event, limits) {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            }
            Found::Gap { until, reason, .. } => {
                let from = found.events.last().map_or(after, |e| e.mark.seq).next();
                if until.seq < from {
                    return ControlFlow::Continue(());
                }
                found.gap = Some((from, until, reason.to_owned()));
                ControlFlow::Break(())
            }
        })?;
        Ok(found)
    }

    fn scan_from(
        &self,
        seq: Seq,
        mut sink: impl FnMut(Found<'_>) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        self.source
            .scan(Reach::From(seq), &mut sink)
            .map(drop)
            .map_err(ReadError::Journal)
    }

    /// Returns the mark at a place, if it is the acknowledged one or a waiting event's.
    pub(super) fn mark_at(&self, seq: Seq) -> Result<Option<Mark>, ReadError> {
        if seq == self.acked.seq {
            return Ok(Some(self.acked));
        }
        if seq == self.appended.seq {
            return Ok(Some(self.appended));
        }
        if seq < self.acked.seq || seq > self.appended.seq {
            return Ok(None);
        }
        if let Some(buffer) = &self.buffer
            && let Ok(Some(entry)) = buffer.entry(seq)
        {
            return Ok(Some(entry.mark()));
        }
        let mut found = None;
        self.scan_from(seq, |item| {
            let (Found::Record { mark, .. } | Found::Gap { until: mark, .. }) = item;
            if mark.seq == seq {
                found = Some(mark);
            }
            if mark.seq < seq {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        Ok(found)
    }
}
