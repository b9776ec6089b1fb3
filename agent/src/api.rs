//! The till's HTTP API, on loopback unless set otherwise.
//!
//! Browsers run on tills, so a page from anywhere may try to call it. Each request must therefore carry
//! the bearer token of `<data_dir>/api.token`, name this listener in `Host` (against rebound names), and
//! name it in `Origin` if there is one. Bodies are bounded by [`BODY_BYTES_MAX`].

pub mod body;
mod calls;
mod fault;
mod gate;
mod listing;
mod lookup;
mod openapi;
mod quarantine;
mod stream;
pub mod view;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;

use crate::clock;
use crate::config::Config;
use crate::devices::Board;
use crate::event::Event;
use crate::members::Replica;
use crate::outbox::Outbox;
use crate::run::effect::Published;
use crate::storage::private_file;
use crate::uplink::LineStatus;

/// Longest body, in bytes: twice the longest event.
pub const BODY_BYTES_MAX: usize = 512 * 1024;
/// File of the bearer token in the data directory.
pub const TOKEN_FILE: &str = "api.token";
/// File of the bound address in the data directory.
pub const ADDRESS_FILE: &str = "api.addr";
/// Length of the token before it is written in hex, in bytes.
const TOKEN_BYTES: usize = 32;

/// What the API serves from.
#[derive(Clone)]
pub struct Served {
    /// The settings.
    pub config: Arc<Config>,
    /// The owner of the state.
    pub calls: mpsc::Sender<Event>,
    /// The durable queue, for reading.
    pub outbox: Outbox,
    /// Member data, for reading.
    pub replica: Replica,
    /// The devices.
    pub board: Board,
    /// The line to central.
    pub line: watch::Receiver<LineStatus>,
    /// What was recorded, as it happens.
    pub published: broadcast::Sender<Published>,
}

/// A listener that serves.
#[derive(Debug)]
pub struct Api {
    /// The bound address.
    pub address: SocketAddr,
    /// Its task.
    pub task: JoinHandle<()>,
}

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The address cannot be had.
    #[error("the API cannot listen on {address}: is another agent running, or the port taken?")]
    Listen {
        /// The setting.
        address: SocketAddr,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The token or the address cannot be kept.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// Listens and serves until `stop` turns true.
///
/// # Errors
/// [`ApiError`].
pub async fn serve(served: Served, mut stop: watch::Receiver<bool>) -> Result<Api, ApiError> {
    let data_dir = served.config.data_dir.clone();
    let wanted = served.config.api.listen;
    let refused = |source| ApiError::Listen {
        address: wanted,
        source,
    };
    let token = token_in(&data_dir)?;
    let listener = TcpListener::bind(wanted).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    write_private(&data_dir.join(ADDRESS_FILE), address.to_string().as_bytes())?;
    let router = router(served, gate::Gate::new(token, address));
    let task = tokio::spawn(async move {
        let stopped = async move {
            // An error says that the sender is gone, which is a stop too.
            let _stop = stop.wait_for(|stop| *stop).await.is_ok();
        };
        let served = axum::serve(listener, router).with_graceful_shutdown(stopped);
        if let Err(error) = served.await {
            tracing::error!(%error, "the API ended");
        }
    });
    Ok(Api { address, task })
}

/// Removes the file of the bound address, so that the command sees that nobody listens.
pub fn forget_address(data_dir: &Path) {
    let path = data_dir.join(ADDRESS_FILE);
    if let Err(error) = fs::remove_file(&path) {
        tracing::debug!(%error, path = %path.display(), "the file could not be removed");
    }
}

fn router(served: Served, gate: gate::Gate) -> Router {
    Router::new()
        .route("/v1/scans", post(calls::post_scan))
        .route("/v1/transactions", post(calls::post_transaction))
        .route("/v1/bindings", post(calls::post_binding))
        .route("/v1/cards/{number}", get(lookup::get_card))
        .route("/v1/basket", get(lookup::get_basket))
        .route("/v1/status", get(listing::get_status))
        .route("/v1/devices", get(listing::get_devices))
        .route("/v1/outbox", get(listing::get_outbox))
        .route("/v1/outbox/{seq}", get(listing::get_event))
        .route("/v1/quarantine", get(quarantine::get_quarantine))
        .route("/v1/quarantine/{id}/drop", post(quarantine::drop_entry))
        .route("/v1/events", get(stream::get_events))
        .route("/metrics", get(listing::get_metrics))
        .route("/openapi.json", get(openapi::get_openapi))
        .fallback(fault::not_found)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(Arc::new(gate), gate::check))
        .with_state(served)
}

/// Returns the token, made at the first start.
fn token_in(data_dir: &Path) -> Result<String, ApiError> {
    let path = data_dir.join(TOKEN_FILE);
    if let Ok(token) = fs::read_to_string(&path)
        && !token.trim().is_empty()
    {
        return Ok(token.trim().to_owned());
    }
    let token = hex::encode(clock::random::<TOKEN_BYTES>());
    write_private(&path, token.as_bytes())?;
    Ok(token)
}

fn write_private(path: &Path, text: &[u8]) -> Result<(), ApiError> {
    private_file::replace(path, text, |_| Ok(())).map_err(|source| ApiError::Write {
        path: path.to_owned(),
        source,
    })
}
