//! Reading the journal: for recovery, for rebuilding the buffer, and when the buffer is out of order.
//!
//! A record counts if its CRC, its seal, its place and the chain before it hold. What does not hold is
//! either *torn* or *damaged*:
//! - In the last segment, a bad record after which only records of a write that began no later follow was
//!   part of a write that was never acknowledged: torn, and the tail ends before it. A group that is
//!   not whole goes with it.
//! - Everywhere else somebody may have been told that the record is safe: damaged. It becomes a gap with
//!   its first and last event, and reading goes on at the next good record, whose stored chain says
//!   where the history stands. The damaged bytes are handed out, for the quarantine.
//!
//! A segment that was thinned out has a higher revision than the one it replaces. The highest that can be
//! read counts; the others are leftovers of a thinning that a kill cut short.
//!
//! Scanning changes nothing on the disk.

use std::borrow::Cow;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::{Epoch, Seq};

use super::segment::{HEADER_BYTES, SegmentHeader, frame_bytes};
use super::segment_reader::SegmentReader;
use crate::storage::disk::Disk;
use crate::vault::Seal;

/// Read at once where a whole file cannot be read; a block that refuses counts as zeros.
const SALVAGE_BLOCK_BYTES: usize = 4096;
/// What a segment is taken to have held that cannot be opened, in bytes.
const LOST_FILE_BYTES: u64 = 16 * 1024 * 1024;
const REASON_MISSING: &str = "a journal segment is missing or unreadable";

/// Where an epoch's journal lies and how its records open.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) epoch: Epoch,
    pub(crate) seal: Seal,
}

/// Where a record stands in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    /// The segment's number.
    pub(crate) segment: u64,
    /// Where its record begins in the segment's file.
    pub(crate) offset: u64,
    /// The length of its sealed payload.
    pub(crate) sealed_bytes: u32,
}

/// Bytes of the journal that do not verify.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Damaged<'a> {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: &'a [u8],
}

/// What a scan comes upon, in order.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// An event, with the mark after it.
    Record {
        mark: Mark,
        at: Address,
        plain: Vec<u8>,
    },
    /// Events that are lost, or were given up.
    Gap {
        from: Seq,
        until: Mark,
        reason: Cow<'static, str>,
        /// What stands in their place, if anything does.
        damaged: Option<Damaged<'a>>,
        /// Whether they were given up on purpose.
        given_up: bool,
    },
}

impl Found<'_> {
    /// Returns the mark after it.
    pub(crate) fn mark(&self) -> Mark {
        match self {
            Self::Record { mark, .. } | Self::Gap { until: mark, .. } => *mark,
        }
    }
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
    pub(super) revision: u32,
    pub(super) path: PathBuf,
}

/// What a scan says of the journal as a whole.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(super) segments: Vec<SegmentFile>,
    /// Files that are no readable segment of this epoch.
    pub(super) unreadable: Vec<PathBuf>,
    /// Segments that were replaced and should be gone.
    pub(super) leftovers: Vec<PathBuf>,
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
            leftovers: Vec::new(),
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
        let first = self.segments.first().map(|s| s.header.number);
        self.unreadable_numbers()
            .any(|number| first.is_some_and(|first| number < first))
    }

    /// Returns whether a file behind the newest readable segment could not be read, so that nobody
    /// knows how many events it held.
    pub(crate) fn lost_back(&self) -> bool {
        self.unreadable_behind().next().is_some()
    }

    fn unreadable_numbers(&self) -> impl Iterator<Item = u64> {
        self.unreadable.iter().filter_map(|path| number_of(path))
    }

    fn unreadable_behind(&self) -> impl Iterator<Item = &PathBuf> {
        let last = self.segments.last().map(|s| s.header.number);
        self.unreadable
            .iter()
            .filter(move |path| number_of(path) > last)
    }

    /// The highest number that any segment ever had, as far as its name tells.
    pub(super) fn last_number(&self) -> u64 {
        let readable = self.segments.last().map_or(0, |s| s.header.number);
        self.unreadable_numbers().max().unwrap_or(0).max(readable)
    }

    /// Returns whether every file was a readable segment.
    pub(crate) fn all_readable(&self) -> bool {
        self.unreadable.is_empty()
    }

    /// Returns whether no segment can be read though there are some.
    pub(crate) fn lost_all(&self) -> bool {
        self.segments.is_empty() && !self.unreadable.is_empty()
    }

    /// Returns how many events the unreadable files behind the newest readable segment can have held at
    /// the most.
    pub(crate) fn lost_back_max(&self, disk: &dyn Disk) -> u64 {
        let held = self.unreadable_behind().map(|path| {
            // A file that cannot even be opened held no more than the largest.
            let bytes = disk.open(path).and_then(|file| file.length());
            bytes.unwrap_or(LOST_FILE_BYTES) / frame_bytes(0) as u64 + 1
        });
        held.sum()
    }
}

