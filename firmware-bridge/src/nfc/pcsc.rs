//! What the helper program `tillbind-pcsc` tells of PC/SC readers: one line of JSON a happening.
//!
//! ```text
//! {"happened":"reader","reader":"ACS ACR122U PICC Interface 00 00"}
//! {"happened":"card","reader":"ACS ACR122U PICC Interface 00 00","uid":"0416C6C2D73881"}
//! {"happened":"removed","reader":"ACS ACR122U PICC Interface 00 00"}
//! {"happened":"gone","reader":"ACS ACR122U PICC Interface 00 00"}
//! {"happened":"fault","reason":"…: start it with systemctl start pcscd"}
//! ```
//!
//! A program of its own, since the PC/SC library is not on every terminal and a driver's crash must
//! not take the agent with it. The helper ends when its standard input does.
//!
//! Limits: a line holds at most [`LINE_BYTES_MAX`] bytes; a longer one, and one that is none of
//! these, is passed over and counted.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Uid;

/// The longest line that is read; readers' names have 128 bytes at the most (MAX_READERNAME).
pub const LINE_BYTES_MAX: usize = 4_096;

/// The command that has a contactless card's number told (PC/SC part 3, 3.2.2.1.3).
pub const GET_UID: [u8; 5] = [0xff, 0xca, 0x00, 0x00, 0x00];

/// What happened at a PC/SC reader. `Debug` shows no number.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "happened", rename_all = "snake_case")]
pub enum PcscEvent {
    /// A reader is there.
    Reader {
        /// Its name, by the driver.
        reader: String,
    },
    /// A reader is gone.
    Gone {
        /// Its name.
        reader: String,
    },
    /// A card was laid on a reader.
    Card {
        /// The reader's name.
        reader: String,
        /// The card's number in hexadecimal.
        uid: ChipNumber,
    },
    /// The card was taken off.
    Removed {
        /// The reader's name.
        reader: String,
    },
    /// Something does not work; it is tried again.
    Fault {
        /// What happened and what to do, for people.
        reason: String,
    },
}

impl fmt::Debug for PcscEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reader { reader } => write!(f, "Reader({reader})"),
            Self::Gone { reader } => write!(f, "Gone({reader})"),
            Self::Card { reader, uid } => write!(f, "Card({reader}, {:?})", uid.0),
            Self::Removed { reader } => write!(f, "Removed({reader})"),
            Self::Fault { reason } => write!(f, "Fault({reason})"),
        }
    }
}

/// A card's number as a line has it.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChipNumber(pub Uid);

impl TryFrom<String> for ChipNumber {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Uid::from_hex(&text)
            .map(Self)
            .ok_or("a chip's number has 4, 7, 8 or 10 bytes in hexadecimal")
    }
}

impl From<ChipNumber> for String {
    fn from(number: ChipNumber) -> Self {
        number.0.to_hex()
    }
}

impl PcscEvent {
    /// Returns the event as a line, its end included.
    ///
    /// # Errors
    /// Never for these events; the serialiser's type has one.
    pub fn to_line(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}

/// Why a card on a reader tells no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoUid {
    /// The reader knows no such command, or the card lies in a slot with contacts.
    #[error(
        "the card tells no number (status {0:04X}): hold it to the contactless side of the \
         reader, and use a reader for ISO 14443 cards"
    )]
    Refused(u16),
    /// The answer is no number.
    #[error("the card's number has a length that no chip has: hold the card still and try again")]
    Length,
}

/// Reads the number in a reader's answer to [`GET_UID`].
///
/// # Errors
/// [`NoUid`] where the status is not 9000 or the number has no chip's length.
pub fn uid_of_answer(answer: &[u8]) -> Result<Uid, NoUid> {
    match answer {
        [number @ .., 0x90, 0x00] => Uid::new(number).ok_or(NoUid::Length),
        [.., high, low] => Err(NoUid::Refused(u16::from_be_bytes([*high, *low]))),
        [] | [_] => Err(NoUid::Length),
    }
}

/// Cuts the helper's output into events; the same whatever the chunks.
#[derive(Default)]
pub struct LineReader {
    buffer: Vec<u8>,
    is_too_long: bool,
    skipped_lines: u64,
}

