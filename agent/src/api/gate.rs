//! Who may call: the bearer of the token, through a name of this listener, from no foreign page.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use subtle::ConstantTimeEq;

use super::fault::Fault;

/// The token and the names under which this listener may be called.
#[derive(Debug)]
pub(super) struct Gate {
    token: String,
    address: SocketAddr,
}

impl Gate {
    pub(super) fn new(token: String, address: SocketAddr) -> Self {
        Self { token, address }
    }

    fn judge(&self, headers: &HeaderMap, authority: Option<&str>) -> Result<(), Fault> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        // HTTP/2 names the host in the request's address instead.
        let host = text(header::HOST).or(authority);
        if !host.is_some_and(|host| self.is_ours(host)) {
            return Err(Fault::new(
                StatusCode::FORBIDDEN,
                "foreign_host",
                "this API is not called by that host name: use 127.0.0.1 or localhost",
            ));
        }
        if let Some(origin) = text(header::ORIGIN)
            && !origin
                .strip_prefix("http://")
                .is_some_and(|host| self.is_ours(host))
        {
            return Err(Fault::new(
                StatusCode::FORBIDDEN,
                "foreign_origin",
                "pages of other sites may not call this API",
            ));
        }
        let bearer = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let same = |given: &str| bool::from(given.as_bytes().ct_eq(self.token.as_bytes()));
        if bearer.is_none_or(|given| !same(given.trim())) {
            return Err(Fault::new(
                StatusCode::UNAUTHORIZED,
                "no_token",
                "the bearer token is missing or wrong: it stands in api.token of the data directory",
            ));
        }
        Ok(())
    }

    /// A loopback name or the configured address, with the port that is listened on.
    fn is_ours(&self, authority: &str) -> bool {
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
            Some(_) | None => (authority, Some(80)),
        };
        let ip = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>();
        let named = host.eq_ignore_ascii_case("localhost")
            || ip.is_ok_and(|ip| ip.is_loopback() || ip == self.address.ip());
        named && port == Some(self.address.port())
    }
}

pub(super) async fn check(
    State(gate): State<Arc<Gate>>,
    request: Request,
    next: Next,
) -> Result<Response, Fault> {
    let authority = request
        .uri()
        .authority()
        .map(|authority| authority.as_str());
    gate.judge(request.headers(), authority)?;
    Ok(next.run(request).await)
}
