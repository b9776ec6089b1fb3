//! A folder of growing files: listed, looked into, and noted how far each was told.
//!
//! Files stay where they are; what of them cannot be read is reported line by line. What is known
//! of a file that has left the folder is kept for a while: it comes back under a new name.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use tillbind_firmware_bridge::journal::FILES_MAX;
use tillbind_firmware_bridge::journal::decoder::LineFormat;
use tillbind_firmware_bridge::journal::entry::Found;
use tillbind_firmware_bridge::journal::follow::{Follow, FollowSettings, Look, LookResult};
use tillbind_protocol::event::Source;
use tokio::sync::watch;

use super::gone::Missed;
use super::growing::{Growing, Noted, Reached};
use super::progress::{Print, Progress};
use super::telling::{Teller, Told};
use super::{Journal, PortState, Stopped, blocking, folder, pause};

/// Files whose last, unfinished piece is kept in memory; of others that go it is only reported where
/// something is missing. More cost a transaction's memory each.
const RESTS_MAX: usize = 64;

/// What is remembered of the files between two listings.
pub(super) struct Memory {
    pub(super) notes: Arc<Noted>,
    /// What stood at files' ends when they were looked into last, by the prints of their notes.
    pub(super) rests: BTreeMap<Print, Vec<Found>>,
    /// Files that the settings do not fit, and of which that was reported.
    unfit: BTreeSet<String>,
    pub(super) missed: Missed,
}

