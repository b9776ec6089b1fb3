//! Claim codes: what a terminal prints on a receipt, by which a shopper finishes a binding online.
//!
//! A code is 15 random symbols and a check symbol, in Crockford's alphabet of 32, written in groups of
//! four: `5D9B-TJPM-5D9B-TJPW`. As a symbol on the receipt it is [`CLAIM_PREFIX`] and the symbols without
//! hyphens: 20 characters, which is all that a QR code of version 1 holds at level M.
//!
//! 75 bits are random: a hundred million codes that wait to be used have no two alike (10^-7), and who
//! guesses hits one of them in 10^14 attempts. The check symbol (Luhn's algorithm modulo 32) finds each
//! single wrong symbol and nearly each swap of two neighbours, so that a slip of the finger is told from
//! a code that headquarters has not heard of yet.
//!
//! A code is money to whoever holds it. The terminal tells headquarters its [`ClaimDigest`] alone, and
//! nobody reads a code off an export, a log or a disk.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::{DIGEST_BYTES, digest_text};

/// What the content of every printed code starts with.
pub const CLAIM_PREFIX: &str = "TBC:";
/// Random bytes that make a code; of the last, five bits are left out.
pub const CLAIM_RANDOM_BYTES: usize = 10;
/// Symbols of a code, its check symbol among them.
pub const CLAIM_SYMBOLS: usize = 16;
/// Longest text that is looked at, in bytes.
const TEXT_BYTES_MAX: usize = 64;
/// Symbols between two hyphens.
const GROUP: usize = 4;
/// Crockford's Base32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A claim code. Shown by [`fmt::Display`] as it is printed; its debugging form hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimCode([u8; CLAIM_SYMBOLS]);

/// A text that is no claim code. Tells nothing of it but one character that does not belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimCodeError {
    /// It has too few or too many symbols.
    #[error(
        "a claim code has {CLAIM_SYMBOLS} letters and digits, this has {0}: type all of it, hyphens may \
         be left out"
    )]
    Length(usize),
    /// A character that no code has.
    #[error("no claim code has the character {0:?}: look at the receipt again")]
    Symbol(char),
    /// The check symbol does not fit.
    #[error("the claim code is mistyped: compare it with the receipt")]
    Check,
}

impl ClaimCode {
    /// Makes a code of random bytes that nobody can foresee.
    pub fn new(random: [u8; CLAIM_RANDOM_BYTES]) -> Self {
        let mut bits = random
            .iter()
            .fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
        let mut values = [0; CLAIM_SYMBOLS];
        for value in &mut values[..CLAIM_SYMBOLS - 1] {
            *value = (bits & 31) as u8;
            bits >>= 5;
        }
        values[CLAIM_SYMBOLS - 1] = check_value(&values[..CLAIM_SYMBOLS - 1]);
        Self(values.map(|value| ALPHABET[usize::from(value)]))
    }

    /// Reads a code as it was scanned or typed: with or without its prefix, hyphens and blanks, in small
    /// letters, O for 0 and I or L for 1.
    ///
    /// # Errors
    /// [`ClaimCodeError`].
    pub fn parse(text: &str) -> Result<Self, ClaimCodeError> {
        let text = text.trim();
        if text.len() > TEXT_BYTES_MAX {
            return Err(ClaimCodeError::Length(text.chars().count()));
        }
        let body = match text.get(..CLAIM_PREFIX.len()) {
            Some(head) if head.eq_ignore_ascii_case(CLAIM_PREFIX) => &text[CLAIM_PREFIX.len()..],
            Some(_) | None => text,
        };
        let mut values = Vec::with_capacity(CLAIM_SYMBOLS);
        for c in body.chars().filter(|c| *c != '-' && !c.is_whitespace()) {
            values.push(value(c).ok_or(ClaimCodeError::Symbol(c))?);
        }
        let length = values.len();
        let values: [u8; CLAIM_SYMBOLS] = values
            .try_into()
            .map_err(|_| ClaimCodeError::Length(length))?;
        if values[CLAIM_SYMBOLS - 1] != check_value(&values[..CLAIM_SYMBOLS - 1]) {
            return Err(ClaimCodeError::Check);
        }
        Ok(Self(values.map(|value| ALPHABET[usize::from(value)])))
    }

    /// Returns what a printed symbol holds: the prefix and the code without hyphens.
    pub fn content(&self) -> String {
        format!("{CLAIM_PREFIX}{}", self.symbols())
    }

    /// Returns by what headquarters knows the code.
    pub fn digest(&self) -> ClaimDigest {
        let mut digest = [0; DIGEST_BYTES];
        blake3::Hasher::new_derive_key("tillbind 2026 claim code v1")
            .update(&self.0)
            .finalize_xof()
            .fill(&mut digest);
        ClaimDigest(digest)
    }

