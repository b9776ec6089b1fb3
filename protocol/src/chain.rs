//! The hash chain over the events of one epoch, kept by the terminal and by central.
//!
//! `chain(n) = blake3(chain(n−1) ‖ n as 8 bytes little endian ‖ record n)`, cut to 16 bytes. The
//! record is the event's JSON text, byte for byte as it was journaled, so that both sides hash the
//! same. Two histories that differ in one event differ in every link after it: a restored backup or
//! a cloned disk cannot reuse a number unnoticed.

use serde::{Deserialize, Serialize};

use crate::digest::{DIGEST_BYTES, digest_text};
use crate::ids::{Epoch, Seq};

/// Length of a link, in bytes.
pub const CHAIN_BYTES: usize = DIGEST_BYTES;

/// The chain's value after some event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChainHash(pub [u8; CHAIN_BYTES]);

impl ChainHash {
    /// Returns the value before the first event of `epoch`.
    pub fn genesis(epoch: Epoch) -> Self {
        Self::cut(
            blake3::Hasher::new_derive_key("tillbind 2026 event chain v1")
                .update(&epoch.0.to_le_bytes()),
        )
    }

    /// Returns the value after `record` at place `seq`, when `self` is the value before it.
    #[must_use]
    pub fn next(&self, seq: Seq, record: &[u8]) -> Self {
        Self::cut(
            blake3::Hasher::new()
                .update(&self.0)
                .update(&seq.0.to_le_bytes())
                .update(record),
        )
    }

    fn cut(hasher: &blake3::Hasher) -> Self {
        let mut link = [0; CHAIN_BYTES];
        hasher.finalize_xof().fill(&mut link);
        Self(link)
    }
}

/// Returns the epoch that everything from place `at` of `epoch` on moves to when the two histories of
/// `epoch` part there.
///
/// It follows from its arguments, so that a disk image that is restored twice forks twice into the
/// same epoch, where central knows the moved events already, instead of sending them twice.
pub fn forked_epoch(epoch: Epoch, at: Seq) -> Epoch {
    let mut name = [0; 8];
    blake3::Hasher::new_derive_key("tillbind 2026 forked epoch v1")
        .update(&epoch.0.to_le_bytes())
        .update(&at.0.to_le_bytes())
        .finalize_xof()
        .fill(&mut name);
    Epoch(u64::from_le_bytes(name))
}

digest_text!(ChainHash, "chain value");

/// A place in an epoch together with the chain's value there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The last event that is covered; 0 for none.
    pub seq: Seq,
    /// The chain's value after that event.
    pub chain: ChainHash,
}

impl Mark {
    /// Returns the mark before the first event of `epoch`.
    pub fn genesis(epoch: Epoch) -> Self {
        Self {
            seq: Seq::ZERO,
            chain: ChainHash::genesis(epoch),
        }
    }

    /// Returns the mark after `record`, the event that follows this one.
    #[must_use]
    pub fn next(&self, record: &[u8]) -> Self {
        let seq = self.seq.next();
        Self {
            seq,
            chain: self.chain.next(seq, record),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_moved_or_foreign_event_changes_every_later_link() {
        let start = Mark::genesis(Epoch(7));
        let straight = start.next(b"a").next(b"b");
        assert_ne!(straight, start.next(b"A").next(b"b"));
        assert_ne!(straight, start.next(b"b").next(b"a"));
        assert_ne!(straight, Mark::genesis(Epoch(8)).next(b"a").next(b"b"));
        assert_eq!(straight.seq, Seq(2));
    }

    #[test]
    fn a_fork_leads_to_one_epoch_and_to_another_at_another_place() {
        let forked = forked_epoch(Epoch(7), Seq(3));
        assert_eq!(forked, forked_epoch(Epoch(7), Seq(3)));
        assert_ne!(forked, forked_epoch(Epoch(7), Seq(4)));
        assert_ne!(forked, forked_epoch(forked, Seq(3)));
    }

    #[test]
    fn a_link_reads_back_from_its_text() {
        let link = ChainHash::genesis(Epoch(1));
        assert_eq!(ChainHash::try_from(link.to_string()).unwrap(), link);
        assert!(ChainHash::try_from("AAAA".to_owned()).is_err());
    }
}
