//! The goods of a receipt while its lines are read.

use regex::Captures;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::file::{ItemAmounts, ItemName};
use super::reading::UnparsedReason;
use super::{AmountError, Profile};
use crate::sale::Item;

/// Fields of an item that wait for its amount.
#[derive(Debug, Default)]
struct Part {
    description: Option<String>,
    item_id: Option<String>,
    department: Option<String>,
    quantity: Option<Decimal>,
    unit_price_minor: Option<i64>,
}

impl Part {
    fn overlaps(&self, other: &Self) -> bool {
        (self.description.is_some() && other.description.is_some())
            || (self.item_id.is_some() && other.item_id.is_some())
            || (self.quantity.is_some() && other.quantity.is_some())
            || (self.unit_price_minor.is_some() && other.unit_price_minor.is_some())
    }

    fn fill_from(&mut self, other: Self) {
        self.description = self.description.take().or(other.description);
        self.item_id = self.item_id.take().or(other.item_id);
        self.department = self.department.take().or(other.department);
        self.quantity = self.quantity.or(other.quantity);
        self.unit_price_minor = self.unit_price_minor.or(other.unit_price_minor);
    }
}

/// Gathers items from their lines.
#[derive(Debug)]
pub(super) struct Basket<'p> {
    profile: &'p Profile,
    items: Vec<Item>,
    /// Tax letters of the items, in their order.
    tax_codes: Vec<Option<String>>,
    waiting: Option<Part>,
    /// What the last item lacks and a line below it may give.
    lacks: Lacks,
}

/// Fields that the last item's own line did not give.
#[derive(Debug, Default, Clone, Copy)]
struct Lacks {
    description: bool,
    item_id: bool,
    quantity: bool,
    unit_price: bool,
}

impl<'p> Basket<'p> {
    pub(super) fn new(profile: &'p Profile) -> Self {
        Self {
            profile,
            items: Vec::new(),
            tax_codes: Vec::new(),
            waiting: None,
            lacks: Lacks::default(),
        }
    }

    /// Returns the items and the tax letter of each.
    pub(super) fn into_items(self) -> (Vec<Item>, Vec<Option<String>>) {
        (self.items, self.tax_codes)
    }

    /// Takes a line that a pattern of `item_return` matched: its amount is negative, printed so or not.
    pub(super) fn take_return(
        &mut self,
        captures: &Captures<'_>,
        line: usize,
    ) -> Result<(), UnparsedReason> {
        self.take(captures, line, true)
    }

    /// Takes a line that a pattern of `item` matched. `line` counts from 1.
    pub(super) fn take_item(
        &mut self,
        captures: &Captures<'_>,
        line: usize,
    ) -> Result<(), UnparsedReason> {
        self.take(captures, line, false)
    }

    fn take(
        &mut self,
        captures: &Captures<'_>,
        line: usize,
        returned: bool,
    ) -> Result<(), UnparsedReason> {
        let mut part = self.part(captures, line)?;
        let Some(printed) = self.profile.amount(captures, "amount", line)? else {
            self.take_part(part);
            return Ok(());
        };
        let amount = if returned {
            part.quantity = part.quantity.map(|quantity| quantity.abs());
            -printed.saturating_abs()
        } else {
            printed
        };
        if self.profile.item_name == ItemName::Before
            && let Some(waiting) = self.waiting.take()
            && !part.overlaps(&waiting)
        {
            part.fill_from(waiting);
        }
        self.lacks = Lacks {
            description: part.description.is_none(),
            item_id: part.item_id.is_none(),
            quantity: part.quantity.is_none(),
            unit_price: part.unit_price_minor.is_none(),
        };
        let item = self.item(part, amount, line)?;
        self.items.push(item);
        self.tax_codes.push(text(captures, "tax_code"));
        if let Some(discount) = self.profile.amount(captures, "discount", line)? {
            self.discount_last(discount, line)?;
        }
        Ok(())
    }

    /// Takes the discount of the item above.
    pub(super) fn discount_last(
        &mut self,
        printed: i64,
        line: usize,
    ) -> Result<(), UnparsedReason> {
        let too_long = || UnparsedReason::Amount {
            field: "amount",
            line,
            why: AmountError::TooLong,
        };
        let Some(item) = self.items.last_mut().filter(|item| !item.voided) else {
            return Err(UnparsedReason::Contradiction {
                line,
                what: "a discount of an item stands below no item",
            });
        };
        let size = printed.checked_abs().ok_or_else(too_long)?;
        let discount = if item.amount_minor < 0 { -size } else { size };
        if self.profile.item_amounts == ItemAmounts::AfterDiscount {
            item.amount_minor = item
                .amount_minor
                .checked_add(discount)
                .ok_or_else(too_long)?;
        }
        item.discount_minor = item
            .discount_minor
            .checked_add(discount)
            .ok_or_else(too_long)?;
        Ok(())
    }

