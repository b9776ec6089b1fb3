//! Membership cards and their number in its one form.
//!
//! The one form of a number: spaces and dashes are dropped; more than [`UNPADDED_DIGITS_MAX`]
//! digits lose their leading zeros, since journals pad numbers to a fixed width; a chip's UID is
//! hexadecimal in upper case. So a card scanned and the same card in a journal are equal. Shorter
//! numbers keep their zeros: on a card they are part of the number.

use std::fmt;

use zeroize::Zeroizing;

use super::ean;
use super::payment::PaymentKind;

/// The fewest characters of a card number; shorter ones are a shop's PLU or a slip of the hand.
pub const CARD_DIGITS_MIN: usize = 4;
/// The most characters of a card number; the longest in use is a padded journal field of 25.
pub const CARD_DIGITS_MAX: usize = 32;
/// A number of more digits than this has been padded with zeros, and loses them. No card number
/// of ISO/IEC 7812 is longer.
pub const UNPADDED_DIGITS_MAX: usize = 19;

/// A membership card's number in its one form. `Debug` shows the last characters alone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CardNumber(String);

impl CardNumber {
    /// Reads a number that is in its one form already, as from a store or a wire.
    ///
    /// # Errors
    /// [`CardError`] when it has a wrong length or holds anything but digits and upper-case
    /// hexadecimal.
    pub fn parse(text: &str) -> Result<Self, CardError> {
        if !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F')) {
            return Err(CardError::NotANumber);
        }
        check_length(text)?;
        Ok(Self(text.to_owned()))
    }

    /// Returns the whole number: personal data, for the store, the wire and the till alone.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns `****` and the last four characters (two of a number shorter than eight), for logs
    /// and screens.
    pub fn masked(&self) -> String {
        let shown = if self.0.len() < 8 { 2 } else { 4 };
        let tail = self
            .0
            .get(self.0.len().saturating_sub(shown)..)
            .unwrap_or_default();
        format!("****{tail}")
    }
}

impl fmt::Debug for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// Where a card number comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CardKind {
    /// A GS1 service relation number (AI 8018).
    Gsrn,
    /// An EAN in a range of restricted distribution.
    Ean,
    /// A magnetic stripe.
    Stripe,
    /// Any other number.
    Number,
    /// A chip's UID.
    Uid,
}

impl CardKind {
    /// Returns the stable name, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gsrn => "gsrn",
            Self::Ean => "ean",
            Self::Stripe => "stripe",
            Self::Number => "number",
            Self::Uid => "uid",
        }
    }
}

/// A membership card. Two cards are the same when their numbers are, whatever their kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The number.
    pub number: CardNumber,
    /// Where it comes from.
    pub kind: CardKind,
}

/// Why a text is no card number. No message shows the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// Nothing but blanks.
    #[error("the card number is empty")]
    Empty,
    /// Other characters than digits, or hexadecimal of another length than a chip's.
    #[error(
        "this is no card number: digits are needed, or a chip's number in hexadecimal; type it \
         as it is printed on the card"
    )]
    NotANumber,
    /// Fewer than [`CARD_DIGITS_MIN`] characters.
    #[error("the card number is shorter than {CARD_DIGITS_MIN} digits: type all of it")]
    TooShort,
    /// More than [`CARD_DIGITS_MAX`] characters.
    #[error("the card number is longer than {CARD_DIGITS_MAX} digits: type one number alone")]
    TooLong,
    /// The check digit does not hold.
    #[error("the check digit of the card number is wrong: compare it with the card")]
    CheckDigit,
    /// A chip that makes up another UID each time.
    #[error("this chip shows a random number at each reading and cannot serve as a member card")]
    RandomUid,
    /// A magnetic stripe that was not read whole.
    #[error("the magnetic stripe was not read whole: swipe the card again")]
    Misread,
    /// Payment data.
    #[error(
        "this is {0}, not a membership card; it was not kept. If it is a membership card, add \
         the beginning of its number to member_prefixes"
    )]
    Payment(PaymentKind),
}

impl Card {
    pub(super) fn from_gsrn(gsrn: &str) -> Result<Self, CardError> {
        Ok(Self {
            number: CardNumber::parse(gsrn)?,
            kind: CardKind::Gsrn,
        })
    }

    /// Makes a card of digits that a member prefix has claimed.
    ///
    /// Thirteen digits of a restricted range are an EAN and must have its check digit, or a misread
    /// would be another member. `read_as_ean` says that the scanner itself calls it one.
    pub(super) fn from_member_digits(digits: &str, read_as_ean: bool) -> Result<Self, CardError> {
        let is_ean = match digits.len() {
            13 => read_as_ean || ean::is_restricted(digits),
            8 | 12 => read_as_ean,
            _ => false,
        };
        if is_ean && !ean::check_digit_holds(digits) {
            return Err(CardError::CheckDigit);
        }
        let kind = if is_ean {
            CardKind::Ean
        } else {
            CardKind::Number
        };
        Ok(Self {
            number: CardNumber::parse(digits)?,
            kind,
        })
    }
}

/// Returns the digits of a text of digits with spaces and dashes, unpadded; `None` for other texts.
pub(super) fn compact_digits(text: &str) -> Option<Zeroizing<String>> {
    let mut digits = Zeroizing::new(String::with_capacity(text.len()));
    for character in text.chars() {
        match character {
            '0'..='9' => digits.push(character),
            ' ' | '-' => {}
            _ => return None,
        }
    }
    if digits.is_empty() {
        return None;
    }
    if digits.len() > UNPADDED_DIGITS_MAX {
        return Some(Zeroizing::new(digits.trim_start_matches('0').to_owned()));
    }
    Some(digits)
}

/// Says whether a number in its one form is neither too short nor too long.
pub(super) fn check_length(number: &str) -> Result<(), CardError> {
    match number.len() {
        0..CARD_DIGITS_MIN => Err(CardError::TooShort),
        CARD_DIGITS_MIN..=CARD_DIGITS_MAX => Ok(()),
        _ => Err(CardError::TooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_number_shows_only_its_end() {
        let long = CardNumber::parse("6275980000000008").unwrap();
        assert_eq!(
            (format!("{long:?}").as_str(), long.masked().as_str()),
            ("****0008", "****0008")
        );
        assert_eq!(CardNumber::parse("12345").unwrap().masked(), "****45");
        assert_eq!(CardNumber::parse("04a2b3c4"), Err(CardError::NotANumber));
    }
}
