//! The one type that callers push a receipt stream through.

use super::codepage::Encoding;
use super::dialect::Dialect;
use super::escpos::EscPos;
use super::job::{Job, JobEnd};
use super::paper::Paper;

/// Makes jobs of a printer's byte stream, in memory that is bounded whatever is sent.
///
/// Feed bytes in any chunking. When the stream has been silent for the tap's idle gap, call
/// [`ReceiptDecoder::handle_idle`], and again after each further gap as long as
/// [`ReceiptDecoder::is_at_rest`] is false. At the connection's end call
/// [`ReceiptDecoder::finish`].
#[derive(Debug)]
pub struct ReceiptDecoder {
    stream: EscPos,
    paper: Paper,
    skipped_bytes_told: u64,
}

impl ReceiptDecoder {
    /// Starts with a printer at its defaults. `encoding` is what its text is when the stream does
    /// not say.
    pub fn new(dialect: Dialect, encoding: Encoding) -> Self {
        Self {
            stream: EscPos::new(dialect),
            paper: Paper::new(encoding),
            skipped_bytes_told: 0,
        }
    }

    /// Reads bytes and returns the jobs that they ended, most often none.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Job> {
        let mut jobs = Vec::new();
        let paper = &mut self.paper;
        self.stream
            .feed(bytes, &mut |item| jobs.extend(paper.print(item)));
        self.tell_skipped(&mut jobs);
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
        }
        self.tell_skipped(&mut jobs);
        jobs
    }

    /// Ends what is under way since the connection ended.
    pub fn finish(&mut self) -> Vec<Job> {
        let mut jobs = Vec::new();
        let paper = &mut self.paper;
        self.stream
            .finish(&mut |item| jobs.extend(paper.print(item)));
        jobs.extend(self.paper.end(JobEnd::Close));
        self.tell_skipped(&mut jobs);
        jobs
    }

    /// Returns whether nothing is under way, so that no idle gap needs to be watched.
    pub fn is_at_rest(&self) -> bool {
        self.stream.is_at_rest() && self.paper.is_blank()
    }

    /// Returns how many bytes could not be read since the start.
    pub fn skipped_bytes(&self) -> u64 {
        self.stream.skipped_bytes()
    }

    /// Books the bytes skipped since the last job on the first one that ended now.
    fn tell_skipped(&mut self, jobs: &mut [Job]) {
        let skipped = self.stream.skipped_bytes();
        if let Some(job) = jobs.first_mut() {
            job.skipped_bytes = skipped - self.skipped_bytes_told;
            self.skipped_bytes_told = skipped;
        }
    }
}

#[cfg(test)]
mod tests;
