//! Member data from central, with the cursor up to which it is complete.
//!
//! Beside the entries stands one record, `state`: the cursor and the counts. It is part of every batch; a
//! page too long for one batch goes in several, of which the last alone carries the new cursor.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use super::key::{DiskKey, KIND_CARD, KIND_MEMBER, Key, NoteKind};
use super::notes::{Note, Notes};
use super::reserve::Reserve;
use super::sealed_tree::{BATCH_BYTES_MAX, Changes, MembersError, SealedTree, check_length};
use crate::storage::disk::{Disk, LocalDisk};
use crate::vault::{Purpose, Seal, Vault};

const STATE_KEY: &[u8] = b"state";

/// A change of the replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// Sets a value, whether there was one or not.
    Upsert {
        /// Its name.
        key: Key,
        /// The value, at most [`super::VALUE_BYTES_MAX`].
        value: Vec<u8>,
    },
    /// Removes a value, whether there was one or not.
    Remove {
        /// Its name.
        key: Key,
    },
}

/// What opening the replica found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplicaRecovery {
    /// Why the replica begins empty and has to be had from central again, if it does.
    pub replica_damage: Option<String>,
    /// Why the terminal's notes are lost, if they are.
    pub notes_damage: Option<String>,
}

/// How much the replica holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Cards.
    pub cards: u64,
    /// Members.
    pub members: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    cursor: Option<String>,
    counts: Counts,
}

impl State {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.counts.cards.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.counts.members.to_le_bytes());
        bytes.push(u8::from(self.cursor.is_some()));
        bytes.extend_from_slice(self.cursor.as_deref().unwrap_or_default().as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (cards, rest) = bytes.split_first_chunk()?;
        let (members, rest) = rest.split_first_chunk()?;
        let (has_cursor, cursor) = rest.split_first()?;
        let cursor = String::from_utf8(cursor.to_vec()).ok()?;
        Some(Self {
            cursor: (*has_cursor == 1).then_some(cursor),
            counts: Counts {
                cards: u64::from_le_bytes(*cards),
                members: u64::from_le_bytes(*members),
            },
        })
    }

    fn count(&mut self, key: &DiskKey, was_there: bool, is_there: bool) {
        let count = match key[0] {
            KIND_CARD => &mut self.counts.cards,
            KIND_MEMBER => &mut self.counts.members,
            _ => return,
        };
        match (was_there, is_there) {
            (false, true) => *count += 1,
            (true, false) => *count = count.saturating_sub(1),
            (true, true) | (false, false) => {}
        }
    }
}

/// The terminal's copy of member data. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct Replica {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Empty only while a reset is under way, or after one that failed.
    tree: RwLock<Option<SealedTree>>,
    notes: Notes,
    /// One change at a time: between two syncs there must be less than sled's log segment.
    changing: Mutex<()>,
    noting: Mutex<()>,
    vault: Vault,
    seal: Seal,
    dir: PathBuf,
}

