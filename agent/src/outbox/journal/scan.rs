//! Reading the journal: for recovery, for rebuilding the buffer, and when the buffer is out of order.
//!
//! A record counts if its CRC, its seal, its place and the chain before it hold. What does not hold is
//! either *torn* or *damaged*:
//! - In the last segment, a bad record after which only records of a write that began no later follow was
//!   part of a write that was never acknowledged: torn, and the tail ends before it. A group that is
//!   not whole goes with it.
//! - Everywhere else somebody may have been told that the record is safe: damaged. It becomes a gap with
//!   its first and last event, and reading goes on at the next good record, whose stored chain says
//!   where the history stands.
//!
//! Scanning changes nothing on the disk.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::{Epoch, Seq};

use super::segment::{
    ALIGN_BYTES, Frame, HEADER_BYTES, RECORD_HEADER_BYTES, SegmentHeader, TERMINATOR, event_place,
};
use crate::storage::disk::Disk;
use crate::vault::Seal;

/// Read at once where a whole file cannot be read; a block that refuses counts as zeros.
const SALVAGE_BLOCK_BYTES: usize = 4096;

/// Where an epoch's journal lies and how its records open.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) epoch: Epoch,
    pub(crate) seal: Seal,
}

/// What a scan comes upon, in order.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// An event, with the mark after it.
    Record {
        mark: Mark,
        sealed: &'a [u8],
        plain: Vec<u8>,
    },
    /// Events that are lost.
    Gap {
        from: Seq,
        until: Mark,
        reason: &'static str,
    },
}

/// Which part of the journal to read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reach {
    /// Every record after this mark; the history before it is settled.
    All(Option<Mark>),
    /// The last segment alone, to find the tail.
    Tail,
    /// From the segment that holds the event on.
    From(Seq),
}

/// A segment whose header holds.
#[derive(Debug, Clone)]
pub(super) struct SegmentFile {
    pub(super) header: SegmentHeader,
    pub(super) path: PathBuf,
}

/// What a scan says of the journal as a whole.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(super) segments: Vec<SegmentFile>,
    /// Files that are no readable segment of this epoch.
    pub(super) unreadable: Vec<PathBuf>,
    /// The last event that holds, if there is a readable segment or a settled mark.
    pub(crate) tail: Option<Mark>,
    /// Where the next record goes in the last segment.
    pub(super) tail_offset: u64,
    /// Where the last segment's last write begins: what of it is only in the kernel's memory, nobody knows.
    pub(super) last_write_offset: u64,
    /// What stands behind the tail without having been acknowledged, in bytes.
    pub(crate) torn_bytes: u64,
    pub(crate) records: u64,
}

impl Scan {
    /// Returns the scan of a journal that is still to be written.
    pub(crate) fn empty() -> Self {
        Self {
            segments: Vec::new(),
            unreadable: Vec::new(),
            tail: None,
            tail_offset: HEADER_BYTES,
            last_write_offset: HEADER_BYTES,
            torn_bytes: 0,
            records: 0,
        }
    }

    /// Returns the mark before the oldest event that is still on the disk.
    pub(crate) fn begin(&self) -> Option<Mark> {
        self.segments.first().map(|s| s.header.before)
    }

    /// Returns whether a file before the oldest readable segment could not be read.
    pub(crate) fn lost_front(&self) -> bool {
        let first = self.segments.first().map(|s| &s.path);
        self.unreadable
            .iter()
            .any(|path| first.is_some_and(|first| path < first))
    }

    /// Returns whether a file behind the newest readable segment could not be read, so that nobody
    /// knows how many events it held.
    pub(crate) fn lost_back(&self) -> bool {
        let last = self.segments.last().map(|s| &s.path);
        self.unreadable
            .iter()
            .any(|path| last.is_none_or(|last| path > last))
    }

    /// Returns whether every file was a readable segment.
    pub(crate) fn all_readable(&self) -> bool {
        self.unreadable.is_empty()
    }
}

/// Returns a segment's file name.
pub(super) fn segment_name(number: u64) -> String {
    format!("{number:012}.segment")
}

impl Source {
    /// Reads the journal and hands what it finds to `sink`, until that has enough.
    pub(crate) fn scan(
        &self,
        reach: Reach,
        sink: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>,
    ) -> io::Result<Scan> {
        let (segments, unreadable) = self.segments()?;
        let mut scan = Scan {
            segments,
            unreadable,
            ..Scan::empty()
        };
        let begin = scan.begin();
        let first_read = match reach {
            Reach::All(_) => 0,
            Reach::Tail => scan.segments.len().saturating_sub(1),
            Reach::From(seq) => scan
                .segments
                .iter()
                .rposition(|s| s.header.before.seq < seq)
                .unwrap_or(0),
        };
        let mut cursor = match reach {
            Reach::All(Some(settled)) if begin.is_none_or(|b| settled.seq < b.seq) => Some(settled),
            Reach::All(_) | Reach::Tail | Reach::From(_) => {
                scan.segments.get(first_read).map(|s| s.header.before)
            }
        };
        for index in first_read..scan.segments.len() {
            let segment = &scan.segments[index];
            let before = segment.header.before;
            if let Some(at) = cursor
                && at.seq < before.seq
                && sink(Found::Gap {
                    from: at.seq.next(),
                    until: before,
                    reason: "a journal segment is missing or unreadable",
                })
                .is_break()
            {
                return Ok(scan);
            }
            let end = scan.segments.get(index + 1).map(|s| s.header.before);
            let bytes = read_lossily(&*self.disk, &segment.path)?;
            let mut reader = SegmentReader {
                source: self,
                header: &segment.header,
                bytes: &bytes,
                offset: HEADER_BYTES as usize,
                cursor: before,
                group: Vec::new(),
                records: 0,
                batch: (Seq::ZERO, HEADER_BYTES as usize),
                torn_bytes: 0,
            };
            let flow = reader.read(end, sink);
            cursor = Some(reader.cursor);
            scan.records += reader.records;
            scan.tail_offset = reader.offset as u64;
            scan.last_write_offset = reader.batch.1.min(reader.offset) as u64;
            scan.torn_bytes = reader.torn_bytes;
            scan.tail = cursor;
            if flow.is_break() {
                return Ok(scan);
            }
        }
        scan.tail = cursor;
        Ok(scan)
    }

