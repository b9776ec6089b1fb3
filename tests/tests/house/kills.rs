//! `kill -9` of agent and central under load: a short run. `./dev kills 200` is the long one.

use anyhow::{Result, ensure};
use tillbind_tests::central::Database;
use tillbind_tests::kills::{Plan, play};
use tillbind_tests::postgres::Postgres;
use tillbind_tests::scene;

/// Prints its seed, so that a failure can be looked for again with it; the machine's own timing is
/// no part of a seed.
#[expect(clippy::print_stderr, reason = "the seed belongs on a test's output")]
fn kills(name: &str, database: Database, agent_kills: u32, central_kills: u32) -> Result<()> {
    let plan = Plan {
        seed: fastrand::u64(..),
        agent_kills,
        central_kills,
        database,
    };
    scene::play(name, |scene| {
        eprintln!("{name}: seed {}", plan.seed);
        let report = play(scene, &plan)?;
        eprintln!("{name}: {report}");
        ensure!(report.verdict.is_clean(), "{report}");
        ensure!(
            report.verdict.acknowledged > 0,
            "nothing was acknowledged: {report}"
        );
        Ok(())
    })
}

#[test]
fn what_was_acknowledged_survives_kills_under_load_on_sqlite() -> Result<()> {
    kills("kills-sqlite", Database::Sqlite, 15, 10)
}

#[test]
fn what_was_acknowledged_survives_kills_under_load_on_postgresql() -> Result<()> {
    let postgres = Postgres::start_new()?;
    let database = Database::Postgres(postgres.database("kills")?);
    kills("kills-postgresql", database, 15, 10)
}
