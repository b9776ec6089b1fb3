//! How a shop's receipts write amounts: decimal and thousands marks, and the currency.

use std::collections::BTreeMap;

use regex::Regex;

use super::words::Language;
use crate::money::Currency;
use crate::receipt::profile::NumberFormat;

/// Marks of currencies as receipts print them, and what they most often mean.
const MARKS: &[(&str, &str)] = &[
    ("R$", "BRL"),
    ("US$", "USD"),
    ("€", "EUR"),
    ("$", "USD"),
    ("£", "GBP"),
    ("₩", "KRW"),
    ("원", "KRW"),
    ("円", "JPY"),
    ("元", "CNY"),
    ("zł", "PLN"),
    ("EUR", "EUR"),
    ("USD", "USD"),
    ("GBP", "GBP"),
    ("CHF", "CHF"),
    ("PLN", "PLN"),
    ("JPY", "JPY"),
    ("CNY", "CNY"),
    ("RMB", "CNY"),
    ("KRW", "KRW"),
    ("BRL", "BRL"),
    ("¥", "JPY"),
    ("￥", "JPY"),
    ("\\", "JPY"),
];

/// A line ends in an amount: what an amount is, as a regular expression, and its parts.
#[derive(Debug, Clone)]
pub(super) struct Numbers {
    pub(super) decimal: char,
    pub(super) thousands: Option<char>,
    pub(super) currency: Currency,
    /// Marks that stand beside amounts.
    marks: Vec<String>,
    /// Every amount bears a mark, so that a number without one is none.
    marked: bool,
    /// What could not be told for sure.
    pub(super) doubts: Vec<String>,
}

impl Numbers {
    /// Finds the marks in all lines of all samples.
    pub(super) fn detect<'l>(
        lines: impl Iterator<Item = &'l str> + Clone,
        language: Option<Language>,
    ) -> Option<Self> {
        let decimals = |mark: char| {
            let pattern = format!(r"\d{}\d\d(?:\D|$)", regex::escape(&mark.to_string()));
            count_last(lines.clone(), &pattern)
        };
        let (dots, commas) = (decimals('.'), decimals(','));
        let whole = count_last(lines.clone(), r"(?:^|[^\d.,])\d{1,3}(?:[.,]\d{3})*$");
        let bare = count_last(lines.clone(), r"^-?[0-9]{1,3}(?:[.,][0-9]{3})*$");
        let minor_less = dots.max(commas) * 3 < whole && has_minor_less_mark(lines.clone());
        if dots + commas + whole == 0 {
            return None;
        }
        let mut doubts = Vec::new();
        let decimal = if commas > dots { ',' } else { '.' };
        let thousands = thousands(lines.clone(), decimal, minor_less);
        if thousands.is_none() {
            doubts.push(
                "thousands: no sample holds an amount so large that its mark shows".to_owned(),
            );
        }
        let marks = marks(lines.clone());
        let currency = currency(&marks, minor_less, language, &mut doubts);
        let thousands = thousands.or(Some(if decimal == ',' { '.' } else { ',' }));
        let numbers = Self {
            decimal,
            thousands,
            currency,
            marks: marks.keys().map(|mark| (*mark).to_owned()).collect(),
            marked: minor_less && marks.values().max().is_some_and(|most| *most >= 3 * bare),
            doubts,
        };
        Some(numbers)
    }

    /// Returns the reader of a profile with these marks.
    pub(super) fn format(&self) -> NumberFormat {
        NumberFormat {
            decimal: self.decimal,
            thousands: self.thousands,
            currency: self.currency,
        }
    }

    /// Returns what digits of an amount look like, without sign and mark.
    pub(super) fn digits(&self) -> String {
        let grouped = match self.thousands {
            Some(mark) => {
                let mark = regex::escape(&mark.to_string());
                format!(r"(?:[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+|[0-9]+)")
            }
            None => "[0-9]+".to_owned(),
        };
        match self.currency.exponent() {
            0 => grouped,
            exponent => {
                let decimal = regex::escape(&self.decimal.to_string());
                format!("{grouped}{decimal}[0-9]{{{exponent}}}")
            }
        }
    }

    /// Returns what a quantity looks like.
    pub(super) fn quantity(&self) -> String {
        let decimal = regex::escape(&self.decimal.to_string());
        format!(r"-?[0-9]{{1,4}}(?:{decimal}[0-9]{{1,3}})?")
    }

    fn mark(&self) -> Option<String> {
        let marks: Vec<String> = self.marks.iter().map(|mark| regex::escape(mark)).collect();
        match self.marks.as_slice() {
            [] => None,
            [one] if one.chars().count() == 1 => marks.into_iter().next(),
            _ => Some(format!("(?:{})", marks.join("|"))),
        }
    }

    /// Returns what an amount with a minus looks like.
    pub(super) fn negative(&self) -> String {
        let digits = self.digits();
        match self.mark() {
            Some(mark) => format!(
                r"(?:-\s?(?:{mark}\s?)?{digits}|(?:{mark}\s?)?(?:-{digits}|{digits}-))(?:\s?{mark})?"
            ),
            None => format!(r"(?:-\s?{digits}|{digits}-)"),
        }
    }

    /// Returns what a price looks like, its mark included.
    pub(super) fn price(&self) -> String {
        let digits = self.digits();
        match self.mark() {
            Some(mark) => format!(r"(?:{mark}\s?)?{digits}"),
            None => digits,
        }
    }

    /// Returns what an amount looks like, sign and mark included.
    pub(super) fn amount(&self) -> String {
        let digits = self.digits();
        match self.mark() {
            Some(mark) if self.marked => {
                format!(r"(?:-?{mark}\s?-?{digits}|-?{digits}\s?{mark})")
            }
            Some(mark) => format!(r"-?(?:{mark}\s?-?)?{digits}-?(?:\s?{mark})?"),
            None => format!("-?{digits}-?"),
        }
    }
}

