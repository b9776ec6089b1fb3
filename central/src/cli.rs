//! `tillbind-central`'s commands.
//!
//! Answers go to stdout and explanations to stderr, so that `$(tillbind-central token create …)` is
//! the token. With `--json` an answer is one JSON object, a list one object a line with the fields
//! of the export of the same kind. Exit: 0 fine, 1 failed, 2 wrong use, 3 the database or the data
//! directory cannot be reached.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tillbind_protocol::ids::{AccountRef, StoreId, TerminalId, WorkstationId};

use crate::api_keys::Role;
use crate::config::{Config, DEFAULT_FILE};
use crate::duration::Seconds;
use crate::export::{Format, Kind, Moment};
use crate::serve::Central;

use failure::Failure;
use output::Output;

mod accounts;
mod api_keys;
mod claims;
mod daemon;
mod disputes;

mod exports;
pub mod failure;
mod listing;
mod output;
mod quarantine;
mod terminals;
mod tokens;

/// Headquarters' service of Tillbind.
#[derive(Debug, Parser)]
#[command(name = "tillbind-central", version)]
pub struct Arguments {
    /// The configuration.
    #[arg(long, default_value = DEFAULT_FILE, global = true)]
    config: PathBuf,
    /// Answers as JSON: one object, or one a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the service until SIGTERM or SIGINT.
    Serve {
        /// How the log on stderr is written.
        #[arg(long, value_enum, default_value_t = LogFormat::Text)]
        log: LogFormat,
    },
    /// Tokens by which terminals enrol.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Online accounts.
    #[command(subcommand)]
    Account(AccountCommand),
    /// Codes that an account shows at the till.
    #[command(subcommand)]
    MemberCode(MemberCodeCommand),
    /// Writes everything of a kind to stdout, as of one moment.
    Export(ExportArguments),
    /// Codes that terminals print on receipts.
    #[command(subcommand)]
    Claim(ClaimCommand),
    /// Cards that two accounts claim.
    #[command(subcommand)]
    Dispute(DisputeCommand),
    /// Records that could not be used.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Tills with the agent.
    #[command(subcommand)]
    Terminal(TerminalCommand),
    /// Keys for the admin listener.
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
}

