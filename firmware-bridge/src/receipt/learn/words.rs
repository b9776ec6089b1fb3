//! The words that receipts use, in eleven languages. They are a first opinion: what the arithmetic says
//! counts more.

mod labels;
mod markers;
mod meanings;

use labels::LABELS;
use markers::MARKERS;
use meanings::MEANINGS;

/// A language that the tables know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Language {
    English,
    German,
    French,
    Spanish,
    Italian,
    Dutch,
    Polish,
    Portuguese,
    Chinese,
    Japanese,
    Korean,
}

/// What a line with an amount is, by its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Meaning {
    Total,
    Subtotal,
    Tax,
    Change,
    Discount,
    /// Tells something that counts for nothing, as what was saved.
    Info,
    Cash,
    Card,
    Wallet,
    Voucher,
}

impl Meaning {
    /// The kind of tender that a profile calls it.
    pub(super) fn tender(self) -> Option<&'static str> {
        match self {
            Self::Cash => Some("cash"),
            Self::Card => Some("card"),
            Self::Wallet => Some("wallet"),
            Self::Voucher => Some("voucher"),
            Self::Total
            | Self::Subtotal
            | Self::Tax
            | Self::Change
            | Self::Discount
            | Self::Info => None,
        }
    }
}

/// What a whole receipt is, by a line of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Marker {
    Void,
    Return,
    Reprint,
    Training,
    Order,
    Kitchen,
    Report,
    Gift,
}

impl Marker {
    pub(super) const ALL: [Self; 8] = [
        Self::Void,
        Self::Return,
        Self::Reprint,
        Self::Training,
        Self::Order,
        Self::Kitchen,
        Self::Report,
        Self::Gift,
    ];

    /// The list of a profile that it goes to.
    pub(super) fn list(self) -> &'static str {
        match self {
            Self::Void => "void",
            Self::Return => "return",
            Self::Reprint => "reprint",
            Self::Training => "training",
            Self::Order => "order",
            Self::Kitchen => "kitchen",
            Self::Report => "report",
            Self::Gift => "gift",
        }
    }

    /// Whether a receipt that bears it is no sale at all.
    pub(super) fn is_no_sale(self) -> bool {
        match self {
            Self::Reprint | Self::Order | Self::Kitchen | Self::Report | Self::Gift => true,
            Self::Void | Self::Return | Self::Training => false,
        }
    }
}

/// What stands before a number of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Label {
    Sequence,
    Store,
    Workstation,
    Member,
}

