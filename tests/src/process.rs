//! Processes under test: daemons with a log file, and commands that run to their end.
//!
//! No process outlives the harness: each is killed when its owner is dropped, and by the kernel
//! (`setpriv --pdeathsig`) when the harness itself is killed. The kernel acts when the *thread* that
//! started the process ends, so one thread that lives as long as the harness starts all of them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::clock::wait_for;

/// Longest run of a command: far beyond any that a user would wait for.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(60);

type Order = (Command, Sender<io::Result<Child>>);

fn spawn(command: Command) -> Result<Child> {
    static STARTER: OnceLock<Sender<Order>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                // Whoever ordered may be gone; then the child is dropped and dies with the harness.
                drop(answer.send(command.spawn()));
            }
        });
        orders
    });
    let program = command.get_program().to_owned();
    let (answer, child) = mpsc::channel();
    starter
        .send((command, answer))
        .context("the thread that starts processes is gone")?;
    child
        .recv()
        .context("the thread that starts processes is gone")?
        .with_context(|| format!("cannot start {}", program.display()))
}

/// Returns a command whose process dies with the harness.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A process that stays, with its log.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command`, both outputs appended to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let out = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        Ok(Self {
            name: name.to_owned(),
            child: spawn(command)?,
            log: log.to_owned(),
        })
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns how it ended, if it did.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Fails with the end of the log if the process has ended.
    ///
    /// # Errors
    /// When it has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!(
                "{} ended with {status}; its log ends with:\n{}",
                self.name,
                log_tail(&self.log, 20)
            );
        }
        Ok(())
    }

    /// Kills it as a power switch would (SIGKILL).
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end (SIGTERM) and returns how it did.
    ///
    /// # Errors
    /// When it has not ended after `within`.
    pub fn terminate(mut self, within: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let name = self.name.clone();
        wait_for(&format!("{name} to end"), within, || self.ended())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("no process id")?, signal)
            .with_context(|| format!("cannot signal {}", self.name))
    }

    /// Returns a value of the process's memory in KiB, as [`memory_kib`].
    ///
    /// # Errors
    /// When the process is gone or the system has no such value.
    pub fn memory_kib(&self, field: &str) -> Result<u64> {
        memory_kib(self.pid(), field)
    }
}

/// Returns a value of `/proc/PID/status` in KiB, as `VmRSS`.
///
/// # Errors
/// When the process is gone or the system has no such value.
pub fn memory_kib(pid: u32, field: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|number| number.trim().parse().ok())
        .with_context(|| format!("{path} has no {field}"))
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may be gone already; then there is nothing to kill and nothing to wait for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a command that ran to its end left.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was run.
    pub line: String,
    /// Exit code; 128 + signal where it was killed.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Returns the output of a command that had to succeed.
    ///
    /// # Errors
    /// When it did not.
    pub fn success(self) -> Result<String> {
        ensure!(
            self.code == 0,
            "`{}` ended with {}:\n{}{}",
            self.line,
            self.code,
            self.stdout,
            self.stderr
        );
        Ok(self.stdout)
    }

    /// Returns both outputs of a command that had to fail with `code`.
    ///
    /// # Errors
    /// When it did otherwise.
    pub fn failure(self, code: i32) -> Result<String> {
        ensure!(
            self.code == code,
            "`{}` ended with {} and not {code}:\n{}{}",
            self.line,
            self.code,
            self.stdout,
            self.stderr
        );
        Ok(format!("{}{}", self.stdout, self.stderr))
    }

    /// Returns both outputs, whatever the code.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started or hangs.
pub fn run(mut command: Command) -> Result<Outcome> {
    let line = shown(&command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = spawn(command)?;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let ended = wait_for(&format!("`{line}` to end"), COMMAND_TIME_MAX, || {
        Ok(child.try_wait()?)
    });
    if ended.is_err() {
        child.kill()?;
        child.wait()?;
    }
    let status = ended?;
    let text = |reader: thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
    };
    Ok(Outcome {
        line,
        code: status
            .code()
            .or(status.signal().map(|signal| 128 + signal))
            .unwrap_or(-1),
        stdout: text(stdout),
        stderr: text(stderr),
    })
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What came before an error is all there is to show.
            drop(pipe.read_to_end(&mut bytes));
        }
        bytes
    })
}

fn shown(command: &Command) -> String {
    let words: Vec<String> = command
        .get_args()
        .skip_while(|arg| *arg != "--")
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    words.join(" ")
}

/// Returns the last lines of a log.
pub fn log_tail(log: &Path, lines: usize) -> String {
    let mut text = String::new();
    match File::open(log).and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) => {
            let all: Vec<&str> = text.lines().collect();
            all.get(all.len().saturating_sub(lines)..)
                .unwrap_or_default()
                .join("\n")
        }
        Err(error) => format!("({} cannot be read: {error})", log.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commands_outputs_and_code_are_told_apart() {
        let mut shell = command(Path::new("sh"));
        shell.args(["-c", "echo out; echo err >&2; exit 3"]);
        let outcome = run(shell).unwrap();
        assert_eq!(
            (outcome.code, &*outcome.stdout, &*outcome.stderr),
            (3, "out\n", "err\n")
        );
        assert!(outcome.success().is_err());
    }

    #[test]
    fn a_daemon_is_gone_once_its_owner_is() {
        let dir = tempfile::tempdir().unwrap();
        let mut sleep = command(Path::new("sleep"));
        sleep.arg("600");
        let mut daemon = Daemon::start("sleep", sleep, &dir.path().join("log")).unwrap();
        daemon.ensure_running().unwrap();
        let proc = PathBuf::from(format!("/proc/{}", daemon.pid()));
        assert!(proc.exists());
        drop(daemon);
        assert!(!proc.exists());
    }
}
