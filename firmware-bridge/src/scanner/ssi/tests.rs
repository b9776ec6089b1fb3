use proptest::prelude::*;

use super::packet::checksum;
use super::*;
use crate::chunks::chunks;
use crate::scanner::frame::texts;

fn packet(opcode: u8, status: u8, data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(4 + data.len()).unwrap();
    let mut bytes = vec![length, opcode, 0, status];
    bytes.extend_from_slice(data);
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes
}

fn scan(status: u8, kind: u8, text: &[u8]) -> Vec<u8> {
    packet(0xf3, status, &[&[kind], text].concat())
}

/// The segments of a scan, cut as scanners cut them.
fn segments(kind: u8, text: &[u8]) -> Vec<Vec<u8>> {
    let length = u16::try_from(text.len()).unwrap();
    let mut whole = vec![0xf3];
    whole.extend_from_slice(&(u32::from(length) + 3).to_be_bytes());
    whole.extend_from_slice(&[kind, 0x01]);
    whole.extend_from_slice(&length.to_be_bytes());
    whole.extend_from_slice(text);
    whole
        .chunks(250)
        .zip(0u8..)
        .map(|(chunk, number)| packet(0x73, 0, &[&[number], chunk].concat()))
        .collect()
}

#[test]
fn the_answers_are_packets_whose_checksum_holds() {
    for answer in [&ACK[..], &SEGMENT_ACK, &NAK_RESEND] {
        let bytes = answer.len();
        assert_eq!(look(answer), Look::Whole { bytes });
    }
}

#[test]
fn a_scan_is_told_with_its_symbology_and_acknowledged() {
    let mut decoder = SsiDecoder::new();
    let reading = decoder.feed(&scan(0, 0x0b, b"4006381333931\r\n"));
    assert_eq!(texts(&reading), ["]E04006381333931"]);
    assert_eq!(reading.answer, ACK);
    let upc = decoder.feed(&scan(0, 0x08, b"036000291452"));
    assert_eq!(texts(&upc), ["]E00036000291452"]);
    let own = decoder.feed(&scan(0, 0x03, b"]C1ABC"));
    assert_eq!(texts(&own), ["]C1ABC"]);
    let postal = decoder.feed(&scan(0, 0x24, b"ABC"));
    assert_eq!(texts(&postal), ["ABC"]);
}

#[test]
fn real_status_bytes_are_not_held_against_a_packet() {
    let mut decoder = SsiDecoder::new();
    for status in [0x80, 0x20, 0x02] {
        let reading = decoder.feed(&scan(status, 0x03, b"TBC:AB12"));
        assert_eq!(texts(&reading), ["]C0TBC:AB12"], "{status:#04x}");
        assert_eq!(reading.answer, ACK);
    }
}

#[test]
fn nothing_read_is_acknowledged_and_no_scan() {
    let mut decoder = SsiDecoder::new();
    let reading = decoder.feed(&[0x07, 0xf3, 0x00, 0x00, 0x01, 0x4e, 0x52, 0xfe, 0x65]);
    assert_eq!(reading.frames, []);
    assert_eq!(reading.answer, ACK);
    assert_eq!(decoder.counters().no_reads, 1);
}

#[test]
fn a_packet_that_is_sent_again_is_acknowledged_again_and_one_scan() {
    let mut decoder = SsiDecoder::new();
    assert_eq!(decoder.feed(&scan(0, 0x03, b"TBC:A")).frames.len(), 1);
    let again = decoder.feed(&scan(1, 0x03, b"TBC:A"));
    assert_eq!((again.frames.len(), again.answer), (0, ACK.to_vec()));
    assert_eq!(decoder.counters().repeated, 1);
    // The first of this one was lost on the line, so its repeat is the scan.
    assert_eq!(decoder.feed(&scan(1, 0x03, b"TBC:B")).frames.len(), 1);
    // The same card once more, scanned on purpose.
    assert_eq!(decoder.feed(&scan(0, 0x03, b"TBC:B")).frames.len(), 1);
}

