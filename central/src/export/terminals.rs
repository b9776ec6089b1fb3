//! Terminals, and how far each has come.

use serde::Serialize;
use utoipa::ToSchema;

use super::listing::{Key, Listing};
use super::moment::Moment;
use crate::store::StoreError;
use crate::store::statement::Row;

/// Names of the fields, in order.
pub(super) const COLUMNS: &[&str] = &[
    "terminal",
    "store",
    "workstation",
    "epoch",
    "watermark",
    "last_seen_at",
    "outbox_events",
    "clock_offset_ms",
    "version",
    "state",
    "enrolled_at",
    "superseded_at",
    "revoked_at",
    "refused_at",
    "refused_reason",
    "outbox_bytes",
    "disk",
    "sacrificed_events",
    "quarantined_records",
];

pub(super) static LISTING: Listing = Listing {
    operation: "export terminals",
    key: &[Key::Text("t.terminal")],
    columns: "t.terminal, t.store, t.workstation, t.epoch, s.watermark, t.last_seen_ms, \
              t.outbox_events, t.clock_offset_ms, t.version, \
              CASE WHEN t.revoked_ms IS NOT NULL THEN 'revoked' \
                   WHEN t.refused_ms IS NOT NULL THEN 'refused' \
                   WHEN t.superseded_ms IS NOT NULL THEN 'superseded' \
                   ELSE 'current' END, \
              t.enrolled_ms, t.superseded_ms, t.revoked_ms, t.refused_ms, t.refused_reason, \
              t.outbox_bytes, t.disk, t.sacrificed, t.quarantined",
    from: "terminals t LEFT JOIN streams s ON s.terminal = t.terminal AND s.epoch = t.epoch",
    always: None,
    time: Some("t.last_seen_ms"),
    store: Some("t.store"),
    terminal: Some("t.terminal"),
    open: None,
    page_lines: 1_000,
};

/// A till with the agent.
#[derive(Debug, Serialize, ToSchema)]
pub struct Terminal {
    /// The terminal.
    terminal: String,
    /// Its store.
    store: String,
    /// Its workstation.
    workstation: String,
    /// The life of its outbox, once it was in touch.
    epoch: Option<String>,
    /// Up to where central has that epoch.
    watermark: Option<i64>,
    /// When it was last in touch, up to 15 s behind.
    last_seen_at: Option<Moment>,
    /// Events that waited on the terminal when it last said.
    outbox_events: Option<i64>,
    /// Its estimate of central's clock less its own, when it last said.
    clock_offset_ms: Option<i64>,
    /// Version of the agent.
    version: String,
    /// `current`; `superseded` by a later enrolment of the same place; `refused`, since its identity
    /// turned up on another machine; `revoked`.
    state: String,
    /// When it was enrolled.
    enrolled_at: Moment,
    /// When another took its place.
    superseded_at: Option<Moment>,
    /// When it was revoked.
    revoked_at: Option<Moment>,
    /// When it was refused.
    refused_at: Option<Moment>,
    /// Why it was refused.
    refused_reason: Option<String>,
    /// Bytes of the events that waited on the terminal when it last said.
    outbox_bytes: Option<i64>,
    /// `ok`; `tight`: little room is left for its events; `full`: there is none, and events are given
    /// up or refused. As it last said; nothing from an agent that does not tell.
    disk: Option<String>,
    /// Events given up for want of room since the agent's start.
    sacrificed_events: Option<i64>,
    /// Records in the terminal's own quarantine.
    quarantined_records: Option<i64>,
}

pub(super) fn line(row: &Row) -> Result<Terminal, StoreError> {
    let mut cells = LISTING.cells(row);
    Ok(Terminal {
        terminal: cells.text()?,
        store: cells.text()?,
        workstation: cells.text()?,
        epoch: cells.text_opt()?,
        watermark: cells.int_opt()?,
        last_seen_at: cells.moment_opt()?,
        outbox_events: cells.int_opt()?,
        clock_offset_ms: cells.int_opt()?,
        version: cells.text()?,
        state: cells.text()?,
        enrolled_at: cells.moment()?,
        superseded_at: cells.moment_opt()?,
        revoked_at: cells.moment_opt()?,
        refused_at: cells.moment_opt()?,
        refused_reason: cells.text_opt()?,
        outbox_bytes: cells.int_opt()?,
        disk: cells.text_opt()?,
        sacrificed_events: cells.int_opt()?,
        quarantined_records: cells.int_opt()?,
    })
}
