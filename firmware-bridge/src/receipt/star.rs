//! How long each command of Star's dialects is and what it does: Star Line Mode, StarPRNT and, as far
//! as their printers share it, the mode of dot printers.
//!
//! Lengths follow Star's command specifications. Parameters may be numbers or the digits that write
//! them. Where a letter is in no specification, prefix and letter are dropped and counted.
//!
//! Deliberately absent: Star's label language ("Page Mode" of `ESC … LF NUL` commands), slip and
//! validation stations beyond the length of what selects them.

use super::command::{
    BEL, CAN, CR, Context, ESC, Effect, FF, FS, GS, KanjiChoice, LF, MAX_BARCODE_BYTES, NUL,
    PayloadKind, RS, Step, byte_at, done, fixed, payload, read_tab_stops, unknown, word,
};
use super::item::PageStep;
use super::symbol::Symbology;

mod extended;
mod raster;

/// Longest parameter that runs to its terminator, in bytes: memory switches and raster settings.
const MAX_TERMINATED_BYTES: usize = 264;
const DOUBLE_WIDTH: u8 = 0x10;

/// Reads the command that starts at `bytes[0]`: a control byte, or any byte in raster mode.
pub(super) fn read(bytes: &[u8], context: Context) -> Step {
    let Some(&first) = bytes.first() else {
        return Step::More;
    };
    if context.raster && first != ESC {
        return raster::read_line(bytes);
    }
    match first {
        0x09 => done(Effect::Tab, 1),
        // LF, and VT to the next vertical stop.
        LF | 0x0B => done(Effect::LineFeed, 1),
        FF => done(Effect::Page(PageStep::PrintAndEnd), 1),
        CR => done(Effect::CarriageReturn, 1),
        // SO and DC4.
        0x0E => done(Effect::Size(DOUBLE_WIDTH), 1),
        0x14 => done(Effect::Size(0), 1),
        CAN => done(Effect::Page(PageStep::Cancel), 1),
        // The first and the second drive of a drawer, at once or with the line.
        BEL | 0x19 | 0x1A => done(Effect::Kick, 1),
        FS => read_fs(bytes, context),
        ESC => read_esc(bytes),
        GS if context.may_be_foreign && !context.confirmed => read_epson_mark(bytes, context),
        // NUL; ETX, EOT, ENQ and ETB ask for status; SI and DC2 turn upside down and back; DC1 and DC3
        // are flow control; RS and the like sound a buzzer.
        NUL | 0x03..=0x06 | 0x0F | 0x11..=0x13 | 0x15 | 0x17 | RS => done(Effect::Setting, 1),
        _ => done(Effect::Unknown, 1),
    }
}

/// A command that runs to NUL.
fn terminated(bytes: &[u8], from: usize, effect: impl FnOnce(&[u8]) -> Effect) -> Step {
    let data = bytes.get(from..).unwrap_or_default();
    match data
        .iter()
        .take(MAX_TERMINATED_BYTES)
        .position(|&b| b == NUL)
    {
        Some(end) => done(effect(&data[..end]), from + end + 1),
        None if data.len() >= MAX_TERMINATED_BYTES => done(Effect::Unknown, from),
        None => Step::More,
    }
}

/// FS opens a drawer. Streams for Chinese printers that emulate both dialects send Epson's `FS &` and
/// `FS .`, which no drawer's kick is followed by at once.
fn read_fs(bytes: &[u8], context: Context) -> Step {
    match bytes.get(1) {
        Some(b'&') => done(Effect::Kanji(KanjiChoice::Mode(true)), 2),
        Some(b'.') => done(Effect::Kanji(KanjiChoice::Mode(false)), 2),
        Some(_) => done(Effect::Kick, 1),
        None if context.at_end => done(Effect::Kick, 1),
        None => Step::More,
    }
}

