//! `./dev kills N`: kills agent and central N times under load and compares what headquarters has.

#![expect(clippy::print_stdout, reason = "this is the program's output")]

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use tillbind_tests::central::Database;
use tillbind_tests::kills::{Plan, play};
use tillbind_tests::postgres::Postgres;
use tillbind_tests::scene;

/// Kills agent and central under load, three agents for every two centrals.
#[derive(Debug, Parser)]
#[command(name = "kills")]
struct Arguments {
    /// Kills in all.
    #[arg(default_value_t = 200)]
    kills: u32,
    /// Decides who is killed when.
    #[arg(long)]
    seed: Option<u64>,
    /// Where central keeps its tables.
    #[arg(long, value_enum, default_value_t = Store::Postgres)]
    database: Store,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Store {
    Sqlite,
    Postgres,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let postgres = match arguments.database {
        Store::Sqlite => None,
        Store::Postgres => Some(Postgres::start_new()?),
    };
    let database = match &postgres {
        None => Database::Sqlite,
        Some(postgres) => Database::Postgres(postgres.database("kills")?),
    };
    let central_kills = arguments.kills * 2 / 5;
    let plan = Plan {
        seed,
        agent_kills: arguments.kills - central_kills,
        central_kills,
        database,
    };
    let mut clean = false;
    scene::play("kills", |scene| {
        let report = play(scene, &plan)?;
        println!("{report}");
        clean = report.verdict.is_clean();
        anyhow::ensure!(clean, "{} faults", report.verdict.faults_count);
        Ok(())
    })?;
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
