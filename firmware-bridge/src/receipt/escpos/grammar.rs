//! How long each ESC/POS command is and what it does, as a pure function of the bytes so far.
//!
//! Lengths follow Epson's command reference; where clones disagree, the reading is the one that
//! keeps the text behind the command (see the single arms).

use super::item::CodeKind;

pub(super) const ESC: u8 = 0x1B;
pub(super) const FS: u8 = 0x1C;
pub(super) const GS: u8 = 0x1D;
pub(super) const DLE: u8 = 0x10;
const RS: u8 = 0x1E;
const LF: u8 = 0x0A;

/// Most stops that `ESC D` sets; bytes behind them are text again.
pub(super) const MAX_TABS: usize = 32;
/// Longest barcode of the form that runs to NUL; a longer one is ended here.
const MAX_BARCODE_BYTES: usize = 255;
/// Largest payload that is believed. A command that declares more is taken for damage: its header is
/// dropped and reading goes on behind it, so no stream can hold the decoder longer than this.
pub(super) const MAX_PAYLOAD_BYTES: u64 = 4 << 20;

/// What a whole command means to a reader of receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// Changes nothing that a reader sees.
    Setting,
    LineFeed,
    Tab,
    CarriageReturn,
    Column(u16),
    Shift(i16),
    TabStops(Vec<u8>),
    Cut,
    Kick,
    Init,
    CodePage(u8),
    Kanji(bool),
    KanjiCode(u8),
    International(u8),
    PrintMode(u8),
    Size(u8),
    Font(u8),
    Logo,
    Barcode(Vec<u8>),
    /// A mark of Star; behind its prefix the letter and the parameter are still due.
    StarMark {
        prefix: bool,
    },
    /// Not a command of this dialect.
    Unknown,
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
    Barcode(CodeKind),
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
    /// Star's marks are looked for.
    pub(super) may_be_star: bool,
    /// Nothing follows: what can stand by itself does.
    pub(super) at_end: bool,
}

/// Reads the command that starts at `bytes[0]`, a control byte.
pub(super) fn read(bytes: &[u8], context: Context) -> Step {
    let Some(&first) = bytes.first() else {
        return Step::More;
    };
    match first {
        0x09 => done(Effect::Tab, 1),
        LF | 0x0C => done(Effect::LineFeed, 1),
        0x0D => done(Effect::CarriageReturn, 1),
        ESC => read_esc(bytes, context),
        GS => read_gs(bytes, context),
        FS => read_fs(bytes),
        DLE => read_dle(bytes),
        // CAN clears a page's data; NUL and BEL are sent as padding and for buzzers.
        0x00 | 0x07 | 0x18 => done(Effect::Setting, 1),
        _ => done(Effect::Unknown, 1),
    }
}

fn done(effect: Effect, used: usize) -> Step {
    Step::Done { effect, used }
}

/// A command of fixed length whose effect does not depend on its parameters.
fn fixed(bytes: &[u8], length: usize, effect: Effect) -> Step {
    if bytes.len() < length {
        return Step::More;
    }
    done(effect, length)
}

/// A command of prefix, letter and one parameter.
fn one(bytes: &[u8], effect: impl FnOnce(u8) -> Effect) -> Step {
    match bytes.get(2) {
        Some(&n) => done(effect(n), 3),
        None => Step::More,
    }
}