    fn symbols(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for ClaimCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, symbol) in self.symbols().char_indices() {
            if at > 0 && at % GROUP == 0 {
                f.write_str("-")?;
            }
            write!(f, "{symbol}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ClaimCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimCode(…)")
    }
}

/// By what headquarters knows a claim code: a hash from which nobody makes the code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClaimDigest(pub [u8; DIGEST_BYTES]);

digest_text!(ClaimDigest, "claim digest");

fn value(c: char) -> Option<u8> {
    let c = match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        c => c,
    };
    let at = ALPHABET
        .iter()
        .position(|symbol| char::from(*symbol) == c)?;
    u8::try_from(at).ok()
}

/// Luhn's algorithm modulo 32: from the right every other value counts twice, its two digits in base 32
/// added.
fn check_value(values: &[u8]) -> u8 {
    let sum: u32 = values
        .iter()
        .rev()
        .enumerate()
        .map(|(at, value)| {
            let counted = u32::from(*value) * if at % 2 == 0 { 2 } else { 1 };
            counted / 32 + counted % 32
        })
        .sum();
    // Below 32, so it fits.
    ((32 - sum % 32) % 32) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_printed_in_groups_and_read_back_however_it_is_typed() {
        let code = ClaimCode::new([0xA5; CLAIM_RANDOM_BYTES]);
        let printed = code.to_string();
        assert_eq!(printed, "5D9B-TJPM-5D9B-TJPW");
        assert_eq!(code.content().len(), 20);
        for typed in [
            printed.clone(),
            printed.to_lowercase(),
            printed.replace('-', ""),
            printed.replace('-', " "),
            code.content(),
            code.content().to_lowercase(),
            format!("  {printed}\n"),
        ] {
            assert_eq!(ClaimCode::parse(&typed).as_ref(), Ok(&code), "{typed}");
        }
        let zeros = ClaimCode::new([0; CLAIM_RANDOM_BYTES]);
        assert_eq!(zeros.to_string(), "0000-0000-0000-0000");
        assert_eq!(ClaimCode::parse("oOoO-0000-0000-0000"), Ok(zeros));
    }

    #[test]
    fn what_is_no_code_says_why_and_repeats_no_more_than_a_character() {
        assert_eq!(ClaimCode::parse(""), Err(ClaimCodeError::Length(0)));
        assert_eq!(ClaimCode::parse("TBC:7K2M"), Err(ClaimCodeError::Length(4)));
        assert_eq!(
            ClaimCode::parse("7K2M-9QXD-4HRT-0A3U"),
            Err(ClaimCodeError::Symbol('U'))
        );
        assert_eq!(
            ClaimCode::parse(&"7".repeat(1_000)),
            Err(ClaimCodeError::Length(1_000))
        );
        let _wild = ClaimCode::parse("TBÇ:ÄÖÜ").unwrap_err();
        assert_eq!(format!("{:?}", ClaimCode::new([7; 10])), "ClaimCode(…)");
    }

    #[test]
    fn the_digest_is_pinned_and_says_nothing_of_the_code() {
        let code = ClaimCode::new([0; CLAIM_RANDOM_BYTES]);
        assert_eq!(code.digest().to_string(), "vQN1oBPwwHur5LiQjob34g");
        let other = ClaimCode::new([1; CLAIM_RANDOM_BYTES]);
        assert_ne!(code.digest(), other.digest());
        let written = serde_json::to_string(&code.digest()).unwrap();
        assert_eq!(
            serde_json::from_str::<ClaimDigest>(&written).unwrap(),
            code.digest()
        );
        assert!(serde_json::from_str::<ClaimDigest>("\"short\"").is_err());
    }

    proptest! {
        #[test]
        fn every_wrong_symbol_is_found(random: [u8; CLAIM_RANDOM_BYTES], at in 0..CLAIM_SYMBOLS, to in 0usize..32) {
            let mut code = ClaimCode::new(random);
            prop_assume!(code.0[at] != ALPHABET[to]);
            code.0[at] = ALPHABET[to];
            prop_assert_eq!(ClaimCode::parse(&code.to_string()), Err(ClaimCodeError::Check));
        }

        #[test]
        fn two_codes_of_different_bits_differ(a: [u8; CLAIM_RANDOM_BYTES], b: [u8; CLAIM_RANDOM_BYTES]) {
            let same = (a[0] & 7, &a[1..]) == (b[0] & 7, &b[1..]);
            prop_assert_eq!(ClaimCode::new(a) == ClaimCode::new(b), same);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _read = ClaimCode::parse(&text).is_ok();
        }
    }
}
