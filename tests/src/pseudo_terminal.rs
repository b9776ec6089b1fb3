//! Pseudo-terminals that stand for a device on a serial line.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::path::PathBuf;

use anyhow::Result;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// A line, raw in both directions.
#[derive(Debug)]
pub struct PseudoTerminal {
    /// The device's end.
    pub device: File,
    /// The path of the port.
    pub path: PathBuf,
    /// Keeps the port alive between two opens of the agent, as a driver does.
    pub port: File,
}

impl PseudoTerminal {
    /// Opens one.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn open() -> Result<Self> {
        let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&device)?;
        unlockpt(&device)?;
        let path = PathBuf::from(ptsname(&device, Vec::new())?.into_string()?);
        let port = OpenOptions::new().read(true).write(true).open(&path)?;
        let mut settings = tcgetattr(port.as_fd())?;
        settings.make_raw();
        tcsetattr(port.as_fd(), OptionalActions::Now, &settings)?;
        Ok(Self {
            device: device.into(),
            path,
            port,
        })
    }
}
