//! Requests with their facts from the database, and rulings written to it.

use std::collections::HashMap;

use sea_orm::DatabaseTransaction;
use tillbind_protocol::event::{BindingRequest, Stamp};
use tillbind_protocol::ids::{AccountRef, BindingId, CardNumber, Epoch, MemberId, Seq, TerminalId};

use super::{Facts, Holder, Join, Member, Ruling, decide, evidence};
use crate::changes::Touched;
use crate::keys;
use crate::ledger::{self, Booking, Reason};
use crate::store::StoreError;
use crate::store::statement::{execute, for_update, row, rows};
use crate::values;

/// Where a request came from.
#[derive(Debug, Clone)]
pub struct Requested<'r> {
    /// The terminal.
    pub terminal: &'r TerminalId,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its place.
    pub seq: Seq,
    /// Its stamp.
    pub stamp: Stamp,
    /// The terminal's wall clock at the exchange that brought it, in milliseconds.
    pub sent_local_ms: i64,
    /// Central's clock at that exchange, in milliseconds.
    pub received_ms: i64,
    /// The request.
    pub request: &'r BindingRequest,
}

/// What became of writing a request down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// It was ruled on, or had been before.
    Ruled,
    /// Its name stands for another request: the record cannot be used.
    NameTaken,
}

/// What is to be ruled on, whoever asks: a terminal, or a shopper with a claim code.
#[derive(Debug, Clone)]
pub struct Plea<'r> {
    /// Name of the binding.
    pub id: &'r BindingId,
    /// The card.
    pub card: &'r CardNumber,
    /// The account.
    pub account: &'r AccountRef,
    /// Stable name of what speaks for it.
    pub evidence: &'static str,
    /// The evidence itself, as JSON.
    pub evidence_body: String,
    /// Why the evidence does not hold, if it does not.
    pub evidence_fault: Option<String>,
    /// Whether it is enough to make two members one.
    pub evidence_joins: bool,
    /// The member code's nonce, which binds one card alone.
    pub nonce: Option<String>,
    /// The terminal whose event it rests on.
    pub terminal: &'r TerminalId,
    /// The event's epoch.
    pub epoch: Epoch,
    /// The event's place.
    pub seq: Seq,
    /// When it was asked for, in milliseconds by central's clock.
    pub requested_ms: i64,
    /// When it is ruled on, in milliseconds by central's clock.
    pub decided_ms: i64,
}

/// Rules on a terminal's request and writes the ruling. The caller holds the lock of membership and the
/// card's row; the card exists.
///
/// # Errors
/// [`StoreError`].
pub async fn register(
    tx: &DatabaseTransaction,
    requested: &Requested<'_>,
    cards_of_account_max: usize,
    touched: &mut Touched,
) -> Result<Registered, StoreError> {
    let request = requested.request;
    if let Some(known) = known(tx, &request.id, &request.card, &request.account).await? {
        return Ok(known);
    }
    let key_set = keys::ever_valid(tx).await?;
    let at = evidence::request_time(
        &requested.stamp,
        requested.sent_local_ms,
        requested.received_ms,
    );
    let verified = evidence::verify(request, &key_set, at);
    let evidence_body = serde_json::to_string(&request.evidence)
        .map_err(|e| StoreError::foreign_value("keep the evidence", e))?;
    let plea = Plea {
        id: &request.id,
        card: &request.card,
        account: &request.account,
        evidence: request.evidence.as_str(),
        evidence_body,
        evidence_joins: true,
        nonce: verified.as_ref().ok().map(hex::encode),
        evidence_fault: verified.err(),
        terminal: requested.terminal,
        epoch: requested.epoch,
        seq: requested.seq,
        requested_ms: requested.stamp.corrected_ms(),
        decided_ms: requested.received_ms,
    };
    rule(tx, &plea, cards_of_account_max, touched).await?;
    Ok(Registered::Ruled)
}

/// Returns what is known under a binding's name, if anything is.
///
/// # Errors
/// [`StoreError`].
pub async fn known(
    tx: &DatabaseTransaction,
    id: &BindingId,
    card: &CardNumber,
    account: &AccountRef,
) -> Result<Option<Registered>, StoreError> {
    let sql = "SELECT card, account FROM bindings WHERE id = $1";
    let Some(known) = row(tx, "look up a binding", sql, values![id.as_str()]).await? else {
        return Ok(None);
    };
    let same = known.text(0)? == card.expose() && known.text(1)? == account.to_string();
    Ok(Some(if same {
        Registered::Ruled
    } else {
        Registered::NameTaken
    }))
}

/// Rules on a plea whose name is not known yet and writes the ruling. The caller holds the lock of
/// membership and the card's row; the card exists.
///
/// # Errors
/// [`StoreError`].
pub async fn rule(
    tx: &DatabaseTransaction,
    plea: &Plea<'_>,
    cards_of_account_max: usize,
    touched: &mut Touched,
) -> Result<Ruling, StoreError> {
    let ruling = decide(&load(tx, plea, cards_of_account_max).await?);
    write(tx, plea, &ruling, touched).await?;
    Ok(ruling)
}

