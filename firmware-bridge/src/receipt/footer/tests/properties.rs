//! What holds of any stream.

use proptest::prelude::*;

use super::model::{Model, Settings};
use super::*;
use crate::receipt::{Item, JobEnd, Stream};

/// Commands that set something, each with parameters that a POS would send, and text between them.
fn epson_piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[ -~]{1,20}".prop_map(String::into_bytes),
        3 => Just(b"\n".to_vec()),
        6 => (prop::sample::select(b"!MEG-{VraR%t3 ".to_vec()), any::<u8>())
            .prop_map(|(letter, n)| vec![0x1B, letter, epson_parameter(letter, n)]),
        1 => Just(b"\x1b2".to_vec()),
        1 => Just(b"\x1b@".to_vec()),
        2 => any::<u8>().prop_map(|n| vec![0x1D, b'!', n & 0x77]),
        1 => (0u8..2).prop_map(|n| vec![0x1D, b'B', n]),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(x, y)| vec![0x1D, b'P', x, y]),
        2 => (prop::sample::select(b"LW".to_vec()), 1u8..200)
            .prop_map(|(letter, n)| vec![0x1D, letter, n, 1]),
        2 => (prop::sample::select(b"!-W".to_vec()), 0u8..3)
            .prop_map(|(letter, n)| vec![0x1C, letter, n]),
        1 => (0u8..9, 0u8..9).prop_map(|(l, r)| vec![0x1C, b'S', l, r]),
        1 => prop::sample::select(vec![b"\x1c&".to_vec(), b"\x1c.".to_vec()]),
        1 => (48u8..50, 48u8..52).prop_map(|(f, n)| vec![0x1D, b'(', b'N', 2, 0, f, n]),
        1 => (0u8..2).prop_map(|n| vec![0x1D, b'(', b'N', 3, 0, 50, n, 49]),
        1 => (49u8..52).prop_map(|n| vec![0x1D, b'(', b'k', 4, 0, 49, 65, n, 0]),
        2 => (67u8..70, 1u8..17).prop_filter_map("a function", |(f, n)| {
            (f != 68).then(|| vec![0x1D, b'(', b'k', 3, 0, 49, f, n])
        }),
        2 => "[a-z]{1,9}".prop_map(|data| epson_store(data.as_bytes())),
        1 => prop::sample::select(vec![
            b"\x1b$\x40\x00".to_vec(), b"\x1bd\x02".to_vec(), b"\x1bJ\x18".to_vec(), b"\x09".to_vec(),
        ]),
    ]
}

fn epson_parameter(letter: u8, n: u8) -> u8 {
    match letter {
        b'!' => n & 0xB9,
        b'a' => n % 3,
        b'R' => n % 17,
        b't' => [0, 2, 16, 17, 19][usize::from(n % 5)],
        b'3' => n,
        b' ' => n % 16,
        _ => n & 1,
    }
}

fn epson_store(data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len() + 3).expect("it is short");
    [&[0x1D, b'(', b'k', length, 0, 49, 80, 48], data].concat()
}

fn star_piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[ -~]{1,20}".prop_map(String::into_bytes),
        3 => Just(b"\n".to_vec()),
        3 => prop::sample::select(b"EF45MP:gpq\x0e\x14".to_vec()).prop_map(|letter| vec![0x1B, letter]),
        2 => prop::sample::select(b"\x0e\x14\x0f\x12".to_vec()).prop_map(|code| vec![code]),
        4 => (prop::sample::select(b"Wh-_ zR%".to_vec()), 0u8..2)
            .prop_map(|(letter, n)| vec![0x1B, letter, n]),
        2 => (0u8..6, 0u8..6).prop_map(|(h, w)| vec![0x1B, b'i', h, w]),
        2 => (prop::sample::select(b"FC".to_vec()), 0u8..2)
            .prop_map(|(letter, n)| vec![0x1B, 0x1E, letter, n]),
        2 => (0u8..3).prop_map(|n| vec![0x1B, 0x1D, b'a', n]),
        1 => prop::sample::select(vec![1u8, 4, 32]).prop_map(|n| vec![0x1B, 0x1D, b't', n]),
        2 => (b'0'..=b'2', 0u8..4).prop_map(|(f, n)| vec![0x1B, 0x1D, b'y', b'S', f, n]),
        2 => "[a-z]{1,9}".prop_map(|data| star_store(data.as_bytes())),
        1 => Just(b"\x1b@".to_vec()),
        1 => prop::sample::select(vec![b"\x1ba\x02".to_vec(), b"\x1bJ\x18".to_vec()]),
    ]
}

