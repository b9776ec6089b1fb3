//! A full disk: the agent's data on a small file system that others fill too, headquarters away.
//!
//! Printing goes on byte for byte; every call is answered with 202 or with 503 and a reason; everything
//! that was answered with 202 arrives or stands in a gap that says it was given up, and no sale and no
//! binding does. Draining works while the disk is still full. The state is loud while it lasts and quiet
//! afterwards.
//!
//! It needs a file system of its own, and so the right to mount one: without it, it says that it is left
//! out.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use serde_json::{Value, json};
use tillbind_tests::api::Api;
use tillbind_tests::central::{Central, Database};
use tillbind_tests::clock::{self, Stopwatch, wait_for};
use tillbind_tests::printer::Printer;
use tillbind_tests::receipt;
use tillbind_tests::sale::{Goods, Sale};
use tillbind_tests::scene::{self, Scene};
use tillbind_tests::terminal::{Setup, Terminal};

/// Small, and yet with room for what the agent keeps free for itself.
const DISK_BYTES: u64 = 96 * 1024 * 1024;
/// What the foreign file leaves free: less than the agent wants to.
const LEFT_BYTES: u64 = 4 * 1024 * 1024;
const WITHIN: Duration = Duration::from_secs(120);
/// A till waits for its paper no longer than this, full disk or not.
const PAPER_WITHIN: Duration = Duration::from_secs(1);
/// Lines of a sale that is large enough to fill a disk with a few thousand of them.
const LINES: u32 = 40;
const ROUNDS: u32 = 60;
const CARD: &str = "6275980000000901";

#[test]
fn a_full_disk_stops_no_receipt_loses_no_sale_and_is_said_loudly() -> Result<()> {
    scene::play("full-disk", |scene| {
        let Some(disk) = SmallDisk::mount(&scene.folder("till")?.join("data"))? else {
            return Ok(());
        };
        let result = play(scene, &disk);
        disk.unmount().and(result)
    })
}

fn play(scene: &Scene, disk: &SmallDisk) -> Result<()> {
    let mut central = scene.central("central", &Database::Sqlite)?;
    let account = "tmall:8273155001";
    central.account(account, "Lin Yue")?;
    let printer = Printer::switch_on()?;
    let address = printer.address().to_string();
    let setup = Setup::new("S001", "1").tap("printer", &address, None);
    let mut till = Till {
        terminal: scene.terminal("till", &central, setup)?,
        printer,
        told: BTreeMap::new(),
        refused: BTreeMap::new(),
        sequence: 0,
    };
    till.terminal.wait_for_drained(WITHIN)?;
    let code = central.member_code(account, "1h")?;
    central.kill()?;

    let before = till.print_some()?;
    till.round(Some(&code))?;
    disk.eat_all_but(LEFT_BYTES)?;
    for _ in 0..ROUNDS {
        till.round(None)?;
    }
    let during = till.print_some()?;
    tell(&format!(
        "full disk: slowest paper {before:?} before, {during:?} on the full disk; {} events promised, \
         refused {:?}; {} bytes free",
        till.told.len(),
        till.refused,
        disk.free_bytes()?
    ));
    till.is_loud()?;

    central.start()?;
    till.terminal
        .wait_for_drained(WITHIN)
        .context("a full disk does not drain")?;
    till.everything_arrived(&central)?;
    // What was acknowledged has made room, though the disk is as full as before.
    let promised = till.told.len();
    till.round(None)?;
    ensure!(
        till.told.len() >= promised + 20,
        "the drained outbox takes no more: {:?}",
        till.refused
    );
    disk.give_back()?;
    till.grows_quiet()?;
    ensure!(till.terminal.stop()?.success(), "the agent ended badly");
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scan,
    Sale,
    Binding,
}

struct Till {
    terminal: Terminal,
    printer: Printer,
    /// What was promised, under its place: its kind, and what tells it apart.
    told: BTreeMap<u64, (Kind, String)>,
    refused: BTreeMap<String, u32>,
    sequence: u32,
}

impl Till {
    fn round(&mut self, code: Option<&str>) -> Result<()> {
        let api = self.terminal.api()?;
        for _ in 0..10 {
            self.sequence += 1;
            let card = format!("6275981{:09}", self.sequence);
            self.tell(&api, Kind::Scan, &card, "/v1/scans", &json!({"code": card}))?;
        }
        for _ in 0..20 {
            self.sequence += 1;
            let sale = large_sale(self.sequence);
            let number = sale.sequence.to_string();
            self.tell(&api, Kind::Sale, &number, "/v1/transactions", &sale.json())?;
        }
        if let Some(code) = code {
            let body = json!({"card": CARD, "code": code});
            self.tell(&api, Kind::Binding, CARD, "/v1/bindings", &body)?;
        }
        Ok(())
    }

    /// Calls the API: it promises, or says in words why not.
    fn tell(&mut self, api: &Api, kind: Kind, name: &str, path: &str, body: &Value) -> Result<()> {
        let reply = api.post(path, body)?;
        match reply.status {
            202 => {
                let seq = reply.body["seq"]
                    .as_u64()
                    .context("a promise without place")?;
                let other = self.told.insert(seq, (kind, name.to_owned()));
                ensure!(other.is_none(), "place {seq} was given twice");
            }
            503 => {
                let why = reply.body["message"].as_str().unwrap_or_default();
                ensure!(
                    why.contains("disk") || why.contains("outbox is full"),
                    "an unclear refusal: {why}"
                );
                let word = reply.body["error"].as_str().unwrap_or_default();
                *self.refused.entry(word.to_owned()).or_default() += 1;
            }
            status => bail!("{path} was answered with {status}: {}", reply.body),
        }
        Ok(())
    }

