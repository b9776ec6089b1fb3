//! The command `tillbind`: what a technician types and sees.
//!
//! Exit codes: 0 fine, 1 a finding, 2 wrong use, 3 the daemon or the disk cannot be reached. All output
//! goes to standard output, complaints to standard error, logs of the daemon to standard error.

mod command;
mod daemon;
mod devices;
mod doctor;
mod outbox;
mod output;
mod receipts;
mod show;

use std::process::ExitCode;

use clap::Parser;

pub use command::Arguments;

use crate::run::Environment;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Fine.
    Fine,
    /// A finding.
    Finding,
    /// Wrong use.
    WrongUse,
    /// The daemon or the disk cannot be reached.
    Unreachable,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::Finding => 1,
            Exit::WrongUse => 2,
            Exit::Unreachable => 3,
        })
    }
}

/// Reads the command line. Ends the process on wrong use and on `--help`.
pub fn arguments() -> Arguments {
    Arguments::parse()
}

/// Does what the command line says.
///
/// # Errors
/// What no command expects, for `main` to print.
pub fn run(arguments: Arguments, environment: Environment) -> anyhow::Result<Exit> {
    command::run(arguments, environment)
}
