//! Quarantine: records that were stored and acknowledged but cannot be used as they are.
//!
//! A record can be looked at ([`masking`]; in clear, which the trail tells), replayed as it is (after this
//! program learnt to read it, many at once by [`bulk`]) or mended, or dropped. The event itself stays as
//! it was received; a mended text is kept beside it. Each of these is a line in the trail with who,
//! what and when.

use sea_orm::DatabaseTransaction;
use tillbind_protocol::ids::{Epoch, Seq, TerminalId};

use crate::audit::{self, Entry};
use crate::changes::Touched;
use crate::intake::projection::{self, Item, Origin, Rules};
use crate::intake::{column, place, reading};
use crate::plain_text::plain_text;
use crate::store::statement::{ColumnType, execute, for_update, insert_many, row};
use crate::store::{Store, StoreError};
use crate::terminals;
use crate::values;

pub mod bulk;
pub mod masking;

/// Longest reason that is kept, in bytes.
const REASON_BYTES_MAX: usize = 500;

/// A record that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poisoned {
    /// Its place.
    pub seq: Seq,
    /// Name of its kind.
    pub kind: String,
    /// What is wrong with it.
    pub reason: String,
}

/// An entry that cannot be replayed or dropped.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// There is no such entry.
    #[error("there is no quarantine entry {0}: see `tillbind-central quarantine list`")]
    Unknown(i64),
    /// It was replayed or dropped.
    #[error("quarantine entry {0} is resolved already")]
    Resolved(i64),
    /// The record is still unusable.
    #[error("the record still cannot be used: {0}")]
    StillPoison(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Puts records into quarantine, in the transaction that stores them.
///
/// # Errors
/// [`StoreError`].
pub async fn put(
    tx: &DatabaseTransaction,
    terminal: &TerminalId,
    epoch: Epoch,
    poisoned: Vec<Poisoned>,
    now_ms: i64,
) -> Result<(), StoreError> {
    use ColumnType::{Int, Text};

    let same = vec![
        ("terminal", terminal.as_str().into()),
        ("epoch", epoch.to_string().into()),
        ("quarantined_ms", now_ms.into()),
    ];
    let columns = [("seq", Int), ("kind", Text), ("reason", Text)];
    let line = |poisoned: Poisoned| {
        values![
            column(poisoned.seq),
            poisoned.kind,
            plain_text(&poisoned.reason, REASON_BYTES_MAX),
        ]
    };
    let lines = poisoned.into_iter().map(line).collect();
    let suffix = "ON CONFLICT (terminal, epoch, seq) DO NOTHING";
    insert_many(
        tx,
        "quarantine records",
        "quarantine",
        same,
        &columns,
        lines,
        suffix,
    )
    .await?;
    Ok(())
}

struct Entered {
    terminal: TerminalId,
    epoch: Epoch,
    seq: Seq,
    record: String,
    received_ms: i64,
}

/// Projects a quarantined record again, as it was or with a mended text in its place.
///
/// # Errors
/// [`QuarantineError::StillPoison`] with the new reason; then nothing changed.
pub async fn replay(
    store: &Store,
    id: i64,
    mended: Option<&str>,
    rules: Rules,
    actor: &str,
    now_ms: i64,
) -> Result<(), QuarantineError> {
    let tx = store.begin().await?;
    let entered = open(&tx, id).await?;
    let Some(terminal) = terminals::find(&*tx, &entered.terminal).await? else {
        return Err(QuarantineError::Unknown(id));
    };
    let origin = Origin {
        terminal: &terminal,
        epoch: entered.epoch,
        // The clocks' difference at the exchange was not kept: the event's own time counts.
        sent_local_ms: entered.received_ms,
        received_ms: entered.received_ms,
        now_ms,
        claims_wait: true,
        rules,
    };
    let item = Item {
        seq: entered.seq,
        reading: reading::read(mended.unwrap_or(&entered.record)),
    };
    let mut touched = Touched::default();
    let found = projection::project(&tx, &origin, &[item], &mut touched).await?;
    if let Some(poisoned) = found.into_iter().next() {
        return Err(QuarantineError::StillPoison(poisoned.reason));
    }
    resolve(&tx, id, "replayed", mended, actor, now_ms).await?;
    touched.publish(&*tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Notes that somebody looks at a record in clear. Call it before the text is shown.
///
/// # Errors
/// [`QuarantineError::Unknown`].
pub async fn note_revealed(
    store: &Store,
    id: i64,
    actor: &str,
    now_ms: i64,
) -> Result<(), QuarantineError> {
    let tx = store.begin().await?;
    let sql = "SELECT terminal FROM quarantine WHERE id = $1";
    let found = row(&*tx, "look up a quarantined record", sql, values![id]).await?;
    if found.is_none() {
        return Err(QuarantineError::Unknown(id));
    }
    let entry = Entry {
        actor,
        action: "quarantine.revealed",
        subject: &id.to_string(),
        detail: "",
    };
    audit::write(&*tx, &entry, now_ms).await?;
    tx.commit().await?;
    Ok(())
}

/// Takes an entry off the list for good.
///
/// # Errors
/// [`QuarantineError`].
pub async fn drop_entry(
    store: &Store,
    id: i64,
    actor: &str,
    now_ms: i64,
) -> Result<(), QuarantineError> {
    let tx = store.begin().await?;
    open(&tx, id).await?;
    resolve(&tx, id, "dropped", None, actor, now_ms).await?;
    tx.commit().await?;
    Ok(())
}

async fn open(tx: &DatabaseTransaction, id: i64) -> Result<Entered, QuarantineError> {
    let lock = for_update(tx);
    let of = if lock.is_empty() { "" } else { " OF q" };
    let sql = format!(
        "SELECT q.terminal, q.epoch, q.seq, e.record, e.received_ms, q.resolved_ms
         FROM quarantine q JOIN events e
            ON e.terminal = q.terminal AND e.epoch = q.epoch AND e.seq = q.seq
         WHERE q.id = $1{lock}{of}"
    );
    let found = row(tx, "look up a quarantined record", &sql, values![id]).await?;
    let Some(found) = found else {
        return Err(QuarantineError::Unknown(id));
    };
    if found.int_opt(5)?.is_some() {
        return Err(QuarantineError::Resolved(id));
    }
    Ok(Entered {
        terminal: found.parsed(0)?,
        epoch: found.parsed(1)?,
        seq: place(found.int(2)?),
        record: found.text(3)?,
        received_ms: found.int(4)?,
    })
}

async fn resolve(
    tx: &DatabaseTransaction,
    id: i64,
    resolution: &str,
    mended: Option<&str>,
    actor: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql = "UPDATE quarantine SET resolved_ms = $2, resolution = $3, mended = $4
        WHERE id = $1";
    let values = values![id, now_ms, resolution, mended];
    execute(tx, "resolve a quarantined record", sql, values).await?;
    let action = format!("quarantine.{resolution}");
    let entry = Entry {
        actor,
        action: &action,
        subject: &id.to_string(),
        detail: if mended.is_some() { "mended" } else { "" },
    };
    audit::write(tx, &entry, now_ms).await
}
