//! `POST /enrol/v1` and its renewal.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;
use tillbind_protocol::enrol::EnrolRequest;

use super::refusal::Refused;
use super::{Service, body, identity};
use crate::clock::now_ms;
use crate::enrolment::{self, EnrolError};
use crate::sync::identity::Peer;

/// Gives an identity for a token.
pub(super) async fn enrol(
    State(service): State<Arc<Service>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Refused> {
    let from = peer.address.ip();
    if !service.flood.lock().await.admits(from, now_ms()) {
        tracing::warn!(%from, "enrolments of this address are held back");
        return Err(Refused::Busy);
    }
    let request: EnrolRequest = body::read(&headers, &bytes, None)?;
    match enrolment::enrol(&service.store, &service.ca, &request, now_ms()).await {
        Ok(response) => {
            tracing::info!(
                terminal = %response.terminal, store = %response.store,
                workstation = %response.workstation, "a terminal enrolled"
            );
            Ok(body::answer(&response, body::accepts_zstd(&headers)))
        }
        Err(error) => {
            if !matches!(error, EnrolError::Store(_) | EnrolError::Entropy(_)) {
                tracing::warn!(%from, %error, "an enrolment failed");
                let mut flood = service.flood.lock().await;
                flood.handle_failure(from, now_ms());
            }
            Err(error.into())
        }
    }
}

/// Gives a terminal its next certificate.
pub(super) async fn renew(
    State(service): State<Arc<Service>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Refused> {
    let terminal = identity::authorise(&service.store, &peer).await?;
    let request: EnrolRequest = body::read(&headers, &bytes, None)?;
    let store = &service.store;
    let response = enrolment::renew(store, &service.ca, &terminal, &request, now_ms()).await?;
    tracing::info!(terminal = %terminal.id, "a certificate was renewed");
    Ok(body::answer(&response, body::accepts_zstd(&headers)))
}
