//! Patterns for lines of known kinds.

use std::collections::BTreeSet;

use super::super::numbers::Numbers;
use super::super::sheet::key_pattern;
use super::super::words::{self, Meaning};

/// How the lines of one kind are used.
#[derive(Debug, Default)]
pub(super) struct Use<'s> {
    pub(super) tails: BTreeSet<&'s str>,
    pub(super) before: bool,
    pub(super) positive: bool,
    pub(super) below_items: usize,
    pub(super) count: usize,
}

impl Use<'_> {
    /// What may stand behind the amount.
    pub(super) fn tail(&self) -> String {
        let all: Vec<String> = self
            .tails
            .iter()
            .filter(|tail| !tail.is_empty())
            .map(|tail| regex::escape(tail))
            .collect();
        if all.is_empty() {
            String::new()
        } else {
            format!(r"(?:\s*(?:{}))?", all.join("|"))
        }
    }
}

/// The words of a tender, without what follows them.
pub(super) fn kind_word(key: &str) -> &str {
    let end = key
        .char_indices()
        .take_while(|(_, c)| c.is_alphabetic() || matches!(c, ' ' | '-' | '.' | '\''))
        .map(|(at, c)| at + c.len_utf8())
        .last()
        .unwrap_or(0);
    let word = key.get(..end).unwrap_or(key).trim_end();
    if word.is_empty() { key } else { word }
}

/// A discount's words are followed by its occasion, which differs from receipt to receipt.
pub(super) fn discount_pattern(key: &str, numbers: &Numbers, used: &Use<'_>) -> String {
    let indent = if used.below_items == used.count {
        r"\s+"
    } else {
        r"\s*"
    };
    let tail = if used.tails.iter().all(|tail| tail.is_empty()) {
        String::new()
    } else {
        r"(?:\s*[A-Z*]{1,2})?".to_owned()
    };
    let known = words::meaning(key).filter(|hit| hit.what == Meaning::Discount && hit.start == 0);
    match known {
        Some(hit) => {
            let word = key_pattern(key.get(hit.start..hit.end).unwrap_or(key));
            // A positive amount behind the word may as well be goods, unless the samples print it so.
            let signed = if used.positive {
                numbers.amount()
            } else {
                numbers.negative()
            };
            format!(r"^{indent}{word}(?:\P{{L}}.*?)??\s*(?<amount>{signed}){tail}$")
        }
        None => format!(
            r"^{indent}{}\s*(?<amount>{}){tail}$",
            key_pattern(key),
            numbers.amount()
        ),
    }
}

/// A line that bears nothing but the word is matched whole, others by their beginning.
pub(super) fn marker_pattern(line: &str, start: usize, end: usize) -> String {
    let word = line.get(start..end).unwrap_or(line);
    let words: Vec<String> = word.split_whitespace().map(regex::escape).collect();
    let word = words.join(r"\s+");
    let rest = line.get(end..).unwrap_or_default();
    if rest.chars().any(char::is_alphanumeric) {
        let bound = if line.chars().any(words::is_wide) {
            ""
        } else {
            r"\b"
        };
        format!(r"^\W*{word}{bound}")
    } else {
        format!(r"^\W*{word}\W*$")
    }
}
