//! `dispute`.

use serde_json::json;

use super::failure::Failure;
use super::{Desk, DisputeCommand, listing};
use crate::binding::dispute;
use crate::export::Kind;

const COLUMNS: &[&str] = &[
    "id",
    "card",
    "holder_account",
    "claimant_account",
    "opened_at",
    "state",
    "settled_to",
];

pub(super) async fn run(desk: &Desk<'_>, command: DisputeCommand) -> Result<(), Failure> {
    match command {
        DisputeCommand::List { all } => {
            listing::print(desk, Kind::Disputes, !all, COLUMNS, "No dispute is open.").await
        }
        DisputeCommand::Settle { id, to } => {
            let store = &desk.central.store;
            dispute::settle_dispute(store, &id, &to, &desk.actor, desk.now_ms).await?;
            if desk.output.json {
                let answer = json!({"id": id, "settled_to": to});
                return desk.output.object(&answer);
            }
            desk.output.line(&format!(
                "Dispute {id} is settled: the card belongs to {to}."
            ))
        }
    }
}
