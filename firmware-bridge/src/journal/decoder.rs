//! A journal's decoder of either line format, for shells that need not know which.

use super::csv::{CsvDecoder, CsvSettings};
use super::entry::{Found, Mark};
use super::ndjson::{NdjsonDecoder, NdjsonSettings};

/// How a folder's files are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineFormat {
    /// One JSON object a line.
    Ndjson(Box<NdjsonSettings>),
    /// Rows.
    Csv(Box<CsvSettings>),
}

/// Reads a file as it comes.
pub enum LineDecoder {
    /// One JSON object a line.
    Ndjson(Box<NdjsonDecoder>),
    /// Rows.
    Csv(Box<CsvDecoder>),
}

impl LineDecoder {
    /// Starts at the beginning of a file.
    pub fn new(format: &LineFormat) -> Self {
        match format {
            LineFormat::Ndjson(settings) => {
                Self::Ndjson(Box::new(NdjsonDecoder::new((**settings).clone())))
            }
            LineFormat::Csv(settings) => Self::Csv(Box::new(CsvDecoder::new((**settings).clone()))),
        }
    }

    /// Takes more of the file; adds what it completes to `out`.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<Found>) {
        match self {
            Self::Ndjson(decoder) => decoder.feed(bytes, out),
            Self::Csv(decoder) => decoder.feed(bytes, out),
        }
    }

    /// Takes what is left for complete: the file is closed, or has been quiet for long.
    pub fn end(&mut self, out: &mut Vec<Found>) {
        match self {
            Self::Ndjson(decoder) => decoder.end(out),
            Self::Csv(decoder) => decoder.end(out),
        }
    }

    /// Returns whether [`Self::jump`] can be used: what the file's head says is known.
    pub fn head_is_read(&self) -> bool {
        match self {
            Self::Ndjson(decoder) => decoder.head_is_read(),
            Self::Csv(decoder) => decoder.head_is_read(),
        }
    }

    /// Goes on at `mark` of an earlier [`Found`]; the next bytes are those behind it.
    pub fn jump(&mut self, mark: Mark) {
        match self {
            Self::Ndjson(decoder) => decoder.jump(mark),
            Self::Csv(decoder) => decoder.jump(mark),
        }
    }

    /// Returns how many lines held bytes that the encoding does not know, shown as U+FFFD.
    pub fn replaced_lines(&self) -> u64 {
        match self {
            Self::Ndjson(decoder) => decoder.replaced_lines(),
            Self::Csv(decoder) => decoder.replaced_lines(),
        }
    }
}
