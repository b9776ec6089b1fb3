//! What of the journal could not be read: kept for people, until somebody drops it.
//!
//! One file an entry, `quarantine/NUMBER.json`, with the damaged bytes as they stood in the journal: sealed,
//! so personal data stays unreadable without the terminal's key. An entry that was dropped leaves an
//! empty one, so that the same damage, found again at the next start, does not come back.
//!
//! **Limits.** [`ENTRY_BYTES_MAX`] of one damage are kept, [`ENTRIES_MAX`] entries in all; what is beyond
//! is only counted as lost, as everything here is: each entry stands for a gap that central is told of.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tillbind_protocol::ids::{Epoch, Seq};

use super::journal::{Damaged, salvaged};
use crate::storage::disk::Disk;
use crate::vault::Seal;

/// Bytes kept of one damage.
pub const ENTRY_BYTES_MAX: usize = 1024 * 1024;
/// Entries kept, dropped ones among them; at the limit the oldest dropped ones go first.
pub const ENTRIES_MAX: usize = 1000;
const SUFFIX: &str = ".json";

/// Events that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its number in the quarantine.
    pub id: u64,
    /// The epoch of the events.
    pub epoch: Epoch,
    /// The first of them.
    pub from: Seq,
    /// The last of them.
    pub to: Seq,
    /// What is wrong.
    pub reason: String,
    /// The journal segment that holds the damage, and where in its file it begins.
    pub place: (u64, u64),
    /// The damaged bytes, sealed.
    pub bytes: Vec<u8>,
}

/// Why the quarantine does not answer.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// There is no such entry.
    #[error("there is no quarantine entry {0}: see `tillbind outbox quarantine list`")]
    Unknown(u64),
    /// The disk refused.
    #[error("cannot {doing} the quarantine")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// An entry's file.
#[derive(Debug, Serialize, Deserialize)]
struct File {
    epoch: String,
    from: u64,
    to: u64,
    reason: String,
    segment: u64,
    offset: u64,
    /// In hexadecimal.
    bytes: String,
    #[serde(default)]
    dropped: bool,
}

/// The quarantine's directory.
#[derive(Debug, Clone)]
pub(super) struct Quarantine {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    seal: Seal,
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> QuarantineError {
    move |source| QuarantineError::Disk { doing, source }
}

impl Quarantine {
    pub(super) fn new(disk: Arc<dyn Disk>, dir: PathBuf, seal: Seal) -> Self {
        Self { disk, dir, seal }
    }

    /// Keeps a damage, if it is not there yet.
    pub(super) fn put(
        &self,
        epoch: Epoch,
        (from, to): (Seq, Seq),
        reason: &str,
        damaged: &Damaged<'_>,
    ) -> Result<(), QuarantineError> {
        let put = failed("write to");
        self.disk.make_dir(&self.dir).map_err(&put)?;
        let known = self.files()?;
        let is_same = |file: &File| {
            (file.epoch.as_str(), file.from, file.to) == (&*epoch.to_string(), from.0, to.0)
        };
        if known.iter().any(|(_, file)| is_same(file)) {
            return Ok(());
        }
        let numbers = self.numbers().map_err(&put)?;
        if numbers.len() >= ENTRIES_MAX {
            match known.iter().find(|(_, file)| file.dropped) {
                Some((id, _)) => self.disk.remove_file(&self.path(*id)).map_err(&put)?,
                None => {
                    tracing::error!(%from, %to, "the quarantine is full: a damage is not kept");
                    return Ok(());
                }
            }
        }
        // Behind all that are there: one that cannot be read itself keeps its number, too.
        let id = numbers.last().map_or(0, |id| *id).saturating_add(1);
        let bytes = &damaged.bytes[..damaged.bytes.len().min(ENTRY_BYTES_MAX)];
        self.write(
            id,
            &File {
                epoch: epoch.to_string(),
                from: from.0,
                to: to.0,
                reason: reason.to_owned(),
                segment: damaged.segment,
                offset: damaged.offset,
                bytes: hex::encode(bytes),
                dropped: false,
            },
        )
    }

    /// Returns the entries, oldest first.
    pub(super) fn list(&self) -> Result<Vec<Quarantined>, QuarantineError> {
        let files = self.files()?;
        Ok(files
            .into_iter()
            .filter(|(_, file)| !file.dropped)
            .filter_map(|(id, file)| {
                Some(Quarantined {
                    id,
                    epoch: file.epoch.parse().ok()?,
                    from: Seq(file.from),
                    to: Seq(file.to),
                    reason: file.reason,
                    place: (file.segment, file.offset),
                    bytes: hex::decode(file.bytes).ok()?,
                })
            })
            .collect())
    }

