//! Where the waiting events stand, in sled, for those who read: place as 8 bytes big endian → entry.
//!
//! An entry is a tag and the chain after it (16 bytes); for an event its class (1 byte), its segment's number
//! (8), the record's offset in it (8) and the length of its sealed payload (4); for a gap the first lost
//! event (8) and the reason. A gap stands at its last event. The events themselves are in the journal
//! alone: written once, and so a third of the disk and of its wear.
//!
//! Nothing here is durable by itself: the buffer is written behind the journal and never flushed before a
//! clean stop, since after any other stop it is made anew. It may fail at any time, sled's panics
//! included; then readers turn to the journal.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use tillbind_protocol::chain::{CHAIN_BYTES, ChainHash, Mark};
use tillbind_protocol::ids::Seq;

use super::journal::{Address, Gap};
use super::worth::Class;
use crate::storage::sled_store::{SledStore, SledStoreError};
use crate::vault::SEAL_OVERHEAD_BYTES;

const TAG_EVENT: u8 = 1;
const TAG_GAP: u8 = 2;
const HEAD_BYTES: usize = 1 + CHAIN_BYTES;
const EVENT_BYTES: usize = 1 + 8 + 8 + 4;

/// A buffer that failed or is out of order.
#[derive(Debug, thiserror::Error)]
pub(super) enum BufferError {
    #[error(transparent)]
    Store(#[from] SledStoreError),
    #[error("the buffer panicked")]
    Panicked,
    #[error("the buffer is out of order at event {0}")]
    Disorder(Seq),
    #[error("the journal could not be read where the buffer points")]
    Journal(#[source] io::Error),
}

/// What the buffer holds at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Event {
        mark: Mark,
        class: Class,
        at: Address,
    },
    Gap(Gap),
}

impl Entry {
    pub(super) fn mark(&self) -> Mark {
        match self {
            Self::Event { mark, .. } => *mark,
            Self::Gap(gap) => gap.until,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(HEAD_BYTES + EVENT_BYTES);
        match self {
            Self::Event { mark, class, at } => {
                value.push(TAG_EVENT);
                value.extend_from_slice(&mark.chain.0);
                value.push(class.index() as u8);
                value.extend_from_slice(&at.segment.to_be_bytes());
                value.extend_from_slice(&at.offset.to_be_bytes());
                value.extend_from_slice(&at.sealed_bytes.to_be_bytes());
            }
            Self::Gap(gap) => {
                value.push(TAG_GAP);
                value.extend_from_slice(&gap.until.chain.0);
                value.extend_from_slice(&gap.from.0.to_be_bytes());
                value.extend_from_slice(gap.reason.as_bytes());
            }
        }
        value
    }

    pub(super) fn decode(key: &[u8], value: &[u8]) -> Option<Self> {
        let seq = Seq(u64::from_be_bytes(key.try_into().ok()?));
        let (head, rest) = value.split_first_chunk::<HEAD_BYTES>()?;
        let (tag, chain) = head.split_first()?;
        let mark = Mark {
            seq,
            chain: ChainHash(chain.try_into().ok()?),
        };
        match *tag {
            TAG_EVENT => {
                let (class, rest) = rest.split_first()?;
                let (segment, rest) = rest.split_first_chunk::<8>()?;
                let (offset, rest) = rest.split_first_chunk::<8>()?;
                Some(Self::Event {
                    mark,
                    class: Class::of_index(*class)?,
                    at: Address {
                        segment: u64::from_be_bytes(*segment),
                        offset: u64::from_be_bytes(*offset),
                        sealed_bytes: u32::from_be_bytes(rest.try_into().ok()?),
                    },
                })
            }
            TAG_GAP => {
                let (from, reason) = rest.split_first_chunk::<8>()?;
                Some(Self::Gap(Gap {
                    from: Seq(u64::from_be_bytes(*from)),
                    until: mark,
                    reason: String::from_utf8_lossy(reason).into_owned(),
                }))
            }
            _ => None,
        }
    }
}

/// How far a removal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Removed {
    /// Plain bytes of the removed events.
    pub(super) bytes: u64,
    /// Whether nothing is left to remove.
    pub(super) done: bool,
}

/// The waiting events of one epoch.
#[derive(Debug)]
pub(super) struct Buffer {
    store: SledStore,
    tree: sled::Tree,
    dir: PathBuf,
}

