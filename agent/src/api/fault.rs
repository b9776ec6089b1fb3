//! Errors as the POS sees them: `{error, message}` with a status that says whose turn it is.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::event::Refusal;
use crate::outbox::AppendError;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Fault {
    /// Stable word.
    pub error: &'static str,
    /// What happened, to what, and what to do.
    pub message: String,
    /// Of a card that is not in the replica: whether the chain knows it. Absent while the replica is
    /// not complete, since nobody here can tell then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_to_chain: Option<bool>,
    #[serde(skip)]
    #[schema(ignore)]
    status: StatusCode,
}

impl Fault {
    pub(super) fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        Self {
            error,
            message: message.into(),
            known_to_chain: None,
            status,
        }
    }

    /// Every terminal holds all cards of the chain, so a complete replica can say that a card is none.
    pub(super) fn unknown_card(replica_complete: bool) -> Self {
        let message = if replica_complete {
            "the chain has no such card"
        } else {
            "this terminal holds nothing of this card, and its copy of the member data is not \
             complete: ask again once it has reached headquarters"
        };
        let fault = Self::new(StatusCode::NOT_FOUND, "unknown_card", message);
        Self {
            known_to_chain: replica_complete.then_some(false),
            ..fault
        }
    }

    pub(super) fn ending() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "stopping",
            "the agent is stopping: nothing was recorded, try again",
        )
    }

    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "the API could not read what it serves");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            error.to_string(),
        )
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.status, Json(&self)).into_response()
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let (status, error) = match &refusal {
            Refusal::NotKept(AppendError::Full { .. }) => {
                (StatusCode::SERVICE_UNAVAILABLE, "outbox_full")
            }
            Refusal::NotKept(AppendError::TooLarge { .. }) | Refusal::Record(_) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too_large")
            }
            Refusal::NotKept(AppendError::NotKept(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "disk_refuses")
            }
            Refusal::NotKept(AppendError::Busy) | Refusal::Busy => {
                (StatusCode::SERVICE_UNAVAILABLE, "busy")
            }
            Refusal::NotKept(AppendError::Stopped) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
            Refusal::Card(_) | Refusal::CardName => (StatusCode::UNPROCESSABLE_ENTITY, "bad_card"),
            Refusal::Code(_) => (StatusCode::UNPROCESSABLE_ENTITY, "code_refused"),
            Refusal::Sale(_) => (StatusCode::UNPROCESSABLE_ENTITY, "bad_transaction"),
            Refusal::Imbalance(_) => (StatusCode::UNPROCESSABLE_ENTITY, "imbalance"),
        };
        let advice = match error {
            "disk_refuses" => {
                ": free space on the terminal's disk or have it replaced (tillbind doctor), then send \
                 it again"
            }
            "outbox_full" | "busy" | "stopping" => "; send it again later",
            _ => "",
        };
        Self::new(status, error, format!("{refusal}{advice}"))
    }
}

impl From<JsonRejection> for Fault {
    fn from(rejection: JsonRejection) -> Self {
        let error = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => "too_large",
            _ => "bad_request",
        };
        Self::new(rejection.status(), error, rejection.body_text())
    }
}

impl From<PathRejection> for Fault {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), "bad_request", rejection.body_text())
    }
}

pub(super) async fn not_found() -> Fault {
    Fault::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is nothing here: see /openapi.json",
    )
}
