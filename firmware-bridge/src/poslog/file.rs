//! A POSLog in a file: read from any transaction on, and past pieces of transactions.
//!
//! A POS that stops in mid-write leaves a piece of a transaction, and may go on behind it: in a tag,
//! a text, a name or a character. XML says nothing of what comes then, so the file is looked
//! through for the next tag that is written as its transactions' are, and read on there. Nothing
//! whole is lost to a piece before it.
//!
//! Between two tellings the [`Place`] is kept: behind the last transaction that was whole. What
//! could not be read behind it is met again, and known again by its [`Piece`].

mod piece;
mod source;

use std::io;
use std::ops::Range;

use super::{PosLogError, PosLogItem, PosLogReader};
use piece::cut_off;
pub use piece::{Fault, Piece};
use source::{CHUNK_BYTES, Extent, Spliced, Tags};
pub use source::{Place, ReadAt};

/// Bytes of a transaction's tag, prefix and all; with a longer one no piece is read past.
const NAME_BYTES_MAX: usize = 256;

/// Bytes of one file that are read a second time on account of pieces. A file that wants more is
/// read on where the reader finds its own way, which may cost the transaction behind a piece.
const REREAD_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Characters of a cut-off transaction's number that are told.
const NUMBER_CHARS_MAX: usize = 40;

/// Reads the transactions of a file behind a place.
pub struct PosLogFile<'a, S: ?Sized> {
    extent: Extent<'a, S>,
    ended: bool,
    reader: PosLogReader<Spliced<'a, S>>,
    from: Place,
    head: Option<u64>,
    place: Option<Place>,
    opening: Option<Vec<u8>>,
    behind_piece: Option<PosLogItem>,
    reread_bytes: u64,
    counted: (u64, u64),
}

impl<'a, S: ReadAt + ?Sized> PosLogFile<'a, S> {
    /// Starts at `place` of a file of which `len` bytes are read at most; `ended` says that its end
    /// is to be taken for whole.
    pub fn new(source: &'a S, len: u64, place: Place, ended: bool) -> Self {
        let extent = Extent { source, len };
        Self {
            extent,
            ended,
            reader: PosLogReader::new(Spliced::new(extent, place)),
            from: place,
            head: (place != Place::default()).then_some(place.head),
            place: Some(place),
            opening: None,
            behind_piece: None,
            reread_bytes: 0,
            counted: (0, 1),
        }
    }

    /// Returns the place behind the last item, or behind a transaction whose text was whole though
    /// it gave none; `None` where the file is not UTF-8.
    pub fn place(&self) -> Option<Place> {
        self.place
    }

    /// Writes a fault with the place that it has in the file, for people.
    ///
    /// # Errors
    /// The source's, since the lines before it are counted.
    pub fn tell(&mut self, fault: Fault) -> io::Result<PosLogError> {
        let Fault { mut error, piece } = fault;
        // What is not UTF-8 is read from its start on, and has the reader's own places.
        if piece.is_some()
            && let Some(at) = error.at_mut()
        {
            if at.byte < self.counted.0 {
                self.counted = (0, 1);
            }
            let (counted, line) = self.counted;
            at.line = line + self.extent.lines(counted..at.byte)?;
            self.counted = (at.byte, at.line);
        }
        Ok(error)
    }

    fn take_item(&mut self, item: PosLogItem) -> io::Result<Result<PosLogItem, Fault>> {
        let begun = self.reader.begun.as_ref();
        let hides_tag = begun.is_some_and(|begun| begun.hides_tag);
        let byte = begun.and_then(|begun| begun.byte);
        let start = byte.map(|byte| self.from.in_file(byte));
        self.go_behind(start)?;
        let cut = match (start, self.place) {
            (Some(start), Some(place)) if hides_tag => self.cut_in(start, place.offset)?,
            (Some(_) | None, _) => None,
        };
        Ok(cut.map_or(Ok(item), Err))
    }

    fn take_fault(&mut self, mut error: PosLogError) -> io::Result<Fault> {
        let at = self.file_byte_of(&error);
        if let (Some(byte), Some(at)) = (at, error.at_mut()) {
            at.byte = byte;
        }
        let Some(begun) = self.reader.begun.clone() else {
            return self.take_fault_between(error, at);
        };
        let number: Option<String> = begun
            .number
            .map(|n| n.chars().take(NUMBER_CHARS_MAX).collect());
        let Some(start) = begun.byte.map(|byte| self.from.in_file(byte)) else {
            // Not UTF-8: places are those of the text, and nothing is looked for.
            if let PosLogError::Truncated { at } = error
                && self.ended
            {
                error = PosLogError::CutOff {
                    at: begun.at,
                    end: at.byte,
                    number,
                };
            }
            return Ok(Fault { error, piece: None });
        };
        if error.is_of_content() {
            self.go_behind(Some(start))?;
            let end = self.place.map_or(self.extent.len, |place| place.offset);
            if begun.hides_tag
                && let Some(cut) = self.cut_in(start, end)?
            {
                return Ok(cut);
            }
            let piece = Some(Piece::of(start, end));
            return Ok(Fault { error, piece });
        }
        let mut piece = Piece {
            number,
            ..Piece::of(start, self.extent.len)
        };
        if !self.may_come(&error, at)? {
            let found = self.go_on_behind(start)?;
            if let Some(next) = found.start {
                piece.end = next;
                if found.end.is_none() {
                    error = cut_off(piece.clone());
                }
            }
        }
        let piece = Some(piece);
        Ok(Fault { error, piece })
    }

