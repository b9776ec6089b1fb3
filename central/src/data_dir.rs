//! The data directory: private files that appear whole or not at all.
//!
//! Several processes of one installation may share it and start at once: whoever makes a file first
//! wins, everyone else reads it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A file that cannot be read or made.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be {verb}: check `data_dir`, its owner and the disk's room")]
pub struct FileError {
    path: PathBuf,
    verb: &'static str,
    #[source]
    source: io::Error,
}

/// The directory.
#[derive(Debug, Clone)]
pub struct DataDir {
    path: PathBuf,
}

impl DataDir {
    /// Takes a directory and makes it, for its owner alone, if it does not exist.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be made.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path);
        made.map_err(fail(path, "made"))?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a file, if it exists.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<String>, FileError> {
        let path = self.path.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(fail(&path, "read")(e)),
        }
    }

    /// Makes a file unless it exists, and returns what it holds then. `unique` tells this process
    /// and attempt from all others.
    ///
    /// # Errors
    /// [`FileError`] when it can be neither made nor read.
    pub fn create(&self, name: &str, unique: &str, text: &str) -> Result<String, FileError> {
        let path = self.path.join(name);
        let draft = self.write_draft(name, unique, text)?;
        // Unlike a rename, a link never replaces what another process made first.
        let linked = fs::hard_link(&draft, &path);
        fs::remove_file(&draft).map_err(fail(&draft, "removed"))?;
        match linked {
            Ok(()) => self.sync()?,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(fail(&path, "made")(e)),
        }
        fs::read_to_string(&path).map_err(fail(&path, "read"))
    }

    /// Makes a file or replaces it.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be made.
    pub fn replace(&self, name: &str, unique: &str, text: &str) -> Result<(), FileError> {
        let path = self.path.join(name);
        let draft = self.write_draft(name, unique, text)?;
        fs::rename(&draft, &path).map_err(fail(&path, "made"))?;
        self.sync()
    }

    /// Writes a listener's bound address to `NAME.addr`, for scripts and tests that let the system
    /// choose the port.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be made.
    pub fn write_address(
        &self,
        name: &str,
        unique: &str,
        address: SocketAddr,
    ) -> Result<(), FileError> {
        self.replace(&format!("{name}.addr"), unique, &format!("{address}\n"))
    }

    fn write_draft(&self, name: &str, unique: &str, text: &str) -> Result<PathBuf, FileError> {
        let draft = self.path.join(format!(".{name}.{unique}.draft"));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)
            .map_err(fail(&draft, "made"))?;
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all());
        written.map_err(fail(&draft, "written"))?;
        Ok(draft)
    }

    fn sync(&self) -> Result<(), FileError> {
        let synced = File::open(&self.path).and_then(|dir| dir.sync_all());
        synced.map_err(fail(&self.path, "made durable"))
    }
}

fn fail(path: &Path, verb: &'static str) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError { path, verb, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_first_to_make_a_file_wins_and_nobody_else_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(&dir.path().join("a/b")).unwrap();
        assert_eq!(data.read("ca.key").unwrap(), None);
        assert_eq!(data.create("ca.key", "1", "first").unwrap(), "first");
        assert_eq!(data.create("ca.key", "2", "second").unwrap(), "first");
        data.replace("ca.key", "3", "third").unwrap();
        assert_eq!(data.read("ca.key").unwrap().as_deref(), Some("third"));
        let mode = fs::metadata(data.path().join("ca.key")).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1);
    }
}
