//! Doors for the fuzz targets in `tests/fuzz`: decoders that are nobody else's business.

use tillbind_protocol::exchange::ExchangeResponse;

use crate::members::Note;
pub use crate::outbox::fuzzing::{Drawer, Piece, buffer_page, clean_stop, scan, watermark};
use crate::run::effect::ClockNote;
use crate::uplink::line;

/// Reads an answer's body as an exchange would: under zstd where `packed`, and only within its bound.
pub fn answer(packed: bool, body: &[u8]) -> Option<ExchangeResponse> {
    line::read_answer(packed, body)
}

/// Reads a note's text, and writes it again.
pub fn note(text: &[u8]) -> Option<(Note, Vec<u8>)> {
    let note = Note::decode(text)?;
    let again = Note::encode(&note.key, &note.value);
    Some((note, again))
}

/// Reads the note of central's clock.
pub fn clock_note(text: &[u8]) -> Option<ClockNote> {
    serde_json::from_slice(text).ok()
}
