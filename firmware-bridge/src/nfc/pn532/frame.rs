//! The frames of a PN532, which are the same in both directions.
//!
//! Layout (NXP UM0701-02, 6.2.1): `00 00 FF LEN LCS TFI data … DCS 00`. LEN counts TFI and data,
//! LEN + LCS = 0 and TFI + data + DCS = 0, both modulo 256. An extended frame has `FF FF`, two bytes
//! of length and their LCS instead. ACK is `00 00 FF 00 FF 00`, NACK `00 00 FF FF 00 00`; an error
//! frame has 7F where TFI stands and no data.

use std::fmt;

/// The most bytes of TFI and data: what the chip itself takes (UM0701-02, 6.2.1.2).
pub const FRAME_BYTES_MAX: usize = 265;

/// The direction byte of what the host says.
pub const TO_CHIP: u8 = 0xd4;
/// The direction byte of what the chip says.
pub const FROM_CHIP: u8 = 0xd5;
/// What an error frame has in the direction's place.
const ERROR: u8 = 0x7f;

/// What the host writes to acknowledge, or to call a command off.
pub const ACK: [u8; 6] = [0x00, 0x00, 0xff, 0x00, 0xff, 0x00];
/// What the host writes to have the last frame sent again.
pub const NACK: [u8; 6] = [0x00, 0x00, 0xff, 0xff, 0x00, 0x00];

/// One frame. `Debug` shows the length of its data alone.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// A frame was taken.
    Ack,
    /// The last frame is wanted again.
    Nack,
    /// The chip does not know the command, or not so.
    Error,
    /// A command or an answer.
    Data {
        /// [`TO_CHIP`] or [`FROM_CHIP`].
        direction: u8,
        /// Command or answer code, and what it carries.
        data: Vec<u8>,
    },
    /// A frame whose checksum does not hold.
    Damaged,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ack => f.write_str("Ack"),
            Self::Nack => f.write_str("Nack"),
            Self::Error => f.write_str("Error"),
            Self::Data { direction, data } => {
                write!(f, "Data({direction:02X}, [{} bytes])", data.len())
            }
            Self::Damaged => f.write_str("Damaged"),
        }
    }
}

/// Writes a frame around `data`; longer data than a normal frame holds are cut.
pub fn encode(direction: u8, data: &[u8]) -> Vec<u8> {
    let body = data
        .get(..data.len().min(usize::from(u8::MAX) - 1))
        .unwrap_or(data);
    let len = u8::try_from(body.len() + 1).unwrap_or(u8::MAX);
    let sum = body
        .iter()
        .fold(direction, |sum, byte| sum.wrapping_add(*byte));
    let mut frame = vec![0x00, 0x00, 0xff, len, len.wrapping_neg(), direction];
    frame.extend_from_slice(body);
    frame.extend([sum.wrapping_neg(), 0x00]);
    frame
}

/// Cuts frames out of a serial line; the same frames whatever the chunks.
#[derive(Default)]
pub struct Framer {
    buffer: Vec<u8>,
    skipped_bytes: u64,
}

impl fmt::Debug for Framer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framer")
            .field("buffered_bytes", &self.buffer.len())
            .field("skipped_bytes", &self.skipped_bytes)
            .finish()
    }
}

/// How far the buffer's beginning is a frame.
enum Beginning {
    /// It may become one.
    Incomplete,
    /// It is no frame.
    Noise,
    /// It is one of so many bytes.
    Frame(Frame, usize),
}

impl Framer {
    /// Takes bytes; returns the frames that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        for &byte in bytes {
            self.buffer.push(byte);
            // One byte completes one frame at the most, but what stands behind a damaged beginning
            // may hold another; each turn takes at least a byte off the bounded buffer.
            while !self.buffer.is_empty() {
                match beginning(&self.buffer) {
                    Beginning::Incomplete => break,
                    Beginning::Noise => self.skip(1),
                    Beginning::Frame(Frame::Damaged, _) => {
                        // A byte may have got lost, and the next frame begun in this one.
                        self.skip(2);
                        frames.push(Frame::Damaged);
                    }
                    Beginning::Frame(frame, len) => {
                        self.buffer.drain(..len);
                        frames.push(frame);
                    }
                }
            }
        }
        frames
    }

    /// Drops what is buffered, as after a port was lost or a line fell silent.
    pub fn reset(&mut self) {
        self.skip(self.buffer.len());
    }

    /// Returns how many bytes belonged to no frame. The zeros around frames are not counted.
    pub fn skipped_bytes(&self) -> u64 {
        self.skipped_bytes
    }

    fn skip(&mut self, count: usize) {
        let skipped = self.buffer.drain(..count.min(self.buffer.len()));
        self.skipped_bytes += skipped.filter(|byte| *byte != 0).count() as u64;
    }
}

