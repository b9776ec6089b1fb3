//! Cuts a scanner's stream of bytes into frames at its suffix, its STX and ETX, or an idle gap.

use std::fmt;

use zeroize::Zeroizing;

use super::frame::{Counters, FRAME_BYTES_MAX, Frame};
use super::wipe::wipe;

const NUL: u8 = 0x00;
const STX: u8 = 0x02;
const ETX: u8 = 0x03;

/// Which bytes end a frame. CR LF needs no entry: the empty frame between them vanishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suffixes {
    /// Carriage return.
    pub cr: bool,
    /// Line feed.
    pub lf: bool,
    /// Horizontal tab.
    pub tab: bool,
}

impl Default for Suffixes {
    fn default() -> Self {
        Self {
            cr: true,
            lf: true,
            tab: true,
        }
    }
}

/// How one scanner frames its scans. The default takes any suffix, and STX … ETX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineConfig {
    /// The bytes that end a frame.
    pub suffixes: Suffixes,
    /// Whether STX begins a frame anew and ETX ends it.
    pub stx_etx: bool,
    /// Bytes that the scanner puts in front of each scan; dropped where they stand, not required.
    pub prefix: Vec<u8>,
    /// Whether one letter of the vendor's code identifier follows the prefix; dropped where it
    /// stands. An AIM identifier starts with `]` and is never taken for one.
    pub code_id: bool,
}

impl Default for LineConfig {
    fn default() -> Self {
        Self {
            suffixes: Suffixes::default(),
            stx_etx: true,
            prefix: Vec::new(),
            code_id: false,
        }
    }
}

impl LineConfig {
    /// Takes prefix and code id off a scan, where they stand.
    pub(super) fn strip<'a>(&self, whole: &'a [u8]) -> &'a [u8] {
        let data = whole.strip_prefix(self.prefix.as_slice()).unwrap_or(whole);
        match data {
            [id, rest @ ..] if self.code_id && id.is_ascii_alphabetic() => rest,
            _ => data,
        }
    }
}

/// Cuts frames out of a scanner's bytes; the same frames whatever the chunks.
pub struct LineFramer {
    config: LineConfig,
    /// Allocated once at its full size, so that no growth leaves a copy behind.
    buffer: Zeroizing<Vec<u8>>,
    /// Set while the rest of a frame that was too long runs by.
    discarding: bool,
    counters: Counters,
}

impl fmt::Debug for LineFramer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineFramer")
            .field("config", &self.config)
            .field("buffered_bytes", &self.buffer.len())
            .field("discarding", &self.discarding)
            .field("counters", &self.counters)
            .finish()
    }
}

impl LineFramer {
    /// Makes a framer with nothing in it.
    pub fn new(config: LineConfig) -> Self {
        let buffer = Zeroizing::new(Vec::with_capacity(FRAME_BYTES_MAX));
        Self {
            config,
            buffer,
            discarding: false,
            counters: Counters::default(),
        }
    }

