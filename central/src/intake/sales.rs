//! Sales in the database: first observations in bulk, later ones one by one.

use std::collections::{HashMap, HashSet};

use sea_orm::DatabaseTransaction;
use tillbind_protocol::event::{Attribution, RetailTransaction, SaleKey};
use tillbind_protocol::ids::CardNumber;

use super::projection::{Origin, Told};
use super::sale::{self, Additions, Known};
use super::{cards, column};
use crate::changes::Touched;
use crate::ledger::{self, Booking, Reason, points_of, sale_reference};
use crate::quarantine::Poisoned;
use crate::store::StoreError;
use crate::store::statement::{ColumnType, Row, execute, for_update, insert_many, row};
use crate::values;

/// Members by card, as far as cards are locked.
pub(super) type Holders = HashMap<String, Option<String>>;

/// Writes what records tell of sales; contradictions are added to `poisoned`.
pub(super) async fn tell(
    tx: &DatabaseTransaction,
    origin: &Origin<'_>,
    told: Vec<Told<'_>>,
    holders: &Holders,
    touched: &mut Touched,
    poisoned: &mut Vec<Poisoned>,
) -> Result<(), StoreError> {
    let mut seen = HashSet::new();
    let (first, again): (Vec<_>, Vec<_>) = told
        .into_iter()
        .partition(|told| seen.insert(told.sale.key()));
    let fresh = insert_first(tx, origin, &first).await?;
    let mut bookings = Vec::new();
    let mut later = Vec::new();
    for told in first {
        let key = told.sale.key();
        if !fresh.contains(&(key.business_day.to_string(), key.sequence.clone())) {
            later.push(told);
        } else if let Some(card) = &told.sale.card
            && sale::earns(told.sale.kind.as_str(), told.sale.training)
        {
            let total_minor = told.sale.total_minor;
            bookings.extend(earned(origin, &key, card, total_minor, holders));
        }
    }
    ledger::book(tx, bookings, touched, origin.received_ms).await?;
    for told in later.into_iter().chain(again) {
        if let Some(reason) = amend(tx, origin, &told, holders, touched).await? {
            poisoned.push(Poisoned {
                seq: told.seq,
                kind: "transaction".to_owned(),
                reason,
            });
        }
    }
    Ok(())
}

