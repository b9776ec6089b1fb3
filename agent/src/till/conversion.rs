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

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;
    use tillbind_firmware_bridge::money::Currency;

    use super::*;

    fn sale() -> Sale {
        Sale {
            store: None,
            workstation: None,
            business_day: None,
            sequence: Some("7".into()),
            kind: SaleKind::Sale,
            began_at: None,
            ended_at: Some(SaleTime::Local("2026-03-01T23:30:00".parse().unwrap())),
            currency: Currency::parse("EUR").unwrap(),
            total_minor: 0,
            discount_minor: 0,
            tax_minor: 0,
            tax_included: true,
            items: vec![],
            tenders: vec![],
            card: None,
            training: false,
        }
    }

    fn names(pos_store: Option<&str>) -> Names {
        Names {
            store: "berlin-3".parse().unwrap(),
            workstation: "2".parse().unwrap(),
            pos: PosConfig {
                store: pos_store.map(|store| store.parse().unwrap()),
                workstation: None,
            },
        }
    }

    fn convert(sale: Sale, names: &Names) -> Result<RetailTransaction, ConversionError> {
        let zone = FixedOffset::east_opt(3_600).unwrap();
        let rules = CardRules::new(["29"]).unwrap();
        to_transaction(sale, Source::Tap, names, &rules, &zone)
    }

    #[test]
    fn local_times_become_utc_and_the_business_day_is_the_tills() {
        let transaction = convert(sale(), &names(None)).unwrap();
        assert_eq!(
            transaction.ended_at.unwrap().to_rfc3339(),
            "2026-03-01T22:30:00+00:00"
        );
        assert_eq!(transaction.business_day.to_string(), "2026-03-01");
    }

    #[test]
    fn the_poss_own_names_become_headquarters_and_foreign_ones_stay_visible() {
        let told = |store: &str, workstation: &str| Sale {
            store: Some(store.into()),
            workstation: Some(workstation.into()),
            ..sale()
        };
        let ours = convert(told("0042", "002"), &names(Some("42"))).unwrap();
        assert_eq!(
            (ours.store.as_str(), ours.workstation.as_str()),
            ("berlin-3", "2")
        );
        let foreign = convert(told("43", "9"), &names(Some("42"))).unwrap();
        assert_eq!(
            (foreign.store.as_str(), foreign.workstation.as_str()),
            ("43", "9")
        );
        let absent = convert(sale(), &names(Some("42"))).unwrap();
        assert_eq!(absent.store.as_str(), "berlin-3");
    }

    #[test]
    fn a_sale_without_a_number_or_day_is_not_made_up() {
        let nameless = Sale {
            sequence: Some(" ".into()),
            ..sale()
        };
        assert!(matches!(
            convert(nameless, &names(None)),
            Err(ConversionError::Missing(_))
        ));
        let timeless = Sale {
            ended_at: None,
            ..sale()
        };
        assert!(matches!(
            convert(timeless, &names(None)),
            Err(ConversionError::Missing(_))
        ));
    }

    #[test]
    fn a_card_that_the_source_masks_or_that_pays_is_no_member_card() {
        for text in ["****1234", "4111111111111111", ""] {
            let told = Sale {
                card: Some(text.into()),
                ..sale()
            };
            assert_eq!(convert(told, &names(None)).unwrap().card, None);
        }
    }
}
