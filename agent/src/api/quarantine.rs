//! Records of the outbox that could not be read: looking at them, and letting them go. Both are audited.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::Served;
use super::fault::Fault;
use super::view::QuarantineView;
use crate::audit::{self, Entry};
use crate::clock;
use crate::outbox::{Outbox, QuarantineError, Quarantined};

/// How much to show.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(super) struct ShowQuery {
    /// Whether to show what can be read of the events, personal data and all, and the sealed bytes.
    #[serde(default)]
    reveal: bool,
    /// Who asks, for the audit.
    #[serde(default)]
    by: String,
}

/// Who lets an entry go.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct DropRequest {
    /// Who asks, for the audit.
    by: String,
}

/// An entry is gone.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Dropped {
    /// Its number.
    id: u64,
}

#[utoipa::path(get, path = "/v1/quarantine", params(ShowQuery), responses(
    (status = 200, description = "Records that could not be read", body = Vec<QuarantineView>)))]
pub(super) async fn get_quarantine(
    State(served): State<Served>,
    Query(show): Query<ShowQuery>,
) -> Result<Json<Vec<QuarantineView>>, Fault> {
    let outbox = served.outbox.clone();
    let reveal = show.reveal;
    let listed = blocking(move || {
        let entries = outbox.quarantine()?;
        Ok(entries
            .into_iter()
            .map(|entry| view(&outbox, entry, reveal))
            .collect::<Vec<_>>())
    })
    .await?;
    if reveal {
        note(&served, "quarantine.revealed", &show.by, "all")?;
    }
    Ok(Json(listed))
}

#[utoipa::path(post, path = "/v1/quarantine/{id}/drop", params(("id" = u64, Path)),
    request_body = DropRequest, responses(
    (status = 200, description = "It is gone", body = Dropped),
    (status = 404, description = "There is none", body = Fault)))]
pub(super) async fn drop_entry(
    State(served): State<Served>,
    Path(id): Path<u64>,
    Json(request): Json<DropRequest>,
) -> Result<Json<Dropped>, Fault> {
    let outbox = served.outbox.clone();
    // Noted first: what nobody can note is not done.
    note(&served, "quarantine.dropped", &request.by, &id.to_string())?;
    blocking(move || outbox.drop_quarantined(id)).await?;
    Ok(Json(Dropped { id }))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, QuarantineError> + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await;
    match done.map_err(|_| Fault::ending())? {
        Ok(done) => Ok(done),
        Err(error @ QuarantineError::Unknown(_)) => Err(Fault::new(
            StatusCode::NOT_FOUND,
            "no_such_entry",
            error.to_string(),
        )),
        Err(error @ QuarantineError::Disk { .. }) => Err(Fault::internal(&error)),
    }
}

fn note(served: &Served, action: &'static str, by: &str, subject: &str) -> Result<(), Fault> {
    let entry = Entry {
        at: clock::wall(),
        by,
        action,
        subject,
    };
    audit::write(&served.config.data_dir, &entry).map_err(|error| Fault::internal(&error))
}

fn view(outbox: &Outbox, entry: Quarantined, reveal: bool) -> QuarantineView {
    QuarantineView {
        texts: reveal.then(|| outbox.salvage(&entry)),
        sealed: reveal.then(|| hex::encode(&entry.bytes)),
        id: entry.id,
        epoch: entry.epoch.to_string(),
        from: entry.from.0,
        to: entry.to.0,
        reason: entry.reason,
        segment: entry.place.0,
        offset: entry.place.1,
        bytes: entry.bytes.len() as u64,
    }
}
