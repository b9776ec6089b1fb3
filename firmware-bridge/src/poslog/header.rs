//! What a transaction says of itself: its key, its times, its currency, its state.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use super::amount::malformed;
use super::element::Element;
use super::{PosLogError, TransactionKey};
use crate::money::Currency;
use crate::sale::SaleTime;

/// Reads store, till, business day and number. 2.x and 6.0 name the store differently.
pub(super) fn key(transaction: &Element) -> Result<TransactionKey, PosLogError> {
    let text = |name| transaction.child_text(name).map(str::to_owned);
    let unit = transaction
        .child("BusinessUnit")
        .and_then(|unit| unit.child_text("UnitID"))
        .map(str::to_owned);
    let business_day = transaction
        .child("BusinessDayDate")
        .filter(|element| !element.text().is_empty())
        .map(day)
        .transpose()?;
    Ok(TransactionKey {
        store: text("RetailStoreID").or(unit),
        workstation: text("WorkstationID"),
        business_day,
        sequence: text("SequenceNumber").or_else(|| text("ReceiptNumber")),
    })
}

/// Reads a date; some POS write one with a zone or with the time of midnight.
fn day(element: &Element) -> Result<NaiveDate, PosLogError> {
    let text = element.text();
    let date = text.get(..10).unwrap_or(text);
    let rest = text.get(10..).unwrap_or_default();
    let tail_is_time_or_zone = rest.is_empty() || rest.starts_with(['T', 'Z', '+', '-']);
    NaiveDate::parse_from_str(date, "%Y-%m-%d")
        .ok()
        .filter(|_| tail_is_time_or_zone)
        .ok_or_else(|| malformed(element, "is not a date, as in 2026-01-31"))
}

/// Reads begin and end; where the end is missing, the receipt's time stands for it.
pub(super) fn times(
    transaction: &Element,
    retail: &Element,
) -> Result<(Option<SaleTime>, Option<SaleTime>), PosLogError> {
    let began = transaction.child("BeginDateTime");
    let ended = transaction
        .child("EndDateTime")
        .or_else(|| transaction.child("POSLogDateTime"))
        .or_else(|| retail.child("ReceiptDateTime"));
    let read = |element: Option<&Element>| {
        element
            .filter(|element| !element.text().is_empty())
            .map(time)
            .transpose()
    };
    Ok((read(began)?, read(ended)?))
}

fn time(element: &Element) -> Result<SaleTime, PosLogError> {
    let text = element.text();
    if let Ok(zoned) = DateTime::parse_from_rfc3339(text) {
        return Ok(SaleTime::Zoned(zoned));
    }
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
        .map(SaleTime::Local)
        .map_err(|_| malformed(element, "is not a time, as in 2026-01-31T18:30:00"))
}

/// Reads the currency: an element of its own, or what the amounts name.
pub(super) fn currency(transaction: &Element, retail: &Element) -> Result<Currency, PosLogError> {
    let stated = transaction
        .child("CurrencyCode")
        .or_else(|| retail.child("CurrencyCode"))
        .filter(|element| !element.text().is_empty());
    if let Some(element) = stated {
        return parse(element, element.text());
    }
    for name in ["Total", "ExtendedAmount", "Amount"] {
        for element in retail.descendants(name) {
            let code = element
                .attribute("CurrencyCode")
                .or_else(|| element.attribute("Currency"))
                .filter(|code| !code.is_empty());
            if let Some(code) = code {
                return parse(element, code);
            }
        }
    }
    Err(malformed(transaction, "names no currency"))
}

fn parse(element: &Element, code: &str) -> Result<Currency, PosLogError> {
    Currency::parse(code).map_err(|_| malformed(element, "names no ISO 4217 currency"))
}

/// Returns the first element of a key, a time or a total that still holds a template's variable.
pub(super) fn placeholder(transaction: &Element) -> Option<&Element> {
    const VARIABLE: &[&str] = &[
        "RetailStoreID",
        "WorkstationID",
        "SequenceNumber",
        "ReceiptNumber",
        "BusinessDayDate",
        "BeginDateTime",
        "EndDateTime",
        "POSLogDateTime",
    ];
    let own = transaction
        .children()
        .filter(|element| VARIABLE.contains(&element.name.as_str()));
    let unit = transaction
        .all("BusinessUnit")
        .flat_map(|u| u.all("UnitID"));
    let totals = transaction
        .children()
        .filter(|element| element.name.ends_with("Transaction"))
        .flat_map(|body| body.all("Total"));
    unit.chain(own)
        .chain(totals)
        .find(|element| is_variable(element.text()))
}

/// Returns whether `text` is a variable as templates write it: `$NAME`, `${name}` or `{{name}}`.
fn is_variable(text: &str) -> bool {
    let name = text
        .strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"))
        .or_else(|| {
            text.strip_prefix("${")
                .and_then(|rest| rest.strip_suffix('}'))
        })
        .or_else(|| text.strip_prefix('$'));
    name.is_some_and(|name| {
        name.trim()
            .starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    })
}

/// Returns whether the transaction, or its retail part, carries the flag.
pub(super) fn flag(transaction: &Element, retail: &Element, name: &str) -> bool {
    transaction.flag(name) || retail.flag(name)
}

/// Returns whether the retail part states one of `states`.
pub(super) fn status_is(retail: &Element, states: &[&str]) -> bool {
    retail
        .attribute("TransactionStatus")
        .is_some_and(|status| states.iter().any(|s| status.eq_ignore_ascii_case(s)))
}
