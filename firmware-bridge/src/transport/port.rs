//! One port of whatever sort: opened, read, answered, lost, and found again by its path.
//!
//! [`converse`] blocks, so it wants a thread of its own. It tells a callback what happens, writes
//! what the callback answers, and goes on until it is stopped; a port that is missing, busy or
//! broken is tried again for ever.
//!
//! Found again: the path is resolved anew at each opening, so a link that `udev` makes leads to the
//! device wherever the kernel puts it after a replug. While the port is quiet the link is compared
//! with what it led to, since a driver may keep a dead port open without an error.

use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use zeroize::{Zeroize, Zeroizing};

/// How long one read waits unless told otherwise. So long after the last byte a line counts as
/// idle, and so late a stop is noticed at the most.
pub const READ_TIMEOUT: Duration = Duration::from_millis(200);
/// The longest idle gap: so late a stop is noticed at the most.
pub const IDLE_GAP_MAX: Duration = Duration::from_secs(1);
/// The first pause before a port is tried again.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(100);
/// The longest pause: so late a port that was plugged in again is found at the most.
pub const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);
/// After so long a silence the path is resolved again.
const QUIET_PER_LOOK: Duration = Duration::from_secs(1);
/// Bytes taken by one read; more than a USB scanner sends at once.
const READ_BYTES: usize = 1_024;

/// What happened on a port. `Debug` shows how many bytes came, never which.
pub enum PortEvent {
    /// The port is open and is being read.
    Opened,
    /// Bytes came, in any chunking.
    Bytes(Zeroizing<Vec<u8>>),
    /// No byte for the idle gap after some came; told once per silence, or at each further gap where
    /// the port's owner has to speak first.
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

/// How often a port without a byte is told to be idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// Once, when bytes have stopped.
    ToldOnce,
    /// At each idle gap.
    ToldAgain,
}

/// Opens the port at `path` with `open` and serves it until `stop` is set or `on_event` breaks.
///
/// A read of what `open` returns waits for the idle gap at the most and then fails with `TimedOut`.
/// What `on_event` puts into its buffer is written to the port, if that is still there.
pub(super) fn converse<P: Read + Write>(
    path: &Path,
    idle_gap: Duration,
    silence: Silence,
    stop: &AtomicBool,
    open: impl Fn() -> Result<P, String>,
    mut on_event: impl FnMut(PortEvent, &mut Vec<u8>) -> ControlFlow<()>,
) {
    let ControlFlow::Break(()) =
        converse_until_break(path, idle_gap, silence, stop, &open, &mut on_event);
}

/// The same for a port that is never answered; `open` is told the idle gap, cut at [`IDLE_GAP_MAX`].
pub(super) fn watch<P: Read + Write>(
    path: &Path,
    idle_gap: Duration,
    stop: &AtomicBool,
    open: impl Fn(&Path, Duration) -> Result<P, String>,
    mut on_event: impl FnMut(PortEvent) -> ControlFlow<()>,
) {
    let idle_gap = idle_gap.min(IDLE_GAP_MAX);
    converse(
        path,
        idle_gap,
        Silence::ToldOnce,
        stop,
        || open(path, idle_gap),
        |event, _answer| on_event(event),
    );
}

fn converse_until_break<P: Read + Write>(
    path: &Path,
    idle_gap: Duration,
    silence: Silence,
    stop: &AtomicBool,
    open: &impl Fn() -> Result<P, String>,
    on_event: &mut impl FnMut(PortEvent, &mut Vec<u8>) -> ControlFlow<()>,
) -> ControlFlow<(), Infallible> {
    let mut delay = RETRY_DELAY_MIN;
    let mut told: Option<String> = None;
    loop {
        look_at(stop)?;
        // Resolved before it is opened: a link moved in between is then noticed, not missed.
        let target = fs::canonicalize(path).ok();
        match open() {
            Ok(port) => {
                let mut port = OpenPort {
                    path,
                    port,
                    target,
                    idle_gap,
                    silence,
                    buffer: Zeroizing::new([0; READ_BYTES]),
                    was_alive: false,
                };
                told = None;
                let reason = port.serve_until_lost(stop, on_event)?;
                on_event(PortEvent::Lost { reason }, &mut Vec::new())?;
                // A port that opens and fails at once must not spin.
                if port.was_alive {
                    delay = RETRY_DELAY_MIN;
                }
            }
            Err(reason) => {
                if told.as_ref() != Some(&reason) {
                    told = Some(reason.clone());
                    on_event(PortEvent::Unopenable { reason }, &mut Vec::new())?;
                }
            }
        }
        pause(delay, stop)?;
        delay = (delay * 2).min(RETRY_DELAY_MAX);
    }
}

struct OpenPort<'a, P> {
    path: &'a Path,
    port: P,
    /// What the path led to when it was opened; none where paths are no files, as on Windows.
    target: Option<PathBuf>,
    idle_gap: Duration,
    silence: Silence,
    buffer: Zeroizing<[u8; READ_BYTES]>,
    /// Set by the first read that brought bytes or silence rather than an error.
    was_alive: bool,
}

impl<P: Read + Write> OpenPort<'_, P> {
    /// Reads until the port fails, and says why; breaks when told to.
    fn serve_until_lost(
        &mut self,
        stop: &AtomicBool,
        on_event: &mut impl FnMut(PortEvent, &mut Vec<u8>) -> ControlFlow<()>,
    ) -> ControlFlow<(), String> {
        if let Some(reason) = self.tell(PortEvent::Opened, on_event)? {
            return ControlFlow::Continue(reason);
        }
        let mut quiet = Duration::ZERO;
        let mut idle_is_due = false;
        loop {
            look_at(stop)?;
            let event = match self.port.read(self.buffer.as_mut_slice()) {
                // The read waited for readiness, so nothing means that the other side hung up.
                Ok(0) => return ControlFlow::Continue(self.lost("the device hung up")),
                Ok(count) => {
                    let bytes = self.buffer.get(..count).unwrap_or_default().to_vec();
                    self.buffer.zeroize();
                    self.was_alive = true;
                    quiet = Duration::ZERO;
                    idle_is_due = true;
                    PortEvent::Bytes(Zeroizing::new(bytes))
                }
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    self.was_alive = true;
                    quiet += self.idle_gap;
                    if quiet >= QUIET_PER_LOOK {
                        quiet = Duration::ZERO;
                        if self.leads_elsewhere() {
                            let reason = self.lost("the path leads to another device now");
                            return ControlFlow::Continue(reason);
                        }
                    }
                    if !std::mem::take(&mut idle_is_due) && self.silence == Silence::ToldOnce {
                        continue;
                    }
                    PortEvent::Idle
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return ControlFlow::Continue(self.lost(&error.to_string())),
            };
            if let Some(reason) = self.tell(event, on_event)? {
                return ControlFlow::Continue(reason);
            }
        }
    }

    /// Tells an event and writes the answer; returns why the port is lost if it takes none.
    fn tell(
        &mut self,
        event: PortEvent,
        on_event: &mut impl FnMut(PortEvent, &mut Vec<u8>) -> ControlFlow<()>,
    ) -> ControlFlow<(), Option<String>> {
        let mut answer = Vec::new();
        on_event(event, &mut answer)?;
        let written = if answer.is_empty() {
            Ok(())
        } else {
            self.port.write_all(&answer)
        };
        ControlFlow::Continue(
            written
                .err()
                .map(|error| self.lost(&format!("it takes no answer: {error}"))),
        )
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
