//! What every scanner's decoder gives out: frames, answers, counts.

use std::fmt;

use zeroize::Zeroizing;

use crate::code::{CardRules, Code, classify};

/// The most bytes of one frame: a QR code's greatest payload is 4,296 characters of which no member
/// code needs a tenth, so a longer frame is noise, or a line without its suffix.
pub const FRAME_BYTES_MAX: usize = 4_096;

/// One scan's bytes, without prefix and suffix. Zeroised when dropped; `Debug` shows the length.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    data: Zeroizing<Vec<u8>>,
}

impl Frame {
    /// Makes a frame of a scan's bytes, unless there are none.
    pub(super) fn of(data: &[u8]) -> Option<Self> {
        Self::identified(b"", data)
    }

    /// Makes a frame of an AIM identifier and a scan's bytes, unless there are none. An identifier
    /// that the scanner itself put in front of the bytes outweighs `identifier`.
    pub(super) fn identified(identifier: &[u8], data: &[u8]) -> Option<Self> {
        if data.is_empty() {
            return None;
        }
        let has_its_own = matches!(
            data,
            [b']', letter, modifier, ..]
                if letter.is_ascii_alphabetic() && modifier.is_ascii_alphanumeric()
        );
        let identifier = if has_its_own { b"" } else { identifier };
        // At its full size at once, so that no growth leaves a copy behind.
        let mut whole = Zeroizing::new(Vec::with_capacity(identifier.len() + data.len()));
        whole.extend_from_slice(identifier);
        whole.extend_from_slice(data);
        Some(Self { data: whole })
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// Says what the scan means, and zeroises its bytes.
    pub fn classify(self, rules: &CardRules) -> Code {
        classify(&self.data, rules)
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame([{} bytes])", self.data.len())
    }
}

/// Returns a packet's text without the suffix that the scanner is set to, which is no part of the code.
pub(super) fn without_suffix(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .rposition(|byte| !matches!(byte, b'\r' | b'\n' | b'\t'))
        .map_or(0, |last| last + 1);
    text.get(..end).unwrap_or_default()
}

/// What a decoder made of some bytes, or of a silence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// The scans that are whole now, in order.
    pub frames: Vec<Frame>,
    /// What the scanner wants to hear, to be written after the frames were passed on; often nothing.
    pub answer: Vec<u8>,
}

impl Reading {
    /// A reading of frames alone.
    pub(super) fn of(frames: impl IntoIterator<Item = Frame>) -> Self {
        Self {
            frames: frames.into_iter().collect(),
            answer: Vec::new(),
        }
    }
}

/// What a decoder has seen since it was made. What does not apply stays 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Frames given out.
    pub frames: u64,
    /// Bytes that are no part of any frame or packet: noise, halves, NUL.
    pub skipped_bytes: u64,
    /// Frames longer than [`FRAME_BYTES_MAX`], each thrown away whole.
    pub oversized: u64,
    /// Packets of a packet protocol that were read whole, whatever they say.
    pub packets: u64,
    /// Packets whose checksum or structure does not hold.
    pub damaged: u64,
    /// Times that the scanner was asked to send again.
    pub resends_asked: u64,
    /// Scans given up after two resends that came no better.
    pub given_up: u64,
    /// Packets that the scanner sent again although they had come.
    pub repeated: u64,
    /// Reports that nothing was read.
    pub no_reads: u64,
    /// Scans thrown away since one of their keys means nothing on the layout that is set.
    pub unreadable: u64,
    /// Runs of keys that were too slow, or too few, for a scanner.
    pub typed: u64,
}

/// Returns the texts of a reading's frames, for the decoders' tests.
#[cfg(test)]
pub(super) fn texts(reading: &Reading) -> Vec<String> {
    reading
        .frames
        .iter()
        .map(|frame| String::from_utf8_lossy(frame.bytes()).into_owned())
        .collect()
}
