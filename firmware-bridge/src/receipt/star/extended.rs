//! The commands that begin with `ESC GS` or `ESC RS`.

use super::super::command::{
    BEL, Effect, PayloadKind, Step, byte_at, done, fixed, payload, word, word_at,
};
use super::super::item::PageStep;
use super::super::symbol::Symbology;
use super::{digit, terminated};

/// Longest payload of `ESC GS )` that is read for what it says; longer ones set nothing that a reader
/// sees.
const SHORT_PAYLOAD_BYTES: u16 = 4;

/// `ESC RS x n`: settings of one parameter; `ESC RS L` prints stored logos.
pub(super) fn read_esc_rs(bytes: &[u8]) -> Step {
    match bytes.get(2) {
        Some(b'F') => byte_at(bytes, 3, |n| Effect::Font(digit(n))),
        Some(b'L') => fixed(bytes, 4, Effect::Logo),
        Some(_) => fixed(bytes, 4, Effect::Setting),
        None => Step::More,
    }
}

pub(super) fn read_esc_gs(bytes: &[u8]) -> Step {
    let Some(&letter) = bytes.get(2) else {
        return Step::More;
    };
    match letter {
        b'A' => word_at(bytes, 3, Effect::Column),
        b'R' => word_at(bytes, 3, |n| Effect::Shift(n.cast_signed())),
        b't' => byte_at(bytes, 3, Effect::CodePage),
        b'S' => read_raster_image(bytes),
        b'x' => read_pdf417(bytes),
        b'y' => read_qr(bytes),
        b'P' => read_page(bytes),
        b')' | b'(' => read_parenthesis(bytes),
        b'=' => match word(bytes, 3) {
            Some(length) => payload(PayloadKind::Ignored, 5, length.into()),
            None => Step::More,
        },
        b'#' => terminated(bytes, 3, |_| Effect::Setting),
        b'g' => fixed(bytes, 5, Effect::Setting),
        // Document marks and the drawer's times.
        0x03 | BEL => fixed(bytes, 6, Effect::Setting),
        // Sounds of a buzzer and of a player: EM DC1 m n1 n2, EM DC2 m n1 n2.
        0x19 => fixed(bytes, 7, Effect::Setting),
        // Alignment and all that take one parameter.
        _ => fixed(bytes, 4, Effect::Setting),
    }
}

/// `ESC GS S m xL xH yL yH n d…`: x bytes wide, y dots high.
fn read_raster_image(bytes: &[u8]) -> Step {
    let (Some(x), Some(y), Some(_)) = (word(bytes, 4), word(bytes, 6), bytes.get(8)) else {
        return Step::More;
    };
    let kind = PayloadKind::Image {
        width: u32::from(x) * 8,
        height: u32::from(y),
    };
    payload(kind, 9, u64::from(x) * u64::from(y))
}

/// `ESC GS x S 0 n p1 p2`, `S 1 n` to `S 3 n`, `D nL nH d…`, `P`, `I`.
fn read_pdf417(bytes: &[u8]) -> Step {
    match (bytes.get(3), bytes.get(4)) {
        (Some(b'S'), Some(0 | b'0')) => fixed(bytes, 8, Effect::Setting),
        (Some(b'S'), Some(_)) => fixed(bytes, 6, Effect::Setting),
        (Some(b'D'), _) => match word(bytes, 4) {
            Some(length) => payload(PayloadKind::Stored(Symbology::Pdf417), 6, length.into()),
            None => Step::More,
        },
        (Some(b'P'), _) => done(Effect::StoredCode(Symbology::Pdf417), 4),
        (Some(b'I'), _) => done(Effect::Setting, 4),
        (Some(b'S') | None, _) => Step::More,
        (Some(_), _) => done(Effect::Unknown, 3),
    }
}

/// `ESC GS y S 0 n` to `S 2 n`, `D 1 m nL nH d…`, `D 2 a [m nL nH d…]a`, `P`, `I`.
fn read_qr(bytes: &[u8]) -> Step {
    match (bytes.get(3), bytes.get(4)) {
        (Some(b'S'), Some(_)) => fixed(bytes, 6, Effect::Setting),
        (Some(b'D'), Some(1 | b'1')) => match word(bytes, 6) {
            Some(length) => payload(PayloadKind::Stored(Symbology::Qr), 8, length.into()),
            None => Step::More,
        },
        (Some(b'D'), Some(2 | b'2')) => read_qr_block(bytes),
        // More blocks of the content follow.
        (Some(b'D'), Some(3)) => read_qr_block(bytes),
        (Some(b'D'), Some(_)) => done(Effect::Unknown, 5),
        (Some(b'P'), _) => done(Effect::StoredCode(Symbology::Qr), 4),
        (Some(b'I'), _) => done(Effect::Setting, 4),
        (Some(b'S' | b'D') | None, _) => Step::More,
        (Some(_), _) => done(Effect::Unknown, 3),
    }
}

/// One of so many blocks of a QR code's content. What is made up for the second and further blocks
/// has 3 where the stream says 2.
fn read_qr_block(bytes: &[u8]) -> Step {
    let (Some(&which), Some(&blocks), Some(length)) = (bytes.get(4), bytes.get(5), word(bytes, 7))
    else {
        return Step::More;
    };
    if blocks == 0 {
        return done(Effect::Unknown, 6);
    }
    let next = (blocks > 1).then(|| {
        let mut header = bytes[..4].to_vec();
        header.extend([3, blocks - 1]);
        header
    });
    let kind = if which == 3 {
        PayloadKind::StoredMore(Symbology::Qr, next)
    } else {
        PayloadKind::StoredFirst(Symbology::Qr, next)
    };
    payload(kind, 9, length.into())
}

/// `ESC GS P n …`: page mode.
fn read_page(bytes: &[u8]) -> Step {
    let Some(&function) = bytes.get(3) else {
        return Step::More;
    };
    let page = |step| done(Effect::Page(step), 4);
    match digit(function) {
        0 => page(PageStep::Begin),
        1 => page(PageStep::End),
        2 => {
            let (Some(x), Some(y), Some(width), Some(height)) = (
                word(bytes, 4),
                word(bytes, 6),
                word(bytes, 8),
                word(bytes, 10),
            ) else {
                return Step::More;
            };
            let area = PageStep::Area {
                x,
                y,
                width,
                height,
            };
            done(Effect::Page(area), 12)
        }
        3 => byte_at(bytes, 4, |n| Effect::Page(PageStep::Direction(n & 3))),
        4 => word_at(bytes, 4, |n| Effect::Page(PageStep::Down(n))),
        5 => word_at(bytes, 4, |n| {
            Effect::Page(PageStep::DownBy(n.cast_signed()))
        }),
        6 => page(PageStep::Print),
        7 => page(PageStep::PrintAndEnd),
        8 => page(PageStep::Cancel),
        _ => done(Effect::Unknown, 4),
    }
}

/// `ESC GS ) x pL pH …`; of these `ESC GS ) U 2 0 48 n` says whether text is UTF-8.
fn read_parenthesis(bytes: &[u8]) -> Step {
    let (Some(&function), Some(length)) = (bytes.get(3), word(bytes, 4)) else {
        return Step::More;
    };
    if length > SHORT_PAYLOAD_BYTES {
        return payload(PayloadKind::Ignored, 6, length.into());
    }
    let whole = 6 + usize::from(length);
    let Some(parameters) = bytes.get(6..whole) else {
        return Step::More;
    };
    match (function, parameters) {
        (b'U', [0x30, n]) => done(Effect::Utf8(digit(*n) == 1), whole),
        _ => done(Effect::Setting, whole),
    }
}
