//! What is recorded, as it happens, for screens and for `tillbind devices watch`: masked.

use std::convert::Infallible;

use axum::extract::State;
use axum::response::sse::{Event as Sse, KeepAlive, Sse as Stream};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::Served;
use crate::run::effect::Published;

#[utoipa::path(get, path = "/v1/events", responses(
    (status = 200, description = "Server-sent events, masked", content_type = "text/event-stream")))]
pub(super) async fn get_events(
    State(served): State<Served>,
) -> Stream<impl stream::Stream<Item = Result<Sse, Infallible>>> {
    let published = served.published.subscribe();
    let events = stream::unfold(published, |mut published| async move {
        let event = match published.recv().await {
            Ok(event) => {
                let (name, data) = masked(&event);
                Sse::default().event(name).data(data.to_string())
            }
            Err(RecvError::Lagged(missed)) => Sse::default()
                .event("missed")
                .data(json!({ "events": missed }).to_string()),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok(event), published))
    });
    Stream::new(events).keep_alive(KeepAlive::default())
}

/// Names an event and says it without a whole number of a card or account.
fn masked(event: &Published) -> (&'static str, Value) {
    match event {
        Published::Scan {
            device,
            kind,
            card,
            account,
            reason,
        } => (
            "scan",
            json!({
                "device": device,
                "kind": kind.as_str(),
                "card": card.as_ref().map(|card| card.masked()),
                "account": account.as_ref().map(|account| account.masked()),
                "reason": reason,
            }),
        ),
        Published::Sale {
            key,
            kind,
            total_minor,
            currency,
            card,
        } => (
            "transaction",
            json!({
                "business_day": key.business_day,
                "sequence": key.sequence,
                "kind": kind.as_str(),
                "total_minor": total_minor,
                "currency": currency,
                "card": card.as_ref().map(|card| card.masked()),
            }),
        ),
        Published::Attribution { key, card } => (
            "attribution",
            json!({
                "business_day": key.business_day,
                "sequence": key.sequence,
                "card": card.masked(),
            }),
        ),
        Published::ClaimOffered { key } => (
            "claim_offered",
            json!({
                "business_day": key.business_day,
                "sequence": key.sequence,
            }),
        ),
        Published::Binding {
            card,
            account,
            state,
        } => (
            "binding",
            json!({
                "card": card.masked(),
                "account": account.masked(),
                "state": state.as_str(),
            }),
        ),
        Published::Unparsed { tap, reason } => (
            "receipt_unparsed",
            json!({ "device": tap, "reason": reason }),
        ),
        Published::Rejected {
            journal,
            file,
            reason,
        } => (
            "file_rejected",
            json!({ "device": journal, "file": file, "reason": reason }),
        ),
        Published::Port {
            device,
            kind,
            state,
        } => (
            "device",
            json!({
                "device": device,
                "kind": kind.as_str(),
                "state": state.as_str(),
                "fault": state.fault(),
            }),
        ),
    }
}
