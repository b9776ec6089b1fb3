//! Real swipe strings, GS1 vectors and the GS1 syntax dictionary against the decoders.
//!
//! The samples are found by the variable `TILLBIND_SAMPLES`; without it these tests say so and
//! leave the work to the crate's own fixtures.

use std::fs;
use std::io::{Write, stderr};
use std::path::PathBuf;

use tillbind_firmware_bridge::code::gs1::{Message, Shape};
use tillbind_firmware_bridge::code::payment::mask_payment_numbers;
use tillbind_firmware_bridge::code::{CardKind, CardRules, Code, PaymentKind, classify};
use tillbind_firmware_bridge::scanner::{LineConfig, LineFramer, Reading, SsiDecoder, ssi};

fn sample(path: &str) -> Option<String> {
    let bytes = sample_bytes(path)?;
    Some(String::from_utf8(bytes).unwrap_or_else(|error| panic!("{path}: {error}")))
}

fn sample_bytes(path: &str) -> Option<Vec<u8>> {
    let Some(folder) = std::env::var_os("TILLBIND_SAMPLES").map(PathBuf::from) else {
        // Past the capture of the test runner, so that it is seen in a run that passes.
        writeln!(
            stderr(),
            "TILLBIND_SAMPLES is not set: {path} is not tried, own fixtures only"
        )
        .expect("an open standard error");
        return None;
    };
    let path = folder.join(path);
    let bytes = fs::read(&path);
    Some(bytes.unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display())))
}

/// The lines of a sample that hold data: no comments, no blanks, no quotation marks.
fn data(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.trim_matches('"'))
}

#[test]
fn every_published_swipe_is_refused_and_shows_no_digit() {
    let Some(text) = sample("magstripe/swipe_strings.txt") else {
        return;
    };
    let swipes: String = data(&text).flat_map(|line| [line, "\r\n"]).collect();
    let rules = CardRules::default();
    let mut framer = LineFramer::new(LineConfig::default());
    let frames = framer.feed(swipes.as_bytes());
    assert_eq!(frames.len(), data(&text).count());
    for (frame, line) in frames.into_iter().zip(data(&text)) {
        let code = frame.classify(&rules);
        assert_eq!(code, Code::Payment(PaymentKind::Stripe), "{line}");
        assert!(!format!("{code:?}").contains("4111"), "{line}");
    }

    let masked = mask_payment_numbers(&text, &rules);
    for leftover in ["1111111", "CARDUSER", "SMITH", "SCHMOE", "DOE/"] {
        assert!(!masked.contains(leftover), "{leftover}");
    }
}

#[test]
fn the_dictionary_and_the_table_of_identifiers_agree() {
    let Some(text) = sample("gs1/gs1-syntax-dictionary.txt") else {
        return;
    };
    let mut rows = 0;
    for line in data(&text) {
        let specification = line.split(" # ").next().unwrap();
        let mut words = specification.split_whitespace().peekable();
        let (first, last) = {
            let range = words.next().unwrap();
            range.split_once('-').unwrap_or((range, range))
        };
        let flags = words
            .next_if(|word| word.starts_with(['*', '?']))
            .unwrap_or_default();
        let lengths = words
            .take_while(|word| !word.contains('=') && *word != "dlpkey")
            .map(component_lengths)
            .fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));

        let width = first.len();
        for number in first.parse::<u32>().unwrap()..=last.parse().unwrap() {
            let ai = format!("{number:0width$}");
            let (found, shape) = Shape::at_start_of(&ai).unwrap_or_else(|| panic!("no ({ai})"));
            assert_eq!(found, ai);
            assert_eq!(shape.lengths(), lengths, "({ai})");
            assert_eq!(shape.is_predefined(), flags.contains('*'), "({ai})");
            rows += 1;
        }
    }
    assert!(rows > 400, "{rows} identifiers");
}

