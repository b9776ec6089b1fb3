//! The script of a simulated device: a step a line.
//!
//! ```text
//! # what follows a # is for people
//! wait 500ms              # or 2s
//! scan ]E04006381333931   # to the end of the line; \x1d is one byte, \\ a backslash
//! noread                  # a scanner that read nothing
//! text Total 5.00\n       # bytes as they are
//! hex 1B 40 1D 56 00
//! file receipt.bin        # the bytes of a file
//! noise 20                # that many bytes without sense
//! unplug                  # the port vanishes
//! plug                    # … and is back
//! card 04A1B2C3           # an NFC card is held to the reader
//! card away
//! printer paper-out       # or paper-in, cover-open, cover-closed, offline, online, stall, go, hang-up
//! open sales.xml          # a journal's file, to be written by text, hex and file
//! rename sales.done.xml
//! truncate
//! delete
//! repeat 3                # what stands up to the matching end
//! end
//! ```
//!
//! Limits: [`SCRIPT_BYTES_MAX`], [`STEPS_MAX`] steps after repeats.

use std::path::PathBuf;
use std::time::Duration;

/// Longest script in bytes.
pub const SCRIPT_BYTES_MAX: usize = 1 << 20;
/// Most steps, repeats written out.
pub const STEPS_MAX: usize = 100_000;
/// Most bytes of one `noise`.
const NOISE_BYTES_MAX: usize = 1 << 20;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing happens for so long.
    Wait(Duration),
    /// A scanner reads a code.
    Scan(Vec<u8>),
    /// A scanner tries and reads nothing.
    NoRead,
    /// These bytes are sent as they are.
    Send(Vec<u8>),
    /// The bytes of a file are sent.
    SendFile(PathBuf),
    /// So many bytes without sense are sent.
    Noise(usize),
    /// The port vanishes.
    Unplug,
    /// The port is back.
    Plug,
    /// A card is held to the reader: its UID.
    Card(Vec<u8>),
    /// The card is taken away.
    CardAway,
    /// Something happens to the printer.
    Printer(PrinterTurn),
    /// A journal's file is opened, or made.
    Open(PathBuf),
    /// The open file gets another name.
    Rename(PathBuf),
    /// The open file is emptied.
    Truncate,
    /// The open file is removed.
    Delete,
}

/// What may happen to a printer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrinterTurn {
    /// The paper ends.
    PaperOut,
    /// There is paper again.
    PaperIn,
    /// The cover is opened.
    CoverOpen,
    /// The cover is closed.
    CoverClosed,
    /// It is taken offline.
    Offline,
    /// It is online again.
    Online,
    /// It takes no more bytes, as with a full buffer.
    Stall,
    /// It takes bytes again.
    Go,
    /// It breaks its connection off.
    HangUp,
}

/// What is wrong with a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ScriptError {
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong and what to write.
    pub what: String,
}

/// Reads a script, repeats written out.
///
/// # Errors
/// [`ScriptError`] at the first line that is no step.
pub fn read(text: &str) -> Result<Vec<Step>, ScriptError> {
    if text.len() > SCRIPT_BYTES_MAX {
        return Err(fault(
            1,
            format!("a script has {SCRIPT_BYTES_MAX} bytes at most"),
        ));
    }
    let mut levels: Vec<(usize, usize, Vec<Step>)> = vec![(0, 1, Vec::new())];
    for (index, raw) in text.lines().enumerate() {
        let line = index + 1;
        let (word, rest) = split(without_comment(raw));
        match word {
            "" => continue,
            "repeat" => {
                let times = rest.parse().ok().filter(|times| *times > 0);
                let times =
                    times.ok_or_else(|| fault(line, "repeat wants a number, as in repeat 3"))?;
                levels.push((line, times, Vec::new()));
                continue;
            }
            "end" if levels.len() > 1 => {
                let Some((_, times, steps)) = levels.pop() else {
                    continue;
                };
                let Some((_, _, outer)) = levels.last_mut() else {
                    continue;
                };
                if outer
                    .len()
                    .saturating_add(steps.len().saturating_mul(times))
                    > STEPS_MAX
                {
                    return Err(fault(line, format!("{STEPS_MAX} steps are the most")));
                }
                for _ in 0..times {
                    outer.extend_from_slice(&steps);
                }
                continue;
            }
            "end" => return Err(fault(line, "an end without its repeat")),
            _ => {}
        }
        let step = step(line, word, rest)?;
        if let Some((_, _, steps)) = levels.last_mut() {
            if steps.len() == STEPS_MAX {
                return Err(fault(line, format!("{STEPS_MAX} steps are the most")));
            }
            steps.push(step);
        }
    }
    match levels.pop() {
        Some((line, _, _)) if !levels.is_empty() => Err(fault(line, "a repeat without its end")),
        Some((_, _, steps)) => Ok(steps),
        None => Ok(Vec::new()),
    }
}

