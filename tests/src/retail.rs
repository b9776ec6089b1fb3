//! The real till lines of `retail/sales.csv.gz` as baskets, summed up without the product's code.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use chrono::NaiveDateTime;
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::{Value, json};

/// Currency of the data.
pub const CURRENCY: &str = "USD";

#[derive(Debug, Deserialize)]
struct Line {
    household_id: u64,
    basket_id: u64,
    product_id: String,
    quantity: String,
    sales_value: String,
    retail_disc: String,
    coupon_disc: String,
    transaction_timestamp: String,
    department: String,
    product_type: String,
}

/// One basket.
#[derive(Debug, Clone)]
pub struct Basket {
    /// Number of the basket, unique in the data.
    pub id: u64,
    /// The household's card: a number of the harness, with the prefix that terminals know.
    pub card: String,
    /// When it was paid.
    pub ended: NaiveDateTime,
    /// What was paid, in cents.
    pub total_cents: i64,
    items: Vec<Value>,
}

/// Reads the file.
///
/// # Errors
/// When it is not what it was.
pub fn baskets(file: &Path) -> Result<Vec<Basket>> {
    let file = File::open(file).with_context(|| file.display().to_string())?;
    let mut baskets: BTreeMap<u64, Basket> = BTreeMap::new();
    for line in csv::Reader::from_reader(GzDecoder::new(file)).deserialize() {
        let line: Line = line?;
        let ended = NaiveDateTime::parse_from_str(&line.transaction_timestamp, "%Y-%m-%d %H:%M:%S")
            .with_context(|| line.transaction_timestamp.clone())?;
        let card = card_of(line.household_id);
        let basket = baskets.entry(line.basket_id).or_insert_with(|| Basket {
            id: line.basket_id,
            card: card.clone(),
            ended,
            total_cents: 0,
            items: Vec::new(),
        });
        ensure!(
            basket.card == card,
            "basket {} has two households",
            basket.id
        );
        basket.ended = basket.ended.max(ended);
        basket.add(&line)?;
    }
    Ok(baskets.into_values().collect())
}

/// Returns the card of a household.
pub fn card_of(household: u64) -> String {
    format!("627598{household:010}")
}

impl Basket {
    fn add(&mut self, line: &Line) -> Result<()> {
        let paid = cents(&line.sales_value)?;
        let discount = cents(&line.retail_disc)? + cents(&line.coupon_disc)?;
        self.total_cents += paid;
        self.items.push(json!({
            "line": self.items.len() + 1,
            "item_id": line.product_id,
            "description": line.product_type,
            "quantity": line.quantity,
            "unit_price_minor": paid + discount,
            "amount_minor": paid + discount,
            "discount_minor": discount,
            "department": line.department,
        }));
        Ok(())
    }

    /// Returns the body of `POST /v1/transactions`.
    pub fn json(&self) -> Value {
        let discount: i64 = self
            .items
            .iter()
            .filter_map(|item| item["discount_minor"].as_i64())
            .sum();
        json!({
            "business_day": self.ended.date().to_string(),
            "sequence": self.id.to_string(),
            "kind": "sale",
            "ended_at": format!("{}Z", self.ended.format("%Y-%m-%dT%H:%M:%S")),
            "currency": CURRENCY,
            "total_minor": self.total_cents,
            "discount_minor": discount,
            "items": self.items,
            "tenders": [{"kind": "card", "amount_minor": self.total_cents}],
            "card": self.card,
        })
    }
}

/// Reads an amount of money as cents, without floats. The data hold two amounts such as
/// `4.440892e-16`, which somebody's floats left of a zero; anything else finer than a cent is refused.
fn cents(text: &str) -> Result<i64> {
    if text.ends_with("e-16") {
        return Ok(0);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let negative = whole.starts_with('-');
    let whole: i64 = whole
        .trim_start_matches('-')
        .parse()
        .with_context(|| text.to_owned())?;
    ensure!(fraction.len() <= 2, "{text} is finer than a cent");
    let fraction: i64 = format!("{fraction:0<2}")
        .parse()
        .with_context(|| text.to_owned())?;
    let cents = whole * 100 + fraction;
    Ok(if negative { -cents } else { cents })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_become_cents_exactly() {
        assert_eq!(cents("1.5").unwrap(), 150);
        assert_eq!(cents("0.0").unwrap(), 0);
        assert_eq!(cents("-0.29").unwrap(), -29);
        assert_eq!(cents("12").unwrap(), 1_200);
        assert_eq!(cents("4.440892e-16").unwrap(), 0);
        assert!(cents("0.005").is_err());
    }
}