/// Lengths of one component as the dictionary writes it: `N13,csum`, `X..20`, `[N4],hhmi`.
fn component_lengths(component: &str) -> (usize, usize) {
    let lengths = component.split(',').next().unwrap_or_default();
    let bare = lengths.trim_matches(['[', ']']);
    let is_optional = bare.len() != lengths.len();
    let number = |text: &str| text.parse().expect("the dictionary writes a length");
    let (min, max) = match bare[1..].split_once("..") {
        Some((_, max)) => (1, number(max)),
        None => (number(&bare[1..]), number(&bare[1..])),
    };
    if is_optional { (0, max) } else { (min, max) }
}

#[test]
fn recipients_and_coupons_among_the_vectors_are_told_from_broken_ones() {
    let Some(text) = sample("gs1/zint-test_gs1-ai8017-8018-8110-8112.txt") else {
        return;
    };
    let mut recipients = Vec::new();
    for line in data(&text) {
        let message = if line.starts_with('[') {
            Message::from_bracketed(line)
        } else {
            Message::from_element_string(line)
        };
        let (ai, value) = line.trim_start_matches('[').split_at(4);
        let value = value.trim_start_matches(']');
        match ai {
            "8018" => recipients.extend(
                message
                    .ok()
                    .and_then(|m| m.recipient().ok().flatten().map(str::to_owned)),
            ),
            "8110" | "8112" => assert_eq!(message.is_ok(), value.len() <= 70, "{line}"),
            _ => {
                assert_eq!(message.is_ok(), value == "313131313131313131", "{line}");
                let code = classify(line.as_bytes(), &CardRules::default());
                assert!(!matches!(code, Code::MemberCard(_)), "{line}");
            }
        }
    }
    // One valid recipient in each of the two forms; all others are broken on purpose.
    assert_eq!(recipients, ["313131313131313131", "313131313131313131"]);
}

#[test]
fn one_address_names_a_member_and_no_other_does() {
    let Some(text) = sample("gs1/gs1-syntax-engine-digitallink-uris.txt") else {
        return;
    };
    let mut members = Vec::new();
    for line in data(&text) {
        if let Code::MemberCard(card) = classify(line.as_bytes(), &CardRules::default()) {
            assert_eq!(card.kind, CardKind::Gsrn);
            members.push(card.number.expose().to_owned());
        }
    }
    assert_eq!(members, ["123456789012345675"]);
}

#[test]
fn every_ssi_packet_of_the_samples_holds_and_the_no_read_is_no_scan() {
    let Some(text) = sample("scanner/ssi_packets.txt") else {
        return;
    };
    let mut decoder = SsiDecoder::new();
    let mut packets = 0;
    for line in data(&text) {
        let bytes: Vec<u8> = line
            .split_whitespace()
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect();
        let reading = decoder.feed(&bytes);
        // Of these the scanner sends one; the others are the host's.
        let answer = if bytes[1] == 0xf3 { &ssi::ACK[..] } else { &[] };
        assert_eq!((reading.frames.len(), &reading.answer[..]), (0, answer));
        packets += 1;
    }
    let counters = decoder.counters();
    assert_eq!((counters.packets, counters.no_reads), (packets, 1));
    assert_eq!(counters.skipped_bytes, 0);
}

#[test]
fn the_segments_of_the_samples_are_one_qr_code_in_any_chunks() {
    let Some(bytes) = sample_bytes("scanner/ssi_multipacket_qr500.bin") else {
        return;
    };
    for chunk_bytes in [1, 2, 7, 64, 257, bytes.len()] {
        let mut decoder = SsiDecoder::new();
        let mut whole = Reading::default();
        for chunk in bytes.chunks(chunk_bytes) {
            let reading = decoder.feed(chunk);
            whole.frames.extend(reading.frames);
            whole.answer.extend(reading.answer);
        }
        let [frame] = &whole.frames[..] else {
            panic!("{} scans", whole.frames.len())
        };
        assert_eq!(frame.bytes(), [b"]Q1", &[b'Z'; 500][..]].concat());
        let answer = [&ssi::SEGMENT_ACK[..], &ssi::SEGMENT_ACK, &ssi::ACK].concat();
        assert_eq!(whole.answer, answer);
        assert_eq!(decoder.counters().skipped_bytes, 0);
    }
}
