//! A small file beside a store that knows how many changes the store has seen.
//!
//! It is written in place and never synced: after a power cut it may be older than the store, which says
//! nothing, but never newer. A witness that cannot be read or written says nothing either.

use std::io;
use std::path::{Path, PathBuf};

use crate::storage::disk::{Disk, LocalDisk};

const MAGIC: [u8; 8] = *b"TBWITN1\n";

#[derive(Debug)]
pub(super) struct Witness {
    path: PathBuf,
}

impl Witness {
    pub(super) fn beside(dir: &Path) -> Self {
        Self {
            path: dir.with_extension("witness"),
        }
    }

    pub(super) fn read(&self) -> Option<u64> {
        let bytes = LocalDisk.read(&self.path).ok().flatten()?;
        let (content, crc) = bytes.split_last_chunk::<4>()?;
        let holds = crc32c::crc32c(content).to_le_bytes() == *crc;
        let count = content.strip_prefix(&MAGIC)?.try_into().ok()?;
        holds.then(|| u64::from_le_bytes(count))
    }

    pub(super) fn write(&self, count: u64) {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        let file = match LocalDisk.open(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => LocalDisk.create(&self.path),
            opened => opened,
        };
        if let Err(error) = file.and_then(|file| file.write_at(&bytes, 0)) {
            tracing::debug!(%error, "a store's witness cannot be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_says_what_it_was_told_and_nothing_once_it_is_spoilt() {
        let dir = tempfile::tempdir().unwrap();
        let witness = Witness::beside(&dir.path().join("notes"));
        assert_eq!(witness.read(), None);
        witness.write(7);
        witness.write(9);
        assert_eq!(witness.read(), Some(9));
        let mut bytes = std::fs::read(&witness.path).unwrap();
        bytes[9] ^= 1;
        std::fs::write(&witness.path, bytes).unwrap();
        assert_eq!(witness.read(), None);
    }
}
