//! A HID device's file is read, lost and found again; a named pipe plays the device.

#![cfg(all(feature = "hidraw", target_os = "linux"))]

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tillbind_firmware_bridge::scanner::{Decoder, DecoderConfig, Framing};
use tillbind_firmware_bridge::transport::hidraw::watch;
use tillbind_firmware_bridge::transport::{PortEvent, READ_TIMEOUT};

/// Long enough for a loaded machine; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

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

struct Watch {
    events: Receiver<PortEvent>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn start(path: &Path) -> Self {
        let path = path.to_owned();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (sender, events) = channel();
        let thread = thread::spawn(move || {
            watch(&path, READ_TIMEOUT, &stopped, |event| {
                match sender.send(event) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
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

    /// Decodes what comes up to the next silence.
    fn scans(&self) -> Vec<Vec<u8>> {
        let mut decoder = Decoder::new(DecoderConfig::of(Framing::HidPos));
        let mut scans = Vec::new();
        loop {
            match self.next() {
                PortEvent::Bytes(bytes) => {
                    let frames = decoder.feed(&bytes).frames;
                    scans.extend(frames.iter().map(|frame| frame.bytes().to_vec()));
                }
                PortEvent::Idle => return scans,
                event @ (PortEvent::Opened
                | PortEvent::Lost { .. }
                | PortEvent::Unopenable { .. }) => panic!("{event:?}"),
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok(), "the watch ends when it is told to");
        }
    }
}

#[test]
fn reports_are_read_and_a_device_that_was_replugged_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hidraw0");
    let mut device = plug(&path);
    let watch = Watch::start(&path);
    assert!(matches!(watch.next(), PortEvent::Opened));
    device.write_all(&report(b"TBC:A")).unwrap();
    device.write_all(&report(b"TBC:B")).unwrap();
    let mut scans = watch.scans();
    while scans.len() < 2 {
        scans.extend(watch.scans());
    }
    assert_eq!(scans, [b"]Q1TBC:A".to_vec(), b"]Q1TBC:B".to_vec()]);

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
    assert_eq!(watch.scans(), [b"]Q1TBC:C".to_vec()]);
}

#[test]
fn a_second_reader_that_asks_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hidraw0");
    let _device = plug(&path);
    let first = Watch::start(&path);
    assert!(matches!(first.next(), PortEvent::Opened));
    let second = Watch::start(&path);
    let event = second.next();
    let PortEvent::Unopenable { reason } = &event else {
        panic!("{event:?}")
    };
    assert!(reason.contains("stop the other program"), "{reason}");
    drop(first);
    assert!(matches!(second.next(), PortEvent::Opened));
}
