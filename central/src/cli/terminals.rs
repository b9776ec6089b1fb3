//! `terminal`.

use serde_json::json;

use super::failure::Failure;
use super::{Desk, TerminalCommand, listing};
use crate::export::Kind;
use crate::terminals;

const COLUMNS: &[&str] = &[
    "terminal",
    "store",
    "workstation",
    "state",
    "last_seen_at",
    "outbox_events",
    "disk",
    "watermark",
    "version",
];

pub(super) async fn run(desk: &Desk<'_>, command: TerminalCommand) -> Result<(), Failure> {
    match command {
        TerminalCommand::List => {
            let nothing = "No terminal is enrolled: see `tillbind-central token create --help`.";
            listing::print(desk, Kind::Terminals, false, COLUMNS, nothing).await
        }
        TerminalCommand::Revoke { id } => {
            let store = &desk.central.store;
            if !terminals::revoke(store, &id, &desk.actor, desk.now_ms).await? {
                return Err(Failure::Unknown {
                    what: "terminal",
                    id: id.to_string(),
                    list: "terminal list",
                });
            }
            if desk.output.json {
                let answer = json!({"terminal": id, "state": "revoked"});
                return desk.output.object(&answer);
            }
            desk.output.line(&format!(
                "Terminal {id} is revoked: its next request is refused."
            ))
        }
    }
}
