//! QR codes as printers draw them: the commands that set one up, store its content and print it.
//!
//! Sources: Epson's reference of `GS ( k` with cn 49, Star's of `ESC GS y`.

use std::fmt;
use std::sync::Arc;

use super::super::command::{ESC, GS, PayloadKind};
use super::super::dialect::Language;
use super::super::symbol::Symbology;

/// Longest command that stores a content and is kept to be sent again: a QR code of 7,089 digits.
const STORED_BYTES_MAX: usize = 7_100;
/// Edge of a module in dots: 0.6 mm.
const MODULE_DOTS: u8 = 5;
/// What replaces the footer's content where the stream had stored none.
const NOTHING: &[u8] = b"0";

/// The QR content that the stream has stored, as the command that stores it.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) enum Stored {
    #[default]
    Nothing,
    Command(Arc<Vec<u8>>),
    /// It is longer than any QR code and was not kept.
    TooLong,
}

impl Stored {
    /// Takes a payload that came to its end; what is not a QR code's content changes nothing.
    pub(super) fn take(&mut self, kind: &PayloadKind, header: &[u8], body: &[u8], is_whole: bool) {
        match kind {
            PayloadKind::Code2d if body.starts_with(&[49, 80]) => {
                *self = Self::command(&[header, body], is_whole);
            }
            PayloadKind::Stored(Symbology::Qr) | PayloadKind::StoredFirst(Symbology::Qr, _) => {
                *self = Self::command(&[header, body], is_whole);
            }
            PayloadKind::StoredMore(Symbology::Qr, _) => {
                // Of a further block's header, the stream had sent what stands behind the count.
                let block = header.get(6..).unwrap_or_default();
                if let Self::Command(first) = self {
                    *self = Self::command(&[first, block, body], is_whole);
                }
            }
            PayloadKind::Code2d
            | PayloadKind::Stored(_)
            | PayloadKind::StoredFirst(..)
            | PayloadKind::StoredMore(..)
            | PayloadKind::Ignored
            | PayloadKind::Image { .. }
            | PayloadKind::Graphics
            | PayloadKind::Barcode(_)
            | PayloadKind::Part(_) => {}
        }
    }

    fn command(parts: &[&[u8]], is_whole: bool) -> Self {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if !is_whole || length > STORED_BYTES_MAX {
            return Self::TooLong;
        }
        Self::Command(Arc::new(parts.concat()))
    }

    /// Appends what stores this again.
    pub(super) fn restore(&self, language: Language, out: &mut Vec<u8>) {
        match self {
            Self::Command(command) => out.extend_from_slice(command),
            Self::Nothing | Self::TooLong => store(language, NOTHING, out),
        }
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Command(_) => "Command(…)",
            Self::TooLong => "TooLong",
        })
    }
}

/// Appends the commands that print a QR code of model 2 and level M.
pub(super) fn print(language: Language, content: &[u8], out: &mut Vec<u8>) {
    match language {
        Language::EscPos => {
            out.extend([GS, b'(', b'k', 4, 0, 49, 65, 50, 0]);
            out.extend([GS, b'(', b'k', 3, 0, 49, 67, MODULE_DOTS]);
            out.extend([GS, b'(', b'k', 3, 0, 49, 69, 49]);
            store(language, content, out);
            out.extend([GS, b'(', b'k', 3, 0, 49, 81, 48]);
        }
        Language::Star => {
            out.extend([ESC, GS, b'y', b'S', b'0', 2]);
            out.extend([ESC, GS, b'y', b'S', b'1', 1]);
            out.extend([ESC, GS, b'y', b'S', b'2', MODULE_DOTS]);
            store(language, content, out);
            out.extend([ESC, GS, b'y', b'P']);
        }
    }
}

/// Appends the command that stores a content of at most
/// [`FOOTER_CONTENT_BYTES_MAX`](super::FOOTER_CONTENT_BYTES_MAX) bytes.
fn store(language: Language, content: &[u8], out: &mut Vec<u8>) {
    match language {
        Language::EscPos => {
            let [low, high] = length(content.len() + 3);
            out.extend([GS, b'(', b'k', low, high, 49, 80, 48]);
        }
        Language::Star => {
            let [low, high] = length(content.len());
            out.extend([ESC, GS, b'y', b'D', b'1', 0, low, high]);
        }
    }
    out.extend_from_slice(content);
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_le_bytes()
}
