//! A PN532 that says anything at any time, and the lines of the PC/SC helper.
//!
//! Oracles: the machine always wants either something from the clock or nothing, and never the past; what
//! it writes is bounded; a card is told once until it is gone; lines are the same in any pieces.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tillbind_firmware_bridge::nfc::pcsc::LineReader;
use tillbind_firmware_bridge::nfc::pn532::{NfcEvent, Pn532};
use tillbind_fuzz::in_pieces;

fuzz_target!(|data: &[u8]| {
    let mut machine = Pn532::default();
    let mut now = Duration::ZERO;
    let mut on_reader = false;
    machine.handle_open(now);
    in_pieces(data, |piece| {
        let mut events = machine.handle_bytes(piece, now);
        drain(&mut machine);
        if let Some(due) = machine.poll_timeout() {
            // Now and then the clock runs out, else bytes come first.
            if piece.len() % 3 == 0 {
                now = now.max(due);
                events.extend(machine.handle_timeout(now));
                drain(&mut machine);
                let next = machine.poll_timeout();
                assert!(next.is_none_or(|next| next > now), "it would spin");
            }
        }
        for event in events {
            match event {
                NfcEvent::Card(_) => {
                    on_reader = true;
                }
                NfcEvent::Removed => {
                    assert!(on_reader, "a card was taken off that never lay there");
                    on_reader = false;
                }
                NfcEvent::Ready { .. } | NfcEvent::Silent { .. } => {}
            }
        }
    });

    let mut whole = LineReader::default();
    let told = whole.feed(data);
    let mut cut = LineReader::default();
    let mut again = Vec::new();
    in_pieces(data, |piece| again.extend(cut.feed(piece)));
    assert_eq!(told, again);
    assert_eq!(whole.skipped_lines(), cut.skipped_lines());
});

fn drain(machine: &mut Pn532) {
    for _ in 0..16 {
        match machine.poll_transmit() {
            Some(bytes) => assert!(bytes.len() < 600),
            None => return,
        }
    }
    panic!("it writes for ever");
}
