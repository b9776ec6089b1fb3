//! Gaps: what a terminal could no longer send, and why.

use serde::Serialize;
use utoipa::ToSchema;

use super::listing::{Key, Listing};
use super::moment::Moment;
use crate::store::StoreError;
use crate::store::statement::Row;

/// Names of the fields, in order.
pub(super) const COLUMNS: &[&str] = &[
    "terminal",
    "epoch",
    "from_seq",
    "to_seq",
    "reason",
    "reported_at",
    "filled_events",
];

pub(super) static LISTING: Listing = Listing {
    operation: "export gaps",
    key: &[
        Key::Text("g.terminal"),
        Key::Text("g.epoch"),
        Key::Int("g.from_seq"),
    ],
    columns: "g.terminal, g.epoch, g.from_seq, g.to_seq, g.reason, g.reported_ms, \
              g.filled",
    from: "gaps g LEFT JOIN terminals t ON t.terminal = g.terminal",
    always: None,
    time: Some("g.reported_ms"),
    store: Some("t.store"),
    terminal: Some("g.terminal"),
    open: None,
    page_lines: 1_000,
};

/// Events that were lost on their terminal.
#[derive(Debug, Serialize, ToSchema)]
pub struct Gap {
    /// The terminal.
    terminal: String,
    /// The life of its outbox.
    epoch: String,
    /// The first event that is missing.
    from_seq: i64,
    /// The last event that is missing.
    to_seq: i64,
    /// Why it cannot be sent.
    reason: String,
    /// When the terminal said so.
    reported_at: Moment,
    /// How many of them came after all, from a restored disk.
    filled_events: i64,
}

pub(super) fn line(row: &Row) -> Result<Gap, StoreError> {
    let mut cells = LISTING.cells(row);
    Ok(Gap {
        terminal: cells.text()?,
        epoch: cells.text()?,
        from_seq: cells.int()?,
        to_seq: cells.int()?,
        reason: cells.text()?,
        reported_at: cells.moment()?,
        filled_events: cells.int()?,
    })
}