impl Buffer {
    /// Opens the buffer in `dir`, or makes it.
    pub(super) fn open(dir: &Path) -> Result<Self, BufferError> {
        let store = SledStore::open(dir)?;
        let tree = guarded(|| store.tree("events"))?;
        Ok(Self {
            store,
            tree,
            dir: dir.to_owned(),
        })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn put(&self, entry: &Entry) -> Result<(), BufferError> {
        guarded(|| {
            self.tree
                .insert(entry.mark().seq.0.to_be_bytes(), entry.encode())
                .map_err(self.store.failed("write to"))
        })?;
        Ok(())
    }

    /// Forgets what stands at a place.
    pub(super) fn forget(&self, seq: Seq) -> Result<(), BufferError> {
        guarded(|| {
            self.tree
                .remove(seq.0.to_be_bytes())
                .map_err(self.store.failed("remove from"))
        })?;
        Ok(())
    }

    /// Returns the entry at a place.
    pub(super) fn entry(&self, seq: Seq) -> Result<Option<Entry>, BufferError> {
        let key = seq.0.to_be_bytes();
        let found = guarded(|| self.tree.get(key).map_err(self.store.failed("read")))?;
        found
            .map(|value| Entry::decode(&key, &value).ok_or(BufferError::Disorder(seq)))
            .transpose()
    }

    /// Hands the entries after a place to `visit`, in order, until it has enough.
    pub(super) fn visit_after(
        &self,
        after: Seq,
        mut visit: impl FnMut(Entry) -> Result<bool, BufferError>,
    ) -> Result<(), BufferError> {
        let mut entries = guarded(|| Ok(self.tree.range(after.next().0.to_be_bytes()..)))?;
        while let Some(next) = guarded(|| {
            entries
                .next()
                .transpose()
                .map_err(self.store.failed("read"))
        })? {
            let (key, value) = next;
            let entry = Entry::decode(&key, &value).ok_or(BufferError::Disorder(after))?;
            if !visit(entry)? {
                break;
            }
        }
        Ok(())
    }

    /// Returns the first and the last entry.
    pub(super) fn ends(&self) -> Result<Option<(Entry, Entry)>, BufferError> {
        let ends = guarded(|| {
            let first = self.tree.first().map_err(self.store.failed("read"))?;
            let last = self.tree.last().map_err(self.store.failed("read"))?;
            Ok(first.zip(last))
        })?;
        ends.map(|(first, last)| {
            Entry::decode(&first.0, &first.1)
                .zip(Entry::decode(&last.0, &last.1))
                .ok_or(BufferError::Disorder(Seq::ZERO))
        })
        .transpose()
    }

    /// Removes entries up to a place, at most `count` at a time, so that appends need not wait long.
    pub(super) fn remove_to(&self, last: Seq, count: usize) -> Result<Removed, BufferError> {
        guarded(|| {
            let mut removed = 0;
            let mut bytes = 0;
            for key in self.tree.range(..=last.0.to_be_bytes()).keys().take(count) {
                let key = key.map_err(self.store.failed("read"))?;
                let value = self
                    .tree
                    .remove(&key)
                    .map_err(self.store.failed("remove from"))?;
                bytes += value.map_or(0, |value| match Entry::decode(&key, &value) {
                    Some(Entry::Event { at, .. }) => plain_bytes(at.sealed_bytes),
                    Some(Entry::Gap(_)) | None => 0,
                });
                removed += 1;
            }
            Ok(Removed {
                bytes,
                done: removed < count,
            })
        })
    }

    /// Makes the content durable, for the clean stop.
    pub(super) fn sync(&self) -> Result<(), BufferError> {
        guarded(|| self.store.sync())
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        self.store.disk_bytes()
    }
}

/// Returns the length of an event, given that of its sealed form.
pub(super) fn plain_bytes(sealed_bytes: u32) -> u64 {
    u64::from(sealed_bytes).saturating_sub(SEAL_OVERHEAD_BYTES as u64)
}

/// Sled asserts on what it reads from a damaged disk; none of it may take the writer along.
fn guarded<T>(work: impl FnOnce() -> Result<T, SledStoreError>) -> Result<T, BufferError> {
    let done = catch_unwind(AssertUnwindSafe(work)).map_err(|_| BufferError::Panicked)?;
    Ok(done?)
}

#[cfg(test)]
mod tests {
    use tillbind_protocol::ids::Epoch;

    use super::*;

    #[test]
    fn events_and_gaps_come_back_in_order_and_go_in_slices() {
        let dir = tempfile::tempdir().unwrap();
        let buffer = Buffer::open(&dir.path().join("b")).unwrap();
        let mut mark = Mark::genesis(Epoch(1));
        for index in 0..5_u8 {
            mark = mark.next(&[index]);
            let at = Address {
                segment: 7,
                offset: 4096 + u64::from(index),
                sealed_bytes: 41,
            };
            let event = Entry::Event {
                mark,
                class: Class::Scan,
                at,
            };
            let gap = Entry::Gap(Gap {
                from: Seq(3),
                until: mark,
                reason: "why".to_owned(),
            });
            match index {
                2 => {}
                3 => buffer.put(&gap).unwrap(),
                _ => buffer.put(&event).unwrap(),
            }
        }
        let mut seen = Vec::new();
        buffer
            .visit_after(Seq(1), |entry| {
                seen.push(entry);
                Ok(true)
            })
            .unwrap();
        let places: Vec<_> = seen.iter().map(|e| e.mark().seq.0).collect();
        assert_eq!(places, [2, 4, 5]);
        assert!(matches!(&seen[1], Entry::Gap(gap) if gap.from == Seq(3) && gap.reason == "why"));
        assert!(
            matches!(&seen[2], Entry::Event { at, class: Class::Scan, .. } if at.offset == 4100)
        );
        assert_eq!(buffer.entry(Seq(5)).unwrap().unwrap().mark(), mark);
        assert_eq!(buffer.entry(Seq(3)).unwrap(), None);
        assert!(!buffer.remove_to(Seq(4), 2).unwrap().done);
        let rest = buffer.remove_to(Seq(4), 2).unwrap();
        assert!(rest.done);
        assert_eq!(rest.bytes, 0, "a gap weighs nothing");
        buffer.forget(Seq(4)).unwrap();
        let (first, last) = buffer.ends().unwrap().unwrap();
        assert_eq!((first.mark().seq, last.mark().seq), (Seq(5), Seq(5)));
    }
}
