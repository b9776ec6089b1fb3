//! Events, as the terminals recorded them.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::listing::{Key, Listing};
use super::moment::Moment;
use crate::store::StoreError;
use crate::store::statement::Row;

/// Names of the fields, in order.
pub(super) const COLUMNS: &[&str] = &[
    "terminal",
    "epoch",
    "seq",
    "recorded_at",
    "kind",
    "body",
    "received_at",
    "clock_offset_ms",
    "recorded_at_uncertainty_ms",
];

pub(super) static LISTING: Listing = Listing {
    operation: "export events",
    key: &[
        Key::Text("e.terminal"),
        Key::Text("e.epoch"),
        Key::Int("e.seq"),
    ],
    columns: "e.terminal, e.epoch, e.seq, e.recorded_ms, e.kind, e.record, e.received_ms, \
              e.clock_offset_ms",
    from: "events e LEFT JOIN terminals t ON t.terminal = e.terminal",
    always: None,
    time: Some("e.received_ms"),
    store: Some("t.store"),
    terminal: Some("e.terminal"),
    open: None,
    // A record may be a quarter of a megabyte long.
    page_lines: 200,
};

/// What a terminal recorded.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    /// The terminal.
    terminal: String,
    /// The life of its outbox.
    epoch: String,
    /// Place within the epoch.
    seq: i64,
    /// When it was recorded, corrected to central's clock; nothing for a record that is no event.
    recorded_at: Option<Moment>,
    /// Kind of the body.
    kind: String,
    /// The body as the terminal wrote it; nothing for a record that is no event (`export
    /// quarantine` shows its text).
    #[schema(value_type = Option<Object>)]
    body: Option<Box<RawValue>>,
    /// When central took it.
    received_at: Moment,
    /// What was added to the terminal's clock for `recorded_at`.
    clock_offset_ms: Option<i64>,
    /// How far `recorded_at` may be off; nothing where the terminal had never seen central's clock.
    recorded_at_uncertainty_ms: Option<u32>,
}

#[derive(Deserialize)]
struct Record {
    body: Box<RawValue>,
}

#[derive(Deserialize)]
struct Stamped {
    unc: Option<u32>,
}

pub(super) fn line(row: &Row) -> Result<Event, StoreError> {
    let mut cells = LISTING.cells(row);
    let (terminal, epoch, seq) = (cells.text()?, cells.text()?, cells.int()?);
    let (recorded_at, kind, record) = (cells.moment_opt()?, cells.text()?, cells.text()?);
    let stamped: Option<Stamped> = serde_json::from_str(&record).ok();
    Ok(Event {
        terminal,
        epoch,
        seq,
        recorded_at,
        kind,
        body: body(&record),
        received_at: cells.moment()?,
        clock_offset_ms: cells.int_opt()?,
        recorded_at_uncertainty_ms: stamped.and_then(|stamped| stamped.unc),
    })
}

fn body(record: &str) -> Option<Box<RawValue>> {
    let record: Record = serde_json::from_str(record).ok()?;
    if !record.body.get().contains(['\n', '\r']) {
        return Some(record.body);
    }
    // Within a JSON text a line's end can only be white space between words.
    RawValue::from_string(record.body.get().replace(['\n', '\r'], " ")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_keeps_its_bytes_but_never_breaks_the_line() {
        let text = |record: &str| body(record).map(|body| body.get().to_owned());
        assert_eq!(
            text(r#"{"at":5,"kind":"x","body":{"b":1.10,"a":"\n"},"new":[]}"#).as_deref(),
            Some(r#"{"b":1.10,"a":"\n"}"#)
        );
        assert_eq!(
            text("{\"body\":{\r\n\"a\":1}}").as_deref(),
            Some("{  \"a\":1}")
        );
        assert_eq!(text("no JSON"), None);
        assert_eq!(text(r#"{"kind":"x"}"#), None);
    }
}
