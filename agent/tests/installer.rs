//! The installer, run into a folder that stands for a terminal's disk.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tillbind_agent::config::Config;

/// A terminal's disk and a program to install.
struct Terminal {
    dir: tempfile::TempDir,
}

impl Terminal {
    /// Makes one with neither systemd nor udev.
    fn bare() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        fs::write(dir.path().join("program"), "version 1").unwrap();
        Self { dir }
    }

    /// Makes one with both.
    fn new() -> Self {
        let terminal = Self::bare();
        let systemd = terminal.path("usr/lib/systemd/systemd");
        fs::create_dir_all(systemd.parent().unwrap()).unwrap();
        fs::write(&systemd, "").unwrap();
        fs::set_permissions(&systemd, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all(terminal.path("usr/lib/udev")).unwrap();
        terminal
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join("root").join(path)
    }

    fn program(&self) -> PathBuf {
        self.dir.path().join("program")
    }

    fn run(&self, options: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../installer/install.sh");
        Command::new("sh")
            .arg(script)
            .arg("--root")
            .arg(self.path(""))
            .args(options)
            .output()
            .unwrap()
    }

    /// Runs it, and returns what it said.
    fn does(&self, options: &[&str]) -> String {
        let output = self.run(options);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{said}");
        said
    }

    fn install(&self) -> String {
        self.does(&[self.program().to_str().unwrap()])
    }

    fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.path(path)).unwrap().permissions().mode() & 0o777
    }

    /// Returns every file's path and content.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut dirs = vec![self.path("")];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let entry = entry.unwrap();
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    dirs.push(entry.path());
                } else if kind.is_file() {
                    files.push((entry.path(), fs::read(entry.path()).unwrap()));
                }
            }
        }
        files.sort();
        files
    }
}

#[test]
fn a_terminal_gets_program_service_rules_and_settings_and_the_next_step() {
    let terminal = Terminal::new();
    let said = terminal.install();
    assert!(said.contains("tillbind enrol TOKEN"), "{said}");
    assert_eq!(
        fs::read(terminal.path("usr/local/bin/tillbind")).unwrap(),
        b"version 1"
    );
    assert_eq!(terminal.mode("usr/local/bin/tillbind"), 0o755);
    assert_eq!(terminal.mode("var/lib/tillbind"), 0o700);
    let unit = fs::read_to_string(terminal.path("etc/systemd/system/tillbind.service")).unwrap();
    for line in [
        "Type=notify",
        "Restart=always",
        "User=tillbind",
        "NoNewPrivileges=yes",
    ] {
        assert!(unit.lines().any(|found| found == line), "{line} is missing");
    }
    let wanted = terminal.path("etc/systemd/system/multi-user.target.wants/tillbind.service");
    assert_eq!(
        fs::read_link(wanted).unwrap(),
        Path::new("/etc/systemd/system/tillbind.service")
    );
    assert!(terminal.path("etc/udev/rules.d/70-tillbind.rules").exists());
    assert!(terminal.path("etc/sysusers.d/tillbind.conf").exists());
}

