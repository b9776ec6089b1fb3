//! Reading the waiting events: by the buffer, which knows where each stands in the journal, and by the
//! journal alone when the buffer is out of order.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::Seq;

use super::buffer::{Buffer, BufferError, Entry};
use super::journal::{Found, Gap, Reach, Source, Window};
use super::view::Shape;

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
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) source: Source,
    pub(super) shape: Shape,
    pub(super) buffer: Option<Arc<Buffer>>,
    pub(super) acked: Mark,
    pub(super) appended: Mark,
}

/// What a reading yields; a gap ends it.
#[derive(Debug, Default)]
struct Yield {
    events: Vec<Stored>,
    bytes: usize,
    gap: Option<Gap>,
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
            Some(gap) if self.events.is_empty() => Err(ReadError::Gap {
                from: gap.from,
                until: gap.until,
                reason: gap.reason,
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
        let revisions = self.shape.read();
        let mut window = Window::default();
        let mut found = Yield::default();
        buffer.visit_after(after, |entry| {
            let next = previous.seq.next();
            match entry {
                Entry::Event { mark, at, .. } if mark.seq == next => {
                    let ahead = limits.bytes.saturating_sub(found.bytes);
                    let read = self
                        .source
                        .event(&mut window, &revisions, mark.seq, at, ahead);
                    let record = read
                        .map_err(BufferError::Journal)?
                        .ok_or(BufferError::Disorder(next))?;
                    if previous.next(&record) != mark {
                        return Err(BufferError::Disorder(next));
                    }
                    previous = mark;
                    let more = found.take(Stored { mark, record }, limits);
                    Ok(more && mark.seq < self.appended.seq)
                }
                Entry::Gap(gap) if gap.from <= next => {
                    found.gap = Some(Gap { from: next, ..gap });
                    Ok(false)
                }
                Entry::Event { .. } | Entry::Gap(_) => Err(BufferError::Disorder(next)),
            }
        })?;
        if found.events.is_empty() && found.gap.is_none() {
            return Err(BufferError::Disorder(after.next()));
        }
        Ok(found)
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
                found.gap = Some(Gap {
                    from,
                    until,
                    reason: reason.into_owned(),
                });
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
        let _unchanged = self.shape.read();
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
            let mark = item.mark();
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
