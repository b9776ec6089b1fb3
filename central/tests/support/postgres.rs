//! A private PostgreSQL cluster in a temporary directory, reached by its Unix socket alone.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// A running cluster; stopped and removed with its last holder.
pub(crate) struct Cluster {
    dir: tempfile::TempDir,
    databases: AtomicU32,
}

static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

impl Cluster {
    /// Returns the cluster that the tests of this process share, and starts it for the first;
    /// `None` on a machine without PostgreSQL.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap();
        if let Some(cluster) = shared.upgrade() {
            return Some(cluster);
        }
        let cluster = Arc::new(Self::start_own()?);
        *shared = Arc::downgrade(&cluster);
        Some(cluster)
    }

    /// Starts a cluster that a test may stop and start.
    pub(crate) fn start_own() -> Option<Self> {
        if Command::new("initdb").arg("--version").output().is_err() {
            eprintln!("no PostgreSQL on this machine: its half of the tests is left out");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let home = dir.path().join("home");
        std::fs::create_dir(&home).unwrap();
        if is_root() {
            let (uid, gid) = postgres_user();
            chown(&home, Some(uid), Some(gid)).unwrap();
        }
        let cluster = Self {
            dir,
            databases: AtomicU32::new(0),
        };
        let data = cluster.home().join("data");
        let data = data.to_str().unwrap();
        run(&[
            "initdb", "-D", data, "-U", "central", "-A", "trust", "-N", "-E", "UTF8",
        ]);
        cluster.start();
        Some(cluster)
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn control(&self, verb: &str, extra: &[&str]) -> Output {
        let data = self.home().join("data");
        let mut line = vec!["pg_ctl", "-w", "-D", data.to_str().unwrap(), verb];
        line.extend_from_slice(extra);
        output(&line)
    }

    /// Starts the server.
    pub(crate) fn start(&self) {
        let home = self.home();
        let log = home.join("log");
        // Durability is not what these tests are about.
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{}' -c fsync=off \
             -c max_connections=200",
            home.display()
        );
        let extra = ["-l", log.to_str().unwrap(), "-o", &options];
        let output = self.control("start", &extra);
        assert!(output.status.success(), "{output:?}");
    }

    /// Stops the server as a crash would.
    pub(crate) fn stop(&self) {
        let output = self.control("stop", &["-m", "immediate"]);
        assert!(output.status.success(), "{output:?}");
    }

    /// Makes an empty database and returns its address.
    pub(crate) fn database(&self) -> String {
        let name = format!("central{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let home = self.home();
        let host = home.to_str().unwrap();
        run(&["createdb", "-h", host, "-U", "central", &name]);
        let host = host.replace('/', "%2F");
        format!("postgres://central@localhost/{name}?host={host}")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _stopped = self.control("stop", &["-m", "immediate"]);
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The server refuses to run as root, so that it gets a user that exists for it.
fn postgres_user() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let fields: Vec<&str> = line.unwrap().split(':').collect();
    (fields[2].parse().unwrap(), fields[3].parse().unwrap())
}

fn output(line: &[&str]) -> Output {
    let mut command = if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).args(line);
        command
    } else {
        let mut command = Command::new(line[0]);
        command.args(&line[1..]);
        command
    };
    command.current_dir(Path::new("/")).output().unwrap()
}

fn run(line: &[&str]) {
    let output = output(line);
    assert!(output.status.success(), "{line:?}: {output:?}");
}