async fn load(
    tx: &DatabaseTransaction,
    plea: &Plea<'_>,
    cards_of_account_max: usize,
) -> Result<Facts, StoreError> {
    let card = plea.card.expose();
    let account = plea.account.to_string();
    let account_member = {
        let sql = "SELECT m.member, m.created_ms FROM accounts a
            JOIN members m ON m.member = a.member WHERE a.account = $1";
        member(tx, sql, &account).await?
    };
    let card_member = {
        let sql = "SELECT m.member, m.created_ms FROM cards c
            JOIN members m ON m.member = c.member WHERE c.card = $1";
        member(tx, sql, card).await?
    };
    let code_used_for_another_card = match plea.nonce.as_deref() {
        None => false,
        Some(nonce) => {
            let sql = "SELECT id FROM bindings WHERE nonce = $1 AND card <> $2
                AND state IN ('confirmed', 'revoked')";
            let used = row(tx, "look up a code", sql, values![nonce, card]).await?;
            used.is_some()
        }
    };
    let clash = match (&account_member, &card_member) {
        (Some(a), Some(c)) if a != c => clash(tx, &a.id, &c.id, plea.evidence_joins).await?,
        _ => None,
    };
    Ok(Facts {
        account: plea.account.clone(),
        evidence_fault: plea.evidence_fault.clone(),
        code_used_for_another_card,
        account_member,
        card_member,
        holder: holder(tx, plea.card, plea.account.platform()).await?,
        cards_of_account: cards_of(tx, plea.account).await?,
        cards_of_account_max,
        clash,
        evidence_joins: plea.evidence_joins,
    })
}

async fn member(
    tx: &DatabaseTransaction,
    sql: &str,
    name: &str,
) -> Result<Option<Member>, StoreError> {
    let Some(row) = row(tx, "look up a member", sql, values![name]).await? else {
        return Ok(None);
    };
    Ok(Some(Member {
        id: row.parsed(0)?,
        created_ms: row.int(1)?,
    }))
}

/// Returns who holds a card on a platform.
///
/// # Errors
/// [`StoreError`].
pub async fn holder(
    tx: &DatabaseTransaction,
    card: &CardNumber,
    platform: &str,
) -> Result<Option<Holder>, StoreError> {
    let sql = "SELECT account, id FROM bindings
        WHERE card = $1 AND platform = $2 AND state = 'confirmed' AND repeats IS NULL";
    let values = values![card.expose(), platform];
    let Some(row) = row(tx, "look up a card's holder", sql, values).await? else {
        return Ok(None);
    };
    Ok(Some(Holder {
        account: row.parsed(0)?,
        binding: row.parsed(1)?,
    }))
}

async fn cards_of(tx: &DatabaseTransaction, account: &AccountRef) -> Result<usize, StoreError> {
    let sql = "SELECT COUNT(*) FROM bindings
        WHERE account = $1 AND state = 'confirmed' AND repeats IS NULL";
    let values = values![account.to_string()];
    match row(tx, "count an account's cards", sql, values).await? {
        Some(row) => Ok(usize::try_from(row.int(0)?).unwrap_or(usize::MAX)),
        None => Ok(0),
    }
}

async fn clash(
    tx: &DatabaseTransaction,
    account_member: &MemberId,
    card_member: &MemberId,
    evidence_joins: bool,
) -> Result<Option<AccountRef>, StoreError> {
    let sql = "SELECT account, member FROM accounts WHERE member IN ($1, $2) ORDER BY account";
    let values = values![account_member.as_str(), card_member.as_str()];
    let mut of_platform: HashMap<String, String> = HashMap::new();
    let mut of_card = Vec::new();
    for row in rows(tx, "compare two members' accounts", sql, values).await? {
        let account: AccountRef = row.parsed(0)?;
        if row.text(1)? == card_member.as_str() {
            of_card.push(account);
        } else {
            of_platform.insert(account.platform().to_owned(), account.to_string());
        }
    }
    Ok(of_card
        .into_iter()
        .find(|account| !evidence_joins || of_platform.contains_key(account.platform())))
}

