//! A folder into which a POS writes its journal: which file to read when, and each file once.
//!
//! [`Watch`] owns no file, folder or clock. The shell lists the folder and says what time it is on
//! its own monotonic clock; `Watch` answers with [`Action`]s. Files' own times are only compared
//! with themselves, so a till that thinks it is 1970 loses nothing.
//!
//! ```text
//! settling ──unchanged for `settle`──▶ reading ──done──▶ done
//!    ▲                                   │ │
//!    └──────size or time changes─────────┤ └─bad──▶ set aside
//!       (from every state)               └─truncated──▶ waiting ──`patience`──▶ set aside
//! ```
//!
//! What is deliberately lacking: the reading itself, and any opinion on what makes a file bad.

pub mod csv;
pub mod decoder;
pub mod draft;
pub mod entry;
pub mod follow;
mod lines;
pub mod ndjson;
pub mod value;

use std::collections::BTreeMap;
use std::time::Duration;

pub use lines::{EncodingError, LINE_BYTES_MAX, TextEncoding};

/// Files remembered at once. Done files that have left the folder are forgotten first, oldest
/// first ([`Action::Forget`]): should one come back unchanged, it is read again and its sales are
/// told apart by their keys. Where even the files that are there exceed it, the last by name wait
/// until others are removed ([`Watch::overlooked`]).
pub const FILES_MAX: usize = 20_000;

/// Pause before a file that could not be opened is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Folder for files that were set aside; never looked into.
pub const REJECTED_FOLDER: &str = "rejected";

/// Endings that a POS gives to files that it is still writing.
const UNFINISHED_ENDINGS: &[&str] = &["tmp", "part"];

/// How a folder is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchSettings {
    /// Endings of the files that are meant, without the dot, in any case; `xml` for POSLog.
    pub extensions: Vec<String>,
    /// How long a file must stay unchanged before it is read; shorter reads half-written files.
    pub settle: Duration,
    /// How long a truncated or unreadable file may stay unchanged before it is set aside.
    pub patience: Duration,
}

impl WatchSettings {
    /// Makes the usual settings for files with these endings: settled in 1 s, patient for 60 s.
    pub fn for_extensions(extensions: &[&str]) -> Self {
        Self {
            extensions: extensions.iter().map(|&e| e.to_owned()).collect(),
            settle: Duration::from_secs(1),
            patience: Duration::from_secs(60),
        }
    }
}

/// A file as a listing shows it. Two with the same values are the same content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileSeen {
    /// Name inside the folder.
    pub name: String,
    /// Time of the last change in milliseconds since 1970, as the file system tells it.
    pub modified_ms: i64,
    /// Size in bytes.
    pub len: u64,
}

/// What came of reading a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadResult {
    /// It was read to its end and all of it is durable.
    Done,
    /// It ends in the middle: it may still be written.
    Truncated,
    /// It could not be opened or read; worth another attempt.
    Unreadable {
        /// Why, for people.
        reason: String,
    },
    /// It cannot be understood, now or later.
    Bad {
        /// Why, for people.
        reason: String,
    },
}

/// What the shell has to do, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Read the file and report by [`Watch::handle_result`].
    Read {
        /// Its name.
        name: String,
    },
    /// Move the file to [`REJECTED_FOLDER`] and tell people why.
    SetAside {
        /// Its name.
        name: String,
        /// Why, for people.
        reason: String,
    },
    /// Keep durably that this file is done; given back to [`Watch::new`] at the next start.
    Remember {
        /// The file as it was when read.
        file: FileSeen,
    },
    /// Drop what was kept by [`Action::Remember`].
    Forget {
        /// Name of the file.
        name: String,
    },
}

/// Why the folder should be listed again at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeReason {
    /// A file will have settled.
    Settled,
    /// A file that could not be opened is due again.
    Retry,
    /// The patience with a file will have ended.
    PatienceEnds,
}

