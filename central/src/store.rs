//! Central's database: one code over SQLite and PostgreSQL.
//!
//! Every change is one transaction from [`Store::begin`] to [`Tx::commit`]; a dropped [`Tx`] leaves
//! nothing behind. On SQLite a writing transaction takes the database's one write lock when it
//! begins, and writers of one process wait for each other in a fair queue rather than on that lock.
//! Several processes may use one database: `serve` on several machines over PostgreSQL, commands
//! beside a running `serve` on either.
//!
//! Deliberately absent: queries. They live beside what they are for.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    RuntimeErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::monotonic;
use crate::config::DatabaseConfig;
use crate::metrics::Histogram;
use crate::values;

pub mod cut;
pub mod fault;
pub mod schema;
pub mod snapshot;
pub mod statement;

pub use fault::{Fault, StoreError};
pub use schema::SchemaError;

/// Connections of one process to SQLite: readers beside one writer.
const SQLITE_CONNECTIONS_MAX: u32 = 8;
/// How long a writer waits for another process before the statement fails as contended.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request waits for a connection before it is answered `unavailable`.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection idle for longer is tried before it is used, so that a database that was restarted
/// costs no request.
const TRIED_AFTER_IDLE: Duration = Duration::from_secs(1);

/// A database that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be reached.
    #[error("the database {database} cannot be opened: check `database` in the configuration")]
    Connect {
        /// Where it should be, without a password.
        database: String,
        /// What the driver said.
        #[source]
        source: DbErr,
    },
    /// Its file cannot be made.
    #[error(
        "the database {database} cannot be made: check `data_dir`, its owner and the disk's room"
    )]
    File {
        /// Where it should be.
        database: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Its schema cannot be used.
    #[error("the database {database} cannot be used")]
    Schema {
        /// Where it is, without a password.
        database: String,
        /// What is wrong.
        #[source]
        source: SchemaError,
    },
}

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    connection: DatabaseConnection,
    /// On SQLite the queue of this process's writers.
    writers: Option<Arc<Semaphore>>,
    /// How long commits take.
    commits: Arc<Histogram>,
}

/// Connections of a process to its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Open ones at work.
    pub used: usize,
    /// Open ones at rest.
    pub idle: usize,
}

/// A transaction that may write.
#[derive(Debug)]
pub struct Tx {
    inner: DatabaseTransaction,
    _turn: Option<OwnedSemaphorePermit>,
    commits: Arc<Histogram>,
}

impl std::ops::Deref for Tx {
    type Target = DatabaseTransaction;
    fn deref(&self) -> &DatabaseTransaction {
        &self.inner
    }
}

impl Tx {
    /// Makes everything durable at once.
    ///
    /// # Errors
    /// [`StoreError`]: then nothing was written, or the answer was lost on the way.
    pub async fn commit(self) -> Result<(), StoreError> {
        let due = cut::before(&self.inner, "commit").await?;
        let began = monotonic();
        let committed = self.inner.commit().await;
        self.commits.observe(began.elapsed());
        committed.map_err(|e| StoreError::new("commit", e))?;
        due.settle()
    }

    /// Drops everything at once.
    ///
    /// # Errors
    /// [`StoreError`] when the connection is gone: the database drops it all by itself then.
    pub async fn rollback(self) -> Result<(), StoreError> {
        let dropped = self.inner.rollback().await;
        dropped.map_err(|e| StoreError::new("roll back", e))
    }
}

impl Store {
    /// Opens the database and brings its schema up to date. `history` is a random name for a
    /// database that has none yet.
    ///
    /// # Errors
    /// [`OpenError`] when it cannot be reached or its schema cannot be used.
    pub async fn open(
        database: &DatabaseConfig,
        data_dir: &Path,
        history: &str,
    ) -> Result<Self, OpenError> {
        let shown = database.shown(data_dir);
        if *database == DatabaseConfig::Sqlite {
            make_private(&sqlite_path(data_dir)).map_err(|source| OpenError::File {
                database: shown.clone(),
                source,
            })?;
        }
        let connection = match database {
            DatabaseConfig::Sqlite => Database::connect(sqlite_options(data_dir)).await,
            DatabaseConfig::Postgres { url, connections } => {
                Database::connect(postgres_options(url, *connections)).await
            }
        };
        let connection = connection.map_err(|source| OpenError::Connect {
            database: shown.clone(),
            source: without_url(source),
        })?;
        let writers = match database {
            DatabaseConfig::Sqlite => Some(Arc::new(Semaphore::new(1))),
            DatabaseConfig::Postgres { .. } => None,
        };
        let store = Self {
            connection,
            writers,
            commits: Arc::default(),
        };
        let migrated = store.migrate(history).await;
        migrated.map_err(|source| OpenError::Schema {
            database: shown,
            source,
        })?;
        Ok(store)
    }

