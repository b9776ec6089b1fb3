//! `export`.

use super::failure::Failure;
use super::{Desk, ExportArguments};
use crate::export::{Export, Filter, Request};

pub(super) async fn run(desk: &Desk<'_>, export: ExportArguments) -> Result<(), Failure> {
    let request = Request {
        kind: export.kind,
        format: export.format,
        filter: Filter {
            since: export.since,
            until: export.until,
            store: export.store,
            terminal: export.terminal,
            open: false,
        },
    };
    let mut export = Export::begin(&desk.central.store, request).await?;
    while let Some(bytes) = export.next_bytes().await? {
        desk.output.bytes(&bytes)?;
    }
    Ok(())
}
