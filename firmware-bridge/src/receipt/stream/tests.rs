use proptest::prelude::*;

use super::*;

/// Reads a stream in chunks of these sizes, repeated, and writes its items down.
fn items(bytes: &[u8], chunks: &[usize]) -> Vec<String> {
    items_of(Stream::new(Language::EscPos), bytes, chunks)
}

fn items_of(mut stream: Stream, bytes: &[u8], chunks: &[usize]) -> Vec<String> {
    let mut items = Vec::new();
    let mut sink = |item: Item<'_>| items.push(format!("{item:?}"));
    let mut sizes = chunks.iter().cycle();
    let mut rest = bytes;
    while !rest.is_empty() {
        let size = sizes.next().copied().unwrap_or(1).clamp(1, rest.len());
        let (part, after) = rest.split_at(size);
        stream.feed(part, &mut sink);
        rest = after;
    }
    stream.finish(&mut sink);
    assert!(stream.foreign_at().is_some() || stream.is_at_rest());
    items
}

fn collect(stream: &mut Stream, bytes: &[u8]) -> Vec<String> {
    let mut items = Vec::new();
    stream.feed(bytes, &mut |item| items.push(format!("{item:?}")));
    items
}

/// How many bytes a stream holds on to.
fn held(stream: &Stream) -> usize {
    let payload = stream
        .payload
        .as_ref()
        .map_or(0, |p| p.head.capacity() + p.tail.capacity());
    let symbol = stream.stored.held();
    stream.text.capacity() + stream.command.capacity() + stream.replay.capacity() + payload + symbol
}

#[test]
fn a_code_is_told_when_it_is_printed_and_again_when_it_is_printed_again() {
    let mut stream = Stream::new(Language::EscPos);
    let stored = collect(&mut stream, b"\x1d(k\x05\x001P0hi");
    assert!(stored.is_empty());
    let printed = collect(&mut stream, b"\x1d(k\x03\x001Q0\x1d(k\x03\x001Q0");
    assert_eq!(printed.len(), 2);
    let other = collect(&mut stream, b"\x1d(k\x03\x000Q0");
    assert!(other.is_empty(), "nothing is stored for PDF417");
    let forgotten = collect(&mut stream, b"\x1b@\x1d(k\x03\x001Q0");
    assert_eq!(forgotten, ["Init"]);
}

#[test]
fn an_image_tells_its_dots() {
    let mut stream = Stream::new(Language::EscPos);
    let raster = collect(
        &mut stream,
        b"\x1dv0\x00\x02\x00\x03\x00\x00\x00\x00\x00\x00\x00",
    );
    assert_eq!(raster, ["Image { dots: Some((16, 3)) }"]);
    let stored = collect(
        &mut stream,
        b"\x1d(L\x0b\x000p0\x01\x011\x08\x00\x01\x00\xff\x1d(L\x02\x0002",
    );
    assert_eq!(stored, ["Image { dots: Some((8, 1)) }"]);
    let logo = collect(&mut stream, b"\x1cp\x01\x00");
    assert_eq!(logo, ["Image { dots: None }"]);
}

#[test]
fn an_epson_cut_at_the_end_of_what_was_sent_is_a_cut_once_nothing_follows() {
    let mut stream = Stream::doubtful(Language::EscPos, true);
    assert!(collect(&mut stream, b"\x1bi").is_empty());
    let mut items = Vec::new();
    assert!(stream.handle_idle(&mut |item| items.push(format!("{item:?}"))));
    assert_eq!(items, ["Cut"]);
    assert_eq!(collect(&mut stream, b"\x1bi\x1b@"), ["Cut", "Init"]);
}

#[test]
fn a_dialect_that_is_set_is_not_doubted() {
    let mut stream = Stream::new(Language::EscPos);
    let items = collect(&mut stream, b"\x1bi\x01\x01\x1b\x1da\x01");
    assert_eq!(items, ["Cut", "Unknown", "Unknown", "Unknown"]);
    assert_eq!(stream.foreign_at(), None);
}

#[test]
fn nothing_is_read_behind_a_mark_of_the_other_dialect() {
    for (mark, at) in [
        (&b"Milk\x0a\x1b\x1da\x01Eggs\x0a\x1bd\x02"[..], 5),
        (b"Milk\x0a\x1bi\x01\x01Eggs\x0a", 5),
        (b"Milk\x0a\x1bi00Eggs\x0a", 5),
        (b"Milk\x0a\x1b*rA", 5),
        (b"Milk\x0a\x1bb622P", 5),
    ] {
        let mut stream = Stream::doubtful(Language::EscPos, true);
        let items = collect(&mut stream, mark);
        assert_eq!(items.len(), 2, "{items:?}");
        assert_eq!(items[1], "LineFeed");
        assert_eq!(stream.foreign_at(), Some(at), "{mark:02x?}");
    }
    let mut stream = Stream::doubtful(Language::Star, true);
    collect(&mut stream, b"Milk\x0a\x1dV\x00");
    assert_eq!(stream.foreign_at(), Some(5));
}

