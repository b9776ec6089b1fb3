//! Tells what happens as it happens, one line an act; on a terminal with a progress line below.

use std::io::{IsTerminal, Write, stdout};

use crate::clock::Stopwatch;

/// Width of the progress bar, in characters.
const BAR: usize = 30;
/// Width that clears the progress line, in characters.
const CLEAR: usize = 78;

/// Writes to standard output.
#[derive(Debug)]
pub struct Narrator {
    watch: Stopwatch,
    done: usize,
    total: usize,
    screen: bool,
}

impl Default for Narrator {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::print_stdout, reason = "a narrator narrates")]
impl Narrator {
    /// Starts the story's clock.
    pub fn new() -> Self {
        Self {
            watch: Stopwatch::start(),
            done: 0,
            total: 0,
            screen: stdout().is_terminal(),
        }
    }

    /// Announces how many acts there will be.
    pub fn plan(&mut self, total: usize) {
        self.total = total;
    }

    /// Begins a part of the day.
    pub fn part(&mut self, title: &str) {
        self.wipe();
        println!("\n{title}");
        self.bar();
    }

    /// Tells one act that is over.
    pub fn act(&mut self, whose: &str, what: &str) {
        self.done += 1;
        self.wipe();
        println!(
            "{:>6.1} s  {:>2}/{}  {whose:<8} {what}",
            self.watch.elapsed().as_secs_f32(),
            self.done,
            self.total
        );
        self.bar();
    }

    /// Ends the story: nothing is left of the progress line.
    pub fn end(&mut self) {
        self.wipe();
    }

    /// Returns the story's clock.
    pub fn watch(&self) -> Stopwatch {
        self.watch
    }

    /// Returns how many acts were told.
    pub fn done(&self) -> usize {
        self.done
    }

    fn wipe(&self) {
        if self.screen {
            print!("\r{:CLEAR$}\r", "");
        }
    }

    fn bar(&self) {
        if !self.screen || self.total == 0 {
            return;
        }
        let full = (BAR * self.done / self.total).min(BAR);
        print!(
            "[{}{}] {} of {} acts",
            "#".repeat(full),
            ".".repeat(BAR - full),
            self.done,
            self.total
        );
        // A screen that is gone needs no progress line.
        drop(stdout().flush());
    }
}
