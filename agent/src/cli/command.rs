//! The commands and what each does.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::daemon::{Daemon, DaemonError};
use super::{Exit, devices, doctor, outbox, output, receipts, show};
use crate::config::{Config, ConfigError, DEFAULT_PATH};
use crate::devices::load_profile;
use crate::identity::enrolment::{EnrolError, enrol};
use crate::run::{self, Environment};

/// Threads for work that blocks on the disk: one reads for the uplink, one writes the replica, one or two
/// serve the API.
const BLOCKING_THREADS: usize = 4;
/// How long such a thread stays without work.
const BLOCKING_KEEP: std::time::Duration = std::time::Duration::from_secs(2);

/// Puts a store's till and the online shop's member in touch, also when the line is down.
#[derive(Debug, Parser)]
#[command(name = "tillbind", version)]
pub struct Arguments {
    /// Settings file.
    #[arg(long, global = true, value_name = "FILE", default_value = DEFAULT_PATH)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon in the foreground.
    Run {
        /// How the log on standard error is written.
        #[arg(long, value_enum, default_value = "text")]
        log: LogForm,
    },
    /// Give this terminal its identity; the token comes from headquarters and works once.
    Enrol {
        /// The token that `tillbind-central token create` printed.
        token: String,
        /// Replace the identity that this terminal has.
        #[arg(long)]
        again: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Identity, line, outbox, replica, devices, clock, disk.
    Status {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check everything; each finding comes with its remedy.
    Doctor {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Ports, state, counts.
    Devices {
        #[command(subcommand)]
        what: Option<DevicesCommand>,
        /// Print JSON.
        #[arg(long, global = true)]
        json: bool,
    },
    /// The durable queue of events for headquarters.
    Outbox {
        #[command(subcommand)]
        what: Option<OutboxCommand>,
        /// Print JSON.
        #[arg(long, global = true)]
        json: bool,
    },
    /// Look a card up in the replica.
    Card {
        /// The number as printed on the card.
        number: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Request a binding of a card to an online account.
    Bind {
        /// The card's number.
        #[arg(long)]
        card: String,
        /// The account's member code, beginning with TB1:.
        #[arg(long)]
        code: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Profiles that make sales of receipts: try one, or have one proposed. Asks no daemon.
    Receipts {
        #[command(subcommand)]
        what: ReceiptsCommand,
        /// Print JSON.
        #[arg(long, global = true)]
        json: bool,
    },
    /// The settings file.
    Config {
        #[command(subcommand)]
        what: ConfigCommand,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogForm {
    /// For people.
    Text,
    /// For machines.
    Json,
}

#[derive(Debug, Subcommand)]
enum DevicesCommand {
    /// Show scans and states as they happen, masked, until interrupted.
    Watch,
    /// List this machine's ports by the names that belong into the settings.
    Ports,
}

#[derive(Debug, Subcommand)]
enum OutboxCommand {
    /// Figures.
    Stats,
    /// One event that waits.
    Show {
        /// Its place.
        seq: u64,
    },
    /// All events that wait, one JSON object a line.
    Export,
    /// Records that could not be read.
    Quarantine {
        #[command(subcommand)]
        what: QuarantineCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum QuarantineCommand {
    /// What is in it. Each entry stands for events that headquarters knows to be lost.
    List,
    /// All of it with what can be read of the events, one JSON object a line, for headquarters. Personal
    /// data in the clear: it is noted who asked.
    Export,
    /// Let an entry go for good; it is noted who did.
    Drop {
        /// Its number.
        id: u64,
    },
}

#[derive(Debug, Subcommand)]
enum ReceiptsCommand {
    /// Read captured receipts by a profile and say what came of each, and why not a sale.
    Test {
        /// The profile.
        profile: PathBuf,
        /// Directory of captures: printers' bytes (.bin) or lines (.txt).
        dir: PathBuf,
    },
    /// Propose a profile from captured receipts, ten or more, and say how many of them it reads.
    Learn {
        /// Directory of captures: printers' bytes (.bin) or lines (.txt).
        dir: PathBuf,
        /// Write the profile here instead of to standard output; an existing file is left alone.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check the file; faults come with their line.
    Check {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(arguments: Arguments, environment: Environment) -> anyhow::Result<Exit> {
    if let Command::Config {
        what: ConfigCommand::Check { json },
    } = arguments.command
    {
        return Ok(check_config(&arguments.config, json));
    }
    if let Command::Doctor { json } = arguments.command {
        return Ok(runtime()?.block_on(doctor::doctor(&arguments.config, json)));
    }
    if let Command::Receipts { what, json } = arguments.command {
        return Ok(match what {
            ReceiptsCommand::Test { profile, dir } => {
                receipts::test(&arguments.config, &profile, &dir, json)
            }
            ReceiptsCommand::Learn { dir, output } => {
                receipts::learn(&dir, output.as_deref(), json)
            }
        });
    }
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(error) => {
            output::complaint(&error);
            return Ok(match error {
                ConfigError::Unreadable { .. } => Exit::Unreachable,
                ConfigError::TooLong { .. } | ConfigError::Faulty { .. } => Exit::Finding,
            });
        }
    };
    let runtime = runtime()?;
    let done = match arguments.command {
        Command::Run { log } => return run_daemon(&runtime, config, environment, log),
        Command::Enrol { token, again, json } => {
            return Ok(runtime.block_on(enrol_terminal(&config, &token, again, json)));
        }
        Command::Devices {
            what: Some(DevicesCommand::Ports),
            json,
        } => Ok(devices::list_ports(&config, json)),
        asking @ (Command::Status { .. }
        | Command::Doctor { .. }
        | Command::Devices { .. }
        | Command::Outbox { .. }
        | Command::Card { .. }
        | Command::Bind { .. }
        | Command::Receipts { .. }
        | Command::Config { .. }) => runtime.block_on(ask_daemon(&config, asking)),
    };
    Ok(done.unwrap_or_else(|error| {
        output::complaint(&error);
        match error {
            DaemonError::Unreachable(_) => Exit::Unreachable,
            DaemonError::Refused { status, .. } if status.is_server_error() => Exit::Unreachable,
            DaemonError::Refused { .. } => Exit::Finding,
        }
    }))
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(BLOCKING_KEEP)
        .build()
}

fn run_daemon(
    runtime: &Runtime,
    config: Config,
    environment: Environment,
    log: LogForm,
) -> anyhow::Result<Exit> {
    let filter = EnvFilter::new("info");
    let writer = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match log {
        LogForm::Text => writer.with_target(false).with_ansi(false).init(),
        LogForm::Json => writer.json().init(),
    }
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        Ok(match run::run(config, environment, stop).await {
            Ok(()) => Exit::Fine,
            Err(error) => {
                output::complaint(&error);
                Exit::Unreachable
            }
        })
    })
}

async fn enrol_terminal(config: &Config, token: &str, again: bool, json: bool) -> Exit {
    if let Err(error) = run::make_data_dir(&config.data_dir) {
        output::complaint(&error);
        return Exit::Unreachable;
    }
    match enrol(&config.data_dir, token, again, &run::machine()).await {
        Ok(identity) if json => {
            output::json(&json!({
                "terminal": identity.terminal,
                "store": identity.store,
                "workstation": identity.workstation,
                "url": identity.url,
            }));
            Exit::Fine
        }
        Ok(identity) => {
            output::line(format!(
                "Enrolled as {}: store {}, workstation {}, headquarters {}",
                identity.terminal, identity.store, identity.workstation, identity.url
            ));
            Exit::Fine
        }
        Err(error) => {
            output::complaint(&error);
            match error {
                EnrolError::Unreachable { .. } | EnrolError::Identity(_) => Exit::Unreachable,
                EnrolError::Token(_) => Exit::WrongUse,
                EnrolError::AlreadyEnrolled { .. }
                | EnrolError::WrongCa { .. }
                | EnrolError::Refused { .. }
                | EnrolError::Answer(_)
                | EnrolError::Key(_)
                | EnrolError::Tls(_) => Exit::Finding,
            }
        }
    }
}

/// What is wrong with the taps' profiles. The daemon starts all the same: printing comes first.
fn profile_faults(config: &Config) -> Vec<String> {
    let taps = config.receipt_taps.iter();
    taps.filter(|tap| tap.profile.is_some())
        .filter_map(|tap| {
            let error = load_profile(tap.profile.as_deref()).err()?;
            Some(format!("tap {:?}: {error}", tap.name))
        })
        .collect()
}

fn check_config(path: &std::path::Path, json: bool) -> Exit {
    let loaded = Config::load(path);
    let profiles = loaded.as_ref().map(profile_faults).unwrap_or_default();
    let warnings = match &loaded {
        Ok(config) => config.cards.warnings(),
        Err(_) => Vec::new(),
    };
    if json {
        let faults: Vec<Value> = match &loaded {
            Err(ConfigError::Faulty { faults, .. }) => faults
                .iter()
                .map(|fault| json!({ "line": fault.line, "message": fault.message }))
                .collect(),
            Err(error) => vec![json!({ "message": error.to_string() })],
            Ok(_) => profiles
                .iter()
                .map(|fault| json!({ "message": fault }))
                .collect(),
        };
        output::json(&json!({ "file": path, "faults": faults, "warnings": warnings }));
    } else {
        for warning in &warnings {
            output::line(format!("{}: warning: {warning}", path.display()));
        }
        match &loaded {
            Ok(_) if profiles.is_empty() => {
                output::line(format!("{}: no faults", path.display()));
            }
            Ok(_) => {
                for fault in &profiles {
                    output::line(format!("{}: {fault}", path.display()));
                }
            }
            Err(ConfigError::Faulty { .. }) => {
                output::line(
                    loaded
                        .as_ref()
                        .err()
                        .map(ToString::to_string)
                        .unwrap_or_default(),
                );
            }
            Err(error) => output::complaint(error),
        }
    }
    match loaded {
        Ok(_) if profiles.is_empty() => Exit::Fine,
        Ok(_) => Exit::Finding,
        Err(ConfigError::Unreadable { .. }) => Exit::Unreachable,
        Err(ConfigError::Faulty { .. } | ConfigError::TooLong { .. }) => Exit::Finding,
    }
}

async fn ask_daemon(config: &Config, command: Command) -> Result<Exit, DaemonError> {
    let daemon = Daemon::find(&config.data_dir)?;
    match command {
        Command::Status { json } => {
            let status = daemon.get("/v1/status").await?;
            print(&status, json, show::status);
        }
        Command::Devices { what: None, json } => {
            let devices = daemon.get("/v1/devices").await?;
            print(&devices, json, show::devices);
        }
        Command::Devices {
            what: Some(DevicesCommand::Watch),
            json,
        } => {
            return devices::watch(&daemon, json).await;
        }
        Command::Outbox {
            what: None | Some(OutboxCommand::Stats),
            json,
        } => {
            let mut outbox = daemon.get("/v1/outbox").await?;
            if let Some(figures) = outbox.as_object_mut() {
                figures.remove("waiting");
            }
            print(&outbox, json, show::outbox);
        }
        Command::Outbox {
            what: Some(OutboxCommand::Show { seq }),
            ..
        } => {
            output::json(&daemon.get(&format!("/v1/outbox/{seq}")).await?);
        }
        Command::Outbox {
            what: Some(OutboxCommand::Export),
            ..
        } => outbox::export(&daemon).await?,
        Command::Outbox {
            what: Some(OutboxCommand::Quarantine { what }),
            json,
        } => outbox::quarantine(&daemon, &what, json).await?,
        Command::Card { number, json } => match daemon.get(&format!("/v1/cards/{number}")).await {
            Ok(card) => print(&card, json, show::card),
            Err(DaemonError::Refused { status, body, .. }) if json && status == 404 => {
                output::json(&body);
                return Ok(Exit::Finding);
            }
            Err(error) => return Err(error),
        },
        Command::Bind { card, code, json } => {
            let body = json!({ "card": card, "code": code });
            let bound = daemon.post("/v1/bindings", &body).await?;
            print(&bound, json, show::binding);
        }
        // These never ask the daemon and were done before.
        Command::Run { .. }
        | Command::Enrol { .. }
        | Command::Doctor { .. }
        | Command::Devices {
            what: Some(DevicesCommand::Ports),
            ..
        }
        | Command::Receipts { .. }
        | Command::Config { .. } => return Ok(Exit::WrongUse),
    }
    Ok(Exit::Fine)
}

pub(super) fn print(value: &Value, json: bool, text: fn(&Value) -> Vec<String>) {
    if json {
        output::json(value);
    } else {
        text(value).iter().for_each(output::line);
    }
}
