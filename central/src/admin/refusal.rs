//! Refusals: an HTTP status with a stable word and a text that says what to do.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api_keys::{ApiKeyError, Role};
use crate::binding::dispute::SettleError;
use crate::claims::RedeemError;
use crate::enrolment::EnrolError;
use crate::export::ExportError;
use crate::keys::KeyError;
use crate::members::AccountError;
use crate::operations::TokenError;
use crate::quarantine::QuarantineError;
use crate::store::{Fault, StoreError};

/// When to ask again after too much, in seconds.
const RETRY_AFTER_S: u64 = 60;

/// What is answered where something was refused.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// A stable word for programs.
    pub(super) error: &'static str,
    /// What happened and what to do, for people.
    pub(super) message: String,
}

/// Why a request was refused.
#[derive(Debug)]
pub(super) enum Refused {
    /// It came from a page in a browser.
    Browser,
    /// It is for a name that is not ours.
    Host,
    /// It took too long.
    Slow,
    /// It shows no key.
    NoKey,
    /// It shows a key that does not count.
    WrongKey,
    /// Too many wrong keys came from there.
    Flood,
    /// Its key may not do this.
    Role {
        /// What the key may.
        has: Role,
        /// What the route needs.
        needs: Role,
    },
    /// It is malformed.
    BadRequest(String),
    /// It is too long.
    TooLarge,
    /// There is no such thing.
    NotFound(String),
    /// What it asks for was done already, or cannot be.
    Conflict(String),
    /// Too many exports run.
    Busy,
    /// The database cannot be reached.
    Store(StoreError),
    /// This program or machine failed.
    Defect(Box<dyn std::error::Error + Send + Sync>),
}

impl Refused {
    fn told(&self) -> (StatusCode, &'static str, String) {
        match self {
            Self::Browser => (
                StatusCode::FORBIDDEN,
                "browser",
                "requests from pages in a browser are refused: use a program without an Origin"
                    .to_owned(),
            ),
            Self::Host => (
                StatusCode::MISDIRECTED_REQUEST,
                "host",
                "the request is for another host: use an address, localhost, or a name in \
                 `public_names`"
                    .to_owned(),
            ),
            Self::Slow => (
                StatusCode::SERVICE_UNAVAILABLE,
                "slow",
                "the answer took too long: try again later".to_owned(),
            ),
            Self::NoKey => (
                StatusCode::UNAUTHORIZED,
                "no_key",
                "this needs an API key, as in `Authorization: Bearer KEY`: make one with \
                 `tillbind-central api-key create`"
                    .to_owned(),
            ),
            Self::WrongKey => (
                StatusCode::UNAUTHORIZED,
                "wrong_key",
                "this API key is unknown or was revoked: make one with `tillbind-central api-key \
                 create`"
                    .to_owned(),
            ),
            Self::Flood => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_wrong_keys",
                "too many wrong keys came from this address: wait a minute".to_owned(),
            ),
            Self::Role { has, needs } => (
                StatusCode::FORBIDDEN,
                "role",
                format!(
                    "this needs a key with role {}, and yours has {}",
                    needs.as_str(),
                    has.as_str()
                ),
            ),
            Self::BadRequest(why) => (StatusCode::BAD_REQUEST, "bad_request", why.clone()),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "the body is too long".to_owned(),
            ),
            Self::NotFound(what) => (StatusCode::NOT_FOUND, "not_found", what.clone()),
            Self::Conflict(why) => (StatusCode::CONFLICT, "conflict", why.clone()),
            Self::Busy => (
                StatusCode::TOO_MANY_REQUESTS,
                "busy",
                "too many exports run at once: come back when one has ended".to_owned(),
            ),
            Self::Store(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "the database cannot be reached: nothing was changed, try again later".to_owned(),
            ),
            Self::Defect(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "failed",
                "the request failed: the service's log says why".to_owned(),
            ),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match &self {
            Self::Store(error) => tracing::warn!(%error, "the database is unavailable"),
            Self::Defect(error) => tracing::error!(%error, "a request failed"),
            Self::Browser
            | Self::Host
            | Self::Slow
            | Self::NoKey
            | Self::WrongKey
            | Self::Flood
            | Self::Role { .. }
            | Self::BadRequest(_)
            | Self::TooLarge
            | Self::NotFound(_)
            | Self::Conflict(_)
            | Self::Busy => {}
        }
        let (status, error, message) = self.told();
        let mut response = (status, Json(Problem { error, message })).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(status.as_u16(), 429 | 503) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        response
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error.fault() {
            Fault::Unavailable | Fault::Contended => Self::Store(error),
            Fault::Refused | Fault::Defect => Self::Defect(Box::new(error)),
        }
    }
}

