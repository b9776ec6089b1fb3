//! Payment numbers: how they are recognised, so that they can be thrown away.
//!
//! A card number (PAN) is 13 to 19 digits that pass Luhn's test and start as one of the schemes
//! does. A wallet's payment code is told by its first digits and length alone.
//!
//! Which mistakes are accepted: a scan is refused rather than kept whenever it could be a payment
//! number, and about one foreign number in a hundred of 13 to 19 digits is refused with them. In
//! free text, where goods and receipt numbers abound, the test is narrower, see
//! [`mask_payment_numbers`]. A prefix in [`CardRules`] overrides both.

mod mask;

pub use mask::{REPLACEMENT, mask_payment_numbers};

use std::fmt;

use super::{CardRules, ean};

/// The shortest and the longest card number, in digits (ISO/IEC 7812 and the schemes' tables).
const PAN_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// The kind of payment data that was refused. Carries nothing of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaymentKind {
    /// A magnetic stripe.
    Stripe,
    /// A payment card's number.
    Card,
    /// A WeChat Pay code.
    WeChat,
    /// A WeChat Pay code by its beginning and a GSRN by its check digit: by rule it is both.
    WeChatOrGsrn,
    /// An Alipay code.
    Alipay,
    /// A UnionPay QR code.
    UnionPay,
}

impl PaymentKind {
    /// Returns the stable name, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Card => "card",
            Self::WeChat => "wechat",
            Self::WeChatOrGsrn => "wechat_or_gsrn",
            Self::Alipay => "alipay",
            Self::UnionPay => "unionpay",
        }
    }
}

impl fmt::Display for PaymentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stripe => "a payment card's magnetic stripe",
            Self::Card => "a payment card's number",
            Self::WeChat => "a WeChat Pay code",
            Self::WeChatOrGsrn => {
                "a WeChat Pay code, or a membership number (GSRN) without its identifier"
            }
            Self::Alipay => "an Alipay code",
            Self::UnionPay => "a UnionPay code",
        })
    }
}

/// The first digits of one scheme's numbers: `width` digits from `first` to `last`.
#[derive(Debug, Clone, Copy)]
struct Range {
    scheme: &'static str,
    first: u32,
    last: u32,
    width: usize,
}

const fn range(scheme: &'static str, first: u32, last: u32, width: usize) -> Range {
    Range {
        scheme,
        first,
        last,
        width,
    }
}

const CARD_RANGES: &[Range] = &[
    range("Visa", 4, 4, 1),
    range("Mastercard", 51, 55, 2),
    range("Mastercard", 2221, 2720, 4),
    range("American Express", 34, 34, 2),
    range("American Express", 37, 37, 2),
    range("JCB", 35, 35, 2),
    range("Diners Club", 30, 30, 2),
    range("Diners Club", 36, 36, 2),
    range("Diners Club", 38, 38, 2),
    range("Discover", 6011, 6011, 4),
    range("Discover", 65, 65, 2),
    range("Discover", 644, 649, 3),
    range("UnionPay", 62, 62, 2),
];

const WECHAT: Range = range("WeChat Pay", 10, 15, 2);
const ALIPAY: Range = range("Alipay", 25, 30, 2);
const UNIONPAY_CODE: Range = range("UnionPay", 62, 62, 2);

impl Range {
    fn holds(&self, digits: &str) -> bool {
        digits
            .get(..self.width)
            .and_then(|head| head.parse().ok())
            .is_some_and(|head: u32| (self.first..=self.last).contains(&head))
    }

    /// Says whether `prefix` takes at least one of the range's beginnings whole.
    fn is_swallowed_by(&self, prefix: &str) -> bool {
        let width = self.width;
        prefix.len() <= width
            && (self.first..=self.last).any(|head| format!("{head:0width$}").starts_with(prefix))
    }
}

