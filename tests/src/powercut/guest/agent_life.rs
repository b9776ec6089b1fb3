//! The daemon itself, told scans and sales as a POS tells them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::DateTime;
use serde_json::{Value, json};
use tillbind_agent::outbox::{Outbox, OutboxConfig};
use tillbind_agent::vault::{Random, Vault};

use super::port::Port;
use super::till_api::TillApi;
use super::{DISK, list};
use crate::central::written_address;
use crate::clock::{Stopwatch, wait_for};
use crate::powercut::words::{Phase, Word};
use crate::process::Daemon;
use crate::sale::Sale;

const PROGRAM: &str = "/bin/tillbind";
const SETTINGS: &str = "/agent.toml";
const LOG: &str = "/tmp/agent.log";
/// Recovery on a translated processor included.
const READY_WITHIN: Duration = Duration::from_secs(90);
const END_WITHIN: Duration = Duration::from_secs(30);
const EVENTS_A_SCENE: std::ops::Range<u32> = 8..25;

fn data() -> PathBuf {
    Path::new(DISK).join("data")
}

/// A running daemon.
struct Agent {
    daemon: Daemon,
    api: TillApi,
    epoch: u64,
}

impl Agent {
    fn start() -> Result<Self> {
        drop(fs::remove_file(LOG));
        Self::come_up().with_context(|| fs::read_to_string(LOG).unwrap_or_default())
    }

    fn come_up() -> Result<Self> {
        fs::create_dir_all(data())?;
        let place = data().join("api.addr");
        // Left by a kill or a cut.
        drop(fs::remove_file(&place));
        let mut command = Command::new(PROGRAM);
        command.args(["--config", SETTINGS, "run"]);
        let mut daemon = Daemon::start("tillbind", command, Path::new(LOG))?;
        let address = wait_for("the till's API", READY_WITHIN, || {
            daemon.ensure_running()?;
            Ok(written_address(&place))
        })?;
        let token = fs::read_to_string(data().join("api.token"))?;
        let api = TillApi { address, token };
        let status = wait_for("the till's status", READY_WITHIN, || {
            daemon.ensure_running()?;
            Ok(api.call("/v1/status", None, 200).ok())
        })?;
        let epoch = status["outbox"]["epoch"].as_str().unwrap_or_default();
        let epoch = u64::from_str_radix(epoch, 16).context("the status names no epoch")?;
        Ok(Self { daemon, api, epoch })
    }

    /// Hands in a sale and a scan; tells of each that was accepted.
    fn accept(&self, port: &mut Port, number: u32) -> Result<()> {
        let sale = Sale::numbered("S1", "1", DateTime::UNIX_EPOCH, number);
        let card = format!("627598{number:010}");
        for (path, body) in [
            ("/v1/transactions", sale.json()),
            ("/v1/scans", json!({ "code": card })),
        ] {
            let answer = self.api.call(path, Some(&body), 202)?;
            let seq = answer["seq"].as_u64().context("no seq in the answer")?;
            port.say(Word::Kept {
                epoch: self.epoch,
                seq,
                chain: None,
                digest: content(&body),
            })?;
        }
        Ok(())
    }

    fn stop(self) -> Result<()> {
        let status = self.daemon.terminate(END_WITHIN)?;
        ensure!(status.success(), "the agent ended with {status}");
        Ok(())
    }
}

/// Returns what tells a sale or a scan from the others, in what was handed in as in what was recorded.
fn content(body: &Value) -> String {
    let texts = ["sequence", "card", "code"].map(|name| body[name].as_str());
    match texts {
        [Some(sequence), ..] => format!("sale {sequence} of {}", body["total_minor"]),
        [None, Some(code), _] | [None, None, Some(code)] => format!("scan of {code}"),
        [None, None, None] => "neither sale nor scan".to_owned(),
    }
}

fn recorded_content(record: &[u8]) -> String {
    let record: Value = serde_json::from_slice(record).unwrap_or_default();
    content(&record["body"])
}

pub(super) fn work(port: &mut Port, seed: u64, scenes: u32) -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut number = 0;
    for _ in 0..scenes {
        port.say(Word::Phase(Phase::StartUp))?;
        let agent = Agent::start()?;
        port.say(Word::Phase(Phase::Append))?;
        for _ in 0..rng.u32(EVENTS_A_SCENE) {
            number += 1;
            agent.accept(port, number)?;
        }
        if rng.u32(0..3) == 0 {
            agent.daemon.kill()?;
        } else {
            port.say(Word::Phase(Phase::Checkpoint))?;
            agent.stop()?;
        }
    }
    Ok(())
}

/// Starts the daemon after a cut, lets it take a little, and looks into its outbox once it has ended.
pub(super) fn check(port: &mut Port, seed: u64) -> Result<()> {
    let agent = Agent::start()?;
    let first = 1_000_000 + u32::try_from(seed % 1_000_000)?;
    for number in first..first + 3 {
        agent.accept(port, number)?;
    }
    if seed.is_multiple_of(2) {
        agent.stop()?;
    } else {
        agent.daemon.kill()?;
    }
    let random: Random = Arc::new(|bytes: &mut [u8]| fastrand::fill(bytes));
    let vault = Vault::open(&data(), None, random.clone()).context("the vault does not open")?;
    let watch = Stopwatch::start();
    let config = OutboxConfig::new(data().join("outbox"), Arc::new(move || watch.elapsed()));
    let opened = Outbox::open(config, &vault, random).context("the outbox does not open")?;
    let outbox = opened.outbox;
    let damages = opened.recovery.damages.iter();
    port.say(Word::Opened {
        epoch: outbox.epoch().0,
        acked: outbox.acked().seq.0,
        appended: outbox.appended().seq.0,
        damages: damages.map(|damage| format!("{damage:?}")).collect(),
    })?;
    list(port, &outbox, recorded_content)?;
    outbox.close().context("the outbox does not close")
}