    /// Takes a fault that stands in no transaction, unless in the tag that would open one.
    fn take_fault_between(&mut self, mut error: PosLogError, at: Option<u64>) -> io::Result<Fault> {
        let Some(start) = at.filter(|_| self.reader.root.is_some()) else {
            return Ok(Fault { error, piece: None });
        };
        let is_of_transaction = self.extent.is_start_tag(start)?;
        let is_at_end = matches!(error, PosLogError::Truncated { .. });
        let mut piece = Piece::of(start, self.extent.len);
        if !self.may_come(&error, at)?
            && let Some(next) = self.go_on_behind(start)?.start
        {
            piece.end = next;
            if is_of_transaction {
                error = cut_off(piece.clone());
            }
        }
        let piece = (is_of_transaction || !is_at_end).then_some(piece);
        Ok(Fault { error, piece })
    }

    /// Returns whether the file ends inside a comment or a section that may hold what looks like a
    /// transaction, and may be written on.
    fn may_come(&self, error: &PosLogError, at: Option<u64>) -> io::Result<bool> {
        let is_at_end = matches!(error, PosLogError::Truncated { .. });
        match at {
            Some(at) if is_at_end && !self.ended => self.extent.starts_with(at, b"<!"),
            Some(_) | None => Ok(false),
        }
    }

    /// Takes apart a transaction that was cut off in a comment or a section, which another's ended:
    /// both have the one end.
    fn cut_in(&mut self, start: u64, end: u64) -> io::Result<Option<Fault>> {
        let found = self.look_through(start + 1..end)?;
        let (Some(next), Some(head)) = (found.start, self.head) else {
            return Ok(None);
        };
        let from = Place { offset: next, head };
        let mut reader = PosLogReader::new(Spliced::new(self.extent, from));
        let Some(Ok(item)) = reader.next() else {
            return Ok(None);
        };
        if reader.reached().map(|reached| from.in_file(reached)) != Some(end) {
            return Ok(None);
        }
        (self.reader, self.from) = (reader, from);
        self.behind_piece = Some(item);
        let piece = Piece::of(start, next);
        Ok(Some(Fault {
            error: cut_off(piece.clone()),
            piece: Some(piece),
        }))
    }

    /// Goes on at the first transaction that opens behind `start`; tells of none if it does not.
    fn go_on_behind(&mut self, start: u64) -> io::Result<Tags> {
        if self.reread_bytes > REREAD_BYTES_MAX {
            return Ok(Tags::default());
        }
        let found = self.look_through(start + 1..self.extent.len)?;
        let head = *self.head.get_or_insert(start);
        let looked_to = found.start.unwrap_or(self.extent.len);
        let read_to = self.from.in_file(self.reader.markup.reached().byte);
        self.reread_bytes += looked_to.abs_diff(read_to) + CHUNK_BYTES as u64;
        let Some(next) = found.start else {
            return Ok(found);
        };
        self.read_from(Place { offset: next, head });
        Ok(found)
    }

    fn read_from(&mut self, place: Place) {
        self.from = place;
        self.reader = PosLogReader::new(Spliced::new(self.extent, place));
    }

    /// Moves the place behind the transaction that was read last.
    fn go_behind(&mut self, start: Option<u64>) -> io::Result<()> {
        if self.head.is_none() {
            self.head = self.reader.head_bytes();
        }
        let Some(head) = self.head else {
            self.place = None;
            return Ok(());
        };
        let reached = self.reader.reached();
        self.place = match (reached, start) {
            (Some(reached), _) => Some(Place {
                offset: self.from.in_file(reached),
                head,
            }),
            // Bytes unknown to UTF-8 were replaced on the way: the end is looked for in the file.
            (None, Some(start)) => match self.look_through(start + 1..self.extent.len)?.end {
                Some(offset) => {
                    let place = Place { offset, head };
                    self.read_from(place);
                    Some(place)
                }
                None => None,
            },
            (None, None) => None,
        };
        Ok(())
    }

    /// Looks for tags of transactions within `range`, by what the first element's prefix is.
    fn look_through(&mut self, range: Range<u64>) -> io::Result<Tags> {
        match self.opening() {
            Some(opening) => self.extent.tags(range, &opening),
            None => Ok(Tags::default()),
        }
    }

    fn file_byte_of(&self, error: &PosLogError) -> Option<u64> {
        let byte = self.reader.markup.source_byte(error.at()?.byte)?;
        Some(self.from.in_file(byte))
    }

    fn is_in_head_again(&self, error: &PosLogError) -> bool {
        let at = self.file_byte_of(error);
        self.from != Place::default() && at.is_some_and(|at| at < self.from.head)
    }

    /// Returns how the tags of this file's transactions begin: they have the first element's prefix.
    fn opening(&mut self) -> Option<Vec<u8>> {
        if self.opening.is_none() {
            let outermost = self.reader.markup.outermost()?;
            let prefix = outermost.rsplit_once(':').map(|(prefix, _)| prefix);
            let colon = if prefix.is_some() { ":" } else { "" };
            let opening = format!("<{}{colon}Transaction", prefix.unwrap_or_default());
            self.opening = (opening.len() <= NAME_BYTES_MAX).then(|| opening.into_bytes());
        }
        self.opening.clone()
    }
}

impl<S: ReadAt + ?Sized> Iterator for PosLogFile<'_, S> {
    type Item = Result<PosLogItem, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = loop {
            match self.behind_piece.take() {
                Some(item) => break Ok(item),
                None => match self.reader.next()? {
                    // The head is read again with each start, and its faults were told.
                    Err(error) if self.is_in_head_again(&error) => {}
                    item => break item,
                },
            }
        };
        let told = match item {
            Ok(item) => self.take_item(item),
            Err(error) => self.take_fault(error).map(Err),
        };
        Some(told.unwrap_or_else(|error| {
            Err(Fault {
                error: PosLogError::Io(error),
                piece: None,
            })
        }))
    }
}

#[cfg(test)]
mod tests;
