//! The content of a disk, in blocks that copies share until they are written to.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// What a drive keeps or loses as one, in bytes: the block of the file system and of most flash.
pub(super) const BLOCK_BYTES: usize = 4096;

/// The content of one block.
pub(super) type Block = Arc<[u8; BLOCK_BYTES]>;

/// A disk's content. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Image {
    /// Nothing stands for zeros.
    blocks: Vec<Option<Block>>,
}

impl Image {
    /// Reads a file, whose end is filled up to a whole block.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let bytes = fs::read(path)?;
        let blocks = bytes.chunks(BLOCK_BYTES).map(|chunk| {
            let mut block = [0; BLOCK_BYTES];
            block[..chunk.len()].copy_from_slice(chunk);
            block.iter().any(|b| *b != 0).then(|| Arc::new(block))
        });
        Ok(Self {
            blocks: blocks.collect(),
        })
    }

    /// Writes a file with holes where the blocks are zeros.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let file = File::create(path)?;
        file.set_len(self.bytes())?;
        for (block, offset) in self.blocks.iter().zip((0..).step_by(BLOCK_BYTES)) {
            if let Some(block) = block {
                file.write_all_at(&block[..], offset)?;
            }
        }
        Ok(())
    }

    /// Returns the length.
    pub(super) fn bytes(&self) -> u64 {
        (self.blocks.len() * BLOCK_BYTES) as u64
    }

    /// Tells whether all of a range lies within the disk.
    pub(super) fn holds(&self, offset: u64, length: usize) -> bool {
        offset
            .checked_add(length as u64)
            .is_some_and(|end| end <= self.bytes())
    }

    /// Fills `bytes` from `offset`; the range must lie within the disk.
    pub(super) fn get(&self, offset: u64, bytes: &mut [u8]) {
        for (number, within, range) in pieces(offset, bytes.len()) {
            match &self.blocks[number] {
                Some(block) => {
                    bytes[range.clone()].copy_from_slice(&block[within..within + range.len()]);
                }
                None => bytes[range].fill(0),
            }
        }
    }

    /// Puts `bytes` at `within` of a block.
    pub(super) fn put(&mut self, number: usize, within: usize, bytes: &[u8]) {
        let block = self.blocks[number].get_or_insert_with(|| Arc::new([0; BLOCK_BYTES]));
        Arc::make_mut(block)[within..within + bytes.len()].copy_from_slice(bytes);
    }

    /// Puts a whole block in place.
    pub(super) fn put_block(&mut self, number: usize, block: Block) {
        self.blocks[number] = Some(block);
    }
}

/// Cuts a range of the disk at the borders of blocks: number of the block, offset within it, and which
/// part of the range.
pub(super) fn pieces(
    offset: u64,
    length: usize,
) -> impl Iterator<Item = (usize, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == length {
            return None;
        }
        let at = usize::try_from(offset).unwrap_or(usize::MAX) + done;
        let within = at % BLOCK_BYTES;
        let range = done..length.min(done + BLOCK_BYTES - within);
        done = range.end;
        Some((at / BLOCK_BYTES, within, range))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_across_blocks_is_read_back_and_leaves_copies_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        File::create(&path).unwrap().set_len(4 * 4096).unwrap();
        let mut image = Image::read(&path).unwrap();
        let copy = image.clone();
        let bytes: Vec<u8> = (0..9000).map(|n| (n % 251) as u8).collect();
        for (number, within, range) in pieces(4000, bytes.len()) {
            image.put(number, within, &bytes[range]);
        }
        let mut found = vec![0; 9000];
        image.get(4000, &mut found);
        assert_eq!(found, bytes);
        copy.get(4000, &mut found);
        assert!(found.iter().all(|b| *b == 0));
        image.write(&path).unwrap();
        Image::read(&path).unwrap().get(4000, &mut found);
        assert_eq!(found, bytes);
        assert!(image.holds(4096, 3 * 4096) && !image.holds(4097, 3 * 4096));
    }
}