    async fn migrate(&self, history: &str) -> Result<(), SchemaError> {
        let tx = self.begin().await?;
        schema::migrate(&tx, history).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Returns the connection for single statements that read.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.connection
    }

    /// Returns which engine it is.
    pub fn backend(&self) -> DbBackend {
        self.connection.get_database_backend()
    }

    /// Returns how long commits take.
    pub fn commits(&self) -> &Histogram {
        &self.commits
    }

    /// Returns how many connections there are.
    pub fn pool(&self) -> Pool {
        let (open, idle) = if self.backend() == DbBackend::Postgres {
            let pool = self.connection.get_postgres_connection_pool();
            (pool.size(), pool.num_idle())
        } else {
            let pool = self.connection.get_sqlite_connection_pool();
            (pool.size(), pool.num_idle())
        };
        let open = usize::try_from(open).unwrap_or(usize::MAX);
        Pool {
            used: open.saturating_sub(idle),
            idle,
        }
    }

    /// Begins a transaction that may write.
    ///
    /// # Errors
    /// [`StoreError`] when no connection can be had.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let turn = match &self.writers {
            // The semaphore is never closed, so that an error cannot be.
            Some(writers) => Arc::clone(writers).acquire_owned().await.ok(),
            None => None,
        };
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let inner = self.connection.begin_with_options(options).await;
        let inner = inner.map_err(|e| StoreError::new("begin a transaction", e))?;
        Ok(Tx {
            inner,
            _turn: turn,
            commits: Arc::clone(&self.commits),
        })
    }

    /// Returns the name of this database's history, which cursors carry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn history(&self) -> Result<String, StoreError> {
        let sql = "SELECT value FROM meta WHERE name = 'history'";
        let operation = "read the name of its history";
        match statement::row(self.reader(), operation, sql, vec![]).await? {
            Some(row) => row.text(0),
            None => Err(StoreError::foreign_value(operation, "none")),
        }
    }

    /// Gives the database another history, after it was restored: every replica starts over.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn renew_history(&self, history: &str) -> Result<(), StoreError> {
        let tx = self.begin().await?;
        let sql = "UPDATE meta SET value = $1 WHERE name = 'history'";
        statement::execute(&*tx, "rename its history", sql, values![history]).await?;
        tx.commit().await
    }

    /// Closes all connections.
    ///
    /// # Errors
    /// [`StoreError`] when a connection does not close.
    pub async fn close(self) -> Result<(), StoreError> {
        let closed = self.connection.close().await;
        closed.map_err(|e| StoreError::new("close", e))
    }
}

/// Drops the driver's mention of a URL it could not parse, which may hold a password.
fn without_url(error: DbErr) -> DbErr {
    if matches!(error, DbErr::Conn(RuntimeErr::Internal(_))) {
        return DbErr::Custom("the address is malformed".into());
    }
    error
}

fn sqlite_options(data_dir: &Path) -> ConnectOptions {
    // The path goes by the driver's option, since a URL would need escapes.
    let path = sqlite_path(data_dir);
    let mut options = ConnectOptions::new("sqlite::memory:");
    options
        .max_connections(SQLITE_CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .filename(&path)
                .in_memory(false)
                .shared_cache(false)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(SQLITE_BUSY_TIMEOUT)
                .foreign_keys(true)
        });
    options
}

/// Makes the file before the engine does, for its owner alone; the engine gives its other files the
/// same mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).open(path)?;
    Ok(())
}

/// Returns where the embedded database lies.
pub fn sqlite_path(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("central.sqlite")
}

fn postgres_options(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire_if_idle_for(TRIED_AFTER_IDLE)
        .set_application_name("tillbind-central")
        .sqlx_logging(false);
    options
}
