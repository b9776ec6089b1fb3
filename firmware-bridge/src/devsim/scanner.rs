//! A scanner: frames in the ways that scanners have, Zebra's SSI with its acknowledgements (Simple Serial
//! Interface Programmer's Guide, 72E-40451), and the reports of HID POS (HID Point of Sale Usage Tables
//! 1.02, page 8C).

use std::collections::VecDeque;

/// How a simulated scanner frames what it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framing {
    /// Prefix, code, suffix.
    Line {
        /// Before each code.
        prefix: Vec<u8>,
        /// Behind each code.
        suffix: Vec<u8>,
    },
    /// Zebra SSI.
    Ssi,
    /// Honeywell's framed output.
    Honeywell,
    /// Reports of a HID point-of-sale device.
    HidPos,
}

/// Sends of one SSI packet before the scanner gives up: once and two times again.
const SENDS_MAX: u32 = 3;
/// Most bytes of a code in one SSI packet, whose length byte counts the header, too.
const SSI_DATA_MAX: usize = 250;
/// Bytes of a code in the first segment of a long one, and in each further one.
const SEGMENT_DATA: (usize, usize) = (241, 250);
/// Bytes of a HID POS report, and of a code in one.
const REPORT: (usize, usize) = (64, 56);

/// What became of SSI packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The host acknowledged a scan.
    Acknowledged,
    /// The host wants a packet again.
    SentAgain,
    /// The host never acknowledged a packet.
    GivenUp,
}

/// A simulated scanner.
#[derive(Debug)]
pub struct Scanner {
    framing: Framing,
    waiting: VecDeque<Vec<u8>>,
    sends: u32,
    received: Vec<u8>,
}

impl Scanner {
    /// Makes a scanner.
    pub fn new(framing: Framing) -> Self {
        Self {
            framing,
            waiting: VecDeque::new(),
            sends: 0,
            received: Vec::new(),
        }
    }

    /// Reads a code, with or without AIM identifier; returns the bytes that go out now.
    pub fn scan(&mut self, code: &[u8]) -> Vec<u8> {
        match &self.framing {
            Framing::Line { prefix, suffix } => [prefix, code, suffix].concat(),
            Framing::Honeywell => honeywell(code),
            Framing::HidPos => reports(code),
            Framing::Ssi => {
                let (kind, data) = ssi_type(code);
                self.enqueue(kind, data)
            }
        }
    }

    /// Tries and reads nothing; only SSI has a word for that.
    pub fn no_read(&mut self) -> Vec<u8> {
        match self.framing {
            Framing::Ssi => self.enqueue(0x01, b"NR"),
            Framing::Line { .. } | Framing::Honeywell | Framing::HidPos => Vec::new(),
        }
    }

    /// Takes bytes from the host; returns what goes out now and what became of earlier packets.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> (Vec<u8>, Vec<Outcome>) {
        let mut out = Vec::new();
        let mut outcomes = Vec::new();
        if self.framing != Framing::Ssi {
            return (out, outcomes);
        }
        self.received.extend_from_slice(bytes);
        while let Some((opcode, used)) = host_packet(&self.received) {
            self.received.drain(..used);
            match opcode {
                // CMD_ACK, or the acknowledgement of a segment.
                Some(0xD0 | 0x74) if !self.waiting.is_empty() => {
                    self.waiting.pop_front();
                    self.sends = 0;
                    if self.waiting.is_empty() {
                        outcomes.push(Outcome::Acknowledged);
                    }
                    out.extend(self.send());
                }
                Some(0xD1) => {
                    let again = self.handle_silence();
                    out.extend(again.0);
                    outcomes.extend(again.1);
                }
                Some(_) | None => {}
            }
        }
        (out, outcomes)
    }

    /// Sends again what the host has not acknowledged in time, with the retransmit bit; gives up after the
    /// third time.
    pub fn handle_silence(&mut self) -> (Vec<u8>, Option<Outcome>) {
        if self.waiting.is_empty() {
            return (Vec::new(), None);
        }
        if self.sends >= SENDS_MAX {
            self.waiting.clear();
            self.sends = 0;
            return (Vec::new(), Some(Outcome::GivenUp));
        }
        (self.send(), Some(Outcome::SentAgain))
    }

    /// Says whether an acknowledgement is waited for.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn enqueue(&mut self, kind: u8, data: &[u8]) -> Vec<u8> {
        let idle = self.waiting.is_empty();
        if data.len() <= SSI_DATA_MAX {
            let body = [&[kind], data].concat();
            self.waiting.push_back(ssi_packet(0xF3, &body));
        } else {
            self.waiting.extend(segments(kind, data));
        }
        if idle { self.send() } else { Vec::new() }
    }

    fn send(&mut self) -> Vec<u8> {
        let Some(packet) = self.waiting.front() else {
            return Vec::new();
        };
        self.sends += 1;
        if self.sends == 1 {
            return packet.clone();
        }
        let Some(unsummed) = packet
            .len()
            .checked_sub(2)
            .and_then(|end| packet.get(..end))
        else {
            return Vec::new();
        };
        let mut again = unsummed.to_vec();
        if let Some(status) = again.get_mut(3) {
            // Status bit 0: retransmit.
            *status |= 0x01;
        }
        let sum = checksum(&again);
        again.extend_from_slice(&sum);
        again
    }
}

