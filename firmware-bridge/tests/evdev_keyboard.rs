//! A keyboard is grabbed, read and lost; the kernel's uinput plays it where the machine has that.

#![cfg(all(feature = "evdev", target_os = "linux"))]

use std::fs::OpenOptions;
use std::io::{Write, stderr};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use evdev::uinput::VirtualDevice;
use evdev::{AttributeSet, EventType, InputEvent, KeyCode};
use tillbind_firmware_bridge::scanner::{Decoder, DecoderConfig, Framing};
use tillbind_firmware_bridge::transport::evdev::watch;
use tillbind_firmware_bridge::transport::{PortEvent, READ_TIMEOUT};

/// Long enough for a loaded machine; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

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
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok(), "the watch ends when it is told to");
        }
    }
}

/// Plugs a keyboard in, if the machine lets us: the keyboard and its device.
fn virtual_keyboard() -> Option<(VirtualDevice, PathBuf)> {
    if let Err(error) = OpenOptions::new().write(true).open("/dev/uinput") {
        // Past the capture of the test runner, so that it is seen in a run that passes.
        writeln!(
            stderr(),
            "/dev/uinput cannot be used ({error}): the grab is not tried, recorded keys only"
        )
        .expect("an open standard error");
        return None;
    }
    let keys: AttributeSet<KeyCode> = (1..128).map(KeyCode).collect();
    let mut keyboard = VirtualDevice::builder()
        .expect("uinput")
        .name("scanner of a test")
        .with_keys(&keys)
        .expect("a keyboard's keys")
        .build()
        .expect("a virtual keyboard");
    let path = keyboard
        .enumerate_dev_nodes_blocking()
        .expect("its devices")
        .next()
        .expect("a device")
        .expect("a device's path");
    Some((keyboard, path))
}

fn press(keyboard: &mut VirtualDevice, code: u16) {
    for value in [1, 0] {
        keyboard
            .emit(&[InputEvent::new(EventType::KEY.0, code, value)])
            .expect("a key");
    }
}

#[test]
fn a_virtual_keyboard_is_read_and_no_other_can_take_it() {
    let Some((mut keyboard, path)) = virtual_keyboard() else {
        return;
    };
    let first = Watch::start(&path);
    assert!(matches!(first.next(), PortEvent::Opened));
    let second = Watch::start(&path);
    let event = second.next();
    let PortEvent::Unopenable { reason } = &event else {
        panic!("{event:?}")
    };
    assert!(reason.contains("stop the other program"), "{reason}");
    drop(second);

    for code in [5, 8, 2, 2, 28] {
        press(&mut keyboard, code);
    }
    let mut decoder = Decoder::new(DecoderConfig::of(Framing::Keyboard));
    let scan = loop {
        if let PortEvent::Bytes(bytes) = first.next()
            && let Some(frame) = decoder.feed(&bytes).frames.pop()
        {
            break frame;
        }
    };
    assert_eq!(scan.bytes(), b"4711");
    drop(keyboard);
    loop {
        if let PortEvent::Lost { .. } = first.next() {
            break;
        }
    }
}

#[test]
fn what_is_no_keyboard_is_told_with_what_to_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a-file");
    std::fs::write(&path, b"4006381333931\r").unwrap();
    let watch = Watch::start(&path);
    let event = watch.next();
    let PortEvent::Unopenable { reason } = &event else {
        panic!("{event:?}")
    };
    assert!(reason.contains("-event-kbd"), "{reason}");
}
