use proptest::prelude::*;

use super::*;
use crate::receipt::{JOB_BYTES_MAX, JOB_CODES_MAX, JOB_LINES_MAX, Unreadable};

fn decoder() -> ReceiptDecoder {
    ReceiptDecoder::new(Dialect::Auto, Encoding::default())
}

#[test]
fn a_cut_ends_a_job_and_a_second_cut_ends_nothing() {
    let mut decoder = decoder();
    let jobs = decoder.feed(b"One\x0a\x1dV\x01\x1dV\x00Two\x0a\x1bm\x1bm");
    let texts: Vec<_> = jobs.iter().map(Job::text).collect();
    assert_eq!(texts, ["One", "Two"]);
    assert!(jobs.iter().all(|job| job.ended_by == JobEnd::Cut));
    assert!(decoder.is_at_rest());
}

#[test]
fn a_drawer_that_opens_without_a_print_is_no_job() {
    let mut decoder = decoder();
    assert!(decoder.feed(b"\x1bp\x00\x19\xfa").is_empty());
    assert!(!decoder.is_at_rest());
    assert!(decoder.handle_idle().is_empty());
    assert!(decoder.is_at_rest());
    let jobs = decoder.feed(b"Receipt\x0a\x1dV\x00");
    assert_eq!(jobs[0].drawer_kicks, 0);
}

#[test]
fn a_silence_ends_a_job_that_nothing_cuts() {
    let mut decoder = decoder();
    assert!(decoder.feed(b"First\x0a").is_empty());
    let jobs = decoder.handle_idle();
    assert_eq!(jobs[0].ended_by, JobEnd::Idle);
    assert_eq!(jobs[0].text(), "First");
    assert!(decoder.handle_idle().is_empty());
    decoder.feed(b"Second without line feed");
    let jobs = decoder.finish();
    assert_eq!(jobs[0].ended_by, JobEnd::Close);
    assert_eq!(jobs[0].text(), "Second without line feed");
}

#[test]
fn a_pause_ends_a_job_behind_a_cut_that_nothing_follows_and_nothing_else() {
    let mut decoder = decoder();
    assert!(decoder.feed(b"First\x0a\x1bi").is_empty());
    let jobs = decoder.handle_pause();
    assert_eq!(
        (jobs[0].text().as_str(), jobs[0].ended_by),
        ("First", JobEnd::Cut)
    );
    assert!(decoder.feed(b"Second\x0a\x1dV").is_empty());
    assert!(decoder.handle_pause().is_empty());
    assert_eq!(decoder.feed(b"\x00")[0].text(), "Second");
    // A cut in doubt is Star's after all.
    decoder.feed(b"Third\x0a\x1bi");
    assert_eq!(decoder.feed(b"\x01\x01").len(), 0);
    assert_eq!(decoder.language(), Language::Star);
}

#[test]
fn carriage_returns_end_lines_once() {
    let mut decoder = decoder();
    let jobs = decoder.feed(b"a\x0d\x0ab\x0dc\x0a\x0dd\x0a\x1dV\x00");
    assert_eq!(jobs[0].lines, ["a", "b", "c", "d"]);
}

#[test]
fn a_receipt_of_images_alone_is_unreadable_and_a_logo_above_text_is_not() {
    let mut decoder = decoder();
    let image = b"\x1dv0\x00\x01\x00\x02\x00\xff\xff";
    decoder.feed(image);
    let jobs = decoder.feed(b"\x0a\x1dV\x00");
    assert!(jobs[0].image_only());
    assert_eq!(jobs[0].unreadable, Some(Unreadable::ImageOnly));
    decoder.feed(image);
    let jobs = decoder.feed(b"Text\x0a\x1dV\x00");
    assert_eq!((jobs[0].images, jobs[0].unreadable), (1, None));
}

#[test]
fn an_endless_print_is_cut_into_jobs_that_say_so() {
    let mut decoder = decoder();
    let jobs = decoder.feed("x\n".repeat(JOB_LINES_MAX * 2 + 1).as_bytes());
    assert_eq!(jobs.len(), 2);
    assert!(jobs.iter().all(|job| job.ended_by == JobEnd::Limit));
    assert_eq!(decoder.finish()[0].lines.len(), 1);
    let jobs = decoder.feed(&vec![b'y'; JOB_BYTES_MAX * 3]);
    assert!(jobs.len() >= 2);
    assert!(jobs.iter().all(|job| job.text().len() <= JOB_BYTES_MAX * 2));
}

