//! How much room there is, for the backlog and on the disk.
//!
//! Three bounds, each of which counts: plain bytes that may wait, the share of the file system that the
//! journal may take, and what must stay free for everybody else on it, the agent's own stores among them.

use std::cell::Cell;
use std::path::Path;

use super::journal::CommitError;
use crate::storage::disk::{Disk, DiskRoom};

/// What stays free on the disk for the replica, the notes and everybody else, in bytes. Sled cannot be
/// used any more once it met a full disk.
pub const FREE_BYTES_MIN: u64 = 8 * 1024 * 1024;
/// Beyond this many hundredths of any bound, room is tight.
const TIGHT_PERCENT: u64 = 80;

/// Whether there is room for what comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pressure {
    /// There is.
    #[default]
    Ok,
    /// Less than a fifth of it is left.
    Tight,
    /// There is none: events are being given up or refused.
    Full,
}

impl Pressure {
    /// Returns the stable name, as in `status`, in metrics and at central.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Tight => "tight",
            Self::Full => "full",
        }
    }
}

/// The bounds, and where things stand.
#[derive(Debug)]
pub(super) struct Room {
    backlog_bytes_max: u64,
    /// Hundredths of the file system that the journal may take.
    disk_percent_max: u64,
    /// The disk as last seen; what cannot be seen is no bound.
    seen: Option<DiskRoom>,
    /// Something was given up or refused, and room has not been good since.
    is_full: Cell<bool>,
}

impl Room {
    pub(super) fn new(backlog_bytes_max: u64, disk_percent_max: u8) -> Self {
        Self {
            backlog_bytes_max,
            disk_percent_max: u64::from(disk_percent_max.clamp(1, 100)),
            seen: None,
            is_full: Cell::new(false),
        }
    }

    pub(super) fn look(&mut self, disk: &dyn Disk, dir: &Path) {
        match disk.room(dir) {
            Ok(seen) => self.seen = Some(seen),
            Err(error) => {
                self.seen = None;
                tracing::debug!(%error, "the free disk space is unknown");
            }
        }
    }

    pub(super) fn backlog_bytes_max(&self) -> u64 {
        self.backlog_bytes_max
    }

    /// Returns whether so many plain bytes may wait.
    pub(super) fn allows(&self, backlog_bytes: u64) -> bool {
        backlog_bytes <= self.backlog_bytes_max
    }

    /// Returns whether the journal, which takes `journal_bytes`, may grow by `bytes`.
    pub(super) fn has(&self, bytes: u64, journal_bytes: u64) -> bool {
        let Some(seen) = self.seen else {
            return true;
        };
        seen.free_bytes >= bytes.saturating_add(FREE_BYTES_MIN)
            && journal_bytes.saturating_add(bytes) <= self.share_bytes(seen)
    }

    fn share_bytes(&self, seen: DiskRoom) -> u64 {
        let share = u128::from(seen.total_bytes) * u128::from(self.disk_percent_max) / 100;
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// Returns whether hardly a byte is left.
    pub(super) fn is_out(&self) -> bool {
        self.seen
            .is_some_and(|seen| seen.free_bytes < FREE_BYTES_MIN / 4)
    }

    /// The error that a disk without room gives.
    pub(super) fn refusal() -> CommitError {
        CommitError {
            doing: "begin a new segment of",
            source: std::sync::Arc::new(std::io::ErrorKind::StorageFull.into()),
        }
    }

    pub(super) fn note_refusal(&self) {
        self.is_full.set(true);
    }

    /// Tells how things stand. What was full is so until room is good again and a reserve is there.
    pub(super) fn pressure(
        &self,
        backlog_bytes: u64,
        journal_bytes: u64,
        has_reserve: bool,
    ) -> Pressure {
        let beyond = |used: u64, of: u64| {
            u128::from(used) * 100 > u128::from(of) * u128::from(TIGHT_PERCENT)
        };
        let on_disk = |seen: DiskRoom| {
            beyond(journal_bytes, self.share_bytes(seen))
                || seen.free_bytes < FREE_BYTES_MIN.saturating_mul(2)
        };
        let is_tight =
            beyond(backlog_bytes, self.backlog_bytes_max) || self.seen.is_some_and(on_disk);
        self.is_full
            .set(self.is_full.get() && (is_tight || !has_reserve));
        match (self.is_full.get(), is_tight) {
            (true, true | false) => Pressure::Full,
            (false, true) => Pressure::Tight,
            (false, false) => Pressure::Ok,
        }
    }

    pub(super) fn free_bytes(&self) -> Option<u64> {
        self.seen.map(|seen| seen.free_bytes)
    }

    pub(super) fn total_bytes(&self) -> Option<u64> {
        self.seen.map(|seen| seen.total_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(total_bytes: u64, free_bytes: u64) -> Room {
        Room {
            seen: Some(DiskRoom {
                total_bytes,
                free_bytes,
            }),
            ..Room::new(1000, 50)
        }
    }

    #[test]
    fn backlog_share_and_free_space_bound_each_for_itself() {
        let mib = 1024 * 1024;
        let wide = room(1024 * mib, 512 * mib);
        assert!(wide.allows(1000) && !wide.allows(1001));
        assert!(wide.has(4 * mib, 508 * mib) && !wide.has(4 * mib, 509 * mib));
        assert_eq!(wide.pressure(0, 0, true), Pressure::Ok);
        assert_eq!(wide.pressure(801, 0, true), Pressure::Tight);
        assert_eq!(wide.pressure(0, 500 * mib, true), Pressure::Tight);
        let narrow = room(1024 * mib, 11 * mib);
        assert!(narrow.has(3 * mib, 0) && !narrow.has(4 * mib, 0));
        assert_eq!(narrow.pressure(0, 0, true), Pressure::Tight);
        assert!(!narrow.is_out() && room(mib, mib).is_out());
        let unseen = Room::new(1000, 50);
        assert!(unseen.has(u64::MAX, 0));
    }

    #[test]
    fn what_was_full_is_so_until_room_is_good_again() {
        let room = Room::new(1000, 50);
        room.note_refusal();
        assert_eq!(room.pressure(1000, 0, true), Pressure::Full);
        assert_eq!(room.pressure(801, 0, true), Pressure::Full);
        assert_eq!(room.pressure(800, 0, false), Pressure::Full);
        assert_eq!(room.pressure(800, 0, true), Pressure::Ok);
        assert_eq!(room.pressure(801, 0, true), Pressure::Tight);
        assert_eq!(room.pressure(0, 0, false), Pressure::Ok);
    }
}
