//! A HID device's file is read, lost and found again; a named pipe plays the device.

#![cfg(all(feature = "hidraw", target_os = "linux"))]

mod port_watch;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tillbind_firmware_bridge::scanner::{Decoder, DecoderConfig, Framing};
use tillbind_firmware_bridge::transport::hidraw::watch;
use tillbind_firmware_bridge::transport::{PortEvent, READ_TIMEOUT};

use port_watch::Watch;

/// Plugs the device in at `path`; its end of the pipe.
fn plug(path: &Path) -> File {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a named pipe");
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .expect("the pipe that was just made")
}

fn report(text: &[u8]) -> [u8; 64] {
    let mut report = [0; 64];
    report[0] = 2;
    report[1] = u8::try_from(text.len()).expect("a short text");
    report[2..5].copy_from_slice(b"]Q1");
    report[5..5 + text.len()].copy_from_slice(text);
    report
}

/// Watches the device at `path`.
fn started(path: &Path) -> Watch {
    let path = path.to_owned();
    Watch::start(move |stop, told| watch(&path, READ_TIMEOUT, stop, told))
}

/// Decodes what comes up to the next silence.
fn scans(watch: &Watch) -> Vec<Vec<u8>> {
    let mut decoder = Decoder::new(DecoderConfig::of(Framing::HidPos));
    let mut scans = Vec::new();
    loop {
        match watch.next() {
            PortEvent::Bytes(bytes) => {
                let frames = decoder.feed(&bytes).frames;
                scans.extend(frames.iter().map(|frame| frame.bytes().to_vec()));
            }
            PortEvent::Idle => return scans,
            event @ (PortEvent::Opened | PortEvent::Lost { .. } | PortEvent::Unopenable { .. }) => {
                panic!("{event:?}")
            }
        }
    }
}

#[test]
fn reports_are_read_and_a_device_that_was_replugged_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hidraw0");
    let mut device = plug(&path);
    let watch = started(&path);
    assert!(matches!(watch.next(), PortEvent::Opened));
    device.write_all(&report(b"TBC:A")).unwrap();
    device.write_all(&report(b"TBC:B")).unwrap();
    let mut found = scans(&watch);
    while found.len() < 2 {
        found.extend(scans(&watch));
    }
    assert_eq!(found, [b"]Q1TBC:A".to_vec(), b"]Q1TBC:B".to_vec()]);

    std::fs::remove_file(&path).unwrap();
    drop(device);
    assert!(matches!(watch.next(), PortEvent::Lost { .. }));
    let event = watch.next();
    let PortEvent::Unopenable { reason } = &event else {
        panic!("{event:?}")
    };
    assert!(reason.contains("plug the device in"), "{reason}");
    let mut device = plug(&path);
    assert!(matches!(watch.next(), PortEvent::Opened));
    device.write_all(&report(b"TBC:C")).unwrap();
    assert_eq!(scans(&watch), [b"]Q1TBC:C".to_vec()]);
}

#[test]
fn a_second_reader_that_asks_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hidraw0");
    let _device = plug(&path);
    let first = started(&path);
    assert!(matches!(first.next(), PortEvent::Opened));
    let second = started(&path);
    let event = second.next();
    let PortEvent::Unopenable { reason } = &event else {
        panic!("{event:?}")
    };
    assert!(reason.contains("stop the other program"), "{reason}");
    drop(first);
    assert!(matches!(second.next(), PortEvent::Opened));
}
