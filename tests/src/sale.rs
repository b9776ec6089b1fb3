//! A sale as the harness plays it, in the three forms in which a till tells it.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde_json::{Value, json};

/// Currency of every sale that is played.
pub const CURRENCY: &str = "EUR";

/// A sale.
#[derive(Debug, Clone)]
pub struct Sale {
    /// Store, as the POS and headquarters call it.
    pub store: String,
    /// Workstation.
    pub workstation: String,
    /// Business day.
    pub day: NaiveDate,
    /// Number within store, workstation and day.
    pub sequence: u32,
    /// When it was paid.
    pub ended_at: DateTime<Utc>,
    /// Goods.
    pub goods: Vec<Goods>,
    /// The membership card that the POS itself names.
    pub card: Option<String>,
}

/// One line of goods.
#[derive(Debug, Clone)]
pub struct Goods {
    /// The goods' number.
    pub item_id: String,
    /// Text.
    pub description: String,
    /// Pieces.
    pub quantity: u32,
    /// Price of one, in minor units.
    pub price_minor: i64,
}

impl Goods {
    /// Returns the line's amount, in minor units.
    pub fn amount_minor(&self) -> i64 {
        i64::from(self.quantity) * self.price_minor
    }
}

/// What a small shop sells: number, text, price in minor units.
const SHELF: [(&str, &str, i64); 8] = [
    ("4001234000015", "Milk 1 l", 129),
    ("4001234000022", "Rye bread", 345),
    ("4001234000039", "Butter", 249),
    ("4001234000046", "Green tea", 599),
    ("4001234000053", "Apples", 275),
    ("4001234000060", "Olive oil", 1_099),
    ("4001234000077", "Chocolate", 199),
    ("4001234000084", "Notebook", 450),
];

impl Sale {
    /// Makes the sale with this number: what is bought follows from the number alone.
    pub fn numbered(
        store: &str,
        workstation: &str,
        ended_at: DateTime<Utc>,
        sequence: u32,
    ) -> Self {
        let lines = 1 + sequence as usize % 4;
        let goods = SHELF
            .iter()
            .cycle()
            .skip(sequence as usize * 3 % SHELF.len())
            .take(lines)
            .zip(0u32..)
            .map(|(&(item_id, description, price_minor), line)| Goods {
                item_id: item_id.to_owned(),
                description: description.to_owned(),
                quantity: 1 + (sequence + line) % 3,
                price_minor,
            })
            .collect();
        Self {
            store: store.to_owned(),
            workstation: workstation.to_owned(),
            day: ended_at.date_naive(),
            sequence,
            ended_at,
            goods,
            card: None,
        }
    }

    /// Adds the card that the POS itself names.
    #[must_use]
    pub fn with_card(mut self, card: &str) -> Self {
        self.card = Some(card.to_owned());
        self
    }

    /// Returns what the customer owes, in minor units.
    pub fn total_minor(&self) -> i64 {
        self.goods.iter().map(Goods::amount_minor).sum()
    }

    /// Returns what was paid in cash, in minor units: the next whole note of five.
    pub fn paid_minor(&self) -> i64 {
        let total = self.total_minor();
        total + (500 - total % 500) % 500
    }

    /// Returns the body of `POST /v1/transactions`.
    pub fn json(&self) -> Value {
        let items: Vec<Value> = self
            .goods
            .iter()
            .zip(1..)
            .map(|(goods, line)| {
                json!({
                    "line": line,
                    "item_id": goods.item_id,
                    "description": goods.description,
                    "quantity": goods.quantity,
                    "unit_price_minor": goods.price_minor,
                    "amount_minor": goods.amount_minor(),
                })
            })
            .collect();
        let mut body = json!({
            "business_day": self.day.to_string(),
            "sequence": self.sequence.to_string(),
            "kind": "sale",
            "ended_at": self.ended_at.to_rfc3339_opts(SecondsFormat::Secs, true),
            "currency": CURRENCY,
            "total_minor": self.total_minor(),
            "items": items,
            "tenders": [{"kind": "cash", "amount_minor": self.total_minor()}],
        });
        if let Some(card) = &self.card {
            body["card"] = json!(card);
        }
        body
    }
}

/// Returns the EAN of some goods of the shelf.
pub fn goods_code(nth: usize) -> &'static str {
    SHELF
        .get(nth % SHELF.len())
        .map_or("", |(item_id, ..)| item_id)
}

/// Writes minor units as a decimal, as in `12.05`.
pub fn decimal(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let minor = minor.unsigned_abs();
    format!("{sign}{}.{:02}", minor / 100, minor % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_with_two_places_and_its_sign() {
        assert_eq!(decimal(5), "0.05");
        assert_eq!(decimal(-1_205), "-12.05");
        assert_eq!(decimal(0), "0.00");
    }

    #[test]
    fn what_is_paid_covers_the_total_with_less_than_a_note_to_spare() {
        for sequence in 0..50 {
            let sale = Sale::numbered("S", "1", DateTime::UNIX_EPOCH, sequence);
            let change = sale.paid_minor() - sale.total_minor();
            assert!((0..500).contains(&change), "{sequence}: {change}");
            assert!(sale.total_minor() > 0);
        }
    }
}