/// Star has no command that begins with GS, so what is one of Epson's is a mark of it: a cut, a size
/// or an alignment with a parameter that the command can have.
fn read_epson_mark(bytes: &[u8], context: Context) -> Step {
    let Some(&letter) = bytes.get(1) else {
        return if context.at_end {
            done(Effect::Unknown, 1)
        } else {
            Step::More
        };
    };
    let parameter = match (letter, bytes.get(2)) {
        (b'V' | b'!' | b'a' | b'k' | b'(' | b'B' | b'v', Some(&n)) => n,
        (b'V' | b'!' | b'a' | b'k' | b'(' | b'B' | b'v', None) if !context.at_end => {
            return Step::More;
        }
        _ => return done(Effect::Unknown, 1),
    };
    let is_epson = match letter {
        b'V' => matches!(parameter, 0 | 1 | 48 | 49 | 65 | 66),
        b'!' => parameter & 0x88 == 0,
        b'a' | b'B' => matches!(parameter, 0..=2 | 48..=50),
        b'k' => matches!(parameter, 0..=6 | 65..=79),
        b'(' => matches!(parameter, b'k' | b'L' | b'A' | b'E' | b'K'),
        _ => matches!(parameter, b'0' | 0),
    };
    let effect = if is_epson {
        Effect::ForeignMark
    } else {
        Effect::Unknown
    };
    done(effect, if is_epson { 3 } else { 1 })
}

fn read_esc(bytes: &[u8]) -> Step {
    let Some(&letter) = bytes.get(1) else {
        return Step::More;
    };
    match letter {
        GS => extended::read_esc_gs(bytes),
        RS => extended::read_esc_rs(bytes),
        b'@' => done(Effect::Init, 2),
        b'd' => byte_at(bytes, 2, read_cut),
        // A form feed of raster mode: cuts, or ends the document.
        FF => byte_at(bytes, 2, |n| match n {
            0x00 | 0x04 => Effect::Cut,
            _ => Effect::Setting,
        }),
        b'i' => match (bytes.get(2), bytes.get(3)) {
            (Some(_), Some(&width)) => done(Effect::Size(width_bits(width)), 4),
            _ => Step::More,
        },
        b'W' => byte_at(bytes, 2, |n| Effect::Size(width_bits(n))),
        b'R' => byte_at(bytes, 2, |n| Effect::International(digit(n))),
        b'$' => byte_at(bytes, 2, |n| {
            Effect::Kanji(KanjiChoice::ShiftJis(n & 1 == 1))
        }),
        b'p' => done(Effect::Kanji(KanjiChoice::Jis(true)), 2),
        b'q' => done(Effect::Kanji(KanjiChoice::Jis(false)), 2),
        b'M' => done(Effect::Pitch(12), 2),
        b'P' => done(Effect::Pitch(15), 2),
        b':' => done(Effect::Pitch(16), 2),
        b'g' => done(Effect::Pitch(14), 2),
        b' ' => byte_at(bytes, 2, |n| Effect::Spacing(digit(n))),
        b'a' => byte_at(bytes, 2, Effect::FeedLines),
        b'J' | b'I' => byte_at(bytes, 2, |n| Effect::FeedUnits(n.into())),
        // Emphasis, highlight, line spacing, bottom margin, upside down; SO and DC4 set the height.
        b'E' | b'F' | b'4' | b'5' | b'0' | b'1' | b'2' | b'O' | 0x0E | 0x14 => {
            done(Effect::Setting, 2)
        }
        b'/' | b'h' | b'-' | b'_' | b'z' | b'N' | b'l' | b'Q' | b'A' | b'3' | b'y' | b'c'
        | b'%' | b't' | b'u' | 0x06 | 0x0F | 0x19 | 0x1F => fixed(bytes, 3, Effect::Setting),
        b'C' => match bytes.get(2) {
            Some(0) => fixed(bytes, 4, Effect::Setting),
            Some(_) => done(Effect::Setting, 3),
            None => Step::More,
        },
        b's' | BEL | 0x0B | 0x16 => fixed(bytes, 4, Effect::Setting),
        b'+' => fixed(bytes, 6, Effect::Setting),
        b'D' => read_tab_stops(bytes),
        b'B' => match read_tab_stops(bytes) {
            Step::Done { used, .. } => done(Effect::Setting, used),
            more @ (Step::More | Step::Payload { .. }) => more,
        },
        b'#' => terminated(bytes, 2, |_| Effect::Setting),
        b'b' => read_barcode(bytes),
        b'&' => read_user_character(bytes),
        FS => read_esc_fs(bytes),
        b'*' => raster::read_setting(bytes),
        b'K' | b'L' | b'k' | b'X' => read_image(bytes, letter),
        other => unknown(other),
    }
}

