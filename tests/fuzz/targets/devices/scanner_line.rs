//! A serial scanner's lines. Oracles: the same frames and counts in any pieces; no byte is lost uncounted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tillbind_firmware_bridge::scanner::{Frame, LineConfig, LineFramer};
use tillbind_fuzz::in_pieces;

fuzz_target!(|data: &[u8]| {
    let config = LineConfig {
        code_id: data.len() % 2 == 1,
        prefix: data.iter().take(data.len() % 3).copied().collect(),
        ..LineConfig::default()
    };
    let mut whole = LineFramer::new(config.clone());
    let mut frames = whole.feed(data);
    frames.extend(whole.handle_idle());
    let mut cut = LineFramer::new(config);
    let mut again: Vec<Frame> = Vec::new();
    in_pieces(data, |piece| again.extend(cut.feed(piece)));
    again.extend(cut.handle_idle());
    assert_eq!(frames, again);
    assert_eq!(whole.counters(), cut.counters());
    let kept: usize = frames.iter().map(|frame| frame.bytes().len()).sum();
    assert!(kept as u64 + whole.counters().skipped_bytes <= data.len() as u64);
});
