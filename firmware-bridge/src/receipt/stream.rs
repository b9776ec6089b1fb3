//! Receipt streams, read as an observer: bytes in, [`Item`]s out, in ESC/POS or in Star's dialects.
//!
//! [`Stream::feed`] takes bytes in any chunking and hands the same items to its sink. Payloads
//! (images, stored logos, unknown parameters) are counted down, never held; of each, the last
//! [`RESCAN_BYTES`] are kept in case that the command had declared more than was sent. Then the
//! payload swallows text, codes and the cut; when the stream comes to rest inside a payload,
//! [`Stream::handle_idle`] looks for the first command in that tail from which all reads cleanly, and
//! reads from there.
//!
//! The two dialects use the same bytes with other meanings. A stream that may be the other one stops
//! at that one's first mark and says where it stands; who owns the bytes reads them again.
//!
//! Deliberately absent: what does not change the text (bold, alignment, colour) and the dots of
//! images.

use std::collections::VecDeque;

use super::codepage::Charset;
use super::command::{Context, ESC, Effect, GS, KanjiChoice, PayloadKind, RS, Step};
use super::dialect::Language;
use super::footer::Printer;
use super::item::Item;
use super::symbol::Symbology;
use super::{escpos, star};

mod macros;
mod payload;
mod resync;
mod stored;
mod watch;

use macros::Macro;
use payload::Payload;
use stored::StoredCodes;

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
/// A push tokenizer of receipt streams.
#[derive(Debug)]
pub struct Stream {
    language: Language,
    /// The dialect is supposed and not set, so that a job's first mark may show another.
    is_doubtful: bool,
    /// Marks of the other dialect are looked for.
    may_be_foreign: bool,
    /// A command that only this dialect has was seen since the last cut or silence.
    confirmed: bool,
    charset: Charset,
    text: Vec<u8>,
    command: Vec<u8>,
    payload: Option<Payload>,
    replay: VecDeque<u8>,
    stored: StoredCodes,
    /// False while a device behind the printer is spoken to.
    addressed: bool,
    /// Star's raster mode is on.
    raster: bool,
    macros: Macro,
    silences: u32,
    /// Bytes taken since the start.
    taken: u64,
    /// Where the last cut ended, counted like `taken`.
    cut_at: u64,
    /// Where the other dialect's first mark begins.
    foreign_at: Option<u64>,
    /// What the printer is told, where a footer may be printed.
    printer: Option<Box<Printer>>,
}

impl Stream {
    /// Starts at the printer's defaults.
    pub fn new(language: Language) -> Self {
        Self {
            language,
            is_doubtful: false,
            may_be_foreign: false,
            confirmed: false,
            charset: Charset::new(language),
            text: Vec::new(),
            command: Vec::new(),
            payload: None,
            replay: VecDeque::new(),
            stored: StoredCodes::default(),
            addressed: true,
            raster: false,
            macros: Macro::default(),
            silences: 0,
            taken: 0,
            cut_at: 0,
            foreign_at: None,
            printer: None,
        }
    }

    /// Returns the dialect that is read.
    pub fn language(&self) -> Language {
        self.language
    }

    /// Starts with a dialect that is supposed, if `is_doubtful`: marks of the other are looked for.
    pub(super) fn doubtful(language: Language, is_doubtful: bool) -> Self {
        Self {
            is_doubtful,
            may_be_foreign: is_doubtful,
            ..Self::new(language)
        }
    }

    /// Starts with a dialect that a mark has shown, trusted until the job has ended. Positions go on
    /// from `taken`.
    pub(super) fn trusted(language: Language, taken: u64) -> Self {
        Self {
            is_doubtful: true,
            taken,
            cut_at: taken,
            ..Self::new(language)
        }
    }

    /// Returns where the last cut ended, in bytes since the start.
    pub(super) fn cut_at(&self) -> u64 {
        self.cut_at
    }

    /// Returns where a mark of the other dialect begins, if one was met. Nothing is read behind it.
    pub(super) fn foreign_at(&self) -> Option<u64> {
        self.foreign_at
    }

