//! Where segments come from and where they go: fresh files, spares, the reserve.
//!
//! Making a segment takes far longer than a commit, so that one is made ahead; what is acknowledged becomes
//! a spare, as long as others do not need the room more.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tillbind_protocol::ids::Seq;

use super::segment::{HEADER_BYTES, RECORD_HEADER_BYTES, Salt, SegmentHeader};
use super::yard::{RESERVES, SPARES_MAX, forget};
use super::{Active, BLOCK_BYTES, CommitError, Journal, Reserve, Segment, failed};

/// What the journal takes a new segment's file from.
enum NewFile {
    Spare(PathBuf),
    Fresh(PathBuf),
}

impl Journal {
    /// Returns by how much the disk's load grows if a group is to be kept.
    pub(crate) fn growth_bytes(&self, group_bytes: u64) -> u64 {
        let needed = HEADER_BYTES + group_bytes + RECORD_HEADER_BYTES as u64;
        if self.spares.len() > RESERVES && needed <= self.yard.segment_bytes {
            return 0;
        }
        needed.max(self.yard.segment_bytes)
    }

    /// Begins a new segment if a group does not fit. Nothing may be staged.
    pub(crate) fn make_room(
        &mut self,
        group_bytes: u64,
        reserve: Reserve,
    ) -> Result<(), CommitError> {
        debug_assert!(
            self.staging.records.is_empty(),
            "commit before a new segment"
        );
        if self.fits(group_bytes) {
            return Ok(());
        }
        let needed = HEADER_BYTES + group_bytes + RECORD_HEADER_BYTES as u64;
        // The former one stays open until there is a new one: what fits in it can still be kept.
        self.begin_segment(needed.max(self.yard.segment_bytes), reserve)
            .map_err(failed("begin a new segment of"))
    }

    fn new_file(&mut self, bytes: u64, reserve: Reserve) -> io::Result<NewFile> {
        let fits = bytes == self.yard.segment_bytes;
        if fits && self.spares.len() > RESERVES {
            return self
                .spares
                .pop()
                .map(NewFile::Spare)
                .ok_or_else(|| io::ErrorKind::StorageFull.into());
        }
        let disk = Arc::clone(&self.source.disk);
        let made = self.yard.make_fresh(&*disk, bytes);
        match made {
            Ok(fresh) => {
                self.bytes_written += bytes;
                Ok(NewFile::Fresh(fresh))
            }
            Err(error) => match (reserve, fits) {
                (Reserve::Taken, true) => self.spares.pop().map(NewFile::Spare).ok_or(error),
                (Reserve::Taken, false) | (Reserve::Spared, _) => Err(error),
            },
        }
    }

    pub(super) fn begin_segment(&mut self, bytes: u64, reserve: Reserve) -> io::Result<()> {
        let disk = Arc::clone(&self.source.disk);
        let mut salt = Salt::default();
        (self.random)(&mut salt);
        let header = SegmentHeader {
            number: self.next_number,
            epoch: self.source.epoch,
            salt,
            before: self.head,
            bytes,
            key_print: self.source.seal.print(),
        };
        let (NewFile::Spare(staged) | NewFile::Fresh(staged)) = self.new_file(bytes, reserve)?;
        let path = self.source.path(header.number, 0);
        let prepared = disk.open(&staged).and_then(|file| {
            // A spare whose length is not what the header says would end in reads past its end.
            if file.length()? != bytes {
                file.fill_zero(bytes)?;
            }
            file.write_at(&header.encode(), 0)?;
            file.sync_data()?;
            disk.rename(&staged, &path)?;
            disk.sync_dir(&self.source.dir)?;
            Ok(file)
        });
        let file = match prepared {
            Ok(file) => file,
            Err(e) => {
                // Whatever is left of it must not come back as a segment.
                forget(&*disk, &staged);
                forget(&*disk, &path);
                return Err(e);
            }
        };
        self.next_number += 1;
        self.syncs += 1;
        self.bytes_written += HEADER_BYTES + BLOCK_BYTES;
        self.segments.push_back(Segment {
            number: header.number,
            revision: 0,
            before: header.before,
            bytes,
            path,
        });
        self.active = Some(Active {
            file,
            salt,
            offset: HEADER_BYTES,
            bytes,
        });
        Ok(())
    }

