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

proptest! {
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
