//! What reached the drive, in order, and what a power cut leaves of it.
//!
//! A write sits in the drive's volatile cache until a flush that was sent after the write had been
//! answered; from then on it is durable. At a cut each block of each write that is not durable is kept
//! or lost by a coin of its own, whatever the order in which they were written: a later write may be on
//! the medium while an earlier one is gone.

use super::image::{BLOCK_BYTES, Block, Image, pieces};
use std::sync::Arc;

/// What even a drive that tears a block writes as one, in bytes.
const SECTOR_BYTES: usize = 512;

/// Part of a write that falls into one block.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    number: usize,
    within: usize,
    length: usize,
    /// The piece lies at its place in the block.
    block: Block,
}

/// Something that the drive did.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// It took a write into its cache.
    Write(Vec<Piece>),
    /// It made all entries before the index `covers` durable.
    Flush {
        /// Entries that had been answered when the flush was sent.
        covers: usize,
    },
}

impl Entry {
    /// Makes the entry of a write.
    pub(super) fn write(offset: u64, bytes: &[u8]) -> Self {
        let pieces = pieces(offset, bytes.len()).map(|(number, within, range)| {
            let mut block = [0; BLOCK_BYTES];
            block[within..within + range.len()].copy_from_slice(&bytes[range.clone()]);
            Piece {
                number,
                within,
                length: range.len(),
                block: Arc::new(block),
            }
        });
        Self::Write(pieces.collect())
    }

    /// Puts what it wrote into an image.
    pub(super) fn apply(&self, image: &mut Image) {
        match self {
            Self::Write(pieces) => {
                for piece in pieces {
                    piece.apply(image);
                }
            }
            Self::Flush { .. } => {}
        }
    }
}

impl Piece {
    fn apply(&self, image: &mut Image) {
        if self.length == BLOCK_BYTES {
            image.put_block(self.number, Arc::clone(&self.block));
        } else {
            self.apply_part(image, self.within, self.length);
        }
    }

    fn apply_part(&self, image: &mut Image, from: usize, length: usize) {
        image.put(self.number, from, &self.block[from..from + length]);
    }
}

/// What decides about each block that is not durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coin {
    /// Seed of its throws.
    pub seed: u64,
    /// How many of a thousand throws keep.
    pub keep_per_mille: u32,
    /// Whether each sector of 512 bytes is thrown for, so that blocks tear.
    pub tears: bool,
    /// Whether the drive lies: it answers flushes and makes nothing durable. No store survives that; it
    /// shows that the rig sees a loss.
    pub lies: bool,
}

impl Coin {
    /// Draws a coin: mostly a fair one, now and then one that keeps nothing, all, little or most.
    pub(super) fn draw(rng: &mut fastrand::Rng) -> Self {
        let keep_per_mille = match rng.u32(0..10) {
            0 => 0,
            1 => 1000,
            2 => 100,
            3 => 900,
            _ => 500,
        };
        Self {
            seed: rng.u64(..),
            keep_per_mille,
            tears: rng.u32(0..4) == 0,
            lies: false,
        }
    }
}

/// Returns how many entries were durable when `at` entries had come.
pub(super) fn durable(entries: &[Entry], at: usize) -> usize {
    entries[..at]
        .iter()
        .rev()
        .find_map(|entry| match entry {
            Entry::Flush { covers } => Some(*covers),
            Entry::Write(_) => None,
        })
        .unwrap_or(0)
}

/// Returns the image that a power cut leaves after `at` entries on a drive that began as `start`.
pub(super) fn cut(start: &Image, entries: &[Entry], at: usize, coin: Coin) -> Image {
    let mut image = start.clone();
    let durable = if coin.lies { 0 } else { durable(entries, at) };
    for entry in &entries[..durable] {
        entry.apply(&mut image);
    }
    let mut throws = fastrand::Rng::with_seed(coin.seed);
    let mut keeps = || throws.u32(0..1000) < coin.keep_per_mille;
    for entry in &entries[durable..at] {
        let Entry::Write(pieces) = entry else {
            continue;
        };
        for piece in pieces {
            if !coin.tears {
                if keeps() {
                    piece.apply(&mut image);
                }
                continue;
            }
            for from in (piece.within..piece.within + piece.length).step_by(SECTOR_BYTES) {
                if keeps() {
                    let length = SECTOR_BYTES.min(piece.within + piece.length - from);
                    piece.apply_part(&mut image, from, length);
                }
            }
        }
    }
    image
}

/// Writes the log for people, one entry a line.
pub(super) fn shown(entries: &[Entry]) -> impl Iterator<Item = String> {
    entries
        .iter()
        .zip(1..)
        .map(|(entry, count): (_, usize)| match entry {
            Entry::Write(pieces) => {
                let blocks: Vec<_> = pieces.iter().map(|p| p.number.to_string()).collect();
                format!("{count} write blocks {}", blocks.join(" "))
            }
            Entry::Flush { covers } => format!("{count} flush: the first {covers} are durable"),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> Image {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(8 * BLOCK_BYTES as u64).unwrap();
        Image::read(file.path()).unwrap()
    }

    fn coin(keep_per_mille: u32) -> Coin {
        Coin {
            seed: 1,
            keep_per_mille,
            tears: false,
            lies: false,
        }
    }

    fn first_bytes(image: &Image) -> Vec<u8> {
        (0..8)
            .map(|block| {
                let mut byte = [0];
                image.get(block * BLOCK_BYTES as u64, &mut byte);
                byte[0]
            })
            .collect()
    }

    fn write(block: u64, value: u8) -> Entry {
        Entry::write(block * BLOCK_BYTES as u64, &[value; BLOCK_BYTES])
    }

    #[test]
    fn what_was_flushed_stays_and_the_rest_goes_by_the_coin() {
        let log = [
            write(0, 1),
            write(1, 1),
            Entry::Flush { covers: 2 },
            write(0, 2),
            write(2, 2),
        ];
        let kept = |at, keep| first_bytes(&cut(&disk(), &log, at, coin(keep)));
        assert_eq!(kept(2, 0), [0; 8]);
        assert_eq!(kept(3, 0), [1, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(kept(5, 0), [1, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(kept(5, 1000), [2, 1, 2, 0, 0, 0, 0, 0]);
        let lies = Coin {
            lies: true,
            ..coin(0)
        };
        assert_eq!(first_bytes(&cut(&disk(), &log, 5, lies)), [0; 8]);
    }

    #[test]
    fn a_write_that_was_under_way_when_the_flush_was_sent_is_not_covered() {
        let log = [write(0, 1), write(1, 1), Entry::Flush { covers: 1 }];
        let image = cut(&disk(), &log, 3, coin(0));
        assert_eq!(first_bytes(&image)[..2], [1, 0]);
    }

    #[test]
    fn a_later_write_can_survive_an_earlier_one_and_a_block_can_tear() {
        let log = [write(0, 1), write(1, 1)];
        let orders: std::collections::BTreeSet<_> = (0..64)
            .map(|seed| {
                let coin = Coin { seed, ..coin(500) };
                first_bytes(&cut(&disk(), &log, 2, coin))[..2].to_vec()
            })
            .collect();
        assert_eq!(orders.len(), 4);
        let coin = Coin {
            tears: true,
            ..coin(500)
        };
        let image = cut(&disk(), &log, 2, coin);
        let mut block = [0; BLOCK_BYTES];
        image.get(0, &mut block);
        let kept = block.iter().filter(|b| **b == 1).count();
        assert!(kept > 0 && kept < BLOCK_BYTES && kept.is_multiple_of(SECTOR_BYTES));
    }
}
