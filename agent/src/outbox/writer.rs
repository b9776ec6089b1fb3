//! The one thread that owns journal and buffer.
//!
//! Each turn takes what waits, makes it durable in as few writes as segments allow, answers, and then puts
//! into the buffer where it stands. Between turns with nothing to do it tidies in small steps:
//! acknowledged events leave the buffer, acknowledged segments become spares, a buffer that grew large is
//! made anew.
//!
//! Where there is no room, [`sacrifice`] gives up what is worth less than what comes; only when nothing is
//! left to give up does an append fail for want of room.

mod fork;
mod sacrifice;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::Seq;
use tokio::sync::oneshot;

use super::buffer::{Buffer, BufferError, Entry};
use super::journal::Journal;
use super::layout::{EpochDir, Layout};
use super::opening::fill;
use super::queue::{Append, Order, Queue, answer};
use super::reading::Reader;
use super::room::Room;
use super::stats::Stats;
use super::tally::Tally;
use super::view::{Shape, View};
use super::watermark::{CleanStop, Watermark};
use super::worth::Class;
use super::{AckError, AppendError, CloseError, Monotonic};
use crate::storage::lock::DirLock;
use crate::vault::Random;
pub(super) use sacrifice::Fruitless;

/// Pages removed from the buffer between two looks at the queue: a millisecond of delay at most.
const REMOVE_PAGES_MAX: usize = 16;
/// A drained buffer that takes so much of the disk is made anew: sled gives hardly anything back.
const ROTATE_BYTES: u64 = 4 * 1024 * 1024;
/// What may wait when the buffer is made anew while appends go on: some ten milliseconds of work.
const REMAKE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// How often an idle writer looks whether others fill the disk.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A group whose commit is under way.
struct Waiting {
    mark: Mark,
    reply: oneshot::Sender<Result<Mark, AppendError>>,
}

/// Owner of journal and buffer.
pub(super) struct Writer {
    pub(super) layout: Layout,
    pub(super) epoch_dir: EpochDir,
    pub(super) journal: Journal,
    pub(super) buffer: Option<Arc<Buffer>>,
    pub(super) buffer_number: u64,
    pub(super) unused_buffer_number: u64,
    pub(super) acked: Mark,
    pub(super) watermark: Watermark,
    pub(super) waiting_bytes: u64,
    pub(super) tally: Tally,
    pub(super) shape: Shape,
    pub(super) room: Room,
    pub(super) fruitless: Fruitless,
    pub(super) random: Random,
    pub(super) monotonic: Monotonic,
    pub(super) queue: Arc<Queue>,
    pub(super) view: Arc<View>,
    pub(super) tidy: Tidy,
    pub(super) figures: Stats,
    pub(super) lock: DirLock,
}

/// What is left to tidy up.
#[derive(Debug, Default)]
pub(super) struct Tidy {
    /// Acknowledged events may still be in the buffer.
    pub(super) buffer: bool,
    /// Acknowledged segments may still be there.
    pub(super) segments: bool,
    /// A spare segment should be made ahead.
    pub(super) spare: bool,
    /// The buffer should be made anew as soon as little waits.
    pub(super) remake: bool,
}

impl Writer {
    /// Works until the outbox is closed or given up.
    pub(super) fn run(mut self) {
        let close_reply = self.work();
        self.queue.clear();
        let closed = close_reply.map(|reply| (reply, self.stop_cleanly()));
        self.view.stop();
        self.buffer = None;
        // The lock goes before the answer, so that whoever hears of the end can open again.
        drop(self.lock);
        if let Some((reply, result)) = closed {
            answer(reply, result);
        }
    }