/// Reads one step, as a person types it; nothing for an empty line.
///
/// # Errors
/// [`ScriptError`] when it is no step, or part of a repeat.
pub fn read_line(text: &str) -> Result<Option<Step>, ScriptError> {
    match split(without_comment(text)) {
        ("", _) => Ok(None),
        (word, rest) => step(1, word, rest).map(Some),
    }
}

fn step(line: usize, word: &str, rest: &str) -> Result<Step, ScriptError> {
    let path = || {
        if rest.is_empty() {
            return Err(fault(line, format!("{word} wants the name of a file")));
        }
        Ok(PathBuf::from(rest))
    };
    Ok(match word {
        "wait" => Step::Wait(
            duration(rest)
                .ok_or_else(|| fault(line, format!("wait {rest:?}: write it as 500ms or 2s")))?,
        ),
        "scan" => Step::Scan(bytes(line, rest)?),
        "noread" => Step::NoRead,
        "text" => Step::Send(bytes(line, rest)?),
        "hex" => Step::Send(hex(rest).ok_or_else(|| {
            fault(
                line,
                "hex wants pairs of hexadecimal digits, as in hex 1B 40",
            )
        })?),
        "file" => Step::SendFile(path()?),
        "noise" => {
            let count = rest.parse().ok().filter(|count| *count <= NOISE_BYTES_MAX);
            Step::Noise(count.ok_or_else(|| {
                fault(
                    line,
                    format!("noise wants a number up to {NOISE_BYTES_MAX}"),
                )
            })?)
        }
        "unplug" => Step::Unplug,
        "plug" => Step::Plug,
        "card" if rest == "away" => Step::CardAway,
        "card" => {
            let uid = hex(rest).filter(|uid| matches!(uid.len(), 4 | 7 | 8 | 10));
            Step::Card(uid.ok_or_else(|| {
                fault(
                    line,
                    "card wants a UID of 4, 7, 8 or 10 bytes in hexadecimal, or away",
                )
            })?)
        }
        "printer" => Step::Printer(turn(rest).ok_or_else(|| {
            let turns: Vec<&str> = TURNS.iter().map(|(name, _)| *name).collect();
            fault(line, format!("printer wants one of {}", turns.join(", ")))
        })?),
        "open" => Step::Open(path()?),
        "rename" => Step::Rename(path()?),
        "truncate" => Step::Truncate,
        "delete" => Step::Delete,
        other => {
            return Err(fault(
                line,
                format!(
                    "{other:?} is no step: write wait, scan, noread, text, hex, file, noise, unplug, \
                     plug, card, printer, open, rename, truncate, delete, repeat or end"
                ),
            ));
        }
    })
}

const TURNS: [(&str, PrinterTurn); 9] = [
    ("paper-out", PrinterTurn::PaperOut),
    ("paper-in", PrinterTurn::PaperIn),
    ("cover-open", PrinterTurn::CoverOpen),
    ("cover-closed", PrinterTurn::CoverClosed),
    ("offline", PrinterTurn::Offline),
    ("online", PrinterTurn::Online),
    ("stall", PrinterTurn::Stall),
    ("go", PrinterTurn::Go),
    ("hang-up", PrinterTurn::HangUp),
];

