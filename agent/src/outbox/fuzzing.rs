//! Doors for the fuzz targets in `tests/fuzz` to what the outbox reads from the disk.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::{Epoch, Seq};

use super::buffer::page::{Page, PageNumber};
use super::journal::{Damaged, Found, Reach, Source};
use super::quarantine::{Quarantine, Quarantined};
use super::watermark::{CleanStop, Watermark, read_watermark};
use crate::storage::disk::LocalDisk;
use crate::vault::{Purpose, Vault};

/// What a scan of a journal comes upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// An event.
    Event(Mark, Vec<u8>),
    /// Events that are lost: the first, and the mark of the last.
    Gap(Seq, Mark),
}

/// Reads all segments in `dir`; returns what was found and the newest mark that holds.
pub fn scan(dir: &Path, epoch: Epoch, vault: &Vault) -> io::Result<(Vec<Piece>, Option<Mark>)> {
    let source = Source {
        disk: Arc::new(LocalDisk),
        dir: dir.to_owned(),
        epoch,
        seal: vault.seal(Purpose::Journal),
    };
    let mut pieces = Vec::new();
    let scan = source.scan(Reach::All(None), &mut |found| {
        pieces.push(match found {
            Found::Record { mark, plain, .. } => Piece::Event(mark, plain),
            Found::Gap { from, until, .. } => Piece::Gap(from, until),
        });
        ControlFlow::Continue(())
    })?;
    Ok((pieces, scan.tail))
}

/// Reads a watermark file; where it holds one, moves it by one event, reads again, and returns both.
pub fn watermark(path: &Path) -> io::Result<Option<(Mark, Option<Mark>)>> {
    let Some(mark) = read_watermark(&LocalDisk, path)? else {
        return Ok(None);
    };
    Watermark::default().write(&LocalDisk, path, mark.next(b"the next event"))?;
    Ok(Some((mark, read_watermark(&LocalDisk, path)?)))
}

/// Reads a clean stop's file, and writes what it says to the same place; returns its tail.
pub fn clean_stop(path: &Path) -> io::Result<Option<Mark>> {
    let clean = CleanStop::read(&LocalDisk, path)?;
    if let Some(clean) = &clean {
        clean.write(&LocalDisk, path)?;
    }
    Ok(clean.map(|clean| clean.tail))
}

/// Reads a page of the buffer, and again what it is written as; returns the places of both.
pub fn buffer_page(number: u64, value: &[u8]) -> Option<(Vec<Seq>, Option<Vec<Seq>>)> {
    let places = |page: &Page| page.entries.iter().map(|e| e.mark().seq).collect();
    let page = Page::decode(PageNumber(number), value)?;
    let again = Page::decode(PageNumber(number), &page.encode());
    Some((places(&page), again.as_ref().map(places)))
}

/// A terminal's quarantine.
#[derive(Debug)]
pub struct Drawer {
    dir: PathBuf,
    quarantine: Quarantine,
}

impl Drawer {
    /// The one in `dir`.
    pub fn new(dir: &Path, vault: &Vault) -> Self {
        let seal = vault.seal(Purpose::Journal);
        Self {
            dir: dir.to_owned(),
            quarantine: Quarantine::new(Arc::new(LocalDisk), dir.to_owned(), seal),
        }
    }

    /// Removes all entries.
    pub fn empty(&self) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        fs::read_dir(&self.dir)?.try_for_each(|file| fs::remove_file(file?.path()))
    }

    /// Lays a file there as an entry.
    pub fn lay(&self, id: u64, bytes: &[u8]) -> io::Result<()> {
        fs::write(self.dir.join(format!("{id:06}.json")), bytes)
    }

    /// Lists the entries; panics where the disk refuses, as all below.
    pub fn list(&self) -> Vec<Quarantined> {
        self.quarantine.list().expect("memory can be read")
    }

    /// Keeps a damage of one event.
    pub fn put(&self, bytes: &[u8]) {
        let damaged = Damaged {
            segment: 1,
            offset: 0,
            bytes,
        };
        let kept = self
            .quarantine
            .put(Epoch(1), (Seq(1), Seq(1)), "fuzz", &damaged);
        kept.expect("memory takes it");
    }

    /// Returns what can still be read of an entry's events.
    pub fn salvage(&self, entry: &Quarantined) -> Vec<String> {
        self.quarantine.salvage(entry)
    }

    /// Drops an entry.
    pub fn forget(&self, id: u64) {
        self.quarantine.forget(id).expect("the entry is listed");
    }
}
