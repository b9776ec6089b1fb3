//! `token`.

use serde_json::json;

use super::failure::Failure;
use super::{Desk, TokenCommand};
use crate::export::Moment;
use crate::operations::{self, TokenWish};

pub(super) async fn run(desk: &Desk<'_>, command: TokenCommand) -> Result<(), Failure> {
    let TokenCommand::Create {
        store,
        workstation,
        expires,
        url,
    } = command;
    let named = url.is_some();
    let wish = TokenWish {
        store: store.clone(),
        workstation: workstation.clone(),
        life_s: expires.0,
        url,
    };
    let token = operations::issue_token(desk.central, wish, &desk.actor, desk.now_ms).await?;
    let expires_at = Moment(token.expires_ms);
    if desk.output.json {
        return desk.output.object(&json!({
            "token": token.word,
            "store": store,
            "workstation": workstation,
            "url": token.url,
            "expires_at": expires_at,
        }));
    }
    desk.output.line(&token.word)?;
    desk.output.explain(&format!(
        "This token enrols workstation {workstation} of store {store}, once, until {expires_at}. \
         Run on the terminal:\n  tillbind enrol TOKEN"
    ))?;
    if !named && desk.central.config.public_names.is_empty() {
        desk.output.explain(&format!(
            "It leads to {}, which only this machine understands: set `public_names` in the \
             configuration, or give --url https://HOST:PORT.",
            token.url
        ))?;
    }
    Ok(())
}
