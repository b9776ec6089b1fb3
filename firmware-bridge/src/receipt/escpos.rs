//! How long each ESC/POS command is and what it does, as a pure function of the bytes so far.
//!
//! Lengths follow Epson's command reference; where clones disagree, the reading is the one that
//! keeps the text behind the command (see the single arms).

use super::command::{
    BEL, CAN, CR, Context, DLE, ESC, Effect, FF, FS, GS, KanjiChoice, LF, MAX_BARCODE_BYTES, NUL,
    PayloadKind, RS, Step, byte_at, done, fixed, payload, read_tab_stops, unknown, word, word_at,
};
use super::item::PageStep;
use super::symbol::Symbology;

/// Longest `GS C ;`: five numbers of five digits and their semicolons.
const MAX_COUNTER_BYTES: usize = 40;

/// Reads the command that starts at `bytes[0]`, a control byte.
pub(super) fn read(bytes: &[u8], context: Context) -> Step {
    let Some(&first) = bytes.first() else {
        return Step::More;
    };
    match first {
        0x09 => done(Effect::Tab, 1),
        LF => done(Effect::LineFeed, 1),
        FF => done(Effect::Page(PageStep::PrintAndEnd), 1),
        CR => done(Effect::CarriageReturn, 1),
        ESC => read_esc(bytes, context),
        GS => read_gs(bytes),
        FS => read_fs(bytes),
        DLE => read_dle(bytes),
        CAN => done(Effect::Page(PageStep::Cancel), 1),
        // Sent as padding and for buzzers.
        NUL | BEL => done(Effect::Setting, 1),
        _ => done(Effect::Unknown, 1),
    }
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
        GS | RS | BEL | b'b' | b'X' | b'k' if context.may_be_foreign => {
            read_star_mark(bytes, letter, context)
        }
        FF => done(Effect::Page(PageStep::Print), 2),
        b'@' => done(Effect::Init, 2),
        b'i' if context.may_be_foreign => read_cut_or_star_size(bytes, context),
        b'i' | b'm' => done(Effect::Cut, 2),
        b'L' => done(Effect::Page(PageStep::Begin), 2),
        b'S' => done(Effect::Page(PageStep::End), 2),
        b'2' => done(Effect::LineSpacing(None), 2),
        b'<' | b'q' | b'v' => done(Effect::Setting, 2),
        b'!' => byte_at(bytes, 2, Effect::PrintMode),
        b'M' => byte_at(bytes, 2, Effect::Font),
        b'R' => byte_at(bytes, 2, Effect::International),
        b't' => byte_at(bytes, 2, Effect::CodePage),
        b'3' => byte_at(bytes, 2, |n| Effect::LineSpacing(Some(n))),
        b' ' => byte_at(bytes, 2, Effect::Spacing),
        b'T' => byte_at(bytes, 2, |n| Effect::Page(PageStep::Direction(n & 3))),
        // Bit 0 means the printer, bit 1 a display behind it.
        b'=' => byte_at(bytes, 2, |n| Effect::Addressed(n & 3 != 2)),
        // Feeds print what is in the line, also those of no length.
        b'd' => byte_at(bytes, 2, Effect::FeedLines),
        b'J' => byte_at(bytes, 2, |n| Effect::FeedUnits(n.into())),
        b'K' | b'e' => byte_at(bytes, 2, |_| Effect::FeedUnits(0)),
        b'%' | b'-' | b'?' | b'C' | b'E' | b'F' | b'G' | b'U' | b'V' | b'a' | b'r' | b'u'
        | b'{' => fixed(bytes, 3, Effect::Setting),
        // Two bytes in some dialects, three in others: only a binary switch is a parameter, since a
        // printable byte may as well be the text that follows.
        b'4' | b'5' => match bytes.get(2) {
            Some(0 | 1) => done(Effect::Setting, 3),
            Some(_) => done(Effect::Setting, 2),
            None if context.at_end => done(Effect::Setting, 2),
            None => Step::More,
        },
        b'$' => word_at(bytes, 2, Effect::Column),
        b'\\' => word_at(bytes, 2, |n| Effect::Shift(n.cast_signed())),
        b'f' | b'`' | b'c' => fixed(bytes, 4, Effect::Setting),
        b'p' => read_kick(bytes, context),
        b'W' => read_page_area(bytes),
        b'*' if is_star_raster(bytes, context) => done(Effect::ForeignMark, 3),
        b'*' => read_bit_image(bytes),
        b'(' => parenthesis(bytes, |_| PayloadKind::Ignored),
        b'D' => read_tab_stops(bytes),
        b'B' => read_beep(bytes),
        b'Z' => read_clone_qr(bytes),
        b'&' => read_user_characters(bytes),
        other => unknown(other),
    }
}

