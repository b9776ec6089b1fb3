//! Points: a ledger that is only ever added to, and the balances that follow it.
//!
//! Every entry has a reason that can be booked once (`kind`, `reference`): a sale, its void, a
//! transfer of one binding, a merge, a settled dispute. A balance is the sum of its entries: a
//! member's of all entries that name the member, a card's of those that name the card and no member.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbBackend, Value};
use tillbind_protocol::event::SaleKey;

use crate::changes::Touched;
use crate::store::StoreError;
use crate::store::statement::{ColumnType, execute, insert_many};
use crate::values;

/// Why points moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A sale or return.
    Sale,
    /// A sale that was voided after it had been booked.
    Void,
    /// What a card had earned leaves it for its member.
    TransferOut,
    /// What a card had earned reaches its member.
    TransferIn,
    /// A member that is merged into another gives its points.
    MergeOut,
    /// The other member takes them.
    MergeIn,
    /// A settled dispute takes what the card earned from its former member.
    SettleOut,
    /// A settled dispute gives it to the new one.
    SettleIn,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::Void => "void",
            Self::TransferOut => "transfer_out",
            Self::TransferIn => "transfer_in",
            Self::MergeOut => "merge_out",
            Self::MergeIn => "merge_in",
            Self::SettleOut => "settle_out",
            Self::SettleIn => "settle_in",
        }
    }
}

/// An entry to book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// Why.
    pub reason: Reason,
    /// What makes it one of a kind within its reason.
    pub reference: String,
    /// The card that it is about.
    pub card: Option<String>,
    /// The member that holds the points; without one, the card does.
    pub member: Option<String>,
    /// How many, negative when they leave.
    pub points: i64,
}

/// Returns how many points an amount earns: rounded toward zero, so that a return takes back what
/// its sale gave.
pub fn points_of(total_minor: i64, minor_per_point: i64) -> i64 {
    total_minor.checked_div(minor_per_point).unwrap_or_default()
}

/// Returns a sale's reference. Names hold no white space, so that no two sales share one.
pub fn sale_reference(key: &SaleKey) -> String {
    format!(
        "{} {} {} {}",
        key.store, key.workstation, key.business_day, key.sequence
    )
}

/// Books entries, each at most once ever, and brings balances up to date. Returns how many were new.
///
/// The caller holds the cards' rows locked, so that a card does not change hands in between.
///
/// # Errors
/// [`StoreError`].
pub async fn book(
    on: &impl ConnectionTrait,
    bookings: Vec<Booking>,
    touched: &mut Touched,
    now_ms: i64,
) -> Result<usize, StoreError> {
    use ColumnType::{Int, Text, TextOpt};

    let columns = [
        ("kind", Text),
        ("reference", Text),
        ("card", TextOpt),
        ("member", TextOpt),
        ("points", Int),
    ];
    let same = vec![("booked_ms", now_ms.into())];
    let lines = bookings
        .into_iter()
        .map(|b| values![b.reason.as_str(), b.reference, b.card, b.member, b.points])
        .collect();
    let suffix = "ON CONFLICT (kind, reference) DO NOTHING RETURNING card, member, points";
    let booked = insert_many(on, "book points", "ledger", same, &columns, lines, suffix).await?;
    let mut cards: BTreeMap<String, i64> = BTreeMap::new();
    let mut members: BTreeMap<String, i64> = BTreeMap::new();
    for entry in &booked {
        let points = entry.int(2)?;
        match (entry.text_opt(1)?, entry.text_opt(0)?) {
            (Some(member), _) => *members.entry(member).or_default() += points,
            (None, Some(card)) => *cards.entry(card).or_default() += points,
            (None, None) => {}
        }
    }
    for card in cards.keys() {
        touched.card(card);
    }
    for member in members.keys() {
        touched.member(member);
    }
    add(on, "cards", "card", cards).await?;
    add(on, "members", "member", members).await?;
    Ok(booked.len())
}

async fn add(
    on: &impl ConnectionTrait,
    table: &str,
    key: &str,
    sums: BTreeMap<String, i64>,
) -> Result<(), StoreError> {
    if sums.is_empty() {
        return Ok(());
    }
    let operation = "bring balances up to date";
    if on.get_database_backend() != DbBackend::Postgres {
        let sql = format!("UPDATE {table} SET points = points + $2 WHERE {key} = $1");
        for (name, points) in sums {
            execute(on, operation, &sql, values![name, points]).await?;
        }
        return Ok(());
    }
    // Locked in the order of their names, so that two batches never wait for each other in a ring.
    let sql = format!(
        "WITH sums AS (
             SELECT * FROM UNNEST($1::text[], $2::bigint[]) AS s(name, points)
         ), locked AS (
             SELECT {key} FROM {table} WHERE {key} = ANY($1::text[]) ORDER BY {key} FOR UPDATE
         )
         UPDATE {table} SET points = {table}.points + sums.points
         FROM sums JOIN locked ON locked.{key} = sums.name
         WHERE {table}.{key} = sums.name"
    );
    let (names, points): (Vec<String>, Vec<i64>) = sums.into_iter().unzip();
    let values: Vec<Value> = values![names, points];
    execute(on, operation, &sql, values).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_rounded_toward_zero_so_that_a_return_never_takes_more_than_its_sale_gave() {
        assert_eq!(points_of(1_999, 100), 19);
        assert_eq!(points_of(-1_999, 100), -19);
        assert_eq!(points_of(99, 100), 0);
        assert_eq!(points_of(-99, 100), 0);
        assert_eq!(points_of(5, 0), 0);
    }
}
