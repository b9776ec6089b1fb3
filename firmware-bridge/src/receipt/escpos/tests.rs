use super::*;
use crate::receipt::command::testing::{self, PLAIN};

fn used(bytes: &[u8]) -> usize {
    testing::used(read(bytes, PLAIN), bytes)
}

#[test]
fn each_command_of_fixed_length_takes_its_bytes_and_no_more() {
    let table: &[(u8, &[u8], usize)] = &[
        (ESC, b"\x0c<2@LSimqv", 2),
        (ESC, b" !%-3=?CEFGJKMRTUVadertu{", 3),
        (ESC, b"$\\f`c", 4),
        (ESC, b"p", 5),
        (ESC, b"W", 10),
        (GS, b":c", 2),
        (GS, b"!/BEHITabfhjrw", 3),
        (GS, b"$LPW\\", 4),
        (GS, b"^z", 5),
        (GS, b"g", 6),
        (FS, b"&.Lbc", 2),
        (FS, b"!-CW", 3),
        (FS, b"S?p", 4),
    ];
    for &(prefix, letters, length) in table {
        for &letter in letters {
            let mut bytes = vec![prefix, letter];
            bytes.resize(64, 2);
            assert_eq!(used(&bytes), length, "{prefix:02x} {}", letter as char);
            assert_eq!(
                read(&bytes[..length - 1], PLAIN),
                Step::More,
                "{prefix:02x} {}",
                letter as char
            );
        }
    }
}

#[test]
fn each_command_of_variable_length_counts_its_payload() {
    assert_eq!(used(b"\x1b*\x00\x05\x00"), 10);
    assert_eq!(used(b"\x1b*\x21\x05\x00"), 20);
    assert_eq!(used(b"\x1b(A\x04\x00"), 9);
    assert_eq!(used(b"\x1bD\x08\x10\x18\x00abc"), 6);
    assert_eq!(used(b"\x1b&\x03\x41\x41\x0c"), 6 + 36);
    assert_eq!(used(b"\x1d(L\x00\x01"), 5 + 256);
    assert_eq!(used(b"\x1d8L\x00\x00\x01\x00"), 7 + 65_536);
    assert_eq!(used(b"\x1dv0\x00\x02\x00\x03\x00"), 8 + 6);
    assert_eq!(used(b"\x1dQ0\x00\x02\x00\x03\x00"), 8 + 6);
    assert_eq!(used(b"\x1d*\x02\x03"), 4 + 48);
    assert_eq!(used(b"\x1dk\x041234\x00"), 8);
    assert_eq!(used(b"\x1dk\x49\x0c"), 16);
    assert_eq!(used(b"\x1c(A\x02\x00"), 7);
    assert_eq!(used(b"\x1cq\x01\x01\x00\x02\x00"), 7 + 16);
    assert_eq!(used(b"\x1c2\x88\x9f"), 4 + 72);
    assert_eq!(used(b"\x1cg1\x00\x00\x00\x00\x00\x03\x00"), 10 + 3);
    assert_eq!(used(b"\x1cg2\x00\x00\x00\x00\x00\x03\x00x"), 10);
    assert_eq!(used(b"\x1c(C\x02\x0002x"), 7);
    assert_eq!(used(b"\x1dC0\x05\x00x"), 5);
    assert_eq!(used(b"\x1dC1\x00\x00\x09\x00\x01\x01x"), 9);
    assert_eq!(used(b"\x1dC2\x05\x00x"), 5);
    assert_eq!(used(b"\x1dC;1;99;1;1;1;x"), 14);
    assert_eq!(used(b"\x1bZ\x00L\x06\x05\x00"), 7 + 5);
    assert_eq!(used(b"\x1bB\x03\x02x"), 4);
}

#[test]
fn real_time_requests_have_their_own_lengths() {
    assert_eq!(used(b"\x10\x04\x01"), 3);
    assert_eq!(used(b"\x10\x04\x08\x01"), 4);
    assert_eq!(used(b"\x10\x05\x02"), 3);
    assert_eq!(used(b"\x10\x14\x01\x00\x01"), 5);
    assert_eq!(used(b"\x10\x14\x03\x01\x02\x03\x04\x05"), 8);
    assert_eq!(used(b"\x10\x14\x07\x01"), 4);
    assert_eq!(used(b"\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08"), 10);
}

#[test]
fn cuts_take_three_or_four_bytes_also_when_the_last_is_a_line_feed() {
    for m in [0, 1, 48, 49] {
        assert_eq!(used(&[GS, b'V', m, b'A']), 3);
    }
    for m in [65, 66, 97, 98, 103, 104] {
        assert_eq!(used(&[GS, b'V', m, LF, b'A']), 4);
    }
}

#[test]
fn a_payload_beyond_the_bound_is_damage() {
    assert_eq!(
        read(b"\x1d8L\xff\xff\xff\xff", PLAIN),
        done(Effect::Unknown, 7)
    );
}

#[test]
fn an_unknown_letter_is_dropped_and_a_control_byte_in_its_place_is_kept() {
    assert_eq!(read(b"\x1bx", PLAIN), done(Effect::Unknown, 2));
    assert_eq!(read(b"\x1bZurich", PLAIN), done(Effect::Unknown, 2));
    assert_eq!(read(b"\x1bBasel", PLAIN), done(Effect::Unknown, 2));
    assert_eq!(read(b"\x1b\x0a", PLAIN), done(Effect::Unknown, 1));
}

#[test]
fn what_stands_in_the_place_of_a_kicks_times_is_read_as_what_it_is() {
    for behind in [
        b"\x1bp\x01",
        b"\x1bd\x03",
        b"\x1dV\x00",
        b"\x1c&x",
        b"\x0a\x1dV",
    ] {
        let mut bytes = b"\x1bp\x00".to_vec();
        bytes.extend(behind);
        assert_eq!(used(&bytes), 3, "{behind:02x?}");
    }
    assert_eq!(used(b"\x1bp\x00\x19\xfa"), 5);
    assert_eq!(used(b"\x1bp0<x"), 5);
    assert_eq!(used(b"\x1bp\x00\x1b\x32"), 5);
}