#[test]
fn endless_codes_are_dropped_beyond_the_bound() {
    let mut decoder = decoder();
    for _ in 0..JOB_CODES_MAX * 2 {
        decoder.feed(b"\x1dkE\x03ABC");
    }
    assert_eq!(decoder.finish()[0].codes.len(), JOB_CODES_MAX);
}

#[test]
fn skipped_bytes_are_told_with_the_job_that_lost_them() {
    let mut decoder = decoder();
    decoder.feed(b"Shop\x0a\x1dv0\x00\x10\x00\x10\x00\x00\x00\x00");
    assert!(decoder.handle_idle().is_empty(), "the image may only stall");
    let jobs = decoder.handle_idle();
    assert_eq!(jobs[0].skipped_bytes, 3);
    let jobs = decoder.feed(b"Next\x0a\x1dV\x00");
    assert_eq!(jobs[0].skipped_bytes, 0);
    assert_eq!(decoder.skipped_bytes(), 3);
}

fn read(dialect: Dialect, bytes: &[u8], chunk: usize) -> Vec<Job> {
    let mut decoder = ReceiptDecoder::new(dialect, Encoding::default());
    let mut jobs: Vec<Job> = bytes.chunks(chunk).flat_map(|c| decoder.feed(c)).collect();
    jobs.extend(decoder.finish());
    assert!(decoder.is_at_rest());
    jobs
}

/// A receipt of Star's that bears no mark before its third line.
const LATE_STAR: &[u8] = b"\x1bEShop\x1bF\x0a\x1bESum\x1bF 3.00\x0a\x1b\x1da\x01Bye\x0a\x1bd\x03";

#[test]
fn a_job_that_shows_late_that_it_is_stars_is_read_again_from_its_beginning() {
    for chunk in [1, 7, usize::MAX] {
        let jobs = read(Dialect::Auto, LATE_STAR, chunk);
        assert_eq!(jobs.len(), 1);
        assert_eq!(jobs[0].lines, ["Shop", "Sum 3.00", "Bye"]);
        assert_eq!((jobs[0].cuts, jobs[0].unknown_commands), (1, 0));
    }
}

#[test]
fn what_bears_no_mark_is_read_as_the_job_before_it() {
    let mut decoder = decoder();
    assert_eq!(decoder.feed(LATE_STAR).len(), 1);
    assert_eq!(decoder.language(), Language::Star);
    let jobs = decoder.feed(b"\x1bEPlain\x1bF\x0a\x1bd\x02");
    assert_eq!(jobs[0].lines, ["Plain"]);
    assert_eq!(jobs[0].ended_by, JobEnd::Cut);
}

#[test]
fn a_connection_may_bring_jobs_of_both_dialects() {
    let epson = b"\x1b@\x1bE\x01Shop\x1bE\x00\x0a\x1d!\x11SUM\x1d!\x00\x0a\x1bd\x02\x1dV\x00";
    let bytes = [LATE_STAR, epson, LATE_STAR, epson].concat();
    for chunk in [1, 13, usize::MAX] {
        let jobs = read(Dialect::Auto, &bytes, chunk);
        let texts: Vec<_> = jobs.iter().map(Job::text).collect();
        let star = "Shop\nSum 3.00\nBye";
        assert_eq!(texts, [star, "Shop\nSUM", star, "Shop\nSUM"]);
        assert!(jobs.iter().all(|job| job.cuts == 1));
    }
}

#[test]
fn a_mark_beyond_the_look_back_leaves_what_was_read_and_turns_there() {
    let mut bytes = b"x\n".repeat(LOOK_BACK_BYTES / 64);
    bytes.extend([b"\x1bJ\x01".repeat(400), vec![0; LOOK_BACK_BYTES]].concat());
    bytes.extend(b"\x1b\x1da\x01Bye\x0a\x1bd\x03");
    let jobs = read(Dialect::Auto, &bytes, usize::MAX);
    assert_eq!(jobs, read(Dialect::Auto, &bytes, 1));
    assert_eq!(jobs.last().unwrap().lines.last().unwrap(), "Bye");
    assert_eq!(jobs.iter().map(|job| job.cuts).sum::<u32>(), 1);
}

