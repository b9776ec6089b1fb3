//! Numbers of a POSLog: XML decimals into minor units of the transaction's currency.

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

use super::PosLogError;
use super::element::Element;
use crate::money::Currency;

/// Digits of a number that are accepted; a longer one is no amount.
const DIGITS_MAX: usize = 24;

/// Reads amounts in one currency.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amounts {
    pub(super) currency: Currency,
}

impl Amounts {
    /// Returns the element's amount in minor units.
    ///
    /// # Errors
    /// [`PosLogError::Malformed`] when it is no number, in another currency, finer than the minor
    /// unit or too large.
    pub(super) fn minor(&self, element: &Element) -> Result<i64, PosLogError> {
        let value = self.decimal(element)?;
        let minor = self.scaled(element, value)?;
        if !minor.fract().is_zero() {
            return Err(malformed(
                element,
                "is finer than the currency's minor unit",
            ));
        }
        whole(element, minor)
    }

    /// Returns the element's amount in minor units, rounded half even.
    pub(super) fn minor_rounded(&self, element: &Element) -> Result<i64, PosLogError> {
        let value = self.decimal(element)?;
        let minor = self.scaled(element, value)?;
        whole(element, round(minor))
    }

    /// Returns the first child of that name as minor units.
    pub(super) fn child_minor(
        &self,
        parent: &Element,
        name: &str,
    ) -> Result<Option<i64>, PosLogError> {
        parent
            .child(name)
            .filter(|element| !element.text().is_empty())
            .map(|element| self.minor(element))
            .transpose()
    }

    /// Returns unit price × quantity in minor units, rounded half even, if it can be told.
    pub(super) fn times(&self, unit_price_minor: i64, quantity: Decimal) -> Option<i64> {
        let product = Decimal::from(unit_price_minor).checked_mul(quantity)?;
        round(product).to_i64()
    }

    fn decimal(&self, element: &Element) -> Result<Decimal, PosLogError> {
        let stated = element
            .attribute("Currency")
            .or_else(|| element.attribute("CurrencyCode"))
            .filter(|code| !code.is_empty());
        if stated.is_some_and(|code| !code.eq_ignore_ascii_case(self.currency.as_str())) {
            return Err(malformed(
                element,
                "is in another currency than the transaction",
            ));
        }
        decimal(element)
    }

    fn scaled(&self, element: &Element, value: Decimal) -> Result<Decimal, PosLogError> {
        value
            .checked_mul(Decimal::from(10u64.pow(self.currency.exponent())))
            .ok_or_else(|| malformed(element, "is too large for an amount"))
    }
}

/// Returns the element's text as a number: digits with a point, with or without a sign.
pub(super) fn decimal(element: &Element) -> Result<Decimal, PosLogError> {
    let text = element.text();
    let digits = text.trim_start_matches(['+', '-']);
    let plain = text.len() - digits.len() <= 1
        && digits.len() <= DIGITS_MAX
        && digits.bytes().any(|b| b.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if !plain {
        return Err(malformed(element, "is not a decimal number"));
    }
    Decimal::from_str_exact(text).map_err(|_| malformed(element, "is not a decimal number"))
}

fn round(value: Decimal) -> Decimal {
    value.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven)
}

/// Amounts beyond this are refused, so that the sums of a transaction cannot overflow.
const AMOUNT_MINOR_MAX: i64 = 1 << 52;

fn whole(element: &Element, minor: Decimal) -> Result<i64, PosLogError> {
    minor
        .to_i64()
        .filter(|minor| minor.unsigned_abs() <= AMOUNT_MINOR_MAX.unsigned_abs())
        .ok_or_else(|| malformed(element, "is too large for an amount"))
}

pub(super) fn malformed(element: &Element, problem: &'static str) -> PosLogError {
    PosLogError::Malformed {
        at: element.at,
        element: element.name.clone(),
        problem,
    }
}
