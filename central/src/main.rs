//! `tillbind-central`, headquarters' service and its command.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tillbind_central::cli::{self, Arguments, LogFormat};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(arguments.log_filter()));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match arguments.log_format() {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    cli::run(arguments, &user()).await
}

/// Who the audit trail names for a command. Whoever reaches the database could write anything there:
/// this tells colleagues apart, it proves nothing.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment is read here, once, and passed on"
)]
fn user() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    named.map_or_else(
        || "unknown".to_owned(),
        |user| user.chars().filter(|c| !c.is_control()).take(64).collect(),
    )
}
