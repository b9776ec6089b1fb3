//! `quarantine`.

use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};
use tillbind_protocol::event::RECORD_BYTES_MAX;

use super::failure::Failure;
use super::output::{cell, printable};
use super::{Desk, QuarantineCommand, ReplayArguments, listing};
use crate::export::{self, Kind};
use crate::operations;
use crate::quarantine::{self, bulk, bulk::Choice};

const COLUMNS: &[&str] = &[
    "id",
    "terminal",
    "seq",
    "kind",
    "quarantined_at",
    "state",
    "reason",
];

pub(super) async fn run(desk: &Desk<'_>, command: QuarantineCommand) -> Result<(), Failure> {
    match command {
        QuarantineCommand::List { all } => {
            let nothing = "No record waits in quarantine.";
            listing::print(desk, Kind::Quarantine, !all, COLUMNS, nothing).await
        }
        QuarantineCommand::Show { id, reveal } => show(desk, id, reveal).await,
        QuarantineCommand::Replay(arguments) => replay(desk, arguments).await,
        QuarantineCommand::Drop { id } => {
            quarantine::drop_entry(&desk.central.store, id, &desk.actor, desk.now_ms).await?;
            resolved(desk, id, "dropped")
        }
    }
}

async fn replay(desk: &Desk<'_>, arguments: ReplayArguments) -> Result<(), Failure> {
    let rules = operations::rules(desk.central);
    let store = &desk.central.store;
    let Some(id) = arguments.id else {
        let choice = Choice {
            kind: arguments.kind,
            reason: arguments.reason,
            terminal: arguments.terminal,
            after: 0,
        };
        return replay_all(desk, choice).await;
    };
    let mended = arguments.mended.as_deref().map(record).transpose()?;
    let text = mended.as_deref();
    quarantine::replay(store, id, text, rules, &desk.actor, desk.now_ms).await?;
    resolved(desk, id, "replayed")
}

async fn replay_all(desk: &Desk<'_>, mut choice: Choice) -> Result<(), Failure> {
    let rules = operations::rules(desk.central);
    let store = &desk.central.store;
    let (mut replayed, mut still_waiting) = (0, 0);
    loop {
        let done = bulk::replay_many(store, &choice, rules, &desk.actor, desk.now_ms).await?;
        replayed += done.replayed;
        still_waiting += done.still_waiting;
        match done.go_on_after {
            Some(id) => choice.after = id,
            None => break,
        }
    }
    if desk.output.json {
        let answer = json!({"replayed": replayed, "still_waiting": still_waiting});
        return desk.output.object(&answer);
    }
    desk.output.line(&format!(
        "Replayed: {replayed}. Still of no use, and waiting on: {still_waiting}."
    ))
}

fn resolved(desk: &Desk<'_>, id: i64, resolution: &str) -> Result<(), Failure> {
    if desk.output.json {
        let answer = json!({"id": id, "resolution": resolution});
        return desk.output.object(&answer);
    }
    desk.output.line(&format!("Record {id} is {resolution}."))
}

async fn show(desk: &Desk<'_>, id: i64, reveal: bool) -> Result<(), Failure> {
    let found = export::quarantine::find(desk.central.store.reader(), id).await?;
    let Some(found) = found else {
        return Err(Failure::Unknown {
            what: "record in quarantine",
            id: id.to_string(),
            list: "quarantine list --all",
        });
    };
    let found = if reveal {
        quarantine::note_revealed(&desk.central.store, id, &desk.actor, desk.now_ms).await?;
        found
    } else {
        desk.output
            .explain("Texts are masked: --reveal shows them, and the audit trail tells.")?;
        found.masked()
    };
    if desk.output.json {
        return desk.output.object(&found);
    }
    let object = serde_json::to_value(&found).map_err(Failure::Json)?;
    for name in Kind::Quarantine.columns() {
        let value = &object[name];
        // The texts are what somebody came for: they are shown whole.
        let shown = match value {
            Value::String(text) => text.chars().map(printable).collect(),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => cell(value),
        };
        desk.output.line(&format!("{name:<16}{shown}"))?;
    }
    Ok(())
}

/// Reads a mended record from a file, or from stdin for `-`.
fn record(file: &Path) -> Result<String, Failure> {
    let bound = RECORD_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(bound).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(bound).read_to_end(&mut bytes))
    };
    read.map_err(|source| Failure::Read {
        file: file.to_owned(),
        source,
    })?;
    let no_record = |why| Failure::NoRecord {
        file: file.to_owned(),
        why,
    };
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(no_record("it is longer than any record may be"));
    }
    let text = String::from_utf8(bytes).map_err(|_| no_record("it is not UTF-8"))?;
    Ok(text.trim().to_owned())
}