    /// Takes a line that voids an item above: both are kept and neither counts.
    pub(super) fn take_void(
        &mut self,
        captures: &Captures<'_>,
        line: usize,
    ) -> Result<(), UnparsedReason> {
        let part = self.part(captures, line)?;
        let amount = self.profile.amount(captures, "amount", line)?.unwrap_or(0);
        let voided = self.items.iter_mut().rev().find(|item| {
            !item.voided
                && item.amount_minor.unsigned_abs() == amount.unsigned_abs()
                && part
                    .description
                    .as_ref()
                    .is_none_or(|name| *name == item.description)
                && part.item_id.as_ref().is_none_or(|id| *id == item.item_id)
        });
        let Some(voided) = voided else {
            return Err(UnparsedReason::Contradiction {
                line,
                what: "a voided line names no item above with its amount",
            });
        };
        voided.voided = true;
        let mut counterpart = voided.clone();
        counterpart.quantity = -counterpart.quantity;
        counterpart.amount_minor = -counterpart.amount_minor;
        counterpart.discount_minor = -counterpart.discount_minor;
        counterpart.line = line_number(self.items.len());
        self.items.push(counterpart);
        self.tax_codes.push(None);
        self.lacks = Lacks::default();
        Ok(())
    }

    fn take_part(&mut self, part: Part) {
        match self.profile.item_name {
            ItemName::After => self.complete_last(part),
            ItemName::Before => {
                let mut fresh = part;
                if let Some(waiting) = self.waiting.take()
                    && !fresh.overlaps(&waiting)
                {
                    fresh.fill_from(waiting);
                }
                self.waiting = Some(fresh);
            }
        }
    }

    /// Gives the last item what its own line did not say.
    fn complete_last(&mut self, part: Part) {
        let lacks = &mut self.lacks;
        let Some(item) = self.items.last_mut() else {
            return;
        };
        if let Some(name) = part.description.filter(|_| lacks.description) {
            item.description = name;
            lacks.description = false;
        }
        if let Some(id) = part.item_id.filter(|_| lacks.item_id) {
            item.item_id = id;
            lacks.item_id = false;
        }
        if let Some(quantity) = part.quantity.filter(|q| lacks.quantity && !q.is_zero()) {
            item.quantity = if item.amount_minor < 0 {
                -quantity.abs()
            } else {
                quantity
            };
            lacks.quantity = false;
            if lacks.unit_price {
                item.unit_price_minor = unit_price(item.amount_minor, item.quantity);
            }
        }
        if let Some(price) = part.unit_price_minor.filter(|_| lacks.unit_price) {
            item.unit_price_minor = price.saturating_abs();
            lacks.unit_price = false;
        }
    }

    fn part(&self, captures: &Captures<'_>, line: usize) -> Result<Part, UnparsedReason> {
        let numbers = &self.profile.numbers;
        let wrong = |field| move |why| UnparsedReason::Amount { field, line, why };
        Ok(Part {
            description: text(captures, "description"),
            item_id: text(captures, "item_id"),
            department: text(captures, "department"),
            quantity: text(captures, "quantity")
                .map(|quantity| numbers.number(&quantity))
                .transpose()
                .map_err(wrong("quantity"))?,
            unit_price_minor: text(captures, "unit_price")
                .map(|price| numbers.minor_rounded(&price))
                .transpose()
                .map_err(wrong("unit_price"))?,
        })
    }

    fn item(&self, part: Part, amount: i64, line: usize) -> Result<Item, UnparsedReason> {
        let mut quantity = part.quantity.unwrap_or(Decimal::ONE);
        if quantity.is_zero() && amount != 0 {
            return Err(UnparsedReason::Contradiction {
                line,
                what: "nothing of an item costs something",
            });
        }
        if quantity.is_sign_negative() && amount > 0 {
            return Err(UnparsedReason::Contradiction {
                line,
                what: "a returned item costs something",
            });
        }
        if amount < 0 && quantity.is_sign_positive() {
            quantity = -quantity;
        }
        Ok(Item {
            line: line_number(self.items.len()),
            item_id: part.item_id.unwrap_or_default(),
            description: part.description.unwrap_or_default(),
            quantity,
            unit_price_minor: part
                .unit_price_minor
                .map_or_else(|| unit_price(amount, quantity), i64::saturating_abs),
            amount_minor: amount,
            discount_minor: 0,
            department: part.department,
            voided: false,
        })
    }
}

/// The price of one, where no line says it.
fn unit_price(amount: i64, quantity: Decimal) -> i64 {
    Decimal::from(amount)
        .checked_div(quantity)
        .and_then(|price| price.round().to_i64())
        .unwrap_or(amount)
}

fn line_number(items: usize) -> u32 {
    u32::try_from(items + 1).unwrap_or(u32::MAX)
}

fn text(captures: &Captures<'_>, group: &str) -> Option<String> {
    let text = captures.name(group)?.as_str().trim();
    (!text.is_empty()).then(|| text.to_owned())
}