fn checksum(bytes: &[u8]) -> [u8; 2] {
    let sum = bytes
        .iter()
        .fold(0u16, |sum, b| sum.wrapping_add(u16::from(*b)));
    sum.wrapping_neg().to_be_bytes()
}

/// Cuts a long code into packets of opcode 73, as real scanners do: each has a number, the first says what
/// comes and how much of it.
fn segments(kind: u8, data: &[u8]) -> Vec<Vec<u8>> {
    let (first, others) = SEGMENT_DATA;
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
    let mut head = vec![0, 0xF3];
    head.extend_from_slice(&(u32::from(length) + 3).to_be_bytes());
    head.extend_from_slice(&[kind, 1]);
    head.extend_from_slice(&length.to_be_bytes());
    let (start, rest) = data.split_at(first.min(data.len()));
    head.extend_from_slice(start);
    let mut packets = vec![ssi_packet(0x73, &head)];
    for (part, number) in rest.chunks(others).zip(1u8..) {
        packets.push(ssi_packet(0x73, &[&[number], part].concat()));
    }
    packets
}

fn ssi_packet(opcode: u8, data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len() + 4).unwrap_or(u8::MAX);
    let mut packet = vec![length, opcode, 0x00, 0x00];
    packet.extend_from_slice(data);
    let sum = checksum(&packet);
    packet.extend_from_slice(&sum);
    packet
}

/// Returns the opcode of the host's next packet, or nothing in it where a byte makes no sense; and how
/// many bytes it takes.
fn host_packet(bytes: &[u8]) -> Option<(Option<u8>, usize)> {
    let length = usize::from(*bytes.first()?);
    if length < 4 {
        return Some((None, 1));
    }
    let packet = bytes.get(..length + 2)?;
    let (unsummed, sum) = packet.split_at(length);
    if sum != checksum(unsummed) {
        return Some((None, 1));
    }
    Some((packet.get(1).copied(), length + 2))
}

/// Returns the SSI code type of a code by its AIM identifier, and the code without it.
fn ssi_type(code: &[u8]) -> (u8, &[u8]) {
    match code {
        [b']', b'E', b'4', rest @ ..] => (0x0A, rest),
        [b']', b'E', _, rest @ ..] => (0x0B, rest),
        [b']', b'C', b'1', rest @ ..] => (0x0F, rest),
        [b']', b'C', _, rest @ ..] => (0x03, rest),
        [b']', b'A', _, rest @ ..] => (0x01, rest),
        [b']', b'F', _, rest @ ..] => (0x02, rest),
        [b']', b'I', _, rest @ ..] => (0x06, rest),
        [b']', b'L', _, rest @ ..] => (0x11, rest),
        [b']', b'd', _, rest @ ..] => (0x1B, rest),
        [b']', b'Q', _, rest @ ..] => (0x1C, rest),
        // Without one, as a Code 128.
        plain => (0x03, plain),
    }
}

/// Reports of id 2: the count of data bytes, the AIM identifier in each, the data, and in the last byte
/// whether more of the code follows.
fn reports(code: &[u8]) -> Vec<u8> {
    let (size, most) = REPORT;
    let (identifier, data) = match code {
        [b']', letter, modifier, rest @ ..] => ([b']', *letter, *modifier], rest),
        plain => ([0; 3], plain),
    };
    let parts = data.chunks(most);
    let last = parts.len().saturating_sub(1);
    let mut reports = Vec::with_capacity(parts.len() * size);
    for (at, part) in parts.enumerate() {
        let begins_at = reports.len();
        reports.extend([2, u8::try_from(part.len()).unwrap_or(u8::MAX)]);
        reports.extend(identifier);
        reports.extend_from_slice(part);
        reports.resize(begins_at + size - 1, 0);
        reports.push(u8::from(at < last));
    }
    reports
}

