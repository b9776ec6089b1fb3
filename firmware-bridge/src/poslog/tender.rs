//! Payments: amounts and their kind, change and cashback apart. No number of any instrument is
//! here, since `element` keeps none.

use rust_decimal::Decimal;

use super::PosLogError;
use super::amount::{Amounts, malformed};
use super::element::Element;
use super::void::{Fate, Posting, fates};
use crate::sale::Tender;

/// Letters of a source's own word for a payment that are kept.
const KIND_CHARS_MAX: usize = 32;

/// What was paid.
#[derive(Debug, Default)]
pub(super) struct Payments {
    pub(super) tenders: Vec<Tender>,
    /// Money handed out on a card, at least 0. Whether the payment holds it is for the balance.
    pub(super) cashback_minor: i64,
}

struct Paid {
    tender: Option<Tender>,
    change_minor: i64,
    cashback_minor: i64,
}

/// Reads all payments in the order of the source.
///
/// Change is written as a positive amount by ARTS and as a negative one by NCR: it is money that
/// goes out either way. A refund is one by its `TypeCode`, or where goods only came back.
pub(super) fn read(
    retail: &Element,
    amounts: &Amounts,
    only_returned: bool,
) -> Result<Payments, PosLogError> {
    let mut all = Vec::new();
    let mut postings = Vec::new();
    for line in retail.all("LineItem") {
        for element in line.children() {
            let (subject, paid, stated) = match element.name.as_str() {
                "Tender" => tender(element, amounts, only_returned)?,
                "TenderChange" => {
                    let stated = required(element, amounts)?;
                    let paid = Paid {
                        tender: None,
                        change_minor: stated.abs(),
                        cashback_minor: 0,
                    };
                    ("change".to_owned(), paid, stated)
                }
                _ => continue,
            };
            postings.push(Posting::new(line, subject, stated, Decimal::ONE));
            all.push(paid);
        }
    }
    let mut payments = Payments::default();
    for (paid, fate) in all.into_iter().zip(fates(&postings)) {
        let sign = match fate {
            Fate::Counts => 1,
            Fate::CountsNegated => -1,
            Fate::Voided => continue,
        };
        if let Some(mut tender) = paid.tender {
            tender.amount_minor *= sign;
            payments.tenders.push(tender);
        }
        if paid.change_minor != 0 {
            payments.tenders.push(Tender {
                kind: "change".to_owned(),
                amount_minor: -sign * paid.change_minor,
            });
        }
        payments.cashback_minor = payments
            .cashback_minor
            .saturating_add(sign * paid.cashback_minor);
    }
    Ok(payments)
}

fn tender(
    element: &Element,
    amounts: &Amounts,
    only_returned: bool,
) -> Result<(String, Paid, i64), PosLogError> {
    let kind = kind(element.attribute("TenderType"));
    let mut change_minor = 0i64;
    for change in element.all("TenderChange") {
        change_minor = change_minor.saturating_add(required(change, amounts)?.abs());
    }
    let stated = match amounts.child_minor(element, "Amount")? {
        Some(amount) => amount,
        None if change_minor != 0 => 0,
        None => return Err(malformed(element, "has no Amount")),
    };
    let refunded = element
        .attribute("TypeCode")
        .is_some_and(|code| matches!(code.to_ascii_lowercase().as_str(), "refund" | "return"));
    let direction = element
        .child("Rounding")
        .and_then(|rounding| rounding.attribute("RoundingDirection"));
    let amount_minor = match direction {
        // Rounded up, the customer pays more than is owed: what is over is no payment of it.
        Some(direction) if direction.eq_ignore_ascii_case("Up") => -stated.abs(),
        Some(direction) if direction.eq_ignore_ascii_case("Down") => stated.abs(),
        Some(_) | None if refunded || only_returned => -stated.abs(),
        Some(_) | None => stated,
    };
    let paid = Paid {
        // A payment of nothing only carries its change.
        tender: (amount_minor != 0 || change_minor == 0).then(|| Tender {
            kind: kind.clone(),
            amount_minor,
        }),
        change_minor,
        cashback_minor: amounts.child_minor(element, "Cashback")?.unwrap_or(0).abs(),
    };
    Ok((kind, paid, stated))
}

fn required(element: &Element, amounts: &Amounts) -> Result<i64, PosLogError> {
    amounts
        .child_minor(element, "Amount")?
        .ok_or_else(|| malformed(element, "has no Amount"))
}

/// Returns our word for a `TenderType`, or the source's own, letters alone and in lower case.
fn kind(tender_type: Option<&str>) -> String {
    let own: String = tender_type
        .unwrap_or_default()
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_alphabetic())
        .take(KIND_CHARS_MAX)
        .flat_map(char::to_lowercase)
        .collect();
    match own.as_str() {
        "cash" => "cash",
        "card" | "credit" | "debit" | "creditdebit" | "creditcard" | "debitcard" | "bankcard" => {
            "card"
        }
        "voucher" | "giftcard" | "giftcertificate" | "storedvalue" | "coupon"
        | "manufacturercoupon" | "storecoupon" | "creditvoucher" => "voucher",
        "wallet" | "ewallet" | "mobile" | "mobilepayment" | "alipay" | "wechat" | "wechatpay"
        | "unionpayqr" => "wallet",
        "" => "unknown",
        _ => return own,
    }
    .to_owned()
}
