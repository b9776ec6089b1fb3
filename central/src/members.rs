//! Members and their online accounts.
//!
//! An account gets a member of its own when it is made. Members grow together when a card that one
//! of them holds is bound to an account of the other.

use sea_orm::{ConnectionTrait, DatabaseTransaction};
use tillbind_protocol::ids::{AccountRef, MemberId};

use crate::audit::{self, Entry};
use crate::changes::Touched;
use crate::entropy::{self, EntropyError};
use crate::plain_text::plain_text;
use crate::store::statement::{execute, for_update, row};
use crate::store::{Store, StoreError};
use crate::values;

/// Longest name that is kept, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// Names the lock that whoever binds, merges or settles holds on PostgreSQL: rulings come one after
/// another, so that each sees what the former did.
const MEMBERSHIP_LOCK: i64 = 0x6d65_6d62_6572_7368;

/// An account that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// Takes the lock of membership for the rest of the transaction.
///
/// # Errors
/// [`StoreError`].
pub async fn lock(tx: &DatabaseTransaction) -> Result<(), StoreError> {
    if !for_update(tx).is_empty() {
        let sql = "SELECT pg_advisory_xact_lock($1)";
        execute(tx, "lock memberships", sql, values![MEMBERSHIP_LOCK]).await?;
    }
    Ok(())
}

/// Returns the member that an account belongs to, if the account exists.
///
/// # Errors
/// [`StoreError`].
pub async fn member_of_account(
    on: &impl ConnectionTrait,
    account: &AccountRef,
) -> Result<Option<MemberId>, StoreError> {
    let sql = "SELECT member FROM accounts WHERE account = $1";
    let values = values![account.to_string()];
    match row(on, "look up an account", sql, values).await? {
        Some(row) => Ok(Some(row.parsed(0)?)),
        None => Ok(None),
    }
}

/// Makes an account with its member, or finds it. A name that is given replaces the member's.
///
/// # Errors
/// [`AccountError`].
pub async fn create_account(
    store: &Store,
    account: &AccountRef,
    name: Option<&str>,
    actor: &str,
    now_ms: i64,
) -> Result<MemberId, AccountError> {
    let fresh = entropy::short_name("m")?;
    let name = name.map(|name| plain_text(name, NAME_BYTES_MAX));
    let tx = store.begin().await?;
    lock(&tx).await?;
    let mut touched = Touched::default();
    let member = match member_of_account(&*tx, account).await? {
        Some(member) => {
            if name.is_some() {
                let sql = "UPDATE members SET name = $2 WHERE member = $1";
                let values = values![member.as_str(), name];
                execute(&*tx, "rename a member", sql, values).await?;
                touched.member(member.as_str());
            }
            member
        }
        None => {
            let sql = "INSERT INTO members (member, name, points, created_ms, version)
                VALUES ($1, $2, 0, $3, 0)";
            let values = values![fresh.as_str(), name, now_ms];
            execute(&*tx, "make a member", sql, values).await?;
            let sql = "INSERT INTO accounts (account, platform, member, created_ms)
                VALUES ($1, $2, $3, $4)";
            let values = values![
                account.to_string(),
                account.platform(),
                fresh.as_str(),
                now_ms
            ];
            execute(&*tx, "make an account", sql, values).await?;
            let entry = Entry {
                actor,
                action: "account.created",
                subject: &account.masked(),
                detail: &fresh,
            };
            audit::write(&*tx, &entry, now_ms).await?;
            touched.member(&fresh);
            MemberId::new(fresh.as_str())
                .map_err(|e| StoreError::foreign_value("name a member", e))?
        }
    };
    touched.publish(&*tx).await?;
    tx.commit().await?;
    Ok(member)
}
