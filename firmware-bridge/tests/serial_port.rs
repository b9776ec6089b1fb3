//! A serial port is read, lost and found again; pseudo terminals play the device.

#![cfg(all(feature = "serial", target_os = "linux"))]

use std::fs::File;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tillbind_firmware_bridge::transport::serial::{PortEvent, SerialConfig, converse, watch};

/// Long enough for a loaded machine; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

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

struct Watch {
    events: Receiver<PortEvent>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn start(path: &Path) -> Self {
        let config = SerialConfig {
            path: path.to_owned(),
            baud: 9600,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, events) = channel();
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            watch(&config, &stopped, |event| match sender.send(event) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            });
        });
        Self {
            events,
            stop,
            thread: Some(thread),
        }
    }

    fn next(&self) -> PortEvent {
        self.events.recv_timeout(PATIENCE).expect("an event")
    }

    fn opened(&self) {
        let event = self.next();
        assert!(matches!(event, PortEvent::Opened), "{event:?}");
    }

    fn lost(&self) {
        let event = self.next();
        assert!(matches!(event, PortEvent::Lost { .. }), "{event:?}");
    }

    /// Collects bytes up to the silence behind them.
    fn bytes_until_idle(&self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            match self.next() {
                PortEvent::Bytes(bytes) => all.extend_from_slice(&bytes),
                PortEvent::Idle => return all,
                event @ (PortEvent::Opened
                | PortEvent::Lost { .. }
                | PortEvent::Unopenable { .. }) => panic!("{event:?}"),
            }
        }
    }
}

/// Ends the watch. It has to go before the device that it reads, or it might open the terminal of
/// another test under the freed name.
impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok(), "the watch ends when it is told to");
        }
    }
}

#[test]
fn bytes_come_unchanged_and_a_silence_is_told_once() {
    let mut device = device();
    let watch = Watch::start(&device.path);
    watch.opened();
    // Every byte that a terminal in cooked mode would eat or change.
    let all: Vec<u8> = (0..=255).collect();
    device.line.write_all(&all).unwrap();
    assert_eq!(watch.bytes_until_idle(), all);
    device.line.write_all(b"4006381333931\r").unwrap();
    assert_eq!(watch.bytes_until_idle(), b"4006381333931\r");
}

#[test]
fn a_device_that_was_replugged_is_found_behind_its_link() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("scanner");
    let mut first = device();
    symlink(&first.path, &link).unwrap();
    let watch = Watch::start(&link);
    watch.opened();
    first.line.write_all(b"A\r").unwrap();
    assert_eq!(watch.bytes_until_idle(), b"A\r");

    // The link goes first: the kernel gives the freed terminal's name to the next that asks.
    std::fs::remove_file(&link).unwrap();
    drop(first);
    watch.lost();
    let event = watch.next();
    assert!(matches!(event, PortEvent::Unopenable { .. }), "{event:?}");

    let mut second = device();
    symlink(&second.path, &link).unwrap();
    watch.opened();
    second.line.write_all(b"B\r").unwrap();
    assert_eq!(watch.bytes_until_idle(), b"B\r");
    drop(watch);
}

#[test]
fn a_link_that_is_moved_to_another_device_is_followed_though_the_old_one_is_silent() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("scanner");
    let silent = device();
    symlink(&silent.path, &link).unwrap();
    let watch = Watch::start(&link);
    watch.opened();

    let mut other = device();
    let moved = folder.path().join("moved");
    symlink(&other.path, &moved).unwrap();
    std::fs::rename(&moved, &link).unwrap();
    watch.lost();
    watch.opened();
    other.line.write_all(b"B\r").unwrap();
    assert_eq!(watch.bytes_until_idle(), b"B\r");
    drop(watch);
    drop(silent);
}

#[test]
fn a_missing_port_is_told_once_and_opened_when_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("scanner");
    let watch = Watch::start(&link);
    let PortEvent::Unopenable { reason } = watch.next() else {
        panic!("it is not there")
    };
    assert!(reason.contains("plug the device in"), "{reason}");
    // Several tries fit in here; none of them may speak.
    let silence = watch.events.recv_timeout(Duration::from_millis(1_500));
    assert!(silence.is_err(), "{silence:?}");
    let device = device();
    symlink(&device.path, &link).unwrap();
    watch.opened();
    drop(watch);
}

#[test]
fn a_path_that_is_no_serial_device_is_told_and_never_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a-file");
    std::fs::write(&path, b"4006381333931\r").unwrap();
    let watch = Watch::start(&path);
    let event = watch.next();
    assert!(matches!(event, PortEvent::Unopenable { .. }), "{event:?}");
}

#[test]
fn an_event_shows_the_number_of_bytes_alone() {
    let mut device = device();
    let watch = Watch::start(&device.path);
    watch.opened();
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
    let first = Watch::start(&device.path);
    first.opened();
    let second = Watch::start(&device.path);
    let event = second.next();
    let PortEvent::Unopenable { reason } = &event else {
        panic!("{event:?}")
    };
    assert!(reason.contains("cannot open"), "{reason}");
    device.line.write_all(b"4006381333931\r").unwrap();
    assert_eq!(first.bytes_until_idle(), b"4006381333931\r");
    drop(first);
    second.opened();
    drop(second);
}
