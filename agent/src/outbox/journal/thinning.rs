//! Thinning out a segment: events that are given up leave it, a gap stands in their place.
//!
//! What is kept is written, with the numbers and the chain that it has, into the reserve (on a full disk
//! there is no other room), synced, and given the segment's name with the next revision: from that
//! rename on it counts. The former file becomes the reserve. A segment that is still written to keeps its
//! length; any other is cut off behind its last record, which is what gives disk back.
//!
//! A kill or a power cut leaves the former segment, or both; the higher revision counts.

use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::Seq;

use super::super::worth::Class;
use super::scan::SegmentFile;
use super::segment::{Batch, Salt};
use super::yard::forget;
use super::{
    Active, Address, BLOCK_BYTES, CommitError, Found, Gap, HEADER_BYTES, Journal, Revisions,
    SegmentHeader, TERMINATOR, failed,
};

/// What became of a segment.
#[derive(Debug, Default)]
pub(crate) struct Thinned {
    /// Where what was kept stands now.
    pub(crate) kept: Vec<(Mark, Address, Class)>,
    /// What stands for what is gone, earlier gaps among it.
    pub(crate) gaps: Vec<Gap>,
    /// Disk that was given back, in bytes.
    pub(crate) freed_bytes: u64,
}

/// A thinned segment in the making.
struct Draft<'a> {
    batch: Batch<'a>,
    segment: u64,
    bytes: Vec<u8>,
    thinned: Thinned,
    /// The mark before what comes next.
    before: Mark,
    gap: Option<Gap>,
}

impl Draft<'_> {
    fn keep(&mut self, mark: Mark, plain: &[u8]) {
        self.close_gap();
        let offset = HEADER_BYTES + self.bytes.len() as u64;
        // All of it was acknowledged: no group has to be kept together any more.
        let sealed = self
            .batch
            .encode(self.before, plain, false, &mut self.bytes);
        self.before = mark;
        self.thinned.kept.push((
            mark,
            Address {
                segment: self.segment,
                offset,
                // A record has at most 256 KiB.
                sealed_bytes: sealed.len() as u32,
            },
            Class::of(plain),
        ));
    }

    fn give_up(&mut self, from: Seq, until: Mark, reason: &str) {
        match &mut self.gap {
            Some(gap) if gap.reason == reason => gap.until = until,
            Some(_) | None => {
                self.close_gap();
                self.gap = Some(Gap {
                    from,
                    until,
                    reason: reason.to_owned(),
                });
            }
        }
    }

    fn close_gap(&mut self) {
        if let Some(gap) = self.gap.take() {
            self.batch.encode_gap(self.before, &gap, &mut self.bytes);
            self.before = gap.until;
            self.thinned.gaps.push(gap);
        }
    }
}

impl Journal {
    /// Returns the numbers of the segments, oldest first.
    pub(crate) fn segment_numbers(&self) -> Vec<u64> {
        self.segments.iter().map(|s| s.number).collect()
    }

    /// Returns whether there is a file to write what is left of a segment into.
    pub(crate) fn can_thin(&self, number: u64) -> bool {
        let segment = self.index_of(number).map(|index| &self.segments[index]);
        segment.is_some_and(|s| s.bytes != self.yard.segment_bytes || !self.spares.is_empty())
    }

    /// Returns how often a segment was thinned out.
    pub(crate) fn revision(&self, number: u64) -> u32 {
        self.index_of(number)
            .map_or(0, |index| self.segments[index].revision)
    }

    /// Returns the revisions of the segments that were thinned out.
    pub(crate) fn revisions(&self) -> Revisions {
        let thinned = self.segments.iter().filter(|s| s.revision > 0);
        thinned.map(|s| (s.number, s.revision)).collect()
    }

    /// Returns the number of the segment that holds the first event after a place.
    pub(crate) fn oldest_waiting(&self, acked: Seq) -> u64 {
        let holds = |s: &&super::Segment| s.before.seq <= acked;
        let newest = self.segments.iter().rev().find(holds);
        newest.or(self.segments.front()).map_or(0, |s| s.number)
    }

    /// Hands what a segment holds to `sink`.
    pub(crate) fn read_segment(
        &self,
        number: u64,
        sink: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let Some((file, end)) = self.segment_file(number)? else {
            return Ok(());
        };
        self.source.scan_segment(&file, end, sink)
    }

    /// The file of a segment, and the mark after its last record.
    fn segment_file(&self, number: u64) -> io::Result<Option<(SegmentFile, Mark)>> {
        let Some(index) = self.index_of(number) else {
            return Ok(None);
        };
        let segment = &self.segments[index];
        let end = self.segments.get(index + 1).map_or(self.head, |s| s.before);
        let mut block = vec![0; HEADER_BYTES as usize];
        self.source
            .disk
            .open(&segment.path)?
            .read_at(&mut block, 0)?;
        let header = SegmentHeader::decode(&block)
            .ok_or_else(|| io::Error::other("the header of a journal segment is spoilt"))?;
        Ok(Some((
            SegmentFile {
                header,
                revision: segment.revision,
                path: segment.path.clone(),
            },
            end,
        )))
    }

    fn index_of(&self, number: u64) -> Option<usize> {
        self.segments.iter().position(|s| s.number == number)
    }

