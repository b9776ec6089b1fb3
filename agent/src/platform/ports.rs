//! The ports of this machine that a till's devices may hang on, and the names by which they stay found.
//!
//! The kernel numbers devices in the order in which it meets them: what was `/dev/ttyACM0` may be
//! `/dev/ttyACM1` after a replug. `udev` keeps links named after the device (`by-id`) or, for devices that
//! tell no serial number, after the socket (`by-path`); such a name belongs into the settings.
//!
//! Limits: [`PORTS_MAX`] ports. Deliberately lacking: opening any of them, which would disturb a device
//! that is in use.

use std::fs;
use std::path::{Path, PathBuf};

/// Most ports that are listed; a till has a dozen.
const PORTS_MAX: usize = 256;

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortKind {
    /// A serial port: a scanner, an NFC reader, a printer, the POS's cable.
    Serial,
    /// A device that types: a scanner as a keyboard, or a keyboard.
    Keyboard,
    /// A HID device without a driver of its own: a scanner in HID POS mode.
    Hid,
    /// A USB printer.
    Printer,
}

impl PortKind {
    /// Returns the stable name: `serial`, `keyboard`, `hid` or `printer`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Keyboard => "keyboard",
            Self::Hid => "hid",
            Self::Printer => "printer",
        }
    }
}

/// A port of this machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundPort {
    /// What it is for.
    pub kind: PortKind,
    /// Its name now.
    pub device: PathBuf,
    /// The name that it keeps, if it has one.
    pub stable: Option<PathBuf>,
}

/// Lists the ports of this machine. Where the system tells nothing, the list is empty.
pub fn ports() -> Vec<FoundPort> {
    ports_below(Path::new("/"))
}

/// Returns the lasting name of a port that is named by its number, if it is one of `ports` and has one.
pub fn lasting_name(ports: &[FoundPort], named: &Path) -> Option<PathBuf> {
    let port = ports.iter().find(|port| port.device == named)?;
    port.stable.clone()
}

fn ports_below(root: &Path) -> Vec<FoundPort> {
    let links: Vec<(PathBuf, PathBuf)> =
        ["serial/by-id", "serial/by-path", "tillbind", "input/by-id"]
            .into_iter()
            .flat_map(|dir| links_in(&root.join("dev").join(dir)))
            .collect();
    let found = |kind, device: PathBuf| FoundPort {
        kind,
        stable: links
            .iter()
            .find(|(_, target)| *target == device)
            .map(|(link, _)| link.clone()),
        device,
    };
    let mut ports = Vec::new();
    for device in entries(&root.join("dev")) {
        let name = name_of(&device);
        if name.starts_with("ttyUSB")
            || name.starts_with("ttyACM")
            || (is_numbered(&name, "ttyS") && is_soldered(root, &name))
        {
            ports.push(found(PortKind::Serial, device));
        } else if is_numbered(&name, "hidraw") {
            ports.push(found(PortKind::Hid, device));
        }
    }
    for device in entries(&root.join("dev/usb")) {
        if is_numbered(&name_of(&device), "lp") {
            ports.push(found(PortKind::Printer, device));
        }
    }
    for (link, target) in &links {
        if name_of(link).ends_with("-event-kbd") {
            ports.push(found(PortKind::Keyboard, target.clone()));
        }
    }
    ports.sort();
    ports.dedup();
    ports.truncate(PORTS_MAX);
    ports
}

/// Returns the links in a directory and what each leads to, by name.
fn links_in(dir: &Path) -> Vec<(PathBuf, PathBuf)> {
    let mut links: Vec<_> = entries(dir)
        .into_iter()
        .filter_map(|link| Some((link.clone(), fs::canonicalize(&link).ok()?)))
        .collect();
    links.sort();
    links
}

/// Whether the kernel found the hardware of a built-in port: it makes names for many that are not there.
fn is_soldered(root: &Path, name: &str) -> bool {
    let about = root.join("sys/class/tty").join(name).join("type");
    fs::read_to_string(about).is_ok_and(|kind| kind.trim() != "0")
}

fn is_numbered(name: &str, before: &str) -> bool {
    name.strip_prefix(before).is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn machine() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for dir in [
            "dev/serial/by-id",
            "dev/serial/by-path",
            "dev/input/by-id",
            "dev/usb",
            "sys/class/tty/ttyS0",
            "sys/class/tty/ttyS1",
        ] {
            fs::create_dir_all(root.path().join(dir)).unwrap();
        }
        for file in [
            "ttyACM0",
            "ttyUSB0",
            "ttyUSB1",
            "ttyS0",
            "ttyS1",
            "tty1",
            "hidraw3",
            "usb/lp0",
            "input/event5",
            "input/event6",
        ] {
            fs::write(root.path().join("dev").join(file), "").unwrap();
        }
        fs::write(root.path().join("sys/class/tty/ttyS0/type"), "4\n").unwrap();
        fs::write(root.path().join("sys/class/tty/ttyS1/type"), "0\n").unwrap();
        let dev = root.path().join("dev");
        for (link, target) in [
            ("serial/by-id/usb-Honeywell_1900-if00", "../../ttyACM0"),
            ("serial/by-path/pci-0-usb-2", "../../ttyACM0"),
            ("serial/by-path/pci-0-usb-3", "../../ttyUSB0"),
            ("serial/by-id/usb-gone", "../../ttyUSB9"),
            ("input/by-id/usb-Wedge-event-kbd", "../event5"),
            ("input/by-id/usb-Mouse-event-mouse", "../event6"),
        ] {
            symlink(target, dev.join(link)).unwrap();
        }
        root
    }

    #[test]
    fn each_port_is_listed_once_with_the_name_that_lasts() {
        let root = machine();
        let base = fs::canonicalize(root.path()).unwrap();
        let told: Vec<String> = ports_below(&base)
            .into_iter()
            .map(|port| {
                let short = |path: &Path| path.strip_prefix(&base).unwrap().display().to_string();
                let stable = port.stable.as_deref().map_or("-".to_owned(), short);
                format!("{} {} {stable}", port.kind.as_str(), short(&port.device))
            })
            .collect();
        assert_eq!(
            told,
            [
                "serial dev/ttyACM0 dev/serial/by-id/usb-Honeywell_1900-if00",
                "serial dev/ttyS0 -",
                "serial dev/ttyUSB0 dev/serial/by-path/pci-0-usb-3",
                "serial dev/ttyUSB1 -",
                "keyboard dev/input/event5 dev/input/by-id/usb-Wedge-event-kbd",
                "hid dev/hidraw3 -",
                "printer dev/usb/lp0 -",
            ]
        );
    }

    #[test]
    fn a_numbered_name_has_a_lasting_one_and_a_lasting_one_needs_none() {
        let root = machine();
        let base = fs::canonicalize(root.path()).unwrap();
        let ports = ports_below(&base);
        let link = base.join("dev/serial/by-id/usb-Honeywell_1900-if00");
        assert_eq!(
            lasting_name(&ports, &base.join("dev/ttyACM0")),
            Some(link.clone())
        );
        assert_eq!(lasting_name(&ports, &link), None);
        assert_eq!(lasting_name(&ports, &base.join("dev/ttyS0")), None);
    }

    #[test]
    fn a_machine_without_ports_has_none() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(ports_below(root.path()), []);
    }
}
