//! How much goes at once: less after an attempt that took too long, more while there is time to spare.

use std::time::Duration;

/// An amount between two bounds that follows the line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portion {
    bytes: u64,
    least: u64,
    most: u64,
}

impl Portion {
    /// Starts with the most.
    pub(super) fn new(least: u64, most: u64) -> Self {
        Self {
            bytes: most.max(least),
            least,
            most: most.max(least),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_most(&self) -> bool {
        self.bytes == self.most
    }

    /// Halves what was tried in vain; says whether the next attempt is smaller.
    pub(super) fn handle_too_much(&mut self, tried: u64) -> bool {
        let before = self.bytes.min(tried);
        if before <= self.least {
            return false;
        }
        self.bytes = (before / 2).max(self.least);
        true
    }

    /// Doubles if the portion was used and twice as much would have fitted into the time with as much
    /// again to spare: a guess that fails costs a whole attempt, and on a slow line a long one.
    pub(super) fn handle_fit(&mut self, used: u64, took: Duration, allowed: Duration) {
        if used >= self.bytes / 2 && took <= allowed / 4 {
            self.bytes = self.bytes.saturating_mul(2).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: Duration = Duration::from_secs(20);

    #[test]
    fn it_halves_down_to_the_least_and_says_when_it_cannot() {
        let mut portion = Portion::new(512, 4_096);
        assert!(portion.handle_too_much(4_000));
        assert_eq!(portion.bytes(), 2_000);
        assert!(portion.handle_too_much(2_000) && portion.handle_too_much(1_000));
        assert_eq!(portion.bytes(), 512);
        assert!(!portion.handle_too_much(512));
        assert_eq!(portion.bytes(), 512);
    }

    #[test]
    fn what_was_small_already_was_not_too_much() {
        let mut portion = Portion::new(512, 4_096);
        assert!(!portion.handle_too_much(300));
        assert_eq!(portion.bytes(), 4_096);
    }

    #[test]
    fn it_grows_only_while_it_is_used_and_twice_as_much_has_time() {
        let mut portion = Portion::new(512, 4_096);
        portion.handle_too_much(2_048);
        portion.handle_fit(1_024, ALLOWED / 2, ALLOWED);
        portion.handle_fit(10, Duration::ZERO, ALLOWED);
        assert_eq!(portion.bytes(), 1_024);
        for _ in 0..9 {
            portion.handle_fit(portion.bytes(), ALLOWED / 4, ALLOWED);
        }
        assert_eq!(portion.bytes(), 4_096);
    }
}
