//! Finds payment numbers in free text and takes them out.

use std::borrow::Cow;
use std::ops::Range;

use zeroize::Zeroizing;

use super::{PAN_DIGITS, is_card_number, passes_luhn};
use crate::code::{CardRules, ean};

/// What stands in a text where a payment number stood.
pub const REPLACEMENT: &str = "[payment number removed]";

/// The shortest number on a magnetic stripe that is taken for a card number, in digits.
const STRIPE_DIGITS_MIN: usize = 12;

/// How much doubt is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caution {
    /// A scan: any grouping, no exemption for goods. A wrong alarm costs one more scan.
    Scan,
    /// Free text: usual groupings only. A wrong alarm costs a line of a receipt.
    Text,
}

/// Replaces each payment card's number and each magnetic stripe's track in `text`.
///
/// A number is 13 to 19 digits with a scheme's beginning that pass Luhn's test, in one run or in
/// groups as cards print them (4-4-4-4 and longer, 4-6-5, 4-6-4, 6 and the rest), one space or dash
/// between the groups. A track goes from its number to its end sentinel `?` or the line's end, and
/// needs Luhn's test alone.
///
/// Left as they are: numbers that start with one of the rules' member prefixes; longer runs of
/// digits; 13 digits that are a valid EAN-13, since no card has had 13 digits for decades and every
/// tenth article number that starts with 4 passes Luhn's test; wallets' payment codes, which die
/// after a minute and look like order numbers. About one in ten numbers of the right length and
/// beginning that is no payment number is lost.
pub fn mask_payment_numbers<'a>(text: &'a str, rules: &CardRules) -> Cow<'a, str> {
    let mut masked = String::new();
    let mut copied = 0;
    let mut rest = text;
    while let Some(found) = first_number(rest, rules, Caution::Text) {
        let offset = text.len() - rest.len();
        masked.push_str(text.get(copied..offset + found.start).unwrap_or_default());
        masked.push_str(REPLACEMENT);
        copied = offset + found.end;
        rest = text.get(copied..).unwrap_or_default();
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    masked.push_str(rest);
    Cow::Owned(masked)
}

/// Returns where the first payment number or track stands, in bytes.
pub(super) fn first_number(
    text: &str,
    rules: &CardRules,
    caution: Caution,
) -> Option<Range<usize>> {
    let mut at = 0;
    while at < text.len() {
        let group_end = digits_end(text, at);
        if group_end == at {
            at += 1;
            continue;
        }
        if let Some(end) = number_end(text, at, rules, caution) {
            return Some(at..end);
        }
        at = group_end;
    }
    None
}

/// Returns where the number or track ends that starts with the group of digits at `start`.
///
/// Groups are joined over one space or dash while they have 19 digits at most, so the work grows
/// with the text alone.
fn number_end(text: &str, start: usize, rules: &CardRules, caution: Caution) -> Option<usize> {
    let mut digits = Zeroizing::new(String::with_capacity(*PAN_DIGITS.end()));
    let mut group_sizes = Vec::new();
    let mut separators = Vec::new();
    let mut group_start = start;
    loop {
        let end = digits_end(text, group_start);
        let group = text.get(group_start..end)?;
        if digits.len() + group.len() > *PAN_DIGITS.end() {
            return None;
        }
        digits.push_str(group);
        group_sizes.push(group.len());

        if !rules.is_member_number(&digits) {
            if is_stripe_number(&digits)
                && let Some(track_end) = track_end(text, end)
            {
                return Some(track_end);
            }
            let is_suspicious = match caution {
                Caution::Scan => true,
                Caution::Text => {
                    is_printed_so(&group_sizes, &separators) && !ean::is_ean_13(&digits)
                }
            };
            if is_suspicious && is_card_number(&digits) {
                return Some(end);
            }
        }

        let separator = *text.as_bytes().get(end)?;
        group_start = end + 1;
        if !matches!(separator, b' ' | b'-') || digits_end(text, group_start) == group_start {
            return None;
        }
        separators.push(separator);
    }
}

