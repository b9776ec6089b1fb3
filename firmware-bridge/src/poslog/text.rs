//! A byte source as UTF-8: byte-order mark, declared encoding, position and a bound on one token.
//!
//! quick-xml reads UTF-8 alone and lets a single text grow without end, so both are settled here,
//! below it. Bytes that the encoding does not know become U+FFFD and are told by
//! [`Utf8Text::replaced`]; a U+FFFD inside a number then fails as a number.

use std::io::{self, BufRead, Read};

use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use zeroize::Zeroize;

/// How many bytes are looked at for a byte-order mark and an XML declaration; a declaration that
/// ends later is not found and the text is taken for UTF-8.
const SNIFF_BYTES: usize = 256;

/// Size of the decoded window; a smaller one costs speed, a larger one memory per open file.
const WINDOW_BYTES: usize = 16 * 1024;

/// A tag, text or comment went past its bound.
#[derive(Debug, thiserror::Error)]
#[error("a single token is longer than the limit")]
pub(super) struct TokenTooLong;

/// A place in the decoded text. Lines count from 1, bytes from 0 and in UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: u64,
    /// Byte offset in the text as UTF-8, from 0.
    pub byte: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, byte {}", self.line, self.byte)
    }
}

/// Decodes `R` to UTF-8 in a window of fixed size.
pub(super) struct Utf8Text<R> {
    inner: R,
    decoder: Option<Decoder>,
    head: Vec<u8>,
    head_read: usize,
    mark_bytes: Option<u64>,
    window: Vec<u8>,
    start: usize,
    end: usize,
    finished: bool,
    replaced: bool,
    exact_to: Option<u64>,
    position: Position,
    allowance: usize,
}

impl<R: BufRead> Utf8Text<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            decoder: None,
            head: Vec::new(),
            head_read: 0,
            mark_bytes: None,
            window: vec![0; WINDOW_BYTES],
            start: 0,
            end: 0,
            finished: false,
            replaced: false,
            exact_to: None,
            position: Position { line: 1, byte: 0 },
            allowance: usize::MAX,
        }
    }

    /// Returns where the next unread byte stands.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// Returns whether the source has ended and all of it was consumed.
    pub(super) fn at_end(&self) -> bool {
        self.finished && self.start == self.end
    }

    /// Returns how many bytes of the source come before the decoded text; `None` where the source
    /// is not UTF-8, and its bytes are not those of the text.
    pub(super) fn mark_bytes(&self) -> Option<u64> {
        self.mark_bytes
    }

    /// Returns whether bytes unknown to the encoding were replaced by U+FFFD so far.
    pub(super) fn replaced(&self) -> bool {
        self.replaced
    }

    /// Returns the byte of the text up to which none was replaced, once one was.
    pub(super) fn exact_to(&self) -> Option<u64> {
        self.exact_to
    }

    /// Allows `bytes` to be consumed until the next call; more is [`TokenTooLong`].
    pub(super) fn allow(&mut self, bytes: usize) {
        self.allowance = bytes;
    }

    /// Reads the head of the source and chooses the decoder by it.
    fn sniff(&mut self) -> io::Result<Decoder> {
        while self.head.len() < SNIFF_BYTES && !self.head.contains(&b'>') {
            let chunk = self.inner.fill_buf()?;
            if chunk.is_empty() {
                break;
            }
            let taken = chunk.len().min(SNIFF_BYTES - self.head.len());
            self.head.extend_from_slice(&chunk[..taken]);
            self.inner.consume(taken);
        }
        let (encoding, mark) = detect(&self.head);
        self.head_read = mark;
        self.mark_bytes = (encoding == UTF_8).then_some(mark as u64);
        Ok(encoding.new_decoder_without_bom_handling())
    }

    fn refill(&mut self) -> io::Result<()> {
        let mut decoder = match self.decoder.take() {
            Some(decoder) => decoder,
            None => self.sniff()?,
        };
        self.start = 0;
        self.end = 0;
        while self.end == 0 && !self.finished {
            let from_head = self.head_read < self.head.len();
            let source = if from_head {
                &self.head[self.head_read..]
            } else {
                match self.inner.fill_buf() {
                    Ok(chunk) => chunk,
                    Err(error) => {
                        self.decoder = Some(decoder);
                        return Err(error);
                    }
                }
            };
            let last = source.is_empty();
            let (result, read, written, replaced) =
                decoder.decode_to_utf8(source, &mut self.window, last);
            if replaced && !self.replaced {
                let window = &self.window[..written];
                let mark = window.windows(3).position(|c| c == "\u{FFFD}".as_bytes());
                self.exact_to = Some(self.position.byte + mark.unwrap_or(0) as u64);
            }
            self.replaced |= replaced;
            self.end = written;
            if from_head {
                self.head_read += read;
            } else {
                self.inner.consume(read);
            }
            // A decoder that was told of the end must not be fed again.
            self.finished = last && result == encoding_rs::CoderResult::InputEmpty;
        }
        self.decoder = Some(decoder);
        Ok(())
    }
}

