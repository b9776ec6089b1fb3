//! Footers in real streams: every fixture, and every stream of real tills, is cut where the decoder ends
//! its jobs, and is read with footers in it as without them.
//!
//! The streams of real tills are found through the variable `TILLBIND_SAMPLES` and are no part of this
//! project; without it, the project's own fixtures are all that is tested.

#![expect(
    clippy::unwrap_used,
    reason = "the functions beside the tests fail them, as an assertion does"
)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use tillbind_firmware_bridge::receipt::{
    CutFinder, Dialect, Encoding, Footer, FoundCut, HOLD_BYTES_MAX, Job, JobEnd, ReceiptDecoder,
};

struct Case {
    name: String,
    dialect: Dialect,
    encoding: Encoding,
    bytes: Vec<u8>,
}

fn streams_below(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "bin"))
        .collect();
    paths.sort();
    paths
}

fn cases() -> Vec<Case> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut cases = Vec::new();
    for path in ["escpos", "star"]
        .iter()
        .flat_map(|d| streams_below(&fixtures.join(d)))
    {
        let expected = fs::read_to_string(path.with_extension("expected")).unwrap();
        let words: Vec<&str> = expected.lines().next().unwrap().split(' ').collect();
        cases.push(Case {
            name: path.display().to_string(),
            dialect: Dialect::parse(words[1]).unwrap(),
            encoding: Encoding::parse(words[2]).unwrap(),
            bytes: fs::read(&path).unwrap(),
        });
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's only way to learn where the samples lie"
    )]
    if let Ok(samples) = env::var("TILLBIND_SAMPLES") {
        for path in streams_below(&Path::new(&samples).join("escpos")) {
            cases.push(Case {
                name: path.display().to_string(),
                dialect: Dialect::Auto,
                encoding: Encoding::default(),
                bytes: fs::read(&path).unwrap(),
            });
        }
    }
    assert!(cases.len() > 40, "fixtures are found");
    cases
}

fn jobs(case: &Case, bytes: &[u8]) -> Vec<Job> {
    let mut decoder = ReceiptDecoder::new(case.dialect, case.encoding);
    let mut jobs = decoder.feed(bytes);
    jobs.extend(decoder.finish());
    jobs
}

fn count_cut(jobs: &[Job]) -> usize {
    jobs.iter()
        .filter(|job| job.ended_by == JobEnd::Cut)
        .count()
}

fn footer() -> Footer {
    Footer {
        lines: vec!["~Claim your points~".to_owned()],
        content: Some("TBC:5D9BTJPM5D9BTJPW".to_owned()),
    }
}

#[test]
fn a_cut_is_found_with_the_very_byte_that_ends_a_job() {
    for case in cases() {
        let mut decoder = ReceiptDecoder::new(case.dialect, case.encoding);
        let mut finder = CutFinder::new(case.dialect, case.encoding);
        for (at, byte) in case.bytes.iter().enumerate() {
            let jobs = decoder.feed(&[*byte]);
            let cuts = finder.feed(&[*byte]);
            assert!(count_cut(&jobs) <= cuts.len(), "{} at {at}", case.name);
            // A cut that is known late has text behind it already.
            let is_last = cuts.last().is_some_and(|cut| cut.ends_at == at as u64 + 1);
            assert!(!is_last || decoder.is_at_rest(), "{} at {at}", case.name);
            let held = at as u64 + 1 - finder.settled();
            assert!(held <= HOLD_BYTES_MAX as u64, "{} at {at}", case.name);
        }
        let ended = count_cut(&decoder.finish());
        assert!(ended <= finder.finish().len(), "{}", case.name);
    }
}

#[test]
fn each_cut_stands_where_its_command_does_in_any_chunking() {
    for case in cases() {
        let read = |size: usize| -> Vec<FoundCut> {
            let mut finder = CutFinder::new(case.dialect, case.encoding);
            let mut cuts: Vec<FoundCut> = case
                .bytes
                .chunks(size)
                .flat_map(|c| finder.feed(c))
                .collect();
            cuts.extend(finder.finish());
            cuts
        };
        let whole = read(usize::MAX);
        for cut in whole.iter().filter(|cut| cut.takes_footer()) {
            let begins_at = usize::try_from(cut.begins_at).unwrap();
            let ends_at = usize::try_from(cut.ends_at).unwrap();
            let command = &case.bytes[begins_at..ends_at];
            let is_cut = matches!(
                command,
                [0x1D, b'V', ..] | [0x1B, b'i' | b'm'] | [0x1B, b'd' | 0x0C, _]
            );
            assert!(is_cut, "{}: {command:02x?}", case.name);
        }
        for size in [1, 2, 3, 7, 64, 1_460] {
            assert_eq!(read(size), whole, "{} by {size}", case.name);
        }
    }
}

#[test]
fn a_stream_with_footers_is_read_as_the_stream_and_its_footers() {
    let mut printed = 0;
    for case in cases() {
        let mut stream = Vec::new();
        let mut passed = 0;
        let mut footers = 0;
        for cut in CutFinder::new(case.dialect, case.encoding).feed(&case.bytes) {
            let Some(bytes) = cut.footer(&footer()) else {
                continue;
            };
            let begins_at = usize::try_from(cut.begins_at).unwrap();
            stream.extend_from_slice(&case.bytes[passed..begins_at]);
            stream.extend(bytes);
            passed = begins_at;
            footers += 1;
        }
        stream.extend_from_slice(&case.bytes[passed..]);
        let mut seen = 0;
        let mut behind = jobs(&case, &stream);
        for job in &mut behind {
            let footer = footer();
            let codes = job.codes.len();
            job.codes
                .retain(|code| Some(code) != footer.content.as_ref());
            seen += codes - job.codes.len();
            job.lines.retain(|line| *line != footer.lines[0]);
        }
        let mut before = jobs(&case, &case.bytes);
        for job in before.iter_mut().chain(&mut behind) {
            job.lines.retain(|line| !line.is_empty());
            // Of a receipt that was one image, the footer is what can be read.
            job.unreadable = None;
        }
        // Paper that was cut without a print has the footer alone.
        behind.retain(|job| !job.lines.is_empty() || !job.codes.is_empty() || job.images > 0);
        assert_eq!(before, behind, "{}", case.name);
        assert_eq!(seen, footers, "{}", case.name);
        printed += footers;
    }
    assert!(printed > 40, "only {printed} footers were printed");
}
