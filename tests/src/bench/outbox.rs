//! The outbox under load, with a long backlog, and what it wears off the disk.

pub(super) mod group;
pub(super) mod waiting;
pub(super) mod wear;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tillbind_agent::outbox::{Opened, Outbox, OutboxConfig};
use tillbind_agent::vault::Vault;

use crate::clock::Stopwatch;

/// Length of a usual event, in bytes.
pub(super) const RECORD_BYTES: usize = 400;

/// Opens an outbox in `dir`, whose key is the same in every process of a run.
pub(super) fn open(dir: &Path) -> Result<Opened> {
    // Keys of a benchmark guard nothing, so a seeded source will do.
    let source = Mutex::new(fastrand::Rng::with_seed(14));
    let random = Arc::new(move |bytes: &mut [u8]| {
        source
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill(bytes);
    });
    let watch = Stopwatch::start();
    let config = OutboxConfig::new(dir, Arc::new(move || watch.elapsed()));
    let vault = Vault::from_key([14; 32], random.clone());
    Ok(Outbox::open(config, &vault, random)?)
}

/// Returns an event of the usual length.
pub(super) fn record() -> Vec<u8> {
    let head =
        r#"{"at":1767225600000,"kind":"scan","body":{"code":"unknown","device":"bench","text":""#;
    let tail = r#""}}"#;
    let filling = RECORD_BYTES - head.len() - tail.len();
    format!("{head}{}{tail}", "x".repeat(filling)).into_bytes()
}

fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_usual_length_and_is_json() {
        assert_eq!(record().len(), RECORD_BYTES);
        serde_json::from_slice::<serde_json::Value>(&record()).unwrap();
    }

    #[test]
    fn thousands_are_told_apart() {
        for (number, text) in [(7.0, "7"), (999.6, "1,000"), (1_234_567.0, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
    }
}
