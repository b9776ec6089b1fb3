//! The write-ahead log in front of the buffer: the one place that makes an event durable.
//!
//! An epoch's directory holds segments of fixed size, filled with zeros when they are made, so that a
//! commit changes data blocks alone and `fdatasync` has no metadata to write. [`segment`] describes the
//! bytes, [`scan`] how they are read again. A commit is one write and one sync for all that was staged;
//! a segment whose events are all acknowledged becomes a spare for a later one.
//!
//! When a write fails, its numbers are not used and the bytes are wiped. When a sync fails, the kernel
//! may have dropped the pages and call the next sync a success: the segment gets no further record, and
//! what comes next goes to a new one, which tells recovery to disregard the rest of the old.
//!
//! Disk space is given back by whole segments, and by [`thinning`] one when events are given up. One spare
//! segment is a reserve: it is taken for thinning, which needs room on a full disk, and for nothing else
//! as long as anything can still be given up.

mod salvage;
mod scan;
mod segment;
mod segment_reader;
mod supply;
#[cfg(test)]
mod tests;
mod thinning;
mod window;
mod yard;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tillbind_protocol::chain::Mark;

pub(crate) use salvage::salvaged;
pub(crate) use scan::{Address, Damaged, Found, Reach, Scan, Source};
pub(crate) use segment::Gap;
use segment::{Batch, HEADER_BYTES, RECORD_HEADER_BYTES, Salt, SegmentHeader, TERMINATOR};
pub(crate) use thinning::Thinned;
pub(crate) use window::{Revisions, Window};
pub(crate) use yard::Yard;
use yard::forget;

use super::worth::Class;
use crate::storage::disk::DiskFile;
use crate::vault::Random;

/// What a disk writes at least, in bytes: a smaller write costs a whole block.
const BLOCK_BYTES: u64 = 4096;

/// A commit that failed; its events are not durable and their numbers are not used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {doing} the journal: the event was not kept")]
pub struct CommitError {
    /// What was tried.
    pub doing: &'static str,
    /// The system's answer.
    #[source]
    pub source: Arc<io::Error>,
}

impl CommitError {
    /// Tells whether it was for want of room.
    pub fn is_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> CommitError {
    move |source| CommitError {
        doing,
        source: Arc::new(source),
    }
}

/// Figures of the journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct JournalStats {
    pub(crate) segments: u64,
    pub(crate) spares: u64,
    pub(crate) disk_bytes: u64,
    pub(crate) syncs: u64,
    pub(crate) bytes_written: u64,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    /// Counts how often it was thinned out.
    revision: u32,
    before: Mark,
    bytes: u64,
    path: PathBuf,
}

#[derive(Debug)]
struct Active {
    file: Box<dyn DiskFile>,
    salt: Salt,
    offset: u64,
    bytes: u64,
}

/// The staged records of the write to come.
#[derive(Debug, Default)]
struct Staging {
    bytes: Vec<u8>,
    records: Vec<Staged>,
}

/// A record of the write to come, or of the one just made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Staged {
    pub(crate) mark: Mark,
    pub(crate) at: Address,
    pub(crate) class: Class,
}

/// Whether the last reserve may be taken for a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reserve {
    /// It stays for thinning.
    Spared,
    /// It is taken: there is nothing left to thin out.
    Taken,
}

/// The journal of one epoch, open for appending.
pub(crate) struct Journal {
    source: Source,
    yard: Yard,
    random: Random,
    /// Oldest first; the last one is the active one, if there is an active one.
    segments: VecDeque<Segment>,
    active: Option<Active>,
    next_number: u64,
    spares: Vec<PathBuf>,
    head: Mark,
    staging: Staging,
    syncs: u64,
    bytes_written: u64,
}

