//! What a scanned code means: stripes, GS1, EAN, payment, member and claim codes.
//!
//! Oracles: `Debug` shows no long number; a card's number is one that the rules or GS1 know and is read
//! the same again; what is kept of an unknown code is bounded and holds no payment card's number.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tillbind_firmware_bridge::code::ean::{check_digit_holds, is_ean_13};
use tillbind_firmware_bridge::code::payment::{is_card_number, mask_payment_numbers};
use tillbind_firmware_bridge::code::{CardKind, CardRules, Code, UNKNOWN_TEXT_CHARS_MAX, classify};

fuzz_target!(|data: &[u8]| {
    let rules = CardRules::new(["627598", "29", "982630"]).expect("the prefixes are sound");
    let code = classify(data, &rules);
    let shown = format!("{code:?}");
    let longest = shown
        .split(|c: char| !c.is_ascii_digit())
        .map(str::len)
        .max();
    assert!(longest.unwrap_or(0) < 7, "{shown}");
    match &code {
        Code::MemberCard(card) => {
            let number = card.number.expose();
            // What says of itself that it is a GSRN is one, though one in a hundred passes Luhn's test.
            let is_gsrn = card.kind == CardKind::Gsrn && check_digit_holds(number);
            assert!(!is_card_number(number) || rules.is_member_number(number) || is_gsrn);
        }
        Code::Unknown { text, .. } => {
            assert!(text.chars().count() <= UNKNOWN_TEXT_CHARS_MAX);
            // An article, as the scanner says, perhaps with an add-on of two or five digits.
            let is_article = match data {
                [b']', b'E', b'3', ..] => {
                    matches!(text.len(), 15 | 18) && text.get(..13).is_some_and(is_ean_13)
                }
                [b']', b'E', ..] => is_ean_13(text),
                _ => false,
            };
            assert!(!is_card_number(text) || rules.is_member_number(text) || is_article);
        }
        Code::MemberCode(_) | Code::ClaimCode(_) | Code::Payment(_) => {}
    }
    let text = String::from_utf8_lossy(data);
    let masked = mask_payment_numbers(&text, &rules).into_owned();
    assert_eq!(mask_payment_numbers(&masked, &rules), masked);
});
