//! The compression dictionary that both sides hold, so that a short request packs as well as a long
//! one.
//!
//! Central trains it and hands it down; a request says which one the terminal holds. It holds made-up
//! or masked samples at most: central must not train it on what one shop alone knows.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The stable word of the refusal (HTTP 409) of a request that is packed with a dictionary that central
/// does not hold. The terminal drops it and goes on without.
pub const UNKNOWN_DICTIONARY: &str = "unknown_dictionary";
/// Longest dictionary that either side takes, in bytes.
pub const DICTIONARY_BYTES_MAX: usize = 256 * 1024;
/// Most that either side reserves for the window of a frame, as a power of two of bytes: 8 MiB, the
/// whole of the longest body. zstd's own limit is 128 MiB for each request.
pub const WINDOW_LOG_MAX: u32 = 23;

/// A dictionary, as it travels.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dictionary {
    /// Its id: the same in the dictionary's own header and in every frame that needs it. Never 0.
    pub id: u32,
    /// Its bytes.
    #[serde(serialize_with = "to_base64", deserialize_with = "of_base64")]
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dictionary")
            .field("id", &self.id)
            .field("len", &self.bytes.len())
            .finish()
    }
}

fn to_base64<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&STANDARD.encode(bytes))
}

fn of_base64<'d, D: Deserializer<'d>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(from)?;
    STANDARD
        .decode(text.as_bytes())
        .map_err(serde::de::Error::custom)
}
