//! `tillbind doctor`: checks all of it and says what to do.

use std::net::ToSocketAddrs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::daemon::Daemon;
use super::{Exit, output};
use crate::clock;
use crate::config::{Config, ConfigError, PrinterTarget, path_and_baud};
use crate::devices::load_profile;
use crate::identity::Identity;
use crate::identity::renewal::Validity;
use crate::platform;
use crate::platform::ports::{lasting_name, ports};

/// Below so much space the outbox may soon be refused.
const DISK_FREE_BYTES_MIN: u64 = 200 * 1024 * 1024;
/// Above so much offset the till's own receipts show a wrong time.
const CLOCK_OFFSET_MS_MAX: u64 = 120_000;
/// An event that waits longer says that the line has been down for long.
const OUTBOX_AGE_MAX: Duration = Duration::from_secs(24 * 3_600);
/// A certificate that ends sooner could not be renewed for a third of its life.
const CERTIFICATE_LEFT_MIN: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long a printer may take to answer.
const PRINTER_TIMEOUT: Duration = Duration::from_secs(3);

struct Finding {
    what: &'static str,
    text: String,
    remedy: String,
}

#[derive(Default)]
struct Report {
    checked: Vec<&'static str>,
    findings: Vec<Finding>,
    /// What is as it was set and should be known all the same.
    warnings: Vec<(&'static str, String)>,
    unreachable: bool,
}

impl Report {
    fn check(&mut self, what: &'static str) {
        self.checked.push(what);
    }

