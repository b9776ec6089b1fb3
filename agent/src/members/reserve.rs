//! Room that is kept for opening the stores on a full disk: sled writes when it opens, and a till whose
//! disk is full must come up all the same.

use std::io;
use std::path::{Path, PathBuf};

use crate::storage::disk::{Disk, LocalDisk};
use crate::storage::sled_store::FREE_BYTES_MIN;

/// Length of the reserve, in bytes: two stores write less than one of sled's segments each.
const RESERVE_BYTES: u64 = 2 * FREE_BYTES_MIN;
/// It is made only where it hurts nobody.
const ROOMY_BYTES: u64 = 16 * RESERVE_BYTES;

#[derive(Debug)]
pub(super) struct Reserve {
    dir: PathBuf,
    path: PathBuf,
}

impl Reserve {
    pub(super) fn of(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            path: dir.join("reserve"),
        }
    }

    /// Gives the room back if the disk is full.
    pub(super) fn release_if_needed(&self) {
        if self.free_bytes().is_none_or(|free| free >= FREE_BYTES_MIN) {
            return;
        }
        match LocalDisk.remove_file(&self.path) {
            Ok(()) => {
                tracing::error!("the disk is full: a reserve was given up to open the stores")
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, "the reserve cannot be given up"),
        }
    }

    /// Sets room aside again.
    pub(super) fn make_if_there_is_room(&self) {
        let is_roomy = self.free_bytes().is_some_and(|free| free >= ROOMY_BYTES);
        if !is_roomy || self.path.exists() {
            return;
        }
        let made = LocalDisk
            .create(&self.path)
            .and_then(|file| file.fill_zero(RESERVE_BYTES));
        if let Err(error) = made {
            tracing::warn!(%error, "no reserve can be set aside");
        }
    }

    fn free_bytes(&self) -> Option<u64> {
        LocalDisk.room(&self.dir).ok().map(|room| room.free_bytes)
    }
}