    /// Returns whether nothing is held back: no text, no part of a command or payload.
    pub fn is_at_rest(&self) -> bool {
        self.payload.is_none() && self.command.is_empty() && self.text.is_empty()
    }

    /// Reads bytes in any chunking and hands each whole item to `sink`.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(Item<'_>)) {
        if !bytes.is_empty() {
            self.silences = 0;
        }
        let mut rest = bytes;
        while self.foreign_at.is_none() {
            if let Some(byte) = self.replay.pop_front() {
                self.take_byte(byte, sink);
                continue;
            }
            let Some(&first) = rest.first() else {
                return;
            };
            let length = if let Some(payload) = &self.payload {
                usize::try_from(payload.remaining).map_or(rest.len(), |most| most.min(rest.len()))
            } else if self.command.is_empty() && self.is_text(first) {
                let end = rest.iter().position(|&b| !self.is_text(b));
                end.unwrap_or(rest.len())
            } else {
                1
            };
            let (part, after) = rest.split_at(length);
            self.taken += part.len() as u64;
            self.macros.record(part);
            if self.payload.is_some() {
                self.take_payload(part, sink);
            } else if self.command.is_empty() && self.is_text(first) {
                self.take_text(part, sink);
            } else {
                self.take_byte(first, sink);
            }
            rest = after;
        }
    }

    /// Resolves what the stream left open when it fell silent. Returns false where a payload that
    /// looks genuine should be waited for once more; call again after another silence.
    pub fn handle_idle(&mut self, sink: &mut impl FnMut(Item<'_>)) -> bool {
        if let Some(payload) = &mut self.payload
            && resync::clean_start(self.language, payload.tail.make_contiguous()).is_none()
            && self.silences < PATIENCE
        {
            self.silences += 1;
            return false;
        }
        self.finish(sink);
        true
    }

    /// Resolves what the stream left open at its end. The printer keeps its settings beyond it.
    pub fn finish(&mut self, sink: &mut impl FnMut(Item<'_>)) {
        // What is left is read as what the stream was so far.
        self.may_be_foreign = false;
        if let Some(payload) = self.payload.take() {
            self.abandon(payload, sink);
        }
        while !self.command.is_empty() {
            match self.read_command(true) {
                Step::Done { effect, used } => self.take_command(effect, used, sink),
                Step::More | Step::Payload { .. } => {
                    self.note_unfinished(None);
                    sink(Item::Skipped(self.command.len() as u64));
                    self.command.clear();
                }
            }
            self.feed(&[], sink);
        }
        // What was read again may have opened a payload of its own; it is not read a third time.
        if let Some(payload) = self.payload.take() {
            self.note_unfinished(Some(payload.remaining));
            sink(Item::Skipped(payload.swallowed));
        }
        self.flush_text(sink);
        self.silences = 0;
        self.confirmed = false;
        self.may_be_foreign = self.is_doubtful;
    }

    fn read_command(&self, at_end: bool) -> Step {
        if !self.addressed {
            return read_unaddressed(&self.command, at_end);
        }
        let context = Context {
            may_be_foreign: self.may_be_foreign,
            at_end,
            raster: self.raster,
            confirmed: self.confirmed,
        };
        read(self.language, &self.command, context)
    }

    /// Whether a byte is printed, in whatever page.
    fn is_text(&self, byte: u8) -> bool {
        is_printable(byte) && !self.raster
    }

    fn take_byte(&mut self, byte: u8, sink: &mut impl FnMut(Item<'_>)) {
        if self.payload.is_some() {
            self.take_payload(&[byte], sink);
        } else if self.command.is_empty() && self.is_text(byte) {
            self.take_text(&[byte], sink);
        } else {
            self.command.push(byte);
            self.advance(sink);
        }
    }

    fn take_text(&mut self, run: &[u8], sink: &mut impl FnMut(Item<'_>)) {
        if !self.addressed {
            return;
        }
        if let Some(printer) = &mut self.printer {
            printer.take_text(run);
        }
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
        match self.read_command(false) {
            Step::More => {}
            Step::Done { effect, used } => self.take_command(effect, used, sink),
            Step::Payload { kind, length, .. } => {
                if let Some(printer) = &mut self.printer {
                    printer.begin_payload(&self.command);
                }
                self.command.clear();
                self.flush_text(sink);
                self.payload = Some(Payload::new(kind, length));
                self.take_payload(&[], sink);
            }
        }
    }

    /// Acts on a command of `used` bytes; what was collected behind it is read again.
    fn take_command(&mut self, effect: Effect, used: usize, sink: &mut impl FnMut(Item<'_>)) {
        for &byte in self.command[used..].iter().rev() {
            self.replay.push_front(byte);
        }
        self.note_command(&effect, used);
        let is_own = matches!(
            (self.language, self.command.as_slice()),
            (Language::EscPos, [GS, ..]) | (Language::Star, [ESC, GS | RS, ..])
        );
        self.confirmed |= is_own && effect != Effect::Unknown;
        self.command.clear();
        if effect == Effect::Setting {
            return;
        }
        self.flush_text(sink);
        match effect {
            Effect::Setting => {}
            Effect::LineFeed => sink(Item::LineFeed),
            Effect::FeedLines(n) => sink(Item::FeedLines(n)),
            Effect::FeedUnits(n) => sink(Item::FeedUnits(n)),
            Effect::LineSpacing(n) => sink(Item::LineSpacing(n)),
            Effect::MotionUnits(across, along) => sink(Item::MotionUnits(across, along)),
            Effect::Tab => sink(Item::Tab),
            Effect::CarriageReturn => sink(Item::CarriageReturn),
            Effect::Column(unit) => sink(Item::Column(unit)),
            Effect::Shift(units) => sink(Item::Shift(units)),
            Effect::TabStops(stops) => sink(Item::TabStops(&stops)),
            Effect::PrintMode(n) => sink(Item::PrintMode(n)),
            Effect::Size(n) => sink(Item::Size(n)),
            Effect::Font(n) => sink(Item::Font(n)),
            Effect::Pitch(n) => sink(Item::Pitch(n)),
            Effect::Spacing(n) => sink(Item::Spacing(n)),
            Effect::Page(step) => sink(Item::Page(step)),
            Effect::Cut => {
                self.cut_at = self.position();
                self.confirmed = false;
                self.may_be_foreign = self.is_doubtful;
                sink(Item::Cut);
            }
            Effect::Kick => sink(Item::DrawerKick),
            Effect::Logo => sink(Item::Image { dots: None }),
            Effect::Code(kind, data) => self.print_code(kind, &data, sink),
            Effect::StoredCode(kind) => self.print_stored(kind, sink),
            Effect::Unknown => sink(Item::Unknown),
            Effect::Init => {
                self.charset = Charset::new(self.language);
                self.stored.clear();
                self.raster = false;
                sink(Item::Init);
            }
            Effect::CodePage(n) => self.charset.page = Some(n),
            Effect::International(n) => self.charset.international = n,
            Effect::Utf8(on) => self.charset.utf8 = on,
            Effect::Kanji(choice) => match choice {
                KanjiChoice::Mode(on) => self.charset.kanji = Some(on),
                KanjiChoice::Code(n) => self.charset.kanji_code = Some(n),
                KanjiChoice::ShiftJis(on) => self.charset.shift_jis = Some(on),
                KanjiChoice::Jis(on) => self.charset.jis = on,
            },
            Effect::Addressed(printer) => self.addressed = printer,
            Effect::Raster(on) => self.raster = on,
            Effect::MacroMark => self.macros.mark(),
            Effect::MacroRun(times) => self.run_macro(times, sink),
            Effect::ForeignMark => {
                self.foreign_at = Some(self.position().saturating_sub(used as u64));
            }
        }
    }

    /// How far the stream is read, without what is collected and read again.
    fn position(&self) -> u64 {
        self.taken.saturating_sub(self.replay.len() as u64)
    }

    fn print_code(&self, kind: Symbology, data: &[u8], sink: &mut impl FnMut(Item<'_>)) {
        sink(Item::Code {
            kind,
            data,
            charset: self.charset,
        });
    }

    fn print_stored(&self, kind: Symbology, sink: &mut impl FnMut(Item<'_>)) {
        if let Some(data) = self.stored.content(kind) {
            self.print_code(kind, data, sink);
        }
    }

    fn run_macro(&mut self, times: u8, sink: &mut impl FnMut(Item<'_>)) {
        let Some(bytes) = self.macros.begin_run(times) else {
            return;
        };
        let behind = std::mem::take(&mut self.replay);
        self.note_run(true);
        for byte in bytes {
            self.take_byte(byte, sink);
            while let Some(again) = self.replay.pop_front() {
                self.take_byte(again, sink);
            }
        }
        self.macros.end_run();
        self.note_run(false);
        self.replay = behind;
    }

    fn take_payload(&mut self, part: &[u8], sink: &mut impl FnMut(Item<'_>)) {
        let Some(payload) = &mut self.payload else {
            return;
        };
        payload.take(part);
        if payload.remaining > 0 {
            return;
        }
        let Some(mut payload) = self.payload.take() else {
            return;
        };
        self.note_payload(&mut payload);
        match payload.kind {
            PayloadKind::Part(Some(ref next)) => self.command.extend_from_slice(next),
            PayloadKind::Code2d => self.take_symbol(&payload.head, sink),
            PayloadKind::Stored(kind) => self.stored.store(kind, &payload.head),
            PayloadKind::StoredFirst(kind, next) => {
                self.stored.store(kind, &payload.head);
                self.command.extend(next.unwrap_or_default());
            }
            PayloadKind::StoredMore(kind, next) => {
                self.stored.add(kind, &payload.head);
                self.command.extend(next.unwrap_or_default());
            }
            PayloadKind::Barcode(kind) => self.print_code(kind, &payload.head, sink),
            PayloadKind::Part(None)
            | PayloadKind::Ignored
            | PayloadKind::Image { .. }
            | PayloadKind::Graphics => payload.announce_image(sink),
        }
    }

    /// `GS ( k cn fn m …`: function 80 stores a code's content, 81 prints it.
    fn take_symbol(&mut self, head: &[u8], sink: &mut impl FnMut(Item<'_>)) {
        match *head {
            [cn, 80, _, ref data @ ..] => self.stored.store(Symbology::of_epson_symbol(cn), data),
            [cn, 81, ..] => self.print_stored(Symbology::of_epson_symbol(cn), sink),
            _ => {}
        }
    }

    /// Ends a payload that was never completed, and reads again what it swallowed of the receipt.
    fn abandon(&mut self, mut payload: Payload, sink: &mut impl FnMut(Item<'_>)) {
        if let PayloadKind::Barcode(_) = payload.kind {
            // A barcode that was never whole is none.
        } else {
            payload.announce_image(sink);
        }
        self.note_unfinished(Some(payload.remaining));
        let tail = payload.tail.make_contiguous();
        let found = resync::clean_start(self.language, tail);
        let recovered = found.map_or(0, |start| tail.len() - start);
        let lost = payload.swallowed - recovered as u64;
        if lost > 0 {
            sink(Item::Skipped(lost));
        }
        if let Some(start) = found {
            self.replay.extend(&tail[start..]);
        }
        self.raster = false;
        self.feed(&[], sink);
    }
}

/// Whether a byte is printed, in whatever page.
fn is_printable(byte: u8) -> bool {
    byte >= 0x20 && byte != 0x7F
}

fn read(language: Language, bytes: &[u8], context: Context) -> Step {
    match language {
        Language::EscPos => escpos::read(bytes, context),
        Language::Star => star::read(bytes, context),
    }
}

/// What is sent to a device behind the printer is not ours until `ESC =` comes back to the printer.
fn read_unaddressed(bytes: &[u8], at_end: bool) -> Step {
    match (bytes.first(), bytes.get(1)) {
        (Some(&ESC), Some(b'=')) if bytes.len() > 2 || !at_end => escpos::read(
            bytes,
            Context {
                may_be_foreign: false,
                at_end,
                raster: false,
                confirmed: false,
            },
        ),
        (Some(&ESC), None) if !at_end => Step::More,
        _ => super::command::done(Effect::Setting, 1),
    }
}

#[cfg(test)]
mod tests;
