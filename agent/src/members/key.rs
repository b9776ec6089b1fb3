//! Names of member data and of notes, and what they are on the disk.

use tillbind_protocol::ids::{AccountRef, CardNumber, MemberId};

use crate::vault::{CARD_INDEX_BYTES, Vault};

/// A kind byte and a keyed hash.
pub(super) const DISK_KEY_BYTES: usize = 1 + CARD_INDEX_BYTES;
pub(super) type DiskKey = [u8; DISK_KEY_BYTES];

/// Names a value of the replica.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// What the terminal knows of a card.
    Card(CardNumber),
    /// What it knows of a member.
    Member(MemberId),
    /// What it knows of an online account.
    Account(AccountRef),
    /// The verdict on a binding, by the binding's id.
    Binding(String),
    /// What holds for the terminal as a whole (key sets, directives), by name.
    Setting(String),
}

pub(super) const KIND_CARD: u8 = 1;
pub(super) const KIND_MEMBER: u8 = 2;
const KIND_ACCOUNT: u8 = 3;
const KIND_BINDING: u8 = 4;
const KIND_SETTING: u8 = 5;

impl Key {
    pub(super) fn on_disk(&self, vault: &Vault) -> DiskKey {
        match self {
            Self::Card(card) => placed(KIND_CARD, vault.card_index(card)),
            Self::Member(member) => hashed(vault, KIND_MEMBER, member.as_str().as_bytes()),
            Self::Account(account) => hashed(vault, KIND_ACCOUNT, account.to_string().as_bytes()),
            Self::Binding(id) => hashed(vault, KIND_BINDING, id.as_bytes()),
            Self::Setting(name) => hashed(vault, KIND_SETTING, name.as_bytes()),
        }
    }
}

/// What a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoteKind {
    /// A member code's nonce that this terminal has seen, so that it counts once.
    SeenNonce,
    /// How far a journal or spool file has been read.
    FileRead,
    /// A binding requested here and not yet decided.
    Binding,
    /// A sale recorded here, so that a second source does not record it again.
    Sale,
    /// Anything else that the terminal must not forget, by name.
    Setting,
}

impl NoteKind {
    pub(super) fn tag(self) -> u8 {
        match self {
            Self::SeenNonce => 1,
            Self::FileRead => 2,
            Self::Binding => 3,
            Self::Setting => 4,
            Self::Sale => 5,
        }
    }

    pub(super) fn on_disk(self, vault: &Vault, key: &[u8]) -> DiskKey {
        hashed(vault, self.tag(), key)
    }
}

fn placed(kind: u8, index: [u8; CARD_INDEX_BYTES]) -> DiskKey {
    let mut key = [kind; DISK_KEY_BYTES];
    key[1..].copy_from_slice(&index);
    key
}

fn hashed(vault: &Vault, kind: u8, text: &[u8]) -> DiskKey {
    placed(kind, vault.index(text))
}
