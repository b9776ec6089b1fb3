//! Which reading of the amounts holds.
//!
//! Three things vendors do not say reliably, each tried in this order and only with arithmetic
//! that then holds to the last unit: discount lines stand beside the goods' own discounts, or the
//! goods hold them already; tax is inside the lines or on top, as flagged, or the other way (some
//! flag it wrongly); cashback stands apart from the payment, or inside it. Rounding of the total
//! for cash becomes a tender `rounding`, so that the total stays what was owed.

use crate::sale::{Imbalance, Sale, Tender};

/// What the lines outside goods and payments say.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outside {
    /// Discounts of the whole transaction.
    pub(super) discount_minor: i64,
    /// Whether the source says that amounts hold the tax.
    pub(super) tax_included: bool,
    /// Money handed out on a card, at least 0.
    pub(super) cashback_minor: i64,
    /// Difference between what was owed and what was to be paid, of either sign.
    pub(super) rounding_minor: i64,
}

/// Sets discount, tax inclusion, total and tenders of `sale` to the first reading that holds.
///
/// # Errors
/// The imbalance of the most literal reading when none holds.
pub(super) fn settle(sale: &mut Sale, outside: Outside) -> Result<(), Imbalance> {
    let goods_discount = sale
        .items
        .iter()
        .filter(|item| !item.voided)
        .fold(0i64, |sum, item| sum.saturating_add(item.discount_minor));
    let total = sale.total_minor;
    let tenders = sale.tenders.clone();
    let mut literal = None;
    for held_by_goods in [false, true] {
        let may_be_held = outside.discount_minor != 0
            && goods_discount.unsigned_abs() >= outside.discount_minor.unsigned_abs();
        if held_by_goods && !may_be_held {
            continue;
        }
        for tax_included in [outside.tax_included, !outside.tax_included] {
            for cashback_inside in [false, true] {
                if cashback_inside && outside.cashback_minor == 0 {
                    continue;
                }
                sale.discount_minor = match held_by_goods {
                    true => goods_discount,
                    false => goods_discount.saturating_add(outside.discount_minor),
                };
                sale.tax_included = tax_included;
                sale.total_minor = total;
                sale.tenders.clone_from(&tenders);
                if cashback_inside {
                    sale.tenders.push(Tender {
                        kind: "cashback".to_owned(),
                        amount_minor: -outside.cashback_minor,
                    });
                }
                let Err(imbalance) = sale.reconcile() else {
                    return Ok(());
                };
                literal.get_or_insert(imbalance);
                if round(sale, outside.rounding_minor) && sale.reconcile().is_ok() {
                    return Ok(());
                }
            }
        }
    }
    Err(literal.unwrap_or(Imbalance::Overflow))
}

/// Takes the stated rounding, if there is one, as the difference between lines and tenders.
fn round(sale: &mut Sale, rounding: i64) -> bool {
    let Some((owed, paid)) = owed_and_paid(sale) else {
        return false;
    };
    let difference = i128::from(owed) - i128::from(paid);
    let explained = rounding != 0
        && difference.unsigned_abs() == u128::from(rounding.unsigned_abs())
        && (sale.total_minor == owed || sale.total_minor == paid);
    if !explained {
        return false;
    }
    sale.total_minor = owed;
    sale.tenders.push(Tender {
        kind: "rounding".to_owned(),
        amount_minor: owed - paid,
    });
    true
}

fn owed_and_paid(sale: &Sale) -> Option<(i64, i64)> {
    let lines = sale
        .items
        .iter()
        .filter(|item| !item.voided)
        .try_fold(0i64, |sum, item| sum.checked_add(item.amount_minor))?;
    let tax = if sale.tax_included { 0 } else { sale.tax_minor };
    let owed = lines.checked_sub(sale.discount_minor)?.checked_add(tax)?;
    let paid = sale
        .tenders
        .iter()
        .try_fold(0i64, |sum, tender| sum.checked_add(tender.amount_minor))?;
    Some((owed, paid))
}
