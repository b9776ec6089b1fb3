//! One exchange over HTTP: request to bytes, bytes to answer, every bound kept.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tillbind_protocol::clock::Uptime;
use tillbind_protocol::dictionary::{UNKNOWN_DICTIONARY, WINDOW_LOG_MAX};
use tillbind_protocol::enrol::Refusal;
use tillbind_protocol::exchange::{
    ExchangeRequest, ExchangeResponse, PATH, RESPONSE_BYTES_MAX, Versions,
};

use super::packing::Packer;
use crate::clock;
use crate::identity::no_connection::explain;
use crate::identity::tls::{self, TlsError};
use crate::identity::{Identity, SuspectTime};

/// The line to central.
#[derive(Debug, Clone)]
pub(super) struct Line {
    client: reqwest::Client,
    address: String,
    packer: Arc<Packer>,
}

/// An answer with the times at which its request left and it arrived.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: ExchangeResponse,
    pub(super) sent: Uptime,
    pub(super) arrived: Uptime,
    pub(super) received: std::time::Instant,
}

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("headquarters cannot be reached: {0}")]
    Unreachable(String),
    #[error("headquarters refuses this terminal: {0}")]
    Refused(String),
    #[error("headquarters reads another version: {message}")]
    Version {
        theirs: Option<Versions>,
        message: String,
    },
    #[error("the request is too long for headquarters: {0}")]
    TooLarge(String),
    #[error("headquarters cannot unpack the request: {message}")]
    Dictionary { is_known: bool, message: String },
    #[error("headquarters answered HTTP {status}: {message}")]
    Http { status: u16, message: String },
    #[error("headquarters' answer cannot be read: {0}")]
    Malformed(String),
    #[error("the request cannot be written: {0}")]
    Request(String),
}

/// The version since which a request may be packed with a dictionary.
const DICTIONARY_SINCE: u16 = 2;

/// Words of a refusal that only people can end.
const REFUSED: [&str; 3] = ["revoked", "cloned", "no_certificate"];

impl Line {
    pub(super) fn new(identity: &Identity, time: SuspectTime) -> Result<Self, TlsError> {
        Ok(Self {
            client: tls::client_of(identity, time)?,
            address: format!("{}{PATH}", identity.url.trim_end_matches('/')),
            packer: Arc::new(Packer::default()),
        })
    }

    /// Returns the dictionary that headquarters is told of.
    pub(super) fn dictionary(&self) -> u32 {
        self.packer.dictionary()
    }

    /// Packs requests with another dictionary from now on, or with none.
    pub(super) fn set_packer(&mut self, packer: Packer) {
        self.packer = Arc::new(packer);
    }

