//! Headquarters: a `tillbind-central` process with its folder, and the line that leads to it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::clock::wait_for;
use crate::environment;
use crate::line::Line;
use crate::process::{Daemon, Outcome, command, run};

/// Far longer than a start takes on a slow machine, key making and migrations included.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// As long as SIGTERM may take.
const END_WITHIN: Duration = Duration::from_secs(15);

/// Where central keeps its tables.
#[derive(Debug, Clone)]
pub enum Database {
    /// In its folder.
    Sqlite,
    /// On a PostgreSQL at this address.
    Postgres(String),
}

impl Database {
    fn setting(&self) -> &str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres(url) => url,
        }
    }
}

/// A central, running or not.
#[derive(Debug)]
pub struct Central {
    dir: PathBuf,
    program: PathBuf,
    line: Line,
    daemon: Option<Daemon>,
}

impl Central {
    /// Writes the settings of a central that keeps everything under `dir`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn new(dir: &Path, database: &Database) -> Result<Self> {
        let data = dir.join("data");
        fs::write(
            dir.join("central.toml"),
            format!(
                "data_dir = {data:?}\n\
                 database = {:?}\n\
                 public_names = [\"localhost\", \"127.0.0.1\"]\n\
                 [sync]\n\
                 listen = \"127.0.0.1:0\"\n\
                 [admin]\n\
                 listen = \"127.0.0.1:0\"\n",
                database.setting()
            ),
        )?;
        Ok(Self {
            dir: dir.to_owned(),
            program: environment::binaries()?.join("tillbind-central"),
            line: Line::open()?,
            daemon: None,
        })
    }

    /// Starts it, waits until it listens and leads the line to it.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(&mut self) -> Result<()> {
        self.launch()?;
        self.wait_until_ready()
    }

    /// Starts it and waits for nothing; the line still leads to where it was.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn launch(&mut self) -> Result<()> {
        for name in ["sync.addr", "admin.addr"] {
            // Left by a kill; absent after an orderly end and before the first start.
            drop(fs::remove_file(self.data().join(name)));
        }
        let mut command = command(&self.program);
        command.arg("--config").arg(self.settings()).arg("serve");
        self.daemon = Some(Daemon::start("central", command, &self.log())?);
        Ok(())
    }

    /// Waits until a launched central listens and leads the line to it.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        let sync = self.data().join("sync.addr");
        let daemon = self.daemon()?;
        let address = wait_for("central to listen", READY_WITHIN, || {
            daemon.ensure_running()?;
            Ok(written_address(&sync))
        })?;
        self.line.lead_to(address);
        Ok(())
    }

    /// Kills it as a power switch would.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.take_daemon()?.kill()
    }

    /// Asks it to end.
    ///
    /// # Errors
    /// When it does not run or takes too long.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.take_daemon()?.terminate(END_WITHIN)
    }

    fn take_daemon(&mut self) -> Result<Daemon> {
        self.daemon.take().context("central does not run")
    }

    /// Returns the running process.
    ///
    /// # Errors
    /// When it does not run.
    pub fn daemon(&mut self) -> Result<&mut Daemon> {
        self.daemon.as_mut().context("central does not run")
    }

    /// Returns the line that terminals reach it by.
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// Returns the admin listener's address.
    ///
    /// # Errors
    /// When it does not listen.
    pub fn admin(&self) -> Result<SocketAddr> {
        let place = self.data().join("admin.addr");
        wait_for("headquarters' admin listener", END_WITHIN, || {
            Ok(written_address(&place))
        })
    }

    /// Returns the sync listener's own address, without the line before it.
    ///
    /// # Errors
    /// When it does not run.
    pub fn sync(&self) -> Result<SocketAddr> {
        written_address(&self.data().join("sync.addr")).context("central does not listen")
    }

    /// Runs a `tillbind-central` command.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn command(&self, args: &[&str]) -> Result<Outcome> {
        let mut command = command(&self.program);
        command.arg("--config").arg(self.settings()).args(args);
        run(command)
    }

    /// Creates an enrolment token whose address is the line's.
    ///
    /// # Errors
    /// When central refuses.
    pub fn token(&self, store: &str, workstation: &str) -> Result<String> {
        let url = format!("https://{}", self.line.address());
        let output = self
            .command(&[
                "token",
                "create",
                "--store",
                store,
                "--workstation",
                workstation,
                "--url",
                &url,
            ])?
            .success()?;
        output
            .split_whitespace()
            .find(|word| word.starts_with("TBE1."))
            .map(str::to_owned)
            .with_context(|| format!("no token in {output:?}"))
    }

    /// Creates an account.
    ///
    /// # Errors
    /// When central refuses.
    pub fn account(&self, account: &str, name: &str) -> Result<()> {
        self.command(&["account", "create", account, "--name", name])?
            .success()?;
        Ok(())
    }

    /// Creates a member code, as the shopper's phone would show it.
    ///
    /// # Errors
    /// When central refuses.
    pub fn member_code(&self, account: &str, ttl: &str) -> Result<String> {
        let output = self
            .command(&["member-code", "create", account, "--ttl", ttl])?
            .success()?;
        // Base45 holds spaces, so the code is the rest of its line.
        output
            .lines()
            .find_map(|line| line.find("TB1:").and_then(|start| line.get(start..)))
            .map(str::to_owned)
            .with_context(|| format!("no member code in {output:?}"))
    }

    /// Returns an export, one object a line.
    ///
    /// # Errors
    /// When central refuses.
    pub fn export(&self, kind: &str) -> Result<Vec<Value>> {
        self.command(&["export", kind, "--format", "ndjson"])?
            .success()?
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
            .collect()
    }

    /// Waits until an export holds what `wanted` looks for.
    ///
    /// # Errors
    /// When it does not after `within`; the message shows the last export.
    pub fn wait_for_export<T>(
        &self,
        kind: &str,
        what: &str,
        within: Duration,
        mut wanted: impl FnMut(&[Value]) -> Option<T>,
    ) -> Result<T> {
        let mut last = Vec::new();
        wait_for(what, within, || {
            last = self.export(kind)?;
            Ok(wanted(&last))
        })
        .with_context(|| {
            let lines: Vec<String> = last.iter().rev().take(10).map(Value::to_string).collect();
            format!("{kind} ended with:\n{}", lines.join("\n"))
        })
    }

    /// Returns the folder of its data.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Returns its log.
    pub fn log(&self) -> PathBuf {
        self.dir.join("central.log")
    }

    /// Returns its settings file.
    pub fn settings(&self) -> PathBuf {
        self.dir.join("central.toml")
    }
}

/// Returns the address that a daemon wrote to `place`, once it stands there whole.
pub fn written_address(place: &Path) -> Option<SocketAddr> {
    fs::read_to_string(place).ok()?.trim().parse().ok()
}
