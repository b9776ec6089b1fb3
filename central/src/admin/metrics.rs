//! Figures for Prometheus: what headquarters should worry about.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::Admin;
use super::refusal::Refused;
use crate::clock::now_ms;
use crate::store::statement::row;
use crate::values;

/// Name, meaning and query of each figure. `$1` is the time.
const GAUGES: [(&str, &str, &str); 11] = [
    (
        "tillbind_terminals",
        "Terminals that may sync.",
        "SELECT COUNT(*) FROM terminals WHERE revoked_ms IS NULL AND $1 > 0",
    ),
    (
        "tillbind_terminals_silent",
        "Terminals that may sync, stand in nobody's place and were not in touch for five minutes.",
        "SELECT COUNT(*) FROM terminals WHERE revoked_ms IS NULL AND superseded_ms IS NULL
            AND COALESCE(last_seen_ms, 0) < $1 - 300000",
    ),
    (
        "tillbind_terminals_outbox_events",
        "Events that wait on terminals, as they last said.",
        "SELECT CAST(COALESCE(SUM(outbox_events), 0) AS BIGINT) FROM terminals
            WHERE revoked_ms IS NULL AND $1 > 0",
    ),
    (
        "tillbind_central_terminal_disk_tight",
        "Terminals with little room left for their events, as they last said.",
        "SELECT COUNT(*) FROM terminals WHERE revoked_ms IS NULL AND disk = 'tight' AND $1 > 0",
    ),
    (
        "tillbind_central_terminal_disk_full",
        "Terminals without room, which give up events or refuse them, as they last said.",
        "SELECT COUNT(*) FROM terminals WHERE revoked_ms IS NULL AND disk = 'full' AND $1 > 0",
    ),
    (
        "tillbind_central_terminal_outbox_bytes",
        "Bytes of the events that wait on terminals, as they last said.",
        "SELECT CAST(COALESCE(SUM(outbox_bytes), 0) AS BIGINT) FROM terminals
            WHERE revoked_ms IS NULL AND $1 > 0",
    ),
    (
        "tillbind_central_terminal_sacrificed_events",
        "Events that terminals gave up for want of room since their start, as they last said.",
        "SELECT CAST(COALESCE(SUM(sacrificed), 0) AS BIGINT) FROM terminals WHERE $1 > 0",
    ),
    (
        "tillbind_central_terminal_quarantined_records",
        "Records in the quarantines of terminals, as they last said.",
        "SELECT CAST(COALESCE(SUM(quarantined), 0) AS BIGINT) FROM terminals
            WHERE revoked_ms IS NULL AND $1 > 0",
    ),
    (
        "tillbind_quarantine_waiting",
        "Records that could not be used and wait for somebody.",
        "SELECT COUNT(*) FROM quarantine WHERE resolved_ms IS NULL AND $1 > 0",
    ),
    (
        "tillbind_disputes_open",
        "Cards that two accounts claim.",
        "SELECT COUNT(*) FROM disputes WHERE settled_ms IS NULL AND $1 > 0",
    ),
    (
        "tillbind_gaps_events",
        "Events that terminals could no longer send and that did not come after all.",
        "SELECT CAST(COALESCE(SUM(to_seq - from_seq + 1 - filled), 0) AS BIGINT) FROM gaps WHERE $1 > 0",
    ),
];

/// Tells the figures in Prometheus' text form.
#[utoipa::path(get, path = "/metrics", tag = "reader",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn show(State(admin): State<Arc<Admin>>) -> Result<Response, Refused> {
    let reader = admin.central.store.reader();
    let mut text = String::new();
    for (name, help, sql) in GAUGES {
        let found = row(reader, "count for the metrics", sql, values![now_ms()]).await?;
        let figure = found.map_or(Ok(0), |row| row.int(0))?;
        let written = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {figure}"
        );
        written.map_err(|e| Refused::Defect(Box::new(e)))?;
    }
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media_type)], text).into_response())
}
