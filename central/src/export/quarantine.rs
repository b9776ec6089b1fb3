//! The quarantine: records that central took but could not use.

use sea_orm::ConnectionTrait;
use serde::Serialize;
use utoipa::ToSchema;

use super::listing::{Key, Listing};
use super::moment::Moment;
use crate::quarantine::masking::masked;
use crate::store::StoreError;
use crate::store::statement::Row;

/// Names of the fields, in order.
pub(super) const COLUMNS: &[&str] = &[
    "id",
    "terminal",
    "epoch",
    "seq",
    "kind",
    "reason",
    "quarantined_at",
    "state",
    "resolved_at",
    "resolution",
    "record",
    "mended",
];

pub(super) static LISTING: Listing = Listing {
    operation: "export the quarantine",
    key: &[Key::Int("q.id")],
    columns: "q.id, q.terminal, q.epoch, q.seq, q.kind, q.reason, q.quarantined_ms, \
              CASE WHEN q.resolved_ms IS NULL THEN 'waiting' ELSE 'resolved' END, \
              q.resolved_ms, q.resolution, e.record, q.mended",
    from: "quarantine q \
           LEFT JOIN events e ON e.terminal = q.terminal AND e.epoch = q.epoch AND e.seq = q.seq \
           LEFT JOIN terminals t ON t.terminal = q.terminal",
    always: None,
    time: Some("q.quarantined_ms"),
    store: Some("t.store"),
    terminal: Some("q.terminal"),
    open: Some("q.resolved_ms IS NULL"),
    // A record may be a quarter of a megabyte long, and its mended form as well.
    page_lines: 100,
};

/// A record that central could not use.
#[derive(Debug, Serialize, ToSchema)]
pub struct Quarantined {
    /// Its number in the quarantine.
    id: i64,
    /// The terminal that sent it.
    terminal: String,
    /// The life of its outbox.
    epoch: String,
    /// Place within the epoch.
    seq: i64,
    /// Kind of the event, as far as it could be read.
    kind: String,
    /// What is wrong with it.
    reason: String,
    /// When it was set aside.
    quarantined_at: Moment,
    /// `waiting` or `resolved`.
    state: String,
    /// When it was replayed or dropped.
    resolved_at: Option<Moment>,
    /// What became of it.
    resolution: Option<String>,
    /// The record's text as it came.
    record: Option<String>,
    /// The text that was replayed in its place.
    mended: Option<String>,
}

impl Quarantined {
    /// Masks its texts, for whoever looks at it without having asked for more.
    #[must_use]
    pub fn masked(self) -> Self {
        Self {
            record: self.record.as_deref().map(masked),
            mended: self.mended.as_deref().map(masked),
            ..self
        }
    }
}

pub(super) fn line(row: &Row) -> Result<Quarantined, StoreError> {
    let mut cells = LISTING.cells(row);
    Ok(Quarantined {
        id: cells.int()?,
        terminal: cells.text()?,
        epoch: cells.text()?,
        seq: cells.int()?,
        kind: cells.text()?,
        reason: cells.text()?,
        quarantined_at: cells.moment()?,
        state: cells.text()?,
        resolved_at: cells.moment_opt()?,
        resolution: cells.text_opt()?,
        record: cells.text_opt()?,
        mended: cells.text_opt()?,
    })
}

/// Finds one record in the quarantine.
///
/// # Errors
/// [`StoreError`].
pub async fn find(on: &impl ConnectionTrait, id: i64) -> Result<Option<Quarantined>, StoreError> {
    let row = LISTING.one(on, "q.id", id).await?;
    row.as_ref().map(line).transpose()
}
