//! What a receipt stream consists of once its commands are read.

use super::super::codepage::Charset;

/// One piece of a receipt stream, in stream order. Borrows from the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// Printable bytes and the state that says what characters they are.
    Text {
        /// Bytes as sent, none below 0x20.
        bytes: &'a [u8],
        /// What the stream has said about characters so far.
        charset: Charset,
    },
    /// Paper moves on: LF, a feed by lines or dots, a vertical position in page mode.
    LineFeed,
    /// CR: a line's end for some drivers, nothing beside a LF.
    CarriageReturn,
    /// HT: on to the next stop.
    Tab,
    /// The stops of `ESC D`, in columns; none means the printer's default.
    TabStops(&'a [u8]),
    /// `ESC $`: on to this dot of the line.
    Column(u16),
    /// `ESC \`: on by so many dots, back if negative.
    Shift(i16),
    /// `ESC !`: font (bit 0) and double width (bit 5).
    PrintMode(u8),
    /// `GS !`: the upper four bits hold the width less one.
    Size(u8),
    /// `ESC M`: font A (0, 48) or another.
    Font(u8),
    /// The paper is cut.
    Cut,
    /// The drawer is opened.
    DrawerKick,
    /// An image; its dots are not kept.
    Image {
        /// Width and height in dots; nothing where the printer holds the image.
        dots: Option<(u32, u32)>,
    },
    /// A barcode or a two-dimensional code that the printer draws from its content.
    Code {
        /// Symbology.
        kind: CodeKind,
        /// Content as sent.
        data: &'a [u8],
    },
    /// `ESC @`: the printer forgets its settings.
    Init,
    /// A command that this dialect does not have; counted.
    Unknown,
    /// A mark of Star's dialect: what follows is text at best effort.
    StarMark,
}

/// Symbology of a printed code, as far as its content's form depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeKind {
    /// A barcode whose content is plain characters.
    Barcode,
    /// Code 128 with its code-set marks (`{A`, `{B`, `{C`).
    Code128,
    /// QR code.
    Qr,
    /// PDF417.
    Pdf417,
    /// Another two-dimensional code.
    Other2d,
}

impl CodeKind {
    /// Returns the symbology of `GS k m`.
    pub(super) fn of_barcode(system: u8) -> Self {
        if system == 73 {
            Self::Code128
        } else {
            Self::Barcode
        }
    }

    /// Returns the symbology of `GS ( k` with `cn`.
    pub(super) fn of_symbol(cn: u8) -> Self {
        match cn {
            48 => Self::Pdf417,
            49 => Self::Qr,
            _ => Self::Other2d,
        }
    }

    /// Returns the content as a person or a scanner reads it.
    pub fn text(self, data: &[u8]) -> String {
        match self {
            Self::Code128 => code128_text(data),
            Self::Barcode | Self::Qr | Self::Pdf417 | Self::Other2d => {
                String::from_utf8_lossy(data).into_owned()
            }
        }
    }
}

/// Resolves the marks of Code 128: pairs of digits in set C, `{{` for a brace, FNC and shift dropped.
fn code128_text(data: &[u8]) -> String {
    let mut text = String::new();
    let mut in_pairs = false;
    let mut rest = data;
    loop {
        rest = match rest {
            [b'{', b'{', after @ ..] => {
                text.push('{');
                after
            }
            [b'{', mark, after @ ..] => {
                match mark {
                    b'A' | b'B' => in_pairs = false,
                    b'C' => in_pairs = true,
                    _ => {}
                }
                after
            }
            [pair @ 0..=99, after @ ..] if in_pairs => {
                text.push(char::from(b'0' + pair / 10));
                text.push(char::from(b'0' + pair % 10));
                after
            }
            [byte, after @ ..] => {
                text.push(char::from(*byte));
                after
            }
            [] => return text,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_128_reads_its_pairs_of_digits_and_its_braces() {
        assert_eq!(CodeKind::Code128.text(b"{C\x00\x01\x17"), "000123");
        assert_eq!(CodeKind::Code128.text(b"{BNo.{{1{C\x0c"), "No.{112");
        assert_eq!(CodeKind::Code128.text(b"plain"), "plain");
    }
}
