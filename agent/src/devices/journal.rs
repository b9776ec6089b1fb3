//! Journals: folders into which a POS writes its sales.
//!
//! JSON lines, CSV and POSLog that is set to be followed are read as they grow (`following`), other
//! POSLog files once each, when they are whole. For these the folder is listed every second; [`Watch`]
//! says what to do. A file's sales are told one by one and the file is noted as done when all of them
//! are durable. After a crash in between, the file is told again, and its sales are known by their
//! keys. A file that is bad, or that stays cut off, gives what sales it has and goes to `rejected/`,
//! with the reason beside it; where the folder is not writable, it stays and is noted so that it is
//! not read again.
//!
//! While the queue of events is full, or the disk refuses, the journal waits: the files keep. No
//! file is set aside for that.

mod folder;
mod following;
mod gone;
mod growing;
mod growing_poslog;
mod notes;
mod progress;
mod telling;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tillbind_firmware_bridge::code::CardRules;
use tillbind_firmware_bridge::journal::follow::FollowSettings;
use tillbind_firmware_bridge::journal::{Action, FileSeen, ReadResult, Watch, WatchSettings};
use tillbind_protocol::event::Source;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::DeviceEvent;
use super::status::{Clocks, Elapsed, Lamp, PortState};
use super::stop::stopped;
use crate::config::{JournalConfig, JournalFormat};
pub use notes::{FileNotes, NotesError};
pub use progress::Progress;
use telling::{Teller, Told};

/// How often the folder is listed: so late a finished file is noticed at the most.
const LIST_EVERY: Duration = Duration::from_secs(1);
/// How long a file that ends in the middle, or that cannot be opened, may stay as it is. Shorter,
/// and the journal of a till with few sales is set aside while the POS still writes it.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Pause before something that the disk refused is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// How the folder is waited for; fixed but for tests.
#[derive(Debug, Clone)]
struct Pace {
    list_every: Duration,
    retry_pause: Duration,
    watch: WatchSettings,
}

impl Default for Pace {
    fn default() -> Self {
        let watch = WatchSettings {
            patience: PATIENCE,
            ..WatchSettings::for_extensions(&["xml"])
        };
        Self {
            list_every: LIST_EVERY,
            retry_pause: RETRY_PAUSE,
            watch,
        }
    }
}

/// One journal, ready to start.
pub(super) struct Journal {
    name: String,
    dir: PathBuf,
    format: JournalFormat,
    pace: Pace,
    rules: Arc<CardRules>,
    notes: Arc<dyn FileNotes>,
    events: mpsc::Sender<DeviceEvent>,
    lamp: Lamp,
    elapsed: Elapsed,
}

/// The agent ends: whatever was under way is left for the next start.
struct Stopped;

impl Journal {
    pub(super) fn new(
        config: &JournalConfig,
        rules: Arc<CardRules>,
        notes: Arc<dyn FileNotes>,
        events: mpsc::Sender<DeviceEvent>,
        lamp: Lamp,
        clocks: &Clocks,
    ) -> Self {
        let (name, dir) = (config.name.clone(), config.dir.clone());
        let elapsed = Arc::clone(&clocks.elapsed);
        Self {
            name,
            dir,
            format: config.format.clone(),
            pace: Pace::default(),
            rules,
            notes,
            events,
            lamp,
            elapsed,
        }
    }

    /// Starts the journal's task; `alive` is dropped when it has ended.
    pub(super) fn start(self, mut stop: watch::Receiver<bool>, alive: mpsc::Sender<()>) {
        tokio::spawn(async move {
            let Stopped = self.run(&mut stop).await;
            drop(alive);
        });
    }

