//! Numbers as receipts print them, read exactly or not at all.

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::money::Currency;

/// Most digits of one number; more are a barcode or damage.
const DIGITS_MAX: usize = 18;

/// How a receipt's numbers are written.
#[derive(Debug, Clone)]
pub(in crate::receipt) struct NumberFormat {
    pub(in crate::receipt) decimal: char,
    pub(in crate::receipt) thousands: Option<char>,
    pub(in crate::receipt) currency: Currency,
}

/// Why a text is no number in the profile's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Something other than digits, separators, a sign and a currency.
    #[error("it is not a number in the profile's format")]
    NotANumber,
    /// The thousands separator stands where it divides no thousands.
    #[error("its thousands separators do not divide groups of three digits")]
    Grouping,
    /// More decimals than the currency has.
    #[error("it has more decimals than the currency")]
    TooFine,
    /// More digits than any amount has.
    #[error("it has too many digits")]
    TooLong,
}

impl NumberFormat {
    /// Reads an amount to minor units, exactly.
    pub(in crate::receipt) fn minor(&self, text: &str) -> Result<i64, AmountError> {
        let scaled = self.scaled(text)?;
        if !scaled.is_integer() {
            return Err(AmountError::TooFine);
        }
        scaled.to_i64().ok_or(AmountError::TooLong)
    }

    /// Reads a unit price to minor units, rounded half even where it is finer.
    pub(super) fn minor_rounded(&self, text: &str) -> Result<i64, AmountError> {
        self.scaled(text)?
            .round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven)
            .to_i64()
            .ok_or(AmountError::TooLong)
    }

    /// Returns a number as receipts of this format print it.
    pub(super) fn example(&self) -> String {
        let thousands = self.thousands.map(String::from).unwrap_or_default();
        let exponent = self.currency.exponent() as usize;
        let decimals = match exponent {
            0 => String::new(),
            some => format!("{}{}", self.decimal, "5".repeat(some)),
        };
        format!("1{thousands}234{decimals}")
    }

    /// Returns the amount that a line ends in, a tax letter or a currency behind it allowed.
    pub(super) fn last_amount(&self, line: &str) -> Option<i64> {
        let mut words = line.split_whitespace().rev();
        let last = words.next()?;
        let bears_decimals =
            |word: &str| self.currency.exponent() == 0 || word.contains(self.decimal);
        let read = |word: &str| self.minor(word).ok().filter(|_| bears_decimals(word));
        let is_tail = last.chars().count() <= 3 && !last.contains(|c: char| c.is_ascii_digit());
        read(last).or_else(|| words.next().filter(|_| is_tail).and_then(read))
    }

    fn scaled(&self, text: &str) -> Result<Decimal, AmountError> {
        let factor = Decimal::from(10u64.pow(self.currency.exponent()));
        self.number(text)?
            .checked_mul(factor)
            .ok_or(AmountError::TooLong)
    }

    /// Reads a number: a sign before or behind it, parentheses for a negative one, a currency sign or
    /// code on either side, separators as the profile says.
    pub(in crate::receipt) fn number(&self, text: &str) -> Result<Decimal, AmountError> {
        let narrow: String = text.chars().map(narrow).collect();
        let (negative, digits) = self.strip(&narrow)?;
        let plain = self.plain(digits)?;
        if plain.len() > DIGITS_MAX {
            return Err(AmountError::TooLong);
        }
        let number = Decimal::from_str_exact(&plain).map_err(|_| AmountError::NotANumber)?;
        Ok(if negative { -number } else { number })
    }

    /// Takes off sign, parentheses and currency; returns whether the number is negative.
    fn strip<'a>(&self, text: &'a str) -> Result<(bool, &'a str), AmountError> {
        let mut rest = text.trim();
        let mut signs = 0;
        if let Some(inner) = rest.strip_prefix('(').and_then(|r| r.strip_suffix(')')) {
            rest = inner.trim();
            signs += 1;
        }
        loop {
            let before = rest;
            if let Some(after) = rest.strip_prefix('-').or_else(|| rest.strip_suffix('-')) {
                rest = after;
                signs += 1;
            }
            rest = rest.strip_prefix('+').unwrap_or(rest);
            rest = rest.trim_matches(is_currency_sign).trim();
            rest = strip_code(rest, self.currency.as_str());
            if rest == before {
                break;
            }
        }
        match signs {
            0 => Ok((false, rest)),
            1 => Ok((true, rest)),
            _ => Err(AmountError::NotANumber),
        }
    }

    /// Rewrites the digits with a dot for the decimals and nothing between thousands.
    fn plain(&self, digits: &str) -> Result<String, AmountError> {
        let (whole, fraction) = match digits.split_once(self.decimal) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (digits, None),
        };
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let mut plain = String::new();
        let mut groups = 0;
        let separator = self.thousands.unwrap_or(self.decimal);
        let same = |c: char| c == separator || (separator == ' ' && c.is_whitespace());
        for group in whole.split(same) {
            if !all_digits(group) {
                // ".50" is a number; "1,,000" is none.
                if group.is_empty() && whole.is_empty() && fraction.is_some() {
                    break;
                }
                return Err(AmountError::NotANumber);
            }
            if groups > 0 && (group.len() != 3 || plain.is_empty()) {
                return Err(AmountError::Grouping);
            }
            plain.push_str(group);
            groups += 1;
        }
        if groups > 1 && whole.split(same).next().is_some_and(|g| g.len() > 3) {
            return Err(AmountError::Grouping);
        }
        if plain.is_empty() {
            plain.push('0');
        }
        if let Some(fraction) = fraction {
            if !all_digits(fraction) {
                return Err(AmountError::NotANumber);
            }
            plain.push('.');
            plain.push_str(fraction);
        }
        Ok(plain)
    }
}

