//! Every `tests/fixtures/<device>/<case>.bin` of a scanner is read as its `<case>.expected` says,
//! in any chunks, with a silence behind it.
//!
//! Expected are one line a scan, as the kind, then card kind and number, the payment's kind, the
//! code in brackets, or reason, symbology and text; then what is written to the scanner, and
//! what was counted, where that is not nothing.

use std::fs;
use std::path::Path;

use tillbind_firmware_bridge::code::{CardRules, Code};
use tillbind_firmware_bridge::scanner::{Decoder, DecoderConfig, Framing, Layout, Reading};

const MEMBER_PREFIXES: [&str; 2] = ["627598", "29"];

fn line(code: &Code) -> String {
    let kind = code.kind();
    match code {
        Code::MemberCard(card) => {
            format!("{kind} {} {}\n", card.kind.as_str(), card.number.expose())
        }
        Code::MemberCode(text) | Code::ClaimCode(text) => format!("{kind} [{text}]\n"),
        Code::Payment(payment) => format!("{kind} {}\n", payment.as_str()),
        Code::Unknown {
            text,
            symbology,
            reason,
        } => {
            let symbology = symbology.map_or("-", |s| s.as_str());
            format!("{kind} {} {symbology} {text}\n", reason.as_str())
        }
    }
}

fn read(mut decoder: Decoder, bytes: &[u8], chunk_bytes: usize, rules: &CardRules) -> String {
    let mut whole = Reading::default();
    let mut add = |reading: Reading| {
        whole.frames.extend(reading.frames);
        whole.answer.extend(reading.answer);
    };
    for chunk in bytes.chunks(chunk_bytes) {
        add(decoder.feed(chunk));
    }
    add(decoder.handle_idle());
    let mut lines: String = whole
        .frames
        .into_iter()
        .map(|f| line(&f.classify(rules)))
        .collect();
    if !whole.answer.is_empty() {
        let hex: String = whole.answer.iter().map(|b| format!("{b:02x}")).collect();
        lines.push_str(&format!("answer {hex}\n"));
    }
    let counters = decoder.counters();
    for (name, count) in [
        ("skipped_bytes", counters.skipped_bytes),
        ("damaged", counters.damaged),
        ("repeated", counters.repeated),
        ("no_reads", counters.no_reads),
        ("unreadable", counters.unreadable),
        ("typed", counters.typed),
    ] {
        if count > 0 {
            lines.push_str(&format!("{name} {count}\n"));
        }
    }
    lines
}

fn every_fixture(device: &str, decoder: impl Fn() -> Decoder) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(device);
    let rules = CardRules::new(MEMBER_PREFIXES).expect("prefixes of digits");
    let mut cases = 0;
    for entry in fs::read_dir(&folder).expect("a folder of fixtures") {
        let path = entry.expect("a fixture").path();
        if path.extension().is_none_or(|extension| extension != "bin") {
            continue;
        }
        let bytes = fs::read(&path).expect("a readable fixture");
        let expected =
            fs::read_to_string(path.with_extension("expected")).expect("what is expected");
        for chunk_bytes in [1, 2, 3, 7, 64, bytes.len()] {
            assert_eq!(
                read(decoder(), &bytes, chunk_bytes, &rules),
                expected,
                "{} in chunks of {chunk_bytes}",
                path.display()
            );
        }
        cases += 1;
    }
    assert!(cases > 0, "{} holds no fixtures", folder.display());
}

#[test]
fn every_line_is_read_as_expected_in_any_chunks() {
    every_fixture("scanner", || Decoder::new(DecoderConfig::of(Framing::Line)));
}

#[test]
fn every_ssi_packet_is_read_and_answered_as_expected_in_any_chunks() {
    every_fixture("ssi", || Decoder::new(DecoderConfig::of(Framing::Ssi)));
}

#[test]
fn every_honeywell_packet_is_read_as_expected_in_any_chunks() {
    every_fixture("honeywell", || {
        Decoder::new(DecoderConfig::of(Framing::Honeywell))
    });
}

#[test]
fn every_hid_report_is_read_as_expected_in_any_chunks() {
    every_fixture("hid_pos", || {
        Decoder::new(DecoderConfig::of(Framing::HidPos))
    });
}

/// Recorded on a machine of 64 bits, low byte first, as `/dev/input/event…` gives them there.
#[cfg(all(target_pointer_width = "64", target_endian = "little"))]
#[test]
fn every_key_is_read_as_expected_in_any_chunks() {
    for layout in Layout::ALL {
        every_fixture(&format!("keyboard_{}", layout.as_str()), || {
            Decoder::new(DecoderConfig {
                layout,
                ..DecoderConfig::of(Framing::Keyboard)
            })
        });
    }
}
