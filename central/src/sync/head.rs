//! What is newest at central: one task of each process asks the database and tells all polls, so
//! that changes by another process or by a command reach terminals as fast as its own.

use std::time::Duration;

use tokio::sync::watch;

use crate::store::statement::row;
use crate::store::{Store, StoreError};

/// How often the database is asked. A waiting terminal hears of a change after this long at most,
/// its own share of the crowd's jitter aside.
pub const ASKED_EVERY: Duration = Duration::from_millis(200);

/// What is newest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// Name of the database's history.
    pub history: String,
    /// Newest version of a change.
    pub version: i64,
    /// Version of the key set.
    pub keys: u32,
    /// The newest compression dictionary; 0 for none.
    pub dictionary: u32,
}

/// Asks the database what is newest.
///
/// # Errors
/// [`StoreError`].
pub async fn read(store: &Store) -> Result<Head, StoreError> {
    let operation = "read what is newest";
    let sql = "SELECT m.value, c.version, (SELECT COALESCE(MAX(version), 0) FROM keys),
            (SELECT id FROM dictionaries ORDER BY created_ms DESC, id DESC LIMIT 1)
        FROM change_counter c, meta m WHERE c.one = 1 AND m.name = 'history'";
    let Some(row) = row(store.reader(), operation, sql, vec![]).await? else {
        return Err(StoreError::foreign_value(operation, "nothing"));
    };
    Ok(Head {
        history: row.text(0)?,
        version: row.int(1)?,
        keys: u32::try_from(row.int(2)?).unwrap_or(u32::MAX),
        dictionary: row
            .int_opt(3)?
            .and_then(|id| u32::try_from(id).ok())
            .unwrap_or(0),
    })
}

/// Asks over and over until nobody listens. A database that is away is asked again.
pub async fn follow(store: Store, head: watch::Sender<Head>) {
    let mut away = false;
    while !head.is_closed() {
        match read(&store).await {
            Ok(newest) => {
                if away {
                    tracing::info!("the database is back");
                }
                away = false;
                head.send_if_modified(|known| {
                    let changed = *known != newest;
                    *known = newest;
                    changed
                });
            }
            Err(error) => {
                if !away {
                    tracing::warn!(%error, "the database is away");
                }
                away = true;
            }
        }
        tokio::time::sleep(ASKED_EVERY).await;
    }
}
