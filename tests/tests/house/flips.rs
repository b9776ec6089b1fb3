//! A bit flipped at a random place of a terminal's store, by the doors of the library.

use anyhow::{Result, ensure};
use tillbind_tests::flips;
use tillbind_tests::scene::memory;

/// As many as the promise says.
const FLIPS: u32 = 500;

#[test]
fn a_flipped_bit_is_never_silent_and_never_fatal() -> Result<()> {
    let dir = memory("flips")?;
    let seed = fastrand::u64(..);
    eprintln!("flips: seed {seed}");
    let report = flips::play(dir.path(), seed, FLIPS)?;
    eprintln!("{report}");
    ensure!(report.faults_count == 0, "{report}");
    Ok(())
}
