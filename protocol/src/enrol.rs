//! Enrolment: how a terminal gets its identity, and how it renews it.
//!
//! A token is `TBE1.` ‖ base64url(JSON): central's address, the SHA-256 fingerprint of its CA and a
//! secret that works once. The terminal makes its key, connects to the address, accepts no server
//! but one whose chain ends in that CA, and posts the secret with a signing request.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::exchange::Versions;
use crate::ids::{StoreId, TerminalId, WorkstationId};

/// Path of the enrolment on central's sync listener; needs no client certificate.
pub const PATH: &str = "/enrol/v1";
/// Path of the renewal on central's sync listener; needs the certificate that it replaces.
pub const RENEW_PATH: &str = "/enrol/v1/renew";
/// What every token starts with.
pub const TOKEN_PREFIX: &str = "TBE1.";
/// Longest token that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 2_048;

/// A token, as its holder reads it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Address of central's sync listener, as in `https://hq.example:7443`.
    #[serde(rename = "u")]
    pub url: String,
    /// SHA-256 of the CA's certificate (DER), 64 hex digits.
    #[serde(rename = "f")]
    pub ca_sha256: String,
    /// The secret.
    #[serde(rename = "s")]
    pub secret: String,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// A text that is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not an enrolment token ({0}): copy the whole line that \
     `tillbind-central token create` printed"
)]
pub struct TokenError(&'static str);

impl Token {
    /// Writes the token as one word.
    ///
    /// # Errors
    /// Never in practice: three texts always have a JSON form.
    pub fn encode(&self) -> Result<String, serde_json::Error> {
        Ok(format!(
            "{TOKEN_PREFIX}{}",
            URL_SAFE_NO_PAD.encode(serde_json::to_vec(self)?)
        ))
    }

    /// Reads a token.
    ///
    /// # Errors
    /// [`TokenError`] when it is cut, mistyped or something else.
    pub fn decode(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.len() > TOKEN_BYTES_MAX {
            return Err(TokenError("it is too long"));
        }
        let body = text
            .strip_prefix(TOKEN_PREFIX)
            .ok_or(TokenError("it does not start with TBE1."))?;
        let json = URL_SAFE_NO_PAD
            .decode(body)
            .map_err(|_| TokenError("it is cut or mistyped"))?;
        let token: Self =
            serde_json::from_slice(&json).map_err(|_| TokenError("it is cut or mistyped"))?;
        if !token.url.starts_with("https://") {
            return Err(TokenError("its address is not https"));
        }
        if token.ca_sha256.len() != 64 || !token.ca_sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(TokenError("its fingerprint is not SHA-256"));
        }
        Ok(token)
    }
}

/// Terminal to central: give me an identity.
#[derive(Clone, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// The token's secret; empty in a renewal.
    pub secret: String,
    /// Signing request (PKCS #10, PEM). Its subject is ignored: central names the terminal.
    pub csr_pem: String,
    /// Fingerprint of the machine.
    pub machine: String,
    /// Version of the agent.
    pub version: String,
}

/// Central to terminal: this is who you are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnrolResponse {
    /// The terminal's name.
    pub terminal: TerminalId,
    /// Its store.
    pub store: StoreId,
    /// Its workstation.
    pub workstation: WorkstationId,
    /// Client certificate (PEM). Subject common name = terminal, valid for about a year.
    pub certificate_pem: String,
    /// The CA (PEM) that both sides trust, and nothing else.
    pub ca_pem: String,
}

/// What central answers to a request that it did not take, under any path of the sync listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stable word: `unknown_token`, `token_used`, `token_expired`, `bad_request`, `no_certificate`,
    /// `revoked`, `cloned`, `version`, `too_large`, `busy`, `unavailable`.
    pub error: String,
    /// What happened, to what, and what to do.
    pub message: String,
    /// With `version`: what central reads. A central of version 1 does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<Versions>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_and_reads_back() {
        let token = Token {
            url: "https://hq.example:7443".into(),
            ca_sha256: "ab".repeat(32),
            secret: "s3cret".into(),
        };
        let text = token.encode().unwrap();
        assert!(!text.contains(char::is_whitespace));
        assert_eq!(Token::decode(&format!(" {text}\n")).unwrap(), token);
        assert!(!format!("{token:?}").contains("s3cret"));
    }

    #[test]
    fn a_cut_or_foreign_token_is_refused_with_what_to_do() {
        let token = Token {
            url: "https://hq.example:7443".into(),
            ca_sha256: "ab".repeat(32),
            secret: "s".into(),
        };
        let text = token.encode().unwrap();
        for bad in [&text[..text.len() / 2], "TBE1.", "hello", ""] {
            let error = Token::decode(bad).unwrap_err().to_string();
            assert!(error.contains("token create"), "{error}");
        }
        let plain = Token {
            url: "http://hq".into(),
            ..token
        }
        .encode()
        .unwrap();
        assert!(Token::decode(&plain).is_err());
    }
}
