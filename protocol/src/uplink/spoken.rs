//! The version that the terminal speaks: its own, or that of a central that is not as new.

use std::time::{Duration, Instant};

use crate::exchange::{CURRENT, MIN, Versions};

/// How long a terminal speaks an older version before it tries its own again. A central that was
/// updated meanwhile is mostly noticed earlier, since its restart interrupts the line.
pub const NEWER_RETRY: Duration = Duration::from_secs(4 * 3600);

/// The version spoken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spoken {
    version: u16,
    since: Option<Instant>,
}

impl Spoken {
    pub(super) fn new() -> Self {
        Self {
            version: CURRENT,
            since: None,
        }
    }

    pub(super) fn version(&self) -> u16 {
        self.version
    }

    /// Takes note that central does not read the version spoken; says whether another is worth a try.
    /// A central of version 1 does not say what it reads: then the one below is tried.
    pub(super) fn handle_refused(&mut self, theirs: Option<Versions>, now: Instant) -> bool {
        let newest = match theirs {
            Some(theirs) => theirs.current.min(CURRENT),
            None => self.version.saturating_sub(1),
        };
        let oldest = theirs.map_or(MIN, |theirs| theirs.min.max(MIN));
        if newest < oldest || newest == self.version {
            return false;
        }
        self.version = newest;
        self.since = Some(now);
        true
    }

    /// Tries the newest again when the older one has been spoken long enough.
    pub(super) fn handle_time(&mut self, now: Instant) {
        let long_ago = |since| now.saturating_duration_since(since) >= NEWER_RETRY;
        if self.since.is_some_and(long_ago) {
            self.handle_outage();
        }
    }

    /// Takes note that the line was away for long: central may be another one now.
    pub(super) fn handle_outage(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "any origin of time will do")]

    use super::*;

    fn refused(theirs: Option<(u16, u16)>) -> (bool, u16) {
        let mut spoken = Spoken::new();
        let theirs = theirs.map(|(min, current)| Versions { min, current });
        let another = spoken.handle_refused(theirs, Instant::now());
        (another, spoken.version())
    }

    #[test]
    fn the_newest_that_both_know_is_spoken_and_none_if_there_is_none() {
        assert_eq!(refused(Some((1, 1))), (true, 1));
        assert_eq!(refused(None), (true, CURRENT - 1));
        assert_eq!(refused(Some((CURRENT + 1, CURRENT + 3))), (false, CURRENT));
        assert_eq!(refused(Some((1, CURRENT + 3))), (false, CURRENT));
        assert_eq!(refused(Some((0, 0))), (false, CURRENT));
    }

    #[test]
    fn a_central_of_version_1_that_refuses_that_as_well_is_not_asked_for_version_0() {
        let mut spoken = Spoken::new();
        let now = Instant::now();
        for _ in MIN..CURRENT {
            assert!(spoken.handle_refused(None, now));
        }
        assert!(!spoken.handle_refused(None, now));
        assert_eq!(spoken.version(), MIN);
    }

    #[test]
    fn the_own_version_is_tried_again_after_hours_and_after_an_outage() {
        let mut spoken = Spoken::new();
        let now = Instant::now();
        spoken.handle_refused(None, now);
        spoken.handle_time(now + NEWER_RETRY - Duration::from_secs(1));
        assert_eq!(spoken.version(), 1);
        spoken.handle_time(now + NEWER_RETRY);
        assert_eq!(spoken.version(), CURRENT);
        spoken.handle_refused(None, now);
        spoken.handle_outage();
        assert_eq!(spoken.version(), CURRENT);
    }
}