impl Journal {
    /// Follows the folder until the agent ends; its files are POSLog where no `format` is given.
    pub(super) async fn follow_folder(
        &self,
        settings: FollowSettings,
        format: Option<&LineFormat>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<std::convert::Infallible, Stopped> {
        let mut memory = Memory {
            notes: Arc::new(self.noted_progress(stop).await?),
            rests: BTreeMap::new(),
            unfit: BTreeSet::new(),
            missed: Missed::default(),
        };
        let quiet = settings.quiet;
        let closed = memory.notes.values().filter(|note| note.closed);
        let mut follow = Follow::new(settings, closed.map(|note| note.file.clone()));
        loop {
            let dir = self.dir.clone();
            match blocking(move || folder::list(&dir)).await {
                Ok(files) => {
                    self.lamp.show(PortState::Open);
                    let names: BTreeSet<String> =
                        files.iter().map(|file| file.name.clone()).collect();
                    for look in follow.handle_listing((self.elapsed)(), files) {
                        let result = self
                            .look_into(format, &look, &names, &mut memory, stop)
                            .await?;
                        follow.handle_result(&look, result, (self.elapsed)());
                    }
                    self.tell_gone(format, quiet, &names, &mut memory, stop)
                        .await?;
                    if follow.overlooked() > 0 {
                        self.lamp.note_error(format!(
                            "{} files wait for room: at most {FILES_MAX} are followed, remove old \
                             ones",
                            follow.overlooked()
                        ));
                    }
                }
                Err(error) => self.show_unlistable(&error),
            }
            pause(self.pace.list_every, stop).await?;
        }
    }

    async fn noted_progress(&self, stop: &mut watch::Receiver<bool>) -> Result<Noted, Stopped> {
        loop {
            let (notes, journal) = (Arc::clone(&self.notes), self.name.clone());
            match blocking(move || notes.progress(&journal).map_err(io::Error::other)).await {
                Ok(noted) => {
                    let by_name = noted.into_iter().map(|note| (note.file.name.clone(), note));
                    return Ok(by_name.collect());
                }
                Err(error) => self.lamp.show(PortState::Unopenable {
                    reason: error.to_string(),
                }),
            }
            pause(self.pace.retry_pause, stop).await?;
        }
    }

    /// Tells what is new in a file, again and again while that cannot be made durable.
    async fn look_into(
        &self,
        format: Option<&LineFormat>,
        look: &Look,
        listed: &BTreeSet<String>,
        memory: &mut Memory,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<LookResult, Stopped> {
        let name = look.file.name.as_str();
        loop {
            match self.tell_new(format, look, memory, stop).await {
                Ok(reached) => {
                    self.take_reached(look, reached, listed, memory).await;
                    return Ok(LookResult::Read);
                }
                Err(Told::Stopped) => return Err(Stopped),
                Err(Told::NotDurable { reason }) => self.lamp.note_error(format!(
                    "{name}: something of it is not on the disk ({reason}): it is told again"
                )),
                Err(Told::Unreadable { reason } | Told::Bad { reason }) => {
                    self.lamp.note_error(format!("{name}: {reason}"));
                    return Ok(LookResult::Unreadable);
                }
                Err(Told::All | Told::Truncated) => return Ok(LookResult::Read),
            }
            pause(self.pace.retry_pause, stop).await?;
            // What became durable before the refusal is noted, and not told again.
            memory.notes = Arc::new(self.noted_progress(stop).await?);
        }
    }

    async fn tell_new(
        &self,
        format: Option<&LineFormat>,
        look: &Look,
        memory: &Memory,
        stop: &watch::Receiver<bool>,
    ) -> Result<Reached, Told> {
        let (path, look) = (self.dir.join(&look.file.name), look.clone());
        let (its_format, known) = (format.cloned(), Arc::clone(&memory.notes));
        let reports_unfit = !memory.unfit.contains(&look.file.name);
        let tell = move |growing: &Growing<'_>| match &its_format {
            Some(format) => growing.tell_lines(format, &path, &look, &known),
            None => growing.tell_poslog(&path, &look, &known),
        };
        self.with_growing(format, reports_unfit, stop, tell).await
    }

    /// Has something of a file told by a thread that may block.
    pub(super) async fn with_growing(
        &self,
        format: Option<&LineFormat>,
        reports_unfit: bool,
        stop: &watch::Receiver<bool>,
        tell: impl FnOnce(&Growing<'_>) -> Result<Reached, Told> + Send + 'static,
    ) -> Result<Reached, Told> {
        let lamp = self.lamp.clone();
        let source = match format {
            None => Source::Poslog,
            Some(LineFormat::Ndjson(_)) => Source::Ndjson,
            Some(LineFormat::Csv(_)) => Source::Csv,
        };
        let teller = Teller {
            journal: self.name.clone(),
            source,
            rules: Arc::clone(&self.rules),
            events: self.events.clone(),
            stop: stop.clone(),
            on_durable: Box::new(move || lamp.count(|counts| counts.sales += 1)),
        };
        let (notes, journal) = (Arc::clone(&self.notes), self.name.clone());
        let tell = move || {
            let keep = |progress: &Progress| {
                notes
                    .keep_progress(&journal, progress)
                    .map_err(|error| error.to_string())
            };
            let growing = Growing {
                teller: &teller,
                reports_unfit,
                keep: &keep,
            };
            Ok(tell(&growing))
        };
        blocking(tell).await.unwrap_or_else(|error| {
            Err(Told::Bad {
                reason: format!("reading it failed ({error}): report this"),
            })
        })
    }

    async fn take_reached(
        &self,
        look: &Look,
        reached: Reached,
        listed: &BTreeSet<String>,
        memory: &mut Memory,
    ) {
        let name = look.file.name.as_str();
        self.lamp
            .count(|counts| counts.rejected += reached.reported);
        if let Some(reason) = reached.unfit {
            self.lamp.note_error(format!("{name}: {reason}"));
            memory.unfit.insert(name.to_owned());
            return;
        }
        memory.unfit.remove(name);
        if reached.progress.closed {
            self.lamp.count(|counts| counts.files += 1);
        }
        if let Some(fault) = reached.last_fault {
            self.lamp.note_error(format!("{name}: {fault}"));
        }
        if reached.replaced_lines > 0 {
            self.lamp.note_error(format!(
                "{name}: {} lines hold bytes that their encoding does not know: correct the \
                 setting \"encoding\"",
                reached.replaced_lines
            ));
        }
        // Nobody else holds them between two looks, so that nothing is copied here.
        let notes = Arc::make_mut(&mut memory.notes);
        let print = reached.progress.print;
        let changed = [reached.progress].into_iter().chain(reached.others);
        notes.extend(changed.map(|progress| (progress.file.name.clone(), progress)));
        if !reached.rest.is_empty() {
            let open = notes.values().filter(|note| note.open_at.is_some());
            let open: BTreeSet<Print> = open.map(|note| note.print).collect();
            memory.rests.retain(|print, _| open.contains(print));
            if memory.rests.len() < RESTS_MAX {
                memory.rests.insert(print, reached.rest);
            }
        }
        // What left the folder longest ago is forgotten first.
        while notes.len() > FILES_MAX {
            let gone = notes
                .values()
                .filter(|note| !listed.contains(&note.file.name))
                .min_by_key(|note| note.file.modified_ms);
            let Some(gone) = gone.map(|note| note.file.name.clone()) else {
                break;
            };
            notes.remove(&gone);
            let (store, journal) = (Arc::clone(&self.notes), self.name.clone());
            let forget = move || store.forget(&journal, &gone).map_err(io::Error::other);
            if let Err(error) = blocking(forget).await {
                self.lamp.note_error(error.to_string());
            }
        }
    }
}
