//! A transaction's tree as a sale.
//!
//! A transaction is a void when it, or the POS, says that it was cancelled or voided, when it
//! undoes another (`TransactionLink` with `ReasonCode` `Void` or `PostVoid`), or when it holds
//! goods and every line of them was voided. What a void no longer balances is taken out of its
//! sums: its lines stay for the record, marked as voided.

use rust_decimal::Decimal;

use super::amount::{Amounts, malformed};
use super::balance::{self, Outside};
use super::element::Element;
use super::goods::{self, Goods};
use super::void::{Fate, Posting, fates};
use super::{PosLogError, PosLogItem, SkipReason, header, loyalty, tender};
use crate::sale::{Item, Sale, SaleKind};

/// Reads one transaction.
pub(super) fn read(transaction: &Element) -> Result<PosLogItem, PosLogError> {
    if let Some(element) = header::placeholder(transaction) {
        return Err(PosLogError::NotATransaction {
            at: element.at,
            element: element.name.clone(),
        });
    }
    let Some(retail) = transaction.child("RetailTransaction") else {
        return other(transaction);
    };
    let suspended = header::flag(transaction, retail, "SuspendFlag")
        || header::flag(transaction, retail, "SuspendedFlag")
        || header::status_is(retail, &["Suspended"]);
    if suspended {
        return Ok(skipped(transaction, SkipReason::Suspended));
    }
    sale(transaction, retail).map(PosLogItem::Sale)
}

fn other(transaction: &Element) -> Result<PosLogItem, PosLogError> {
    if transaction.child("ControlTransaction").is_some() {
        return Ok(skipped(transaction, SkipReason::Control));
    }
    let of_some_kind = transaction
        .children()
        .any(|child| child.name.ends_with("Transaction"));
    if !of_some_kind {
        return Err(malformed(transaction, "holds no transaction of any kind"));
    }
    Ok(skipped(transaction, SkipReason::NotRetail))
}

fn skipped(transaction: &Element, reason: SkipReason) -> PosLogItem {
    let sequence = transaction
        .child_text("SequenceNumber")
        .or_else(|| transaction.child_text("ReceiptNumber"))
        .map(str::to_owned);
    PosLogItem::Skipped { reason, sequence }
}

fn sale(transaction: &Element, retail: &Element) -> Result<Sale, PosLogError> {
    let key = header::key(transaction)?;
    let (began_at, ended_at) = header::times(transaction, retail)?;
    let amounts = Amounts {
        currency: header::currency(transaction, retail)?,
    };
    let goods = goods::read(retail, &amounts)?;
    let only_returned = goods.only_returned();
    let payments = tender::read(retail, &amounts, only_returned)?;
    let voided = is_cancelled(transaction, retail) || goods.all_voided();
    // Where goods only came back, some POS write the sums without their minus.
    let signed = |minor: i64| if only_returned { -minor.abs() } else { minor };
    let total_minor = match total(retail, &["TransactionGrandAmount"], &amounts)? {
        Some(total) => signed(total),
        None => match untyped_total(retail, &amounts)? {
            Some(total) => signed(total),
            None if voided => 0,
            None => return Err(malformed(retail, "has no total")),
        },
    };
    let (tax_minor, tax_included) = tax(retail, &goods, &amounts)?;
    let discount_minor = discounts(retail, &amounts)?;
    let outside = Outside {
        discount_minor: if only_returned {
            -discount_minor
        } else {
            discount_minor
        },
        tax_included,
        cashback_minor: payments.cashback_minor,
        rounding_minor: total(retail, &["RoundingAmount"], &amounts)?.unwrap_or(0),
    };
    let any_returned = goods.any_returned();
    let mut sale = Sale {
        store: key.store.clone(),
        workstation: key.workstation.clone(),
        business_day: key.business_day,
        sequence: key.sequence.clone(),
        kind: SaleKind::Sale,
        began_at,
        ended_at,
        currency: amounts.currency,
        total_minor,
        discount_minor: 0,
        tax_minor: signed(tax_minor),
        tax_included,
        items: goods.lines.into_iter().map(|line| line.item).collect(),
        tenders: payments.tenders,
        card: loyalty::card(retail),
        training: header::flag(transaction, retail, "TrainingModeFlag"),
    };
    let balanced = balance::settle(&mut sale, outside);
    if voided {
        sale.kind = SaleKind::Void;
        if balanced.is_err() {
            sale.tax_included = tax_included;
            withdraw(&mut sale);
        }
        return Ok(sale);
    }
    if let Err(imbalance) = balanced {
        return Err(PosLogError::DoesNotReconcile {
            at: transaction.at,
            key: Box::new(key),
            imbalance,
        });
    }
    if sale.total_minor < 0 || (sale.total_minor == 0 && any_returned) {
        sale.kind = SaleKind::Return;
    }
    Ok(sale)
}

fn is_cancelled(transaction: &Element, retail: &Element) -> bool {
    const STATES: &[&str] = &["Voided", "PostVoided", "Cancelled", "Canceled"];
    let undoes_another = retail
        .all("TransactionLink")
        .chain(transaction.all("TransactionLink"))
        .filter_map(|link| link.attribute("ReasonCode"))
        .any(|reason| {
            reason.eq_ignore_ascii_case("Void") || reason.eq_ignore_ascii_case("PostVoid")
        });
    header::flag(transaction, retail, "CancelFlag")
        || header::flag(transaction, retail, "VoidFlag")
        || header::status_is(retail, STATES)
        || undoes_another
}

