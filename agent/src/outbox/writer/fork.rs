//! Moving events to a new epoch, when central has found that the history differs.
//!
//! The new epoch's journal is written whole into `forking/` and synced; the rename to its place among the
//! epochs is the step that counts. A crash before it leaves the old epoch as it was; after it, the old one
//! is only a leftover that the next start removes.
//!
//! What is lost, or was acknowledged and is no longer kept, moves as a gap of as many places: central hears
//! of it, and where an event moves to depends on nothing but the place that it had. The chain after such a
//! gap cannot be that of a disk which still has the events.

use tillbind_protocol::chain::{ChainHash, Mark};
use tillbind_protocol::ids::{Epoch, Seq};

use super::super::journal::{Gap, Journal, Reserve, Scan};
use super::super::layout::EpochDir;
use super::super::opening::fill;
use super::super::reading::{Limits, ReadError};
use super::super::view::Shape;
use super::super::watermark::{Watermark, make_watermark};
use super::super::{Damage, ForkError, Forked};
use super::{Tidy, Writer};

/// Events moved by one write.
const MOVE_LIMITS: Limits = Limits {
    events: 2000,
    bytes: 512 * 1024,
};

/// Longest former reason that goes on with more words, in bytes: an epoch may be left many times.
const REASON_BYTES_MAX: usize = 400;
const GONE: &str = "acknowledged by headquarters once, and no longer kept";

impl Writer {
    pub(super) fn fork(&mut self, at: Seq, new_epoch: Epoch) -> Result<Forked, ForkError> {
        let appended = self.journal.head();
        if at > appended.seq.next() {
            return Err(ForkError::Beyond { at, appended });
        }
        if new_epoch == self.epoch_dir.epoch {
            return Err(ForkError::SameEpoch { epoch: new_epoch });
        }
        let first = at.max(self.acked.seq.next());
        let written = self.write_fork(first, at, new_epoch);
        let (mut journal, forked) = written.inspect_err(|_| self.journal.look_for_spares())?;
        let to = self
            .layout
            .epoch_dir(self.epoch_dir.generation + 1, new_epoch);
        self.layout.promote_fork(&to).map_err(ForkError::Disk)?;
        journal.moved_to(&to.path);
        let left = std::mem::replace(&mut self.epoch_dir, to);
        self.adopt(journal, &left);
        Ok(forked)
    }

    /// Writes the events from `first` on as a journal of the new epoch.
    fn write_fork(
        &self,
        first: Seq,
        at: Seq,
        new_epoch: Epoch,
    ) -> Result<(Journal, Forked), ForkError> {
        let dir = self.layout.forking();
        self.layout.prepare().map_err(ForkError::Disk)?;
        self.layout
            .disk
            .make_dir_durably(&dir)
            .map_err(ForkError::Disk)?;
        let source = self.layout.source(new_epoch, dir);
        let mut journal = Journal::open(
            source,
            self.layout.yard(),
            self.random.clone(),
            Scan::empty(),
            Mark::genesis(new_epoch),
        )
        .map_err(ForkError::Disk)?;
        let marked = make_watermark(
            &*self.layout.disk,
            &EpochDir::watermark_in(journal.dir()),
            Mark::genesis(new_epoch),
        );
        marked.map_err(ForkError::Disk)?;
        journal
            .make_room(0, Reserve::Taken)
            .map_err(ForkError::NotKept)?;
        let mut forked = Forked {
            gone: (at < first).then(|| (at, first.before())),
            ..Forked::default()
        };
        if let Some((from, _)) = forked.gone {
            self.move_gap(&mut journal, from, self.acked, GONE)?;
        }
        let reader = self.reader();
        let mut after = first.before();
        while after < self.journal.head().seq {
            match reader.read_after(after, MOVE_LIMITS, |_| {}) {
                Ok(events) => {
                    let Some(last) = events.last() else {
                        break;
                    };
                    after = last.mark.seq;
                    forked.moved += events.len() as u64;
                    let records: Vec<_> = events.into_iter().map(|event| event.record).collect();
                    journal
                        .make_room(Journal::group_bytes(&records), Reserve::Taken)
                        .map_err(ForkError::NotKept)?;
                    journal.stage(&records);
                    journal.commit().map_err(ForkError::NotKept)?;
                    journal.clear_staged();
                }
                Err(ReadError::Gap {
                    from,
                    until,
                    reason,
                }) => {
                    self.move_gap(&mut journal, from, until, &reason)?;
                    after = until.seq;
                    forked.damages.push(Damage {
                        from,
                        to: until.seq,
                        reason,
                    });
                }
                Err(error) => return Err(ForkError::Read(error)),
            }
        }
        Ok((journal, forked))
    }

    /// Appends a gap that stands for places of the former epoch.
    fn move_gap(
        &self,
        journal: &mut Journal,
        from: Seq,
        until: Mark,
        reason: &str,
    ) -> Result<(), ForkError> {
        let former = self.epoch_dir.epoch;
        let mut reason = reason.to_owned();
        if reason.len() <= REASON_BYTES_MAX {
            let to = until.seq;
            reason +=
                &format!(" (lost before the fork from epoch {former}, places {from} to {to})");
        }
        let head = journal.head().seq;
        let to = Seq(head.0 + (until.seq.0 - from.before().0));
        let gap = Gap {
            from: head.next(),
            // Of the events nothing is left; the former chain knows them, and every disk has the same.
            until: Mark {
                seq: to,
                chain: ChainHash::genesis(journal.source().epoch).next(to, &until.chain.0),
            },
            reason,
        };
        journal.append_gap(&gap).map_err(ForkError::NotKept)
    }

    /// Takes up the new epoch. It counts already, so nothing here may fail for good.
    fn adopt(&mut self, journal: Journal, left: &EpochDir) {
        self.journal = journal;
        self.acked = Mark::genesis(self.epoch_dir.epoch);
        self.watermark = Watermark::default();
        self.tidy = Tidy::default();
        let number = self.unused_buffer_number;
        self.unused_buffer_number += 1;
        let dir = self.layout.buffer(number);
        self.shape = Shape::default();
        let filled = fill(self.journal.source(), Some(self.acked), &dir, None);
        let buffer = match filled {
            Ok(filled) => {
                self.tally = filled.tally;
                self.waiting_bytes = filled.waiting_bytes;
                filled.buffer
            }
            Err(error) => {
                tracing::warn!(%error, "the new epoch's buffer could not be made");
                None
            }
        };
        self.buffer = None;
        self.tidy.remake = buffer.is_none();
        if let Some(buffer) = buffer {
            self.take_buffer(buffer, number);
        }
        self.view.set_epoch(self.reader(), self.tally.urgent());
        self.remove_former_buffers();
        if let Err(error) = self.layout.remove_epoch(left) {
            tracing::warn!(%error, "the former epoch's journal stays until the next start");
        }
        self.view.set_stats(self.stats());
    }
}
