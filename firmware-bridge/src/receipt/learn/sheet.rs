//! A sample as the learner looks at it: lines, and what stands at the end of each.

use std::collections::BTreeMap;

use regex::Regex;
use rust_decimal::Decimal;

use super::numbers::Numbers;
use super::words::{self, Hit, Marker};
use crate::receipt::profile::NumberFormat;

/// What may stand behind an amount: a tax letter, a star, a closing bracket, a unit.
const TAIL: &str = r"(?:\s*(?:[A-Z]{1,2}|\*|\)|/\p{L}{1,4}))?";
/// Between how many and at what price.
pub(super) const TIMES: &str = "[xX×@*]";
/// Units behind a quantity.
pub(super) const UNIT: &str = r"(?:\s*(?:[A-Za-z]{1,3}\.?|[点個个份瓶斤件杯개]))?";

/// What a line is before its meaning is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    /// Ends in an amount.
    Amount {
        /// Minor units.
        minor: i64,
        /// Text before the amount, trimmed.
        head: String,
        /// Text behind it, trimmed.
        tail: String,
        /// The head with its numbers taken out, by which lines of one kind are known.
        key: String,
    },
    /// How many at what price, without an amount.
    Detail {
        /// Quantity times price, in minor units.
        product: Decimal,
    },
    /// Text without an amount.
    Text,
    /// A ruled line.
    Rule,
    /// Nothing.
    Blank,
}

/// One line.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) text: String,
    /// Spaces before the text.
    pub(super) indent: usize,
    pub(super) form: Form,
}

/// One sample.
#[derive(Debug, Clone)]
pub(super) struct Sheet {
    pub(super) rows: Vec<Row>,
    /// Markers with the index of their line.
    pub(super) markers: Vec<(usize, Hit<Marker>)>,
}

impl Sheet {
    /// Returns whether the sample says of itself that it is no sale.
    pub(super) fn is_no_sale(&self) -> bool {
        self.markers.iter().any(|(_, hit)| hit.what.is_no_sale())
    }

    pub(super) fn has(&self, marker: Marker) -> bool {
        self.markers.iter().any(|(_, hit)| hit.what == marker)
    }
}

/// Looks at lines by the marks that were found.
pub(super) struct Looker {
    amount: Regex,
    detail: Regex,
    reversed: Regex,
    format: NumberFormat,
    markers: BTreeMap<String, Option<Hit<Marker>>>,
}

impl Looker {
    /// `None` where the marks make no regular expression, which the ones that are looked for always do.
    pub(super) fn new(numbers: &Numbers) -> Option<Self> {
        let amount = format!(
            "^(?<head>.*?)(?<amount>{})(?<tail>{TAIL})$",
            numbers.amount()
        );
        Some(Self {
            amount: Regex::new(&amount).ok()?,
            detail: Regex::new(&format!("^\\s*{}$", detail_pattern(numbers))).ok()?,
            reversed: Regex::new(&format!("^\\s*{}$", reversed_detail_pattern(numbers))).ok()?,
            format: numbers.format(),
            markers: BTreeMap::new(),
        })
    }