#[test]
fn the_look_back_ends_at_the_same_byte_in_any_chunking() {
    for length in LOOK_BACK_BYTES - 12..LOOK_BACK_BYTES + 12 {
        let mut bytes = b"\x1bEShop\x0a\x1b(A\xf0\xff".to_vec();
        bytes.resize(length, 0);
        bytes.extend(b"\x1b\x1da\x01Bye\x0a\x1bd\x03");
        let whole = read(Dialect::Auto, &bytes, usize::MAX);
        assert_eq!(whole, read(Dialect::Auto, &bytes, 1_000), "{length}");
        assert_eq!(whole, read(Dialect::Auto, &bytes, 7), "{length}");
    }
}

#[test]
fn bytes_that_a_cut_waited_for_belong_to_the_next_job() {
    let bytes = b"\x1bi\x01S\x1b*r";
    assert_eq!(
        read(Dialect::Auto, bytes, 1),
        read(Dialect::Auto, bytes, usize::MAX)
    );
}

#[test]
fn a_macro_that_cuts_and_bears_a_mark_confuses_nothing() {
    let bytes = b"\x1d:A\x0a\x1dV\x00\x1b\x1da\x01B\x0a\x1d:\x1d^\x03\x00\x00End\x0a\x1bd\x03";
    assert_eq!(
        read(Dialect::Auto, bytes, 1),
        read(Dialect::Auto, bytes, usize::MAX)
    );
    let bytes = b"\x1d:A\x0a\x1b=\x02\x1b=\x01\x1dV\x00\x1b\x1d:\x1d^\x03\x00\x00End\x0a\x1bd\x03";
    assert_eq!(
        read(Dialect::Auto, bytes, 1),
        read(Dialect::Auto, bytes, usize::MAX)
    );
}

#[test]
fn a_dialect_that_is_set_is_read_whatever_the_bytes_look_like() {
    let jobs = read(Dialect::Star, b"\x1bEPlain\x1bF\x0a\x1bd\x02", 3);
    assert_eq!(jobs[0].lines, ["Plain"]);
    assert_eq!(jobs[0].cuts, 1);
    let jobs = read(Dialect::EscPos, LATE_STAR, 3);
    assert!(jobs[0].unknown_commands > 0);
}

#[test]
fn text_of_a_page_is_read_from_top_to_bottom_whatever_its_order() {
    let jobs = read(
        Dialect::Auto,
        b"\x1bL\x1bW\x00\x00\x00\x00\x00\x02\x00\x02\x1d$\xc8\x00SUM\x1b$\xf0\x003.00\
          \x1d$\x32\x00\x1b$\x00\x00Shop\x0aStreet\x0a\x1dkC\x0c400638133393\x0c\x0aBehind\x0a\x1dV\x00",
        5,
    );
    assert_eq!(
        jobs[0].lines,
        ["Shop", "Street", "SUM                 3.00", "", "Behind"]
    );
    assert_eq!(jobs[0].codes, ["4006381333931"]);
}

#[test]
fn a_page_that_is_cancelled_or_left_is_not_printed() {
    let jobs = read(
        Dialect::Auto,
        b"\x1bLWrong\x0a\x18Right\x0a\x0c\x1bLNever\x0a\x1bSOn\x0a\x1dV\x00",
        4,
    );
    assert_eq!(jobs[0].lines, ["Right", "On"]);
}

#[test]
fn text_that_runs_in_other_directions_is_read_as_who_turns_the_paper() {
    let jobs = read(
        Dialect::Auto,
        b"\x1bL\x1bW\x00\x00\x00\x00\x00\x02\x00\x02Upright\x0a\x1bT\x02Turned\x0aAgain\x0a\
          \x1bT\x01Up\x0a\x0c\x1dV\x00",
        9,
    );
    assert_eq!(jobs[0].lines, ["Upright", "Up", "Turned", "Again"]);
}

#[test]
fn a_page_of_star_is_printed_by_its_own_commands() {
    let jobs = read(
        Dialect::Auto,
        b"\x1b@\x1b\x1dP0\x1b\x1dP2\x00\x00\x00\x00\x00\x02\x00\x02\x1b\x1dP4\xc8\x00SUM\
          \x1b\x1dP4\x32\x00\x1b\x1dA\x00\x00Shop\x1b\x1dP7Out\x0a\x1bd\x03",
        6,
    );
    assert_eq!(jobs[0].lines, ["Shop", "SUM", "Out"]);
}