/// Looks for a frame at the start code `00 FF` that `buffer` should begin with.
fn beginning(buffer: &[u8]) -> Beginning {
    let (len, header) = match buffer {
        [0x00] | [0x00, 0xff] | [0x00, 0xff, _] => return Beginning::Incomplete,
        [0x00, 0xff, 0x00, 0xff, ..] => return Beginning::Frame(Frame::Ack, 4),
        [0x00, 0xff, 0xff, 0x00, ..] => return Beginning::Frame(Frame::Nack, 4),
        [0x00, 0xff, 0xff, 0xff, rest @ ..] => match rest {
            &[high, low, check, ..] => {
                if high.wrapping_add(low).wrapping_add(check) != 0 {
                    return Beginning::Noise;
                }
                (usize::from(high) << 8 | usize::from(low), 7)
            }
            _ => return Beginning::Incomplete,
        },
        &[0x00, 0xff, len, check, ..] => {
            if len.wrapping_add(check) != 0 {
                return Beginning::Noise;
            }
            (usize::from(len), 4)
        }
        _ => return Beginning::Noise,
    };
    if len == 0 || len > FRAME_BYTES_MAX {
        return Beginning::Noise;
    }
    let (Some(body), Some(check)) = (buffer.get(header..header + len), buffer.get(header + len))
    else {
        return Beginning::Incomplete;
    };
    let sum = body
        .iter()
        .fold(*check, |sum, byte| sum.wrapping_add(*byte));
    let frame = match body {
        _ if sum != 0 => Frame::Damaged,
        [ERROR] => Frame::Error,
        [direction, data @ ..] => Frame::Data {
            direction: *direction,
            data: data.to_vec(),
        },
        [] => Frame::Damaged,
    };
    Beginning::Frame(frame, header + len + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data(direction: u8, data: &[u8]) -> Frame {
        Frame::Data {
            direction,
            data: data.to_vec(),
        }
    }

    #[test]
    fn a_frame_is_written_as_the_manual_has_it() {
        let poll = [
            0x00, 0x00, 0xff, 0x04, 0xfc, 0xd4, 0x4a, 0x01, 0x00, 0xe1, 0x00,
        ];
        assert_eq!(encode(TO_CHIP, &[0x4a, 0x01, 0x00]), poll);
        assert_eq!(
            Framer::default().feed(&poll),
            [data(TO_CHIP, &[0x4a, 0x01, 0x00])]
        );
    }

    #[test]
    fn acknowledgements_errors_and_long_frames_are_told_apart() {
        let mut line = [ACK, NACK].concat();
        line.extend([0x00, 0x00, 0xff, 0x01, 0xff, 0x7f, 0x81, 0x00]);
        let body: Vec<u8> = std::iter::once(FROM_CHIP)
            .chain(std::iter::repeat_n(7, 259))
            .collect();
        let sum = body.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        line.extend([0x00, 0x00, 0xff, 0xff, 0xff, 0x01, 0x04, 0xfb]);
        line.extend(&body);
        line.extend([sum.wrapping_neg(), 0x00]);
        let mut framer = Framer::default();
        let frames = framer.feed(&line);
        let long = data(FROM_CHIP, &body[1..]);
        assert_eq!(frames, [Frame::Ack, Frame::Nack, Frame::Error, long]);
        assert_eq!(framer.skipped_bytes(), 0);
    }

    #[test]
    fn a_frame_behind_noise_or_a_lost_byte_is_found() {
        let answer = encode(FROM_CHIP, &[0x15]);
        for noise in [
            &b"\x55\x55\xff\xff"[..],
            b"\x00\xff\x05\x01",
            b"\x00\xff\xff\xff\x09\x09\x09",
            b"\x00\xff\x00",
            // A frame that lost a byte of its data.
            b"\x00\x00\xff\x04\xfc\xd5\x4b\x01",
        ] {
            let mut framer = Framer::default();
            let line = [noise, &answer, &answer].concat();
            let found = framer.feed(&line);
            assert!(found.contains(&data(FROM_CHIP, &[0x15])), "{noise:?}");
            assert!(framer.skipped_bytes() > 0, "{noise:?}");
        }
    }

    proptest! {
        #[test]
        fn any_chunks_give_the_same_frames(
            pieces in proptest::collection::vec(
                prop_oneof![
                    Just(ACK.to_vec()),
                    Just(NACK.to_vec()),
                    proptest::collection::vec(any::<u8>(), 0..40).prop_map(|d| encode(FROM_CHIP, &d)),
                    proptest::collection::vec(prop_oneof![Just(0), Just(0xff), any::<u8>()], 0..12),
                ],
                0..8,
            ),
            chunk in 1usize..20,
        ) {
            let line = pieces.concat();
            let mut whole = Framer::default();
            let mut parts = Framer::default();
            let frames = whole.feed(&line);
            let in_parts: Vec<Frame> = line.chunks(chunk).flat_map(|c| parts.feed(c)).collect();
            prop_assert_eq!(frames, in_parts);
            prop_assert_eq!(whole.skipped_bytes(), parts.skipped_bytes());
            prop_assert!(whole.buffer.len() <= FRAME_BYTES_MAX + 8);
        }
    }
}
