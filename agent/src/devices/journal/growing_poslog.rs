//! Reads what is new in one growing POSLog and tells it.
//!
//! A POS that appends to a POSLog leaves it without its last tag, or writes over that tag. So a file
//! is read on behind the last transaction told, with its head before that: the first element, in
//! which the namespaces are. A file that is not UTF-8 has no such place, and is told when it is
//! taken for whole.
//!
//! A transaction whose rest is missing may be one that the POS is writing, so it waits: for a whole
//! one behind it, or for the file to be quiet. Then it is reported as cut off, once; should its rest
//! come after all, it is told. Where the file is gone or replaced before that, `gone` reports it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use tillbind_firmware_bridge::journal::entry::{Entry, Found, LineFault, Mark};
use tillbind_firmware_bridge::journal::follow::Look;
use tillbind_firmware_bridge::poslog::{Fault, Place, PosLogError, PosLogFile, PosLogItem, ReadAt};

use super::growing::{Growing, Noted, Reached, cannot_read};
use super::telling::{Told, in_full};

/// Transactions told before that is noted; fewer, and a large file costs a sync each.
const NOTE_EVERY: usize = 1_000;
/// Faults that wait for a transaction behind them; further ones are dropped.
const WAITING_MAX: usize = 64;

/// A file that is read at any place.
pub(super) struct Opened(File);

impl Opened {
    /// Opens a file; returns it with its length.
    pub(super) fn at(path: &Path) -> Result<(Self, u64), Told> {
        let file = File::open(path).map_err(|error| Told::Unreadable {
            reason: format!("it cannot be opened ({error}): let the agent's user read it"),
        })?;
        let len = file.metadata().map_err(cannot_read)?.len();
        Ok((Self(file), len))
    }
}

impl ReadAt for Opened {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut file = &self.0;
        file.seek(SeekFrom::Start(at))?;
        file.read(into)
    }
}

impl Growing<'_> {
    /// Tells the transactions behind what `notes` know of a file. The mark's `line` is the length
    /// of the head here.
    pub(super) fn tell_poslog(
        &self,
        path: &Path,
        look: &Look,
        notes: &Noted,
    ) -> Result<Reached, Told> {
        let (mut told_by, mut reached) = self.begin(path, look, notes)?;
        let name = &look.file.name;
        // The same file, whatever has its name by now.
        let file = Opened(told_by.try_clone().map_err(cannot_read)?);
        let len = file.0.metadata().map_err(cannot_read)?.len();
        // One that grew since the listing is not at its end.
        let ended = look.closed && len == look.file.len;
        let start = reached.progress.mark;
        let place = Place {
            offset: start.offset,
            head: start.line,
        };
        let mut transactions = PosLogFile::new(&file, len, place, ended);
        let mut waiting: Vec<Fault> = Vec::new();
        let (mut in_flight, mut found, mut told) = (VecDeque::new(), Vec::new(), 0);
        while let Some(item) = transactions.next() {
            let entry = match item {
                Ok(PosLogItem::Sale(sale)) => Some(Entry::Sale(Box::new(sale))),
                Ok(PosLogItem::Skipped { .. }) => None,
                Err(fault) => {
                    if let error @ PosLogError::Io(_) = fault.error() {
                        let reason = in_full(error);
                        return Err(Told::Unreadable { reason });
                    }
                    if let error @ PosLogError::NotPosLog { .. } = fault.error() {
                        found.push(told_at(Entry::Unfit(as_fault(error)), start));
                        self.send(name, &mut found, &mut in_flight, &mut reached)?;
                        return Ok(reached);
                    }
                    let is_at_end = matches!(fault.error(), PosLogError::Truncated { .. });
                    if is_at_end {
                        // Without a piece only the last tags are missing.
                        waiting.extend(fault.piece().is_some().then(|| fault.given_up()));
                    } else if waiting.len() < WAITING_MAX {
                        waiting.push(fault);
                    }
                    continue;
                }
            };
            let place = transactions.place().map(|place| Mark {
                offset: place.offset,
                line: place.head,
            });
            let Some(mark) = place.or(ended.then_some(Mark::START)) else {
                // Not UTF-8: without a place to go on from, it waits for its end.
                break;
            };
            tell_faults(&mut waiting, &mut transactions, &reached, &mut found)?;
            found.extend(entry.map(|entry| told_at(entry, mark)));
            self.send(name, &mut found, &mut in_flight, &mut reached)?;
            reached.progress.mark = mark;
            told += 1;
            if told % NOTE_EVERY == 0 {
                self.settle(&mut told_by, &mut in_flight, &mut reached)?;
            }
        }
        if ended {
            tell_faults(&mut waiting, &mut transactions, &reached, &mut found)?;
            self.send(name, &mut found, &mut in_flight, &mut reached)?;
            reached.progress.reported_to = len;
            reached.progress.closed = true;
        }
        let is_new = |fault: &&Fault| !fault.was_told_at(reached.progress.reported_to);
        let untold = waiting.iter().filter(is_new).find_map(Fault::piece);
        reached.progress.open_at = untold.map(|piece| piece.start);
        self.settle(&mut told_by, &mut in_flight, &mut reached)?;
        Ok(reached)
    }
}

/// Adds the faults that waited to what was found, but those that were told when the file was quiet.
fn tell_faults(
    waiting: &mut Vec<Fault>,
    transactions: &mut PosLogFile<'_, Opened>,
    reached: &Reached,
    found: &mut Vec<Found>,
) -> Result<(), Told> {
    for fault in waiting.drain(..) {
        if !fault.was_told_at(reached.progress.reported_to) {
            let error = transactions.tell(fault).map_err(cannot_read)?;
            found.push(told_at(
                Entry::Fault(as_fault(&error)),
                reached.progress.mark,
            ));
        }
    }
    Ok(())
}

fn told_at(entry: Entry, mark: Mark) -> Found {
    Found { entry, mark }
}

fn as_fault(error: &PosLogError) -> LineFault {
    LineFault {
        line: 0,
        problem: in_full(error),
    }
}