/// Takes everything out of the sums of a void whose amounts do not balance.
fn withdraw(sale: &mut Sale) {
    sale.total_minor = 0;
    sale.discount_minor = 0;
    sale.tax_minor = 0;
    sale.tenders.clear();
    let withdraw_item = |item: &mut Item| item.voided = true;
    sale.items.iter_mut().for_each(withdraw_item);
}

/// Returns the first total of one of these types that is not of returns alone.
fn total(retail: &Element, types: &[&str], amounts: &Amounts) -> Result<Option<i64>, PosLogError> {
    retail
        .all("Total")
        .filter(|total| !total.text().is_empty() && total.attribute("TypeCode") != Some("Return"))
        .find(|total| {
            total
                .attribute("TotalType")
                .is_some_and(|kind| types.contains(&kind))
        })
        .map(|total| amounts.minor(total))
        .transpose()
}

fn untyped_total(retail: &Element, amounts: &Amounts) -> Result<Option<i64>, PosLogError> {
    retail
        .all("Total")
        .find(|total| !total.text().is_empty() && total.attribute("TotalType").is_none())
        .map(|total| amounts.minor(total))
        .transpose()
}

/// Returns the tax and whether the source says that amounts hold it.
///
/// The sum stands in up to three places; the first of total, tax lines, goods' taxes is taken.
fn tax(retail: &Element, goods: &Goods<'_>, amounts: &Amounts) -> Result<(i64, bool), PosLogError> {
    let of_lines: Vec<&Element> = retail
        .all("LineItem")
        .filter(|line| !line.flag("VoidFlag") && !line.flag("CancelFlag"))
        .flat_map(|line| line.all("Tax"))
        .collect();
    let of_goods = || {
        goods
            .lines
            .iter()
            .filter(|line| !line.item.voided)
            .flat_map(|line| {
                let negative = line.item.amount_minor < 0;
                line.element.all("Tax").map(move |tax| (tax, negative))
            })
    };
    let included_total = total(retail, &["X:TransactionTaxIncluded"], amounts)?;
    let flagged = of_lines
        .iter()
        .copied()
        .chain(of_goods().map(|(tax, _)| tax))
        .flat_map(|tax| tax.all("TaxableAmount"))
        .any(|taxable| taxable.flag("TaxIncludedInTaxableAmountFlag"));
    let included = flagged || included_total.is_some_and(|tax| tax != 0);
    if let Some(tax) = total(retail, &["TransactionTaxAmount"], amounts)? {
        return Ok((tax, included));
    }
    if !of_lines.is_empty() {
        let mut sum = 0i64;
        for tax in of_lines {
            sum = sum.saturating_add(amounts.child_minor(tax, "Amount")?.unwrap_or(0));
        }
        return Ok((sum, included));
    }
    let mut sum = 0i64;
    let mut any = false;
    for (tax, negative) in of_goods() {
        any = true;
        let minor = amounts.child_minor(tax, "Amount")?.unwrap_or(0);
        sum = sum.saturating_add(if negative { -minor.abs() } else { minor });
    }
    if any {
        return Ok((sum, included));
    }
    Ok((included_total.unwrap_or(0), included))
}

/// Returns the discounts of the whole transaction: discount lines, and rewards in money.
///
/// NCR writes a reward twice, as detail for each line and as a summary; the detail counts, and the
/// summary of a promotion only where it has no detail.
fn discounts(retail: &Element, amounts: &Amounts) -> Result<i64, PosLogError> {
    let mut postings = Vec::new();
    let mut discounts = Vec::new();
    let is_summary =
        |reward: &Element| reward.flag("summarizedActivity") && !reward.flag("detailedData");
    let detailed: Vec<&str> = retail
        .all("LineItem")
        .flat_map(|line| line.all("LoyaltyReward"))
        .filter(|reward| is_money(reward) && !is_summary(reward))
        .filter_map(|reward| reward.child_text("PromotionID"))
        .collect();
    for line in retail.all("LineItem") {
        for discount in line.all("Discount") {
            let amount = discount
                .child("Amount")
                .filter(|amount| !amount.text().is_empty())
                .ok_or_else(|| malformed(discount, "has no Amount"))?;
            let stated = amounts.minor(amount)?;
            let adds = amount
                .attribute("Action")
                .is_some_and(|action| action.eq_ignore_ascii_case("Add"));
            let subject = "discount".to_owned();
            postings.push(Posting::new(line, subject, stated, Decimal::ONE));
            discounts.push(if adds { -stated.abs() } else { stated.abs() });
        }
        for reward in line.all("LoyaltyReward").filter(|reward| is_money(reward)) {
            let promotion = reward.child_text("PromotionID").unwrap_or_default();
            if is_summary(reward) && detailed.contains(&promotion) {
                continue;
            }
            let Some(stated) = amounts.child_minor(reward, "ExtendedRewardAmount")? else {
                continue;
            };
            let subject = format!("reward {promotion}");
            postings.push(Posting::new(line, subject, stated, Decimal::ONE));
            // A reward lowers what is owed and is written with its minus.
            discounts.push(-stated);
        }
    }
    let mut sum = 0i64;
    for (discount, fate) in discounts.into_iter().zip(fates(&postings)) {
        sum = match fate {
            Fate::Counts => sum.saturating_add(discount),
            Fate::CountsNegated => sum.saturating_sub(discount),
            Fate::Voided => sum,
        };
    }
    Ok(sum)
}

fn is_money(reward: &Element) -> bool {
    reward.child_text("RewardCategory") == Some("Monetary")
}
