//! Doors for the fuzz targets in `tests/fuzz` to what the outbox reads from the disk.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::{Epoch, Seq};

use super::buffer::Entry;
use super::journal::{Found, Reach, Source};
use super::watermark::{CleanStop, read_watermark, write_watermark};
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
    write_watermark(&LocalDisk, path, mark.next(b"the next event"))?;
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

/// Reads an entry of the buffer; returns its place, and what it is written as if it is an event.
pub fn buffer_entry(key: &[u8], value: &[u8]) -> Option<(Seq, Option<Vec<u8>>)> {
    let entry = Entry::decode(key, value)?;
    let again = match &entry {
        Entry::Event { .. } => Some(entry.encode()),
        Entry::Gap(_) => None,
    };
    Some((entry.mark().seq, again))
}
