//! What this process counts for Prometheus: one figure for each bound, and how often it was met.
//!
//! Counters begin at zero with the process; what the whole database knows (terminals, gaps, records in
//! quarantine) is asked of it by [`crate::admin`]. Labels are words of this program: no terminal, card,
//! account or address is among them.
//!
//! | name | kind | meaning |
//! |---|---|---|
//! | `tillbind_central_connections{listener}` | gauge | open connections, `sync` or `admin` |
//! | `tillbind_central_connections_max{listener}` | gauge | their bound |
//! | `tillbind_central_connections_closed_total{listener,why}` | counter | closed at the door: `full`, `strangers`, `handshake` |
//! | `tillbind_central_handshakes_waiting` | gauge | connections that wait to shake hands |
//! | `tillbind_central_exchanges{stage}` | gauge | `sending` their body, `waiting` for a turn, `working` |
//! | `tillbind_central_exchanges_max{stage}` | gauge | bounds of `sending` (with `waiting`) and `working` |
//! | `tillbind_central_body_bytes` | gauge | bytes of bodies in flight, as announced |
//! | `tillbind_central_body_bytes_max` | gauge | their bound |
//! | `tillbind_central_terminals_owed` | gauge | terminals that were told to slow down and not served since |
//! | `tillbind_central_slow_downs_total{why}` | counter | `asked`: before their body; `overdue`: after a wait |
//! | `tillbind_central_polls` | gauge | polls that are held |
//! | `tillbind_central_batches_total` | counter | requests of which events were taken |
//! | `tillbind_central_events_total` | counter | events taken |
//! | `tillbind_central_quarantined_total` | counter | of them, those that could not be used |
//! | `tillbind_central_gaps_total` | counter | gaps recorded |
//! | `tillbind_central_rewinds_total`, `tillbind_central_forks_total` | counter | verdicts told |
//! | `tillbind_central_contended_total` | counter | takings tried again, since another was in the way |
//! | `tillbind_central_refusals_total{word}` | counter | requests refused, by the word of the answer |
//! | `tillbind_central_exchange_seconds` | histogram | a turn: from its begin until it is given back |
//! | `tillbind_central_commit_seconds` | histogram | a commit at the database |
//! | `tillbind_central_database_connections{state}` | gauge | `used` and `idle` connections of the pool |

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper ends of a histogram's classes, in microseconds.
const CLASSES_US: [u64; 13] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    5_000_000,
];

/// Words of refusals, as [`crate::sync::refusal`] writes them; any other is counted as the last.
const WORDS: [&str; 12] = [
    "no_certificate",
    "revoked",
    "version",
    "too_large",
    "bad_request",
    "busy",
    "unknown_token",
    "token_used",
    "token_expired",
    "cloned",
    "unavailable",
    "other",
];

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn count(&self) {
        self.add(1);
    }

    /// Adds so many.
    pub fn add(&self, more: usize) {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Returns how many there were.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number of things that come and go.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

/// Counts one thing as long as it lives.
#[derive(Debug)]
pub struct Counted<'g>(&'g Gauge);

impl Gauge {
    /// Counts one more until the answer is dropped.
    pub fn enter(&self) -> Counted<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(self)
    }

    /// Returns how many there are.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long something took, in classes.
