//! What a scanned code means: member card, member code, claim code, payment, or unknown.
//!
//! [`classify`] asks in this order: the prefix of a member code or claim code; a magnetic stripe;
//! a GS1 recipient number; the store's member prefixes; the payment tests; unknown. A GS1
//! recipient number is known by its identifier and check digit and cannot be a payment number, so
//! asking for it before the prefixes takes nothing from them.
//!
//! Limits: what is unknown keeps at most [`UNKNOWN_TEXT_CHARS_MAX`] characters of its text, and
//! none that could be payment data. Deliberately lacking: the meaning of a member code, which is
//! signed and read elsewhere; goods, which are the till's business.

mod card;
pub mod ean;
pub mod gs1;
pub mod payment;
mod rules;
mod stripe;
pub mod symbology;

use std::fmt;

use zeroize::Zeroizing;

pub use card::{
    CARD_DIGITS_MAX, CARD_DIGITS_MIN, Card, CardError, CardKind, CardNumber, UNPADDED_DIGITS_MAX,
};
pub use payment::PaymentKind;
pub use rules::{CardRules, CardRulesError, PREFIX_DIGITS_MAX, PREFIXES_MAX, PrefixWarning};
pub use symbology::Symbology;

/// What every member code starts with.
pub const MEMBER_CODE_PREFIX: &str = "TB1:";
/// What every claim code starts with.
pub const CLAIM_CODE_PREFIX: &str = "TBC:";
/// The most characters kept of an unknown code; the rest is cut off.
pub const UNKNOWN_TEXT_CHARS_MAX: usize = 256;

/// What a scanned code means. `Debug` shows no number and no text of the code.
#[derive(Clone, PartialEq, Eq)]
pub enum Code {
    /// A membership card.
    MemberCard(Card),
    /// The signed code of an online account, whole, with its prefix.
    MemberCode(String),
    /// A claim code from a receipt, whole, with its prefix.
    ClaimCode(String),
    /// Payment data, of which nothing was kept.
    Payment(PaymentKind),
    /// Anything else.
    Unknown {
        /// The code's text without the symbology's identifier, control characters shown as
        /// pictures (U+2400 …), cut at [`UNKNOWN_TEXT_CHARS_MAX`].
        text: String,
        /// What the scanner said that it read.
        symbology: Option<Symbology>,
        /// Why it is no member's.
        reason: UnknownReason,
    },
}

/// Why a code is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnknownReason {
    /// Nothing but blanks.
    Empty,
    /// No rule knows it.
    NotRecognised,
    /// A member's or GS1 number whose check digit does not hold.
    CheckDigit,
    /// An EAN of a restricted range that no member prefix claims: weighed goods, coupons.
    RestrictedRange,
    /// GS1 data that name no recipient of a service.
    Gs1WithoutMember,
    /// GS1 data that are malformed.
    Gs1Malformed,
    /// A coupon: EAN 05, 98, 99, or GS1 8110, 8112, 255. It is the till's to take.
    Coupon,
    /// A magnetic stripe that no member prefix claims.
    UnlistedStripe,
    /// A magnetic stripe that was not read whole.
    StripeMisread,
    /// A chip that makes up another number at each reading.
    RandomUid,
}

impl UnknownReason {
    /// Returns the stable name, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotRecognised => "not_recognised",
            Self::CheckDigit => "check_digit",
            Self::RestrictedRange => "restricted_range",
            Self::Gs1WithoutMember => "gs1_without_member",
            Self::Gs1Malformed => "gs1_malformed",
            Self::Coupon => "coupon",
            Self::UnlistedStripe => "unlisted_stripe",
            Self::StripeMisread => "stripe_misread",
            Self::RandomUid => "random_uid",
        }
    }
}