/// A command of prefix, letter and a little-endian pair.
fn pair(bytes: &[u8], effect: impl FnOnce(u16) -> Effect) -> Step {
    match word(bytes, 2) {
        Some(n) => done(effect(n), 4),
        None => Step::More,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let low = *bytes.get(at)?;
    let high = *bytes.get(at + 1)?;
    Some(u16::from_le_bytes([low, high]))
}

fn payload(kind: PayloadKind, used: usize, length: u64) -> Step {
    if length > MAX_PAYLOAD_BYTES {
        return done(Effect::Unknown, used);
    }
    Step::Payload { kind, used, length }
}

/// A prefix and a byte that is no command. A control byte there begins something of its own.
fn unknown(letter: u8) -> Step {
    done(Effect::Unknown, if letter < 0x20 { 1 } else { 2 })
}

/// `( x pL pH` of all three families: 5 + p bytes.
fn parenthesis(bytes: &[u8], kind: impl FnOnce(u8) -> PayloadKind) -> Step {
    let (Some(&function), Some(length)) = (bytes.get(2), word(bytes, 3)) else {
        return Step::More;
    };
    payload(kind(function), 5, u64::from(length))
}

fn read_esc(bytes: &[u8], context: Context) -> Step {
    let Some(&letter) = bytes.get(1) else {
        return Step::More;
    };
    match letter {
        GS | RS if context.may_be_star => done(Effect::StarMark { prefix: true }, 2),
        0x0C => done(Effect::LineFeed, 2),
        b'@' => done(Effect::Init, 2),
        b'i' if context.may_be_star => read_cut_or_star_size(bytes, context),
        b'i' | b'm' => done(Effect::Cut, 2),
        b'<' | b'2' | b'L' | b'S' | b'q' | b'v' => done(Effect::Setting, 2),
        b'!' => one(bytes, Effect::PrintMode),
        b'M' => one(bytes, Effect::Font),
        b'R' => one(bytes, Effect::International),
        b't' => one(bytes, Effect::CodePage),
        // Feeds print what is in the line, also those of no length.
        b'd' | b'J' | b'K' | b'e' => one(bytes, |_| Effect::LineFeed),
        b' ' | b'%' | b'-' | b'3' | b'=' | b'?' | b'C' | b'E' | b'F' | b'G' | b'T' | b'U'
        | b'V' | b'a' | b'r' | b'u' | b'{' => fixed(bytes, 3, Effect::Setting),
        // Two bytes in some dialects, three in others: only a binary switch is a parameter, since a
        // printable byte may as well be the text that follows.
        b'4' | b'5' => match bytes.get(2) {
            Some(0 | 1) => done(Effect::Setting, 3),
            Some(_) => done(Effect::Setting, 2),
            None if context.at_end => done(Effect::Setting, 2),
            None => Step::More,
        },
        b'$' => pair(bytes, Effect::Column),
        b'\\' => pair(bytes, |n| Effect::Shift(n.cast_signed())),
        b'f' | b'`' | b'c' => fixed(bytes, 4, Effect::Setting),
        b'p' => read_kick(bytes, context),
        b'W' => fixed(bytes, 10, Effect::Setting),
        b'*' => read_bit_image(bytes),
        b'(' => parenthesis(bytes, |_| PayloadKind::Ignored),
        b'D' => read_tab_stops(bytes),
        b'&' => read_user_characters(bytes),
        other => unknown(other),
    }
}

/// `ESC i` cuts with Epson and sets Star's size with two small numbers behind it. No text follows an
/// Epson cut with two bytes below 6, so those two are Star's mark.
fn read_cut_or_star_size(bytes: &[u8], context: Context) -> Step {
    match (bytes.get(2), bytes.get(3)) {
        (Some(0..=5), Some(0..=5)) => done(Effect::StarMark { prefix: false }, 4),
        (Some(0..=5), None) | (None, _) if !context.at_end => Step::More,
        _ => done(Effect::Cut, 2),
    }
}

/// `ESC p m t1 t2`. One widespread library leaves the times out, so a command in their place is read
/// as what it is.
fn read_kick(bytes: &[u8], context: Context) -> Step {
    match (bytes.get(2), bytes.get(3), bytes.get(4)) {
        (Some(_), Some(&t1), Some(&t2)) => {
            let times_are_a_command = matches!(
                (t1, t2),
                (ESC, b'p' | b'@' | b'd' | b'i' | b'm' | b'a' | b'!')
                    | (GS, b'V')
                    | (FS, b'&' | b'.')
                    | (LF, ESC | GS)
            );
            done(Effect::Kick, if times_are_a_command { 3 } else { 5 })
        }
        (Some(_), None, None) if context.at_end => done(Effect::Kick, 3),
        (Some(_), Some(_), None) if context.at_end => done(Effect::Kick, 4),
        _ => Step::More,
    }
}

/// `ESC * m nL nH`: n columns of 8, 24 or 48 dots.
fn read_bit_image(bytes: &[u8]) -> Step {
    let (Some(&mode), Some(columns)) = (bytes.get(2), word(bytes, 3)) else {
        return Step::More;
    };
    let bytes_a_column: u32 = match mode {
        0..=7 => 1,
        32..=40 => 3,
        71..=73 => 6,
        _ => return done(Effect::Unknown, 3),
    };
    let kind = PayloadKind::Image {
        width: u32::from(columns),
        height: bytes_a_column * 8,
    };
    payload(kind, 5, u64::from(columns) * u64::from(bytes_a_column))
}

/// `ESC D n1 … nk NUL`: ascending stops. A byte that does not ascend ends the command, as it does in
/// the printer.
fn read_tab_stops(bytes: &[u8]) -> Step {
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

/// `ESC & y c1 c2 [x d…]…`: one part for each character from c1 to c2.
fn read_user_characters(bytes: &[u8]) -> Step {
    let (Some(&y), Some(&c1), Some(&c2)) = (bytes.get(2), bytes.get(3), bytes.get(4)) else {
        return Step::More;
    };
    if c1 > c2 {
        return done(Effect::Unknown, 5);
    }
    let Some(&x) = bytes.get(5) else {
        return Step::More;
    };
    let next = (c1 < c2).then(|| vec![ESC, b'&', y, c1 + 1, c2]);
    payload(PayloadKind::Part(next), 6, u64::from(x) * u64::from(y))
}

fn read_gs(bytes: &[u8], _: Context) -> Step {
    let Some(&letter) = bytes.get(1) else {
        return Step::More;
    };
    match letter {
        b':' | b'c' => done(Effect::Setting, 2),
        b'!' => one(bytes, Effect::Size),
        b'/' => fixed(bytes, 3, Effect::Logo),
        // Sets the print position to the line's begin, printing what stands there if told so.
        b'T' => fixed(bytes, 3, Effect::LineFeed),
        b'B' | b'E' | b'H' | b'I' | b'a' | b'b' | b'f' | b'h' | b'j' | b'r' | b'w' => {
            fixed(bytes, 3, Effect::Setting)
        }
        // Vertical positions of page mode: another line of the paper.
        b'$' | b'\\' => fixed(bytes, 4, Effect::LineFeed),
        b'L' | b'P' | b'W' => fixed(bytes, 4, Effect::Setting),
        b'^' | b'z' => fixed(bytes, 5, Effect::Setting),
        b'g' => fixed(bytes, 6, Effect::Setting),
        b'V' => match bytes.get(2) {
            Some(0 | 1 | 48 | 49) => done(Effect::Cut, 3),
            Some(65 | 66 | 97 | 98 | 103 | 104) => fixed(bytes, 4, Effect::Cut),
            Some(_) => done(Effect::Unknown, 3),
            None => Step::More,
        },
        b'(' => parenthesis(bytes, |function| match function {
            b'L' => PayloadKind::Graphics,
            b'k' => PayloadKind::Code2d,
            _ => PayloadKind::Ignored,
        }),
        b'8' => read_gs_8(bytes),
        b'v' | b'Q' => read_raster(bytes),
        b'*' => {
            let (Some(&x), Some(&y)) = (bytes.get(2), bytes.get(3)) else {
                return Step::More;
            };
            payload(PayloadKind::Ignored, 4, 8 * u64::from(x) * u64::from(y))
        }
        b'k' => read_barcode(bytes),
        other => unknown(other),
    }
}

/// `GS 8 L p1 p2 p3 p4`: graphics with a length of 32 bits.
fn read_gs_8(bytes: &[u8]) -> Step {
    match bytes.get(2) {
        None => return Step::More,
        Some(b'L') => {}
        Some(_) => return done(Effect::Unknown, 2),
    }
    let Some(length) = bytes.get(3..7).and_then(|p| <[u8; 4]>::try_from(p).ok()) else {
        return Step::More;
    };
    payload(
        PayloadKind::Graphics,
        7,
        u64::from(u32::from_le_bytes(length)),
    )
}

/// `GS v 0 m xL xH yL yH` and `GS Q 0 …`: x bytes wide, y dots high.
fn read_raster(bytes: &[u8]) -> Step {
    match bytes.get(2) {
        None => return Step::More,
        Some(b'0' | 0) => {}
        Some(_) => return done(Effect::Unknown, 2),
    }
    let (Some(x), Some(y)) = (word(bytes, 4), word(bytes, 6)) else {
        return Step::More;
    };
    let kind = PayloadKind::Image {
        width: u32::from(x) * 8,
        height: u32::from(y),
    };
    payload(kind, 8, u64::from(x) * u64::from(y))
}

/// `GS k m …`: to NUL for m up to 6, by a length byte from 65 on.
fn read_barcode(bytes: &[u8]) -> Step {
    let Some(&system) = bytes.get(2) else {
        return Step::More;
    };
    match system {
        0..=6 => {
            let data = bytes.get(3..).unwrap_or_default();
            // These systems hold printable characters only, so another byte means a lost NUL.
            let end = data
                .iter()
                .take(MAX_BARCODE_BYTES)
                .position(|b| !(0x20..0x7F).contains(b));
            match end {
                Some(end) => {
                    let terminated = data[end] == 0;
                    let used = 3 + end + usize::from(terminated);
                    done(Effect::Barcode(data[..end].to_vec()), used)
                }
                None if data.len() >= MAX_BARCODE_BYTES => done(
                    Effect::Barcode(data[..MAX_BARCODE_BYTES].to_vec()),
                    3 + MAX_BARCODE_BYTES,
                ),
                None => Step::More,
            }
        }
        65.. => match bytes.get(3) {
            Some(&length) => payload(
                PayloadKind::Barcode(CodeKind::of_barcode(system)),
                4,
                u64::from(length),
            ),
            None => Step::More,
        },
        _ => done(Effect::Unknown, 3),
    }
}

fn read_fs(bytes: &[u8]) -> Step {
    let Some(&letter) = bytes.get(1) else {
        return Step::More;
    };
    match letter {
        b'&' => done(Effect::Kanji(true), 2),
        b'.' => done(Effect::Kanji(false), 2),
        b'L' | b'b' | b'c' => done(Effect::Setting, 2),
        b'C' => one(bytes, |n| Effect::KanjiCode(n & 0x0F)),
        b'!' | b'-' | b'W' => fixed(bytes, 3, Effect::Setting),
        b'S' | b'?' => fixed(bytes, 4, Effect::Setting),
        b'p' => fixed(bytes, 4, Effect::Logo),
        b'(' => parenthesis(bytes, |_| PayloadKind::Ignored),
        b'q' => read_stored_logos(bytes),
        // A user-defined kanji of 24 × 24 dots.
        b'2' => match bytes.get(3) {
            Some(_) => payload(PayloadKind::Ignored, 4, 72),
            None => Step::More,
        },
        other => unknown(other),
    }
}

/// `FS q n [xL xH yL yH d…]n`: one part for each of n stored logos.
fn read_stored_logos(bytes: &[u8]) -> Step {
    let Some(&count) = bytes.get(2) else {
        return Step::More;
    };
    if count == 0 {
        return done(Effect::Unknown, 3);
    }
    let (Some(x), Some(y)) = (word(bytes, 3), word(bytes, 5)) else {
        return Step::More;
    };
    let next = (count > 1).then(|| vec![FS, b'q', count - 1]);
    payload(PayloadKind::Part(next), 7, 8 * u64::from(x) * u64::from(y))
}

fn read_dle(bytes: &[u8]) -> Step {
    let Some(&letter) = bytes.get(1) else {
        return Step::More;
    };
    match letter {
        0x04 => match bytes.get(2) {
            Some(0 | 7 | 8 | 18) => fixed(bytes, 4, Effect::Setting),
            Some(_) => done(Effect::Setting, 3),
            None => Step::More,
        },
        0x05 => fixed(bytes, 3, Effect::Setting),
        0x14 => match bytes.get(2) {
            Some(1) => fixed(bytes, 5, Effect::Kick),
            Some(2) => fixed(bytes, 5, Effect::Setting),
            Some(3) => fixed(bytes, 8, Effect::Setting),
            Some(7) => fixed(bytes, 4, Effect::Setting),
            Some(8) => fixed(bytes, 10, Effect::Setting),
            Some(_) => done(Effect::Unknown, 3),
            None => Step::More,
        },
        other => unknown(other),
    }
}

/// Returns how many bytes the command at `bytes[0]` takes with its payload, if it is whole and known.
pub(super) fn whole_length(bytes: &[u8]) -> Option<(usize, bool)> {
    let context = Context {
        may_be_star: false,
        at_end: true,
    };
    match read(bytes, context) {
        Step::More => None,
        Step::Done { effect, used } => {
            (effect != Effect::Unknown).then_some((used, effect == Effect::Cut))
        }
        Step::Payload { kind, used, length } => {
            let whole = used.checked_add(usize::try_from(length).ok()?)?;
            let parts_follow = matches!(kind, PayloadKind::Part(_));
            (!parts_follow && whole <= bytes.len()).then_some((whole, false))
        }
    }
}

#[cfg(test)]
mod tests;
