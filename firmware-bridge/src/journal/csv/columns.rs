//! Which column holds what: the map of a shop's rows.

use std::collections::BTreeMap;

use super::super::draft::{Field, ItemField, TenderField};
use super::super::lines::TextEncoding;
use super::super::value::ValueRules;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColumnRole {
    /// A value of the transaction.
    Field(Field),
    /// A value of a line of goods.
    Item(ItemField),
    /// A value of a payment.
    Tender(TenderField),
    /// What the row is.
    RowKind,
}

impl ColumnRole {
    /// Finds a role by its name in the settings: a field's; `line`, `item_id`, `description`,
    /// `quantity`, `unit_price`, `amount`, `item_discount`, `department`, `item_voided`; `tender`,
    /// `tender_amount`; `row_kind`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "item_discount" => Some(Self::Item(ItemField::Discount)),
            "item_voided" => Some(Self::Item(ItemField::Voided)),
            "tender" => Some(Self::Tender(TenderField::Kind)),
            "tender_amount" => Some(Self::Tender(TenderField::Amount)),
            "row_kind" => Some(Self::RowKind),
            _ => Field::parse(name)
                .map(Self::Field)
                .or_else(|| ItemField::parse(name).map(Self::Item)),
        }
    }

    /// Returns the name in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Item(ItemField::Discount) => "item_discount",
            Self::Item(ItemField::Voided) => "item_voided",
            Self::Item(field) => field.name(),
            Self::Field(field) => field.name(),
            Self::Tender(TenderField::Kind) => "tender",
            Self::Tender(TenderField::Amount) => "tender_amount",
            Self::RowKind => "row_kind",
        }
    }
}

/// Which column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// By its name in the header, in any case.
    Named(String),
    /// By its number, from 1.
    Numbered(usize),
}

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowMeaning {
    /// A line of goods.
    Item,
    /// A payment.
    Tender,
    /// A discount of the whole.
    Discount,
    /// Values of the transaction alone.
    Transaction,
    /// Nothing.
    Skipped,
}

/// How a folder's CSV is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvSettings {
    /// Encoding where the first bytes prove none.
    pub encoding: TextEncoding,
    /// How values are written.
    pub rules: ValueRules,
    /// Between two values.
    pub delimiter: u8,
    /// Around a value.
    pub quote: u8,
    /// Whether the first row names the columns.
    pub header: bool,
    /// Where the values are.
    pub columns: BTreeMap<ColumnRole, Column>,
    /// The POS's words for what a row is, in lower case.
    pub row_kinds: BTreeMap<String, RowMeaning>,
}

impl CsvSettings {
    /// Makes the settings of a file with commas, quotes and a header, of which nothing is mapped.
    pub fn new(rules: ValueRules) -> Self {
        Self {
            encoding: TextEncoding::default(),
            rules,
            delimiter: b',',
            quote: b'"',
            header: true,
            columns: BTreeMap::new(),
            row_kinds: BTreeMap::new(),
        }
    }

    pub(super) fn tells_tenders(&self) -> bool {
        let amount = ColumnRole::Tender(TenderField::Amount);
        self.columns.contains_key(&amount)
            || self.row_kinds.values().any(|m| *m == RowMeaning::Tender)
    }
}

/// Returns the columns that are named by number, counted from 0.
pub(super) fn numbered(columns: &BTreeMap<ColumnRole, Column>) -> Vec<(ColumnRole, usize)> {
    columns
        .iter()
        .filter_map(|(role, column)| match column {
            Column::Numbered(number) => Some((*role, number.saturating_sub(1))),
            Column::Named(_) => None,
        })
        .collect()
}