    fn find(&mut self, what: &'static str, text: impl Into<String>, remedy: impl Into<String>) {
        self.findings.push(Finding {
            what,
            text: text.into(),
            remedy: remedy.into(),
        });
    }
}

/// Numbers that are by rule members' and others': the settings say whose, and here it is said.
fn examine_cards(report: &mut Report, config: &Config) {
    report.check("cards");
    let warnings = config.cards.warnings().into_iter();
    report.warnings.extend(warnings.map(|text| ("cards", text)));
}

pub(super) async fn doctor(path: &Path, as_json: bool) -> Exit {
    let mut report = Report::default();
    report.check("settings");
    match Config::load(path) {
        Ok(config) => examine(&mut report, &config).await,
        Err(error) => {
            report.unreachable = matches!(error, ConfigError::Unreadable { .. });
            let remedy = "mend the file; `tillbind config check` shows what is left";
            report.find("settings", error.to_string(), remedy);
        }
    }
    print(&report, as_json);
    match (report.findings.is_empty(), report.unreachable) {
        (true, _) => Exit::Fine,
        (false, true) => Exit::Unreachable,
        (false, false) => Exit::Finding,
    }
}

async fn examine(report: &mut Report, config: &Config) {
    examine_disk(report, config);
    examine_cards(report, config);
    examine_identity(report, config);
    examine_profiles(report, config);
    examine_printers(report, config).await;
    examine_ports(report, config);
    report.check("daemon");
    let status = match Daemon::find(&config.data_dir) {
        Ok(daemon) => daemon.get("/v1/status").await,
        Err(error) => Err(error),
    };
    match status {
        Ok(status) => examine_status(report, &status),
        Err(error) => {
            report.unreachable = true;
            report.find(
                "daemon",
                error.to_string(),
                "start it: `systemctl start tillbind`",
            );
        }
    }
}

fn examine_disk(report: &mut Report, config: &Config) {
    report.check("disk");
    match platform::disk_space(&config.data_dir) {
        Ok(space) if space.free < DISK_FREE_BYTES_MIN => report.find(
            "disk",
            format!(
                "{} MB are free under {}",
                space.free / 1_000_000,
                config.data_dir.display()
            ),
            "free space: once it is full nothing can be recorded",
        ),
        Ok(_) => {}
        Err(error) => report.find(
            "disk",
            format!("{} cannot be looked at: {error}", config.data_dir.display()),
            "make the directory and give it to the agent's user",
        ),
    }
}

fn examine_identity(report: &mut Report, config: &Config) {
    report.check("identity");
    let identity = match Identity::load(&config.data_dir) {
        Ok(Some(identity)) => identity,
        Ok(None) => {
            let remedy = "get a token from headquarters and run `tillbind enrol TOKEN`";
            return report.find("identity", "this terminal is not enrolled", remedy);
        }
        Err(error) => {
            let remedy = "enrol again with --again, as the agent's user";
            return report.find("identity", error.to_string(), remedy);
        }
    };
    report.check("certificate");
    let now_ms = clock::wall().timestamp_millis();
    let least_ms = i64::try_from(CERTIFICATE_LEFT_MIN.as_millis()).unwrap_or(i64::MAX);
    match Validity::of(&identity) {
        Ok(validity) if validity.until_ms <= now_ms => report.find(
            "certificate",
            "the certificate has ended",
            "enrol again with a new token and --again; what waits is kept",
        ),
        Ok(validity) if validity.until_ms - now_ms < least_ms => report.find(
            "certificate",
            format!(
                "the certificate ends in {} days",
                (validity.until_ms - now_ms) / 86_400_000
            ),
            "restore the line to headquarters: it renews itself with the next exchange",
        ),
        Ok(_) => {}
        Err(error) => report.find("certificate", error.to_string(), "enrol again with --again"),
    }
}

fn examine_profiles(report: &mut Report, config: &Config) {
    for tap in &config.receipt_taps {
        report.check("profile");
        if let Err(error) = load_profile(tap.profile.as_deref()) {
            report.find(
                "profile",
                format!("tap {:?}: {error}", tap.name),
                "until then its receipts are printed and kept unread",
            );
        }
    }
}

async fn examine_printers(report: &mut Report, config: &Config) {
    for tap in &config.receipt_taps {
        report.check("printer");
        let fault = match &tap.printer {
            PrinterTarget::Virtual => None,
            PrinterTarget::Device(setting) => {
                let path = path_and_baud(setting).0;
                let missing = std::fs::metadata(&path).err();
                missing.map(|e| format!("{}: {e}", path.display()))
            }
            PrinterTarget::Tcp(address) => unreachable_printer(address.clone()).await,
        };
        if let Some(fault) = fault {
            let remedy = "see that it is switched on and connected, and that the address is right";
            report.find(
                "printer",
                format!("the printer of {:?} cannot be reached: {fault}", tap.name),
                remedy,
            );
        }
    }
}

/// A port that is named by its number may be another's after a replug.
fn examine_ports(report: &mut Report, config: &Config) {
    report.check("ports");
    let found = ports();
    for (name, port) in config.device_ports() {
        if let Some(lasting) = lasting_name(&found, &port) {
            report.find(
                "ports",
                format!(
                    "{name}: {} may be another device's name after a replug or a restart",
                    port.display()
                ),
                format!("write \"{}\" in its place", lasting.display()),
            );
        }
    }
}

async fn unreachable_printer(address: String) -> Option<String> {
    let connected = tokio::task::spawn_blocking(move || {
        let found = address
            .to_socket_addrs()
            .map_err(|e| format!("{address}: {e}"))?
            .next();
        let found = found.ok_or_else(|| format!("{address}: no such host"))?;
        std::net::TcpStream::connect_timeout(&found, PRINTER_TIMEOUT)
            .map(drop)
            .map_err(|e| format!("{address}: {e}"))
    });
    match connected.await {
        Ok(connected) => connected.err(),
        Err(error) => Some(error.to_string()),
    }
}

fn examine_status(report: &mut Report, status: &Value) {
    let text = |path: &str| status.pointer(path).and_then(Value::as_str);
    report.check("line");
    let why = text("/line/last_error").unwrap_or("no reason is known");
    match text("/line/state") {
        Some("offline") => report.find(
            "line",
            why,
            "check network, firewall and headquarters; sales and scans are kept meanwhile",
        ),
        Some("refused") => {
            report.find(
                "line",
                why,
                "ask headquarters: the terminal may be revoked or cloned",
            );
        }
        Some(_) | None => {}
    }
    report.check("outbox");
    examine_outbox(report, status);
    let oldest =
        text("/outbox/oldest_at").and_then(|at| chrono::DateTime::parse_from_rfc3339(at).ok());
    if let Some(oldest) = oldest {
        let age = clock::wall().signed_duration_since(oldest);
        if age.to_std().is_ok_and(|age| age > OUTBOX_AGE_MAX) {
            let text = format!("events have waited for {} hours", age.num_hours());
            report.find("outbox", text, "restore the line to headquarters");
        }
    }
    report.check("clock");
    let offset_ms = status.pointer("/clock/offset_ms").and_then(Value::as_i64);
    if let Some(offset_ms) = offset_ms.filter(|ms| ms.unsigned_abs() > CLOCK_OFFSET_MS_MAX) {
        report.find(
            "clock",
            format!("this machine's clock is {} s off", offset_ms / 1_000),
            "set it, by NTP best; events carry the correction meanwhile",
        );
    }
    report.check("devices");
    for device in status
        .pointer("/devices")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if let Some(ambiguous @ 1..) = device.get("ambiguous").and_then(Value::as_u64) {
            let name = device.get("name").and_then(Value::as_str).unwrap_or("?");
            let text = format!(
                "{name}: {ambiguous} scans were of numbers that are by rule a member's and \
                 another's; member_prefixes settled them"
            );
            report.warnings.push(("devices", text));
        }
        if let Some(late @ 1..) = device.get("footers_late").and_then(Value::as_u64) {
            let name = device.get("name").and_then(Value::as_str).unwrap_or("?");
            let text = format!(
                "{name}: {late} receipts were cut without their footer, since it was not ready in \
                 time: the disk or the profile is slow; raise footer_hold_ms"
            );
            report.warnings.push(("devices", text));
        }
        if let Some(fault) = device.get("fault").and_then(Value::as_str) {
            let name = device.get("name").and_then(Value::as_str).unwrap_or("?");
            report.find(
                "devices",
                format!("{name}: {fault}"),
                "see `tillbind devices`",
            );
        }
    }
}