fn star_store(data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len()).expect("it is short");
    [&[0x1B, 0x1D, b'y', b'D', b'1', 0, length, 0], data].concat()
}

/// Returns the settings before a footer and those behind it, and what it printed.
fn around_footer(
    language: Language,
    is_strict: bool,
    stream: &[u8],
    printed: &[u8],
) -> (Model, Model) {
    let mut before = Model::new(language, is_strict);
    before.run(stream);
    let mut behind = Model::new(language, is_strict);
    behind.run(stream);
    behind.printed.clear();
    behind.run(printed);
    (before, behind)
}

/// Whether text of these settings is printed as it is at a printer's start, but for where it stands.
fn is_plain(language: Language, settings: &Settings, doubtful: &[&'static str]) -> bool {
    let defaults = Model::new(language, true).settings;
    let left_alone = [
        "align", "units", "page", "qr model", "qr size", "qr level", "line",
    ];
    defaults
        .iter()
        .filter(|(name, _)| !left_alone.contains(name) && !doubtful.contains(name))
        .all(|(name, value)| settings[name] == *value)
}

fn check_state(dialect: Dialect, stream: &[u8], cut: &[u8]) -> Result<(), TestCaseError> {
    let language = dialect.first_language();
    let whole = [stream, cut].concat();
    let found = cuts(dialect, &whole, &[usize::MAX]);
    prop_assert_eq!(found.len(), 1);
    let state = found[0].state.as_deref().expect("nothing is in its way");
    let doubtful = state.sent.iter().filter(|sent| sent.is_doubtful).count();
    let text_alone = Footer {
        content: None,
        ..footer()
    };
    for (footer, is_strict) in [
        (footer(), true),
        (footer(), false),
        (text_alone.clone(), true),
        (text_alone, false),
    ] {
        let printed = found[0].footer(&footer).expect("nothing is in its way");
        let (before, behind) = around_footer(language, is_strict, stream, &printed);
        prop_assert_eq!(&before.settings, &behind.settings, "{:02x?}", printed);
        let stored = match &footer.content {
            Some(_) => Some(before.stored.unwrap_or_else(|| b"0".to_vec())),
            None => before.stored,
        };
        prop_assert_eq!(stored, behind.stored);
        let (texts, settings): (Vec<_>, Vec<_>) = behind.printed.into_iter().unzip();
        let expected = footer.lines.iter().chain(&footer.content);
        let expected: Vec<Vec<u8>> = expected.map(|text| text.clone().into_bytes()).collect();
        prop_assert_eq!(texts, expected);
        // The code is no text, and characters are set for text alone.
        for settings in &settings[..2] {
            let begin_only = ["upside", "left", "area"];
            let doubtful: &[&str] = if doubtful > 0 { &begin_only } else { &[] };
            prop_assert!(is_plain(language, settings, doubtful), "{:?}", settings);
            prop_assert!(doubtful.is_empty() || settings["align"].len() == 1);
            if doubtful.is_empty() {
                prop_assert_eq!(settings["align"][0], 1);
            }
        }
        if let Some(code) = settings.get(2) {
            prop_assert_eq!(code["qr size"][0], 5);
        }
    }
    Ok(())
}

/// Commands whose reading could go astray: damaged, of either dialect, and what looks like a cut.
fn hostile_piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => "[ -~]{0,30}".prop_map(String::into_bytes),
        4 => epson_piece(),
        4 => star_piece(),
        6 => prop::sample::select(vec![
            &b"\x1dV\x00"[..], b"\x1dVA\x03", b"\x1bi", b"\x1bm", b"\x1bd\x03", b"\x1bi\x01\x01",
            b"\x1b\x1da\x01", b"\x1bk\x1dV\x00", b"\x1bp0\x1bi", b"\x1bX\x1b", b"\x1b*\x63\x1b", b"\x1bZ\x1b",
            b"\x1b*rA", b"\x1b*rB", b"b\x03\x00\x1dV\x00", b"\x1b\x0c\x00", b"\x1b=\x02", b"\x1b=\x01",
            b"\x1d:m\x0a\x1dV\x00\x1bi\x1d:\x1d^\x03\x00\x00", b"\x1d:", b"\x1bL", b"\x1bS", b"\x0c",
            b"\x1dv0\x00\x02\x00\x02\x00", b"\x1dC;\x1dV\x00\x1dV\x00", b"\x1b#\x1bd\x03", b"\x1c",
            b"\x1b\x1dyD2\x02\x00\x02\x00ab\x01\x01\x00c", b"\x1b\x1dP0", b"\x1b\x1dP7", b"\x1d(M\x02\x00\x02\x00",
        ]).prop_map(<[u8]>::to_vec),
        2 => prop::collection::vec(any::<u8>(), 0..6),
    ]
}

