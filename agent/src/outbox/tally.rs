//! What waits, by segment and class: what could be given up where, and what must not wait.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use tillbind_protocol::ids::Seq;

use super::buffer::{Entry, plain_bytes};
use super::worth::{CLASSES, Class};

/// Bindings that are shown to central ahead of their turn, at most; those beyond wait for theirs.
const URGENT_MAX: usize = 4096;

/// Plain bytes of the waiting events, by class.
pub(super) type Weights = [u64; CLASSES];

/// The waiting events, weighed. Of a segment that is acknowledged in part all counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    segments: BTreeMap<u64, Weights>,
    urgent: BTreeSet<Seq>,
}

impl Tally {
    /// Weighs an entry; returns whether it is one that must not wait.
    pub(super) fn add(&mut self, entry: &Entry) -> bool {
        let Entry::Event { mark, class, at } = entry else {
            return false;
        };
        let weights = self.segments.entry(at.segment).or_default();
        weights[class.index()] += plain_bytes(at.sealed_bytes);
        let is_urgent = *class == Class::Binding && self.urgent.len() < URGENT_MAX;
        if is_urgent {
            self.urgent.insert(mark.seq);
        }
        is_urgent
    }

    /// Forgets what was acknowledged: bindings up to a place, and the segments before one.
    pub(super) fn forget_to(&mut self, acked: Seq, oldest_segment: u64) {
        self.urgent = self.urgent.split_off(&acked.next());
        self.segments = self.segments.split_off(&oldest_segment);
    }

    /// Forgets what a segment held of a class.
    pub(super) fn take(&mut self, segment: u64, class: Class, bytes: u64) {
        if let Some(weights) = self.segments.get_mut(&segment) {
            let weight = &mut weights[class.index()];
            *weight = weight.saturating_sub(bytes);
        }
    }

    /// Takes note that a segment holds nothing of a class that could be given up.
    pub(super) fn clear(&mut self, segment: u64, class: Class) {
        self.take(segment, class, u64::MAX);
    }

    /// Returns the segments that hold something of a class, oldest first.
    pub(super) fn holding(&self, class: Class) -> Vec<u64> {
        let holds =
            |(number, weights): (&u64, &Weights)| (weights[class.index()] > 0).then_some(*number);
        self.segments.iter().filter_map(holds).collect()
    }

    pub(super) fn urgent(&self) -> &BTreeSet<Seq> {
        &self.urgent
    }
}
