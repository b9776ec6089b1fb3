//! What only the operating system knows: the service manager, the machine's identity, disk, memory.
//!
//! Each function answers on every system; where a system cannot tell, the answer is `None` or
//! nothing happens. Linux is built and tested; a port to another system is a module beside
//! `linux` with the same functions.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;
pub mod ports;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use portable as system;

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use tillbind_protocol::clock::Uptime;

/// What tells this machine from another: a hash over what its hardware and its installation say
/// about themselves. Stays the same across restarts, updates and changes of address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MachineFingerprint([u8; 32]);

impl MachineFingerprint {
    /// Hashes named facts. They are sorted and framed by their lengths, so neither their order nor
    /// where one ends and the next begins can make two machines equal.
    fn of(mut facts: Vec<(&'static str, String)>) -> Self {
        facts.sort();
        let mut hasher = blake3::Hasher::new_derive_key("tillbind 2026 machine fingerprint v1");
        for (name, value) in &facts {
            for part in [name.as_bytes(), value.as_bytes()] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// Returns the hash.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for MachineFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for MachineFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MachineFingerprint({self})")
    }
}

/// Space of the file system that holds a path, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// What the agent may still fill.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

/// Returns what tells this machine from another, or `None` where the system tells nothing.
///
/// On Linux: the installation's `/etc/machine-id`, and of the hardware the board's serial number if
/// every user may read it, else the address of the first built-in network card; so it is the same
/// for root and for the agent's user. A copy of the disk
/// in another machine therefore has another fingerprint, and so has this machine with another board
/// (or card); where neither can be read, as in some virtual machines, a copy goes unnoticed.
pub fn machine_fingerprint() -> Option<MachineFingerprint> {
    let facts = system::machine_facts();
    (!facts.is_empty()).then(|| MachineFingerprint::of(facts))
}

/// Returns the machine's name in the network, if it has one.
pub fn hostname() -> Option<String> {
    system::hostname()
}

/// Returns the space of the file system that holds `path`.
///
/// # Errors
/// What the system said; `Unsupported` where it cannot tell.
pub fn disk_space(path: &Path) -> io::Result<DiskSpace> {
    system::disk_space(path)
}

/// Returns the memory that the process occupies now (RSS), in bytes, where the system tells it.
pub fn resident_memory() -> Option<u64> {
    system::resident_memory()
}

/// Returns the time since the machine started, sleep apart, where the system tells it.
pub fn uptime() -> Option<Uptime> {
    system::uptime()
}

/// Returns a name of the machine's present run, another after each start, where the system tells it.
pub fn boot() -> Option<String> {
    system::boot()
}

/// Returns what the clock on the machine's battery says, in milliseconds since 1970-01-01 UTC, if it
/// has one.
pub fn battery_clock_ms() -> Option<i64> {
    system::battery_clock_ms()
}

/// Tells the service manager, if there is one, that the agent is ready.
///
/// # Errors
/// What the system said; the agent works on without its service manager knowing.
pub fn notify_ready(status: &str) -> io::Result<()> {
    system::notify_ready(status)
}

/// Tells the service manager, if there is one, what the agent is doing, in one line for people.
///
/// # Errors
/// What the system said.
pub fn notify_status(status: &str) -> io::Result<()> {
    system::notify_status(status)
}

/// Tells the service manager, if there is one, that the agent is alive; wanted once in half of
/// [`watchdog_interval`] at the latest, and only while the agent really works.
///
/// # Errors
/// What the system said.
pub fn notify_alive() -> io::Result<()> {
    system::notify_alive()
}

/// Tells the service manager, if there is one, that the agent ends.
///
/// # Errors
/// What the system said.
pub fn notify_stopping() -> io::Result<()> {
    system::notify_stopping()
}

/// Returns after which silence the service manager restarts the agent, if it does.
pub fn watchdog_interval() -> Option<Duration> {
    system::watchdog_interval()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(facts: &[(&'static str, &str)]) -> MachineFingerprint {
        MachineFingerprint::of(
            facts
                .iter()
                .map(|&(name, value)| (name, value.to_owned()))
                .collect(),
        )
    }

    #[test]
    fn a_fingerprint_depends_on_the_facts_and_not_on_their_order() {
        let facts = [("machine-id", "a1"), ("board-serial", "b2")];
        let swapped = [("board-serial", "b2"), ("machine-id", "a1")];
        assert_eq!(fingerprint(&facts), fingerprint(&swapped));
        let other_board = [("machine-id", "a1"), ("board-serial", "b3")];
        assert_ne!(fingerprint(&facts), fingerprint(&other_board));
        let moved_border = [("machine-id", "a1board-serial"), ("board-serial", "2")];
        assert_ne!(fingerprint(&facts), fingerprint(&moved_border));
        assert_eq!(fingerprint(&facts).to_string().len(), 64);
    }

    #[test]
    fn this_machine_tells_the_same_twice() {
        assert_eq!(machine_fingerprint(), machine_fingerprint());
    }
}
