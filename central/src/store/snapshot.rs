//! Reading many pages as of one moment.

use sea_orm::{
    AccessMode, DatabaseTransaction, DbBackend, IsolationLevel, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};

use super::{Store, StoreError};

/// The database as it was at the first query. It holds one connection, and on SQLite keeps the
/// write-ahead log from being folded back, so it should end soon.
#[derive(Debug)]
pub struct Snapshot(DatabaseTransaction);

impl std::ops::Deref for Snapshot {
    type Target = DatabaseTransaction;
    fn deref(&self) -> &DatabaseTransaction {
        &self.0
    }
}

impl Store {
    /// Begins to read as of one moment.
    ///
    /// # Errors
    /// [`StoreError`] when no connection can be had.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let options = if self.backend() == DbBackend::Postgres {
            TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                ..TransactionOptions::default()
            }
        } else {
            TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Deferred),
                ..TransactionOptions::default()
            }
        };
        let begun = self.reader().begin_with_options(options).await;
        let begun = begun.map_err(|e| StoreError::new("begin to read", e))?;
        Ok(Snapshot(begun))
    }
}
