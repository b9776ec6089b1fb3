use super::*;
use crate::chunks::chunks;
use crate::receipt::{Job, Language, ReceiptDecoder};

mod model;
mod properties;

fn finder(dialect: Dialect) -> CutFinder {
    CutFinder::new(dialect, Encoding::default())
}

fn footer() -> Footer {
    Footer {
        lines: vec!["Claim your points".to_owned(), "5D9B-TJPM".to_owned()],
        content: Some("TBC:5D9BTJPM".to_owned()),
    }
}

/// Returns the cuts of a whole stream, in chunks of these sizes.
fn cuts(dialect: Dialect, bytes: &[u8], sizes: &[usize]) -> Vec<FoundCut> {
    let mut finder = finder(dialect);
    let mut cuts: Vec<FoundCut> = chunks(bytes, sizes).flat_map(|c| finder.feed(c)).collect();
    cuts.extend(finder.finish());
    cuts
}

/// Returns where the cuts of a stream stand.
fn places(dialect: Dialect, bytes: &[u8], sizes: &[usize]) -> Vec<(u64, u64)> {
    let cuts = cuts(dialect, bytes, sizes);
    cuts.iter().map(|c| (c.begins_at, c.ends_at)).collect()
}

/// Returns the footer of a stream's last cut.
fn footer_of(dialect: Dialect, bytes: &[u8]) -> Option<Vec<u8>> {
    let cuts = cuts(dialect, bytes, &[usize::MAX]);
    cuts.last().expect("there is a cut").footer(&footer())
}

/// Returns the stream with a footer before each cut that takes one.
fn with_footers(dialect: Dialect, encoding: Encoding, bytes: &[u8], footer: &Footer) -> Vec<u8> {
    let mut out = Vec::new();
    let mut passed = 0;
    for cut in CutFinder::new(dialect, encoding).feed(bytes) {
        let Some(printed) = cut.footer(footer) else {
            continue;
        };
        let begins_at = usize::try_from(cut.begins_at).expect("it is short");
        out.extend_from_slice(&bytes[passed..begins_at]);
        out.extend(printed);
        passed = begins_at;
    }
    out.extend_from_slice(&bytes[passed..]);
    out
}

