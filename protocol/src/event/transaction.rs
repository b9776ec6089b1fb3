//! A retail transaction as it goes over the wire, and its natural key.

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::is_zero;
use crate::ids::{CardNumber, Seq, StoreId, WorkstationId};

fn is_false(b: &bool) -> bool {
    !*b
}

/// What a retail transaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransactionKind {
    /// Goods left the store.
    Sale,
    /// Goods came back.
    Return,
    /// The transaction was cancelled or voided.
    Void,
}

impl TransactionKind {
    /// Returns the stable name, as in exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::Return => "return",
            Self::Void => "void",
        }
    }
}

/// Where the terminal learnt of a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The receipt tap.
    Tap,
    /// A POSLog file.
    Poslog,
    /// A journal of JSON lines.
    Ndjson,
    /// A CSV journal.
    Csv,
    /// The till's own call.
    Api,
}

impl Source {
    /// Returns the stable name, as in exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tap => "tap",
            Self::Poslog => "poslog",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Api => "api",
        }
    }
}

/// A finished sale, return or void. Amounts are minor units of `currency`; money that comes in is
/// positive, a return negative. Σ lines not voided − `discount_minor` + tax that is added =
/// `total_minor` = Σ tenders (change is a negative tender).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetailTransaction {
    /// Store, as headquarters names it.
    pub store: StoreId,
    /// Workstation within the store.
    pub workstation: WorkstationId,
    /// The POS's business day.
    pub business_day: NaiveDate,
    /// Number of the transaction within store, workstation and business day.
    pub sequence: String,
    /// Sale, return or void. Named apart from the event's own `kind`.
    #[serde(rename = "type")]
    pub kind: TransactionKind,
    /// Begin, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<DateTime<Utc>>,
    /// End, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
    /// ISO 4217 code.
    pub currency: String,
    /// What the customer owed.
    pub total_minor: i64,
    /// All discounts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub discount_minor: i64,
    /// Tax.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tax_minor: i64,
    /// Whether the lines hold the tax already.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tax_included: bool,
    /// Goods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<TransactionItem>,
    /// Payments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenders: Vec<TransactionTender>,
    /// The membership card that the sale belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<CardNumber>,
    /// Kind of the card's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_kind: Option<String>,
    /// Where the terminal learnt of it.
    pub source: Source,
    /// Whether the till was in training mode.
    #[serde(default, skip_serializing_if = "is_false")]
    pub training: bool,
    /// The event of this epoch that told the same sale before, when this one adds to it or
    /// contradicts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amends: Option<Seq>,
}

/// One line of goods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionItem {
    /// Line number.
    pub line: u32,
    /// The goods' number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub item_id: String,
    /// Text of the line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Quantity, a decimal written as text.
    pub quantity: Decimal,
    /// Price of one unit.
    pub unit_price_minor: i64,
    /// Amount before the line's discount.
    pub amount_minor: i64,
    /// Discount of the line.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub discount_minor: i64,
    /// Department.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// Voided lines count in no sum.
    #[serde(default, skip_serializing_if = "is_false")]
    pub voided: bool,
}

/// A payment, without any number of the instrument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionTender {
    /// `cash`, `card`, `voucher`, `wallet`, `change`, or the POS's own word.
    pub kind: String,
    /// Amount, negative when paid out.
    pub amount_minor: i64,
}

/// The natural key of a sale (ARTS): the second line of defence against counting one twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SaleKey {
    /// Store.
    pub store: StoreId,
    /// Workstation.
    pub workstation: WorkstationId,
    /// Business day.
    pub business_day: NaiveDate,
    /// Sequence, without the zeros that one source pads and another does not.
    pub sequence: String,
}

impl RetailTransaction {
    /// Returns the natural key.
    pub fn key(&self) -> SaleKey {
        SaleKey {
            store: self.store.clone(),
            workstation: self.workstation.clone(),
            business_day: self.business_day,
            sequence: plain_sequence(&self.sequence).to_owned(),
        }
    }
}

/// Returns a sequence without leading zeros where it is a number: a receipt prints `000161`, the
/// journal says `161`.
pub fn plain_sequence(sequence: &str) -> &str {
    let sequence = sequence.trim();
    if sequence.bytes().all(|b| b.is_ascii_digit()) {
        let plain = sequence.trim_start_matches('0');
        if plain.is_empty() && !sequence.is_empty() {
            "0"
        } else {
            plain
        }
    } else {
        sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_ignores_padding_and_nothing_else() {
        assert_eq!(plain_sequence("000161"), "161");
        assert_eq!(plain_sequence("0000"), "0");
        assert_eq!(plain_sequence("A-007"), "A-007");
        assert_eq!(plain_sequence(" 5 "), "5");
    }
}
