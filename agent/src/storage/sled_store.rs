//! The one place that opens sled, with the care that version 0.34.7 needs.
//!
//! - A kill during `open` leaves `snap.*.generating`, which makes every later `open` fail: removed first.
//! - `open` may panic on a damaged directory: caught.
//! - The lock of a handle just dropped is released late: tried again for a while.
//! - A directory that existed but was not recovered has lost its data: reported, never taken for new.
//! - The cache would grow to 1 GiB and a flusher thread would run: both are set here.
//! - `flush` is no device flush: [`SledStore::sync`] adds the `fdatasync` on the one data file. Values
//!   above [`VALUE_BYTES_MAX`] go to files that are never synced, so what must survive a power cut
//!   keeps below it.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Largest value that survives a power cut, in bytes; sled puts larger ones into unsynced files.
pub(crate) const VALUE_BYTES_MAX: usize = 4096;
/// What must be free on the disk before anything is changed, in bytes: a handle that met a full disk cannot
/// be used any more, nor opened again while the disk is full.
pub(crate) const FREE_BYTES_MIN: u64 = 2 * 1024 * 1024;
/// Sled's page cache; the default would be 1 GiB on a till of 2 GiB.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// Tries while another handle's lock is being released: one second in all.
const LOCK_TRIES_MAX: u32 = 50;
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(20);

/// Why a sled directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SledStoreError {
    /// It was there, but came up empty.
    #[error("the store {dir} existed but its content is lost")]
    Lost {
        /// The directory.
        dir: PathBuf,
    },
    /// Sled panicked while it opened the directory.
    #[error("the store {dir} is damaged: opening it panicked")]
    Panicked {
        /// The directory.
        dir: PathBuf,
    },
    /// Sled refused.
    #[error("cannot {doing} the store {dir}")]
    Sled {
        /// What was tried.
        doing: &'static str,
        /// The directory.
        dir: PathBuf,
        /// Sled's answer.
        #[source]
        source: sled::Error,
    },
    /// The disk refused.
    #[error("cannot {doing} the store {dir}")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// The directory.
        dir: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// An open sled directory.
#[derive(Debug)]
pub(crate) struct SledStore {
    db: sled::Db,
    data_file: File,
    dir: PathBuf,
}

impl SledStore {
    /// Opens the directory, or makes it. Blocks, up to a second when it was just closed.
    pub(crate) fn open(dir: &Path) -> Result<Self, SledStoreError> {
        let disk = |doing| {
            move |source| SledStoreError::Disk {
                doing,
                dir: dir.to_owned(),
                source,
            }
        };
        let data_path = dir.join("db");
        let existed = data_path.exists();
        if existed {
            remove_half_made_snapshots(dir).map_err(disk("clean up"))?;
        }
        let db = open_patiently(dir)?;
        if existed && !db.was_recovered() {
            return Err(SledStoreError::Lost {
                dir: dir.to_owned(),
            });
        }
        let data_file = File::open(&data_path).map_err(disk("open the data file of"))?;
        if !existed {
            data_file.sync_all().map_err(disk("sync"))?;
            sync_dir(dir).map_err(disk("sync"))?;
            if let Some(parent) = dir.parent() {
                sync_dir(parent).map_err(disk("sync"))?;
            }
        }
        Ok(Self {
            db,
            data_file,
            dir: dir.to_owned(),
        })
    }

    /// Returns a tree, made if need be.
    pub(crate) fn tree(&self, name: &str) -> Result<sled::Tree, SledStoreError> {
        self.db
            .open_tree(name)
            .map_err(self.failed("open a tree of"))
    }

    /// Makes all that was applied survive a power cut. Callers keep less than 512 KiB between two calls:
    /// sled's log segments are that long, and their order on the disk is not kept.
    pub(crate) fn sync(&self) -> Result<(), SledStoreError> {
        self.db.flush().map_err(self.failed("flush"))?;
        self.data_file
            .sync_data()
            .map_err(|source| SledStoreError::Disk {
                doing: "sync",
                dir: self.dir.clone(),
                source,
            })
    }

    /// Returns what the directory takes on the disk, in bytes.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.db.size_on_disk().unwrap_or_default()
    }

    /// Returns how sled's errors on this store read.
    pub(crate) fn failed(
        &self,
        doing: &'static str,
    ) -> impl Fn(sled::Error) -> SledStoreError + use<> {
        let dir = self.dir.clone();
        move |source| SledStoreError::Sled {
            doing,
            dir: dir.clone(),
            source,
        }
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn remove_half_made_snapshots(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn open_patiently(dir: &Path) -> Result<sled::Db, SledStoreError> {
    let config = sled::Config::new()
        .path(dir)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(None)
        .use_compression(false);
    let mut tries = 0;
    loop {
        tries += 1;
        // Only the path and numbers cross the boundary: nothing is left half changed by a panic.
        let opened = catch_unwind(AssertUnwindSafe(|| config.open())).map_err(|_| {
            SledStoreError::Panicked {
                dir: dir.to_owned(),
            }
        })?;
        match opened {
            Ok(db) => return Ok(db),
            Err(e) if is_locked(&e) && tries < LOCK_TRIES_MAX => thread::sleep(LOCK_RETRY_DELAY),
            Err(source) => {
                return Err(SledStoreError::Sled {
                    doing: "open",
                    dir: dir.to_owned(),
                    source,
                });
            }
        }
    }
}

/// Sled wraps the lock's `WouldBlock` into an error of kind `Other` whose text alone tells.
fn is_locked(error: &sled::Error) -> bool {
    let sled::Error::Io(error) = error else {
        return false;
    };
    error.kind() == io::ErrorKind::WouldBlock
        || error.to_string().contains("could not acquire lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_opens_again_at_once_and_after_a_kill_during_open() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("store");
        let store = SledStore::open(&dir).unwrap();
        store.tree("t").unwrap().insert(b"k", b"v").unwrap();
        store.sync().unwrap();
        drop(store);
        fs::write(dir.join("snap.0000000000000001.generating"), b"half").unwrap();
        let store = SledStore::open(&dir).unwrap();
        assert_eq!(store.tree("t").unwrap().get(b"k").unwrap().unwrap(), b"v");
        assert!(store.disk_bytes() > 0);
    }

    #[test]
    fn a_store_that_lost_its_content_is_not_taken_for_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("store");
        let store = SledStore::open(&dir).unwrap();
        store.tree("t").unwrap().insert(b"k", b"v").unwrap();
        store.sync().unwrap();
        drop(store);
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("snap.")
            {
                fs::remove_file(path).unwrap();
            }
        }
        fs::write(dir.join("db"), b"").unwrap();
        assert!(SledStore::open(&dir).is_err());
    }
}
