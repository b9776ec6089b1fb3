//! ESC/POS streams, read as an observer: bytes in, [`Item`]s out.
//!
//! [`EscPos::feed`] takes bytes in any chunking and hands the same items to its sink. Payloads
//! (images, stored logos, unknown parameters) are counted down, never held; of each, the last
//! [`RESCAN_BYTES`] are kept in case that the command had declared more than was sent. Then the
//! payload swallows text, codes and the cut; when the stream comes to rest inside a payload,
//! [`EscPos::handle_idle`] looks for the first command in that tail from which all reads cleanly, and
//! reads from there.
//!
//! Star's dialect uses the same bytes with other meanings. With [`Dialect::Auto`], a mark of Star
//! (`ESC RS`, `ESC GS`, a size by `ESC i`) turns what follows into text at best effort until the
//! stream comes to rest: no cut, code or command is read from it.
//!
//! Deliberately absent: what does not change the text (bold, alignment, spacing), the order of page
//! mode's areas, and the dots of images.

use std::collections::VecDeque;

use super::codepage::Charset;
use super::dialect::Dialect;

mod grammar;
mod item;
mod resync;
mod star;

use grammar::{Context, Effect, PayloadKind, Step};
pub use item::{CodeKind, Item};
use star::StarText;

/// How much of a payload's end is kept for reading it again. Text that an image swallowed and that
/// lies further back is lost and counted.
pub const RESCAN_BYTES: usize = 4096;
/// Longest text handed out at once; longer runs come in several items, cut anywhere.
const TEXT_RUN_BYTES: usize = 4096;
/// Longest content of a printed code: a QR code holds 7,089 characters at most.
const CODE_BYTES: usize = 7_100;
/// How often a silence may fall within a payload that looks genuine before it is given up. A printer
/// that is out of paper stalls a long image once; a lie stays silent.
const PATIENCE: u32 = 1;
/// What of `GS ( L` says which function it is and how large the image.
const GRAPHICS_HEAD_BYTES: usize = 10;

/// A push tokenizer of ESC/POS.
#[derive(Debug)]
pub struct EscPos {
    dialect: Dialect,
    charset: Charset,
    text: Vec<u8>,
    command: Vec<u8>,
    payload: Option<Payload>,
    replay: VecDeque<u8>,
    star: Option<StarText>,
    symbol: Option<Symbol>,
    silences: u32,
    skipped_bytes: u64,
}

#[derive(Debug)]
struct Payload {
    kind: PayloadKind,
    remaining: u64,
    swallowed: u64,
    /// The payload's beginning, as far as its kind has use for it.
    head: Vec<u8>,
    head_max: usize,
    /// The payload's end so far.
    tail: VecDeque<u8>,
}

/// A two-dimensional code stored in the printer, not yet printed.
#[derive(Debug)]
struct Symbol {
    cn: u8,
    data: Vec<u8>,
}

