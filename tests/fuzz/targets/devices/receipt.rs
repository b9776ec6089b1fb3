//! A printer's stream, and what a profile makes of its jobs.
//!
//! Oracles: the same jobs in any pieces; every job and every reason is bounded; a sale's sums hold.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tillbind_firmware_bridge::receipt::{
    Dialect, Encoding, JOB_CODES_MAX, JOB_LINES_MAX, Job, Profile, Reading, ReceiptDecoder,
};
use tillbind_fuzz::{REASON_BYTES_MAX, in_pieces};

static PROFILES: LazyLock<Vec<Profile>> = LazyLock::new(|| {
    [
        include_str!("../../../../firmware-bridge/profiles/escpos-plain.toml"),
        include_str!("../../../../firmware-bridge/profiles/escpos-restaurant-zh.toml"),
    ]
    .into_iter()
    .map(|text| Profile::parse(text).expect("what is shipped is sound"))
    .collect()
});

const DIALECTS: [&str; 3] = ["auto", "escpos", "star"];
const ENCODINGS: [&str; 6] = ["cp437", "gbk", "shift-jis", "euc-kr", "cp858", "utf-8"];

fuzz_target!(|data: &[u8]| {
    let choice = data.iter().fold(0usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(*byte))
    });
    let Ok(dialect) = Dialect::parse(DIALECTS[choice % DIALECTS.len()]) else {
        return;
    };
    let encoding = Encoding::parse(ENCODINGS[choice / 3 % ENCODINGS.len()]).expect("it is known");
    let decoder = || ReceiptDecoder::new(dialect, encoding);

    let mut whole = decoder();
    let mut jobs = whole.feed(data);
    jobs.extend(whole.finish());
    let mut cut = decoder();
    let mut again = Vec::new();
    in_pieces(data, |piece| again.extend(cut.feed(piece)));
    again.extend(cut.finish());
    assert_eq!(text_of(&jobs), text_of(&again));
    assert_eq!(whole.skipped_bytes(), cut.skipped_bytes());
    jobs.iter().for_each(judge);

    // A stream that falls silent wherever it likes ends jobs elsewhere, and nothing else.
    let mut silent = decoder();
    in_pieces(data, |piece| {
        silent.feed(piece).iter().for_each(judge);
        silent.handle_idle().iter().for_each(judge);
    });
    silent.finish().iter().for_each(judge);
    assert!(silent.is_at_rest());
});

/// Returns what the jobs hold; where bytes were skipped is a matter of the pieces.
fn text_of(jobs: &[Job]) -> Vec<Job> {
    let mut jobs = jobs.to_vec();
    jobs.iter_mut().for_each(|job| job.skipped_bytes = 0);
    jobs
}

fn judge(job: &Job) {
    assert!(job.lines.len() <= JOB_LINES_MAX + 1 && job.codes.len() <= JOB_CODES_MAX);
    for profile in PROFILES.iter() {
        match profile.read(job) {
            Reading::Sale(sale) => assert_eq!(sale.reconcile(), Ok(())),
            Reading::Unparsed(reason) => assert!(reason.to_string().len() < REASON_BYTES_MAX),
            Reading::NotASale(_) => {}
        }
    }
}
