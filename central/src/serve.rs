//! `serve`: opens everything, runs the listeners, and ends them in time.

use std::future::Future;

use crate::config::Config;
use crate::data_dir::{DataDir, FileError};
use crate::entropy::{self, EntropyError};
use crate::store::{OpenError, Store};

/// A service that cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data directory.
    #[error(transparent)]
    File(#[from] FileError),
    /// Random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The database.
    #[error(transparent)]
    Open(#[from] OpenError),
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
}

impl Central {
    /// Opens the data directory and the database, and makes them on a first start.
    ///
    /// # Errors
    /// [`ServeError`] with what cannot be opened.
    pub async fn open(config: Config) -> Result<Self, ServeError> {
        let data_dir = DataDir::open(&config.data_dir)?;
        let history = entropy::name("h")?;
        let store = Store::open(&config.database(), data_dir.path(), &history).await?;
        Ok(Self {
            config,
            data_dir,
            store,
        })
    }
}

/// Serves until `stop` is ready.
///
/// # Errors
/// [`ServeError`] when a listener cannot start.
pub async fn run(central: Central, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
    tracing::info!(database = ?central.config.database(), "central serves");
    stop.await;
    tracing::info!("central ended");
    Ok(())
}
