//! What each device is doing, for `tillbind devices` and for the owner of the events.
//!
//! A device's task writes its own [`Lamp`]; readers take copies through [`Board`]. Nobody waits for
//! anybody: a counter is written in place, and a change of state wakes one reporter that turns it
//! into [`DeviceEvent::Port`]. Where states change faster than the owner takes events, those
//! between are left out and the last one is always told.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, watch};

use super::DeviceEvent;

/// Tells the wall-clock time; only shown to people.
pub type WallClock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Tells the time since any fixed start, by a clock that never steps.
pub type Elapsed = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The clocks that devices ask.
#[derive(Clone)]
pub struct Clocks {
    /// For people.
    pub wall: WallClock,
    /// For repeats and patience.
    pub elapsed: Elapsed,
}

/// What sort of device a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// A scanner.
    Scanner,
    /// A contactless reader.
    Nfc,
    /// A proxy before a receipt printer.
    ReceiptTap,
    /// A folder into which the POS writes its journal.
    Journal,
}

impl DeviceKind {
    /// Returns the stable name: `scanner`, `nfc`, `receipt_tap` or `journal`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scanner => "scanner",
            Self::Nfc => "nfc",
            Self::ReceiptTap => "receipt_tap",
            Self::Journal => "journal",
        }
    }
}

/// What a device's port is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortState {
    /// Not tried yet.
    Starting,
    /// Waiting for the POS at this address; the printer has not been needed yet.
    Listening {
        /// Address and port that are listened on.
        address: String,
    },
    /// Open and in use; of a tap: the printer took the last connection.
    Open,
    /// It was there and is gone, or of a tap: the printer cannot be reached.
    Lost {
        /// What happened and what to do, for people.
        reason: String,
    },
    /// It could not be opened; tried again until it can.
    Unopenable {
        /// What happened and what to do, for people.
        reason: String,
    },
}

impl PortState {
    /// Returns the stable name: `starting`, `listening`, `open`, `lost` or `unopenable`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Listening { .. } => "listening",
            Self::Open => "open",
            Self::Lost { .. } => "lost",
            Self::Unopenable { .. } => "unopenable",
        }
    }

    /// Returns why the device does not work, if it does not.
    pub fn fault(&self) -> Option<&str> {
        match self {
            Self::Starting | Self::Listening { .. } | Self::Open => None,
            Self::Lost { reason } | Self::Unopenable { reason } => Some(reason),
        }
    }
}

/// What a device has done since the agent's start. What does not apply stays 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceCounts {
    /// Scans told, repeats left out.
    pub scans: u64,
    /// Scans of a number that is by rule two things, which the settings settled.
    pub ambiguous: u64,
    /// Print jobs told.
    pub jobs: u64,
    /// Connections of the POS that the printer took.
    pub connections: u64,
    /// Journal files read to their end.
    pub files: u64,
    /// Sales of journal files that are durable.
    pub sales: u64,
    /// Journal files set aside, and lines of growing ones that could not be read.
    pub rejected: u64,
    /// Bytes from the device; of a tap: from the POS to the printer.
    pub bytes: u64,
    /// Bytes that could not be read as a scan or a receipt.
    pub skipped_bytes: u64,
    /// Bytes that were printed and not read, since reading fell behind.
    pub dropped_bytes: u64,
    /// Footers printed before a cut.
    pub footers: u64,
    /// Cuts that waited for a footer in vain.
    pub footers_late: u64,
}

/// One device as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Its sort.
    pub kind: DeviceKind,
    /// Its port, folder, or `listen -> printer`.
    pub endpoint: String,
    /// What its port is doing.
    pub state: PortState,
    /// Since when, by the till's wall clock.
    pub since: DateTime<Utc>,
    /// What it has done.
    pub counts: DeviceCounts,
    /// What is wrong although the port works, as long as it is.
    pub warning: Option<String>,
    /// The last fault, also when it is over.
    pub last_error: Option<String>,
}

impl DeviceStatus {
    /// Returns why the device does not work, or not as it should, if so.
    pub fn fault(&self) -> Option<&str> {
        self.state.fault().or(self.warning.as_deref())
    }
}

/// Shows one device's state; written by its task alone.
#[derive(Clone)]
pub(crate) struct Lamp {
    status: watch::Sender<DeviceStatus>,
    now: WallClock,
}

impl Lamp {
    /// Makes the lamp of a device that has not been tried yet.
    pub(crate) fn new(name: &str, kind: DeviceKind, endpoint: String, now: WallClock) -> Self {
        let status = DeviceStatus {
            name: name.to_owned(),
            kind,
            endpoint,
            state: PortState::Starting,
            since: now(),
            counts: DeviceCounts::default(),
            warning: None,
            last_error: None,
        };
        Self {
            status: watch::Sender::new(status),
            now,
        }
    }

