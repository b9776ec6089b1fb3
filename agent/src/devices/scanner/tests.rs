use std::fs::File;
use std::future::Future;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::DateTime;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tillbind_firmware_bridge::scanner::{LineConfig, ssi};
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
        let scanners: Vec<ScannerConfig> = ports
            .iter()
            .map(|(name, port)| ScannerConfig::new(name, port.to_str().unwrap(), Framing::Line))
            .collect();
        Self::start_with(&scanners)
    }

    fn start_with(scanners: &[ScannerConfig]) -> Self {
        let (sender, events) = mpsc::channel(64);
        let (stop, stopped) = watch::channel(false);
        let clocks = Clocks {
            wall: Arc::new(|| DateTime::UNIX_EPOCH),
            elapsed: Arc::new(|| Duration::ZERO),
        };
        let rules = Arc::new(CardRules::default());
        let mut devices = Devices::new(rules, sender, stopped, clocks);
        devices.start_scanners(scanners);
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

/// The packet of a scan by Zebra's guide; `status` 1 says that it was sent before.
fn ssi_packet(status: u8, text: &[u8]) -> Vec<u8> {
    let length = u8::try_from(5 + text.len()).unwrap();
    let mut bytes = vec![length, 0xf3, 0, status, 0x1c];
    bytes.extend_from_slice(text);
    let sum: u16 = bytes.iter().map(|byte| u16::from(*byte)).sum();
    bytes.extend_from_slice(&0u16.wrapping_sub(sum).to_be_bytes());
    bytes
}

fn hear(scanner: &mut File, wanted: &[u8]) {
    let mut heard = vec![0; wanted.len()];
    scanner.read_exact(&mut heard).unwrap();
    assert_eq!(heard, wanted);
}

#[tokio::test]
async fn a_zebra_scanner_is_acknowledged_and_asked_to_repeat_what_was_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("scanner");
    let mut scanner = plug(&link);
    let mut rig = Rig::start_with(&[ScannerConfig::new(
        "counter",
        link.to_str().unwrap(),
        Framing::Ssi,
    )]);
    assert_eq!(rig.port("counter").await, PortState::Open);
    let mut damaged = ssi_packet(0, b"TBC:AB12");
    damaged[7] ^= 0x04;
    scanner.write_all(&damaged).unwrap();
    hear(&mut scanner, &ssi::NAK_RESEND);
    scanner.write_all(&ssi_packet(1, b"TBC:AB12")).unwrap();
    assert_eq!(rig.scan().await, ("counter".to_owned(), "claim_code"));
    hear(&mut scanner, &ssi::ACK);
    // Its acknowledgement was lost, as the scanner sees it.
    scanner.write_all(&ssi_packet(1, b"TBC:AB12")).unwrap();
    hear(&mut scanner, &ssi::ACK);
    scanner.write_all(&ssi_packet(0, b"TBC:CD34")).unwrap();
    assert_eq!(rig.scan().await, ("counter".to_owned(), "claim_code"));
    assert_eq!(rig.devices.status()[0].counts.scans, 2);
}

#[tokio::test]
async fn a_honeywell_scanner_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("scanner");
    let mut scanner = plug(&link);
    let mut rig = Rig::start_with(&[ScannerConfig::new(
        "counter",
        link.to_str().unwrap(),
        Framing::Honeywell,
    )]);
    assert_eq!(rig.port("counter").await, PortState::Open);
    let packet = b"\x16\xfe\x17\x00\x00\x00\rMSGGET0009sQ1\x1dTBC:AB12\r";
    scanner.write_all(packet).unwrap();
    assert_eq!(rig.scan().await, ("counter".to_owned(), "claim_code"));
}

#[tokio::test]
async fn a_wrong_baud_rate_is_noticed_and_forgotten_with_the_next_legible_scan() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("scanner");
    let mut scanner = plug(&link);
    let mut rig = Rig::start_with(&[ScannerConfig {
        idle_gap: Duration::from_millis(10),
        ..ScannerConfig::new("counter", link.to_str().unwrap(), Framing::Line)
    }]);
    assert_eq!(rig.port("counter").await, PortState::Open);
    let garbage = [0xf8, 0x80, 0xe6, 0x06, 0xfe, 0x98, 0x0d];
    let mut fault = None;
    // Each write is a burst of its own once the silence behind it was seen.
    for _ in 0..200 {
        scanner.write_all(&garbage).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        fault = rig.devices.status()[0].fault().map(str::to_owned);
        if fault.is_some() {
            break;
        }
    }
    let fault = fault.expect("the garbage was noticed");
    assert!(
        fault.contains("the baud rate may be wrong (9600 set)"),
        "{fault}"
    );
    scanner.write_all(b"TBC:AB12\r").unwrap();
    while rig.scan().await.1 != "claim_code" {}
    within(async {
        while rig.devices.status()[0].fault().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert!(rig.devices.status()[0].last_error.is_some());
}

#[tokio::test]
async fn the_settings_of_a_line_reach_its_framer() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("scanner");
    let mut scanner = plug(&link);
    let mut rig = Rig::start_with(&[ScannerConfig {
        line: LineConfig {
            prefix: b"##".to_vec(),
            code_id: true,
            ..LineConfig::default()
        },
        repeat_window: Duration::ZERO,
        ..ScannerConfig::new("counter", link.to_str().unwrap(), Framing::Line)
    }]);
    assert_eq!(rig.port("counter").await, PortState::Open);
    scanner.write_all(b"##jTBC:AB12\r##jTBC:AB12\r").unwrap();
    assert_eq!(rig.scan().await.1, "claim_code");
    // With no window the same code again is a scan again.
    assert_eq!(rig.scan().await.1, "claim_code");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_hid_pos_scanner_is_read_by_its_reports() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hidraw0");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut scanner = File::options().read(true).write(true).open(&path).unwrap();
    let port = path.to_str().unwrap();
    let mut rig = Rig::start_with(&[ScannerConfig::new("counter", port, Framing::HidPos)]);
    assert_eq!(rig.port("counter").await, PortState::Open);
    let mut report = [0; 64];
    report[..13].copy_from_slice(b"\x02\x08]Q1TBC:AB12");
    scanner.write_all(&report).unwrap();
    assert_eq!(rig.scan().await, ("counter".to_owned(), "claim_code"));
    rig.stop.send_replace(true);
    drop(rig.events);
    within(rig.devices.stopped()).await;
}

#[tokio::test]
async fn a_keyboard_that_is_none_is_told_with_what_to_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyboard");
    std::fs::write(&path, b"no keyboard").unwrap();
    let port = path.to_str().unwrap();
    let mut rig = Rig::start_with(&[ScannerConfig::new("counter", port, Framing::Keyboard)]);
    let PortState::Unopenable { reason } = rig.port("counter").await else {
        panic!("it is a file");
    };
    assert!(reason.contains("-event-kbd"), "{reason}");
}