impl<R: BufRead> BufRead for Utf8Text<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end && !self.finished {
            self.refill()?;
        }
        let left = self.end - self.start;
        if left > 0 && self.allowance == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, TokenTooLong));
        }
        Ok(&self.window[self.start..self.start + left.min(self.allowance)])
    }

    fn consume(&mut self, amount: usize) {
        let until = (self.start + amount).min(self.end);
        let taken = &self.window[self.start..until];
        self.position.byte += taken.len() as u64;
        self.position.line += taken.iter().filter(|&&b| b == b'\n').count() as u64;
        self.allowance -= taken.len().min(self.allowance);
        self.start = until;
    }
}

impl<R: BufRead> Read for Utf8Text<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, into)
    }
}

/// Reads what is buffered, for a reader whose buffer is its source.
pub(super) fn read_buffered(from: &mut impl BufRead, into: &mut [u8]) -> io::Result<usize> {
    let available = from.fill_buf()?;
    let taken = available.len().min(into.len());
    into[..taken].copy_from_slice(&available[..taken]);
    from.consume(taken);
    Ok(taken)
}

impl<R> Drop for Utf8Text<R> {
    fn drop(&mut self) {
        // A journal may hold payment data that is skipped, yet passed through here.
        self.window.zeroize();
        self.head.zeroize();
    }
}

/// Returns the encoding of a text that starts with `head`, and the length of its byte-order mark.
fn detect(head: &[u8]) -> (&'static Encoding, usize) {
    if let Some((encoding, mark)) = Encoding::for_bom(head) {
        return (encoding, mark);
    }
    match head {
        [b'<', 0, ..] => return (UTF_16LE, 0),
        [0, b'<', ..] => return (UTF_16BE, 0),
        _ => {}
    }
    let declared = declared_label(head).and_then(Encoding::for_label);
    match declared {
        // A text whose declaration can be read as ASCII is not UTF-16, whatever it says.
        Some(encoding) if encoding.is_ascii_compatible() => (encoding, 0),
        Some(_) | None => (UTF_8, 0),
    }
}

/// Returns the value of `encoding` in an XML declaration at the start of `head`.
fn declared_label(head: &[u8]) -> Option<&[u8]> {
    const KEY: &[u8] = b"encoding";
    let declaration = head.strip_prefix(b"<?xml")?;
    let end = declaration.windows(2).position(|pair| pair == b"?>")?;
    let declaration = &declaration[..end];
    let at = declaration.windows(KEY.len()).position(|w| w == KEY)?;
    let value = declaration[at + KEY.len()..].trim_ascii_start();
    let value = value.strip_prefix(b"=")?.trim_ascii_start();
    let quote = *value.first().filter(|q| matches!(q, b'"' | b'\''))?;
    let value = &value[1..];
    let close = value.iter().position(|&b| b == quote)?;
    Some(&value[..close])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> String {
        let mut text = String::new();
        Utf8Text::new(bytes).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn the_mark_is_taken_off_and_decides_over_the_declaration() {
        assert_eq!(decoded(b"\xEF\xBB\xBF<a/>"), "<a/>");
        assert_eq!(decoded(b"\xFF\xFE<\0a\0/\0>\0"), "<a/>");
        assert_eq!(decoded(b"\xFE\xFF\0<\0a\0/\0>"), "<a/>");
    }

    #[test]
    fn utf_16_without_a_mark_is_known_by_its_first_character() {
        assert_eq!(decoded(b"<\0a\0/\0>\0"), "<a/>");
        assert_eq!(decoded(b"\0<\0a\0/\0>"), "<a/>");
    }

    #[test]
    fn a_declared_legacy_encoding_is_followed_and_a_false_utf_16_is_not() {
        let latin = b"<?xml version='1.0' encoding='windows-1252'?><a>\xE9</a>";
        assert!(decoded(latin).ends_with("<a>é</a>"));
        let lying = b"<?xml version=\"1.0\" encoding=\"utf-16\"?><a>x</a>";
        assert!(decoded(lying).ends_with("<a>x</a>"));
    }

    #[test]
    fn bytes_unknown_to_the_encoding_are_replaced_and_told() {
        let mut text = Utf8Text::new(&b"<a>\xFF</a>"[..]);
        let mut out = String::new();
        text.read_to_string(&mut out).unwrap();
        assert_eq!(out, "<a>\u{FFFD}</a>");
        assert!(text.replaced());
    }

    #[test]
    fn a_token_past_its_allowance_is_refused_and_the_position_is_kept() {
        let mut text = Utf8Text::new(&b"a\nbcdef"[..]);
        text.allow(4);
        let mut out = Vec::new();
        let error = text.read_to_end(&mut out).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(out, b"a\nbc");
        assert_eq!(text.position(), Position { line: 2, byte: 4 });
    }
}
