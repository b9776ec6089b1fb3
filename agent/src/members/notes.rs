//! The terminal's own durable notes. A value is the note's key and text, sealed together, so that notes
//! can be listed although their keys are hashes.

use std::path::Path;

use super::key::NoteKind;
use super::sealed_tree::{BATCH_BYTES_MAX, Changes, MembersError, SealedTree, check_length};
use crate::vault::{Purpose, Vault};

/// A note as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its name among its kind.
    pub key: Vec<u8>,
    /// What it says.
    pub value: Vec<u8>,
}

impl Note {
    pub(crate) fn encode(key: &[u8], value: &[u8]) -> Vec<u8> {
        let mut text = (key.len() as u64).to_le_bytes().to_vec();
        text.extend_from_slice(key);
        text.extend_from_slice(value);
        text
    }

    pub(crate) fn decode(text: &[u8]) -> Option<Self> {
        let (length, rest) = text.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (key, value) = rest.split_at_checked(length)?;
        Some(Self {
            key: key.to_vec(),
            value: value.to_vec(),
        })
    }
}

#[derive(Debug)]
pub(super) struct Notes {
    tree: SealedTree,
    vault: Vault,
}

impl Notes {
    pub(super) fn open(dir: &Path, vault: &Vault) -> Result<(Self, Option<String>), MembersError> {
        let (tree, damage) = SealedTree::open(dir, &vault.seal(Purpose::Notes))?;
        let vault = vault.clone();
        Ok((Self { tree, vault }, damage))
    }

    pub(super) fn put(&self, notes: &[(NoteKind, Note)]) -> Result<(), MembersError> {
        let mut changes = Changes::default();
        for (kind, note) in notes {
            let text = Note::encode(&note.key, &note.value);
            check_length(&text)?;
            let key = kind.on_disk(&self.vault, &note.key);
            self.tree.put(&mut changes, &key, &text)?;
            if changes.bytes() > BATCH_BYTES_MAX {
                self.tree.commit(std::mem::take(&mut changes))?;
            }
        }
        self.tree.commit(changes)
    }

    pub(super) fn get(&self, kind: NoteKind, key: &[u8]) -> Result<Option<Vec<u8>>, MembersError> {
        let Some(text) = self.tree.get(&kind.on_disk(&self.vault, key))? else {
            return Ok(None);
        };
        let note = Note::decode(&text).ok_or_else(|| self.tree.damaged())?;
        Ok((note.key == key).then_some(note.value))
    }

    pub(super) fn remove(&self, kind: NoteKind, keys: &[&[u8]]) -> Result<(), MembersError> {
        let mut changes = Changes::default();
        for key in keys {
            changes.remove(&kind.on_disk(&self.vault, key));
            if changes.bytes() > BATCH_BYTES_MAX {
                self.tree.commit(std::mem::take(&mut changes))?;
            }
        }
        self.tree.commit(changes)
    }

    pub(super) fn all(&self, kind: NoteKind) -> Result<Vec<Note>, MembersError> {
        self.tree
            .values_of(kind.tag())?
            .iter()
            .map(|text| Note::decode(text).ok_or_else(|| self.tree.damaged()))
            .collect()
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        self.tree.disk_bytes()
    }
}