/// Returns a segment's file name. Names sort by number, then by revision.
pub(super) fn segment_name(number: u64, revision: u32) -> String {
    if revision == 0 {
        format!("{number:012}.segment")
    } else {
        // An underscore sorts behind the dot.
        format!("{number:012}_{revision:06}.segment")
    }
}

fn parse_name(name: &str) -> Option<(u64, u32)> {
    let stem = name.strip_suffix(".segment")?;
    let (number, revision) = match stem.split_once('_') {
        None => (stem, 0),
        Some((number, revision)) => (number, revision.parse().ok()?),
    };
    let number = number.parse().ok()?;
    (segment_name(number, revision) == name).then_some((number, revision))
}

impl Source {
    /// Reads the journal and hands what it finds to `sink`, until that has enough.
    pub(crate) fn scan(
        &self,
        reach: Reach,
        sink: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>,
    ) -> io::Result<Scan> {
        let mut scan = self.segments()?;
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
                    reason: REASON_MISSING.into(),
                    damaged: None,
                    given_up: false,
                })
                .is_break()
            {
                return Ok(scan);
            }
            let end = scan.segments.get(index + 1).map(|s| s.header.before);
            let bytes = read_lossily(&*self.disk, &segment.path)?;
            let mut reader = SegmentReader::new(self, &segment.header, &bytes);
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

    /// Hands the records of one segment to `sink`.
    pub(super) fn scan_segment(
        &self,
        segment: &SegmentFile,
        end: Mark,
        sink: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let bytes = read_lossily(&*self.disk, &segment.path)?;
        // Whoever has enough says so to itself.
        let _flow = SegmentReader::new(self, &segment.header, &bytes).read(Some(end), sink);
        Ok(())
    }

    /// Returns where a segment's file is.
    pub(super) fn path(&self, number: u64, revision: u32) -> PathBuf {
        self.dir.join(segment_name(number, revision))
    }

    /// Lists the segments in order.
    fn segments(&self) -> io::Result<Scan> {
        let mut scan = Scan::empty();
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
            let named = parse_name(&name);
            let header = SegmentHeader::decode(&block)
                .filter(|h| read.is_ok() && h.epoch == self.epoch)
                .zip(named)
                .filter(|(h, (number, _))| h.number == *number);
            let Some((header, (_, revision))) = header else {
                scan.unreadable.push(path);
                continue;
            };
            // Taken for damage, every event would be given up while the right key may yet come.
            if header.key_print != self.seal.print() {
                return Err(io::Error::other(
                    "the journal is sealed under another key: put the former key back",
                ));
            }
            let found = SegmentFile {
                header,
                revision,
                path,
            };
            let former = scan
                .segments
                .pop_if(|last| last.header.number == found.header.number);
            scan.leftovers.extend(former.map(|former| former.path));
            scan.segments.push(found);
        }
        Ok(scan)
    }
}

fn number_of(path: &Path) -> Option<u64> {
    parse_name(path.file_name()?.to_str()?).map(|(number, _)| number)
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
