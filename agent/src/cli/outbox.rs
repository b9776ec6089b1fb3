//! `tillbind outbox quarantine` and `tillbind outbox export`.

use serde_json::{Value, json};

use super::command::{QuarantineCommand, print};
use super::daemon::{Daemon, DaemonError};
use super::{output, show};

/// Events that are asked for at a time.
const EXPORT_PAGE: u64 = 500;

/// `tillbind outbox quarantine`.
pub(super) async fn quarantine(
    daemon: &Daemon,
    what: &QuarantineCommand,
    json: bool,
) -> Result<(), DaemonError> {
    let by = format!("uid {}", rustix::process::getuid().as_raw());
    match what {
        QuarantineCommand::List => {
            let listed = daemon.get("/v1/quarantine").await?;
            print(&listed, json, show::quarantine);
        }
        QuarantineCommand::Export => {
            let by = by.replace(' ', "%20");
            let path = format!("/v1/quarantine?reveal=true&by={by}");
            let listed = daemon.get(&path).await?;
            listed
                .as_array()
                .into_iter()
                .flatten()
                .for_each(output::json_line);
        }
        QuarantineCommand::Drop { id } => {
            let path = format!("/v1/quarantine/{id}/drop");
            let dropped = daemon.post(&path, &json!({ "by": by })).await?;
            print(&dropped, json, show::dropped);
        }
    }
    Ok(())
}

/// `tillbind outbox export`: all that waits, one JSON object a line.
pub(super) async fn export(daemon: &Daemon) -> Result<(), DaemonError> {
    let mut path = format!("/v1/outbox?limit={EXPORT_PAGE}");
    loop {
        let page = daemon.get(&path).await?;
        let Some(waiting) = page.get("waiting").and_then(Value::as_array) else {
            return Ok(());
        };
        waiting.iter().for_each(output::json_line);
        let Some(last) = waiting.last().and_then(|event| event.get("seq")) else {
            return Ok(());
        };
        path = format!("/v1/outbox?limit={EXPORT_PAGE}&after={last}");
    }
}
