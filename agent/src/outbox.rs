//! The terminal's durable queue of events for central: what it accepted is on the disk.
//!
//! **Layout.** Appends go through a bounded queue to one writer thread, which owns everything. It makes
//! them durable in the `journal` (a write-ahead log in preallocated segments; all that waits shares one
//! write and one `fdatasync`), answers, and then puts into the `buffer` (sled) where in the journal each
//! stands: by it they are found for central, weighed and given up. An event's bytes are written once.
//! `layout` names the directories.
//!
//! **Limits.** A record has at most [`RECORD_BYTES_MAX`], a group at most [`GROUP_BYTES_MAX`]; the queue
//! holds 16,384 groups and 8 MiB; beyond each, an append fails with an error that says so. The backlog is
//! bounded by its bytes, by a share of the file system and by what must stay free there
//! ([`FREE_BYTES_MIN`]).
//!
//! **A full disk.** What is worth the least is given up first ([`Class`]), and each leaves a gap with its
//! reason; sales and bindings are never given up but at last refused, with an error that says so.
//! Acknowledging and deleting need no room: the watermark is written in place, and a segment is thinned
//! out through a reserve that was made in good time. [`Stats::pressure`] says how things stand.
//!
//! **Recovery.** After a clean stop the buffer is trusted if journal and buffer agree; otherwise it is made
//! anew from the journal. A write that was never acknowledged is cut off; an acknowledged event that cannot
//! be read is a [`Damage`], a [`ReadError::Gap`] to whoever reads past it, and its bytes go to the
//! quarantine. Where the end of the journal cannot be read, numbers go on behind all that it can have held.
//! When sled fails, at any time, reading goes by the journal alone, and the outbox says `degraded` until the
//! buffer is made anew.
//!
//! **An append that failed** has used no number. If it failed at the sync, the disk may nonetheless have kept
//! it, and after a power cut before the next append it may come back as an event; nothing but a working
//! disk could tell.
//!
//! **What it lacks:** more than one reader's position, and any notion of what a record says beyond its class
//! and its card.
//!
//! Methods say whether they block; those that do are for threads, not for async code (tokio panics on
//! them there; use `spawn_blocking`). A [`Ticket`] may be waited for or awaited.

mod buffer;
mod config;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod journal;
mod layout;
#[cfg(test)]
mod model_tests;
mod opening;
mod quarantine;
mod queue;
mod reading;
mod recovery;
mod refusal;
mod room;
mod stats;
mod tally;
#[cfg(test)]
mod tests;
mod ticket;
mod view;
mod watermark;
mod worth;
mod writer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::{Epoch, Seq};
use tokio::sync::{oneshot, watch};

pub use config::{
    BACKLOG_BYTES_MAX_DEFAULT, DISK_PERCENT_MAX_DEFAULT, Monotonic, OutboxConfig,
    SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MIN,
};
pub use journal::CommitError;
pub use quarantine::{ENTRIES_MAX, ENTRY_BYTES_MAX, QuarantineError, Quarantined};
pub use reading::{ReadError, Stored};
pub use recovery::{Damage, Forked, Recovery};
pub use refusal::{AckError, AppendError, CloseError, ForkError, OpenError};
pub use room::{FREE_BYTES_MIN, Pressure};
pub use stats::{LATENCY_BOUNDS_US, Latencies, Stats};
pub use ticket::Ticket;
pub use worth::{Class, SACRIFICES};

use crate::storage::disk::{Disk, LocalDisk};
use crate::storage::lock::DirLock;
pub use crate::storage::lock::LockError;
use crate::vault::{Purpose, Random, Vault};
use journal::Reserve;
use layout::Layout;
use quarantine::Quarantine;
use queue::{Append, Order, Queue, answer};
use reading::{Limits, Reader};
use room::Room;
use view::{Shape, View};
use watermark::Watermark;
use writer::{Fruitless, Tidy, Writer};

/// Longest record, in bytes; an append beyond it fails as [`AppendError::TooLarge`].
pub const RECORD_BYTES_MAX: usize = 256 * 1024;
/// Most bytes of records in one group; an append beyond it fails as [`AppendError::TooLarge`].
pub const GROUP_BYTES_MAX: usize = 1024 * 1024;

