//! One device doing its steps, and answering meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tillbind_firmware_bridge::devsim::nfc::Pn532;
use tillbind_firmware_bridge::devsim::printer::Printer;
use tillbind_firmware_bridge::devsim::scanner::{Outcome, Scanner};
use tillbind_firmware_bridge::devsim::script::{PrinterTurn, Step};

use crate::port::{Port, TICK};

/// How long an SSI scanner waits for its acknowledgement before it sends again.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(2);
/// How long a POS waits for late answers behind its last step.
const ANSWERS_WITHIN: Duration = Duration::from_millis(300);

/// What is played.
#[derive(Debug)]
pub(crate) enum Device {
    Scanner(Scanner),
    Nfc(Pn532),
    /// The printer and the file that takes what it prints.
    Printer(Printer, Option<File>),
    Pos,
    Journal {
        dir: PathBuf,
        file: Option<(PathBuf, File)>,
    },
}

/// A device at its port.
#[derive(Debug)]
pub(crate) struct Play {
    device: Device,
    port: Option<Port>,
    is_stalled: bool,
    dice: fastrand::Rng,
}

impl Play {
    /// Begins, and says where the device is found.
    pub(crate) fn new(device: Device, port: Option<Port>) -> Self {
        let play = Self {
            device,
            port,
            is_stalled: false,
            // The same noise in every run.
            dice: fastrand::Rng::with_seed(1),
        };
        if let Some(Ok(shown)) = play.port.as_ref().map(Port::shown) {
            play.tell(&format!("ready at {shown}"));
        }
        play
    }

    #[expect(clippy::print_stdout, reason = "this is the command's output")]
    pub(crate) fn tell(&self, what: &str) {
        println!("{what}");
    }

    /// Does one step.
    pub(crate) fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Wait(time) => self.wait(*time)?,
            Step::Scan(code) => {
                let Device::Scanner(scanner) = &mut self.device else {
                    return self.misplaced("scan");
                };
                let bytes = scanner.scan(code);
                self.send(&bytes)?;
                self.tell(&format!("scanned {} bytes", code.len()));
                self.wait_for_acknowledgement()?;
            }
            Step::NoRead => {
                let Device::Scanner(scanner) = &mut self.device else {
                    return self.misplaced("noread");
                };
                let bytes = scanner.no_read();
                self.send(&bytes)?;
                self.wait_for_acknowledgement()?;
            }
            Step::Send(bytes) => self.send(bytes)?,
            Step::SendFile(path) => {
                let bytes =
                    fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                self.send(&bytes)?;
                self.tell(&format!("sent {} bytes of {}", bytes.len(), path.display()));
            }
            Step::Noise(count) => {
                let noise: Vec<u8> = (0..*count).map(|_| self.dice.u8(..)).collect();
                self.send(&noise)?;
            }
            Step::Unplug => self.port()?.unplug()?,
            Step::Plug => self.port()?.plug()?,
            Step::Card(uid) => {
                let Device::Nfc(reader) = &mut self.device else {
                    return self.misplaced("card");
                };
                let told = reader.hold(uid);
                self.send(&told)?;
            }
            Step::CardAway => {
                let Device::Nfc(reader) = &mut self.device else {
                    return self.misplaced("card");
                };
                reader.take_away();
            }
            Step::Printer(turn) => self.turn(*turn)?,
            Step::Open(name) => {
                let Device::Journal { dir, file } = &mut self.device else {
                    return self.misplaced("open");
                };
                let path = dir.join(name);
                let opened = OpenOptions::new().create(true).append(true).open(&path);
                let opened = opened.with_context(|| format!("cannot open {}", path.display()))?;
                *file = Some((path, opened));
            }
            Step::Rename(name) => {
                let Device::Journal { dir, file } = &mut self.device else {
                    return self.misplaced("rename");
                };
                let (path, _) = file.as_mut().context("no file is open")?;
                let to = dir.join(name);
                fs::rename(&*path, &to)
                    .with_context(|| format!("cannot rename {}", path.display()))?;
                *path = to;
            }
            Step::Truncate => self.file()?.1.set_len(0)?,
            Step::Delete => {
                let path = self.file()?.0.clone();
                fs::remove_file(&path)
                    .with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        Ok(())
    }

