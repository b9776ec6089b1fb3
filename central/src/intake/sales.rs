//! Sales in the database: first observations in bulk, later ones by way of the [`Shelf`].

use std::collections::{HashMap, HashSet};

use sea_orm::DatabaseTransaction;
use tillbind_protocol::event::{Attribution, SaleKey};
use tillbind_protocol::ids::{AccountRef, CardNumber, Seq};

use super::projection::{Origin, Told};
use super::shelf::{self, Earner, Shelf};
use super::{cards, column, place, sale};
use crate::changes::Touched;
use crate::ledger::{self, Booking, Reason, points_of, sale_reference};
use crate::quarantine::Poisoned;
use crate::store::StoreError;
use crate::store::statement::{ColumnType, for_update, insert_many, row};
use crate::values;

/// Members by card, as far as cards are locked.
pub(super) type Holders = HashMap<String, Option<String>>;

/// Writes what records tell of sales and of cards that belong to them; contradictions are added to
/// `poisoned`.
pub(super) async fn tell(
    tx: &DatabaseTransaction,
    origin: &Origin<'_>,
    told: Vec<Told<'_>>,
    attributions: &[(Seq, &Attribution)],
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
        if !fresh.contains(&told.seq) {
            later.push(told);
        } else if let Some(card) = &told.sale.card
            && sale::earns(told.sale.kind.as_str(), told.sale.training)
        {
            let total_minor = told.sale.total_minor;
            bookings.extend(earned(origin, &told.sale.key(), card, total_minor, holders));
        }
    }
    later.extend(again);
    let keys = later.iter().map(|told| told.sale.key());
    let keys = keys.chain(attributions.iter().map(|(_, a)| a.sale.clone()));
    let mut shelf = Shelf::take(tx, origin.terminal, keys).await?;
    let mut voided = Vec::new();
    let later = later.iter().map(|told| {
        (
            told.seq,
            "transaction",
            told.sale.key(),
            shelf.tell(told.sale),
        )
    });
    // The order counts: what is told first is on the shelf when a card is given to it.
    let later: Vec<_> = later.collect();
    let given = attributions.iter().map(|(seq, a)| {
        let outcome = shelf.attribute(&a.sale, &a.card);
        (*seq, "attribution", a.sale.clone(), outcome)
    });
    for (seq, kind, key, outcome) in later.into_iter().chain(given) {
        match outcome {
            Ok(shelf::Told::Noted) => {}
            Ok(shelf::Told::Earned { card, total_minor }) => {
                bookings.extend(earned(origin, &key, &card, total_minor, holders));
            }
            Ok(shelf::Told::Voided { earner }) => voided.extend(earner.map(|e| (key, e))),
            Err(reason) => poisoned.push(Poisoned {
                seq,
                kind: kind.to_owned(),
                reason,
            }),
        }
    }
    shelf.put_back(tx, origin.terminal).await?;
    ledger::book(tx, bookings, touched, origin.received_ms).await?;
    for (key, earner) in voided {
        take_back(tx, origin, &key, earner, touched).await?;
    }
    Ok(())
}

/// Inserts sales never heard of and returns the places of the records that told them.
async fn insert_first(
    tx: &DatabaseTransaction,
    origin: &Origin<'_>,
    told: &[Told<'_>],
) -> Result<HashSet<Seq>, StoreError> {
    use ColumnType::{Int, IntOpt, Text, TextOpt};

    let columns = [
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
        ("seq", Int),
    ];
    let mut lines = Vec::with_capacity(told.len());
    for Told { seq, stamp, sale } in told {
        let key = sale.key();
        lines.push(values![
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
            column(*seq),
        ]);
    }
    let suffix = "ON CONFLICT (store, workstation, business_day, sequence) DO NOTHING
        RETURNING seq";
    let table = "transactions";
    let fresh = insert_many(
        tx,
        "write sales",
        table,
        origin.columns(),
        &columns,
        lines,
        suffix,
    )
    .await?;
    fresh.iter().map(|row| Ok(place(row.int(0)?))).collect()
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

/// Takes back what a sale earned, from whoever holds its card now, or from the account that claimed it.
async fn take_back(
    tx: &DatabaseTransaction,
    origin: &Origin<'_>,
    key: &SaleKey,
    earner: Earner,
    touched: &mut Touched,
) -> Result<(), StoreError> {
    let reference = sale_reference(key);
    let sql = "SELECT points FROM ledger WHERE kind = 'sale' AND reference = $1";
    let values = values![reference.as_str()];
    let Some(booked) = row(tx, "look up what a sale earned", sql, values).await? else {
        return Ok(());
    };
    let (card, member) = match earner {
        Earner::Card(card) => {
            // A void may name no card, so that the sale's own is not among the locked ones.
            let holders = cards::lock(tx, [card.expose().to_owned()]).await?;
            let member = holders.get(card.expose()).cloned().flatten();
            (Some(card.expose().to_owned()), member)
        }
        Earner::Account(account) => (None, locked_member(tx, &account).await?),
    };
    let booking = Booking {
        reason: Reason::Void,
        reference,
        card,
        member,
        points: -booked.int(0)?,
    };
    ledger::book(tx, vec![booking], touched, origin.received_ms).await?;
    Ok(())
}

/// Returns an account's member, which stays its member until the transaction ends: no merge comes
/// between.
async fn locked_member(
    tx: &DatabaseTransaction,
    account: &AccountRef,
) -> Result<Option<String>, StoreError> {
    let sql = format!(
        "SELECT member FROM accounts WHERE account = $1{}",
        for_update(tx)
    );
    let found = row(tx, "lock an account", &sql, values![account.to_string()]).await?;
    found.map(|row| row.text(0)).transpose()
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::foreign_value("write a sale", e))
}
