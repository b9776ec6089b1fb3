use proptest::prelude::*;

use super::record::{key_record, record, report_record};
use super::*;
use crate::chunks::chunks;
use crate::scanner::frame::texts;

const SHIFT: u16 = 42;
const CTRL: u16 = 29;
const ALT: u16 = 56;

/// A keyboard whose keys come some milliseconds apart.
struct Keys {
    at: Duration,
    step: Duration,
    bytes: Vec<u8>,
}

impl Keys {
    fn every(step_ms: u64) -> Self {
        Self {
            at: Duration::from_secs(1_700_000_000),
            step: Duration::from_millis(step_ms),
            bytes: Vec::new(),
        }
    }

    fn set(&mut self, code: u16, is_down: bool) {
        self.bytes
            .extend_from_slice(&key_record(code, is_down, self.at));
        self.bytes.extend_from_slice(&report_record(self.at));
    }

    fn press(&mut self, code: u16) {
        self.at += self.step;
        self.set(code, true);
        self.set(code, false);
    }

    fn with(&mut self, modifier: u16, codes: &[u16]) {
        self.set(modifier, true);
        for code in codes {
            self.press(*code);
        }
        self.set(modifier, false);
    }

    /// Types digits of the upper row.
    fn digits(&mut self, digits: &str) {
        for digit in digits.bytes() {
            self.press(match digit {
                b'0' => 11,
                _ => u16::from(digit - b'1') + 2,
            });
        }
    }

    fn wait(&mut self, ms: u64) {
        self.at += Duration::from_millis(ms);
    }
}

fn decoder() -> KeyboardDecoder {
    KeyboardDecoder::new(KeyboardConfig::default())
}

#[test]
fn a_fast_run_up_to_enter_is_a_scan_and_a_slow_one_is_typing() {
    let mut keys = Keys::every(10);
    keys.digits("4006381333931");
    keys.press(ENTER);
    let mut slow = Keys::every(90);
    slow.digits("123456");
    slow.press(ENTER);
    let mut decoder = decoder();
    assert_eq!(texts(&decoder.feed(&keys.bytes)), ["4006381333931"]);
    assert_eq!(decoder.feed(&slow.bytes), Reading::default());
    assert_eq!(decoder.counters().typed, 1);
}

#[test]
fn one_slow_key_spoils_what_follows_up_to_enter_or_a_long_pause() {
    let mut decoder = decoder();
    let mut keys = Keys::every(10);
    keys.digits("12345");
    keys.wait(300);
    keys.digits("67890");
    keys.wait(1_000);
    keys.digits("4711");
    keys.press(ENTER);
    assert_eq!(texts(&decoder.feed(&keys.bytes)), ["4711"]);
    assert_eq!(decoder.counters().typed, 1);
}

#[test]
fn a_key_or_two_and_a_correction_are_by_hand() {
    let mut decoder = decoder();
    let mut keys = Keys::every(10);
    keys.digits("123");
    keys.press(ENTER);
    keys.digits("12345");
    keys.press(BACKSPACE);
    keys.digits("6");
    keys.press(ENTER);
    keys.press(ENTER);
    assert_eq!(decoder.feed(&keys.bytes), Reading::default());
    assert_eq!(decoder.counters().typed, 2);
}

#[test]
fn a_scanner_without_a_suffix_is_read_by_its_pause() {
    let none = Suffixes {
        cr: false,
        lf: false,
        tab: false,
    };
    let config = KeyboardConfig {
        line: LineConfig {
            suffixes: none,
            ..LineConfig::default()
        },
        ..KeyboardConfig::default()
    };
    let mut decoder = KeyboardDecoder::new(config);
    let mut keys = Keys::every(10);
    keys.digits("4006381333931");
    assert_eq!(decoder.feed(&keys.bytes), Reading::default());
    assert_eq!(texts(&decoder.handle_idle()), ["4006381333931"]);
    // The next key tells of the pause as well, where nobody told of the silence.
    keys.bytes.clear();
    keys.digits("11111");
    keys.wait(300);
    keys.digits("22222");
    assert_eq!(texts(&decoder.feed(&keys.bytes)), ["11111"]);
    assert_eq!(texts(&decoder.handle_idle()), ["22222"]);
}

#[test]
fn a_tab_that_ends_no_scan_is_part_of_it() {
    let config = KeyboardConfig {
        line: LineConfig {
            suffixes: Suffixes {
                cr: true,
                lf: false,
                tab: false,
            },
            prefix: b"#".to_vec(),
            ..LineConfig::default()
        },
        ..KeyboardConfig::default()
    };
    let mut decoder = KeyboardDecoder::new(config);
    let mut keys = Keys::every(10);
    keys.with(SHIFT, &[4]);
    keys.digits("12345");
    keys.press(TAB);
    keys.digits("6");
    keys.press(ENTER);
    assert_eq!(texts(&decoder.feed(&keys.bytes)), ["12345\t6"]);
}

#[test]
fn control_characters_are_kept_and_control_m_ends_a_scan() {
    let mut decoder = decoder();
    let mut keys = Keys::every(10);
    keys.digits("12");
    // GS, RS, US, FS, EOT.
    keys.with(CTRL, &[27, 7, 12, 43, 32]);
    keys.digits("34");
    keys.with(CTRL, &[50]);
    assert_eq!(
        texts(&decoder.feed(&keys.bytes)),
        ["12\u{1d}\u{1e}\u{1f}\u{1c}\u{4}34"]
    );
}

