//! Claim codes: a shopper enters online what a terminal printed on a receipt.
//!
//! A claim has two halves, and either may come first: the **offer**, the terminal's event that names the
//! sale, and the **wish** of the account that entered the code. With both, and the sale itself, it is
//! carried out, once: a sale with a card has the card bound to the account, by the rules of every other
//! binding; a sale without one is credited to the account's member.
//!
//! | state | the row has |
//! |---|---|
//! | `offered` | the offer; nobody has entered the code |
//! | `waiting` | the wish; the offer or the sale is not here yet |
//! | `redeemed` | both; the card's binding was ruled on, whatever the ruling, or the sale credited |
//! | `refused` | both, and the reason why nothing came of it |
//!
//! A wish is carried out when the last part arrives, in that event's transaction, or when its account asks
//! again. The first account that asks holds the code; one that waits too long ends, and the code is as
//! if nobody had entered it. A sale is claimed once, whatever the number of its codes. What the settings
//! say when a code is entered counts for it.
//!
//! Locks are taken in this order everywhere: the terminal's stream, membership, claims in the order of
//! their digests, cards, sales. A ruling thus sees what the former did, and a wish never misses the
//! batch that is being taken in.
//!
//! The code is held in memory alone. What is kept, exported and logged is its digest.

use sea_orm::DatabaseTransaction;
use tillbind_protocol::claim::{ClaimCode, ClaimCodeError, ClaimDigest};
use tillbind_protocol::ids::{AccountRef, BindingId, CardNumber, MemberId};
use tillbind_protocol::replica::BindingState;

use crate::audit::{self, Entry};
use crate::changes::{Touched, page};
use crate::intake::projection::Rules;
use crate::ledger::sale_reference;
use crate::members;
use crate::store::statement::{for_update, row};
use crate::store::{Fault, Store, StoreError};
use crate::values;
use claim::{Claim, Offer, State, Wish};

pub mod answer;
mod claim;
pub(crate) mod offer;
mod redemption;
mod verdict;
mod wish;

/// Codes that one account may have waiting. More are refused: who guesses fills no table.
pub const WAITING_MAX: i64 = 16;
/// How often a redemption that was in another's way is tried.
const ATTEMPTS_MAX: usize = 5;

/// What counts, from the configuration.
#[derive(Debug, Clone, Copy)]
pub struct ClaimRules {
    /// How long a wish waits, in milliseconds.
    pub wait_ms: i64,
    /// How long a code works after its receipt was printed, in milliseconds.
    pub valid_ms: i64,
    /// What counts for points and bindings.
    pub rules: Rules,
}

/// What came of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is remembered, and carried out when what is missing arrives.
    Waiting {
        /// The claim.
        claim: ClaimDigest,
        /// Whether its terminal was heard, and only the sale is missing.
        offered: bool,
        /// When it ends, in milliseconds.
        until_ms: i64,
    },
    /// It was redeemed, now or before.
    Redeemed {
        /// The claim.
        claim: ClaimDigest,
        /// For what.
        gain: Gain,
    },
}

/// For what a code was redeemed, as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gain {
    /// The sale's card was ruled on.
    Card {
        /// The card.
        card: CardNumber,
        /// The binding.
        binding: BindingId,
        /// What became of it. Rejected: the card is another's, and headquarters will settle it.
        state: BindingState,
        /// Why, if it is not confirmed.
        reason: Option<String>,
        /// The member, once confirmed.
        member: Option<MemberId>,
    },
    /// The sale was credited.
    Sale {
        /// The account's member.
        member: MemberId,
        /// What the sale earns it; 0 after a void.
        points: i64,
    },
}

