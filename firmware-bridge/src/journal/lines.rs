//! Bytes of a journal as lines of text, with the byte at which each ends.
//!
//! The bytes are cut into lines before they are decoded, so that a line's end is a place in the
//! file that reading can go on at. That holds for UTF-8, for UTF-16 by whole units, and for every
//! encoding in which the byte 0A is nothing but a line feed, as in cp1252, GBK and Shift-JIS.
//!
//! The first bytes decide over the setting where they prove something: a byte-order mark, or two
//! characters of ASCII that stand in UTF-16.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use zeroize::Zeroize;

use super::entry::Mark;

/// Bytes of one line; a longer one is passed over up to its end and told as a fault. Larger, and a
/// file without line feeds takes that much memory.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// How many bytes are looked at before the encoding is chosen.
const SNIFF_BYTES: usize = 4;

/// The name of an encoding that journals cannot be written in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "encoding {0:?} cannot be used: write utf-8, utf-16le, utf-16be, windows-1252, gbk or another \
     name of the WHATWG's Encoding standard"
)]
pub struct EncodingError(pub String);

/// An encoding that can be cut into lines (WHATWG Encoding standard, section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextEncoding(&'static Encoding);

impl TextEncoding {
    /// Finds an encoding by its name.
    ///
    /// # Errors
    /// [`EncodingError`] for a name that is unknown, or whose text cannot be cut into lines.
    pub fn parse(name: &str) -> Result<Self, EncodingError> {
        Encoding::for_label(name.as_bytes())
            .filter(|found| found.is_ascii_compatible() || *found == UTF_16LE || *found == UTF_16BE)
            .map(Self)
            .ok_or_else(|| EncodingError(name.chars().take(40).collect()))
    }
}

impl Default for TextEncoding {
    fn default() -> Self {
        Self(UTF_8)
    }
}

/// One line, without its end.
pub(super) struct Line<'a> {
    /// Counted from 1.
    pub(super) number: u64,
    pub(super) text: &'a str,
    /// Where the next line starts.
    pub(super) end: Mark,
    /// It exceeded [`LINE_BYTES_MAX`], and its text is not here.
    pub(super) too_long: bool,
}

/// Cuts and decodes.
pub(super) struct Lines {
    setting: TextEncoding,
    encoding: Option<&'static Encoding>,
    /// First bytes, until the encoding is chosen.
    head: Vec<u8>,
    /// The line so far, as it stands in the file.
    pending: Vec<u8>,
    /// Bytes of the line so far, those passed over included.
    pending_bytes: u64,
    last_byte: u8,
    too_long: bool,
    /// Start of the line that is being read.
    at: Mark,
    replaced_lines: u64,
}

impl Lines {
    pub(super) fn new(setting: TextEncoding) -> Self {
        Self {
            setting,
            encoding: None,
            head: Vec::new(),
            pending: Vec::new(),
            pending_bytes: 0,
            last_byte: 0,
            too_long: false,
            at: Mark::START,
            replaced_lines: 0,
        }
    }

    /// Returns how many lines held bytes that their encoding does not know.
    pub(super) fn replaced_lines(&self) -> u64 {
        self.replaced_lines
    }

    pub(super) fn is_sniffed(&self) -> bool {
        self.encoding.is_some()
    }

    pub(super) fn buffered_bytes(&self) -> usize {
        self.pending.len() + self.head.len()
    }

