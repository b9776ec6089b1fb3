//! One serial port: opened for this program alone, read, answered, lost, and found again.
//!
//! [`watch`] reads alone; [`converse`] also writes what the callback answers. Both block, so they
//! want a thread of their own, and go on until they are stopped.
//!
//! A port is opened with `TIOCEXCL` and an exclusive `flock`: no other program, and no other thread
//! of this one, gets half of a scan. A port that another has is told as such and tried again.
//!
//! Limits: [`READ_TIMEOUT`] between looks at the stop flag, [`RETRY_DELAY_MAX`] between tries.
//! Deliberately lacking: parity and flow control, which no scanner asks for.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serialport::{ErrorKind, SerialPort};

use super::port::{self, Silence};
pub use super::port::{IDLE_GAP_MAX, PortEvent, READ_TIMEOUT, RETRY_DELAY_MAX};

/// Which port to read, always with 8 data bits, no parity, 1 stop bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialConfig {
    /// A device, or a link to one.
    pub path: PathBuf,
    /// Bits per second; a USB or pseudo terminal ignores it.
    pub baud: u32,
}

/// Watches a port until `stop` is set or `on_event` breaks; both are noticed within
/// [`READ_TIMEOUT`].
pub fn watch(
    config: &SerialConfig,
    stop: &AtomicBool,
    mut on_event: impl FnMut(PortEvent) -> ControlFlow<()>,
) {
    converse(config, READ_TIMEOUT, stop, |event, _answer| on_event(event));
}

/// Watches a port as [`watch`] does, and writes to it what `on_event` puts into its buffer.
///
/// A line counts as idle, and a stop is noticed, after `idle_gap`, which is cut at
/// [`IDLE_GAP_MAX`].
pub fn converse(
    config: &SerialConfig,
    idle_gap: Duration,
    stop: &AtomicBool,
    on_event: impl FnMut(PortEvent, &mut Vec<u8>) -> ControlFlow<()>,
) {
    let idle_gap = idle_gap.min(IDLE_GAP_MAX);
    let open = || open(config, idle_gap);
    port::converse(
        &config.path,
        idle_gap,
        Silence::ToldOnce,
        stop,
        open,
        on_event,
    );
}

/// Serves a port as [`converse`] does whose device speaks only when spoken to: [`PortEvent::Idle`]
/// is told at each `tick` without a byte, so that time passes for what `on_event` stands for.
pub fn ask(
    config: &SerialConfig,
    tick: Duration,
    stop: &AtomicBool,
    on_event: impl FnMut(PortEvent, &mut Vec<u8>) -> ControlFlow<()>,
) {
    let tick = tick.min(IDLE_GAP_MAX);
    let open = || open(config, tick);
    port::converse(&config.path, tick, Silence::ToldAgain, stop, open, on_event);
}

fn open(config: &SerialConfig, idle_gap: Duration) -> Result<Box<dyn SerialPort>, String> {
    serialport::new(config.path.to_string_lossy(), config.baud)
        .timeout(idle_gap)
        .open()
        .map_err(|error| cannot_open(&config.path, &error))
}

fn cannot_open(path: &Path, error: &serialport::Error) -> String {
    let advice = match error.kind() {
        ErrorKind::Io(io::ErrorKind::NotFound) => "plug the device in, or correct its port",
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => {
            "add the agent's user to the group that owns it, mostly dialout"
        }
        ErrorKind::NoDevice => "stop the other program that uses it, or plug the device in",
        ErrorKind::InvalidInput => "name a serial device, and a baud rate that it knows",
        ErrorKind::Unknown | ErrorKind::Io(_) => "unplug the device and plug it in again",
    };
    format!("cannot open {} ({error}): {advice}", path.display())
}
