//! Zebra's Simple Serial Interface: packets with a checksum, each answered.
//!
//! Layout: `length opcode source status data… checksum(2)`. The length counts all but the checksum;
//! the checksum is the two's complement of the sum of all before it, high byte first; the source
//! is 0 for the scanner and 4 for the host. `DECODE_DATA` (F3) holds a code type and the scan. A
//! scan too long for one packet comes in segments (73): a number, and in the first one
//! `F3 size(4) type 01 length(2)` before the data. (Simple Serial Interface Programmer's Guide,
//! 72E-40451; segments as recorded from real scanners.)
//!
//! The contract: after [`SsiDecoder::feed`] and [`SsiDecoder::handle_idle`], pass the frames on,
//! then write [`Reading::answer`] to the port. What is damaged is asked for again, [`RESENDS_MAX`]
//! times; then the scan is given up and counted, and the scanner beeps its own error. A packet that
//! comes again with its retransmit bit is answered again and is no second scan.
//!
//! Limits: a packet holds at most [`PACKET_BYTES_MAX`] bytes, a scan at most [`FRAME_BYTES_MAX`].
//! Noise between packets is skipped up to the next header that can be one, and counted. Of the
//! status byte the retransmit bit alone is believed, and that only for the same data again, since
//! real status bytes (80, 20, 02) contradict the guide; its continuation bit counts in a full
//! packet alone.
//!
//! Deliberately lacking: commands to the scanner, and the clock that a lost answer would need: the
//! scanner itself sends again after two seconds.

mod packet;
mod segments;

use std::fmt;

use zeroize::Zeroizing;

use super::frame::{Counters, FRAME_BYTES_MAX, Frame, Reading, without_suffix};
use super::wipe::wipe_front;
use packet::{Look, Packet, look, without_envelope};
use segments::{Segment, Segments};

/// The longest packet: 255 counted bytes and the checksum.
pub const PACKET_BYTES_MAX: usize = 257;
/// How often the same damage is asked for again before the scan is given up.
pub const RESENDS_MAX: u8 = 2;

/// The host's answer to a packet that came whole.
pub const ACK: [u8; 6] = [0x04, 0xd0, 0x04, 0x00, 0xff, 0x28];
/// The host's answer to a segment that came whole and is not the last.
pub const SEGMENT_ACK: [u8; 6] = [0x04, 0x74, 0x04, 0x00, 0xff, 0x84];
/// The host's plea to send the last packet again.
pub const NAK_RESEND: [u8; 7] = [0x05, 0xd1, 0x04, 0x00, 0x01, 0xff, 0x25];

/// What a scanner sends in place of a scan when its trigger was pulled and nothing was read.
const NO_READ: &[u8] = b"NR";

/// Reads the packets of one scanner; the same frames, answers and counts whatever the chunks.
pub struct SsiDecoder {
    /// Allocated once at its full size, so that no growth leaves a copy behind.
    buffer: Zeroizing<Vec<u8>>,
    segments: Segments,
    /// A scan whose packet was full and said that more follows: its type and its data so far.
    continued: Option<(u8, Zeroizing<Vec<u8>>)>,
    /// Type and data of the last scan, against a retransmission.
    last: Zeroizing<Vec<u8>>,
    /// Pleas for a resend since the last whole packet.
    resends: u8,
    /// Set when something was damaged since the last whole packet or silence.
    is_damaged: bool,
    /// Set when the damage was answered already.
    is_answered: bool,
    counters: Counters,
}

impl fmt::Debug for SsiDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SsiDecoder")
            .field("buffered_bytes", &self.buffer.len())
            .field("segments", &self.segments)
            .field("resends", &self.resends)
            .field("counters", &self.counters)
            .finish()
    }
}

impl Default for SsiDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl SsiDecoder {
    /// Makes a decoder with nothing in it.
    pub fn new() -> Self {
        Self {
            buffer: Zeroizing::new(Vec::with_capacity(PACKET_BYTES_MAX)),
            segments: Segments::new(),
            continued: None,
            last: Zeroizing::new(Vec::new()),
            resends: 0,
            is_damaged: false,
            is_answered: false,
            counters: Counters::default(),
        }
    }

    /// Takes bytes from the port; returns the scans that they complete and what to write back.
    pub fn feed(&mut self, bytes: &[u8]) -> Reading {
        let mut reading = Reading::default();
        for &byte in bytes {
            self.buffer.push(byte);
            self.read_packets(&mut reading);
        }
        reading
    }

    /// Says that the line is quiet: half a packet will not be finished, so it is asked for again.
    pub fn handle_idle(&mut self) -> Reading {
        let mut reading = Reading::default();
        if !self.buffer.is_empty() {
            self.damaged();
        }
        // A header that noise has made up may have swallowed a whole packet.
        while !self.buffer.is_empty() {
            self.skip(1);
            self.read_packets(&mut reading);
        }
        if self.is_damaged {
            self.ask_again(&mut reading);
        }
        self.is_damaged = false;
        self.is_answered = false;
        reading
    }

    /// Drops what is buffered, as after a port was lost in mid-scan.
    pub fn reset(&mut self) {
        self.skip(self.buffer.len());
        self.segments.clear();
        self.continued = None;
        self.resends = 0;
        self.is_damaged = false;
        self.is_answered = false;
    }

