//! The one type that callers push a receipt stream through.
//!
//! With [`Dialect::Auto`] a job is read as the job before it was, the first as ESC/POS. The bytes of a
//! job that has borne no mark so far are kept, at most [`LOOK_BACK_BYTES`]; when a mark of the other
//! dialect is met, what was read of this job is forgotten and all of it is read again under the right
//! one, which is then not doubted until the job has ended.

use super::codepage::Encoding;
use super::dialect::{Dialect, Language};
use super::footer::{FoundCut, Printer};
use super::item::Item;
use super::job::{Job, JobEnd};
use super::paper::Paper;
use super::stream::Stream;

/// How much of a job is kept to be read again. Where a job bears its first mark of the other dialect
/// further behind, its beginning stays as it was read, and the right dialect begins at the mark.
pub const LOOK_BACK_BYTES: usize = 64 << 10;
/// How much is read before the kept bytes are looked at again.
const SLICE_BYTES: usize = 4 << 10;

/// Makes jobs of a printer's byte stream, in memory that is bounded whatever is sent.
///
/// Feed bytes in any chunking. When the stream has been silent for the tap's idle gap, call
/// [`ReceiptDecoder::handle_idle`], and again after each further gap as long as
/// [`ReceiptDecoder::is_at_rest`] is false. At the connection's end call
/// [`ReceiptDecoder::finish`].
#[derive(Debug)]
pub struct ReceiptDecoder {
    stream: Stream,
    paper: Paper,
    /// The job's bytes so far, unless the dialect is set.
    kept: Option<Kept>,
    /// The dialect is a setting and never doubted.
    is_set: bool,
    taken: u64,
}

/// The bytes of a job that may turn out to be of the other dialect.
#[derive(Debug)]
struct Kept {
    bytes: Vec<u8>,
    /// Where the job began, in bytes since the start.
    job_at: u64,
    /// Where `bytes` begin.
    begins_at: u64,
    /// Its beginning was told as a job of its own, so it can no longer be read otherwise.
    is_told: bool,
    /// A mark has shown the dialect; what is kept is of use for the next job alone.
    is_trusted: bool,
}

impl ReceiptDecoder {
    /// Starts with a printer at its defaults. `encoding` is what its text is when the stream does
    /// not say.
    pub fn new(dialect: Dialect, encoding: Encoding) -> Self {
        let is_set = dialect != Dialect::Auto;
        let mut decoder = Self {
            stream: Stream::doubtful(dialect.first_language(), !is_set),
            paper: Paper::new(encoding),
            kept: None,
            is_set,
            taken: 0,
        };
        decoder.greet();
        decoder.doubt(0);
        decoder
    }

    /// Starts like [`ReceiptDecoder::new`] and notes what the printer is told and where it cuts.
    pub(super) fn watched(dialect: Dialect, encoding: Encoding) -> Self {
        let mut decoder = Self::new(dialect, encoding);
        let printer = Printer::new(dialect.first_language(), encoding);
        decoder.stream.watch(Box::new(printer));
        decoder
    }

    /// Hands out the cuts that a watched decoder has met since.
    pub(super) fn take_cuts(&mut self) -> Vec<FoundCut> {
        let printer = self.stream.watched();
        printer.map(Printer::take_found).unwrap_or_default()
    }

    /// Returns how many bytes were fed.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Returns how many bytes belong to no cut that is under way.
    pub(super) fn settled(&self) -> u64 {
        self.stream.settled()
    }

