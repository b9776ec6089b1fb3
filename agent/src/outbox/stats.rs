//! Figures of the outbox, for people and for `/metrics`.

use std::time::Duration;

use tillbind_protocol::ids::Seq;

use super::room::Pressure;
use super::worth::{CLASSES, Class};

/// Upper bounds of the latency buckets, in microseconds; one more bucket stands above the last.
pub const LATENCY_BOUNDS_US: [u64; 12] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_000_000,
];

/// How long things took, counted by bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latencies {
    /// How many fell at or below each of [`LATENCY_BOUNDS_US`], and above the one before; the last
    /// stands above all bounds.
    pub buckets: [u64; LATENCY_BOUNDS_US.len() + 1],
    /// All of them together.
    pub sum: Duration,
    /// How many there were.
    pub count: u64,
}

impl Latencies {
    pub(super) fn add(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = LATENCY_BOUNDS_US.partition_point(|bound| *bound < micros);
        self.buckets[bucket] += 1;
        self.sum += took;
        self.count += 1;
    }
}

/// The outbox in figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events that central has not acknowledged; lost ones in a gap count too.
    pub events: u64,
    /// Their plain bytes. While `degraded`, an estimate.
    pub bytes: u64,
    /// The oldest of them.
    pub oldest: Option<Seq>,
    /// Journal segments in use.
    pub segments: u64,
    /// Journal segments kept for reuse.
    pub spares: u64,
    /// What journal and buffer take on the disk, in bytes.
    pub disk_bytes: u64,
    /// Events kept since the start.
    pub commits: u64,
    /// Syncs of the journal since the start.
    pub syncs: u64,
    /// Bytes that the journal wrote to the disk since the start, in whole blocks of 4 KiB: its wear.
    pub bytes_written: u64,
    /// Commits that the disk refused since the start.
    pub failures: u64,
    /// Groups refused for want of room since the start.
    pub refusals: u64,
    /// Events given up for want of room since the start, by [`Class`] in its order.
    pub(super) given_up: [u64; CLASSES],
    /// Whether there is room for what comes.
    pub pressure: Pressure,
    /// What is free on the file system, in bytes; unknown if the system does not say.
    pub disk_free_bytes: Option<u64>,
    /// The size of the file system, in bytes.
    pub disk_total_bytes: Option<u64>,
    /// Records in the quarantine.
    pub quarantined: u64,
    /// Whether the buffer is out of order and reading goes by the journal, which is slower.
    pub degraded: bool,
    /// How long write and sync of each commit took.
    pub commit_latency: Latencies,
}

impl Stats {
    /// Returns how many events of a class were given up for want of room since the start.
    pub fn given_up_of(&self, class: Class) -> u64 {
        self.given_up[class.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_falls_into_the_bucket_that_holds_it() {
        let mut latencies = Latencies::default();
        for micros in [0, 100, 101, 5_000_000] {
            latencies.add(Duration::from_micros(micros));
        }
        assert_eq!(latencies.buckets[0], 2);
        assert_eq!(latencies.buckets[1], 1);
        assert_eq!(latencies.buckets[LATENCY_BOUNDS_US.len()], 1);
        assert_eq!(latencies.count, 4);
    }
}
