//! One SSI packet: found in the bytes, checked, and told apart by its opcode.

const SEGMENT: u8 = 0x73;
const ACK: u8 = 0xd0;
const NAK: u8 = 0xd1;
const DECODE_DATA: u8 = 0xf3;

/// What scanners send, by the guide; a header with another opcode is noise.
const OPCODES: [u8; 13] = [
    0x14,
    SEGMENT,
    0x80,
    0x91,
    0x93,
    0xa4,
    0xb1,
    0xb4,
    0xc6,
    ACK,
    NAK,
    DECODE_DATA,
    0xf6,
];
/// Capabilities, which some scanners send of their own when they are plugged in.
const CAPABILITIES_REPLY: u8 = 0xd4;

/// The scanner's number as source. Real ones also send 2 there.
const SCANNERS: [u8; 2] = [0, 2];
const HOST: u8 = 4;
/// What a host sets in its status byte: retransmission, and a change that is to stay.
const HOST_BITS: u8 = 0x09;

/// Length, opcode, source, status.
const HEADER_BYTES: usize = 4;
const CHECKSUM_BYTES: usize = 2;

const RETRANSMITTED: u8 = 0x01;
const CONTINUED: u8 = 0x02;
/// The length of a packet that holds all it can.
const FULL: u8 = 0xff;

/// What stands at the front of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Too few bytes to tell, or to be whole.
    Incomplete,
    /// No header can start here.
    Noise,
    /// A header, and a checksum that does not hold.
    Damaged,
    /// A packet of so many bytes.
    Whole { bytes: usize },
}

/// Looks at the front of `bytes`.
pub(super) fn look(bytes: &[u8]) -> Look {
    let &[length, ref rest @ ..] = bytes else {
        return Look::Incomplete;
    };
    if usize::from(length) < HEADER_BYTES {
        return Look::Noise;
    }
    if let &[opcode, source, ..] = rest {
        let is_known = OPCODES.contains(&opcode) || opcode == CAPABILITIES_REPLY;
        let may_be_echo = source == HOST && rest.get(2).is_none_or(|bits| bits & !HOST_BITS == 0);
        let may_be_scanners = is_known && SCANNERS.contains(&source);
        if !(may_be_echo || may_be_scanners) {
            return Look::Noise;
        }
    }
    let end = usize::from(length);
    let (Some(counted), Some(&[high, low])) = (
        bytes.get(..end),
        bytes
            .get(end..end + CHECKSUM_BYTES)
            .and_then(|pair| pair.first_chunk()),
    ) else {
        return Look::Incomplete;
    };
    if u16::from_be_bytes([high, low]) == checksum(counted) {
        return Look::Whole {
            bytes: end + CHECKSUM_BYTES,
        };
    }
    // What says it is from the host is no header of a scanner's that was damaged.
    if rest.get(1) == Some(&HOST) {
        Look::Noise
    } else {
        Look::Damaged
    }
}

/// The two's complement of the sum of all bytes.
pub(super) fn checksum(bytes: &[u8]) -> u16 {
    bytes
        .iter()
        .fold(0u16, |sum, byte| sum.wrapping_sub(u16::from(*byte)))
}

/// A packet that came whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// A scan: its code type and data.
    Decode {
        /// The scanner says that it has sent this before.
        is_repeated: bool,
        /// More of the same scan follows.
        continues: bool,
        /// Code type, then text.
        data: &'a [u8],
    },
    /// A part of a long scan: its number, then data.
    Segment { data: &'a [u8] },
    /// The scanner's ACK or NAK.
    Acknowledgement,
    /// A packet that the host sends, thrown back by the line.
    Echo,
    /// Anything else; nothing to do but to acknowledge it.
    Other,
}

impl<'a> Packet<'a> {
    /// Reads a packet that [`look`] found whole.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        let (counted, _checksum) = bytes.split_at_checked(bytes.len() - CHECKSUM_BYTES)?;
        let &[length, opcode, source, status, ref data @ ..] = counted else {
            return None;
        };
        if source == HOST {
            return Some(Self::Echo);
        }
        Some(match opcode {
            DECODE_DATA => Self::Decode {
                is_repeated: status & RETRANSMITTED != 0,
                continues: length == FULL && status & CONTINUED != 0,
                data,
            },
            SEGMENT => Self::Segment { data },
            ACK | NAK => Self::Acknowledgement,
            _ => Self::Other,
        })
    }
}

/// Takes off the `01 length(2)` that newer scanners put before the text. It is taken for that only
/// where the length agrees to the byte.
pub(super) fn without_envelope(text: &[u8]) -> &[u8] {
    match text {
        [0x01, high, low, inner @ ..]
            if usize::from(u16::from_be_bytes([*high, *low])) == inner.len() =>
        {
            inner
        }
        _ => text,
    }
}
