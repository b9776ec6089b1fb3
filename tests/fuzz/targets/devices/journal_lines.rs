//! Journals of JSON lines and of rows, in several encodings.
//!
//! Oracles: the same entries in any pieces; a sale's sums hold unless it is void; reading on from a mark
//! tells what stands behind it and nothing before; what is buffered and what is told of a
//! fault are bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tillbind_firmware_bridge::journal::csv::{Column, ColumnRole, CsvSettings};
use tillbind_firmware_bridge::journal::decoder::{LineDecoder, LineFormat};
use tillbind_firmware_bridge::journal::entry::{Entry, Found};
use tillbind_firmware_bridge::journal::ndjson::NdjsonSettings;
use tillbind_firmware_bridge::journal::value::{AmountUnit, ValueRules};
use tillbind_firmware_bridge::sale::SaleKind;
use tillbind_fuzz::{REASON_BYTES_MAX, in_pieces};

fuzz_target!(|data: &[u8]| {
    let choice = data.iter().fold(0usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(*byte))
    });
    let unit = if choice % 2 == 0 {
        AmountUnit::Minor
    } else {
        AmountUnit::Major
    };
    for format in [
        LineFormat::Ndjson(Box::new(NdjsonSettings::new(unit))),
        LineFormat::Csv(Box::new(rows(unit, choice))),
    ] {
        let mut whole = LineDecoder::new(&format);
        let mut told = Vec::new();
        whole.feed(data, &mut told);
        whole.end(&mut told);
        let mut cut = LineDecoder::new(&format);
        let mut again = Vec::new();
        in_pieces(data, |piece| cut.feed(piece, &mut again));
        cut.end(&mut again);
        assert_eq!(told, again);
        assert_eq!(whole.replaced_lines(), cut.replaced_lines());
        told.iter().for_each(judge);
        assert!(told.is_sorted_by(|one, next| one.mark.offset <= next.mark.offset));
    }
});

/// Names of columns by number, so that any bytes are rows.
fn rows(unit: AmountUnit, choice: usize) -> CsvSettings {
    let mut settings = CsvSettings::new(ValueRules::new(unit));
    settings.header = choice.is_multiple_of(3);
    settings.delimiter = [b',', b';', b'\t', b'|'][choice % 4];
    let names = [
        "sequence",
        "business_day",
        "item_id",
        "quantity",
        "amount",
        "total",
    ];
    for (name, number) in names.into_iter().zip(1..) {
        let role = ColumnRole::parse(name).expect("it is a role");
        let column = if settings.header {
            Column::Named(name.to_owned())
        } else {
            Column::Numbered(number)
        };
        settings.columns.insert(role, column);
    }
    settings
}

fn judge(found: &Found) {
    match &found.entry {
        Entry::Sale(sale) => {
            if sale.kind != SaleKind::Void {
                assert_eq!(sale.reconcile(), Ok(()));
            }
        }
        Entry::Fault(fault) | Entry::Unfit(fault) => {
            assert!(fault.problem.len() < REASON_BYTES_MAX)
        }
    }
}