    /// Waits for what is still to come behind the last step.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.wait_for_acknowledgement()?;
        match self.device {
            Device::Pos => self.wait(ANSWERS_WITHIN),
            Device::Scanner(_) | Device::Nfc(_) | Device::Printer(..) | Device::Journal { .. } => {
                Ok(())
            }
        }
    }

    /// Goes on until it is stopped.
    pub(crate) fn stay(&mut self) -> Result<()> {
        loop {
            self.wait(Duration::from_secs(1))?;
        }
    }

    fn misplaced(&self, step: &str) -> Result<()> {
        bail!("{step} is no step of this device")
    }

    fn port(&mut self) -> Result<&mut Port> {
        self.port.as_mut().context("this device has no port")
    }

    fn file(&mut self) -> Result<&mut (PathBuf, File)> {
        match &mut self.device {
            Device::Journal { file, .. } => {
                file.as_mut().context("no file is open: write open NAME")
            }
            Device::Scanner(_) | Device::Nfc(_) | Device::Printer(..) | Device::Pos => {
                bail!("only a journal has files")
            }
        }
    }

    fn turn(&mut self, turn: PrinterTurn) -> Result<()> {
        let Device::Printer(printer, _) = &mut self.device else {
            return self.misplaced("printer");
        };
        let told = printer.handle_turn(turn);
        match turn {
            PrinterTurn::Stall => self.is_stalled = true,
            PrinterTurn::Go => self.is_stalled = false,
            PrinterTurn::HangUp => self.port()?.unplug()?,
            PrinterTurn::PaperOut
            | PrinterTurn::PaperIn
            | PrinterTurn::CoverOpen
            | PrinterTurn::CoverClosed
            | PrinterTurn::Offline
            | PrinterTurn::Online => {}
        }
        self.send(&told)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if let Device::Journal { .. } = self.device {
            let (path, file) = self.file()?;
            return file
                .write_all(bytes)
                .with_context(|| format!("cannot write {}", path.display()));
        }
        self.port()?.send(bytes)
    }

    /// Answers for so long.
    pub(crate) fn wait(&mut self, time: Duration) -> Result<()> {
        let start = now();
        while start.elapsed() < time {
            if !self.answer()? {
                thread::sleep(TICK);
            }
        }
        Ok(())
    }

    fn wait_for_acknowledgement(&mut self) -> Result<()> {
        let is_waiting = |device: &Device| match device {
            Device::Scanner(scanner) => scanner.is_waiting(),
            Device::Nfc(_) | Device::Printer(..) | Device::Pos | Device::Journal { .. } => false,
        };
        let mut sent_at = now();
        while is_waiting(&self.device) {
            if self.answer()? {
                sent_at = now();
                continue;
            }
            thread::sleep(TICK);
            if sent_at.elapsed() < ACKNOWLEDGED_WITHIN {
                continue;
            }
            let Device::Scanner(scanner) = &mut self.device else {
                return Ok(());
            };
            let (again, outcome) = scanner.handle_silence();
            outcome
                .iter()
                .for_each(|outcome| self.tell_outcome(*outcome));
            self.send(&again)?;
            sent_at = now();
        }
        Ok(())
    }

    /// Takes what has come and answers; returns whether anything had.
    fn answer(&mut self) -> Result<bool> {
        // A printer that cannot print takes nothing, and its POS has to wait.
        if self.is_stalled {
            return Ok(false);
        }
        let Some(port) = &mut self.port else {
            return Ok(false);
        };
        let taken = port.take()?;
        if taken.is_empty() {
            return Ok(false);
        }
        let (answer, outcomes) = match &mut self.device {
            Device::Scanner(scanner) => scanner.handle_bytes(&taken),
            Device::Nfc(reader) => (reader.handle_bytes(&taken), Vec::new()),
            Device::Printer(printer, paper) => {
                if let Some(paper) = paper {
                    paper
                        .write_all(&taken)
                        .context("cannot write the paper's file")?;
                }
                (printer.handle_bytes(&taken), Vec::new())
            }
            Device::Pos | Device::Journal { .. } => (Vec::new(), Vec::new()),
        };
        match &self.device {
            Device::Printer(..) => self.tell(&format!("printed {} bytes", taken.len())),
            Device::Pos => {
                let hex: Vec<String> = taken.iter().map(|byte| format!("{byte:02x}")).collect();
                self.tell(&format!("answer {}", hex.join(" ")));
            }
            Device::Scanner(_) | Device::Nfc(_) | Device::Journal { .. } => {}
        }
        outcomes
            .iter()
            .for_each(|outcome| self.tell_outcome(*outcome));
        self.send(&answer)?;
        Ok(true)
    }

    fn tell_outcome(&self, outcome: Outcome) {
        self.tell(match outcome {
            Outcome::Acknowledged => "acknowledged",
            Outcome::SentAgain => "sent again",
            Outcome::GivenUp => "not acknowledged: given up",
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "the command's only clock")]
fn now() -> Instant {
    Instant::now()
}
