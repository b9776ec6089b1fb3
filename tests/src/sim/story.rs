//! The story of a run, and its hash: two runs with one hash took the same steps in the same order.

use std::fmt::{Arguments, Write};
use std::time::Duration;

use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::Epoch;

/// Takes down what happens.
#[derive(Debug)]
pub(super) struct Story {
    mark: Mark,
    line: String,
    told: Option<Vec<String>>,
}

impl Story {
    pub(super) fn new() -> Self {
        Self {
            mark: Mark::genesis(Epoch(0)),
            line: String::new(),
            told: None,
        }
    }

    /// Keeps the lines, not only their hash.
    pub(super) fn keep(&mut self) {
        self.told = Some(Vec::new());
    }

    pub(super) fn tell(&mut self, at: Duration, what: Arguments<'_>) {
        self.line.clear();
        // Writing into a string does not fail.
        let _written = write!(self.line, "{:>11.4} {what}", at.as_secs_f64()).is_ok();
        self.mark = self.mark.next(self.line.as_bytes());
        if let Some(told) = &mut self.told {
            told.push(self.line.clone());
        }
    }

    /// The hash of all that was told.
    pub(super) fn hash(&self) -> String {
        self.mark.chain.to_string()
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.told.unwrap_or_default()
    }
}
