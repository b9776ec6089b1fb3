//! A POS terminal: a `tillbind` process with its folder, its settings and its devices' names.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::api::Api;
use crate::central::{Central, written_address};
use crate::clock::wait_for;
use crate::environment;
use crate::port;
use crate::process::{Daemon, Outcome, command, run};

/// Far longer than a start takes, recovery included.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// As long as the contract gives SIGTERM, and a breath.
const END_WITHIN: Duration = Duration::from_secs(6);

/// What a terminal is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Store, as headquarters names it.
    pub store: String,
    /// Workstation.
    pub workstation: String,
    /// Scanners: name and port.
    pub scanners: Vec<(String, PathBuf)>,
    /// Printers behind a tap.
    pub taps: Vec<TapSetup>,
    /// Whether there is a journal folder `journal` with POSLog files.
    pub journal: bool,
    /// Beginnings of member card numbers.
    pub member_prefixes: Vec<String>,
    /// Further settings, as TOML.
    pub more: String,
}

/// A printer behind a tap.
#[derive(Debug, Clone)]
pub struct TapSetup {
    /// Its name.
    pub name: String,
    /// Where the printer is; `none` for a virtual one.
    pub printer: String,
    /// How its receipts are read.
    pub profile: Option<PathBuf>,
    /// Further settings of it, as TOML.
    pub more: &'static str,
}

impl Setup {
    /// Describes a terminal without devices.
    pub fn new(store: &str, workstation: &str) -> Self {
        Self {
            store: store.to_owned(),
            workstation: workstation.to_owned(),
            scanners: Vec::new(),
            taps: Vec::new(),
            journal: false,
            member_prefixes: vec!["627598".to_owned(), "29".to_owned()],
            more: String::new(),
        }
    }

    /// Adds a scanner.
    #[must_use]
    pub fn scanner(mut self, name: &str, port: &Path) -> Self {
        self.scanners.push((name.to_owned(), port.to_owned()));
        self
    }

    /// Adds a tap before the printer at `printer`, read with `profile`.
    #[must_use]
    pub fn tap(self, name: &str, printer: &str, profile: Option<PathBuf>) -> Self {
        self.tap_with(name, printer, profile, "")
    }

    /// Adds a tap with further settings, as TOML.
    #[must_use]
    pub fn tap_with(
        mut self,
        name: &str,
        printer: &str,
        profile: Option<PathBuf>,
        more: &'static str,
    ) -> Self {
        self.taps.push(TapSetup {
            name: name.to_owned(),
            printer: printer.to_owned(),
            profile,
            more,
        });
        self
    }

    /// Adds the journal folder.
    #[must_use]
    pub fn journal(mut self) -> Self {
        self.journal = true;
        self
    }

    /// Adds settings as TOML.
    #[must_use]
    pub fn more(mut self, toml: &str) -> Self {
        self.more.push_str(toml);
        self.more.push('\n');
        self
    }
}

/// A terminal, running or not.
#[derive(Debug)]
pub struct Terminal {
    dir: PathBuf,
    program: PathBuf,
    setup: Setup,
    taps: Vec<SocketAddr>,
    daemon: Option<Daemon>,
    api: Option<SocketAddr>,
}

