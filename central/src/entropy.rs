//! The one place that asks the machine for random bytes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A machine without random bytes: no key, token or name can be made.
#[derive(Debug, thiserror::Error)]
#[error("this machine gives no random bytes: {0}")]
pub struct EntropyError(getrandom::Error);

/// Draws random bytes.
///
/// # Errors
/// [`EntropyError`] when the machine has none.
pub fn bytes<const N: usize>() -> Result<[u8; N], EntropyError> {
    let mut drawn = [0; N];
    getrandom::fill(&mut drawn).map_err(EntropyError)?;
    Ok(drawn)
}

/// Draws a name that nobody else has: `prefix` and 128 random bits in hex.
///
/// # Errors
/// [`EntropyError`] when the machine has no random bytes.
pub fn name(prefix: &str) -> Result<String, EntropyError> {
    Ok(format!("{prefix}{}", hex::encode(bytes::<16>()?)))
}

/// Draws a shorter name for what stands in many rows: `prefix` and 64 random bits in hex. A name
/// that exists already is refused by the database's key.
///
/// # Errors
/// [`EntropyError`] when the machine has no random bytes.
pub fn short_name(prefix: &str) -> Result<String, EntropyError> {
    Ok(format!("{prefix}{}", hex::encode(bytes::<8>()?)))
}

/// Draws a secret of 256 bits, written as 43 characters that need no quoting.
///
/// # Errors
/// [`EntropyError`] when the machine has no random bytes.
pub fn secret() -> Result<String, EntropyError> {
    Ok(URL_SAFE_NO_PAD.encode(bytes::<32>()?))
}
