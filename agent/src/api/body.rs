//! What the POS sends.

use chrono::{DateTime, FixedOffset, NaiveDate};
use rust_decimal::Decimal;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use tillbind_firmware_bridge::code::CardRules;
use tillbind_firmware_bridge::code::payment::mask_payment_numbers;
use tillbind_firmware_bridge::money::{Currency, CurrencyError};
use tillbind_firmware_bridge::sale::{Item, Sale, SaleKind, SaleTime, Tender};
use utoipa::ToSchema;

/// A scan that the POS's own scanner made.
#[derive(Deserialize, ToSchema)]
pub struct ScanBody {
    /// The code, with or without its AIM identifier.
    pub code: String,
    /// Symbology by name (`ean13`, `gs1_128`, `qr` …) or AIM identifier.
    #[serde(default)]
    pub symbology: Option<String>,
}

/// A request to bind a card to an account.
#[derive(Deserialize, ToSchema)]
pub struct BindingBody {
    /// The card's number.
    pub card: String,
    /// The account's member code, beginning with `TB1:`.
    pub code: String,
}

/// What a transaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KindBody {
    /// Goods left the store.
    #[default]
    Sale,
    /// Goods came back.
    Return,
    /// It was cancelled or voided.
    Void,
}

/// A finished transaction. Amounts are minor units of `currency`: money that comes in is positive.
/// Lines not voided − discount + tax = total = sum of the tenders (change is negative).
#[derive(Debug, Deserialize, ToSchema)]
pub struct TransactionBody {
    /// The POS's number of the store; this terminal's store if absent.
    #[serde(default)]
    pub store: Option<String>,
    /// The POS's number of the till; this terminal's workstation if absent.
    #[serde(default)]
    pub workstation: Option<String>,
    /// The POS's business day; the local day of `ended_at` if absent.
    #[serde(default)]
    pub business_day: Option<NaiveDate>,
    /// Number of the transaction within store, workstation and business day.
    pub sequence: String,
    /// `sale`, `return` or `void`.
    #[serde(default)]
    pub kind: KindBody,
    /// Begin.
    #[serde(default)]
    pub began_at: Option<DateTime<FixedOffset>>,
    /// End.
    #[serde(default)]
    pub ended_at: Option<DateTime<FixedOffset>>,
    /// ISO 4217 code; the setting `[store] currency` if absent.
    #[serde(default)]
    pub currency: Option<String>,
    /// What the customer owed.
    pub total_minor: i64,
    /// All discounts; the sum of the lines' if absent.
    #[serde(default)]
    pub discount_minor: Option<i64>,
    /// Tax.
    #[serde(default)]
    pub tax_minor: i64,
    /// Whether the lines hold the tax already; told by the sums if absent.
    #[serde(default)]
    pub tax_included: Option<bool>,
    /// Goods.
    #[serde(default)]
    pub items: Vec<ItemBody>,
    /// Payments.
    #[serde(default)]
    pub tenders: Vec<TenderBody>,
    /// Membership card that the POS knows.
    #[serde(default)]
    pub card: Option<String>,
    /// Whether the till was in training mode.
    #[serde(default)]
    pub training: bool,
}

/// Reads a decimal that is written as a number, as the export writes it, or as text. A number keeps
/// the digits that were written: its shortest form is the one that was sent.
fn decimal<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Decimal>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(serde_json::Number),
        Text(String),
    }

    let text = match Option::<Written>::deserialize(source)? {
        None => return Ok(None),
        Some(Written::Number(number)) => number.to_string(),
        Some(Written::Text(text)) => text,
    };
    Decimal::from_str_exact(text.trim())
        .or_else(|_| Decimal::from_scientific(text.trim()))
        .map(Some)
        .map_err(|error| D::Error::custom(format!("{text:?} is no decimal number: {error}")))
}

/// One line of goods.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ItemBody {
    /// Line number; counted from 1 if absent.
    #[serde(default)]
    pub line: Option<u32>,
    /// The goods' number.
    #[serde(default)]
    pub item_id: String,
    /// Text of the line.
    #[serde(default)]
    pub description: String,
    /// Quantity, a decimal written as text or number; 1 if absent.
    #[serde(default, deserialize_with = "decimal")]
    #[schema(value_type = Option<f64>)]
    pub quantity: Option<Decimal>,
    /// Price of one unit; the amount if absent.
    #[serde(default)]
    pub unit_price_minor: Option<i64>,
    /// Amount before the line's discount.
    pub amount_minor: i64,
    /// Discount of the line.
    #[serde(default)]
    pub discount_minor: i64,
    /// Department.
    #[serde(default)]
    pub department: Option<String>,
    /// Voided lines count in no sum.
    #[serde(default)]
    pub voided: bool,
}

