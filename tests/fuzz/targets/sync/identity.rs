//! The identity and the key as the agent finds them on its disk.
//!
//! Oracles: an identity that loads is stored and loads the same; what is refused names the file; a key
//! is 32 bytes or 64 hex digits and nothing else.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tillbind_agent::identity::renewal::Validity;
use tillbind_agent::identity::{Identity, SuspectTime, path_in, tls};
use tillbind_agent::vault::{Vault, VaultError};
use tillbind_fuzz::{folder, random};

static DIR: LazyLock<PathBuf> = LazyLock::new(|| {
    let dir = folder("identity");
    fs::create_dir_all(dir.join("identity")).expect("memory takes it");
    dir
});

fuzz_target!(|data: &[u8]| {
    let path = path_in(&DIR);
    fs::write(&path, data).expect("memory takes it");
    match Identity::load(&DIR) {
        Ok(Some(identity)) => {
            if Validity::of(&identity).is_ok() {
                // Making the client costs a millisecond: only where the certificate can be read.
                let _ = tls::client_of(&identity, SuspectTime::wall());
            }
            identity.store(&DIR).expect("memory takes it");
            assert_eq!(Identity::load(&DIR).expect("it was stored"), Some(identity));
        }
        Ok(None) => panic!("the identity is there"),
        Err(error) => assert!(error.to_string().contains("identity.json"), "{error}"),
    }
    key(data);
});

fn key(data: &[u8]) {
    let (key, id) = (DIR.join("vault.key"), DIR.join("vault.id"));
    fs::write(&key, data).expect("memory takes it");
    if id.exists() {
        fs::remove_file(&id).expect("memory gives it back");
    }
    match Vault::open(&DIR, None, random(1)) {
        Ok(_) => {
            let digits = data.trim_ascii_end();
            assert!(
                data.len() == 32 || digits.len() == 64,
                "{} bytes are a key",
                data.len()
            );
            Vault::open(&DIR, None, random(1)).expect("the same key opens again");
        }
        Err(VaultError::Malformed { .. }) => assert_ne!(data.len(), 32),
        Err(error) => panic!("{error}"),
    }
}
