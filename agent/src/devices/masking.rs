//! Takes payment numbers out of what receipts and journals say, before anybody else sees it.

use std::borrow::Cow;

use tillbind_firmware_bridge::code::CardRules;
use tillbind_firmware_bridge::code::payment::mask_payment_numbers;
use tillbind_firmware_bridge::receipt::Job;
use tillbind_firmware_bridge::sale::Sale;

/// Masks every text of a print job.
pub(crate) fn mask_job(job: &mut Job, rules: &CardRules) {
    for text in job.lines.iter_mut().chain(&mut job.codes) {
        mask(text, rules);
    }
}

/// Masks whatever a cashier or a POS may have put into a sale's words, and drops a member's number
/// that is a payment card's. Store, till and number of the sale stay: a long receipt number may
/// look like a payment card's, and without it the sale could not be told from another.
pub(crate) fn mask_sale(sale: &mut Sale, rules: &CardRules) {
    for item in &mut sale.items {
        mask(&mut item.item_id, rules);
        mask(&mut item.description, rules);
        if let Some(department) = &mut item.department {
            mask(department, rules);
        }
    }
    for tender in &mut sale.tenders {
        mask(&mut tender.kind, rules);
    }
    sale.card = sale
        .card
        .take()
        .filter(|card| matches!(mask_payment_numbers(card, rules), Cow::Borrowed(_)));
}

fn mask(text: &mut String, rules: &CardRules) {
    if let Cow::Owned(masked) = mask_payment_numbers(text, rules) {
        *text = masked;
    }
}

#[cfg(test)]
mod tests {
    use tillbind_firmware_bridge::money::Currency;
    use tillbind_firmware_bridge::sale::{Item, SaleKind, Tender};

    use super::*;

    const PAYMENT_NUMBER: &str = "4111111111111111";

    fn sale(card: &str) -> Sale {
        let item = Item {
            line: 1,
            item_id: PAYMENT_NUMBER.to_owned(),
            description: format!("Paid {PAYMENT_NUMBER}"),
            quantity: "1".parse().unwrap(),
            unit_price_minor: 500,
            amount_minor: 500,
            discount_minor: 0,
            department: Some(PAYMENT_NUMBER.to_owned()),
            voided: false,
        };
        let tender = Tender {
            kind: format!("card {PAYMENT_NUMBER}"),
            amount_minor: 500,
        };
        Sale {
            store: Some("1".to_owned()),
            workstation: Some("2".to_owned()),
            business_day: None,
            sequence: Some(PAYMENT_NUMBER.to_owned()),
            kind: SaleKind::Sale,
            began_at: None,
            ended_at: None,
            currency: Currency::parse("EUR").unwrap(),
            total_minor: 500,
            discount_minor: 0,
            tax_minor: 0,
            tax_included: true,
            items: vec![item],
            tenders: vec![tender],
            card: Some(card.to_owned()),
            training: false,
        }
    }

    #[test]
    fn a_payment_number_goes_from_every_word_of_a_sale_and_its_identity_stays() {
        let mut masked = sale(PAYMENT_NUMBER);
        mask_sale(&mut masked, &CardRules::default());
        assert_eq!(masked.card, None);
        assert_eq!(masked.sequence.as_deref(), Some(PAYMENT_NUMBER));
        masked.sequence = None;
        assert!(!format!("{masked:?}").contains("1111"), "{masked:?}");
    }

    #[test]
    fn a_members_number_stays() {
        let mut masked = sale("9826300123456789");
        mask_sale(&mut masked, &CardRules::default());
        assert_eq!(masked.card.as_deref(), Some("9826300123456789"));
    }
}