    /// Sends a request. The timeout lies beyond the machine's own, which is the one that counts.
    pub(super) async fn exchange(
        self,
        mut request: ExchangeRequest,
        timeout: Duration,
    ) -> Result<Answer, LineError> {
        if request.v >= DICTIONARY_SINCE {
            request.dictionary = self.packer.dictionary();
        }
        let json = serde_json::to_vec(&request).map_err(|e| LineError::Request(e.to_string()))?;
        let body = if request.v < DICTIONARY_SINCE {
            Packer::pack_plain(&json)
        } else {
            self.packer.pack(&json)
        };
        let body = body.map_err(|e| LineError::Request(e.to_string()))?;
        let unreachable = |error: reqwest::Error| LineError::Unreachable(explain(&error));
        let sent = clock::uptime();
        let posted = self
            .client
            .post(&self.address)
            .header("content-type", "application/json")
            .header("content-encoding", "zstd")
            .header("accept-encoding", "zstd")
            .timeout(timeout)
            .body(body)
            .send();
        let mut answer = posted.await.map_err(unreachable)?;
        let status = answer.status();
        let packed = answer
            .headers()
            .get("content-encoding")
            .is_some_and(|encoding| encoding.as_bytes() == b"zstd");
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > RESPONSE_BYTES_MAX {
                return Err(LineError::Malformed("it is too long".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        let (arrived, received) = (clock::uptime(), clock::monotonic());
        let body = if packed { unpack(&body)? } else { body };
        if status.is_success() {
            return Ok(Answer {
                response: read(&body)?,
                sent,
                arrived,
                received,
            });
        }
        Err(match refused(status.as_u16(), &body) {
            // Whatever is wrong with a body that a dictionary packed may be wrong with the dictionary.
            LineError::Http {
                status: 400,
                message,
            } if self.packer.has_dictionary() => LineError::Dictionary {
                is_known: true,
                message,
            },
            error @ (LineError::Unreachable(_)
            | LineError::Refused(_)
            | LineError::Version { .. }
            | LineError::TooLarge(_)
            | LineError::Dictionary { .. }
            | LineError::Http { .. }
            | LineError::Malformed(_)
            | LineError::Request(_)) => error,
        })
    }
}

/// Reads an answer that is no success; something before headquarters may have given it.
fn refused(status: u16, body: &[u8]) -> LineError {
    let (word, message, theirs) = match read::<Refusal>(body) {
        Ok(refusal) => (refusal.error, refusal.message, refusal.versions),
        Err(_) => (String::new(), "no reason".to_owned(), None),
    };
    match status {
        413 => LineError::TooLarge(message),
        426 => LineError::Version { theirs, message },
        409 if word == UNKNOWN_DICTIONARY => LineError::Dictionary {
            is_known: false,
            message,
        },
        _ if REFUSED.contains(&word.as_str()) => LineError::Refused(message),
        _ => LineError::Http { status, message },
    }
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, LineError> {
    let malformed = |error: std::io::Error| LineError::Malformed(error.to_string());
    let mut body = Vec::new();
    let most = RESPONSE_BYTES_MAX as u64 + 1;
    let mut decoder = zstd::stream::read::Decoder::new(packed).map_err(malformed)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(malformed)?;
    decoder
        .take(most)
        .read_to_end(&mut body)
        .map_err(malformed)?;
    if body.len() > RESPONSE_BYTES_MAX {
        return Err(LineError::Malformed("it unpacks to too much".to_owned()));
    }
    Ok(body)
}

/// Reads an answer's body as an exchange would.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_answer(packed: bool, body: &[u8]) -> Option<ExchangeResponse> {
    if packed {
        read(&unpack(body).ok()?).ok()
    } else {
        read(body).ok()
    }
}

fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, LineError> {
    serde_json::from_slice(body).map_err(|e| LineError::Malformed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_do_about_it_and_one_without_words_is_read_too() {
        let of_1 = br#"{"error":"version","message":"update"}"#;
        let theirs = |error| {
            let LineError::Version { theirs, .. } = error else {
                panic!("{error:?}");
            };
            theirs
        };
        assert_eq!(theirs(refused(426, of_1)), None);
        let of_2 = br#"{"error":"version","message":"update","versions":{"min":1,"current":1}}"#;
        let one = Versions { min: 1, current: 1 };
        assert_eq!(theirs(refused(426, of_2)), Some(one));
        assert_eq!(theirs(refused(426, b"<html>")), None);
        assert!(matches!(refused(413, b"<html>"), LineError::TooLarge(_)));
        let revoked = br#"{"error":"revoked","message":"m"}"#;
        assert!(matches!(refused(403, revoked), LineError::Refused(_)));
        let down = refused(502, b"<html>");
        assert!(matches!(down, LineError::Http { status: 502, .. }));
    }

    #[test]
    fn an_answer_that_unpacks_to_too_much_is_refused() {
        let bomb = zstd::bulk::compress(&vec![0; RESPONSE_BYTES_MAX + 10], 1).unwrap();
        assert!(bomb.len() < 10_000);
        assert!(matches!(unpack(&bomb), Err(LineError::Malformed(_))));
    }
}