    async fn run(&self, stop: &mut watch::Receiver<bool>) -> Stopped {
        let ended = match &self.format {
            JournalFormat::Poslog => self.watch_folder(stop).await,
            JournalFormat::GrowingPoslog(quiet) => {
                let settings = FollowSettings {
                    extensions: vec!["xml".to_owned()],
                    quiet: *quiet,
                };
                self.follow_folder(settings, None, stop).await
            }
            JournalFormat::Lines(lines) => {
                let settings = FollowSettings {
                    extensions: lines.extensions.clone(),
                    quiet: lines.quiet,
                };
                self.follow_folder(settings, Some(&lines.format), stop)
                    .await
            }
        };
        match ended {
            Err(stopped) => stopped,
            Ok(never) => match never {},
        }
    }

    async fn watch_folder(
        &self,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<std::convert::Infallible, Stopped> {
        let done = self.done_files(stop).await?;
        let mut watch = Watch::new(self.pace.watch.clone(), done);
        // Files that were read and not told, since they end in the middle.
        let mut untold = BTreeSet::new();
        loop {
            let dir = self.dir.clone();
            match blocking(move || folder::list(&dir)).await {
                Ok(files) => {
                    self.lamp.show(PortState::Open);
                    let actions = watch.handle_listing((self.elapsed)(), files.clone());
                    self.act(actions, &mut watch, &files, &mut untold, stop)
                        .await?;
                }
                Err(error) => self.show_unlistable(&error),
            }
            pause(self.pace.list_every, stop).await?;
        }
    }

    fn show_unlistable(&self, error: &io::Error) {
        let reason = format!(
            "the folder {} cannot be listed ({error}): make it, and let the agent's user read it",
            self.dir.display()
        );
        self.lamp.show(PortState::Unopenable { reason });
    }

    /// Asks for the files that are done until the notes can be read: without them every file would
    /// be told again.
    async fn done_files(&self, stop: &mut watch::Receiver<bool>) -> Result<Vec<FileSeen>, Stopped> {
        loop {
            let (notes, journal) = (Arc::clone(&self.notes), self.name.clone());
            match blocking(move || notes.done(&journal).map_err(io::Error::other)).await {
                Ok(done) => return Ok(done),
                Err(error) => {
                    self.lamp.show(PortState::Unopenable {
                        reason: error.to_string(),
                    });
                }
            }
            pause(self.pace.retry_pause, stop).await?;
        }
    }

    async fn act(
        &self,
        actions: Vec<Action>,
        watch: &mut Watch,
        listed: &[FileSeen],
        untold: &mut BTreeSet<String>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Stopped> {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Read { name } => {
                    let result = match self.tell(&name, false, stop).await? {
                        Told::All => {
                            self.lamp.count(|counts| counts.files += 1);
                            ReadResult::Done
                        }
                        Told::Bad { reason } => ReadResult::Bad { reason },
                        Told::Truncated => {
                            self.lamp.note_error(format!(
                                "{name} ends in the middle: its sales are taken once the POS has \
                                 written the rest, or when it has not grown for {} minutes",
                                self.pace.watch.patience.as_secs() / 60
                            ));
                            ReadResult::Truncated
                        }
                        Told::Unreadable { reason } => {
                            self.lamp.note_error(format!("{name}: {reason}"));
                            ReadResult::Unreadable { reason }
                        }
                        Told::NotDurable { reason } => ReadResult::Unreadable { reason },
                        Told::Stopped => return Err(Stopped),
                    };
                    if matches!(
                        result,
                        ReadResult::Truncated | ReadResult::Unreadable { .. }
                    ) {
                        untold.insert(name.clone());
                    } else {
                        untold.remove(&name);
                    }
                    actions.extend(watch.handle_result(&name, result, (self.elapsed)()));
                }
                Action::SetAside { name, reason } => {
                    if untold.remove(&name) {
                        self.tell(&name, true, stop).await?;
                    }
                    let file = listed.iter().find(|file| file.name == name);
                    self.set_aside(&name, reason, file, stop).await?;
                }
                Action::Remember { file } => self.remember(&file, stop).await?,
                Action::Forget { name } => {
                    untold.remove(&name);
                    let (notes, journal) = (Arc::clone(&self.notes), self.name.clone());
                    let forget = move || notes.forget(&journal, &name).map_err(io::Error::other);
                    // A note too many is harmless: it names a size and a time that have passed.
                    if let Err(error) = blocking(forget).await {
                        self.lamp.note_error(error.to_string());
                    }
                }
            }
            if *stop.borrow() {
                return Err(Stopped);
            }
        }
        Ok(())
    }

