//! A claim's row.

use sea_orm::DatabaseTransaction;
use tillbind_protocol::claim::ClaimDigest;
use tillbind_protocol::event::SaleKey;
use tillbind_protocol::ids::{AccountRef, BindingId, Epoch, Seq, TerminalId};

use crate::intake::place;
use crate::store::StoreError;
use crate::store::statement::{Row, for_update, row};
use crate::values;

/// How far a claim is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Its terminal told of it, nobody has asked.
    Offered,
    /// An account has asked, and something is missing.
    Waiting,
    /// It was carried out.
    Redeemed,
    /// It came to nothing.
    Refused,
}

impl State {
    const ALL: [Self; 4] = [Self::Offered, Self::Waiting, Self::Redeemed, Self::Refused];

    /// Returns the stable name.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Waiting => "waiting",
            Self::Redeemed => "redeemed",
            Self::Refused => "refused",
        }
    }
}

/// What the terminal's event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) sale: SaleKey,
    pub(super) terminal: TerminalId,
    pub(super) epoch: Epoch,
    pub(super) seq: Seq,
    pub(super) offered_ms: i64,
}

/// What an account asked for, with what the settings said then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) account: AccountRef,
    pub(super) asked_ms: i64,
    pub(super) waits_until_ms: i64,
    pub(super) offered_since_ms: i64,
}

/// A claim as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) digest: ClaimDigest,
    pub(super) offer: Option<Offer>,
    pub(super) wish: Option<Wish>,
    pub(super) state: State,
    pub(super) reason: Option<String>,
    pub(super) binding: Option<BindingId>,
}

const OPERATION: &str = "look up a claim";

impl Claim {
    /// Reads a claim and locks it.
    pub(super) async fn locked(
        tx: &DatabaseTransaction,
        digest: ClaimDigest,
    ) -> Result<Option<Self>, StoreError> {
        let sql = format!(
            "SELECT state, reason, binding, store, workstation, business_day, sequence, terminal,
                epoch, seq, offered_ms, account, asked_ms, waits_until_ms, offered_since_ms
             FROM claims WHERE claim = $1{}",
            for_update(tx)
        );
        let Some(row) = row(tx, OPERATION, &sql, values![digest.to_string()]).await? else {
            return Ok(None);
        };
        let word = row.text(0)?;
        let state = State::ALL.into_iter().find(|state| state.as_str() == word);
        Ok(Some(Self {
            digest,
            offer: offer(&row)?,
            wish: wish(&row)?,
            state: state.ok_or_else(|| StoreError::foreign_value(OPERATION, word))?,
            reason: row.text_opt(1)?,
            binding: match row.text_opt(2)? {
                Some(_) => Some(row.parsed(2)?),
                None => None,
            },
        }))
    }
}

fn offer(row: &Row) -> Result<Option<Offer>, StoreError> {
    if row.text_opt(7)?.is_none() {
        return Ok(None);
    }
    Ok(Some(Offer {
        sale: SaleKey {
            store: row.parsed(3)?,
            workstation: row.parsed(4)?,
            business_day: row.parsed(5)?,
            sequence: row.text(6)?,
        },
        terminal: row.parsed(7)?,
        epoch: row.parsed(8)?,
        seq: place(row.int(9)?),
        offered_ms: row.int(10)?,
    }))
}

fn wish(row: &Row) -> Result<Option<Wish>, StoreError> {
    if row.text_opt(11)?.is_none() {
        return Ok(None);
    }
    Ok(Some(Wish {
        account: row.parsed(11)?,
        asked_ms: row.int(12)?,
        waits_until_ms: row.int(13)?,
        offered_since_ms: row.int(14)?,
    }))
}