/// A code that was not redeemed.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    /// It is no code.
    #[error(transparent)]
    Code(#[from] ClaimCodeError),
    /// The account does not exist.
    #[error(
        "account {account} does not exist: make it with `tillbind-central account create`, then enter \
         the code again",
        account = .0.masked()
    )]
    NoAccount(AccountRef),
    /// Another account entered it first.
    #[error("another account has entered this code: it works for the first alone")]
    OtherAccount,
    /// Too many of the account's codes wait.
    #[error(
        "{WAITING_MAX} codes of this account wait for their terminals already: enter this one when \
         one of them has been redeemed"
    )]
    TooManyWaiting,
    /// Nothing came of it, and nothing will.
    #[error("the code cannot be redeemed: {0}")]
    Refused(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Redeems a code for an account, or remembers that the account wants it. Asking again changes nothing
/// but that a code that waits is tried again.
///
/// # Errors
/// [`RedeemError`].
pub async fn redeem(
    store: &Store,
    code: &str,
    account: &AccountRef,
    actor: &str,
    now_ms: i64,
    rules: ClaimRules,
) -> Result<Outcome, RedeemError> {
    let asked = Asked {
        digest: ClaimCode::parse(code)?.digest(),
        actor,
        wish: Wish {
            account: account.clone(),
            asked_ms: now_ms,
            waits_until_ms: now_ms.saturating_add(rules.wait_ms),
            offered_since_ms: now_ms.saturating_sub(rules.valid_ms),
        },
        rules: rules.rules,
    };
    let mut attempts = 1;
    loop {
        match redeem_once(store, &asked).await {
            Ok(Some(outcome)) => return Ok(outcome),
            // An offer stands once it is there: this happens once.
            Ok(None) => {}
            Err(RedeemError::Store(error))
                if error.fault() == Fault::Contended && attempts < ATTEMPTS_MAX =>
            {
                attempts += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// A code that was entered.
#[derive(Debug)]
struct Asked<'a> {
    digest: ClaimDigest,
    actor: &'a str,
    wish: Wish,
    rules: Rules,
}

/// Redeems a code; `None` if its offer came meanwhile, so that it must be tried anew.
async fn redeem_once(store: &Store, asked: &Asked<'_>) -> Result<Option<Outcome>, RedeemError> {
    let (digest, account, now_ms) = (asked.digest, &asked.wish.account, asked.wish.asked_ms);
    let tx = store.begin().await?;
    let sees_batch = wait_for_batch(&tx, digest).await?;
    members::lock(&tx).await?;
    if members::member_of_account(&*tx, account).await?.is_none() {
        return Err(RedeemError::NoAccount(account.clone()));
    }
    wish::end_overdue(&tx, now_ms).await?;
    let mut touched = Touched::default();
    let (claim, is_new) = wish::begin(&tx, digest, &asked.wish).await?;
    if claim.wish.as_ref().is_none_or(|w| w.account != *account) {
        return Err(RedeemError::OtherAccount);
    }
    if claim.offer.is_some() && !sees_batch {
        return Ok(None);
    }
    if claim.state == State::Waiting {
        let state = redemption::try_out(&tx, &claim, asked.rules, &mut touched, now_ms).await?;
        if state == State::Waiting && wish::count(&tx, account).await? > WAITING_MAX {
            return Err(RedeemError::TooManyWaiting);
        }
        if is_new || state != State::Waiting {
            note(&tx, asked.actor, digest, account, state, now_ms).await?;
        }
        touched.publish(&*tx).await?;
    }
    let outcome = tell(&tx, digest).await?;
    tx.commit().await?;
    outcome.map(Some).map_err(RedeemError::Refused)
}

/// Waits for the batch that the claim's terminal is sending, so that it either has brought the sale or
/// will see the wish. Returns whether the terminal is known.
async fn wait_for_batch(tx: &DatabaseTransaction, digest: ClaimDigest) -> Result<bool, StoreError> {
    let lock = for_update(tx);
    if lock.is_empty() {
        // Writers come one after another anyway.
        return Ok(true);
    }
    let operation = "wait for a claim's terminal";
    let sql = "SELECT terminal, epoch FROM claims WHERE claim = $1 AND terminal IS NOT NULL";
    let Some(of) = row(tx, operation, sql, values![digest.to_string()]).await? else {
        return Ok(false);
    };
    let sql = format!("SELECT watermark FROM streams WHERE terminal = $1 AND epoch = $2{lock}");
    row(tx, operation, &sql, values![of.text(0)?, of.text(1)?]).await?;
    Ok(true)
}

/// Writes a line into the trail.
async fn note(
    tx: &DatabaseTransaction,
    actor: &str,
    digest: ClaimDigest,
    account: &AccountRef,
    state: State,
    now_ms: i64,
) -> Result<(), StoreError> {
    let action = match state {
        State::Offered | State::Waiting => "claim.asked",
        State::Redeemed => "claim.redeemed",
        State::Refused => "claim.refused",
    };
    let entry = Entry {
        actor,
        action,
        subject: &digest.to_string(),
        detail: &account.masked(),
    };
    audit::write(tx, &entry, now_ms).await
}

/// Tells what became of a claim that somebody wished for: the reason, if it was refused.
async fn tell(
    tx: &DatabaseTransaction,
    digest: ClaimDigest,
) -> Result<Result<Outcome, String>, StoreError> {
    let operation = "tell what became of a claim";
    let claim = Claim::locked(tx, digest).await?;
    let claim = claim.ok_or_else(|| StoreError::foreign_value(operation, "none"))?;
    let gain = match (&claim.state, &claim.wish, &claim.offer, &claim.binding) {
        (State::Refused, ..) => return Ok(Err(claim.reason.unwrap_or_default())),
        (State::Redeemed, _, _, Some(binding)) => bound(tx, binding).await?,
        (State::Redeemed, Some(wish), Some(offer), None) => credited(tx, wish, offer).await?,
        (State::Offered | State::Waiting, Some(wish), offer, _) => {
            return Ok(Ok(Outcome::Waiting {
                claim: digest,
                offered: offer.is_some(),
                until_ms: wish.waits_until_ms,
            }));
        }
        (State::Redeemed, ..) | (State::Offered | State::Waiting, None, ..) => {
            return Err(StoreError::foreign_value(operation, "half a claim"));
        }
    };
    Ok(Ok(Outcome::Redeemed {
        claim: digest,
        gain,
    }))
}

async fn bound(tx: &DatabaseTransaction, binding: &BindingId) -> Result<Gain, StoreError> {
    let operation = "look up a claim's binding";
    let sql = "SELECT card, state, reason, member FROM bindings WHERE id = $1";
    let Some(found) = row(tx, operation, sql, values![binding.as_str()]).await? else {
        return Err(StoreError::foreign_value(operation, "none"));
    };
    let card = CardNumber::new(found.text(0)?);
    Ok(Gain::Card {
        card: card.map_err(|e| StoreError::foreign_value(operation, e))?,
        binding: binding.clone(),
        state: page::state(&found.text(1)?)?,
        reason: found.text_opt(2)?,
        member: match found.text_opt(3)? {
            Some(_) => Some(found.parsed(3)?),
            None => None,
        },
    })
}

async fn credited(
    tx: &DatabaseTransaction,
    wish: &Wish,
    offer: &Offer,
) -> Result<Gain, StoreError> {
    let operation = "look up what a claimed sale earned";
    let Some(member) = members::member_of_account(tx, &wish.account).await? else {
        return Err(StoreError::foreign_value(operation, "an account is gone"));
    };
    let sql = "SELECT CAST(COALESCE(SUM(points), 0) AS BIGINT) FROM ledger
        WHERE reference = $1 AND kind IN ('sale', 'void')";
    let values = values![sale_reference(&offer.sale)];
    let points = match row(tx, operation, sql, values).await? {
        Some(row) => row.int(0)?,
        None => 0,
    };
    Ok(Gain::Sale { member, points })
}