#[test]
fn the_settings_it_brings_are_read_without_a_fault_also_with_every_example_in_use() {
    let terminal = Terminal::new();
    terminal.install();
    let text = fs::read_to_string(terminal.path("etc/tillbind/agent.toml")).unwrap();
    let config = Config::parse(&text).unwrap();
    assert!(config.scanners.is_empty() && config.receipt_taps.is_empty());

    let profile = terminal.path("etc/tillbind/profiles/shop.toml");
    fs::write(&profile, "").unwrap();
    let in_use: String = text
        .replace(
            "/etc/tillbind/profiles/shop.toml",
            profile.to_str().unwrap(),
        )
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(example) if !example.starts_with(' ') => format!("{example}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let config = Config::parse(&in_use).unwrap_or_else(|faults| panic!("{faults:?}"));
    let devices = (
        config.scanners.len(),
        config.receipt_taps.len(),
        config.journals.len(),
    );
    // Scanners on a serial port and as a keyboard; a POS on the network and one that spools; POSLog and CSV.
    assert_eq!(devices, (2, 2, 2));
}

#[test]
fn a_second_run_changes_nothing_and_an_upgrade_keeps_the_settings() {
    let terminal = Terminal::new();
    terminal.install();
    let first = terminal.files();
    terminal.install();
    assert_eq!(terminal.files(), first);

    fs::write(terminal.path("etc/tillbind/agent.toml"), "# mine\n").unwrap();
    fs::write(terminal.program(), "version 2").unwrap();
    terminal.install();
    assert_eq!(
        fs::read(terminal.path("usr/local/bin/tillbind")).unwrap(),
        b"version 2"
    );
    assert_eq!(
        fs::read(terminal.path("etc/tillbind/agent.toml")).unwrap(),
        b"# mine\n"
    );
}

#[test]
fn a_dry_run_writes_nothing() {
    let terminal = Terminal::new();
    let before = terminal.files();
    let said = terminal.does(&["--dry-run", terminal.program().to_str().unwrap()]);
    assert!(said.contains("would: "), "{said}");
    assert_eq!(terminal.files(), before);
    assert!(!terminal.path("var").exists() && !terminal.path("etc").exists());
}

/// Where polkit looks for rules, by its age, and what the installer puts there.
const POLKIT: [(&str, &str); 2] = [
    (
        "usr/share/polkit-1/rules.d",
        "etc/polkit-1/rules.d/70-tillbind.rules",
    ),
    (
        "var/lib/polkit-1/localauthority",
        "etc/polkit-1/localauthority/50-local.d/70-tillbind.pkla",
    ),
];

#[test]
fn polkit_is_told_in_its_own_way_that_the_agents_user_alone_may_use_pcscd() {
    for (has, gets) in POLKIT {
        let terminal = Terminal::new();
        fs::create_dir_all(terminal.path(has)).unwrap();
        terminal.install();
        let rule = fs::read_to_string(terminal.path(gets)).unwrap();
        for word in [
            "org.debian.pcsc-lite.access_pcsc",
            "org.debian.pcsc-lite.access_card",
            "tillbind",
        ] {
            assert!(rule.contains(word), "{gets} lacks {word}");
        }
        // polkit reads it under a user of its own.
        assert_eq!(terminal.mode(gets), 0o644);
        let other = POLKIT.iter().find(|(_, other)| *other != gets).unwrap().1;
        assert!(!terminal.path(other).exists(), "{other}");

        terminal.does(&["--uninstall"]);
        assert!(!terminal.path(gets).exists());
    }
}

#[test]
fn a_system_without_polkit_gets_no_rule_for_it_and_is_warned_only_if_pcscd_is_there() {
    let terminal = Terminal::new();
    let said = terminal.install();
    assert!(!said.contains("polkit"), "{said}");
    assert!(!terminal.path("etc/polkit-1").exists());

    let pcscd = terminal.path("usr/sbin/pcscd");
    fs::create_dir_all(pcscd.parent().unwrap()).unwrap();
    fs::write(&pcscd, "").unwrap();
    fs::set_permissions(&pcscd, fs::Permissions::from_mode(0o755)).unwrap();
    let said = terminal.install();
    assert!(said.contains("install polkitd"), "{said}");
}

#[test]
fn helpers_that_lie_beside_the_program_come_and_go_with_it() {
    let terminal = Terminal::new();
    fs::write(terminal.dir.path().join("tillbind-pcsc"), "helper").unwrap();
    terminal.install();
    let helper = terminal.path("usr/local/bin/tillbind-pcsc");
    assert_eq!(fs::read(&helper).unwrap(), b"helper");
    assert_eq!(terminal.mode("usr/local/bin/tillbind-pcsc"), 0o755);
    assert!(!terminal.path("usr/local/bin/tillbind-devsim").exists());
    terminal.does(&["--uninstall"]);
    assert!(!helper.exists());
}

#[test]
fn uninstalling_keeps_settings_and_events_unless_told_to_purge() {
    let terminal = Terminal::new();
    terminal.install();
    fs::write(terminal.path("var/lib/tillbind/event"), "not sent").unwrap();
    let said = terminal.does(&["--uninstall"]);
    assert!(said.contains("not sent yet"), "{said}");
    assert!(terminal.path("var/lib/tillbind/event").exists());
    assert!(terminal.path("etc/tillbind/agent.toml").exists());
    for gone in [
        "usr/local/bin/tillbind",
        "etc/systemd/system/tillbind.service",
        "etc/systemd/system/multi-user.target.wants/tillbind.service",
        "etc/udev/rules.d/70-tillbind.rules",
        "etc/sysusers.d/tillbind.conf",
    ] {
        let found = fs::symlink_metadata(terminal.path(gone));
        assert!(found.is_err(), "{gone} is still there");
    }
    terminal.does(&["--uninstall", "--purge"]);
    assert!(!terminal.path("var/lib/tillbind").exists());
    assert!(!terminal.path("etc/tillbind").exists());
}

#[test]
fn a_system_without_systemd_and_udev_gets_the_program_and_is_told_what_is_missing() {
    let terminal = Terminal::bare();
    let said = terminal.install();
    assert!(
        said.contains("no systemd") && said.contains("no udev"),
        "{said}"
    );
    assert!(terminal.path("usr/local/bin/tillbind").exists());
    assert!(!terminal.path("etc/systemd").exists() && !terminal.path("etc/udev").exists());
}

#[test]
fn a_wrong_call_is_refused_before_anything_is_written() {
    let terminal = Terminal::new();
    let before = terminal.files();
    assert_eq!(terminal.run(&["--frobnicate"]).status.code(), Some(2));
    assert_eq!(terminal.run(&["--purge"]).status.code(), Some(2));
    assert_eq!(
        terminal.run(&["/nonexistent/tillbind"]).status.code(),
        Some(1)
    );
    assert_eq!(terminal.files(), before);
}
