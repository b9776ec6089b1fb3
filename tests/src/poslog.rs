//! POSLog 2.2 files as a POS drops them into its journal folder.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::sale::{CURRENCY, Sale, decimal};

/// Returns a file with these sales.
///
/// # Errors
/// Never: text can always be written.
pub fn file(sales: &[Sale]) -> Result<String> {
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <POSLog xmlns=\"http://www.nrf-arts.org/IXRetail/namespace/\">\n",
    );
    for sale in sales {
        transaction(&mut xml, sale)?;
    }
    xml.push_str("</POSLog>\n");
    Ok(xml)
}

fn transaction(xml: &mut String, sale: &Sale) -> Result<()> {
    writeln!(
        xml,
        "  <Transaction>\n    \
         <RetailStoreID>{}</RetailStoreID>\n    \
         <WorkstationID>{}</WorkstationID>\n    \
         <SequenceNumber>{}</SequenceNumber>\n    \
         <BusinessDayDate>{}</BusinessDayDate>\n    \
         <EndDateTime>{}</EndDateTime>\n    \
         <CurrencyCode>{CURRENCY}</CurrencyCode>\n    \
         <RetailTransaction Version=\"2.2\">",
        sale.store,
        sale.workstation,
        sale.sequence,
        sale.day,
        sale.ended_at.format("%Y-%m-%dT%H:%M:%SZ"),
    )?;
    let mut line = 0;
    for goods in &sale.goods {
        line += 1;
        writeln!(
            xml,
            "      <LineItem><SequenceNumber>{line}</SequenceNumber><Sale ItemType=\"Stock\">\
             <ItemID>{}</ItemID><Description>{}</Description>\
             <RegularSalesUnitPrice>{}</RegularSalesUnitPrice>\
             <ExtendedAmount>{}</ExtendedAmount><Quantity>{}</Quantity></Sale></LineItem>",
            goods.item_id,
            goods.description,
            decimal(goods.price_minor),
            decimal(goods.amount_minor()),
            goods.quantity,
        )?;
    }
    if let Some(card) = &sale.card {
        line += 1;
        writeln!(
            xml,
            "      <LineItem><SequenceNumber>{line}</SequenceNumber><LoyaltyReward>\
             <LoyaltyID>{card}</LoyaltyID></LoyaltyReward></LineItem>"
        )?;
    }
    line += 1;
    writeln!(
        xml,
        "      <LineItem><SequenceNumber>{line}</SequenceNumber><Tender TenderType=\"Cash\">\
         <Amount>{total}</Amount></Tender></LineItem>\n      \
         <Total TotalType=\"TransactionGrandAmount\">{total}</Total>\n    \
         </RetailTransaction>\n  </Transaction>",
        total = decimal(sale.total_minor()),
    )?;
    Ok(())
}

/// Drops a file into a journal folder the careful way: under another name first.
///
/// # Errors
/// When the disk refuses.
pub fn drop_into(folder: &Path, name: &str, text: &str) -> Result<()> {
    let unfinished = folder.join(format!("{name}.tmp"));
    fs::write(&unfinished, text).with_context(|| unfinished.display().to_string())?;
    fs::rename(&unfinished, folder.join(name))?;
    Ok(())
}
