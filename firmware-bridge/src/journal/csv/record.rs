//! The values of one row, split from its lines.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use zeroize::Zeroize;

use super::CsvSettings;

/// Columns of one row; a row with more is refused.
const COLUMNS_MAX: usize = 1_024;

/// A row as far as its lines have come.
pub(super) struct Record {
    reader: Box<Reader>,
    field_bytes: Vec<u8>,
    field_ends: Vec<usize>,
    /// Of these, used by the row so far.
    bytes_used: usize,
    ends_used: usize,
}

impl Record {
    pub(super) fn new(settings: &CsvSettings) -> Self {
        let reader = ReaderBuilder::new()
            .delimiter(settings.delimiter)
            .quote(settings.quote)
            .terminator(csv_core::Terminator::Any(b'\n'))
            .build();
        Self {
            reader: Box::new(reader),
            field_bytes: Vec::new(),
            field_ends: vec![0; COLUMNS_MAX],
            bytes_used: 0,
            ends_used: 0,
        }
    }

    /// Forgets the values of the row before.
    pub(super) fn start(&mut self) {
        self.reader.reset();
        self.field_bytes.as_mut_slice().zeroize();
        self.bytes_used = 0;
        self.ends_used = 0;
    }

    /// Splits one more line into values; returns whether the row is whole with it.
    pub(super) fn add(&mut self, line: &str) -> bool {
        let needed = self.bytes_used + line.len() + 1;
        if self.field_bytes.len() < needed {
            self.field_bytes.resize(needed, 0);
        }
        for mut part in [line.as_bytes(), b"\n"] {
            while !part.is_empty() {
                let (result, read, wrote, ended) = self.reader.read_record(
                    part,
                    &mut self.field_bytes[self.bytes_used..],
                    &mut self.field_ends[self.ends_used..],
                );
                part = &part[read..];
                self.bytes_used += wrote;
                self.ends_used += ended;
                match result {
                    ReadRecordResult::InputEmpty => {}
                    // Values behind the last column that counts are not read.
                    ReadRecordResult::OutputEndsFull
                    | ReadRecordResult::OutputFull
                    | ReadRecordResult::Record => return true,
                    ReadRecordResult::End => return false,
                }
            }
        }
        false
    }

    /// Returns how many values the row has.
    pub(super) fn columns(&self) -> usize {
        self.ends_used
    }

    /// Returns how many bytes its values have.
    pub(super) fn bytes(&self) -> usize {
        self.bytes_used
    }

    /// Returns a value by its index from 0.
    pub(super) fn cell(&self, index: usize) -> Option<&str> {
        let end = *self.field_ends[..self.ends_used].get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => *self.field_ends.get(before)?,
            None => 0,
        };
        // Cut at delimiters, which are ASCII.
        std::str::from_utf8(self.field_bytes.get(start..end)?).ok()
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.field_bytes.zeroize();
    }
}
