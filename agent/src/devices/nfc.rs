//! Contactless readers: from a card that is laid on one to what its number means.
//!
//! A PN532 on a serial line has a thread of its own; PC/SC readers are watched by the helper program
//! `tillbind-pcsc`, see [`pcsc`]. A card goes the same way as a scan, once for each time that it
//! is laid on. While the queue of events is full the reader waits.

mod pcsc;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tillbind_firmware_bridge::nfc::Uid;
use tillbind_firmware_bridge::nfc::pn532::{NfcEvent, Pn532};
use tillbind_firmware_bridge::transport::serial::{self, PortEvent, SerialConfig};
use tokio::sync::{mpsc, watch};

use super::DeviceEvent;
use super::status::{Clocks, Elapsed, Lamp, PortState};
use super::stop::serve_on_thread;
use crate::config::{NfcConfig, NfcReader};
use pcsc::PcscProgram;

/// How long a read of a quiet port takes: so late a time-out of the reader is noticed at the most.
const TICK: Duration = Duration::from_millis(50);

/// Returns what the status shows as the reader's port.
pub(super) fn endpoint(config: &NfcConfig) -> String {
    match &config.reader {
        NfcReader::Serial { port, .. } => port.display().to_string(),
        NfcReader::Pcsc { part: None } => "pcsc".to_owned(),
        NfcReader::Pcsc { part: Some(part) } => format!("pcsc {part}"),
    }
}

/// Starts a reader; `alive` is dropped when it has ended.
pub(super) fn start(
    config: &NfcConfig,
    events: mpsc::Sender<DeviceEvent>,
    lamp: Lamp,
    clocks: &Clocks,
    stop: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
) {
    let name = config.name.clone();
    match &config.reader {
        NfcReader::Serial { port, baud } => {
            let port = SerialConfig {
                path: port.clone(),
                baud: *baud,
            };
            let mut reader = SerialReader {
                name,
                machine: Pn532::default(),
                skipped_told: 0,
                events,
                elapsed: Arc::clone(&clocks.elapsed),
                lamp: lamp.clone(),
            };
            let thread = format!("nfc {}", reader.name);
            serve_on_thread((thread, "reader"), &lamp, stop, alive, move |ends| {
                serial::ask(&port, TICK, ends, |event, answer| {
                    reader.handle(event, answer)
                });
            });
        }
        NfcReader::Pcsc { part } => {
            let program = PcscProgram::installed(part.as_deref());
            let elapsed = Arc::clone(&clocks.elapsed);
            tokio::spawn(async move {
                program.watch(&name, &events, &lamp, &elapsed, stop).await;
                drop(alive);
            });
        }
    }
}

/// Makes the event of a card that was laid on a reader, and counts it.
fn scanned(name: &str, uid: Uid, lamp: &Lamp) -> DeviceEvent {
    lamp.count(|counts| counts.scans += 1);
    DeviceEvent::Scanned {
        device: name.to_owned(),
        code: uid.code(),
    }
}

/// What the thread of a reader on a serial line holds.
struct SerialReader {
    name: String,
    machine: Pn532,
    /// Of the machine's counter, how much the lamp has.
    skipped_told: u64,
    events: mpsc::Sender<DeviceEvent>,
    elapsed: Elapsed,
    lamp: Lamp,
}

impl SerialReader {
    /// Takes what happened on the port; breaks when nobody listens any more.
    fn handle(&mut self, event: PortEvent, answer: &mut Vec<u8>) -> ControlFlow<()> {
        let now = (self.elapsed)();
        let happened = match event {
            PortEvent::Opened => {
                self.machine.handle_open(now);
                Vec::new()
            }
            PortEvent::Bytes(bytes) => {
                self.lamp.count(|counts| counts.bytes += bytes.len() as u64);
                let mut happened = self.machine.handle_bytes(&bytes, now);
                happened.extend(self.machine.handle_timeout(now));
                happened
            }
            PortEvent::Idle => self.machine.handle_timeout(now),
            PortEvent::Lost { reason } => {
                self.lamp.show(PortState::Lost { reason });
                self.machine.handle_lost()
            }
            PortEvent::Unopenable { reason } => {
                self.lamp.show(PortState::Unopenable { reason });
                Vec::new()
            }
        };
        let skipped = self.machine.counters().skipped_bytes;
        self.lamp
            .count(|counts| counts.skipped_bytes += skipped - self.skipped_told);
        self.skipped_told = skipped;
        for event in happened {
            self.tell(event)?;
        }
        answer.extend(self.machine.poll_transmit().unwrap_or_default());
        ControlFlow::Continue(())
    }

    fn tell(&mut self, event: NfcEvent) -> ControlFlow<()> {
        match event {
            NfcEvent::Ready { reader } => {
                tracing::info!(device = self.name, "the NFC reader is a {reader}");
                self.lamp.show(PortState::Open);
            }
            NfcEvent::Silent { reason } => self.lamp.show(PortState::Lost { reason }),
            NfcEvent::Card(uid) => {
                let event = scanned(&self.name, uid, &self.lamp);
                if self.events.blocking_send(event).is_err() {
                    return ControlFlow::Break(());
                }
            }
            NfcEvent::Removed => {}
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
