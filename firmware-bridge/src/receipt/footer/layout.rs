//! The bytes of a footer, in either dialect.

use super::super::command::{ESC, FS, GS, LF};
use super::super::dialect::Language;
use super::Footer;
use super::printer::State;
use super::setting::{Sent, Setting};
use super::symbol;

/// Most lines that the paper is moved by behind a footer; the way to a cutter is five or six.
const FEED_LINES_MAX: u32 = 24;
/// Most units that the paper is moved by behind a footer: four inches of the finest.
const FEED_UNITS_MAX: u32 = 1_440;

/// Returns what prints a footer on a printer in this state and leaves it so; nothing where that is not what
/// was wanted: a line that has no characters, and no code to stand for it.
pub(super) fn bytes(state: &State, footer: &Footer) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    if state.is_in_line {
        out.push(LF);
    }
    set_plain(state, &mut out);
    let printed = print_lines(state, &footer.lines, &mut out);
    match &footer.content {
        Some(content) => {
            symbol::print(state.language, content.as_bytes(), &mut out);
            out.push(LF);
        }
        None if printed < footer.lines.len() => return None,
        None => {}
    }
    let has_code = footer.content.is_some();
    match state.language {
        // Lines of the default height were counted, which is in force now.
        Language::EscPos => {
            feed(&[ESC, b'd'], state.fed.lines.min(FEED_LINES_MAX), &mut out);
            feed(&[ESC, b'J'], state.fed.units.min(FEED_UNITS_MAX), &mut out);
            restore(state, has_code, &mut out);
        }
        Language::Star => {
            restore(state, has_code, &mut out);
            feed(&[ESC, b'a'], state.fed.lines.min(FEED_LINES_MAX), &mut out);
            feed(&[ESC, b'J'], state.fed.units.min(FEED_UNITS_MAX), &mut out);
            feed(
                &[ESC, b'I'],
                state.fed.small_units.min(FEED_UNITS_MAX),
                &mut out,
            );
        }
    }
    Some(out)
}

fn feed(command: &[u8], mut units: u32, out: &mut Vec<u8>) {
    while units > 0 {
        let part = u8::try_from(units).unwrap_or(u8::MAX);
        out.extend_from_slice(command);
        out.push(part);
        units -= u32::from(part);
    }
}

/// Takes back what the stream has set, and centres.
fn set_plain(state: &State, out: &mut Vec<u8>) {
    for sent in &state.sent {
        if sent.setting.is_taken_back() && !sent.is_doubtful {
            out.extend_from_slice(sent.setting.default_command(state.language));
        }
    }
    let alignment = state.sent(Setting::Alignment);
    if !alignment.is_some_and(|sent| sent.is_doubtful) {
        out.extend_from_slice(match state.language {
            Language::EscPos => &[ESC, b'a', 1],
            Language::Star => &[ESC, GS, b'a', 1],
        });
    }
}

/// Sets again what the stream had set, in its order; also of QR codes, where one was printed.
fn restore(state: &State, has_code: bool, out: &mut Vec<u8>) {
    let of_codes = [Setting::QrModel, Setting::QrSize, Setting::QrLevel];
    let touched = of_codes.into_iter().filter(|_| has_code);
    for setting in [Setting::Alignment].into_iter().chain(touched) {
        if state.sent(setting).is_none() {
            out.extend_from_slice(setting.default_command(state.language));
        }
    }
    if state.sent(Setting::Units).is_some() {
        // What was set before the first of them was measured in the printer's own.
        out.extend_from_slice(Setting::Units.default_command(state.language));
    }
    let certain = state.sent.iter().filter(|sent| !sent.is_doubtful);
    for sent in certain.filter(|sent| sent.setting != Setting::International) {
        out.extend_from_slice(sent.bytes());
    }
    if has_code {
        state.stored.restore(state.language, out);
    }
}

/// Prints each line that the printer has characters for; returns how many those are.
fn print_lines(state: &State, lines: &[String], out: &mut Vec<u8>) -> usize {
    let mut printed = 0;
    let charset = state.charset;
    let plain = charset.plain();
    let mut is_plain = false;
    for line in lines {
        let as_it_is = charset.encode(line, state.encoding);
        let wants_plain = line.is_ascii() || as_it_is.is_none();
        let encoded = if wants_plain {
            plain.encode(line, state.encoding)
        } else {
            as_it_is
        };
        let Some(encoded) = encoded else {
            continue;
        };
        if wants_plain != is_plain {
            switch_characters(state, wants_plain, out);
            is_plain = wants_plain;
        }
        out.extend(encoded);
        out.push(LF);
        printed += 1;
    }
    if is_plain {
        switch_characters(state, false, out);
    }
    printed
}

/// Leaves what the stream has said about ASCII, or goes back to it.
fn switch_characters(state: &State, to_plain: bool, out: &mut Vec<u8>) {
    let charset = state.charset;
    if let Some(sent) = state.sent(Setting::International) {
        out.extend_from_slice(if to_plain {
            Setting::International.default_command(state.language)
        } else {
            Sent::bytes(sent)
        });
    }
    match (state.language, charset.kanji, charset.jis) {
        (Language::EscPos, Some(true), _) => out.extend([FS, if to_plain { b'.' } else { b'&' }]),
        (Language::Star, _, true) => out.extend([ESC, if to_plain { b'q' } else { b'p' }]),
        (Language::EscPos | Language::Star, ..) => {}
    }
}
