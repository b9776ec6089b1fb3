//! A folder whose files grow line by line: which file to look into when.
//!
//! [`Follow`] owns no file, folder or clock. The shell lists the folder and says what time it is on
//! its own monotonic clock; `Follow` answers with [`Look`]s. A file that has changed is looked into
//! for what is new; one that has not grown for the quiet time is looked into once more, and its end
//! is then taken for whole. How far a file was told, and that a file under a new name is an old
//! one, is the shell's to know: it has the contents.
//!
//! Names that a rotation makes are meant too: `sales.csv.1`, `sales.csv-20260501`. The rest of a
//! file often stands there alone.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{FILES_MAX, FileSeen, REJECTED_FOLDER, RETRY_PAUSE, UNFINISHED_ENDINGS};

/// How a folder is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowSettings {
    /// Endings of the files that are meant, without the dot, in any case.
    pub extensions: Vec<String>,
    /// How long a file must not change before its end is taken for whole. Shorter, and a
    /// transaction that the POS writes slowly is told without its last rows.
    pub quiet: Duration,
}

/// A file to be looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The file as it was listed.
    pub file: FileSeen,
    /// Whether its end is to be taken for whole.
    pub closed: bool,
}

/// What came of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookResult {
    /// All that is there was told, or waits for the rest.
    Read,
    /// It could not be opened or read; worth another attempt.
    Unreadable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It has changed since it was looked into.
    Changed,
    /// It was looked into; it may grow.
    Quiet,
    /// Its end was taken for whole.
    Closed,
    /// It could not be read, and is tried again at the time.
    Failed { retry_at: Duration },
}

#[derive(Debug)]
struct Followed {
    file: FileSeen,
    changed_at: Duration,
    phase: Phase,
}

/// Decides which files of a folder are looked into.
#[derive(Debug)]
pub struct Follow {
    settings: FollowSettings,
    files: BTreeMap<String, Followed>,
    overlooked: usize,
}

impl Follow {
    /// Starts with the files whose ends were taken for whole earlier.
    pub fn new(settings: FollowSettings, closed: impl IntoIterator<Item = FileSeen>) -> Self {
        let followed = closed.into_iter().map(|file| {
            let followed = Followed {
                file: file.clone(),
                changed_at: Duration::ZERO,
                phase: Phase::Closed,
            };
            (file.name, followed)
        });
        Self {
            settings,
            files: followed.collect(),
            overlooked: 0,
        }
    }

    /// Returns how many files of the last listing exceed [`FILES_MAX`] and wait for room.
    pub fn overlooked(&self) -> usize {
        self.overlooked
    }

    /// Takes a listing of the folder at `now`; answers with what to look into, the file changed
    /// longest ago first, so that a rotated file comes before the one in its place.
    pub fn handle_listing(&mut self, now: Duration, mut files: Vec<FileSeen>) -> Vec<Look> {
        files.retain(|file| self.is_meant(&file.name));
        files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        self.files.retain(|name, _| {
            files
                .binary_search_by(|file| file.name.as_str().cmp(name))
                .is_ok()
        });
        self.overlooked = 0;
        for file in files {
            self.note(now, file);
        }
        let quiet = self.settings.quiet;
        let mut looks: Vec<Look> = self
            .files
            .values()
            .filter_map(|followed| {
                let closed = now.saturating_sub(followed.changed_at) >= quiet;
                let is_due = match followed.phase {
                    Phase::Changed => true,
                    Phase::Quiet => closed,
                    Phase::Closed => false,
                    Phase::Failed { retry_at } => now >= retry_at,
                };
                is_due.then(|| Look {
                    file: followed.file.clone(),
                    closed: closed && followed.phase == Phase::Quiet,
                })
            })
            .collect();
        looks.sort_by(|a, b| {
            (a.file.modified_ms, &a.file.name).cmp(&(b.file.modified_ms, &b.file.name))
        });
        looks
    }

    /// Takes what came of a look.
    pub fn handle_result(&mut self, look: &Look, result: LookResult, now: Duration) {
        let Some(followed) = self.files.get_mut(&look.file.name) else {
            return;
        };
        if followed.file != look.file {
            return;
        }
        followed.phase = match result {
            LookResult::Unreadable => Phase::Failed {
                retry_at: now.saturating_add(RETRY_PAUSE),
            },
            LookResult::Read if look.closed => Phase::Closed,
            LookResult::Read => Phase::Quiet,
        };
    }

    fn note(&mut self, now: Duration, file: FileSeen) {
        let is_full = self.files.len() >= FILES_MAX;
        match self.files.get_mut(&file.name) {
            Some(followed) if followed.file == file => {}
            Some(followed) => {
                followed.file = file;
                followed.changed_at = now;
                followed.phase = Phase::Changed;
            }
            None if is_full => self.overlooked += 1,
            None => {
                let followed = Followed {
                    file: file.clone(),
                    changed_at: now,
                    phase: Phase::Changed,
                };
                self.files.insert(file.name, followed);
            }
        }
    }

