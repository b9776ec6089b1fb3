//! A footer before the cut: where a passing stream cuts, and the bytes that print some lines and a QR code
//! there.
//!
//! [`CutFinder`] reads a stream as [`super::ReceiptDecoder`] does and tells each cut as soon as its bytes
//! are whole. Who passes the stream on holds no more than [`HOLD_BYTES_MAX`] bytes, those that may be the
//! beginning of a cut ([`CutFinder::settled`]). What the stream has told the printer is remembered
//! meanwhile, so that [`FoundCut::footer`] can print plainly and then put everything back by sending the
//! stream's own commands again.
//!
//! ```text
//! [LF]  plain settings  centred  lines…  [QR code  LF]  the stream's feed  its settings  | the cut
//! ```
//!
//! Nothing is printed where that is not safe: on a page, in Star's raster mode, while a macro is defined
//! or runs, while a display hears the same bytes, on a slip, and behind a command that the stream never
//! finished, until it says `ESC @`.
//!
//! Deliberately absent: what was printed, which a [`ReceiptDecoder`] of its own reads beside the printing,
//! in its own time and as the shop's profile has it; settings from before the finder began (a printer is
//! taken to be at its defaults), margins and sizes of paper (lines are not broken here), and an empty store
//! of QR codes. A printer has no command to empty it, so that where the stream had stored nothing, a
//! content that says nothing replaces the footer's.

use std::fmt;

use super::codepage::Encoding;
use super::decoder::ReceiptDecoder;
use super::dialect::Dialect;

mod layout;
mod printer;
mod setting;
mod symbol;

use printer::State;
pub(in crate::receipt) use printer::{Place, Printer};

/// Most bytes that may be the beginning of a cut and are to be held back: all cuts but their last byte.
pub const HOLD_BYTES_MAX: usize = 3;
/// Longest content of a footer's QR code; no footer is printed with a longer one. A code of version 11,
/// which takes no more at level M, just fits on paper of 58 mm.
pub const FOOTER_CONTENT_BYTES_MAX: usize = 250;

/// Finds the cuts of a receipt stream as it passes. It holds no bytes, it tells places.
///
/// Feed what passes and pass it on up to [`CutFinder::settled`]. Where the rest does not come within a
/// short while, call [`CutFinder::handle_pause`] and pass it on as well. At the tap's idle gap and at the
/// connection's end call [`CutFinder::handle_idle`] and [`CutFinder::finish`], as with a
/// [`super::ReceiptDecoder`].
#[derive(Debug)]
pub struct CutFinder {
    decoder: ReceiptDecoder,
    settled: u64,
    /// Where the last cut that was told ended.
    told_to: u64,
}

/// A cut in a stream; places are counted in bytes since the start.
#[derive(Clone, PartialEq, Eq)]
pub struct FoundCut {
    /// Where its command begins.
    pub begins_at: u64,
    /// Where its command ends.
    pub ends_at: u64,
    /// What the printer was told before it; nothing where no footer can be printed.
    state: Option<Box<State>>,
}

/// What is printed before a cut.
#[derive(Clone, PartialEq, Eq)]
pub struct Footer {
    /// Lines of text. One that the printer has no characters for is left out, as is one with control
    /// characters; without a QR code the footer is left out with it.
    pub lines: Vec<String>,
    /// The content of the QR code: printable ASCII, at most [`FOOTER_CONTENT_BYTES_MAX`]. Nothing for a
    /// printer that draws none.
    pub content: Option<String>,
}

impl CutFinder {
    /// Starts with a printer at its defaults. `encoding` is what its text is when the stream does not
    /// say.
    pub fn new(dialect: Dialect, encoding: Encoding) -> Self {
        Self {
            decoder: ReceiptDecoder::watched(dialect, encoding),
            settled: 0,
            told_to: 0,
        }
    }

    /// Reads bytes in any chunking and returns the cuts that became known, in the stream's order.
    ///
    /// A cut that begins before what was settled already has no footer, nor has one within another. A macro that cuts is told at the
    /// command that runs it, once for each cut, without a footer.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<FoundCut> {
        self.decoder.feed(bytes);
        let cuts = self.tell();
        self.settled = self.settled.max(self.decoder.settled());
        cuts
    }

    /// Returns how many bytes since the start belong to no cut that is not told yet. What was fed beyond,
    /// at most [`HOLD_BYTES_MAX`], may be the beginning of one.
    pub fn settled(&self) -> u64 {
        self.settled
    }

    /// Says that what is not settled is passed on now, since nothing followed it for a short while.
    /// Returns it where it is a cut by itself: `ESC i` at the end of what was sent, while Star's size of
    /// that name was not ruled out.
    pub fn handle_pause(&mut self) -> Vec<FoundCut> {
        self.decoder.handle_pause();
        let cuts = self.tell();
        self.settled = self.decoder.taken();
        cuts
    }

    /// Says that the stream was silent for the idle gap that ends a job. Cuts that an image had swallowed
    /// come out here, behind their time and so without a footer.
    pub fn handle_idle(&mut self) -> Vec<FoundCut> {
        self.decoder.handle_idle();
        let cuts = self.tell();
        self.settled = self.decoder.taken();
        cuts
    }

    /// Says that the connection ended. The printer keeps its settings beyond it.
    pub fn finish(&mut self) -> Vec<FoundCut> {
        self.decoder.finish();
        let cuts = self.tell();
        self.settled = self.decoder.taken();
        cuts
    }

    fn tell(&mut self) -> Vec<FoundCut> {
        let mut cuts = self.decoder.take_cuts();
        for cut in &mut cuts {
            // What was passed on is past, and what macros within macros do has no place of its own.
            if cut.begins_at < self.settled.max(self.told_to) {
                cut.state = None;
            }
            cut.ends_at = cut.ends_at.max(self.told_to);
            self.told_to = cut.ends_at;
        }
        cuts
    }
}

impl FoundCut {
    /// Returns the bytes that print `footer` in front of the cut and leave the printer as the stream had
    /// set it; nothing where that cannot be done, or where the content is none that is printed.
    pub fn footer(&self, footer: &Footer) -> Option<Vec<u8>> {
        let state = self.state.as_deref()?;
        let is_printable = |content: &[u8]| content.iter().all(|b| (0x20..0x7F).contains(b));
        if let Some(content) = footer.content.as_deref().map(str::as_bytes)
            && (content.is_empty()
                || content.len() > FOOTER_CONTENT_BYTES_MAX
                || !is_printable(content))
        {
            return None;
        }
        layout::bytes(state, footer)
    }

    /// Returns whether a footer can be printed here.
    pub fn takes_footer(&self) -> bool {
        self.state.is_some()
    }
}

impl fmt::Debug for FoundCut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoundCut")
            .field("begins_at", &self.begins_at)
            .field("ends_at", &self.ends_at)
            .field("takes_footer", &self.takes_footer())
            .finish()
    }
}

impl fmt::Debug for Footer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Footer")
            .field("lines", &self.lines.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