    /// Gives events of a segment up, for a reason. Nothing may be staged. `None` if there is no such
    /// segment, or no room to write what is left of it.
    pub(crate) fn thin(
        &mut self,
        number: u64,
        victims: &BTreeSet<Seq>,
        reason: &str,
    ) -> Result<Option<Thinned>, CommitError> {
        let thinning = failed("thin out a segment of");
        let Some(file) = self.segment_file(number).map_err(&thinning)? else {
            return Ok(None);
        };
        let Some(index) = self.index_of(number) else {
            return Ok(None);
        };
        let is_active = self.active.is_some() && index + 1 == self.segments.len();
        let mut salt = Salt::default();
        (self.random)(&mut salt);
        let (body, mut thinned) = self
            .draft(&file, &salt, victims, reason)
            .map_err(&thinning)?;
        let written_bytes = HEADER_BYTES + (body.len() + TERMINATOR.len()) as u64;
        let former_bytes = self.segments[index].bytes;
        let bytes = if is_active {
            former_bytes
        } else {
            written_bytes
        };
        let header = SegmentHeader {
            salt,
            bytes,
            ..file.0.header
        };
        let mut content = header.encode();
        content.truncate(HEADER_BYTES as usize);
        content.extend_from_slice(&body);
        content.extend_from_slice(&TERMINATOR);
        let disk = Arc::clone(&self.source.disk);
        let swaps = former_bytes == self.yard.segment_bytes;
        let staged = match swaps.then(|| self.spares.pop()) {
            Some(None) => return Ok(None),
            Some(Some(reserve)) => reserve,
            // A short segment goes into a shorter file: there is room for it beside the other.
            None => self.yard.spare_dir.join("thinned"),
        };
        let revision = self.segments[index].revision + 1;
        let path = self.source.path(number, revision);
        let written = (|| {
            let file = if swaps {
                disk.open(&staged)?
            } else {
                disk.create(&staged)?
            };
            file.write_at(&content, 0)?;
            if !is_active {
                file.set_length(bytes)?;
            }
            file.sync_data()?;
            disk.rename(&staged, &path)?;
            disk.sync_dir(&self.source.dir)?;
            Ok(file)
        })();
        let new_file = match written {
            Ok(file) => file,
            Err(error) => {
                forget(&*disk, &path);
                self.put_back(staged, swaps);
                return Err(thinning(error));
            }
        };
        self.syncs += 1;
        self.bytes_written += written_bytes.next_multiple_of(BLOCK_BYTES);
        let former = std::mem::replace(&mut self.segments[index].path, path);
        self.segments[index].revision = revision;
        self.segments[index].bytes = bytes;
        if is_active {
            self.active = Some(Active {
                file: new_file,
                salt,
                offset: HEADER_BYTES + body.len() as u64,
                bytes,
            });
        }
        let spare = format!("{}-{number}-{revision}", self.source.epoch);
        self.retire(&former, swaps.then_some(spare));
        thinned.freed_bytes = former_bytes - bytes.min(former_bytes);
        Ok(Some(thinned))
    }

    /// Writes what is left of a segment.
    fn draft(
        &self,
        (file, end): &(SegmentFile, Mark),
        salt: &Salt,
        victims: &BTreeSet<Seq>,
        reason: &str,
    ) -> io::Result<(Vec<u8>, Thinned)> {
        let before = file.header.before;
        let mut draft = Draft {
            batch: Batch {
                epoch: self.source.epoch,
                salt,
                seal: &self.source.seal,
                first: before.seq.next(),
            },
            segment: file.header.number,
            bytes: Vec::new(),
            thinned: Thinned::default(),
            before,
            gap: None,
        };
        self.source.scan_segment(file, *end, &mut |found| {
            match found {
                Found::Record { mark, plain, .. } if !victims.contains(&mark.seq) => {
                    draft.keep(mark, &plain);
                }
                Found::Record { mark, .. } => draft.give_up(mark.seq, mark, reason),
                Found::Gap {
                    from,
                    until,
                    reason,
                    ..
                } => draft.give_up(from, until, &reason),
            }
            ControlFlow::Continue(())
        })?;
        draft.close_gap();
        Ok((draft.bytes, draft.thinned))
    }

    /// Takes a reserve back whose use failed.
    fn put_back(&mut self, staged: PathBuf, was_reserve: bool) {
        let disk = Arc::clone(&self.source.disk);
        let restored = was_reserve
            && disk
                .open(&staged)
                .and_then(|file| file.set_length(self.yard.segment_bytes))
                .is_ok();
        if restored {
            self.spares.push(staged);
        } else {
            forget(&*disk, &staged);
        }
    }

    /// Makes the former file of a thinned segment the reserve, or removes it.
    fn retire(&mut self, former: &Path, reserve_name: Option<String>) {
        let disk = Arc::clone(&self.source.disk);
        let spare = reserve_name.map(|name| self.yard.spare_dir.join(name));
        match spare {
            Some(spare) if disk.rename(former, &spare).is_ok() => self.spares.push(spare),
            Some(_) | None => forget(&*disk, former),
        }
        // Until these are durable a restart finds the former beside the thinned one, and knows which counts.
        for dir in [&self.source.dir, &self.yard.spare_dir] {
            if let Err(error) = disk.sync_dir(dir) {
                tracing::warn!(%error, "the names of a thinned segment are not durable yet");
            }
        }
    }
}