    pub(super) fn sheet(&mut self, lines: &[String]) -> Sheet {
        let rows = lines.iter().map(|line| self.row(line)).collect();
        let mut markers = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let hit = self
                .markers
                .entry(line.clone())
                .or_insert_with(|| words::marker(line));
            if let Some(hit) = hit {
                markers.push((index, hit.clone()));
            }
        }
        Sheet { rows, markers }
    }

    fn row(&self, line: &str) -> Row {
        let text = line.trim_end();
        Row {
            text: text.to_owned(),
            indent: text.len() - text.trim_start().len(),
            form: self.form(text),
        }
    }

    fn form(&self, text: &str) -> Form {
        let body = text.trim();
        if body.is_empty() {
            return Form::Blank;
        }
        if body.chars().count() >= 4 && body.chars().all(is_rule) {
            return Form::Rule;
        }
        for pattern in [&self.detail, &self.reversed] {
            if let Some(captures) = pattern.captures(text)
                && let (Some(quantity), Some(price)) =
                    (captures.name("quantity"), captures.name("unit_price"))
                && let Ok(quantity) = self.format.number(quantity.as_str())
                && let Ok(price) = self.format.minor(price.as_str())
                && let Some(product) = quantity.checked_mul(Decimal::from(price))
            {
                return Form::Detail { product };
            }
        }
        let Some(captures) = self.amount.captures(text) else {
            return Form::Text;
        };
        let part = |name: &str| captures.name(name).map_or("", |m| m.as_str());
        let head = part("head");
        // The rest of a longer number is no amount.
        if head.ends_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | ':' | '/')) {
            return Form::Text;
        }
        match self.format.minor(part("amount")) {
            Ok(minor) => Form::Amount {
                minor,
                head: head.trim().to_owned(),
                tail: part("tail").trim().to_owned(),
                key: key(head),
            },
            Err(_) => Form::Text,
        }
    }
}

/// `0,456 kg x 12,90 EUR/kg`.
pub(super) fn detail_pattern(numbers: &Numbers) -> String {
    format!(
        r"(?<quantity>{}){UNIT}\s*{TIMES}\s*(?<unit_price>{})(?:\s?[A-Za-z€]{{1,3}})?(?:/\s?[A-Za-z]{{1,4}})?",
        numbers.quantity(),
        numbers.price()
    )
}

/// `¥158 × 2`.
pub(super) fn reversed_detail_pattern(numbers: &Numbers) -> String {
    format!(
        r"(?<unit_price>{})\s*{TIMES}\s*(?<quantity>[0-9]{{1,4}}){UNIT}",
        numbers.price()
    )
}

fn is_rule(c: char) -> bool {
    matches!(
        c,
        '-' | '='
            | '_'
            | '*'
            | '.'
            | '~'
            | '─'
            | '━'
            | '═'
            | '—'
            | '–'
            | '―'
            | '－'
            | '＝'
            | '·'
            | '+'
    )
}

/// Returns a head with every number in it as one `#` and every gap as one space.
pub(super) fn key(head: &str) -> String {
    let mut key = String::new();
    for word in head.split_whitespace() {
        if !key.is_empty() {
            key.push(' ');
        }
        let masked = word
            .chars()
            .filter(|c| matches!(c, '*' | 'x' | 'X' | '#' | '•'))
            .count()
            >= 2
            && word
                .chars()
                .all(|c| c.is_ascii_digit() || matches!(c, '*' | 'x' | 'X' | '#' | '•' | '-'));
        if masked {
            key.push('#');
            continue;
        }
        let mut in_number = false;
        let mut chars = word.chars().peekable();
        while let Some(c) = chars.next() {
            let joins = in_number
                && matches!(c, '.' | ',' | ':' | '/' | '-')
                && chars.peek().is_some_and(char::is_ascii_digit);
            if c.is_ascii_digit() || joins {
                if !in_number {
                    key.push('#');
                }
                in_number = true;
            } else {
                key.push(c);
                in_number = false;
            }
        }
    }
    key
}

/// Returns a pattern for the lines of a key, without what comes behind.
pub(super) fn key_pattern(key: &str) -> String {
    let mut pattern = String::new();
    for c in key.chars() {
        match c {
            ' ' => pattern.push_str(r"\s+"),
            '#' => pattern.push_str("[0-9.,:/*xX#•-]+"),
            other => pattern.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_line_leaves_its_numbers_out() {
        assert_eq!(key("VAT  8.25% incl."), "VAT #% incl.");
        assert_eq!(key("Visa ****1234"), "Visa #");
        assert_eq!(key("  (内消費税等 8% "), "(内消費税等 #%");
        assert_eq!(key("消费合计："), "消费合计：");
        let pattern = Regex::new(&format!("^{}$", key_pattern("Visa #"))).unwrap();
        assert!(pattern.is_match("Visa  xxxx0042"));
    }
}
