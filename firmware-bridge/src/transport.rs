//! Ports of the machine: the only part of this crate that does I/O, behind features.

#[cfg(feature = "evdev")]
pub mod evdev;
#[cfg(all(target_os = "linux", any(feature = "hidraw", feature = "evdev")))]
mod file;
#[cfg(feature = "hidraw")]
pub mod hidraw;
#[cfg(any(feature = "serial", feature = "hidraw", feature = "evdev"))]
mod port;
#[cfg(feature = "serial")]
pub mod serial;

#[cfg(any(feature = "serial", feature = "hidraw", feature = "evdev"))]
pub use port::{IDLE_GAP_MAX, PortEvent, READ_TIMEOUT, RETRY_DELAY_MAX};
