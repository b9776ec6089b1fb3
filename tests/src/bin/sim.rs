//! `./dev sim SEED [COUNT]`: plays seeds of the simulation and prints what each did.
#![expect(clippy::print_stdout, reason = "this is the program's output")]

use std::process::ExitCode;

use tillbind_tests::sim::{World, WorldConfig};

fn main() -> ExitCode {
    let numbers: Result<Vec<u64>, _> = std::env::args().skip(1).map(|a| a.parse()).collect();
    let (first, count) = match numbers.as_deref() {
        Ok([first]) => (*first, 1),
        Ok([first, count]) => (*first, *count),
        Ok(_) | Err(_) => {
            println!("usage: sim SEED [COUNT], two numbers");
            return ExitCode::from(2);
        }
    };
    for seed in first..first.saturating_add(count) {
        println!(
            "seed {seed}: {:?}",
            World::new(seed, WorldConfig::default()).run()
        );
    }
    ExitCode::SUCCESS
}
