//! The listener for terminals: enrolment and the exchange, over TLS 1.3.
//!
//! A client certificate of our CA is asked for and demanded for everything but the enrolment; who
//! its holder is, and whether it may still sync, is looked up with every request. What is bounded:
//! connections, the time of a handshake, bodies before and after decompression, exchanges at work and
//! batches that wait for their turn, and how long a poll is held.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use tillbind_protocol::{enrol, exchange};
use tokio::sync::{Mutex, Semaphore, watch};

use crate::ca::CertificateAuthority;
use crate::config::Config;
use crate::dictionary::Shelf;
use crate::enrolment::flood::Flood;
use crate::intake::projection::Rules;
use crate::store::Store;

mod body;
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

/// Batches that wait for their turn, for each exchange at work. Terminals beyond are told to slow
/// down at once.
const INTAKES_WAITING_PER_SLOT: usize = 4;
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
    intakes: Semaphore,
    intakes_queue: Semaphore,
    pages: Semaphore,
    polls: AtomicUsize,
    flood: Mutex<Flood>,
    dictionaries: Shelf,
}

impl Service {
    /// Prepares the service.
    pub fn new(
        config: &Config,
        store: Store,
        ca: Arc<CertificateAuthority>,
        head: watch::Receiver<Head>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let intakes_max = config.sync.intakes_max;
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
            intakes: Semaphore::new(intakes_max),
            intakes_queue: Semaphore::new(intakes_max * (1 + INTAKES_WAITING_PER_SLOT)),
            pages: Semaphore::new(PAGES_MAX),
            polls: AtomicUsize::new(0),
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
        .layer(DefaultBodyLimit::max(exchange::REQUEST_BYTES_MAX))
        .with_state(service)
}