impl Terminal {
    /// Writes the settings of a terminal that keeps everything under `dir`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn new(dir: &Path, setup: Setup) -> Result<Self> {
        let taps = setup
            .taps
            .iter()
            .map(|_| port::free())
            .collect::<Result<Vec<_>>>()?;
        let terminal = Self {
            dir: dir.to_owned(),
            program: environment::binaries()?.join("tillbind"),
            setup,
            taps,
            daemon: None,
            api: None,
        };
        if terminal.setup.journal {
            fs::create_dir_all(terminal.journal())?;
        }
        fs::write(terminal.settings(), terminal.toml()?)?;
        Ok(terminal)
    }

    fn toml(&self) -> Result<String> {
        let mut toml = String::new();
        writeln!(toml, "data_dir = {:?}", self.data())?;
        writeln!(toml, "[api]\nlisten = \"127.0.0.1:0\"")?;
        let prefixes = &self.setup.member_prefixes;
        writeln!(toml, "[cards]\nmember_prefixes = {prefixes:?}")?;
        // Seconds of back-off are for twenty thousand terminals, not for two.
        writeln!(toml, "[uplink]\nbackoff_base_ms = 50\nbackoff_cap_ms = 500")?;
        for (name, port) in &self.setup.scanners {
            writeln!(toml, "[[scanner]]\nname = {name:?}\nport = {port:?}")?;
        }
        for (tap, listen) in self.setup.taps.iter().zip(&self.taps) {
            let TapSetup {
                name,
                printer,
                profile,
                more,
            } = tap;
            writeln!(toml, "[[receipt_tap]]\nname = {name:?}")?;
            writeln!(toml, "listen = \"{listen}\"\nprinter = {printer:?}")?;
            if let Some(profile) = profile {
                writeln!(toml, "profile = {profile:?}")?;
            }
            writeln!(toml, "{more}")?;
        }
        if self.setup.journal {
            writeln!(toml, "[[journal]]\nname = \"pos\"\nformat = \"poslog\"")?;
            writeln!(toml, "dir = {:?}", self.journal())?;
        }
        toml.push_str(&self.setup.more);
        Ok(toml)
    }

    /// Enrols with a fresh token of `central`.
    ///
    /// # Errors
    /// When central gives no token or the command cannot be run.
    pub fn enrol(&self, central: &Central) -> Result<Outcome> {
        let token = central.token(&self.setup.store, &self.setup.workstation)?;
        self.command(&["enrol", &token])
    }

    /// Starts the agent and waits until its API answers.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(&mut self) -> Result<()> {
        self.launch()?;
        self.wait_until_ready()
    }

    /// Starts the agent and waits for nothing.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn launch(&mut self) -> Result<()> {
        // Left by a kill; absent after an orderly end and before the first start.
        drop(fs::remove_file(self.written_api()));
        self.api = None;
        let mut command = command(&self.program);
        command.arg("--config").arg(self.settings()).arg("run");
        command.envs(environment::of_the_unit()?);
        self.daemon = Some(Daemon::start("tillbind", command, &self.log())?);
        Ok(())
    }

    /// Waits until the API of a launched agent answers.
    ///
    /// # Errors
    /// When the agent does not come up.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        let place = self.written_api();
        let daemon = self.daemon()?;
        let address = wait_for("the till's API", READY_WITHIN, || {
            daemon.ensure_running()?;
            Ok(written_address(&place))
        })?;
        self.api = Some(address);
        let api = self.api()?;
        wait_for("the till's status", READY_WITHIN, || {
            Ok(api
                .get("/v1/status")
                .ok()
                .filter(|reply| reply.status == 200)
                .map(|_| ()))
        })
    }

    fn written_api(&self) -> PathBuf {
        self.data().join("api.addr")
    }

    /// Kills the agent as a power switch would.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.take_daemon()?.kill()
    }

    /// Asks the agent to end, within the contract's time.
    ///
    /// # Errors
    /// When it does not run or takes longer.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.take_daemon()?.terminate(END_WITHIN)
    }

    fn take_daemon(&mut self) -> Result<Daemon> {
        self.daemon.take().context("the agent does not run")
    }

    /// Returns the running process.
    ///
    /// # Errors
    /// When it does not run.
    pub fn daemon(&mut self) -> Result<&mut Daemon> {
        self.daemon.as_mut().context("the agent does not run")
    }

    /// Returns a caller of the till's API.
    ///
    /// # Errors
    /// When the agent does not run or has left no token.
    pub fn api(&self) -> Result<Api> {
        let token = fs::read_to_string(self.data().join("api.token"))
            .context("the agent has left no api.token")?;
        Api::new(self.api.context("the agent was never started")?, &token)
    }

    /// Returns the address of the till's API.
    ///
    /// # Errors
    /// When the agent was never started.
    pub fn api_address(&self) -> Result<SocketAddr> {
        self.api.context("the agent was never started")
    }

    /// Returns the status, as the API tells it.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub fn status(&self) -> Result<Value> {
        self.api()?.get("/v1/status")?.expect(200)
    }

    /// Returns the place of the newest durable event.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub fn recorded(&self) -> Result<u64> {
        let status = self.status()?;
        status["outbox"]["appended"]
            .as_u64()
            .with_context(|| format!("no place of the newest event in {status}"))
    }

    /// Waits until the newest durable event has at least place `seq`.
    ///
    /// # Errors
    /// When it has not after `within`.
    pub fn wait_for_recorded(&self, seq: u64, within: Duration) -> Result<()> {
        let mut last = 0;
        wait_for(&format!("event {seq} to be durable"), within, || {
            last = self.recorded()?;
            Ok((last >= seq).then_some(()))
        })
        .with_context(|| format!("the newest event has place {last}"))
    }

    /// Waits until central has acknowledged everything.
    ///
    /// # Errors
    /// When it has not after `within`.
    pub fn wait_for_drained(&self, within: Duration) -> Result<()> {
        let mut last = Value::Null;
        wait_for("the outbox to drain", within, || {
            last = self.status()?;
            Ok((last["outbox"]["events"].as_u64() == Some(0)).then_some(()))
        })
        .with_context(|| format!("the status was {last}"))
    }

    /// Waits until the port of device `name` is in one of `states`.
    ///
    /// # Errors
    /// When it is not after `within`.
    pub fn wait_for_device(&self, name: &str, states: &[&str], within: Duration) -> Result<()> {
        let mut last = Value::Null;
        wait_for(&format!("{name} to be {states:?}"), within, || {
            last = self.status()?["devices"].take();
            let devices = last.as_array().map_or(&[][..], Vec::as_slice);
            let device = devices.iter().find(|device| device["name"] == name);
            let state = device.and_then(|device| device["state"].as_str());
            Ok(state.filter(|state| states.contains(state)).map(|_| ()))
        })
        .with_context(|| format!("the devices were {last}"))
    }

    /// Runs a `tillbind` command.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn command(&self, args: &[&str]) -> Result<Outcome> {
        let mut command = command(&self.program);
        command.arg("--config").arg(self.settings()).args(args);
        run(command)
    }

    /// Returns the address that the POS prints to.
    ///
    /// # Errors
    /// When there is no such tap.
    pub fn tap(&self, name: &str) -> Result<SocketAddr> {
        self.setup
            .taps
            .iter()
            .zip(&self.taps)
            .find(|(tap, _)| tap.name == name)
            .map(|(_, address)| *address)
            .with_context(|| format!("there is no tap {name}"))
    }

    /// Returns what the terminal is made of.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Returns the journal folder.
    pub fn journal(&self) -> PathBuf {
        self.dir.join("journal")
    }

    /// Returns the folder of the agent's data.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Returns the agent's log.
    pub fn log(&self) -> PathBuf {
        self.dir.join("agent.log")
    }

    /// Returns the settings file.
    pub fn settings(&self) -> PathBuf {
        self.dir.join("agent.toml")
    }
}
