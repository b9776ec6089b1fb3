//! The terminal's copy of member data, and its own durable notes.
//!
//! [`Replica`] holds what central sent: pages of changes, each applied together with the cursor that it
//! leads to, so that after a crash the terminal asks on from where it really is. It can always be had
//! again from central: a damaged one is set aside and begins empty, and its cursor with it. The
//! terminal's own notes (nonces seen, files read, bindings under way) cannot, so they live in a store of
//! their own that a reset of the replica does not touch.
//!
//! On the disk every key is a kind and a keyed hash, every value is sealed with its key as the place: neither
//! a card number nor a name can be read from a stolen disk.
//!
//! **Limits.** A value has at most [`VALUE_BYTES_MAX`]: sled puts longer ones into files that it never syncs.
//!
//! **What it lacks:** any notion of what a value says, expiry, and look-ups by anything but a whole key.

mod key;
mod notes;
mod replica;
mod reserve;
mod sealed_tree;
mod witness;

pub use key::{Key, NoteKind};
pub use notes::Note;
pub use replica::{Counts, Put, Replica, ReplicaRecovery};
pub use sealed_tree::{MembersError, VALUE_BYTES_MAX};
