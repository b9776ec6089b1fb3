//! A profile learned from whatever was captured: receipts are parted by NUL.
//!
//! Oracles: what is proposed is a profile; it never claims more receipts than there are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tillbind_firmware_bridge::receipt::{Captured, Profile, learn};

fuzz_target!(|data: &[u8]| {
    let captures: Vec<Captured> = data
        .split(|byte| *byte == 0)
        .take(12)
        .map(|receipt| Captured::from_text(&String::from_utf8_lossy(receipt)))
        .collect();
    let streams = data.split(|byte| *byte == 0).take(12);
    let streams: Vec<Captured> = streams.map(|s| Captured::Stream(s.to_vec())).collect();
    for captures in [captures, streams] {
        if let Ok(learned) = learn(&captures, "fuzz") {
            Profile::parse(&learned.profile).expect("what is proposed can be read");
            let told = learned.sales + learned.not_sales + learned.unparsed;
            assert_eq!(told, learned.receipts);
        }
    }
});
