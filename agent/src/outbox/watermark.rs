//! Two small files that spare work and are never the only witness.
//!
//! `watermark`, in an epoch's directory, is the acknowledged mark: written before acknowledged segments go
//! and at a clean stop. Without it some events are sent again, which central knows by their numbers. It
//! has two places, each a block of the disk, that are written in turn: so one is whole at any time, and
//! a full disk keeps nobody from acknowledging, since nothing has to grow.
//!
//! `clean`, in the outbox's directory, is written last at a clean stop and removed first at the next
//! start: it names the buffer that can be trusted and the mark at which journal and buffer ended.
//!
//! Both are fixed fields, little endian, closed by a CRC-32C; a file that does not verify counts as absent.

use std::io;
use std::path::Path;

use tillbind_protocol::chain::{CHAIN_BYTES, ChainHash, Mark};
use tillbind_protocol::ids::{Epoch, Seq};

use crate::storage::disk::{Disk, DiskFile};

const WATERMARK_MAGIC: [u8; 8] = *b"TBWMRK2\n";
/// Length of a place in the watermark's file: no write to one can tear the other.
const PLACE_BYTES: usize = 4096;
const PLACES: u64 = 2;
/// The highest count of a writing: no disk lives to see it, so a higher one is damage.
const COUNT_MAX: u64 = u64::MAX / 2;
const CLEAN_MAGIC: [u8; 8] = *b"TBCLEAN1";

fn put_mark(bytes: &mut Vec<u8>, mark: Mark) {
    bytes.extend_from_slice(&mark.seq.0.to_le_bytes());
    bytes.extend_from_slice(&mark.chain.0);
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (field, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*field)
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    take(bytes).map(u64::from_le_bytes)
}

fn take_mark(bytes: &mut &[u8]) -> Option<Mark> {
    Some(Mark {
        seq: Seq(take_number(bytes)?),
        chain: ChainHash(take::<CHAIN_BYTES>(bytes)?),
    })
}

fn closed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// Returns what stands between magic and CRC.
fn opened(bytes: &[u8], magic: [u8; 8]) -> Option<&[u8]> {
    bytes
        .split_last_chunk::<4>()
        .filter(|(content, crc)| crc32c::crc32c(content).to_le_bytes() == **crc)
        .and_then(|(content, _)| content.strip_prefix(&magic))
}

/// One place of the watermark's file: which writing it was, and the mark.
#[derive(Debug, Clone, Copy)]
struct Written {
    count: u64,
    mark: Mark,
}

impl Written {
    const BYTES: usize = 8 + 8 + 8 + CHAIN_BYTES + 4;

    fn encode(&self) -> Vec<u8> {
        let mut bytes = WATERMARK_MAGIC.to_vec();
        bytes.extend_from_slice(&self.count.to_le_bytes());
        put_mark(&mut bytes, self.mark);
        closed(bytes)
    }

    fn decode(place: &[u8]) -> Option<Self> {
        let mut fields = opened(place.get(..Self::BYTES)?, WATERMARK_MAGIC)?;
        Some(Self {
            count: take_number(&mut fields).filter(|count| *count <= COUNT_MAX)?,
            mark: take_mark(&mut fields)?,
        })
    }
}

/// Returns the newest writing that holds.
fn newest(file: &dyn DiskFile) -> io::Result<Option<Written>> {
    let mut bytes = vec![0; PLACE_BYTES * PLACES as usize];
    let length = usize::try_from(file.length()?).map_err(io::Error::other)?;
    let length = length.min(bytes.len());
    file.read_at(&mut bytes[..length], 0)?;
    let places = bytes.chunks(PLACE_BYTES).filter_map(Written::decode);
    Ok(places.max_by_key(|written| written.count))
}

/// Makes an epoch's watermark, durably, with room for all that it will ever need.
pub(super) fn make_watermark(disk: &dyn Disk, path: &Path, acked: Mark) -> io::Result<()> {
    let file = disk.create(path)?;
    file.fill_zero(PLACE_BYTES as u64 * PLACES)?;
    let first = Written {
        count: 0,
        mark: acked,
    };
    file.write_at(&first.encode(), 0)?;
    file.sync_data()?;
    disk.sync_dir(path.parent().unwrap_or_else(|| Path::new(".")))
}

