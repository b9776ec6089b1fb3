use super::*;
use crate::receipt::command::testing::{self, PLAIN};

fn used(bytes: &[u8]) -> usize {
    testing::used(read(bytes, PLAIN), bytes)
}

#[test]
fn each_command_of_fixed_length_takes_its_bytes_and_no_more() {
    let table: &[(&[u8], &[u8], usize)] = &[
        (b"\x1b", b"@EF45MP:g012Opq\x0e\x14", 2),
        (b"\x1b", b"Rd/ Wh-_azJINlQA3yc%tu$\x06\x0c\x0f\x19\x1f", 3),
        (b"\x1b", b"is\x07\x0b\x16", 4),
        (b"\x1b", b"+", 6),
        (b"\x1b\x1e", b"ACEFLPRTacdimr#", 4),
        (b"\x1b\x1d", b"atbch", 4),
        (b"\x1b\x1d", b"ARg", 5),
        (b"\x1b\x1d", b"\x03\x07", 6),
        (b"\x1b\x1d", b"\x19", 7),
    ];
    for &(prefix, letters, length) in table {
        for &letter in letters {
            let mut bytes = prefix.to_vec();
            bytes.push(letter);
            bytes.resize(64, 2);
            assert_eq!(used(&bytes), length, "{prefix:02x?} {letter:02x}");
            assert_eq!(
                read(&bytes[..length - 1], PLAIN),
                Step::More,
                "{letter:02x}"
            );
        }
    }
}

#[test]
fn each_command_of_variable_length_counts_its_payload() {
    assert_eq!(used(b"\x1bC\x00\x05x"), 4);
    assert_eq!(used(b"\x1bC\x05x"), 3);
    assert_eq!(used(b"\x1bD\x08\x10\x00x"), 5);
    assert_eq!(used(b"\x1bB\x08\x10\x00x"), 5);
    assert_eq!(used(b"\x1b#,10000\x0a\x00x"), 10);
    assert_eq!(used(b"\x1b\x1d#+A0000\x0a\x00x"), 11);
    assert_eq!(used(b"\x1bb\x36\x31\x31\x50123\x1ex"), 10);
    assert_eq!(used(b"\x1b&\x01\x01A"), 5 + 48);
    assert_eq!(used(b"\x1bK\x05\x00"), 4 + 5);
    assert_eq!(used(b"\x1bL\x05\x00"), 4 + 5);
    assert_eq!(used(b"\x1bX\x05\x00"), 4 + 15);
    assert_eq!(used(b"\x1bk\x05\x00"), 4 + 120);
    assert_eq!(used(b"\x1b\x1cp\x01\x00x"), 5);
    assert_eq!(used(b"\x1b\x1cq\x01\x01\x00\x02\x00"), 8 + 16);
    assert_eq!(used(b"\x1b\x1dS\x01\x02\x00\x03\x00\x00"), 9 + 6);
    assert_eq!(used(b"\x1b\x1d=\x04\x00"), 5 + 4);
    assert_eq!(used(b"\x1b\x1d)U\x02\x000\x01x"), 8);
    assert_eq!(used(b"\x1b\x1d)B\x00\x01"), 6 + 256);
    assert_eq!(used(b"\x1b\x1dxS0\x00\x01\x02x"), 8);
    assert_eq!(used(b"\x1b\x1dxS1\x00x"), 6);
    assert_eq!(used(b"\x1b\x1dxD\x03\x00"), 6 + 3);
    assert_eq!(used(b"\x1b\x1dxPx"), 4);
    assert_eq!(used(b"\x1b\x1dyS0\x02x"), 6);
    assert_eq!(used(b"\x1b\x1dyD1\x00\x03\x00"), 8 + 3);
    assert_eq!(used(b"\x1b\x1dyD2\x01\x00\x03\x00"), 9 + 3);
    assert_eq!(used(b"\x1b\x1dyPx"), 4);
    assert_eq!(used(b"\x1b\x1dP2\x00\x00\x00\x00\x00\x02\x00\x03x"), 12);
    assert_eq!(used(b"\x1b\x1dP4\x10\x00x"), 6);
    assert_eq!(used(b"\x1b*rAx"), 4);
    assert_eq!(used(b"\x1b*rP0\x00x"), 6);
    assert_eq!(used(b"\x1b*rml10\x00x"), 8);
}

#[test]
fn drawers_open_by_five_bytes_and_cuts_have_two_forms() {
    for kick in [&b"\x07"[..], b"\x19", b"\x1a", b"\x1cx", b"\x1b*rD1\x00"] {
        let step = read(kick, PLAIN);
        assert!(
            matches!(
                step,
                Step::Done {
                    effect: Effect::Kick,
                    ..
                }
            ),
            "{kick:02x?}: {step:?}"
        );
    }
    for n in *b"\x00\x01\x02\x030123" {
        assert_eq!(read(&[ESC, b'd', n], PLAIN), done(Effect::Cut, 3));
    }
    assert_eq!(read(b"\x1bd\x09", PLAIN), done(Effect::Unknown, 3));
    assert_eq!(read(b"\x1b\x0c\x00", PLAIN), done(Effect::Cut, 3));
}

#[test]
fn lines_of_raster_mode_are_dots_and_all_else_in_it_is_nothing() {
    let raster = Context {
        raster: true,
        ..PLAIN
    };
    let step = read(b"b\x02\x00", raster);
    assert!(
        matches!(
            step,
            Step::Payload {
                used: 3,
                length: 2,
                ..
            }
        ),
        "{step:?}"
    );
    assert_eq!(read(b"x", raster), done(Effect::Setting, 1));
    assert_eq!(read(b"\x1b*rB", raster), done(Effect::Raster(false), 4));
}
