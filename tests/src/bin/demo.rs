//! `./dev demo`: a store's day, played by real processes with simulated devices.
//!
//! Central runs on SQLite; two terminals of two stores have a pseudo-terminal for a scanner and a TCP
//! socket for a printer. The line is cut in the middle of the day and one agent is killed; at the end
//! what was played is compared with what headquarters exports.

#![expect(clippy::print_stdout, reason = "a demonstration is its output")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use tillbind_tests::day::{Day, Narrator, Report};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Plays a store's day with two simulated tills and compares what headquarters has with it.
#[derive(Debug, Parser)]
#[command(name = "demo")]
struct Arguments {
    /// Leaves everything running afterwards, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Folder for everything that runs; emptied first.
    #[arg(long, default_value = "build/demo")]
    folder: PathBuf,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut narrator = Narrator::new();
    let (day, report) = played(&arguments.folder, &mut narrator).with_context(|| {
        format!(
            "the demo failed; the logs of all that ran are under {}",
            arguments.folder.display()
        )
    })?;
    narrator.end();
    print!("{report}");
    if arguments.keep {
        println!("\nEverything goes on running. Ctrl-C ends it.");
        wait_for_interrupt()?;
        println!("ending");
    }
    drop(day);
    Ok(code(&report))
}

fn played(folder: &Path, narrator: &mut Narrator) -> Result<(Day, Report)> {
    let mut day = Day::begin(folder, narrator)?;
    day.play(narrator)?;
    let report = day.report()?;
    Ok((day, report))
}

fn code(report: &Report) -> ExitCode {
    if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn wait_for_interrupt() -> Result<()> {
    Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
            let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            Ok(())
        })
}
