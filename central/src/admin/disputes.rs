//! Disputes.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tillbind_protocol::ids::AccountRef;
use utoipa::ToSchema;

use super::Admin;
use super::access::Caller;
use super::refusal::{Problem, Refused};
use super::request::{Body, Id};
use crate::binding::dispute;
use crate::clock::now_ms;

/// Who gets the card.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settlement {
    /// The holder's account or the claimant's.
    #[schema(value_type = String)]
    to: AccountRef,
}

/// A settled dispute.
#[derive(Serialize, ToSchema)]
pub(super) struct Settled {
    /// The dispute.
    id: String,
    /// The account that has the card.
    settled_to: String,
}

/// Gives the card to one of the two accounts.
#[utoipa::path(post, path = "/api/v1/disputes/{id}/settle", tag = "operator",
    params(("id" = String, Path, description = "The dispute")), request_body = Settlement,
    responses((status = 200, body = Settled), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn settle(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<String>,
    Body(settlement): Body<Settlement>,
) -> Result<Json<Settled>, Refused> {
    let (store, to) = (&admin.central.store, &settlement.to);
    dispute::settle_dispute(store, &id, to, &caller.actor, now_ms()).await?;
    Ok(Json(Settled {
        id,
        settled_to: settlement.to.to_string(),
    }))
}
