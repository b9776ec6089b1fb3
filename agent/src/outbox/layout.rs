//! Where things lie in the outbox's directory.
//!
//! ```text
//! lock                      held while the outbox is open
//! clean                     how it was left, after a clean stop alone
//! epochs/GENERATION-EPOCH/  one journal: NUMBER.segment …, watermark; the highest generation counts
//! forking/                  a new epoch's journal until it is whole
//! spare/                    journal segments for reuse
//! damaged/                  journal files that could not be read, or whole journals, for people to look at
//! quarantine/               records that could not be read, for people to look at
//! buffer-N/                 sled
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tillbind_protocol::ids::Epoch;

use super::journal::{Source, Yard};
use crate::storage::disk::{Disk, LocalDisk};
use crate::vault::Seal;

const BUFFER_PREFIX: &str = "buffer-";

/// One journal's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EpochDir {
    /// Counts up with every epoch of this outbox.
    pub(super) generation: u64,
    pub(super) epoch: Epoch,
    pub(super) path: PathBuf,
}

impl EpochDir {
    pub(super) fn watermark(&self) -> PathBuf {
        Self::watermark_in(&self.path)
    }

    /// Returns where the watermark of a journal in `dir` stands.
    pub(super) fn watermark_in(dir: &Path) -> PathBuf {
        dir.join("watermark")
    }
}

/// The outbox's directory.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) root: PathBuf,
    pub(super) segment_bytes: u64,
    pub(super) seal: Seal,
}

impl Layout {
    pub(super) fn clean(&self) -> PathBuf {
        self.root.join("clean")
    }

    pub(super) fn forking(&self) -> PathBuf {
        self.root.join("forking")
    }

    fn epochs(&self) -> PathBuf {
        self.root.join("epochs")
    }

    pub(super) fn yard(&self) -> Yard {
        Yard {
            spare_dir: self.root.join("spare"),
            damaged_dir: self.root.join("damaged"),
            segment_bytes: self.segment_bytes,
        }
    }

    pub(super) fn buffer(&self, number: u64) -> PathBuf {
        self.root.join(format!("{BUFFER_PREFIX}{number}"))
    }

    /// Returns where an epoch's journal is read, in `dir`.
    pub(super) fn source(&self, epoch: Epoch, dir: PathBuf) -> Source {
        Source {
            disk: Arc::clone(&self.disk),
            dir,
            epoch,
            seal: self.seal.clone(),
        }
    }

    /// Makes the directories that are always there, and removes what a fork left half done.
    pub(super) fn prepare(&self) -> io::Result<()> {
        let yard = self.yard();
        for dir in [&self.epochs(), &yard.spare_dir, &yard.damaged_dir] {
            self.disk.make_dir(dir)?;
        }
        // A process killed between a fork's rename and its sync: without this, events appended now would
        // go with the new epoch's name at a power cut.
        self.disk.sync_dir(&self.epochs())?;
        if self
            .disk
            .list(&self.root)?
            .iter()
            .any(|name| name == "forking")
        {
            self.disk.remove_dir(&self.forking())?;
        }
        self.disk.sync_dir(&self.root)
    }

    /// Returns the epochs, oldest first.
    pub(super) fn list_epochs(&self) -> io::Result<Vec<EpochDir>> {
        let dir = self.epochs();
        let names = self.disk.list(&dir)?;
        let mut epochs: Vec<_> = names
            .iter()
            .filter_map(|name| {
                let (generation, epoch) = name.split_once('-')?;
                Some(EpochDir {
                    generation: generation.parse().ok()?,
                    epoch: epoch.parse().ok()?,
                    path: dir.join(name),
                })
            })
            .collect();
        epochs.sort_by_key(|found| found.generation);
        Ok(epochs)
    }

    /// Returns the directory of an epoch, not yet made.
    pub(super) fn epoch_dir(&self, generation: u64, epoch: Epoch) -> EpochDir {
        EpochDir {
            generation,
            epoch,
            path: self.epochs().join(format!("{generation:08}-{epoch}")),
        }
    }

    /// Makes the directory of an epoch, durably.
    pub(super) fn make_epoch(&self, generation: u64, epoch: Epoch) -> io::Result<EpochDir> {
        let made = self.epoch_dir(generation, epoch);
        self.disk.make_dir_durably(&made.path)?;
        Ok(made)
    }

    /// Gives the finished journal in `forking` its name: from here on it is the one that counts.
    pub(super) fn promote_fork(&self, to: &EpochDir) -> io::Result<()> {
        self.disk.sync_dir(&self.forking())?;
        self.disk.rename(&self.forking(), &to.path)?;
        self.disk.sync_dir(&self.epochs())?;
        self.disk.sync_dir(&self.root)
    }

    /// Removes an epoch that no longer counts.
    pub(super) fn remove_epoch(&self, epoch: &EpochDir) -> io::Result<()> {
        self.disk.remove_dir(&epoch.path)?;
        self.disk.sync_dir(&self.epochs())
    }

    /// Moves an epoch of which nothing can be read out of the way.
    pub(super) fn set_epoch_aside(&self, epoch: &EpochDir) -> io::Result<()> {
        let damaged_dir = self.yard().damaged_dir;
        let aside = damaged_dir.join(format!("{:08}-{}", epoch.generation, epoch.epoch));
        self.disk.rename(&epoch.path, &aside)?;
        self.disk.sync_dir(&damaged_dir)?;
        self.disk.sync_dir(&self.epochs())
    }

    pub(super) fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// Removes every buffer but one; returns a number that none has.
    pub(super) fn remove_buffers(&self, except: Option<&Path>) -> io::Result<u64> {
        let mut unused = 1;
        for name in LocalDisk.list(&self.root)? {
            let Some(number) = name.strip_prefix(BUFFER_PREFIX) else {
                continue;
            };
            unused = unused.max(number.parse::<u64>().unwrap_or(0).saturating_add(1));
            let path = self.root.join(&name);
            if except != Some(path.as_path()) {
                LocalDisk.remove_dir(&path)?;
            }
        }
        Ok(unused)
    }
}