async fn write(
    tx: &DatabaseTransaction,
    plea: &Plea<'_>,
    ruling: &Ruling,
    touched: &mut Touched,
) -> Result<(), StoreError> {
    let (state, reason, repeats) = match ruling {
        Ruling::Confirm(Join::Repeats(first)) => ("confirmed", None, Some(first.as_str())),
        Ruling::Confirm(_) => ("confirmed", None, None),
        Ruling::Reject { reason, .. } => ("rejected", Some(reason.as_str()), None),
    };
    let sql = "INSERT INTO bindings (id, card, account, platform, state, evidence, evidence_body,
        nonce, terminal, epoch, seq, requested_ms, decided_ms, reason, repeats, version)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0)";
    let values = values![
        plea.id.as_str(),
        plea.card.expose(),
        plea.account.to_string(),
        plea.account.platform(),
        state,
        plea.evidence,
        plea.evidence_body.as_str(),
        plea.nonce.as_deref(),
        plea.terminal.as_str(),
        plea.epoch.to_string(),
        i64::try_from(plea.seq.0).unwrap_or(i64::MAX),
        plea.requested_ms,
        plea.decided_ms,
        reason,
        repeats,
    ];
    execute(tx, "write a ruling", sql, values).await?;
    touched.binding(plea.id.as_str());
    match ruling {
        Ruling::Confirm(join) => {
            apply(tx, plea.id, plea.card, join, touched, plea.decided_ms).await
        }
        Ruling::Reject {
            reason,
            dispute_with: Some(holder),
        } => super::dispute::open(tx, plea, holder, reason).await,
        Ruling::Reject {
            dispute_with: None, ..
        } => Ok(()),
    }
}

async fn apply(
    tx: &DatabaseTransaction,
    binding: &BindingId,
    card: &CardNumber,
    join: &Join,
    touched: &mut Touched,
    now_ms: i64,
) -> Result<(), StoreError> {
    match join {
        Join::Repeats(_) | Join::Nothing => {}
        Join::Card { member } => {
            give_card(tx, binding.as_str(), card, member, touched, now_ms).await?;
        }
        Join::Merge { keep, end } => merge(tx, binding, keep, end, touched, now_ms).await?,
    }
    let sql = "UPDATE bindings SET member = (SELECT member FROM cards WHERE card = $2)
        WHERE id = $1";
    let values = values![binding.as_str(), card.expose()];
    execute(tx, "name a binding's member", sql, values).await?;
    Ok(())
}

/// Gives a card without a member to one, and what the card had earned with it.
async fn give_card(
    tx: &DatabaseTransaction,
    reference: &str,
    card: &CardNumber,
    member: &MemberId,
    touched: &mut Touched,
    now_ms: i64,
) -> Result<(), StoreError> {
    let lock = format!("SELECT points FROM cards WHERE card = $1{}", for_update(tx));
    let operation = "give a card to its member";
    let points = match row(tx, operation, &lock, values![card.expose()]).await? {
        Some(row) => row.int(0)?,
        None => 0,
    };
    let sql = "UPDATE cards SET member = $2 WHERE card = $1";
    execute(tx, operation, sql, values![card.expose(), member.as_str()]).await?;
    touched.card(card.expose());
    touched.member(member.as_str());
    let pair = [
        (Reason::TransferOut, None, -points),
        (Reason::TransferIn, Some(member.to_string()), points),
    ];
    let bookings = pair.map(|(reason, member, points)| Booking {
        reason,
        reference: reference.to_owned(),
        card: Some(card.expose().to_owned()),
        member,
        points,
    });
    ledger::book(tx, bookings.to_vec(), touched, now_ms).await?;
    Ok(())
}

/// Makes two records of one person one.
async fn merge(
    tx: &DatabaseTransaction,
    binding: &BindingId,
    keep: &MemberId,
    end: &MemberId,
    touched: &mut Touched,
    now_ms: i64,
) -> Result<(), StoreError> {
    let operation = "merge two members";
    let moved = "UPDATE cards SET member = $2 WHERE member = $1 RETURNING card";
    let pair = || values![end.as_str(), keep.as_str()];
    for card in rows(tx, operation, moved, pair()).await? {
        touched.card(&card.text(0)?);
    }
    for sql in [
        "UPDATE accounts SET member = $2 WHERE member = $1",
        "UPDATE bindings SET member = $2 WHERE member = $1",
    ] {
        execute(tx, operation, sql, pair()).await?;
    }
    let lock = format!(
        "SELECT points, name FROM members WHERE member = $1{}",
        for_update(tx)
    );
    let Some(ended) = row(tx, operation, &lock, values![end.as_str()]).await? else {
        return Ok(());
    };
    let (points, name) = (ended.int(0)?, ended.text_opt(1)?);
    let sql = "UPDATE members SET merged_into = $2 WHERE member = $1";
    execute(tx, operation, sql, pair()).await?;
    let sql = "UPDATE members SET name = COALESCE(name, $2) WHERE member = $1";
    execute(tx, operation, sql, values![keep.as_str(), name]).await?;
    touched.member(keep.as_str());
    touched.member(end.as_str());
    let pair = [
        (Reason::MergeOut, end, -points),
        (Reason::MergeIn, keep, points),
    ];
    let bookings = pair.map(|(reason, member, points)| Booking {
        reason,
        reference: binding.to_string(),
        card: None,
        member: Some(member.to_string()),
        points,
    });
    ledger::book(tx, bookings.to_vec(), touched, now_ms).await?;
    Ok(())
}