#[test]
fn damage_is_asked_for_again_twice_and_then_given_up() {
    let mut decoder = SsiDecoder::new();
    let mut damaged = scan(0, 0x03, b"TBC:A");
    damaged[6] ^= 0x20;
    for answer in [&NAK_RESEND[..], &NAK_RESEND, &[], &NAK_RESEND] {
        assert_eq!(decoder.feed(&damaged).answer, answer);
        assert!(decoder.handle_idle().answer.is_empty());
    }
    let counters = decoder.counters();
    assert_eq!((counters.resends_asked, counters.given_up), (3, 1));
    assert_eq!(counters.frames, 0);
    assert_eq!(texts(&decoder.feed(&scan(1, 0x03, b"TBC:A"))), ["]C0TBC:A"]);
}

#[test]
fn half_a_packet_is_asked_for_again_once_the_line_is_quiet() {
    let mut decoder = SsiDecoder::new();
    let whole = scan(0, 0x03, b"TBC:A");
    assert_eq!(decoder.feed(&whole[..8]), Reading::default());
    assert_eq!(decoder.handle_idle().answer, NAK_RESEND);
    assert!(decoder.handle_idle().answer.is_empty());
    assert_eq!(texts(&decoder.feed(&whole)), ["]C0TBC:A"]);
    // The length itself was lost.
    assert_eq!(decoder.feed(&whole[1..]).frames, []);
    assert_eq!(decoder.handle_idle().answer, NAK_RESEND);
}

#[test]
fn noise_before_a_packet_is_skipped_and_power_on_is_not_answered() {
    let mut decoder = SsiDecoder::new();
    let mut bytes = vec![0x80, 0xff, 0x41, 0x0d];
    bytes.extend_from_slice(&scan(0, 0x03, b"TBC:A"));
    assert_eq!(texts(&decoder.feed(&bytes)), ["]C0TBC:A"]);
    assert_eq!(decoder.counters().skipped_bytes, 4);
    assert_eq!(decoder.feed(&[0; 300]), Reading::default());
    assert_eq!(decoder.handle_idle(), Reading::default());
}

#[test]
fn an_echo_and_the_scanners_own_acknowledgements_are_not_answered() {
    let mut decoder = SsiDecoder::new();
    for bytes in [
        &[0x05, 0x00, 0x04, 0x00, 0x00, 0xff, 0xf7][..],
        &ACK,
        &packet(0xd0, 0, &[]),
        &packet(0xd1, 0, &[1]),
    ] {
        assert_eq!(decoder.feed(bytes), Reading::default(), "{bytes:02x?}");
    }
    assert_eq!(decoder.feed(&packet(0xf6, 0, &[0x0a])).answer, ACK);
    assert_eq!(decoder.counters().packets, 5);
}

#[test]
fn a_long_scan_comes_in_segments_each_acknowledged_and_repeats_do_no_harm() {
    let mut decoder = SsiDecoder::new();
    let text = [b'Z'; 500];
    let [first, second, third] = segments(0x1c, &text).try_into().unwrap();
    assert_eq!(decoder.feed(&first).answer, SEGMENT_ACK);
    assert_eq!(decoder.feed(&first).answer, SEGMENT_ACK);
    assert_eq!(decoder.feed(&second).answer, SEGMENT_ACK);
    assert_eq!(decoder.feed(&second).answer, SEGMENT_ACK);
    let reading = decoder.feed(&third);
    assert_eq!(reading.answer, ACK);
    assert_eq!(reading.frames[0].bytes(), [b"]Q1", &text[..]].concat());
    let again = decoder.feed(&third);
    assert_eq!((again.frames.len(), again.answer), (0, ACK.to_vec()));
    assert_eq!(decoder.counters().repeated, 3);
}

#[test]
fn a_segment_that_is_missing_loses_its_scan_and_no_other() {
    let mut decoder = SsiDecoder::new();
    let [first, _, third] = segments(0x1c, &[b'Z'; 500]).try_into().unwrap();
    decoder.feed(&first);
    let reading = decoder.feed(&third);
    assert_eq!((reading.frames.len(), reading.answer), (0, ACK.to_vec()));
    assert_eq!(decoder.counters().given_up, 1);
    let frames: usize = segments(0x1c, &[b'Y'; 300])
        .iter()
        .map(|bytes| decoder.feed(bytes).frames.len())
        .sum();
    assert_eq!(frames, 1);
}

