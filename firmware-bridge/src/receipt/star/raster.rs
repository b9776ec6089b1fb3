//! Raster mode: `ESC * r A` begins it, `ESC * r B` ends it; between them stand lines of dots.

use super::super::command::{Effect, PayloadKind, Step, done, payload, word};
use super::terminated;

/// Reads what stands in raster mode beside commands: `b nL nH d…` and `k nL nH d…` are lines of dots,
/// all else is ignored.
pub(super) fn read_line(bytes: &[u8]) -> Step {
    match bytes.first() {
        Some(b'b' | b'k') => match word(bytes, 1) {
            Some(length) => {
                let kind = PayloadKind::Image {
                    width: u32::from(length) * 8,
                    height: 1,
                };
                payload(kind, 3, length.into())
            }
            None => Step::More,
        },
        Some(_) => done(Effect::Setting, 1),
        None => Step::More,
    }
}

/// `ESC * r x`: A, B and C stand alone, `m l` and `m r` set margins, the others run to NUL.
pub(super) fn read_setting(bytes: &[u8]) -> Step {
    match (bytes.get(2), bytes.get(3)) {
        (None, _) | (Some(b'r'), None) => Step::More,
        (Some(b'r'), Some(b'A')) => done(Effect::Raster(true), 4),
        (Some(b'r'), Some(b'B')) => done(Effect::Raster(false), 4),
        (Some(b'r'), Some(b'C')) => done(Effect::Setting, 4),
        (Some(b'r'), Some(b'D')) => terminated(bytes, 4, |n| match n {
            [] | [b'0'] => Effect::Setting,
            _ => Effect::Kick,
        }),
        (Some(b'r'), Some(_)) => terminated(bytes, 4, |_| Effect::Setting),
        (Some(_), _) => done(Effect::Unknown, 2),
    }
}
