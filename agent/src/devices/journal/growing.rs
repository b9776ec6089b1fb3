//! Reads what is new in one growing file and tells it, each until it is durable. Blocks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use tillbind_firmware_bridge::journal::decoder::{LineDecoder, LineFormat};
use tillbind_firmware_bridge::journal::entry::{Entry, Found, LineFault, Mark};
use tillbind_firmware_bridge::journal::follow::Look;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::progress::{Progress, print};
use super::telling::{IN_FLIGHT_MAX, Reply, Teller, Told};
use crate::devices::DeviceEvent;
use crate::devices::masking::mask_sale;

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes told before that is noted; fewer, and a large file costs a sync each, more, and a crash
/// tells more again.
const NOTE_EVERY_BYTES: u64 = 1024 * 1024;
/// Faults of one file that are reported one by one; behind them one says that there are more.
const FAULTS_TOLD_MAX: u32 = 20;

/// Other files that a file under a new name is compared with, those changed last first: a rotation
/// renames what was written a moment ago. More cost two small reads each, for each new file.
const CANDIDATES_MAX: usize = 256;

/// How far files were told, by name.
pub(super) type Noted = BTreeMap<String, Progress>;

/// What came of a look that went to the end.
pub(super) struct Reached {
    pub(super) progress: Progress,
    /// Lines with bytes that their encoding does not know.
    pub(super) replaced_lines: u64,
    /// Why the settings do not fit the file, if they do not.
    pub(super) unfit: Option<String>,
    /// Faults reported.
    pub(super) reported: u64,
    pub(super) last_fault: Option<String>,
    /// What would be told if the end were taken for whole now.
    pub(super) rest: Vec<Found>,
    /// What changes of other files' notes: of one that had this name, under a name that no file has;
    /// of one whose contents this is, and whose rest this one waits for.
    pub(super) others: Vec<Progress>,
}

impl Reached {
    fn at(progress: Progress, others: Vec<Progress>) -> Self {
        Self {
            progress,
            replaced_lines: 0,
            unfit: None,
            reported: 0,
            last_fault: None,
            rest: Vec::new(),
            others,
        }
    }
}

/// A look into one file.
pub(super) struct Growing<'a> {
    pub(super) teller: &'a Teller,
    /// Whether it is new that the settings do not fit this file.
    pub(super) reports_unfit: bool,
    /// Keeps progress durably.
    pub(super) keep: &'a dyn Fn(&Progress) -> Result<(), String>,
}

