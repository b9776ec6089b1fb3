//! `serve`: opens everything, runs the listeners, and ends them in time.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::admin;
use crate::ca::{CaError, CertificateAuthority};
use crate::clock::now_ms;
use crate::config::Config;
use crate::data_dir::{DataDir, FileError};
use crate::dictionary::training;
use crate::entropy::{self, EntropyError};
use crate::keys::{self, KeyError};
use crate::metrics::Metrics;
use crate::store::{OpenError, Store, StoreError};
use crate::sync::door::{self, Door};
use crate::sync::listener::{self, Listener, TlsError};
use crate::sync::{self, Service, head};

/// How often the server's certificate is looked at: it is renewed weeks before its end.
const CERTIFICATE_CHECKED_EVERY: Duration = Duration::from_secs(12 * 60 * 60);

/// A service that cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data directory.
    #[error(transparent)]
    File(#[from] FileError),
    /// Random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The certificate authority.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The key of member codes.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A listener.
    #[error("nothing can listen on {address}: check `{setting}` in the configuration")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The setting.
        setting: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// What listeners and commands work on.
#[derive(Debug, Clone)]
pub struct Central {
    /// The configuration.
    pub config: Config,
    /// The data directory.
    pub data_dir: DataDir,
    /// The database.
    pub store: Store,
    /// The certificate authority.
    pub ca: Arc<CertificateAuthority>,
    /// What this process counts.
    pub metrics: Arc<Metrics>,
    /// Where exchanges come in.
    pub door: Arc<Door>,
}

impl Central {
    /// Opens the data directory, the authority, the key of member codes and the database, and makes
    /// what is missing.
    ///
    /// # Errors
    /// [`ServeError`] with what cannot be opened.
    pub async fn open(config: Config) -> Result<Self, ServeError> {
        let data_dir = DataDir::open(&config.data_dir)?;
        let history = entropy::name("h")?;
        let store = Store::open(&config.database(), data_dir.path(), &history).await?;
        let ca = Arc::new(CertificateAuthority::open(&data_dir, now_ms())?);
        keys::ensure(&store, &data_dir, now_ms()).await?;
        let metrics = Arc::new(Metrics::default());
        let limits = door::limits(config.sync.intakes_max, config.sync.body_bytes_max());
        Ok(Self {
            config,
            data_dir,
            store,
            ca,
            door: Arc::new(Door::new(limits, Arc::clone(&metrics))),
            metrics,
        })
    }
}

/// Binds a listener and writes its address to `data_dir/NAME.addr`.
///
/// # Errors
/// [`ServeError::Listen`], [`ServeError::File`].
pub async fn bind(
    data_dir: &DataDir,
    name: &str,
    setting: &'static str,
    address: SocketAddr,
) -> Result<TcpListener, ServeError> {
    let fail = |source| ServeError::Listen {
        address,
        setting,
        source,
    };
    let socket = listener::listen(address).map_err(fail)?;
    let bound = socket.local_addr().map_err(fail)?;
    data_dir.write_address(name, &entropy::name("")?, bound)?;
    tracing::info!(listener = name, address = %bound, "listening");
    Ok(socket)
}

/// Serves until `stop` is ready.
///
/// # Errors
/// [`ServeError`] when a listener cannot start.
pub async fn run(central: Central, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
    let config = &central.config;
    let names = &config.public_names;
    let server = central
        .ca
        .server_identity(&central.data_dir, names, now_ms())?;
    let (tls_sender, tls) = watch::channel(Arc::new(listener::tls(&central.ca, server)?));
    let (stopping_sender, stopping) = watch::channel(false);
    let (head_sender, head) = watch::channel(head::read(&central.store).await?);
    let socket = bind(&central.data_dir, "sync", "sync.listen", config.sync.listen).await?;
    let service = Service::new(
        config,
        central.store.clone(),
        Arc::clone(&central.ca),
        Arc::clone(&central.door),
        head,
        stopping.clone(),
    );
    let terminals = Listener {
        socket,
        tls: Some(tls.clone()),
        strangers_stay: false,
        connections_max: config.sync.connections_max,
        metrics: Arc::clone(&central.metrics.sync),
        stopping: stopping.clone(),
    };
    let headquarters = admin::listener(&central, tls, stopping).await?;
    let follower = tokio::spawn(head::follow(central.store.clone(), head_sender));
    let trainer = tokio::spawn(training::keep_trained(central.store.clone()));
    let renewer = tokio::spawn(keep_certificate(central.clone(), tls_sender));
    let router = sync::router(Arc::new(service));
    let listening = tokio::spawn(listener::run(terminals, router));
    let administering = tokio::spawn(listener::run(headquarters, admin::router(&central)));
    tracing::info!(database = ?config.database(), "central serves");
    stop.await;
    tracing::info!("central ends");
    stopping_sender.send_replace(true);
    if let Err(error) = listening.await {
        tracing::error!(%error, "the sync listener failed");
    }
    if let Err(error) = administering.await {
        tracing::error!(%error, "the admin listener failed");
    }
    follower.abort();
    renewer.abort();
    trainer.abort();
    if let Err(error) = central.store.close().await {
        tracing::warn!(%error, "the database did not close");
    }
    tracing::info!("central ended");
    Ok(())
}

/// Looks at the server's certificate from time to time, and takes a renewed one into use without a
/// restart.
async fn keep_certificate(central: Central, tls: watch::Sender<Arc<rustls::ServerConfig>>) {
    loop {
        tokio::time::sleep(CERTIFICATE_CHECKED_EVERY).await;
        let names = &central.config.public_names;
        let server = central
            .ca
            .server_identity(&central.data_dir, names, now_ms());
        match server.map_err(ServeError::from).and_then(|server| {
            let config = listener::tls(&central.ca, server)?;
            Ok(Arc::new(config))
        }) {
            Ok(config) => {
                tls.send_replace(config);
            }
            Err(error) => tracing::error!(%error, "the server's certificate was not renewed"),
        }
    }
}