/// How a log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Prints a new token. It works once.
    Create {
        /// The store, as headquarters names it.
        #[arg(long)]
        store: StoreId,
        /// The workstation within the store.
        #[arg(long)]
        workstation: WorkstationId,
        /// How long it works: 30s, 2m, 24h, 7d.
        #[arg(long, default_value_t = Seconds(crate::operations::TOKEN_LIFE_S))]
        expires: Seconds,
        /// Where the terminal reaches this service: https://HOST:PORT [default: the first of
        /// `public_names`]
        #[arg(long)]
        url: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum AccountCommand {
    /// Makes an account with its member, or finds it, and prints the member.
    Create {
        /// The account, as in tmall:82731.
        #[arg(value_name = "PLATFORM:ID")]
        account: AccountRef,
        /// Name to greet with.
        #[arg(long)]
        name: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum MemberCodeCommand {
    /// Prints a new code for an account.
    Create {
        /// The account, as in tmall:82731.
        #[arg(value_name = "PLATFORM:ID")]
        account: AccountRef,
        /// How long it works: 30s, 2m, 1h.
        #[arg(long, default_value_t = Seconds(crate::operations::MEMBER_CODE_TTL_S))]
        ttl: Seconds,
        /// Draws it as a QR code on stderr too.
        #[arg(long)]
        qr: bool,
    },
}

#[derive(Debug, Args)]
struct ExportArguments {
    /// transactions, events, cards, members, bindings, terminals, gaps, quarantine, disputes, claims
    /// or audit.
    kind: Kind,
    /// ndjson or csv.
    #[arg(long, default_value = "ndjson")]
    format: Format,
    /// From this time on: 2026-11-22T12:00:00Z, or 2026-11-22.
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// Of this store alone.
    #[arg(long)]
    store: Option<StoreId>,
    /// Of this terminal alone.
    #[arg(long)]
    terminal: Option<TerminalId>,
}

#[derive(Debug, Subcommand)]
enum ClaimCommand {
    /// Redeems a code for the account that entered it: binds the sale's card, or credits the sale.
    Redeem {
        /// The code as it stands on the receipt.
        code: String,
        /// The account, as in tmall:82731.
        #[arg(long, value_name = "PLATFORM:ID")]
        account: AccountRef,
    },
    /// Lists codes that were entered and wait for their terminal or their sale.
    List {
        /// Every code that a terminal printed, and what became of it.
        #[arg(long)]
        all: bool,
    },
}

#[derive(Debug, Subcommand)]
enum DisputeCommand {
    /// Lists open disputes.
    List {
        /// Settled ones too.
        #[arg(long)]
        all: bool,
    },
    /// Gives the card to one of the two accounts.
    Settle {
        /// The dispute.
        id: String,
        /// The account that gets the card.
        #[arg(long, value_name = "PLATFORM:ID")]
        to: AccountRef,
    },
}

#[derive(Debug, Subcommand)]
enum QuarantineCommand {
    /// Lists records that wait.
    List {
        /// Replayed and dropped ones too.
        #[arg(long)]
        all: bool,
    },
    /// Shows a record with its text, what a person could be known by masked.
    Show {
        /// Its number.
        id: i64,
        /// In clear; the audit trail tells who looked.
        #[arg(long)]
        reveal: bool,
    },
    /// Takes a record in again, as it is or mended; or all that wait, after an upgrade.
    Replay(ReplayArguments),
    /// Takes a record off the list. Its event stays in `export events`.
    Drop {
        /// Its number.
        id: i64,
    },
}

#[derive(Debug, clap::Args)]
struct ReplayArguments {
    /// Its number.
    #[arg(required_unless_present = "all")]
    id: Option<i64>,
    /// A file with the record's mended text, or - for stdin.
    #[arg(long, value_name = "FILE", requires = "id")]
    mended: Option<PathBuf>,
    /// Every record that waits, as it is.
    #[arg(long, conflicts_with = "id")]
    all: bool,
    /// With --all: of this kind only.
    #[arg(long, requires = "all")]
    kind: Option<String>,
    /// With --all: only those whose reason begins so.
    #[arg(long, value_name = "TEXT", requires = "all")]
    reason: Option<String>,
    /// With --all: of this terminal only.
    #[arg(long, requires = "all")]
    terminal: Option<TerminalId>,
}

#[derive(Debug, Subcommand)]
enum TerminalCommand {
    /// Lists terminals.
    List,
    /// Bars a terminal from its next request on.
    Revoke {
        /// The terminal.
        id: TerminalId,
    },
}

#[derive(Debug, Subcommand)]
enum ApiKeyCommand {
    /// Prints a new key. It is shown once.
    Create {
        /// reader (exports), operator (also accounts, codes, disputes, quarantine) or admin (also
        /// terminals, keys, the audit trail).
        #[arg(long)]
        role: Role,
    },
    /// Lists keys.
    List,
    /// Bars a key from its next request on.
    Revoke {
        /// Its name, as `api-key list` has it.
        id: String,
    },
}

impl Arguments {
    /// Returns how the log is to be written.
    pub fn log_format(&self) -> LogFormat {
        if let Command::Serve { log } = &self.command {
            return *log;
        }
        LogFormat::Text
    }

    /// Returns which lines go to the log unless the environment says otherwise.
    pub fn log_filter(&self) -> &'static str {
        if matches!(self.command, Command::Serve { .. }) {
            return "info";
        }
        "warn"
    }
}

/// Runs a command on behalf of `user`, whose name the audit trail keeps.
pub async fn run(arguments: Arguments, user: &str) -> ExitCode {
    let output = Output {
        json: arguments.json,
    };
    let failure = match command(arguments, output, user).await {
        Ok(()) => return ExitCode::SUCCESS,
        Err(failure) if failure.is_closed_output() => return ExitCode::SUCCESS,
        Err(failure) => failure,
    };
    let code = failure.exit_code();
    failure::tell(&failure);
    ExitCode::from(code)
}

async fn command(arguments: Arguments, output: Output, user: &str) -> Result<(), Failure> {
    let config = Config::read(&arguments.config)?;
    if !matches!(arguments.command, Command::Serve { .. }) && !config.data_dir.is_dir() {
        // Only the service makes an installation: a command with a wrong path would answer from an
        // empty one.
        return Err(Failure::NoInstallation(config.data_dir));
    }
    let central = Central::open(config).await?;
    let desk = Desk {
        central: &central,
        output,
        actor: format!("cli:{user}"),
        now_ms: crate::clock::now_ms(),
    };
    match arguments.command {
        Command::Serve { .. } => daemon::serve(central).await,
        Command::Token(command) => tokens::run(&desk, command).await,
        Command::Account(command) => accounts::run(&desk, command).await,
        Command::MemberCode(command) => accounts::run_code(&desk, command).await,
        Command::Export(export) => exports::run(&desk, export).await,
        Command::Claim(command) => claims::run(&desk, command).await,
        Command::Dispute(command) => disputes::run(&desk, command).await,
        Command::Quarantine(command) => quarantine::run(&desk, command).await,
        Command::Terminal(command) => terminals::run(&desk, command).await,
        Command::ApiKey(command) => api_keys::run(&desk, command).await,
    }
}

/// What a command works at.
#[derive(Debug)]
struct Desk<'c> {
    central: &'c Central,
    output: Output,
    /// Who the audit trail names.
    actor: String,
    now_ms: i64,
}