fn turn(word: &str) -> Option<PrinterTurn> {
    TURNS
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, turn)| *turn)
}

fn fault(line: usize, what: impl Into<String>) -> ScriptError {
    ScriptError {
        line,
        what: what.into(),
    }
}

/// A comment begins with a # at the beginning of the line or behind a space, so that a code may hold one.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with('#') {
        return "";
    }
    line.split_once(" #").map_or(line, |(before, _)| before)
}

fn split(line: &str) -> (&str, &str) {
    let line = line.trim();
    match line.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (line, ""),
    }
}

fn duration(text: &str) -> Option<Duration> {
    if let Some(ms) = text.strip_suffix("ms") {
        return ms.parse().ok().map(Duration::from_millis);
    }
    text.strip_suffix('s')?
        .parse()
        .ok()
        .map(Duration::from_secs)
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    if digits.is_empty() || !pairs.remainder().is_empty() {
        return None;
    }
    pairs
        .map(|pair| u8::try_from(pair.iter().fold(0, |byte, digit| byte * 16 + digit)).ok())
        .collect()
}

/// Reads text with `\xHH`, `\r`, `\n`, `\t`, `\s` (a space at an end) and `\\`.
fn bytes(line: usize, text: &str) -> Result<Vec<u8>, ScriptError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            bytes.push(*byte);
            continue;
        }
        let (one, used) = match rest {
            [b'x', high, low, ..] => {
                let pair = [char::from(*high), char::from(*low)];
                (
                    hex(&String::from_iter(pair)).and_then(|b| b.first().copied()),
                    3,
                )
            }
            [b'r', ..] => (Some(b'\r'), 1),
            [b'n', ..] => (Some(b'\n'), 1),
            [b't', ..] => (Some(b'\t'), 1),
            [b's', ..] => (Some(b' '), 1),
            [b'\\', ..] => (Some(b'\\'), 1),
            _ => (None, 0),
        };
        bytes.push(one.ok_or_else(|| {
            fault(
                line,
                "a backslash wants x and two hexadecimal digits, r, n, t, s, or another backslash",
            )
        })?);
        rest = rest.get(used..).unwrap_or_default();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_script_is_read_with_its_escapes_comments_and_repeats() {
        let script = "# a morning\nwait 500ms\n\nscan ]C1\\x1d8018#1 # a card\nrepeat 2\n  text A\\r\\n\n  repeat 2\n    noread\n  end\nend\ncard 04a1 b2c3\ncard away\nprinter paper-out\nhex 1b40";
        let line = Step::Send(b"A\r\n".to_vec());
        assert_eq!(
            read(script).unwrap(),
            [
                Step::Wait(Duration::from_millis(500)),
                Step::Scan(b"]C1\x1d8018#1".to_vec()),
                line.clone(),
                Step::NoRead,
                Step::NoRead,
                line,
                Step::NoRead,
                Step::NoRead,
                Step::Card(vec![0x04, 0xa1, 0xb2, 0xc3]),
                Step::CardAway,
                Step::Printer(PrinterTurn::PaperOut),
                Step::Send(vec![0x1b, 0x40]),
            ]
        );
    }

    #[test]
    fn what_is_no_step_is_told_with_its_line() {
        for (script, line) in [
            ("wait 5", 1),
            ("noread\nscann 1", 2),
            ("scan a\\q", 1),
            ("hex 1", 1),
            ("card 0102", 1),
            ("repeat 2\nnoread", 1),
            ("noread\nend", 2),
            ("printer burn", 1),
            ("repeat 0\nend", 1),
            ("repeat 1000000\nnoread\nend", 3),
            ("file", 1),
        ] {
            assert_eq!(read(script).unwrap_err().line, line, "{script}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            drop(read(&text));
        }
    }
}
