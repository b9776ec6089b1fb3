//! What a command amounts to, in either dialect: what the grammars return and the stream acts on.

use super::item::PageStep;
use super::symbol::Symbology;

/// Largest payload that is believed. A command that declares more is taken for damage: its header is
/// dropped and reading goes on behind it, so no stream can hold the decoder longer than this.
pub(super) const MAX_PAYLOAD_BYTES: u64 = 4 << 20;
/// Longest barcode of a form that runs to a terminator; a longer one is ended here.
pub(super) const MAX_BARCODE_BYTES: usize = 255;
/// Most stops of horizontal tabs; bytes behind them are text again.
pub(super) const MAX_TABS: usize = 32;

pub(super) const NUL: u8 = 0x00;
pub(super) const BEL: u8 = 0x07;
pub(super) const LF: u8 = 0x0A;
pub(super) const FF: u8 = 0x0C;
pub(super) const CR: u8 = 0x0D;
pub(super) const DLE: u8 = 0x10;
pub(super) const CAN: u8 = 0x18;
pub(super) const ESC: u8 = 0x1B;
pub(super) const FS: u8 = 0x1C;
pub(super) const GS: u8 = 0x1D;
pub(super) const RS: u8 = 0x1E;

/// What a whole command means to a reader of receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// Changes nothing that a reader sees.
    Setting,
    LineFeed,
    FeedLines(u8),
    FeedUnits(i16),
    LineSpacing(Option<u8>),
    MotionUnits(u8, u8),
    Tab,
    CarriageReturn,
    Column(u16),
    Shift(i16),
    TabStops(Vec<u8>),
    Cut,
    Kick,
    Init,
    CodePage(u8),
    Kanji(KanjiChoice),
    International(u8),
    Utf8(bool),
    PrintMode(u8),
    Size(u8),
    Font(u8),
    Pitch(u8),
    Spacing(u8),
    Page(PageStep),
    Logo,
    Code(Symbology, Vec<u8>),
    /// Prints the code that was stored for this symbology.
    StoredCode(Symbology),
    /// `ESC =`: whether the printer is spoken to, or a device behind it.
    Addressed(bool),
    /// `GS :` begins the definition of a macro and ends it.
    MacroMark,
    /// `GS ^` runs the macro so often.
    MacroRun(u8),
    /// Star's raster mode begins (true) or ends.
    Raster(bool),
    /// A mark of the other dialect.
    ForeignMark,
    /// Not a command of this dialect.
    Unknown,
}

/// What a stream says of characters of more than one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KanjiChoice {
    /// Epson's `FS &` and `FS .`.
    Mode(bool),
    /// Epson's `FS C n`.
    Code(u8),
    /// Star's `ESC $ n`: Shift-JIS.
    ShiftJis(bool),
    /// Star's `ESC p` and `ESC q`: JIS.
    Jis(bool),
}

/// What a payload is, so that its end can be acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PayloadKind {
    Ignored,
    Image {
        width: u32,
        height: u32,
    },
    /// `GS ( L` and `GS 8 L`: the function stands in the payload.
    Graphics,
    /// `GS ( k`: the function stands in the payload.
    Code2d,
    /// A printed barcode.
    Barcode(Symbology),
    /// The content of a code that is printed later.
    Stored(Symbology),
    /// The first block of such a content, and the header of the next.
    StoredFirst(Symbology, Option<Vec<u8>>),
    /// A further block of such a content, and the header of the next.
    StoredMore(Symbology, Option<Vec<u8>>),
    /// A part of a command of many parts: the header to go on with.
    Part(Option<Vec<u8>>),
}

/// What the bytes so far amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// More bytes are needed.
    More,
    /// A whole command of `used` bytes; what stands behind them is read again.
    Done { effect: Effect, used: usize },
    /// A header of `used` bytes, followed by `length` bytes of payload.
    Payload {
        kind: PayloadKind,
        used: usize,
        length: u64,
    },
}

/// How much a reader knows beyond the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Context {
    /// Marks of the other dialect are looked for.
    pub(super) may_be_foreign: bool,
    /// Nothing follows: what can stand by itself does.
    pub(super) at_end: bool,
    /// Star's raster mode is on.
    pub(super) raster: bool,
    /// A command that only this dialect has was seen.
    pub(super) confirmed: bool,
}

pub(super) fn done(effect: Effect, used: usize) -> Step {
    Step::Done { effect, used }
}

/// A command of fixed length whose effect does not depend on its parameters.
pub(super) fn fixed(bytes: &[u8], length: usize, effect: Effect) -> Step {
    if bytes.len() < length {
        return Step::More;
    }
    done(effect, length)
}

/// A command that ends with one parameter, which stands at `at`.
pub(super) fn byte_at(bytes: &[u8], at: usize, effect: impl FnOnce(u8) -> Effect) -> Step {
    match bytes.get(at) {
        Some(&n) => done(effect(n), at + 1),
        None => Step::More,
    }
}

/// A command that ends with a little-endian pair, which begins at `at`.
pub(super) fn word_at(bytes: &[u8], at: usize, effect: impl FnOnce(u16) -> Effect) -> Step {
    match word(bytes, at) {
        Some(n) => done(effect(n), at + 2),
        None => Step::More,
    }
}

pub(super) fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let low = *bytes.get(at)?;
    let high = *bytes.get(at + 1)?;
    Some(u16::from_le_bytes([low, high]))
}

pub(super) fn payload(kind: PayloadKind, used: usize, length: u64) -> Step {
    if length > MAX_PAYLOAD_BYTES {
        return done(Effect::Unknown, used);
    }
    Step::Payload { kind, used, length }
}

/// A prefix and a byte that is no command. A control byte there begins something of its own.
pub(super) fn unknown(letter: u8) -> Step {
    done(Effect::Unknown, if letter < 0x20 { 1 } else { 2 })
}

/// `ESC D n1 … nk NUL`: ascending stops. A byte that does not ascend ends the command, as it does in
/// the printer.
pub(super) fn read_tab_stops(bytes: &[u8]) -> Step {
    let stops = bytes.get(2..).unwrap_or_default();
    let mut last = 0;
    for (i, &stop) in stops.iter().enumerate() {
        if stop == 0 {
            return done(Effect::TabStops(stops[..i].to_vec()), i + 3);
        }
        if stop <= last || i == MAX_TABS {
            return done(Effect::TabStops(stops[..i].to_vec()), i + 2);
        }
        last = stop;
    }
    Step::More
}

/// What the tables' tests share.
#[cfg(test)]
pub(super) mod testing {
    use super::{Context, Effect, Step};

    /// Nothing is known beyond the bytes.
    pub(in crate::receipt) const PLAIN: Context = Context {
        may_be_foreign: false,
        at_end: false,
        raster: false,
        confirmed: false,
    };

    /// Returns how many bytes a known command takes, its payload with it.
    pub(in crate::receipt) fn used(step: Step, bytes: &[u8]) -> usize {
        match step {
            Step::Done { used, effect } => {
                assert_ne!(effect, Effect::Unknown, "{bytes:02x?}");
                used
            }
            Step::Payload { used, length, .. } => used + usize::try_from(length).unwrap(),
            Step::More => panic!("{bytes:02x?} wants more"),
        }
    }
}