fn locked(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Replica {
    /// Opens the replica and the notes in `dir`, made if need be; its parent must exist. What is damaged
    /// is set aside and begins empty. Blocks on the disk.
    ///
    /// # Errors
    /// [`MembersError`] when the disk refuses, or the key is not the one of before.
    pub fn open(dir: &Path, vault: &Vault) -> Result<(Self, ReplicaRecovery), MembersError> {
        LocalDisk
            .make_dir_durably(dir)
            .map_err(|source| MembersError::Store {
                dir: dir.to_owned(),
                source: Box::new(source),
            })?;
        let reserve = Reserve::of(dir);
        reserve.release_if_needed();
        let seal = vault.seal(Purpose::Replica);
        let replica_dir = dir.join("replica");
        let (tree, mut replica_damage) = SealedTree::open(&replica_dir, &seal)?;
        let (notes, notes_damage) = Notes::open(&dir.join("notes"), vault)?;
        let replica = Self {
            inner: Arc::new(Inner {
                tree: RwLock::new(Some(tree)),
                notes,
                changing: Mutex::new(()),
                noting: Mutex::new(()),
                vault: vault.clone(),
                seal,
                dir: replica_dir,
            }),
        };
        if let Err(error) = replica.cursor() {
            replica_damage = Some(error.to_string());
            replica.reset()?;
        }
        reserve.make_if_there_is_room();
        let recovery = ReplicaRecovery {
            replica_damage,
            notes_damage,
        };
        Ok((replica, recovery))
    }

    fn with_tree<T>(
        &self,
        work: impl FnOnce(&SealedTree) -> Result<T, MembersError>,
    ) -> Result<T, MembersError> {
        let tree: RwLockReadGuard<'_, _> = self
            .inner
            .tree
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        match &*tree {
            Some(tree) => work(tree),
            None => Err(MembersError::Damaged {
                dir: self.inner.dir.clone(),
            }),
        }
    }

    /// Returns the cursor from which to ask central on; none before the first page.
    ///
    /// # Errors
    /// [`MembersError`]; after `Damaged`, [`Self::reset`] and a new bootstrap help.
    pub fn cursor(&self) -> Result<Option<String>, MembersError> {
        self.with_tree(|tree| Ok(state(tree)?.cursor))
    }

    /// Returns how much the replica holds.
    ///
    /// # Errors
    /// [`MembersError`].
    pub fn counts(&self) -> Result<Counts, MembersError> {
        self.with_tree(|tree| Ok(state(tree)?.counts))
    }

    /// Applies a page of changes and the cursor behind it, durably. The same page may be applied again.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// [`MembersError`]; of a page that was refused as too large, nothing is applied; of any other, the
    /// cursor is not.
    pub fn apply(&self, page: &[Put], cursor: &str) -> Result<(), MembersError> {
        for put in page {
            if let Put::Upsert { value, .. } = put {
                check_length(value)?;
            }
        }
        let _one = locked(&self.inner.changing);
        self.with_tree(|tree| {
            let mut state = state(tree)?;
            let mut changes = Changes::default();
            // What the batch at hand does to its keys, which the tree does not show yet.
            let mut touched = HashMap::new();
            for put in page {
                let (Put::Upsert { key, .. } | Put::Remove { key }) = put;
                let key = key.on_disk(&self.inner.vault);
                let was_there = match touched.get(&key) {
                    Some(there) => *there,
                    None => tree.contains(&key)?,
                };
                let is_there = match put {
                    Put::Upsert { value, .. } => {
                        tree.put(&mut changes, &key, value)?;
                        true
                    }
                    Put::Remove { .. } => {
                        changes.remove(&key);
                        false
                    }
                };
                state.count(&key, was_there, is_there);
                touched.insert(key, is_there);
                if changes.bytes() > BATCH_BYTES_MAX {
                    touched.clear();
                    let mut full = std::mem::take(&mut changes);
                    tree.put(&mut full, STATE_KEY, &state.encode())?;
                    tree.commit(full)?;
                }
            }
            state.cursor = Some(cursor.to_owned());
            tree.put(&mut changes, STATE_KEY, &state.encode())?;
            tree.commit(changes)
        })
    }

    /// Returns a value.
    ///
    /// # Errors
    /// [`MembersError`].
    pub fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, MembersError> {
        self.with_tree(|tree| tree.get(&key.on_disk(&self.inner.vault)))
    }

    /// Sets the replica aside and begins an empty one without a cursor; the notes stay. Blocks on the disk,
    /// and look-ups with it.
    ///
    /// # Errors
    /// [`MembersError`]; the replica then answers nothing until it is opened again.
    pub fn reset(&self) -> Result<(), MembersError> {
        let _one = locked(&self.inner.changing);
        let mut tree = self
            .inner
            .tree
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // Sled writes by the directory's name until the last moment: closed first, then moved.
        *tree = None;
        SealedTree::set_aside(&self.inner.dir)?;
        let (fresh, _) = SealedTree::open(&self.inner.dir, &self.inner.seal)?;
        *tree = Some(fresh);
        Ok(())
    }

    /// Returns what replica and notes take on the disk, in bytes.
    pub fn disk_bytes(&self) -> u64 {
        let replica = self.with_tree(|tree| Ok(tree.disk_bytes()));
        replica.unwrap_or_default() + self.inner.notes.disk_bytes()
    }

    /// Keeps a note of the terminal's own, durably. Blocks on the disk.
    ///
    /// # Errors
    /// [`MembersError`]; key and value together have at most [`super::VALUE_BYTES_MAX`] − 8 bytes.
    pub fn put_local(&self, kind: NoteKind, key: &[u8], value: &[u8]) -> Result<(), MembersError> {
        let note = Note {
            key: key.to_vec(),
            value: value.to_vec(),
        };
        self.put_locals(&[(kind, note)])
    }

    /// Keeps notes, durably; what precedes one that is refused may be kept. A sync of the disk serves some
    /// hundreds of them. Blocks on the disk.
    ///
    /// # Errors
    /// As [`Replica::put_local`].
    pub fn put_locals(&self, notes: &[(NoteKind, Note)]) -> Result<(), MembersError> {
        let _one = locked(&self.inner.noting);
        self.inner.notes.put(notes)
    }

    /// Returns a note.
    ///
    /// # Errors
    /// [`MembersError`].
    pub fn get_local(&self, kind: NoteKind, key: &[u8]) -> Result<Option<Vec<u8>>, MembersError> {
        self.inner.notes.get(kind, key)
    }

    /// Removes notes, durably; those that are not there do not matter. Blocks on the disk.
    ///
    /// # Errors
    /// [`MembersError`].
    pub fn remove_local(&self, kind: NoteKind, keys: &[&[u8]]) -> Result<(), MembersError> {
        let _one = locked(&self.inner.noting);
        self.inner.notes.remove(kind, keys)
    }

    /// Returns all notes of a kind, in no order.
    ///
    /// # Errors
    /// [`MembersError`].
    pub fn scan_local(&self, kind: NoteKind) -> Result<Vec<Note>, MembersError> {
        self.inner.notes.all(kind)
    }
}

fn state(tree: &SealedTree) -> Result<State, MembersError> {
    let Some(bytes) = tree.get(STATE_KEY)? else {
        return Ok(State::default());
    };
    State::decode(&bytes).ok_or_else(|| tree.damaged())
}

#[cfg(test)]
mod tests;
