//! Holds back who guesses tokens: failed attempts are counted by address.

use std::collections::HashMap;
use std::net::IpAddr;

/// Failed attempts that one address has within [`WINDOW_MS`]; further ones are refused unread.
pub const FAILURES_MAX: u32 = 20;
/// Length of the window, in milliseconds.
pub const WINDOW_MS: i64 = 60_000;
/// Addresses that are remembered. When more fail within one window, all further attempts of unknown
/// addresses are refused until it ends.
pub const ADDRESSES_MAX: usize = 4_096;

/// Counts failures within the running window.
#[derive(Debug, Default)]
pub struct Flood {
    window_start_ms: i64,
    failures: HashMap<IpAddr, u32>,
}

impl Flood {
    /// Returns whether an attempt may be looked at.
    pub fn admits(&mut self, from: IpAddr, now_ms: i64) -> bool {
        self.turn(now_ms);
        match self.failures.get(&from) {
            Some(failures) => *failures < FAILURES_MAX,
            None => self.failures.len() < ADDRESSES_MAX,
        }
    }

    /// Counts a failed attempt.
    pub fn handle_failure(&mut self, from: IpAddr, now_ms: i64) {
        self.turn(now_ms);
        if self.failures.len() < ADDRESSES_MAX || self.failures.contains_key(&from) {
            let failures = self.failures.entry(from).or_default();
            *failures = failures.saturating_add(1);
        }
    }

    fn turn(&mut self, now_ms: i64) {
        let within = self.window_start_ms..self.window_start_ms.saturating_add(WINDOW_MS);
        if !within.contains(&now_ms) {
            self.window_start_ms = now_ms;
            self.failures.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_guesses_is_held_back_for_the_window_and_others_are_not() {
        let mut flood = Flood::default();
        let (guesser, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        for _ in 0..FAILURES_MAX {
            assert!(flood.admits(guesser, 1_000));
            flood.handle_failure(guesser, 1_000);
        }
        assert!(!flood.admits(guesser, 1_001));
        assert!(flood.admits(other, 1_001));
        assert!(flood.admits(guesser, 1_000 + WINDOW_MS));
    }

    #[test]
    fn a_thousand_addresses_take_bounded_memory() {
        let mut flood = Flood::default();
        for n in 0..20_000u32 {
            flood.handle_failure(IpAddr::from(n.to_be_bytes()), 5);
        }
        assert_eq!(flood.failures.len(), ADDRESSES_MAX);
        assert!(!flood.admits(IpAddr::from([255, 0, 0, 1]), 6));
    }
}
