//! A PostgreSQL cluster of the test's own, on a free port under a temporary folder.
//!
//! PostgreSQL refuses to run as root; then it runs as the system's user `postgres`.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, geteuid};
use tempfile::TempDir;

use crate::clock::wait_for;
use crate::environment;
use crate::port;
use crate::process::{Daemon, run};

/// The user to run as where the test is root.
const SYSTEM_USER: &str = "postgres";
/// The database's user, who may do everything and needs no password on loopback.
const USER: &str = "tillbind";
/// Far longer than any start or stop takes.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A cluster, running or stopped.
#[derive(Debug)]
pub struct Postgres {
    dir: TempDir,
    bin: PathBuf,
    address: SocketAddr,
    daemon: Option<Daemon>,
}

impl Postgres {
    /// Makes a cluster and starts it.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not come up.
    pub fn start_new() -> Result<Self> {
        let bin = installed()?;
        let dir = tempfile::Builder::new()
            .prefix("tillbind-postgres-")
            .tempdir()?;
        if geteuid().is_root() {
            chown(dir.path(), Some(id("-u")?), Some(id("-g")?))
                .context("the database's folder cannot be given to its user")?;
        }
        let mut postgres = Self {
            dir,
            bin,
            address: port::free()?,
            daemon: None,
        };
        let mut initdb = postgres.command("initdb")?;
        initdb
            .arg("--pgdata")
            .arg(postgres.data())
            .args(["--username", USER, "--auth", "trust", "--encoding", "UTF8"])
            .args(["--locale", "C", "--no-sync"]);
        run(initdb)?.success()?;
        postgres.start()?;
        Ok(postgres)
    }

    /// Starts it again, on the same port.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(&mut self) -> Result<()> {
        let mut command = self.command("postgres")?;
        command
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.address.port().to_string(), "-k", ""])
            .args(["-c", "listen_addresses=127.0.0.1"]);
        let log = self.log();
        let mut daemon = Daemon::start("postgres", command, &log)?;
        wait_for("PostgreSQL to be ready", READY_WITHIN, || {
            daemon.ensure_running()?;
            let mut ready = Command::new("setpriv");
            ready
                .args(["--pdeathsig", "KILL", "--"])
                .arg(self.bin.join("pg_isready"))
                .args(["-h", "127.0.0.1", "-d", "postgres", "-U", USER])
                .args(["-p", &self.address.port().to_string()]);
            Ok((run(ready)?.code == 0).then_some(()))
        })?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Stops it, open sessions broken off, data kept.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> Result<()> {
        let mut daemon = self.daemon.take().context("the database does not run")?;
        daemon.signal(Signal::INT)?;
        wait_for("PostgreSQL to end", READY_WITHIN, || daemon.ended())?;
        Ok(())
    }

    /// Makes an empty database and returns its address for central's settings.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn database(&self, name: &str) -> Result<String> {
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(format!("postgres://{USER}@{}/{name}", self.address))
    }

    /// Runs one statement and returns its rows as text.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn sql(&self, database: &str, statement: &str) -> Result<String> {
        let mut psql = Command::new("setpriv");
        psql.args(["--pdeathsig", "KILL", "--"])
            .arg(self.bin.join("psql"))
            .args(["-h", "127.0.0.1", "-U", USER, "-d", database])
            .args(["-p", &self.address.port().to_string()])
            .args(["-v", "ON_ERROR_STOP=1", "-Atqc", statement]);
        run(psql)?.success()
    }

    /// Returns whether anybody listens on its port.
    pub fn listens(&self) -> bool {
        TcpStream::connect(self.address).is_ok()
    }

    /// Returns the folder in which its data and its log are.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("postgres.log")
    }

    fn command(&self, program: &str) -> Result<Command> {
        let mut command = Command::new("setpriv");
        if geteuid().is_root() {
            let (user, group) = (id("-u")?.to_string(), id("-g")?.to_string());
            command.args(["--reuid", &user, "--regid", &group, "--clear-groups"]);
        }
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(self.bin.join(program))
            .current_dir(self.dir.path());
        Ok(command)
    }
}

fn id(what: &str) -> Result<u32> {
    let output = Command::new("id")
        .args([what, SYSTEM_USER])
        .output()
        .context("`id` cannot be run")?;
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .with_context(|| {
            format!("this system has no user {SYSTEM_USER}, and PostgreSQL refuses root")
        })
}

/// Returns the folder of `postgres`: that of PATH, else the newest of Debian's.
fn installed() -> Result<PathBuf> {
    // A link in PATH may stand alone, its companions beside what it leads to.
    let in_path = environment::program("postgres").and_then(|found| found.canonicalize().ok());
    if let Some(folder) = in_path.as_deref().and_then(Path::parent) {
        return Ok(folder.to_owned());
    }
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = versions
        .filter(|version| version.path().join("bin/postgres").is_file())
        .filter_map(|version| version.file_name().to_str()?.parse::<u32>().ok())
        .max();
    match newest {
        Some(version) => Ok(format!("/usr/lib/postgresql/{version}/bin").into()),
        None => bail!("PostgreSQL is not installed: `./dev test` installs Debian's postgresql"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_comes_back_on_its_port_with_its_data() {
        let mut postgres = Postgres::start_new().unwrap();
        let url = postgres.database("kept").unwrap();
        postgres
            .sql("kept", "CREATE TABLE t AS SELECT 7 AS n")
            .unwrap();
        postgres.stop().unwrap();
        assert!(!postgres.listens());
        postgres.start().unwrap();
        assert_eq!(postgres.sql("kept", "SELECT n FROM t").unwrap().trim(), "7");
        assert!(url.contains(&postgres.address.to_string()));
    }
}