    /// Returns whom to tell of the clean stop, or nothing if there shall be none.
    fn work(&mut self) -> Option<oneshot::Sender<Result<(), CloseError>>> {
        loop {
            let busy =
                self.tidy.buffer || self.tidy.segments || self.tidy.spare || self.can_remake();
            let taken = self.queue.take(busy, LOOK_EVERY);
            if taken.abandoned {
                return None;
            }
            let idle = taken.appends.is_empty() && taken.orders.is_empty();
            if idle && !busy {
                self.look_at_room();
            }
            self.append(taken.appends);
            for order in taken.orders {
                match order {
                    Order::Acknowledge { mark, reply } => answer(reply, self.acknowledge(mark)),
                    Order::Fork {
                        at,
                        new_epoch,
                        reply,
                    } => answer(reply, self.fork(at, new_epoch)),
                    Order::DistrustBuffer => self.distrust_buffer(),
                    Order::Close { reply } => return Some(reply),
                }
            }
            // One small step a turn, so that a steady load does not put it off for ever.
            self.tidy_up(idle);
        }
    }

    fn append(&mut self, appends: Vec<Append>) {
        let mut waiting = Vec::new();
        let mut staged_bytes = 0;
        let mut refused = None;
        for append in appends {
            let bytes = append.bytes as u64;
            let group_bytes = Journal::group_bytes(&append.records);
            let fits = self.journal.fits(group_bytes)
                && self.room.allows(self.waiting_bytes + staged_bytes + bytes);
            if !fits {
                // What is staged first: nothing may be when segments change.
                let done = self.commit(std::mem::take(&mut waiting), staged_bytes);
                staged_bytes = 0;
                let made = done.and_then(|()| self.make_room(bytes, group_bytes, &append.records));
                if let Err(error) = made {
                    answer(append.reply, Err(error.clone()));
                    refused = Some(error);
                    continue;
                }
            }
            self.journal.stage(&append.records);
            staged_bytes += bytes;
            waiting.push(Waiting {
                mark: self.journal.staged_head(),
                reply: append.reply,
            });
        }
        if let Some(error) = self.commit(waiting, staged_bytes).err().or(refused) {
            tracing::warn!(%error, "events were refused");
            self.view.set_stats(self.stats());
        }
        self.tidy.spare |= self.journal.wants_spare();
    }

    /// Makes room for a group, in the backlog and on the disk, by giving up what is worth less if need be.
    fn make_room(
        &mut self,
        bytes: u64,
        group_bytes: u64,
        records: &[Vec<u8>],
    ) -> Result<(), AppendError> {
        let class = records
            .iter()
            .map(|record| Class::of(record))
            .max()
            .unwrap_or(Class::Sale);
        if !self.room.allows(self.waiting_bytes + bytes) && !self.lighten(class, bytes) {
            self.room.note_refusal();
            self.figures.refusals += 1;
            return Err(AppendError::Full {
                backlog_bytes_max: self.room.backlog_bytes_max(),
            });
        }
        self.make_segment(class, group_bytes).map_err(|error| {
            self.figures.failures += 1;
            if error.is_full() {
                self.room.note_refusal();
                self.figures.refusals += 1;
            }
            AppendError::NotKept(error)
        })
    }

    /// Makes what is staged durable, answers, and puts it into the buffer.
    fn commit(&mut self, waiting: Vec<Waiting>, staged_bytes: u64) -> Result<(), AppendError> {
        if waiting.is_empty() {
            return Ok(());
        }
        let begun = (self.monotonic)();
        let committed = self.journal.commit().map_err(AppendError::NotKept);
        self.figures
            .commit_latency
            .add((self.monotonic)().saturating_sub(begun));
        if let Err(error) = committed {
            self.figures.failures += 1;
            self.journal.clear_staged();
            for group in waiting {
                answer(group.reply, Err(error.clone()));
            }
            return Err(error);
        }
        self.waiting_bytes += staged_bytes;
        self.figures.commits += self.journal.staged().len() as u64;
        self.view.set_appended(self.journal.head(), self.stats());
        for group in waiting {
            answer(group.reply, Ok(group.mark));
        }
        let mut put = Ok(());
        let mut has_urgent = false;
        for staged in self.journal.staged() {
            let entry = Entry::Event {
                mark: staged.mark,
                class: staged.class,
                at: staged.at,
            };
            has_urgent |= self.tally.add(&entry);
            if let Some(buffer) = &self.buffer {
                put = put.and_then(|()| buffer.put(entry));
            }
        }
        self.check_buffer(put);
        self.journal.clear_staged();
        if has_urgent {
            self.view.set_urgent(self.tally.urgent());
        }
        self.view.set_readable();
        Ok(())
    }

