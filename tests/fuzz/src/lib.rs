//! What the fuzz targets share: a folder in memory, a key that is always the same, and the frame that
//! bodies travel in.
//!
//! A target panics where an oracle beyond "no panic" fails; memory is bounded by libFuzzer's limits,
//! which `./dev fuzz` sets. What a target checks stands at its top.

use std::fs;
use std::path::PathBuf;
#[cfg(feature = "sync")]
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
#[cfg(feature = "sync")]
use tillbind_agent::vault::{Random, Vault};

/// A dictionary trained on 2,000 made-up scans.
#[cfg(feature = "sync")]
pub const DICTIONARY: &[u8] =
    include_bytes!("../../../agent/tests/fixtures/dictionary/scans.zdict");

/// Bytes of a reason that is shown to people and sent to headquarters.
pub const REASON_BYTES_MAX: usize = 4_096;

/// Returns an empty folder of this process's own, in memory where there is such a file system.
pub fn folder(name: &str) -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let base = if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    };
    let path = base.join(format!("tillbind-fuzz-{name}-{}", std::process::id()));
    if path.exists() {
        fs::remove_dir_all(&path).expect("the folder can be emptied");
    }
    fs::create_dir_all(&path).expect("the folder can be made");
    path
}

/// Returns bytes that are the same in every run, so that an input does the same in every run.
#[cfg(feature = "sync")]
pub fn random(seed: u64) -> Random {
    let state = std::sync::Mutex::new(fastrand::Rng::with_seed(seed));
    Arc::new(move |bytes: &mut [u8]| state.lock().expect("no panic holds it").fill(bytes))
}

/// Returns a vault whose key is always the same, in `dir`.
#[cfg(feature = "sync")]
pub fn vault(dir: &std::path::Path) -> Vault {
    fs::write(dir.join("vault.key"), [7; 32]).expect("the key can be written");
    Vault::open(dir, None, random(1)).expect("the vault opens")
}

/// Packs a body as both sides do.
#[cfg(feature = "sync")]
pub fn packed(body: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(body, 1).expect("zstd packs anything")
}

/// Packs a body as a terminal with [`DICTIONARY`] does.
#[cfg(feature = "sync")]
pub fn packed_with_dictionary(body: &[u8]) -> Vec<u8> {
    zstd::bulk::Compressor::with_dictionary(1, DICTIONARY)
        .and_then(|mut packer| packer.compress(body))
        .expect("zstd packs anything")
}

/// Panics unless what was read is written to something that reads back and is written the same.
pub fn assert_round_trip<T: Serialize + DeserializeOwned>(value: &T) {
    let once = serde_json::to_vec(value).expect("what was read can be written");
    let back: T = serde_json::from_slice(&once).expect("what was written can be read");
    let twice = serde_json::to_vec(&back).expect("what was read can be written");
    assert!(
        once == twice,
        "{}\n{}",
        String::from_utf8_lossy(&once),
        String::from_utf8_lossy(&twice)
    );
}

/// Calls `feed` with the bytes in pieces whose sizes follow from the bytes themselves.
pub fn in_pieces(bytes: &[u8], mut feed: impl FnMut(&[u8])) {
    let mut state = bytes.iter().fold(0x9e37_79b9u32, |sum, byte| {
        sum.rotate_left(5).wrapping_mul(31) ^ u32::from(*byte)
    });
    let mut rest = bytes;
    while !rest.is_empty() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let size = (state >> 16) as usize % 97 + 1;
        let (piece, after) = rest.split_at(size.min(rest.len()));
        feed(piece);
        rest = after;
    }
}
