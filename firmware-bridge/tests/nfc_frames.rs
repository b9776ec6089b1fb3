//! Frames of a PN532: our own fixtures in any chunks, and those of the samples.
//!
//! Every `tests/fixtures/nfc/<case>.bin` is read as its `<case>.expected` says: a line a frame, and
//! the bytes that were skipped, if any. The samples are found by the variable `TILLBIND_SAMPLES`;
//! without it that test says so and leaves the work to the fixtures.

use std::fs;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tillbind_firmware_bridge::nfc::pn532::frame::{ACK, FROM_CHIP, Frame, Framer, TO_CHIP, encode};
use tillbind_firmware_bridge::nfc::pn532::{NfcEvent, Pn532};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn line(frame: &Frame) -> String {
    match frame {
        Frame::Ack => "ack\n".to_owned(),
        Frame::Nack => "nack\n".to_owned(),
        Frame::Error => "error\n".to_owned(),
        Frame::Damaged => "damaged\n".to_owned(),
        Frame::Data { direction, data } => format!("data {direction:02X} {}\n", hex(data)),
    }
}

#[test]
fn every_fixture_is_read_as_expected_in_any_chunks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nfc");
    let mut cases = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "bin") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let expected = fs::read_to_string(path.with_extension("expected")).unwrap();
        for chunk_bytes in [1, 2, 3, 7, bytes.len()] {
            let mut framer = Framer::default();
            let frames = bytes.chunks(chunk_bytes).flat_map(|c| framer.feed(c));
            let mut lines: String = frames.map(|frame| line(&frame)).collect();
            if framer.skipped_bytes() > 0 {
                lines.push_str(&format!("skipped_bytes {}\n", framer.skipped_bytes()));
            }
            assert_eq!(lines, expected, "{} by {chunk_bytes}", path.display());
        }
        cases += 1;
    }
    assert!(cases > 0, "{} holds no fixtures", folder.display());
}

/// Reads the lines of hexadecimal bytes; those that start with RSP are an answer without its frame.
fn sample() -> Option<Vec<(bool, Vec<u8>)>> {
    let Some(folder) = std::env::var_os("TILLBIND_SAMPLES").map(PathBuf::from) else {
        writeln!(
            stderr(),
            "TILLBIND_SAMPLES is not set: nfc/pn532_frames.txt is not tried, own fixtures only"
        )
        .expect("an open standard error");
        return None;
    };
    let text = fs::read_to_string(folder.join("nfc/pn532_frames.txt"))
        .unwrap_or_else(|error| panic!("cannot read the frames: {error}"));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let read = |line: &str| {
        let bytes = line
            .trim_start_matches("RSP ")
            .split_whitespace()
            .map(|byte| u8::from_str_radix(byte, 16).expect("a byte in hexadecimal"))
            .collect();
        (line.starts_with("RSP "), bytes)
    };
    Some(lines.map(read).collect())
}

/// Brings a reader to its first poll, and gives it this answer.
fn told(answer: &[u8]) -> Vec<NfcEvent> {
    let now = Duration::ZERO;
    let mut reader = Pn532::default();
    reader.handle_open(now);
    for answer in [&[0x15][..], &[0x03, 0x32, 1, 6, 1], &[0x33]] {
        let line = [&ACK[..], &encode(FROM_CHIP, answer)].concat();
        assert!(reader.poll_transmit().is_some());
        reader.handle_bytes(&line, now);
    }
    assert!(reader.poll_transmit().is_some());
    reader.handle_bytes(&[&ACK[..], &encode(FROM_CHIP, answer)].concat(), now)
}

#[test]
fn every_frame_of_the_samples_is_told_for_what_it_is() {
    let Some(lines) = sample() else { return };
    let mut frames = String::new();
    let mut cards = Vec::new();
    for (is_answer, bytes) in lines {
        // What an ACR122 wraps its answers in on USB is the PC/SC driver's business, and no frame.
        if bytes.first() == Some(&0x80) {
            continue;
        }
        if !is_answer {
            Framer::default()
                .feed(&bytes)
                .iter()
                .for_each(|frame| frames.push_str(&line(frame)));
            continue;
        }
        cards.push(match &told(&bytes)[..] {
            [] => "none".to_owned(),
            [NfcEvent::Card(uid)] => uid.to_hex(),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(
        frames,
        format!("ack\nnack\ndata {TO_CHIP:02X} 4A010100FFFF0000\ndata {TO_CHIP:02X} 4A0100\n")
    );
    // A card, a phone that shows the same number, a Type 1 tag (which answers another poll), none.
    assert_eq!(cards, ["0416C6C2D73881", "0416C6C2D73881", "none", "none"]);
}
