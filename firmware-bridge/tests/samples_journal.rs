//! Exports of a real grocer and of a real online shop, read by a map as a technician writes it.
//!
//! The samples are not part of this repository: their folder is named by `TILLBIND_SAMPLES`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by its panic, and says on its output what it left out"
)]

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use tillbind_firmware_bridge::journal::csv::{Column, ColumnRole, CsvDecoder, CsvSettings};
use tillbind_firmware_bridge::journal::draft::{Field, ItemField};
use tillbind_firmware_bridge::journal::entry::{Entry, Found};
use tillbind_firmware_bridge::journal::ndjson::{NdjsonDecoder, NdjsonSettings, Path};
use tillbind_firmware_bridge::journal::value::{AmountUnit, ValueRules};
use tillbind_firmware_bridge::money::Currency;
use tillbind_firmware_bridge::sale::{Sale, SaleKind};

#[expect(
    clippy::disallowed_methods,
    reason = "a test's main is here: the samples' folder is told by the environment"
)]
fn sample(name: &str) -> Option<File> {
    let Ok(folder) = std::env::var("TILLBIND_SAMPLES") else {
        println!("TILLBIND_SAMPLES is not set: {name} is not tried");
        return None;
    };
    let path = PathBuf::from(folder).join(name);
    Some(File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

fn sales(found: Vec<Found>) -> Vec<Sale> {
    found
        .into_iter()
        .map(|one| match one.entry {
            Entry::Sale(sale) => *sale,
            Entry::Fault(fault) | Entry::Unfit(fault) => panic!("{fault}"),
        })
        .collect()
}

#[test]
fn a_years_till_lines_of_a_grocer_become_its_baskets() {
    let Some(file) = sample("retail/sales.csv.gz") else {
        return;
    };
    let mut rules = ValueRules::new(AmountUnit::Major);
    rules.currency = Some(Currency::parse("USD").unwrap());
    // `sales_value` is what the grocer got: the card's discount is off already.
    rules.amounts_after_discount = true;
    let mut settings = CsvSettings::new(rules);
    settings.columns = [
        ("store", "store_id"),
        ("sequence", "basket_id"),
        ("ended_at", "transaction_timestamp"),
        ("card", "household_id"),
        ("item_id", "product_id"),
        ("description", "product_type"),
        ("quantity", "quantity"),
        ("amount", "sales_value"),
        ("item_discount", "retail_disc"),
        ("department", "department"),
    ]
    .map(|(role, name)| {
        (
            ColumnRole::parse(role).unwrap(),
            Column::Named(name.to_owned()),
        )
    })
    .into();
    let mut decoder = CsvDecoder::new(settings);
    let mut inflated = GzDecoder::new(file);
    let mut chunk = vec![0; 64 * 1024];
    let (mut baskets, mut lines, mut cents, mut off) = (0, 0, 0, 0);
    let mut count = |found: Vec<Found>| {
        for sale in sales(found) {
            baskets += 1;
            lines += sale.items.len();
            cents += sale.total_minor;
            off += sale.discount_minor;
        }
    };
    loop {
        let read = inflated.read(&mut chunk).unwrap();
        let mut found = Vec::new();
        decoder.feed(&chunk[..read], &mut found);
        assert!(decoder.buffered_bytes() < 1_024);
        if read == 0 {
            decoder.end(&mut found);
            count(found);
            break;
        }
        count(found);
    }
    // Counted apart, with Python's csv and decimal over the same file.
    assert_eq!((baskets, lines), (47_243, 75_000));
    assert_eq!((cents, off), (23_393_524, 4_018_091));
}

fn json(name: &str) -> Option<serde_json::Value> {
    sample(name).map(|file| serde_json::from_reader(file).unwrap())
}

fn shop() -> NdjsonSettings {
    let mut settings = NdjsonSettings::new(AmountUnit::Major);
    let path = |text: &str| Path::parse(text).unwrap();
    settings.fields = [
        (Field::Sequence, "name"),
        (Field::EndedAt, "processed_at"),
        (Field::Currency, "currency"),
        (Field::Total, "total_price"),
        (Field::Discount, "total_discounts"),
        (Field::Tax, "total_tax"),
        (Field::TaxIncluded, "taxes_included"),
        (Field::Card, "customer.id"),
        (Field::Training, "test"),
        (Field::Voided, "cancelled_at"),
    ]
    .map(|(field, text)| (field, path(text)))
    .into();
    settings.items = Some(path("line_items"));
    settings.item_fields = [
        (ItemField::ItemId, "sku"),
        (ItemField::Description, "name"),
        (ItemField::Quantity, "quantity"),
        (ItemField::UnitPrice, "price"),
        (ItemField::Discount, "total_discount"),
    ]
    .map(|(field, text)| (field, path(text)))
    .into();
    // An order names its gateways, and no amounts paid.
    settings.tenders = None;
    settings
}

fn read(settings: NdjsonSettings, object: &serde_json::Value) -> Vec<Found> {
    let mut decoder = NdjsonDecoder::new(settings);
    let mut found = Vec::new();
    decoder.feed(format!("{object}\n").as_bytes(), &mut found);
    decoder.end(&mut found);
    found
}

#[test]
fn an_order_of_an_online_shop_is_read_by_a_map() {
    let (Some(orders), Some(order)) = (
        json("pos-json/shopify-orders.json"),
        json("pos-json/shopify-order.json"),
    ) else {
        return;
    };
    // The two files show the same order, the first without its lines.
    let mut whole = orders["orders"][0].clone();
    whole["line_items"] = order["order"]["line_items"].clone();
    let sales = sales(read(shop(), &whole));
    let [sale] = &sales[..] else {
        panic!("{} sales", sales.len());
    };
    assert_eq!(sale.kind, SaleKind::Sale);
    assert_eq!(sale.sequence.as_deref(), Some("#1001"));
    assert_eq!(sale.card.as_deref(), Some("207119551"));
    assert_eq!(
        (sale.total_minor, sale.discount_minor, sale.tax_minor),
        (59_894, 1_000, 1_194)
    );
    let amounts: Vec<i64> = sale.items.iter().map(|item| item.amount_minor).collect();
    assert_eq!(amounts, [19_900, 19_900, 19_900]);
    assert_eq!(sale.items[0].item_id, "IPOD2008GREEN");
    assert!(!sale.tax_included && !sale.training);
}

#[test]
fn an_order_whose_total_leaves_out_a_line_is_refused() {
    let Some(order) = json("pos-json/shopify-order.json") else {
        return;
    };
    let found = read(shop(), &order["order"]);
    let [
        Found {
            entry: Entry::Fault(fault),
            ..
        },
    ] = &found[..]
    else {
        panic!("{found:?}");
    };
    assert!(fault.problem.contains("lines 59700"), "{fault}");
    assert!(fault.problem.contains("total is 40994"), "{fault}");
}