impl fmt::Debug for LineReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineReader")
            .field("buffered_bytes", &self.buffer.len())
            .field("skipped_lines", &self.skipped_lines)
            .finish()
    }
}

impl LineReader {
    /// Takes bytes; returns the events whose lines they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<PcscEvent> {
        bytes.iter().filter_map(|&byte| self.take(byte)).collect()
    }

    /// Returns how many lines were no events.
    pub fn skipped_lines(&self) -> u64 {
        self.skipped_lines
    }

    fn take(&mut self, byte: u8) -> Option<PcscEvent> {
        if byte != b'\n' {
            self.is_too_long |= self.buffer.len() == LINE_BYTES_MAX;
            if !self.is_too_long {
                self.buffer.push(byte);
            }
            return None;
        }
        let line = std::mem::take(&mut self.buffer);
        let is_too_long = std::mem::take(&mut self.is_too_long);
        if line.is_empty() && !is_too_long {
            return None;
        }
        let event = serde_json::from_slice(&line).ok().filter(|_| !is_too_long);
        self.skipped_lines += u64::from(event.is_none());
        event
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn card(uid: &str) -> PcscEvent {
        PcscEvent::Card {
            reader: "R".to_owned(),
            uid: ChipNumber(Uid::from_hex(uid).unwrap()),
        }
    }

    #[test]
    fn an_event_is_one_line_and_comes_back_from_it() {
        let reader = || "ACS \"X\"\n00".to_owned();
        let events = [
            PcscEvent::Reader { reader: reader() },
            PcscEvent::Gone { reader: reader() },
            card("0416C6C2D73881"),
            PcscEvent::Removed { reader: reader() },
            PcscEvent::Fault {
                reason: "no".to_owned(),
            },
        ];
        let lines: String = events.iter().map(|e| e.to_line().unwrap()).collect();
        assert_eq!(lines.lines().count(), events.len());
        assert_eq!(LineReader::default().feed(lines.as_bytes()), events);
        assert!(!format!("{events:?}").contains("0416"));
    }

    #[test]
    fn lines_that_are_no_events_are_passed_over_and_counted() {
        let long = format!("{}\n", "x".repeat(LINE_BYTES_MAX + 1));
        let text = [
            "\n",
            "what?\n",
            "{\"happened\":\"card\",\"reader\":\"R\",\"uid\":\"04\"}\n",
            &long,
            &card("04160000").to_line().unwrap(),
            "{\"happened\":",
        ]
        .concat();
        let mut reader = LineReader::default();
        assert_eq!(reader.feed(text.as_bytes()), [card("04160000")]);
        assert_eq!(reader.skipped_lines(), 3);
    }

    #[test]
    fn a_readers_answer_is_a_number_or_says_why_not() {
        let uid = uid_of_answer(&[0x04, 0x16, 0xc6, 0xc2, 0x90, 0x00]).unwrap();
        assert_eq!(uid.to_hex(), "0416C6C2");
        assert_eq!(uid_of_answer(&[0x6a, 0x81]), Err(NoUid::Refused(0x6a81)));
        assert_eq!(uid_of_answer(&[0x04, 0x90, 0x00]), Err(NoUid::Length));
        assert_eq!(uid_of_answer(&[0x90]), Err(NoUid::Length));
    }

    proptest! {
        #[test]
        fn any_chunks_give_the_same_events(
            text in "(\\{\"happened\":\"(reader|gone)\",\"reader\":\"[a-z]{0,9}\"\\}\n|[a-z{}\"\n]{0,9}){0,9}",
            chunk in 1usize..20,
        ) {
            let mut whole = LineReader::default();
            let mut parts = LineReader::default();
            let events = whole.feed(text.as_bytes());
            let in_parts: Vec<PcscEvent> =
                text.as_bytes().chunks(chunk).flat_map(|c| parts.feed(c)).collect();
            prop_assert_eq!(events, in_parts);
            prop_assert_eq!(whole.skipped_lines(), parts.skipped_lines());
        }
    }
}