#[test]
fn digits_behind_an_epson_cut_are_text_once_a_command_of_epsons_was_seen() {
    let mut stream = Stream::doubtful(Language::EscPos, true);
    let items = collect(&mut stream, b"\x1d!\x00Total\x0a\x1bi12 eggs\x0a");
    assert_eq!(items.iter().filter(|i| *i == "Cut").count(), 1);
    assert_eq!(stream.foreign_at(), None);
}

#[test]
fn a_chance_mark_behind_commands_of_epsons_own_turns_nothing_and_a_plain_one_does() {
    let own = b"\x1d!\x00Total\x0a";
    for chance in [
        &b"\x1b\x1d\xf0\x80"[..],
        b"\x1b\x1e\x00",
        b"\x1b*r",
        b"\x1bk\x02\x00",
    ] {
        let mut stream = Stream::doubtful(Language::EscPos, true);
        collect(&mut stream, &[own, chance, b"Bye\x0a"].concat());
        assert_eq!(stream.foreign_at(), None, "{chance:02x?}");
    }
    let mut stream = Stream::doubtful(Language::EscPos, true);
    collect(&mut stream, &[&own[..], b"\x1b\x1da\x01Bye\x0a"].concat());
    assert_eq!(stream.foreign_at(), Some(9));
}

#[test]
fn what_is_sent_to_a_display_behind_the_printer_is_not_printed() {
    let mut stream = Stream::new(Language::EscPos);
    let items = collect(
        &mut stream,
        b"A\x1b=\x02\x0cTOTAL 5.00\x1bi\x0a\x1b=\x01B\x0a",
    );
    let texts: Vec<_> = items.iter().filter(|i| i.starts_with("Text")).collect();
    assert_eq!(texts.len(), 2);
    assert_eq!(items.last().map(String::as_str), Some("LineFeed"));
    assert!(!items.contains(&"Cut".to_owned()));
}

#[test]
fn a_macro_is_printed_as_it_is_defined_and_each_time_it_is_run() {
    let mut stream = Stream::new(Language::EscPos);
    let items = collect(&mut stream, b"\x1d:Hi\x0a\x1d:\x1d^\x02\x00\x00Bye\x0a");
    let lines = items.iter().filter(|i| *i == "LineFeed").count();
    assert_eq!(lines, 4);
    let endless = collect(&mut stream, b"\x1d:\x1d^\xff\x00\x00\x1d:\x1d^\xff\x00\x00");
    assert!(endless.is_empty(), "a macro does not run itself");
}

#[test]
fn codes_of_star_are_stored_and_printed_also_in_blocks() {
    let mut stream = Stream::new(Language::Star);
    let stored = collect(
        &mut stream,
        b"\x1b\x1dyD1\x00\x02\x00hi\x1b\x1dxD\x03\x00pdf",
    );
    assert!(stored.is_empty());
    let printed = collect(&mut stream, b"\x1b\x1dyP\x1b\x1dxP");
    assert_eq!(printed.len(), 2);
    let mut blocks = String::new();
    stream.feed(
        b"\x1b\x1dyD2\x02\x00\x03\x00abc\x00\x02\x00de\x1b\x1dyP",
        &mut |item| {
            if let Item::Code { kind, data, .. } = item {
                assert_eq!(kind, Symbology::Qr);
                blocks.push_str(std::str::from_utf8(data).unwrap());
            }
        },
    );
    assert_eq!(blocks, "abcde");
}

#[test]
fn an_image_that_stalls_once_is_waited_for_and_a_lie_is_not() {
    let mut stream = Stream::new(Language::EscPos);
    collect(&mut stream, b"\x1dv0\x00\x10\x00\x10\x00\x00\x00\xff\x00");
    assert!(!stream.handle_idle(&mut |_| {}));
    assert!(!stream.is_at_rest());
    let mut items = Vec::new();
    assert!(stream.handle_idle(&mut |item| items.push(format!("{item:?}"))));
    assert!(stream.is_at_rest());
    assert!(items.contains(&"Skipped(4)".to_owned()), "{items:?}");

    collect(
        &mut stream,
        b"\x1dv0\x00\x10\x00\x10\x00\x00\x00\xff\x00\x1ba\x01Total 3.00\x0a",
    );
    let mut items = Vec::new();
    assert!(stream.handle_idle(&mut |item| items.push(format!("{item:?}"))));
    assert!(items.iter().any(|item| item.starts_with("Text")));
    assert!(items.contains(&"Skipped(4)".to_owned()), "{items:?}");
}

