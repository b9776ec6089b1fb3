//! What became of a code, as programs are told: the same over HTTP and by `--json`.

use serde::Serialize;
use tillbind_protocol::ids::{AccountRef, MemberId};
use utoipa::ToSchema;

use super::{Gain, Outcome};
use crate::export::Moment;

/// What became of a code. The code itself is not repeated.
#[derive(Debug, Serialize, ToSchema)]
pub struct Answer {
    /// The code's digest, by which `claims` are exported.
    claim: String,
    /// `redeemed`, or `waiting` until its terminal and its sale are heard of.
    state: &'static str,
    /// The account.
    account: String,
    /// The member that has the card or the points.
    member: Option<String>,
    /// The sale's card, if it has one.
    card: Option<String>,
    /// The binding of the card.
    binding: Option<String>,
    /// `confirmed`, `rejected` (headquarters will settle who gets the card) or `revoked`.
    binding_state: Option<&'static str>,
    /// Why the binding is not confirmed.
    reason: Option<String>,
    /// What a sale without a card earned.
    points: Option<i64>,
    /// When the code must be entered again, if it still waits then.
    waits_until: Option<Moment>,
}

impl Answer {
    /// Writes down what an account is told.
    pub fn new(outcome: &Outcome, account: &AccountRef) -> Self {
        let blank = |claim: String, state| Self {
            claim,
            state,
            account: account.to_string(),
            member: None,
            card: None,
            binding: None,
            binding_state: None,
            reason: None,
            points: None,
            waits_until: None,
        };
        match outcome {
            Outcome::Waiting {
                claim, until_ms, ..
            } => Self {
                waits_until: Some(Moment(*until_ms)),
                ..blank(claim.to_string(), "waiting")
            },
            Outcome::Redeemed { claim, gain } => {
                let blank = blank(claim.to_string(), "redeemed");
                match gain {
                    Gain::Card {
                        card,
                        binding,
                        state,
                        reason,
                        member,
                    } => Self {
                        member: member.as_ref().map(MemberId::to_string),
                        card: Some(card.expose().to_owned()),
                        binding: Some(binding.to_string()),
                        binding_state: Some(state.as_str()),
                        reason: reason.clone(),
                        ..blank
                    },
                    Gain::Sale { member, points } => Self {
                        member: Some(member.to_string()),
                        points: Some(*points),
                        ..blank
                    },
                }
            }
        }
    }
}
