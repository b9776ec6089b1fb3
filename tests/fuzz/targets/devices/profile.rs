//! A profile from a file that anybody may have written, and a receipt that it reads: the bytes before the
//! first NUL are the profile, those behind it the receipt's lines.
//!
//! Oracles: no pattern takes the reader's time or memory; a sale's sums hold; a reason is bounded.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tillbind_firmware_bridge::receipt::{Job, JobEnd, Profile, Reading};
use tillbind_fuzz::REASON_BYTES_MAX;

static SHIPPED: LazyLock<Profile> = LazyLock::new(|| {
    let text = include_str!("../../../../firmware-bridge/profiles/escpos-plain.toml");
    Profile::parse(text).expect("what is shipped is sound")
});

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let profile = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let receipt = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let job = job(&receipt);
    let given = Profile::parse(&profile).ok();
    for profile in given.iter().chain([&*SHIPPED]) {
        match profile.read(&job) {
            Reading::Sale(sale) => assert_eq!(sale.reconcile(), Ok(())),
            Reading::Unparsed(reason) => assert!(reason.to_string().len() < REASON_BYTES_MAX),
            Reading::NotASale(_) => {}
        }
    }
});

fn job(text: &str) -> Job {
    Job {
        lines: text.lines().map(str::to_owned).collect(),
        cuts: 1,
        drawer_kicks: 0,
        images: 0,
        codes: Vec::new(),
        ended_by: JobEnd::Cut,
        skipped_bytes: 0,
        unknown_commands: 0,
        unreadable: None,
    }
}
