//! The till's HTTP API, as a POS would call it: one call at a time, each answered or failed.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::provider;

/// Longest wait for an answer: an agent that is alive answers in milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// A caller with its own connection.
#[derive(Debug)]
pub struct Api {
    base: String,
    token: String,
    client: Client,
    runtime: Runtime,
}

/// What the agent answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Body; `Null` where it was empty, a text where it was no JSON.
    pub body: Value,
}

impl Reply {
    /// Returns the body of an answer that had to have `status`.
    ///
    /// # Errors
    /// When it has another.
    pub fn expect(self, status: u16) -> Result<Value> {
        ensure!(
            self.status == status,
            "answered {} and not {status}: {}",
            self.status,
            self.body
        );
        Ok(self.body)
    }
}

impl Api {
    /// Makes a caller of the API at `address`.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(address: SocketAddr, token: &str) -> Result<Self> {
        provider::install();
        Ok(Self {
            base: format!("http://{address}"),
            token: token.trim().to_owned(),
            client: Client::builder().timeout(ANSWER_WITHIN).build()?,
            runtime: Builder::new_current_thread().enable_all().build()?,
        })
    }

    /// Gets `path`.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn get(&self, path: &str) -> Result<Reply> {
        self.call(Method::GET, path, None)
    }

    /// Posts `body` to `path`.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.call(Method::POST, path, Some(body))
    }

    fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Reply> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.runtime.block_on(async {
            let answer = request.send().await.with_context(|| path.to_owned())?;
            let status = answer.status().as_u16();
            let text = answer.text().await.with_context(|| path.to_owned())?;
            let body = if text.is_empty() {
                Value::Null
            } else {
                serde_json::from_str(&text).unwrap_or(Value::String(text))
            };
            Ok(Reply { status, body })
        })
    }
}
