//! API keys.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Admin;
use super::access::Caller;
use super::refusal::{Problem, Refused};
use super::request::{Body, Id};
use crate::api_keys::{self, Role};
use crate::clock::now_ms;
use crate::export::Moment;

/// A key to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    /// `reader`, `operator` or `admin`.
    role: String,
}

/// A key. Its secret is shown once.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeKey {
    /// Its name.
    id: String,
    /// What it may do.
    role: &'static str,
    /// The secret, to be sent as bearer token.
    key: String,
}

/// A key without its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedKey {
    /// Its name.
    id: String,
    /// What it may do.
    role: &'static str,
    /// When it was made.
    created_at: Moment,
    /// When it was revoked.
    revoked_at: Option<Moment>,
}

/// Makes a key.
#[utoipa::path(post, path = "/api/v1/api-keys", tag = "admin", request_body = NewKey,
    responses((status = 200, body = MadeKey), (status = 400, body = Problem)))]
pub(super) async fn create(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    Body(new): Body<NewKey>,
) -> Result<Json<MadeKey>, Refused> {
    let role: Role = new
        .role
        .parse()
        .map_err(|e| Refused::BadRequest(format!("{e}")))?;
    let store = &admin.central.store;
    let key = api_keys::create_api_key(store, role, &caller.actor, now_ms()).await?;
    Ok(Json(MadeKey {
        id: key.id,
        role: role.as_str(),
        key: key.secret,
    }))
}

/// Lists every key that was ever made.
#[utoipa::path(get, path = "/api/v1/api-keys", tag = "admin",
    responses((status = 200, body = [ListedKey])))]
pub(super) async fn list(State(admin): State<Arc<Admin>>) -> Result<Json<Vec<ListedKey>>, Refused> {
    let keys = api_keys::list_api_keys(&admin.central.store).await?;
    let listed = keys.into_iter().map(|key| ListedKey {
        id: key.id,
        role: key.role.as_str(),
        created_at: Moment(key.created_ms),
        revoked_at: key.revoked_ms.map(Moment),
    });
    Ok(Json(listed.collect()))
}

/// A revoked key.
#[derive(Serialize, ToSchema)]
pub(super) struct RevokedKey {
    /// Its name.
    id: String,
    /// `revoked`.
    state: &'static str,
}

/// Bars a key from its next request on.
#[utoipa::path(post, path = "/api/v1/api-keys/{id}/revoke", tag = "admin",
    params(("id" = String, Path, description = "The key's name")),
    responses((status = 200, body = RevokedKey), (status = 404, body = Problem)))]
pub(super) async fn revoke(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<String>,
) -> Result<Json<RevokedKey>, Refused> {
    if !api_keys::revoke_api_key(&admin.central.store, &id, &caller.actor, now_ms()).await? {
        let message = "there is no such API key: see /api/v1/api-keys".to_owned();
        return Err(Refused::NotFound(message));
    }
    Ok(Json(RevokedKey {
        id,
        state: "revoked",
    }))
}
