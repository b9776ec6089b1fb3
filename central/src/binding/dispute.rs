//! Disputes: two accounts claim one card, and headquarters decides.

use sea_orm::DatabaseTransaction;
use tillbind_protocol::ids::{AccountRef, BindingId, CardNumber, MemberId};

use super::registry::Plea;
use crate::audit::{self, Entry};
use crate::changes::Touched;
use crate::ledger::{self, Booking, Reason};
use crate::members;
use crate::store::statement::{Row, execute, for_update, row, rows};
use crate::store::{Store, StoreError};
use crate::values;

/// A dispute that cannot be settled so.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// There is no such dispute.
    #[error("there is no dispute {0}: see `tillbind-central dispute list`")]
    Unknown(String),
    /// It was settled.
    #[error("dispute {0} is settled already")]
    Settled(String),
    /// The account is no party to it.
    #[error("{to} claims nothing in dispute {id}: settle it to its holder or its claimant")]
    NoParty {
        /// The dispute.
        id: String,
        /// The account, masked.
        to: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Opens a dispute, unless the same claim is open already. Its name is the losing request's.
pub(super) async fn open(
    tx: &DatabaseTransaction,
    plea: &Plea<'_>,
    holder: &AccountRef,
    reason: &str,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO disputes (id, card, platform, holder_account, holder_binding,
            claimant_account, claimant_binding, reason, opened_ms)
        SELECT $1, $2, $3, $4,
            (SELECT id FROM bindings WHERE card = $2 AND account = $4 AND state = 'confirmed'
                AND repeats IS NULL),
            $5, $6, $7, $8
        WHERE NOT EXISTS (SELECT 1 FROM disputes WHERE card = $2 AND claimant_account = $5
            AND settled_ms IS NULL)";
    let values = values![
        format!("d-{}", plea.id),
        plea.card.expose(),
        plea.account.platform(),
        holder.to_string(),
        plea.account.to_string(),
        plea.id.as_str(),
        reason,
        plea.decided_ms,
    ];
    execute(tx, "open a dispute", sql, values).await?;
    Ok(())
}

struct Dispute {
    id: String,
    card: CardNumber,
    holder: AccountRef,
    claimant: AccountRef,
    claim: BindingId,
}

/// Settles a dispute. To the holder: all stays. To the claimant: the card and what it earned go to
/// the claimant's member, every other binding of the card is revoked.
///
/// # Errors
/// [`SettleError`].
pub async fn settle_dispute(
    store: &Store,
    id: &str,
    to: &AccountRef,
    actor: &str,
    now_ms: i64,
) -> Result<(), SettleError> {
    let tx = store.begin().await?;
    members::lock(&tx).await?;
    let sql = "SELECT card, holder_account, claimant_account, claimant_binding, settled_ms
        FROM disputes WHERE id = $1";
    let Some(row) = row(&*tx, "look up a dispute", sql, values![id]).await? else {
        return Err(SettleError::Unknown(id.to_owned()));
    };
    if row.int_opt(4)?.is_some() {
        return Err(SettleError::Settled(id.to_owned()));
    }
    let dispute = read(id, &row)?;
    let mut touched = Touched::default();
    if *to == dispute.claimant {
        transfer(&tx, &dispute, &mut touched, now_ms).await?;
    } else if *to != dispute.holder {
        return Err(SettleError::NoParty {
            id: id.to_owned(),
            to: to.masked(),
        });
    }
    let sql = "UPDATE disputes SET settled_ms = $2, settled_to = $3, settled_by = $4
        WHERE id = $1";
    let values = values![id, now_ms, to.to_string(), actor];
    execute(&*tx, "settle a dispute", sql, values).await?;
    let entry = Entry {
        actor,
        action: "dispute.settled",
        subject: id,
        detail: &to.masked(),
    };
    audit::write(&*tx, &entry, now_ms).await?;
    touched.publish(&*tx).await?;
    tx.commit().await?;
    Ok(())
}

fn read(id: &str, row: &Row) -> Result<Dispute, StoreError> {
    Ok(Dispute {
        id: id.to_owned(),
        card: row
            .text(0)?
            .try_into()
            .map_err(|e| StoreError::foreign_value("look up a dispute", e))?,
        holder: row.parsed(1)?,
        claimant: row.parsed(2)?,
        claim: row.parsed(3)?,
    })
}

async fn transfer(
    tx: &DatabaseTransaction,
    dispute: &Dispute,
    touched: &mut Touched,
    now_ms: i64,
) -> Result<(), SettleError> {
    let operation = "transfer a disputed card";
    let card = dispute.card.expose();
    let Some(winner) = members::member_of_account(tx, &dispute.claimant).await? else {
        return Err(SettleError::NoParty {
            id: dispute.id.clone(),
            to: dispute.claimant.masked(),
        });
    };
    let lock = format!("SELECT member FROM cards WHERE card = $1{}", for_update(tx));
    let former: Option<MemberId> = match row(tx, operation, &lock, values![card]).await? {
        Some(row) if row.text_opt(0)?.is_some() => Some(row.parsed(0)?),
        Some(_) | None => None,
    };
    let sql = "UPDATE bindings SET state = 'revoked', decided_ms = $2,
            reason = 'headquarters gave the card to another account'
        WHERE card = $1 AND state = 'confirmed' RETURNING id";
    for revoked in rows(tx, operation, sql, values![card, now_ms]).await? {
        touched.binding(&revoked.text(0)?);
    }
    let sql = "UPDATE bindings SET state = 'confirmed', decided_ms = $2, member = $3,
            reason = NULL, repeats = NULL
        WHERE id = $1";
    let values = values![dispute.claim.as_str(), now_ms, winner.as_str()];
    execute(tx, operation, sql, values).await?;
    touched.binding(dispute.claim.as_str());
    let sql = "UPDATE cards SET member = $2 WHERE card = $1";
    execute(tx, operation, sql, values![card, winner.as_str()]).await?;
    touched.card(card);
    touched.member(winner.as_str());
    if let Some(former) = &former {
        touched.member(former.as_str());
    }
    move_earnings(tx, dispute, former.as_ref(), &winner, touched, now_ms).await?;
    Ok(())
}

/// Moves what the card earned, and nothing that its former member earned otherwise.
async fn move_earnings(
    tx: &DatabaseTransaction,
    dispute: &Dispute,
    former: Option<&MemberId>,
    winner: &MemberId,
    touched: &mut Touched,
    now_ms: i64,
) -> Result<(), StoreError> {
    if former == Some(winner) {
        return Ok(());
    }
    // A sum of entries is a NUMERIC on one engine; a merge books without naming cards, so that the
    // card's own entries are told apart by the card and not by the member of their day.
    let sql = "SELECT CAST(COALESCE(SUM(points), 0) AS BIGINT) FROM ledger WHERE card = $1";
    let card = dispute.card.expose();
    let earned = match row(tx, "sum up what a card earned", sql, values![card]).await? {
        Some(row) => row.int(0)?,
        None => 0,
    };
    let pair = [
        (Reason::SettleOut, former, -earned),
        (Reason::SettleIn, Some(winner), earned),
    ];
    let bookings = pair.map(|(reason, member, points)| Booking {
        reason,
        reference: dispute.id.clone(),
        card: Some(card.to_owned()),
        member: member.map(ToString::to_string),
        points,
    });
    ledger::book(tx, bookings.to_vec(), touched, now_ms).await?;
    Ok(())
}
