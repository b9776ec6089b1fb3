//! Enrolment: tokens that work once, and the identities that they buy.
//!
//! A token's secret is stored as its SHA-256 alone. It is used up by one conditional update, so that
//! two tills that try it at once get one identity; the one that got it may ask again with the same
//! key, in case the answer was lost.

use sea_orm::ConnectionTrait;
use sha2::{Digest, Sha256};
use tillbind_protocol::enrol::{EnrolRequest, EnrolResponse, Token};
use tillbind_protocol::ids::{StoreId, TerminalId, WorkstationId};

use crate::audit::{self, Entry};
use crate::ca::{self, CertificateAuthority, RequestError};
use crate::entropy::{self, EntropyError};
use crate::plain_text::plain_text;
use crate::store::statement::{execute, row};
use crate::store::{Store, StoreError};
use crate::terminals::Terminal;
use crate::values;

pub mod flood;

/// Longest signing request that is looked at, in bytes.
pub const CSR_BYTES_MAX: usize = 8 * 1024;
/// Longest fingerprint and version that are kept, in bytes.
const TEXT_BYTES_MAX: usize = 128;

/// What a new token is for.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The store.
    pub store: StoreId,
    /// The workstation.
    pub workstation: WorkstationId,
    /// How long it works, in milliseconds.
    pub life_ms: i64,
    /// Address of the sync listener as terminals reach it.
    pub url: String,
}