/// Takes a currency's code off either end.
fn strip_code<'a>(text: &'a str, code: &str) -> &'a str {
    let front = text.get(..code.len());
    if front.is_some_and(|f| f.eq_ignore_ascii_case(code)) {
        return text[code.len()..].trim();
    }
    let Some(cut) = text.len().checked_sub(code.len()) else {
        return text;
    };
    let back = text.get(cut..);
    if back.is_some_and(|b| b.eq_ignore_ascii_case(code)) {
        return text[..cut].trim();
    }
    text
}

/// Full-width digits and signs, and the minus sign proper, as their ASCII counterparts.
fn narrow(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
        '\u{2212}' | '\u{2010}' | '\u{2013}' => '-',
        '\u{A0}' | '\u{202F}' | '\u{3000}' => ' ',
        '\u{2019}' => '\'',
        other => other,
    }
}

/// Signs of Unicode's category Sc and the words that stand for them in East Asia. The backslash is among
/// them: its place, 5C, is the yen sign in JIS X 0201 and the won sign in KS X 1003.
fn is_currency_sign(c: char) -> bool {
    matches!(c, '$' | '\\' | '\u{A2}'..='\u{A5}' | '\u{20A0}'..='\u{20C0}' | '\u{E3F}' | '元' | '円' | '圆' | '원')
        || c == '\u{FFE5}'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(decimal: char, thousands: Option<char>, currency: &str) -> NumberFormat {
        NumberFormat {
            decimal,
            thousands,
            currency: Currency::parse(currency).unwrap(),
        }
    }

    #[test]
    fn amounts_are_read_to_the_minor_unit() {
        let us = format('.', Some(','), "USD");
        assert_eq!(us.minor("12.50"), Ok(1250));
        assert_eq!(us.minor(" $ 1,234,567.89 "), Ok(123_456_789));
        assert_eq!(us.minor("USD 3"), Ok(300));
        assert_eq!(us.minor(".5"), Ok(50));
        let de = format(',', Some('.'), "EUR");
        assert_eq!(de.minor("1.234,50 €"), Ok(123_450));
        assert_eq!(de.minor("1,50-"), Ok(-150));
        let jp = format('.', Some(','), "JPY");
        assert_eq!(jp.minor("￥１，２３４"), Ok(1234));
        assert_eq!(jp.minor(r"-\1,234"), Ok(-1234));
        let ch = format('.', Some('\''), "CHF");
        assert_eq!(ch.minor("CHF 1’234.05"), Ok(123_405));
        let fr = format(',', Some(' '), "EUR");
        assert_eq!(fr.minor("1\u{202f}234,50 EUR"), Ok(123_450));
    }

    #[test]
    fn a_negative_amount_is_told_by_minus_on_either_side_or_by_parentheses() {
        let us = format('.', Some(','), "USD");
        for text in [
            "-5.00",
            "5.00-",
            "(5.00)",
            "$-5.00",
            "-$5.00",
            "\u{2212}5.00",
        ] {
            assert_eq!(us.minor(text), Ok(-500), "{text}");
        }
        assert_eq!(us.minor("(-5.00)"), Err(AmountError::NotANumber));
    }

    #[test]
    fn a_decimal_taken_for_a_thousand_is_refused_rather_than_multiplied() {
        let us = format('.', Some(','), "USD");
        assert_eq!(us.minor("1,50"), Err(AmountError::Grouping));
        assert_eq!(us.minor("1234,567.00"), Err(AmountError::Grouping));
        assert_eq!(us.minor("1.005"), Err(AmountError::TooFine));
        assert_eq!(us.minor("1.500"), Ok(150));
        let plain = format('.', None, "USD");
        assert_eq!(plain.minor("1,500.00"), Err(AmountError::NotANumber));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let us = format('.', Some(','), "USD");
        for text in [
            "",
            "-",
            ".",
            "abc",
            "1.2.3",
            "1..2",
            "12x",
            "1,,000",
            "5.00 6.00",
        ] {
            assert!(us.minor(text).is_err(), "{text}");
        }
        assert_eq!(us.minor("4006381333931000000"), Err(AmountError::TooLong));
    }

    #[test]
    fn a_unit_price_finer_than_the_currency_is_rounded_half_even() {
        let us = format('.', None, "USD");
        assert_eq!(us.minor_rounded("1.385"), Ok(138));
        assert_eq!(us.minor_rounded("1.375"), Ok(138));
        assert_eq!(us.minor_rounded("0.0391"), Ok(4));
    }
}
