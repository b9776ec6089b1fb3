//! `tillbind devices watch` and `tillbind devices ports`.

use serde_json::{Value, json};

use super::daemon::{Daemon, DaemonError};
use super::{Exit, output, show};
use crate::config::Config;
use crate::platform::ports::ports;

/// Lists the machine's ports and says which device of the settings has which.
pub(super) fn list_ports(config: &Config, json: bool) -> Exit {
    let used = config.device_ports();
    for port in ports() {
        let names = [Some(&port.device), port.stable.as_ref()];
        let of = used
            .iter()
            .find(|(_, path)| names.contains(&Some(path)))
            .map(|(name, _)| *name);
        let belongs = port.stable.as_ref().unwrap_or(&port.device).display();
        if json {
            output::json_line(&json!({
                "kind": port.kind.as_str(),
                "device": port.device,
                "stable": port.stable,
                "used_by": of,
            }));
        } else {
            let kind = port.kind.as_str();
            let of = of.map_or("free".to_owned(), |name| format!("used by {name:?}"));
            output::line(format!(
                "Port      {belongs} ({kind}, now {}): {of}",
                port.device.display()
            ));
        }
    }
    Exit::Fine
}

/// Shows scans and states as they happen, until interrupted.
pub(super) async fn watch(daemon: &Daemon, json: bool) -> Result<Exit, DaemonError> {
    let mut stream = daemon.watch().await?;
    let mut text = String::new();
    let mut name = String::new();
    loop {
        let chunk = stream
            .chunk()
            .await
            .map_err(|e| DaemonError::Unreachable(e.to_string()))?;
        let Some(chunk) = chunk else {
            return Ok(Exit::Unreachable);
        };
        text.push_str(&String::from_utf8_lossy(&chunk));
        while let Some((line, rest)) = text.split_once('\n') {
            if let Some(event) = line.strip_prefix("event: ") {
                event.clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                let data: Value = serde_json::from_str(data).unwrap_or_default();
                if json {
                    output::json_line(&json!({ "event": name, "data": data }));
                } else {
                    output::line(show::happening(&name, &data));
                }
            }
            text = rest.to_owned();
        }
    }
}
