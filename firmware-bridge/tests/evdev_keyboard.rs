//! A keyboard is grabbed, read and lost; the kernel's uinput plays it where the machine has that.

#![cfg(all(feature = "evdev", target_os = "linux"))]

mod port_watch;

use std::fs::OpenOptions;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};

use evdev::uinput::VirtualDevice;
use evdev::{AttributeSet, EventType, InputEvent, KeyCode};
use tillbind_firmware_bridge::scanner::{Decoder, DecoderConfig, Framing};
use tillbind_firmware_bridge::transport::evdev::watch;
use tillbind_firmware_bridge::transport::{PortEvent, READ_TIMEOUT};

use port_watch::Watch;

/// Watches the keyboard at `path`.
fn started(path: &Path) -> Watch {
    let path = path.to_owned();
    Watch::start(move |stop, told| watch(&path, READ_TIMEOUT, stop, told))
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
    let first = started(&path);
    assert!(matches!(first.next(), PortEvent::Opened));
    let second = started(&path);
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
    let watch = started(&path);
    let event = watch.next();
    let PortEvent::Unopenable { reason } = &event else {
        panic!("{event:?}")
    };
    assert!(reason.contains("-event-kbd"), "{reason}");
}