    /// Tells a file's sales, again and again while they cannot be made durable.
    async fn tell(
        &self,
        name: &str,
        as_far_as_it_goes: bool,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Told, Stopped> {
        loop {
            let lamp = self.lamp.clone();
            let teller = Teller {
                journal: self.name.clone(),
                source: Source::Poslog,
                rules: Arc::clone(&self.rules),
                events: self.events.clone(),
                stop: stop.clone(),
                on_durable: Box::new(move || lamp.count(|counts| counts.sales += 1)),
            };
            let (path, file) = (self.dir.join(name), name.to_owned());
            let tell = move || Ok(teller.tell(&path, &file, as_far_as_it_goes));
            match blocking(tell).await {
                Ok(Told::Stopped) => return Err(Stopped),
                Ok(Told::NotDurable { reason }) => {
                    let error = format!(
                        "{name}: a sale is not on the disk ({reason}): it is told \
                                         again"
                    );
                    self.lamp.note_error(error);
                }
                Ok(told) => return Ok(told),
                Err(error) => {
                    let reason = format!("reading it failed ({error}): report this");
                    return Ok(Told::Bad { reason });
                }
            }
            pause(self.pace.retry_pause, stop).await?;
        }
    }

    async fn remember(
        &self,
        file: &FileSeen,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Stopped> {
        loop {
            let (notes, journal) = (Arc::clone(&self.notes), self.name.clone());
            let file = file.clone();
            let keep = move || notes.remember(&journal, &file).map_err(io::Error::other);
            let Err(error) = blocking(keep).await else {
                return Ok(());
            };
            self.lamp.note_error(error.to_string());
            pause(self.pace.retry_pause, stop).await?;
        }
    }

    /// Reports a bad file until that is durable, then moves it out of the way.
    async fn set_aside(
        &self,
        name: &str,
        reason: String,
        file: Option<&FileSeen>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Stopped> {
        while let Err(error) = self.report_rejected(name, &reason).await? {
            self.lamp.note_error(format!(
                "{name}: its rejection is not on the disk ({error})"
            ));
            pause(self.pace.retry_pause, stop).await?;
        }
        self.lamp.count(|counts| counts.rejected += 1);
        self.lamp.note_error(format!("{name}: {reason}"));
        let (dir, moved) = (self.dir.clone(), name.to_owned());
        let Err(error) = blocking(move || folder::set_aside(&dir, &moved, &reason)).await else {
            return Ok(());
        };
        self.lamp.note_error(format!(
            "{name} was rejected and stays where it is ({error}): let the agent's user write to \
             {}, or remove the file",
            self.dir.display()
        ));
        match file {
            Some(file) => self.remember(file, stop).await,
            None => Ok(()),
        }
    }

    async fn report_rejected(
        &self,
        name: &str,
        reason: &str,
    ) -> Result<Result<(), String>, Stopped> {
        let (reply, answer) = oneshot::channel();
        let (journal, file, reason) = (self.name.clone(), name.to_owned(), reason.to_owned());
        let event = DeviceEvent::JournalRejected {
            journal,
            file,
            reason,
            reply,
        };
        self.events.send(event).await.map_err(|_| Stopped)?;
        Ok(answer
            .await
            .unwrap_or_else(|_| Err("it was not answered".to_owned())))
    }
}

/// Runs what blocks on the disk beside the runtime; a panic there comes back as an error.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Waits, and says when the agent ends meanwhile.
async fn pause(duration: Duration, stop: &mut watch::Receiver<bool>) -> Result<(), Stopped> {
    tokio::select! {
        () = sleep(duration) => Ok(()),
        () = stopped(stop) => Err(Stopped),
    }
}
