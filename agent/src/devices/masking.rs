//! Takes payment numbers out of what receipts and journals say, before anybody else sees it.

use std::borrow::Cow;

use tillbind_firmware_bridge::code::CardRules;
use tillbind_firmware_bridge::code::payment::mask_payment_numbers;
use tillbind_firmware_bridge::receipt::Job;
use tillbind_firmware_bridge::sale::Sale;

/// Masks every text of a print job.
pub(super) fn mask_job(job: &mut Job, rules: &CardRules) {
    for text in job.lines.iter_mut().chain(&mut job.codes) {
        mask(text, rules);
    }
}

/// Masks whatever a cashier or a POS may have put into a sale's words, and drops a member's number
/// that is a payment card's. Store, till and number of the sale stay: a long receipt number may
/// look like a payment card's, and without it the sale could not be told from another.
pub(super) fn mask_sale(sale: &mut Sale, rules: &CardRules) {
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