/// What Epson's table lacks and Star's streams begin or go on with: `ESC GS` and `ESC RS`, the
/// drawer's times, a barcode with the parameters of one, lines of an image.
///
/// Once a command of Epson's own was seen, what looks like a mark may be the payload of a command that
/// nobody documents; then only an alignment, a font or a page with a parameter that it can have counts.
fn read_star_mark(bytes: &[u8], letter: u8, context: Context) -> Step {
    if context.confirmed {
        return match (letter, bytes.get(2), bytes.get(3)) {
            (RS, Some(b'a' | b'F' | b'A'), Some(0..=3 | b'0'..=b'3'))
            | (GS, Some(b'a'), Some(0..=2 | b'0'..=b'2'))
            | (GS, Some(b't'), Some(0..=34 | 64..=79)) => done(Effect::ForeignMark, 4),
            (RS, Some(b'a' | b'F' | b'A'), None)
            | (GS, Some(b'a' | b't'), None)
            | (RS | GS, None, _)
                if !context.at_end =>
            {
                Step::More
            }
            _ => unknown(letter),
        };
    }
    match (letter, bytes.get(2)) {
        (GS | RS | BEL, _) => done(Effect::ForeignMark, 2),
        (_, None) => Step::More,
        (b'b', Some(0..=13 | b'0'..=b'=')) => match bytes.get(3) {
            Some(1..=4 | b'1'..=b'4') => done(Effect::ForeignMark, 4),
            Some(_) => unknown(letter),
            None => Step::More,
        },
        // The image's width takes two bytes, of which the second is small.
        (b'k' | b'X', Some(_)) => match bytes.get(3) {
            Some(0..=3) => done(Effect::ForeignMark, 4),
            Some(_) => unknown(letter),
            None => Step::More,
        },
        _ => unknown(letter),
    }
}

/// Star's `ESC * r` sets up raster mode; Epson's bit images know no mode r.
fn is_star_raster(bytes: &[u8], context: Context) -> bool {
    context.may_be_foreign && !context.confirmed && bytes.get(2) == Some(&b'r')
}

/// `ESC i` cuts with Epson and sets Star's size with two small numbers behind it, which may be digits.
/// Text hardly follows an Epson cut with two of those, so they are Star's mark, as long as no command
/// of Epson's own was seen.
fn read_cut_or_star_size(bytes: &[u8], context: Context) -> Step {
    let is_size = |byte: u8| matches!(byte, 0..=5 | b'0'..=b'5') && !context.confirmed;
    match (bytes.get(2), bytes.get(3)) {
        (Some(&height), Some(&width)) if is_size(height) && is_size(width) => {
            done(Effect::ForeignMark, 4)
        }
        (Some(&height), None) if is_size(height) && !context.at_end => Step::More,
        (None, _) if !context.at_end && !context.confirmed => Step::More,
        _ => done(Effect::Cut, 2),
    }
}

/// `ESC W xL xH yL yH dxL dxH dyL dyH`.
fn read_page_area(bytes: &[u8]) -> Step {
    let (Some(x), Some(y), Some(width), Some(height)) = (
        word(bytes, 2),
        word(bytes, 4),
        word(bytes, 6),
        word(bytes, 8),
    ) else {
        return Step::More;
    };
    let area = PageStep::Area {
        x,
        y,
        width,
        height,
    };
    done(Effect::Page(area), 10)
}

/// `ESC B n t` of many makers: n beeps of t × 50 ms, both from 1 to 9. Epson has no such command.
fn read_beep(bytes: &[u8]) -> Step {
    match (bytes.get(2), bytes.get(3)) {
        (Some(1..=9), Some(1..=9)) => done(Effect::Setting, 4),
        (Some(1..=9), None) | (None, _) => Step::More,
        (Some(_), _) => done(Effect::Unknown, 2),
    }
}

