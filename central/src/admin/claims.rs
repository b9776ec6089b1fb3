//! Claim codes.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use tillbind_protocol::ids::AccountRef;
use utoipa::ToSchema;

use super::Admin;
use super::access::Caller;
use super::refusal::{Problem, Refused};
use super::request::Body;
use crate::claims::answer::Answer;
use crate::claims::{self, Outcome};
use crate::clock::now_ms;
use crate::operations;

/// A code that a shopper entered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Entered {
    /// The code as it was scanned or typed.
    code: String,
    /// The shopper's account, as in `tmall:82731`.
    #[schema(value_type = String)]
    account: AccountRef,
}

/// Redeems a claim code for an account. A code whose terminal or sale is not heard of yet is remembered,
/// and redeemed when they are; asking again tells how it stands.
#[utoipa::path(post, path = "/api/v1/claims/redeem", tag = "operator", request_body = Entered,
    responses((status = 200, body = Answer, description = "Redeemed, now or before"),
        (status = 202, body = Answer, description = "Remembered"),
        (status = 400, body = Problem, description = "Mistyped"),
        (status = 404, body = Problem, description = "There is no such account"),
        (status = 409, body = Problem,
            description = "Refused: another account's, expired, no sale that can be claimed")))]
pub(super) async fn redeem(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    Body(entered): Body<Entered>,
) -> Result<(StatusCode, Json<Answer>), Refused> {
    let (central, account) = (&admin.central, &entered.account);
    let outcome = claims::redeem(
        &central.store,
        &entered.code,
        account,
        &caller.actor,
        now_ms(),
        operations::claim_rules(central),
    )
    .await?;
    let status = match outcome {
        Outcome::Waiting { .. } => StatusCode::ACCEPTED,
        Outcome::Redeemed { .. } => StatusCode::OK,
    };
    Ok((status, Json(Answer::new(&outcome, account))))
}