fn jobs(dialect: Dialect, encoding: Encoding, bytes: &[u8]) -> Vec<Job> {
    let mut decoder = ReceiptDecoder::new(dialect, encoding);
    let mut jobs = decoder.feed(bytes);
    jobs.extend(decoder.finish());
    jobs
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn each_cut_of_either_dialect_is_told_with_its_place() {
    let epson = b"A\n\x1dV\x00B\n\x1dVA\x0aC\n\x1biD\n\x1bm\x1dVh\x00";
    assert_eq!(
        places(Dialect::EscPos, epson, &[1]),
        [(2, 5), (7, 11), (13, 15), (17, 19), (19, 23)]
    );
    let star = b"A\n\x1bd\x03B\n\x1bd0";
    assert_eq!(places(Dialect::Star, star, &[1]), [(2, 5), (7, 10)]);
}

#[test]
fn no_more_than_a_cuts_beginning_is_held() {
    let mut finder = finder(Dialect::EscPos);
    let mut settled = Vec::new();
    for byte in b"A\n\x1bE\x01\x1dV" {
        finder.feed(&[*byte]);
        settled.push(finder.settled());
    }
    assert_eq!(settled, [1, 2, 2, 4, 5, 5, 5]);
    let cuts = finder.feed(b"\x00");
    assert_eq!((cuts[0].begins_at, cuts[0].ends_at), (5, 8));
    assert_eq!(finder.settled(), 8);
}

#[test]
fn a_cut_that_nothing_follows_is_told_at_a_pause_and_takes_a_footer() {
    let mut finder = finder(Dialect::Auto);
    assert!(finder.feed(b"A\n\x1bi").is_empty());
    assert_eq!(finder.settled(), 2);
    let cuts = finder.handle_pause();
    assert_eq!((cuts[0].begins_at, cuts[0].ends_at), (2, 4));
    assert!(cuts[0].takes_footer());
    assert_eq!(finder.settled(), 4);
    assert!(finder.handle_idle().is_empty());
    assert!(finder.feed(b"\x1b@B\n").is_empty());
}

#[test]
fn a_command_that_a_pause_parts_is_still_one() {
    let mut finder = finder(Dialect::EscPos);
    finder.feed(b"A\n\x1dV");
    assert!(finder.handle_pause().is_empty());
    assert_eq!(finder.settled(), 4);
    let cuts = finder.feed(b"\x00");
    assert_eq!((cuts[0].begins_at, cuts[0].ends_at), (2, 5));
    assert!(!cuts[0].takes_footer(), "its beginning was passed on");
}

#[test]
fn what_looks_like_a_cut_within_a_payload_is_none() {
    let image = b"\x1dv0\x00\x03\x00\x01\x00\x1dV\x00A\n\x1dkI\x05{B\x1dV\x00\x1dV\x01";
    assert_eq!(places(Dialect::EscPos, image, &[1]).len(), 1);
    let star = b"\x1b\x1da\x01\x1bk\x01\x00\x1bd\x03\x1bd\x03\x1bd\x03\x1bd\x03\x1bd\x03\x1bd\x03\x1bd\x03\
                 \x1bd\x03\x1bi\x01\x01A\n\x1bd\x03";
    assert_eq!(places(Dialect::Auto, star, &[2]).len(), 1);
}

#[test]
fn a_job_that_turns_out_to_be_stars_has_the_footer_of_its_dialect() {
    let bytes = b"\x1bEShop\x1bF\n\x1b\x1da\x00Bye\n\x1bd\x02";
    for sizes in [1, 5, usize::MAX] {
        let cuts = cuts(Dialect::Auto, bytes, &[sizes]);
        assert_eq!(cuts.len(), 1);
        let printed = cuts[0].footer(&footer()).unwrap();
        assert!(contains(&printed, b"\x1b\x1dyP"));
        assert!(!contains(&printed, b"\x1d(k"));
    }
}

#[test]
fn no_footer_is_printed_where_it_would_not_be_plain_paper() {
    let epson: [&[u8]; 6] = [
        b"\x1bLon a page\n\x1dV\x00",
        b"\x1d:A\n\x1dV\x00",
        b"\x1d:\x1dV\x00\x1d:\x1d^\x01\x00\x00",
        b"\x1b=\x03both\n\x1dV\x00",
        b"\x1bc0\x04slip\n\x1bi",
        b"A\n\x1d(M\x02\x00\x02\x00\x1dV\x00",
    ];
    for bytes in epson {
        assert_eq!(footer_of(Dialect::EscPos, bytes), None, "{bytes:02x?}");
    }
    let star: [&[u8]; 2] = [
        b"\x1b\x1dP0A\n\x1bd\x03",
        b"\x1b*rAb\x01\x00\xff\x1b\x0c\x00",
    ];
    for bytes in star {
        assert_eq!(footer_of(Dialect::Star, bytes), None, "{bytes:02x?}");
    }
}

#[test]
fn a_macro_that_cuts_is_told_where_it_is_run() {
    let bytes = b"\x1d:\x1dV\x00A\n\x1bi\x1d:\x1d^\x01\x00\x00B\n\x1dV\x00";
    let expected = [(2, 5), (7, 9), (11, 16), (11, 16), (18, 21)];
    for sizes in [1, usize::MAX] {
        assert_eq!(places(Dialect::Auto, bytes, &[sizes]), expected);
    }
    let cuts = cuts(Dialect::Auto, bytes, &[usize::MAX]);
    let takes: Vec<bool> = cuts.iter().map(FoundCut::takes_footer).collect();
    assert_eq!(takes, [false, false, false, false, true]);
}

#[test]
fn macros_within_commands_within_macros_are_cut_as_often_as_jobs_are() {
    let bytes =
        b"\x1d:L\x1dC;ine\n\x1d:\x1d^\x02 \x1b#12.50 \x1bt\x13\xd5\x1bt\x00 3\x1bt\x10 \x80\n\
                  \x1bi\x01\x01\x1dV\x1dv0\x00\x08\x00\x08\x00Soup";
    let found = cuts(Dialect::Auto, bytes, &[6, 60]);
    let jobs = jobs(Dialect::Auto, Encoding::default(), bytes);
    let cut = jobs.iter().map(|job| job.cuts as usize).sum::<usize>();
    assert_eq!((found.len(), cut), (2, 2));
    assert!(found.windows(2).all(|two| two[0].ends_at <= two[1].ends_at));
}

#[test]
fn a_device_behind_the_printer_is_not_asked_to_cut() {
    let bytes = b"\x1b=\x02\x1dV\x00\x1b=\x01A\n\x1dV\x00";
    assert_eq!(places(Dialect::EscPos, bytes, &[1]), [(11, 14)]);
    assert!(footer_of(Dialect::EscPos, bytes).is_some());
}

#[test]
fn behind_an_image_that_never_came_whole_no_footer_is_printed_until_the_printer_starts_anew() {
    let mut finder = finder(Dialect::EscPos);
    finder.feed(b"\x1dv0\x00\x10\x00\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\x1b@\x1dV\x00");
    let cuts = finder.handle_idle();
    assert_eq!(cuts.len(), 1);
    assert!(cuts.iter().all(|cut| !cut.takes_footer()));
    let cuts = finder.feed(b"Next\n\x1dV\x00\x1b@More\n\x1dV\x00");
    let takes: Vec<bool> = cuts.iter().map(FoundCut::takes_footer).collect();
    assert_eq!(takes, [false, true]);
}

#[test]
fn a_line_under_way_is_ended_first() {
    let printed = footer_of(Dialect::EscPos, b"Bye\x1dV\x00").unwrap();
    assert_eq!(printed[0], b'\n');
    let printed = footer_of(Dialect::EscPos, b"Bye\n\x1dV\x00").unwrap();
    assert_ne!(printed[0], b'\n');
}

#[test]
fn the_paper_moves_as_far_as_the_stream_had_moved_it_unless_the_cut_does() {
    let printed = footer_of(Dialect::EscPos, b"Bye\n\n\n\x1bd\x02\x1bJ\x20\x1dV\x00").unwrap();
    assert!(contains(&printed, b"\n\x1bd\x05\x1bJ\x20"));
    let printed = footer_of(Dialect::EscPos, b"Bye\n\n\n\x1dVB\x00").unwrap();
    assert!(!contains(&printed, b"\x1bd"));
    let printed = footer_of(Dialect::EscPos, b"\x1b3\x28Bye\n\n\x1b2\n\x1bi").unwrap();
    assert!(contains(&printed, b"\n\x1bd\x01\x1bJ\x50"));
    let printed = footer_of(
        Dialect::EscPos,
        &[b"Bye", [b'\n'; 3_000].as_slice(), b"\x1bm"].concat(),
    );
    assert!(contains(&printed.unwrap(), b"\n\x1bd\x18"));
    let printed = footer_of(Dialect::Star, b"Bye\n\x1ba\x04\x1bI\x08\x1bd\x00").unwrap();
    assert!(printed.ends_with(b"\x1ba\x05\x1bI\x08"));
}

#[test]
fn a_content_that_the_stream_stored_is_stored_again() {
    let stored = b"\x1d(k\x05\x001P0hi";
    let stream = [&b"A\n"[..], stored, b"\x1dV\x00"].concat();
    let printed = footer_of(Dialect::EscPos, &stream).unwrap();
    assert!(printed.ends_with(stored));
    let blocks = b"\x1b\x1dyD2\x02\x00\x02\x00ab\x01\x01\x00c";
    let stream = [&b"A\n"[..], blocks, b"\x1bd\x03"].concat();
    let printed = footer_of(Dialect::Star, &stream).unwrap();
    assert!(contains(&printed, blocks));
}

#[test]
fn where_nothing_was_stored_the_footers_content_does_not_stay() {
    for (dialect, cut) in [
        (Dialect::EscPos, b"A\n\x1dV\x00"),
        (Dialect::Star, b"A\n\x1bd\x00"),
    ] {
        let printed = footer_of(dialect, cut).unwrap();
        let language = dialect.first_language();
        let again: &[u8] = match language {
            Language::EscPos => b"\x1d(k\x03\x001Q0",
            Language::Star => b"\x1b\x1dyP",
        };
        let jobs = jobs(dialect, Encoding::default(), &[&printed, again].concat());
        assert_eq!(jobs[0].codes, ["TBC:5D9BTJPM", "0"]);
    }
}

#[test]
fn a_setting_within_a_line_is_left_alone_since_printers_differ_on_it() {
    let printed = footer_of(Dialect::EscPos, b"\x1ba\x00Text\x1ba\x02\n\x1dV\x00").unwrap();
    assert!(!contains(&printed, b"\x1ba"));
    let printed = footer_of(Dialect::EscPos, b"Text\n\x1ba\x02\x1dV\x00").unwrap();
    assert!(contains(&printed, b"\x1ba\x01"));
    assert!(contains(&printed, b"\x1ba\x02"));
}

#[test]
fn lines_are_sent_in_the_characters_that_the_stream_is_in() {
    let footer = Footer {
        lines: ["Käse 5 €", "Brot [7]", "日本", "two\nlines"]
            .map(str::to_owned)
            .to_vec(),
        content: Some("X".to_owned()),
    };
    let lines = |encoding: &str, stream: &[u8]| {
        let encoding = Encoding::parse(encoding).unwrap();
        let printed = with_footers(Dialect::EscPos, encoding, stream, &footer);
        let jobs = jobs(Dialect::EscPos, encoding, &printed);
        assert_eq!(jobs[0].codes, ["X"]);
        jobs[0].lines.clone()
    };
    assert_eq!(lines("cp437", b"A\n\x1dV\x00"), ["A", "Brot [7]"]);
    assert_eq!(
        lines("cp437", b"\x1bt\x13A\n\x1dV\x00"),
        ["A", "Käse 5 €", "Brot [7]"]
    );
    // Germany's set has letters in the brackets' place.
    assert_eq!(
        lines("cp858", b"\x1bR\x02[\n\x1dV\x00"),
        ["Ä", "Käse 5 €", "Brot [7]"]
    );
    assert_eq!(
        lines("shift-jis", b"A\n\x1dV\x00"),
        ["A", "Brot [7]", "日本"]
    );
    assert_eq!(
        lines("gbk", b"\x1c&A\n\x1dV\x00"),
        ["A", "Brot [7]", "日本"]
    );
    assert_eq!(
        lines("cp437", b"\x1c(C\x02\x0002A\n\x1dV\x00"),
        ["A", "Käse 5 €", "Brot [7]", "日本"]
    );
}

#[test]
fn without_a_code_the_text_alone_is_printed_and_no_stored_code_is_touched() {
    let text_alone = Footer {
        content: None,
        ..footer()
    };
    for (dialect, stream, of_codes) in [
        (Dialect::EscPos, &b"A\n\x1dV\x00"[..], &b"\x1d(k"[..]),
        (Dialect::Star, b"A\n\x1bd\x00", b"\x1b\x1dy"),
    ] {
        let printed = with_footers(dialect, Encoding::default(), stream, &text_alone);
        assert!(!contains(&printed, of_codes), "{printed:02x?}");
        let jobs = jobs(dialect, Encoding::default(), &printed);
        assert_eq!(jobs[0].lines, ["A", "Claim your points", "5D9B-TJPM"]);
        assert!(jobs[0].codes.is_empty());
    }
}

#[test]
fn without_a_code_a_line_that_has_no_characters_leaves_all_out() {
    let cut = &cuts(Dialect::EscPos, b"A\n\x1dV\x00", &[usize::MAX])[0];
    let mut footer = Footer {
        content: None,
        ..footer()
    };
    footer.lines.push("日本 5D9B-TJPM".to_owned());
    assert_eq!(cut.footer(&footer), None);
}

#[test]
fn a_content_that_no_code_takes_prints_nothing() {
    let cuts = cuts(Dialect::EscPos, b"A\n\x1dV\x00", &[1]);
    let long = "x".repeat(FOOTER_CONTENT_BYTES_MAX + 1);
    for content in ["", "käse", "a\nb", long.as_str()] {
        let footer = Footer {
            lines: Vec::new(),
            content: Some(content.to_owned()),
        };
        assert_eq!(cuts[0].footer(&footer), None);
    }
}

#[test]
fn what_is_printed_for_debugging_shows_no_content() {
    let cuts = cuts(Dialect::EscPos, b"\x1d(k\x05\x001P0hiA\n\x1dV\x00", &[1]);
    let shown = format!("{:?} {:?} {:?}", cuts, footer(), cuts[0].state);
    assert!(
        !shown.contains("TBC") && !shown.contains("Claim"),
        "{shown}"
    );
    assert!(shown.contains("Command(…)"), "{shown}");
}
