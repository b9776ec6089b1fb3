//! Terminals: tokens to enrol them, and their end.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tillbind_protocol::ids::{StoreId, TerminalId, WorkstationId};
use utoipa::ToSchema;

use super::Admin;
use super::access::Caller;
use super::refusal::{Problem, Refused};
use super::request::{Body, Id};
use crate::clock::now_ms;
use crate::export::Moment;
use crate::operations::{self, TokenWish};
use crate::terminals;

/// A token to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// The store.
    #[schema(value_type = String)]
    store: StoreId,
    /// The workstation within the store.
    #[schema(value_type = String)]
    workstation: WorkstationId,
    /// How long it works, in seconds; 86400 unless told.
    expires_s: Option<i64>,
    /// Where the terminal reaches the service, `https://HOST:PORT`; the first public name unless
    /// told.
    url: Option<String>,
}

/// A token. It is shown once.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeToken {
    /// What to hand to the technician.
    token: String,
    /// The address in it.
    url: String,
    /// When it stops to work.
    expires_at: Moment,
}

/// Makes a token by which one terminal enrols, once.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "admin", request_body = NewToken,
    responses((status = 200, body = MadeToken), (status = 400, body = Problem)))]
pub(super) async fn create_token(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    Body(new): Body<NewToken>,
) -> Result<Json<MadeToken>, Refused> {
    let wish = TokenWish {
        store: new.store,
        workstation: new.workstation,
        life_s: new.expires_s.unwrap_or(operations::TOKEN_LIFE_S),
        url: new.url,
    };
    let token = operations::issue_token(&admin.central, wish, &caller.actor, now_ms()).await?;
    Ok(Json(MadeToken {
        token: token.word,
        url: token.url,
        expires_at: Moment(token.expires_ms),
    }))
}

/// A revoked terminal.
#[derive(Serialize, ToSchema)]
pub(super) struct Revoked {
    /// The terminal.
    terminal: String,
    /// `revoked`.
    state: &'static str,
}

/// Bars a terminal from its next request on.
#[utoipa::path(post, path = "/api/v1/terminals/{id}/revoke", tag = "admin",
    params(("id" = String, Path, description = "The terminal")),
    responses((status = 200, body = Revoked), (status = 404, body = Problem)))]
pub(super) async fn revoke(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<TerminalId>,
) -> Result<Json<Revoked>, Refused> {
    if !terminals::revoke(&admin.central.store, &id, &caller.actor, now_ms()).await? {
        let message = format!("there is no terminal {id}: see /api/v1/terminals");
        return Err(Refused::NotFound(message));
    }
    Ok(Json(Revoked {
        terminal: id.to_string(),
        state: "revoked",
    }))
}