impl fmt::Display for UnknownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the scan is empty",
            Self::NotRecognised => "no rule knows this code",
            Self::CheckDigit => "the check digit is wrong: scan again",
            Self::RestrictedRange => {
                "an article or coupon of the store's own range; member cards of this range need \
                 their beginning in member_prefixes"
            }
            Self::Gs1WithoutMember => "a GS1 code that names no member (8018)",
            Self::Gs1Malformed => "a GS1 code that is not well formed",
            Self::Coupon => "a coupon, no member card: scan it at the till",
            Self::StripeMisread => "the magnetic stripe was not read whole: swipe again",
            Self::RandomUid => {
                "this chip shows another number at each reading and cannot serve as a member card"
            }
            Self::UnlistedStripe => {
                "a magnetic stripe of an unknown issuer; if it is a member card, add the beginning \
                 of its number to member_prefixes"
            }
        })
    }
}

impl Code {
    /// Returns the stable name of what the code is: `member_card`, `member_code`, `claim_code`,
    /// `payment_refused` or `unknown`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::MemberCard(_) => "member_card",
            Self::MemberCode(_) => "member_code",
            Self::ClaimCode(_) => "claim_code",
            Self::Payment(_) => "payment_refused",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// Says what a chip's number means, which is upper-case hexadecimal.
    pub(crate) fn from_chip(hex: &str, is_random: bool) -> Self {
        let reason = match CardNumber::parse(hex) {
            Ok(number) if !is_random => {
                return Self::MemberCard(Card {
                    number,
                    kind: CardKind::Uid,
                });
            }
            Ok(_) => UnknownReason::RandomUid,
            Err(_) => UnknownReason::NotRecognised,
        };
        Self::Unknown {
            text: "chip".to_owned(),
            symbology: None,
            reason,
        }
    }

    /// Says that by rule the number was something else as well, and what settled it.
    pub fn ambiguity(&self) -> Option<Ambiguity> {
        match self {
            Self::MemberCard(card) => {
                let digits = card.number.expose();
                match card.kind {
                    CardKind::Stripe | CardKind::Number => {
                        payment::kind_of(digits).map(Ambiguity::MemberOrPayment)
                    }
                    CardKind::Ean => ean::is_coupon(digits).then_some(Ambiguity::MemberOrCoupon),
                    CardKind::Gsrn | CardKind::Uid => None,
                }
            }
            Self::Payment(PaymentKind::WeChatOrGsrn) => Some(Ambiguity::WalletOrGsrn),
            Self::Payment(
                PaymentKind::Stripe
                | PaymentKind::Card
                | PaymentKind::WeChat
                | PaymentKind::Alipay
                | PaymentKind::UnionPay,
            )
            | Self::MemberCode(_)
            | Self::ClaimCode(_)
            | Self::Unknown { .. } => None,
        }
    }
}

/// A number that is by rule two things. The settings say which one it counts as; nothing is guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ambiguity {
    /// A member's by its prefix, and a payment number as well.
    MemberOrPayment(PaymentKind),
    /// A member's by its prefix, and a coupon's as well.
    MemberOrCoupon,
    /// A wallet's code that was refused, and a GSRN without its identifier as well.
    WalletOrGsrn,
}

impl fmt::Display for Ambiguity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MemberOrPayment(kind) => write!(
                f,
                "a number with a member prefix is also {kind}; it was taken for a member card, as \
                 member_prefixes says"
            ),
            Self::MemberOrCoupon => f.write_str(
                "a number with a member prefix is also a coupon's; it was taken for a member card, \
                 as member_prefixes says",
            ),
            Self::WalletOrGsrn => f.write_str(
                "a number of 18 digits is both a WeChat Pay code and a membership number (GSRN); \
                 it was refused. If it is a member's, print it with its identifier (8018) or add \
                 its beginning to member_prefixes",
            ),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MemberCard(card) => f.debug_tuple("MemberCard").field(card).finish(),
            Self::MemberCode(text) => write!(f, "MemberCode([{} bytes])", text.len()),
            Self::ClaimCode(text) => write!(f, "ClaimCode([{} bytes])", text.len()),
            Self::Payment(kind) => f.debug_tuple("Payment").field(kind).finish(),
            Self::Unknown {
                text,
                symbology,
                reason,
            } => {
                write!(
                    f,
                    "Unknown([{} bytes], {symbology:?}, {reason:?})",
                    text.len()
                )
            }
        }
    }
}

