//! Look-ups: a card with all that is known of it, and the basket.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::DateTime;
use tillbind_firmware_bridge::code::CardRules;
use tillbind_protocol::event::BindingRequest;
use tillbind_protocol::ids::CardNumber;
use tillbind_protocol::replica::{BindingState, BindingVerdict};

use super::Served;
use super::calls::ask;
use super::fault::Fault;
use super::view::{BasketAnswer, BindingView, CardView, HeldCardView, HeldCodeView, OpenSaleView};
use crate::downlink;
use crate::event::Call;
use crate::till::conversion;

/// Writes a time in milliseconds as RFC 3339.
pub(super) fn rfc3339(ms: i64) -> Option<String> {
    DateTime::from_timestamp_millis(ms)
        .map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}

#[utoipa::path(get, path = "/v1/cards/{number}", params(("number" = String, Path)), responses(
    (status = 200, description = "What is known of the card", body = CardView),
    (status = 404, description = "Not in the replica", body = Fault)))]
pub(super) async fn get_card(
    State(served): State<Served>,
    number: Result<Path<String>, PathRejection>,
) -> Result<Json<CardView>, Fault> {
    let Path(number) = number?;
    let rules = CardRules::new(served.config.cards.member_prefixes.iter().cloned())
        .map_err(|error| Fault::internal(&error))?;
    let card = rules.normalise(&number).map_err(|error| {
        Fault::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_card",
            error.to_string(),
        )
    })?;
    let unknown = || Fault::unknown_card(served.line.borrow().replica_complete);
    let card = conversion::from_bridge(&card).ok_or_else(unknown)?;
    card_view(&served, &card.number)
        .await?
        .map(Json)
        .ok_or_else(unknown)
}

#[utoipa::path(get, path = "/v1/basket", responses(
    (status = 200, description = "The basket under way", body = BasketAnswer)))]
pub(super) async fn get_basket(State(served): State<Served>) -> Result<Json<BasketAnswer>, Fault> {
    let basket = ask(&served, Call::Basket).await?;
    let card = match basket.card {
        None => None,
        Some((card, age)) => Some(HeldCardView {
            member: card_view(&served, &card.number).await?,
            card: card.number.into(),
            scanned_s_ago: age.as_secs(),
        }),
    };
    Ok(Json(BasketAnswer {
        card,
        cards_seen: basket.cards_seen,
        member_code: basket.code.map(|(code, age)| HeldCodeView {
            account: code.account.to_string(),
            scanned_s_ago: age.as_secs(),
        }),
        open_sale: basket.open_sale.map(|(key, remaining)| OpenSaleView {
            business_day: key.business_day.to_string(),
            sequence: key.sequence,
            remaining_s: remaining.as_secs(),
        }),
    }))
}

/// Joins what headquarters sent of a card with what was requested here; none if nobody knows it.
pub(super) async fn card_view(
    served: &Served,
    card: &CardNumber,
) -> Result<Option<CardView>, Fault> {
    let internal = |error: downlink::DownlinkError| Fault::internal(&error);
    let entry = downlink::card_entry(&served.replica, card).map_err(internal)?;
    let requested = ask(served, |reply| Call::Requested(card.clone(), reply)).await?;
    if entry.is_none() && requested.is_empty() {
        return Ok(None);
    }
    let entry = entry.unwrap_or_default();
    let member_id = entry.card.as_ref().and_then(|card| card.member.clone());
    let member = match &member_id {
        None => None,
        Some(id) => downlink::member(&served.replica, id).map_err(internal)?,
    };
    let state = state_of(member_id.is_some(), &requested, &entry.verdicts);
    let of_card = entry.card.as_ref().map(|card| card.points);
    Ok(Some(CardView {
        card: card.expose().to_owned(),
        kind: entry.card.map(|card| card.kind),
        state,
        member: member_id.map(|id| id.as_str().to_owned()),
        name: member.as_ref().and_then(|member| member.name.clone()),
        points: member.as_ref().map(|member| member.points).or(of_card),
        tier: member.as_ref().and_then(|member| member.tier.clone()),
        accounts: member
            .map(|member| member.accounts.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        bindings: bindings(&requested, &entry.verdicts),
        as_of: served.line.borrow().last_exchange_ms.and_then(rfc3339),
    }))
}

/// A member speaks louder than a request under way, that louder than the newest old verdict.
fn state_of(
    has_member: bool,
    requested: &[BindingRequest],
    verdicts: &[BindingVerdict],
) -> &'static str {
    if has_member {
        BindingState::Confirmed.as_str()
    } else if !requested.is_empty() {
        BindingState::Requested.as_str()
    } else {
        verdicts
            .last()
            .map_or("unbound", |verdict| verdict.state.as_str())
    }
}

fn bindings(requested: &[BindingRequest], verdicts: &[BindingVerdict]) -> Vec<BindingView> {
    let decided = verdicts.iter().map(|verdict| BindingView {
        account: verdict.account.to_string(),
        state: verdict.state.as_str(),
        reason: verdict.reason.clone(),
    });
    let open = requested
        .iter()
        .filter(|r| !verdicts.iter().any(|verdict| verdict.id == r.id));
    decided
        .chain(open.map(|request| BindingView {
            account: request.account.to_string(),
            state: BindingState::Requested.as_str(),
            reason: None,
        }))
        .collect()
}