#[test]
fn what_an_image_swallowed_is_read_again_up_to_the_bound_and_counted_beyond() {
    let mut bytes = b"\x1d8L\x00\x00\x01\x00".to_vec();
    bytes.extend([0; 9_000]);
    bytes.extend(b"\x1ba\x01");
    let text = b"All is well ";
    for _ in 0..200 {
        bytes.extend(text);
        bytes.push(0x0A);
    }
    bytes.extend(b"\x1dV\x00");
    let items = items(&bytes, &[1_000]);
    assert_eq!(items.iter().filter(|i| i.starts_with("Text")).count(), 200);
    assert_eq!(items.iter().filter(|i| *i == "Cut").count(), 1);
}

#[test]
fn a_barcode_without_its_nul_ends_where_no_barcode_can_go_on() {
    let mut stream = Stream::new(Language::EscPos);
    let items = collect(&mut stream, b"\x1dk\x041234\x0aText\x0a");
    assert!(items[0].starts_with("Code"));
    assert_eq!(items[1], "LineFeed");
    assert!(items[2].starts_with("Text"));
}

#[test]
fn tab_stops_that_do_not_ascend_end_the_command() {
    let mut stream = Stream::new(Language::EscPos);
    let items = collect(&mut stream, b"\x1bD\x08\x10\x10Milk\x0a");
    assert_eq!(items[0], "TabStops([8, 16])");
    assert!(items.iter().any(|item| item.starts_with("Text")));
    assert_eq!(items.last().map(String::as_str), Some("LineFeed"));
}

/// Bytes that are more often commands than chance would have it.
fn stream_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..12),
        4 => prop::collection::vec(0x20u8..0x7F, 1..20),
        2 => Just(b"\x0a".to_vec()),
        6 => (
            prop::sample::select(vec![0x1Bu8, 0x1C, 0x1D, 0x10]),
            prop::sample::select(b"!$%&()*-./28:@DEJKLMQRSTVWX^abcdefikmpqtvz\\\x04\x05\x0c\x14\x1d\x1e=".to_vec()),
            prop::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..8),
        )
            .prop_map(|(prefix, letter, rest)| {
                let mut bytes = vec![prefix, letter];
                bytes.extend(rest);
                bytes
            }),
        1 => Just(b"\x1dv0\x00\x04\x00\x10\x00\x00\x01\x02".to_vec()),
        1 => Just(b"\x1d(k\x07\x001P0abcd\x1d(k\x03\x001Q0".to_vec()),
        1 => Just(b"\x1dVA\x0a".to_vec()),
        1 => Just(b"\x1b\x1dyD1\x00\x02\x00hi\x1b\x1dyP".to_vec()),
        1 => Just(b"\x1b*rAb\x02\x00\xff\xff\x1b*rB".to_vec()),
        1 => Just(b"\x1bb622P123\x1e".to_vec()),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_items(
        bytes in stream_bytes(),
        chunks in prop::collection::vec(1usize..40, 1..6),
    ) {
        prop_assert_eq!(items(&bytes, &[usize::MAX]), items(&bytes, &chunks));
        prop_assert_eq!(items(&bytes, &[usize::MAX]), items(&bytes, &[1]));
        for language in [Language::EscPos, Language::Star] {
            let stream = || Stream::doubtful(language, true);
            prop_assert_eq!(
                items_of(stream(), &bytes, &[usize::MAX]),
                items_of(stream(), &bytes, &[1])
            );
            prop_assert_eq!(
                items_of(Stream::new(language), &bytes, &[usize::MAX]),
                items_of(Stream::new(language), &bytes, &chunks)
            );
        }
    }

    #[test]
    fn nothing_that_is_sent_is_held_without_bound(
        bytes in stream_bytes(),
        silences in any::<bool>(),
        language in prop::sample::select(vec![Language::EscPos, Language::Star]),
    ) {
        let mut stream = Stream::new(language);
        for _ in 0..20 {
            stream.feed(&bytes, &mut |_| {});
            if silences {
                stream.handle_idle(&mut |_| {});
            }
            // Text, codes, a payload's head and tail and its replay, with vectors' slack.
            prop_assert!(held(&stream) < 64 << 10);
        }
    }

    #[test]
    fn a_receipt_behind_noise_of_a_payload_is_found_again(
        noise in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..200),
    ) {
        // Noise that is a cut cannot be told from one.
        let is_cut = |pair: &[u8]| matches!(pair, b"\x1dV" | b"\x1bi" | b"\x1bm");
        prop_assume!(!noise.windows(2).any(is_cut));
        let mut bytes = b"\x1d8L\x00\x80\x00\x00".to_vec();
        bytes.extend(&noise);
        bytes.push(0);
        bytes.extend(b"\x1ba\x01Thanks for coming\x0a\x1dV\x00");
        let items = items(&bytes, &[50]);
        prop_assert_eq!(items.last().map(String::as_str), Some("Cut"));
        prop_assert_eq!(items.iter().filter(|i| *i == "Cut").count(), 1);
    }
}