    /// Returns what has been seen so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn read_packets(&mut self, reading: &mut Reading) {
        loop {
            match look(&self.buffer) {
                Look::Incomplete => return,
                Look::Noise => {
                    // A scanner that is plugged in holds the line low, which reads as NUL.
                    if self.buffer.first().is_some_and(|byte| *byte != 0) {
                        self.is_damaged = true;
                    }
                    self.skip(1);
                }
                Look::Damaged => {
                    self.damaged();
                    self.skip(1);
                    self.ask_again(reading);
                }
                Look::Whole { bytes } => {
                    let taken =
                        Zeroizing::new(self.buffer.get(..bytes).unwrap_or_default().to_vec());
                    wipe_front(&mut self.buffer, bytes);
                    self.counters.packets += 1;
                    self.resends = 0;
                    self.is_damaged = false;
                    self.is_answered = false;
                    if let Some(packet) = Packet::of(&taken) {
                        self.take(&packet, reading);
                    }
                }
            }
        }
    }

    fn take(&mut self, packet: &Packet<'_>, reading: &mut Reading) {
        match packet {
            Packet::Decode {
                is_repeated,
                continues,
                data,
            } => {
                if !self.is_repeat(*is_repeated, data) {
                    self.take_scan(*continues, data, reading);
                }
                reading.answer.extend_from_slice(&ACK);
            }
            Packet::Segment { data } => self.take_segment(data, reading),
            Packet::Other => reading.answer.extend_from_slice(&ACK),
            // An acknowledgement is never acknowledged, and an echo is not the scanner's word.
            Packet::Acknowledgement | Packet::Echo => {}
        }
    }

    fn take_scan(&mut self, continues: bool, data: &[u8], reading: &mut Reading) {
        let Some((&kind, text)) = data.split_first() else {
            return;
        };
        let (kind, mut whole, text) = match self.continued.take() {
            // The type stands before the data of each packet; it is data where it differs.
            Some((first, whole)) if first == kind => (first, whole, text),
            Some((first, whole)) => (first, whole, data),
            None => {
                let whole = Zeroizing::new(Vec::with_capacity(FRAME_BYTES_MAX));
                (kind, whole, without_envelope(text))
            }
        };
        if whole.len() + text.len() > FRAME_BYTES_MAX {
            self.counters.oversized += 1;
            return;
        }
        whole.extend_from_slice(text);
        if continues {
            self.continued = Some((kind, whole));
        } else {
            self.tell(kind, &whole, reading);
        }
    }

    fn take_segment(&mut self, data: &[u8], reading: &mut Reading) {
        match self.segments.take(data) {
            Segment::More => reading.answer.extend_from_slice(&SEGMENT_ACK),
            Segment::Again { is_last } => {
                self.counters.repeated += 1;
                let answer = if is_last { ACK } else { SEGMENT_ACK };
                reading.answer.extend_from_slice(&answer);
            }
            Segment::Last { kind, text } => {
                self.tell(kind, &text, reading);
                reading.answer.extend_from_slice(&ACK);
            }
            // One that is missing does not come again: the scan is lost, the line goes on.
            Segment::Unfit { is_oversized } => {
                self.counters.damaged += 1;
                self.counters.given_up += 1;
                self.counters.oversized += u64::from(is_oversized);
                reading.answer.extend_from_slice(&ACK);
            }
        }
    }

    fn tell(&mut self, kind: u8, text: &[u8], reading: &mut Reading) {
        if text == NO_READ {
            self.counters.no_reads += 1;
            return;
        }
        let frame = frame_of(kind, text);
        self.counters.frames += u64::from(frame.is_some());
        reading.frames.extend(frame);
    }

    /// Says whether a packet was taken already, and remembers it.
    fn is_repeat(&mut self, is_repeated: bool, data: &[u8]) -> bool {
        let is_repeat = is_repeated && self.last.as_slice() == data;
        self.counters.repeated += u64::from(is_repeat);
        self.last = Zeroizing::new(data.to_vec());
        is_repeat
    }

    fn damaged(&mut self) {
        self.counters.damaged += 1;
        self.is_damaged = true;
    }

    /// Asks for a resend, once a silence or whole packet, and not more often than is of use.
    fn ask_again(&mut self, reading: &mut Reading) {
        if std::mem::replace(&mut self.is_answered, true) {
            return;
        }
        if self.resends == RESENDS_MAX {
            self.resends = 0;
            self.counters.given_up += 1;
            return;
        }
        self.resends += 1;
        self.counters.resends_asked += 1;
        reading.answer.extend_from_slice(&NAK_RESEND);
    }

    fn skip(&mut self, count: usize) {
        self.counters.skipped_bytes += count as u64;
        wipe_front(&mut self.buffer, count);
    }
}

/// Makes a frame of a scan, with the AIM identifier of its code type where that is known.
fn frame_of(kind: u8, text: &[u8]) -> Option<Frame> {
    let text = without_suffix(text);
    // UPC-A is the EAN of a leading zero, and is sent with it under its AIM identifier.
    if kind == UPC_A && text.len() == 12 && text.iter().all(u8::is_ascii_digit) {
        return Frame::identified(b"]E00", text);
    }
    Frame::identified(aim_identifier(kind), text)
}

const UPC_A: u8 = 0x08;

/// The AIM identifier (ISO/IEC 15424) of a code type; empty where the type says too little: with
/// check digits kept or not, expanded or not, or numbers that Zebra's own lists give twice.
fn aim_identifier(kind: u8) -> &'static [u8] {
    match kind {
        0x01 => b"]A0",
        0x02 => b"]F0",
        0x03 => b"]C0",
        0x06 => b"]I0",
        0x07 => b"]G0",
        0x0a => b"]E4",
        0x0b => b"]E0",
        0x0f => b"]C1",
        0x11 => b"]L0",
        0x1b => b"]d1",
        0x1c => b"]Q1",
        0x2d => b"]z0",
        0x30..=0x32 => b"]e0",
        0x4b | 0x8b => b"]E3",
        0xc1 => b"]d2",
        0xc2 => b"]Q3",
        _ => b"",
    }
}

#[cfg(test)]
mod tests;
