//! Serial scanners: from a port's bytes to frames, one frame a scan.
//!
//! Layout: `[prefix] [code id] [AIM identifier] data suffix`, where the suffix is CR, LF, CR LF or
//! TAB, or the whole stands between STX and ETX. [`line::LineFramer`] cuts frames out of the
//! stream, [`crate::code::classify`] says what one means, and [`dedup::Dedup`] tells a second read
//! of the same code from a second scan.
//!
//! Limits: a frame holds at most [`line::FRAME_BYTES_MAX`] bytes; a longer one is thrown away up to
//! its suffix and counted. A scanner without any suffix is read by its idle gap: the owner of the
//! port calls [`line::LineFramer::handle_idle`] when the line has been quiet.
//!
//! A scan may be a payment card, so every buffer here is zeroised when it is let go.
//!
//! Deliberately lacking: the packet protocols of Zebra (SSI) and Honeywell, see [`Framing`];
//! talking back to the scanner (beep, lamp, settings); the clock.

pub mod dedup;
pub mod line;

use std::str::FromStr;

pub use dedup::Dedup;
pub use line::{Frame, LineConfig, LineFramer};

/// How a scanner marks where a scan begins and ends; the setting `framing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// Plain text with a suffix: `line`.
    #[default]
    Line,
}

/// A framing that this version cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// A packet protocol that is known by name alone.
    #[error(
        "framing {name:?} is not supported in this version yet: set the scanner to plain text with \
         a CR suffix and write framing = \"line\""
    )]
    NotYet {
        /// As configured.
        name: String,
    },
    /// No framing at all.
    #[error("framing {name:?} is unknown: write framing = \"line\"")]
    Unknown {
        /// As configured.
        name: String,
    },
}

impl FromStr for Framing {
    type Err = FramingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "line" => Ok(Self::Line),
            "ssi" | "honeywell" => Err(FramingError::NotYet {
                name: text.to_owned(),
            }),
            _ => Err(FramingError::Unknown {
                name: text.to_owned(),
            }),
        }
    }
}

impl Framing {
    /// Returns the name as the configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Line => "line",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_framing_that_cannot_be_read_yet_is_told_from_a_wrong_word() {
        assert_eq!("line".parse::<Framing>().map(Framing::as_str), Ok("line"));
        let ssi = "ssi".parse::<Framing>().unwrap_err().to_string();
        assert!(ssi.contains("not supported in this version yet"), "{ssi}");
        let honeywell = "honeywell".parse::<Framing>();
        assert!(matches!(honeywell, Err(FramingError::NotYet { .. })));
        assert!(matches!(
            "lines".parse::<Framing>(),
            Err(FramingError::Unknown { .. })
        ));
    }
}
