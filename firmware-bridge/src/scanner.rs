//! Scanners: from a port's bytes to frames, one frame a scan.
//!
//! | framing | decoder | what comes from the port |
//! |---|---|---|
//! | `line` | [`line::LineFramer`] | text with a suffix, or between STX and ETX |
//! | `ssi` | [`ssi::SsiDecoder`] | Zebra's packets, each answered |
//! | `honeywell` | [`honeywell::HoneywellDecoder`] | Honeywell's packets |
//! | `hid-pos` | [`hid_pos::HidPosDecoder`] | a HID device's reports |
//! | `keyboard` | [`keyboard::KeyboardDecoder`] | the kernel's records of keys |
//!
//! [`Decoder`] is any of them. [`crate::code::classify`] says what a frame means, [`dedup::Dedup`]
//! tells a second read of the same code from a second scan, and [`garble::Garble`] notices a line
//! whose bytes are no text.
//!
//! The contract: feed what comes, say when the line was quiet, pass the frames on, and then write
//! the answer. Where the scanner or the packet names the symbology, its AIM identifier stands in
//! front of the frame.
//!
//! Limits: a frame holds at most [`FRAME_BYTES_MAX`] bytes. A scan may be a payment card, so every
//! buffer here is zeroised when it is let go.
//!
//! Deliberately lacking: commands to the scanner (beep, lamp, settings); the clock.

pub mod dedup;
mod frame;
pub mod garble;
pub mod hid_pos;
pub mod honeywell;
pub mod keyboard;
pub mod line;
pub mod ssi;
mod wipe;

use std::str::FromStr;
use std::time::Duration;

pub use dedup::Dedup;
pub use frame::{Counters, FRAME_BYTES_MAX, Frame, Reading};
pub use garble::Garble;
pub use hid_pos::HidPosDecoder;
pub use honeywell::HoneywellDecoder;
pub use keyboard::{KeyboardConfig, KeyboardDecoder, Layout};
pub use line::{LineConfig, LineFramer};
pub use ssi::SsiDecoder;

/// How a scanner marks where a scan begins and ends; the setting `framing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Framing {
    /// Plain text with a suffix: `line`.
    #[default]
    Line,
    /// Zebra's packets: `ssi`.
    Ssi,
    /// Honeywell's packets: `honeywell`.
    Honeywell,
    /// A HID device's reports: `hid-pos`.
    HidPos,
    /// Keys, as of a keyboard: `keyboard`.
    Keyboard,
}

/// A framing that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("framing {name:?} is unknown: write one of {}", Framing::names())]
pub struct FramingError {
    /// As configured.
    pub name: String,
}

impl FromStr for Framing {
    type Err = FramingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|framing| framing.as_str() == text)
            .ok_or_else(|| FramingError {
                name: text.to_owned(),
            })
    }
}

impl Framing {
    /// Every framing.
    pub const ALL: [Self; 5] = [
        Self::Line,
        Self::Ssi,
        Self::Honeywell,
        Self::HidPos,
        Self::Keyboard,
    ];

    /// Returns the name as the configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Ssi => "ssi",
            Self::Honeywell => "honeywell",
            Self::HidPos => "hid-pos",
            Self::Keyboard => "keyboard",
        }
    }

    /// Returns all names, for people.
    pub fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

/// What a scanner sends. What its framing does not have is not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecoderConfig {
    /// How it marks its scans.
    pub framing: Framing,
    /// What a line looks like; of keys: suffixes, prefix and code id.
    pub line: LineConfig,
    /// Which keyboard it plays.
    pub layout: Layout,
    /// The longest pause between two of its keys.
    pub key_gap: Duration,
}

impl DecoderConfig {
    /// The defaults of a framing.
    pub fn of(framing: Framing) -> Self {
        Self {
            framing,
            line: LineConfig::default(),
            layout: Layout::default(),
            key_gap: keyboard::KEY_GAP,
        }
    }
}

/// The decoder of one scanner, of whatever framing.
#[derive(Debug)]
pub enum Decoder {
    /// Plain text with a suffix.
    Line(LineFramer),
    /// Zebra's packets.
    Ssi(SsiDecoder),
    /// Honeywell's packets.
    Honeywell(HoneywellDecoder),
    /// A HID device's reports.
    HidPos(HidPosDecoder),
    /// The keys of a keyboard.
    Keyboard(KeyboardDecoder),
}

impl Decoder {
    /// Makes a decoder with nothing in it.
    pub fn new(config: DecoderConfig) -> Self {
        let DecoderConfig {
            framing,
            line,
            layout,
            key_gap,
        } = config;
        match framing {
            Framing::Line => Self::Line(LineFramer::new(line)),
            Framing::Ssi => Self::Ssi(SsiDecoder::new()),
            Framing::Honeywell => Self::Honeywell(HoneywellDecoder::new()),
            Framing::HidPos => Self::HidPos(HidPosDecoder::new()),
            Framing::Keyboard => Self::Keyboard(KeyboardDecoder::new(KeyboardConfig {
                layout,
                key_gap,
                line,
            })),
        }
    }

    /// Takes bytes from the port; returns the scans that they complete and what to write back.
    pub fn feed(&mut self, bytes: &[u8]) -> Reading {
        match self {
            Self::Line(framer) => Reading::of(framer.feed(bytes)),
            Self::Ssi(decoder) => decoder.feed(bytes),
            Self::Honeywell(decoder) => decoder.feed(bytes),
            Self::HidPos(decoder) => decoder.feed(bytes),
            Self::Keyboard(decoder) => decoder.feed(bytes),
        }
    }

    /// Says that the line has been quiet for longer than a scan is ever interrupted.
    pub fn handle_idle(&mut self) -> Reading {
        match self {
            Self::Line(framer) => Reading::of(framer.handle_idle()),
            Self::Ssi(decoder) => decoder.handle_idle(),
            Self::Honeywell(decoder) => decoder.handle_idle(),
            Self::HidPos(decoder) => decoder.handle_idle(),
            Self::Keyboard(decoder) => decoder.handle_idle(),
        }
    }

    /// Drops what is buffered, as after a port was lost in mid-scan.
    pub fn reset(&mut self) {
        match self {
            Self::Line(framer) => framer.reset(),
            Self::Ssi(decoder) => decoder.reset(),
            Self::Honeywell(decoder) => decoder.reset(),
            Self::HidPos(decoder) => decoder.reset(),
            Self::Keyboard(decoder) => decoder.reset(),
        }
    }

    /// Returns what has been seen so far.
    pub fn counters(&self) -> Counters {
        match self {
            Self::Line(framer) => framer.counters(),
            Self::Ssi(decoder) => decoder.counters(),
            Self::Honeywell(decoder) => decoder.counters(),
            Self::HidPos(decoder) => decoder.counters(),
            Self::Keyboard(decoder) => decoder.counters(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_framing_is_read_by_the_name_that_it_writes_and_a_wrong_word_is_told_all_names() {
        for framing in Framing::ALL {
            assert_eq!(framing.as_str().parse(), Ok(framing));
        }
        let error = "lines".parse::<Framing>().unwrap_err().to_string();
        assert!(
            error.contains("line, ssi, honeywell, hid-pos, keyboard"),
            "{error}"
        );
    }
}
