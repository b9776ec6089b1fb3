//! `tillbind-central`, headquarters' service and its command.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tillbind_central::config::{Config, DEFAULT_FILE};
use tillbind_central::serve::{self, Central};
use tokio::signal::unix::{SignalKind, signal};

/// Headquarters' service of Tillbind.
#[derive(Debug, Parser)]
#[command(name = "tillbind-central", version)]
struct Arguments {
    /// The configuration.
    #[arg(long, default_value = DEFAULT_FILE, global = true)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the service until SIGTERM or SIGINT.
    Serve,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let level = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(level)
        .with_writer(std::io::stderr)
        .init();
    let config = Config::read(&arguments.config)?;
    match arguments.command {
        Command::Serve => {
            let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
            let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
            let central = Central::open(config).await?;
            let stop = async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            serve::run(central, stop).await?;
        }
    }
    Ok(())
}
