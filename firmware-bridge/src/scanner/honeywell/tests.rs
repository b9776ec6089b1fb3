use proptest::prelude::*;

use super::*;
use crate::chunks::chunks;
use crate::scanner::frame::texts;

/// A packet as it was seen: the size low byte first, the CR among the data that the digits count.
fn scan(id: &[u8; 3], text: &[u8]) -> Vec<u8> {
    let count = text.len() + 1;
    let size = u32::try_from(HEAD_BYTES + count).unwrap();
    let mut bytes = vec![SYN, MARK];
    bytes.extend_from_slice(&size.to_le_bytes());
    bytes.push(CR);
    bytes.extend_from_slice(format!("MSGGET{count:04}").as_bytes());
    bytes.extend_from_slice(id);
    bytes.push(GS);
    bytes.extend_from_slice(text);
    bytes.push(CR);
    bytes
}

#[test]
fn a_scan_is_told_with_its_aim_identifier() {
    let mut decoder = HoneywellDecoder::new();
    let bytes = b"\x16\xfe\x1b\x00\x00\x00\rMSGGET0013jC0\x1dTBC:ABCD1234\r";
    assert_eq!(texts(&decoder.feed(bytes)), ["]C0TBC:ABCD1234"]);
    let ean = decoder.feed(&scan(b"dE0", b"4006381333931"));
    assert_eq!(texts(&ean), ["]E04006381333931"]);
    assert_eq!(decoder.counters().packets, 2);
    assert_eq!(decoder.counters().skipped_bytes, 0);
}

#[test]
fn the_size_is_read_in_either_order_and_the_cr_counted_or_not() {
    let mut decoder = HoneywellDecoder::new();
    let big_endian = b"\x16\xfe\x00\x00\x00\x14\rMSGGET0006jC0\x1dTBC:A\r";
    let not_counted = b"\x16\xfe\x14\x00\x00\x00\rMSGGET0005jC0\x1dTBC:B\r";
    let behind = b"\x16\xfe\x13\x00\x00\x00\rMSGGET0005jC0\x1dTBC:C\r";
    let bytes = [&big_endian[..], not_counted, behind].concat();
    assert_eq!(
        texts(&decoder.feed(&bytes)),
        ["]C0TBC:A", "]C0TBC:B", "]C0TBC:C"]
    );
    assert_eq!(decoder.counters().skipped_bytes, 0);
}

#[test]
fn data_may_hold_the_bytes_that_frame_a_packet() {
    let mut decoder = HoneywellDecoder::new();
    let bytes = scan(b"wd2", b"01A\x1d\x16\xfe\r10B");
    assert_eq!(
        texts(&decoder.feed(&bytes)),
        ["]d201A\u{1d}\u{16}\u{fffd}\r10B"]
    );
}

#[test]
fn an_answer_to_a_command_is_passed_over() {
    let mut decoder = HoneywellDecoder::new();
    let mut bytes = b"\x16\xfe\x08\x00\x00\x00\rREVINF:1".to_vec();
    bytes.extend_from_slice(&scan(b"jC0", b"TBC:A"));
    assert_eq!(texts(&decoder.feed(&bytes)), ["]C0TBC:A"]);
    assert_eq!(decoder.counters().packets, 2);
}

#[test]
fn a_count_that_disagrees_with_the_size_is_damage_and_the_next_scan_is_read() {
    let mut decoder = HoneywellDecoder::new();
    let mut bytes = b"\x16\xfe\x14\x00\x00\x00\rMSGGET0009jC0\x1dTBC:A\r".to_vec();
    bytes.extend_from_slice(&scan(b"jC0", b"TBC:B"));
    assert_eq!(texts(&decoder.feed(&bytes)), ["]C0TBC:B"]);
    assert_eq!(decoder.counters().damaged, 1);
}

#[test]
fn a_size_beyond_any_scan_is_noise_at_once() {
    let mut decoder = HoneywellDecoder::new();
    let mut bytes = b"\x16\xfe\xff\xff\xff\xff\r".to_vec();
    bytes.extend_from_slice(&scan(b"jC0", b"TBC:B"));
    assert_eq!(texts(&decoder.feed(&bytes)), ["]C0TBC:B"]);
    assert_eq!(decoder.counters().skipped_bytes, 6);
}

#[test]
fn half_a_packet_gives_way_once_the_line_is_quiet() {
    let mut decoder = HoneywellDecoder::new();
    let bytes = scan(b"jC0", b"TBC:A");
    assert_eq!(decoder.feed(&bytes[..20]), Reading::default());
    assert_eq!(decoder.handle_idle(), Reading::default());
    assert_eq!(texts(&decoder.feed(&bytes)), ["]C0TBC:A"]);
    // A whole scan that a header cut short has swallowed.
    let swallowed = [&[SYN, MARK, 0x40, 0, 0, 0, CR], &bytes[..]].concat();
    assert_eq!(decoder.feed(&swallowed), Reading::default());
    assert_eq!(texts(&decoder.handle_idle()), ["]C0TBC:A"]);
}

#[test]
fn a_lost_port_leaves_no_half_scan_behind() {
    let mut decoder = HoneywellDecoder::new();
    let bytes = scan(b"jC0", b"TBC:A");
    decoder.feed(&bytes[..20]);
    decoder.reset();
    assert_eq!(texts(&decoder.feed(&bytes)), ["]C0TBC:A"]);
}

#[test]
fn debug_output_shows_no_byte_of_a_scan() {
    let mut decoder = HoneywellDecoder::new();
    let bytes = scan(b"jC0", b"4111111111111111");
    let reading = decoder.feed(&bytes);
    decoder.feed(&bytes[..30]);
    let shown = format!("{reading:?} {decoder:?}");
    assert!(!shown.contains("1111") && !shown.contains("49"), "{shown}");
}

fn traffic() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => proptest::collection::vec(any::<u8>(), 0..60).prop_map(|text| scan(b"jC0", &text)),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
        1 => (0usize..30).prop_map(|count| scan(b"sQ1", b"TBC:ABCDEFGH")[..count.min(33)].to_vec()),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_frames_and_counts(
        data in traffic(),
        cuts in proptest::collection::vec(1usize..97, 1..40),
    ) {
        let mut whole = HoneywellDecoder::new();
        let expected = whole.feed(&data);
        let mut chunked = HoneywellDecoder::new();
        let mut frames = Vec::new();
        for chunk in chunks(&data, &cuts) {
            frames.extend(chunked.feed(chunk).frames);
        }
        prop_assert_eq!(frames, expected.frames);
        prop_assert_eq!(chunked.counters(), whole.counters());
        prop_assert_eq!(chunked.handle_idle(), whole.handle_idle());
    }
}