/// `ESC d n`: full or partial cut, at once or behind a feed.
fn read_cut(n: u8) -> Effect {
    match n {
        0..=3 | b'0'..=b'3' => Effect::Cut,
        _ => Effect::Unknown,
    }
}

/// Returns the number that a parameter is, written as such or as a hexadecimal digit.
fn digit(n: u8) -> u8 {
    match n {
        b'0'..=b'9' => n - b'0',
        b'A'..=b'F' => n - b'A' + 10,
        _ => n,
    }
}

/// Returns a width less one as `GS !` writes it.
fn width_bits(n: u8) -> u8 {
    (digit(n) & 7) << 4
}

/// `ESC b n1 n2 n3 n4 d1 … dk RS`.
fn read_barcode(bytes: &[u8]) -> Step {
    let (Some(&system), Some(_)) = (bytes.get(2), bytes.get(5)) else {
        return Step::More;
    };
    let data = &bytes[6..];
    // Content is printable, so another byte means a lost RS; a line feed ends it for old printers.
    let end = data
        .iter()
        .take(MAX_BARCODE_BYTES)
        .position(|b| !(0x20..0x7F).contains(b));
    let code = |data: &[u8]| Effect::Code(Symbology::of_star_barcode(system), data.to_vec());
    match end {
        Some(end) => {
            let terminated = data[end] == RS;
            done(code(&data[..end]), 6 + end + usize::from(terminated))
        }
        None if data.len() >= MAX_BARCODE_BYTES => {
            done(code(&data[..MAX_BARCODE_BYTES]), 6 + MAX_BARCODE_BYTES)
        }
        None => Step::More,
    }
}

/// `ESC & 1 1 n d…`: a character of 12 × 24 dots; `ESC & 1 0 n` forgets it.
fn read_user_character(bytes: &[u8]) -> Step {
    let (Some(_), Some(&define), Some(_)) = (bytes.get(2), bytes.get(3), bytes.get(4)) else {
        return Step::More;
    };
    let length = if digit(define) == 1 { 48 } else { 0 };
    payload(PayloadKind::Ignored, 5, length)
}

/// `ESC FS p n m` prints a stored logo, `ESC FS q n [xL xH yL yH d…]n` stores logos.
fn read_esc_fs(bytes: &[u8]) -> Step {
    match bytes.get(2) {
        Some(b'p') => fixed(bytes, 5, Effect::Logo),
        Some(b'M') => fixed(bytes, 5, Effect::Setting),
        Some(b'q') => {
            let Some(&count) = bytes.get(3) else {
                return Step::More;
            };
            if count == 0 {
                return done(Effect::Unknown, 4);
            }
            let (Some(x), Some(y)) = (word(bytes, 4), word(bytes, 6)) else {
                return Step::More;
            };
            let next = (count > 1).then(|| vec![ESC, FS, b'q', count - 1]);
            payload(PayloadKind::Part(next), 8, 8 * u64::from(x) * u64::from(y))
        }
        Some(_) => done(Effect::Unknown, 2),
        None => Step::More,
    }
}

/// Images a line of paper high: `ESC K` and `ESC L` of 8 dots, `ESC X` of 24 in columns, `ESC k` of 24
/// in rows of n bytes.
fn read_image(bytes: &[u8], letter: u8) -> Step {
    let Some(n) = word(bytes, 2) else {
        return Step::More;
    };
    let n = u32::from(n);
    let (width, height, length) = match letter {
        b'X' => (n, 24, n * 3),
        b'k' => (n * 8, 24, n * 24),
        _ => (n, 8, n),
    };
    payload(PayloadKind::Image { width, height }, 4, length.into())
}

#[cfg(test)]
mod tests;
