//! What the POS tells: scans, transactions, bindings. Each answer comes once it is durable.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use tillbind_firmware_bridge::code::{CardRules, Symbology};
use tillbind_protocol::replica::BindingState;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::Served;
use super::body::{BindingBody, ScanBody, TransactionBody};
use super::fault::Fault;
use super::lookup;
use super::view::{Accepted, BindingAccepted, ScanAccepted};
use crate::event::{Call, Event, Reply};

/// Asks the owner of the state and waits for the answer.
pub(super) async fn ask<T>(
    served: &Served,
    call: impl FnOnce(oneshot::Sender<T>) -> Call,
) -> Result<T, Fault> {
    let (reply, answer) = oneshot::channel();
    served
        .calls
        .send(Event::Call(call(reply)))
        .await
        .map_err(|_| Fault::ending())?;
    answer.await.map_err(|_| Fault::ending())
}

async fn record<T>(served: &Served, call: impl FnOnce(Reply<T>) -> Call) -> Result<T, Fault> {
    Ok(ask(served, call).await??)
}

#[utoipa::path(post, path = "/v1/scans", request_body = ScanBody, responses(
    (status = 202, description = "Recorded", body = ScanAccepted),
    (status = 503, description = "The disk refuses", body = Fault)))]
pub(super) async fn post_scan(
    State(served): State<Served>,
    body: Result<Json<ScanBody>, JsonRejection>,
) -> Result<(StatusCode, Json<ScanAccepted>), Fault> {
    let Json(body) = body?;
    let code = Zeroizing::new(body.code);
    let symbology = body.symbology.as_deref().and_then(Symbology::parse);
    let scan = record(&served, |reply| Call::Scan {
        code,
        symbology,
        reply,
    })
    .await?;
    let member = match &scan.card {
        Some(card) => lookup::card_view(&served, card).await?,
        None => None,
    };
    Ok((StatusCode::ACCEPTED, Json(ScanAccepted::of(scan, member))))
}

#[utoipa::path(post, path = "/v1/transactions", request_body = TransactionBody, responses(
    (status = 202, description = "Recorded; the same place for the same transaction", body = Accepted),
    (status = 422, description = "It does not add up or lacks what names it", body = Fault),
    (status = 503, description = "The disk refuses", body = Fault)))]
pub(super) async fn post_transaction(
    State(served): State<Served>,
    body: Result<Json<TransactionBody>, JsonRejection>,
) -> Result<(StatusCode, Json<Accepted>), Fault> {
    let Json(body) = body?;
    let unusable =
        |message: String| Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_transaction", message);
    let rules = CardRules::new(served.config.cards.member_prefixes.iter().cloned())
        .map_err(|error| Fault::internal(&error))?;
    if let Some(card) = &body.card {
        rules.normalise(card).map_err(|error| {
            Fault::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "bad_card",
                error.to_string(),
            )
        })?;
    }
    let sale = body
        .into_sale(served.config.store.currency, &rules)
        .map_err(|error| unusable(error.to_string()))?;
    let seq = record(&served, |reply| Call::Sale {
        sale: Box::new(sale),
        reply,
    })
    .await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { seq: seq.0 })))
}

#[utoipa::path(post, path = "/v1/bindings", request_body = BindingBody, responses(
    (status = 202, description = "Requested", body = BindingAccepted),
    (status = 422, description = "The card or the code was refused", body = Fault),
    (status = 503, description = "The disk refuses", body = Fault)))]
pub(super) async fn post_binding(
    State(served): State<Served>,
    body: Result<Json<BindingBody>, JsonRejection>,
) -> Result<(StatusCode, Json<BindingAccepted>), Fault> {
    let Json(body) = body?;
    let code = Zeroizing::new(body.code);
    let card = body.card;
    let bound = record(&served, |reply| Call::Bind { card, code, reply }).await?;
    Ok((
        StatusCode::ACCEPTED,
        Json(BindingAccepted {
            seq: bound.seq.0,
            state: BindingState::Requested.as_str(),
            id: bound.id,
            account: bound.account.to_string(),
        }),
    ))
}
