//! One serial port: opened, read, lost, and found again by its path.
//!
//! [`watch`] blocks, so it wants a thread of its own. It tells a callback what happens and goes on
//! until it is stopped; a port that is missing, busy or broken is tried again for ever.
//!
//! Found again: the configured path is resolved anew at each opening, so a link that `udev` makes
//! (`/dev/serial/by-id/…`) leads to the device wherever the kernel puts it after a replug. While
//! the line is quiet the link is compared with what it led to, since a driver may keep a dead
//! port open without an error.
//!
//! Limits: [`READ_TIMEOUT`] between looks at the stop flag, [`RETRY_DELAY_MAX`] between tries.
//! Deliberately lacking: writing to the port; parity and flow control, which no scanner asks for.

use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serialport::{ErrorKind, SerialPort};
use zeroize::{Zeroize, Zeroizing};

/// How long one read waits. So long after the last byte a line counts as idle, and so late a stop
/// is noticed at the most.
pub const READ_TIMEOUT: Duration = Duration::from_millis(200);
/// The first pause before a port is tried again.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(100);
/// The longest pause: so late a port that was plugged in again is found at the most.
pub const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);
/// After so many quiet reads the path is resolved again: once a second.
const QUIET_READS_PER_LOOK: u32 = 5;
/// Bytes taken by one read; more than a USB scanner sends at once.
const READ_BYTES: usize = 1_024;

/// Which port to read, always with 8 data bits, no parity, 1 stop bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialConfig {
    /// A device, or a link to one.
    pub path: PathBuf,
    /// Bits per second; a USB or pseudo terminal ignores it.
    pub baud: u32,
}

/// What happened on a port. `Debug` shows how many bytes came, never which.
pub enum PortEvent {
    /// The port is open and is being read.
    Opened,
    /// Bytes came, in any chunking.
    Bytes(Zeroizing<Vec<u8>>),
    /// No byte for [`READ_TIMEOUT`] after some came; told once per silence.
    Idle,
    /// An open port is gone; it is looked for from now on.
    Lost {
        /// What happened, for people.
        reason: String,
    },
    /// The port cannot be opened; told once per reason, while it is tried again and again.
    Unopenable {
        /// What happened and what to do, for people.
        reason: String,
    },
}

impl fmt::Debug for PortEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened => f.write_str("Opened"),
            Self::Bytes(bytes) => write!(f, "Bytes([{} bytes])", bytes.len()),
            Self::Idle => f.write_str("Idle"),
            Self::Lost { reason } => write!(f, "Lost({reason:?})"),
            Self::Unopenable { reason } => write!(f, "Unopenable({reason:?})"),
        }
    }
}

/// Watches a port until `stop` is set or `on_event` breaks; both are noticed within
/// [`READ_TIMEOUT`].
pub fn watch(
    config: &SerialConfig,
    stop: &AtomicBool,
    mut on_event: impl FnMut(PortEvent) -> ControlFlow<()>,
) {
    let ControlFlow::Break(()) = watch_until_break(config, stop, &mut on_event);
}

fn watch_until_break(
    config: &SerialConfig,
    stop: &AtomicBool,
    on_event: &mut impl FnMut(PortEvent) -> ControlFlow<()>,
) -> ControlFlow<(), Infallible> {
    let mut delay = RETRY_DELAY_MIN;
    let mut told: Option<String> = None;
    loop {
        look_at(stop)?;
        match OpenPort::open(config) {
            Ok(mut port) => {
                told = None;
                on_event(PortEvent::Opened)?;
                let reason = port.read_until_lost(stop, on_event)?;
                on_event(PortEvent::Lost { reason })?;
                // A port that opens and fails at once must not spin.
                if port.was_alive {
                    delay = RETRY_DELAY_MIN;
                }
            }
            Err(reason) => {
                if told.as_ref() != Some(&reason) {
                    told = Some(reason.clone());
                    on_event(PortEvent::Unopenable { reason })?;
                }
            }
        }
        pause(delay, stop)?;
        delay = (delay * 2).min(RETRY_DELAY_MAX);
    }
}

struct OpenPort<'a> {
    path: &'a Path,
    port: Box<dyn SerialPort>,
    /// What the path led to when it was opened; none where paths are no files, as on Windows.
    target: Option<PathBuf>,
    buffer: Zeroizing<[u8; READ_BYTES]>,
    /// Set by the first read that brought bytes or silence rather than an error.
    was_alive: bool,
}

impl<'a> OpenPort<'a> {
    fn open(config: &'a SerialConfig) -> Result<Self, String> {
        let path = config.path.as_path();
        // Resolved before it is opened: a link moved in between is then noticed, not missed.
        let target = fs::canonicalize(path).ok();
        let port = serialport::new(path.to_string_lossy(), config.baud)
            .timeout(READ_TIMEOUT)
            .open()
            .map_err(|error| cannot_open(path, &error))?;
        Ok(Self {
            path,
            port,
            target,
            buffer: Zeroizing::new([0; READ_BYTES]),
            was_alive: false,
        })
    }

    /// Reads until the port fails, and says why; breaks when told to.
    fn read_until_lost(
        &mut self,
        stop: &AtomicBool,
        on_event: &mut impl FnMut(PortEvent) -> ControlFlow<()>,
    ) -> ControlFlow<(), String> {
        let mut quiet_reads: u32 = 0;
        let mut idle_is_due = false;
        loop {
            look_at(stop)?;
            match self.port.read(self.buffer.as_mut_slice()) {
                // The read waited for readiness, so nothing means that the other side hung up.
                Ok(0) => return ControlFlow::Continue(self.lost("the device hung up")),
                Ok(count) => {
                    let bytes = self.buffer.get(..count).unwrap_or_default().to_vec();
                    self.buffer.zeroize();
                    self.was_alive = true;
                    quiet_reads = 0;
                    idle_is_due = true;
                    on_event(PortEvent::Bytes(Zeroizing::new(bytes)))?;
                }
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    self.was_alive = true;
                    if std::mem::take(&mut idle_is_due) {
                        on_event(PortEvent::Idle)?;
                    }
                    quiet_reads += 1;
                    if quiet_reads.is_multiple_of(QUIET_READS_PER_LOOK) && self.leads_elsewhere() {
                        let reason = self.lost("the path leads to another device now");
                        return ControlFlow::Continue(reason);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return ControlFlow::Continue(self.lost(&error.to_string())),
            }
        }
    }

    fn leads_elsewhere(&self) -> bool {
        self.target.is_some() && fs::canonicalize(self.path).ok() != self.target
    }

    fn lost(&self, what: &str) -> String {
        format!(
            "{} was lost ({what}): it is looked for until it is back",
            self.path.display()
        )
    }
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

fn look_at(stop: &AtomicBool) -> ControlFlow<()> {
    if stop.load(Ordering::Relaxed) {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

/// Sleeps in steps short enough for a stop to be noticed.
fn pause(delay: Duration, stop: &AtomicBool) -> ControlFlow<()> {
    let mut left = delay;
    while !left.is_zero() {
        look_at(stop)?;
        let step = left.min(READ_TIMEOUT);
        thread::sleep(step);
        left -= step;
    }
    ControlFlow::Continue(())
}
