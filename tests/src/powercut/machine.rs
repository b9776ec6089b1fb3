//! A virtual machine with one drive and one port to the outside.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::drive;
use super::image::Image;
use super::kit::Kit;
use super::tape::{Recording, Tape};
use super::words::{Order, Word};
use crate::environment;
use crate::process::{Daemon, command};

/// Longest silence of a machine: far beyond a boot without KVM on a busy host.
const SILENCE_MAX: Duration = Duration::from_secs(300);
/// Longest boot with KVM: it takes two seconds where KVM works.
const KVM_BOOT_MAX: Duration = Duration::from_secs(25);

/// On a busy host a translated timer looks dead to the kernel's check of it.
const KERNEL_ARGUMENTS: &str = "console=ttyS0 quiet panic=-1 random.trust_cpu=on no_timer_check";
const QEMU_LOG: &str = "qemu.log";
const CONSOLE_LOG: &str = "console.log";
const TAIL_LINES: usize = 40;

/// How the machine's processor is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Processor {
    /// By the host's own.
    Kvm,
    /// By translation, some ten times slower.
    Translated,
}

impl Processor {
    /// Returns the best that this host seems to have; `TILLBIND_ACCEL=tcg` does without KVM.
    pub(super) fn best() -> Self {
        let unwanted = environment::variable(environment::ACCEL).is_some_and(|v| v == "tcg");
        let kvm = OpenOptions::new().read(true).write(true).open("/dev/kvm");
        if unwanted || kvm.is_err() {
            Self::Translated
        } else {
            Self::Kvm
        }
    }
}

/// A running machine; pulled when dropped.
#[derive(Debug)]
pub(super) struct Machine {
    daemon: Daemon,
    tape: Tape,
    orders: UnixStream,
    words: Receiver<Word>,
    dir: PathBuf,
}

impl Machine {
    /// Boots a machine with a disk in its drive; sockets and console log go to `dir`, which is its own.
    ///
    /// # Errors
    /// When it does not come up.
    pub(super) fn boot(kit: &Kit, dir: &Path, disk: Image) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let (drive_socket, port_socket) = (dir.join("drive"), dir.join("port"));
        let (console, log) = (dir.join(CONSOLE_LOG), dir.join(QEMU_LOG));
        for old in [&drive_socket, &port_socket, &console, &log] {
            drop(fs::remove_file(old));
        }
        let tape = Tape::new(disk);
        drive::serve(&drive_socket, tape.clone())?;
        let listener = UnixListener::bind(&port_socket)?;
        let mut qemu = command(&kit.qemu);
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none"]);
        qemu.args([
            "-no-reboot",
            "-machine",
            "q35",
            "-cpu",
            "max,-arch-capabilities",
        ]);
        qemu.args(["-m", "768", "-smp", "2"]);
        qemu.args([
            "-accel",
            match kit.processor {
                Processor::Kvm => "kvm",
                Processor::Translated => "tcg",
            },
        ]);
        qemu.arg("-kernel").arg(&kit.kernel);
        qemu.arg("-initrd").arg(&kit.system);
        qemu.args(["-append", KERNEL_ARGUMENTS]);
        qemu.arg("-serial")
            .arg(format!("file:{}", console.display()));
        qemu.arg("-blockdev").arg(format!(
            "driver=nbd,node-name=disk,server.type=unix,server.path={}",
            drive_socket.display()
        ));
        qemu.args(["-device", "virtio-blk-pci,drive=disk"]);
        qemu.args(["-device", "virtio-serial-pci"]);
        qemu.arg("-chardev")
            .arg(format!("socket,id=port,path={}", port_socket.display()));
        qemu.args(["-device", "virtserialport,chardev=port,name=powercut"]);
        let daemon = Daemon::start("qemu", qemu, &log)?;
        let (sender, words) = mpsc::channel();
        let (orders, stream) = accept(&listener, &log)?;
        let answers = orders.try_clone()?;
        let heard = tape.clone();
        thread::spawn(move || {
            // A machine whose plug was pulled ends in the middle of a word.
            for line in BufReader::new(stream).lines() {
                let Some(word) = line
                    .ok()
                    .and_then(|l| serde_json::from_str::<Word>(&l).ok())
                else {
                    break;
                };
                if word.counts_for_cuts() {
                    heard.hear(word.clone());
                }
                if word.waits() && say(&answers, &Order::Heard).is_err() {
                    break;
                }
                if sender.send(word).is_err() {
                    break;
                }
            }
        });
        let mut machine = Self {
            daemon,
            tape,
            orders,
            words,
            dir: dir.to_owned(),
        };
        let boot_max = match kit.processor {
            Processor::Kvm => KVM_BOOT_MAX,
            Processor::Translated => SILENCE_MAX,
        };
        let word = machine.next_within(boot_max)?;
        ensure!(word == Word::Ready, "the machine began with {word:?}");
        Ok(machine)
    }

    /// Gives an order.
    ///
    /// # Errors
    /// When the machine is gone.
    pub(super) fn order(&mut self, order: &Order) -> Result<()> {
        say(&self.orders, order).context("the machine takes no orders")
    }

    /// Returns the machine's next word.
    ///
    /// # Errors
    /// When it is gone or silent for too long, with the end of its console.
    pub(super) fn next(&mut self) -> Result<Word> {
        self.next_within(SILENCE_MAX)
    }

    fn next_within(&mut self, silence_max: Duration) -> Result<Word> {
        let why = match self.words.recv_timeout(silence_max) {
            Ok(word) => return Ok(word),
            Err(RecvTimeoutError::Timeout) => "is silent",
            Err(RecvTimeoutError::Disconnected) => "is gone",
        };
        bail!(
            "the machine {why}; QEMU says:\n{}\nits console ends with:\n{}",
            tail(&self.dir.join(QEMU_LOG)),
            tail(&self.dir.join(CONSOLE_LOG))
        )
    }

    /// Puts another disk in; the machine must have let go of the last. Returns what happened to that.
    pub(super) fn change_disk(&self, disk: Image) -> Recording {
        self.tape.change(disk)
    }

    /// Tells whether the machine read anything from the disk that is in.
    pub(super) fn has_read(&self) -> bool {
        self.tape.was_read()
    }

    /// Returns what happened to the disk so far.
    pub(super) fn recording(&self) -> Recording {
        self.tape.end()
    }

    /// Pulls the plug: the machine is killed in the middle of whatever it does. Returns what happened to
    /// the disk.
    ///
    /// # Errors
    /// When the system does not kill it.
    pub(super) fn pull(self) -> Result<Recording> {
        let Self { daemon, tape, .. } = self;
        daemon.kill()?;
        Ok(tape.end())
    }
}

/// Returns the last lines of a log.
fn tail(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// Waits for the machine to take its end of the port.
fn accept(listener: &UnixListener, log: &Path) -> Result<(UnixStream, UnixStream)> {
    listener.set_nonblocking(true)?;
    let stream =
        crate::clock::wait_for(
            "QEMU to come up",
            Duration::from_secs(60),
            || match listener.accept() {
                Ok((stream, _)) => Ok(Some(stream)),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
                Err(e) => Err(e.into()),
            },
        )
        .with_context(|| tail(log))?;
    stream.set_nonblocking(false)?;
    Ok((stream.try_clone()?, stream))
}

fn say(mut stream: &UnixStream, order: &Order) -> Result<()> {
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    Ok(stream.write_all(&line)?)
}
