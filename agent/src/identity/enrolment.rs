//! The enrolment: from a token to an identity.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tillbind_protocol::enrol::{EnrolRequest, EnrolResponse, PATH, Refusal, Token, TokenError};
use tillbind_protocol::ids::TerminalId;
use zeroize::Zeroizing;

use super::no_connection::explain;
use super::pinned_ca::{PinnedCa, fingerprint};
use super::server_dates::SuspectTime;
use super::tls::{self, TlsError};
use super::{Identity, IdentityError};

/// How long central may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Why a terminal could not be enrolled or its certificate not renewed.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The token is none.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It has an identity.
    #[error(
        "this terminal is enrolled as {terminal} already: to give it a new identity add --again"
    )]
    AlreadyEnrolled {
        /// The identity that it has.
        terminal: TerminalId,
    },
    /// Another server answered.
    #[error(
        "the server at {url} is not the headquarters that made this token: its CA is another. Check \
         the address and ask for a new token; nothing was sent to it"
    )]
    WrongCa {
        /// The address of the token.
        url: String,
    },
    /// Nobody answered.
    #[error(
        "headquarters at {url} cannot be reached ({reason}): check the line, the address and this \
         machine's clock, then try again; the token was not used"
    )]
    Unreachable {
        /// The address of the token.
        url: String,
        /// What failed.
        reason: String,
    },
    /// Central refused.
    #[error("headquarters refused: {message}")]
    Refused {
        /// Stable word.
        error: String,
        /// What happened and what to do.
        message: String,
    },
    /// Central's answer makes no sense.
    #[error("headquarters answered with something else than an identity ({0})")]
    Answer(String),
    /// No key or request could be made.
    #[error("a key cannot be made on this machine")]
    Key(#[from] rcgen::Error),
    /// TLS could not be prepared.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The identity cannot be read or kept.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// What the agent tells of itself when it enrols.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Fingerprint of the machine.
    pub fingerprint: String,
    /// Version of the agent.
    pub version: String,
}

/// Makes a key, has it certified by the central that made the token, and keeps the identity in
/// `data_dir`, which must exist.
///
/// # Errors
/// [`EnrolError`]; nothing is kept then.
pub async fn enrol(
    data_dir: &Path,
    token: &str,
    again: bool,
    machine: &Machine,
) -> Result<Identity, EnrolError> {
    let token = Token::decode(token)?;
    match Identity::load(data_dir) {
        Ok(Some(present)) if !again => {
            return Err(EnrolError::AlreadyEnrolled {
                terminal: present.terminal,
            });
        }
        // With --again a damaged identity is replaced like any other.
        Err(error) if !again => return Err(error.into()),
        Ok(_) | Err(_) => {}
    }
    let ca = Arc::new(PinnedCa::new(&token.ca_sha256, tls::provider()));
    let client = tls::pinning_client(Arc::clone(&ca))?;
    let (key_pem, csr_pem) = new_key()?;
    let request = EnrolRequest {
        secret: token.secret.clone(),
        csr_pem,
        machine: machine.fingerprint.clone(),
        version: machine.version.clone(),
    };
    let answer = match post(&client, &token.url, PATH, &request).await {
        Err(EnrolError::Unreachable { url, .. }) if ca.saw_another() => {
            return Err(EnrolError::WrongCa { url });
        }
        answered => answered?,
    };
    let identity = identity_of(answer, token.url, key_pem, &token.ca_sha256)?;
    identity.store(data_dir)?;
    Ok(identity)
}

/// Makes a private key (PKCS #8, PEM) and its signing request (PEM).
pub(super) fn new_key() -> Result<(Zeroizing<String>, String), EnrolError> {
    let key = KeyPair::generate()?;
    let request = CertificateParams::new(Vec::<String>::new())?
        .serialize_request(&key)?
        .pem()?;
    Ok((Zeroizing::new(key.serialize_pem()), request))
}

/// Builds the identity and sees that its CA is the expected one.
pub(super) fn identity_of(
    answer: EnrolResponse,
    url: String,
    key_pem: Zeroizing<String>,
    ca_sha256: &str,
) -> Result<Identity, EnrolError> {
    let cas = tls::certificates(&answer.ca_pem, "CA")?;
    if !cas
        .iter()
        .all(|ca| fingerprint(ca).eq_ignore_ascii_case(ca_sha256))
    {
        return Err(EnrolError::Answer(
            "its CA is another than the one that was trusted".to_owned(),
        ));
    }
    let identity = Identity {
        terminal: answer.terminal,
        store: answer.store,
        workstation: answer.workstation,
        url,
        certificate_pem: answer.certificate_pem,
        ca_pem: answer.ca_pem,
        key_pem,
    };
    // A certificate that does not belong to the key must never replace one that does.
    tls::client_of(&identity, SuspectTime::wall())?;
    Ok(identity)
}

/// Posts a request of the enrolment and reads the answer.
pub(super) async fn post<Q: Serialize, A: DeserializeOwned>(
    client: &reqwest::Client,
    url: &str,
    path: &str,
    request: &Q,
) -> Result<A, EnrolError> {
    let unreachable = |error: reqwest::Error| EnrolError::Unreachable {
        url: url.to_owned(),
        reason: explain(&error),
    };
    let address = format!("{}{path}", url.trim_end_matches('/'));
    let sent = client
        .post(address)
        .timeout(ANSWER_TIMEOUT)
        .json(request)
        .send();
    let mut answer = sent.await.map_err(unreachable)?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(EnrolError::Answer("it is too long".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return serde_json::from_slice(&body)
            .map_err(|error| EnrolError::Answer(error.to_string()));
    }
    match serde_json::from_slice::<Refusal>(&body) {
        Ok(refusal) => Err(EnrolError::Refused {
            error: refusal.error,
            message: refusal.message,
        }),
        Err(_) => Err(EnrolError::Answer(format!("HTTP {status}"))),
    }
}