    /// Lists the segments in order; a file that is none of this epoch goes to the second list.
    fn segments(&self) -> io::Result<(Vec<SegmentFile>, Vec<PathBuf>)> {
        let mut segments = Vec::new();
        let mut unreadable = Vec::new();
        for name in self.disk.list(&self.dir)? {
            if !name.ends_with(".segment") {
                continue;
            }
            let path = self.dir.join(&name);
            let mut block = [0; HEADER_BYTES as usize];
            let read = self
                .disk
                .open(&path)
                .and_then(|file| file.read_at(&mut block, 0));
            let header = SegmentHeader::decode(&block).filter(|h| {
                read.is_ok() && h.epoch == self.epoch && segment_name(h.number) == name
            });
            match header {
                // Taken for damage, every event would be given up while the right key may yet come.
                Some(header) if header.key_print != self.seal.print() => {
                    return Err(io::Error::other(
                        "the journal is sealed under another key: put the former key back",
                    ));
                }
                Some(header) => segments.push(SegmentFile { header, path }),
                None => unreadable.push(path),
            }
        }
        Ok((segments, unreadable))
    }
}

/// Returns the file's content, with zeros where the disk cannot read it.
fn read_lossily(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let length = usize::try_from(file.length()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    if file.read_at(&mut bytes, 0).is_ok() {
        return Ok(bytes);
    }
    bytes.fill(0);
    for (index, block) in bytes.chunks_mut(SALVAGE_BLOCK_BYTES).enumerate() {
        if file
            .read_at(block, (index * SALVAGE_BLOCK_BYTES) as u64)
            .is_err()
        {
            block.fill(0);
        }
    }
    Ok(bytes)
}

/// Walks one segment.
struct SegmentReader<'a> {
    source: &'a Source,
    header: &'a SegmentHeader,
    bytes: &'a [u8],
    offset: usize,
    cursor: Mark,
    /// Records of a group whose end is still to come: mark, payload, and where they begin.
    group: Vec<Held<'a>>,
    records: u64,
    /// The write that the last good record belongs to: its first event and where it begins.
    batch: (Seq, usize),
    torn_bytes: u64,
}

struct Held<'a> {
    before: Mark,
    offset: usize,
    mark: Mark,
    sealed: &'a [u8],
    plain: Vec<u8>,
}

/// A record somewhere behind a bad one.
struct Candidate {
    offset: usize,
    end: usize,
    before: Mark,
    batch_first: Seq,
}

impl<'a> SegmentReader<'a> {
    /// `end` is the mark before the next segment, if this is not the last.
    fn read(
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
                reason: "journal records do not verify",
            })?;
            self.cursor = until;
            match next {
                Some(next) => self.offset = next.offset,
                None => return ControlFlow::Continue(()),
            }
        }
    }

    /// Reads the record at the offset if everything about it holds, and says whether its group goes on.
    fn good_record(&mut self) -> Option<(Held<'a>, bool)> {
        let frame = Frame::decode(self.bytes.get(self.offset..)?, &self.header.salt)?;
        if frame.seq != self.cursor.seq.next() || frame.before != self.cursor.chain {
            return None;
        }
        let plain = self.open(&frame)?;
        let held = Held {
            before: self.cursor,
            offset: self.offset,
            mark: self.cursor.next(&plain),
            sealed: frame.sealed,
            plain,
        };
        if self.batch.0 != frame.batch_first {
            self.batch = (frame.batch_first, self.offset);
        }
        self.cursor = held.mark;
        self.offset += frame.bytes;
        Some((held, frame.continues))
    }

    fn open(&self, frame: &Frame<'_>) -> Option<Vec<u8>> {
        self.source
            .seal
            .open(&event_place(self.source.epoch, frame.seq), frame.sealed)
            .ok()
    }

    fn release(&mut self, sink: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        for held in self.group.drain(..) {
            self.records += 1;
            sink(Found::Record {
                mark: held.mark,
                sealed: held.sealed,
                plain: held.plain,
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
            let frame = Frame::decode(rest, &self.header.salt).filter(|f| self.open(f).is_some());
            let Some(frame) = frame else {
                offset += ALIGN_BYTES;
                continue;
            };
            found.push(Candidate {
                offset,
                end: offset + frame.bytes,
                before: Mark {
                    seq: frame.seq.before(),
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