type Table<T> = &'static [(Language, T, &'static [&'static str])];

/// What stands before the name of an item that is taken off the receipt again.
const ITEM_VOIDS: &[&str] = &[
    "line void",
    "item void",
    "void",
    "storno",
    "stornierung",
    "annulé",
    "annulation",
    "anulado",
    "anulación",
    "annullo",
    "correctie",
    "anulowano",
    "estorno",
    "cancelado",
    "取消",
    "退菜",
    "退品",
    "취소",
];

/// Where a word of the tables stands in a text, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hit<T> {
    pub(super) what: T,
    pub(super) language: Language,
    /// In bytes of the text as it was given.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Returns the longest word of the tables in a text.
pub(super) fn meaning(text: &str) -> Option<Hit<Meaning>> {
    longest(MEANINGS, text)
}

/// Returns the longest label in a text.
pub(super) fn label(text: &str) -> Option<Hit<Label>> {
    longest(LABELS, text)
}

/// Returns what a line says of its receipt. Only a line that says little else counts: "Returns within 28
/// days" is no return.
pub(super) fn marker(line: &str) -> Option<Hit<Marker>> {
    let hit = longest(MARKERS, line)?;
    let rest = |part: &str| part.chars().filter(|c| c.is_alphabetic()).count();
    let word = line.get(hit.start..hit.end).unwrap_or_default();
    let before = line.get(..hit.start).unwrap_or_default();
    let after = line.get(hit.end..).unwrap_or_default();
    let wide = word.chars().any(is_wide);
    let allowed = if wide { 3 } else { 2 };
    (rest(before) == 0 && rest(after) <= allowed).then_some(hit)
}

/// Returns the byte where the name of a voided item begins behind the word that voids it.
pub(super) fn item_void(text: &str) -> Option<usize> {
    let start = text.len() - text.trim_start().len();
    ITEM_VOIDS
        .iter()
        .filter_map(|word| find_word(text, word).filter(|found| found.0 == start))
        .map(|(_, end)| end)
        .max()
}

fn longest<T: Copy>(table: Table<T>, text: &str) -> Option<Hit<T>> {
    let mut best: Option<(usize, Hit<T>)> = None;
    for (language, what, words) in table {
        for word in *words {
            let Some((start, end)) = find_word(text, word) else {
                continue;
            };
            let weight = end - start;
            if best.as_ref().is_none_or(|(heaviest, _)| weight > *heaviest) {
                best = Some((
                    weight,
                    Hit {
                        what: *what,
                        language: *language,
                        start,
                        end,
                    },
                ));
            }
        }
    }
    best.map(|(_, hit)| hit)
}

/// Returns where a word stands in a text, in either case. Words of alphabets stand alone; those of East Asia
/// need no gaps.
fn find_word(text: &str, word: &str) -> Option<(usize, usize)> {
    let wide = word.chars().any(is_wide);
    for (start, _) in text.char_indices() {
        let Some(end) = end_of(text, start, word) else {
            continue;
        };
        let joined = |c: Option<char>| c.is_some_and(|c| c.is_alphabetic() && !is_wide(c));
        let before = text.get(..start).and_then(|t| t.chars().next_back());
        let after = text.get(end..).and_then(|t| t.chars().next());
        if wide || (!joined(before) && !joined(after)) {
            return Some((start, end));
        }
    }
    None
}

/// Returns where `word` ends if it stands at `start`.
fn end_of(text: &str, start: usize, word: &str) -> Option<usize> {
    let mut rest = text.get(start..)?.char_indices();
    let mut end = start;
    for wanted in word.chars() {
        let (offset, c) = rest.next()?;
        if !c.to_lowercase().eq(wanted.to_lowercase()) {
            return None;
        }
        end = start + offset + c.len_utf8();
    }
    Some(end)
}

/// Returns whether a character is of a script that is written without gaps.
pub(super) fn is_wide(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115F}' | '\u{2E80}'..='\u{A4CF}' | '\u{AC00}'..='\u{D7A3}' | '\u{F900}'..='\u{FAFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_word_says_what_a_line_is() {
        let what = |text: &str| meaning(text).map(|hit| hit.what);
        assert_eq!(what("SUBTOTAL"), Some(Meaning::Subtotal));
        assert_eq!(what("Total savings"), Some(Meaning::Info));
        assert_eq!(what("ZWISCHENSUMME EUR"), Some(Meaning::Subtotal));
        assert_eq!(what("Visa ****"), Some(Meaning::Card));
        assert_eq!(what("Gift card"), Some(Meaning::Voucher));
        assert_eq!(what("消费合计："), Some(Meaning::Subtotal));
        assert_eq!(what("お預り現金"), Some(Meaning::Cash));
        assert_eq!(what("Barbecue sauce"), None);
        assert_eq!(what("RÜCKGELD"), Some(Meaning::Change));
    }

    #[test]
    fn a_marker_is_a_line_of_its_own() {
        let what = |text: &str| marker(text).map(|hit| hit.what);
        assert_eq!(what("*** REPRINT ***"), Some(Marker::Reprint));
        assert_eq!(what("Z REPORT 0411"), Some(Marker::Report));
        assert_eq!(what("（补打）"), Some(Marker::Reprint));
        assert_eq!(what("Returns within 28 days with this receipt"), None);
        assert_eq!(what("No refunds or exchanges"), None);
        assert_eq!(what("VOID Bread roll  -0.80"), None);
    }
}
