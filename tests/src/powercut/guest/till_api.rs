//! The till's API from within the machine: one connection a call, no TLS and so no certificates.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Longest wait for an answer, on a translated processor.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A caller of the API.
#[derive(Debug)]
pub(super) struct TillApi {
    pub(super) address: SocketAddr,
    pub(super) token: String,
}

impl TillApi {
    /// Calls `path`, with a body or without, and returns the answer if it has the status `wanted`.
    pub(super) fn call(&self, path: &str, body: Option<&Value>, wanted: u16) -> Result<Value> {
        let method = if body.is_some() { "POST" } else { "GET" };
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.write_all(
            format!(
                "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                self.address,
                self.token.trim(),
                body.len()
            )
            .as_bytes(),
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .context("the agent's answer ends early")?;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        if status != Some(wanted) {
            bail!("{method} {path} was answered with {head:?} and not {wanted}: {body}");
        }
        serde_json::from_str(body).with_context(|| format!("no JSON: {body}"))
    }
}
