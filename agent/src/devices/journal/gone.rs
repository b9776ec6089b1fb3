//! Followed files that went, or were replaced, with something in them that waited: for its rest, or for
//! the quiet time.
//!
//! A rotation renames a file or copies it, and the contents come back under another name; what
//! waits is that file's then. So a file is missed for the quiet time before its loss is told. What
//! stood at the end of a file of lines is then taken for whole, as it would have been had the file
//! stayed: a POS may archive the day's file right behind its last sale. Where that is not known, as
//! after a restart, it is reported that something is missing, and where.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tillbind_firmware_bridge::journal::decoder::LineFormat;
use tillbind_firmware_bridge::journal::entry::Found;
use tokio::sync::watch;

use super::following::Memory;
use super::growing::Noted;
use super::progress::Progress;
use super::telling::Told;
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
            !listed.contains(name) && notes.get(name).is_some_and(|note| note.open_at.is_some())
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
    /// Tells or reports what went with files that are not coming back, each once.
    pub(super) async fn tell_gone(
        &self,
        format: Option<&LineFormat>,
        quiet: Duration,
        listed: &BTreeSet<String>,
        memory: &mut Memory,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Stopped> {
        let now = (self.elapsed)();
        for name in memory.missed.due(now, quiet, &memory.notes, listed) {
            let Some(note) = memory.notes.get(&name).cloned() else {
                continue;
            };
            let Some(byte) = note.open_at else {
                continue;
            };
            // What was known of a replaced file is noted under its name and a NUL.
            let file = name.split('\0').next().unwrap_or_default();
            let told = match memory.rests.remove(&note.print) {
                Some(rest) => {
                    self.tell_rest(format, file, byte, &note, &rest, stop)
                        .await?
                }
                None => self.report_gone(file, byte, &note, stop).await?,
            };
            Arc::make_mut(&mut memory.notes).insert(name, told);
        }
        Ok(())
    }

    /// Tells what stood at the file's end, again and again while that cannot be made durable.
    async fn tell_rest(
        &self,
        format: Option<&LineFormat>,
        file: &str,
        byte: u64,
        note: &Progress,
        rest: &[Found],
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Progress, Stopped> {
        loop {
            let rest = rest.to_vec();
            let (its_name, its_note) = (file.to_owned(), note.clone());
            let told = self
                .with_growing(format, false, stop, move |growing| {
                    growing.tell_rest(&its_name, &its_note, rest)
                })
                .await;
            match told {
                Ok(reached) => {
                    self.lamp
                        .count(|counts| counts.rejected += reached.reported);
                    if let Some(fault) = reached.last_fault {
                        self.lamp.note_error(format!("{file}: {fault}"));
                    }
                    return Ok(reached.progress);
                }
                Err(Told::Stopped) => return Err(Stopped),
                Err(Told::NotDurable { reason }) => self.lamp.note_error(format!(
                    "{file}: its end is not on the disk ({reason}): it is told again"
                )),
                Err(Told::Unreadable { .. } | Told::Bad { .. } | Told::All | Told::Truncated) => {
                    return self.report_gone(file, byte, note, stop).await;
                }
            }
            pause(self.pace.retry_pause, stop).await?;
        }
    }

    /// Reports that what stood behind `byte` is missing.
    async fn report_gone(
        &self,
        file: &str,
        byte: u64,
        note: &Progress,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Progress, Stopped> {
        let reason = format!(
            "byte {byte}: the file was replaced or taken away before the rest of the transaction \
             that starts here had come: look it up on the POS and have it written again"
        );
        while let Err(error) = self.report_rejected(file, &reason).await? {
            self.lamp.note_error(format!(
                "{file}: what was lost of it is not on the disk ({error})"
            ));
            pause(self.pace.retry_pause, stop).await?;
        }
        self.lamp.count(|counts| counts.rejected += 1);
        self.lamp.note_error(format!("{file}: {reason}"));
        let reported = note.with_nothing_open();
        self.keep_reported(&reported, stop).await?;
        Ok(reported)
    }

    async fn keep_reported(
        &self,
        progress: &Progress,
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
