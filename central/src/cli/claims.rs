//! `claim`.

use super::failure::Failure;
use super::{ClaimCommand, Desk, listing};
use crate::claims::answer::Answer;
use crate::claims::{self, Gain, Outcome};
use crate::export::{Kind, Moment};
use crate::operations;

const COLUMNS: &[&str] = &[
    "claim",
    "state",
    "account",
    "store",
    "workstation",
    "sequence",
    "asked_at",
    "waits_until",
    "reason",
];

pub(super) async fn run(desk: &Desk<'_>, command: ClaimCommand) -> Result<(), Failure> {
    match command {
        ClaimCommand::List { all } => {
            listing::print(desk, Kind::Claims, !all, COLUMNS, "No claim waits.").await
        }
        ClaimCommand::Redeem { code, account } => {
            let rules = operations::claim_rules(desk.central);
            let store = &desk.central.store;
            let redeeming = claims::redeem(store, &code, &account, &desk.actor, desk.now_ms, rules);
            let outcome = redeeming.await?;
            if desk.output.json {
                return desk.output.object(&Answer::new(&outcome, &account));
            }
            desk.output.line(&told(&outcome))
        }
    }
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Waiting {
            offered, until_ms, ..
        } => {
            let what = if *offered {
                "its sale has not arrived"
            } else {
                "no terminal has told of it"
            };
            format!(
                "The code is remembered: {what} yet. It is redeemed when that comes, until {}.",
                Moment(*until_ms)
            )
        }
        Outcome::Redeemed {
            gain: Gain::Sale { member, points },
            ..
        } => format!("The sale belongs to member {member}: {points} points."),
        Outcome::Redeemed {
            gain:
                Gain::Card {
                    card,
                    binding,
                    state,
                    reason,
                    ..
                },
            ..
        } => {
            let why = reason.as_ref().map(|why| format!(" ({why})"));
            format!(
                "Binding {binding} of card {} is {}{}.",
                card.masked(),
                state.as_str(),
                why.unwrap_or_default()
            )
        }
    }
}
