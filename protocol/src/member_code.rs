//! The member code: what an online account shows as a QR, verified by a terminal without a line.
//!
//! `TB1:` ‖ base45(zlib(COSE_Sign1)), the layering that EU health certificates proved in the field.
//! The payload is a CWT claims set (RFC 8392): subject = the account, issued-at, expiration in whole
//! seconds, cwt-id = a nonce. The signature is Ed25519 (RFC 9053), the key named by its `kid`.
//!
//! Limits: a code of [`CODE_BYTES_MAX`] bytes, inflated to at most [`INFLATED_BYTES_MAX`].

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coset::cwt::{ClaimsSet, ClaimsSetBuilder, Timestamp};
use coset::{CborSerializable, CoseSign1, CoseSign1Builder, HeaderBuilder, iana};
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use flate2::Compression;
use flate2::read::{ZlibDecoder, ZlibEncoder};
use serde::{Deserialize, Serialize};

use crate::ids::{AccountRef, IdError};

/// What every member code starts with.
pub const PREFIX: &str = "TB1:";
/// Longest code that is looked at, in bytes: about twice what an account of 128 bytes needs, and
/// what a QR of moderate size holds.
pub const CODE_BYTES_MAX: usize = 1_024;
/// Most bytes that a code may inflate to.
pub const INFLATED_BYTES_MAX: usize = 2_048;
/// Length of a nonce, in bytes.
pub const NONCE_BYTES: usize = 16;
/// How far ahead of the verifier a code may have been issued before it counts as forged or as the
/// sign of a wrong clock, in milliseconds; the verifier's own uncertainty comes on top.
pub const ISSUED_AHEAD_MS_MAX: i64 = 60_000;

/// What a member code says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The account that shows the code.
    pub account: AccountRef,
    /// When central signed it, in seconds since 1970-01-01 UTC.
    pub issued_s: i64,
    /// When it ends, in seconds since 1970-01-01 UTC.
    pub expires_s: i64,
    /// What makes it one of a kind.
    pub nonce: [u8; NONCE_BYTES],
}

/// The verifier's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyTime {
    /// Central's clock as the verifier estimates it, in milliseconds since 1970-01-01 UTC.
    pub now_ms: i64,
    /// How far that may be off, in milliseconds.
    pub uncertainty_ms: u32,
}

/// Public keys that member codes are verified against.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KeySet {
    /// Grows with every change.
    pub version: u32,
    /// The keys that are valid now.
    pub keys: Vec<PublicKey>,
}

/// One public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// Its name.
    pub kid: String,
    /// Ed25519 public key, 32 bytes in base64url.
    pub ed25519: String,
}

impl PublicKey {
    /// Names and writes down the public half of `key`.
    pub fn of(kid: impl Into<String>, key: &VerifyingKey) -> Self {
        Self {
            kid: kid.into(),
            ed25519: URL_SAFE_NO_PAD.encode(key.as_bytes()),
        }
    }

    fn verifying_key(&self) -> Option<VerifyingKey> {
        let bytes: [u8; 32] = URL_SAFE_NO_PAD
            .decode(&self.ed25519)
            .ok()?
            .try_into()
            .ok()?;
        VerifyingKey::from_bytes(&bytes).ok()
    }
}

/// Why a member code was refused. The text is for the cashier and names no person.
#[derive(Debug, thiserror::Error)]
pub enum MemberCodeError {
    /// It does not start with [`PREFIX`].
    #[error("this is not a member code")]
    NotAMemberCode,
    /// It is damaged, or nothing that central made.
    #[error("the member code cannot be read ({0}): ask the shopper to show it again")]
    Malformed(&'static str),
    /// No key of that name is known.
    #[error(
        "the member code is signed with key {kid:?}, which this terminal does not know: if it is \
         new, it arrives with the next contact with headquarters"
    )]
    UnknownKey {
        /// The name of the key.
        kid: String,
    },
    /// The signature does not hold.
    #[error("the member code is forged or damaged: its signature does not hold")]
    BadSignature,
    /// It ended.
    #[error("the member code expired {ago_s} s ago: ask the shopper to refresh it")]
    Expired {
        /// How long ago at least, in seconds.
        ago_s: i64,
    },
    /// It begins in the future.
    #[error(
        "the member code was issued {ahead_s} s ahead of this terminal's time: check the \
         terminal's clock"
    )]
    NotYetIssued {
        /// How far ahead at least, in seconds.
        ahead_s: i64,
    },
    /// It claims an account that cannot exist.
    #[error("the member code names an account that cannot be used")]
    BadAccount(#[source] IdError),
}

