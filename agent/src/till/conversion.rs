//! From a sale as its source told it to the retail transaction that is recorded.

use std::fmt::Display;

use chrono::{DateTime, NaiveDateTime, TimeZone, Utc};
use tillbind_firmware_bridge::code::{Card, CardRules};
use tillbind_firmware_bridge::sale::{Sale, SaleKind, SaleTime};
use tillbind_protocol::event::{
    RetailTransaction, Source, TransactionItem, TransactionKind, TransactionTender, plain_sequence,
};
use tillbind_protocol::ids::{CardNumber, IdError, StoreId, WorkstationId};

use super::basket::MemberCard;
use crate::config::PosConfig;

/// The names that sales are recorded under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Store, as headquarters names it.
    pub store: StoreId,
    /// Workstation, as headquarters names it.
    pub workstation: WorkstationId,
    /// What the POS calls them.
    pub pos: PosConfig,
}

/// Why a sale cannot be recorded. The text is for the technician.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    /// A part of the natural key is missing.
    #[error("the {0} is not told, and without it the sale cannot be told from another")]
    Missing(&'static str),
    /// A name cannot be used.
    #[error(transparent)]
    Name(#[from] IdError),
    /// A time does not exist in the terminal's zone.
    #[error("the time {0} does not exist in this terminal's time zone")]
    NoSuchTime(NaiveDateTime),
}

/// Makes the transaction that is recorded. Wall-clock times are taken in `zone`, the first of two
/// where the clocks went back. The POS's own names become headquarters' where they are told to be the
/// same; others stay as told, so that headquarters sees whose sales arrive here.
///
/// # Errors
/// [`ConversionError`].
pub fn to_transaction<Z: TimeZone>(
    sale: Sale,
    source: Source,
    names: &Names,
    rules: &CardRules,
    zone: &Z,
) -> Result<RetailTransaction, ConversionError> {
    let utc = |time: Option<SaleTime>| time.map(|t| to_utc(t, zone)).transpose();
    let card = sale
        .card
        .as_deref()
        .and_then(|text| member_card(text, rules));
    let store = match foreign(sale.store, names.pos.store.as_ref(), &names.store) {
        Some(told) => StoreId::new(told)?,
        None => names.store.clone(),
    };
    let ours = &names.workstation;
    let workstation = match foreign(sale.workstation, names.pos.workstation.as_ref(), ours) {
        Some(told) => WorkstationId::new(told)?,
        None => ours.clone(),
    };
    Ok(RetailTransaction {
        store,
        workstation,
        business_day: sale
            .business_day
            .or_else(|| local_day(sale.ended_at, zone))
            .ok_or(ConversionError::Missing("business day"))?,
        sequence: sale
            .sequence
            .filter(|sequence| !sequence.trim().is_empty())
            .ok_or(ConversionError::Missing("number of the transaction"))?,
        kind: match sale.kind {
            SaleKind::Sale => TransactionKind::Sale,
            SaleKind::Return => TransactionKind::Return,
            SaleKind::Void => TransactionKind::Void,
        },
        began_at: utc(sale.began_at)?,
        ended_at: utc(sale.ended_at)?,
        currency: sale.currency.as_str().to_owned(),
        total_minor: sale.total_minor,
        discount_minor: sale.discount_minor,
        tax_minor: sale.tax_minor,
        tax_included: sale.tax_included,
        items: sale
            .items
            .into_iter()
            .map(|item| TransactionItem {
                line: item.line,
                item_id: item.item_id,
                description: item.description,
                quantity: item.quantity,
                unit_price_minor: item.unit_price_minor,
                amount_minor: item.amount_minor,
                discount_minor: item.discount_minor,
                department: item.department,
                voided: item.voided,
            })
            .collect(),
        tenders: sale
            .tenders
            .into_iter()
            .map(|tender| TransactionTender {
                kind: tender.kind,
                amount_minor: tender.amount_minor,
            })
            .collect(),
        card_kind: card.as_ref().map(|card| card.kind.clone()),
        card: card.map(|card| card.number),
        source,
        training: sale.training,
        amends: None,
    })
}

/// Reads a card number that somebody typed or a journal names.
pub fn member_card(text: &str, rules: &CardRules) -> Option<MemberCard> {
    rules
        .normalise(text)
        .ok()
        .and_then(|card| from_bridge(&card))
}

/// Takes over a card that the decoders found.
pub fn from_bridge(card: &Card) -> Option<MemberCard> {
    Some(MemberCard {
        number: CardNumber::new(card.number.expose()).ok()?,
        kind: card.kind.as_str().to_owned(),
    })
}

/// Returns the name that was told if it is neither ours nor the POS's name for ours. Zeros that one
/// source pads do not count: store `0042` of a receipt is store `42` of a journal.
fn foreign(
    told: Option<String>,
    pos: Option<&impl Display>,
    ours: &impl Display,
) -> Option<String> {
    let told = told?.trim().to_owned();
    let expected = pos.map_or_else(|| ours.to_string(), ToString::to_string);
    (!told.is_empty() && plain_sequence(&told) != plain_sequence(&expected)).then_some(told)
}

fn to_utc<Z: TimeZone>(time: SaleTime, zone: &Z) -> Result<DateTime<Utc>, ConversionError> {
    match time {
        SaleTime::Zoned(time) => Ok(time.to_utc()),
        SaleTime::Local(time) => zone
            .from_local_datetime(&time)
            .earliest()
            .map(|zoned| zoned.to_utc())
            .ok_or(ConversionError::NoSuchTime(time)),
    }
}

fn local_day<Z: TimeZone>(time: Option<SaleTime>, zone: &Z) -> Option<chrono::NaiveDate> {
    match time? {
        SaleTime::Local(time) => Some(time.date()),
        SaleTime::Zoned(time) => Some(time.with_timezone(zone).date_naive()),
    }
}
