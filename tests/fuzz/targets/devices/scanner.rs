//! A scanner in each of its framings: lines, Zebra SSI, Honeywell, HID reports, a keyboard's records.
//!
//! Oracles: the same scans, answers and counts in any pieces; a scan is bounded; no byte of input is told
//! twice; after a reset a good scan is read.
#![no_main]

use libfuzzer_sys::fuzz_target;

use tillbind_firmware_bridge::scanner::{
    Decoder, DecoderConfig, FRAME_BYTES_MAX, Framing, Reading,
};
use tillbind_fuzz::in_pieces;

fuzz_target!(|data: &[u8]| {
    for framing in Framing::ALL {
        let mut config = DecoderConfig::of(framing);
        config.line.code_id = data.len() % 2 == 1;
        config.line.prefix = data.iter().take(data.len() % 3).copied().collect();

        let mut whole = Decoder::new(config.clone());
        let mut told = whole.feed(data);
        add(&mut told, whole.handle_idle());
        let mut cut = Decoder::new(config);
        let mut again = Reading::default();
        in_pieces(data, |piece| add(&mut again, cut.feed(piece)));
        add(&mut again, cut.handle_idle());
        assert_eq!(told, again, "{framing:?}");
        assert_eq!(whole.counters(), cut.counters(), "{framing:?}");

        let lengths = told.frames.iter().map(|frame| frame.bytes().len());
        assert!(lengths.clone().all(|length| length <= FRAME_BYTES_MAX));
        if framing == Framing::Line {
            let kept = lengths.sum::<usize>() as u64;
            assert!(kept + whole.counters().skipped_bytes <= data.len() as u64);
        }
    }
    let mut ssi = Decoder::new(DecoderConfig::of(Framing::Ssi));
    ssi.feed(data);
    ssi.reset();
    let scan = ssi.feed(&[0x06, 0xf3, 0x00, 0x00, 0x01, b'7', 0xfe, 0xcf]);
    assert_eq!(scan.frames.len(), 1, "{scan:?}");
});

fn add(told: &mut Reading, more: Reading) {
    told.frames.extend(more.frames);
    told.answer.extend(more.answer);
}
