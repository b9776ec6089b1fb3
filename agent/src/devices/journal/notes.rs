//! What is kept durably about a journal's files.

use tillbind_firmware_bridge::journal::FileSeen;

use super::progress::Progress;
use crate::members::{MembersError, NoteKind, Replica};

/// Why notes cannot be read or kept, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the notes about journal files cannot be used: {0}")]
pub struct NotesError(pub String);

/// Keeps which files of a journal are done, across restarts. Every call may block on the disk.
pub trait FileNotes: Send + Sync {
    /// Returns the files noted for `journal`.
    ///
    /// # Errors
    /// [`NotesError`] when the store cannot be read; the journal waits then.
    fn done(&self, journal: &str) -> Result<Vec<FileSeen>, NotesError>;

    /// Notes a file as done, in place of an earlier note on its name; durable on return.
    ///
    /// # Errors
    /// [`NotesError`] when the note is not durable.
    fn remember(&self, journal: &str, file: &FileSeen) -> Result<(), NotesError>;

    /// Drops the note on a file, if any.
    ///
    /// # Errors
    /// [`NotesError`] when the note may still be there.
    fn forget(&self, journal: &str, name: &str) -> Result<(), NotesError>;

    /// Returns how far the growing files of `journal` were told.
    ///
    /// # Errors
    /// [`NotesError`] when the store cannot be read; the journal waits then.
    fn progress(&self, journal: &str) -> Result<Vec<Progress>, NotesError>;

    /// Notes how far a file was told, in place of an earlier note on its name; durable on return.
    ///
    /// # Errors
    /// [`NotesError`] when the note is not durable.
    fn keep_progress(&self, journal: &str, progress: &Progress) -> Result<(), NotesError>;
}

/// A file is noted under `journal NUL name` as its time in milliseconds and its size, 8 bytes each,
/// little-endian. Of a growing file more follows ([`Progress`]), which makes the one unreadable as
/// the other.
impl FileNotes for Replica {
    fn done(&self, journal: &str) -> Result<Vec<FileSeen>, NotesError> {
        let notes = noted(self, journal)?
            .into_iter()
            .filter_map(|(name, value)| {
                let (modified_ms, len) = read_note(&value)?;
                Some(FileSeen {
                    name,
                    modified_ms,
                    len,
                })
            });
        Ok(notes.collect())
    }

    fn remember(&self, journal: &str, file: &FileSeen) -> Result<(), NotesError> {
        let mut value = file.modified_ms.to_le_bytes().to_vec();
        value.extend_from_slice(&file.len.to_le_bytes());
        self.put_local(NoteKind::FileRead, &note_key(journal, &file.name), &value)
            .map_err(cannot)
    }

    fn forget(&self, journal: &str, name: &str) -> Result<(), NotesError> {
        self.remove_local(NoteKind::FileRead, &[&note_key(journal, name)])
            .map_err(cannot)
    }

    fn progress(&self, journal: &str) -> Result<Vec<Progress>, NotesError> {
        let notes = noted(self, journal)?.into_iter();
        Ok(notes
            .filter_map(|(name, value)| Progress::from_note(name, &value))
            .collect())
    }

    fn keep_progress(&self, journal: &str, progress: &Progress) -> Result<(), NotesError> {
        let key = note_key(journal, &progress.file.name);
        self.put_local(NoteKind::FileRead, &key, &progress.to_note())
            .map_err(cannot)
    }
}

/// Returns the notes of a journal by the names of its files.
fn noted(replica: &Replica, journal: &str) -> Result<Vec<(String, Vec<u8>)>, NotesError> {
    let prefix = note_key(journal, "");
    let notes = replica.scan_local(NoteKind::FileRead).map_err(cannot)?;
    Ok(notes
        .into_iter()
        .filter_map(|note| {
            let name = note.key.strip_prefix(prefix.as_slice())?;
            Some((String::from_utf8(name.to_vec()).ok()?, note.value))
        })
        .collect())
}

fn note_key(journal: &str, name: &str) -> Vec<u8> {
    [journal.as_bytes(), &[0], name.as_bytes()].concat()
}

/// Reads a note; one of another form is as good as none, and the file is read again.
fn read_note(value: &[u8]) -> Option<(i64, u64)> {
    let (modified_ms, len) = value.split_first_chunk::<8>()?;
    Some((
        i64::from_le_bytes(*modified_ms),
        u64::from_le_bytes(len.try_into().ok()?),
    ))
}

fn cannot(error: MembersError) -> NotesError {
    NotesError(error.to_string())
}
