//! Every fixture stream is read to exactly the jobs and sales that stand beside it.

#![expect(
    clippy::unwrap_used,
    reason = "the functions beside the tests fail them, as an assertion does"
)]

mod told_sale;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use tillbind_firmware_bridge::receipt::{Dialect, Encoding, Job, Profile, Reading, ReceiptDecoder};

use told_sale::tell_sale;

/// How a fixture is to be read: the first line of its `.expected`.
struct Setup {
    dialect: Dialect,
    encoding: Encoding,
    profile: Option<Profile>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn setup(line: &str) -> Setup {
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(words[0], "decode", "{line}");
    let profile = words.get(4).map(|path| {
        let text = fs::read_to_string(root().join(path)).unwrap();
        Profile::parse(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
    });
    Setup {
        dialect: Dialect::parse(words[1]).unwrap(),
        encoding: Encoding::parse(words[2]).unwrap(),
        profile,
    }
}

fn fixtures() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = ["escpos", "star"]
        .iter()
        .flat_map(|device| fs::read_dir(root().join("tests/fixtures").join(device)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "bin"))
        .collect();
    paths.sort();
    paths
}

fn expected(bin: &Path) -> String {
    fs::read_to_string(bin.with_extension("expected")).unwrap()
}

/// Reads a stream in chunks of a size, then to its end.
fn jobs(setup: &Setup, bytes: &[u8], chunk: usize) -> Vec<Job> {
    let mut decoder = ReceiptDecoder::new(setup.dialect, setup.encoding);
    let mut jobs = Vec::new();
    for part in bytes.chunks(chunk) {
        jobs.extend(decoder.feed(part));
    }
    jobs.extend(decoder.finish());
    assert!(decoder.is_at_rest());
    jobs
}

fn render(head: &str, setup: &Setup, jobs: &[Job]) -> String {
    let mut text = format!("{head}\n");
    for job in jobs {
        let unreadable = if job.unreadable.is_some() {
            " unreadable"
        } else {
            ""
        };
        writeln!(
            text,
            "job {:?} cuts={} kicks={} images={} skipped={} unknown={}{unreadable}",
            job.ended_by,
            job.cuts,
            job.drawer_kicks,
            job.images,
            job.skipped_bytes,
            job.unknown_commands
        )
        .unwrap();
        for line in &job.lines {
            writeln!(text, "|{line}").unwrap();
        }
        for code in &job.codes {
            writeln!(text, "code {}", code.escape_debug()).unwrap();
        }
        if let Some(profile) = &setup.profile {
            match profile.read(job) {
                Reading::Sale(sale) => tell_sale(&mut text, &sale),
                Reading::NotASale(what) => writeln!(text, "not a sale: {what:?}").unwrap(),
                Reading::Unparsed(reason) => writeln!(text, "unparsed: {reason}").unwrap(),
            }
        }
    }
    text
}

#[test]
fn every_fixture_is_read_as_expected_in_any_chunking() {
    let fixtures = fixtures();
    assert!(fixtures.len() >= 20, "fixtures are missing");
    let mut wrong = Vec::new();
    for bin in fixtures {
        let expected = expected(&bin);
        let head = expected.lines().next().unwrap();
        let setup = setup(head);
        let bytes = fs::read(&bin).unwrap();
        for chunk in [usize::MAX, 64, 7, 1] {
            let got = render(head, &setup, &jobs(&setup, &bytes, chunk));
            if got != expected {
                wrong.push(format!(
                    "{} in chunks of {chunk}:\n{got}--- expected\n{expected}",
                    bin.display()
                ));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_receipt_that_a_silence_ends_is_read_as_one_that_a_cut_ends() {
    for name in ["python-escpos-plain", "restaurant-bill-in-gbk"] {
        let bin = root().join(format!("tests/fixtures/escpos/{name}.bin"));
        let expected = expected(&bin);
        let setup = setup(expected.lines().next().unwrap());
        let bytes = fs::read(&bin).unwrap();
        let cut = bytes.windows(2).rposition(|pair| pair == b"\x1dV").unwrap();
        let mut decoder = ReceiptDecoder::new(setup.dialect, setup.encoding);
        assert!(decoder.feed(&bytes[..cut]).is_empty());
        assert!(!decoder.is_at_rest());
        let jobs = decoder.handle_idle();
        assert!(decoder.is_at_rest());
        let profile = setup.profile.unwrap();
        assert!(matches!(profile.read(&jobs[0]), Reading::Sale(_)), "{name}");
    }
}