    /// Shows `state`; the same one again changes nothing.
    pub(crate) fn show(&self, state: PortState) {
        let now = &self.now;
        self.status.send_if_modified(|status| {
            if status.state == state {
                return false;
            }
            if let Some(fault) = state.fault() {
                tracing::warn!(device = status.name, kind = status.kind.as_str(), "{fault}");
                status.last_error = Some(fault.to_owned());
            } else {
                let (device, kind) = (&status.name, status.kind.as_str());
                tracing::info!(
                    device,
                    kind,
                    state = state.as_str(),
                    "the device's state changed"
                );
            }
            status.since = now();
            status.state = state;
            true
        });
    }

    /// Keeps an error that leaves the port as it is; the same one again is not logged again.
    pub(crate) fn note_error(&self, error: String) {
        self.status.send_if_modified(|status| {
            if status.last_error.as_ref() != Some(&error) {
                tracing::warn!(device = status.name, kind = status.kind.as_str(), "{error}");
                status.last_error = Some(error);
            }
            false
        });
    }

    /// Shows what is wrong although the port works, or that it is no longer.
    pub(crate) fn warn(&self, warning: Option<String>) {
        self.status.send_if_modified(|status| {
            if status.warning != warning {
                if let Some(text) = &warning {
                    tracing::warn!(device = status.name, kind = status.kind.as_str(), "{text}");
                    status.last_error = Some(text.clone());
                }
                status.warning = warning;
            }
            false
        });
    }

    /// Counts what was done.
    pub(crate) fn count(&self, add: impl FnOnce(&mut DeviceCounts)) {
        self.status.send_if_modified(|status| {
            add(&mut status.counts);
            false
        });
    }

    /// Returns a view of this lamp.
    pub(crate) fn view(&self) -> watch::Receiver<DeviceStatus> {
        self.status.subscribe()
    }
}

/// Tells each new state of a lamp as an event until the lamp or the owner is gone.
pub(crate) async fn report(
    mut view: watch::Receiver<DeviceStatus>,
    events: mpsc::Sender<DeviceEvent>,
) {
    let mut told = PortState::Starting;
    while view.changed().await.is_ok() {
        let event = {
            let status = view.borrow_and_update();
            if status.state == told {
                continue;
            }
            told = status.state.clone();
            let device = status.name.clone();
            DeviceEvent::Port {
                device,
                kind: status.kind,
                state: told.clone(),
            }
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

/// Shows all devices, in the order of their start.
#[derive(Clone, Default)]
pub struct Board {
    views: Vec<watch::Receiver<DeviceStatus>>,
}

impl Board {
    /// Adds a device.
    pub(crate) fn add(&mut self, view: watch::Receiver<DeviceStatus>) {
        self.views.push(view);
    }

    /// Returns every device as it is now.
    pub fn status(&self) -> Vec<DeviceStatus> {
        self.views
            .iter()
            .map(|view| view.borrow().clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lamp() -> Lamp {
        let now: WallClock = Arc::new(|| DateTime::UNIX_EPOCH);
        Lamp::new(
            "counter",
            DeviceKind::Scanner,
            "/dev/ttyACM0".to_owned(),
            now,
        )
    }

    #[tokio::test]
    async fn each_new_state_is_told_once_and_counts_are_not() {
        let lamp = lamp();
        let (events, mut told) = mpsc::channel(4);
        let reporter = tokio::spawn(report(lamp.view(), events));
        lamp.count(|counts| counts.scans += 1);
        lamp.show(PortState::Open);
        let Some(DeviceEvent::Port { state, .. }) = told.recv().await else {
            panic!("a port event was expected");
        };
        assert_eq!(state, PortState::Open);
        lamp.show(PortState::Open);
        lamp.count(|counts| counts.scans += 1);
        lamp.show(PortState::Lost {
            reason: "unplugged".to_owned(),
        });
        let Some(DeviceEvent::Port { state, .. }) = told.recv().await else {
            panic!("a port event was expected");
        };
        assert_eq!(state.as_str(), "lost");
        let mut board = Board::default();
        board.add(lamp.view());
        drop(lamp);
        reporter.await.unwrap();
        assert!(told.recv().await.is_none());
        let status = board.status();
        assert_eq!(status[0].counts.scans, 2);
        assert_eq!(status[0].last_error.as_deref(), Some("unplugged"));
    }
}
