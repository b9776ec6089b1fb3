//! Offers: what terminals tell of the codes that they print, in bulk.
//!
//! A batch without offers, of a till for whose sales nobody waits, asks nothing here. One with offers
//! asks once whether somebody waits for one of them, and takes the lock of membership only then: nearly
//! every receipt has a code, and few are ever entered.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::DatabaseTransaction;
use tillbind_protocol::claim::ClaimDigest;
use tillbind_protocol::event::{SaleKey, plain_sequence};
use tillbind_protocol::ids::Seq;

use super::claim::State;
use crate::intake::column;
use crate::intake::projection::Origin;
use crate::members;
use crate::quarantine::Poisoned;
use crate::store::StoreError;
use crate::store::statement::{ColumnType, Row, insert_many, one_of, rows};
use crate::values;

pub(crate) use super::redemption::{cards_of, carry_out};

/// An offer as a record tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) seq: Seq,
    /// By central's clock, in milliseconds.
    pub(crate) offered_ms: i64,
    pub(crate) sale: SaleKey,
    pub(crate) digest: ClaimDigest,
}

impl Told {
    /// Takes an offer; nothing is offered after it came.
    pub(crate) fn new(
        origin: &Origin<'_>,
        seq: Seq,
        recorded_ms: i64,
        offered: &tillbind_protocol::event::ClaimOffered,
    ) -> Self {
        let sequence = plain_sequence(&offered.sale.sequence).to_owned();
        Self {
            seq,
            offered_ms: recorded_ms.min(origin.received_ms),
            sale: SaleKey {
                sequence,
                ..offered.sale.clone()
            },
            digest: offered.claim,
        }
    }
}

/// Writes offers down and returns which claims can be tried now: those of these offers, and those that
/// wait for one of these sales. Holds the lock of membership if there are any. An offer that contradicts
/// is added to `poisoned`.
pub(crate) async fn note<'s>(
    tx: &DatabaseTransaction,
    origin: &Origin<'_>,
    told: Vec<Told>,
    sales: impl Iterator<Item = SaleKey> + 's,
    poisoned: &mut Vec<Poisoned>,
) -> Result<BTreeSet<ClaimDigest>, StoreError> {
    let mut due = waiting_for_sales(tx, origin, sales).await?;
    if told.is_empty() && due.is_empty() {
        return Ok(due);
    }
    let mut locked = !due.is_empty() || is_waited_for(tx, &told).await?;
    if locked {
        members::lock(tx).await?;
    }
    let told = distinct(told, poisoned);
    for found in write(tx, origin, &told).await? {
        let digest = digest(&found, 0)?;
        let Some(told) = told.get(&digest) else {
            continue;
        };
        let known = (
            found.text(1)?,
            found.text(2)?,
            found.text(3)?,
            found.text(4)?,
        );
        if known != place(&told.sale) {
            poisoned.push(contradiction(told.seq));
        } else if found.text(5)? == State::Waiting.as_str() {
            due.insert(digest);
        }
    }
    if !due.is_empty() && !locked {
        // Somebody asked in between.
        members::lock(tx).await?;
        locked = true;
    }
    debug_assert!(locked || due.is_empty());
    Ok(due)
}

type Place = (String, String, String, String);

fn place(key: &SaleKey) -> Place {
    (
        key.store.to_string(),
        key.workstation.to_string(),
        key.business_day.to_string(),
        key.sequence.clone(),
    )
}

fn digest(row: &Row, index: usize) -> Result<ClaimDigest, StoreError> {
    row.text(index)?
        .try_into()
        .map_err(|e| StoreError::foreign_value("read a claim's digest", e))
}

/// Each digest once, in their order: rows are locked so.
fn distinct(told: Vec<Told>, poisoned: &mut Vec<Poisoned>) -> BTreeMap<ClaimDigest, Told> {
    let mut distinct: BTreeMap<ClaimDigest, Told> = BTreeMap::new();
    for told in told {
        match distinct.get(&told.digest) {
            Some(first) if first.sale != told.sale => poisoned.push(contradiction(told.seq)),
            Some(_) => {}
            None => {
                distinct.insert(told.digest, told);
            }
        }
    }
    distinct
}

fn contradiction(seq: Seq) -> Poisoned {
    Poisoned {
        seq,
        kind: "claim_offered".to_owned(),
        reason: "its code was offered for another sale".to_owned(),
    }
}

async fn waiting_for_sales(
    tx: &DatabaseTransaction,
    origin: &Origin<'_>,
    sales: impl Iterator<Item = SaleKey>,
) -> Result<BTreeSet<ClaimDigest>, StoreError> {
    let mut due = BTreeSet::new();
    if !origin.claims_wait {
        return Ok(due);
    }
    let sales: BTreeSet<(String, String)> = sales
        .map(|key| (key.business_day.to_string(), key.sequence))
        .collect();
    if sales.is_empty() {
        return Ok(due);
    }
    let sql = "SELECT claim, business_day, sequence FROM claims
        WHERE store = $1 AND workstation = $2 AND state = 'waiting'";
    let own = origin.terminal;
    let values = values![own.store.as_str(), own.workstation.as_str()];
    for found in rows(tx, "look up claims that wait for sales", sql, values).await? {
        if sales.contains(&(found.text(1)?, found.text(2)?)) {
            due.insert(digest(&found, 0)?);
        }
    }
    Ok(due)
}

async fn is_waited_for(tx: &DatabaseTransaction, told: &[Told]) -> Result<bool, StoreError> {
    if told.is_empty() {
        return Ok(false);
    }
    let digests = told.iter().map(|told| told.digest.to_string());
    let (condition, values) = one_of(tx, "claim", 1, digests);
    let sql = format!("SELECT claim FROM claims WHERE state = 'waiting' AND {condition} LIMIT 1");
    let found = rows(tx, "look up who waits for a claim", &sql, values).await?;
    Ok(!found.is_empty())
}

async fn write(
    tx: &DatabaseTransaction,
    origin: &Origin<'_>,
    told: &BTreeMap<ClaimDigest, Told>,
) -> Result<Vec<Row>, StoreError> {
    use ColumnType::{Int, Text};

    let mut same = origin.columns();
    same.push(("state", State::Offered.as_str().into()));
    let columns = [
        ("claim", Text),
        ("business_day", Text),
        ("sequence", Text),
        ("seq", Int),
        ("offered_ms", Int),
    ];
    let line = |told: &Told| {
        values![
            told.digest.to_string(),
            told.sale.business_day.to_string(),
            told.sale.sequence.as_str(),
            column(told.seq),
            told.offered_ms,
        ]
    };
    let lines = told.values().map(line).collect();
    // What was offered stays; what was only wished for gets its other half.
    let suffix = "ON CONFLICT (claim) DO UPDATE SET
            store = COALESCE(claims.store, excluded.store),
            workstation = COALESCE(claims.workstation, excluded.workstation),
            business_day = COALESCE(claims.business_day, excluded.business_day),
            sequence = COALESCE(claims.sequence, excluded.sequence),
            terminal = COALESCE(claims.terminal, excluded.terminal),
            epoch = COALESCE(claims.epoch, excluded.epoch),
            seq = COALESCE(claims.seq, excluded.seq),
            offered_ms = COALESCE(claims.offered_ms, excluded.offered_ms)
        RETURNING claim, store, workstation, business_day, sequence, state";
    insert_many(
        tx,
        "write offers down",
        "claims",
        same,
        &columns,
        lines,
        suffix,
    )
    .await
}
