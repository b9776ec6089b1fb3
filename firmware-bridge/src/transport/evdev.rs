//! One keyboard of the kernel's (`/dev/input/event…`): taken for this program alone, read, lost, and
//! found again.
//!
//! The keyboard is grabbed (`EVIOCGRAB`): what its scanner types reaches no window, no console and
//! no other program, so a scan has one consumer. It is let go when the watch ends, and by the
//! kernel if the program does. A keyboard on which somebody types must not be named here: the path
//! wants to be the scanner's own, `/dev/input/by-id/…-event-kbd`.
//!
//! What comes are the kernel's records, for [`crate::scanner::keyboard`] to read.
//!
//! Deliberately lacking: all but keys. On other systems than Linux the keyboard is told as one that
//! cannot be opened.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::port::{self, PortEvent};

/// Watches a keyboard until `stop` is set or `on_event` breaks; both are noticed within `idle_gap`,
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
fn open(path: &Path, idle_gap: Duration) -> Result<super::file::Polled<grab::Grabbed>, String> {
    grab::Grabbed::open(path).map(|keyboard| super::file::Polled::new(keyboard, idle_gap))
}

#[cfg(not(target_os = "linux"))]
fn open(path: &Path, _idle_gap: Duration) -> Result<std::io::Cursor<Vec<u8>>, String> {
    Err(format!(
        "{} cannot be opened: keyboards are grabbed on Linux alone; set the scanner to serial \
         emulation",
        path.display()
    ))
}

#[cfg(target_os = "linux")]
mod grab {
    use std::os::fd::{AsFd, BorrowedFd};
    use std::path::Path;

    use evdev::{Device, KeyCode};

    use super::super::file::{self, cannot_open};

    /// A keyboard that is this program's alone.
    pub(super) struct Grabbed {
        device: Device,
    }

    impl Grabbed {
        pub(super) fn open(path: &Path) -> Result<Self, String> {
            let file = file::open(path).map_err(|error| cannot_open(path, &error))?;
            let mut device = Device::from_fd(file.into()).map_err(|error| {
                format!(
                    "{} is no input device ({error}): name the scanner's, \
                     /dev/input/by-id/…-event-kbd",
                    path.display()
                )
            })?;
            let has_keys = device
                .supported_keys()
                .is_some_and(|keys| keys.contains(KeyCode::KEY_1) && keys.contains(KeyCode::KEY_A));
            if !has_keys {
                return Err(format!(
                    "{} is no keyboard: name the scanner's input device that ends in -event-kbd",
                    path.display()
                ));
            }
            device.grab().map_err(|error| cannot_open(path, &error))?;
            Ok(Self { device })
        }
    }

    impl AsFd for Grabbed {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.device.as_fd()
        }
    }

    impl Drop for Grabbed {
        fn drop(&mut self) {
            // A keyboard that is gone needs no letting go, and the kernel does it on closing too.
            if let Err(error) = self.device.ungrab() {
                tracing::debug!("the keyboard was not let go: {error}");
            }
        }
    }
}
