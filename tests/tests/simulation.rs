//! A fixed number of seeds of the simulation; `./dev sim SEED` plays any other.

use tillbind_tests::sim::{Report, World, WorldConfig};

const SEEDS: u64 = 1_000;

#[test]
fn every_acknowledged_event_arrives_once_whatever_the_network_and_the_disks_do() {
    let mut total = Report::default();
    for seed in 0..SEEDS {
        // Captured unless the test fails: then the last line names the seed.
        println!("seed {seed}");
        let report = World::new(seed, WorldConfig::default()).run();
        total.recorded += report.recorded;
        total.forks += report.forks;
        total.gaps += report.gaps;
        total.restores += report.restores;
    }
    // A simulation in which nothing goes wrong proves nothing.
    assert!(
        total.recorded > 100_000 && total.restores > 1_000,
        "{total:?}"
    );
    assert!(total.forks > 500 && total.gaps > 100, "{total:?}");
}

#[test]
fn a_seed_plays_the_same_run_every_time() {
    let play = || World::new(7, WorldConfig::default()).run();
    assert_eq!(play(), play());
}
