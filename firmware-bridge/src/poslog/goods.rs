//! Lines of goods: amount before discount, discount, quantity, signs, and what was voided.

use rust_decimal::Decimal;

use super::PosLogError;
use super::amount::{Amounts, decimal, malformed};
use super::element::Element;
use super::void::{Fate, Posting, fates};
use crate::sale::Item;

const SOLD: &[&str] = &["Sale", "SaleForDelivery", "SaleForPickup"];
const RETURNED: &[&str] = &["Return", "ReturnForDelivery", "ReturnForPickup"];

/// Goods of a transaction.
#[derive(Debug)]
pub(super) struct Goods<'a> {
    pub(super) lines: Vec<GoodsLine<'a>>,
}

/// One line of goods and its element.
#[derive(Debug)]
pub(super) struct GoodsLine<'a> {
    pub(super) item: Item,
    pub(super) returned: bool,
    pub(super) element: &'a Element,
}

impl Goods<'_> {
    /// Returns whether goods are there and all of them were taken back.
    pub(super) fn all_voided(&self) -> bool {
        !self.lines.is_empty() && self.lines.iter().all(|line| line.item.voided)
    }

    /// Returns whether goods came back and none went out.
    pub(super) fn only_returned(&self) -> bool {
        let mut counted = self
            .lines
            .iter()
            .filter(|line| !line.item.voided)
            .peekable();
        counted.peek().is_some() && counted.all(|line| line.returned)
    }

    /// Returns whether any goods came back.
    pub(super) fn any_returned(&self) -> bool {
        self.lines
            .iter()
            .any(|line| line.returned && !line.item.voided)
    }
}

/// Reads all lines of goods in the order of the source.
pub(super) fn read<'a>(retail: &'a Element, amounts: &Amounts) -> Result<Goods<'a>, PosLogError> {
    let mut lines = Vec::new();
    let mut postings = Vec::new();
    for (index, line) in retail.all("LineItem").enumerate() {
        for element in line.children() {
            let returned = RETURNED.contains(&element.name.as_str());
            if !returned && !SOLD.contains(&element.name.as_str()) {
                continue;
            }
            let counted = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let (item, net) = item(line, element, counted, returned, amounts)?;
            let side = if returned { "returned" } else { "sold" };
            let subject = format!("{side} {}", item.item_id);
            postings.push(Posting::new(line, subject, net.amount_minor, net.quantity));
            lines.push(GoodsLine {
                item,
                returned,
                element,
            });
        }
    }
    for (line, fate) in lines.iter_mut().zip(fates(&postings)) {
        match fate {
            Fate::Counts => {}
            Fate::CountsNegated => {
                line.item.amount_minor = -line.item.amount_minor;
                line.item.discount_minor = -line.item.discount_minor;
                line.item.quantity = -line.item.quantity;
            }
            Fate::Voided => line.item.voided = true,
        }
    }
    Ok(Goods { lines })
}

/// Amount and quantity as the source writes them.
struct Stated {
    amount_minor: i64,
    quantity: Decimal,
}

fn item(
    line: &Element,
    goods: &Element,
    counted: u32,
    returned: bool,
    amounts: &Amounts,
) -> Result<(Item, Stated), PosLogError> {
    let stated = Stated {
        amount_minor: amounts
            .child_minor(goods, "ExtendedAmount")?
            .ok_or_else(|| malformed(goods, "has no ExtendedAmount"))?,
        quantity: match goods.child("Quantity") {
            Some(quantity) => decimal(quantity)?,
            None => Decimal::ONE,
        },
    };
    let negative = returned
        || stated.amount_minor < 0
        || (stated.amount_minor == 0 && stated.quantity.is_sign_negative());
    let sign = if negative { -1 } else { 1 };
    let quantity = stated.quantity.abs();
    let net = stated.amount_minor.abs();
    let discount = discount(goods, amounts)?;
    let regular = [
        "RegularSalesUnitPrice",
        "UnitListPrice",
        "ActualSalesUnitPrice",
    ]
    .into_iter()
    .find_map(|name| goods.child(name).filter(|price| !price.text().is_empty()))
    .map(|price| amounts.minor_rounded(price))
    .transpose()?;
    // ARTS has ExtendedAmount net of discounts; R10 writes it before them. The regular price tells.
    let is_gross = regular
        .and_then(|price| amounts.times(price.abs(), quantity))
        .is_some_and(|gross| gross == net);
    let before_discount = if is_gross { net } else { net + discount };
    let unit_price_minor = match regular {
        Some(price) => price,
        None => Decimal::from(before_discount)
            .checked_div(quantity)
            .and_then(|price| amounts.times(1, price))
            .unwrap_or(before_discount),
    };
    let item = Item {
        line: line
            .child_text("SequenceNumber")
            .and_then(|number| number.parse().ok())
            .unwrap_or(counted),
        item_id: item_id(goods),
        description: description(goods),
        quantity: if negative { -quantity } else { quantity },
        unit_price_minor,
        amount_minor: sign * before_discount,
        discount_minor: sign * discount,
        department: department(goods),
        voided: false,
    };
    Ok((item, stated))
}

/// Returns the line's discount, at least 0: the stated sum, or else the price modifiers'.
fn discount(goods: &Element, amounts: &Amounts) -> Result<i64, PosLogError> {
    if let Some(stated) = amounts.child_minor(goods, "ExtendedDiscountAmount")? {
        return Ok(stated.abs());
    }
    let mut sum = 0i64;
    for modifier in goods.all("RetailPriceModifier") {
        if modifier.flag("VoidFlag") {
            continue;
        }
        for amount in modifier.all("Amount").filter(|a| !a.text().is_empty()) {
            let minor = amounts.minor(amount)?.abs();
            match amount.attribute("Action") {
                Some(action) if action.eq_ignore_ascii_case("Add") => {
                    sum = sum.saturating_sub(minor);
                }
                Some(action) if action.eq_ignore_ascii_case("Replace") => {}
                Some(_) | None => sum = sum.saturating_add(minor),
            }
        }
    }
    // A price raised by hand is no discount: ExtendedAmount holds it already.
    Ok(sum.clamp(0, i64::from(u32::MAX) << 20))
}

fn item_id(goods: &Element) -> String {
    goods
        .child_text("ItemID")
        .or_else(|| {
            goods
                .all("POSIdentity")
                .find_map(|identity| identity.child_text("POSItemID"))
        })
        .unwrap_or_default()
        .to_owned()
}

/// Returns the receipt's text of the goods rather than a longer one.
fn description(goods: &Element) -> String {
    goods
        .all("Description")
        .find(|text| text.attribute("TypeCode") != Some("Long"))
        .or_else(|| goods.child("Description"))
        .map(Element::text)
        .unwrap_or_default()
        .to_owned()
}

/// Returns the department, or else the first group that is not one of tax rates.
fn department(goods: &Element) -> Option<String> {
    let is_department = |group: &&Element| {
        group
            .attribute("Level")
            .is_some_and(|level| level.contains("Department"))
    };
    goods
        .all("MerchandiseHierarchy")
        .find(is_department)
        .or_else(|| {
            goods
                .all("MerchandiseHierarchy")
                .find(|group| group.attribute("ID") != Some("Tax"))
        })
        .map(|group| group.text().to_owned())
        .filter(|text| !text.is_empty())
}
