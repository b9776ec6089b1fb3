//! Scanners as HID point-of-sale devices: reports of 64 bytes.
//!
//! Layout of a report: its id (2), the count of data bytes (at most 56), three bytes of the AIM
//! identifier, the data, at byte 61 a further identifier of the vendor's, a reserved byte, and at
//! byte 63 bit 0 for "more of the same scan follows". (HID Point of Sale Usage Tables 1.02, page
//! 8C; laid out so in the manuals of Access-IS and others.)
//!
//! Limits: a scan holds at most [`FRAME_BYTES_MAX`] bytes. Bytes that begin no report are skipped up
//! to the next that can, and counted. A scan that a report promises to go on and that does not is
//! dropped at the next silence.
//!
//! Deliberately lacking: report ids other than 2, and settings sent to the scanner.

use std::fmt;

use zeroize::Zeroizing;

use super::frame::{Counters, FRAME_BYTES_MAX, Frame, Reading, without_suffix};
use super::wipe::{wipe, wipe_front};

/// The bytes of one report.
pub const REPORT_BYTES: usize = 64;
/// The id of the report that holds a scan.
const REPORT_ID: u8 = 2;
const DATA_BYTES_MAX: u8 = 56;
const DATA_AT: usize = 5;
const CONTINUED: u8 = 0x01;

/// The usage page of bar code scanners.
const SCANNER_PAGE: u32 = 0x8c;

/// Reads the reports of one scanner; the same frames and counts whatever the chunks.
pub struct HidPosDecoder {
    buffer: Zeroizing<Vec<u8>>,
    /// The AIM identifier of the scan's first report.
    identifier: Option<[u8; 3]>,
    /// What the earlier reports of the scan hold; allocated once at its full size.
    text: Zeroizing<Vec<u8>>,
    /// Set between a report that says that more follows, and the last one.
    is_continued: bool,
    /// Set while the rest of a scan that was too long runs by.
    discarding: bool,
    counters: Counters,
}

impl fmt::Debug for HidPosDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HidPosDecoder")
            .field("buffered_bytes", &self.buffer.len())
            .field("collected_bytes", &self.text.len())
            .field("counters", &self.counters)
            .finish()
    }
}

impl Default for HidPosDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl HidPosDecoder {
    /// Makes a decoder with nothing in it.
    pub fn new() -> Self {
        Self {
            buffer: Zeroizing::new(Vec::with_capacity(REPORT_BYTES)),
            identifier: None,
            text: Zeroizing::new(Vec::with_capacity(FRAME_BYTES_MAX)),
            is_continued: false,
            discarding: false,
            counters: Counters::default(),
        }
    }

    /// Takes bytes from the device; returns the scans that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Reading {
        let mut frames = Vec::new();
        for &byte in bytes {
            self.buffer.push(byte);
            frames.extend(self.read_report());
        }
        Reading::of(frames)
    }

    /// Says that the device is quiet: what is not whole by now will not be.
    pub fn handle_idle(&mut self) -> Reading {
        self.reset();
        Reading::default()
    }

    /// Drops what is buffered, as after a device was lost in mid-scan.
    pub fn reset(&mut self) {
        if !self.buffer.is_empty() || self.is_continued && !self.discarding {
            self.counters.damaged += 1;
        }
        self.counters.skipped_bytes += (self.buffer.len() + self.text.len()) as u64;
        wipe(&mut self.buffer);
        self.clear_text();
    }

    /// Returns what has been seen so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn read_report(&mut self) -> Option<Frame> {
        while !may_begin_report(&self.buffer) {
            self.counters.skipped_bytes += 1;
            wipe_front(&mut self.buffer, 1);
        }
        let report = Zeroizing::new(*self.buffer.first_chunk::<REPORT_BYTES>()?);
        wipe(&mut self.buffer);
        self.counters.packets += 1;
        self.take(&report)
    }

    fn take(&mut self, report: &[u8; REPORT_BYTES]) -> Option<Frame> {
        let &[_, count, a0, a1, a2, .., flags] = report;
        let data = report
            .get(DATA_AT..DATA_AT + usize::from(count))
            .unwrap_or_default();
        if !self.is_continued {
            let is_aim = a0 == b']' && a1.is_ascii_alphabetic() && a2.is_ascii_alphanumeric();
            self.identifier = is_aim.then_some([a0, a1, a2]);
        }
        self.is_continued = flags & CONTINUED != 0;
        if !self.discarding && self.text.len() + data.len() > FRAME_BYTES_MAX {
            self.counters.oversized += 1;
            self.discarding = true;
        }
        if !self.discarding {
            self.text.extend_from_slice(data);
        }
        if self.is_continued {
            return None;
        }
        let identifier = self.identifier.as_ref().map_or(&[][..], |id| id.as_slice());
        let frame = if self.discarding {
            None
        } else {
            Frame::identified(identifier, without_suffix(&self.text))
        };
        self.clear_text();
        self.counters.frames += u64::from(frame.is_some());
        frame
    }

    fn clear_text(&mut self) {
        wipe(&mut self.text);
        self.is_continued = false;
        self.discarding = false;
    }
}

