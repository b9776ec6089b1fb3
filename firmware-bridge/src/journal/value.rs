//! Texts of a journal as amounts, times and words, by rules that the settings give.
//!
//! Nothing is guessed: whether amounts are major or minor units, which decimal mark they have and
//! how times are written is said. A text that does not fit is refused with its digits hidden, since
//! it may be a number of a card that stands where it should not.

use std::collections::BTreeMap;

use chrono::format::{Item as FormatItem, StrftimeItems};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::money::Currency;
use crate::sale::{SaleKind, SaleTime};

/// Characters of a number that are accepted; a longer text is no amount.
const NUMBER_CHARS_MAX: usize = 32;
/// Amounts beyond this are refused, so that the sums of a transaction cannot overflow.
const AMOUNT_MINOR_MAX: i64 = 1 << 52;
/// Characters of a refused text that are shown.
const SHOWN_CHARS_MAX: usize = 24;
/// Digits that the name of a column has at most, as in `Tax2` and `Sales2026`.
const NAME_DIGITS_MAX: usize = 4;

/// What the numbers of amounts count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmountUnit {
    /// Euros, dollars, with decimals: `12.50`.
    Major,
    /// Cents, whole: `1250`.
    Minor,
}

/// What stands before a number's decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DecimalMark {
    /// `12.50`; thousands may be set apart by commas.
    #[default]
    Point,
    /// `12,50`; thousands may be set apart by points.
    Comma,
}

/// What a transaction's word for its kind means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KindMeaning {
    /// A sale, return or void.
    Is(SaleKind),
    /// No sale, as in a drawer that was opened: passed over.
    Skipped,
}

/// In which zone times without an offset are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Zone {
    /// The till's own.
    #[default]
    Local,
    /// At a fixed offset from UTC.
    Fixed(FixedOffset),
}

/// A format of dates or times that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no format of times: write it as in \"%d.%m.%Y %H:%M:%S\"")]
pub struct FormatError(pub String);

/// A format of dates or times in the notation of strftime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeFormat(String);

impl TimeFormat {
    /// Checks a format.
    ///
    /// # Errors
    /// [`FormatError`] when a part of it is unknown, or when it holds none.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let mut any = false;
        for item in StrftimeItems::new(text) {
            match item {
                FormatItem::Error => return Err(FormatError(text.to_owned())),
                FormatItem::Numeric(..) | FormatItem::Fixed(_) => any = true,
                FormatItem::Literal(_)
                | FormatItem::OwnedLiteral(_)
                | FormatItem::Space(_)
                | FormatItem::OwnedSpace(_) => {}
            }
        }
        match any {
            true => Ok(Self(text.to_owned())),
            false => Err(FormatError(text.to_owned())),
        }
    }
}

/// How the values of a journal are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueRules {
    /// What amounts count.
    pub unit: AmountUnit,
    /// Decimal mark of amounts and quantities.
    pub decimal: DecimalMark,
    /// Currency of transactions that name none.
    pub currency: Option<Currency>,
    /// Format of times with their date; RFC 3339 or `2026-05-01 10:00:00` without one.
    pub time_format: Option<TimeFormat>,
    /// Format of dates; `2026-05-01` without one.
    pub date_format: Option<TimeFormat>,
    /// Format of times of day; `10:00:00` without one.
    pub clock_format: Option<TimeFormat>,
    /// Zone of times without an offset.
    pub zone: Zone,
    /// The POS's words for kinds, in lower case; without any, `sale`, `return` and `void`.
    pub kinds: BTreeMap<String, KindMeaning>,
    /// Whether lines hold the tax, where the source does not say; `None` takes what balances.
    pub tax_included: Option<bool>,
    /// Whether the amounts of lines have their discounts taken off already.
    pub amounts_after_discount: bool,
    /// Whether returns are written with positive amounts.
    pub returns_positive: bool,
}

impl ValueRules {
    /// Makes the rules of a source that writes like this project's own exports, but for `unit`.
    pub fn new(unit: AmountUnit) -> Self {
        Self {
            unit,
            decimal: DecimalMark::default(),
            currency: None,
            time_format: None,
            date_format: None,
            clock_format: None,
            zone: Zone::default(),
            kinds: BTreeMap::new(),
            tax_included: None,
            amounts_after_discount: false,
            returns_positive: false,
        }
    }