/// Writes the acknowledged mark of an epoch, and knows what of it the disk has. The file alone does not
/// tell: after a sync that failed it reads as if it had been kept, until the power goes.
#[derive(Debug, Default)]
pub(super) struct Watermark {
    durable: Option<Written>,
}

impl Watermark {
    /// Writes a mark, durably, unless it is the one that is there.
    pub(super) fn write(&mut self, disk: &dyn Disk, path: &Path, acked: Mark) -> io::Result<()> {
        let file = match disk.open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return make_watermark(disk, path, acked);
            }
            Err(e) => return Err(e),
        };
        if self.durable.is_none()
            && let Some(found) = newest(&*file)?
        {
            // The same bytes once more: whatever becomes of this write, the other place stays as it is.
            self.keep(&*file, found)?;
        }
        if self.durable.is_some_and(|durable| durable.mark == acked) {
            return Ok(());
        }
        let next = Written {
            count: self.durable.map_or(0, |durable| durable.count + 1),
            mark: acked,
        };
        self.keep(&*file, next)
    }

    /// Writes to the place of a count; a failed sync leaves the other as the one that counts.
    fn keep(&mut self, file: &dyn DiskFile, written: Written) -> io::Result<()> {
        let place = written.count % PLACES * PLACE_BYTES as u64;
        file.write_at(&written.encode(), place)?;
        file.sync_data()?;
        self.durable = Some(written);
        Ok(())
    }
}

/// Reads the acknowledged mark of an epoch, if it is known.
pub(super) fn read_watermark(disk: &dyn Disk, path: &Path) -> io::Result<Option<Mark>> {
    let file = match disk.open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let found = newest(&*file)?;
    if found.is_none() {
        tracing::warn!(path = %path.display(), "the watermark is damaged: events are sent again");
    }
    Ok(found.map(|written| written.mark))
}

/// How the outbox was left at a clean stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CleanStop {
    pub(super) epoch: Epoch,
    pub(super) tail: Mark,
    pub(super) acked: Mark,
    pub(super) buffer_number: u64,
    pub(super) waiting_bytes: u64,
}

impl CleanStop {
    pub(super) fn write(&self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        let mut bytes = CLEAN_MAGIC.to_vec();
        bytes.extend_from_slice(&self.epoch.0.to_le_bytes());
        put_mark(&mut bytes, self.tail);
        put_mark(&mut bytes, self.acked);
        bytes.extend_from_slice(&self.buffer_number.to_le_bytes());
        bytes.extend_from_slice(&self.waiting_bytes.to_le_bytes());
        disk.replace(path, &closed(bytes))
    }

