//! Serial scanners: a thread each, from the port's bytes to what a scan means.
//!
//! A scan is classified here and its bytes are zeroised, so that a payment card's number never gets
//! into the queue of events. While that queue is full the thread waits, and the port's own buffer
//! takes what is scanned meanwhile.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tillbind_firmware_bridge::code::CardRules;
use tillbind_firmware_bridge::scanner::dedup::REPEAT_WINDOW;
use tillbind_firmware_bridge::scanner::{Dedup, Frame, LineConfig, LineFramer};
use tillbind_firmware_bridge::transport::serial::{self, PortEvent, SerialConfig};
use tokio::sync::{mpsc, watch};

use super::DeviceEvent;
use super::status::{Clocks, Elapsed, Lamp, PortState};
use crate::config::{Framing, ScannerConfig};

/// Starts a scanner; `alive` is dropped when it has ended.
pub(super) fn start(
    config: &ScannerConfig,
    rules: Arc<CardRules>,
    events: mpsc::Sender<DeviceEvent>,
    lamp: Lamp,
    clocks: &Clocks,
    mut stop: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
) {
    let line = match config.framing {
        Framing::Line => LineConfig::default(),
    };
    let mut scanner = Scanner {
        name: config.name.clone(),
        framer: LineFramer::new(line),
        dedup: Dedup::new(REPEAT_WINDOW),
        skipped_told: 0,
        rules,
        events,
        elapsed: Arc::clone(&clocks.elapsed),
        lamp: lamp.clone(),
    };
    let port = SerialConfig {
        path: PathBuf::from(&config.port),
        baud: config.baud,
    };
    let ends = Arc::new(AtomicBool::new(false));
    tokio::spawn({
        let ends = Arc::clone(&ends);
        async move {
            // The agent's owner being gone is an end as well.
            drop(stop.wait_for(|stop| *stop).await);
            ends.store(true, Ordering::Relaxed);
        }
    });
    let started = thread::Builder::new()
        .name(format!("scan {}", config.name))
        .spawn(move || {
            serial::watch(&port, &ends, |event| scanner.handle(event));
            drop(alive);
        });
    if let Err(error) = started {
        let reason = format!("the scanner cannot start ({error}): free memory, restart the agent");
        lamp.show(PortState::Unopenable { reason });
    }
}

/// What one scanner's thread holds.
struct Scanner {
    name: String,
    framer: LineFramer,
    dedup: Dedup,
    /// Of the framer's counter, how much the lamp has.
    skipped_told: u64,
    rules: Arc<CardRules>,
    events: mpsc::Sender<DeviceEvent>,
    elapsed: Elapsed,
    lamp: Lamp,
}

impl Scanner {
    /// Takes what happened on the port; breaks when nobody listens any more.
    fn handle(&mut self, event: PortEvent) -> ControlFlow<()> {
        match event {
            PortEvent::Opened => self.lamp.show(PortState::Open),
            PortEvent::Bytes(bytes) => {
                self.lamp.count(|counts| counts.bytes += bytes.len() as u64);
                let frames = self.framer.feed(&bytes);
                self.count_skipped();
                return frames.into_iter().try_for_each(|frame| self.tell(frame));
            }
            PortEvent::Idle => {
                let frame = self.framer.handle_idle();
                return frame.into_iter().try_for_each(|frame| self.tell(frame));
            }
            PortEvent::Lost { reason } => {
                self.framer.reset();
                self.count_skipped();
                self.lamp.show(PortState::Lost { reason });
            }
            PortEvent::Unopenable { reason } => self.lamp.show(PortState::Unopenable { reason }),
        }
        ControlFlow::Continue(())
    }