/// An outbox just opened.
#[derive(Debug)]
pub struct Opened {
    /// The outbox.
    pub outbox: Outbox,
    /// What opening it found.
    pub recovery: Recovery,
}

/// The terminal's durable queue. Clones are handles to the same one; when the last goes without
/// [`Outbox::close`], what waits is given up as after a kill.
#[derive(Debug, Clone)]
pub struct Outbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    queue: Arc<Queue>,
    view: Arc<View>,
    /// The lock keeps two who drop entries from each other's way.
    quarantine: Mutex<Quarantine>,
    quarantined: AtomicU64,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Inner {
    fn quarantine(&self) -> MutexGuard<'_, Quarantine> {
        // Its state is on the disk.
        self.quarantine
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self) {
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the outbox's writer panicked");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.abandon();
        self.join();
    }
}

/// Ends the outbox for all who wait if the writer panics.
struct EndOnDrop {
    queue: Arc<Queue>,
    view: Arc<View>,
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.queue.clear();
        self.view.stop();
    }
}

impl Outbox {
    /// Opens the outbox, or makes it, and recovers what is in it. Blocks on the disk: up to seconds after a
    /// crash with a large backlog.
    ///
    /// # Errors
    /// [`OpenError`]: above all a directory in use, or a disk that refuses. Damage is no error.
    pub fn open(config: OutboxConfig, vault: &Vault, random: Random) -> Result<Opened, OpenError> {
        Self::open_on(Arc::new(LocalDisk), config, vault, random)
    }

    fn open_on(
        disk: Arc<dyn Disk>,
        config: OutboxConfig,
        vault: &Vault,
        random: Random,
    ) -> Result<Opened, OpenError> {
        if config.segment_bytes < SEGMENT_BYTES_MIN {
            return Err(OpenError::SegmentTooSmall {
                segment_bytes: config.segment_bytes,
            });
        }
        let begun = (config.monotonic)();
        let cannot = |doing| {
            let dir = config.dir.clone();
            move |source| OpenError::Disk { doing, dir, source }
        };
        // Lock and buffer are on the machine's own disk in any case.
        LocalDisk
            .make_dir_durably(&config.dir)
            .map_err(cannot("make"))?;
        let lock = DirLock::take(&config.dir)?;
        let layout = Layout {
            disk,
            root: config.dir.clone(),
            segment_bytes: config.segment_bytes,
            seal: vault.seal(Purpose::Journal),
        };
        let quarantine = Quarantine::new(
            Arc::clone(&layout.disk),
            layout.quarantine(),
            layout.seal.clone(),
        );
        let ready = opening::ready(&layout, &quarantine, &random)?;
        let mut journal = ready.journal;
        // The first append should not have to wait for a new segment. If there is no room for it, that
        // append says so.
        if let Err(error) = journal.make_room(0, Reserve::Spared) {
            tracing::warn!(%error, "no segment could be prepared");
        }
        let mut room = Room::new(config.backlog_bytes_max, config.disk_percent_max);
        room.look(&*layout.disk, &layout.root);
        let shape = Shape::new(journal.revisions());
        let (buffer, buffer_number) = ready.buffer.unzip();
        let buffer = buffer.map(Arc::new);
        let figures = Stats::default();
        let queue = Arc::new(Queue::default());
        let reader = Reader {
            source: journal.source().clone(),
            shape: shape.clone(),
            buffer: buffer.clone(),
            acked: ready.acked,
            appended: journal.head(),
        };
        let view = Arc::new(View::new(reader, ready.tally.urgent().clone(), figures));
        let segments = journal.has_released(ready.acked.seq);
        let writer = Writer {
            layout,
            epoch_dir: ready.epoch_dir,
            journal,
            tidy: Tidy {
                buffer: buffer.is_some(),
                segments,
                remake: buffer.is_none(),
                // A reserve is made before anything can need it.
                spare: true,
            },
            buffer,
            buffer_number: buffer_number.unwrap_or_default(),
            unused_buffer_number: ready.unused_buffer_number,
            acked: ready.acked,
            watermark: Watermark::default(),
            waiting_bytes: ready.waiting_bytes,
            tally: ready.tally,
            shape,
            room,
            fruitless: Fruitless::default(),
            random,
            monotonic: Arc::clone(&config.monotonic),
            queue: Arc::clone(&queue),
            view: Arc::clone(&view),
            figures,
            lock,
        };
        let end = EndOnDrop {
            queue: Arc::clone(&queue),
            view: Arc::clone(&view),
        };
        let thread = thread::Builder::new()
            .name("outbox".to_owned())
            .spawn(move || {
                let _end = end;
                writer.run();
            })
            .map_err(cannot("start the writer of"))?;
        let recovery = Recovery {
            took: (config.monotonic)().saturating_sub(begun),
            ..ready.recovery
        };
        let quarantined = match quarantine.list() {
            Ok(entries) => entries.len() as u64,
            Err(error) => {
                tracing::warn!(%error, "the quarantine cannot be listed");
                0
            }
        };
        let inner = Inner {
            queue,
            view,
            quarantine: Mutex::new(quarantine),
            quarantined: AtomicU64::new(quarantined),
            thread: Mutex::new(Some(thread)),
        };
        Ok(Opened {
            outbox: Self {
                inner: Arc::new(inner),
            },
            recovery,
        })
    }

