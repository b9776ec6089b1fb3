//! Wishes: codes that were entered. Each account has few at once, and each ends.

use sea_orm::DatabaseTransaction;
use tillbind_protocol::claim::ClaimDigest;
use tillbind_protocol::ids::AccountRef;

use super::claim::{Claim, State, Wish};
use crate::store::StoreError;
use crate::store::statement::{execute, for_update, row};
use crate::values;

/// Overdue wishes that one call ends; the next ends the rest.
const OVERDUE_MAX: usize = 1_000;

/// Ends wishes that have waited too long: of a code that no terminal told of, nothing is left. Rows that
/// a batch has locked are left to the next call.
pub(super) async fn end_overdue(tx: &DatabaseTransaction, now_ms: i64) -> Result<(), StoreError> {
    let lock = for_update(tx);
    let lock = if lock.is_empty() {
        String::new()
    } else {
        format!("{lock} SKIP LOCKED")
    };
    let overdue = |of: &str| {
        format!(
            "claim IN (SELECT claim FROM claims WHERE state = 'waiting' AND waits_until_ms <= $1
                AND terminal {of} LIMIT {OVERDUE_MAX}{lock})"
        )
    };
    for sql in [
        format!("DELETE FROM claims WHERE {}", overdue("IS NULL")),
        format!("UPDATE claims {UNWISHED} WHERE {}", overdue("IS NOT NULL")),
    ] {
        execute(tx, "end wishes that waited too long", &sql, values![now_ms]).await?;
    }
    Ok(())
}

const UNWISHED: &str = "SET state = 'offered', account = NULL, asked_ms = NULL, \
                        waits_until_ms = NULL, offered_since_ms = NULL";

/// Ends the wish of one claim whose terminal told of it.
pub(super) async fn end(tx: &DatabaseTransaction, digest: ClaimDigest) -> Result<(), StoreError> {
    let sql = format!("UPDATE claims {UNWISHED} WHERE claim = $1 AND state = 'waiting'");
    execute(tx, "end a wish", &sql, values![digest.to_string()]).await?;
    Ok(())
}

/// Writes a wish down unless the claim is held or decided already, and returns the claim, locked, and
/// whether it was written.
pub(super) async fn begin(
    tx: &DatabaseTransaction,
    digest: ClaimDigest,
    wish: &Wish,
) -> Result<(Claim, bool), StoreError> {
    let operation = "write a wish down";
    let sql =
        "INSERT INTO claims (claim, account, asked_ms, waits_until_ms, offered_since_ms, state)
        VALUES ($1, $2, $3, $4, $5, 'waiting')
        ON CONFLICT (claim) DO UPDATE SET account = excluded.account, asked_ms = excluded.asked_ms,
            waits_until_ms = excluded.waits_until_ms,
            offered_since_ms = excluded.offered_since_ms, state = 'waiting'
        WHERE claims.state = 'offered'
            OR (claims.state = 'waiting' AND claims.waits_until_ms <= excluded.asked_ms)";
    let values = values![
        digest.to_string(),
        wish.account.to_string(),
        wish.asked_ms,
        wish.waits_until_ms,
        wish.offered_since_ms,
    ];
    let written = execute(tx, operation, sql, values).await? > 0;
    let claim = Claim::locked(tx, digest).await?;
    let claim = claim.ok_or_else(|| StoreError::foreign_value(operation, "it is gone"))?;
    Ok((claim, written))
}

/// Counts an account's codes that wait.
pub(super) async fn count(
    tx: &DatabaseTransaction,
    account: &AccountRef,
) -> Result<i64, StoreError> {
    let sql = "SELECT COUNT(*) FROM claims WHERE account = $1 AND state = 'waiting'";
    let values = values![account.to_string()];
    match row(tx, "count an account's wishes", sql, values).await? {
        Some(row) => row.int(0),
        None => Ok(0),
    }
}

/// Writes what became of a claim.
pub(super) async fn decide(
    tx: &DatabaseTransaction,
    digest: ClaimDigest,
    state: State,
    reason: Option<&str>,
    binding: Option<&str>,
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql = "UPDATE claims SET state = $2, reason = $3, binding = $4, decided_ms = $5
        WHERE claim = $1";
    let values = values![digest.to_string(), state.as_str(), reason, binding, now_ms];
    execute(tx, "decide a claim", sql, values).await?;
    Ok(())
}