    /// Gives the buffer up if it failed.
    fn check_buffer<T>(&mut self, result: Result<T, BufferError>) -> Option<T> {
        result
            .inspect_err(|error| {
                tracing::warn!(%error, "the buffer failed: reading goes by the journal until it is made anew");
                self.distrust_buffer();
            })
            .ok()
    }

    fn distrust_buffer(&mut self) {
        self.buffer = None;
        self.view.set_buffer(None);
        self.tidy.buffer = false;
        self.tidy.remake = true;
    }

    fn reader(&self) -> Reader {
        Reader {
            source: self.journal.source().clone(),
            shape: self.shape.clone(),
            buffer: self.buffer.clone(),
            acked: self.acked,
            appended: self.journal.head(),
        }
    }

    fn acknowledge(&mut self, mark: Mark) -> Result<(), AckError> {
        let appended = self.journal.head();
        if mark.seq > appended.seq {
            return Err(AckError::Beyond { mark, appended });
        }
        if mark.seq < self.acked.seq {
            // An answer that came late: what it says is long known.
            return Ok(());
        }
        let own = self.reader().mark_at(mark.seq).map_err(AckError::Read)?;
        if own != Some(mark) {
            return Err(AckError::OtherHistory { mark, own });
        }
        if self.buffer.is_none() {
            self.estimate_waiting_bytes(mark.seq);
        }
        self.acked = mark;
        self.view.set_acked(mark);
        self.tally
            .forget_to(mark.seq, self.journal.oldest_waiting(mark.seq));
        self.view.set_urgent(self.tally.urgent());
        self.tidy.buffer = self.buffer.is_some();
        self.tidy.segments = self.journal.has_released(mark.seq);
        Ok(())
    }

    /// Without the buffer nobody knows what the acknowledged events weighed: they count by their number.
    fn estimate_waiting_bytes(&mut self, acked: Seq) {
        let head = self.journal.head().seq.0;
        let waited = u128::from(head - self.acked.seq.0).max(1);
        let waiting = u128::from(head - acked.0);
        let bytes = u128::from(self.waiting_bytes) * waiting / waited;
        self.waiting_bytes = u64::try_from(bytes).unwrap_or(self.waiting_bytes);
    }

    fn tidy_up(&mut self, idle: bool) {
        if self.tidy.segments {
            self.tidy.segments = false;
            if let Err(error) = self.release_segments() {
                tracing::warn!(%error, "acknowledged segments stay until the next acknowledgement");
            }
        } else if self.tidy.buffer {
            self.tidy_buffer();
        } else if idle && self.tidy.spare {
            self.make_spare();
        } else if idle && self.can_remake() {
            self.remake_buffer();
        } else {
            return;
        }
        self.view.set_stats(self.stats());
    }

    fn tidy_buffer(&mut self) {
        self.tidy.buffer = false;
        let Some(buffer) = self.buffer.clone() else {
            return;
        };
        let removed = buffer.remove_to(self.acked.seq, REMOVE_PAGES_MAX);
        if let Some(removed) = self.check_buffer(removed) {
            self.waiting_bytes = self.waiting_bytes.saturating_sub(removed.bytes);
            self.tidy.buffer = !removed.done;
            self.tidy.remake |= removed.done && buffer.disk_bytes() > ROTATE_BYTES;
        }
    }

    /// Makes a spare segment ahead, if that leaves others their room.
    fn make_spare(&mut self) {
        self.tidy.spare = false;
        self.look_at_room();
        if !self.has_room_for_a_segment() {
            // Looked at again with the next look at the room.
            return;
        }
        if let Err(error) = self.journal.make_spare_ahead() {
            tracing::warn!(%error, "no segment could be made ahead");
        }
        self.tidy.spare = self.journal.wants_spare();
    }

    /// Looks how much room there is, and takes up again what waited for it.
    fn look_at_room(&mut self) {
        self.room.look(&*self.layout.disk, &self.layout.root);
        self.tidy.spare |= self.journal.wants_spare() && self.has_room_for_a_segment();
        self.view.set_stats(self.stats());
    }