    /// Returns what can be read of an entry's events, damaged characters and all. Nothing vouches for it.
    pub(super) fn salvage(&self, entry: &Quarantined) -> Vec<String> {
        salvaged(&self.seal, &entry.bytes)
            .into_iter()
            .map(|plain| String::from_utf8_lossy(&plain).into_owned())
            .collect()
    }

    /// Lets an entry go for good.
    pub(super) fn forget(&self, id: u64) -> Result<(), QuarantineError> {
        let mut files = self.files()?.into_iter();
        let found = files.find(|(known, file)| *known == id && !file.dropped);
        let Some((_, file)) = found else {
            return Err(QuarantineError::Unknown(id));
        };
        self.write(
            id,
            &File {
                bytes: String::new(),
                dropped: true,
                ..file
            },
        )
    }

    fn write(&self, id: u64, file: &File) -> Result<(), QuarantineError> {
        let json = serde_json::to_vec(file).map_err(io::Error::other);
        json.and_then(|json| self.disk.replace(&self.path(id), &json))
            .map_err(failed("write to"))
    }

    fn path(&self, id: u64) -> PathBuf {
        self.dir.join(format!("{id:06}{SUFFIX}"))
    }

    /// Returns the entries that can be read, by number.
    fn files(&self) -> Result<Vec<(u64, File)>, QuarantineError> {
        let read = failed("read");
        let mut files = Vec::new();
        for id in self.numbers().map_err(&read)? {
            let path = self.path(id);
            let bytes = self.disk.read(&path).map_err(&read)?;
            match bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
                Some(file) => files.push((id, file)),
                None => report_unreadable(&path),
            }
        }
        Ok(files)
    }

    /// Returns the numbers of all entries, least first.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let names = match self.disk.list(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            names => names?,
        };
        let number = |name: &String| name.strip_suffix(SUFFIX)?.parse().ok();
        let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}

fn report_unreadable(path: &Path) {
    tracing::warn!(path = %path.display(), "an entry of the quarantine cannot be read itself");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::sim_disk::SimDisk;
    use crate::vault::{Purpose, Vault, test_random};

    fn quarantine() -> Quarantine {
        let seal = Vault::from_key([1; 32], test_random(1)).seal(Purpose::Journal);
        Quarantine::new(Arc::new(SimDisk::default()), "/q".into(), seal)
    }

    #[test]
    fn a_damage_is_kept_once_and_stays_away_once_dropped() {
        let quarantine = quarantine();
        assert_eq!(quarantine.list().unwrap(), []);
        let damaged = Damaged {
            segment: 3,
            offset: 4096,
            bytes: b"spoilt",
        };
        let put = |from, to| {
            quarantine
                .put(Epoch(7), (Seq(from), Seq(to)), "why", &damaged)
                .unwrap();
        };
        put(4, 5);
        put(4, 5);
        put(9, 9);
        let listed = quarantine.list().unwrap();
        assert_eq!(listed.len(), 2);
        assert_eq!(
            listed[0],
            Quarantined {
                id: 1,
                epoch: Epoch(7),
                from: Seq(4),
                to: Seq(5),
                reason: "why".to_owned(),
                place: (3, 4096),
                bytes: b"spoilt".to_vec(),
            }
        );
        quarantine.forget(1).unwrap();
        assert!(matches!(
            quarantine.forget(1),
            Err(QuarantineError::Unknown(1))
        ));
        put(4, 5);
        assert_eq!(quarantine.list().unwrap().len(), 1);
    }

    #[test]
    fn an_entry_that_cannot_be_read_itself_is_not_overwritten_by_the_next_damage() {
        let quarantine = quarantine();
        let (disk, path) = (&quarantine.disk, quarantine.path(1));
        disk.make_dir(&quarantine.dir).unwrap();
        disk.replace(&path, b"spoilt").unwrap();
        let damaged = Damaged {
            segment: 3,
            offset: 4096,
            bytes: b"spoilt, too",
        };
        quarantine
            .put(Epoch(7), (Seq(4), Seq(5)), "why", &damaged)
            .unwrap();
        assert_eq!(disk.read(&path).unwrap().as_deref(), Some(&b"spoilt"[..]));
        let listed = quarantine.list().unwrap();
        assert_eq!((listed.len(), listed[0].id), (1, 2));
    }
}