/// Says whether `digits` pass Luhn's test (ISO/IEC 7812-1, annex B). False for anything but digits.
pub fn passes_luhn(digits: &str) -> bool {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0') << (place % 2);
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Says whether `digits` could be a payment card's number: length, scheme and Luhn's test.
pub fn is_card_number(digits: &str) -> bool {
    PAN_DIGITS.contains(&digits.len())
        && CARD_RANGES.iter().any(|range| range.holds(digits))
        && passes_luhn(digits)
}

/// Says which kind of payment number the whole of `digits` is, if any.
pub(super) fn kind_of(digits: &str) -> Option<PaymentKind> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match digits.len() {
        _ if is_card_number(digits) => Some(PaymentKind::Card),
        18 if WECHAT.holds(digits) && ean::check_digit_holds(digits) => {
            Some(PaymentKind::WeChatOrGsrn)
        }
        18 if WECHAT.holds(digits) => Some(PaymentKind::WeChat),
        16..=24 if ALIPAY.holds(digits) => Some(PaymentKind::Alipay),
        19 if UNIONPAY_CODE.holds(digits) => Some(PaymentKind::UnionPay),
        _ => None,
    }
}

/// Says whether `text` holds a card number anywhere, whatever the spaces and dashes in it.
pub(super) fn is_hidden_in(text: &str, rules: &CardRules) -> bool {
    mask::first_number(text, rules, mask::Caution::Scan).is_some()
}

/// The beginnings of coupons among the EAN numbers, see [`ean::is_coupon`].
const COUPONS: [Range; 2] = [range("coupons", 5, 5, 2), range("coupons", 98, 99, 2)];

/// Returns whose numbers `prefix` takes whole for member cards: payment schemes and coupons.
pub(super) fn schemes_swallowed_by(prefix: &str) -> Vec<&'static str> {
    schemes(|range| range.is_swallowed_by(prefix))
}

/// Returns among whose numbers those of `prefix` are a part: payment schemes and coupons.
pub(super) fn schemes_around(prefix: &str) -> Vec<&'static str> {
    schemes(|range| prefix.len() > range.width && range.holds(prefix))
}

fn schemes(concerned: impl Fn(&Range) -> bool) -> Vec<&'static str> {
    let mut schemes: Vec<&'static str> = CARD_RANGES
        .iter()
        .chain([&WECHAT, &ALIPAY, &UNIONPAY_CODE])
        .chain(&COUPONS)
        .filter(|range| concerned(range))
        .map(|range| range.scheme)
        .collect();
    schemes.sort_unstable();
    schemes.dedup();
    schemes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_is_told_by_its_first_digits() {
        for number in [
            "4222222222222",
            "4111111111111111",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "3530111333300000",
            "30569309025904",
            "36700102000000",
            "6011111111111117",
            "6500000000000002",
            "6240008631401148",
        ] {
            assert!(is_card_number(number), "{number}");
            assert_eq!(kind_of(number), Some(PaymentKind::Card));
        }
    }

    #[test]
    fn length_scheme_and_luhn_are_all_needed() {
        for number in [
            "4111111111111112",
            "411111111111",
            "41111111111111111111",
            "9111111111111116",
            "",
            "411111111111111x",
        ] {
            assert!(!is_card_number(number), "{number}");
        }
    }

    #[test]
    fn wallet_codes_are_told_by_first_digits_and_length() {
        assert_eq!(kind_of("134567890123456789"), Some(PaymentKind::WeChat));
        assert_eq!(kind_of("13456789012345678"), None);
        assert_eq!(kind_of("164567890123456789"), None);
        assert_eq!(kind_of("284567890123456789"), Some(PaymentKind::Alipay));
        assert_eq!(
            kind_of("304567890123456789012345"),
            Some(PaymentKind::Alipay)
        );
        assert_eq!(kind_of("314567890123456789"), None);
        assert_eq!(kind_of("6212345678901234560"), Some(PaymentKind::UnionPay));
    }

    #[test]
    fn a_prefix_swallows_a_scheme_only_when_it_is_no_longer_than_the_schemes_own() {
        assert_eq!(schemes_swallowed_by("62"), ["UnionPay"]);
        assert_eq!(schemes_swallowed_by("2"), ["Alipay", "Mastercard"]);
        assert_eq!(schemes_swallowed_by("29"), ["Alipay"]);
        assert_eq!(schemes_swallowed_by("2500"), ["Mastercard"]);
        assert_eq!(schemes_swallowed_by("0"), ["coupons"]);
        assert_eq!(schemes_around("627598"), ["UnionPay"]);
        assert_eq!(schemes_around("123456"), ["WeChat Pay"]);
        assert_eq!(schemes_around("0512"), ["coupons"]);
        assert!(schemes_around("62").is_empty() && schemes_around("9512").is_empty());
        assert!(schemes_swallowed_by("627598").is_empty());
        assert!(schemes_swallowed_by("95").is_empty());
    }
}
