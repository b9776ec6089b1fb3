//! The trail of who did what at headquarters.

use serde::Serialize;
use utoipa::ToSchema;

use super::listing::{Key, Listing};
use super::moment::Moment;
use crate::store::StoreError;
use crate::store::statement::Row;

/// Names of the fields, in order.
pub(super) const COLUMNS: &[&str] = &["entry", "at", "actor", "action", "subject", "detail"];

pub(super) static LISTING: Listing = Listing {
    operation: "export the audit trail",
    key: &[Key::Int("a.entry")],
    columns: "a.entry, a.at_ms, a.actor, a.action, a.subject, a.detail",
    from: "audit a",
    always: None,
    time: Some("a.at_ms"),
    store: None,
    terminal: None,
    open: None,
    page_lines: 1_000,
};

/// One line of the trail.
#[derive(Debug, Serialize, ToSchema)]
pub struct Entry {
    /// Its number.
    entry: i64,
    /// When.
    at: Moment,
    /// Who: `cli:USER`, `api-key:ID@ADDRESS`, `terminal:ID` or `central`.
    actor: String,
    /// What, a stable word such as `terminal.revoked`.
    action: String,
    /// To what.
    subject: String,
    /// In which way.
    detail: String,
}

pub(super) fn line(row: &Row) -> Result<Entry, StoreError> {
    let mut cells = LISTING.cells(row);
    Ok(Entry {
        entry: cells.int()?,
        at: cells.moment()?,
        actor: cells.text()?,
        action: cells.text()?,
        subject: cells.text()?,
        detail: cells.text()?,
    })
}
