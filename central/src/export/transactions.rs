//! Retail transactions, each sale once.

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;
use tillbind_protocol::event::{TransactionItem, TransactionTender};
use utoipa::ToSchema;

use super::listing::{Key, Listing};
use super::moment::Moment;
use crate::store::StoreError;
use crate::store::statement::Row;

const OPERATION: &str = "export transactions";

/// Names of the fields, in order.
pub(super) const COLUMNS: &[&str] = &[
    "terminal",
    "epoch",
    "seq",
    "store",
    "workstation",
    "business_day",
    "sequence",
    "kind",
    "began_at",
    "ended_at",
    "recorded_at",
    "clock_offset_ms",
    "currency",
    "total_minor",
    "discount_minor",
    "tax_minor",
    "items",
    "tenders",
    "card",
    "member",
    "source",
    "training",
    "tax_included",
    "sources",
    "recorded_at_uncertainty_ms",
];

pub(super) static LISTING: Listing = Listing {
    operation: OPERATION,
    key: &[
        Key::Text("t.store"),
        Key::Text("t.workstation"),
        Key::Text("t.business_day"),
        Key::Text("t.sequence"),
    ],
    columns: "t.terminal, t.epoch, t.seq, t.store, t.workstation, t.business_day, t.sequence, \
              t.kind, t.began_ms, t.ended_ms, t.recorded_ms, t.clock_offset_ms, t.currency, \
              t.total_minor, t.discount_minor, t.tax_minor, t.items, t.tenders, t.card, \
              COALESCE(a.member, c.member), \
              t.source, t.training, t.tax_included, t.sources, \
              t.recorded_uncertainty_ms",
    from: "transactions t LEFT JOIN cards c ON c.card = t.card \
           LEFT JOIN accounts a ON a.account = t.account",
    always: None,
    time: Some("t.recorded_ms"),
    store: Some("t.store"),
    terminal: Some("t.terminal"),
    open: None,
    // A transaction may be a quarter of a megabyte long.
    page_lines: 200,
};

/// A finished sale, return or void. Amounts are minor units of `currency`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Transaction {
    /// The terminal whose event told it first.
    terminal: String,
    /// The epoch of that event.
    epoch: String,
    /// The event's place in its epoch.
    seq: i64,
    /// Store.
    store: String,
    /// Workstation within the store.
    workstation: String,
    /// The POS's business day, as in 2026-11-22.
    business_day: String,
    /// Number within store, workstation and business day.
    sequence: String,
    /// `sale`, `return` or `void`.
    kind: String,
    /// Begin, if known.
    began_at: Option<Moment>,
    /// End, if known.
    ended_at: Option<Moment>,
    /// When the terminal recorded it, corrected to central's clock.
    recorded_at: Moment,
    /// What was added to the terminal's clock for that.
    clock_offset_ms: i64,
    /// ISO 4217 code.
    currency: String,
    /// What the customer owed; negative for a return.
    total_minor: i64,
    /// All discounts.
    discount_minor: i64,
    /// Tax.
    tax_minor: i64,
    /// Lines of goods.
    items: Vec<Item>,
    /// Payments.
    tenders: Vec<Tender>,
    /// The membership card, if one belongs to it.
    card: Option<String>,
    /// The member of the account that claimed it, or else the card's, once an account is bound.
    member: Option<String>,
    /// `tap`, `poslog`, `ndjson`, `csv` or `api`.
    source: String,
    /// Whether the till was in training mode.
    training: bool,
    /// Whether the lines hold the tax already.
    tax_included: bool,
    /// Every source that told it.
    sources: Vec<String>,
    /// How far `recorded_at` may be off; nothing where the terminal had never seen central's clock.
    recorded_at_uncertainty_ms: Option<i64>,
}

/// A line of goods.
#[derive(Debug, Serialize, ToSchema)]
pub struct Item {
    /// Line number.
    line: u32,
    /// The goods' number; empty if unknown.
    item_id: String,
    /// Text of the line.
    description: String,
    /// Quantity, a JSON number with exactly the digits that the POS gave.
    #[schema(value_type = f64)]
    quantity: Box<RawValue>,
    /// Price of one unit.
    unit_price_minor: i64,
    /// Amount before the line's discount.
    amount_minor: i64,
    /// Discount of the line.
    discount_minor: i64,
    /// Department, if known.
    department: Option<String>,
    /// Voided lines count in no sum.
    voided: bool,
}

/// A payment.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tender {
    /// `cash`, `card`, `voucher`, `wallet`, `change`, or the POS's own word.
    kind: String,
    /// Amount; negative when paid out.
    amount_minor: i64,
}

pub(super) fn line(row: &Row) -> Result<Transaction, StoreError> {
    let mut cells = LISTING.cells(row);
    Ok(Transaction {
        terminal: cells.text()?,
        epoch: cells.text()?,
        seq: cells.int()?,
        store: cells.text()?,
        workstation: cells.text()?,
        business_day: cells.text()?,
        sequence: cells.text()?,
        kind: cells.text()?,
        began_at: cells.moment_opt()?,
        ended_at: cells.moment_opt()?,
        recorded_at: cells.moment()?,
        clock_offset_ms: cells.int()?,
        currency: cells.text()?,
        total_minor: cells.int()?,
        discount_minor: cells.int()?,
        tax_minor: cells.int()?,
        items: items(&cells.text()?)?,
        tenders: tenders(&cells.text()?)?,
        card: cells.text_opt()?,
        member: cells.text_opt()?,
        source: cells.text()?,
        training: cells.flag()?,
        tax_included: cells.flag()?,
        sources: cells.text()?.split(' ').map(str::to_owned).collect(),
        recorded_at_uncertainty_ms: cells.int_opt()?,
    })
}

fn items(json: &str) -> Result<Vec<Item>, StoreError> {
    let items: Vec<TransactionItem> =
        serde_json::from_str(json).map_err(|e| StoreError::foreign_value(OPERATION, e))?;
    items
        .into_iter()
        .map(|item| {
            Ok(Item {
                line: item.line,
                item_id: item.item_id,
                description: item.description,
                quantity: number(item.quantity)?,
                unit_price_minor: item.unit_price_minor,
                amount_minor: item.amount_minor,
                discount_minor: item.discount_minor,
                department: item.department,
                voided: item.voided,
            })
        })
        .collect()
}

fn tenders(json: &str) -> Result<Vec<Tender>, StoreError> {
    let tenders: Vec<TransactionTender> =
        serde_json::from_str(json).map_err(|e| StoreError::foreign_value(OPERATION, e))?;
    Ok(tenders
        .into_iter()
        .map(|tender| Tender {
            kind: tender.kind,
            amount_minor: tender.amount_minor,
        })
        .collect())
}

/// A decimal as the JSON number of its digits: it passes through no float.
fn number(decimal: Decimal) -> Result<Box<RawValue>, StoreError> {
    RawValue::from_string(decimal.to_string()).map_err(|e| StoreError::foreign_value(OPERATION, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_keeps_its_digits_and_defaults_are_written_out() {
        let stored =
            r#"[{"line":1,"quantity":"0.1230","unit_price_minor":999,"amount_minor":123}]"#;
        assert_eq!(
            serde_json::to_string(&items(stored).unwrap()).unwrap(),
            r#"[{"line":1,"item_id":"","description":"","quantity":0.1230,"unit_price_minor":999,"amount_minor":123,"discount_minor":0,"department":null,"voided":false}]"#
        );
        let largest = number(Decimal::MIN).unwrap();
        assert_eq!(largest.get(), "-79228162514264337593543950335");
    }
}