#[derive(Debug)]
enum Phase {
    Settling,
    Reading {
        changed: bool,
    },
    /// Given up unless it changes before the patience ends; tried again at the time, if any.
    Waiting {
        retry_at: Option<Duration>,
        reason: String,
    },
    Done,
    SetAside,
}

#[derive(Debug)]
struct Tracked {
    file: FileSeen,
    changed_at: Duration,
    phase: Phase,
    gone_at: Option<Duration>,
}

/// Decides which files of a folder are read, waited for and set aside.
#[derive(Debug)]
pub struct Watch {
    settings: WatchSettings,
    files: BTreeMap<String, Tracked>,
    overlooked: usize,
}

impl Watch {
    /// Starts with the files that [`Action::Remember`] named earlier.
    pub fn new(settings: WatchSettings, done: impl IntoIterator<Item = FileSeen>) -> Self {
        let remembered = done.into_iter().map(|file| {
            let tracked = Tracked {
                file: file.clone(),
                changed_at: Duration::ZERO,
                phase: Phase::Done,
                gone_at: None,
            };
            (file.name, tracked)
        });
        Self {
            settings,
            files: remembered.collect(),
            overlooked: 0,
        }
    }

    /// Returns how many files of the last listing exceed [`FILES_MAX`] and wait for room.
    pub fn overlooked(&self) -> usize {
        self.overlooked
    }

    /// Takes a listing of the folder at `now`; answers in the order of names.
    pub fn handle_listing(&mut self, now: Duration, mut files: Vec<FileSeen>) -> Vec<Action> {
        files.retain(|file| self.is_meant(&file.name));
        files.sort_unstable();
        let mut actions = self.mark_gone(now, &files);
        self.overlooked = 0;
        for file in files {
            self.note(now, file, &mut actions);
        }
        let settings = &self.settings;
        for tracked in self.files.values_mut() {
            actions.extend(due(settings, now, tracked));
        }
        actions
    }

    /// Takes what came of reading `name`; a name that is not being read is ignored.
    pub fn handle_result(&mut self, name: &str, result: ReadResult, now: Duration) -> Vec<Action> {
        let Some(tracked) = self.files.get_mut(name) else {
            return Vec::new();
        };
        let Phase::Reading { changed } = tracked.phase else {
            return Vec::new();
        };
        if changed {
            // What was read is not what is there: whatever the result, it is read again.
            tracked.phase = Phase::Settling;
            return Vec::new();
        }
        match result {
            ReadResult::Done => {
                tracked.phase = Phase::Done;
                return vec![Action::Remember {
                    file: tracked.file.clone(),
                }];
            }
            ReadResult::Truncated => {
                let patience = self.settings.patience.as_secs();
                tracked.phase = Phase::Waiting {
                    retry_at: None,
                    reason: format!("it ends in the middle and has not grown for {patience} s"),
                };
            }
            ReadResult::Unreadable { reason } => {
                tracked.phase = Phase::Waiting {
                    retry_at: Some(now.saturating_add(RETRY_PAUSE)),
                    reason,
                };
            }
            ReadResult::Bad { reason } => {
                tracked.phase = Phase::SetAside;
                return vec![Action::SetAside {
                    name: tracked.file.name.clone(),
                    reason,
                }];
            }
        }
        Vec::new()
    }