impl Journal {
    /// Takes up the journal where a scan left it, after mending what the scan found: unreadable segments
    /// are set aside, the last write is made sure of, a torn tail is wiped. `head` is the mark to go on from, the scan's tail or later.
    pub(crate) fn open(
        source: Source,
        yard: Yard,
        random: Random,
        scan: Scan,
        head: Mark,
    ) -> io::Result<Self> {
        let disk = Arc::clone(&source.disk);
        // A name that a killed process gave may not be on the disk yet.
        disk.sync_dir(&source.dir)?;
        let mut active = None;
        if let Some(last) = scan.segments.last() {
            let file = disk.open(&last.path)?;
            settle_last_write(&*file, &scan)?;
            if scan.tail == Some(head) {
                active = Some(Active {
                    file,
                    salt: last.header.salt,
                    offset: scan.tail_offset,
                    bytes: last.header.bytes,
                });
            }
        }
        for path in &scan.leftovers {
            forget(&*disk, path);
        }
        let spares = yard.usable_spares(&*disk)?;
        // Past the unreadable ones too: a set-aside file keeps its number for good.
        let next_number = scan.last_number() + 1;
        let segments: VecDeque<_> = scan
            .segments
            .into_iter()
            .map(|s| Segment {
                number: s.header.number,
                revision: s.revision,
                before: s.header.before,
                bytes: s.header.bytes,
                path: s.path,
            })
            .collect();
        let mut journal = Self {
            source,
            yard,
            random,
            segments,
            active,
            next_number,
            spares,
            head,
            staging: Staging::default(),
            syncs: 0,
            bytes_written: 0,
        };
        if !scan.unreadable.is_empty() {
            journal.set_aside(&scan.unreadable)?;
        }
        Ok(journal)
    }

    /// Moves files that cannot be read out of the way. What they may have held must stay known: only a
    /// segment behind them bears witness to it, so without room for that they stay where they are.
    fn set_aside(&mut self, unreadable: &[PathBuf]) -> io::Result<()> {
        let disk = Arc::clone(&self.source.disk);
        if self.active.is_none()
            && let Err(error) = self.begin_segment(self.yard.segment_bytes, Reserve::Taken)
        {
            tracing::warn!(%error, "unreadable journal files stay where they are for want of a new segment");
            return Ok(());
        }
        disk.make_dir(&self.yard.damaged_dir)?;
        for path in unreadable {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let aside = format!("{}-{name}", self.source.epoch);
            disk.rename(path, &self.yard.damaged_dir.join(aside))?;
        }
        disk.sync_dir(&self.yard.damaged_dir)?;
        disk.sync_dir(&self.source.dir)
    }

    /// Returns the newest durable mark.
    pub(crate) fn head(&self) -> Mark {
        self.head
    }

