//! After a payment card was swiped, this process's memory holds its number nowhere.
//!
//! The number stands in the program's text in disguise only, so that what is found in memory was
//! left behind by a decoder. A file of its own, hence a process of its own: other tests hold numbers.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};

use tillbind_firmware_bridge::code::{CardRules, Code, classify};
use tillbind_firmware_bridge::scanner::{LineConfig, LineFramer};
use zeroize::{Zeroize, Zeroizing};

/// What disguises the digits: a byte that is in no digit.
const DISGUISE: u8 = 0x80;

/// A number of Mastercard's range with its Luhn digit, in disguise; no other file names it.
fn disguised() -> [u8; 16] {
    let mut number = [5, 4, 9, 8, 1, 7, 2, 6, 3, 5, 4, 0, 9, 8, 1, 0].map(|digit| digit + b'0');
    let sum: u32 = number
        .iter()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0') << ((place + 1) % 2);
            value / 10 + value % 10
        })
        .sum();
    number[15] = b'0' + u8::try_from((10 - sum % 10) % 10).expect("one digit");
    let disguised = number.map(|digit| digit ^ DISGUISE);
    number.zeroize();
    disguised
}

/// The text of one swipe with the number in `#`'s place, in one allocation that is wiped when let go.
fn swipe(shape: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(256));
    for character in shape.bytes() {
        match character {
            b'#' => bytes.extend(disguised().iter().map(|byte| byte ^ DISGUISE)),
            other => bytes.push(other),
        }
    }
    bytes
}

/// Counts the places in writable memory where `digits` of the number in a row stand.
fn places(digits: usize) -> usize {
    const PIECE_BYTES: usize = 1 << 16;
    let number = disguised();
    let maps = fs::read_to_string("/proc/self/maps").expect("a map of memory");
    let mut memory = File::open("/proc/self/mem").expect("this process's memory");
    let mut piece = Zeroizing::new(vec![0; PIECE_BYTES]);
    let own = piece.as_ptr() as u64;
    let mut found = 0;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else {
            continue;
        };
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').expect("a range");
        let [mut at, end] =
            [start, end].map(|text| u64::from_str_radix(text, 16).expect("an address"));
        while at < end {
            let length = (end - at).min(PIECE_BYTES as u64);
            memory.seek(SeekFrom::Start(at)).expect("a place in memory");
            let Ok(read) = memory.read(&mut piece[..usize::try_from(length).expect("a piece")])
            else {
                break;
            };
            if read == 0 {
                break;
            }
            let is_found = |window: &[u8]| {
                // Cheap first: nearly all of memory is no digits.
                window.first().is_some_and(u8::is_ascii_digit)
                    && window.last().is_some_and(u8::is_ascii_digit)
                    && number
                        .windows(digits)
                        .any(|part| part.iter().zip(window).all(|(a, b)| a ^ DISGUISE == *b))
            };
            let is_own = |place: usize| {
                let address = at + place as u64;
                (own..own + PIECE_BYTES as u64).contains(&address)
            };
            found += piece[..read]
                .windows(digits)
                .enumerate()
                .filter(|(place, window)| is_found(window) && !is_own(*place))
                .count();
            // Overlapping pieces, so that no number is cut in two.
            at += if read as u64 == length && at + length < end {
                length - digits as u64
            } else {
                length
            };
        }
    }
    found
}

#[test]
fn a_swiped_payment_card_is_nowhere_in_memory_afterwards() {
    let rules = CardRules::new(["627598"]).unwrap();
    let mut framer = LineFramer::new(LineConfig::default());
    let held = swipe("#");
    assert!(places(16) > 0, "the search finds a number that is held");
    drop(held);
    assert_eq!(places(9), 0, "the test itself leaves nothing");

    for shape in [
        "%B#^ROE/JANE^2705101?;#=2705101?",
        "%B#^ROE/JANE^2705101?7;#=2705101?3",
        ";#=2705101?",
        "+01#=724724000000?",
        "#",
        "]C0#",
        "#=27051010000",
        "pay #.",
        "0000000#",
    ] {
        let bytes = swipe(shape);
        let code = classify(&bytes, &rules);
        assert!(matches!(code, Code::Payment(_)), "{shape}");
        // Byte by byte, as a slow line delivers it.
        for byte in bytes.iter().chain(b"\r") {
            for frame in framer.feed(std::slice::from_ref(byte)) {
                let code = frame.classify(&rules);
                let shown = format!("{code:?} {framer:?}");
                assert!(matches!(code, Code::Payment(_)), "{shape}");
                assert!(!shown.contains("5498"), "{shape}");
            }
        }
        let text = Zeroizing::new(String::from_utf8(bytes.to_vec()).unwrap());
        assert!(rules.normalise(&text).is_err(), "{shape}");
        drop((text, bytes));
        // The framer lives on, and its buffer with it.
        assert_eq!(places(9), 0, "{shape}");
    }
    assert_eq!(framer.counters().frames, 9);
}
