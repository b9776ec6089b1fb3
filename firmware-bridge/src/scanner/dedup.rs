//! Tells a scanner's second read of the same code from a second scan.

use std::time::Duration;

use crate::code::Code;

/// How long a code is taken for a repeat of itself: longer than a scanner's own re-read delay
/// (some 500 ms), shorter than a cashier needs to scan the same card on purpose.
pub const REPEAT_WINDOW: Duration = Duration::from_millis(800);

/// Remembers the last code of one scanner.
///
/// Each repeat starts the window anew, so a card left in front of a scanner that reads without a
/// trigger stays one scan. Payment codes are compared by their kind alone, since nothing else of
/// them is kept.
#[derive(Debug)]
pub struct Dedup {
    window: Duration,
    last: Option<(Code, Duration)>,
}

impl Dedup {
    /// Makes a memory with this window.
    pub fn new(window: Duration) -> Self {
        Self { window, last: None }
    }

    /// Says whether `code` is a scan of its own. `now` is the time since any fixed start.
    pub fn is_new(&mut self, code: &Code, now: Duration) -> bool {
        let is_repeat = self.last.as_ref().is_some_and(|(last, seen_at)| {
            last == code && now.saturating_sub(*seen_at) < self.window
        });
        self.last = Some((code.clone(), now));
        !is_repeat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn repeats_within_the_window_are_one_scan_and_extend_it() {
        let mut dedup = Dedup::new(at(800));
        let a = Code::ClaimCode("TBC:A".to_owned());
        let b = Code::ClaimCode("TBC:B".to_owned());
        let scans = [
            (&a, 0),
            (&a, 500),
            (&a, 1_200),
            (&b, 1_300),
            (&a, 1_400),
            (&a, 2_200),
        ];
        let new: Vec<bool> = scans
            .iter()
            .map(|(code, ms)| dedup.is_new(code, at(*ms)))
            .collect();
        assert_eq!(new, [true, false, false, true, true, true]);
    }

    #[test]
    fn a_clock_that_steps_back_makes_no_new_scan() {
        let mut dedup = Dedup::new(at(800));
        let code = Code::ClaimCode("TBC:A".to_owned());
        assert!(dedup.is_new(&code, at(5_000)));
        assert!(!dedup.is_new(&code, at(4_000)));
    }
}
