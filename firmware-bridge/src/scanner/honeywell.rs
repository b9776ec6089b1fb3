//! Honeywell's packets: a header with the size, and the code's identifiers before the data.
//!
//! Layout: `SYN FE size(4) CR payload`. The payload of a scan is `MSGGET`, four digits that count
//! the data, Honeywell's code id, letter and modifier of the AIM identifier, `GS`, the data, `CR`.
//! Other payloads answer commands, which are never given here; they are passed over.
//!
//! The size was seen with its low byte first (`1B 00 00 00` for 13 bytes of data). High byte first
//! is read as well where low byte first makes no sense. The digits count the CR on some scanners
//! and not on others; either has to agree with the size to the byte.
//!
//! Limits: a scan holds at most [`FRAME_BYTES_MAX`] bytes. Noise is skipped up to the next `SYN`,
//! and counted. Nothing is answered: the packets have no checksum, and the line no handshake.

use std::fmt;

use zeroize::Zeroizing;

use super::frame::{Counters, FRAME_BYTES_MAX, Frame, Reading, without_suffix};
use super::wipe::wipe_front;

const SYN: u8 = 0x16;
const MARK: u8 = 0xfe;
const CR: u8 = b'\r';
const GS: u8 = 0x1d;
const KIND: &[u8; 6] = b"MSGGET";

/// SYN, mark, size, CR.
const HEADER_BYTES: usize = 7;
/// Kind, digits, code id, AIM letter and modifier, GS.
const HEAD_BYTES: usize = 14;
/// The longest payload: a greatest scan and its CR.
const PAYLOAD_BYTES_MAX: usize = HEAD_BYTES + FRAME_BYTES_MAX + 1;

/// Reads the packets of one scanner; the same frames and counts whatever the chunks.
pub struct HoneywellDecoder {
    /// Allocated once at its full size, so that no growth leaves a copy behind.
    buffer: Zeroizing<Vec<u8>>,
    counters: Counters,
}

impl fmt::Debug for HoneywellDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HoneywellDecoder")
            .field("buffered_bytes", &self.buffer.len())
            .field("counters", &self.counters)
            .finish()
    }
}

impl Default for HoneywellDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl HoneywellDecoder {
    /// Makes a decoder with nothing in it.
    pub fn new() -> Self {
        let buffer = Zeroizing::new(Vec::with_capacity(HEADER_BYTES + PAYLOAD_BYTES_MAX));
        Self {
            buffer,
            counters: Counters::default(),
        }
    }

    /// Takes bytes from the port; returns the scans that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Reading {
        let mut frames = Vec::new();
        for &byte in bytes {
            self.buffer.push(byte);
            self.read_packets(&mut frames);
        }
        Reading::of(frames)
    }

    /// Says that the line is quiet: half a packet will not be finished.
    pub fn handle_idle(&mut self) -> Reading {
        let mut frames = Vec::new();
        while !self.buffer.is_empty() {
            self.counters.damaged += 1;
            self.skip(1);
            self.read_packets(&mut frames);
        }
        Reading::of(frames)
    }

    /// Drops what is buffered, as after a port was lost in mid-scan.
    pub fn reset(&mut self) {
        self.skip(self.buffer.len());
    }

    /// Returns what has been seen so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn read_packets(&mut self, frames: &mut Vec<Frame>) {
        loop {
            match look(&self.buffer) {
                Look::Incomplete => return,
                Look::Noise => {
                    // A CR may stand behind a packet that did not count it.
                    if self.buffer.first() == Some(&CR) {
                        wipe_front(&mut self.buffer, 1);
                    } else {
                        self.skip(self.noise_bytes());
                    }
                }
                Look::Whole { bytes } => {
                    let payload = self.buffer.get(HEADER_BYTES..bytes).unwrap_or_default();
                    match Payload::of(payload) {
                        Payload::Scan { identifier, text } => {
                            let frame = Frame::identified(
                                identifier.as_ref().map_or(&[][..], |id| id.as_slice()),
                                text,
                            );
                            self.counters.frames += u64::from(frame.is_some());
                            frames.extend(frame);
                        }
                        Payload::Other => {}
                        Payload::Damaged => {
                            self.counters.damaged += 1;
                            self.skip(1);
                            continue;
                        }
                    }
                    self.counters.packets += 1;
                    wipe_front(&mut self.buffer, bytes);
                }
            }
        }
    }

    /// Counts the bytes up to the next one that may begin a packet.
    fn noise_bytes(&self) -> usize {
        let behind = self.buffer.iter().skip(1);
        1 + behind
            .take_while(|byte| !matches!(**byte, SYN | CR))
            .count()
    }

    fn skip(&mut self, count: usize) {
        self.counters.skipped_bytes += count as u64;
        wipe_front(&mut self.buffer, count);
    }
}

/// What stands at the front of some bytes.
enum Look {
    /// Too few bytes to tell, or to be whole.
    Incomplete,
    /// No packet can start here.
    Noise,
    /// A packet of so many bytes.
    Whole { bytes: usize },
}

fn look(bytes: &[u8]) -> Look {
    let fits = |at: usize, wanted: u8| bytes.get(at).is_none_or(|byte| *byte == wanted);
    if !(fits(0, SYN) && fits(1, MARK) && fits(HEADER_BYTES - 1, CR)) {
        return Look::Noise;
    }
    let Some(&[_, _, s0, s1, s2, s3, _]) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Look::Incomplete;
    };
    let sizes = [
        u32::from_le_bytes([s0, s1, s2, s3]),
        u32::from_be_bytes([s0, s1, s2, s3]),
    ];
    let size = sizes
        .into_iter()
        .filter_map(|size| usize::try_from(size).ok())
        .find(|size| (1..=PAYLOAD_BYTES_MAX).contains(size));
    match size {
        None => Look::Noise,
        Some(size) if bytes.len() < HEADER_BYTES + size => Look::Incomplete,
        Some(size) => Look::Whole {
            bytes: HEADER_BYTES + size,
        },
    }
}

enum Payload<'a> {
    Scan {
        identifier: Option<[u8; 3]>,
        text: &'a [u8],
    },
    /// An answer to a command.
    Other,
    /// A scan whose head does not hold.
    Damaged,
}

impl<'a> Payload<'a> {
    fn of(payload: &'a [u8]) -> Self {
        let Some(after) = payload.strip_prefix(KIND) else {
            return Self::Other;
        };
        let &[
            d0,
            d1,
            d2,
            d3,
            _code_id,
            letter,
            modifier,
            GS,
            ref data @ ..,
        ] = after
        else {
            return Self::Damaged;
        };
        let digits = [d0, d1, d2, d3];
        if !digits.iter().all(u8::is_ascii_digit) {
            return Self::Damaged;
        }
        let count = digits
            .iter()
            .fold(0usize, |n, digit| n * 10 + usize::from(digit - b'0'));
        let text = match data {
            [text @ .., CR] if count == text.len() || count == data.len() => text,
            _ if count == data.len() => data,
            _ => return Self::Damaged,
        };
        let is_identifier = letter.is_ascii_alphabetic() && modifier.is_ascii_alphanumeric();
        Self::Scan {
            identifier: is_identifier.then_some([b']', letter, modifier]),
            text: without_suffix(text),
        }
    }
}

#[cfg(test)]
mod tests;
