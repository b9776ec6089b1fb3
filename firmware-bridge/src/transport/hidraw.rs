//! One HID device by its raw reports (`/dev/hidrawN`): opened, read, lost, and found again.
//!
//! The device's report descriptor is looked at before it is read: a scanner that is set to keyboard
//! or to serial emulation is told, with what to set it to.
//!
//! The kernel knows no exclusive opening of a hidraw device. An exclusive `flock` keeps out other
//! terminals' agents and all programs that ask for it as well; one that does not ask reads along.
//!
//! Deliberately lacking: writing reports. On other systems than Linux the device is told as one
//! that cannot be opened.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::port::{self, PortEvent};

/// Watches a device until `stop` is set or `on_event` breaks; both are noticed within `idle_gap`,
/// which is cut at [`IDLE_GAP_MAX`](super::port::IDLE_GAP_MAX).
pub fn watch(
    path: &Path,
    idle_gap: Duration,
    stop: &AtomicBool,
    on_event: impl FnMut(PortEvent) -> ControlFlow<()>,
) {
    port::watch(path, idle_gap, stop, open, on_event);
}

#[cfg(target_os = "linux")]
fn open(path: &Path, idle_gap: Duration) -> Result<super::file::Polled<std::fs::File>, String> {
    use super::file;
    use rustix::fs::{FlockOperation, flock};

    let device = file::open(path).map_err(|error| file::cannot_open(path, &error))?;
    flock(&device, FlockOperation::NonBlockingLockExclusive)
        .map_err(|error| file::cannot_open(path, &error.into()))?;
    match descriptor(path) {
        Some(descriptor) if !crate::scanner::hid_pos::declares_scanner(&descriptor) => {
            Err(format!(
                "{} is no HID POS scanner: set the scanner to HID POS by its manual, or name \
                 another of its hidraw devices",
                path.display()
            ))
        }
        // Without a descriptor the reports themselves will tell.
        Some(_) | None => Ok(file::Polled::new(device, idle_gap)),
    }
}

/// Reads what the device says of its reports, where the kernel shows it.
#[cfg(target_os = "linux")]
fn descriptor(path: &Path) -> Option<Vec<u8>> {
    let device = std::fs::canonicalize(path).ok()?;
    let shown = Path::new("/sys/class/hidraw")
        .join(device.file_name()?)
        .join("device/report_descriptor");
    std::fs::read(shown).ok()
}

#[cfg(not(target_os = "linux"))]
fn open(path: &Path, _idle_gap: Duration) -> Result<std::io::Cursor<Vec<u8>>, String> {
    Err(format!(
        "{} cannot be opened: HID POS is read on Linux alone; set the scanner to serial emulation",
        path.display()
    ))
}
