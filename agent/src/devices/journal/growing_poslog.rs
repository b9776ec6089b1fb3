//! Reads what is new in one growing POSLog and tells it.
//!
//! A POS that appends to a POSLog leaves it without its last tag, or writes over that tag. So a file
//! is read on behind the last transaction told, with its head before that: the first element, in
//! which the namespaces are. A file that is not UTF-8 has no such place, and is told when it is
//! taken for whole.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use tillbind_firmware_bridge::journal::entry::{Entry, Found, LineFault, Mark};
use tillbind_firmware_bridge::journal::follow::Look;
use tillbind_firmware_bridge::poslog::{PosLogError, PosLogItem, PosLogReader};

use super::growing::{Growing, Noted, Reached, cannot_read};
use super::telling::{Told, in_full};

/// Transactions told before that is noted; fewer, and a large file costs a sync each.
const NOTE_EVERY: usize = 1_000;
/// Faults that wait for a transaction behind them; further ones are dropped.
const WAITING_MAX: usize = 64;

impl Growing<'_> {
    /// Tells the transactions behind what `notes` know of a file. The mark's `line` is the length
    /// of the head here.
    pub(super) fn tell_poslog(
        &self,
        path: &Path,
        look: &Look,
        notes: &Noted,
    ) -> Result<Reached, Told> {
        let (mut file, mut reached) = self.begin(path, look, notes)?;
        let start = reached.progress.mark;
        let head = File::open(path).map_err(cannot_read)?;
        file.seek(SeekFrom::Start(start.offset))
            .map_err(cannot_read)?;
        let source = BufReader::new(head.take(start.line).chain(file));
        let mut told_by = File::open(path).map_err(cannot_read)?;
        let mut reader = PosLogReader::new(source);
        let (mut in_flight, mut found, mut told) = (VecDeque::new(), Vec::new(), 0);
        while let Some(item) = reader.next() {
            let mark = reader
                .reached()
                .zip(reader.head_bytes())
                .map(|(to, head)| Mark {
                    // What was read of the source is the head, and then the file behind the mark.
                    offset: match start == Mark::START {
                        true => to,
                        false => start.offset + to.saturating_sub(start.line),
                    },
                    line: if start == Mark::START {
                        head
                    } else {
                        start.line
                    },
                });
            let entry = match item {
                Ok(PosLogItem::Sale(sale)) => Some(Entry::Sale(Box::new(sale))),
                Ok(PosLogItem::Skipped { .. }) => None,
                Err(error @ PosLogError::Io(_)) => {
                    return Err(Told::Unreadable {
                        reason: in_full(&error),
                    });
                }
                Err(PosLogError::Truncated { .. }) if !look.closed => break,
                Err(error) => {
                    let fault = fault(&error, start);
                    if matches!(error, PosLogError::NotPosLog { .. }) {
                        found.push(told_at(Entry::Unfit(fault), start));
                        self.send(&look.file.name, &mut found, &mut in_flight, &mut reached)?;
                        return Ok(reached);
                    }
                    if found.len() < WAITING_MAX && !is_open_end(&error) {
                        found.push(told_at(Entry::Fault(fault), reached.progress.mark));
                    }
                    continue;
                }
            };
            let Some(mark) = mark.or(look.closed.then_some(Mark::START)) else {
                // Not UTF-8: without a place to go on from, it waits for its end.
                break;
            };
            found.extend(entry.map(|entry| told_at(entry, mark)));
            self.send(&look.file.name, &mut found, &mut in_flight, &mut reached)?;
            reached.progress.mark = mark;
            told += 1;
            if told % NOTE_EVERY == 0 {
                self.settle(&mut told_by, &mut in_flight, &mut reached)?;
            }
        }
        if look.closed {
            self.send(&look.file.name, &mut found, &mut in_flight, &mut reached)?;
            reached.progress.closed = true;
        }
        self.settle(&mut told_by, &mut in_flight, &mut reached)?;
        Ok(reached)
    }
}

/// Whether the file only lacks its last tag, or a transaction that is being written: no fault of a
/// file that may yet grow.
fn is_open_end(error: &PosLogError) -> bool {
    matches!(error, PosLogError::Truncated { .. })
}

fn told_at(entry: Entry, mark: Mark) -> Found {
    Found { entry, mark }
}

fn fault(error: &PosLogError, start: Mark) -> LineFault {
    let mut problem = in_full(error);
    if start != Mark::START {
        problem = format!(
            "{problem} (lines are counted from byte {} of the file)",
            start.offset
        );
    }
    LineFault { line: 0, problem }
}
