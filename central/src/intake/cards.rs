//! Cards as events mention them.

use std::collections::{BTreeMap, HashMap};

use crate::changes::Touched;
use crate::store::StoreError;
use crate::store::statement::{ColumnType, for_update, insert_many, one_of, rows};
use crate::values;
use sea_orm::DatabaseTransaction;

/// A card as it was mentioned first within a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    /// Kind of its number.
    pub(super) kind: String,
    /// When, in milliseconds.
    pub(super) seen_ms: i64,
}

/// Notes cards that were never seen before.
pub(super) async fn note(
    tx: &DatabaseTransaction,
    mentions: BTreeMap<String, Mention>,
    touched: &mut Touched,
) -> Result<(), StoreError> {
    use ColumnType::{Int, Text};

    let same = vec![("points", 0i64.into()), ("version", 0i64.into())];
    let columns = [("card", Text), ("kind", Text), ("first_seen_ms", Int)];
    let lines = mentions
        .into_iter()
        .map(|(card, mention)| values![card, mention.kind, mention.seen_ms])
        .collect();
    let suffix = "ON CONFLICT (card) DO NOTHING RETURNING card";
    let fresh = insert_many(tx, "note cards", "cards", same, &columns, lines, suffix).await?;
    for fresh in fresh {
        touched.card(&fresh.text(0)?);
    }
    Ok(())
}

/// Locks cards, in the order of their numbers so that no two batches wait for each other in a ring,
/// and returns their members.
pub(crate) async fn lock(
    tx: &DatabaseTransaction,
    cards: impl IntoIterator<Item = String>,
) -> Result<HashMap<String, Option<String>>, StoreError> {
    let mut members = HashMap::new();
    let mut cards = cards.into_iter().peekable();
    if cards.peek().is_none() {
        return Ok(members);
    }
    let (condition, values) = one_of(tx, "card", 1, cards);
    let sql = format!(
        "SELECT card, member FROM cards WHERE {condition} ORDER BY card{}",
        for_update(tx)
    );
    for row in rows(tx, "lock cards", &sql, values).await? {
        members.insert(row.text(0)?, row.text_opt(1)?);
    }
    Ok(members)
}
