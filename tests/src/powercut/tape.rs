//! The one record of a run in the order in which it was seen outside: what reached the drive, and what
//! the machine said.
//!
//! Drive and port write it under one lock. A word is stamped when it has been read outside: what it
//! promises holds for every cut from there on, and for none before.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk_log::Entry;
use super::image::Image;
use super::words::Word;

/// A word, and how many entries the drive had when it was heard.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    /// Number of entries.
    pub at: usize,
    /// The word.
    pub word: Word,
}

/// What happened since a disk was put in.
#[derive(Debug, Clone)]
pub(super) struct Recording {
    /// The disk as it was put in.
    pub start: Image,
    /// What the drive did.
    pub entries: Vec<Entry>,
    /// What the machine said, as far as it bears on cuts.
    pub words: Vec<Heard>,
}

#[derive(Debug)]
struct Running {
    /// The disk as the machine sees it: cache included.
    image: Image,
    /// Reads since the disk was put in.
    reads: usize,
    recording: Recording,
}

/// A tape that drive and port share.
#[derive(Debug, Clone)]
pub(super) struct Tape(Arc<Mutex<Running>>);

impl Tape {
    /// Makes a tape for a drive with this disk in it.
    pub(super) fn new(disk: Image) -> Self {
        Self(Arc::new(Mutex::new(Running {
            image: disk.clone(),
            reads: 0,
            recording: empty(disk),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts another disk in, and returns what happened since the last one was.
    pub(super) fn change(&self, disk: Image) -> Recording {
        let mut running = self.lock();
        running.image = disk.clone();
        running.reads = 0;
        std::mem::replace(&mut running.recording, empty(disk))
    }

    /// Returns what happened since the last disk was put in.
    pub(super) fn end(&self) -> Recording {
        self.lock().recording.clone()
    }

    /// Returns the length of the disk, in bytes.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.lock().image.bytes()
    }

    /// Returns how many entries there are.
    pub(super) fn entries(&self) -> usize {
        self.lock().recording.entries.len()
    }

    /// Tells whether the machine read anything from the disk that is in.
    pub(super) fn was_read(&self) -> bool {
        self.lock().reads > 0
    }

    /// Reads as the machine does; says whether there is such a place.
    pub(super) fn read(&self, offset: u64, bytes: &mut [u8]) -> bool {
        let mut running = self.lock();
        running.reads += 1;
        let holds = running.image.holds(offset, bytes.len());
        if holds {
            running.image.get(offset, bytes);
        }
        holds
    }

    /// Takes a write; says whether there is such a place.
    pub(super) fn write(&self, offset: u64, bytes: &[u8]) -> bool {
        let entry = Entry::write(offset, bytes);
        let mut running = self.lock();
        let holds = running.image.holds(offset, bytes.len());
        if holds {
            entry.apply(&mut running.image);
            running.recording.entries.push(entry);
        }
        holds
    }

    /// Takes a flush that was sent when the first `covers` entries had been answered.
    pub(super) fn flush(&self, covers: usize) {
        self.lock().recording.entries.push(Entry::Flush { covers });
    }

    /// Takes a word just heard.
    pub(super) fn hear(&self, word: Word) {
        let mut running = self.lock();
        let at = running.recording.entries.len();
        running.recording.words.push(Heard { at, word });
    }
}

fn empty(start: Image) -> Recording {
    Recording {
        start,
        entries: Vec::new(),
        words: Vec::new(),
    }
}
