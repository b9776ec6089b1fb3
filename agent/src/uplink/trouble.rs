//! What a failed exchange leads to: another version, a smaller request, a back-off, and a word to people.

use tillbind_protocol::exchange::Versions;

use super::line::LineError;
use super::{Task, draw};
use crate::clock;

impl Task {
    /// Takes an exchange that came to nothing.
    pub(super) fn take_error(&mut self, error: &LineError) {
        let (now, entropy) = (clock::monotonic(), draw());
        match error {
            LineError::Refused(reason) => {
                self.machine.handle_refused(now, entropy);
                self.refused(reason);
            }
            LineError::Version { theirs, message } => self.turn_to_version(*theirs, message),
            LineError::TooLarge(_) => {
                self.machine.handle_too_large(now, entropy);
                self.failed(&error.to_string());
            }
            LineError::Unreachable(_)
            | LineError::Dictionary { .. }
            | LineError::Http { .. }
            | LineError::Malformed(_)
            | LineError::Request(_) => self.fail(&error.to_string()),
        }
    }

    /// Goes on in a version that headquarters reads, if there is one.
    fn turn_to_version(&mut self, theirs: Option<Versions>, message: &str) {
        let ours = self.machine.version();
        let now = clock::monotonic();
        if self.machine.handle_version_refused(theirs, now, draw()) {
            let version = self.machine.version();
            tracing::info!(
                ours,
                version,
                "headquarters is of another version: going on in its own"
            );
            self.show(|_| {});
        } else {
            self.refused(message);
        }
    }

    /// Takes a failure of this side or of the line.
    pub(super) fn fail(&mut self, reason: &str) {
        self.machine.handle_failure(clock::monotonic(), draw());
        self.failed(reason);
    }

    /// Tells people of a failure that the machine knows of.
    pub(super) fn failed(&mut self, reason: &str) {
        self.ahead = None;
        if self.reach.status.borrow().last_error.as_deref() != Some(reason) {
            tracing::warn!(reason, "the exchange with headquarters failed");
        }
        self.show(|status| {
            status.counts.retries += 1;
            status.last_error = Some(reason.to_owned());
        });
    }

    fn refused(&mut self, reason: &str) {
        self.ahead = None;
        tracing::error!(reason, "headquarters refuses this terminal");
        self.show(|status| {
            status.counts.refusals += 1;
            status.last_error = Some(format!("headquarters refuses this terminal: {reason}"));
        });
    }
}