    /// Returns the amount in minor units. Decimals beyond those of the currency are refused, but
    /// for what a binary floating-point number adds of itself.
    pub(super) fn minor(&self, name: &str, text: &str, currency: Currency) -> Result<i64, String> {
        let value = self.scaled(name, text, currency)?;
        let minor = rounded(value);
        if (value - minor).abs() > Decimal::new(1, 6) {
            return Err(match self.unit {
                AmountUnit::Major => format!(
                    "{name} {} is finer than the minor unit of {currency}: have the POS round it",
                    hidden(text)
                ),
                AmountUnit::Minor => format!(
                    "{name} {} has decimals, but amounts are minor units by the settings: write \
                     amounts = \"major\" if they are not",
                    hidden(text)
                ),
            });
        }
        self.whole(name, text, minor)
    }

    /// Returns a price in minor units, rounded half even: prices of one gram may be finer.
    pub(super) fn minor_rounded(
        &self,
        name: &str,
        text: &str,
        currency: Currency,
    ) -> Result<i64, String> {
        let value = self.scaled(name, text, currency)?;
        self.whole(name, text, rounded(value))
    }

    fn scaled(&self, name: &str, text: &str, currency: Currency) -> Result<Decimal, String> {
        let value = self.decimal(name, text)?;
        let factor = match self.unit {
            AmountUnit::Major => Decimal::from(10u64.pow(currency.exponent())),
            AmountUnit::Minor => Decimal::ONE,
        };
        value
            .checked_mul(factor)
            .ok_or_else(|| format!("{name} {} is too large for an amount", hidden(text)))
    }

    fn whole(&self, name: &str, text: &str, minor: Decimal) -> Result<i64, String> {
        minor
            .to_i64()
            .filter(|minor| minor.unsigned_abs() <= AMOUNT_MINOR_MAX.unsigned_abs())
            .ok_or_else(|| format!("{name} {} is too large for an amount", hidden(text)))
    }

    /// Returns a number: digits with the decimal mark, thousands set apart in threes, a minus
    /// before, behind, or as brackets.
    pub(super) fn decimal(&self, name: &str, text: &str) -> Result<Decimal, String> {
        let (mark, group) = match self.decimal {
            DecimalMark::Point => ('.', ','),
            DecimalMark::Comma => (',', '.'),
        };
        number(text, mark, group).ok_or_else(|| {
            format!(
                "{name} {} is no number with the decimal mark {mark:?}: correct the setting \
                 \"decimal\", or where {name} is read from",
                hidden(text)
            )
        })
    }

    pub(super) fn time(&self, name: &str, text: &str) -> Result<SaleTime, String> {
        let text = text.trim();
        let told = match &self.time_format {
            Some(TimeFormat(format)) => DateTime::parse_from_str(text, format)
                .map(SaleTime::Zoned)
                .or_else(|_| NaiveDateTime::parse_from_str(text, format).map(SaleTime::Local))
                .ok(),
            None => iso_time(text),
        };
        let told = told.ok_or_else(|| self.no_time(name, text, "time_format"))?;
        self.in_zone(told)
            .ok_or_else(|| self.no_time(name, text, "zone"))
    }

    /// Joins a date and a time of day.
    pub(super) fn joined_time(&self, date: &str, clock: &str) -> Result<SaleTime, String> {
        let day = self.date("date", date)?;
        let clock_text = clock.trim();
        let time = match &self.clock_format {
            Some(TimeFormat(format)) => NaiveTime::parse_from_str(clock_text, format).ok(),
            None => ["%H:%M:%S%.f", "%H:%M"]
                .iter()
                .find_map(|format| NaiveTime::parse_from_str(clock_text, format).ok()),
        };
        let time = time.ok_or_else(|| self.no_time("time", clock, "clock_format"))?;
        self.in_zone(SaleTime::Local(day.and_time(time)))
            .ok_or_else(|| self.no_time("time", clock, "zone"))
    }

