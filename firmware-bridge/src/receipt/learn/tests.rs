use std::fs;

use super::*;
use crate::receipt::NotASale;
use crate::sale::Sale;

mod encodings;
mod languages;
mod shops;

use shops::{Dice, Kind, SHOPS, Shop};

fn lines(text: &str) -> Captured {
    Captured::from_text(text)
}

fn job(text: &str) -> Job {
    lines(text).jobs(Default::default()).remove(0)
}

/// Ten receipts as a technician brings them home.
fn samples(shop: Shop, seed: u64) -> Vec<Captured> {
    let kinds = [
        Kind::Sale,
        Kind::Sale,
        Kind::Sale,
        Kind::Sale,
        Kind::Sale,
        Kind::Sale,
        Kind::Sale,
        Kind::Return,
        Kind::Reprint,
        Kind::Training,
    ];
    let mut dice = Dice::new(seed);
    kinds
        .iter()
        .enumerate()
        .map(|(n, kind)| lines(&shop(&mut dice, n as i64, *kind)))
        .collect()
}

fn shipped(name: &str) -> Profile {
    let path = format!("{}/profiles/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    Profile::parse(&fs::read_to_string(path).unwrap()).unwrap()
}

/// What a sale says, without what a learned profile need not know: the currency of a bare number, on which
/// of two levels a discount is booked, the letters of the tax.
fn essence(sale: &Sale) -> String {
    let items: Vec<String> = sale
        .items
        .iter()
        .map(|item| {
            format!(
                "{} [{}] {} x {} = {}{}",
                item.description,
                item.item_id,
                item.quantity,
                item.unit_price_minor,
                item.amount_minor,
                if item.voided { " voided" } else { "" }
            )
        })
        .collect();
    let tenders: Vec<String> = sale
        .tenders
        .iter()
        .map(|tender| format!("{} {}", tender.kind, tender.amount_minor))
        .collect();
    format!(
        "{:?} {:?} {:?} {:?} {:?} {} off {} tax {} {:?} {:?}\n{}\n{}",
        sale.kind,
        sale.store,
        sale.workstation,
        sale.sequence,
        sale.ended_at,
        sale.total_minor,
        sale.discount_minor,
        sale.tax_minor,
        sale.card,
        sale.training,
        items.join("\n"),
        tenders.join("\n")
    )
}

#[test]
fn the_shipped_layouts_are_learned_from_ten_receipts_and_others_are_read_as_by_the_shipped_profile()
{
    for (name, shop) in SHOPS {
        let learned = learn(&samples(shop, 2), "learned").unwrap();
        let shown = format!("{name}:\n{}", learned.profile);
        assert_eq!((learned.sales, learned.not_sales), (9, 1), "{shown}");
        let profile = Profile::parse(&learned.profile).unwrap();
        let model = shipped(name);
        let mut dice = Dice::new(1_000);
        for n in 20..40 {
            let kind = [
                Kind::Sale,
                Kind::Sale,
                Kind::Sale,
                Kind::Return,
                Kind::Training,
            ][(n % 5) as usize];
            let text = shop(&mut dice, n, kind);
            let (expected, got) = (model.read(&job(&text)), profile.read(&job(&text)));
            let Reading::Sale(expected) = expected else {
                panic!("{name}: the shipped profile: {expected:?}\n{text}");
            };
            let Reading::Sale(got) = got else {
                let why = profile.examine(&job(&text)).findings;
                panic!("{why:?}\n{text}\n{shown}");
            };
            assert_eq!(essence(&got), essence(&expected), "{text}\n{shown}");
        }
        let reprint = shop(&mut dice, 51, Kind::Reprint);
        assert_eq!(
            profile.read(&job(&reprint)),
            Reading::NotASale(NotASale::Reprint),
            "{shown}"
        );
    }
}

#[test]
fn what_is_no_sale_is_told_apart_as_by_the_shipped_profile() {
    let others = [
        Kind::Return,
        Kind::Void,
        Kind::Reprint,
        Kind::Training,
        Kind::Order,
        Kind::Kitchen,
        Kind::Report,
    ];
    for (name, shop) in SHOPS {
        let mut dice = Dice::new(7);
        let kinds = [Kind::Sale; 8].into_iter().chain(others);
        let captures: Vec<Captured> = kinds
            .enumerate()
            .map(|(n, kind)| lines(&shop(&mut dice, n as i64, kind)))
            .collect();
        let learned = learn(&captures, "learned").unwrap();
        assert_eq!(learned.unparsed, 0, "{name}: {}", learned.profile);
        let (profile, model) = (Profile::parse(&learned.profile).unwrap(), shipped(name));
        for kind in others {
            let text = shop(&mut dice, 33, kind);
            match (model.read(&job(&text)), profile.read(&job(&text))) {
                (Reading::Sale(expected), Reading::Sale(got)) => {
                    assert_eq!(
                        essence(&got),
                        essence(&expected),
                        "{name}\n{}",
                        learned.profile
                    );
                }
                (expected, got) => {
                    assert_eq!(got, expected, "{name}: {text}\n{}", learned.profile);
                    assert!(
                        matches!(got, Reading::NotASale(_)),
                        "{name}: {got:?}\n{text}"
                    );
                }
            }
        }
    }
}

/// Receipts of one made-up layout; what a line is comes from `words`.
fn receipts(count: i64, words: &dyn Fn(i64, i64, i64) -> String) -> Vec<Captured> {
    (1..=count)
        .map(|n| {
            let (first, second) = (250 + 37 * n, 1_199 + 113 * n);
            lines(&words(n, first, second))
        })
        .collect()
}

fn money(minor: i64, decimal: char) -> String {
    format!("{}{decimal}{:02}", minor / 100, minor % 100)
}

fn all_sales(captures: &[Captured]) -> (Learned, Profile) {
    let learned = learn(captures, "learned").unwrap();
    assert_eq!(learned.sales, learned.receipts, "{}", learned.profile);
    let profile = Profile::parse(&learned.profile).unwrap();
    (learned, profile)
}

fn read_sale(profile: &Profile, captured: &Captured) -> Box<Sale> {
    let job = captured.jobs(Default::default()).remove(0);
    match profile.read(&job) {
        Reading::Sale(sale) => sale,
        Reading::NotASale(_) | Reading::Unparsed(_) => panic!("{:?}", profile.examine(&job)),
    }
}

#[test]
fn a_total_and_a_tender_without_a_known_word_are_found_by_their_sums() {
    let captures = receipts(12, &|n, first, second| {
        let sum = first + second;
        format!(
            "Fenwick & Daughters 10.50\n{:02}/03/2026\nXyl  {}\nBrom  {}\nFlurb  {}\nGrault  {}\nPlugh  3.33",
            12 + n,
            money(first, '.'),
            money(second, '.'),
            money(sum, '.'),
            money(sum, '.'),
        )
    });
    let (learned, profile) = all_sales(&captures);
    let sale = read_sale(&profile, &captures[3]);
    assert_eq!(sale.total_minor, 398 + 1_651, "{}", learned.profile);
    assert!(
        learned
            .doubts
            .iter()
            .any(|doubt| doubt.contains("sequence"))
    );
}

#[test]
fn a_line_that_looks_like_a_total_and_is_none_does_not_mislead() {
    // The total of what was saved, a total before tax, and a running balance beside the total.
    let captures = receipts(10, &|n, first, second| {
        let sum = first + second;
        let tax = sum / 10;
        format!(
            "Receipt {:05}\n2026-03-{:02} 09:00\nAbc {}\nDef {}\nTotal net {}\nSales tax 10% {}\nTotal {}\n\
             Amount due {}\nCash {}\nTotal savings 1.00",
            900 + n,
            n,
            money(first, '.'),
            money(second, '.'),
            money(sum, '.'),
            money(tax, '.'),
            money(sum + tax, '.'),
            money(sum + tax, '.'),
            money(sum + tax, '.'),
        )
    });
    let (learned, profile) = all_sales(&captures);
    let sale = read_sale(&profile, &captures[0]);
    assert_eq!(
        (sale.total_minor, sale.tax_minor),
        (1_599 + 159, 159),
        "{}",
        learned.profile
    );
    assert!(!sale.tax_included, "{}", learned.profile);
    assert_eq!(sale.items.len(), 2, "{}", learned.profile);
}

#[test]
fn names_below_their_numbers_are_given_to_the_right_item() {
    let captures = receipts(10, &|n, first, second| {
        format!(
            "Bon {:04}\n{:02}.03.2026 09:00\n=======\n2  {}  {}\nKaffee gross\n1  {}  {}\nTee\n\
             SUMME  {}\nBAR  {}",
            70 + n,
            n,
            money(first, ','),
            money(2 * first, ','),
            money(second, ','),
            money(second, ','),
            money(2 * first + second, ','),
            money(2 * first + second, ','),
        )
    });
    let (learned, profile) = all_sales(&captures);
    let sale = read_sale(&profile, &captures[0]);
    let items: Vec<(&str, String)> = sale
        .items
        .iter()
        .map(|item| (item.description.as_str(), item.quantity.to_string()))
        .collect();
    assert_eq!(
        items,
        [("Kaffee gross", "2".to_owned()), ("Tee", "1".to_owned())],
        "{}",
        learned.profile
    );
}

#[test]
fn few_samples_make_a_weak_proposal_and_none_makes_none() {
    let few: Vec<Captured> = samples(SHOPS[0].1, 1).into_iter().take(3).collect();
    let learned = learn(&few, "learned").unwrap();
    assert!(learned.is_weak());
    assert!(learned.profile.contains("# WEAK"), "{}", learned.profile);
    assert_eq!(learn(&[], "learned"), Err(LearnError::NoText));
    assert_eq!(
        learn(&[lines("Welcome\nCome again")], "learned"),
        Err(LearnError::NoAmounts)
    );
    let wrong = lines("Milk 1.00\nTOTAL 2.00\nCASH 2.00");
    assert_eq!(
        learn(&[wrong], "learned"),
        Err(LearnError::NothingAddsUp { receipts: 1 })
    );
}

#[test]
fn the_same_samples_give_the_same_profile_and_no_number_of_theirs_is_in_it() {
    let mut captures = samples(SHOPS[4].1, 1);
    captures.push(lines("Order #10999\nCard 4111 1111 1111 1111\nTotal $1.00"));
    let first = learn(&captures, "learned").unwrap();
    assert_eq!(learn(&captures, "learned").unwrap(), first);
    for number in ["1111", "62759810", "10457", "1000"] {
        assert!(
            !first.profile.contains(number),
            "{number}\n{}",
            first.profile
        );
    }
}

#[test]
fn hostile_captures_cost_bounded_work() {
    let wide = "1.00 ".repeat(800);
    let long: String = (0..LINES_MAX)
        .map(|n| format!("Thing {n} of many {}.00\n", n))
        .collect();
    let captures: Vec<Captured> = (0..RECEIPTS_MAX + 5)
        .map(|n| lines(&format!("{long}{n}\nTOTAL {n}.00")))
        .chain(std::iter::once(lines(&wide)))
        .chain(std::iter::once(lines(&"TOTAL 1.00\n".repeat(2_500))))
        .collect();
    assert!(learn(&captures, "learned").is_err());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
    #[test]
    fn no_captures_make_the_learner_panic_and_what_it_proposes_is_a_profile(
        texts in proptest::collection::vec(
            proptest::collection::vec(
                proptest::prop_oneof![
                    "[A-Z][a-z]{2,5} [0-9]{1,2}\\.[0-9]{2}",
                    "(TOTAL|CASH|TAX|SUMME|合计) {1,4}-?[0-9]{1,2}\\.[0-9]{2}",
                    "[0-9] x [0-9]\\.[0-9]{2}  [0-9]\\.[0-9]{2}",
                    "\\PC{0,30}",
                ],
                1..8,
            ),
            1..4,
        ),
    ) {
        let captures: Vec<Captured> = texts.iter().map(|lines| Captured::Lines(lines.clone())).collect();
        if let Ok(learned) = learn(&captures, "learned") {
            proptest::prop_assert!(Profile::parse(&learned.profile).is_ok());
            proptest::prop_assert!(learned.sales > 0);
        }
    }
}
