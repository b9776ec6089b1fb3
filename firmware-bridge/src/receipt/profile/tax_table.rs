//! The taxes of a receipt, and the table of them that many tills print.

use std::collections::BTreeMap;

use regex::Captures;

use super::Profile;
use super::reader::add;
use super::reading::UnparsedReason;
use crate::sale::{Imbalance, Item};

/// One line of tax.
#[derive(Debug)]
struct Row {
    line: usize,
    amount: i64,
    gross: Option<i64>,
    code: Option<String>,
}

/// Gathers the lines of tax.
#[derive(Debug, Default)]
pub(super) struct TaxTable {
    rows: Vec<Row>,
}

/// What the table is checked against.
pub(super) struct Taxed<'s> {
    pub(super) items: &'s [Item],
    /// The tax letter of each item.
    pub(super) codes: &'s [Option<String>],
    /// The total as it stands on the receipt.
    pub(super) printed_total: i64,
    /// No discount is spread over the rates and no sign was turned.
    pub(super) is_whole: bool,
}

impl TaxTable {
    /// Takes a line that a pattern of `tax` matched; net + tax = gross must hold on it.
    pub(super) fn take(
        &mut self,
        profile: &Profile,
        captures: &Captures<'_>,
        line: usize,
    ) -> Result<(), UnparsedReason> {
        let Some(amount) = profile.amount(captures, "amount", line)? else {
            return Ok(());
        };
        let net = profile.amount(captures, "net", line)?;
        let gross = profile.amount(captures, "gross", line)?;
        if let (Some(net), Some(gross)) = (net, gross)
            && net.checked_add(amount) != Some(gross)
        {
            return Err(UnparsedReason::Contradiction {
                line,
                what: "net and tax do not give the gross amount",
            });
        }
        self.rows.push(Row {
            line,
            amount,
            gross: gross.or_else(|| net?.checked_add(amount)),
            code: captures
                .name("tax_code")
                .map(|code| code.as_str().trim().to_owned()),
        });
        Ok(())
    }

    /// Returns all tax.
    pub(super) fn sum(&self) -> Result<i64, UnparsedReason> {
        add(self.rows.iter().map(|row| row.amount))
    }

    /// Checks that the gross amounts give the total, and each letter's items its gross amount.
    pub(super) fn check(&self, taxed: &Taxed<'_>) -> Result<(), UnparsedReason> {
        let Some(gross) = self
            .rows
            .iter()
            .map(|row| row.gross)
            .collect::<Option<Vec<_>>>()
        else {
            return Ok(());
        };
        let Some(last) = self.rows.last() else {
            return Ok(());
        };
        if add(gross.into_iter())? != taxed.printed_total {
            return Err(UnparsedReason::Contradiction {
                line: last.line,
                what: "the gross amounts of the tax table do not give the total",
            });
        }
        if taxed.is_whole {
            self.check_codes(taxed)?;
        }
        Ok(())
    }

    /// Skips receipts on which an item or a row has no letter: they tell nothing about it.
    fn check_codes(&self, taxed: &Taxed<'_>) -> Result<(), UnparsedReason> {
        let mut of_items: BTreeMap<&str, i64> = BTreeMap::new();
        for (item, code) in taxed.items.iter().zip(taxed.codes) {
            if item.voided {
                continue;
            }
            let Some(code) = code else {
                return Ok(());
            };
            let sum = of_items.entry(code).or_default();
            *sum = item
                .amount_minor
                .checked_sub(item.discount_minor)
                .and_then(|net| sum.checked_add(net))
                .ok_or(UnparsedReason::Imbalance(Imbalance::Overflow))?;
        }
        for row in &self.rows {
            let (Some(code), Some(gross)) = (&row.code, row.gross) else {
                return Ok(());
            };
            if of_items.get(code.as_str()).copied().unwrap_or(0) != gross {
                return Err(UnparsedReason::Contradiction {
                    line: row.line,
                    what: "the items of this tax letter do not give its gross amount",
                });
            }
        }
        Ok(())
    }
}
