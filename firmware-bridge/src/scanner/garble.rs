//! Notices a line whose bytes are no text, as they come at a wrong baud rate.
//!
//! A burst is what comes between two silences: a scan, mostly. At a wrong rate the bits of a
//! character are cut up anew, so that a good part of the bytes is no text. One garbled burst may
//! be a plug that was pulled; [`GARBLED_BURSTS`] in a row, without a legible one between, are not.
//!
//! Limits: two counters, nothing of what came is kept. Bytes of a UTF-8 or GBK text count as no
//! text here, so a share of them is allowed, and who reads packets says by their checksums whether
//! a burst was legible.

/// After so many garbled bursts in a row the line is called garbled: the second failed scan.
pub const GARBLED_BURSTS: u8 = 2;
/// A shorter burst says too little.
const BURST_BYTES_MIN: u32 = 4;
/// One byte in so many, or more, that is no text makes a burst garbled.
const GARBLED_SHARE: u32 = 3;

/// Judges the bursts of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Garble {
    text_bytes: u32,
    other_bytes: u32,
    garbled_bursts: u8,
}

impl Garble {
    /// Counts bytes of the burst that is under way.
    pub fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                // A scanner that is switched on or plugged in holds the line low.
                0 => {}
                // Controls that stand in and around codes: framing, and the separators of GS1
                // and of ISO/IEC 15434.
                0x02..=0x04 | b'\t' | b'\n' | b'\r' | 0x1c..=0x7e => {
                    self.text_bytes = self.text_bytes.saturating_add(1);
                }
                _ => self.other_bytes = self.other_bytes.saturating_add(1),
            }
        }
    }

    /// Ends a burst at a silence. `packets` is whether whole packets came in it, where the framing
    /// has packets; it outweighs the bytes.
    pub fn end_burst(&mut self, packets: Option<bool>) {
        let bytes = self.text_bytes.saturating_add(self.other_bytes);
        let is_garbled = match packets {
            Some(came) => !came,
            None => self.other_bytes.saturating_mul(GARBLED_SHARE) >= bytes,
        };
        if bytes >= BURST_BYTES_MIN {
            self.garbled_bursts = if is_garbled {
                self.garbled_bursts.saturating_add(1)
            } else {
                0
            };
        }
        self.text_bytes = 0;
        self.other_bytes = 0;
    }

    /// Says whether the last bursts were no text.
    pub fn is_garbled(&self) -> bool {
        self.garbled_bursts >= GARBLED_BURSTS
    }

    /// Forgets all, as after a port was opened anew.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_garbled(bursts: &[&[u8]]) -> bool {
        let mut garble = Garble::default();
        for burst in bursts {
            garble.feed(burst);
            garble.end_burst(None);
        }
        garble.is_garbled()
    }

    #[test]
    fn two_bursts_of_no_text_are_noticed_and_one_is_not() {
        let noise: &[u8] = &[0xf8, 0x80, 0x1c, 0xe6, 0x06, 0xfe];
        assert!(!is_garbled(&[noise]));
        assert!(is_garbled(&[noise, noise]));
        assert!(!is_garbled(&[noise, b"4006381333931\r", noise]));
        assert!(!is_garbled(&[noise, noise, b"4006381333931\r"]));
    }

    #[test]
    fn power_on_and_short_hiccups_say_nothing() {
        assert!(!is_garbled(&[&[0; 200], &[0; 200], &[0xff, 0xfe], &[0xff]]));
        let noise: &[u8] = &[0xf8, 0x80, 0x1c, 0xe6, 0x06, 0xfe];
        assert!(is_garbled(&[noise, &[0; 9], &[0xff], noise]));
    }

    #[test]
    fn texts_with_separators_and_some_umlauts_are_legible() {
        let gs1 = b"]d2019501101530003\x1d17250101\x1d10AB-123\r".as_slice();
        let umlauts = "TBC:MÜLLER-GRÖSSE\r".as_bytes();
        assert!(!is_garbled(&[gs1, umlauts, gs1, umlauts]));
    }

    #[test]
    fn whole_packets_outweigh_what_the_bytes_look_like() {
        let mut garble = Garble::default();
        for _ in 0..3 {
            garble.feed(&[0x07, 0xf3, 0x00, 0x00, 0x01, 0x4e, 0x52, 0xfe, 0x65]);
            garble.end_burst(Some(true));
        }
        assert!(!garble.is_garbled());
        for _ in 0..2 {
            garble.feed(b"4006381333931\r");
            garble.end_burst(Some(false));
        }
        assert!(garble.is_garbled());
    }
}
