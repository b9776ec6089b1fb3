//! The helper program for PC/SC readers: started, read, and started again when it ends.
//!
//! It holds what the agent must not depend on: the PC/SC library, which is not on every terminal,
//! and drivers, whose crashes are its own. It ends with its standard input, so with the agent.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tillbind_firmware_bridge::nfc::pcsc::{LineReader, PcscEvent};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};

use super::super::DeviceEvent;
use super::super::status::{Elapsed, Lamp, PortState};
use super::super::stop::stopped;
use super::scanned;

/// The helper's name; it lies beside the agent, or where programs are looked for.
const PROGRAM: &str = "tillbind-pcsc";
/// The first pause before it is started again.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A helper that lived so long was well, and the next pause is the first again.
const WELL_AFTER: Duration = Duration::from_secs(60);
/// The most readers that are remembered; the service knows no more (PCSCLITE_MAX_READERS_CONTEXTS).
const READERS_MAX: usize = 16;
/// What a shell or the loader says of a program that it cannot run, a library missing for one.
const CANNOT_RUN: i32 = 127;

/// The helper program and how it is started.
pub(super) struct PcscProgram {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
}

/// Why the watch of one helper ended.
enum End {
    /// The agent stops, or nobody listens.
    Stop,
    /// The helper ended.
    Died(String),
}

impl PcscProgram {
    /// Finds the installed helper, for readers whose name holds `part`.
    pub(super) fn installed(part: Option<&str>) -> Self {
        let beside = std::env::current_exe()
            .ok()
            .map(|agent| agent.with_file_name(PROGRAM))
            .filter(|path| path.exists());
        Self {
            program: beside.unwrap_or_else(|| PathBuf::from(PROGRAM)),
            arguments: part.map(OsString::from).into_iter().collect(),
        }
    }

    /// Runs the helper until `stop`, and again each time that it ends.
    pub(super) async fn watch(
        &self,
        name: &str,
        events: &mpsc::Sender<DeviceEvent>,
        lamp: &Lamp,
        elapsed: &Elapsed,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut pause = PAUSE_MIN;
        loop {
            let started = elapsed();
            match self.start() {
                Ok(child) => match read(child, name, events, lamp, &mut stop).await {
                    End::Stop => return,
                    End::Died(reason) => lamp.show(PortState::Lost { reason }),
                },
                Err(error) => {
                    let reason = format!(
                        "{} cannot be started ({error}): install it beside the agent",
                        self.program.display()
                    );
                    lamp.show(PortState::Unopenable { reason });
                }
            }
            if elapsed().saturating_sub(started) >= WELL_AFTER {
                pause = PAUSE_MIN;
            }
            tokio::select! {
                () = stopped(&mut stop) => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn start(&self) -> std::io::Result<Child> {
        Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }
}

/// Reads a helper's lines until it ends.
async fn read(
    mut child: Child,
    name: &str,
    events: &mpsc::Sender<DeviceEvent>,
    lamp: &Lamp,
    stop: &mut watch::Receiver<bool>,
) -> End {
    let Some(mut output) = child.stdout.take() else {
        return End::Died("the PC/SC helper has no output: restart the agent".to_owned());
    };
    let mut lines = LineReader::default();
    let mut readers = Readers::default();
    let mut bytes = [0; 1_024];
    loop {
        let count = tokio::select! {
            () = stopped(stop) => return End::Stop,
            count = output.read(&mut bytes) => count.unwrap_or(0),
        };
        if count == 0 {
            return died(child).await;
        }
        for event in lines.feed(bytes.get(..count).unwrap_or_default()) {
            let Some(event) = readers.handle(event, name, lamp) else {
                continue;
            };
            if events.send(event).await.is_err() {
                return End::Stop;
            }
        }
    }
}

/// Says how a helper ended whose output did.
async fn died(mut child: Child) -> End {
    drop(child.stdin.take());
    let status = match child.wait().await {
        Ok(status) if status.code() == Some(CANNOT_RUN) => {
            return End::Died(
                "the PC/SC helper cannot run, mostly since a library is missing: install \
                 libpcsclite1 and pcscd"
                    .to_owned(),
            );
        }
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    End::Died(format!(
        "the PC/SC helper ended ({status}) and is started again: if it happens often, update the \
         reader's driver"
    ))
}

/// The readers that a helper has told of.
#[derive(Default)]
struct Readers {
    there: BTreeSet<String>,
}

impl Readers {
    /// Shows what happened; returns the event of a card.
    fn handle(&mut self, event: PcscEvent, name: &str, lamp: &Lamp) -> Option<DeviceEvent> {
        match event {
            PcscEvent::Reader { reader } => {
                tracing::info!(device = name, "the PC/SC reader {reader} is there");
                if self.there.len() < READERS_MAX {
                    self.there.insert(reader);
                }
                lamp.show(PortState::Open);
            }
            PcscEvent::Gone { reader } => {
                self.there.remove(&reader);
                if self.there.is_empty() {
                    let reason = format!("{reader} was lost: it is looked for until it is back");
                    lamp.show(PortState::Lost { reason });
                }
            }
            PcscEvent::Card { uid, .. } => return Some(scanned(name, uid.0, lamp)),
            PcscEvent::Removed { .. } => {}
            PcscEvent::Fault { reason } if self.there.is_empty() => {
                lamp.show(PortState::Unopenable { reason });
            }
            PcscEvent::Fault { reason } => lamp.note_error(reason),
        }
        None
    }
}
