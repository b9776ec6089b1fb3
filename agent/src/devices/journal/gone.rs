//! Followed files that went, or were replaced, with something in them that waited for its rest.
//!
//! A rotation renames a file or copies it, and the contents come back under another name; what
//! waits is that file's then. So a file is missed for the quiet time before its loss is reported.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::growing::Noted;
use super::{Journal, Stopped, blocking, pause};

/// Since when files are missed, by the names of their notes.
#[derive(Debug, Default)]
pub(super) struct Missed(BTreeMap<String, Duration>);

impl Missed {
    /// Takes which files are there at `now`; returns those that went `quiet` ago with something
    /// open.
    fn due(
        &mut self,
        now: Duration,
        quiet: Duration,
        notes: &Noted,
        listed: &BTreeSet<String>,
    ) -> Vec<String> {
        let is_missed = |name: &String| {
            !listed.contains(name) && notes.get(name).is_some_and(|note| note.open_at > 0)
        };
        self.0.retain(|name, _| is_missed(name));
        for name in notes.keys().filter(|name| is_missed(name)) {
            self.0.entry(name.clone()).or_insert(now);
        }
        let is_due = |since: &Duration| now.saturating_sub(*since) >= quiet;
        let due = self.0.iter().filter(|(_, since)| is_due(since));
        due.map(|(name, _)| name.clone()).collect()
    }
}

impl Journal {
    /// Reports what went with files that are not coming back, each once.
    pub(super) async fn report_gone(
        &self,
        missed: &mut Missed,
        quiet: Duration,
        notes: &mut Arc<Noted>,
        listed: &BTreeSet<String>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Stopped> {
        for name in missed.due((self.elapsed)(), quiet, notes, listed) {
            let Some(note) = notes.get(&name) else {
                continue;
            };
            // What was known of a replaced file is noted under its name and a NUL.
            let file = name.split('\0').next().unwrap_or_default();
            let reason = format!(
                "byte {}: the file was replaced or taken away before the rest of the transaction \
                 that starts here had come: look it up on the POS and have it written again",
                note.open_at
            );
            while let Err(error) = self.report_rejected(file, &reason).await? {
                self.lamp.note_error(format!(
                    "{file}: what was lost of it is not on the disk ({error})"
                ));
                pause(self.pace.retry_pause, stop).await?;
            }
            self.lamp.count(|counts| counts.rejected += 1);
            self.lamp.note_error(format!("{file}: {reason}"));
            let mut reported = note.clone();
            reported.open_at = 0;
            self.keep_reported(&reported, stop).await?;
            Arc::make_mut(notes).insert(name, reported);
        }
        Ok(())
    }

    async fn keep_reported(
        &self,
        progress: &super::Progress,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Stopped> {
        loop {
            let (notes, journal) = (Arc::clone(&self.notes), self.name.clone());
            let progress = progress.clone();
            let keep = move || {
                notes
                    .keep_progress(&journal, &progress)
                    .map_err(io::Error::other)
            };
            let Err(error) = blocking(keep).await else {
                return Ok(());
            };
            self.lamp.note_error(error.to_string());
            pause(self.pace.retry_pause, stop).await?;
        }
    }
}
