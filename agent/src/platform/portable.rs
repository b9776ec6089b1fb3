//! Systems without a module of their own: everything is unknown, and nothing fails for it.

use std::io;
use std::path::Path;
use std::time::Duration;

use tillbind_protocol::clock::Uptime;

use super::DiskSpace;

pub(super) fn machine_facts() -> Vec<(&'static str, String)> {
    Vec::new()
}

pub(super) fn hostname() -> Option<String> {
    None
}

pub(super) fn disk_space(_path: &Path) -> io::Result<DiskSpace> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn resident_memory() -> Option<u64> {
    None
}

pub(super) fn uptime() -> Option<Uptime> {
    None
}

pub(super) fn boot() -> Option<String> {
    None
}

pub(super) fn battery_clock_ms() -> Option<i64> {
    None
}

pub(super) fn notify_ready(_status: &str) -> io::Result<()> {
    Ok(())
}

pub(super) fn notify_status(_status: &str) -> io::Result<()> {
    Ok(())
}

pub(super) fn notify_alive() -> io::Result<()> {
    Ok(())
}

pub(super) fn notify_stopping() -> io::Result<()> {
    Ok(())
}

pub(super) fn watchdog_interval() -> Option<Duration> {
    None
}