    /// Reads bytes and returns the jobs that they ended, most often none.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Job> {
        let mut jobs = Vec::new();
        // What is read again, last part first.
        let mut again: Vec<Vec<u8>> = Vec::new();
        for slice in bytes.chunks(SLICE_BYTES) {
            self.read(slice, &mut jobs, &mut again);
            while let Some(part) = again.pop() {
                let mut rest = part.as_slice();
                while !rest.is_empty() {
                    let (slice, after) = rest.split_at(SLICE_BYTES.min(rest.len()));
                    rest = after;
                    let depth = again.len();
                    self.read(slice, &mut jobs, &mut again);
                    if again.len() > depth {
                        // The other dialect after all: it reads its own part first, then goes on here.
                        again.insert(depth, rest.to_vec());
                        break;
                    }
                }
            }
        }
        jobs
    }

    /// Ends what is under way since the stream fell silent. Returns nothing where there is no job,
    /// and also where an image is under way that may only have stalled.
    ///
    /// More than one job comes out only where an image had swallowed a cut.
    pub fn handle_idle(&mut self) -> Vec<Job> {
        let mut jobs = Vec::new();
        let paper = &mut self.paper;
        let rests = self
            .stream
            .handle_idle(&mut |item| jobs.extend(paper.print(item)));
        if rests {
            jobs.extend(self.paper.end(JobEnd::Idle));
            self.doubt(self.taken);
        }
        jobs
    }

    /// Ends the job where what came last is a cut by itself, `ESC i` while Star's size of that name was not
    /// ruled out: for who knows by a short pause, or by a [`CutFinder`](super::CutFinder), that it is one.
    /// Whatever else is under way stays so.
    pub fn handle_pause(&mut self) -> Vec<Job> {
        let mut jobs = Vec::new();
        let cut_before = self.stream.cut_at();
        let paper = &mut self.paper;
        self.stream
            .handle_pause(&mut |item| jobs.extend(paper.print(item)));
        let cut_at = self.stream.cut_at();
        if cut_at > cut_before {
            self.doubt_behind_cut(cut_at);
        }
        jobs
    }

    /// Ends what is under way since the connection ended.
    pub fn finish(&mut self) -> Vec<Job> {
        let mut jobs = Vec::new();
        let paper = &mut self.paper;
        self.stream
            .finish(&mut |item| jobs.extend(paper.print(item)));
        jobs.extend(self.paper.end(JobEnd::Close));
        self.doubt(self.taken);
        jobs
    }

    /// Returns whether nothing is under way, so that no idle gap needs to be watched.
    pub fn is_at_rest(&self) -> bool {
        self.stream.is_at_rest() && self.paper.is_blank()
    }

    /// Returns how many bytes could not be read since the start.
    pub fn skipped_bytes(&self) -> u64 {
        self.paper.skipped_bytes_total()
    }

    /// Returns the dialect that the stream is read as by now.
    pub fn language(&self) -> Language {
        self.stream.language()
    }

    /// Reads a slice. Where it bears a mark of the other dialect, what is to be read again is added to
    /// `again`.
    fn read(&mut self, slice: &[u8], jobs: &mut Vec<Job>, again: &mut Vec<Vec<u8>>) {
        self.taken += slice.len() as u64;
        if let Some(kept) = &mut self.kept {
            kept.bytes.extend_from_slice(slice);
        }
        let cut_before = self.stream.cut_at();
        let paper = &mut self.paper;
        let mut limit = false;
        self.stream.feed(slice, &mut |item| {
            let cut = matches!(item, Item::Cut);
            if let Some(job) = paper.print(item) {
                limit |= job.ended_by == JobEnd::Limit;
                jobs.push(job);
            }
            // A cut ends what was too long as well.
            limit &= !cut;
        });
        let cut_at = self.stream.cut_at();
        if cut_at > cut_before {
            self.doubt_behind_cut(cut_at);
        }
        if let Some(kept) = &mut self.kept {
            kept.is_told |= limit;
        }
        if let Some(mark_at) = self.stream.foreign_at() {
            let bytes = self.turn(mark_at);
            again.push(bytes);
        } else if let Some(kept) = &mut self.kept {
            kept.trim();
        }
    }

    /// Says to the paper what a printer of this dialect starts with: Star's has no tab stops.
    fn greet(&mut self) {
        if self.stream.language() == Language::Star {
            self.paper.print(Item::TabStops(&[]));
        }
    }

    /// A job begins here, of which nothing is known.
    fn doubt(&mut self, job_at: u64) {
        if self.is_set {
            return;
        }
        self.kept = Some(Kept {
            bytes: Vec::new(),
            job_at,
            begins_at: job_at,
            is_told: false,
            is_trusted: false,
        });
    }

    /// A job begins behind a cut that was just read; the cut may have been known a few bytes late.
    fn doubt_behind_cut(&mut self, cut_at: u64) {
        let Some(kept) = &mut self.kept else {
            return;
        };
        kept.drop_before(cut_at);
        kept.job_at = cut_at;
        kept.is_told = false;
        kept.is_trusted = false;
    }

    /// Goes over to the other dialect; returns the bytes that are to be read under it.
    fn turn(&mut self, mark_at: u64) -> Vec<u8> {
        let Some(kept) = &mut self.kept else {
            return Vec::new();
        };
        let behind = mark_at.saturating_sub(kept.job_at);
        if !kept.is_told && behind <= LOOK_BACK_BYTES as u64 {
            self.paper.forget();
        } else {
            kept.drop_before(mark_at);
        }
        let bytes = std::mem::take(&mut kept.bytes);
        self.taken = kept.begins_at;
        kept.is_trusted = true;
        let other = self.stream.language().other();
        let watched = self.stream.unwatch();
        self.stream = Stream::trusted(other, self.taken);
        if let Some(printer) = watched {
            self.stream.watch(Box::new(printer.turn(self.taken == 0)));
        }
        self.greet();
        bytes
    }
}

impl Kept {
    /// Drops what can no longer be read again, but for the bytes of a mark or a cut that is not known
    /// for one yet.
    fn trim(&mut self) {
        let most = if self.is_trusted { 0 } else { LOOK_BACK_BYTES };
        if self.bytes.len() > most + SLICE_BYTES {
            self.drop_first(self.bytes.len() - SLICE_BYTES);
        }
    }

    fn drop_before(&mut self, position: u64) {
        let length = position.saturating_sub(self.begins_at);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.drop_first(length.min(self.bytes.len()));
    }

    fn drop_first(&mut self, length: usize) {
        self.bytes.drain(..length);
        self.begins_at += length as u64;
    }
}

#[cfg(test)]
mod tests;
