//! A device file whose reads wait for a bounded time.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Reads what comes within the idle gap, or fails with `TimedOut`.
pub(super) struct Polled<F> {
    file: F,
    idle_gap: Duration,
}

impl<F: AsFd> Polled<F> {
    pub(super) fn new(file: F, idle_gap: Duration) -> Self {
        Self { file, idle_gap }
    }

    /// Waits until something can be read, or the other side is gone.
    fn wait(&self) -> io::Result<()> {
        let timeout = Timespec {
            tv_sec: i64::try_from(self.idle_gap.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(self.idle_gap.subsec_nanos()),
        };
        let mut ready = [PollFd::new(&self.file, PollFlags::IN)];
        match poll(&mut ready, Some(&timeout))? {
            0 => Err(io::ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }
}

impl<F: AsFd> Read for Polled<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait()?;
        match rustix::io::read(&self.file, buffer) {
            // Another took it, or it was a false alarm.
            Err(rustix::io::Errno::AGAIN) => Err(io::ErrorKind::TimedOut.into()),
            other => Ok(other?),
        }
    }
}

/// Nothing is ever written to these devices: their decoders answer nothing.
impl<F> Write for Polled<F> {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says why a device file cannot be opened, and what to do.
pub(super) fn cannot_open(path: &std::path::Path, error: &io::Error) -> String {
    let is_one_of = |kinds: &[io::ErrorKind]| kinds.contains(&error.kind());
    let advice = if is_one_of(&[io::ErrorKind::NotFound]) {
        "plug the device in, or correct its port"
    } else if is_one_of(&[io::ErrorKind::PermissionDenied]) {
        "give the agent's user the right to read it, by a udev rule best"
    } else if is_one_of(&[io::ErrorKind::ResourceBusy, io::ErrorKind::WouldBlock]) {
        "stop the other program that has it for itself"
    } else {
        "unplug the device and plug it in again"
    };
    format!("cannot open {} ({error}): {advice}", path.display())
}

/// Opens a file for reading, without waiting for its other side.
pub(super) fn open(path: &std::path::Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}
