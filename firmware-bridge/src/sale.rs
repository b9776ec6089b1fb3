//! A sale as a device or a journal told it, before the agent makes an event of it.
//!
//! Signs are the store's: money that comes in is positive, a return is negative. Amounts are minor
//! units of [`Sale::currency`]; quantities are decimals, never floats.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime};
use rust_decimal::Decimal;

use crate::money::Currency;

/// What a retail transaction did (ARTS: sale, return, post-void or cancelled).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaleKind {
    /// Goods left the store.
    Sale,
    /// Goods came back; the total is zero or negative.
    Return,
    /// The transaction was cancelled or voided; its amounts are informative and earn nothing.
    Void,
}

/// A point in time as the source told it: with its UTC offset, or as the till's wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaleTime {
    /// Wall-clock time of the till, zone unknown.
    Local(NaiveDateTime),
    /// Time with its UTC offset.
    Zoned(DateTime<FixedOffset>),
}

/// One line of goods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Line number as in the source, or counted from 1.
    pub line: u32,
    /// The goods' number (GTIN, PLU, the POS's own); empty if the source has none.
    pub item_id: String,
    /// Text of the line, trimmed.
    pub description: String,
    /// Quantity in the line's unit; negative when returned.
    pub quantity: Decimal,
    /// Regular price of one unit, in minor units, rounded half even where the source is finer.
    pub unit_price_minor: i64,
    /// Amount of the line before [`Item::discount_minor`], in minor units; negative when returned.
    pub amount_minor: i64,
    /// Discount of this line, in minor units, at least 0 on a sold line.
    pub discount_minor: i64,
    /// Department or merchandise group, if the source names one.
    pub department: Option<String>,
    /// Voided lines are kept for the record and count in no sum. Where a source voids a line by
    /// appending its counterpart, both are marked.
    pub voided: bool,
}

/// How a payment was made. Carries no number of any instrument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tender {
    /// `cash`, `card`, `voucher`, `wallet`, or the source's own word in lower case.
    pub kind: String,
    /// Amount in minor units, negative when paid out. Change is a tender of kind `change` with a
    /// negative amount, so that all tenders sum to the total.
    pub amount_minor: i64,
}

/// A retail transaction as one source told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// The POS's own number for the store, if told.
    pub store: Option<String>,
    /// The POS's own number for the till, if told.
    pub workstation: Option<String>,
    /// The POS's business day, if told.
    pub business_day: Option<NaiveDate>,
    /// Number of the transaction (receipt number), if told.
    pub sequence: Option<String>,
    /// Sale, return or void.
    pub kind: SaleKind,
    /// Begin, if told.
    pub began_at: Option<SaleTime>,
    /// End, if told.
    pub ended_at: Option<SaleTime>,
    /// Currency of every amount here.
    pub currency: Currency,
    /// What the customer owed, in minor units.
    pub total_minor: i64,
    /// All discounts, of lines (not voided) and of the whole, in minor units.
    pub discount_minor: i64,
    /// Tax, in minor units.
    pub tax_minor: i64,
    /// Whether the lines' amounts already hold the tax (European VAT) or it is added (US).
    pub tax_included: bool,
    /// Goods.
    pub items: Vec<Item>,
    /// Payments, change included as a negative one.
    pub tenders: Vec<Tender>,
    /// Membership number that the source itself names, as it stands there.
    pub card: Option<String>,
    /// Whether the till was in training mode: earns nothing, counts nowhere.
    pub training: bool,
}

/// Why a sale's sums contradict each other. Amounts in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Imbalance {
    /// Lines, discounts and tax do not give the total.
    #[error("lines {lines} - discounts {discounts} + tax {tax} = {sum}, but the total is {total}")]
    Total {
        /// Sum of the lines that are not voided.
        lines: i64,
        /// All discounts.
        discounts: i64,
        /// Tax that is added to the lines; 0 where they hold it.
        tax: i64,
        /// lines − discounts + tax.
        sum: i64,
        /// The total that the source claims.
        total: i64,
    },
    /// Payments do not give the total.
    #[error("tenders less change give {tenders}, but the total is {total}")]
    Tenders {
        /// Sum of all tenders, change negative.
        tenders: i64,
        /// The total that the source claims.
        total: i64,
    },
    /// A sum leaves the range of 64 bits.
    #[error("the amounts are too large to be added")]
    Overflow,
}

impl Sale {
    /// Checks lines − discounts + tax = total = tenders − change.
    ///
    /// # Errors
    /// The first [`Imbalance`] found.
    pub fn reconcile(&self) -> Result<(), Imbalance> {
        let sum = |mut amounts: Box<dyn Iterator<Item = i64> + '_>| {
            amounts
                .try_fold(0i64, i64::checked_add)
                .ok_or(Imbalance::Overflow)
        };
        let lines = sum(Box::new(
            self.items
                .iter()
                .filter(|i| !i.voided)
                .map(|i| i.amount_minor),
        ))?;
        let tax = if self.tax_included { 0 } else { self.tax_minor };
        let net = lines
            .checked_sub(self.discount_minor)
            .and_then(|n| n.checked_add(tax))
            .ok_or(Imbalance::Overflow)?;
        if net != self.total_minor {
            return Err(Imbalance::Total {
                lines,
                discounts: self.discount_minor,
                tax,
                sum: net,
                total: self.total_minor,
            });
        }
        let tenders = sum(Box::new(self.tenders.iter().map(|t| t.amount_minor)))?;
        if tenders != self.total_minor {
            return Err(Imbalance::Tenders {
                tenders,
                total: self.total_minor,
            });
        }
        Ok(())
    }
}
