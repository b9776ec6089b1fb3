//! Talks to the daemon on this machine.

use std::path::Path;
use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use crate::api::{ADDRESS_FILE, TOKEN_FILE};
use crate::identity::tls::provider;

/// How long the daemon may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The daemon on this machine.
#[derive(Debug)]
pub(super) struct Daemon {
    client: reqwest::Client,
    base: String,
    token: String,
}

/// Why the daemon did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum DaemonError {
    #[error(
        "the daemon cannot be reached ({0}): start it with `systemctl start tillbind`, or see that \
         this user may read its data directory"
    )]
    Unreachable(String),
    #[error("{message}")]
    Refused {
        status: StatusCode,
        body: Value,
        message: String,
    },
}

impl Daemon {
    /// Finds the daemon by what it wrote into its data directory.
    pub(super) fn find(data_dir: &Path) -> Result<Self, DaemonError> {
        let read = |name: &str| {
            let path = data_dir.join(name);
            std::fs::read_to_string(&path)
                .map(|text| text.trim().to_owned())
                .map_err(|e| DaemonError::Unreachable(format!("{}: {e}", path.display())))
        };
        let unreachable =
            |error: &dyn std::error::Error| DaemonError::Unreachable(error.to_string());
        // The API speaks plain HTTP on loopback; an empty trust store keeps the client from loading
        // the system's.
        let tls = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|e| unreachable(&e))?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .connect_timeout(ANSWER_TIMEOUT)
            .build()
            .map_err(|e| unreachable(&e))?;
        let base = format!("http://{}", read(ADDRESS_FILE)?);
        Ok(Self {
            client,
            base,
            token: read(TOKEN_FILE)?,
        })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, DaemonError> {
        self.ask(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, DaemonError> {
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, DaemonError> {
        let mut request = self.request(method, path).timeout(ANSWER_TIMEOUT);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = sent(request.send().await)?;
        let status = answer.status();
        let body: Value = answer
            .json()
            .await
            .map_err(|e| DaemonError::Unreachable(e.to_string()))?;
        if status.is_success() {
            return Ok(body);
        }
        let message = body
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or("no reason")
            .to_owned();
        Err(DaemonError::Refused {
            status,
            body,
            message,
        })
    }

    /// Opens the stream of what is recorded.
    pub(super) async fn watch(&self) -> Result<Response, DaemonError> {
        sent(self.request(Method::GET, "/v1/events").send().await)
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token)
    }
}

fn sent(answer: Result<Response, reqwest::Error>) -> Result<Response, DaemonError> {
    answer
        .map_err(|error| DaemonError::Unreachable(crate::identity::no_connection::explain(&error)))
}
