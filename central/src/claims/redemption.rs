//! Carrying out a claim of which both halves are here.

use std::collections::BTreeSet;

use sea_orm::DatabaseTransaction;
use tillbind_protocol::claim::ClaimDigest;
use tillbind_protocol::event::SaleKey;
use tillbind_protocol::ids::{BindingId, CardNumber};

use super::claim::{Claim, Offer, State, Wish};
use super::verdict::{Claimed, Facts, Refusal, Sale, judge};
use super::wish;
use crate::binding::Ruling;
use crate::binding::registry::{self, Plea, Registered};
use crate::changes::Touched;
use crate::intake::cards;
use crate::intake::projection::{Origin, Rules};
use crate::ledger::{self, Booking, Reason, points_of, sale_reference};
use crate::members;
use crate::store::StoreError;
use crate::store::statement::{execute, for_update, one_of, row, rows};
use crate::values;

/// Who carries out what had waited, in the trail.
const ACTOR: &str = "central";
/// Stable name of what speaks for a binding that was claimed. No terminal may send such evidence.
const EVIDENCE: &str = "claim";

/// What carrying out came to, if the sale is here.
struct Done {
    state: State,
    reason: Option<String>,
    binding: Option<BindingId>,
}

impl Done {
    fn refused(why: impl std::fmt::Display) -> Self {
        Self {
            state: State::Refused,
            reason: Some(why.to_string()),
            binding: None,
        }
    }
}

/// Carries out claims that waited for what a terminal has sent. The caller holds the lock of membership.
pub(crate) async fn carry_out(
    tx: &DatabaseTransaction,
    origin: &Origin<'_>,
    due: &BTreeSet<ClaimDigest>,
    touched: &mut Touched,
) -> Result<(), StoreError> {
    for digest in due {
        let Some(claim) = Claim::locked(tx, *digest).await? else {
            continue;
        };
        let (State::Waiting, Some(wish)) = (claim.state, &claim.wish) else {
            continue;
        };
        if wish.waits_until_ms <= origin.now_ms {
            wish::end(tx, *digest).await?;
            continue;
        }
        let state = try_out(tx, &claim, origin.rules, touched, origin.now_ms).await?;
        if state != State::Waiting {
            super::note(tx, ACTOR, *digest, &wish.account, state, origin.now_ms).await?;
        }
    }
    Ok(())
}

/// Returns the cards of the sales of claims, as far as they are known, for the caller to lock before
/// any other.
pub(crate) async fn cards_of(
    tx: &DatabaseTransaction,
    due: &BTreeSet<ClaimDigest>,
) -> Result<Vec<String>, StoreError> {
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let (condition, values) = one_of(tx, "c.claim", 1, due.iter().map(ToString::to_string));
    let sql = format!(
        "SELECT t.card FROM claims c JOIN transactions t ON t.store = c.store
            AND t.workstation = c.workstation AND t.business_day = c.business_day
            AND t.sequence = c.sequence
         WHERE t.card IS NOT NULL AND {condition}"
    );
    let found = rows(tx, "look up the cards of claims", &sql, values).await?;
    found.iter().map(|row| row.text(0)).collect()
}

/// Carries a claim out if its sale is here, and returns how far it is now. The caller holds the lock of
/// membership and the claim's row.
pub(super) async fn try_out(
    tx: &DatabaseTransaction,
    claim: &Claim,
    rules: Rules,
    touched: &mut Touched,
    now_ms: i64,
) -> Result<State, StoreError> {
    let (Some(offer), Some(wish)) = (&claim.offer, &claim.wish) else {
        return Ok(State::Waiting);
    };
    let Some(sale) = locked(tx, &offer.sale).await? else {
        return Ok(State::Waiting);
    };
    let facts = Facts {
        sale,
        offered_ms: offer.offered_ms,
        offered_since_ms: wish.offered_since_ms,
        claimed: is_claimed(tx, &offer.sale).await?,
    };
    let due = Due {
        digest: claim.digest,
        offer,
        wish,
    };
    let done = match judge(facts) {
        Err(refusal) => Done::refused(refusal),
        Ok(Claimed::Card(card)) => due.bind(tx, &card, rules, touched, now_ms).await?,
        Ok(Claimed::Sale { total_minor }) => {
            let points = points_of(total_minor, rules.minor_per_point);
            due.credit(tx, points, touched, now_ms).await?
        }
    };
    let binding = done.binding.as_ref().map(BindingId::as_str);
    let reason = done.reason.as_deref();
    wish::decide(tx, claim.digest, done.state, reason, binding, now_ms).await?;
    Ok(done.state)
}