impl Growing<'_> {
    /// Opens a file and finds how far it was told.
    pub(super) fn begin(
        &self,
        path: &Path,
        look: &Look,
        notes: &Noted,
    ) -> Result<(File, Reached), Told> {
        let mut file = File::open(path).map_err(|error| Told::Unreadable {
            reason: format!("it cannot be opened ({error}): let the agent's user read it"),
        })?;
        let len = file.metadata().map_err(cannot_read)?.len();
        let mut progress = known(&mut file, len, look, notes).map_err(cannot_read)?;
        let mut others = Vec::new();
        if progress.open_at.is_some() && progress.file.name != look.file.name {
            others.push(progress.with_nothing_open());
        }
        progress.open_at = None;
        progress.file = look.file.clone();
        // It may have grown since its end was taken for whole.
        progress.closed = false;
        if let Some(replaced) = replaced(look, &progress, notes) {
            // Its note would be lost to the file in its place, and it may come back rotated.
            (self.keep)(&replaced).map_err(|reason| Told::NotDurable { reason })?;
            others.push(replaced);
        }
        Ok((file, Reached::at(progress, others)))
    }

    /// Tells what stands in a file of lines behind what `notes` know of it.
    pub(super) fn tell_lines(
        &self,
        format: &LineFormat,
        path: &Path,
        look: &Look,
        notes: &Noted,
    ) -> Result<Reached, Told> {
        let (mut file, mut reached) = self.begin(path, look, notes)?;
        let mark = reached.progress.mark;
        let mut decoder = LineDecoder::new(format);
        let mut found = Vec::new();
        let mut chunk = Zeroizing::new(vec![0; CHUNK_BYTES]);
        if mark != Mark::START {
            self.read_head(&mut file, &mut decoder, &mut chunk)?;
            decoder.jump(mark);
        }
        file.seek(SeekFrom::Start(mark.offset))
            .map_err(cannot_read)?;
        let (mut read_bytes, mut noted_bytes) = (0, 0);
        let mut in_flight = VecDeque::new();
        loop {
            let bytes = file.read(&mut chunk).map_err(cannot_read)?;
            if bytes == 0 {
                break;
            }
            read_bytes += bytes as u64;
            decoder.feed(&chunk[..bytes], &mut found);
            self.send(&look.file.name, &mut found, &mut in_flight, &mut reached)?;
            if reached.unfit.is_some() {
                return Ok(reached);
            }
            if read_bytes - noted_bytes >= NOTE_EVERY_BYTES {
                noted_bytes = read_bytes;
                self.settle(&mut file, &mut in_flight, &mut reached)?;
            }
        }
        // One that grew since the listing is not at its end.
        let ended = look.closed && mark.offset + read_bytes == look.file.len;
        // Half a character at the end is none that the encoding does not know.
        reached.replaced_lines = decoder.replaced_lines();
        decoder.end(&mut found);
        if ended {
            self.send(&look.file.name, &mut found, &mut in_flight, &mut reached)?;
            reached.replaced_lines = decoder.replaced_lines();
            reached.progress.closed = true;
        } else {
            reached.rest = self.kept(found);
            let is_open = !reached.rest.is_empty();
            let mark = reached.progress.mark;
            reached.progress.open_at = is_open.then_some(mark.offset);
        }
        self.settle(&mut file, &mut in_flight, &mut reached)?;
        Ok(reached)
    }

    /// Returns what is kept in memory of what was found behind the last line.
    fn kept(&self, mut rest: Vec<Found>) -> Vec<Found> {
        // Half a header fits no settings.
        rest.retain(|one| !matches!(one.entry, Entry::Unfit(_)));
        for one in &mut rest {
            if let Entry::Sale(sale) = &mut one.entry {
                mask_sale(sale, &self.teller.rules);
            }
        }
        rest
    }

    /// Tells what stood at the end of a file that is not coming back, as if its end had been taken for
    /// whole, and keeps that nothing of it is open.
    pub(super) fn tell_rest(
        &self,
        file: &str,
        note: &Progress,
        mut rest: Vec<Found>,
    ) -> Result<Reached, Told> {
        let mut reached = Reached::at(note.clone(), Vec::new());
        let mut in_flight = VecDeque::new();
        self.send(file, &mut rest, &mut in_flight, &mut reached)?;
        self.wait_for_all(&mut in_flight)?;
        // Should the file come back all the same, it is known by what it was known by.
        reached.progress = note.with_nothing_open();
        (self.keep)(&reached.progress).map_err(|reason| Told::NotDurable { reason })?;
        Ok(reached)
    }

    /// Reads the file's head as far as the decoder needs it; what stands there was told before.
    fn read_head(
        &self,
        file: &mut File,
        decoder: &mut LineDecoder,
        chunk: &mut [u8],
    ) -> Result<(), Told> {
        file.rewind().map_err(cannot_read)?;
        let mut found = Vec::new();
        while !decoder.head_is_read() {
            let bytes = file.read(chunk).map_err(cannot_read)?;
            if bytes == 0 {
                break;
            }
            decoder.feed(&chunk[..bytes], &mut found);
            found.clear();
        }
        Ok(())
    }

    /// Sends what was found; waits for the oldest where much is under way.
    pub(super) fn send(
        &self,
        name: &str,
        found: &mut Vec<Found>,
        in_flight: &mut VecDeque<(Reply, bool)>,
        reached: &mut Reached,
    ) -> Result<(), Told> {
        for one in found.drain(..) {
            if *self.teller.stop.borrow() {
                return Err(Told::Stopped);
            }
            let sent = match one.entry {
                Entry::Sale(sale) => Some((self.teller.send(name, *sale)?, true)),
                Entry::Fault(fault) => self.report(name, &fault, reached)?,
                Entry::Unfit(fault) => {
                    let reason = fault.to_string();
                    if self.reports_unfit {
                        let reply = self.teller.reject(name, reason.clone())?;
                        self.wait_for((reply, false))?;
                        reached.reported += 1;
                    }
                    reached.unfit = Some(reason);
                    return Ok(());
                }
            };
            reached.progress.mark = one.mark;
            in_flight.extend(sent);
            if in_flight.len() > IN_FLIGHT_MAX
                && let Some(oldest) = in_flight.pop_front()
            {
                self.wait_for(oldest)?;
            }
        }
        Ok(())
    }

    /// Reports a fault, unless the file had many.
    fn report(
        &self,
        name: &str,
        fault: &LineFault,
        reached: &mut Reached,
    ) -> Result<Option<(Reply, bool)>, Told> {
        let told = reached.progress.faults;
        reached.progress.faults = told.saturating_add(1);
        let reason = match told {
            0..FAULTS_TOLD_MAX => fault.to_string(),
            FAULTS_TOLD_MAX => format!(
                "more than {FAULTS_TOLD_MAX} lines could not be read; from line {} on they are \
                 not named: check the settings of this journal, or the file",
                fault.line
            ),
            _ => return Ok(None),
        };
        reached.reported += 1;
        reached.last_fault = Some(reason.clone());
        Ok(Some((self.teller.reject(name, reason)?, false)))
    }

    /// Waits until all that was sent is durable, then keeps how far that is.
    pub(super) fn settle(
        &self,
        file: &mut File,
        in_flight: &mut VecDeque<(Reply, bool)>,
        reached: &mut Reached,
    ) -> Result<(), Told> {
        self.wait_for_all(in_flight)?;
        let at = file.stream_position().map_err(cannot_read)?;
        let progress = &mut reached.progress;
        progress.print = print(file, progress.known_bytes()).map_err(cannot_read)?;
        file.seek(SeekFrom::Start(at)).map_err(cannot_read)?;
        // This file's first: from then on it is the one that waits for the rest.
        [&*progress]
            .into_iter()
            .chain(&reached.others)
            .try_for_each(self.keep)
            .map_err(|reason| Told::NotDurable { reason })
    }

    fn wait_for_all(&self, in_flight: &mut VecDeque<(Reply, bool)>) -> Result<(), Told> {
        in_flight
            .drain(..)
            .try_for_each(|oldest| self.wait_for(oldest))
    }

    fn wait_for(&self, (reply, is_sale): (Reply, bool)) -> Result<(), Told> {
        match is_sale {
            true => self.teller.wait_for(reply),
            false => match reply.blocking_recv() {
                Ok(Ok(())) => Ok(()),
                Ok(Err(reason)) => Err(Told::NotDurable { reason }),
                Err(_) => Err(Told::NotDurable {
                    reason: "the report was not answered".to_owned(),
                }),
            },
        }
    }
}

