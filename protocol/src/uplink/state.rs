//! What the terminal does at the moment: one request is under way at a time.

use std::time::{Duration, Instant};

use super::Wake;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Idle,
    Sending { began: Instant, deadline: Instant },
    Polling { began: Instant, deadline: Instant },
    Waiting { until: Instant, why: Wake },
}

impl State {
    /// Returns whether the next attempt waits for its time, and for this reason.
    pub(super) fn waits_for(self, reason: Wake) -> bool {
        match self {
            State::Waiting { why, .. } => why == reason,
            State::Idle | State::Sending { .. } | State::Polling { .. } => false,
        }
    }

    /// Returns how long the request under way has taken.
    pub(super) fn took(self, now: Instant) -> Duration {
        match self {
            State::Sending { began, .. } | State::Polling { began, .. } => {
                now.saturating_duration_since(began)
            }
            State::Idle | State::Waiting { .. } => Duration::ZERO,
        }
    }
}
