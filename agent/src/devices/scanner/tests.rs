use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use chrono::DateTime;
use tempfile::TempDir;
use tillbind_firmware_bridge::scanner::{LineConfig, ssi};

use super::*;
use crate::devices::workbench::{Workbench, plug, within};

fn start(scanners: &[ScannerConfig]) -> Workbench {
    let clocks = Clocks {
        wall: Arc::new(|| DateTime::UNIX_EPOCH),
        elapsed: Arc::new(|| Duration::ZERO),
    };
    Workbench::start(clocks, |devices| devices.start_scanners(scanners))
}

fn scanner_at(name: &str, port: &Path, framing: Framing) -> ScannerConfig {
    ScannerConfig::new(name, port.to_str().unwrap(), framing)
}

/// Plugs a scanner named `counter` in that is set so, and waits until it is open.
async fn open(
    framing: Framing,
    set: impl FnOnce(&mut ScannerConfig),
) -> (File, Workbench, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("scanner");
    let scanner = plug(&link);
    let mut config = scanner_at("counter", &link, framing);
    set(&mut config);
    let mut bench = start(&[config]);
    assert_eq!(bench.port("counter").await, PortState::Open);
    (scanner, bench, dir)
}

impl Workbench {
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
    let (mut scanner, mut bench, _dir) = open(Framing::Line, |_| {}).await;
    // The clock of this test stands still, so the second read is a repeat.
    scanner
        .write_all(b"TBC:AB12\rTBC:AB12\r;4111111111111111=2705?\r")
        .unwrap();
    assert_eq!(bench.scan().await, ("counter".to_owned(), "claim_code"));
    let event = bench.event().await;
    assert!(!format!("{event:?}").contains("4111"), "{event:?}");
    assert!(
        matches!(&event, DeviceEvent::Scanned { code, .. } if code.kind() == "payment_refused")
    );
    assert_eq!(bench.devices.status()[0].counts.scans, 2);
    bench.end().await;
}

#[tokio::test]
async fn a_scanner_that_is_unplugged_is_found_again_and_stops_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (link, link_of_other) = (dir.path().join("a"), dir.path().join("b"));
    let scanner = plug(&link);
    let mut other = plug(&link_of_other);
    let mut bench = start(&[
        scanner_at("counter", &link, Framing::Line),
        scanner_at("kiosk", &link_of_other, Framing::Line),
    ]);
    assert_eq!(bench.port("counter").await, PortState::Open);

    // The link goes first: the line's number may be another test's at once.
    std::fs::remove_file(&link).unwrap();
    drop(scanner);
    assert_eq!(bench.port("counter").await.as_str(), "lost");
    other.write_all(b"TBC:KIOSK\r").unwrap();
    assert_eq!(bench.scan().await, ("kiosk".to_owned(), "claim_code"));

    let mut scanner = plug(&link);
    while bench.port("counter").await != PortState::Open {}
    scanner.write_all(b"TBC:AGAIN\r").unwrap();
    assert_eq!(bench.scan().await, ("counter".to_owned(), "claim_code"));
    let status = bench.devices.status();
    assert!(status[0].last_error.is_some() && status[1].last_error.is_none());
}

#[tokio::test]
async fn a_scanner_without_a_suffix_is_read_by_its_silence() {
    let (mut scanner, mut bench, _dir) = open(Framing::Line, |_| {}).await;
    scanner.write_all(b"TBC:NOSUFFIX").unwrap();
    assert_eq!(bench.scan().await.1, "claim_code");
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
    let (mut scanner, mut bench, _dir) = open(Framing::Ssi, |_| {}).await;
    let mut damaged = ssi_packet(0, b"TBC:AB12");
    damaged[7] ^= 0x04;
    scanner.write_all(&damaged).unwrap();
    hear(&mut scanner, &ssi::NAK_RESEND);
    scanner.write_all(&ssi_packet(1, b"TBC:AB12")).unwrap();
    assert_eq!(bench.scan().await, ("counter".to_owned(), "claim_code"));
    hear(&mut scanner, &ssi::ACK);
    // Its acknowledgement was lost, as the scanner sees it.
    scanner.write_all(&ssi_packet(1, b"TBC:AB12")).unwrap();
    hear(&mut scanner, &ssi::ACK);
    scanner.write_all(&ssi_packet(0, b"TBC:CD34")).unwrap();
    assert_eq!(bench.scan().await, ("counter".to_owned(), "claim_code"));
    assert_eq!(bench.devices.status()[0].counts.scans, 2);
}

#[tokio::test]
async fn a_honeywell_scanner_is_read() {
    let (mut scanner, mut bench, _dir) = open(Framing::Honeywell, |_| {}).await;
    let packet = b"\x16\xfe\x17\x00\x00\x00\rMSGGET0009sQ1\x1dTBC:AB12\r";
    scanner.write_all(packet).unwrap();
    assert_eq!(bench.scan().await, ("counter".to_owned(), "claim_code"));
}

#[tokio::test]
async fn a_wrong_baud_rate_is_noticed_and_forgotten_with_the_next_legible_scan() {
    let set = |config: &mut ScannerConfig| config.idle_gap = Duration::from_millis(10);
    let (mut scanner, mut bench, _dir) = open(Framing::Line, set).await;
    let garbage = [0xf8, 0x80, 0xe6, 0x06, 0xfe, 0x98, 0x0d];
    let mut fault = None;
    // Each write is a burst of its own once the silence behind it was seen.
    for _ in 0..200 {
        scanner.write_all(&garbage).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        fault = bench.devices.status()[0].fault().map(str::to_owned);
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
    while bench.scan().await.1 != "claim_code" {}
    within(async {
        while bench.devices.status()[0].fault().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert!(bench.devices.status()[0].last_error.is_some());
}

#[tokio::test]
async fn the_settings_of_a_line_reach_its_framer() {
    let set = |config: &mut ScannerConfig| {
        config.line = LineConfig {
            prefix: b"##".to_vec(),
            code_id: true,
            ..LineConfig::default()
        };
        config.repeat_window = Duration::ZERO;
    };
    let (mut scanner, mut bench, _dir) = open(Framing::Line, set).await;
    scanner.write_all(b"##jTBC:AB12\r##jTBC:AB12\r").unwrap();
    assert_eq!(bench.scan().await.1, "claim_code");
    // With no window the same code again is a scan again.
    assert_eq!(bench.scan().await.1, "claim_code");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_hid_pos_scanner_is_read_by_its_reports() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hidraw0");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut scanner = File::options().read(true).write(true).open(&path).unwrap();
    let mut bench = start(&[scanner_at("counter", &path, Framing::HidPos)]);
    assert_eq!(bench.port("counter").await, PortState::Open);
    let mut report = [0; 64];
    report[..13].copy_from_slice(b"\x02\x08]Q1TBC:AB12");
    scanner.write_all(&report).unwrap();
    assert_eq!(bench.scan().await, ("counter".to_owned(), "claim_code"));
    bench.end().await;
}

#[tokio::test]
async fn a_keyboard_that_is_none_is_told_with_what_to_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyboard");
    std::fs::write(&path, b"no keyboard").unwrap();
    let mut bench = start(&[scanner_at("counter", &path, Framing::Keyboard)]);
    let PortState::Unopenable { reason } = bench.port("counter").await else {
        panic!("it is a file");
    };
    assert!(reason.contains("-event-kbd"), "{reason}");
}
