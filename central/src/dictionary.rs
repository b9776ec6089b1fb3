//! Compression dictionaries: trained on this installation's own records, kept for good, handed down
//! to terminals of version 2.
//!
//! A short request packs badly, since zstd learns the names of the fields anew each time; with a
//! dictionary that holds them, an event that is sent alone takes a third of the bytes. Nothing is
//! shipped with the program: [`training`] makes a dictionary once there is enough to learn from, and a
//! new one only where it packs records measurably better that neither has seen. [`masking`] takes out
//! of the samples whatever belongs to one person before they are looked at, since every terminal of
//! the chain gets the result.
//!
//! **Layout.** One row a dictionary in the table `dictionaries`, named by the id in zstd's own header,
//! which every frame repeats. All processes over one database read all of them. A frame whose
//! dictionary the database does not hold (it was restored from before) is refused with a word of its
//! own, and the terminal goes on without.
//!
//! **Limits.** [`BYTES_MAX`] each, [`SHELF_MAX`] of them in memory, and for the window of a frame see
//! `sync::body`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sea_orm::ConnectionTrait;
use tillbind_protocol::dictionary::Dictionary;
use zstd::dict::DecoderDictionary;

use crate::store::statement::{execute, row};
use crate::store::{Store, StoreError};
use crate::values;

pub mod dice;
mod guard;
pub mod masking;
pub mod training;

/// Longest dictionary, in bytes. Measured on 47,000 real baskets: half as much packs batches of 50 by 4 %
/// worse and single events by 2 to 4 %, and a terminal on a line of 20 kbit/s fetches it in 13 seconds
/// instead of 26, once in months.
pub const BYTES_MAX: usize = 64 * 1024;
/// Dictionaries that one process keeps unpacked. Terminals hold the newest or the one before it.
pub const SHELF_MAX: usize = 4;

/// A dictionary that is ready for use.
pub struct Held {
    /// As it travels.
    pub dictionary: Dictionary,
    /// For unpacking.
    pub decoder: DecoderDictionary<'static>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.dictionary.fmt(f)
    }
}

/// The dictionaries of one process, read from the database when one is first needed.
#[derive(Debug)]
pub struct Shelf {
    store: Store,
    held: Mutex<VecDeque<Arc<Held>>>,
}

impl Shelf {
    /// Begins empty.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            held: Mutex::new(VecDeque::new()),
        }
    }

    /// Returns a dictionary; none if the database does not hold it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, id: u32) -> Result<Option<Arc<Held>>, StoreError> {
        if let Some(held) = self.find(id) {
            return Ok(Some(held));
        }
        let Some(dictionary) = read(self.store.reader(), id).await? else {
            return Ok(None);
        };
        let decoder = DecoderDictionary::try_copy(&dictionary.bytes)
            .map_err(|e| StoreError::foreign_value("read a dictionary", e))?;
        let fresh = Arc::new(Held {
            dictionary,
            decoder,
        });
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() == SHELF_MAX {
            held.pop_front();
        }
        held.push_back(Arc::clone(&fresh));
        Ok(Some(fresh))
    }

    fn find(&self, id: u32) -> Option<Arc<Held>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let found = held.iter().find(|held| held.dictionary.id == id);
        found.map(Arc::clone)
    }
}

async fn read(on: &impl ConnectionTrait, id: u32) -> Result<Option<Dictionary>, StoreError> {
    let operation = "read a dictionary";
    let sql = "SELECT bytes FROM dictionaries WHERE id = $1";
    let Some(row) = row(on, operation, sql, values![i64::from(id)]).await? else {
        return Ok(None);
    };
    let bytes = STANDARD
        .decode(row.text(0)?)
        .map_err(|e| StoreError::foreign_value(operation, e))?;
    Ok(Some(Dictionary { id, bytes }))
}

/// The newest dictionary's id and when it was made, in milliseconds.
///
/// # Errors
/// [`StoreError`].
pub async fn newest(on: &impl ConnectionTrait) -> Result<Option<(u32, i64)>, StoreError> {
    let operation = "find the newest dictionary";
    let sql = "SELECT id, created_ms FROM dictionaries ORDER BY created_ms DESC, id DESC LIMIT 1";
    let Some(row) = row(on, operation, sql, vec![]).await? else {
        return Ok(None);
    };
    let id = u32::try_from(row.int(0)?).map_err(|e| StoreError::foreign_value(operation, e))?;
    Ok(Some((id, row.int(1)?)))
}

/// Keeps a dictionary for good; from then on it may be handed out.
///
/// # Errors
/// [`StoreError`].
pub async fn keep(
    store: &Store,
    dictionary: &Dictionary,
    records: usize,
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO dictionaries (id, bytes, records, created_ms)
        VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING";
    let values = values![
        i64::from(dictionary.id),
        STANDARD.encode(&dictionary.bytes),
        i64::try_from(records).unwrap_or(i64::MAX),
        now_ms,
    ];
    let tx = store.begin().await?;
    execute(&*tx, "keep a dictionary", sql, values).await?;
    tx.commit().await
}
