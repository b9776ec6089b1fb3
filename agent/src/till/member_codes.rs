//! Member codes at this terminal: verified offline, each used once.
//!
//! A nonce counts as used when a binding was requested with it, and is remembered, durably, until the
//! code has expired by [`NONCE_MARGIN_MS`] more than any clock error that was accepted. Showing a code
//! twice is no replay: a shopper's code is often scanned again while the cashier looks for the card.

use std::collections::BTreeMap;

use tillbind_protocol::event::{BindingRequest, Evidence, Stamp};
use tillbind_protocol::ids::{AccountRef, BindingId};
use tillbind_protocol::member_code::{
    KeySet, MemberCodeError, NONCE_BYTES, VerifyTime, verify, verify_signature,
};

use super::basket::MemberCard;

/// How long a nonce is kept beyond the code's expiry, in milliseconds.
pub const NONCE_MARGIN_MS: i64 = 24 * 3_600 * 1_000;
/// Most nonces remembered. Beyond it the one that expires first is forgotten; central, which sees all
/// terminals, refuses its second use.
pub const NONCES_MAX: usize = 10_000;

/// A code whose signature holds. `Debug` hides the account's person and the code.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedCode {
    /// The account.
    pub account: AccountRef,
    /// The nonce.
    pub nonce: [u8; NONCE_BYTES],
    /// When it ends, in seconds since 1970-01-01 UTC by central's clock.
    pub expires_s: i64,
    /// The code as scanned: central verifies it again.
    pub text: String,
}

impl std::fmt::Debug for VerifiedCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedCode")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// Why a member code is refused. The text is for the cashier.
#[derive(Debug, thiserror::Error)]
pub enum CodeRefused {
    /// No key set has arrived yet.
    #[error(
        "the member code cannot be verified: this terminal has no keys from headquarters yet; they \
         arrive with the first contact"
    )]
    NoKeys,
    /// It does not verify.
    #[error(transparent)]
    Invalid(#[from] MemberCodeError),
    /// A binding was requested with it before.
    #[error("the member code was used before: ask the shopper to refresh it")]
    Replayed,
}

/// The keys that codes are verified with and the nonces that were used.
#[derive(Debug, Default)]
pub struct MemberCodes {
    keys: KeySet,
    used: BTreeMap<[u8; NONCE_BYTES], i64>,
}

impl MemberCodes {
    /// Starts with the keys and the nonces (with the time until which each is kept, in milliseconds)
    /// of earlier runs.
    pub fn new(keys: KeySet, used: impl IntoIterator<Item = ([u8; NONCE_BYTES], i64)>) -> Self {
        Self {
            keys,
            used: used.into_iter().collect(),
        }
    }

    /// Returns the version of the key set; 0 for none.
    pub fn keys_version(&self) -> u32 {
        self.keys.version
    }

    /// Takes a key set from central.
    pub fn handle_keys(&mut self, keys: KeySet) {
        self.keys = keys;
    }

    /// Verifies a code at `stamp`. Where central's clock was never seen its expiry cannot be judged:
    /// the code is taken and the event's stamp says that its time is unknown, so that central judges.
    ///
    /// # Errors
    /// [`CodeRefused`].
    pub fn verify(&self, text: &str, stamp: &Stamp) -> Result<VerifiedCode, CodeRefused> {
        if self.keys.keys.is_empty() {
            return Err(CodeRefused::NoKeys);
        }
        let claims = match stamp.uncertainty_ms {
            None => verify_signature(text, &self.keys)?,
            Some(uncertainty_ms) => verify(
                text,
                &self.keys,
                VerifyTime {
                    now_ms: stamp.corrected_ms(),
                    uncertainty_ms,
                },
            )?,
        };
        if self.used.contains_key(&claims.nonce) {
            return Err(CodeRefused::Replayed);
        }
        Ok(VerifiedCode {
            account: claims.account,
            nonce: claims.nonce,
            expires_s: claims.expires_s,
            text: text.to_owned(),
        })
    }

    /// Learns the nonce of a binding request that waits in the outbox at start; returns until when
    /// to remember it. Without the key that signed the code it cannot be read and is left to central.
    pub fn learn(&mut self, request: &BindingRequest) -> Option<([u8; NONCE_BYTES], i64)> {
        let Evidence::MemberCode { code } = &request.evidence;
        let claims = verify_signature(code, &self.keys).ok()?;
        Some((
            claims.nonce,
            self.handle_used(claims.nonce, claims.expires_s),
        ))
    }

    /// Says whether a binding was requested with this nonce.
    pub fn is_used(&self, nonce: &[u8; NONCE_BYTES]) -> bool {
        self.used.contains_key(nonce)
    }

    /// Takes note that a binding is requested with this code; returns until when to remember its
    /// nonce, in milliseconds.
    pub fn handle_used(&mut self, nonce: [u8; NONCE_BYTES], expires_s: i64) -> i64 {
        let until_ms = expires_s
            .saturating_mul(1_000)
            .saturating_add(NONCE_MARGIN_MS);
        self.used.insert(nonce, until_ms);
        until_ms
    }

    /// Takes note that the request with this code could not be recorded.
    pub fn handle_lost(&mut self, nonce: &[u8; NONCE_BYTES]) {
        self.used.remove(nonce);
    }

    /// Forgets and returns the nonces whose time is over at `now_ms` by central's clock, and the
    /// oldest beyond [`NONCES_MAX`].
    pub fn evict(&mut self, now_ms: i64) -> Vec<[u8; NONCE_BYTES]> {
        let mut gone: Vec<_> = self
            .used
            .iter()
            .filter(|(_, until)| **until < now_ms)
            .map(|(nonce, _)| *nonce)
            .collect();
        let left = self.used.len() - gone.len();
        if left > NONCES_MAX {
            let mut by_end: Vec<_> = self
                .used
                .iter()
                .filter(|(_, until)| **until >= now_ms)
                .map(|(nonce, until)| (*until, *nonce))
                .collect();
            by_end.sort_unstable();
            gone.extend(
                by_end
                    .into_iter()
                    .take(left - NONCES_MAX)
                    .map(|(_, nonce)| nonce),
            );
        }
        for nonce in &gone {
            self.used.remove(nonce);
        }
        gone
    }
}

/// A binding that is asked for, and the code that it uses up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The request.
    pub request: BindingRequest,
    /// The nonce of the code.
    pub nonce: [u8; NONCE_BYTES],
    /// When the code ends, in seconds since 1970-01-01 UTC by central's clock.
    pub expires_s: i64,
}

impl Binding {
    /// Asks to bind `card` to the account of `code`, under a random name.
    pub fn new(
        id: [u8; super::BINDING_ID_BYTES],
        card: &MemberCard,
        code: &VerifiedCode,
    ) -> Option<Self> {
        // Hex digits always make a name.
        let id = BindingId::new(hex::encode(id)).ok()?;
        Some(Self {
            request: BindingRequest {
                id,
                card: card.number.clone(),
                card_kind: card.kind.clone(),
                account: code.account.clone(),
                evidence: Evidence::MemberCode {
                    code: code.text.clone(),
                },
            },
            nonce: code.nonce,
            expires_s: code.expires_s,
        })
    }
}
