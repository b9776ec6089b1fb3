//! Whether the service can do its work.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Admin;
use super::refusal::{Problem, Refused};
use crate::changes;

/// A service that can do its work.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`.
    status: &'static str,
    /// Version of this program.
    version: &'static str,
}

/// Tells whether the database answers. Needs no key.
#[utoipa::path(get, path = "/api/v1/health", tag = "open", security(()),
    responses((status = 200, body = Health), (status = 503, body = Problem)))]
pub(super) async fn show(State(admin): State<Arc<Admin>>) -> Result<Json<Health>, Refused> {
    changes::newest_version(admin.central.store.reader()).await?;
    Ok(Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    }))
}