impl Teller {
    /// Reports that something of a file could not be read.
    fn reject(&self, file: &str, reason: String) -> Result<Reply, Told> {
        let (reply, answer) = oneshot::channel();
        let event = DeviceEvent::JournalRejected {
            journal: self.journal.clone(),
            file: file.to_owned(),
            reason,
            reply,
        };
        self.events
            .blocking_send(event)
            .map_err(|_| Told::Stopped)?;
        Ok(answer)
    }
}

/// Finds what is known of a file: by its name first, then by its contents under any other.
fn known(file: &mut File, len: u64, look: &Look, notes: &Noted) -> io::Result<Progress> {
    let mut others: Vec<&Progress> = notes
        .values()
        .filter(|note| note.file.name != look.file.name)
        .collect();
    if others.len() > CANDIDATES_MAX {
        others.select_nth_unstable_by_key(CANDIDATES_MAX, |note| Reverse(note.file.modified_ms));
        others.truncate(CANDIDATES_MAX);
    }
    for note in notes.get(&look.file.name).into_iter().chain(others) {
        if note.is_of(file, len)? {
            return Ok(note.clone());
        }
    }
    Ok(Progress::start(look.file.clone()))
}

/// Returns the note of another file that had this name, if something of it was told.
fn replaced(look: &Look, found: &Progress, notes: &Noted) -> Option<Progress> {
    let name = &look.file.name;
    let old = notes.get(name)?;
    if old.known_bytes() == 0 || (old.mark, old.print) == (found.mark, found.print) {
        return None;
    }
    let mut kept = old.clone();
    kept.file.name = format!("{name}\0{}", hex::encode(old.print));
    Some(kept)
}

pub(super) fn cannot_read(error: io::Error) -> Told {
    Told::Unreadable {
        reason: format!("it cannot be read ({error}): try again"),
    }
}
