//! Where the waiting events stand, in sled, for those who read: pages of entries by their number.
//!
//! An entry names an event's chain, class and place in the journal, or a gap that stands at its last event.
//! The events themselves are in the journal alone: written once, and so a third of the disk and of its
//! wear. [`page`] says how entries lie in pages.
//!
//! **The newest page is in memory** and goes to sled when it is full: a till whose line is up never writes
//! to sled at all. Pages that are acknowledged leave sled; of one that is acknowledged in part, what lies
//! up to the floor is passed over.
//!
//! Nothing here is durable by itself: the buffer is written behind the journal and never flushed before a
//! clean stop, since after any other stop it is made anew. It may fail at any time, sled's panics
//! included; then readers turn to the journal.

pub(super) mod page;

use std::io;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tillbind_protocol::ids::Seq;

pub(super) use page::Entry;
use page::{Page, PageNumber};

use crate::storage::sled_store::{SledStore, SledStoreError};
use crate::vault::SEAL_OVERHEAD_BYTES;

/// A buffer that failed or is out of order.
#[derive(Debug, thiserror::Error)]
pub(super) enum BufferError {
    #[error(transparent)]
    Store(#[from] SledStoreError),
    #[error("the buffer panicked")]
    Panicked,
    #[error("the buffer is out of order at event {0}")]
    Disorder(Seq),
    #[error("the journal could not be read where the buffer points")]
    Journal(#[source] io::Error),
}

/// How far a removal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Removed {
    /// Plain bytes of the removed events.
    pub(super) bytes: u64,
    /// Whether nothing is left to remove.
    pub(super) done: bool,
}

/// The waiting events of one epoch. One thread changes it; any number read.
#[derive(Debug)]
pub(super) struct Buffer {
    store: SledStore,
    tree: sled::Tree,
    dir: PathBuf,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    /// What stands up to here is removed, though its page may still be there.
    floor: Seq,
    /// The newest page; what sled has of it is older. Sled has no page behind it.
    newest: Page,
    /// Whether sled lacks something of the newest page.
    is_ahead: bool,
}

impl Buffer {
    /// Opens the buffer in `dir`, or makes it. What it holds up to `floor` was removed.
    pub(super) fn open(dir: &Path, floor: Seq) -> Result<Self, BufferError> {
        let store = SledStore::open(dir)?;
        let (tree, last) = guarded(|| {
            let tree = store.tree("pages")?;
            let last = tree.last().map_err(store.failed("read"))?;
            Ok((tree, last))
        })?;
        let newest = match last {
            Some((key, value)) => decode(&key, &value)?,
            None => Page::empty(PageNumber::of(floor)),
        };
        let state = RwLock::new(State {
            floor,
            newest,
            is_ahead: false,
        });
        Ok(Self {
            store,
            tree,
            dir: dir.to_owned(),
            state,
        })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        // The state is whole between any two statements that hold the lock.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an entry behind all others, or in the place of one.
    pub(super) fn put(&self, entry: Entry) -> Result<(), BufferError> {
        let number = PageNumber::of(entry.seq());
        let mut state = self.state_mut();
        if number < state.newest.number {
            drop(state);
            return self.amend(&[], vec![entry]);
        }
        if number > state.newest.number {
            self.write_newest(&mut state)?;
            state.newest = Page::empty(number);
        }
        state.newest.put(entry);
        state.is_ahead = true;
        Ok(())
    }

    /// Forgets what stands in some ranges (in order, disjoint), and then puts `entries`, in any order, where
    /// they belong.
    pub(super) fn amend(
        &self,
        gone: &[RangeInclusive<Seq>],
        mut entries: Vec<Entry>,
    ) -> Result<(), BufferError> {
        entries.sort_by_key(Entry::seq);
        let of_gone = gone.iter().filter(|range| !range.is_empty());
        let mut numbers: Vec<PageNumber> = of_gone
            .flat_map(|range| PageNumber::of(*range.start()).0..=PageNumber::of(*range.end()).0)
            .map(PageNumber)
            .chain(entries.iter().map(|entry| PageNumber::of(entry.seq())))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut entries = entries.into_iter().peekable();
        let mut state = self.state_mut();
        for number in numbers {
            let is_newest = number == state.newest.number;
            let mut page = if is_newest {
                state.newest.clone()
            } else {
                self.kept(number)?.unwrap_or(Page::empty(number))
            };
            let is_gone = |entry: &Entry| {
                let seq = entry.seq();
                let next = gone.partition_point(|range| *range.end() < seq);
                gone.get(next).is_some_and(|range| range.contains(&seq))
            };
            page.entries.retain(|entry| !is_gone(entry));
            while let Some(entry) = entries.next_if(|entry| PageNumber::of(entry.seq()) == number) {
                page.put(entry);
            }
            if is_newest {
                state.newest = page;
                state.is_ahead = true;
            } else {
                self.keep(&page)?;
            }
        }
        Ok(())
    }

    /// Returns the entry at a place.
    pub(super) fn entry(&self, seq: Seq) -> Result<Option<Entry>, BufferError> {
        let number = PageNumber::of(seq);
        let state = self.state();
        if seq <= state.floor || number > state.newest.number {
            return Ok(None);
        }
        if number == state.newest.number {
            return Ok(state.newest.get(seq).cloned());
        }
        Ok(self.kept(number)?.and_then(|page| page.get(seq).cloned()))
    }

    /// Hands the entries after a place to `visit`, in order, until it has enough.
    pub(super) fn visit_after(
        &self,
        after: Seq,
        mut visit: impl FnMut(Entry) -> Result<bool, BufferError>,
    ) -> Result<(), BufferError> {
        let after = after.max(self.state().floor);
        let mut wanted = PageNumber::of(after.next());
        while let Some(page) = self.page_from(wanted)? {
            for entry in page.entries.into_iter().filter(|entry| entry.seq() > after) {
                if !visit(entry)? {
                    return Ok(());
                }
            }
            wanted = PageNumber(page.number.0 + 1);
        }
        Ok(())
    }

    /// Returns the first page from one on.
    fn page_from(&self, wanted: PageNumber) -> Result<Option<Page>, BufferError> {
        let state = self.state();
        if wanted > state.newest.number {
            return Ok(None);
        }
        let kept = self.first_kept(wanted, &state)?;
        Ok(Some(kept.unwrap_or_else(|| state.newest.clone())))
    }

    /// Returns sled's first page from one on that lies before the newest.
    fn first_kept(&self, wanted: PageNumber, state: &State) -> Result<Option<Page>, BufferError> {
        let range = wanted.key()..state.newest.number.key();
        let kept = guarded(|| {
            let mut kept = self.tree.range(range);
            kept.next().transpose().map_err(self.store.failed("read"))
        })?;
        kept.map(|(key, value)| decode(&key, &value)).transpose()
    }

    /// Returns the first and the last entry.
    pub(super) fn ends(&self) -> Result<Option<(Entry, Entry)>, BufferError> {
        let mut first = None;
        self.visit_after(Seq::ZERO, |entry| {
            first = Some(entry);
            Ok(false)
        })?;
        Ok(first.zip(self.state().newest.entries.last().cloned()))
    }

    /// Removes entries up to a place, of at most so many pages at a time, so that appends need not wait
    /// long.
    pub(super) fn remove_to(&self, last: Seq, pages_max: usize) -> Result<Removed, BufferError> {
        let mut bytes = 0;
        let mut state = self.state_mut();
        for _ in 0..pages_max {
            if state.floor >= last {
                break;
            }
            let Some(page) = self.first_kept(PageNumber(0), &state)? else {
                let floor = state.floor;
                bytes += weight(&state.newest, floor, last);
                let before = state.newest.entries.len();
                state.newest.entries.retain(|entry| entry.seq() > last);
                state.is_ahead |= state.newest.entries.len() < before;
                state.floor = last;
                break;
            };
            bytes += weight(&page, state.floor, last);
            match page.number.last() {
                Some(end) if end <= last => {
                    self.drop_page(page.number)?;
                    state.floor = state.floor.max(end);
                }
                _ => state.floor = last,
            }
        }
        Ok(Removed {
            bytes,
            done: state.floor >= last,
        })
    }

    /// Makes the content durable, for the clean stop.
    pub(super) fn sync(&self) -> Result<(), BufferError> {
        self.write_newest(&mut self.state_mut())?;
        guarded(|| self.store.sync())
    }

    /// Returns what sled takes on the disk, in bytes.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.store.disk_bytes()
    }

