//! Linux: systemd, `/etc/machine-id`, `/sys` and `/proc`.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};
use sd_notify::NotifyState;
use tillbind_protocol::clock::Uptime;

use super::DiskSpace;

/// Longest fact that is kept; the files of `/sys` are a line each.
const FACT_BYTES_MAX: usize = 256;

/// Clocks on a battery that are looked at; boards have one or two.
const RTCS_MAX: u8 = 4;

/// What makers write where a number should stand.
const PLACEHOLDERS: &[&str] = &[
    "",
    "0",
    "default string",
    "n/a",
    "none",
    "not applicable",
    "not specified",
    "system serial number",
    "to be filled by o.e.m.",
    "unknown",
];

pub(super) fn machine_facts() -> Vec<(&'static str, String)> {
    facts_below(Path::new("/"))
}

/// Reads the facts below another root, as tests do.
fn facts_below(root: &Path) -> Vec<(&'static str, String)> {
    let installation =
        fact(root, "etc/machine-id").or_else(|| fact(root, "var/lib/dbus/machine-id"));
    let mut facts: Vec<(&'static str, String)> = installation
        .map(|id| ("machine-id", id))
        .into_iter()
        .collect();
    let board = [
        "sys/class/dmi/id/board_serial",
        // Boards without DMI, as of most ARM terminals.
        "sys/firmware/devicetree/base/serial-number",
    ];
    let board = board.into_iter().find_map(|path| fact(root, path));
    let hardware = match board {
        Some(serial) => Some(("board-serial", serial)),
        None => network_card(root).map(|address| ("network-card", address)),
    };
    facts.extend(hardware);
    facts
}

/// Reads a fact that every user may read. The board's number is mostly for root alone, and a
/// fingerprint that differs between root, who enrols, and the agent's user would be of no use.
fn fact(root: &Path, path: &str) -> Option<String> {
    let path = root.join(path);
    let is_for_all = fs::metadata(&path).ok()?.permissions().mode() & 0o004 != 0;
    if !is_for_all {
        return None;
    }
    let mut bytes = fs::read(&path).ok()?;
    bytes.truncate(FACT_BYTES_MAX);
    let text = String::from_utf8_lossy(&bytes);
    let value = text
        .trim_matches(|c: char| c.is_whitespace() || c == '\0')
        .to_lowercase();
    (!PLACEHOLDERS.contains(&value.as_str())).then_some(value)
}

/// Returns the permanent address of the first network card that is built in, by its place on the
/// bus. Cards on USB come and go; bridges and tunnels have no device.
fn network_card(root: &Path) -> Option<String> {
    let class = root.join("sys/class/net");
    let mut cards: Vec<(String, String)> = fs::read_dir(class)
        .ok()?
        .filter_map(|entry| {
            let card = entry.ok()?.path();
            let place = fs::canonicalize(card.join("device")).ok()?;
            let place = place.to_string_lossy().into_owned();
            if place.split('/').any(|part| part.starts_with("usb")) {
                return None;
            }
            // Kind 0 is an address that the card brought along, and `fact` leaves a 0 out.
            if fact(&card, "addr_assign_type").is_some() {
                return None;
            }
            let address = fact(&card, "address")?;
            let is_set = address.bytes().any(|byte| !matches!(byte, b'0' | b':'));
            is_set.then_some((place, address))
        })
        .collect();
    cards.sort();
    cards.into_iter().next().map(|(_, address)| address)
}

pub(super) fn hostname() -> Option<String> {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    (!name.is_empty() && name != "(none)").then_some(name)
}

pub(super) fn disk_space(path: &Path) -> io::Result<DiskSpace> {
    let space = rustix::fs::statvfs(path)?;
    Ok(DiskSpace {
        free: space.f_bavail.saturating_mul(space.f_frsize),
        total: space.f_blocks.saturating_mul(space.f_frsize),
    })
}

pub(super) fn resident_memory() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(rustix::param::page_size() as u64))
}

/// `CLOCK_MONOTONIC` stands still while the machine sleeps, `CLOCK_BOOTTIME` does not.
pub(super) fn uptime() -> Option<Uptime> {
    let awake = duration(clock_gettime(ClockId::Monotonic))?;
    let total = duration(clock_gettime(ClockId::Boottime))?;
    Some(Uptime {
        awake,
        asleep: total.saturating_sub(awake),
    })
}

fn duration(time: Timespec) -> Option<Duration> {
    let seconds = u64::try_from(time.tv_sec).ok()?;
    Some(Duration::new(seconds, u32::try_from(time.tv_nsec).ok()?))
}

pub(super) fn boot() -> Option<String> {
    fact(Path::new("/"), "proc/sys/kernel/random/boot_id")
}

