//! The inner layout of coupons: AI 8110 and AI 8112.
//!
//! Layout of 8110 (GS1 US, North American Coupon Application Guideline), digits alone: company,
//! offer (6), save value, purchase requirement with its code and family (3); then, each led by its
//! own digit and in this order, 1 and 2 further purchases, 3 the day of expiry, 4 the first day,
//! 5 a serial number, 6 the retailer, 9 the rest. Layout of 8112 (GS1 US, AI 8112 Coupon Data
//! Specification): format, funder, offer (6), serial number. A part of varying length has the digit
//! of its length in front.
//!
//! Deliberately lacking: what a coupon is worth, which is the till's business.

use std::ops::{Range, RangeInclusive};

/// How the digits of a coupon are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// AI 8110, the coupon code.
    CouponCode,
    /// AI 8112, the coupon of a positive offer file.
    PositiveOffer,
}

impl Layout {
    /// Says whether `value` is laid out so, to its last digit.
    pub(super) fn holds(self, value: &str) -> bool {
        if !value.bytes().all(|b| b.is_ascii_digit()) {
            return false;
        }
        let mut digits = Digits(value);
        let is_whole = match self {
            Self::CouponCode => coupon_code(&mut digits),
            Self::PositiveOffer => positive_offer(&mut digits),
        };
        is_whole.is_some() && digits.0.is_empty()
    }
}

/// Lengths of a company's number: the digit in front counts from 6.
const COMPANY: (RangeInclusive<u8>, usize) = (0..=6, 6);
/// Lengths of a value.
const VALUE: (RangeInclusive<u8>, usize) = (1..=5, 0);

fn coupon_code(digits: &mut Digits<'_>) -> Option<()> {
    digits.counted(COMPANY)?;
    digits.take(6)?;
    digits.counted(VALUE)?;
    purchase(digits)?;
    if digits.is_next(1) {
        digits.one_of(&[0, 1, 2, 3])?;
        purchase(digits)?;
        company_or_none(digits)?;
    }
    if digits.is_next(2) {
        purchase(digits)?;
        company_or_none(digits)?;
    }
    let expiry = match digits.is_next(3) {
        true => Some(digits.day()?),
        false => None,
    };
    if digits.is_next(4) {
        let first = digits.day()?;
        if expiry.is_some_and(|expiry| expiry < first) {
            return None;
        }
    }
    if digits.is_next(5) {
        digits.counted((0..=9, 6))?;
    }
    if digits.is_next(6) {
        digits.counted((1..=7, 6))?;
    }
    if digits.is_next(9) {
        digits.one_of(&[0, 1, 2, 5, 6])?;
        digits.one_of(&[0, 1, 2])?;
        digits.take(1)?;
        digits.one_of(&[0, 1])?;
    }
    Some(())
}

fn positive_offer(digits: &mut Digits<'_>) -> Option<()> {
    digits.one_of(&[0, 1])?;
    digits.counted(COMPANY)?;
    digits.take(6)?;
    digits.counted((0..=9, 6))
}

/// A purchase's requirement, its code and its family.
fn purchase(digits: &mut Digits<'_>) -> Option<()> {
    digits.counted(VALUE)?;
    digits.one_of(&[0, 1, 2, 3, 4, 9])?;
    digits.take(3).map(|_| ())
}

/// The company of a further purchase; 9 says that it is the first one's.
fn company_or_none(digits: &mut Digits<'_>) -> Option<()> {
    if digits.is_next(9) {
        return Some(());
    }
    digits.counted(COMPANY)
}

/// The digits that are still to be read.
struct Digits<'a>(&'a str);

impl<'a> Digits<'a> {
    fn take(&mut self, count: usize) -> Option<&'a str> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn one(&mut self) -> Option<u8> {
        self.take(1)?.parse().ok()
    }

    fn one_of(&mut self, allowed: &[u8]) -> Option<()> {
        let digit = self.one()?;
        allowed.contains(&digit).then_some(())
    }

    /// Reads a digit that tells a length (to which `more` is added), and as many digits.
    fn counted(&mut self, (allowed, more): (RangeInclusive<u8>, usize)) -> Option<()> {
        let length = self.one().filter(|length| allowed.contains(length))?;
        self.take(usize::from(length) + more).map(|_| ())
    }

    /// Takes the next digit if it is `lead`.
    fn is_next(&mut self, lead: u8) -> bool {
        let mut ahead = Self(self.0);
        let is_lead = ahead.one() == Some(lead);
        if is_lead {
            self.0 = ahead.0;
        }
        is_lead
    }

    /// Reads a day as YYMMDD, which orders as it stands.
    fn day(&mut self) -> Option<&'a str> {
        let day = self.take(6)?;
        let number = |range: Range<usize>| day.get(range)?.parse().ok();
        let (year, month, date): (u32, u32, u32) = (number(0..2)?, number(2..4)?, number(4..6)?);
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if year.is_multiple_of(4) => 29,
            2 => 28,
            _ => return None,
        };
        (1..=days).contains(&date).then_some(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coupon_code_is_read_through_all_its_parts() {
        let plain = "012345612345610104123";
        for (tail, is_whole) in [
            ("", true),
            ("1", false),
            ("101001239", true),
            ("131001230123456", true),
            ("131001230", false),
            ("151001239", false),
            ("2100123012345", false),
            ("21001230123456", true),
            ("3200229", true),
            ("3200230", false),
            ("3190229", false),
            ("4201301", false),
            ("32012314201231", true),
            ("32012304201231", false),
            ("50123456", true),
            ("5012345", false),
            ("611234567", true),
            ("60123456", false),
            ("90000", true),
            ("93000", false),
            ("90300", false),
            ("90002", false),
            ("900000", false),
            ("7", false),
        ] {
            let value = format!("{plain}{tail}");
            assert_eq!(Layout::CouponCode.holds(&value), is_whole, "{tail}");
        }
    }

    #[test]
    fn a_coupon_of_an_offer_file_ends_with_its_serial_number() {
        for (value, is_whole) in [
            ("001234561234560123456", true),
            ("1612345678901212345691234567890123451", false),
            ("161234567890121234569123456789012345", true),
            ("201234561234560123456", false),
            ("071234567890121234560123456", false),
            ("00123456123456012345", false),
            ("00123456123456012345A", false),
            ("", false),
        ] {
            assert_eq!(Layout::PositiveOffer.holds(value), is_whole, "{value}");
        }
    }
}