/// Inserts sales never heard of and returns the day and sequence of those that were.
async fn insert_first(
    tx: &DatabaseTransaction,
    origin: &Origin<'_>,
    told: &[Told<'_>],
) -> Result<HashSet<(String, String)>, StoreError> {
    use ColumnType::{Int, IntOpt, Text, TextOpt};

    let columns = [
        ("store", Text),
        ("workstation", Text),
        ("business_day", Text),
        ("sequence", Text),
        ("kind", Text),
        ("began_ms", IntOpt),
        ("ended_ms", IntOpt),
        ("recorded_ms", Int),
        ("clock_offset_ms", Int),
        ("recorded_uncertainty_ms", IntOpt),
        ("currency", Text),
        ("total_minor", Int),
        ("discount_minor", Int),
        ("tax_minor", Int),
        ("tax_included", Int),
        ("items", Text),
        ("tenders", Text),
        ("card", TextOpt),
        ("training", Int),
        ("source", Text),
        ("sources", Text),
        ("terminal", Text),
        ("epoch", Text),
        ("seq", Int),
    ];
    let mut lines = Vec::with_capacity(told.len());
    for Told { seq, stamp, sale } in told {
        let key = sale.key();
        lines.push(values![
            key.store.as_str(),
            key.workstation.as_str(),
            key.business_day.to_string(),
            key.sequence,
            sale.kind.as_str(),
            sale.began_at.map(|at| at.timestamp_millis()),
            sale.ended_at.map(|at| at.timestamp_millis()),
            stamp.corrected_ms(),
            stamp.offset_ms,
            stamp.uncertainty_ms.map(i64::from),
            sale.currency.as_str(),
            sale.total_minor,
            sale.discount_minor,
            sale.tax_minor,
            i64::from(sale.tax_included),
            json(&sale.items)?,
            json(&sale.tenders)?,
            sale.card.as_ref().map(CardNumber::expose),
            i64::from(sale.training),
            sale.source.as_str(),
            sale.source.as_str(),
            origin.terminal.id.as_str(),
            origin.epoch.to_string(),
            column(*seq),
        ]);
    }
    let suffix = "ON CONFLICT (store, workstation, business_day, sequence) DO NOTHING
        RETURNING business_day, sequence";
    let fresh = insert_many(tx, "write sales", "transactions", &columns, lines, suffix).await?;
    let names = |row: &Row| Ok((row.text(0)?, row.text(1)?));
    fresh.iter().map(names).collect()
}

fn earned(
    origin: &Origin<'_>,
    key: &SaleKey,
    card: &CardNumber,
    total_minor: i64,
    holders: &Holders,
) -> Option<Booking> {
    let points = points_of(total_minor, origin.rules.minor_per_point);
    (points != 0).then(|| Booking {
        reason: Reason::Sale,
        reference: sale_reference(key),
        card: Some(card.expose().to_owned()),
        member: holders.get(card.expose()).cloned().flatten(),
        points,
    })
}

async fn find(tx: &DatabaseTransaction, key: &SaleKey) -> Result<Option<Known>, StoreError> {
    let sql = format!(
        "SELECT kind, currency, total_minor, training, card, items, tenders, sources
         FROM transactions
         WHERE store = $1 AND workstation = $2 AND business_day = $3 AND sequence = $4{}",
        for_update(tx)
    );
    let Some(row) = row(tx, "look up a sale", &sql, key_values(key)).await? else {
        return Ok(None);
    };
    let card = row.text_opt(4)?.map(CardNumber::new).transpose();
    let words = row.text(7)?;
    Ok(Some(Known {
        kind: row.text(0)?,
        currency: row.text(1)?,
        total_minor: row.int(2)?,
        training: row.int(3)? != 0,
        card: card.map_err(|e| StoreError::foreign_value("look up a sale", e))?,
        has_items: row.text(5)? != "[]",
        has_tenders: row.text(6)? != "[]",
        sources: words.split(' ').map(str::to_owned).collect(),
    }))
}

fn key_values(key: &SaleKey) -> Vec<sea_orm::Value> {
    values![
        key.store.as_str(),
        key.workstation.as_str(),
        key.business_day.to_string(),
        key.sequence.as_str(),
    ]
}

/// Adds a later observation to its sale; returns what contradicts.
async fn amend(
    tx: &DatabaseTransaction,
    origin: &Origin<'_>,
    told: &Told<'_>,
    holders: &Holders,
    touched: &mut Touched,
) -> Result<Option<String>, StoreError> {
    let key = told.sale.key();
    let Some(known) = find(tx, &key).await? else {
        let operation = "look up a sale that exists";
        return Err(StoreError::foreign_value(operation, "none"));
    };
    let added = match sale::merge(&known, told.sale) {
        Ok(added) => added,
        Err(reason) => return Ok(Some(reason)),
    };
    write_additions(tx, &key, &added, told.sale).await?;
    if added.voids {
        take_back(tx, origin, &key, &known, touched).await?;
    } else if let Some(card) = &added.card
        && sale::earns(&known.kind, known.training)
    {
        let booking = earned(origin, &key, card, known.total_minor, holders);
        let bookings = booking.into_iter().collect();
        ledger::book(tx, bookings, touched, origin.received_ms).await?;
    }
    Ok(None)
}

async fn write_additions(
    tx: &DatabaseTransaction,
    key: &SaleKey,
    added: &Additions,
    seen: &RetailTransaction,
) -> Result<(), StoreError> {
    let sql = "UPDATE transactions SET sources = $5, card = COALESCE(card, $6),
            items = COALESCE($7, items), tenders = COALESCE($8, tenders),
            began_ms = COALESCE(began_ms, $9), ended_ms = COALESCE(ended_ms, $10),
            kind = COALESCE($11, kind)
        WHERE store = $1 AND workstation = $2 AND business_day = $3 AND sequence = $4";
    let items = added.items.then(|| json(&seen.items)).transpose()?;
    let tenders = added.tenders.then(|| json(&seen.tenders)).transpose()?;
    let mut values = key_values(key);
    values.append(&mut values![
        added.sources.join(" "),
        added.card.as_ref().map(CardNumber::expose),
        items,
        tenders,
        seen.began_at.map(|at| at.timestamp_millis()),
        seen.ended_at.map(|at| at.timestamp_millis()),
        added.voids.then(|| seen.kind.as_str()),
    ]);
    execute(tx, "add to a sale", sql, values).await?;
    Ok(())
}

/// Takes back what a sale earned, from whoever holds its card now.
async fn take_back(
    tx: &DatabaseTransaction,
    origin: &Origin<'_>,
    key: &SaleKey,
    known: &Known,
    touched: &mut Touched,
) -> Result<(), StoreError> {
    let Some(card) = &known.card else {
        return Ok(());
    };
    let reference = sale_reference(key);
    let sql = "SELECT points FROM ledger WHERE kind = 'sale' AND reference = $1";
    let values = values![reference.as_str()];
    let Some(booked) = row(tx, "look up what a sale earned", sql, values).await? else {
        return Ok(());
    };
    // A void may name no card, so that the sale's own is not among the locked ones.
    let holders = cards::lock(tx, [card.expose().to_owned()]).await?;
    let booking = Booking {
        reason: Reason::Void,
        reference,
        card: Some(card.expose().to_owned()),
        member: holders.get(card.expose()).cloned().flatten(),
        points: -booked.int(0)?,
    };
    ledger::book(tx, vec![booking], touched, origin.received_ms).await?;
    Ok(())
}

/// Gives a card to a sale that had none; returns why it cannot.
pub(super) async fn attribute(
    tx: &DatabaseTransaction,
    origin: &Origin<'_>,
    attribution: &Attribution,
    holders: &Holders,
    touched: &mut Touched,
) -> Result<Option<String>, StoreError> {
    let key = &attribution.sale;
    let Some(known) = find(tx, key).await? else {
        return Ok(Some("its sale is not known here".to_owned()));
    };
    match &known.card {
        Some(card) if *card == attribution.card => return Ok(None),
        Some(_) => return Ok(Some("its sale belongs to another card".to_owned())),
        None => {}
    }
    let sql = "UPDATE transactions SET card = $5
        WHERE store = $1 AND workstation = $2 AND business_day = $3 AND sequence = $4";
    let mut values = key_values(key);
    values.push(attribution.card.expose().into());
    execute(tx, "give a sale its card", sql, values).await?;
    if sale::earns(&known.kind, known.training) {
        let booking = earned(origin, key, &attribution.card, known.total_minor, holders);
        let bookings = booking.into_iter().collect();
        ledger::book(tx, bookings, touched, origin.received_ms).await?;
    }
    Ok(None)
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::foreign_value("write a sale", e))
}