/// A code that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the member code cannot be written: {0}")]
pub struct IssueError(String);

/// Signs a code.
///
/// # Errors
/// [`IssueError`] when the claims cannot be encoded.
pub fn issue(claims: &Claims, kid: &str, key: &SigningKey) -> Result<String, IssueError> {
    let payload = ClaimsSetBuilder::new()
        .subject(claims.account.to_string())
        .issued_at(Timestamp::WholeSeconds(claims.issued_s))
        .expiration_time(Timestamp::WholeSeconds(claims.expires_s))
        .cwt_id(claims.nonce.to_vec())
        .build()
        .to_vec()
        .map_err(|e| IssueError(e.to_string()))?;
    let protected = HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .key_id(kid.as_bytes().to_vec())
        .build();
    let signed = CoseSign1Builder::new()
        .protected(protected)
        .payload(payload)
        .create_signature(b"", |message| key.sign(message).to_bytes().to_vec())
        .build()
        .to_vec()
        .map_err(|e| IssueError(e.to_string()))?;
    let mut packed = Vec::new();
    ZlibEncoder::new(signed.as_slice(), Compression::best())
        .read_to_end(&mut packed)
        .map_err(|e| IssueError(e.to_string()))?;
    Ok(format!("{PREFIX}{}", base45::encode(packed)))
}

/// Verifies a code: form, key, signature, then time. A code counts as valid while any time within
/// the verifier's uncertainty lies between issue and expiry. Whether the nonce was seen before is
/// for the caller, who has the memory.
///
/// # Errors
/// [`MemberCodeError`] with the first thing that does not hold.
pub fn verify(code: &str, keys: &KeySet, at: VerifyTime) -> Result<Claims, MemberCodeError> {
    let claims = verify_signature(code, keys)?;
    let uncertainty_ms = i64::from(at.uncertainty_ms);
    let late_ms = at
        .now_ms
        .saturating_sub(uncertainty_ms)
        .saturating_sub(claims.expires_s.saturating_mul(1_000));
    if late_ms > 0 {
        return Err(MemberCodeError::Expired {
            ago_s: (late_ms + 999) / 1_000,
        });
    }
    let ahead_ms = claims
        .issued_s
        .saturating_mul(1_000)
        .saturating_sub(at.now_ms.saturating_add(uncertainty_ms));
    if ahead_ms > ISSUED_AHEAD_MS_MAX {
        return Err(MemberCodeError::NotYetIssued {
            ahead_s: ahead_ms / 1_000,
        });
    }
    Ok(claims)
}

