//! Known sales, taken off the shelf together, changed in memory in the order of the records, and put
//! back together: a store whose till prints and writes a journal tells every sale twice.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Value};
use tillbind_protocol::event::{RetailTransaction, SaleKey};
use tillbind_protocol::ids::{AccountRef, CardNumber};

use super::sale::{self, Known};
use crate::store::StoreError;
use crate::store::statement::{ColumnType, Row, execute, rows, rows_of, transposed};
use crate::terminals::Terminal;
use crate::values;

/// Day and sequence of a sale of the terminal's own store and workstation.
type Place = (String, String);

/// Sales, locked.
#[derive(Debug, Default)]
pub(super) struct Shelf(HashMap<Place, Kept>);

#[derive(Debug)]
struct Kept {
    known: Known,
    change: Option<Change>,
}

/// What is to be written of a sale: `None` leaves a column as it is.
#[derive(Debug, Default)]
struct Change {
    card: Option<String>,
    items: Option<String>,
    tenders: Option<String>,
    began_ms: Option<i64>,
    ended_ms: Option<i64>,
    kind: Option<&'static str>,
}

/// What an observation came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing that moves points.
    Noted,
    /// A card for a sale that earns: so much was paid.
    Earned {
        /// The card.
        card: CardNumber,
        /// What was paid.
        total_minor: i64,
    },
    /// The sale was voided; this had earned its points.
    Voided {
        /// Whoever had, if anybody.
        earner: Option<Earner>,
    },
}

/// Whom a sale's points were booked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Earner {
    /// Its card.
    Card(CardNumber),
    /// The account that claimed it.
    Account(AccountRef),
}

fn place(key: &SaleKey) -> Place {
    (key.business_day.to_string(), key.sequence.clone())
}

impl Shelf {
    /// Takes the sales of these keys, all of one store and workstation, as far as they exist, and locks
    /// them in the order of their names, so that two batches never wait for each other in a ring.
    pub(super) async fn take(
        tx: &DatabaseTransaction,
        of: &Terminal,
        keys: impl Iterator<Item = SaleKey>,
    ) -> Result<Self, StoreError> {
        let places: BTreeSet<Place> = keys.map(|key| place(&key)).collect();
        if places.is_empty() {
            return Ok(Self::default());
        }
        let operation = "look up sales";
        let (sql, values) = look_up(tx.get_database_backend(), of, places);
        let mut shelf = HashMap::new();
        for row in rows(tx, operation, &sql, values).await? {
            let kept = Kept {
                known: known(operation, &row)?,
                change: None,
            };
            shelf.insert((row.text(0)?, row.text(1)?), kept);
        }
        Ok(Self(shelf))
    }

    /// Adds an observation to its sale.
    ///
    /// # Errors
    /// What contradicts, for headquarters.
    pub(super) fn tell(&mut self, seen: &RetailTransaction) -> Result<Told, String> {
        let kept = self.0.get_mut(&place(&seen.key()));
        let kept = kept.ok_or("its sale is gone")?;
        let added = sale::merge(&kept.known, seen)?;
        let written = |e: serde_json::Error| format!("it cannot be written: {e}");
        let change = kept.change.get_or_insert_default();
        let known = &mut kept.known;
        known.sources = added.sources;
        let began_ms = seen.began_at.map(|at| at.timestamp_millis());
        let ended_ms = seen.ended_at.map(|at| at.timestamp_millis());
        change.began_ms = change.began_ms.or(began_ms);
        change.ended_ms = change.ended_ms.or(ended_ms);
        if added.items {
            known.has_items = true;
            change.items = Some(serde_json::to_string(&seen.items).map_err(written)?);
        }
        if added.tenders {
            known.has_tenders = true;
            change.tenders = Some(serde_json::to_string(&seen.tenders).map_err(written)?);
        }
        let account = known.account.clone().map(Earner::Account);
        let earner = account.or_else(|| known.card.clone().map(Earner::Card));
        if let Some(card) = &added.card {
            known.card = Some(card.clone());
            change.card = Some(card.expose().to_owned());
        }
        if added.voids {
            seen.kind.as_str().clone_into(&mut known.kind);
            change.kind = Some(seen.kind.as_str());
            return Ok(Told::Voided { earner });
        }
        Ok(earned(known, added.card))
    }

    /// Gives a card to a sale that had none.
    ///
    /// # Errors
    /// Why it cannot.
    pub(super) fn attribute(&mut self, key: &SaleKey, card: &CardNumber) -> Result<Told, String> {
        let kept = self.0.get_mut(&place(key));
        let kept = kept.ok_or("its sale is not known here")?;
        match &kept.known.card {
            Some(known) if known == card => return Ok(Told::Noted),
            Some(_) => return Err("its sale belongs to another card".to_owned()),
            None => {}
        }
        kept.known.card = Some(card.clone());
        let change = kept.change.get_or_insert_default();
        change.card = Some(card.expose().to_owned());
        Ok(earned(&kept.known, Some(card.clone())))
    }