#[test]
fn alt_codes_above_ascii_count_with_their_zero_alone() {
    let mut decoder = decoder();
    let mut keys = Keys::every(10);
    keys.digits("123");
    // Alt and 0228 is ä; Alt and 132 is one only on some code pages.
    keys.with(ALT, &[82, 80, 80, 72]);
    keys.press(ENTER);
    keys.digits("123");
    keys.with(ALT, &[79, 81, 80]);
    keys.press(ENTER);
    keys.digits("123");
    keys.with(ALT, &[75, 79]);
    keys.press(ENTER);
    assert_eq!(texts(&decoder.feed(&keys.bytes)), ["123ä", "123)"]);
    assert_eq!(decoder.counters().unreadable, 1);
}

#[test]
fn a_dead_key_before_a_letter_that_takes_none_stands_by_itself() {
    let config = KeyboardConfig {
        layout: Layout::De,
        ..KeyboardConfig::default()
    };
    let mut decoder = KeyboardDecoder::new(config);
    let mut keys = Keys::every(10);
    for code in [41, 45, 41, 41, 13, 31, ENTER] {
        keys.press(code);
    }
    assert_eq!(texts(&decoder.feed(&keys.bytes)), ["^x^^´s"]);
}

#[test]
fn repeats_of_a_held_key_and_keys_held_at_the_start_do_no_harm() {
    let mut decoder = decoder();
    let mut keys = Keys::every(10);
    // Released, though never seen going down.
    keys.set(ENTER, false);
    keys.set(SHIFT, false);
    keys.digits("1234");
    keys.bytes.extend_from_slice(&record(1, 5, 2, keys.at));
    keys.press(ENTER);
    assert_eq!(texts(&decoder.feed(&keys.bytes)), ["1234"]);
}

#[test]
fn a_lost_keyboard_leaves_no_key_down_and_no_half_scan() {
    let mut decoder = decoder();
    let mut keys = Keys::every(10);
    keys.set(SHIFT, true);
    keys.digits("12345");
    decoder.feed(&keys.bytes);
    decoder.reset();
    let mut keys = Keys::every(10);
    keys.digits("6789");
    keys.press(ENTER);
    assert_eq!(texts(&decoder.feed(&keys.bytes)), ["6789"]);
}

#[test]
fn a_run_longer_than_any_code_is_thrown_away_whole() {
    let mut decoder = decoder();
    let mut keys = Keys::every(1);
    keys.digits(&"1".repeat(FRAME_BYTES_MAX + 1));
    keys.press(ENTER);
    keys.digits("4711");
    keys.press(ENTER);
    assert_eq!(texts(&decoder.feed(&keys.bytes)), ["4711"]);
    assert_eq!(decoder.counters().oversized, 1);
}

#[test]
fn every_layout_writes_every_letter_and_digit_and_is_known_by_its_name() {
    let levels = [(false, false), (true, false)];
    for layout in Layout::ALL {
        assert_eq!(layout.as_str().parse(), Ok(layout));
        let written: Vec<char> = (0..128)
            .flat_map(|code| {
                levels.map(|(shift, alt_gr)| layout.character(code, Level { shift, alt_gr }))
            })
            .flatten()
            .collect();
        for wanted in ('a'..='z').chain('A'..='Z').chain('0'..='9') {
            assert!(written.contains(&wanted), "{wanted} on {layout:?}");
        }
    }
    assert!("dvorak".parse::<Layout>().is_err());
}

#[test]
fn debug_output_shows_no_key_of_a_scan() {
    let mut decoder = decoder();
    let mut keys = Keys::every(10);
    keys.digits("4111111111111111");
    decoder.feed(&keys.bytes);
    let shown = format!("{decoder:?}");
    assert!(!shown.contains("1111") && !shown.contains("49"), "{shown}");
}

fn typing() -> impl Strategy<Value = Vec<u8>> {
    let key = prop_oneof![
        8 => (1u16..58, any::<bool>(), 0u64..80).prop_map(|(code, shift, wait)| (code, shift, wait)),
        1 => (58u16..130, any::<bool>(), 0u64..2_000),
        1 => Just((ENTER, false, 5)),
    ];
    proptest::collection::vec(key, 0..60).prop_map(|typed| {
        let mut keys = Keys::every(1);
        for (code, shift, wait) in typed {
            keys.wait(wait);
            if shift {
                keys.with(SHIFT, &[code]);
            } else {
                keys.press(code);
            }
        }
        keys.bytes
    })
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_scans_and_counts(
        data in typing(),
        noise in proptest::collection::vec(any::<u8>(), 0..100),
        cuts in proptest::collection::vec(1usize..97, 1..40),
    ) {
        let data = [data, noise].concat();
        let mut whole = decoder();
        let expected = whole.feed(&data);
        let mut chunked = decoder();
        let mut frames = Vec::new();
        for chunk in chunks(&data, &cuts) {
            frames.extend(chunked.feed(chunk).frames);
        }
        prop_assert_eq!(frames, expected.frames);
        prop_assert_eq!(chunked.handle_idle(), whole.handle_idle());
        prop_assert_eq!(chunked.counters(), whole.counters());
    }
}
