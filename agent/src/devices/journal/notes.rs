//! What is kept durably about a journal's files.

use tillbind_firmware_bridge::journal::FileSeen;

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