#[test]
fn a_scan_longer_than_any_code_is_refused_before_it_is_collected() {
    let mut decoder = SsiDecoder::new();
    for bytes in segments(0x1c, &[b'Z'; FRAME_BYTES_MAX + 1]) {
        assert_eq!(decoder.feed(&bytes).frames, []);
    }
    assert_eq!(decoder.counters().oversized, 1);
}

#[test]
fn a_full_packet_that_says_more_follows_is_joined_with_the_next() {
    let mut decoder = SsiDecoder::new();
    let first = scan(0x02, 0x1c, &[b'A'; 250]);
    let reading = decoder.feed(&first);
    assert_eq!((reading.frames.len(), reading.answer), (0, ACK.to_vec()));
    let reading = decoder.feed(&scan(0, 0x1c, b"BBB"));
    assert_eq!(reading.frames[0].bytes().len(), 3 + 250 + 3);
}

#[test]
fn the_envelope_of_newer_scanners_is_taken_off_where_its_length_agrees() {
    let mut decoder = SsiDecoder::new();
    let enveloped = decoder.feed(&scan(0, 0x03, b"\x01\x00\x05TBC:A"));
    assert_eq!(texts(&enveloped), ["]C0TBC:A"]);
    let data = decoder.feed(&scan(0, 0x03, b"\x01\x00\x06TBC:A"));
    assert_eq!(texts(&data), ["]C0\u{1}\0\u{6}TBC:A"]);
}

#[test]
fn a_lost_port_leaves_no_half_scan_behind() {
    let mut decoder = SsiDecoder::new();
    let bytes = scan(0, 0x03, b"TBC:A");
    decoder.feed(&bytes[..9]);
    decoder.reset();
    assert_eq!(decoder.feed(&bytes[9..]).frames, []);
    decoder.reset();
    assert_eq!(texts(&decoder.feed(&bytes)), ["]C0TBC:A"]);
}

#[test]
fn debug_output_shows_no_byte_of_a_scan() {
    let mut decoder = SsiDecoder::new();
    let reading = decoder.feed(&scan(0, 0x03, b"4111111111111111"));
    decoder.feed(&segments(0x1c, &[b'1'; 300])[0]);
    let shown = format!("{reading:?} {decoder:?}");
    assert!(!shown.contains("1111") && !shown.contains("49"), "{shown}");
}

fn traffic() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => (0u8..4, any::<u8>(), proptest::collection::vec(any::<u8>(), 0..60))
            .prop_map(|(status, kind, text)| scan(status, kind, &text)),
        1 => (250usize..800).prop_map(|count| segments(0x1c, &vec![b'Z'; count]).concat()),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
        1 => proptest::collection::vec(any::<u8>(), 1..40).prop_map(|data| {
            let mut bytes = scan(0, 3, &data);
            bytes[5] ^= 1;
            bytes
        }),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_frames_answers_and_counts(
        data in traffic(),
        cuts in proptest::collection::vec(1usize..97, 1..40),
    ) {
        let mut whole = SsiDecoder::new();
        let expected = whole.feed(&data);
        let mut chunked = SsiDecoder::new();
        let mut found = Reading::default();
        for chunk in chunks(&data, &cuts) {
            let reading = chunked.feed(chunk);
            found.frames.extend(reading.frames);
            found.answer.extend(reading.answer);
        }
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(chunked.counters(), whole.counters());
        prop_assert_eq!(chunked.handle_idle(), whole.handle_idle());
    }

    #[test]
    fn a_scan_behind_any_noise_and_a_silence_is_read(
        noise in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut decoder = SsiDecoder::new();
        decoder.feed(&noise);
        decoder.handle_idle();
        let reading = decoder.feed(&scan(0, 0x03, b"TBC:AB12"));
        prop_assert_eq!(texts(&reading), ["]C0TBC:AB12"]);
    }
}