    /// Returns when the folder should be listed again at the latest, and why, as far as the files
    /// known so far go.
    pub fn poll_timeout(&self) -> Option<(Duration, WakeReason)> {
        self.files
            .values()
            .filter(|tracked| tracked.gone_at.is_none())
            .flat_map(|tracked| {
                let settled = tracked.changed_at.saturating_add(self.settings.settle);
                let patience = tracked.changed_at.saturating_add(self.settings.patience);
                match &tracked.phase {
                    Phase::Settling => [Some((settled, WakeReason::Settled)), None],
                    Phase::Waiting { retry_at, .. } => [
                        Some((patience, WakeReason::PatienceEnds)),
                        retry_at.map(|at| (at, WakeReason::Retry)),
                    ],
                    Phase::Reading { .. } | Phase::Done | Phase::SetAside => [None, None],
                }
            })
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    fn is_meant(&self, name: &str) -> bool {
        if name.starts_with('.') || name == REJECTED_FOLDER || name.contains(['/', '\\']) {
            return false;
        }
        let Some((_, ending)) = name.rsplit_once('.') else {
            return false;
        };
        let is = |wanted: &str| ending.eq_ignore_ascii_case(wanted);
        !UNFINISHED_ENDINGS.iter().any(|&e| is(e)) && self.settings.extensions.iter().any(|e| is(e))
    }

    /// Notes which files have left. Only done ones are remembered: others would be read anew.
    fn mark_gone(&mut self, now: Duration, present: &[FileSeen]) -> Vec<Action> {
        let is_present = |name: &str| {
            present
                .binary_search_by(|file| file.name.as_str().cmp(name))
                .is_ok()
        };
        self.files.retain(|name, tracked| {
            if is_present(name) {
                tracked.gone_at = None;
                return true;
            }
            tracked.gone_at.get_or_insert(now);
            matches!(tracked.phase, Phase::Done)
        });
        let unknown = present
            .iter()
            .filter(|file| !self.files.contains_key(&file.name))
            .count();
        let excess = (self.files.len() + unknown).saturating_sub(FILES_MAX);
        let mut gone: Vec<(Duration, String)> = self
            .files
            .values()
            .filter_map(|tracked| Some((tracked.gone_at?, tracked.file.name.clone())))
            .collect();
        gone.sort_unstable();
        gone.into_iter()
            .take(excess)
            .map(|(_, name)| {
                self.files.remove(&name);
                Action::Forget { name }
            })
            .collect()
    }

    /// Compares one listed file with what is known of it.
    fn note(&mut self, now: Duration, file: FileSeen, actions: &mut Vec<Action>) {
        let Some(tracked) = self.files.get_mut(&file.name) else {
            if self.files.len() >= FILES_MAX {
                self.overlooked += 1;
                return;
            }
            let tracked = Tracked {
                file: file.clone(),
                changed_at: now,
                phase: Phase::Settling,
                gone_at: None,
            };
            self.files.insert(file.name, tracked);
            return;
        };
        if tracked.file == file {
            return;
        }
        tracked.phase = match tracked.phase {
            Phase::Reading { .. } => Phase::Reading { changed: true },
            Phase::Done => {
                actions.push(Action::Forget {
                    name: file.name.clone(),
                });
                Phase::Settling
            }
            Phase::Settling | Phase::Waiting { .. } | Phase::SetAside => Phase::Settling,
        };
        tracked.file = file;
        tracked.changed_at = now;
    }
}

/// Returns what is due for a file that is there at `now`, and moves it on.
fn due(settings: &WatchSettings, now: Duration, tracked: &mut Tracked) -> Option<Action> {
    if tracked.gone_at.is_some() {
        return None;
    }
    let unchanged_for = now.saturating_sub(tracked.changed_at);
    let name = tracked.file.name.clone();
    match &tracked.phase {
        Phase::Settling if unchanged_for >= settings.settle => {
            tracked.phase = Phase::Reading { changed: false };
            Some(Action::Read { name })
        }
        Phase::Waiting { reason, .. } if unchanged_for >= settings.patience => {
            let reason = reason.clone();
            tracked.phase = Phase::SetAside;
            Some(Action::SetAside { name, reason })
        }
        Phase::Waiting {
            retry_at: Some(at), ..
        } if now >= *at => {
            tracked.phase = Phase::Reading { changed: false };
            Some(Action::Read { name })
        }
        Phase::Settling
        | Phase::Waiting { .. }
        | Phase::Reading { .. }
        | Phase::Done
        | Phase::SetAside => None,
    }
}

#[cfg(test)]
mod tests;