    /// Makes a spare of the last segment, when all that is in it is acknowledged and the watermark that says
    /// so is durable: without any segment it alone is the epoch's witness. The one way to go on where there
    /// is no room for a second segment.
    pub(crate) fn give_last_back(&mut self) -> io::Result<bool> {
        let disk = Arc::clone(&self.source.disk);
        let is_usual = |segment: &Segment| segment.bytes == self.yard.segment_bytes;
        let Some(segment) = self.segments.back().filter(|last| is_usual(last)) else {
            return Ok(false);
        };
        let spare = self
            .yard
            .spare_dir
            .join(format!("{}-last-{}", self.source.epoch, segment.number));
        disk.rename(&segment.path, &spare)?;
        self.segments.pop_back();
        self.active = None;
        self.spares.push(spare);
        disk.sync_dir(&self.source.dir)?;
        disk.sync_dir(&self.yard.spare_dir)?;
        Ok(true)
    }

    /// Returns whether a spare should be made ahead: the reserve always, the next segment once the
    /// present one is half full. Making one takes far longer than a commit.
    pub(crate) fn wants_spare(&self) -> bool {
        let is_half_full = |active: &Active| active.offset > active.bytes / 2;
        let next = usize::from(self.active.as_ref().is_some_and(is_half_full));
        self.spares.len() < RESERVES + next
    }

    /// Looks anew which spares there are, after another journal may have taken some.
    pub(crate) fn look_for_spares(&mut self) {
        match self.yard.usable_spares(&*self.source.disk) {
            Ok(spares) => self.spares = spares,
            Err(error) => tracing::warn!(%error, "spare segments cannot be listed"),
        }
    }

    /// Makes a spare segment.
    pub(crate) fn make_spare_ahead(&mut self) -> io::Result<()> {
        let disk = Arc::clone(&self.source.disk);
        // No other spare may have its name, of this run or an earlier one.
        let mut name = [0; 8];
        (self.random)(&mut name);
        let fresh = self.yard.make_fresh(&*disk, self.yard.segment_bytes)?;
        self.bytes_written += self.yard.segment_bytes;
        disk.open(&fresh)?.sync_data()?;
        let spare =
            self.yard
                .spare_dir
                .join(format!("{}-ahead-{}", self.source.epoch, hex::encode(name)));
        disk.rename(&fresh, &spare)?;
        disk.sync_dir(&self.yard.spare_dir)?;
        self.spares.push(spare);
        Ok(())
    }

    /// Returns whether [`Self::release`] would give any segment back.
    pub(crate) fn has_released(&self, acked: Seq) -> bool {
        self.segments
            .get(1)
            .is_some_and(|next| next.before.seq <= acked)
    }

    /// Gives back every segment whose events are all acknowledged. Where room is short, the disk gets what
    /// the reserve does not need.
    pub(crate) fn release(&mut self, acked: Seq, is_roomy: bool) -> io::Result<()> {
        let spares_max = if is_roomy { SPARES_MAX } else { RESERVES };
        let disk = Arc::clone(&self.source.disk);
        let mut changed = false;
        while self.has_released(acked) {
            let Some(segment) = self.segments.front() else {
                break;
            };
            if self.spares.len() < spares_max && segment.bytes == self.yard.segment_bytes {
                let spare = self
                    .yard
                    .spare_dir
                    .join(format!("{}-{}", self.source.epoch, segment.number));
                disk.rename(&segment.path, &spare)?;
                self.spares.push(spare);
            } else {
                disk.remove_file(&segment.path)?;
            }
            self.segments.pop_front();
            changed = true;
        }
        if changed {
            disk.sync_dir(&self.source.dir)?;
            disk.sync_dir(&self.yard.spare_dir)?;
        }
        Ok(())
    }
}
