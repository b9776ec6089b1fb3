//! Real POSLogs of four systems, with expectations worked out by hand from the files.
//!
//! The samples are not part of this repository: their folder is named by `TILLBIND_SAMPLES`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by its panic, and says on its output what it left out"
)]

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use chrono::{DateTime, NaiveDate};
use tillbind_firmware_bridge::poslog::{PosLogError, PosLogItem, PosLogReader, SkipReason};
use tillbind_firmware_bridge::sale::{Sale, SaleKind, SaleTime};

#[expect(
    clippy::disallowed_methods,
    reason = "a test's main is here: the samples' folder is told by the environment"
)]
fn sample(name: &str) -> Option<Vec<Result<PosLogItem, PosLogError>>> {
    let Ok(folder) = std::env::var("TILLBIND_SAMPLES") else {
        println!("TILLBIND_SAMPLES is not set: {name} is not tried");
        return None;
    };
    let path = PathBuf::from(folder).join("poslog").join(name);
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(PosLogReader::new(BufReader::new(file)).collect())
}

fn only_sale(items: Vec<Result<PosLogItem, PosLogError>>) -> Sale {
    let sales: Vec<Sale> = items
        .into_iter()
        .filter_map(|item| match item {
            Ok(PosLogItem::Sale(sale)) => Some(sale),
            Ok(PosLogItem::Skipped { .. }) => None,
            Err(error) => panic!("{error}"),
        })
        .collect();
    let [sale] = <[Sale; 1]>::try_from(sales).unwrap();
    assert_eq!(sale.reconcile(), Ok(()));
    sale
}

fn key(sale: &Sale) -> [&str; 3] {
    [&sale.store, &sale.workstation, &sale.sequence].map(|part| part.as_deref().unwrap())
}

fn day(year: i32, month: u32, day: u32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(year, month, day)
}

#[test]
fn ncr_acs_counts_a_reward_once_though_it_is_written_twice_and_names_the_member() {
    let Some(items) = sample("ncr-acs-small.xml") else {
        return;
    };
    assert_eq!(items.len(), 2);
    let sign_on = PosLogItem::Skipped {
        reason: SkipReason::Control,
        sequence: Some("160".to_owned()),
    };
    assert_eq!(items[0].as_ref().unwrap(), &sign_on);

    // 1.26 of apples, 0.19 off by a reward on the whole, 1.07 by card, no tax.
    let sale = only_sale(items);
    assert_eq!(key(&sale), ["9", "34", "161"]);
    assert_eq!(sale.business_day, day(2017, 9, 30));
    assert_eq!(sale.kind, SaleKind::Sale);
    assert_eq!(sale.currency.as_str(), "USD");
    assert_eq!(
        (sale.total_minor, sale.discount_minor, sale.tax_minor),
        (107, 19, 0)
    );
    assert_eq!(sale.card.as_deref(), Some("0000000000000040000066677"));
    assert!(matches!(sale.ended_at, Some(SaleTime::Local(_))));
    let [apples] = &sale.items[..] else {
        panic!("{:?}", sale.items)
    };
    assert_eq!(apples.item_id, "00000000067591");
    assert_eq!(apples.quantity.to_string(), "0.42");
    assert_eq!((apples.unit_price_minor, apples.amount_minor), (299, 126));
    assert_eq!(apples.department.as_deref(), Some("6"));
    let [card] = &sale.tenders[..] else {
        panic!("{:?}", sale.tenders)
    };
    assert_eq!((card.kind.as_str(), card.amount_minor), ("card", 107));
}

#[test]
fn r10_has_its_day_and_times_last_and_its_tax_inside() {
    let Some(items) = sample("ncr-r10-sainsburys-0.xml") else {
        return;
    };
    // 2.59 + 1.99 + 1.99 = 6.57 in cash; 0.33 + 0.33 VAT inside.
    let sale = only_sale(items);
    assert_eq!(key(&sale), ["0610", "140", "451"]);
    assert_eq!(sale.business_day, day(2016, 8, 22));
    assert_eq!(sale.kind, SaleKind::Sale);
    assert_eq!(sale.currency.as_str(), "GBP");
    assert_eq!(
        (sale.total_minor, sale.discount_minor, sale.tax_minor),
        (657, 0, 66)
    );
    assert!(sale.tax_included);
    assert_eq!(sale.card, None);
    let amounts: Vec<i64> = sale.items.iter().map(|item| item.amount_minor).collect();
    assert_eq!(amounts, [259, 199, 199]);
    // The second line states its quantity twice, as 1 piece and as 0.127 kg.
    assert_eq!(sale.items[1].quantity.to_string(), "1");
    assert_eq!(sale.items[0].description, "YRKSH PRK/CHLLI BRGR");
    assert_eq!(sale.items[0].department.as_deref(), Some("3_09_419"));
    let [cash] = &sale.tenders[..] else {
        panic!("{:?}", sale.tenders)
    };
    assert_eq!((cash.kind.as_str(), cash.amount_minor), ("cash", 657));
    let began = DateTime::parse_from_rfc3339("2016-08-22T15:21:49.3991907+01:00").unwrap();
    assert_eq!(sale.began_at, Some(SaleTime::Zoned(began)));
}

#[test]
fn wincor_voids_by_pointing_back_with_positive_amounts() {
    let Some(items) = sample("wincor-uae.xml") else {
        return;
    };
    // One liner of 21.00, taken back by a second line: nothing is left, nothing was paid.
    let sale = only_sale(items);
    assert_eq!(key(&sale), ["502", "2", "2729"]);
    assert_eq!(sale.business_day, day(2018, 7, 14));
    assert_eq!(sale.kind, SaleKind::Void);
    assert_eq!(sale.currency.as_str(), "AED");
    assert_eq!(
        (sale.total_minor, sale.discount_minor, sale.tax_minor),
        (0, 0, 0)
    );
    let lines: Vec<(u32, i64, bool)> = sale
        .items
        .iter()
        .map(|item| (item.line, item.amount_minor, item.voided))
        .collect();
    assert_eq!(lines, [(3, 2100, true), (4, 2100, true)]);
    assert!(sale.tenders.is_empty());
    assert_eq!(sale.card, None);
}

#[test]
fn templates_are_told_from_transactions() {
    for name in [
        "ecrebo-6.0-template-burger_king.xml",
        "ecrebo-6.0-template-fatface.xml",
    ] {
        let Some(items) = sample(name) else { return };
        let [Err(error)] = &items[..] else {
            panic!("{name}: {items:?}")
        };
        assert!(
            matches!(error, PosLogError::NotATransaction { element, .. } if element == "UnitID"),
            "{name}: {error}"
        );
        assert!(error.to_string().contains("template"), "{error}");
    }
}