proptest! {
    #[test]
    fn a_star_stream_gives_the_cuts_that_it_bears_and_no_other(
        lines in prop::collection::vec("[ -~]{1,30}", 1..12),
        sizes in prop::collection::vec(0u8..6, 12),
        image in prop::collection::vec(any::<u8>(), 24 * 3),
        cuts in 1usize..4,
        chunk in 1usize..60,
    ) {
        let mut bytes = Vec::new();
        for _ in 0..cuts {
            bytes.extend(b"\x1b@\x1b\x1ea\x00\x1b\x1dt\x01");
            for (line, size) in lines.iter().zip(&sizes) {
                bytes.extend([0x1B, b'i', *size, 1, 0x1B, b'E']);
                bytes.extend(line.as_bytes());
                bytes.extend(b"\x1bF\x1bi\x00\x00\x0a");
                bytes.extend(b"\x1bk\x03\x00");
                bytes.extend(&image);
            }
            bytes.extend(b"\x1bd\x03");
        }
        for dialect in [Dialect::Auto, Dialect::Star] {
            let jobs = read(dialect, &bytes, chunk);
            prop_assert_eq!(jobs.len(), cuts);
            prop_assert_eq!(jobs.iter().map(|job| job.cuts).sum::<u32>(), cuts as u32);
            for job in jobs {
                let mut expected: Vec<_> = lines.iter().map(|l| l.trim_end().to_owned()).collect();
                while expected.last().is_some_and(String::is_empty) {
                    expected.pop();
                }
                while expected.first().is_some_and(String::is_empty) {
                    expected.remove(0);
                }
                prop_assert_eq!(job.lines, expected);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic_and_every_job_stays_within_its_bounds(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..12),
    ) {
        let mut decoder = decoder();
        let mut jobs = Vec::new();
        for chunk in &chunks {
            jobs.extend(decoder.feed(chunk));
            jobs.extend(decoder.handle_idle());
        }
        jobs.extend(decoder.finish());
        prop_assert!(decoder.is_at_rest());
        for job in jobs {
            prop_assert!(job.lines.len() <= JOB_LINES_MAX);
            prop_assert!(job.codes.len() <= JOB_CODES_MAX);
        }
    }

    #[test]
    fn any_chunking_gives_the_same_jobs(
        pieces in prop::collection::vec(
            prop_oneof![
                "[ -~]{0,30}".prop_map(String::into_bytes),
                Just(b"\x0a".to_vec()),
                Just(b"\x0d\x0a".to_vec()),
                Just(b"\x09".to_vec()),
                Just(b"\x1b$\x40\x01".to_vec()),
                Just(b"\x1b!\x21".to_vec()),
                Just(b"\x1bt\x13\xd5".to_vec()),
                Just(b"\x1dV\x00".to_vec()),
                Just(b"\x1dkE\x03ABC".to_vec()),
                Just(b"\x1b\x1da\x01".to_vec()),
                Just(b"\x1bi\x01\x01".to_vec()),
                Just(b"\x1bd\x03".to_vec()),
                Just(b"\x1d!\x11".to_vec()),
                Just(b"\x1da\x01".to_vec()),
                Just(b"\x1b@".to_vec()),
                Just(b"\x1bi".to_vec()),
                Just(b"\x1b*rA".to_vec()),
                Just(b"\x1b*rB".to_vec()),
                Just(b"b\x03\x00\x1dV\x00".to_vec()),
                Just(b"\x1bk\x01\x00".to_vec()),
                Just(b"\x1bb622P123\x1e".to_vec()),
                Just(b"\x1b\x1dyD1\x00\x02\x00hi\x1b\x1dyP".to_vec()),
                Just(b"\x1b\x1dP0\x1b\x1dP4\x20\x00".to_vec()),
                Just(b"\x1b\x1dP7".to_vec()),
                Just(b"\x1d:m\x0a\x1d:\x1d^\x03\x00\x00".to_vec()),
                Just(b"\x1b=\x02".to_vec()),
                Just(b"\x1b=\x01".to_vec()),
                Just(b"\x18".to_vec()),
                Just(b"\x1bLon a page\x0a\x1d$\x40\x00".to_vec()),
                Just(b"\x0c".to_vec()),
                prop::collection::vec(any::<u8>(), 0..6),
            ],
            0..40,
        ),
        size in 1usize..50,
    ) {
        let bytes = pieces.concat();
        let read = |size: usize| {
            let mut decoder = decoder();
            let mut jobs: Vec<Job> = bytes.chunks(size).flat_map(|c| decoder.feed(c)).collect();
            jobs.extend(decoder.finish());
            jobs
        };
        prop_assert_eq!(read(size), read(usize::MAX));
    }
}