/// Says what the bytes of one scan mean, with or without an AIM identifier in front.
///
/// Every copy that this function makes of the bytes is zeroised; the caller's own buffer is the
/// caller's to zeroise, as [`Frame`](crate::scanner::Frame) does when it is dropped.
pub fn classify(data: &[u8], rules: &CardRules) -> Code {
    let text = Zeroizing::new(String::from_utf8_lossy(data).into_owned());
    classify_text(&text, None, rules)
}

/// Says what a code means of which a program tells the text and perhaps the symbology.
///
/// An AIM identifier in the text itself outweighs `symbology`.
pub fn classify_text(text: &str, symbology: Option<Symbology>, rules: &CardRules) -> Code {
    let (identified, body) = symbology::split(text);
    let symbology = identified.or(symbology);

    // Base45 may end in a space that is part of it, so nothing is trimmed there.
    let start = body.trim_start();
    if start.starts_with(MEMBER_CODE_PREFIX) {
        return Code::MemberCode(start.to_owned());
    }
    let body = body.trim();
    if body.starts_with(CLAIM_CODE_PREFIX) {
        return Code::ClaimCode(body.to_owned());
    }
    match stripe::read(body, rules) {
        Some(stripe::Stripe::Member(number)) => {
            return Code::MemberCard(Card {
                number,
                kind: CardKind::Stripe,
            });
        }
        Some(stripe::Stripe::Payment) => return Code::Payment(PaymentKind::Stripe),
        Some(stripe::Stripe::Misread) => {
            return Code::Unknown {
                text: "magnetic stripe".to_owned(),
                symbology,
                reason: UnknownReason::StripeMisread,
            };
        }
        Some(stripe::Stripe::Unlisted { shown }) => {
            return Code::Unknown {
                text: shown,
                symbology,
                reason: UnknownReason::UnlistedStripe,
            };
        }
        None => {}
    }

    let digits = card::compact_digits(without_add_on(body, symbology));
    let gs1 = read_gs1(body, digits.as_deref().map(String::as_str), symbology);
    if let Gs1Reading::Member(card) = gs1 {
        return Code::MemberCard(card);
    }
    let reason = match digits {
        Some(digits) => match of_digits(&digits, symbology, rules) {
            Ok(code) => return code,
            Err(reason) => gs1.reason().unwrap_or(reason),
        },
        None if body.is_empty() => UnknownReason::Empty,
        None => gs1.reason().unwrap_or(UnknownReason::NotRecognised),
    };
    if payment::is_hidden_in(body, rules) && !is_read_as_ean(body, symbology) {
        return Code::Payment(PaymentKind::Card);
    }
    Code::Unknown {
        text: shown(body),
        symbology,
        reason,
    }
}

/// Says what a text of digits alone means, or why nothing.
fn of_digits(
    digits: &str,
    symbology: Option<Symbology>,
    rules: &CardRules,
) -> Result<Code, UnknownReason> {
    let read_as_ean = symbology.is_some_and(Symbology::is_ean);
    if rules.is_member_number(digits) {
        return match Card::from_member_digits(digits, read_as_ean) {
            Ok(card) => Ok(Code::MemberCard(card)),
            Err(CardError::CheckDigit) => Err(UnknownReason::CheckDigit),
            Err(
                CardError::Empty
                | CardError::NotANumber
                | CardError::TooShort
                | CardError::TooLong
                | CardError::RandomUid
                | CardError::Misread
                | CardError::Payment(_),
            ) => Err(UnknownReason::NotRecognised),
        };
    }
    if !is_read_as_ean(digits, symbology)
        && let Some(kind) = payment::kind_of(digits)
    {
        return Ok(Code::Payment(kind));
    }
    if ean::is_coupon(digits) {
        return Err(UnknownReason::Coupon);
    }
    if digits.len() == 13 && ean::is_restricted(digits) {
        return Err(UnknownReason::RestrictedRange);
    }
    Err(UnknownReason::NotRecognised)
}

