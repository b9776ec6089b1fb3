//! The last look before a dictionary leaves: no run of digits of the samples stands in it, not even by
//! chance.
//!
//! Masked numbers are drawn, and of the hundred thousand numbers of five digits some will be a real
//! receipt's. Such a run is broken by changing a digit. Bytes of a dictionary's content are free to
//! change: they are only ever referred to.

use std::collections::HashSet;

use super::masking::{DIGITS_MIN, digit_runs};

/// The runs of digits that must not be found.
#[derive(Debug, Default)]
pub(super) struct Guard {
    runs: HashSet<Vec<u8>>,
    longest: usize,
}

impl Guard {
    /// Takes the runs of a record.
    pub(super) fn add(&mut self, record: &str) {
        for run in digit_runs(record).filter(|run| run.len() >= DIGITS_MIN) {
            self.longest = self.longest.max(run.len());
            if !self.runs.contains(run.as_bytes()) {
                self.runs.insert(run.as_bytes().to_vec());
            }
        }
    }

    /// Breaks every run that is found, from the left.
    pub(super) fn break_runs(&self, bytes: &mut [u8]) {
        // A digit that changed may complete another run, so each round looks at all of them again.
        for round in 0..ROUNDS_MAX {
            let found = self.find_all(bytes);
            if found.is_empty() {
                return;
            }
            for (at, length) in found {
                let Some(digit) = bytes.get_mut(at + length / 2) else {
                    continue;
                };
                *digit = if round + 1 < ROUNDS_MAX {
                    b'0' + (*digit - b'0' + 1) % 10
                } else {
                    b'.'
                };
            }
        }
    }

    /// Returns where the runs stand, with their lengths.
    pub(super) fn find_all(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for start in 0..bytes.len() {
            let rest = bytes.get(start..).unwrap_or_default();
            let digits = rest
                .iter()
                .take(self.longest)
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            let run = (DIGITS_MIN..=digits).find(|length| {
                rest.get(..*length)
                    .is_some_and(|run| self.runs.contains(run))
            });
            found.extend(run.map(|length| (start, length)));
        }
        found
    }
}

/// Rounds of changing digits; the last takes the digit out.
const ROUNDS_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_broken_wherever_it_stands() {
        let mut guard = Guard::default();
        guard.add(r#"{"sequence":"31198","total_minor":1234,"card":"6275980000000906"}"#);
        let mut bytes = b"x31198,99311980,6275980000000906,1234,3119 8".to_vec();
        guard.break_runs(&mut bytes);
        assert!(guard.find_all(&bytes).is_empty());
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.ends_with(",1234,3119 8"), "{text}");
    }

    #[test]
    fn where_every_number_is_taken_the_digit_goes() {
        let mut guard = Guard::default();
        for number in 0..100_000 {
            guard.add(&format!("{number:05}"));
        }
        let mut bytes = b"12345678".to_vec();
        guard.break_runs(&mut bytes);
        assert!(guard.find_all(&bytes).is_empty(), "{bytes:?}");
    }
}