/// An identity that was not given.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// No such token.
    #[error("the token is unknown: ask headquarters for a new one")]
    UnknownToken,
    /// It was used.
    #[error("the token was used already: ask headquarters for a new one")]
    TokenUsed,
    /// It ended.
    #[error("the token has expired: ask headquarters for a new one")]
    TokenExpired,
    /// The signing request cannot be used.
    #[error("the signing request cannot be used: {0}")]
    Request(#[source] RequestError),
    /// The renewal came from another machine than the one that enrolled.
    #[error(
        "this identity belongs to another machine: its disk or data directory was copied; enrol \
         this machine with a token of its own"
    )]
    Cloned,
    /// A field is too long or empty.
    #[error("the enrolment is malformed: {0}")]
    Malformed(&'static str),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// Makes a token and returns the word to hand to the technician.
///
/// # Errors
/// [`EnrolError::Store`], [`EnrolError::Entropy`].
pub async fn create_token(
    store: &Store,
    ca: &CertificateAuthority,
    token: &NewToken,
    actor: &str,
    now_ms: i64,
) -> Result<Token, EnrolError> {
    let secret = entropy::secret()?;
    let tx = store.begin().await?;
    let sql = "INSERT INTO tokens (secret_hash, store, workstation, created_ms, expires_ms)
        VALUES ($1, $2, $3, $4, $5)";
    let values = values![
        hashed(&secret),
        token.store.as_str(),
        token.workstation.as_str(),
        now_ms,
        now_ms.saturating_add(token.life_ms),
    ];
    execute(&*tx, "keep a token", sql, values).await?;
    let entry = Entry {
        actor,
        action: "token.created",
        subject: &format!("{}/{}", token.store, token.workstation),
        detail: "",
    };
    audit::write(&*tx, &entry, now_ms).await?;
    tx.commit().await?;
    Ok(Token {
        url: token.url.clone(),
        ca_sha256: ca.sha256(),
        secret,
    })
}

/// Returns the address that a token carries when none is named: the first public name, or the
/// machine itself, and the listener's port.
pub fn default_url(public_names: &[String], port: u16) -> String {
    let host = public_names.first().map_or("localhost", String::as_str);
    if host.contains(':') {
        format!("https://[{host}]:{port}")
    } else {
        format!("https://{host}:{port}")
    }
}

/// Gives an identity for a token.
///
/// # Errors
/// [`EnrolError`] with what is wrong with the token or the request.
pub async fn enrol(
    store: &Store,
    authority: &CertificateAuthority,
    request: &EnrolRequest,
    now_ms: i64,
) -> Result<EnrolResponse, EnrolError> {
    if request.csr_pem.len() > CSR_BYTES_MAX {
        return Err(EnrolError::Malformed("the signing request is too long"));
    }
    // It is compared byte by byte later, so that it must survive being kept.
    if request.machine.is_empty() || request.machine != plain_text(&request.machine, TEXT_BYTES_MAX)
    {
        return Err(EnrolError::Malformed(
            "the machine's fingerprint is missing, too long or no plain text",
        ));
    }
    // A malformed request has no key and fails when it is to be signed; the token comes first.
    let key = ca::requested_key(&request.csr_pem).unwrap_or_default();
    let hash = hashed(&request.secret);
    let id = TerminalId::new(entropy::short_name("t")?)
        .map_err(|_| EnrolError::Malformed("the terminal cannot be named"))?;
    let tx = store.begin().await?;
    let claim = "UPDATE tokens SET used_ms = $2, used_key = $3, terminal = $4
        WHERE secret_hash = $1 AND used_ms IS NULL AND expires_ms > $2
        RETURNING store, workstation";
    let values = values![hash.clone(), now_ms, key.clone(), id.as_str()];
    let Some(claimed) = row(&*tx, "use a token", claim, values).await? else {
        return repeated(&*tx, authority, &hash, &key).await;
    };
    let (store_id, workstation) = (
        claimed.parsed::<StoreId>(0)?,
        claimed.parsed::<WorkstationId>(1)?,
    );
    let issued = authority
        .sign_terminal(&request.csr_pem, &id, entropy::bytes()?, now_ms)
        .map_err(EnrolError::Request)?;
    let supersede = "UPDATE terminals SET superseded_ms = $3
        WHERE store = $1 AND workstation = $2 AND superseded_ms IS NULL";
    let values = values![store_id.as_str(), workstation.as_str(), now_ms];
    execute(&*tx, "mark a former terminal", supersede, values).await?;
    let insert = "INSERT INTO terminals (terminal, store, workstation, serial, certificate,
        machine, version, enrolled_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values = values![
        id.as_str(),
        store_id.as_str(),
        workstation.as_str(),
        issued.serial,
        issued.pem.clone(),
        request.machine.as_str(),
        plain_text(&request.version, TEXT_BYTES_MAX),
        now_ms,
    ];
    execute(&*tx, "note a terminal", insert, values).await?;
    let entry = Entry {
        actor: &format!("terminal:{id}"),
        action: "terminal.enrolled",
        subject: &format!("{store_id}/{workstation}"),
        detail: "",
    };
    audit::write(&*tx, &entry, now_ms).await?;
    tx.commit().await?;
    Ok(EnrolResponse {
        terminal: id,
        store: store_id,
        workstation,
        certificate_pem: issued.pem,
        ca_pem: authority.certificate_pem().to_owned(),
    })
}

/// A token that could not be claimed: the same till asking again gets the same answer, everybody
/// else the reason.
async fn repeated(
    on: &impl ConnectionTrait,
    ca: &CertificateAuthority,
    hash: &str,
    key: &str,
) -> Result<EnrolResponse, EnrolError> {
    let sql = "SELECT k.used_ms, k.used_key, t.terminal, t.store, t.workstation, t.certificate
        FROM tokens k LEFT JOIN terminals t ON t.terminal = k.terminal
        WHERE k.secret_hash = $1";
    let Some(token) = row(on, "look up a token", sql, values![hash]).await? else {
        return Err(EnrolError::UnknownToken);
    };
    if token.int_opt(0)?.is_none() {
        return Err(EnrolError::TokenExpired);
    }
    if token.text_opt(1)?.as_deref() != Some(key) {
        return Err(EnrolError::TokenUsed);
    }
    Ok(EnrolResponse {
        terminal: token.parsed(2)?,
        store: token.parsed(3)?,
        workstation: token.parsed(4)?,
        certificate_pem: token.text(5)?,
        ca_pem: ca.certificate_pem().to_owned(),
    })
}

/// Gives a terminal a fresh certificate, which counts beside the old one until it is first used.
///
/// # Errors
/// [`EnrolError`] when the signing request cannot be used or comes from another machine.
pub async fn renew(
    store: &Store,
    authority: &CertificateAuthority,
    terminal: &Terminal,
    request: &EnrolRequest,
    now_ms: i64,
) -> Result<EnrolResponse, EnrolError> {
    if request.csr_pem.len() > CSR_BYTES_MAX {
        return Err(EnrolError::Malformed("the signing request is too long"));
    }
    if request.machine != terminal.machine {
        return Err(EnrolError::Cloned);
    }
    let issued = authority
        .sign_terminal(&request.csr_pem, &terminal.id, entropy::bytes()?, now_ms)
        .map_err(EnrolError::Request)?;
    let tx = store.begin().await?;
    let sql = "UPDATE terminals SET serial_pending = $2, certificate = $3 WHERE terminal = $1";
    let values = values![terminal.id.as_str(), issued.serial, issued.pem.clone()];
    execute(&*tx, "note a renewed certificate", sql, values).await?;
    tx.commit().await?;
    Ok(EnrolResponse {
        terminal: terminal.id.clone(),
        store: terminal.store.clone(),
        workstation: terminal.workstation.clone(),
        certificate_pem: issued.pem,
        ca_pem: authority.certificate_pem().to_owned(),
    })
}

fn hashed(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_points_at_the_first_public_name() {
        let names = ["hq.example".to_owned(), "10.0.0.7".to_owned()];
        assert_eq!(default_url(&names, 7443), "https://hq.example:7443");
        assert_eq!(
            default_url(&["fd00::1".to_owned()], 1),
            "https://[fd00::1]:1"
        );
        assert_eq!(default_url(&[], 7443), "https://localhost:7443");
    }
}