    fn has_room_for_a_segment(&self) -> bool {
        let journal_bytes = self.journal.stats().disk_bytes;
        self.room.has(self.journal.segment_bytes(), journal_bytes)
    }

    fn release_segments(&mut self) -> io::Result<()> {
        // The watermark first: without the segments it alone knows how far central has come.
        self.write_watermark()?;
        self.room.look(&*self.layout.disk, &self.layout.root);
        let is_roomy = self.has_room_for_a_segment();
        self.journal.release(self.acked.seq, is_roomy)?;
        let mut revisions = self.shape.write();
        let oldest = self.journal.segment_numbers().first().copied();
        *revisions = revisions.split_off(&oldest.unwrap_or(u64::MAX));
        drop(revisions);
        self.room.look(&*self.layout.disk, &self.layout.root);
        Ok(())
    }

    fn write_watermark(&mut self) -> io::Result<()> {
        let path = self.epoch_dir.watermark();
        self.watermark.write(&*self.layout.disk, &path, self.acked)
    }

    fn can_remake(&self) -> bool {
        self.tidy.remake && self.waiting_bytes <= REMAKE_BYTES_MAX && !self.room.is_out()
    }

    fn remake_buffer(&mut self) {
        self.tidy.remake = false;
        let number = self.unused_buffer_number;
        self.unused_buffer_number += 1;
        let dir = self.layout.buffer(number);
        let filled = fill(self.journal.source(), Some(self.acked), &dir, None);
        match filled {
            Ok(filled) => {
                let Some(buffer) = filled.buffer else {
                    // Tried again when the next one fails or the outbox opens.
                    return;
                };
                self.waiting_bytes = filled.waiting_bytes;
                self.tally = filled.tally;
                self.take_buffer(buffer, number);
                self.view.set_buffer(self.buffer.clone());
                self.remove_former_buffers();
            }
            Err(error) => tracing::warn!(%error, "the buffer could not be made anew"),
        }
    }

    fn take_buffer(&mut self, buffer: Buffer, number: u64) {
        self.buffer = Some(Arc::new(buffer));
        self.buffer_number = number;
    }

    /// Removes every buffer but the present one, after the view shows that. A reader may still hold a
    /// former one: on Linux its files live until it lets go.
    fn remove_former_buffers(&self) {
        let present = self.buffer.as_ref().map(|buffer| buffer.dir());
        if let Err(error) = self.layout.remove_buffers(present) {
            tracing::warn!(%error, "the former buffer could not be removed");
        }
    }

    fn stats(&self) -> Stats {
        let journal = self.journal.stats();
        Stats {
            bytes: self.waiting_bytes,
            segments: journal.segments,
            spares: journal.spares,
            disk_bytes: journal.disk_bytes,
            syncs: journal.syncs,
            bytes_written: journal.bytes_written,
            pressure: self.room.pressure(
                self.waiting_bytes,
                journal.disk_bytes,
                journal.spares > 0,
            ),
            disk_free_bytes: self.room.free_bytes(),
            disk_total_bytes: self.room.total_bytes(),
            ..self.figures
        }
    }

    fn stop_cleanly(&mut self) -> Result<(), CloseError> {
        while self.tidy.buffer {
            self.tidy_buffer();
        }
        let failed = |doing| move |source| CloseError::Disk { doing, source };
        self.release_segments()
            .map_err(failed("write the watermark of"))?;
        let Some(buffer) = self.buffer.take() else {
            // Without a buffer there is nothing to vouch for: the next start makes one.
            return Ok(());
        };
        buffer.sync().map_err(|e| CloseError::Buffer(Box::new(e)))?;
        CleanStop {
            epoch: self.epoch_dir.epoch,
            tail: self.journal.head(),
            acked: self.acked,
            buffer_number: self.buffer_number,
            waiting_bytes: self.waiting_bytes,
        }
        .write(&*self.layout.disk, &self.layout.clean())
        .map_err(failed("write the clean-stop marker of"))
    }
}
