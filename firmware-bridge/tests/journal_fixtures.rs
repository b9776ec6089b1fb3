//! NDJSON and CSV of our own, each named by what it shows, beside what must come of it.

#![expect(clippy::unwrap_used, reason = "a test fails by its panic")]

mod told_sale;

use std::fmt::Write;
use std::path::{Path as FilePath, PathBuf};

use proptest::prelude::*;
use tillbind_firmware_bridge::journal::TextEncoding;
use tillbind_firmware_bridge::journal::csv::{Column, ColumnRole, CsvSettings, RowMeaning};
use tillbind_firmware_bridge::journal::decoder::{LineDecoder, LineFormat};
use tillbind_firmware_bridge::journal::draft::{Field, ItemField, TenderField};
use tillbind_firmware_bridge::journal::entry::{Entry, Found, Mark};
use tillbind_firmware_bridge::journal::ndjson::{NdjsonSettings, Path};
use tillbind_firmware_bridge::journal::value::{
    AmountUnit, DecimalMark, KindMeaning, TimeFormat, ValueRules,
};
use tillbind_firmware_bridge::money::Currency;
use tillbind_firmware_bridge::sale::{Imbalance, SaleKind};

use told_sale::tell_sale;

fn fixtures() -> Vec<(PathBuf, Vec<u8>, LineFormat)> {
    let root = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut found = Vec::new();
    for ending in ["ndjson", "csv"] {
        for entry in std::fs::read_dir(root.join(ending)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == ending) {
                let bytes = std::fs::read(&path).unwrap();
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let format = match ending {
                    "csv" => LineFormat::Csv(Box::new(csv(&name))),
                    _ => LineFormat::Ndjson(Box::new(ndjson(&name))),
                };
                found.push((path, bytes, format));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn ndjson(case: &str) -> NdjsonSettings {
    let mut settings = NdjsonSettings::new(AmountUnit::Minor);
    match case {
        "gbk-by-setting" => settings.encoding = TextEncoding::parse("gbk").unwrap(),
        "map-of-another-pos" => return another_pos(),
        _ => {}
    }
    settings
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn another_pos() -> NdjsonSettings {
    let mut settings = NdjsonSettings::new(AmountUnit::Major);
    settings.rules.decimal = DecimalMark::Comma;
    settings.rules.currency = Some(Currency::parse("EUR").unwrap());
    settings.rules.time_format = Some(TimeFormat::parse("%d.%m.%Y %H:%M:%S").unwrap());
    settings.rules.tax_included = Some(true);
    settings.rules.returns_positive = true;
    settings.rules.kinds = [
        ("vk", KindMeaning::Is(SaleKind::Sale)),
        ("rt", KindMeaning::Is(SaleKind::Return)),
        ("lade", KindMeaning::Skipped),
    ]
    .map(|(word, meaning)| (word.to_owned(), meaning))
    .into();
    settings.fields = [
        (Field::Sequence, "head.no"),
        (Field::EndedAt, "head.t"),
        (Field::Kind, "head.type"),
        (Field::Total, "totals.grand"),
        (Field::Tax, "totals.vat"),
        (Field::Card, "customer.ids.1"),
    ]
    .map(|(field, text)| (field, path(text)))
    .into();
    settings.items = Some(path("pos"));
    settings.item_fields = [
        (ItemField::ItemId, "art.nr"),
        (ItemField::Description, "txt"),
        (ItemField::Quantity, "n"),
        (ItemField::UnitPrice, "p"),
    ]
    .map(|(field, text)| (field, path(text)))
    .into();
    settings.tenders = Some(path("pay"));
    settings.tender_fields = [(TenderField::Kind, "how"), (TenderField::Amount, "sum")]
        .map(|(field, text)| (field, path(text)))
        .into();
    settings
}

fn columns(map: &[(&str, &str)]) -> Vec<(ColumnRole, Column)> {
    map.iter()
        .map(|(role, name)| {
            let column = match name.parse() {
                Ok(number) => Column::Numbered(number),
                Err(_) => Column::Named((*name).to_owned()),
            };
            (ColumnRole::parse(role).unwrap(), column)
        })
        .collect()
}

fn csv(case: &str) -> CsvSettings {
    let mut rules = ValueRules::new(AmountUnit::Major);
    rules.currency = Some(Currency::parse("EUR").unwrap());
    let mut settings = CsvSettings::new(rules);
    let plain = [
        ("sequence", "receipt no"),
        ("description", "Item"),
        ("amount", "Amount"),
        ("total", "Total"),
    ];
    settings.columns.extend(columns(&plain));
    match case {
        "cp1252-by-setting" => settings.encoding = TextEncoding::parse("cp1252").unwrap(),
        "by-number-without-a-header" => {
            settings.header = false;
            settings.delimiter = b'\t';
            settings.columns = columns(&[
                ("sequence", "1"),
                ("description", "2"),
                ("amount", "3"),
                ("tender", "4"),
            ])
            .into_iter()
            .collect();
        }
        "rows-of-goods-payments-and-discounts" => {
            settings.delimiter = b';';
            settings.rules.decimal = DecimalMark::Comma;
            settings.rules.date_format = Some(TimeFormat::parse("%d.%m.%Y").unwrap());
            settings.columns = columns(&[
                ("row_kind", "Art"),
                ("store", "Filiale"),
                ("workstation", "Kasse"),
                ("sequence", "Bon"),
                ("business_day", "Datum"),
                ("date", "Datum"),
                ("time", "Zeit"),
                ("item_id", "Artikel"),
                ("description", "Text"),
                ("quantity", "Menge"),
                ("unit_price", "Preis"),
                ("amount", "Betrag"),
                ("total", "Summe"),
                ("tender", "Zahlart"),
                ("card", "Karte"),
            ])
            .into_iter()
            .collect();
            settings.row_kinds = [
                ("p", RowMeaning::Item),
                ("r", RowMeaning::Discount),
                ("z", RowMeaning::Tender),
                ("k", RowMeaning::Skipped),
            ]
            .map(|(word, meaning)| (word.to_owned(), meaning))
            .into();
        }
        _ => {}
    }
    settings
}

fn decode(bytes: &[u8], format: &LineFormat, chunk: usize) -> Vec<Found> {
    let mut decoder = LineDecoder::new(format);
    let mut found = Vec::new();
    for bytes in bytes.chunks(chunk.max(1)) {
        decoder.feed(bytes, &mut found);
    }
    decoder.end(&mut found);
    found
}

fn render(found: &[Found]) -> String {
    let mut out = String::new();
    for one in found {
        match &one.entry {
            Entry::Sale(sale) => tell_sale(&mut out, sale),
            Entry::Fault(fault) => writeln!(out, "fault {fault}").unwrap(),
            Entry::Unfit(fault) => writeln!(out, "unfit {fault}").unwrap(),
        }
    }
    out
}

#[test]
fn each_fixture_yields_what_stands_beside_it() {
    let fixtures = fixtures();
    assert!(!fixtures.is_empty());
    let mut wrong = String::new();
    for (path, bytes, format) in fixtures {
        let expected = path.with_extension("expected");
        let expected = std::fs::read_to_string(&expected)
            .unwrap_or_else(|error| format!("{}: {error}\n", expected.display()));
        let got = render(&decode(&bytes, &format, bytes.len()));
        if got != expected {
            let name = path.file_stem().unwrap().display();
            writeln!(wrong, "== {name}\n-- expected\n{expected}-- got\n{got}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn any_chunking_gives_the_same() {
    for (path, bytes, format) in fixtures() {
        let whole = decode(&bytes, &format, bytes.len());
        for size in [1, 2, 3, 7, 64, 1000] {
            assert_eq!(
                decode(&bytes, &format, size),
                whole,
                "{} by {size}",
                path.display()
            );
        }
    }
}

#[test]
fn reading_on_from_any_mark_tells_the_rest_and_nothing_again() {
    for (path, bytes, format) in fixtures() {
        let whole = decode(&bytes, &format, bytes.len());
        for (index, one) in whole.iter().enumerate() {
            if matches!(one.entry, Entry::Unfit(_))
                || whole
                    .get(index + 1)
                    .is_some_and(|next| next.mark <= one.mark)
                || whole[..index].iter().any(|before| before.mark > one.mark)
            {
                continue;
            }
            let mut decoder = LineDecoder::new(&format);
            let mut found = Vec::new();
            let mut fed = 0;
            while !decoder.head_is_read() && fed < bytes.len() {
                decoder.feed(&bytes[fed..=fed], &mut found);
                fed += 1;
            }
            found.clear();
            decoder.jump(one.mark);
            let offset = usize::try_from(one.mark.offset).unwrap();
            decoder.feed(&bytes[offset..], &mut found);
            decoder.end(&mut found);
            let lost_order = |found: &[Found]| render(found).replace("apart", "");
            let rest: Vec<Found> = whole[index + 1..].to_vec();
            // Keys from before the mark are not remembered: such rows are told as a sale then.
            if !render(&rest).contains("stand apart") {
                assert_eq!(lost_order(&found), lost_order(&rest), "{}", path.display());
            }
        }
    }
}

#[test]
fn what_every_sale_says_adds_up() {
    for (_, bytes, format) in fixtures() {
        for found in decode(&bytes, &format, 64) {
            let Entry::Sale(sale) = found.entry else {
                continue;
            };
            let result = sale.reconcile();
            let untold =
                matches!(result, Err(Imbalance::Tenders { .. })) && sale.tenders.is_empty();
            assert!(result.is_ok() || untold, "{result:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn damage_anywhere_never_panics_and_gives_the_same_in_any_chunking(
        case in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        chunk in 1usize..200,
    ) {
        let fixtures = fixtures();
        let (_, bytes, format) = &fixtures[case.index(fixtures.len())];
        let mut bytes = bytes.clone();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let whole = decode(&bytes, format, bytes.len());
        prop_assert_eq!(decode(&bytes, format, chunk), whole);
    }

    #[test]
    fn any_quotes_and_line_feeds_never_panic_and_give_the_same_in_any_chunking(
        text in "[\",\r\na1.é ]{0,400}",
        chunk in 1usize..50,
    ) {
        let format = LineFormat::Csv(Box::new(csv("plain")));
        let text = format!("Receipt No,Item,Amount,Total\n{text}");
        let whole = decode(text.as_bytes(), &format, text.len());
        prop_assert_eq!(decode(text.as_bytes(), &format, chunk), whole);
    }
}

/// Lines as a till would write them for years, made as they are read.
fn line(format: &LineFormat, number: u64) -> String {
    match format {
        LineFormat::Ndjson(_) => format!(
            "{{\"sequence\":\"{number}\",\"currency\":\"EUR\",\"items\":[{{\"description\":\"{:1000}\",\
             \"amount_minor\":500}}],\"tenders\":[{{\"amount_minor\":500}}]}}\n",
            "Tea"
        ),
        LineFormat::Csv(_) => format!("{number},\"{:1000}\",5.00,5.00\n", "Tea"),
    }
}

#[test]
fn a_file_of_any_length_is_read_in_constant_memory() {
    const BYTES: usize = 24 * 1024 * 1024;
    for format in [
        LineFormat::Ndjson(Box::new(ndjson("plain"))),
        LineFormat::Csv(Box::new(csv("plain"))),
    ] {
        let mut decoder = LineDecoder::new(&format);
        let mut found = Vec::new();
        let (mut fed, mut sales, mut number, mut held_max) = (0, 0, 0, 0);
        if matches!(format, LineFormat::Csv(_)) {
            decoder.feed(b"Receipt No,Item,Amount,Total\n", &mut found);
        }
        while fed < BYTES {
            let mut chunk = String::new();
            while chunk.len() < 60_000 {
                number += 1;
                chunk.push_str(&line(&format, number));
            }
            // Chunks end in mid-line.
            let (first, second) = chunk.as_bytes().split_at(30_001);
            for part in [first, second] {
                decoder.feed(part, &mut found);
                held_max = held_max.max(match &decoder {
                    LineDecoder::Ndjson(decoder) => decoder.buffered_bytes(),
                    LineDecoder::Csv(decoder) => decoder.buffered_bytes() + decoder.open_rows(),
                });
                sales += found.len() as u64;
                found.clear();
            }
            fed += chunk.len();
        }
        decoder.end(&mut found);
        assert_eq!(sales + found.len() as u64, number);
        assert!(held_max < 4_096, "{held_max} bytes were held");
    }
}

#[test]
fn a_mark_is_a_place_in_the_file() {
    let format = LineFormat::Csv(Box::new(csv("plain")));
    let text = "Receipt No,Item,Amount,Total\n1,Tea,5,5\n2,Tea,5,5\n";
    let found = decode(text.as_bytes(), &format, 5);
    let marks: Vec<Mark> = found.iter().map(|one| one.mark).collect();
    assert_eq!(
        marks,
        [
            Mark {
                offset: 39,
                line: 2
            },
            Mark {
                offset: 49,
                line: 3
            }
        ]
    );
}