    pub(super) fn date(&self, name: &str, text: &str) -> Result<NaiveDate, String> {
        let format = self.date_format.as_ref().map_or("%Y-%m-%d", |f| &f.0);
        NaiveDate::parse_from_str(text.trim(), format)
            .map_err(|_| self.no_time(name, text, "date_format"))
    }

    fn in_zone(&self, told: SaleTime) -> Option<SaleTime> {
        match (told, self.zone) {
            (SaleTime::Local(local), Zone::Fixed(offset)) => offset
                .from_local_datetime(&local)
                .single()
                .map(SaleTime::Zoned),
            (SaleTime::Local(_) | SaleTime::Zoned(_), Zone::Local)
            | (SaleTime::Zoned(_), Zone::Fixed(_)) => Some(told),
        }
    }

    fn no_time(&self, name: &str, text: &str, setting: &str) -> String {
        format!(
            "{name} {} is not written as expected: correct the setting {setting:?}",
            hidden(text)
        )
    }

    pub(super) fn kind(&self, text: &str) -> Result<KindMeaning, String> {
        let word = text.trim().to_lowercase();
        let known = match word.as_str() {
            "sale" => Some(KindMeaning::Is(SaleKind::Sale)),
            "return" => Some(KindMeaning::Is(SaleKind::Return)),
            "void" => Some(KindMeaning::Is(SaleKind::Void)),
            _ => None,
        };
        let found = match self.kinds.is_empty() {
            true => known,
            false => self.kinds.get(&word).copied(),
        };
        found.ok_or_else(|| {
            format!(
                "the kind {} is not known: say in [journal.kinds] whether it is a sale, return, \
                 void or skip",
                hidden(text)
            )
        })
    }
}

/// Returns whether a mark is set: anything but nothing and the usual words for no. A source may
/// write a time here, as in the time at which a sale was cancelled.
pub(super) fn is_set(text: &str) -> bool {
    let text = text.trim();
    !["", "0", "false", "no", "n", "null", "f"]
        .iter()
        .any(|no| text.eq_ignore_ascii_case(no))
}

fn rounded(value: Decimal) -> Decimal {
    value.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven)
}

fn iso_time(text: &str) -> Option<SaleTime> {
    if let Ok(zoned) = DateTime::parse_from_rfc3339(text) {
        return Some(SaleTime::Zoned(zoned));
    }
    const LOCAL: &[&str] = &[
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ];
    LOCAL
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(SaleTime::Local)
}

