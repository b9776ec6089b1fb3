//! A serial port is read, lost and found again; pseudo terminals play the device.

#![cfg(all(feature = "serial", target_os = "linux"))]

mod port_watch;

use std::fs::File;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tillbind_firmware_bridge::transport::serial::{PortEvent, SerialConfig, converse, watch};

use port_watch::{PATIENCE, Watch};

/// The device's end of a serial line, and the path of the till's end.
struct Device {
    line: File,
    path: PathBuf,
}

fn device() -> Device {
    let line = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
        .expect("a pseudo terminal");
    grantpt(&line).expect("a pseudo terminal of one's own");
    unlockpt(&line).expect("an unlocked pseudo terminal");
    let name = ptsname(&line, Vec::new()).expect("the name of its other end");
    let path = name.into_string().expect("an ASCII name").into();
    Device {
        line: File::from(line),
        path,
    }
}

/// Watches the port at `path`.
fn started(path: &Path) -> Watch {
    let config = SerialConfig {
        path: path.to_owned(),
        baud: 9600,
    };
    Watch::start(move |stop, told| watch(&config, stop, told))
}

fn opened(watch: &Watch) {
    let event = watch.next();
    assert!(matches!(event, PortEvent::Opened), "{event:?}");
}

fn lost(watch: &Watch) {
    let event = watch.next();
    assert!(matches!(event, PortEvent::Lost { .. }), "{event:?}");
}

/// Collects bytes up to the silence behind them.
fn bytes_until_idle(watch: &Watch) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match watch.next() {
            PortEvent::Bytes(bytes) => all.extend_from_slice(&bytes),
            PortEvent::Idle => return all,
            event @ (PortEvent::Opened | PortEvent::Lost { .. } | PortEvent::Unopenable { .. }) => {
                panic!("{event:?}")
            }
        }
    }
}

#[test]
fn bytes_come_unchanged_and_a_silence_is_told_once() {
    let mut device = device();
    let watch = started(&device.path);
    opened(&watch);
    // Every byte that a terminal in cooked mode would eat or change.
    let all: Vec<u8> = (0..=255).collect();
    device.line.write_all(&all).unwrap();
    assert_eq!(bytes_until_idle(&watch), all);
    device.line.write_all(b"4006381333931\r").unwrap();
    assert_eq!(bytes_until_idle(&watch), b"4006381333931\r");
}

#[test]
fn a_device_that_was_replugged_is_found_behind_its_link() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("scanner");
    let mut first = device();
    symlink(&first.path, &link).unwrap();
    let watch = started(&link);
    opened(&watch);
    first.line.write_all(b"A\r").unwrap();
    assert_eq!(bytes_until_idle(&watch), b"A\r");

    // The link goes first: the kernel gives the freed terminal's name to the next that asks.
    std::fs::remove_file(&link).unwrap();
    drop(first);
    lost(&watch);
    let event = watch.next();
    assert!(matches!(event, PortEvent::Unopenable { .. }), "{event:?}");

    let mut second = device();
    symlink(&second.path, &link).unwrap();
    opened(&watch);
    second.line.write_all(b"B\r").unwrap();
    assert_eq!(bytes_until_idle(&watch), b"B\r");
    drop(watch);
}

#[test]
fn a_link_that_is_moved_to_another_device_is_followed_though_the_old_one_is_silent() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("scanner");
    let silent = device();
    symlink(&silent.path, &link).unwrap();
    let watch = started(&link);
    opened(&watch);

    let mut other = device();
    let moved = folder.path().join("moved");
    symlink(&other.path, &moved).unwrap();
    std::fs::rename(&moved, &link).unwrap();
    lost(&watch);
    opened(&watch);
    other.line.write_all(b"B\r").unwrap();
    assert_eq!(bytes_until_idle(&watch), b"B\r");
    drop(watch);
    drop(silent);
}

#[test]
fn a_missing_port_is_told_once_and_opened_when_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("scanner");
    let watch = started(&link);
    let PortEvent::Unopenable { reason } = watch.next() else {
        panic!("it is not there")
    };
    assert!(reason.contains("plug the device in"), "{reason}");
    // Several tries fit in here; none of them may speak.
    let silence = watch.events.recv_timeout(Duration::from_millis(1_500));
    assert!(silence.is_err(), "{silence:?}");
    let device = device();
    symlink(&device.path, &link).unwrap();
    opened(&watch);
    drop(watch);
}

#[test]
fn a_path_that_is_no_serial_device_is_told_and_never_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a-file");
    std::fs::write(&path, b"4006381333931\r").unwrap();
    let watch = started(&path);
    let event = watch.next();
    assert!(matches!(event, PortEvent::Unopenable { .. }), "{event:?}");
}

#[test]
fn an_event_shows_the_number_of_bytes_alone() {
    let mut device = device();
    let watch = started(&device.path);
    opened(&watch);
    device.line.write_all(b"1111").unwrap();
    let shown = format!("{:?}", watch.next());
    assert!(
        shown.starts_with("Bytes([") && !shown.contains("49"),
        "{shown}"
    );
}

#[test]
fn a_callback_that_breaks_ends_the_watch() {
    let device = device();
    let config = SerialConfig {
        path: device.path,
        baud: 9600,
    };
    let stop = AtomicBool::new(false);
    let mut events = 0;
    watch(&config, &stop, |_| {
        events += 1;
        ControlFlow::Break(())
    });
    assert_eq!(events, 1);
}

#[test]
fn what_the_callback_answers_is_written_to_the_device() {
    let mut device = device();
    let config = SerialConfig {
        path: device.path.clone(),
        baud: 9600,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let (opened, is_open) = channel();
    let thread = thread::spawn(move || {
        converse(
            &config,
            Duration::from_millis(20),
            &stopped,
            |event, answer| {
                match event {
                    PortEvent::Opened => opened.send(()).expect("the test waits"),
                    PortEvent::Bytes(bytes) => answer.extend(bytes.iter().rev()),
                    PortEvent::Idle => answer.extend_from_slice(b"."),
                    PortEvent::Lost { .. } | PortEvent::Unopenable { .. } => {}
                }
                ControlFlow::Continue(())
            },
        );
    });
    is_open.recv_timeout(PATIENCE).expect("an open port");
    // A carriage return and an interrupt are among what a cooked terminal would change.
    device.line.write_all(b"\x03\rA").unwrap();
    let mut heard = Vec::new();
    while heard.last() != Some(&b'.') {
        let mut buffer = [0; 16];
        let count = device.line.read(&mut buffer).unwrap();
        heard.extend_from_slice(&buffer[..count]);
    }
    heard.retain(|byte| *byte != b'.');
    heard.sort_unstable();
    assert_eq!(heard, b"\x03\rA");
    stop.store(true, Ordering::Relaxed);
    thread.join().expect("the watch ends when it is told to");
}

#[test]
fn a_port_has_one_reader_and_a_second_one_is_told_that_it_is_busy() {
    let mut device = device();
    let first = started(&device.path);
    opened(&first);
    let second = started(&device.path);
    let event = second.next();
    let PortEvent::Unopenable { reason } = &event else {
        panic!("{event:?}")
    };
    assert!(reason.contains("cannot open"), "{reason}");
    device.line.write_all(b"4006381333931\r").unwrap();
    assert_eq!(bytes_until_idle(&first), b"4006381333931\r");
    drop(first);
    opened(&second);
    drop(second);
}
