//! Refusals: an HTTP status with a stable word and a text that says what to do.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tillbind_protocol::dictionary::UNKNOWN_DICTIONARY;
use tillbind_protocol::enrol::Refusal;
use tillbind_protocol::exchange::{CURRENT, MIN, REQUEST_BYTES_MAX, Versions};

use super::Service;
use crate::enrolment::EnrolError;
use crate::store::{Fault, StoreError};

/// Why a request was not taken.
#[derive(Debug)]
pub enum Refused {
    /// It came without a certificate.
    NoCertificate,
    /// Its certificate does not count any more, or never did.
    Barred,
    /// It speaks a version that this program does not.
    Version(u16),
    /// It is too long.
    TooLarge,
    /// It is malformed.
    BadRequest(String),
    /// It is packed with a dictionary that the database does not hold, or not for its version.
    Dictionary(u32),
    /// Too much at once.
    Busy,
    /// An enrolment failed.
    Enrol(EnrolError),
    /// The database failed.
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<EnrolError> for Refused {
    fn from(error: EnrolError) -> Self {
        if let EnrolError::Store(error) = error {
            return Self::Store(error);
        }
        Self::Enrol(error)
    }
}

impl Refused {
    fn told(&self) -> (StatusCode, &'static str, String) {
        match self {
            Self::NoCertificate => (
                StatusCode::UNAUTHORIZED,
                "no_certificate",
                "this needs the certificate that enrolment gives: run `tillbind enrol TOKEN`"
                    .to_owned(),
            ),
            Self::Barred => (
                StatusCode::FORBIDDEN,
                "revoked",
                "this terminal may not sync: it was revoked or replaced, or headquarters does not \
                 know it; enrol it again with a new token"
                    .to_owned(),
            ),
            Self::Version(asked) => (
                StatusCode::UPGRADE_REQUIRED,
                "version",
                format!(
                    "the terminal speaks version {asked}, headquarters {MIN} to {CURRENT}: update \
                     whichever is older"
                ),
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!(
                    "the request is too long: at most {REQUEST_BYTES_MAX} bytes after \
                     decompression: send fewer events at once"
                ),
            ),
            Self::BadRequest(why) => (StatusCode::BAD_REQUEST, "bad_request", why.clone()),
            Self::Dictionary(id) => (
                StatusCode::CONFLICT,
                UNKNOWN_DICTIONARY,
                format!(
                    "headquarters does not hold dictionary {id}, its database was restored from \
                     before: send without it"
                ),
            ),
            Self::Busy => (
                StatusCode::TOO_MANY_REQUESTS,
                "busy",
                "too many failed enrolments from this address: wait a minute".to_owned(),
            ),
            Self::Enrol(error) => enrolment(error),
            Self::Store(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "headquarters cannot reach its database: nothing was taken, try again later"
                    .to_owned(),
            ),
        }
    }
}

fn enrolment(error: &EnrolError) -> (StatusCode, &'static str, String) {
    let (status, word) = match error {
        EnrolError::UnknownToken => (StatusCode::FORBIDDEN, "unknown_token"),
        EnrolError::TokenUsed => (StatusCode::FORBIDDEN, "token_used"),
        EnrolError::TokenExpired => (StatusCode::FORBIDDEN, "token_expired"),
        EnrolError::Cloned => (StatusCode::FORBIDDEN, "cloned"),
        EnrolError::Request(_) | EnrolError::Malformed(_) => {
            (StatusCode::BAD_REQUEST, "bad_request")
        }
        EnrolError::Store(_) | EnrolError::Entropy(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
        }
    };
    (status, word, error.to_string())
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        if let Self::Store(error) = &self {
            log_failure(error);
        }
        let (status, word, message) = self.told();
        let refusal = Refusal {
            error: word.to_owned(),
            message,
            versions: matches!(self, Self::Version(_)).then_some(Versions::OURS),
        };
        let mut response = (status, Json(refusal)).into_response();
        response.extensions_mut().insert(Word(word));
        response
    }
}

/// The word of a refusal, beside the response that holds it.
#[derive(Debug, Clone, Copy)]
struct Word(&'static str);

/// Counts refusals by their word.
pub(super) async fn count(
    State(service): State<Arc<Service>>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    if let Some(Word(word)) = response.extensions().get::<Word>() {
        service.metrics.exchange.refuse(word);
    } else if !response.status().is_success() {
        service.metrics.exchange.refuse("bad_request");
    }
    response
}

/// Drivers repeat values in their messages, and values are personal data: only the operation and
/// the sort of failure are logged, unless the database could not be reached at all.
fn log_failure(error: &StoreError) {
    match error.fault() {
        Fault::Unavailable => {
            let source = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(%error, source, "the database is unavailable");
        }
        fault @ (Fault::Contended | Fault::Refused | Fault::Defect) => {
            tracing::error!(%error, ?fault, "a request failed at the database");
        }
    }
}

/// Answers for paths that do not exist.
pub(super) async fn unknown_path() -> Response {
    let refusal = Refusal {
        error: "bad_request".to_owned(),
        message: "there is nothing here: this listener is for terminals".to_owned(),
        versions: None,
    };
    (StatusCode::NOT_FOUND, Json(refusal)).into_response()
}