impl From<ExportError> for Refused {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Filter(error) => Self::BadRequest(error.to_string()),
            ExportError::Store(error) => error.into(),
            error @ (ExportError::Write(_) | ExportError::Encode(_)) => {
                Self::Defect(Box::new(error))
            }
        }
    }
}

impl From<TokenError> for Refused {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Life(_) | TokenError::Url(_) | TokenError::NoPort => {
                Self::BadRequest(error.to_string())
            }
            TokenError::Enrol(EnrolError::Store(error)) => error.into(),
            TokenError::File(_) | TokenError::Enrol(_) | TokenError::Write(_) => {
                Self::Defect(Box::new(error))
            }
        }
    }
}

impl From<AccountError> for Refused {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Store(error) => error.into(),
            AccountError::Entropy(error) => Self::Defect(Box::new(error)),
        }
    }
}

impl From<ApiKeyError> for Refused {
    fn from(error: ApiKeyError) -> Self {
        match error {
            ApiKeyError::Store(error) => error.into(),
            ApiKeyError::Entropy(error) => Self::Defect(Box::new(error)),
        }
    }
}

impl From<KeyError> for Refused {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::NoAccount(_) => Self::NotFound(error.to_string()),
            KeyError::Ttl(_) => Self::BadRequest(error.to_string()),
            KeyError::Store(error) => error.into(),
            KeyError::File(_) | KeyError::Entropy(_) | KeyError::Damaged | KeyError::Issue(_) => {
                Self::Defect(Box::new(error))
            }
        }
    }
}

impl From<SettleError> for Refused {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::Unknown(_) => Self::NotFound(error.to_string()),
            SettleError::Settled(_) => Self::Conflict(error.to_string()),
            SettleError::NoParty { .. } => Self::BadRequest(error.to_string()),
            SettleError::Store(error) => error.into(),
        }
    }
}

impl From<RedeemError> for Refused {
    fn from(error: RedeemError) -> Self {
        match error {
            RedeemError::Code(_) => Self::BadRequest(error.to_string()),
            RedeemError::NoAccount(_) => Self::NotFound(error.to_string()),
            RedeemError::OtherAccount | RedeemError::TooManyWaiting | RedeemError::Refused(_) => {
                Self::Conflict(error.to_string())
            }
            RedeemError::Store(error) => error.into(),
        }
    }
}

impl From<QuarantineError> for Refused {
    fn from(error: QuarantineError) -> Self {
        match error {
            QuarantineError::Unknown(_) => Self::NotFound(error.to_string()),
            QuarantineError::Resolved(_) | QuarantineError::StillPoison(_) => {
                Self::Conflict(error.to_string())
            }
            QuarantineError::Store(error) => error.into(),
        }
    }
}

/// Answers for paths that do not exist.
pub(super) async fn unknown_path() -> Refused {
    Refused::NotFound("there is nothing here: /openapi.json lists what there is".to_owned())
}

/// Answers for methods that a path does not have.
pub(super) async fn unknown_method() -> Response {
    let problem = Problem {
        error: "method",
        message: "this path has another method: /openapi.json lists what there is".to_owned(),
    };
    (StatusCode::METHOD_NOT_ALLOWED, Json(problem)).into_response()
}
