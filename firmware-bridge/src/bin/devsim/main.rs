//! `tillbind-devsim`: a scanner, NFC reader, printer, POS or journal that is not there, from a script.

mod play;
mod port;

use std::fs;
use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, TryRecvError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tillbind_firmware_bridge::devsim::nfc::Pn532;
use tillbind_firmware_bridge::devsim::printer::Printer;
use tillbind_firmware_bridge::devsim::scanner::{Framing, Scanner};
use tillbind_firmware_bridge::devsim::script::{self, Step};

use play::{Device, Play};
use port::Port;

/// How long a device answers before it looks for the next typed step.
const LISTENED: Duration = Duration::from_millis(10);

/// Plays a till's device from a script; `tillbind-devsim help DEVICE` shows what each needs.
#[derive(Debug, Parser)]
#[command(name = "tillbind-devsim", version)]
struct Arguments {
    #[command(subcommand)]
    device: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A barcode scanner on a pseudo-terminal.
    Scanner {
        #[command(flatten)]
        link: Link,
        /// How scans are framed.
        #[arg(long, value_enum, default_value = "line")]
        framing: Frames,
        /// What stands before each scan, with escapes as in a script.
        #[arg(long, default_value = "")]
        prefix: String,
        /// What ends each scan, with escapes as in a script.
        #[arg(long, default_value = "\\r")]
        suffix: String,
        #[command(flatten)]
        script: Script,
    },
    /// A PN532 NFC reader on a pseudo-terminal.
    Nfc {
        #[command(flatten)]
        link: Link,
        #[command(flatten)]
        script: Script,
    },
    /// An ESC/POS printer on a TCP port or a pseudo-terminal; it stays until it is stopped.
    Printer {
        /// Address to listen on, as in 127.0.0.1:9100.
        #[arg(long, conflicts_with = "link", required_unless_present = "link")]
        listen: Option<SocketAddr>,
        /// Where the pseudo-terminal is found.
        #[arg(long)]
        link: Option<PathBuf>,
        /// File that takes all that is printed.
        #[arg(long)]
        paper: Option<PathBuf>,
        /// What happens to it: a file, or - for lines as they are typed.
        script: Option<PathBuf>,
    },
    /// A POS that prints.
    Pos {
        /// Address or device to print to.
        #[arg(long)]
        to: String,
        #[command(flatten)]
        script: Script,
    },
    /// A POS that writes journal files.
    Journal {
        /// The directory.
        #[arg(long)]
        dir: PathBuf,
        #[command(flatten)]
        script: Script,
    },
}

#[derive(Debug, Args)]
struct Link {
    /// Where the pseudo-terminal is found, like a port of /dev/serial/by-id.
    #[arg(long)]
    link: PathBuf,
}

#[derive(Debug, Args)]
struct Script {
    /// The script's file, or - for steps as they are typed.
    script: PathBuf,
    /// Stay when the script has ended, until stopped.
    #[arg(long)]
    stay: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Frames {
    Line,
    Ssi,
    Honeywell,
    HidPos,
}

#[expect(clippy::print_stderr, reason = "this is the command's complaint")]
fn main() -> ExitCode {
    match run(Arguments::parse().device) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tillbind-devsim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Scanner {
            link,
            framing,
            prefix,
            suffix,
            script,
        } => {
            let framing = match framing {
                Frames::Line => Framing::Line {
                    prefix: escaped(&prefix)?,
                    suffix: escaped(&suffix)?,
                },
                Frames::Ssi => Framing::Ssi,
                Frames::Honeywell => Framing::Honeywell,
                Frames::HidPos => Framing::HidPos,
            };
            let device = Device::Scanner(Scanner::new(framing));
            play(device, Some(Port::plug_in(&link.link)?), &script)
        }
        Command::Nfc { link, script } => {
            let device = Device::Nfc(Pn532::new());
            play(device, Some(Port::plug_in(&link.link)?), &script)
        }
        Command::Printer {
            listen,
            link,
            paper,
            script,
        } => {
            let port = match (listen, link) {
                (Some(address), _) => Port::listen(address)?,
                (None, Some(link)) => Port::plug_in(&link)?,
                (None, None) => bail!("a printer needs --listen or --link"),
            };
            let paper = paper
                .map(|path| {
                    fs::File::create(&path)
                        .with_context(|| format!("cannot write {}", path.display()))
                })
                .transpose()?;
            let device = Device::Printer(Printer::new(), paper);
            let mut play = Play::new(device, Some(port));
            if let Some(script) = script {
                play_all(&mut play, &script)?;
            }
            play.stay()
        }
        Command::Pos { to, script } => {
            let port = match to.parse() {
                Ok(address) => Port::connect(address)?,
                Err(_) => Port::open(Path::new(&to))?,
            };
            play(Device::Pos, Some(port), &script)
        }
        Command::Journal { dir, script } => {
            play(Device::Journal { dir, file: None }, None, &script)
        }
    }
}

fn play(device: Device, port: Option<Port>, script: &Script) -> Result<()> {
    let mut play = Play::new(device, port);
    play_all(&mut play, &script.script)?;
    play.settle()?;
    if script.stay { play.stay() } else { Ok(()) }
}

fn play_all(play: &mut Play, script: &Path) -> Result<()> {
    if script != Path::new("-") {
        let text = fs::read_to_string(script)
            .with_context(|| format!("cannot read {}", script.display()))?;
        let steps = script::read(&text).with_context(|| script.display().to_string())?;
        return steps.iter().try_for_each(|step| play.step(step));
    }
    // A device answers also while nobody types.
    let (typed, steps) = mpsc::sync_channel(1);
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            if typed.send(line).is_err() {
                return;
            }
        }
    });
    loop {
        match steps.try_recv() {
            Ok(line) => match script::read_line(&line?) {
                Ok(Some(step)) => play.step(&step)?,
                Ok(None) => {}
                Err(error) => play.tell(&error.what),
            },
            Err(TryRecvError::Empty) => play.wait(LISTENED)?,
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
    }
}

fn escaped(text: &str) -> Result<Vec<u8>> {
    match script::read_line(&format!("text {text}"))? {
        Some(Step::Send(bytes)) => Ok(bytes),
        _ => Ok(Vec::new()),
    }
}
