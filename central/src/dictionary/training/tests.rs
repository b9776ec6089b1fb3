use std::collections::HashSet;

use super::super::masking::{DIGITS_MIN, digit_runs};
use super::*;

const NOW_MS: i64 = 1_795_348_800_000;

fn scene() -> Scene {
    Scene {
        history: "h0123abcd".to_owned(),
        now_ms: NOW_MS,
    }
}

/// Sales of a shop whose numbers all differ.
fn records(count: u32) -> Vec<String> {
    let goods = [
        "MILK 1L",
        "BREAD",
        "TEA GREEN",
        "APPLES",
        "RICE 5KG",
        "SOAP",
    ];
    let mut dice = Dice::new([5; 32]);
    (0..count)
        .map(|n| {
            let item = goods[dice.below(6) as usize];
            let (price, card) = (100 + dice.below(9_000), dice.below(900_000_000));
            format!(
                r#"{{"at":{at},"off":{off},"unc":12,"kind":"transaction","body":{{"store":"s1","workstation":"w1","business_day":"2026-11-02","sequence":"{seq}","type":"sale","ended_at":"2026-11-02T10:11:12Z","currency":"CNY","total_minor":{price},"items":[{{"line":1,"item_id":"69{card:011}","description":"{item}","quantity":"1","unit_price_minor":{price},"amount_minor":{price}}}],"tenders":[{{"kind":"cash","amount_minor":{price}}}],"card":"627598{card:010}","card_kind":"number","source":"api"}}}}"#,
                at = NOW_MS - i64::from(dice.below(1_000_000_000)),
                off = 30_000 + dice.below(60_000),
                seq = 20_000 + n,
            )
        })
        .collect()
}

#[test]
fn a_dictionary_holds_no_long_number_of_any_record_and_packs_what_it_has_not_seen() {
    let records = records(3_000);
    let mut dice = Dice::new([6; 32]);
    let dictionary = train(&records, &scene(), &mut dice).unwrap();
    assert!(dictionary.bytes.len() <= BYTES_MAX && dictionary.id != 0);

    let real: HashSet<&str> = records
        .iter()
        .flat_map(|record| digit_runs(record))
        .filter(|run| run.len() >= DIGITS_MIN)
        .collect();
    let content = String::from_utf8_lossy(&dictionary.bytes);
    for run in digit_runs(&content) {
        for (from, _) in run.char_indices() {
            for until in from + DIGITS_MIN..=run.len() {
                assert!(!real.contains(&run[from..until]), "{run}");
            }
        }
    }

    assert!(is_better(&dictionary, None, &records, &scene(), &mut dice).unwrap());
    let same = is_better(
        &dictionary,
        Some(&dictionary),
        &records,
        &scene(),
        &mut dice,
    );
    assert!(
        !same.unwrap(),
        "a dictionary that is no better is not handed out"
    );
}

#[test]
fn what_is_no_event_is_left_out_and_too_little_trains_nothing() {
    let mut dice = Dice::new([7; 32]);
    let poison = vec![r#"{"card":"6275980000000906"}"#.to_owned(); 3_000];
    assert!(train(&poison, &scene(), &mut dice).is_err());
    assert!(train(&[], &scene(), &mut dice).is_err());
}
