//! The listener for headquarters: exports and every change by hand, over HTTP.
//!
//! Plain HTTP on loopback; on any other address TLS with the server's certificate, whose root is
//! `ca.pem` in the data directory: keys never cross a network in clear. Who asks shows an API key as
//! bearer token; a route needs a role; every change is in the audit trail with the key's name and
//! where the request came from. Browsers are not served: a request with an `Origin`, or for a `Host`
//! that is not ours, is refused, since a page that somebody looks at must reach nothing here.
//!
//! What is bounded: connections, bodies, wrong keys by address, the time of a request, exports at
//! once and how long one waits for its reader.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, get, post};
use axum::{Router, middleware};
use tokio::sync::{Mutex, Semaphore, watch};

use crate::api_keys::{self, Role};
use crate::enrolment::flood::Flood;
use crate::export::Kind;
use crate::serve::{self, Central, ServeError};
use crate::sync::listener::Listener;

mod access;
mod accounts;
mod claims;
mod disputes;
mod document;
mod exports;
mod health;
mod keys;
mod metrics;
mod quarantine;
mod refusal;
mod request;
mod terminals;

pub use document::document;

/// Most connections at once; further ones are closed.
pub(crate) const CONNECTIONS_MAX: usize = 256;
/// Most bytes of a body: a mended record, and what JSON adds to it.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Exports at once, each of which holds a database connection; further ones are told to come back.
const EXPORTS_MAX: usize = 4;

/// What requests are served from.
#[derive(Debug)]
struct Admin {
    central: Central,
    /// Wrong keys.
    flood: Mutex<Flood>,
    exports: Arc<Semaphore>,
}

/// Binds the listener: plain on loopback, under `tls` elsewhere.
///
/// # Errors
/// [`ServeError`] when it cannot be bound or its address cannot be written down.
pub async fn listener(
    central: &Central,
    tls: watch::Receiver<Arc<rustls::ServerConfig>>,
    stopping: watch::Receiver<bool>,
) -> Result<Listener, ServeError> {
    let address = central.config.admin.listen;
    let socket = serve::bind(&central.data_dir, "admin", "admin.listen", address).await?;
    if api_keys::list_api_keys(&central.store).await?.is_empty() {
        tracing::info!(
            "nobody has an API key for the admin listener yet: `tillbind-central api-key create \
             --role admin` prints one"
        );
    }
    Ok(Listener {
        socket,
        tls: (!address.ip().is_loopback()).then_some(tls),
        strangers_stay: true,
        connections_max: CONNECTIONS_MAX,
        metrics: Arc::clone(&central.metrics.admin),
        stopping,
    })
}

/// Returns every route with the role that it needs.
pub fn router(central: &Central) -> Router {
    let admin = Arc::new(Admin {
        central: central.clone(),
        flood: Mutex::new(Flood::default()),
        exports: Arc::new(Semaphore::new(EXPORTS_MAX)),
    });
    let open = Router::new()
        .route("/api/v1/health", get(health::show))
        .route("/openapi.json", get(document::show))
        .route("/api/v1/openapi.json", get(document::show));
    let mut reading = Router::new()
        .route("/metrics", get(metrics::show))
        .route("/api/v1/quarantine/{id}", get(quarantine::show));
    let mut all = open;
    for kind in Kind::ALL {
        let path = document::export_path(kind);
        if document::export_role(kind) == Role::Reader {
            reading = reading.route(&path, exports::of(kind));
        } else {
            let route = Router::new().route(&path, exports::of(kind));
            all = all.merge(only(&admin, document::export_role(kind), route));
        }
    }
    let operating = Router::new()
        .route("/api/v1/accounts", post(accounts::create))
        .route("/api/v1/member-codes", post(accounts::create_code))
        .route("/api/v1/claims/redeem", post(claims::redeem))
        .route("/api/v1/disputes/{id}/settle", post(disputes::settle))
        .route("/api/v1/quarantine/replay", post(quarantine::replay_many))
        .route("/api/v1/quarantine/{id}/reveal", post(quarantine::reveal))
        .route("/api/v1/quarantine/{id}/replay", post(quarantine::replay))
        .route("/api/v1/quarantine/{id}/drop", post(quarantine::drop_entry));
    let administering = Router::new()
        .route("/api/v1/tokens", post(terminals::create_token))
        .route("/api/v1/terminals/{id}/revoke", post(terminals::revoke))
        .route("/api/v1/api-keys", key_routes())
        .route("/api/v1/api-keys/{id}/revoke", post(keys::revoke));
    all.merge(only(&admin, Role::Reader, reading))
        .merge(only(&admin, Role::Operator, operating))
        .merge(only(&admin, Role::Admin, administering))
        .fallback(refusal::unknown_path)
        .method_not_allowed_fallback(refusal::unknown_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&admin),
            access::no_browsers,
        ))
        .with_state(admin)
}

fn key_routes() -> MethodRouter<Arc<Admin>> {
    get(keys::list).post(keys::create)
}

fn only(admin: &Arc<Admin>, role: Role, routes: Router<Arc<Admin>>) -> Router<Arc<Admin>> {
    let guard = (Arc::clone(admin), role);
    routes.route_layer(middleware::from_fn_with_state(guard, access::only))
}