    fn write_newest(&self, state: &mut State) -> Result<(), BufferError> {
        if state.is_ahead {
            self.keep(&state.newest)?;
            state.is_ahead = false;
        }
        Ok(())
    }

    /// Reads a page from sled.
    fn kept(&self, number: PageNumber) -> Result<Option<Page>, BufferError> {
        let key = number.key();
        let value = guarded(|| self.tree.get(key).map_err(self.store.failed("read")))?;
        value.map(|value| decode(&key, &value)).transpose()
    }

    /// Writes a page to sled.
    fn keep(&self, page: &Page) -> Result<(), BufferError> {
        if page.entries.is_empty() {
            return self.drop_page(page.number);
        }
        guarded(|| {
            self.tree
                .insert(page.number.key(), page.encode())
                .map_err(self.store.failed("write to"))
        })?;
        Ok(())
    }

    fn drop_page(&self, number: PageNumber) -> Result<(), BufferError> {
        guarded(|| {
            self.tree
                .remove(number.key())
                .map_err(self.store.failed("remove from"))
        })?;
        Ok(())
    }
}

fn decode(key: &[u8], value: &[u8]) -> Result<Page, BufferError> {
    let number = PageNumber::of_key(key).ok_or(BufferError::Disorder(Seq::ZERO))?;
    let damaged = || BufferError::Disorder(number.last().unwrap_or(Seq::ZERO));
    Page::decode(number, value).ok_or_else(damaged)
}

/// Returns the plain bytes of the events of a page after one place up to another.
fn weight(page: &Page, after: Seq, last: Seq) -> u64 {
    let within = |entry: &&Entry| entry.seq() > after && entry.seq() <= last;
    let bytes = page.entries.iter().filter(within).map(|entry| match entry {
        Entry::Event { at, .. } => plain_bytes(at.sealed_bytes),
        Entry::Gap(_) => 0,
    });
    bytes.sum()
}

/// Returns the length of an event, given that of its sealed form.
pub(super) fn plain_bytes(sealed_bytes: u32) -> u64 {
    u64::from(sealed_bytes).saturating_sub(SEAL_OVERHEAD_BYTES as u64)
}

/// Sled asserts on what it reads from a damaged disk; none of it may take the writer along.
fn guarded<T>(work: impl FnOnce() -> Result<T, SledStoreError>) -> Result<T, BufferError> {
    let done = catch_unwind(AssertUnwindSafe(work)).map_err(|_| BufferError::Panicked)?;
    Ok(done?)
}

#[cfg(test)]
mod tests;