fn number(text: &str, mark: char, group: char) -> Option<Decimal> {
    let text = text.trim();
    if text.len() > NUMBER_CHARS_MAX {
        return None;
    }
    // As programs write a number that should have been zero: 5.55e-17.
    if mark == '.' && text.contains(['e', 'E']) {
        return Decimal::from_scientific(text).ok();
    }
    let bracketed = text.strip_prefix('(').and_then(|t| t.strip_suffix(')'));
    let before = text.strip_prefix(['-', '\u{2212}']);
    let behind = text.strip_suffix('-');
    let (negative, digits) = match (bracketed, before, behind) {
        (Some(inner), _, _) | (None, Some(inner), _) | (None, None, Some(inner)) => (true, inner),
        (None, None, None) => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = match digits.split_once(mark) {
        Some((whole, fraction)) => (whole, fraction),
        None => (digits, ""),
    };
    let whole = ungrouped(whole, group)?;
    let only_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !only_digits(&whole) || !only_digits(fraction) {
        return None;
    }
    let whole = if whole.is_empty() { "0" } else { &whole };
    let plain = match fraction.is_empty() {
        true => whole.to_owned(),
        false => format!("{whole}.{fraction}"),
    };
    let value: Decimal = plain.parse().ok()?;
    Some(if negative { -value } else { value })
}

/// Takes out the marks between thousands; `None` where they do not stand before each three digits.
fn ungrouped(whole: &str, group: char) -> Option<String> {
    let is_mark = |c: char| c == group || matches!(c, ' ' | '\u{A0}' | '\u{202F}' | '\'');
    let mut parts = whole.split(is_mark);
    let first = parts.next()?;
    let mut out = first.to_owned();
    let mut grouped = false;
    for part in parts {
        if part.len() != 3 {
            return None;
        }
        grouped = true;
        out.push_str(part);
    }
    if grouped && !(1..=3).contains(&first.len()) {
        return None;
    }
    Some(out)
}

/// Shows a text that was refused, cut short and with its digits hidden.
pub(super) fn hidden(text: &str) -> String {
    let shown: String = text
        .chars()
        .take(SHOWN_CHARS_MAX)
        .map(|c| if c.is_numeric() { '#' } else { c })
        .collect();
    format!("{shown:?}")
}

/// Shows the name of a column, cut short. Without a header the first row is shown in its place, so that
/// what could be a card's number has its digits hidden.
pub(super) fn shown_name(name: &str) -> String {
    let digits = name.chars().filter(|c| c.is_numeric()).count();
    let is_number = digits > NAME_DIGITS_MAX;
    name.chars()
        .take(SHOWN_CHARS_MAX)
        .map(|c| match c {
            c if is_number && c.is_numeric() => '#',
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eur() -> Currency {
        Currency::parse("EUR").unwrap()
    }

    fn rules(unit: AmountUnit, decimal: DecimalMark) -> ValueRules {
        ValueRules {
            decimal,
            ..ValueRules::new(unit)
        }
    }

    #[test]
    fn amounts_are_read_by_the_mark_and_unit_that_are_set_and_by_no_other() {
        let point = rules(AmountUnit::Major, DecimalMark::Point);
        let comma = rules(AmountUnit::Major, DecimalMark::Comma);
        let minor = rules(AmountUnit::Minor, DecimalMark::Point);
        for (rules, text, expected) in [
            (&point, "1,234.50", Some(123_450)),
            (&point, "12", Some(1_200)),
            (&point, "-.5", Some(-50)),
            (&point, "5.00-", Some(-500)),
            (&point, "(5.00)", Some(-500)),
            (&point, "12,50", None),
            (&point, "4.1400000000000006", Some(414)),
            (&point, "4.145", None),
            (&point, "5.55e-17", Some(0)),
            (&comma, "5e1", None),
            (&point, "--1", None),
            (&point, "", None),
            (&comma, "1.234,50", Some(123_450)),
            (&comma, "1'234,5", Some(123_450)),
            (&comma, "12.50", None),
            (&minor, "1250", Some(1_250)),
            (&minor, "12.50", None),
            (&minor, "99999999999999999999999", None),
        ] {
            assert_eq!(rules.minor("total", text, eur()).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_refused_text_does_not_show_its_digits() {
        let point = rules(AmountUnit::Major, DecimalMark::Point);
        let problem = point
            .minor("total", "4111111111111111 x", eur())
            .unwrap_err();
        assert!(!problem.contains("41"), "{problem}");
    }

    #[test]
    fn times_are_local_unless_they_or_the_settings_name_a_zone() {
        let mut rules = ValueRules::new(AmountUnit::Major);
        let shown = |time: SaleTime| match time {
            SaleTime::Local(time) => format!("{time} local"),
            SaleTime::Zoned(time) => time.to_rfc3339(),
        };
        let read = |rules: &ValueRules, text: &str| rules.time("ended_at", text).map(shown);
        assert_eq!(
            read(&rules, "2026-05-01T10:00:00+02:00").unwrap(),
            "2026-05-01T10:00:00+02:00"
        );
        assert_eq!(
            read(&rules, "2026-05-01 10:00:00").unwrap(),
            "2026-05-01 10:00:00 local"
        );
        rules.zone = Zone::Fixed(FixedOffset::east_opt(3_600).unwrap());
        assert_eq!(
            read(&rules, "2026-05-01 10:00").unwrap(),
            "2026-05-01T10:00:00+01:00"
        );
        rules.time_format = Some(TimeFormat::parse("%d.%m.%Y %H:%M").unwrap());
        assert_eq!(
            read(&rules, "01.05.2026 10:00").unwrap(),
            "2026-05-01T10:00:00+01:00"
        );
        assert!(read(&rules, "2026-05-01 10:00").is_err());
        assert!(TimeFormat::parse("%Q").is_err());
        assert!(TimeFormat::parse("yyyy-mm-dd").is_err());
    }
}
