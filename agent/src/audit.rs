//! What people did to the terminal's data: `audit.log` in the data directory, one JSON object a line, durable
//! before it is done. At [`LOG_BYTES_MAX`] the log becomes `audit.log.1`, and the one before it goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

/// Longest log: some ten thousand entries.
pub const LOG_BYTES_MAX: u64 = 1024 * 1024;
const LOG_NAME: &str = "audit.log";
const FORMER_NAME: &str = "audit.log.1";
/// Longest name of a person that is kept.
const BY_CHARS_MAX: usize = 100;

/// Something that a person did.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// When, by the terminal's clock.
    pub at: DateTime<Utc>,
    /// Who says to have done it.
    pub by: &'a str,
    /// What was done, as in `quarantine.dropped`.
    pub action: &'static str,
    /// To what.
    pub subject: &'a str,
}

/// Notes what a person did. Blocks on the disk.
///
/// # Errors
/// The system's: then it must not be done.
pub fn write(data_dir: &Path, entry: &Entry<'_>) -> io::Result<()> {
    let path = data_dir.join(LOG_NAME);
    if fs::metadata(&path).is_ok_and(|log| log.len() >= LOG_BYTES_MAX) {
        fs::rename(&path, data_dir.join(FORMER_NAME))?;
    }
    let mut log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)?;
    let by: String = entry.by.chars().take(BY_CHARS_MAX).collect();
    let line = json!({
        "at": entry.at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "by": by,
        "action": entry.action,
        "subject": entry.subject,
    });
    log.write_all(format!("{line}\n").as_bytes())?;
    log.sync_all()?;
    File::open(data_dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn entries_are_kept_in_order_for_the_owner_alone_and_the_log_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let entry = Entry {
            at: DateTime::UNIX_EPOCH,
            by: "uid 0\n{}",
            action: "quarantine.dropped",
            subject: "7",
        };
        write(dir.path(), &entry).unwrap();
        write(dir.path(), &entry).unwrap();
        let log = dir.path().join(LOG_NAME);
        let text = fs::read_to_string(&log).unwrap();
        assert_eq!(text.lines().count(), 2, "a name cannot forge a line");
        let read: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(read["at"], "1970-01-01T00:00:00.000Z");
        assert_eq!(read["subject"], "7");
        assert_eq!(
            fs::metadata(&log).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::write(&log, vec![b' '; LOG_BYTES_MAX as usize]).unwrap();
        write(dir.path(), &entry).unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), 1);
        assert!(dir.path().join(FORMER_NAME).exists());
    }
}
