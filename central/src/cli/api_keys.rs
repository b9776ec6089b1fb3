//! `api-key`.

use serde_json::{Value, json};

use super::failure::Failure;
use super::output::Table;
use super::{ApiKeyCommand, Desk};
use crate::api_keys;
use crate::export::Moment;

const COLUMNS: &[&str] = &["id", "role", "created_at", "revoked_at"];

pub(super) async fn run(desk: &Desk<'_>, command: ApiKeyCommand) -> Result<(), Failure> {
    let store = &desk.central.store;
    match command {
        ApiKeyCommand::Create { role } => {
            let key = api_keys::create_api_key(store, role, &desk.actor, desk.now_ms).await?;
            if desk.output.json {
                let answer = json!({"id": key.id, "role": role.as_str(), "key": key.secret});
                return desk.output.object(&answer);
            }
            desk.output.line(&key.secret)?;
            desk.output.explain(&format!(
                "This is API key {} with role {}; it is shown this once. Send it as\n  \
                 Authorization: Bearer KEY",
                key.id,
                role.as_str()
            ))
        }
        ApiKeyCommand::List => list(desk).await,
        ApiKeyCommand::Revoke { id } => {
            if !api_keys::revoke_api_key(store, &id, &desk.actor, desk.now_ms).await? {
                return Err(Failure::Unknown {
                    what: "API key",
                    id,
                    list: "api-key list",
                });
            }
            if desk.output.json {
                let answer = json!({"id": id, "state": "revoked"});
                return desk.output.object(&answer);
            }
            desk.output.line(&format!(
                "API key {id} is revoked: its next request is refused."
            ))
        }
    }
}

async fn list(desk: &Desk<'_>) -> Result<(), Failure> {
    let keys = api_keys::list_api_keys(&desk.central.store).await?;
    let keys: Vec<Value> = keys
        .into_iter()
        .map(|key| {
            json!({
                "id": key.id,
                "role": key.role.as_str(),
                "created_at": Moment(key.created_ms),
                "revoked_at": key.revoked_ms.map(Moment),
            })
        })
        .collect();
    if desk.output.json {
        for key in &keys {
            desk.output.object(key)?;
        }
        return Ok(());
    }
    if keys.is_empty() {
        let nothing = "There is no API key: see `tillbind-central api-key create --help`.";
        return desk.output.explain(nothing);
    }
    desk.output
        .bytes(Table::new(COLUMNS).rows(&keys).as_bytes())
}