    /// Writes what has changed.
    pub(super) async fn put_back(
        self,
        tx: &DatabaseTransaction,
        of: &Terminal,
    ) -> Result<(), StoreError> {
        use ColumnType::{IntOpt, Text, TextOpt};

        let columns = [
            ("business_day", Text),
            ("sequence", Text),
            ("sources", Text),
            ("card", TextOpt),
            ("items", TextOpt),
            ("tenders", TextOpt),
            ("began_ms", IntOpt),
            ("ended_ms", IntOpt),
            ("kind", TextOpt),
        ];
        let changed = self.0.into_iter().filter_map(|((day, sequence), kept)| {
            let change = kept.change?;
            Some(values![
                day,
                sequence,
                kept.known.sources.join(" "),
                change.card,
                change.items,
                change.tenders,
                change.began_ms,
                change.ended_ms,
                change.kind,
            ])
        });
        let lines: Vec<Vec<Value>> = changed.collect();
        if lines.is_empty() {
            return Ok(());
        }
        let operation = "add to sales";
        let own = values![of.store.as_str(), of.workstation.as_str()];
        if tx.get_database_backend() == DbBackend::Postgres {
            // By the key alone, row after row: a join is planned by statistics, and of a table that was
            // empty a while ago they say that a till's sales are few enough to be read all.
            let sql = format!(
                "UPDATE transactions t SET sources = u.sources, card = COALESCE(t.card, u.card),
                    items = COALESCE(u.items, t.items), tenders = COALESCE(u.tenders, t.tenders),
                    began_ms = COALESCE(t.began_ms, u.began_ms),
                    ended_ms = COALESCE(t.ended_ms, u.ended_ms), kind = COALESCE(u.kind, t.kind)
                 FROM {} u CROSS JOIN LATERAL (
                     SELECT k.ctid AS place FROM transactions k
                     WHERE k.store = $1 AND k.workstation = $2
                        AND k.business_day = u.business_day AND k.sequence = u.sequence
                     OFFSET 0
                 ) found
                 WHERE t.ctid = found.place",
                rows_of(&columns, own.len() + 1)
            );
            let mut values = own;
            values.extend(transposed(&columns, lines));
            execute(tx, operation, &sql, values).await?;
            return Ok(());
        }
        let sql = "UPDATE transactions SET sources = $5, card = COALESCE(card, $6),
                items = COALESCE($7, items), tenders = COALESCE($8, tenders),
                began_ms = COALESCE(began_ms, $9), ended_ms = COALESCE(ended_ms, $10),
                kind = COALESCE($11, kind)
            WHERE store = $1 AND workstation = $2 AND business_day = $3 AND sequence = $4";
        for line in lines {
            let values = own.iter().cloned().chain(line).collect();
            execute(tx, operation, sql, values).await?;
        }
        Ok(())
    }
}

fn earned(known: &Known, card: Option<CardNumber>) -> Told {
    match card {
        Some(card) if sale::earns(&known.kind, known.training) => Told::Earned {
            card,
            total_minor: known.total_minor,
        },
        Some(_) | None => Told::Noted,
    }
}

fn look_up(backend: DbBackend, of: &Terminal, places: BTreeSet<Place>) -> (String, Vec<Value>) {
    const COLUMNS: &str = "t.business_day, t.sequence, t.kind, t.currency, t.total_minor, \
         t.training, t.card, CASE WHEN t.items = '[]' THEN 0 ELSE 1 END, \
         CASE WHEN t.tenders = '[]' THEN 0 ELSE 1 END, t.sources, t.account";
    let mut values = values![of.store.as_str(), of.workstation.as_str()];
    if backend == DbBackend::Postgres {
        let (days, sequences): (Vec<String>, Vec<String>) = places.into_iter().unzip();
        values.append(&mut values![days, sequences]);
        let sql = format!(
            "SELECT {COLUMNS} FROM UNNEST($3::text[], $4::text[]) AS k(business_day, sequence)
             CROSS JOIN LATERAL (
                 SELECT * FROM transactions t
                 WHERE t.store = $1 AND t.workstation = $2
                    AND t.business_day = k.business_day AND t.sequence = k.sequence
                 FOR UPDATE
             ) t"
        );
        return (sql, values);
    }
    let pairs: Vec<String> = (0..places.len())
        .map(|n| format!("(${}, ${})", 2 * n + 3, 2 * n + 4))
        .collect();
    let sql = format!(
        "SELECT {COLUMNS} FROM transactions t
         WHERE t.store = $1 AND t.workstation = $2
            AND (t.business_day, t.sequence) IN (VALUES {})",
        pairs.join(", ")
    );
    for (day, sequence) in places {
        values.append(&mut values![day, sequence]);
    }
    (sql, values)
}

fn known(operation: &'static str, row: &Row) -> Result<Known, StoreError> {
    let card = row.text_opt(6)?.map(CardNumber::new).transpose();
    Ok(Known {
        kind: row.text(2)?,
        currency: row.text(3)?,
        total_minor: row.int(4)?,
        training: row.int(5)? != 0,
        card: card.map_err(|e| StoreError::foreign_value(operation, e))?,
        account: match row.text_opt(10)? {
            Some(_) => Some(row.parsed(10)?),
            None => None,
        },
        has_items: row.flag(7)?,
        has_tenders: row.flag(8)?,
        sources: row.text(9)?.split(' ').map(str::to_owned).collect(),
    })
}