/// SYN FE, four digits of size, CR, `MSGGET`, four digits, code id, AIM letter and modifier, GS, data, CR.
fn honeywell(code: &[u8]) -> Vec<u8> {
    let (letter, modifier, data) = match code {
        [b']', letter, modifier, rest @ ..] => (*letter, *modifier, rest),
        plain => (b'C', b'0', plain),
    };
    let id = match letter {
        b'E' => b'd',
        b'Q' => b's',
        b'd' => b'w',
        _ => b'j',
    };
    let mut body = format!("MSGGET{:04}", data.len()).into_bytes();
    body.extend_from_slice(&[id, letter, modifier, 0x1d]);
    body.extend_from_slice(data);
    let size = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut frame = vec![0x16, 0xfe];
    frame.extend_from_slice(&size.to_le_bytes());
    frame.push(b'\r');
    frame.extend_from_slice(&body);
    frame.push(b'\r');
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACK: [u8; 6] = [0x04, 0xd0, 0x04, 0x00, 0xff, 0x28];
    const NAK: [u8; 7] = [0x05, 0xd1, 0x04, 0x00, 0x01, 0xff, 0x25];

    #[test]
    fn a_no_read_is_the_packet_of_the_vendors_guide() {
        let mut scanner = Scanner::new(Framing::Ssi);
        let packet = [0x07, 0xf3, 0x00, 0x00, 0x01, 0x4e, 0x52, 0xfe, 0x65];
        assert_eq!(scanner.no_read(), packet);
    }

    #[test]
    fn a_packet_is_sent_again_with_its_bit_until_the_host_has_it_or_it_is_given_up() {
        let mut scanner = Scanner::new(Framing::Ssi);
        let first = scanner.scan(b"]E04006381333931");
        let (again, outcomes) = scanner.handle_bytes(&NAK);
        assert_eq!(outcomes, [Outcome::SentAgain]);
        assert_eq!((first[3], again[3]), (0, 1));
        assert_eq!(scanner.handle_bytes(&ACK[..3]), (vec![], vec![]));
        let (none, outcomes) = scanner.handle_bytes(&ACK[3..]);
        assert_eq!((none.len(), outcomes), (0, vec![Outcome::Acknowledged]));

        scanner.scan(b"x");
        scanner.handle_silence();
        scanner.handle_silence();
        let (none, outcome) = scanner.handle_silence();
        assert_eq!((none.len(), outcome), (0, Some(Outcome::GivenUp)));
        assert!(!scanner.is_waiting());
    }

    #[test]
    fn a_report_is_as_the_usage_tables_lay_it_out_and_says_whether_the_code_goes_on() {
        let mut scanner = Scanner::new(Framing::HidPos);
        let report = scanner.scan(b"]E04006381333931");
        assert_eq!(report.len(), 64);
        assert_eq!(report[..18], *b"\x02\x0d]E04006381333931");
        assert!(report[18..].iter().all(|byte| *byte == 0));
        let reports = scanner.scan(&[b"]Q1".as_slice(), &[b'Z'; 57]].concat());
        assert_eq!(reports.len(), 128);
        assert_eq!((reports[1], reports[63]), (56, 1));
        assert_eq!(reports[64..70], *b"\x02\x01]Q1Z");
        assert_eq!(reports[127], 0);
    }

    #[test]
    fn a_long_code_goes_out_in_segments_as_those_of_a_real_scanner() {
        let mut scanner = Scanner::new(Framing::Ssi);
        let segment_ack = [0x04, 0x74, 0x04, 0x00, 0xff, 0x84];
        let first = scanner.scan(&[b"]Q1".as_slice(), &[b'Z'; 500]].concat());
        // The recorded one bears source 2 where this has 0, so their checksums differ.
        let recorded = [
            0xff, 0x73, 0x00, 0x00, 0x00, 0xf3, 0x00, 0x00, 0x01, 0xf7, 0x1c, 0x01, 0x01, 0xf4,
            0x5a,
        ];
        assert_eq!(first[..15], recorded);
        let (second, _) = scanner.handle_bytes(&segment_ack);
        assert_eq!(second[..6], [0xff, 0x73, 0x00, 0x00, 0x01, 0x5a]);
        let (third, _) = scanner.handle_bytes(&segment_ack);
        let last = [
            0x0e, 0x73, 0x00, 0x00, 0x02, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a,
            0xfc, 0x53,
        ];
        assert_eq!(third, last);
        assert_eq!(scanner.handle_bytes(&ACK).1, [Outcome::Acknowledged]);
    }
}