    pub(super) fn read(disk: &dyn Disk, path: &Path) -> io::Result<Option<Self>> {
        let Some(bytes) = disk.read(path)? else {
            return Ok(None);
        };
        let content = opened(&bytes, CLEAN_MAGIC);
        if content.is_none() {
            tracing::warn!(path = %path.display(), "this file is damaged and is taken as absent");
        }
        Ok(content.and_then(|mut fields| {
            Some(Self {
                epoch: Epoch(take_number(&mut fields)?),
                tail: take_mark(&mut fields)?,
                acked: take_mark(&mut fields)?,
                buffer_number: take_number(&mut fields)?,
                waiting_bytes: take_number(&mut fields)?,
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::sim_disk::SimDisk;

    fn write_watermark(disk: &dyn Disk, path: &Path, acked: Mark) -> io::Result<()> {
        Watermark::default().write(disk, path, acked)
    }

    #[test]
    fn a_watermark_moves_on_a_full_disk_and_is_whole_after_any_power_cut() {
        let path = Path::new("/w");
        for seed in 0..50 {
            let disk = SimDisk::default();
            let mut mark = Mark::genesis(Epoch(1));
            make_watermark(&disk, path, mark).unwrap();
            disk.set_space_left(Some(0));
            for _ in 0..5 {
                mark = mark.next(b"x");
                write_watermark(&disk, path, mark).unwrap();
            }
            let next = mark.next(b"y");
            disk.cut_power_after(seed % 8, seed);
            let written = write_watermark(&disk, path, next);
            if !disk.is_cut() {
                disk.cut_power(seed);
            }
            let revived = disk.revived();
            let found = read_watermark(&revived, path).unwrap().unwrap();
            assert!(
                found == next || written.is_err() && found == mark,
                "seed {seed}"
            );
        }
    }

    #[test]
    fn a_mark_whose_sync_failed_does_not_count_as_written() {
        for seed in 0..20 {
            let disk = SimDisk::default();
            let path = Path::new("/w");
            let mark = Mark::genesis(Epoch(1)).next(b"x");
            make_watermark(&disk, path, mark).unwrap();
            let next = mark.next(b"y");
            let mut watermark = Watermark::default();
            watermark.write(&disk, path, mark).unwrap();
            disk.fail_syncs(1);
            watermark.write(&disk, path, next).unwrap_err();
            watermark.write(&disk, path, next).unwrap();
            disk.cut_power(seed);
            assert_eq!(read_watermark(&disk.revived(), path).unwrap(), Some(next));
        }
    }

    #[test]
    fn a_place_with_an_impossible_count_counts_as_absent_and_is_written_over() {
        let disk = SimDisk::default();
        let path = Path::new("/w");
        let mark = Mark::genesis(Epoch(1)).next(b"x");
        make_watermark(&disk, path, mark).unwrap();
        let impossible = Written {
            count: u64::MAX,
            mark: mark.next(b"y"),
        };
        let file = disk.open(path).unwrap();
        file.write_at(&impossible.encode(), PLACE_BYTES as u64)
            .unwrap();
        assert_eq!(read_watermark(&disk, path).unwrap(), Some(mark));
        let (first, second) = (mark.next(b"z"), mark.next(b"z").next(b"w"));
        for acked in [first, second] {
            write_watermark(&disk, path, acked).unwrap();
            assert_eq!(read_watermark(&disk, path).unwrap(), Some(acked));
        }
        file.write_at(&impossible.encode(), 0).unwrap();
        assert_eq!(read_watermark(&disk, path).unwrap(), Some(first));
    }

    #[test]
    fn both_files_read_back_and_a_flipped_bit_makes_them_absent() {
        let disk = SimDisk::default();
        let mark = Mark::genesis(Epoch(1)).next(b"x");
        let clean = CleanStop {
            epoch: Epoch(1),
            tail: mark.next(b"y"),
            acked: mark,
            buffer_number: 3,
            waiting_bytes: 77,
        };
        let (watermark_path, clean_path) = (Path::new("/w"), Path::new("/c"));
        assert_eq!(read_watermark(&disk, watermark_path).unwrap(), None);
        write_watermark(&disk, watermark_path, mark).unwrap();
        clean.write(&disk, clean_path).unwrap();
        disk.cut_power(1);
        let disk = disk.revived();
        assert_eq!(read_watermark(&disk, watermark_path).unwrap(), Some(mark));
        assert_eq!(CleanStop::read(&disk, clean_path).unwrap(), Some(clean));
        let newer = mark.next(b"z");
        write_watermark(&disk, watermark_path, newer).unwrap();
        assert_eq!(read_watermark(&disk, watermark_path).unwrap(), Some(newer));
        // One place is whole whatever happens to the other.
        disk.spoil(watermark_path, |bytes| bytes[PLACE_BYTES + 12] ^= 1);
        assert_eq!(read_watermark(&disk, watermark_path).unwrap(), Some(mark));
        disk.spoil(watermark_path, |bytes| bytes[12] ^= 1);
        disk.spoil(clean_path, |bytes| bytes.truncate(30));
        assert_eq!(read_watermark(&disk, watermark_path).unwrap(), None);
        assert_eq!(CleanStop::read(&disk, clean_path).unwrap(), None);
    }
}
