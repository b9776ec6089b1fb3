//! Walking one segment from record to record, across what does not verify.

use std::ops::ControlFlow;

use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::Seq;

use super::scan::{Address, Damaged, Found, Source};
use super::segment::{
    ALIGN_BYTES, Content, Frame, Gap, HEADER_BYTES, RECORD_HEADER_BYTES, SegmentHeader, TERMINATOR,
};

const REASON_DAMAGED: &str = "journal records do not verify";

/// Walks one segment.
pub(super) struct SegmentReader<'a> {
    source: &'a Source,
    header: &'a SegmentHeader,
    bytes: &'a [u8],
    pub(super) offset: usize,
    pub(super) cursor: Mark,
    /// Records of a group whose end is still to come: mark, payload, and where they begin.
    group: Vec<Held>,
    pub(super) records: u64,
    /// The write that the last good record belongs to: its first event and where it begins.
    pub(super) batch: (Seq, usize),
    pub(super) torn_bytes: u64,
}

struct Held {
    before: Mark,
    offset: usize,
    mark: Mark,
    sealed_bytes: usize,
    content: Content,
}

/// A record somewhere behind a bad one.
struct Candidate {
    offset: usize,
    end: usize,
    before: Mark,
    batch_first: Seq,
}

impl<'a> SegmentReader<'a> {
    pub(super) fn new(source: &'a Source, header: &'a SegmentHeader, bytes: &'a [u8]) -> Self {
        Self {
            source,
            header,
            bytes,
            offset: HEADER_BYTES as usize,
            cursor: header.before,
            group: Vec::new(),
            records: 0,
            batch: (Seq::ZERO, HEADER_BYTES as usize),
            torn_bytes: 0,
        }
    }

    /// `end` is the mark before the next segment, if this is not the last.
    pub(super) fn read(
        &mut self,
        end: Option<Mark>,
        sink: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut candidates: Option<Vec<Candidate>> = None;
        loop {
            // What a segment holds beyond its successor's beginning is a write that failed and was made
            // again there.
            if end.is_some_and(|end| self.cursor.seq >= end.seq) {
                return self.release(sink);
            }
            if let Some(held) = self.good_record() {
                let whole = !held.1;
                self.group.push(held.0);
                if whole {
                    self.release(sink)?;
                }
                continue;
            }
            let candidates = candidates.get_or_insert_with(|| self.candidates());
            candidates.retain(|c| c.offset > self.offset && c.before.seq > self.cursor.seq);
            let damaged = match end {
                Some(_) => true,
                None => candidates
                    .iter()
                    .any(|c| c.batch_first > self.cursor.seq.next()),
            };
            if !damaged {
                self.cut_tail(candidates);
                return ControlFlow::Continue(());
            }
            self.release(sink)?;
            let next = candidates
                .iter()
                .find(|c| end.is_none_or(|end| c.before.seq < end.seq));
            let until = match (next, end) {
                (Some(next), _) => next.before,
                (None, Some(end)) => end,
                // Damage without a successor is only seen when a later segment says so.
                (None, None) => return ControlFlow::Continue(()),
            };
            sink(Found::Gap {
                from: self.cursor.seq.next(),
                until,
                reason: REASON_DAMAGED.into(),
                damaged: Some(self.damaged_until(next)),
                given_up: false,
            })?;
            self.cursor = until;
            match next {
                Some(next) => self.offset = next.offset,
                None => return ControlFlow::Continue(()),
            }
        }
    }

    /// The bytes from the offset to the next record that verifies.
    fn damaged_until(&self, next: Option<&Candidate>) -> Damaged<'a> {
        let end = match next {
            Some(next) => next.offset,
            // Behind the last record stand zeros, which tell nobody anything.
            None => self
                .bytes
                .iter()
                .rposition(|b| *b != 0)
                .map_or(0, |i| i + 1),
        };
        Damaged {
            segment: self.header.number,
            offset: self.offset as u64,
            bytes: self.bytes.get(self.offset..end).unwrap_or_default(),
        }
    }

    /// Reads the record at the offset if everything about it holds, and says whether its group goes on.
    fn good_record(&mut self) -> Option<(Held, bool)> {
        let frame = Frame::decode(self.bytes.get(self.offset..)?, &self.header.salt)?;
        if frame.before != self.cursor.chain {
            return None;
        }
        let content = frame.open(&self.source.seal, self.source.epoch)?;
        let (first, mark) = match &content {
            Content::Event(plain) => (frame.seq, self.cursor.next(plain)),
            Content::Gap(gap) => (gap.from, gap.until),
        };
        if first != self.cursor.seq.next() {
            return None;
        }
        let held = Held {
            before: self.cursor,
            offset: self.offset,
            mark,
            sealed_bytes: frame.sealed.len(),
            content,
        };
        if self.batch.0 != frame.batch_first {
            self.batch = (frame.batch_first, self.offset);
        }
        self.cursor = held.mark;
        self.offset += frame.bytes;
        Some((held, frame.continues))
    }

    fn release(&mut self, sink: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        for held in self.group.drain(..) {
            self.records += 1;
            sink(match held.content {
                Content::Event(plain) => Found::Record {
                    mark: held.mark,
                    at: Address {
                        segment: self.header.number,
                        offset: held.offset as u64,
                        // A record has at most 256 KiB.
                        sealed_bytes: held.sealed_bytes as u32,
                    },
                    plain,
                },
                Content::Gap(Gap {
                    from,
                    until,
                    reason,
                }) => Found::Gap {
                    from,
                    until,
                    reason: reason.into(),
                    damaged: None,
                    given_up: true,
                },
            })?;
        }
        ControlFlow::Continue(())
    }

    /// Finds every record behind the offset that verifies on its own.
    fn candidates(&self) -> Vec<Candidate> {
        let mut found = Vec::new();
        let mut offset = self.offset;
        while let Some(rest) = self.bytes.get(offset..)
            && rest.len() >= RECORD_HEADER_BYTES
        {
            let frame = Frame::decode(rest, &self.header.salt).and_then(|frame| {
                let content = frame.open(&self.source.seal, self.source.epoch)?;
                Some((frame, content))
            });
            let Some((frame, content)) = frame else {
                offset += ALIGN_BYTES;
                continue;
            };
            let first = match content {
                Content::Event(_) => frame.seq,
                Content::Gap(gap) => gap.from,
            };
            found.push(Candidate {
                offset,
                end: offset + frame.bytes,
                before: Mark {
                    seq: first.before(),
                    chain: frame.before,
                },
                batch_first: frame.batch_first,
            });
            offset += frame.bytes;
        }
        found
    }

    fn cut_tail(&mut self, behind: &[Candidate]) {
        let bad_end = match behind.last() {
            Some(last) => last.end,
            None if self.at_terminator() => self.offset,
            None => (self.offset + RECORD_HEADER_BYTES).min(self.bytes.len()),
        };
        if let Some(first) = self.group.first() {
            self.offset = first.offset;
            self.cursor = first.before;
            self.group.clear();
        }
        self.torn_bytes = bad_end.saturating_sub(self.offset) as u64;
    }

    fn at_terminator(&self) -> bool {
        self.bytes
            .get(self.offset..self.offset + RECORD_HEADER_BYTES)
            .is_none_or(|bytes| bytes == TERMINATOR)
    }
}
