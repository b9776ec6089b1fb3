//! Finds where a receipt goes on within the end of a payload that declared more than was sent.
//!
//! The last bytes of an image are noise, the receipt behind them is not: from its first command to
//! the stream's end every byte belongs to a text, a line or a known command. The first such place
//! wins, if it holds anything worth reading.

use super::super::command::{Context, ESC, Effect, FS, GS, LF, PayloadKind, Step};
use super::super::dialect::Language;
use super::{is_printable, read};

/// Fewest letters and digits that make a text of what follows; fewer are an image's noise.
const WORDS_MIN: usize = 4;

/// What can be said of reading from one place to the end.
#[derive(Clone, Copy, Default)]
struct Outlook {
    clean: bool,
    cut: bool,
    words: usize,
}

/// Returns where in `tail` a receipt goes on, if anywhere.
pub(super) fn clean_start(language: Language, tail: &[u8]) -> Option<usize> {
    let outlooks = outlooks(language, tail);
    let worth = |o: &Outlook| o.clean && (o.cut || o.words >= WORDS_MIN);
    let command =
        (0..tail.len()).find(|&i| matches!(tail[i], ESC | GS | FS) && worth(&outlooks[i]));
    let before = command.unwrap_or(tail.len());
    plain_lines_before(&tail[..before]).or(command)
}

/// Reads from every place to the end, last place first, so that each is looked at once.
fn outlooks(language: Language, tail: &[u8]) -> Vec<Outlook> {
    let mut outlooks = vec![Outlook::default(); tail.len() + 1];
    outlooks[tail.len()].clean = true;
    for i in (0..tail.len()).rev() {
        let byte = tail[i];
        outlooks[i] = if is_printable(byte) {
            let mut here = outlooks[i + 1];
            here.words += usize::from(byte.is_ascii_alphanumeric());
            here
        } else if matches!(byte, 0x00 | 0x07 | 0x18) {
            Outlook::default()
        } else {
            match whole_length(language, &tail[i..]) {
                Some((length, cut)) => {
                    let mut here = outlooks[i + length];
                    here.cut |= cut;
                    here
                }
                None => Outlook::default(),
            }
        };
    }
    outlooks
}

/// Returns how many bytes the command at `bytes[0]` takes with its payload, if it is whole and known.
fn whole_length(language: Language, bytes: &[u8]) -> Option<(usize, bool)> {
    let context = Context {
        may_be_foreign: false,
        at_end: true,
        raster: false,
        confirmed: true,
    };
    match read(language, bytes, context) {
        Step::More => None,
        Step::Done { effect, used } => {
            // Of the single bytes, those that open a drawer or mean nothing are an image's noise.
            let is_noise = used == 1 && matches!(effect, Effect::Kick | Effect::Setting);
            let is_known = effect != Effect::Unknown && !is_noise;
            is_known.then_some((used, effect == Effect::Cut))
        }
        Step::Payload { kind, used, length } => {
            let whole = used.checked_add(usize::try_from(length).ok()?)?;
            let parts_follow = matches!(
                kind,
                PayloadKind::Part(_) | PayloadKind::StoredFirst(..) | PayloadKind::StoredMore(..)
            );
            (!parts_follow && whole <= bytes.len()).then_some((whole, false))
        }
    }
}

/// Returns where plain lines begin that end right at `head`'s end: text that followed the image
/// without a command. Asks for a line feed and several different letters, since rows of dots may be
/// printable as well.
fn plain_lines_before(head: &[u8]) -> Option<usize> {
    let run = head
        .iter()
        .rev()
        .take_while(|&&b| b == LF || b == 0x0D || (0x20..0x7F).contains(&b))
        .count();
    let start = head.len() - run;
    let lines = &head[start..];
    let mut seen = [false; 128];
    for &byte in lines.iter().filter(|b| b.is_ascii_alphanumeric()) {
        seen[usize::from(byte)] = true;
    }
    let different = seen.iter().filter(|&&s| s).count();
    (lines.contains(&LF) && different >= WORDS_MIN).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_command_that_reads_cleanly_to_the_end_is_found() {
        let tail = b"\x00\xff\x00\xe0\x00\x00\x1b@Thanks\x0a\x1dV\x00";
        assert_eq!(clean_start(Language::EscPos, tail), Some(6));
    }

    #[test]
    fn noise_that_looks_like_a_command_is_passed_over() {
        let tail = b"\x1b@\xff\xff\x00\x00\x1ba\x01Thanks\x0a\x1dVA\x03";
        assert_eq!(clean_start(Language::EscPos, tail), Some(6));
    }

    #[test]
    fn lines_right_behind_the_image_belong_to_the_receipt() {
        let tail = b"\xff\x00\x80Thank you\x0acome again\x0a\x1dV\x00";
        assert_eq!(clean_start(Language::EscPos, tail), Some(3));
        assert_eq!(
            clean_start(Language::EscPos, b"\x00\x01No cut here\x0a"),
            Some(2)
        );
    }

    #[test]
    fn an_image_alone_holds_nothing() {
        assert_eq!(clean_start(Language::EscPos, &[0; 512]), None);
        assert_eq!(clean_start(Language::EscPos, &[0x55; 512]), None);
        assert_eq!(clean_start(Language::EscPos, &[0xFF; 512]), None);
        assert_eq!(clean_start(Language::EscPos, b""), None);
    }
}
