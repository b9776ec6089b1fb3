//! Bindings: who may hold a card.
//!
//! Central is the point of order: requests are ruled on one after another, in the order in which
//! they became durable here, and the first stands. [`decide`] is the whole of the ruling, a function
//! of the facts; [`registry`] loads the facts and writes the ruling, [`dispute`] settles what two
//! accounts claim.

use tillbind_protocol::ids::{AccountRef, BindingId, MemberId};

pub mod dispute;
pub mod evidence;
pub mod registry;

/// What a ruling depends on.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The account that asks.
    pub account: AccountRef,
    /// Why the evidence does not hold, if it does not.
    pub evidence_fault: Option<String>,
    /// Whether the code was used to bind another card.
    pub code_used_for_another_card: bool,
    /// The account's member; `None` for an account that does not exist.
    pub account_member: Option<Member>,
    /// The card's member, if it has one.
    pub card_member: Option<Member>,
    /// The account of the same platform that holds the card.
    pub holder: Option<Holder>,
    /// How many cards the account holds.
    pub cards_of_account: usize,
    /// How many it may hold.
    pub cards_of_account_max: usize,
    /// An account of the card's member on a platform where the account's member has another one; where
    /// the evidence joins no two members, any account of the card's member.
    pub clash: Option<AccountRef>,
    /// Whether the evidence is enough to make two members one: who shows card and account at the till is
    /// one person, who found a receipt may be anybody.
    pub evidence_joins: bool,
}

/// A member, as far as a ruling needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub id: MemberId,
    /// When it was made, in milliseconds.
    pub created_ms: i64,
}

/// Who holds a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The account.
    pub account: AccountRef,
    /// The binding by which it does.
    pub binding: BindingId,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// The account holds the card.
    Confirm(Join),
    /// It does not.
    Reject {
        /// Why, for the cashier. Names no person.
        reason: String,
        /// Who holds what is asked for, when that is for headquarters to settle.
        dispute_with: Option<AccountRef>,
    },
}

/// How card and member come together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Join {
    /// The same account holds it already by this binding.
    Repeats(BindingId),
    /// The card belongs to the account's member already.
    Nothing,
    /// The card had no member.
    Card {
        /// Whose it becomes.
        member: MemberId,
    },
    /// Two records turn out to be one person.
    Merge {
        /// The older record, which stays.
        keep: MemberId,
        /// The younger, which ends.
        end: MemberId,
    },
}

/// Rules on a request.
pub fn decide(facts: &Facts) -> Ruling {
    if let Some(fault) = &facts.evidence_fault {
        return reject(fault.clone());
    }
    let Some(account_member) = &facts.account_member else {
        return reject("headquarters does not know this account".to_owned());
    };
    if let Some(holder) = &facts.holder {
        if holder.account == facts.account {
            return Ruling::Confirm(Join::Repeats(holder.binding.clone()));
        }
        return Ruling::Reject {
            reason: format!(
                "the card is bound to another {} account; headquarters will settle it",
                facts.account.platform()
            ),
            dispute_with: Some(holder.account.clone()),
        };
    }
    if facts.code_used_for_another_card {
        return reject(
            "the code was used for another card already: ask the shopper to refresh it".to_owned(),
        );
    }
    if facts.cards_of_account >= facts.cards_of_account_max {
        return reject(format!(
            "the account holds {} cards already, more are not allowed",
            facts.cards_of_account
        ));
    }
    let Some(card_member) = &facts.card_member else {
        return Ruling::Confirm(Join::Card {
            member: account_member.id.clone(),
        });
    };
    if card_member == account_member {
        return Ruling::Confirm(Join::Nothing);
    }
    if !facts.evidence_joins {
        return Ruling::Reject {
            reason: "the card has a member already, and a receipt joins no two; headquarters will \
                     settle it"
                .to_owned(),
            dispute_with: facts.clash.clone(),
        };
    }
    if let Some(clash) = &facts.clash {
        return Ruling::Reject {
            reason: format!(
                "the card's member has another {} account; headquarters will settle it",
                clash.platform()
            ),
            dispute_with: Some(clash.clone()),
        };
    }
    let (keep, end) = older_first(account_member, card_member);
    Ruling::Confirm(Join::Merge {
        keep: keep.id.clone(),
        end: end.id.clone(),
    })
}

fn older_first<'m>(a: &'m Member, b: &'m Member) -> (&'m Member, &'m Member) {
    if (a.created_ms, &a.id) <= (b.created_ms, &b.id) {
        (a, b)
    } else {
        (b, a)
    }
}

fn reject(reason: String) -> Ruling {
    Ruling::Reject {
        reason,
        dispute_with: None,
    }
}

#[cfg(test)]
mod tests;