/// Says whether the scanner itself calls this an EAN, and length and check digit agree.
///
/// Then it is no payment number, though every tenth article that starts with 4 passes Luhn's test.
fn is_read_as_ean(text: &str, symbology: Option<Symbology>) -> bool {
    let article = without_add_on(text, symbology);
    symbology.is_some_and(Symbology::is_ean)
        && matches!(article.len(), 8 | 12 | 13)
        && ean::check_digit_holds(article)
}

/// What GS1 has to say about a code.
enum Gs1Reading {
    NotGs1,
    Member(Card),
    NoMember(UnknownReason),
}

impl Gs1Reading {
    fn reason(&self) -> Option<UnknownReason> {
        match self {
            Self::NotGs1 | Self::Member(_) => None,
            Self::NoMember(reason) => Some(*reason),
        }
    }
}

fn read_gs1(body: &str, digits: Option<&str>, symbology: Option<Symbology>) -> Gs1Reading {
    let message = if symbology.is_some_and(Symbology::is_gs1) && !body.starts_with("http") {
        gs1::Message::from_element_string(body)
    } else if body.starts_with(['(', '[']) {
        gs1::Message::from_bracketed(body)
    } else if let Some(gsrn) = digits
        .filter(|_| symbology.is_none())
        .and_then(gs1::recipient_in_digits)
    {
        return Card::from_gsrn(gsrn).map_or(Gs1Reading::NotGs1, Gs1Reading::Member);
    } else {
        match gs1::Message::from_link(body) {
            Err(gs1::Gs1Error::NotGs1) => return Gs1Reading::NotGs1,
            link => link,
        }
    };
    let message = message.and_then(|message| message.check_pairs().map(|()| message));
    match message {
        Ok(message) => match message.recipient() {
            Some(gsrn) => Card::from_gsrn(gsrn).map_or(Gs1Reading::NotGs1, Gs1Reading::Member),
            None if message.is_coupon() => Gs1Reading::NoMember(UnknownReason::Coupon),
            None => Gs1Reading::NoMember(UnknownReason::Gs1WithoutMember),
        },
        Err(gs1::Gs1Error::CheckDigit { .. }) => Gs1Reading::NoMember(UnknownReason::CheckDigit),
        Err(
            gs1::Gs1Error::NotGs1
            | gs1::Gs1Error::UnknownIdentifier { .. }
            | gs1::Gs1Error::Value { .. }
            | gs1::Gs1Error::Excluded { .. }
            | gs1::Gs1Error::Alone { .. }
            | gs1::Gs1Error::Order
            | gs1::Gs1Error::TooMany,
        ) => Gs1Reading::NoMember(UnknownReason::Gs1Malformed),
    }
}

/// Cuts the add-on of two or five digits off an EAN that the scanner says has one.
fn without_add_on(text: &str, symbology: Option<Symbology>) -> &str {
    match symbology {
        Some(Symbology::Ean13AddOn) if matches!(text.len(), 15 | 18) => {
            text.get(..13).unwrap_or(text)
        }
        _ => text,
    }
}

/// Makes a text fit to be shown: bounded, control characters as pictures.
fn shown(text: &str) -> String {
    text.chars()
        .take(UNKNOWN_TEXT_CHARS_MAX)
        .map(|c| match u32::from(c) {
            control @ 0..=0x1f => char::from_u32(0x2400 + control).unwrap_or('\u{fffd}'),
            0x7f => '\u{2421}',
            0x80..=0x9f => '\u{fffd}',
            _ => c,
        })
        .collect()
}

#[cfg(test)]
mod tests;