    fn tell(&mut self, frame: Frame) -> ControlFlow<()> {
        let code = frame.classify(&self.rules);
        if !self.dedup.is_new(&code, (self.elapsed)()) {
            return ControlFlow::Continue(());
        }
        self.lamp.count(|counts| counts.scans += 1);
        let event = DeviceEvent::Scanned {
            device: self.name.clone(),
            code,
        };
        match self.events.blocking_send(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    fn count_skipped(&mut self) {
        let skipped = self.framer.counters().skipped_bytes;
        self.lamp
            .count(|counts| counts.skipped_bytes += skipped - self.skipped_told);
        self.skipped_told = skipped;
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs::File;
    use std::future::Future;
    use std::io::Write;
    use std::os::unix::ffi::OsStrExt;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use chrono::DateTime;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use tokio::time::timeout;

    use super::*;
    use crate::devices::Devices;

    /// No test waits this long unless it fails.
    const PATIENCE: Duration = Duration::from_secs(20);

    async fn within<T>(future: impl Future<Output = T>) -> T {
        timeout(PATIENCE, future)
            .await
            .expect("nothing happened within the test's patience")
    }

    /// Plugs a scanner in: its end of the line, behind a link as udev makes one.
    fn plug(link: &Path) -> File {
        let scanner = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&scanner).unwrap();
        unlockpt(&scanner).unwrap();
        let name = ptsname(&scanner, Vec::new()).unwrap();
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(name.as_bytes()));
        std::os::unix::fs::symlink(path, link).unwrap();
        File::from(scanner)
    }

    struct Rig {
        devices: Devices,
        events: mpsc::Receiver<DeviceEvent>,
        stop: watch::Sender<bool>,
    }

    impl Rig {
        fn start(ports: &[(&str, &Path)]) -> Self {
            let (sender, events) = mpsc::channel(64);
            let (stop, stopped) = watch::channel(false);
            let clocks = Clocks {
                wall: Arc::new(|| DateTime::UNIX_EPOCH),
                elapsed: Arc::new(|| Duration::ZERO),
            };
            let rules = Arc::new(CardRules::default());
            let mut devices = Devices::new(rules, sender, stopped, clocks);
            let scanners: Vec<ScannerConfig> = ports
                .iter()
                .map(|(name, port)| ScannerConfig {
                    name: (*name).to_owned(),
                    port: port.to_str().unwrap().to_owned(),
                    baud: 9_600,
                    framing: Framing::Line,
                })
                .collect();
            devices.start_scanners(&scanners);
            Self {
                devices,
                events,
                stop,
            }
        }

        async fn event(&mut self) -> DeviceEvent {
            within(self.events.recv())
                .await
                .expect("the scanners have ended")
        }

        /// Returns the next state of a scanner; scans in between are passed over.
        async fn port(&mut self, name: &str) -> PortState {
            loop {
                if let DeviceEvent::Port { device, state, .. } = self.event().await
                    && device == name
                {
                    return state;
                }
            }
        }

        /// Returns the next scan's scanner and meaning; states in between are passed over.
        async fn scan(&mut self) -> (String, &'static str) {
            loop {
                if let DeviceEvent::Scanned { device, code } = self.event().await {
                    return (device, code.kind());
                }
            }
        }
    }

    #[tokio::test]
    async fn a_scan_is_told_once_and_a_payment_card_leaves_no_number() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("scanner");
        let mut scanner = plug(&link);
        let mut rig = Rig::start(&[("counter", &link)]);
        assert_eq!(rig.port("counter").await, PortState::Open);
        // The clock of this test stands still, so the second read is a repeat.
        scanner
            .write_all(b"TBC:AB12\rTBC:AB12\r;4111111111111111=2705?\r")
            .unwrap();
        assert_eq!(rig.scan().await, ("counter".to_owned(), "claim_code"));
        let event = rig.event().await;
        assert!(!format!("{event:?}").contains("4111"), "{event:?}");
        assert!(
            matches!(&event, DeviceEvent::Scanned { code, .. } if code.kind() == "payment_refused")
        );
        assert_eq!(rig.devices.status()[0].counts.scans, 2);
        rig.stop.send_replace(true);
        drop(rig.events);
        within(rig.devices.stopped()).await;
    }

    #[tokio::test]
    async fn a_scanner_that_is_unplugged_is_found_again_and_stops_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (link, link_of_other) = (dir.path().join("a"), dir.path().join("b"));
        let scanner = plug(&link);
        let mut other = plug(&link_of_other);
        let mut rig = Rig::start(&[("counter", &link), ("kiosk", &link_of_other)]);
        assert_eq!(rig.port("counter").await, PortState::Open);

        // The link goes first: the line's number may be another test's at once.
        std::fs::remove_file(&link).unwrap();
        drop(scanner);
        assert_eq!(rig.port("counter").await.as_str(), "lost");
        other.write_all(b"TBC:KIOSK\r").unwrap();
        assert_eq!(rig.scan().await, ("kiosk".to_owned(), "claim_code"));

        let mut scanner = plug(&link);
        while rig.port("counter").await != PortState::Open {}
        scanner.write_all(b"TBC:AGAIN\r").unwrap();
        assert_eq!(rig.scan().await, ("counter".to_owned(), "claim_code"));
        let status = rig.devices.status();
        assert!(status[0].last_error.is_some() && status[1].last_error.is_none());
    }

    #[tokio::test]
    async fn a_scanner_without_a_suffix_is_read_by_its_silence() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("scanner");
        let mut scanner = plug(&link);
        let mut rig = Rig::start(&[("counter", &link)]);
        assert_eq!(rig.port("counter").await, PortState::Open);
        scanner.write_all(b"TBC:NOSUFFIX").unwrap();
        assert_eq!(rig.scan().await.1, "claim_code");
    }
}
