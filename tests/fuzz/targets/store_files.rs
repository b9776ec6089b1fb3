//! The small things on a terminal's disk: watermark, clean stop, pages of the buffer, notes.
//!
//! The first byte says which. Oracles: what was read is written and read back the same; a file that does
//! not verify counts as absent; the places of a page are in order.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tillbind_agent::fuzzing::{buffer_page, clean_stop, clock_note, note, watermark};
use tillbind_agent::till::KnownSale;
use tillbind_fuzz::{assert_round_trip, folder};
use tillbind_protocol::event::{BindingRequest, SaleKey};
use tillbind_protocol::member_code::KeySet;

static FILE: LazyLock<PathBuf> = LazyLock::new(|| folder("store_files").join("file"));

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    match kind % 4 {
        0 => mark(data),
        1 => clean(data),
        2 => {
            if let Some((number, value)) = data.split_first_chunk()
                && let Some((places, again)) = buffer_page(u64::from_be_bytes(*number), value)
            {
                assert!(places.is_sorted_by(|one, next| one < next));
                assert_eq!(again, Some(places));
            }
        }
        _ => notes(data),
    }
});

/// Returns the content as a file whose CRC holds.
fn sound(magic: &[u8; 8], content: &[u8]) -> Vec<u8> {
    let mut file = magic.to_vec();
    file.extend_from_slice(content);
    file.extend_from_slice(&crc32c::crc32c(&file).to_le_bytes());
    file
}

fn mark(data: &[u8]) {
    let mut content = data.to_vec();
    content.resize(32, 0);
    // Nobody acknowledges 2^56 times, and nobody appends as often.
    (content[7], content[15]) = (0, 0);
    for bytes in [data, sound(b"TBWMRK2\n", &content).as_slice()] {
        fs::write(&*FILE, bytes).expect("memory takes it");
        if let Some((before, after)) = watermark(&FILE).expect("memory can be read") {
            assert_eq!(after, Some(before.next(b"the next event")));
        }
    }
}

/// Reads a file as it is, and once more with its magic and its CRC made right.
fn clean(data: &[u8]) {
    for bytes in [data, sound(b"TBCLEAN1", data).as_slice()] {
        fs::write(&*FILE, bytes).expect("memory takes it");
        let once = clean_stop(&FILE).expect("memory can be read");
        if once.is_some() {
            let again = clean_stop(&FILE).expect("memory can be read");
            assert_eq!(once, again, "what was written reads otherwise");
        } else {
            assert_eq!(fs::read(&*FILE).expect("memory can be read"), bytes);
        }
    }
}

fn notes(data: &[u8]) {
    if let Some((note, again)) = note(data) {
        assert_eq!(again, data);
        assert!(note.key.len() + note.value.len() + 8 == data.len());
    }
    if let Some(clock) = clock_note(data) {
        assert_round_trip(&clock);
    }
    if let Ok(sale) = serde_json::from_slice::<KnownSale>(data) {
        assert_round_trip(&sale);
    }
    if let Ok(key) = serde_json::from_slice::<SaleKey>(data) {
        assert_round_trip(&key);
    }
    if let Ok(request) = serde_json::from_slice::<BindingRequest>(data) {
        assert_round_trip(&request);
    }
    if let Ok(keys) = serde_json::from_slice::<KeySet>(data) {
        assert_round_trip(&keys);
    }
}
