//! A sled tree of sealed values that survives power cuts: every change is one batch, a flush and a sync.
//!
//! Sled cuts its log at a damage and comes up older without a word. So every batch counts itself, and a
//! witness beside the store knows the last count: it is written after the batch is durable, so that it is
//! never ahead of a sound store.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::key::{DISK_KEY_BYTES, DiskKey};
use super::witness::Witness;
use crate::storage::disk::{Disk, LocalDisk};
use crate::storage::sled_store::{self, SledStore, SledStoreError};
use crate::vault::{SEAL_OVERHEAD_BYTES, SEAL_PRINT_BYTES, Seal};

/// Longest value, in bytes; a longer one would not survive a power cut and is refused.
pub const VALUE_BYTES_MAX: usize = sled_store::VALUE_BYTES_MAX - SEAL_OVERHEAD_BYTES;
/// Most bytes of keys and values between two syncs. Sled writes a multiple of it, and all of that has to
/// stay within one of its log segments (512 KiB).
pub(super) const BATCH_BYTES_MAX: usize = 128 * 1024;

/// Tells under which key the values are sealed; no value has a key this short.
const PRINT_KEY: &[u8] = b"key";
/// How many batches were ever applied.
const COUNT_KEY: &[u8] = b"count";

/// Why member data or notes cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum MembersError {
    /// The value is too long.
    #[error("a value of {bytes} bytes is too large: the limit is {VALUE_BYTES_MAX}")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// What was read is damaged.
    #[error("the store {dir} is damaged: it has to be filled again")]
    Damaged {
        /// The store.
        dir: PathBuf,
    },
    /// The values were sealed under another key.
    #[error("the store {dir} is sealed under another key: put the former key back")]
    OtherKey {
        /// The store.
        dir: PathBuf,
    },
    /// The disk has no room. Sled is not even asked: it could not be used any more afterwards.
    #[error(
        "the disk under {dir} is full ({free_bytes} bytes are free): member data and notes are not taken \
         until there is room"
    )]
    NoRoom {
        /// The store.
        dir: PathBuf,
        /// What is left.
        free_bytes: u64,
    },
    /// The store refused.
    #[error("cannot use the store {dir}")]
    Store {
        /// The store.
        dir: PathBuf,
        /// The store's answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// An open tree.
#[derive(Debug)]
pub(super) struct SealedTree {
    store: SledStore,
    tree: sled::Tree,
    seal: Seal,
    dir: PathBuf,
    /// Batches ever applied. One writer at a time changes it.
    count: AtomicU64,
    witness: Witness,
}

/// Changes to be applied as one.
#[derive(Debug, Default)]
pub(super) struct Changes {
    batch: sled::Batch,
    bytes: usize,
}

impl Changes {
    pub(super) fn remove(&mut self, key: &DiskKey) {
        self.bytes += DISK_KEY_BYTES;
        self.batch.remove(key);
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl SealedTree {
    /// Opens the tree in `dir`, or makes it. One that is damaged is set aside beside it and a new one
    /// begun; the second value says why.
    pub(super) fn open(dir: &Path, seal: &Seal) -> Result<(Self, Option<String>), MembersError> {
        match Self::try_open(dir, seal) {
            Ok(tree) => {
                let older = tree.older_than_witnessed();
                Ok((tree, older))
            }
            Err(error @ MembersError::OtherKey { .. }) => Err(error),
            Err(error) => {
                let why = describe(&error);
                tracing::warn!(dir = %dir.display(), error = why, "the store is set aside and begun anew");
                Self::set_aside(dir)?;
                let tree = Self::try_open(dir, seal)?;
                // The witness is of the former store: what it says is said already.
                let _former = tree.older_than_witnessed();
                Ok((tree, Some(why)))
            }
        }
    }

    fn try_open(dir: &Path, seal: &Seal) -> Result<Self, MembersError> {
        let is_new = !dir.join("db").exists();
        let store = SledStore::open(dir).map_err(|e| store_error(dir, e))?;
        let tree = store.tree("sealed").map_err(|e| store_error(dir, e))?;
        let mut opened = Self {
            store,
            tree,
            seal: seal.clone(),
            dir: dir.to_owned(),
            count: AtomicU64::new(0),
            witness: Witness::beside(dir),
        };
        let count = opened.guarded(|tree| tree.get(COUNT_KEY))?;
        let count = count.and_then(|count| count.as_ref().try_into().ok());
        opened.count = AtomicU64::new(count.map_or(0, u64::from_le_bytes));
        let print = opened.guarded(|tree| tree.get(PRINT_KEY))?;
        let own: [u8; SEAL_PRINT_BYTES] = seal.print();
        match print {
            Some(print) if print == own => Ok(opened),
            Some(print) if print.len() == SEAL_PRINT_BYTES => Err(MembersError::OtherKey {
                dir: dir.to_owned(),
            }),
            None if is_new || opened.tree.is_empty() => {
                opened.guarded(|tree| tree.insert(PRINT_KEY, own.as_slice()))?;
                opened.sync()?;
                Ok(opened)
            }
            Some(_) | None => Err(opened.damaged()),
        }
    }

    /// Moves a damaged store out of the way, over one that was set aside before. No handle may be open.
    pub(super) fn set_aside(dir: &Path) -> Result<(), MembersError> {
        let aside = dir.with_extension("damaged");
        let moved = match fs::remove_dir_all(&aside) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            Ok(()) | Err(_) => fs::rename(dir, &aside)
                .and_then(|()| LocalDisk.sync_dir(dir.parent().unwrap_or(dir))),
        };
        moved.map_err(|source| MembersError::Store {
            dir: dir.to_owned(),
            source: Box::new(source),
        })
    }

    pub(super) fn damaged(&self) -> MembersError {
        MembersError::Damaged {
            dir: self.dir.clone(),
        }
    }

    /// Adds a value to changes; `place` says where it opens again.
    pub(super) fn put(
        &self,
        changes: &mut Changes,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), MembersError> {
        check_length(value)?;
        let sealed = self.seal.seal(key, value);
        changes.bytes += key.len() + sealed.len();
        changes.batch.insert(key, sealed);
        Ok(())
    }

    /// Applies changes as one, and makes them durable.
    pub(super) fn commit(&self, mut changes: Changes) -> Result<(), MembersError> {
        check_room(&self.dir)?;
        let count = self.count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        changes.batch.insert(COUNT_KEY, &count.to_le_bytes());
        self.guarded(|tree| tree.apply_batch(changes.batch))?;
        self.sync()?;
        self.witness.write(count);
        Ok(())
    }

    /// Says so if the store has come up older than it once was; from here on it is as it is.
    fn older_than_witnessed(&self) -> Option<String> {
        let count = self.count.load(Ordering::Relaxed);
        let witnessed = self.witness.read().filter(|witnessed| *witnessed > count)?;
        self.witness.write(count);
        Some(format!(
            "the store came up older than it was: its last {} changes are lost",
            witnessed - count
        ))
    }

    fn sync(&self) -> Result<(), MembersError> {
        catch_unwind(AssertUnwindSafe(|| self.store.sync()))
            .map_err(|_| self.damaged())?
            .map_err(|e| store_error(&self.dir, e))
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, MembersError> {
        self.guarded(|tree| tree.get(key))?
            .map(|sealed| self.open_value(key, &sealed))
            .transpose()
    }

    pub(super) fn contains(&self, key: &[u8]) -> Result<bool, MembersError> {
        self.guarded(|tree| tree.contains_key(key))
    }

    /// Returns the values whose keys begin with a kind.
    pub(super) fn values_of(&self, kind: u8) -> Result<Vec<Vec<u8>>, MembersError> {
        let mut entries = self.guarded(|tree| Ok(tree.scan_prefix([kind])))?;
        let mut values = Vec::new();
        while let Some((key, sealed)) = self.guarded(|_| entries.next().transpose())? {
            if key.len() == DISK_KEY_BYTES {
                values.push(self.open_value(&key, &sealed)?);
            }
        }
        Ok(values)
    }

    fn open_value(&self, key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, MembersError> {
        self.seal.open(key, sealed).map_err(|_| self.damaged())
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        self.store.disk_bytes()
    }

    /// Sled asserts on what it reads from a damaged disk: a look-up at the till must not end the agent.
    fn guarded<T>(
        &self,
        work: impl FnOnce(&sled::Tree) -> sled::Result<T>,
    ) -> Result<T, MembersError> {
        match catch_unwind(AssertUnwindSafe(|| work(&self.tree))) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(source)) => Err(store_error(&self.dir, self.store.failed("use")(source))),
            Err(_) => Err(self.damaged()),
        }
    }
}

/// Refuses what a full disk would turn into a store that nobody can use. A file system that does not tell
/// its room is trusted.
fn check_room(dir: &Path) -> Result<(), MembersError> {
    match LocalDisk.room(dir) {
        Ok(room) if room.free_bytes < sled_store::FREE_BYTES_MIN => Err(MembersError::NoRoom {
            dir: dir.to_owned(),
            free_bytes: room.free_bytes,
        }),
        Ok(_) | Err(_) => Ok(()),
    }
}

pub(super) fn check_length(value: &[u8]) -> Result<(), MembersError> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(MembersError::TooLarge { bytes: value.len() });
    }
    Ok(())
}

fn store_error(dir: &Path, source: SledStoreError) -> MembersError {
    MembersError::Store {
        dir: dir.to_owned(),
        source: Box::new(source),
    }
}

/// Returns an error with all its sources.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
