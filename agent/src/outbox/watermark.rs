//! Two small files that spare work and are never the only witness.
//!
//! `watermark`, in an epoch's directory, is the acknowledged mark: written before acknowledged segments go
//! and at a clean stop. Without it some events are sent again, which central knows by their numbers.
//!
//! `clean`, in the outbox's directory, is written last at a clean stop and removed first at the next
//! start: it names the buffer that can be trusted and the mark at which journal and buffer ended.
//!
//! Both are fixed fields, little endian, closed by a CRC-32C; a file that does not verify counts as absent.

use std::io;
use std::path::Path;

use tillbind_protocol::chain::{CHAIN_BYTES, ChainHash, Mark};
use tillbind_protocol::ids::{Epoch, Seq};

use crate::storage::disk::Disk;

const WATERMARK_MAGIC: [u8; 8] = *b"TBWMRK1\n";
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

fn write(disk: &dyn Disk, path: &Path, mut bytes: Vec<u8>) -> io::Result<()> {
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    disk.replace(path, &bytes)
}

/// Returns the content between magic and CRC.
fn read(disk: &dyn Disk, path: &Path, magic: [u8; 8]) -> io::Result<Option<Vec<u8>>> {
    let Some(bytes) = disk.read(path)? else {
        return Ok(None);
    };
    let content = bytes
        .split_last_chunk::<4>()
        .filter(|(content, crc)| crc32c::crc32c(content).to_le_bytes() == **crc)
        .and_then(|(content, _)| content.strip_prefix(&magic));
    if content.is_none() {
        tracing::warn!(path = %path.display(), "this file is damaged and is taken as absent");
    }
    Ok(content.map(<[u8]>::to_vec))
}

/// Writes the acknowledged mark of an epoch.
pub(super) fn write_watermark(disk: &dyn Disk, path: &Path, acked: Mark) -> io::Result<()> {
    let mut bytes = WATERMARK_MAGIC.to_vec();
    put_mark(&mut bytes, acked);
    write(disk, path, bytes)
}

/// Reads the acknowledged mark of an epoch, if it is known.
pub(super) fn read_watermark(disk: &dyn Disk, path: &Path) -> io::Result<Option<Mark>> {
    let content = read(disk, path, WATERMARK_MAGIC)?;
    Ok(content.and_then(|content| take_mark(&mut &*content)))
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
        write(disk, path, bytes)
    }

    pub(super) fn read(disk: &dyn Disk, path: &Path) -> io::Result<Option<Self>> {
        let content = read(disk, path, CLEAN_MAGIC)?;
        Ok(content.and_then(|content| {
            let mut fields = &*content;
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
        disk.spoil(watermark_path, |bytes| bytes[12] ^= 1);
        disk.spoil(clean_path, |bytes| bytes.truncate(30));
        assert_eq!(read_watermark(&disk, watermark_path).unwrap(), None);
        assert_eq!(CleanStop::read(&disk, clean_path).unwrap(), None);
    }
}
