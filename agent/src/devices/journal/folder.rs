//! The journal's folder on the disk: what is in it, and where bad files go.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tillbind_firmware_bridge::journal::{FileSeen, REJECTED_FOLDER};

/// Most entries looked at in one listing: more are left for when others are gone, so that a folder
/// that nobody clears costs bounded memory.
const ENTRIES_MAX: usize = 100_000;
/// Most files of one name among the rejected ones; with more, the next stays where it is.
const SAME_NAME_MAX: u32 = 1_000;

/// Lists the regular files. Links are left out: they could lead anywhere.
pub(super) fn list(dir: &Path) -> io::Result<Vec<FileSeen>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)?.take(ENTRIES_MAX) {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            // Gone between the two looks.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if metadata.is_file() {
            let modified_ms = metadata.modified().map_or(0, unix_ms);
            files.push(FileSeen {
                name,
                modified_ms,
                len: metadata.len(),
            });
        }
    }
    Ok(files)
}

fn unix_ms(time: SystemTime) -> i64 {
    let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => ms(after),
        Err(before) => -ms(before.duration()),
    }
}

/// Moves a file to the rejected ones, with the reason in a text beside it; returns where it is.
pub(super) fn set_aside(dir: &Path, name: &str, reason: &str) -> io::Result<PathBuf> {
    let rejected = dir.join(REJECTED_FOLDER);
    fs::create_dir_all(&rejected)?;
    let target = free_name(&rejected, name)?;
    let mut explanation = target.clone().into_os_string();
    explanation.push(".reason.txt");
    // The reason comes first: a file that is there without one would puzzle people.
    let mut text = File::create(&explanation)?;
    text.write_all(format!("{reason}\n").as_bytes())?;
    text.sync_all()?;
    if let Err(error) = fs::rename(dir.join(name), &target) {
        drop(fs::remove_file(&explanation));
        return Err(error);
    }
    Ok(target)
}

/// Returns a path that nothing holds yet: an earlier file of the same name is kept.
fn free_name(rejected: &Path, name: &str) -> io::Result<PathBuf> {
    (1..=SAME_NAME_MAX)
        .map(|number| match number {
            1 => rejected.join(name),
            _ => rejected.join(format!("{name}.{number}")),
        })
        .find(|path| fs::symlink_metadata(path).is_err())
        .ok_or_else(|| {
            io::Error::other(format!(
                "{SAME_NAME_MAX} files of this name were rejected: clear them"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_file_never_replaces_an_earlier_one_and_says_why() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["first", "second"] {
            fs::write(dir.path().join("a.xml"), text).unwrap();
            set_aside(dir.path(), "a.xml", &format!("{text} is bad")).unwrap();
        }
        let rejected = dir.path().join(REJECTED_FOLDER);
        let read = |name: &str| fs::read_to_string(rejected.join(name)).unwrap();
        assert_eq!(
            (read("a.xml"), read("a.xml.2")),
            ("first".to_owned(), "second".to_owned())
        );
        assert_eq!(read("a.xml.reason.txt"), "first is bad\n");
        assert_eq!(read("a.xml.2.reason.txt"), "second is bad\n");
        assert!(list(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn folders_and_links_are_not_listed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub.xml")).unwrap();
        fs::write(dir.path().join("a.xml"), "abc").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("a.xml", dir.path().join("link.xml")).unwrap();
        let files = list(dir.path()).unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!((files[0].name.as_str(), files[0].len), ("a.xml", 3));
        assert!(files[0].modified_ms > 0);
    }
}
