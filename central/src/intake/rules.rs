//! What a record must satisfy before it counts: it is the terminal's own, its arithmetic holds, and
//! nothing in it is absurd.

use chrono::Datelike;
use tillbind_protocol::event::{RetailTransaction, SaleKey, TransactionKind};
use tillbind_protocol::ids::{StoreId, WorkstationId};

/// Largest amount that is believed, in minor units: a hundred million of most currencies.
pub const AMOUNT_MINOR_MAX: i64 = 10_000_000_000;
/// Years that a business day may lie in.
pub const YEARS: std::ops::RangeInclusive<i32> = 2000..=2100;
/// Longest sequence of a transaction, in bytes.
pub const SEQUENCE_BYTES_MAX: usize = 64;
/// Longest kind of a card's number, in bytes.
pub const CARD_KIND_BYTES_MAX: usize = 32;

/// Returns why a sale's key cannot be a terminal's own.
pub fn key_fault(key: &SaleKey, store: &StoreId, workstation: &WorkstationId) -> Option<String> {
    if key.store != *store || key.workstation != *workstation {
        return Some(format!(
            "it names {}/{}, but the terminal's certificate stands for {store}/{workstation}",
            key.store, key.workstation
        ));
    }
    if !YEARS.contains(&key.business_day.year()) {
        return Some(format!("business day {} is absurd", key.business_day));
    }
    let sequence = &key.sequence;
    if sequence.is_empty() || sequence.len() > SEQUENCE_BYTES_MAX {
        return Some(format!(
            "its sequence has {} bytes; 1 to {SEQUENCE_BYTES_MAX} are allowed",
            sequence.len()
        ));
    }
    if sequence.chars().any(char::is_control) {
        return Some("its sequence holds control characters".to_owned());
    }
    None
}

/// Returns what is wrong with a transaction's own contents.
pub fn transaction_fault(sale: &RetailTransaction) -> Option<String> {
    if sale.currency.len() != 3 || !sale.currency.bytes().all(|b| b.is_ascii_uppercase()) {
        return Some("its currency is no ISO 4217 code".to_owned());
    }
    let headers = [sale.total_minor, sale.discount_minor, sale.tax_minor];
    let lines = sale.items.iter().map(|item| item.amount_minor);
    let tenders = sale.tenders.iter().map(|tender| tender.amount_minor);
    for amount in headers.into_iter().chain(lines).chain(tenders) {
        if amount.unsigned_abs() > AMOUNT_MINOR_MAX.unsigned_abs() {
            return Some(format!("the amount {amount} is absurd"));
        }
    }
    card_kind_fault(sale.card_kind.as_deref().unwrap_or("number")).or_else(|| sum_fault(sale))
}

/// Returns what is wrong with the name of a card number's kind.
pub fn card_kind_fault(kind: &str) -> Option<String> {
    let fits = (1..=CARD_KIND_BYTES_MAX).contains(&kind.len())
        && kind.bytes().all(|b| b.is_ascii_graphic());
    (!fits).then(|| "its kind of card number is no word".to_owned())
}

/// A voided transaction owes nothing, whatever its lines say.
fn sum_fault(sale: &RetailTransaction) -> Option<String> {
    match sale.kind {
        TransactionKind::Void => return None,
        TransactionKind::Sale | TransactionKind::Return => {}
    }
    let total = i128::from(sale.total_minor);
    if !sale.items.is_empty() {
        let lines: i128 = sale
            .items
            .iter()
            .filter(|item| !item.voided)
            .map(|item| i128::from(item.amount_minor))
            .sum();
        let added_tax = if sale.tax_included {
            0
        } else {
            i128::from(sale.tax_minor)
        };
        let owed = lines - i128::from(sale.discount_minor) + added_tax;
        if owed != total {
            return Some(format!(
                "its lines less discounts plus tax make {owed}, its total says {total}"
            ));
        }
    }
    if !sale.tenders.is_empty() {
        let paid: i128 = sale
            .tenders
            .iter()
            .map(|tender| i128::from(tender.amount_minor))
            .sum();
        if paid != total {
            return Some(format!("its tenders make {paid}, its total says {total}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sale() -> RetailTransaction {
        let sale = serde_json::json!({"store":"S1","workstation":"1","business_day":"2026-09-01",
            "sequence":"0007","type":"sale","currency":"CNY","total_minor":1060,
            "discount_minor":40,"tax_minor":100,
            "items":[
                {"line":1,"quantity":"2","unit_price_minor":500,"amount_minor":1000},
                {"line":2,"quantity":"1","unit_price_minor":70,"amount_minor":70,"voided":true}],
            "tenders":[{"kind":"cash","amount_minor":2000},{"kind":"change","amount_minor":-940}],
            "source":"tap"});
        serde_json::from_value(sale).unwrap()
    }

    #[test]
    fn a_sale_whose_sums_hold_is_taken_with_tax_added_or_included() {
        assert_eq!(transaction_fault(&sale()), None);
        let included = RetailTransaction {
            tax_included: true,
            total_minor: 960,
            tenders: vec![],
            ..sale()
        };
        assert_eq!(transaction_fault(&included), None);
    }

    #[test]
    fn a_sum_that_is_off_by_one_is_named() {
        let lines = RetailTransaction {
            discount_minor: 41,
            ..sale()
        };
        assert!(transaction_fault(&lines).unwrap().contains("lines"));
        let mut tenders = sale();
        tenders.tenders[1].amount_minor = -941;
        assert!(transaction_fault(&tenders).unwrap().contains("tenders"));
    }

    #[test]
    fn a_voided_transaction_owes_nothing() {
        let void = RetailTransaction {
            kind: TransactionKind::Void,
            total_minor: 0,
            ..sale()
        };
        assert_eq!(transaction_fault(&void), None);
    }

    #[test]
    fn another_tills_sale_an_absurd_amount_and_an_absurd_day_are_refused() {
        let (store, till) = (
            StoreId::new("S1").unwrap(),
            WorkstationId::new("1").unwrap(),
        );
        assert_eq!(key_fault(&sale().key(), &store, &till), None);
        let other = StoreId::new("S2").unwrap();
        let fault = key_fault(&sale().key(), &other, &till).unwrap();
        assert!(fault.contains("S1/1") && fault.contains("S2/1"), "{fault}");
        let old = RetailTransaction {
            business_day: chrono::NaiveDate::from_ymd_opt(1970, 1, 1).unwrap(),
            ..sale()
        };
        assert!(key_fault(&old.key(), &store, &till).is_some());
        let rich = RetailTransaction {
            total_minor: i64::MIN,
            ..sale()
        };
        assert!(transaction_fault(&rich).unwrap().contains("absurd"));
    }
}
