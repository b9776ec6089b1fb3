//! What the writer shows to everyone else: marks, figures, and where to read.

use std::collections::BTreeSet;
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};

use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::Seq;
use tokio::sync::watch;

use super::buffer::Buffer;
use super::journal::Revisions;
use super::reading::Reader;
use super::stats::Stats;

/// Which file each segment is, while somebody reads by it. The writer alone changes it, when it thins a
/// segment out; readers meanwhile wait for milliseconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape(Arc<RwLock<Revisions>>);

impl Shape {
    pub(super) fn new(revisions: Revisions) -> Self {
        Self(Arc::new(RwLock::new(revisions)))
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Revisions> {
        // The map is whole between any two statements that hold the lock.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Revisions> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct State {
    /// What a reader gets.
    reader: Reader,
    /// The last event that is in the buffer, or that readers must take from the journal.
    readable: Seq,
    /// Waiting requests for bindings.
    urgent: BTreeSet<Seq>,
    stats: Stats,
    stopped: bool,
}

/// The published state of an outbox. The writer alone changes it.
#[derive(Debug)]
pub(super) struct View {
    state: Mutex<State>,
    changed: Condvar,
    appended: watch::Sender<Mark>,
}

impl View {
    pub(super) fn new(reader: Reader, urgent: BTreeSet<Seq>, stats: Stats) -> Self {
        let appended = reader.appended;
        Self {
            state: Mutex::new(State {
                reader,
                readable: appended.seq,
                urgent,
                stats,
                stopped: false,
            }),
            changed: Condvar::new(),
            appended: watch::Sender::new(appended),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements that hold the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn epoch(&self) -> tillbind_protocol::ids::Epoch {
        self.state().reader.source.epoch
    }

    pub(super) fn appended(&self) -> Mark {
        self.state().reader.appended
    }

    pub(super) fn acked(&self) -> Mark {
        self.state().reader.acked
    }

    pub(super) fn watch_appended(&self) -> watch::Receiver<Mark> {
        self.appended.subscribe()
    }

    pub(super) fn stats(&self) -> Stats {
        let state = self.state();
        let mut stats = state.stats;
        stats.events = state
            .reader
            .appended
            .seq
            .0
            .saturating_sub(state.reader.acked.seq.0);
        stats.oldest = (stats.events > 0).then(|| state.reader.acked.seq.next());
        stats.degraded = state.reader.buffer.is_none();
        let buffer = state.reader.buffer.clone();
        drop(state);
        stats.disk_bytes += buffer.map_or(0, |buffer| buffer.disk_bytes());
        stats
    }

    /// Returns a reader of all that is durable now; waits until the writer has put it in the buffer.
    pub(super) fn reader(&self) -> Reader {
        let mut state = self.state();
        let wanted = state.reader.appended.seq;
        let epoch = state.reader.source.epoch;
        while state.readable < wanted && state.reader.source.epoch == epoch && !state.stopped {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.reader.clone()
    }

    /// Returns the waiting requests for bindings behind a place, oldest first.
    pub(super) fn urgent_after(&self, after: Seq, count: usize) -> Vec<Seq> {
        let state = self.state();
        let behind = state.urgent.range(after.next()..);
        behind.take(count).copied().collect()
    }

    /// Shows the waiting requests for bindings.
    pub(super) fn set_urgent(&self, urgent: &BTreeSet<Seq>) {
        self.state().urgent.clone_from(urgent);
    }

    /// Shows a new durable mark.
    pub(super) fn set_appended(&self, appended: Mark, stats: Stats) {
        let mut state = self.state();
        state.reader.appended = appended;
        state.stats = stats;
    }

    /// Shows that all that is durable can be read.
    pub(super) fn set_readable(&self) {
        let mut state = self.state();
        state.readable = state.reader.appended.seq;
        let appended = state.reader.appended;
        drop(state);
        self.changed.notify_all();
        self.appended.send_replace(appended);
    }

    pub(super) fn set_acked(&self, acked: Mark) {
        self.state().reader.acked = acked;
    }

    pub(super) fn set_stats(&self, stats: Stats) {
        self.state().stats = stats;
    }

    /// Shows another buffer, or none.
    pub(super) fn set_buffer(&self, buffer: Option<Arc<Buffer>>) {
        self.state().reader.buffer = buffer;
    }

    /// Shows a new epoch.
    pub(super) fn set_epoch(&self, reader: Reader, urgent: &BTreeSet<Seq>) {
        let mut state = self.state();
        state.reader = reader;
        state.urgent.clone_from(urgent);
        drop(state);
        self.set_readable();
    }

    /// Shows that the writer has ended; the buffer is let go, so that its lock is free.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        state.reader.buffer = None;
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.state().stopped
    }
}
