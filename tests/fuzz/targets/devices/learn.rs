//! A profile learned from whatever was captured: receipts are parted by NUL, and read as text or, where the
//! first byte is odd, as streams.
//!
//! Oracles: what is proposed is a profile; it never claims more receipts than there are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tillbind_firmware_bridge::receipt::{Captured, Profile, learn};

/// Each costs patterns that the sanitizer makes slow.
const RECEIPTS_MAX: usize = 4;

fuzz_target!(|data: &[u8]| {
    let is_stream = data.first().is_some_and(|byte| byte % 2 == 1);
    let captures: Vec<Captured> = data
        .split(|byte| *byte == 0)
        .take(RECEIPTS_MAX)
        .map(|receipt| match is_stream {
            true => Captured::Stream(receipt.to_vec()),
            false => Captured::from_text(&String::from_utf8_lossy(receipt)),
        })
        .collect();
    if let Ok(learned) = learn(&captures, "fuzz") {
        Profile::parse(&learned.profile).expect("what is proposed can be read");
        let told = learned.sales + learned.not_sales + learned.unparsed;
        assert_eq!(told, learned.receipts);
    }
});