    /// Returns the present epoch. Does not block.
    pub fn epoch(&self) -> Epoch {
        self.inner.view.epoch()
    }

    /// Returns the newest durable mark. Does not block.
    pub fn appended(&self) -> Mark {
        self.inner.view.appended()
    }

    /// Returns the mark up to which central has acknowledged. Does not block.
    pub fn acked(&self) -> Mark {
        self.inner.view.acked()
    }

    /// Hands a record to the writer. Does not block: the ticket tells when it is durable.
    pub fn append(&self, record: Vec<u8>) -> Ticket {
        self.append_all(vec![record])
    }

    /// Hands records to the writer that are kept all or none, with numbers in a row; the ticket yields the
    /// mark of the last. Does not block.
    pub fn append_all(&self, records: Vec<Vec<u8>>) -> Ticket {
        let (reply, answer_later) = oneshot::channel();
        let longest = records.iter().map(Vec::len).max().unwrap_or(0);
        let bytes = records.iter().map(Vec::len).sum();
        let refusal = if longest > RECORD_BYTES_MAX {
            Some((longest, RECORD_BYTES_MAX))
        } else if bytes > GROUP_BYTES_MAX {
            Some((bytes, GROUP_BYTES_MAX))
        } else {
            None
        };
        match refusal {
            Some((bytes, bytes_max)) => {
                answer(reply, Err(AppendError::TooLarge { bytes, bytes_max }));
            }
            None => self.inner.queue.push(Append {
                records,
                bytes,
                reply,
            }),
        }
        Ticket {
            answer: answer_later,
        }
    }

    /// Returns what tells of new durable events, once they can be read.
    pub fn watch_appended(&self) -> watch::Receiver<Mark> {
        self.inner.view.watch_appended()
    }

