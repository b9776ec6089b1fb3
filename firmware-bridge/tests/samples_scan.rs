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
            assert_eq!(shape.is_attribute(), flags.contains('?'), "({ai})");
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

/// The values of 8110 and 8112 among the vectors that are laid out as the guidelines of GS1 US ask,
/// found by hand; every other one of the file is broken on purpose.
const WHOLE_COUPONS: &[&str] = &[
    "012345612345610104123",
    "0123456123456101041231310012311234567",
    "012345612345610104123131001239",
    "01234561234561010412321041230123456",
    "0123456123456101041233201231",
    "0123456123456101041234200229",
    "01234561234561010412359123456789012345",
    "012345612345610104123671234567890123",
    "01234561234561010412390291",
    "01234561234561031234123",
    "106141416543213150110120",
    "177777776666663100120444101105551888888821109991222222232012314200601",
    "5123456789011234565123455123450123105123450123512345678901320123190000",
    "61234567890121234565123455123454123",
    "001234561234560123456",
    "017777777666666223456789",
    "06123456789012123456812345678901234",
    "061234567890121234569123456789012345",
];

#[test]
fn recipients_and_coupons_among_the_vectors_are_told_from_broken_ones() {
    let Some(text) = sample("gs1/zint-test_gs1-ai8017-8018-8110-8112.txt") else {
        return;
    };
    let rules = CardRules::default();
    let mut recipients = Vec::new();
    let mut wrong = Vec::new();
    for line in data(&text) {
        let message = if line.starts_with('[') {
            Message::from_bracketed(line)
        } else {
            Message::from_element_string(line)
        };
        let (ai, value) = line.trim_start_matches('[').split_at(4);
        let value = value.trim_start_matches(']');
        match ai {
            "8018" => {
                recipients.extend(message.ok().and_then(|m| m.recipient().map(str::to_owned)))
            }
            "8110" | "8112" => {
                if message.is_ok() != WHOLE_COUPONS.contains(&value) {
                    wrong.push(line);
                }
            }
            _ => {
                assert_eq!(message.is_ok(), value == "313131313131313131", "{line}");
                let code = classify(line.as_bytes(), &rules);
                assert!(!matches!(code, Code::MemberCard(_)), "{line}");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // One valid recipient in each of the two forms; all others are broken on purpose.
    assert_eq!(recipients, ["313131313131313131", "313131313131313131"]);
}

/// The addresses of the file that are no Digital Links, each with what is wrong with it. All others
/// are Digital Links.
const NO_LINKS: &[(&str, &str)] = &[
    (
        "https://$a/006141411234567890",
        "a host of a wrong character, no key",
    ),
    (
        "https://a$/006141411234567890",
        "a host of a wrong character, no key",
    ),
    (
        "https://00/006141411234567890",
        "the key stands where the host should",
    ),
    (
        "https://[fe80::1%25lo]/01/12312312312333",
        "a zone in the host",
    ),
    (
        "https://a/01//12312312312333",
        "an empty segment between key and value",
    ),
    ("https://a/01/1231231231233%003", "a NUL in the value"),
    (
        "https://a/01/12312312312333/10/",
        "a qualifier without a value",
    ),
    (
        "https://a/01/12312312312333/22/ABC%2d123?99=ABC&98=XYZ+987",
        "a space in an attribute",
    ),
    (
        "https://a/01/12312312312333/99/ABC",
        "an attribute in the path",
    ),
    (
        "https://a/01/12312312312333<bad",
        "a character that no address holds",
    ),
    (
        "https://a/01/12312312312333>bad",
        "a character that no address holds",
    ),
    (
        "https://a/01/12312312312333\\\\bad",
        "a character that no address holds",
    ),
    (
        "https://a/01/12312312312333^bad",
        "a character that no address holds",
    ),
    (
        "https://a/01/12312312312333`bad",
        "a character that no address holds",
    ),
    (
        "https://a/01/12312312312333{bad",
        "a character that no address holds",
    ),
    (
        "https://a/01/12312312312333}bad",
        "a character that no address holds",
    ),
    (
        "https://a/01/12312312312333?99=",
        "an attribute without a value",
    ),
    (
        "https://a/01/12312312312333?99=ABC%00DEF",
        "a NUL in an attribute",
    ),
    (
        "https://a/01/12312312312333?99=ABC&999=faux",
        "a key of digits that is no identifier",
    ),
    (
        "https://a/253/1231231231232TEST56789012345678",
        "a value that is too long",
    ),
    ("https://a/cps/12312312312333", "no key"),
    (
        "https://a/gtin/12312312312333",
        "a key by its name, of an edition before 1.2",
    ),
    (
        "https://a/gtin/12312312312333/ser/ABC123",
        "keys by their names",
    ),
    ("https://a/sscc/006141411234567890", "a key by its name"),
    ("https://a/zzz/12312312312333", "no key"),
    (
        "https://a/stem/00/006141411234567890/",
        "a slash at the end",
    ),
    ("https://example.com", "no path"),
    ("https://example.com/", "no key"),
    ("https://id.gs1.org", "no path"),
    (
        "https://example.com/01/09520123456788/89/ABC123?99=XYZ",
        "an identifier not assigned",
    ),
    (
        "https://example.com/01/09520123456788?99=XYZ&89=ABC123",
        "an identifier not assigned",
    ),
    (
        "https://example.com/01/12312312312326?99=000001&89=XXX&95=INT",
        "one not assigned",
    ),
    (
        "https://example.com/01/09520123456788?10=ABC123",
        "a qualifier in the query",
    ),
    (
        "https://id.gs1.org/01/09520123456788/10/ABC123?99=XYZ789&01=09520123456788",
        "01 twice",
    ),
    (
        "https://id.gs1.org/01/09520123456788/10/ABC123?99=XYZ789&10=ABC123",
        "10 twice",
    ),
    (
        "https://id.gs1.org/01/09520123456788/10/ABC123?99=XYZ789&99=XYZ789",
        "99 twice",
    ),
];

#[test]
fn every_address_is_told_to_be_a_digital_link_or_none() {
    let Some(text) = sample("gs1/gs1-syntax-engine-digitallink-uris.txt") else {
        return;
    };
    let mut wrong = Vec::new();
    for line in data(&text) {
        let fault = NO_LINKS.iter().find(|(address, _)| *address == line);
        let link = Message::from_link(line);
        if link.is_ok() == fault.is_some() {
            wrong.push((line, fault, link));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (address, _) in NO_LINKS {
        assert!(data(&text).any(|line| line == *address), "{address}");
    }
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
