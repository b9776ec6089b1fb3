//! Sealing of single values: XChaCha20-Poly1305, stored as nonce (24) ‖ ciphertext ‖ tag (16).
//!
//! Every value gets a fresh random nonce; 192 bits leave room for any number of values under one key.

use std::fmt;

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};

use super::{KEY_BYTES, Random};

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// What sealing adds to a value, in bytes.
pub const SEAL_OVERHEAD_BYTES: usize = NONCE_BYTES + TAG_BYTES;

/// Length of a seal's fingerprint, in bytes.
pub(crate) const SEAL_PRINT_BYTES: usize = 8;
const PRINT_CONTEXT: &str = "tillbind 2026 seal fingerprint v1";

/// A sealed value that does not open: damaged, moved to another place, or sealed under another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value is damaged, out of its place, or sealed under another key")]
pub struct OpenSealedError;

/// Seals and opens values under one key.
#[derive(Clone)]
pub struct Seal {
    cipher: XChaCha20Poly1305,
    print: [u8; SEAL_PRINT_BYTES],
    random: Random,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

impl Seal {
    pub(super) fn new(key: &[u8; KEY_BYTES], random: Random) -> Self {
        let mut print = [0; SEAL_PRINT_BYTES];
        print.copy_from_slice(&blake3::derive_key(PRINT_CONTEXT, key)[..SEAL_PRINT_BYTES]);
        Self {
            cipher: XChaCha20Poly1305::new(key.into()),
            print,
            random,
        }
    }

    /// Returns what tells this key from others, for a store to note beside its data.
    pub(crate) fn print(&self) -> [u8; SEAL_PRINT_BYTES] {
        self.print
    }

    /// Seals `plain` for the place that `aad` names.
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(plain.len() + SEAL_OVERHEAD_BYTES);
        self.seal_into(aad, plain, &mut sealed);
        sealed
    }

    /// Seals `plain` onto the end of `out`.
    pub fn seal_into(&self, aad: &[u8], plain: &[u8], out: &mut Vec<u8>) {
        let mut nonce = [0; NONCE_BYTES];
        (self.random)(&mut nonce);
        out.extend_from_slice(&nonce);
        let begin = out.len();
        out.extend_from_slice(plain);
        let tag = self
            .cipher
            .encrypt_inout_detached(&XNonce::from(nonce), aad, (&mut out[begin..]).into())
            .expect("ChaCha20 takes 256 GiB, and values here end at kilobytes");
        out.extend_from_slice(&tag);
    }

    /// Opens what was sealed for the place that `aad` names.
    ///
    /// # Errors
    /// [`OpenSealedError`] when a bit differs, in the value or in the place.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OpenSealedError> {
        let (nonce, rest) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(OpenSealedError)?;
        let (text, tag) = rest
            .split_last_chunk::<TAG_BYTES>()
            .ok_or(OpenSealedError)?;
        let mut plain = text.to_vec();
        self.cipher
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                aad,
                plain.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| OpenSealedError)?;
        Ok(plain)
    }

    /// Opens what does not verify: a flipped bit spoils one bit of the text, and nothing vouches for any.
    /// For people who look at damage; nothing if there is not even room for a seal.
    pub(crate) fn open_unverified(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let (text, _tag) = rest.split_last_chunk::<TAG_BYTES>()?;
        let mut plain = text.to_vec();
        // The cipher is its own inverse.
        self.cipher
            .encrypt_inout_detached(&XNonce::from(*nonce), &[], plain.as_mut_slice().into())
            .ok()?;
        Some(plain)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vault::test_random;

    proptest! {
        #[test]
        fn a_value_opens_whole_and_only_in_its_place(
            plain in proptest::collection::vec(any::<u8>(), 0..300),
            bit in any::<proptest::sample::Index>(),
        ) {
            let seal = Seal::new(&[3; KEY_BYTES], test_random(5));
            let mut sealed = seal.seal(b"place", &plain);
            prop_assert_eq!(sealed.len(), plain.len() + SEAL_OVERHEAD_BYTES);
            prop_assert_eq!(&seal.open(b"place", &sealed).unwrap(), &plain);
            prop_assert_eq!(seal.open(b"other", &sealed), Err(OpenSealedError));
            prop_assert_ne!(&seal.seal(b"place", &plain), &sealed);
            let bit = bit.index(sealed.len() * 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(seal.open(b"place", &sealed), Err(OpenSealedError));
            let spoilt = seal.open_unverified(&sealed).unwrap();
            let wrong = spoilt.iter().zip(&plain).filter(|(a, b)| a != b).count();
            prop_assert!(bit < 24 * 8 || wrong <= 1);
            sealed.truncate(bit / 8);
            prop_assert_eq!(seal.open(b"place", &sealed), Err(OpenSealedError));
        }
    }
}