    /// Returns the journal's directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.source.dir
    }

    /// Returns the length of a usual segment.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.yard.segment_bytes
    }

    /// Returns where this journal can be read.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Follows its directory to a new name.
    pub(crate) fn moved_to(&mut self, dir: &Path) {
        for segment in &mut self.segments {
            if let Some(name) = segment.path.file_name() {
                segment.path = dir.join(name);
            }
        }
        self.source.dir = dir.to_owned();
    }

    /// Returns what a group of records takes in a segment.
    pub(crate) fn group_bytes(records: &[Vec<u8>]) -> u64 {
        records
            .iter()
            .map(|record| segment::frame_bytes(record.len()) as u64)
            .sum()
    }

    /// Returns whether a group fits behind what is staged.
    pub(crate) fn fits(&self, group_bytes: u64) -> bool {
        self.active.as_ref().is_some_and(|active| {
            let staged = self.staging.bytes.len() as u64;
            active.offset + staged + group_bytes + RECORD_HEADER_BYTES as u64 <= active.bytes
        })
    }

    /// Stages a group for the next commit. The caller has made room for it.
    pub(crate) fn stage(&mut self, records: &[Vec<u8>]) {
        // To go on without a segment would promise what is not kept: better no outbox at all.
        let active = self
            .active
            .as_ref()
            .expect("every caller makes room before it stages");
        let staging = &mut self.staging;
        let batch = Batch {
            epoch: self.source.epoch,
            salt: &active.salt,
            seal: &self.source.seal,
            first: self.head.seq.next(),
        };
        // What is staged goes to the segment that is open, which is the last one.
        let segment = self.segments.back().map_or(0, |last| last.number);
        for (index, record) in records.iter().enumerate() {
            let before = staging.records.last().map_or(self.head, |last| last.mark);
            let continues = index + 1 < records.len();
            let offset = active.offset + staging.bytes.len() as u64;
            let sealed = batch.encode(before, record, continues, &mut staging.bytes);
            staging.records.push(Staged {
                mark: before.next(record),
                at: Address {
                    segment,
                    offset,
                    // A record has at most 256 KiB.
                    sealed_bytes: sealed.len() as u32,
                },
                class: Class::of(record),
            });
        }
    }

    /// Returns the mark after the last staged record.
    pub(crate) fn staged_head(&self) -> Mark {
        self.staging
            .records
            .last()
            .map_or(self.head, |last| last.mark)
    }

    /// Returns what is staged, or was just committed.
    pub(crate) fn staged(&self) -> &[Staged] {
        &self.staging.records
    }

    /// Makes a gap durable that stands for events of which nothing is left.
    pub(crate) fn append_gap(&mut self, gap: &Gap) -> Result<(), CommitError> {
        self.make_room(
            segment::frame_bytes(gap.reason.len() + 64) as u64,
            Reserve::Taken,
        )?;
        let active = self.active.as_ref().expect("room was made for it just now");
        let batch = Batch {
            epoch: self.source.epoch,
            salt: &active.salt,
            seal: &self.source.seal,
            first: gap.from,
        };
        batch.encode_gap(self.head, gap, &mut self.staging.bytes);
        let written = self.write_staged();
        self.clear_staged();
        written?;
        self.head = gap.until;
        Ok(())
    }

    /// Forgets what is staged, committed or not.
    pub(crate) fn clear_staged(&mut self) {
        self.staging.bytes.clear();
        self.staging.records.clear();
    }

    /// Makes all that is staged durable by one write and one sync.
    pub(crate) fn commit(&mut self) -> Result<(), CommitError> {
        if self.staging.records.is_empty() {
            return Ok(());
        }
        self.write_staged()?;
        self.head = self.staged_head();
        Ok(())
    }

    fn write_staged(&mut self) -> Result<(), CommitError> {
        let active = self
            .active
            .as_mut()
            .expect("what is staged was staged for a segment");
        let bytes = &mut self.staging.bytes;
        let length = bytes.len();
        bytes.extend_from_slice(&TERMINATOR);
        let written = active.file.write_at(bytes, active.offset);
        bytes.truncate(length);
        if let Err(e) = written {
            // The next commit overwrites the rest; the zeros keep the first record from coming back if
            // there is none.
            if active.file.write_at(&TERMINATOR, active.offset).is_err() {
                self.abandon_active();
            }
            return Err(failed("write to")(e));
        }
        if let Err(e) = active.file.sync_data() {
            self.abandon_active();
            return Err(failed("sync")(e));
        }
        let end = active.offset + (length + TERMINATOR.len()) as u64;
        let blocks = end.div_ceil(BLOCK_BYTES) - active.offset / BLOCK_BYTES;
        active.offset += length as u64;
        self.syncs += 1;
        self.bytes_written += blocks * BLOCK_BYTES;
        Ok(())
    }

    /// Gives up the active segment's tail; a segment that holds nothing else is removed, unless it is the
    /// only witness of the epoch.
    fn abandon_active(&mut self) {
        let was_empty = self
            .active
            .take()
            .is_some_and(|active| active.offset == HEADER_BYTES);
        if was_empty
            && self.segments.len() > 1
            && let Some(segment) = self.segments.pop_back()
        {
            forget(&*self.source.disk, &segment.path);
        }
    }

    /// Returns the journal's figures.
    pub(crate) fn stats(&self) -> JournalStats {
        let spares = self.spares.len() as u64;
        JournalStats {
            segments: self.segments.len() as u64,
            spares,
            disk_bytes: self.segments.iter().map(|s| s.bytes).sum::<u64>()
                + spares * self.yard.segment_bytes,
            syncs: self.syncs,
            bytes_written: self.bytes_written,
        }
    }
}

/// Makes sure that the last write is on the disk, and what is torn behind it is not.
///
/// A process that was killed, or whose last sync failed, leaves bytes that can be read but would be gone
/// after a power cut; after a failed sync the kernel even takes them for saved. Only the last write can be
/// such: each other one was followed by another, which comes after a good sync alone. It is written once
/// more, byte for byte.
fn settle_last_write(file: &dyn DiskFile, scan: &Scan) -> io::Result<()> {
    let begin = scan.last_write_offset;
    let kept = usize::try_from(scan.tail_offset - begin).map_err(io::Error::other)?;
    let torn = usize::try_from(scan.torn_bytes).map_err(io::Error::other)?;
    if kept + torn == 0 {
        return Ok(());
    }
    let mut bytes = vec![0; kept + torn];
    file.read_at(&mut bytes[..kept], begin)?;
    file.write_at(&bytes, begin)?;
    file.sync_data()
}
