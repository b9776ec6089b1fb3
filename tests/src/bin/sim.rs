//! `./dev sim SEED [COUNT] [--trace]`: plays seeds of the simulation and prints what each did.
#![expect(clippy::print_stdout, reason = "this is the program's output")]

use std::process::ExitCode;

use clap::Parser;
use tillbind_tests::sim::{World, WorldConfig};

/// Plays seeds of the simulation.
#[derive(Debug, Parser)]
struct Arguments {
    /// The first seed.
    seed: u64,
    /// How many seeds.
    #[arg(default_value_t = 1)]
    count: u64,
    /// Print the whole story of each seed.
    #[arg(long)]
    trace: bool,
    /// Print one line in the end for all seeds without a fault, not one for each.
    #[arg(long)]
    quiet: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seeds = arguments.seed..arguments.seed.saturating_add(arguments.count);
    let mut broken = 0;
    for seed in seeds.clone() {
        let world = World::new(seed, WorldConfig::default());
        let world = if arguments.trace { world.told() } else { world };
        let played = world.play();
        for line in &played.story {
            println!("{line}");
        }
        if let Some(breach) = &played.breach {
            broken += 1;
            println!("seed {seed}: {breach}\n    to see it: ./dev sim {seed} --trace");
        } else if !arguments.quiet {
            println!("seed {seed}: {} {:?}", played.hash, played.report);
        }
    }
    println!("{} seeds, {broken} broken", arguments.count);
    if broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