/// Counts the lines whose last number is of a form.
fn count_last<'l>(lines: impl Iterator<Item = &'l str>, pattern: &str) -> usize {
    let Ok(pattern) = Regex::new(pattern) else {
        return 0;
    };
    lines
        .filter(|line| {
            let from = line.trim_end().rfind(char::is_whitespace).unwrap_or(0);
            line.get(from..)
                .is_some_and(|word| pattern.is_match(word.trim()))
        })
        .count()
}

/// Yen and won have no minor unit.
fn has_minor_less_mark<'l>(mut lines: impl Iterator<Item = &'l str>) -> bool {
    lines.any(|line| line.contains(['¥', '￥', '円', '₩', '원', '\\']))
}

/// Returns what stands between thousands, if a sample shows it.
fn thousands<'l>(
    lines: impl Iterator<Item = &'l str> + Clone,
    decimal: char,
    minor_less: bool,
) -> Option<char> {
    let tail = if minor_less {
        r"(?:\D|$)".to_owned()
    } else {
        format!(r"{}\d\d(?:\D|$)", regex::escape(&decimal.to_string()))
    };
    [',', '.', '\'', '\u{2019}', ' ', '\u{A0}', '\u{202F}']
        .into_iter()
        .filter(|mark| *mark != decimal || minor_less)
        .filter_map(|mark| {
            let escaped = regex::escape(&mark.to_string());
            let pattern = Regex::new(&format!(
                r"(?:^|[^\d.,:]){}{escaped}\d{{3}}{tail}",
                r"\d{1,3}"
            ))
            .ok()?;
            let count = lines.clone().filter(|line| pattern.is_match(line)).count();
            // A gap between columns looks like one between thousands, so it takes more to believe it.
            let enough = if mark == ' ' { 3 } else { 1 };
            (count >= enough).then_some((count, mark))
        })
        .max_by_key(|(count, _)| *count)
        .map(|(_, mark)| {
            if mark == '\u{2019}' {
                '\''
            } else if mark == '\u{A0}' || mark == '\u{202F}' {
                ' '
            } else {
                mark
            }
        })
}

/// Counts the lines on which each mark stands beside a number.
fn marks<'l>(lines: impl Iterator<Item = &'l str> + Clone) -> BTreeMap<&'static str, usize> {
    MARKS
        .iter()
        .filter_map(|(mark, _)| {
            let escaped = regex::escape(mark);
            let bounds = if mark.chars().all(char::is_alphabetic) && mark.is_ascii() {
                r"\b"
            } else {
                ""
            };
            let pattern = Regex::new(&format!(
                r"{bounds}{escaped}{bounds}\s*-?\d|\d\s?{bounds}{escaped}{bounds}"
            ))
            .ok()?;
            let count = lines.clone().filter(|line| pattern.is_match(line)).count();
            (count > 0).then_some((*mark, count))
        })
        .collect()
}

fn currency(
    marks: &BTreeMap<&'static str, usize>,
    minor_less: bool,
    language: Option<Language>,
    doubts: &mut Vec<String>,
) -> Currency {
    let of_mark = |mark: &str| {
        let code = MARKS
            .iter()
            .find(|(m, _)| *m == mark)
            .map(|(_, code)| *code);
        match code {
            // The same signs are the yuan's, which has two decimals.
            Some("JPY") if !minor_less => Some("CNY"),
            other => other,
        }
    };
    let best = marks
        .iter()
        .max_by_key(|(mark, count)| (**count, mark.len()));
    let code = match best {
        Some((mark, _)) => {
            if *mark == "$" {
                doubts.push("currency: the sign $ is that of several countries".to_owned());
            }
            of_mark(mark)
        }
        None => None,
    };
    let code = code.unwrap_or_else(|| {
        let guess = match language {
            Some(Language::Chinese) => "CNY",
            Some(Language::Japanese) => "JPY",
            Some(Language::Korean) => "KRW",
            Some(Language::Polish) => "PLN",
            Some(Language::English) => "USD",
            Some(
                Language::German
                | Language::French
                | Language::Spanish
                | Language::Italian
                | Language::Dutch
                | Language::Portuguese,
            )
            | None => "EUR",
        };
        doubts.push("currency: no sample names it".to_owned());
        guess
    });
    match Currency::parse(code) {
        Ok(currency) if (currency.exponent() == 0) == minor_less => currency,
        // The amounts say otherwise than the mark.
        Ok(_) | Err(_) => {
            doubts.push(
                "currency: the amounts have another number of decimals than its mark says"
                    .to_owned(),
            );
            if minor_less {
                Currency::JPY
            } else {
                Currency::EUR
            }
        }
    }
}
