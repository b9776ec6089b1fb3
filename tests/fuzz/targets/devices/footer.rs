//! Cuts found in a printer's stream as it passes, and the footers before them.
//!
//! Oracles: the same cuts in any pieces, each told once and in order, no more held than a cut's beginning;
//! a job that is cut is cut where a cut is found; a footer is read as its lines and its code,
//! or as its lines alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tillbind_firmware_bridge::receipt::{
    CutFinder, Dialect, Encoding, Footer, FoundCut, HOLD_BYTES_MAX, JobEnd, ReceiptDecoder,
};
use tillbind_fuzz::in_pieces;

const DIALECTS: [&str; 3] = ["auto", "escpos", "star"];
const ENCODINGS: [&str; 6] = ["cp437", "gbk", "shift-jis", "euc-kr", "cp858", "utf-8"];
/// Every printer has characters for it.
const TEXT: &str = "Claim [7] {your} points";
/// Of so many bytes that a footer takes, the stream's own QR content is most.
const FOOTER_BYTES_MAX: usize = 10_000;

fuzz_target!(|data: &[u8]| {
    let choice = data.iter().fold(0usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(*byte))
    });
    let dialect = Dialect::parse(DIALECTS[choice % DIALECTS.len()]).expect("it is known");
    let encoding = Encoding::parse(ENCODINGS[choice / 3 % ENCODINGS.len()]).expect("it is known");
    let footer = Footer {
        lines: vec![TEXT.to_owned(), "Käse 餐 €".to_owned()],
        content: Some("TBC:5D9BTJPM".to_owned()),
    };

    let mut whole = CutFinder::new(dialect, encoding);
    let mut cuts = whole.feed(data);
    cuts.extend(whole.finish());
    let mut cut = CutFinder::new(dialect, encoding);
    let mut decoder = ReceiptDecoder::new(dialect, encoding);
    let mut again: Vec<FoundCut> = Vec::new();
    let (mut fed, mut settled) = (0, 0);
    in_pieces(data, |piece| {
        fed += piece.len() as u64;
        let found = cut.feed(piece);
        let jobs = decoder.feed(piece);
        let ended = jobs.iter().filter(|job| job.ended_by == JobEnd::Cut);
        assert!(ended.count() <= found.len());
        for cut in &found {
            assert!(!cut.takes_footer() || cut.begins_at >= settled);
            assert!(cut.ends_at <= fed);
        }
        again.extend(found);
        assert!(cut.settled() >= settled && cut.settled() <= fed);
        assert!(fed - cut.settled() <= HOLD_BYTES_MAX as u64);
        settled = cut.settled();
    });
    again.extend(cut.finish());
    let places = |cuts: &[FoundCut]| -> Vec<(u64, u64)> {
        cuts.iter()
            .map(|cut| (cut.begins_at, cut.ends_at))
            .collect()
    };
    assert_eq!(places(&cuts), places(&again));
    assert!(cuts.windows(2).all(|two| two[0].ends_at <= two[1].ends_at));

    let text_alone = Footer {
        lines: vec![TEXT.to_owned()],
        content: None,
    };
    for cut in cuts.iter().take(8) {
        if let Some(bytes) = cut.footer(&text_alone) {
            assert!(cut.takes_footer() && bytes.len() <= FOOTER_BYTES_MAX);
            assert!(
                bytes
                    .windows(TEXT.len())
                    .any(|part| part == TEXT.as_bytes())
            );
        } else {
            assert!(!cut.takes_footer());
        }
        let Some(bytes) = cut.footer(&footer) else {
            assert!(!cut.takes_footer());
            continue;
        };
        assert!(bytes.len() <= FOOTER_BYTES_MAX);
        let codes = [Dialect::EscPos, Dialect::Star].map(|dialect| {
            let mut decoder = ReceiptDecoder::new(dialect, encoding);
            decoder.feed(&bytes);
            decoder
                .finish()
                .into_iter()
                .flat_map(|job| job.codes)
                .collect::<Vec<_>>()
        });
        let content = footer.content.as_ref().expect("it was given");
        assert!(codes.iter().any(|codes| codes.contains(content)));
    }

    // Whatever falls silent wherever it likes, what is held is passed on and nothing is told of the past.
    let mut silent = CutFinder::new(dialect, encoding);
    let (mut fed, mut pauses) = (0, 0);
    in_pieces(data, |piece| {
        fed += piece.len() as u64;
        silent.feed(piece);
        let settled = silent.settled();
        pauses += 1;
        let late = if pauses % 2 == 0 {
            silent.handle_idle()
        } else {
            silent.handle_pause()
        };
        assert!(
            late.iter()
                .all(|cut| !cut.takes_footer() || cut.begins_at >= settled)
        );
        assert_eq!(silent.settled(), fed);
    });
});
