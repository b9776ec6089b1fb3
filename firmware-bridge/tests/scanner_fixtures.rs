//! Every `tests/fixtures/scanner/<case>.bin` is read as its `<case>.expected` says, in any chunks.
//!
//! Expected are one line a scan, as the kind, then card kind and number, the payment's kind, the
//! code in brackets, or reason, symbology and text; and the bytes that were skipped, if any.

use std::fs;
use std::path::Path;

use tillbind_firmware_bridge::code::{CardRules, Code};
use tillbind_firmware_bridge::scanner::{Frame, LineConfig, LineFramer};

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

fn read(bytes: &[u8], chunk_bytes: usize, rules: &CardRules) -> String {
    let mut framer = LineFramer::new(LineConfig::default());
    let mut frames: Vec<Frame> = bytes
        .chunks(chunk_bytes)
        .flat_map(|chunk| framer.feed(chunk))
        .collect();
    frames.extend(framer.handle_idle());
    let mut lines: String = frames
        .into_iter()
        .map(|f| line(&f.classify(rules)))
        .collect();
    let skipped = framer.counters().skipped_bytes;
    if skipped > 0 {
        lines.push_str(&format!("skipped_bytes {skipped}\n"));
    }
    lines
}

#[test]
fn every_fixture_is_read_as_expected_in_any_chunks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/scanner");
    let rules = CardRules::new(MEMBER_PREFIXES).unwrap();
    let mut cases = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "bin") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let expected = fs::read_to_string(path.with_extension("expected")).unwrap();
        for chunk_bytes in [1, 2, 3, 7, 64, bytes.len()] {
            assert_eq!(
                read(&bytes, chunk_bytes, &rules),
                expected,
                "{} in chunks of {chunk_bytes}",
                path.display()
            );
        }
        cases += 1;
    }
    assert!(cases > 0, "{} holds no fixtures", folder.display());
}