fn examine_outbox(report: &mut Report, status: &Value) {
    let number = |path: &str| status.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let room = "restore the line to headquarters, free space on the disk, or raise [outbox] bytes_max and \
                disk_percent_max";
    match status.pointer("/outbox/pressure").and_then(Value::as_str) {
        Some("full") => {
            let given_up: u64 = ["telemetry", "unparsed_receipts", "scans"]
                .map(|class| number(&format!("/outbox/given_up/{class}")))
                .iter()
                .sum();
            let text = format!(
                "there is no room for events: {given_up} were given up, {} refused; sales and bindings go \
                 first, and the printer is not touched",
                number("/outbox/refusals")
            );
            report.find("outbox", text, room);
        }
        Some("tight") => report.find("outbox", "less than a fifth of the room is left", room),
        Some(_) | None => {}
    }
    if status.pointer("/outbox/degraded") == Some(&Value::Bool(true)) {
        let remedy = "nothing is lost; free space if the disk is full, and restart if it stays so";
        report.find("outbox", "the index of the outbox is out of order", remedy);
    }
    let quarantined = number("/outbox/quarantined");
    if quarantined > 0 {
        let remedy =
            "look at the disk; `tillbind outbox quarantine export` shows what can still be read";
        let text =
            format!("{quarantined} records could not be read; headquarters knows of the gaps");
        report.find("outbox", text, remedy);
    }
}

fn print(report: &Report, as_json: bool) {
    if as_json {
        let findings: Vec<Value> = report
            .findings
            .iter()
            .map(|f| json!({ "check": f.what, "finding": f.text, "remedy": f.remedy }))
            .collect();
        return output::json(&json!({
            "checked": report.checked,
            "findings": findings,
            "warnings": report.warnings.iter().map(|(_, text)| text).collect::<Vec<_>>(),
        }));
    }
    for what in &report.checked {
        let mut of_this = report
            .findings
            .iter()
            .filter(|f| f.what == *what)
            .peekable();
        if of_this.peek().is_none() {
            output::line(format!("ok        {what}"));
        }
        for (_, text) in report.warnings.iter().filter(|(of, _)| of == what) {
            output::line(format!("warning   {what}: {text}"));
        }
        for finding in of_this {
            output::line(format!("FINDING   {what}: {}", finding.text));
            output::line(format!("          -> {}", finding.remedy));
        }
    }
}