    /// Prints receipts that no profile reads; returns how long the slowest took to the paper.
    fn print_some(&mut self) -> Result<Duration> {
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            self.sequence += 1;
            let paper = receipt::printed(&large_sale(self.sequence));
            self.printer.tear_off();
            let watch = Stopwatch::start();
            receipt::print(self.terminal.tap("printer")?, &paper)?;
            let out = self.printer.wait_for_bytes(paper.len(), WITHIN)?;
            slowest = slowest.max(watch.elapsed());
            ensure!(out == paper, "the paper shows other bytes than were sent");
        }
        ensure!(slowest < PAPER_WITHIN, "a receipt took {slowest:?}");
        Ok(slowest)
    }

    fn is_loud(&self) -> Result<()> {
        let status = self.terminal.status()?;
        ensure!(is_full(&status), "the status says nothing of it: {status}");
        let doctor = self.terminal.command(&["doctor"])?;
        ensure!(
            doctor.code == 1 && doctor.text().contains("no room for events"),
            "the doctor says nothing of it: {}",
            doctor.text()
        );
        let metrics = self.terminal.api()?.get("/metrics")?.expect(200)?;
        let text = metrics.as_str().unwrap_or_default();
        ensure!(
            text.contains(r#"tillbind_outbox_pressure{state="full"} 1"#),
            "the metrics say nothing of it: {text}"
        );
        Ok(())
    }

    fn grows_quiet(&self) -> Result<()> {
        let mut last = Value::Null;
        wait_for("the terminal to be content again", WITHIN, || {
            last = self.terminal.status()?;
            Ok((last["outbox"]["pressure"] == "ok").then_some(()))
        })
        .with_context(|| last.to_string())?;
        let doctor = self.terminal.command(&["doctor"])?.text();
        ensure!(
            !doctor.contains("no room"),
            "the doctor still complains: {doctor}"
        );
        Ok(())
    }

    fn everything_arrived(&self, central: &Central) -> Result<()> {
        let mut there: BTreeMap<u64, Value> = BTreeMap::new();
        for event in central.export("events")? {
            let seq = event["seq"].as_u64().context("an event without place")?;
            ensure!(there.insert(seq, event).is_none(), "event {seq} came twice");
        }
        let gaps = central.export("gaps")?;
        let mut given_up = 0;
        for (seq, (kind, name)) in &self.told {
            if let Some(event) = there.get(seq) {
                ensure!(
                    event["body"].to_string().contains(name.as_str()),
                    "event {seq} should be {name}: {event}"
                );
                continue;
            }
            let gap = gaps.iter().find(|gap| {
                let place = |field: &str| gap[field].as_u64();
                place("from_seq").is_some_and(|from| from <= *seq)
                    && place("to_seq").is_some_and(|to| *seq <= to)
            });
            let gap = gap.with_context(|| format!("event {seq} ({name}) is lost without a gap"))?;
            ensure!(
                gap["reason"].to_string().contains("given up"),
                "event {seq}: {gap}"
            );
            ensure!(
                *kind == Kind::Scan,
                "a {kind:?} was given up: event {seq}, {name}"
            );
            given_up += 1;
        }
        tell(&format!(
            "full disk: {given_up} scans given up, {} gaps",
            gaps.len()
        ));
        Ok(())
    }
}

fn is_full(status: &Value) -> bool {
    status["outbox"]["pressure"] == "full"
}

fn large_sale(sequence: u32) -> Sale {
    let mut sale = Sale::numbered("S001", "1", clock::now(), sequence);
    sale.goods = (0..LINES)
        .map(|line| Goods {
            item_id: format!("40012340{line:05}"),
            description: format!("Goods in line {line} with a name that is not short at all"),
            quantity: 1,
            price_minor: i64::from(100 + line),
        })
        .collect();
    sale
}

/// A file system in memory.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts it; where that is not allowed, says so and returns none.
    fn mount(path: &Path) -> Result<Option<Self>> {
        fs::create_dir_all(path)?;
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={DISK_BYTES},mode=0700")])
            .arg("tillbind-test")
            .arg(path)
            .output();
        match output {
            Ok(output) if output.status.success() => Ok(Some(Self {
                path: path.to_owned(),
            })),
            Ok(output) => {
                tell(&format!(
                    "LEFT OUT: the full disk, since this user may not mount a file system: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                ));
                Ok(None)
            }
            Err(error) => {
                tell(&format!(
                    "LEFT OUT: the full disk, since there is no `mount`: {error}"
                ));
                Ok(None)
            }
        }
    }

    fn free_bytes(&self) -> Result<u64> {
        let room = statvfs(&self.path)?;
        Ok(room.f_bavail * room.f_frsize)
    }

    fn foreign(&self) -> PathBuf {
        self.path.join("somebody-elses.log")
    }

    fn eat_all_but(&self, left: u64) -> Result<()> {
        let file = File::create(self.foreign())?;
        let bytes = self.free_bytes()?.saturating_sub(left);
        fallocate(&file, FallocateFlags::empty(), 0, bytes)?;
        Ok(())
    }

    fn give_back(&self) -> Result<()> {
        fs::remove_file(self.foreign()).context("the foreign file is gone")
    }

    fn unmount(self) -> Result<()> {
        // Lazily: a daemon of a test that failed may still sit on it until the scene ends.
        let status = Command::new("umount").arg("-l").arg(&self.path).status()?;
        ensure!(status.success(), "the small disk cannot be unmounted");
        Ok(())
    }
}

#[expect(
    clippy::print_stderr,
    reason = "figures of a test belong on its output"
)]
fn tell(text: &str) {
    eprintln!("{text}");
}