pub(super) fn battery_clock_ms() -> Option<i64> {
    battery_clock_below(Path::new("/"))
}

fn battery_clock_below(root: &Path) -> Option<i64> {
    let seconds =
        (0..RTCS_MAX).find_map(|n| fact(root, &format!("sys/class/rtc/rtc{n}/since_epoch")))?;
    seconds.parse::<i64>().ok()?.checked_mul(1_000)
}

pub(super) fn notify_ready(status: &str) -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&one_line(status))])
}

pub(super) fn notify_status(status: &str) -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Status(&one_line(status))])
}

pub(super) fn notify_alive() -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Watchdog])
}

pub(super) fn notify_stopping() -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Stopping])
}

pub(super) fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// Takes out line ends: the protocol has one assignment a line.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(String, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    /// A machine of this many cards: place on the bus, name, address, kind of address.
    fn machine_with_cards(cards: &[(&str, &str, &str, &str)]) -> tempfile::TempDir {
        let mut files = vec![("etc/machine-id".to_owned(), "4C4C4544\n")];
        for (place, name, address, kind) in cards {
            let card = format!("sys/devices/{place}/net/{name}");
            files.push((format!("{card}/address"), address));
            files.push((format!("{card}/addr_assign_type"), kind));
        }
        let root = machine(&files);
        let class = root.path().join("sys/class/net");
        fs::create_dir_all(&class).unwrap();
        for (place, name, ..) in cards {
            let device = root.path().join("sys/devices").join(place);
            let card = device.join("net").join(name);
            std::os::unix::fs::symlink(&device, card.join("device")).unwrap();
            std::os::unix::fs::symlink(&card, class.join(name)).unwrap();
        }
        root
    }

    fn facts(expected: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        expected
            .iter()
            .map(|&(name, value)| (name, value.to_owned()))
            .collect()
    }

    #[test]
    fn the_boards_number_counts() {
        let root = machine(&[
            ("etc/machine-id".to_owned(), "4C4C4544\n"),
            ("sys/class/dmi/id/board_serial".to_owned(), "CZC123\n"),
        ]);
        let expected = facts(&[("machine-id", "4c4c4544"), ("board-serial", "czc123")]);
        assert_eq!(facts_below(root.path()), expected);
    }

    #[test]
    fn a_number_for_root_alone_counts_for_nobody() {
        let root = machine(&[
            ("etc/machine-id".to_owned(), "4C4C4544\n"),
            ("sys/class/dmi/id/board_serial".to_owned(), "CZC123\n"),
        ]);
        let serial = root.path().join("sys/class/dmi/id/board_serial");
        fs::set_permissions(serial, fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(
            facts_below(root.path()),
            facts(&[("machine-id", "4c4c4544")])
        );
    }

    #[test]
    fn without_a_board_that_tells_the_first_built_in_network_card_counts() {
        let root = machine_with_cards(&[
            ("pci0/0000:03", "eth1", "02:00:00:00:00:03", "0\n"),
            ("pci0/0000:02", "eth0", "02:00:00:00:00:02", "0\n"),
            ("pci0/0000:01", "random0", "02:00:00:00:00:01", "1\n"),
            ("pci0/0000:00/usb1/1-1", "usb0", "02:00:00:00:00:00", "0\n"),
        ]);
        let serial = root.path().join("sys/class/dmi/id/board_serial");
        fs::create_dir_all(serial.parent().unwrap()).unwrap();
        fs::write(serial, "To be filled by O.E.M.\n").unwrap();
        let expected = facts(&[
            ("machine-id", "4c4c4544"),
            ("network-card", "02:00:00:00:00:02"),
        ]);
        assert_eq!(facts_below(root.path()), expected);
    }

    #[test]
    fn the_clock_on_the_battery_is_read_where_there_is_one() {
        let path = "sys/class/rtc/rtc1/since_epoch".to_owned();
        let root = machine(&[(path, "1795348800\n")]);
        assert_eq!(battery_clock_below(root.path()), Some(1_795_348_800_000));
        assert_eq!(battery_clock_below(machine(&[]).path()), None);
    }

    #[test]
    fn the_time_since_the_start_goes_on() {
        let before = uptime().unwrap();
        let after = uptime().unwrap();
        assert!(after.total() >= before.total() && before.awake > Duration::ZERO);
        assert_eq!(boot(), boot());
    }

    #[test]
    fn disk_and_memory_are_told() {
        let space = disk_space(&std::env::temp_dir()).unwrap();
        assert!(space.free <= space.total && space.total > 0);
        assert!(resident_memory().is_some_and(|bytes| bytes > 1 << 20));
        assert!(disk_space(Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn a_status_cannot_smuggle_in_a_second_assignment() {
        assert_eq!(one_line("online\nREADY=1"), "online READY=1");
    }
}