#[derive(Debug, Default)]
pub struct Histogram {
    classes: [AtomicU64; CLASSES_US.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

impl Histogram {
    /// Counts something that took so long.
    pub fn observe(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let fits = CLASSES_US.iter().zip(&self.classes);
        if let Some((_, class)) = fits.into_iter().find(|(end, _)| us <= **end) {
            class.fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Returns how many were counted.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Writes it in Prometheus' text form.
    ///
    /// # Errors
    /// When `text` refuses.
    pub fn write(&self, text: &mut impl Write, name: &str, help: &str) -> fmt::Result {
        writeln!(text, "# HELP {name} {help}\n# TYPE {name} histogram")?;
        // What is counted meanwhile must not make a class larger than the sum.
        let count = self.count();
        let mut up_to = 0;
        for (end, class) in CLASSES_US.iter().zip(&self.classes) {
            up_to = (up_to + class.load(Ordering::Relaxed)).min(count);
            let end_s = Duration::from_micros(*end).as_secs_f64();
            writeln!(text, "{name}_bucket{{le=\"{end_s}\"}} {up_to}")?;
        }
        let sum_s = Duration::from_micros(self.sum_us.load(Ordering::Relaxed)).as_secs_f64();
        writeln!(
            text,
            "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum_s}\n{name}_count {count}"
        )
    }
}

/// What a listener counts.
#[derive(Debug, Default)]
pub struct ListenerMetrics {
    /// Open connections.
    pub connections: Gauge,
    /// Closed since there were too many.
    pub full: Counter,
    /// Closed since there were too many without a certificate.
    pub strangers: Counter,
    /// Closed since the handshake failed or took too long.
    pub handshake: Counter,
    /// Connections that wait to shake hands.
    pub handshakes_waiting: Gauge,
}

/// What the exchange counts.
#[derive(Debug, Default)]
pub struct ExchangeMetrics {
    /// Told to slow down before their body was read.
    pub slowed_asked: Counter,
    /// Told to slow down after they had waited for a turn.
    pub slowed_overdue: Counter,
    /// Polls that are held.
    pub polls: Gauge,
    /// Requests of which events were taken.
    pub batches: Counter,
    /// Events taken.
    pub events: Counter,
    /// Events that could not be used.
    pub quarantined: Counter,
    /// Gaps recorded.
    pub gaps: Counter,
    /// Verdicts `rewind`.
    pub rewinds: Counter,
    /// Verdicts `fork`.
    pub forks: Counter,
    /// Takings that were tried again.
    pub contended: Counter,
    /// How long turns lasted.
    pub turns: Histogram,
    refusals: [Counter; WORDS.len()],
}

impl ExchangeMetrics {
    /// Counts a refusal by its word.
    pub fn refuse(&self, word: &str) {
        let other = WORDS.len() - 1;
        let place = WORDS.iter().position(|known| *known == word);
        if let Some(counter) = self.refusals.get(place.unwrap_or(other)) {
            counter.count();
        }
    }

    /// Returns each word with how often it was told.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        WORDS
            .into_iter()
            .zip(self.refusals.iter().map(Counter::get))
    }
}

/// Everything that this process counts.
#[derive(Debug, Default)]
pub struct Metrics {
    /// The listener for terminals.
    pub sync: Arc<ListenerMetrics>,
    /// The listener for headquarters.
    pub admin: Arc<ListenerMetrics>,
    /// The exchange.
    pub exchange: ExchangeMetrics,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_each_once_in_all_classes_above_it() {
        let histogram = Histogram::default();
        for us in [100, 250, 251, 9_000_000] {
            histogram.observe(Duration::from_micros(us));
        }
        let mut text = String::new();
        histogram.write(&mut text, "x", "What.").unwrap();
        for line in [
            "x_bucket{le=\"0.00025\"} 2",
            "x_bucket{le=\"0.0005\"} 3",
            "x_bucket{le=\"5\"} 3",
            "x_bucket{le=\"+Inf\"} 4",
            "x_count 4",
        ] {
            assert!(text.lines().any(|have| have == line), "{line}: {text}");
        }
    }

    #[test]
    fn a_word_that_is_not_known_is_counted_all_the_same() {
        let metrics = ExchangeMetrics::default();
        metrics.refuse("busy");
        metrics.refuse("unheard_of");
        let told: Vec<_> = metrics.refusals().filter(|(_, n)| *n > 0).collect();
        assert_eq!(told, [("busy", 1), ("other", 1)]);
    }

    #[test]
    fn what_comes_and_goes_is_counted_as_long_as_it_lives() {
        let gauge = Gauge::default();
        let first = gauge.enter();
        let second = gauge.enter();
        assert_eq!(gauge.get(), 2);
        drop(first);
        drop(second);
        assert_eq!(gauge.get(), 0);
    }
}