/// Verifies form, key and signature and leaves time to the caller: a terminal that never saw
/// central's clock cannot judge an expiry, central later can.
///
/// # Errors
/// [`MemberCodeError`] with the first thing that does not hold.
pub fn verify_signature(code: &str, keys: &KeySet) -> Result<Claims, MemberCodeError> {
    use MemberCodeError::Malformed;

    let body = code
        .trim()
        .strip_prefix(PREFIX)
        .ok_or(MemberCodeError::NotAMemberCode)?;
    if code.len() > CODE_BYTES_MAX {
        return Err(Malformed("it is too long"));
    }
    let packed = base45::decode(body).map_err(|_| Malformed("not base45"))?;
    let mut signed = Vec::new();
    ZlibDecoder::new(packed.as_slice())
        .take(INFLATED_BYTES_MAX as u64 + 1)
        .read_to_end(&mut signed)
        .map_err(|_| Malformed("not zlib"))?;
    if signed.len() > INFLATED_BYTES_MAX {
        return Err(Malformed("it inflates to too much"));
    }
    let sign1 = CoseSign1::from_slice(&signed).map_err(|_| Malformed("not COSE_Sign1"))?;
    if sign1.protected.header.alg != Some(coset::Algorithm::Assigned(iana::Algorithm::EdDSA)) {
        return Err(Malformed("not signed with EdDSA"));
    }
    let kid = String::from_utf8_lossy(&sign1.protected.header.key_id).into_owned();
    let key = keys
        .keys
        .iter()
        .find(|k| k.kid == kid)
        .and_then(PublicKey::verifying_key)
        .ok_or(MemberCodeError::UnknownKey { kid })?;
    sign1
        .verify_signature(b"", |signature, message| {
            Signature::from_slice(signature).and_then(|s| key.verify(message, &s))
        })
        .map_err(|_| MemberCodeError::BadSignature)?;
    let payload = sign1.payload.ok_or(Malformed("it is empty"))?;
    let set = ClaimsSet::from_slice(&payload).map_err(|_| Malformed("not a claims set"))?;
    let whole = |t: Option<Timestamp>| match t {
        Some(Timestamp::WholeSeconds(s)) => Some(s),
        Some(Timestamp::FractionalSeconds(_)) | None => None,
    };
    Ok(Claims {
        account: set
            .subject
            .ok_or(Malformed("no account"))?
            .parse()
            .map_err(MemberCodeError::BadAccount)?,
        issued_s: whole(set.issued_at).ok_or(Malformed("no time of issue"))?,
        expires_s: whole(set.expiration_time).ok_or(Malformed("no expiry"))?,
        nonce: set
            .cwt_id
            .and_then(|n| n.try_into().ok())
            .ok_or(Malformed("no nonce"))?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn keys() -> KeySet {
        KeySet {
            version: 1,
            keys: vec![PublicKey::of("k1", &key(1).verifying_key())],
        }
    }

    fn claims() -> Claims {
        Claims {
            account: "tmall:82731".parse().unwrap(),
            issued_s: 1_000,
            expires_s: 1_120,
            nonce: [9; NONCE_BYTES],
        }
    }

    fn at(now_s: i64, uncertainty_ms: u32) -> VerifyTime {
        VerifyTime {
            now_ms: now_s * 1_000,
            uncertainty_ms,
        }
    }

    #[test]
    fn a_code_verifies_offline_and_fits_a_qr_of_moderate_size() {
        let code = issue(&claims(), "k1", &key(1)).unwrap();
        assert!(code.len() < 300, "{} bytes", code.len());
        assert_eq!(verify(&code, &keys(), at(1_060, 0)).unwrap(), claims());
    }

    #[test]
    fn expiry_and_issue_are_judged_with_the_clocks_uncertainty() {
        let code = issue(&claims(), "k1", &key(1)).unwrap();
        let expired = verify(&code, &keys(), at(1_123, 0)).unwrap_err();
        assert!(
            matches!(expired, MemberCodeError::Expired { ago_s: 3 }),
            "{expired}"
        );
        assert!(verify(&code, &keys(), at(1_123, 3_000)).is_ok());
        let early = verify(&code, &keys(), at(900, 0)).unwrap_err();
        assert!(
            matches!(early, MemberCodeError::NotYetIssued { ahead_s: 100 }),
            "{early}"
        );
        assert!(verify(&code, &keys(), at(900, 40_000)).is_ok());
    }

    #[test]
    fn a_code_of_another_key_or_another_signer_is_refused() {
        let stranger = issue(&claims(), "k2", &key(1)).unwrap();
        assert!(matches!(
            verify(&stranger, &keys(), at(1_060, 0)),
            Err(MemberCodeError::UnknownKey { .. })
        ));
        let forged = issue(&claims(), "k1", &key(2)).unwrap();
        assert!(matches!(
            verify(&forged, &keys(), at(1_060, 0)),
            Err(MemberCodeError::BadSignature)
        ));
    }

    #[test]
    fn a_bomb_is_not_inflated() {
        let mut packed = Vec::new();
        ZlibEncoder::new(vec![0; 600_000].as_slice(), Compression::best())
            .read_to_end(&mut packed)
            .unwrap();
        let code = format!("{PREFIX}{}", base45::encode(&packed));
        assert!(matches!(
            verify(&code, &keys(), at(0, 0)),
            Err(MemberCodeError::Malformed(_))
        ));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,400}") {
            let _refused = verify(&format!("{PREFIX}{text}"), &keys(), at(0, 0)).is_err();
        }

        #[test]
        fn a_changed_character_never_verifies(place in 4usize..120, with in "[0-9A-Z]") {
            let code = issue(&claims(), "k1", &key(1)).unwrap();
            prop_assume!(place < code.len() && code[place..=place] != with);
            let mut changed = code.clone();
            changed.replace_range(place..=place, &with);
            prop_assert!(verify(&changed, &keys(), at(1_060, 0)).is_err());
        }
    }
}