/// Returns where the digits end that start at `start`; `start` itself where none do.
fn digits_end(text: &str, start: usize) -> usize {
    let rest = text.as_bytes().get(start..).unwrap_or_default();
    start + rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn is_stripe_number(digits: &str) -> bool {
    digits.len() >= STRIPE_DIGITS_MIN && passes_luhn(digits)
}

/// Returns where the track stops that goes on behind a number; `None` where none does.
fn track_end(text: &str, number_end: usize) -> Option<usize> {
    let rest = text.get(number_end..).unwrap_or_default();
    if !rest.starts_with(['=', '^']) {
        return None;
    }
    let line = rest.find(['\r', '\n']).unwrap_or(rest.len());
    let sentinel = rest.find('?').map_or(rest.len(), |place| place + 1);
    Some(number_end + line.min(sentinel))
}

/// Says whether cards print their number in groups of these sizes, with one kind of separator.
fn is_printed_so(group_sizes: &[usize], separators: &[u8]) -> bool {
    let is_uniform = separators
        .windows(2)
        .all(|pair| pair.first() == pair.last());
    let is_usual = match group_sizes {
        [_] | [4, 6, 5 | 4] | [6, 7..=13] => true,
        [body @ .., 1..=4] => body.iter().all(|&size| size == 4),
        _ => false,
    };
    is_uniform && is_usual
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        mask_payment_numbers(text, &CardRules::default()).into_owned()
    }

    #[test]
    fn card_numbers_are_taken_out_in_every_usual_grouping() {
        for number in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "3782 822463 10005",
            "3056 930902 5904",
            "622126 0123456789016",
            "4222 2222 2222 2",
        ] {
            let compact: String = number.chars().filter(char::is_ascii_digit).collect();
            assert!(is_card_number(&compact), "fixture {number}");
            assert_eq!(
                masked(&format!("VISA {number} EUR 12.50")),
                format!("VISA {REPLACEMENT} EUR 12.50")
            );
        }
    }

    #[test]
    fn a_number_in_the_middle_of_a_row_of_numbers_is_found() {
        assert_eq!(
            masked("12 4111 1111 1111 1111 99"),
            format!("12 {REPLACEMENT} 99")
        );
        assert_eq!(
            masked("12-4111 1111 1111 1111-99"),
            format!("12-{REPLACEMENT}-99")
        );
        let behind_much = format!("{} 4111111111111111", "1 ".repeat(500).trim());
        assert!(masked(&behind_much).ends_with(REPLACEMENT));
    }

    #[test]
    fn tracks_go_with_all_that_is_in_them() {
        let text = "%B4111111111111111^DOE/JOHN^25121011200000?2;4111111111111111=2512101120?\nok";
        let result = masked(text);
        assert_eq!(result, format!("%B{REPLACEMENT}2;{REPLACEMENT}\nok"));
        assert_eq!(masked(";9792030000000000=2512?"), format!(";{REPLACEMENT}"));
        assert_eq!(masked("9792030000000000"), "9792030000000000");
    }

    #[test]
    fn goods_receipt_numbers_and_dates_stay() {
        for text in [
            "4006381333931 Stabilo 2 1.99",
            "Beleg 4111111111111112 vom 2026-11-22 10:15",
            "Order 41111111111111111111",
            "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
            "4111  1111  1111  1111",
            "Tel. 030 1234567-89",
            "微信 134567890123456789",
        ] {
            assert!(
                matches!(
                    mask_payment_numbers(text, &CardRules::default()),
                    Cow::Borrowed(same) if same == text
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn article_numbers_that_pass_luhn_by_chance_stay() {
        let unlucky: Vec<String> = (0..10_000u64)
            .map(|n| format!("4006{:08}", n * 7_919 % 100_000_000))
            .flat_map(|body| (0..10).map(move |check| format!("{body}{check}")))
            .filter(|number| ean::is_ean_13(number) && is_card_number(number))
            .collect();
        assert!(unlucky.len() > 100);
        for number in unlucky {
            assert_eq!(masked(&number), number);
        }
    }

    #[test]
    fn a_member_prefix_exempts_its_numbers_and_no_others() {
        let rules = CardRules::new(["627598"]).unwrap();
        let member = "6275980000000008";
        assert!(passes_luhn(member), "fixture");
        assert_eq!(
            mask_payment_numbers(&format!("{member} 4111111111111111"), &rules),
            format!("{member} {REPLACEMENT}")
        );
        assert_eq!(masked(member), REPLACEMENT);
    }
}