    /// Goes on at `mark`, the start of a line; what was begun is forgotten.
    pub(super) fn jump(&mut self, mark: Mark) {
        self.start_line(mark);
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(Line<'_>)) {
        if self.encoding.is_none() {
            let taken = bytes.len().min(SNIFF_BYTES - self.head.len());
            self.head.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.head.len() < SNIFF_BYTES {
                return;
            }
            self.choose(each);
        }
        self.cut(bytes, each);
    }

    /// Takes what is left as the last line: the file is closed.
    pub(super) fn end(&mut self, each: &mut dyn FnMut(Line<'_>)) {
        if self.encoding.is_none() {
            self.choose(each);
        }
        if self.pending_bytes > 0 {
            self.emit(0, each);
        }
    }

    fn choose(&mut self, each: &mut dyn FnMut(Line<'_>)) {
        let mut head = std::mem::take(&mut self.head);
        let (encoding, mark) = detect(&head, self.setting);
        self.encoding = Some(encoding);
        // A mark is no part of the first line, and the first line starts behind it.
        self.at.offset += mark as u64;
        self.cut(&head[mark..], each);
        head.zeroize();
    }

    fn cut(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(Line<'_>)) {
        let encoding = self.encoding.unwrap_or(UTF_8);
        if encoding != UTF_16LE && encoding != UTF_16BE {
            while let Some(feed) = bytes.iter().position(|&b| b == b'\n') {
                self.push(&bytes[..=feed]);
                self.emit(1, each);
                bytes = &bytes[feed + 1..];
            }
            self.push(bytes);
            return;
        }
        for &byte in bytes {
            let before = self.last_byte;
            self.push(&[byte]);
            self.last_byte = byte;
            let unit = match encoding == UTF_16LE {
                true => [byte, before],
                false => [before, byte],
            };
            if self.pending_bytes.is_multiple_of(2) && unit == [0, b'\n'] {
                self.emit(2, each);
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.pending_bytes += bytes.len() as u64;
        if self.too_long {
            return;
        }
        if self.pending.len() + bytes.len() > LINE_BYTES_MAX {
            self.too_long = true;
            self.pending.zeroize();
            return;
        }
        self.pending.extend_from_slice(bytes);
    }

    /// Tells the line so far, of which the last `feed_bytes` are its line feed.
    fn emit(&mut self, feed_bytes: usize, each: &mut dyn FnMut(Line<'_>)) {
        let end = Mark {
            offset: self.at.offset + self.pending_bytes,
            line: self.at.line + 1,
        };
        let encoding = self.encoding.unwrap_or(UTF_8);
        let raw = &self.pending[..self.pending.len().saturating_sub(feed_bytes)];
        let (text, replaced) = encoding.decode_without_bom_handling(raw);
        self.replaced_lines += u64::from(replaced);
        each(Line {
            number: end.line,
            text: text.strip_suffix('\r').unwrap_or(&text),
            end,
            too_long: self.too_long,
        });
        self.start_line(end);
    }

    fn start_line(&mut self, at: Mark) {
        self.at = at;
        // Lines may hold what a POS should not have written, as in card numbers.
        self.pending.as_mut_slice().zeroize();
        self.pending.clear();
        self.pending_bytes = 0;
        self.last_byte = 0;
        self.too_long = false;
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.pending.zeroize();
        self.head.zeroize();
    }
}

/// Returns the encoding of a text that starts with `head`, and the length of its byte-order mark.
fn detect(head: &[u8], setting: TextEncoding) -> (&'static Encoding, usize) {
    if let Some((encoding, mark)) = Encoding::for_bom(head) {
        return (encoding, mark);
    }
    let ascii = |byte: u8| matches!(byte, 1..=0x7F);
    match *head {
        [a, 0, b, 0] if ascii(a) && ascii(b) => (UTF_16LE, 0),
        [0, a, 0, b] if ascii(a) && ascii(b) => (UTF_16BE, 0),
        _ => (setting.0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8], encoding: &str, chunk: usize) -> Vec<(u64, String, u64)> {
        let mut lines = Lines::new(TextEncoding::parse(encoding).unwrap());
        let mut out = Vec::new();
        let mut each = |line: Line<'_>| {
            let text = match line.too_long {
                true => "too long".to_owned(),
                false => line.text.to_owned(),
            };
            out.push((line.number, text, line.end.offset));
        };
        for bytes in bytes.chunks(chunk) {
            lines.feed(bytes, &mut each);
        }
        lines.end(&mut each);
        out
    }

    fn utf16(text: &str, little: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| match little {
                true => unit.to_le_bytes(),
                false => unit.to_be_bytes(),
            })
            .collect()
    }

    #[test]
    fn a_mark_is_taken_off_and_offsets_are_those_of_the_file() {
        let found = lines("\u{FEFF}aä\r\nb".as_bytes(), "windows-1252", 3);
        assert_eq!(found, [(1, "aä".into(), 8), (2, "b".into(), 9)]);
    }

    #[test]
    fn utf_16_is_known_by_its_mark_or_by_its_first_characters_in_any_chunking() {
        // The second character holds the byte 0A, which is no line feed.
        let text = "ab\u{0A0A}c\r\nd\n";
        for little in [true, false] {
            for with_mark in ["", "\u{FEFF}"] {
                let bytes = utf16(&format!("{with_mark}{text}"), little);
                for chunk in [1, 2, 3, 64] {
                    let found = lines(&bytes, "utf-8", chunk);
                    let texts: Vec<_> = found.iter().map(|(_, text, _)| text.as_str()).collect();
                    assert_eq!(texts, ["ab\u{0A0A}c", "d"]);
                    assert_eq!(found[1].2, bytes.len() as u64);
                }
            }
        }
    }

    #[test]
    fn legacy_encodings_are_read_by_setting() {
        assert_eq!(lines(b"caf\xE9\n", "latin1", 2)[0].1, "café");
        assert_eq!(lines(b"\xB2\xE8\n", "gbk", 1)[0].1, "茶");
        assert!(TextEncoding::parse("iso-2022-jp").is_err());
        assert!(TextEncoding::parse("klingon").is_err());
    }

    #[test]
    fn an_endless_line_is_passed_over_in_bounded_memory() {
        let mut long = Lines::new(TextEncoding::default());
        let mut found = Vec::new();
        let mut each = |line: Line<'_>| found.push((line.too_long, line.text.to_owned()));
        for _ in 0..40 {
            long.feed(&[b'x'; 100_000], &mut each);
            assert!(long.buffered_bytes() <= LINE_BYTES_MAX);
        }
        long.feed(b"\nnext\n", &mut each);
        assert_eq!(found, [(true, String::new()), (false, "next".to_owned())]);
    }
}
