//! The quarantine.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tillbind_protocol::event::RECORD_BYTES_MAX;
use utoipa::ToSchema;

use super::Admin;
use super::access::Caller;
use super::refusal::{Problem, Refused};
use super::request::{Body, Id};
use crate::clock::now_ms;
use crate::export::quarantine::{Quarantined, find};
use crate::operations;
use crate::quarantine;

/// How to take a record in again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Replay {
    /// The record's mended text; without it, the record as it came.
    mended: Option<String>,
}

/// What became of a record.
#[derive(Serialize, ToSchema)]
pub(super) struct Resolved {
    /// Its number.
    id: i64,
    /// `replayed` or `dropped`.
    resolution: &'static str,
}

/// Shows a record in quarantine.
#[utoipa::path(get, path = "/api/v1/quarantine/{id}", tag = "reader",
    params(("id" = i64, Path, description = "The record's number")),
    responses((status = 200, body = Quarantined), (status = 404, body = Problem)))]
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    Id(id): Id<i64>,
) -> Result<Json<Quarantined>, Refused> {
    match find(admin.central.store.reader(), id).await? {
        Some(found) => Ok(Json(found)),
        None => Err(Refused::NotFound(format!(
            "there is no record {id} in quarantine: see /api/v1/quarantine"
        ))),
    }
}

/// Takes a record in again, as it is or mended.
#[utoipa::path(post, path = "/api/v1/quarantine/{id}/replay", tag = "operator",
    params(("id" = i64, Path, description = "The record's number")), request_body = Replay,
    responses((status = 200, body = Resolved), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn replay(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<i64>,
    Body(replay): Body<Replay>,
) -> Result<Json<Resolved>, Refused> {
    let mended = replay.mended.as_deref();
    if mended.is_some_and(|text| text.len() > RECORD_BYTES_MAX) {
        return Err(Refused::TooLarge);
    }
    let rules = operations::rules(&admin.central);
    let store = &admin.central.store;
    quarantine::replay(store, id, mended, rules, &caller.actor, now_ms()).await?;
    Ok(Json(Resolved {
        id,
        resolution: "replayed",
    }))
}

/// Takes a record off the list; its event stays.
#[utoipa::path(post, path = "/api/v1/quarantine/{id}/drop", tag = "operator",
    params(("id" = i64, Path, description = "The record's number")),
    responses((status = 200, body = Resolved), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn drop_entry(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<i64>,
) -> Result<Json<Resolved>, Refused> {
    quarantine::drop_entry(&admin.central.store, id, &caller.actor, now_ms()).await?;
    Ok(Json(Resolved {
        id,
        resolution: "dropped",
    }))
}