fn count_cut(jobs: &[Job]) -> usize {
    jobs.iter()
        .filter(|job| job.ended_by == JobEnd::Cut)
        .count()
}

proptest! {
    #[test]
    fn epsons_printer_is_left_as_it_was(pieces in prop::collection::vec(epson_piece(), 0..30)) {
        check_state(Dialect::EscPos, &pieces.concat(), b"\x1dV\x00")?;
    }

    #[test]
    fn stars_printer_is_left_as_it_was(pieces in prop::collection::vec(star_piece(), 0..30)) {
        check_state(Dialect::Star, &pieces.concat(), b"\x1bd\x00")?;
    }

    #[test]
    fn receipts_are_read_as_without_the_footers(
        receipts in prop::collection::vec(
            (prop::collection::vec(epson_piece(), 0..20), prop::collection::vec(star_piece(), 0..20)),
            1..4,
        ),
        encoding in prop::sample::select(vec!["cp437", "gbk", "shift-jis", "cp858"]),
    ) {
        let encoding = Encoding::parse(encoding).unwrap();
        let mut epson = Vec::new();
        let mut star = Vec::new();
        for (epson_pieces, star_pieces) in receipts {
            epson.extend(b"Something\n");
            epson.extend(epson_pieces.concat());
            epson.extend(b"\x1dV\x00");
            star.extend(b"Something\n");
            star.extend(star_pieces.concat());
            star.extend(b"\x1bd\x00");
        }
        let footer = Footer {
            lines: vec!["Claim [7] \\ #1 @ {x}".to_owned(), "Käse 餐 €".to_owned()],
            content: Some("TBC:5D9BTJPM".to_owned()),
        };
        for (dialect, stream) in [(Dialect::EscPos, epson), (Dialect::Star, star)] {
            let printed = with_footers(dialect, encoding, &stream, &footer);
            let before = jobs(dialect, encoding, &stream);
            let behind = jobs(dialect, encoding, &printed);
            prop_assert_eq!(before.len(), behind.len());
            for (mut before, mut behind) in before.into_iter().zip(behind) {
                before.lines.retain(|line| !line.is_empty());
                behind.lines.retain(|line| !line.is_empty());
                let added = behind.lines.split_off(before.lines.len());
                prop_assert_eq!(before.lines, behind.lines);
                prop_assert_eq!(&added[0], &footer.lines[0]);
                prop_assert!(added.len() == 1 || added[1..] == footer.lines[1..], "{:?}", added);
                before.codes.extend(footer.content.clone());
                prop_assert_eq!(before.codes, behind.codes);
                prop_assert_eq!(before.unknown_commands, behind.unknown_commands);
            }
        }
    }

    #[test]
    fn any_chunking_gives_the_same_cuts_and_holds_no_more_than_a_cuts_beginning(
        pieces in prop::collection::vec(hostile_piece(), 0..40),
        sizes in prop::collection::vec(1usize..20, 1..5),
        dialect in prop::sample::select(vec![Dialect::Auto, Dialect::EscPos, Dialect::Star]),
    ) {
        let bytes = pieces.concat();
        prop_assert_eq!(places(dialect, &bytes, &sizes), places(dialect, &bytes, &[usize::MAX]));
        let mut finder = finder(dialect);
        let (mut fed, mut settled, mut told_to) = (0, 0, 0);
        for chunk in chunks(&bytes, &sizes) {
            fed += chunk.len() as u64;
            for cut in finder.feed(chunk) {
                prop_assert!(!cut.takes_footer() || cut.begins_at >= settled);
                prop_assert!(!cut.takes_footer() || cut.begins_at >= told_to);
                prop_assert!(cut.ends_at >= told_to && cut.ends_at <= fed);
                told_to = cut.ends_at;
            }
            prop_assert!(finder.settled() >= settled && finder.settled() <= fed);
            prop_assert!(fed - finder.settled() <= HOLD_BYTES_MAX as u64);
            settled = finder.settled();
        }
    }

    #[test]
    fn jobs_are_cut_where_cuts_are_found(
        pieces in prop::collection::vec(hostile_piece(), 0..40),
        dialect in prop::sample::select(vec![Dialect::Auto, Dialect::EscPos, Dialect::Star]),
    ) {
        let bytes = pieces.concat();
        let mut decoder = ReceiptDecoder::new(dialect, Encoding::default());
        let mut finder = finder(dialect);
        let mut found = 0;
        for byte in &bytes {
            let jobs = decoder.feed(&[*byte]);
            let cuts = finder.feed(&[*byte]);
            prop_assert!(count_cut(&jobs) <= cuts.len());
            found += cuts.len();
        }
        let last = finder.finish();
        prop_assert!(count_cut(&decoder.finish()) <= last.len());
        if dialect != Dialect::Auto {
            let mut items = 0;
            let mut stream = Stream::new(dialect.first_language());
            let mut sink = |item: Item<'_>| items += usize::from(item == Item::Cut);
            stream.feed(&bytes, &mut sink);
            stream.finish(&mut sink);
            prop_assert_eq!(items, found + last.len());
        }
    }

    #[test]
    fn pauses_and_silences_wherever_they_fall_break_nothing(
        chunks in prop::collection::vec(prop::collection::vec(hostile_piece(), 0..4), 0..12),
        dialect in prop::sample::select(vec![Dialect::Auto, Dialect::EscPos, Dialect::Star]),
    ) {
        let mut finder = finder(dialect);
        let mut fed = 0;
        for (i, chunk) in chunks.iter().enumerate() {
            let chunk = chunk.concat();
            fed += chunk.len() as u64;
            let mut cuts = finder.feed(&chunk);
            let settled = finder.settled();
            let late = if i % 2 == 0 { finder.handle_pause() } else { finder.handle_idle() };
            prop_assert_eq!(finder.settled(), fed);
            for cut in &late {
                prop_assert!(!cut.takes_footer() || cut.begins_at >= settled);
            }
            cuts.extend(late);
            for cut in cuts {
                prop_assert!(cut.begins_at < cut.ends_at && cut.ends_at <= fed);
                prop_assert_eq!(cut.takes_footer(), cut.footer(&footer()).is_some());
            }
        }
    }
}
