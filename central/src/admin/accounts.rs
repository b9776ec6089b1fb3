//! Accounts and the codes that they show at the till.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tillbind_protocol::ids::AccountRef;
use utoipa::ToSchema;

use super::Admin;
use super::access::Caller;
use super::refusal::{Problem, Refused};
use super::request::Body;
use crate::clock::now_ms;
use crate::export::Moment;
use crate::{members, operations};

/// An account to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAccount {
    /// The account, as in `tmall:82731`.
    #[schema(value_type = String)]
    account: AccountRef,
    /// Name to greet with.
    name: Option<String>,
}

/// An account with its member.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeAccount {
    /// The account.
    account: String,
    /// Its member.
    member: String,
}

/// Makes an account with its member, or finds it.
#[utoipa::path(post, path = "/api/v1/accounts", tag = "operator", request_body = NewAccount,
    responses((status = 200, body = MadeAccount), (status = 400, body = Problem)))]
pub(super) async fn create(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    Body(new): Body<NewAccount>,
) -> Result<Json<MadeAccount>, Refused> {
    let (store, name) = (&admin.central.store, new.name.as_deref());
    let made = members::create_account(store, &new.account, name, &caller.actor, now_ms());
    let member = made.await?;
    Ok(Json(MadeAccount {
        account: new.account.to_string(),
        member: member.to_string(),
    }))
}

/// A code to sign.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCode {
    /// The account, as in `tmall:82731`.
    #[schema(value_type = String)]
    account: AccountRef,
    /// How long it works, in seconds; 120 unless told.
    ttl_s: Option<i64>,
}

/// A signed code.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeCode {
    /// The account.
    account: String,
    /// What the QR holds.
    code: String,
    /// When it stops to work.
    expires_at: Moment,
}

/// Signs a member code for an account.
#[utoipa::path(post, path = "/api/v1/member-codes", tag = "operator", request_body = NewCode,
    responses((status = 200, body = MadeCode), (status = 404, body = Problem)))]
pub(super) async fn create_code(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    Body(new): Body<NewCode>,
) -> Result<Json<MadeCode>, Refused> {
    let ttl_s = new.ttl_s.unwrap_or(operations::MEMBER_CODE_TTL_S);
    let (central, account) = (&admin.central, &new.account);
    let issued =
        operations::issue_member_code(central, account, ttl_s, &caller.actor, now_ms()).await?;
    Ok(Json(MadeCode {
        account: new.account.to_string(),
        code: issued.code,
        expires_at: Moment(issued.expires_ms),
    }))
}
