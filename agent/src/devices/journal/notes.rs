//! What is kept durably about a journal's files.

use tillbind_firmware_bridge::journal::FileSeen;

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
}

/// A file is noted under `journal NUL name` as its time in milliseconds and its size, 8 bytes each,
/// little-endian.
impl FileNotes for Replica {
    fn done(&self, journal: &str) -> Result<Vec<FileSeen>, NotesError> {
        let mut prefix = journal.as_bytes().to_vec();
        prefix.push(0);
        let notes = self.scan_local(NoteKind::FileRead).map_err(cannot)?;
        let files = notes.iter().filter_map(|note| {
            let name = note.key.strip_prefix(prefix.as_slice())?;
            let name = String::from_utf8(name.to_vec()).ok()?;
            let (modified_ms, len) = read_note(&note.value)?;
            Some(FileSeen {
                name,
                modified_ms,
                len,
            })
        });
        Ok(files.collect())
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
