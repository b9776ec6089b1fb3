//! Who may come in: programs with a key, never a browser.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Admin;
use super::refusal::Refused;
use crate::api_keys::{self, Role};
use crate::clock::now_ms;
use crate::sync::identity::Peer;

/// How long a request may take until its answer begins.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest key that is looked at, in bytes.
const KEY_BYTES_MAX: usize = 128;

/// Whoever asked, for the audit trail.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// `api-key:ID@ADDRESS`.
    pub(super) actor: String,
}

/// Refuses what a browser sends on behalf of a page: a foreign name in `Host` (DNS rebinding), or an
/// `Origin`.
pub(super) async fn no_browsers(
    State(admin): State<Arc<Admin>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if headers.contains_key(header::ORIGIN) {
        return Refused::Browser.into_response();
    }
    let named = host(request.uri(), headers);
    if !named.is_some_and(|host| is_ours(host, &admin.central.config.public_names)) {
        return Refused::Host.into_response();
    }
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => Refused::Slow.into_response(),
    }
}

/// Lets in who shows a key of at least a role.
pub(super) async fn only(
    State((admin, role)): State<(Arc<Admin>, Role)>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    match caller(&admin, role, peer.address.ip(), request.headers()).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refused) => refused.into_response(),
    }
}

async fn caller(
    admin: &Admin,
    role: Role,
    from: IpAddr,
    headers: &HeaderMap,
) -> Result<Caller, Refused> {
    let key = bearer(headers).ok_or(Refused::NoKey)?;
    if !admin.flood.lock().await.admits(from, now_ms()) {
        return Err(Refused::Flood);
    }
    let Some(holder) = api_keys::holder(&admin.central.store, key).await? else {
        admin.flood.lock().await.handle_failure(from, now_ms());
        tracing::warn!(address = %from, "a wrong API key was shown");
        return Err(Refused::WrongKey);
    };
    if holder.role < role {
        return Err(Refused::Role {
            has: holder.role,
            needs: role,
        });
    }
    Ok(Caller {
        actor: format!("api-key:{}@{from}", holder.id),
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    let key = key.trim();
    let fits = scheme.eq_ignore_ascii_case("bearer") && (1..=KEY_BYTES_MAX).contains(&key.len());
    fits.then_some(key)
}

/// Returns the name that the request is for, without its port: from the URI on HTTP/2, from `Host`
/// on HTTP/1.1.
fn host<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    if let Some(host) = uri.host() {
        return Some(host);
    }
    let named = headers.get(header::HOST)?.to_str().ok()?;
    if named.starts_with('[') {
        return named.split_inclusive(']').next();
    }
    named.split(':').next()
}

/// An address cannot be rebound by anybody's DNS; of names, only ours are answered.
fn is_ours(host: &str, public_names: &[String]) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || public_names
            .iter()
            .any(|name| name.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, value.parse().unwrap());
        headers
    }

    #[test]
    fn only_our_names_and_plain_addresses_are_answered() {
        let names = ["hq.example".to_owned()];
        let uri = Uri::from_static("/api/v1/health");
        for (value, ours) in [
            ("127.0.0.1:7480", true),
            ("[::1]:7480", true),
            ("[::1]", true),
            ("LOCALHOST:1", true),
            ("hq.example", true),
            ("evil.example:7480", false),
            ("hq.example.evil.example", false),
            ("127.0.0.1.nip.io:7480", false),
            ("", false),
        ] {
            let headers = named(value);
            let answered = host(&uri, &headers).is_some_and(|host| is_ours(host, &names));
            assert_eq!(answered, ours, "{value}");
        }
        let authority = Uri::from_static("https://evil.example/api/v1/health");
        assert_eq!(host(&authority, &named("localhost")), Some("evil.example"));
    }

    #[test]
    fn a_key_is_a_bearer_token_of_sensible_length() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers), None);
        for (value, key) in [
            ("Bearer tbk_x", Some("tbk_x")),
            ("bearer  tbk_x", Some("tbk_x")),
            ("Basic dTpw", None),
            ("Bearer ", None),
            ("tbk_x", None),
        ] {
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert_eq!(bearer(&headers), key, "{value}");
        }
        let long = format!("Bearer {}", "x".repeat(KEY_BYTES_MAX + 1));
        headers.insert(header::AUTHORIZATION, long.parse().unwrap());
        assert_eq!(bearer(&headers), None);
    }
}