/// Reads a sale and locks its card, if it has one, before itself.
async fn locked(tx: &DatabaseTransaction, key: &SaleKey) -> Result<Option<Sale>, StoreError> {
    let Some(seen) = sale(tx, key, "").await? else {
        return Ok(None);
    };
    lock_card(tx, seen.card.as_ref()).await?;
    let found = sale(tx, key, for_update(tx)).await?;
    if let Some(found) = &found
        && found.card != seen.card
    {
        // A card came in between.
        lock_card(tx, found.card.as_ref()).await?;
    }
    Ok(found)
}

async fn lock_card(tx: &DatabaseTransaction, card: Option<&CardNumber>) -> Result<(), StoreError> {
    cards::lock(tx, card.map(|card| card.expose().to_owned())).await?;
    Ok(())
}

async fn sale(
    tx: &DatabaseTransaction,
    key: &SaleKey,
    lock: &str,
) -> Result<Option<Sale>, StoreError> {
    let operation = "look up a claimed sale";
    let sql = format!(
        "SELECT kind, training, card, total_minor FROM transactions
         WHERE store = $1 AND workstation = $2 AND business_day = $3 AND sequence = $4{lock}"
    );
    let Some(found) = row(tx, operation, &sql, key_values(key)).await? else {
        return Ok(None);
    };
    let card = found.text_opt(2)?.map(CardNumber::new).transpose();
    Ok(Some(Sale {
        kind: found.text(0)?,
        training: found.int(1)? != 0,
        card: card.map_err(|e| StoreError::foreign_value(operation, e))?,
        total_minor: found.int(3)?,
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

async fn is_claimed(tx: &DatabaseTransaction, key: &SaleKey) -> Result<bool, StoreError> {
    let sql = "SELECT claim FROM claims WHERE store = $1 AND workstation = $2
        AND business_day = $3 AND sequence = $4 AND state = 'redeemed'";
    let found = row(tx, "look up a sale's claims", sql, key_values(key)).await?;
    Ok(found.is_some())
}

/// A claim with both halves.
struct Due<'c> {
    digest: ClaimDigest,
    offer: &'c Offer,
    wish: &'c Wish,
}

impl Due<'_> {
    /// Asks for the sale's card.
    async fn bind(
        &self,
        tx: &DatabaseTransaction,
        card: &CardNumber,
        rules: Rules,
        touched: &mut Touched,
        now_ms: i64,
    ) -> Result<Done, StoreError> {
        let (offer, account) = (self.offer, &self.wish.account);
        let id = BindingId::new(format!("claim-{}", self.digest))
            .map_err(|e| StoreError::foreign_value("name a binding", e))?;
        // A terminal that lies may have taken the name of its own code's binding.
        match registry::known(tx, &id, card, account).await? {
            None => {}
            Some(Registered::Ruled | Registered::NameTaken) => {
                return Ok(Done::refused(Refusal::NameTaken));
            }
        }
        let plea = Plea {
            id: &id,
            card,
            account,
            evidence: EVIDENCE,
            evidence_body: format!("{{\"type\":\"{EVIDENCE}\",\"claim\":\"{}\"}}", self.digest),
            evidence_fault: None,
            evidence_joins: false,
            nonce: None,
            terminal: &offer.terminal,
            epoch: offer.epoch,
            seq: offer.seq,
            requested_ms: self.wish.asked_ms,
            decided_ms: now_ms,
        };
        let ruling = registry::rule(tx, &plea, rules.cards_per_account_max, touched).await?;
        let (state, reason) = match ruling {
            // Headquarters may still give the card to the account.
            Ruling::Confirm(_)
            | Ruling::Reject {
                dispute_with: Some(_),
                ..
            } => (State::Redeemed, None),
            Ruling::Reject {
                reason,
                dispute_with: None,
            } => (State::Refused, Some(reason)),
        };
        Ok(Done {
            state,
            reason,
            binding: Some(id),
        })
    }

    /// Credits the sale to the account's member.
    async fn credit(
        &self,
        tx: &DatabaseTransaction,
        points: i64,
        touched: &mut Touched,
        now_ms: i64,
    ) -> Result<Done, StoreError> {
        let (key, account) = (&self.offer.sale, &self.wish.account);
        let Some(member) = members::member_of_account(tx, account).await? else {
            return Ok(Done::refused(Refusal::NoAccount));
        };
        let sql = "UPDATE transactions SET account = $5
            WHERE store = $1 AND workstation = $2 AND business_day = $3 AND sequence = $4";
        let mut values = key_values(key);
        values.push(account.to_string().into());
        execute(tx, "credit a sale", sql, values).await?;
        let booking = (points != 0).then(|| Booking {
            reason: Reason::Sale,
            reference: sale_reference(key),
            card: None,
            member: Some(member.to_string()),
            points,
        });
        ledger::book(tx, booking.into_iter().collect(), touched, now_ms).await?;
        Ok(Done {
            state: State::Redeemed,
            reason: None,
            binding: None,
        })
    }
}
