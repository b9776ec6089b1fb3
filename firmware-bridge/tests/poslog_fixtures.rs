//! POSLogs of our own, each named by what it shows, beside what must come of it.

#![expect(clippy::unwrap_used, reason = "a test fails by its panic")]

mod told_sale;

use std::fmt::Write;
use std::io::{self, BufRead, Cursor, Read};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tillbind_firmware_bridge::poslog::{Place, PosLogError, PosLogFile, PosLogItem, PosLogReader};

use told_sale::{or_dash, tell_sale};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/poslog")
}

fn fixtures() -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "xml"))
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let bytes = std::fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect()
}

/// Renders all that a reader yields. Stops long before a reader that never ends would.
fn render(source: impl BufRead) -> String {
    let mut out = String::new();
    for item in PosLogReader::new(source).take(1_000) {
        match item {
            Ok(PosLogItem::Sale(sale)) => {
                assert_eq!(sale.reconcile(), Ok(()));
                tell_sale(&mut out, &sale);
            }
            Ok(PosLogItem::Skipped { reason, sequence }) => {
                writeln!(out, "skipped {reason:?} {}", or_dash(&sequence)).unwrap();
            }
            Err(error) => render_error(&mut out, &error),
        }
    }
    out
}

fn render_error(out: &mut String, error: &PosLogError) {
    match error {
        PosLogError::Io(source) => writeln!(out, "Io {source}"),
        PosLogError::Truncated { at } => writeln!(out, "Truncated at line {}", at.line),
        PosLogError::CutOff { at, number, .. } => writeln!(
            out,
            "CutOff at line {}: number {}",
            at.line,
            or_dash(number)
        ),
        PosLogError::NotPosLog { at, found } => {
            writeln!(out, "NotPosLog at line {}: {found}", at.line)
        }
        PosLogError::NotWellFormed { at, problem } => {
            writeln!(out, "NotWellFormed at line {}: {problem}", at.line)
        }
        PosLogError::TooLarge { at, limit } => {
            writeln!(out, "TooLarge at line {}: {limit}", at.line)
        }
        PosLogError::Malformed {
            at,
            element,
            problem,
        } => writeln!(out, "Malformed at line {}: {element} {problem}", at.line),
        PosLogError::NotATransaction { at, element } => {
            writeln!(out, "NotATransaction at line {}: {element}", at.line)
        }
        PosLogError::DoesNotReconcile { at, key, imbalance } => writeln!(
            out,
            "DoesNotReconcile at line {}: {key}: {imbalance}",
            at.line
        ),
    }
    .unwrap();
}

/// Hands out at most so many bytes at a time.
struct Chunked<'a> {
    bytes: &'a [u8],
    size: usize,
}

impl BufRead for Chunked<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(&self.bytes[..self.bytes.len().min(self.size)])
    }

    fn consume(&mut self, amount: usize) {
        self.bytes = &self.bytes[amount..];
    }
}

impl Read for Chunked<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let taken = self.bytes.len().min(self.size).min(into.len());
        into[..taken].copy_from_slice(&self.bytes[..taken]);
        self.consume(taken);
        Ok(taken)
    }
}

#[test]
fn each_fixture_yields_what_stands_beside_it() {
    let fixtures = fixtures();
    assert!(!fixtures.is_empty());
    let mut wrong = String::new();
    for (path, bytes) in fixtures {
        let expected = path.with_extension("expected");
        let expected = std::fs::read_to_string(&expected)
            .unwrap_or_else(|error| format!("{}: {error}\n", expected.display()));
        let got = render(&bytes[..]);
        if got != expected {
            let name = path.file_stem().unwrap().display();
            writeln!(wrong, "== {name}\n-- expected\n{expected}-- got\n{got}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn any_chunking_gives_the_same() {
    for (path, bytes) in fixtures() {
        let whole = render(&bytes[..]);
        for size in [1, 2, 3, 7, 64, 1000] {
            let chunked = render(Chunked {
                bytes: &bytes,
                size,
            });
            assert_eq!(chunked, whole, "{} by {size}", path.display());
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_told_as_truncated_and_yields_only_whole_sales() {
    let bytes = std::fs::read(folder().join("void-by-pointing-back.xml")).unwrap();
    let whole = render(&bytes[..]);
    let end = bytes.iter().rposition(|&b| b == b'>').unwrap();
    for cut in 0..end {
        let got = render(&bytes[..cut]);
        let (sales, last) = got
            .trim_end()
            .rsplit_once('\n')
            .unwrap_or(("", got.trim_end()));
        assert!(last.starts_with("Truncated"), "cut at {cut}: {got}");
        assert!(whole.starts_with(sales), "cut at {cut}: {got}");
    }
}

#[test]
fn no_card_number_reaches_what_is_told() {
    let bytes = std::fs::read(folder().join("six-zero-with-the-day-after-the-sale.xml")).unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("4111111111111111"));
    for item in PosLogReader::new(Cursor::new(bytes)) {
        let told = format!("{item:?}");
        assert!(
            !told.contains("4111111111111111") && !told.contains("556677"),
            "{told}"
        );
    }
}

/// Sees that a file ends, and that each place it names is behind the one before.
fn see_places(bytes: &[u8]) {
    let len = bytes.len() as u64;
    for ended in [false, true] {
        let mut file = PosLogFile::new(bytes, len, Place::default(), ended);
        let (mut items, mut before) = (0, 0);
        while let Some(item) = file.next() {
            items += 1;
            assert!(items < 1_000, "the file does not end");
            match (item, file.place()) {
                (Ok(_), Some(place)) => {
                    assert!(place.offset > before && place.offset <= len);
                    before = place.offset;
                }
                (Ok(_), None) => {}
                (Err(fault), _) => {
                    let piece = fault.piece().cloned();
                    assert!(piece.is_none_or(|p| p.start <= p.end && p.end <= len));
                    file.tell(fault).unwrap();
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        render(&bytes[..]);
    }

    #[test]
    fn words_of_xml_in_any_order_never_panic_and_end(
        words in prop::collection::vec(prop::sample::select(vec![
            "<POSLog xmlns='http://www.nrf-arts.org/IXRetail/namespace/'>", "</POSLog>",
            "<Transaction>", "</Transaction>", "<RetailTransaction>", "</RetailTransaction>",
            "<LineItem>", "</LineItem>", "<Tender>", "</Tender>", "<Sale>", "</Sale>", "<Total>",
            "5.00", "&amp;", "&", "<", ">", "<!--", "-->", "<![CDATA[", "]]>", "\0", "é", "<a b='",
        ]), 0..60)
    ) {
        let text = words.concat();
        let items = PosLogReader::new(text.as_bytes()).take(1_000).count();
        prop_assert!(items < 1_000, "the reader does not end");
        see_places(text.as_bytes());
    }

    #[test]
    fn a_mutated_fixture_never_panics(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..8),
    ) {
        let fixtures = fixtures();
        let mut bytes = which.get(&fixtures).1.clone();
        for (at, byte, how) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => {
                    bytes.remove(at);
                }
            }
        }
        render(&bytes[..]);
        see_places(&bytes);
    }
}
