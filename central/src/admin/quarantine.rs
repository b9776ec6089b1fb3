//! The quarantine.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tillbind_protocol::event::RECORD_BYTES_MAX;
use tillbind_protocol::ids::TerminalId;
use utoipa::ToSchema;

use super::Admin;
use super::access::Caller;
use super::refusal::{Problem, Refused};
use super::request::{Body, Id};
use crate::clock::now_ms;
use crate::export::quarantine::{Quarantined, find};
use crate::operations;
use crate::quarantine::{self, bulk, bulk::Choice};

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

/// Which records to take in again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayMany {
    /// Of this kind only.
    kind: Option<String>,
    /// Only those whose reason begins so.
    reason: Option<String>,
    /// Of this terminal only.
    terminal: Option<String>,
    /// Only those with a larger number: `go_on_after` of the answer before.
    #[serde(default)]
    after: i64,
}

/// What became of them.
#[derive(Serialize, ToSchema)]
pub(super) struct ReplayedMany {
    /// Records that were taken in.
    replayed: usize,
    /// Records that still cannot be used, and wait on.
    still_waiting: usize,
    /// Where to go on, if there may be more.
    go_on_after: Option<i64>,
}

/// Takes in again, as they are, up to 500 records that wait: after an upgrade that reads them.
#[utoipa::path(post, path = "/api/v1/quarantine/replay", tag = "operator",
    request_body = ReplayMany, responses((status = 200, body = ReplayedMany)))]
pub(super) async fn replay_many(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    Body(wanted): Body<ReplayMany>,
) -> Result<Json<ReplayedMany>, Refused> {
    let terminal = wanted.terminal.map(TerminalId::new).transpose();
    let choice = Choice {
        kind: wanted.kind,
        reason: wanted.reason,
        terminal: terminal.map_err(|e| Refused::BadRequest(e.to_string()))?,
        after: wanted.after,
    };
    let rules = operations::rules(&admin.central);
    let store = &admin.central.store;
    let done = bulk::replay_many(store, &choice, rules, &caller.actor, now_ms()).await?;
    Ok(Json(ReplayedMany {
        replayed: done.replayed,
        still_waiting: done.still_waiting,
        go_on_after: done.go_on_after,
    }))
}

/// Shows a record in clear, and the trail tells who looked.
#[utoipa::path(post, path = "/api/v1/quarantine/{id}/reveal", tag = "operator",
    params(("id" = i64, Path, description = "The record's number")),
    responses((status = 200, body = Quarantined), (status = 404, body = Problem)))]
pub(super) async fn reveal(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<i64>,
) -> Result<Json<Quarantined>, Refused> {
    let store = &admin.central.store;
    quarantine::note_revealed(store, id, &caller.actor, now_ms()).await?;
    found(&admin, id).await.map(Json)
}

async fn found(admin: &Admin, id: i64) -> Result<Quarantined, Refused> {
    let found = find(admin.central.store.reader(), id).await?;
    found.ok_or_else(|| {
        Refused::NotFound(format!(
            "there is no record {id} in quarantine: see /api/v1/quarantine"
        ))
    })
}

/// Shows a record in quarantine, what a person could be known by masked.
#[utoipa::path(get, path = "/api/v1/quarantine/{id}", tag = "reader",
    params(("id" = i64, Path, description = "The record's number")),
    responses((status = 200, body = Quarantined), (status = 404, body = Problem)))]
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    Id(id): Id<i64>,
) -> Result<Json<Quarantined>, Refused> {
    Ok(Json(found(&admin, id).await?.masked()))
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