/// A payment, without any number of the instrument.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TenderBody {
    /// `cash`, `card`, `voucher`, `wallet`, `change`.
    pub kind: String,
    /// Amount, negative when paid out.
    pub amount_minor: i64,
}

/// Why a body is no sale.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// No currency is known.
    #[error("the currency is missing: send it, or set [store] currency")]
    NoCurrency,
    /// The currency is none.
    #[error(transparent)]
    Currency(#[from] CurrencyError),
}

impl TransactionBody {
    /// Makes the sale that it tells, without any payment number.
    ///
    /// # Errors
    /// [`BodyError`].
    pub fn into_sale(
        self,
        default: Option<Currency>,
        rules: &CardRules,
    ) -> Result<Sale, BodyError> {
        let masked = |text: String| mask_payment_numbers(&text, rules).into_owned();
        let currency = match &self.currency {
            Some(code) => Currency::parse(code)?,
            None => default.ok_or(BodyError::NoCurrency)?,
        };
        let of_lines = || {
            let lines = self.items.iter().filter(|item| !item.voided);
            lines.fold(0i64, |sum, item| sum.saturating_add(item.discount_minor))
        };
        let mut sale = Sale {
            discount_minor: self.discount_minor.unwrap_or_else(of_lines),
            store: self.store,
            workstation: self.workstation,
            business_day: self.business_day,
            sequence: Some(self.sequence),
            kind: match self.kind {
                KindBody::Sale => SaleKind::Sale,
                KindBody::Return => SaleKind::Return,
                KindBody::Void => SaleKind::Void,
            },
            began_at: self.began_at.map(SaleTime::Zoned),
            ended_at: self.ended_at.map(SaleTime::Zoned),
            currency,
            total_minor: self.total_minor,
            tax_minor: self.tax_minor,
            tax_included: self.tax_included.unwrap_or(false),
            items: (1..)
                .zip(self.items)
                .map(|(n, item)| Item {
                    line: item.line.unwrap_or(n),
                    item_id: item.item_id,
                    description: masked(item.description),
                    quantity: item.quantity.unwrap_or(Decimal::ONE),
                    unit_price_minor: item.unit_price_minor.unwrap_or(item.amount_minor),
                    amount_minor: item.amount_minor,
                    discount_minor: item.discount_minor,
                    department: item.department.map(masked),
                    voided: item.voided,
                })
                .collect(),
            tenders: self
                .tenders
                .into_iter()
                .map(|tender| Tender {
                    kind: masked(tender.kind.to_lowercase()),
                    amount_minor: tender.amount_minor,
                })
                .collect(),
            card: self.card,
            training: self.training,
        };
        if self.tax_included.is_none() && sale.reconcile().is_err() {
            sale.tax_included = true;
            // Where neither way adds up, the fault is told for tax that is added.
            sale.tax_included = sale.reconcile().is_ok();
        }
        Ok(sale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_read_as_a_number_or_as_text_and_keeps_its_digits() {
        let read = |quantity: &str| {
            let json = format!(r#"{{"amount_minor":1,"quantity":{quantity}}}"#);
            serde_json::from_str::<ItemBody>(&json).map(|item| item.quantity)
        };
        let decimal = |text: &str| Some(text.parse::<Decimal>().unwrap());
        assert_eq!(read("2").unwrap(), decimal("2"));
        assert_eq!(read("0.412").unwrap(), decimal("0.412"));
        assert_eq!(read("-1").unwrap(), decimal("-1"));
        assert_eq!(read("\"0.412\"").unwrap(), decimal("0.412"));
        assert_eq!(read("1e-3").unwrap(), decimal("0.001"));
        assert_eq!(read("null").unwrap(), None);
        let error = read("\"two\"").unwrap_err().to_string();
        assert!(error.contains("two"), "{error}");
        assert!(read("1e99").is_err());
    }
}
