//! A record's text for somebody who looks at it over a shoulder: its shape and what a till is about,
//! without what a person could be known by.
//!
//! What may be shown is listed ([`PLAIN`]); every other value is masked, so that a field that nobody
//! has heard of yet is masked too. The text need not be JSON: a record is in quarantine because it is
//! broken.

/// Names whose values are shown: what a till is about.
const PLAIN: [&str; 39] = [
    "amount_minor",
    "at",
    "began_at",
    "business_day",
    "card_kind",
    "code",
    "currency",
    "department",
    "device",
    "discount_minor",
    "ended_at",
    "file",
    "images",
    "item_id",
    "journal",
    "kind",
    "line",
    "off",
    "quantity",
    "sequence",
    "source",
    "store",
    "symbology",
    "tap",
    "tax_included",
    "tax_minor",
    "total_minor",
    "training",
    "type",
    "unc",
    "unit_price_minor",
    "voided",
    "workstation",
    "amends",
    "body",
    "items",
    "sale",
    "tenders",
    "evidence",
];
/// Listed names whose values are long numbers: times, goods, receipts.
const LONG_NUMBERS: [&str; 6] = ["at", "began_at", "ended_at", "item_id", "off", "sequence"];
/// Longest value that a listed name shows: what is longer is not what the name says.
const PLAIN_CHARS_MAX: usize = 32;
/// Most digits under a listed name: an amount, a day.
const PLAIN_DIGITS_MAX: usize = 10;
/// Longest number that is shown under a name that is not listed.
const DIGITS_MAX: usize = 5;
/// Stands for what is masked.
const MASK: &str = "***";

/// Returns the text with every value masked that is not known to be harmless.
pub fn masked(record: &str) -> String {
    let mut shown = String::with_capacity(record.len());
    let mut name = String::new();
    let mut rest = record;
    while let Some(first) = rest.chars().next() {
        let (piece, after) = if first == '"' {
            quoted(rest)
        } else {
            bare(rest)
        };
        if first == '"' && after.trim_start().starts_with(':') {
            piece.trim_matches('"').clone_into(&mut name);
            show_name(&mut shown, piece);
        } else if first == '"' {
            show_value(&mut shown, &name, piece.trim_matches('"'), "\"");
        } else if first.is_alphanumeric() || first == '-' {
            show_value(&mut shown, &name, piece, "");
        } else {
            shown.push_str(piece);
        }
        rest = after;
    }
    shown
}

/// Splits off a text in quotation marks; one that is never closed goes to the end.
fn quoted(text: &str) -> (&str, &str) {
    let mut escaped = false;
    for (place, c) in text.char_indices().skip(1) {
        if c == '"' && !escaped {
            return text.split_at(place + 1);
        }
        escaped = c == '\\' && !escaped;
    }
    (text, "")
}

/// Splits off a word or number, or one sign between such.
fn bare(text: &str) -> (&str, &str) {
    let of_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '+' | '.' | '_');
    let end = match text.find(|c: char| !of_word(c)) {
        Some(0) => text.chars().next().map_or(0, char::len_utf8),
        Some(end) => end,
        None => text.len(),
    };
    text.split_at(end)
}

/// Names are words of a program. What stands where a name should and is none may be anything.
fn show_name(shown: &mut String, piece: &str) {
    let name = piece.trim_matches('"');
    let is_word =
        name.len() <= PLAIN_CHARS_MAX && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    shown.push_str(if is_word { piece } else { "\"***\"" });
}

fn show_value(shown: &mut String, name: &str, value: &str, mark: &str) {
    let plain = PLAIN.contains(&name) && value.chars().count() <= PLAIN_CHARS_MAX;
    let digits = value.chars().filter(char::is_ascii_digit).count();
    // A member code stands under the same name as the kind of a scan; a card may stand anywhere.
    let plain = plain
        && !value.starts_with("TB1:")
        && (digits <= PLAIN_DIGITS_MAX || LONG_NUMBERS.contains(&name));
    let bare_word = mark.is_empty()
        && (matches!(value, "true" | "false" | "null")
            || digits <= DIGITS_MAX && !value.contains(char::is_alphabetic));
    shown.push_str(mark);
    if plain || bare_word || value.is_empty() {
        shown.push_str(value);
    } else {
        shown.push_str(MASK);
    }
    shown.push_str(mark);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sale_keeps_its_shape_and_loses_its_customer() {
        let record = r#"{"at":1790000000000,"kind":"transaction","body":{"store":"S1","total_minor":1290,"items":[{"line":1,"description":"Tea for Li"}],"card":"2900000000017","card_kind":"ean","name":"Li Wei","phone":13900001111}}"#;
        assert_eq!(
            masked(record),
            r#"{"at":1790000000000,"kind":"transaction","body":{"store":"S1","total_minor":1290,"items":[{"line":1,"description":"***"}],"card":"***","card_kind":"ean","name":"***","phone":***}}"#
        );
    }

    #[test]
    fn a_code_hides_behind_no_harmless_name() {
        let record =
            r#"{"evidence":{"type":"member-code","code":"TB1:AB CD"},"account":"tmall:1"}"#;
        let shown = masked(record);
        assert!(
            !shown.contains("AB CD") && !shown.contains("tmall"),
            "{shown}"
        );
        assert!(shown.contains("member-code"));
        assert!(!masked(r#"{"2900000000017":1}"#).contains("2900"));
    }

    #[test]
    fn a_broken_record_is_masked_as_well() {
        for record in [
            r#"{"card":"2900000000017"#,
            r#"{"card":2900000000017"#,
            "2900000000017",
            r#"["2900000000017","Li \"2900000000017\" Wei"]"#,
            "{\"card\"\u{0}:\"2900000000017\"}",
        ] {
            let shown = masked(record);
            assert!(!shown.contains("29000") && !shown.contains("Li"), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_there_no_long_number_is_left(text in "[{}\\[\\]\":, a-z\\\\]{0,20}", number in 100_000_000u64..) {
            // Under a listed name a number of that length may be a time.
            let record = format!("{{\"card\":{text}{number}");
            let shown = masked(&record);
            let names_it = PLAIN.iter().any(|name| record.contains(name));
            prop_assert!(names_it || !shown.contains(&number.to_string()), "{}", shown);
        }
    }
}