    fn is_meant(&self, name: &str) -> bool {
        if name.starts_with('.') || name == REJECTED_FOLDER || name.contains(['/', '\\']) {
            return false;
        }
        let Some((_, ending)) = unrotated(name).rsplit_once('.') else {
            return false;
        };
        let last = name.rsplit('.').next().unwrap_or_default();
        let is_unfinished = UNFINISHED_ENDINGS
            .iter()
            .any(|unfinished| last.eq_ignore_ascii_case(unfinished));
        let extensions = &self.settings.extensions;
        !is_unfinished && extensions.iter().any(|e| e.eq_ignore_ascii_case(ending))
    }
}

/// Takes off what a rotation appends: digits behind a point or a hyphen.
fn unrotated(name: &str) -> &str {
    let mut name = name;
    while let Some((before, behind)) = name.rsplit_once(['.', '-']) {
        let is_number = !behind.is_empty() && behind.bytes().all(|b| b.is_ascii_digit());
        if !is_number || !before.contains('.') {
            break;
        }
        name = before;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str, len: u64, modified_ms: i64) -> FileSeen {
        FileSeen {
            name: name.to_owned(),
            modified_ms,
            len,
        }
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn follow() -> Follow {
        let settings = FollowSettings {
            extensions: vec!["csv".to_owned()],
            quiet: s(60),
        };
        Follow::new(settings, [])
    }

    fn look(file: &FileSeen, closed: bool) -> Look {
        Look {
            file: file.clone(),
            closed,
        }
    }

    #[test]
    fn a_growing_file_is_looked_into_at_each_change_and_once_more_when_it_is_quiet() {
        let mut follow = follow();
        for (second, len) in [(0, 10), (50, 20), (100, 30)] {
            let file = seen("a.csv", len, 1);
            let looks = follow.handle_listing(s(second), vec![file.clone()]);
            assert_eq!(looks, [look(&file, false)]);
            follow.handle_result(&looks[0], LookResult::Read, s(second));
            assert_eq!(follow.handle_listing(s(second + 40), vec![file]), []);
        }
        let file = seen("a.csv", 30, 1);
        let looks = follow.handle_listing(s(160), vec![file.clone()]);
        assert_eq!(looks, [look(&file, true)]);
        follow.handle_result(&looks[0], LookResult::Read, s(160));
        assert_eq!(follow.handle_listing(s(9_999), vec![file]), []);
    }

    #[test]
    fn a_file_that_grows_while_it_is_read_is_looked_into_again() {
        let mut follow = follow();
        let looks = follow.handle_listing(s(0), vec![seen("a.csv", 10, 1)]);
        let grown = seen("a.csv", 20, 2);
        assert_eq!(
            follow.handle_listing(s(1), vec![grown.clone()]),
            [look(&grown, false)]
        );
        follow.handle_result(&looks[0], LookResult::Read, s(1));
        assert_eq!(
            follow.handle_listing(s(2), vec![grown.clone()]),
            [look(&grown, false)]
        );
    }

    #[test]
    fn rotated_names_are_meant_and_come_before_the_file_in_their_place() {
        let mut follow = follow();
        let files = [
            seen("sales.csv", 1, 9),
            seen("sales.csv.1", 1, 5),
            seen("sales.csv-20260501", 1, 4),
            seen("2026-05-01.csv", 1, 3),
            seen("sales.csv.tmp", 1, 1),
            seen("sales.csv.part", 1, 1),
            seen("sales.xml.1", 1, 1),
            seen("1.1", 1, 1),
            seen(".sales.csv", 1, 1),
        ];
        let looks = follow.handle_listing(s(0), files.to_vec());
        let names: Vec<&str> = looks.iter().map(|look| look.file.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "2026-05-01.csv",
                "sales.csv-20260501",
                "sales.csv.1",
                "sales.csv"
            ]
        );
    }

    #[test]
    fn a_closed_file_is_left_alone_after_a_restart_until_it_changes() {
        let settings = follow().settings;
        let file = seen("a.csv", 10, 1);
        let mut follow = Follow::new(settings, [file.clone()]);
        assert_eq!(follow.handle_listing(s(0), vec![file]), []);
        let grown = seen("a.csv", 20, 2);
        assert_eq!(
            follow.handle_listing(s(1), vec![grown.clone()]),
            [look(&grown, false)]
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_tried_again() {
        let mut follow = follow();
        let file = seen("a.csv", 10, 1);
        let looks = follow.handle_listing(s(0), vec![file.clone()]);
        follow.handle_result(&looks[0], LookResult::Unreadable, s(0));
        assert_eq!(follow.handle_listing(s(4), vec![file.clone()]), []);
        assert_eq!(
            follow.handle_listing(s(5), vec![file.clone()]),
            [look(&file, false)]
        );
    }
}
