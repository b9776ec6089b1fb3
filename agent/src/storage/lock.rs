//! The right to a directory: one process at a time, given back by the kernel however it ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::FlockOperation;

const LOCK_NAME: &str = "lock";

/// Tries before a directory counts as in use: two seconds in all. A lock outlives its owner a little, until
/// the kernel has taken a killed process apart or a child that was just forked has become another program.
const TRIES_MAX: u32 = 200;
const RETRY_DELAY: Duration = Duration::from_millis(10);

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
    /// Takes the directory, or says that another has it after [`TRIES_MAX`]. `dir` must exist.
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
        let mut tries = 0;
        loop {
            tries += 1;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _file: file }),
                Err(rustix::io::Errno::WOULDBLOCK) if tries < TRIES_MAX => {
                    thread::sleep(RETRY_DELAY);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(LockError::InUse {
                        dir: dir.to_owned(),
                    });
                }
                Err(e) => return Err(disk(e.into())),
            }
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

    #[test]
    fn a_lock_that_is_given_back_late_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let held = DirLock::take(dir.path()).unwrap();
        let late = thread::spawn(move || {
            thread::sleep(RETRY_DELAY * 5);
            drop(held);
        });
        DirLock::take(dir.path()).unwrap();
        late.join().unwrap();
    }
}
