//! The right to a directory: one process at a time, given back by the kernel however it ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

const LOCK_NAME: &str = "lock";

/// Why a directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "{dir} is in use by another tillbind process: stop that one first (systemctl stop tillbind)"
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// The lock file cannot be made or locked.
    #[error("cannot lock {path}")]
    Disk {
        /// The lock file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// Holds a directory until it is dropped.
#[derive(Debug)]
pub(crate) struct DirLock {
    /// The kernel gives the lock back when this is closed.
    _file: File,
}

impl DirLock {
    /// Takes the directory, or says who has it. `dir` must exist.
    pub(crate) fn take(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join(LOCK_NAME);
        let disk = |source| LockError::Disk {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(disk)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(LockError::InUse {
                dir: dir.to_owned(),
            }),
            Err(e) => Err(disk(e.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_had_once_and_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirLock::take(dir.path()).unwrap();
        assert!(matches!(
            DirLock::take(dir.path()),
            Err(LockError::InUse { .. })
        ));
        drop(first);
        DirLock::take(dir.path()).unwrap();
    }
}
