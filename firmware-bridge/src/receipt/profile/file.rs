//! The profile as it stands in its file.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

type PatternTexts = Vec<Spanned<String>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileFile {
    pub(super) name: Spanned<String>,
    pub(super) encoding: Option<Spanned<String>>,
    pub(super) currency: Spanned<String>,
    #[serde(default = "dot")]
    pub(super) decimal: Spanned<char>,
    pub(super) thousands: Option<Spanned<char>>,
    pub(super) store: Option<String>,
    pub(super) workstation: Option<String>,
    #[serde(default)]
    pub(super) date_formats: PatternTexts,
    #[serde(default)]
    pub(super) time_formats: PatternTexts,
    #[serde(default)]
    pub(super) tax: Tax,
    #[serde(default)]
    pub(super) item_name: ItemName,
    #[serde(default)]
    pub(super) item_amounts: ItemAmounts,
    #[serde(default)]
    pub(super) return_amounts: ReturnAmounts,
    pub(super) untendered: Option<String>,
    #[serde(default)]
    pub(super) header: PatternTexts,
    #[serde(default)]
    pub(super) member: PatternTexts,
    #[serde(default)]
    pub(super) ignore: PatternTexts,
    pub(super) lines: LinesTable,
    #[serde(default)]
    pub(super) markers: MarkersTable,
    #[serde(default)]
    pub(super) tenders: BTreeMap<String, Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinesTable {
    #[serde(default)]
    pub(super) items_begin: PatternTexts,
    #[serde(default)]
    pub(super) items_end: PatternTexts,
    pub(super) item: PatternTexts,
    #[serde(default)]
    pub(super) item_return: PatternTexts,
    #[serde(default)]
    pub(super) item_void: PatternTexts,
    #[serde(default)]
    pub(super) item_discount: PatternTexts,
    #[serde(default)]
    pub(super) subtotal: PatternTexts,
    #[serde(default)]
    pub(super) discount: PatternTexts,
    #[serde(default)]
    pub(super) tax: PatternTexts,
    pub(super) total: PatternTexts,
    #[serde(default)]
    pub(super) tender: PatternTexts,
    #[serde(default)]
    pub(super) change: PatternTexts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MarkersTable {
    #[serde(default)]
    pub(super) void: PatternTexts,
    #[serde(default, rename = "return")]
    pub(super) returned: PatternTexts,
    #[serde(default)]
    pub(super) reprint: PatternTexts,
    #[serde(default)]
    pub(super) training: PatternTexts,
    #[serde(default)]
    pub(super) order: PatternTexts,
    #[serde(default)]
    pub(super) kitchen: PatternTexts,
    #[serde(default)]
    pub(super) report: PatternTexts,
    #[serde(default)]
    pub(super) gift: PatternTexts,
    #[serde(default)]
    pub(super) not_a_sale: PatternTexts,
}

/// Whether the lines' amounts hold the tax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tax {
    #[default]
    Included,
    Added,
}

/// Where the rest of an item stands that is not on the line of its amount: its name, its quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ItemName {
    #[default]
    Before,
    After,
}

/// Whether an item's printed amount is the one before its discount or the one left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ItemAmounts {
    #[default]
    BeforeDiscount,
    AfterDiscount,
}

/// How the amounts of a receipt with the marker `return` are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReturnAmounts {
    #[default]
    Negative,
    Positive,
}

fn dot() -> Spanned<char> {
    Spanned::new(0..0, '.')
}
