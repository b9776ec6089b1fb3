//! Lists: the lines of an export, as they are or as a table.

use serde_json::Value;

use super::Desk;
use super::failure::Failure;
use super::output::Table;
use crate::export::{Export, Filter, Format, Kind, Request};

/// Prints a list, and says `nothing` where it is empty.
pub(super) async fn print(
    desk: &Desk<'_>,
    kind: Kind,
    open: bool,
    columns: &'static [&'static str],
    nothing: &str,
) -> Result<(), Failure> {
    let request = Request {
        kind,
        format: Format::Ndjson,
        filter: Filter {
            open,
            ..Filter::default()
        },
    };
    let mut export = Export::begin(&desk.central.store, request).await?;
    let mut table = Table::new(columns);
    let mut empty = true;
    while let Some(lines) = export.next_lines().await? {
        empty &= lines.is_empty();
        if desk.output.json {
            for line in &lines {
                desk.output.line(line)?;
            }
            continue;
        }
        let objects: Result<Vec<Value>, _> = lines
            .iter()
            .map(|line| serde_json::from_str(line))
            .collect();
        let rows = table.rows(&objects.map_err(Failure::Json)?);
        desk.output.bytes(rows.as_bytes())?;
    }
    if empty {
        desk.output.explain(nothing)?;
    }
    Ok(())
}