/// Says whether a report of a scan may begin with these bytes, as far as they go.
fn may_begin_report(bytes: &[u8]) -> bool {
    let at = |index: usize, fits: fn(u8) -> bool| bytes.get(index).is_none_or(|byte| fits(*byte));
    at(0, |id| id == REPORT_ID)
        && at(1, |count| count <= DATA_BYTES_MAX)
        && at(REPORT_BYTES - 1, |flags| flags & !CONTINUED == 0)
}

/// Says whether a HID report descriptor has anything on the usage page of bar code scanners.
pub fn declares_scanner(descriptor: &[u8]) -> bool {
    const USAGE_PAGE: u8 = 0x04;
    const LONG_ITEM: u8 = 0xfe;
    let mut rest = descriptor;
    while let [prefix, after @ ..] = rest {
        let size = match (prefix, after) {
            (&LONG_ITEM, [size, ..]) => usize::from(*size) + 2,
            _ => [0, 1, 2, 4][usize::from(prefix & 0x03)],
        };
        let Some((data, after)) = after.split_at_checked(size) else {
            return false;
        };
        let value = data
            .iter()
            .rev()
            .fold(0u32, |value, byte| value << 8 | u32::from(*byte));
        if prefix & 0xfc == USAGE_PAGE && value == SCANNER_PAGE {
            return true;
        }
        rest = after;
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::frame::texts;
    use super::*;
    use crate::chunks::chunks;

    /// The reports of one scan.
    fn reports(identifier: &[u8; 3], text: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        let mut chunks = text.chunks(56).peekable();
        while let Some(chunk) = chunks.next() {
            let mut report = [0; REPORT_BYTES];
            report[0] = REPORT_ID;
            report[1] = u8::try_from(chunk.len()).unwrap();
            report[2..5].copy_from_slice(identifier);
            report[5..5 + chunk.len()].copy_from_slice(chunk);
            report[61] = b's';
            report[63] = u8::from(chunks.peek().is_some());
            all.extend_from_slice(&report);
        }
        all
    }

    #[test]
    fn a_report_is_a_scan_with_its_aim_identifier() {
        let mut decoder = HidPosDecoder::new();
        assert_eq!(
            texts(&decoder.feed(&reports(b"]E0", b"4006381333931"))),
            ["]E04006381333931"]
        );
        assert_eq!(texts(&decoder.feed(&reports(&[0; 3], b"ABC\r"))), ["ABC"]);
    }

    #[test]
    fn a_long_scan_is_joined_and_the_padding_is_no_part_of_it() {
        // The example of the vendor's manual: 60 bytes, of which 4 come in a second report.
        let text = b"M1GATHERGOOD/MICHAEL YABCDEF LHRDURAK 3542 052Y003D23  12345";
        let mut decoder = HidPosDecoder::new();
        let reading = decoder.feed(&reports(b"]Q0", text));
        assert_eq!(reading.frames.len(), 1);
        assert_eq!(reading.frames[0].bytes(), [b"]Q0", &text[..]].concat());
    }

    #[test]
    fn a_scan_that_does_not_go_on_is_dropped_at_the_silence_and_the_next_is_read() {
        let mut decoder = HidPosDecoder::new();
        let long = reports(b"]Q0", &[b'A'; 100]);
        assert_eq!(decoder.feed(&long[..64]), Reading::default());
        assert_eq!(decoder.handle_idle(), Reading::default());
        assert_eq!(texts(&decoder.feed(&reports(b"]C0", b"B"))), ["]C0B"]);
        assert_eq!(decoder.counters().damaged, 1);
    }

    #[test]
    fn other_bytes_before_a_report_are_skipped() {
        let mut decoder = HidPosDecoder::new();
        let mut bytes = vec![0x01, 0x02, 0xff, 0x03];
        bytes.extend_from_slice(&reports(b"]C0", b"A"));
        assert_eq!(texts(&decoder.feed(&bytes)), ["]C0A"]);
        assert_eq!(decoder.counters().skipped_bytes, 4);
    }

    #[test]
    fn a_scan_longer_than_any_code_is_thrown_away_whole() {
        let mut decoder = HidPosDecoder::new();
        let bytes = reports(b"]Q0", &[b'A'; FRAME_BYTES_MAX + 1]);
        assert_eq!(decoder.feed(&bytes), Reading::default());
        assert_eq!(texts(&decoder.feed(&reports(b"]C0", b"B"))), ["]C0B"]);
        assert_eq!(decoder.counters().oversized, 1);
    }

    #[test]
    fn a_scanners_descriptor_is_told_from_a_keyboards() {
        let scanner = [0x05, 0x8c, 0x09, 0x02, 0xa1, 0x01, 0x85, 0x02, 0xc0];
        assert!(declares_scanner(&scanner));
        let wide = [0x06, 0x8c, 0x00, 0x09, 0x02];
        assert!(declares_scanner(&wide));
        // 8C stands here as the data of other items.
        let keyboard = [
            0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x25, 0x8c, 0x06, 0x8c, 0x01,
        ];
        assert!(!declares_scanner(&keyboard));
        assert!(!declares_scanner(&[0x06, 0x8c]));
        assert!(!declares_scanner(&[]));
    }

    #[test]
    fn debug_output_shows_no_byte_of_a_scan() {
        let mut decoder = HidPosDecoder::new();
        let bytes = reports(b"]C0", b"4111111111111111");
        let reading = decoder.feed(&bytes);
        decoder.feed(&bytes[..40]);
        let shown = format!("{reading:?} {decoder:?}");
        assert!(!shown.contains("1111") && !shown.contains("49"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_frames_and_counts(
            pieces in proptest::collection::vec(
                prop_oneof![
                    3 => proptest::collection::vec(any::<u8>(), 1..200)
                        .prop_map(|text| reports(b"]C0", &text)),
                    1 => proptest::collection::vec(any::<u8>(), 0..100),
                ],
                0..8,
            ),
            cuts in proptest::collection::vec(1usize..97, 1..40),
        ) {
            let data = pieces.concat();
            let mut whole = HidPosDecoder::new();
            let expected = whole.feed(&data);
            let mut chunked = HidPosDecoder::new();
            let mut frames = Vec::new();
            for chunk in chunks(&data, &cuts) {
                frames.extend(chunked.feed(chunk).frames);
            }
            prop_assert_eq!(frames, expected.frames);
            prop_assert_eq!(chunked.handle_idle(), whole.handle_idle());
            prop_assert_eq!(chunked.counters(), whole.counters());
        }

        #[test]
        fn no_descriptor_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            declares_scanner(&bytes);
        }
    }
}
