//! `./dev bench`: measures, prints, and writes `tests/bench/RESULTS.md`.

#![expect(clippy::print_stdout, reason = "figures are printed")]

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use tillbind_tests::bench::{Figures, hold, swallow};
use tillbind_tests::environment;

/// Measures the product against its peers and limits.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    /// What to measure, by name or by group, as in `outbox`; everything, written down, unless something
    /// is named.
    names: Vec<String>,

    /// Plays the demo too and writes down how long it took.
    #[arg(long)]
    demo: bool,

    /// Opens the outbox in this folder, tells what it takes, and drains it when told to: the process
    /// that `waiting` looks at.
    #[arg(long, hide = true)]
    hold: Option<PathBuf>,

    /// Reads a gigabyte of this format and tells what it takes: the process that `decoders` looks at.
    #[arg(long, hide = true)]
    swallow: Option<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(folder) = &arguments.hold {
        return hold(folder, &mut std::io::stdin().lock(), &mut std::io::stdout());
    }
    if let Some(format) = &arguments.swallow {
        return swallow(format, &mut std::io::stdout());
    }
    let project = environment::project()?;
    let demo: Option<PathBuf> = arguments.demo.then(|| project.join("build/demo"));
    let results = Figures::measure(&arguments.names, demo.as_deref())?.markdown()?;
    if !arguments.names.is_empty() {
        println!("\n{results}");
        return Ok(());
    }
    let folder = project.join("tests/bench");
    let file = folder.join("RESULTS.md");
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&file, &results))
        .with_context(|| format!("cannot write {}", file.display()))?;
    println!("\n{results}\nwritten to {}", file.display());
    Ok(())
}