    /// Takes bytes from the port; returns the frames that they complete, empty ones left out.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Frame> {
        bytes.iter().filter_map(|&byte| self.take(byte)).collect()
    }

    /// Says that the line has been quiet long enough for what is buffered to be a whole scan.
    ///
    /// A scanner sends a scan in one go, so 100 ms and more of silence end one that has no suffix.
    pub fn handle_idle(&mut self) -> Option<Frame> {
        self.finish()
    }

    /// Drops what is buffered, as after a port was lost in mid-scan.
    pub fn reset(&mut self) {
        self.skip_buffer();
        self.discarding = false;
    }

    /// Returns what has been seen so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn take(&mut self, byte: u8) -> Option<Frame> {
        if self.ends_frame(byte) {
            return self.finish();
        }
        if self.config.stx_etx && byte == STX {
            self.reset();
            return None;
        }
        // A scanner that is switched on or plugged in holds the line low, which reads as NUL.
        if self.discarding || byte == NUL {
            self.counters.skipped_bytes += 1;
            return None;
        }
        if self.buffer.len() == FRAME_BYTES_MAX {
            self.counters.oversized += 1;
            self.counters.skipped_bytes += 1;
            self.skip_buffer();
            self.discarding = true;
            return None;
        }
        self.buffer.push(byte);
        None
    }

    fn ends_frame(&self, byte: u8) -> bool {
        let Suffixes { cr, lf, tab } = self.config.suffixes;
        match byte {
            b'\r' => cr,
            b'\n' => lf,
            b'\t' => tab,
            ETX => self.config.stx_etx,
            _ => false,
        }
    }

    fn finish(&mut self) -> Option<Frame> {
        self.discarding = false;
        let frame = Frame::of(self.config.strip(&self.buffer));
        wipe(&mut self.buffer);
        self.counters.frames += u64::from(frame.is_some());
        frame
    }

    fn skip_buffer(&mut self) {
        self.counters.skipped_bytes += self.buffer.len() as u64;
        wipe(&mut self.buffer);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chunks::chunks;
    use crate::code::CardRules;

    fn framer() -> LineFramer {
        LineFramer::new(LineConfig::default())
    }

    fn texts(frames: &[Frame]) -> Vec<String> {
        frames
            .iter()
            .map(|f| String::from_utf8_lossy(f.bytes()).into_owned())
            .collect()
    }

    #[test]
    fn every_suffix_ends_one_frame_and_empty_frames_vanish() {
        let frames = framer().feed(b"A\rB\nC\r\nD\tE\r\r\n\t\x02F\x03\x02G\x03\r\nH");
        assert_eq!(texts(&frames), ["A", "B", "C", "D", "E", "F", "G"]);
    }

    #[test]
    fn an_idle_gap_ends_a_scan_without_a_suffix() {
        let mut framer = framer();
        assert!(framer.feed(b"4006381333931").is_empty());
        assert_eq!(
            texts(&framer.handle_idle().into_iter().collect::<Vec<_>>()),
            ["4006381333931"]
        );
        assert_eq!(framer.handle_idle(), None);
        assert!(framer.feed(b"\r\n").is_empty());
        assert_eq!(framer.counters().frames, 1);
    }

    #[test]
    fn an_stx_throws_away_what_stood_before_it() {
        let mut framer = framer();
        assert_eq!(texts(&framer.feed(b"noise\x02A\x03")), ["A"]);
        assert_eq!(framer.counters().skipped_bytes, 5);
    }

    #[test]
    fn suffixes_that_are_not_set_are_data() {
        let suffixes = Suffixes {
            cr: true,
            lf: false,
            tab: false,
        };
        let mut framer = LineFramer::new(LineConfig {
            suffixes,
            stx_etx: false,
            ..LineConfig::default()
        });
        assert_eq!(
            texts(&framer.feed(b"A\tB\n\x02C\x03\r")),
            ["A\tB\n\u{2}C\u{3}"]
        );
    }

    #[test]
    fn prefix_and_code_id_are_dropped_where_they_stand() {
        let config = LineConfig {
            prefix: b"##".to_vec(),
            code_id: true,
            ..LineConfig::default()
        };
        let mut framer = LineFramer::new(config);
        let frames = framer.feed(b"##d4006381333931\r##]E04006381333931\r4006381333931\r##d\r");
        assert_eq!(
            texts(&frames),
            ["4006381333931", "]E04006381333931", "4006381333931"]
        );
    }

    #[test]
    fn a_frame_of_the_greatest_length_is_kept_and_a_longer_one_counted() {
        let mut framer = framer();
        let mut bytes = vec![b'x'; FRAME_BYTES_MAX];
        bytes.push(b'\r');
        assert_eq!(framer.feed(&bytes).len(), 1);

        bytes.insert(0, b'x');
        bytes.extend_from_slice(b"A\r");
        assert_eq!(texts(&framer.feed(&bytes)), ["A"]);
        let counters = framer.counters();
        assert_eq!((counters.frames, counters.oversized), (2, 1));
        assert_eq!(counters.skipped_bytes, FRAME_BYTES_MAX as u64 + 1);
    }

    #[test]
    fn a_line_that_never_ends_is_recovered_by_its_idle_gap() {
        let mut framer = framer();
        assert!(framer.feed(&vec![b'x'; 3 * FRAME_BYTES_MAX]).is_empty());
        assert_eq!(framer.handle_idle(), None);
        assert_eq!(texts(&framer.feed(b"A\r")), ["A"]);
        assert_eq!(framer.counters().oversized, 1);
    }

    #[test]
    fn a_lost_port_leaves_no_half_scan_behind() {
        let mut framer = framer();
        assert!(framer.feed(b"40063").is_empty());
        framer.reset();
        assert_eq!(texts(&framer.feed(b"81333931\r")), ["81333931"]);
        assert_eq!(framer.counters().skipped_bytes, 5);
    }

    #[test]
    fn a_payment_stripe_on_two_lines_is_refused_on_each() {
        let frames =
            framer().feed(b"%B4111111111111111^DOE/J^2705?\r\n;4111111111111111=2705?\r\n");
        let rules = CardRules::default();
        let kinds: Vec<&str> = frames
            .into_iter()
            .map(|f| f.classify(&rules).kind())
            .collect();
        assert_eq!(kinds, ["payment_refused", "payment_refused"]);
    }

    #[test]
    fn debug_output_shows_no_byte_of_a_scan() {
        let mut framer = framer();
        let frames = framer.feed(b"411111\r222222");
        let shown = format!("{frames:?} {framer:?}");
        assert!(!shown.contains("1111") && !shown.contains("2222") && !shown.contains("49"));
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_frames_and_counts(
            data in proptest::collection::vec(
                prop_oneof![4 => any::<u8>(), 1 => proptest::sample::select(b"\r\n\t\x02\x03".to_vec())],
                0..2_000,
            ),
            cuts in proptest::collection::vec(1usize..97, 1..40),
        ) {
            let mut whole = framer();
            let expected = whole.feed(&data);
            let mut chunked = framer();
            let mut frames = Vec::new();
            for chunk in chunks(&data, &cuts) {
                frames.extend(chunked.feed(chunk));
            }
            prop_assert_eq!(frames, expected);
            prop_assert_eq!(chunked.counters(), whole.counters());
            prop_assert_eq!(chunked.handle_idle(), whole.handle_idle());
        }
    }
}
