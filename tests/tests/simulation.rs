//! A fixed number of seeds of the simulation; `./dev sim SEED` plays any other.

use tillbind_tests::sim::{Fault, Promise, Report, World, WorldConfig};

/// Seeds played here: about a minute of a slow machine in a debug build.
const SEEDS: u64 = 300;
/// Seeds within which a known bug must be found.
const SEEDS_TO_FIND: u64 = 150;

#[test]
fn every_promise_holds_whatever_networks_disks_clocks_and_processes_do() {
    let mut total = Report::default();
    for seed in 0..SEEDS {
        let played = World::new(seed, WorldConfig::default()).play();
        if let Some(breach) = played.breach {
            panic!("seed {seed}: {breach}\n    to see it: ./dev sim {seed} --trace");
        }
        total.add(&played.report);
    }
    println!("seeds 0..{SEEDS}: {total:?}");
    // A simulation in which nothing goes wrong proves nothing.
    for (what, count, least) in [
        ("events answered", total.answered, 200 * SEEDS),
        ("rulings", total.rulings, 20 * SEEDS),
        ("rulings before their turn", total.express, SEEDS),
        ("events given up", total.given_up, SEEDS),
        ("forks", total.forks.into(), SEEDS),
        ("gaps", total.gaps, SEEDS),
        ("crashes of terminals", total.crashes.into(), 20 * SEEDS),
        (
            "deaths of central's processes",
            total.deaths.into(),
            10 * SEEDS,
        ),
        ("restored backups", total.restores.into(), 5 * SEEDS),
        ("requests that overlap", total.overlaps.into(), 5 * SEEDS),
        ("refused versions", total.refused_versions, SEEDS / 4),
    ] {
        assert!(count >= least, "{what}: {count} in {SEEDS} seeds");
    }
}

#[test]
fn a_seed_takes_the_same_steps_every_time_and_another_takes_others() {
    let play = |seed| World::new(seed, WorldConfig::default()).told().play();
    let first = play(7);
    assert_eq!(first, play(7));
    assert!(first.story.len() > 100, "{:?}", first.story.len());
    assert_ne!(first.hash, play(8).hash);
}

#[test]
fn every_known_bug_is_found() {
    for fault in Fault::ALL {
        // It takes two restored disks of one terminal: one seed in a thousand, and fewer terminals.
        let (first, terminals) = if fault == Fault::ForkUntold {
            (2_000, 3)
        } else {
            (0, WorldConfig::default().terminals)
        };
        let find = |seed| {
            let config = WorldConfig {
                terminals,
                ..WorldConfig::default()
            };
            let world = World::with_fault(seed, config, Some(fault));
            Some((seed, world.play().breach?))
        };
        let Some((seed, breach)) = (first..first + SEEDS_TO_FIND).find_map(find) else {
            panic!("{fault:?} was not found in {SEEDS_TO_FIND} seeds");
        };
        println!("{fault:?}: seed {seed}, {breach}");
        let expected: &[Promise] = match fault {
            Fault::RulesAgain => &[Promise::RuledOnce],
            Fault::VerdictForgotten => &[Promise::VerdictArrives],
            Fault::BatteryUnnoted | Fault::TrustsWallClock => &[Promise::TimeIsHonest],
            Fault::GapUnrecorded => &[Promise::GapsExplained],
            Fault::PollWithoutGap => &[Promise::GapsExplained, Promise::ComesToRest],
            Fault::AnswersBeforeSync | Fault::ForkLeavesBehind => &[Promise::NothingLost],
            Fault::ForkUntold => &[Promise::NothingTwice],
            Fault::CursorBeforePage => &[Promise::ComesToRest, Promise::ReplicaIsTrue],
            // Each breaks whatever comes first.
            Fault::ForgetsTooMuch
            | Fault::AnswersBeforeCommit
            | Fault::DecidesUnlocked
            | Fault::IgnoresFork => continue,
        };
        assert!(expected.contains(&breach.promise), "{fault:?}: {breach}");
    }
}
