//! The listener for terminals: enrolment and the exchange, over TLS 1.3.
//!
//! A client certificate of our CA is asked for and demanded for everything but the enrolment; who
//! its holder is, and whether it may still sync, is looked up with every request. What is bounded:
//! connections and handshakes, bodies before and after decompression and the bytes of all of them,
//! exchanges at work and those that wait for their turn ([`admission`]), and how long a poll is held.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use axum::{Router, middleware};
use tillbind_protocol::{enrol, exchange};
use tokio::sync::{Mutex, Semaphore, watch};

use crate::ca::CertificateAuthority;
use crate::config::Config;
use crate::dictionary::Shelf;
use crate::enrolment::flood::Flood;
use crate::intake::projection::Rules;
use crate::metrics::Metrics;
use crate::store::Store;

pub mod admission;
mod body;
pub mod door;
mod enrolling;
mod exchanging;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod head;
pub mod identity;
pub mod listener;
pub mod refusal;

pub use head::Head;

use door::Door;

/// Most bytes of a request to enrol or to renew: a signing request and a few names.
const ENROL_BYTES_MAX: usize = 64 * 1024;
/// Pages that are read from the database at once: polls that a change wakes together queue here.
pub const PAGES_MAX: usize = 8;

/// What requests are served from.
#[derive(Debug)]
pub struct Service {
    store: Store,
    ca: Arc<CertificateAuthority>,
    rules: Rules,
    poll_ms_max: u32,
    /// What is newest, told by the one task that asks the database.
    head: watch::Receiver<Head>,
    /// True once the service ends: polls answer at once.
    stopping: watch::Receiver<bool>,
    door: Arc<Door>,
    metrics: Arc<Metrics>,
    pages: Semaphore,
    flood: Mutex<Flood>,
    dictionaries: Shelf,
}

impl Service {
    /// Prepares the service.
    pub fn new(
        config: &Config,
        store: Store,
        ca: Arc<CertificateAuthority>,
        door: Arc<Door>,
        head: watch::Receiver<Head>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            dictionaries: Shelf::new(store.clone()),
            store,
            ca,
            rules: Rules {
                minor_per_point: config.points.minor_per_point,
                cards_per_account_max: config.binding.cards_per_account_max,
            },
            poll_ms_max: config.sync.poll_ms_max,
            head,
            stopping,
            metrics: door.metrics(),
            door,
            pages: Semaphore::new(PAGES_MAX),
            flood: Mutex::new(Flood::default()),
        }
    }
}

/// Returns the routes.
pub fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route(exchange::PATH, post(exchanging::exchange))
        .route(enrol::PATH, post(enrolling::enrol))
        .route(enrol::RENEW_PATH, post(enrolling::renew))
        .fallback(refusal::unknown_path)
        .method_not_allowed_fallback(refusal::unknown_path)
        .layer(DefaultBodyLimit::max(ENROL_BYTES_MAX))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&service),
            refusal::count,
        ))
        .with_state(service)
}