/// `ESC Z m n k dL dH d…` of many makers: a QR code of version m, n its correction. Epson has no such
/// command, so parameters that it cannot have make it none.
fn read_clone_qr(bytes: &[u8]) -> Step {
    let parameters = bytes.get(2..).unwrap_or_default();
    let is_qr = |at: usize, byte: u8| match at {
        0 => byte <= 40,
        1 => matches!(byte, 0..=4 | b'L' | b'M' | b'Q' | b'H'),
        2 => byte <= 16,
        _ => true,
    };
    if parameters
        .iter()
        .take(3)
        .enumerate()
        .any(|(at, &b)| !is_qr(at, b))
    {
        return done(Effect::Unknown, 2);
    }
    match word(bytes, 5) {
        Some(length) => payload(PayloadKind::Barcode(Symbology::Qr), 7, length.into()),
        None => Step::More,
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

fn read_gs(bytes: &[u8]) -> Step {
    let Some(&letter) = bytes.get(1) else {
        return Step::More;
    };
    match letter {
        b':' => done(Effect::MacroMark, 2),
        b'c' => done(Effect::Setting, 2),
        b'!' => byte_at(bytes, 2, Effect::Size),
        b'/' => fixed(bytes, 3, Effect::Logo),
        // Sets the print position to the line's begin, printing what stands there if told so.
        b'T' => fixed(bytes, 3, Effect::LineFeed),
        b'B' | b'E' | b'H' | b'I' | b'a' | b'b' | b'f' | b'h' | b'j' | b'r' | b'w' => {
            fixed(bytes, 3, Effect::Setting)
        }
        b'$' => word_at(bytes, 2, |n| Effect::Page(PageStep::Down(n))),
        b'\\' => word_at(bytes, 2, |n| {
            Effect::Page(PageStep::DownBy(n.cast_signed()))
        }),
        b'P' => match (bytes.get(2), bytes.get(3)) {
            (Some(&across), Some(&along)) => done(Effect::MotionUnits(across, along), 4),
            _ => Step::More,
        },
        b'L' | b'W' => fixed(bytes, 4, Effect::Setting),
        b'^' => match (bytes.get(2), bytes.get(4)) {
            (Some(&times), Some(_)) => done(Effect::MacroRun(times), 5),
            _ => Step::More,
        },
        b'z' => fixed(bytes, 5, Effect::Setting),
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
        b'C' => read_counter(bytes),
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

/// `GS C 0 n m`, `GS C 1 aL aH bL bH n r`, `GS C 2 nL nH` and `GS C ; a ; b ; n ; r ; c ;` set the
/// counter that `GS c` prints.
fn read_counter(bytes: &[u8]) -> Step {
    match bytes.get(2) {
        Some(b'0' | b'2') => fixed(bytes, 5, Effect::Setting),
        Some(b'1') => fixed(bytes, 9, Effect::Setting),
        Some(b';') => {
            let counted = bytes.iter().enumerate().skip(2);
            let mut ends = counted.filter(|&(_, &b)| b == b';').map(|(at, _)| at);
            match (ends.nth(5), bytes.len() > MAX_COUNTER_BYTES) {
                (Some(end), _) => done(Effect::Setting, end + 1),
                (None, true) => done(Effect::Unknown, 3),
                (None, false) => Step::More,
            }
        }
        Some(_) => done(Effect::Unknown, 2),
        None => Step::More,
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
    let symbology = Symbology::of_epson_barcode(system);
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
                    done(Effect::Code(symbology, data[..end].to_vec()), used)
                }
                None if data.len() >= MAX_BARCODE_BYTES => done(
                    Effect::Code(symbology, data[..MAX_BARCODE_BYTES].to_vec()),
                    3 + MAX_BARCODE_BYTES,
                ),
                None => Step::More,
            }
        }
        65.. => match bytes.get(3) {
            Some(&length) => payload(PayloadKind::Barcode(symbology), 4, u64::from(length)),
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
        b'&' => done(Effect::Kanji(KanjiChoice::Mode(true)), 2),
        b'.' => done(Effect::Kanji(KanjiChoice::Mode(false)), 2),
        b'L' | b'b' | b'c' => done(Effect::Setting, 2),
        b'C' => byte_at(bytes, 2, |n| Effect::Kanji(KanjiChoice::Code(n & 0x0F))),
        b'!' | b'-' | b'W' => fixed(bytes, 3, Effect::Setting),
        b'S' | b'?' => fixed(bytes, 4, Effect::Setting),
        b'p' => fixed(bytes, 4, Effect::Logo),
        b'(' => read_fs_parenthesis(bytes),
        b'q' => read_stored_logos(bytes),
        b'g' => read_user_memory(bytes),
        // A user-defined kanji of 24 × 24 dots.
        b'2' => match bytes.get(3) {
            Some(_) => payload(PayloadKind::Ignored, 4, 72),
            None => Step::More,
        },
        other => unknown(other),
    }
}

/// `FS ( x pL pH …`; of these `FS ( C 2 0 48 n` says whether text is UTF-8.
fn read_fs_parenthesis(bytes: &[u8]) -> Step {
    if bytes.get(2) == Some(&b'C') && matches!(word(bytes, 3), Some(2)) {
        return match (bytes.get(5), bytes.get(6)) {
            (Some(48), Some(&n)) => done(Effect::Utf8(matches!(n, 2 | b'2')), 7),
            (Some(_), Some(_)) => done(Effect::Setting, 7),
            _ => Step::More,
        };
    }
    parenthesis(bytes, |_| PayloadKind::Ignored)
}

/// `FS g 1 m a1 … a4 nL nH d…` writes to the user's memory, `FS g 2 m a1 … a4 nL nH` reads it.
fn read_user_memory(bytes: &[u8]) -> Step {
    match (bytes.get(2), word(bytes, 8)) {
        (Some(b'1'), Some(length)) => payload(PayloadKind::Ignored, 10, length.into()),
        (Some(b'2'), Some(_)) => done(Effect::Setting, 10),
        (Some(b'1' | b'2') | None, _) => Step::More,
        (Some(_), _) => done(Effect::Unknown, 2),
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

#[cfg(test)]
mod tests;
