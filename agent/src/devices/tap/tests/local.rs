use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::task::spawn_blocking;

use super::*;

/// Makes the device's end of a line and the path of the tap's end.
pub(super) fn line() -> (File, PathBuf) {
    let printer: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&printer).unwrap();
    unlockpt(&printer).unwrap();
    let name = ptsname(&printer, Vec::new()).unwrap();
    (
        File::from(printer),
        PathBuf::from(std::ffi::OsStr::from_bytes(name.as_bytes())),
    )
}

pub(super) async fn printed(mut printer: File, len: usize) -> (File, Vec<u8>) {
    let read = spawn_blocking(move || {
        let mut bytes = vec![0; len];
        printer.read_exact(&mut bytes).unwrap();
        (printer, bytes)
    });
    within(read).await.unwrap()
}

#[tokio::test]
async fn a_serial_printer_gets_every_byte_raw_and_its_connections_take_turns() {
    let (printer, path) = line();
    // Keeps the line from hanging up between two connections.
    let _held = File::open(&path).unwrap();
    let rig = Rig::start(PrinterTarget::Device(path)).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let mut one = rig.pos().await;
    one.write_all(&every_byte).await.unwrap();
    let (mut printer, bytes) = printed(printer, 256).await;
    assert_eq!(bytes, every_byte);
    printer.write_all(&every_byte).unwrap();
    assert_eq!(read_exact(&mut one, 256).await, every_byte);

    let mut two = rig.pos().await;
    two.write_all(b"second").await.unwrap();
    one.write_all(b"first").await.unwrap();
    let (printer, bytes) = printed(printer, 5).await;
    assert_eq!(bytes, b"first");
    drop(one);
    assert_eq!(printed(printer, 6).await.1, b"second");
}

#[tokio::test]
async fn a_serial_printer_that_is_not_there_resets_the_pos() {
    let mut rig = Rig::start(PrinterTarget::Device("/nonexistent/ttyS9".into())).await;
    assert_eq!(rig.failure().await, ErrorKind::ConnectionReset);
    let PortState::Lost { reason } = rig.port().await else {
        panic!("the loss of the printer was not told");
    };
    assert!(reason.contains("/nonexistent/ttyS9"), "{reason}");
}