impl EscPos {
    /// Starts at the printer's defaults.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            charset: Charset::default(),
            text: Vec::new(),
            command: Vec::new(),
            payload: None,
            replay: VecDeque::new(),
            star: None,
            symbol: None,
            silences: 0,
            skipped_bytes: 0,
        }
    }

    /// Returns how many bytes could not be read since the start: unfinished commands and payloads.
    pub fn skipped_bytes(&self) -> u64 {
        self.skipped_bytes
    }

    /// Returns whether nothing is held back: no text, no part of a command or payload.
    pub fn is_at_rest(&self) -> bool {
        self.payload.is_none()
            && self.command.is_empty()
            && self.text.is_empty()
            && self.star.is_none()
    }

    /// Reads bytes in any chunking and hands each whole item to `sink`.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(Item<'_>)) {
        if !bytes.is_empty() {
            self.silences = 0;
        }
        let mut rest = bytes;
        loop {
            if let Some(byte) = self.replay.pop_front() {
                self.take_byte(byte, sink);
                continue;
            }
            let Some(&first) = rest.first() else {
                return;
            };
            if let Some(payload) = &self.payload {
                let most = usize::try_from(payload.remaining).unwrap_or(usize::MAX);
                let (part, after) = rest.split_at(most.min(rest.len()));
                self.take_payload(part, sink);
                rest = after;
                continue;
            }
            if self.command.is_empty() && self.star.is_none() && is_text(first) {
                let end = rest.iter().position(|&b| !is_text(b)).unwrap_or(rest.len());
                let (run, after) = rest.split_at(end);
                self.take_text(run, sink);
                rest = after;
                continue;
            }
            self.take_byte(first, sink);
            rest = &rest[1..];
        }
    }

    /// Resolves what the stream left open when it fell silent. Returns false where a payload that
    /// looks genuine should be waited for once more; call again after another silence.
    pub fn handle_idle(&mut self, sink: &mut impl FnMut(Item<'_>)) -> bool {
        if let Some(payload) = &mut self.payload
            && resync::clean_start(payload.tail.make_contiguous()).is_none()
            && self.silences < PATIENCE
        {
            self.silences += 1;
            return false;
        }
        self.finish(sink);
        true
    }

    /// Resolves what the stream left open at its end. The printer keeps its settings beyond it; a
    /// mark of Star does not outlast it.
    pub fn finish(&mut self, sink: &mut impl FnMut(Item<'_>)) {
        if let Some(payload) = self.payload.take() {
            self.abandon(payload, sink);
        }
        while !self.command.is_empty() {
            match grammar::read(&self.command, self.context(true)) {
                Step::Done { effect, used } => self.take_command(effect, used, sink),
                Step::More | Step::Payload { .. } => {
                    self.skipped_bytes += self.command.len() as u64;
                    self.command.clear();
                }
            }
            self.feed(&[], sink);
        }
        // What was read again may have opened a payload of its own; it is not read a third time.
        if let Some(payload) = self.payload.take() {
            self.skipped_bytes += payload.swallowed;
        }
        self.flush_text(sink);
        if let Some(mut star) = self.star.take() {
            star.finish(sink);
        }
        self.silences = 0;
    }

    fn context(&self, at_end: bool) -> Context {
        Context {
            may_be_star: self.dialect == Dialect::Auto,
            at_end,
        }
    }

    fn take_byte(&mut self, byte: u8, sink: &mut impl FnMut(Item<'_>)) {
        if let Some(star) = &mut self.star {
            star.take(byte, sink);
        } else if self.payload.is_some() {
            self.take_payload(&[byte], sink);
        } else if self.command.is_empty() && is_text(byte) {
            self.take_text(&[byte], sink);
        } else {
            self.command.push(byte);
            self.advance(sink);
        }
    }

    fn take_text(&mut self, run: &[u8], sink: &mut impl FnMut(Item<'_>)) {
        let mut rest = run;
        while !rest.is_empty() {
            let room = TEXT_RUN_BYTES - self.text.len();
            let (part, after) = rest.split_at(room.min(rest.len()));
            self.text.extend_from_slice(part);
            if self.text.len() == TEXT_RUN_BYTES {
                self.flush_text(sink);
            }
            rest = after;
        }
    }

    fn flush_text(&mut self, sink: &mut impl FnMut(Item<'_>)) {
        if self.text.is_empty() {
            return;
        }
        sink(Item::Text {
            bytes: &self.text,
            charset: self.charset,
        });
        self.text.clear();
    }

    /// Looks whether the command is whole by now.
    fn advance(&mut self, sink: &mut impl FnMut(Item<'_>)) {
        match grammar::read(&self.command, self.context(false)) {
            Step::More => {}
            Step::Done { effect, used } => self.take_command(effect, used, sink),
            Step::Payload { kind, length, .. } => {
                self.command.clear();
                self.flush_text(sink);
                let head_max = match kind {
                    PayloadKind::Graphics => GRAPHICS_HEAD_BYTES,
                    PayloadKind::Code2d => CODE_BYTES,
                    PayloadKind::Barcode(_) => usize::from(u8::MAX),
                    PayloadKind::Ignored | PayloadKind::Image { .. } | PayloadKind::Part(_) => 0,
                };
                self.payload = Some(Payload {
                    kind,
                    remaining: length,
                    swallowed: 0,
                    head: Vec::new(),
                    head_max,
                    tail: VecDeque::new(),
                });
                self.take_payload(&[], sink);
            }
        }
    }

    /// Acts on a command of `used` bytes; what was collected behind it is read again.
    fn take_command(&mut self, effect: Effect, used: usize, sink: &mut impl FnMut(Item<'_>)) {
        for &byte in self.command[used..].iter().rev() {
            self.replay.push_front(byte);
        }
        self.command.clear();
        if effect == Effect::Setting {
            return;
        }
        self.flush_text(sink);
        match effect {
            Effect::Setting => {}
            Effect::LineFeed => sink(Item::LineFeed),
            Effect::Tab => sink(Item::Tab),
            Effect::CarriageReturn => sink(Item::CarriageReturn),
            Effect::Column(dot) => sink(Item::Column(dot)),
            Effect::Shift(dots) => sink(Item::Shift(dots)),
            Effect::TabStops(stops) => sink(Item::TabStops(&stops)),
            Effect::PrintMode(n) => sink(Item::PrintMode(n)),
            Effect::Size(n) => sink(Item::Size(n)),
            Effect::Font(n) => sink(Item::Font(n)),
            Effect::Cut => sink(Item::Cut),
            Effect::Kick => sink(Item::DrawerKick),
            Effect::Logo => sink(Item::Image { dots: None }),
            Effect::Barcode(data) => sink(Item::Code {
                kind: CodeKind::Barcode,
                data: &data,
            }),
            Effect::Unknown => sink(Item::Unknown),
            Effect::Init => {
                self.charset = Charset::default();
                self.symbol = None;
                sink(Item::Init);
            }
            Effect::CodePage(n) => self.charset.page = Some(n),
            Effect::Kanji(on) => self.charset.kanji = Some(on),
            Effect::KanjiCode(n) => self.charset.kanji_code = Some(n),
            Effect::International(n) => self.charset.international = n,
            Effect::StarMark { prefix } => {
                self.star = Some(StarText::new(prefix));
                sink(Item::StarMark);
            }
        }
    }

    fn take_payload(&mut self, part: &[u8], sink: &mut impl FnMut(Item<'_>)) {
        let Some(payload) = &mut self.payload else {
            return;
        };
        payload.take(part);
        if payload.remaining > 0 {
            return;
        }
        let Some(payload) = self.payload.take() else {
            return;
        };
        match payload.kind {
            PayloadKind::Part(Some(ref next)) => self.command.extend_from_slice(next),
            PayloadKind::Code2d => self.take_symbol(&payload.head, sink),
            PayloadKind::Part(None)
            | PayloadKind::Ignored
            | PayloadKind::Image { .. }
            | PayloadKind::Graphics
            | PayloadKind::Barcode(_) => payload.announce(sink),
        }
    }

    /// `GS ( k cn fn …`: function 80 stores a code's content, 81 prints it.
    fn take_symbol(&mut self, head: &[u8], sink: &mut impl FnMut(Item<'_>)) {
        match *head {
            [cn, 80, _, ref data @ ..] => {
                self.symbol = Some(Symbol {
                    cn,
                    data: data.to_vec(),
                });
            }
            [cn, 81, ..] => {
                if let Some(symbol) = self.symbol.as_ref().filter(|s| s.cn == cn) {
                    sink(Item::Code {
                        kind: CodeKind::of_symbol(cn),
                        data: &symbol.data,
                    });
                }
            }
            _ => {}
        }
    }

    /// Ends a payload that was never completed, and reads again what it swallowed of the receipt.
    fn abandon(&mut self, mut payload: Payload, sink: &mut impl FnMut(Item<'_>)) {
        payload.announce_image(sink);
        let tail = payload.tail.make_contiguous();
        let found = resync::clean_start(tail);
        let recovered = found.map_or(0, |start| tail.len() - start);
        self.skipped_bytes += payload.swallowed - recovered as u64;
        if let Some(start) = found {
            self.replay.extend(&tail[start..]);
        }
        self.feed(&[], sink);
    }
}

impl Payload {
    fn take(&mut self, part: &[u8]) {
        let room = self.head_max - self.head.len();
        self.head.extend_from_slice(&part[..room.min(part.len())]);
        self.remaining -= part.len() as u64;
        self.swallowed += part.len() as u64;
        let kept = &part[part.len().saturating_sub(RESCAN_BYTES)..];
        let excess = (self.tail.len() + kept.len()).saturating_sub(RESCAN_BYTES);
        self.tail.drain(..excess);
        self.tail.extend(kept);
    }

    fn announce(&self, sink: &mut impl FnMut(Item<'_>)) {
        if let PayloadKind::Barcode(kind) = self.kind {
            sink(Item::Code {
                kind,
                data: &self.head,
            });
        }
        self.announce_image(sink);
    }

    fn announce_image(&self, sink: &mut impl FnMut(Item<'_>)) {
        match self.kind {
            PayloadKind::Image { width, height } => sink(Item::Image {
                dots: Some((width, height)),
            }),
            PayloadKind::Graphics => match *self.head.as_slice() {
                // Functions 112 and 113 bring an image, 69 and 85 print one that the printer holds.
                [_, 112 | 113, _, _, _, _, xl, xh, yl, yh] => sink(Item::Image {
                    dots: Some((
                        u16::from_le_bytes([xl, xh]).into(),
                        u16::from_le_bytes([yl, yh]).into(),
                    )),
                }),
                [_, 69 | 85, ..] => sink(Item::Image { dots: None }),
                _ => {}
            },
            PayloadKind::Ignored
            | PayloadKind::Code2d
            | PayloadKind::Barcode(_)
            | PayloadKind::Part(_) => {}
        }
    }
}

/// Whether a byte is printed, in whatever page.
fn is_text(byte: u8) -> bool {
    byte >= 0x20 && byte != 0x7F
}

#[cfg(test)]
mod tests;
