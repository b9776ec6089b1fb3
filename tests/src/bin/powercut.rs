//! `./dev powercut CUTS [SEED]` and `./dev powercut look DIR`.
#![expect(clippy::print_stdout, reason = "this is the program's output")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use tillbind_tests::clock::Stopwatch;
use tillbind_tests::powercut::{Plan, look, run};

fn main() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (cuts, seed) = match words[..] {
        ["look", dir] => return look_at(Path::new(dir)),
        [cuts] => (cuts.parse(), Ok(1)),
        [cuts, seed] => (cuts.parse(), seed.parse()),
        _ => return Ok(wrong_use()),
    };
    let (Ok(cuts), Ok(seed)) = (cuts, seed) else {
        return Ok(wrong_use());
    };
    let plan = Plan {
        cuts,
        seed,
        failures: PathBuf::from("build/powercut"),
    };
    let watch = Stopwatch::start();
    let tally = run(&plan, |line| println!("{line}"))?;
    println!(
        "{tally}\nall of it took {:.0} s",
        watch.elapsed().as_secs_f64()
    );
    tally.verdict()?;
    Ok(ExitCode::SUCCESS)
}

fn wrong_use() -> ExitCode {
    println!("usage: powercut CUTS [SEED], or powercut look DIR");
    ExitCode::from(2)
}

fn look_at(dir: &Path) -> Result<ExitCode> {
    let faults = look(dir)?;
    if faults.is_empty() {
        println!("all that was promised is there");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}", faults.join("\n"));
    Ok(ExitCode::FAILURE)
}
