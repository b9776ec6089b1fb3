//! The small things on a terminal's disk: watermark, clean stop, pages of the buffer, notes, the
//! quarantine, the compression dictionary.
//!
//! The first byte says which. Oracles: what was read is written and read back the same; a file that does
//! not verify counts as absent; the places of a page are in order; whatever lies in the quarantine, a new
//! damage is kept there whole and goes when it is dropped; what a dictionary packed, it unpacks.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tillbind_agent::fuzzing::{Drawer, buffer_page, clean_stop, clock_note, note, watermark};
use tillbind_agent::till::KnownSale;
use tillbind_agent::uplink::packing::{KeptDictionary, Packer};
use tillbind_fuzz::{DICTIONARY, assert_round_trip, folder, vault};
use tillbind_protocol::event::{BindingRequest, SaleKey};
use tillbind_protocol::member_code::KeySet;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| folder("store_files"));
static FILE: LazyLock<PathBuf> = LazyLock::new(|| FOLDER.join("file"));
static DRAWER: LazyLock<Drawer> =
    LazyLock::new(|| Drawer::new(&FOLDER.join("quarantine"), &vault(&FOLDER)));

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    match kind % 6 {
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
        3 => notes(data),
        4 => quarantine(data),
        _ => dictionary(data),
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

/// Reads an entry as it is, and keeps the same bytes as a new damage beside it.
fn quarantine(data: &[u8]) {
    DRAWER.empty().expect("memory can be emptied");
    DRAWER.lay(1, data).expect("memory takes it");
    let found = DRAWER.list();
    assert!(found.iter().all(|entry| entry.id == 1));
    let former = found.len();
    DRAWER.put(data);
    let listed = DRAWER.list();
    // The laid entry may be the very damage, or have been dropped.
    let kept = listed.iter().filter(|entry| entry.id == 2).count();
    assert!(listed.len() == former + kept);
    for entry in &listed {
        if entry.id == 2 {
            assert_eq!(entry.bytes, data);
        }
        DRAWER.salvage(entry);
        DRAWER.forget(entry.id);
    }
    assert_eq!(DRAWER.list().len(), 0);
}

/// Reads a file as it is, once more with its magic and its hash made right, and a real dictionary with
/// bytes of it spoilt.
fn dictionary(data: &[u8]) {
    let mut spoilt = DICTIONARY.to_vec();
    for change in data.chunks_exact(3) {
        let place = usize::from(u16::from_le_bytes([change[0], change[1]]));
        if let Some(byte) = spoilt.get_mut(place) {
            *byte ^= change[2];
        }
    }
    let path = FOLDER.join("dictionary");
    let kept = KeptDictionary::of(&FOLDER);
    fs::write(&path, data).expect("memory takes it");
    kept.load();
    for bytes in [data, &spoilt] {
        let mut file = b"TBDICT1\n".to_vec();
        file.extend_from_slice(blake3::hash(bytes).as_bytes());
        file.extend_from_slice(bytes);
        fs::write(&path, file).expect("memory takes it");
        unpacks(&kept.load(), bytes);
    }
}

fn unpacks(packer: &Packer, dictionary: &[u8]) {
    let json = br#"{"v":2,"batch":{"events":[{"kind":"scan","body":{"card":"2900000000001"}}]}}"#;
    if let Ok(packed) = packer.pack(json)
        && let Ok(mut unpacker) = zstd::bulk::Decompressor::with_dictionary(dictionary)
        && packer.has_dictionary()
    {
        assert_eq!(
            unpacker.decompress(&packed, json.len()).ok(),
            Some(json.to_vec())
        );
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