    /// Returns events after a place, contiguous and in order: at most `events_max`, and none after the one
    /// that reaches `bytes_max`. An empty list says that there are no more. Blocks for milliseconds.
    ///
    /// # Errors
    /// [`ReadError::Gone`] and [`ReadError::Gap`] say what to tell central; the others, that the disk or
    /// the outbox is at an end.
    pub fn read_after(
        &self,
        after: Seq,
        events_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Stored>, ReadError> {
        let limits = Limits {
            events: events_max,
            bytes: bytes_max,
        };
        if self.inner.view.is_stopped() {
            return Err(ReadError::Stopped);
        }
        let reader = self.inner.view.reader();
        let acked = reader.acked;
        reader.read_after(after, limits, |error| {
            // An acknowledgement during the reading takes events away: that is no fault.
            if self.acked() == acked {
                tracing::warn!(%error, "the buffer is out of order: reading by the journal");
                self.inner.queue.order(Order::DistrustBuffer);
            }
        })
    }

    /// Returns the waiting requests for bindings behind a place, oldest first: what must not wait until all
    /// before it is at central. Blocks for milliseconds.
    ///
    /// # Errors
    /// [`ReadError`] when the disk or the outbox is at an end.
    pub fn urgent_after(&self, after: Seq, events_max: usize) -> Result<Vec<Stored>, ReadError> {
        // Whoever saw an event become durable finds it here.
        drop(self.inner.view.reader());
        let mut urgent = Vec::new();
        for seq in self.inner.view.urgent_after(after, events_max) {
            match self.read_after(seq.before(), 1, RECORD_BYTES_MAX) {
                Ok(stored) => urgent.extend(stored),
                // Acknowledged or lost meanwhile.
                Err(ReadError::Gone { .. } | ReadError::Gap { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(urgent)
    }

    /// Returns the records that could not be read, oldest first. Blocks on the disk.
    ///
    /// # Errors
    /// [`QuarantineError`].
    pub fn quarantine(&self) -> Result<Vec<Quarantined>, QuarantineError> {
        self.inner.quarantine().list()
    }

    /// Returns what can be read of a quarantined damage, unverified: personal data in the clear.
    pub fn salvage(&self, entry: &Quarantined) -> Vec<String> {
        self.inner.quarantine().salvage(entry)
    }

    /// Lets a quarantined damage go for good. Central keeps the gap. Blocks on the disk.
    ///
    /// # Errors
    /// [`QuarantineError`].
    pub fn drop_quarantined(&self, id: u64) -> Result<(), QuarantineError> {
        let quarantine = self.inner.quarantine();
        quarantine.forget(id)?;
        let left = quarantine.list()?.len() as u64;
        self.inner.quarantined.store(left, Ordering::Relaxed);
        Ok(())
    }

    /// Returns the mark at a place, if it is the acknowledged one or one of a waiting event. Blocks for
    /// milliseconds.
    ///
    /// # Errors
    /// [`ReadError`] when the disk or the outbox is at an end.
    pub fn mark_at(&self, seq: Seq) -> Result<Option<Mark>, ReadError> {
        if self.inner.view.is_stopped() {
            return Err(ReadError::Stopped);
        }
        self.inner.view.reader().mark_at(seq)
    }

    /// Takes central's word for all events up to a mark: they need not be kept. A mark before the
    /// acknowledged one is nothing new. Blocks until the writer comes to it.
    ///
    /// # Errors
    /// [`AckError`] for a mark that this outbox never had.
    pub fn acknowledge(&self, mark: Mark) -> Result<(), AckError> {
        self.ask(|reply| Order::Acknowledge { mark, reply })
            .unwrap_or(Err(AckError::Stopped))
    }

    /// Moves the events from `at` on to a new epoch, where they are numbered from 1; those before `at` are
    /// taken for known at central. Blocks on the disk, seconds for a large backlog, and so do appends.
    ///
    /// # Errors
    /// [`ForkError`]; the present epoch then stands as it was.
    pub fn fork(&self, at: Seq, new_epoch: Epoch) -> Result<Forked, ForkError> {
        self.ask(|reply| Order::Fork {
            at,
            new_epoch,
            reply,
        })
        .unwrap_or(Err(ForkError::Stopped))
    }

    /// Returns the outbox in figures. Does not block on the disk.
    pub fn stats(&self) -> Stats {
        Stats {
            quarantined: self.inner.quarantined.load(Ordering::Relaxed),
            ..self.inner.view.stats()
        }
    }

    /// Makes all that waits durable and ends the outbox, for all its handles. Blocks on the disk.
    ///
    /// # Errors
    /// [`CloseError`]; what was acknowledged is durable all the same.
    pub fn close(&self) -> Result<(), CloseError> {
        let closed = self
            .ask(|reply| Order::Close { reply })
            .unwrap_or(Err(CloseError::Stopped));
        self.inner.join();
        closed
    }

    /// Gives an order and blocks for the answer; none comes once the outbox has ended.
    fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.inner.queue.order(order(reply));
        answer.blocking_recv().ok()
    }
}
