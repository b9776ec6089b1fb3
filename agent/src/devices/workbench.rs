//! Devices on a bench, for tests: a line to plug a simulated one in, and what the agent tells of it.

use std::fs::File;
use std::future::Future;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::status::Clocks;
use super::{DeviceEvent, Devices};

/// No test waits this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what is to happen.
pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .expect("nothing happened within the test's patience")
}

/// Plugs a device in: its end of the line, behind a link as udev makes one.
pub(super) fn plug(link: &Path) -> File {
    let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&device).unwrap();
    unlockpt(&device).unwrap();
    let name = ptsname(&device, Vec::new()).unwrap();
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(name.as_bytes()));
    std::os::unix::fs::symlink(path, link).unwrap();
    File::from(device)
}

/// The agent's devices, and what they tell.
pub(super) struct Workbench {
    pub(super) devices: Devices,
    pub(super) events: mpsc::Receiver<DeviceEvent>,
    stop: watch::Sender<bool>,
}

impl Workbench {
    /// Starts what `start` does.
    pub(super) fn start(clocks: Clocks, start: impl FnOnce(&mut Devices)) -> Self {
        let (sender, events) = mpsc::channel(64);
        let (stop, stopped) = watch::channel(false);
        let mut devices = Devices::new(Arc::default(), sender, stopped, clocks);
        start(&mut devices);
        Self {
            devices,
            events,
            stop,
        }
    }

    /// Returns what is told next.
    pub(super) async fn event(&mut self) -> DeviceEvent {
        within(self.events.recv())
            .await
            .expect("the devices have ended")
    }

    /// Stops the devices, and sees that they end.
    pub(super) async fn end(self) {
        self.stop.send_replace(true);
        drop(self.events);
        within(self.devices.stopped()).await;
    }
}
