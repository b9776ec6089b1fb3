//! A short run of the power cuts; `./dev powercut CUTS SEED` plays any other.

use std::path::Path;

use anyhow::{Result, ensure};
use tillbind_tests::environment;
use tillbind_tests::powercut::{Phase, Plan, run};

const CUTS: u32 = 24;
const SEED: u64 = 3;

#[test]
fn a_power_cut_takes_no_acknowledged_event_and_every_start_succeeds() -> Result<()> {
    let plan = Plan {
        cuts: CUTS,
        seed: SEED,
        failures: environment::project()?.join(Path::new("build/powercut")),
    };
    // Captured unless the test fails: then the lines name seed, cut and what was kept of it.
    let tally = run(&plan, |line| println!("{line}"))?;
    println!("{tally}");
    tally.verdict()?;
    for phase in [
        Phase::StartUp,
        Phase::Append,
        Phase::Drain,
        Phase::SegmentChange,
        Phase::Checkpoint,
        Phase::Fork,
    ] {
        ensure!(tally.in_phase(phase) > 0, "no cut hit {phase:?}");
    }
    Ok(())
}
