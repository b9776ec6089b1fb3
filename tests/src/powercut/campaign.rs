//! Many cuts: records workloads, cuts them at seeded places, and counts what came of it.
//!
//! A round boots two machines. The first plays the control, the daemon and the outbox, one disk after
//! the other, and has its plug pulled in the middle of the last. The second comes up on one cut disk
//! after another. Some of its recoveries are cut in their turn.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use super::choice::Stretches;
use super::disk_log::Coin;
use super::kit::Kit;
use super::ledger::Ledger;
use super::machine::Machine;
use super::tape::Recording;
use super::trial::{Bench, Outcome, Trial};
use super::words::{Order, Phase, Word, Workload};
use crate::clock::Stopwatch;

/// Cuts that share their recordings.
const CUTS_A_ROUND: u32 = 125;
/// One cut of so many is in the daemon, which takes longer to come up than the outbox.
const AGENT_EVERY: usize = 5;
/// One recovery of so many is cut in its turn.
const NESTED_EVERY: u32 = 4;
/// A recovery of a recovery of a recovery is as deep as it goes.
const DEPTH_MAX: u32 = 3;
/// Cuts of sled with its bare `flush()`, and of the outbox on a drive that lies, a round.
const CONTROLS_A_ROUND: u32 = 8;
const LIES_A_ROUND: u32 = 4;
const OUTBOX_SCENES: u32 = 14;
const AGENT_SCENES: u32 = 3;
const CONTROL_SCENES: u32 = 6;

/// What to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many cuts, controls not counted.
    pub cuts: u32,
    /// Seed of everything that is chosen.
    pub seed: u64,
    /// Where trials that failed are kept.
    pub failures: PathBuf,
}

/// Trials of something that has to fail, and how many did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Caught {
    /// How many there were.
    pub trials: u32,
    /// In how many a loss or a refused start was seen.
    pub caught: u32,
}

/// What came of a campaign.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Cuts by workload and phase.
    pub cuts: BTreeMap<(Workload, Phase), u32>,
    /// Acknowledged events that had to be there, over all cuts.
    pub promised: usize,
    /// Events that were there.
    pub found: usize,
    /// Cuts after which an acknowledged event was lost or changed.
    pub lost: u32,
    /// Cuts after which a start or an append was refused.
    pub refused: u32,
    /// Cuts after which damages were reported though nothing was missing.
    pub alarms: u32,
    /// Entries of the drives that were recorded.
    pub entries: usize,
    /// sled with its bare `flush()`.
    pub control: Caught,
    /// The outbox on a drive that makes nothing durable.
    pub lies: Caught,
    /// Machines booted.
    pub boots: u32,
}

impl Tally {
    /// Returns how many cuts there were, controls not counted.
    pub fn all(&self) -> u32 {
        self.cuts.values().sum()
    }

    /// Returns how many cuts fell into a phase.
    pub fn in_phase(&self, phase: Phase) -> u32 {
        let cuts = self.cuts.iter().filter(|((_, p), _)| *p == phase);
        cuts.map(|(_, count)| count).sum()
    }

    /// Fails unless every promise was kept and the rig saw what it has to see.
    ///
    /// # Errors
    /// Says which of it was not so.
    pub fn verdict(&self) -> Result<()> {
        ensure!(
            self.lost == 0 && self.refused == 0,
            "{} of {} cuts lost acknowledged events and {} refused to go on",
            self.lost,
            self.all(),
            self.refused
        );
        ensure!(self.promised > 0, "nothing was ever promised");
        for (what, seen) in [
            ("sled's bare flush()", self.control),
            ("a drive that lies", self.lies),
        ] {
            ensure!(
                seen.caught * 10 >= seen.trials * 9,
                "the rig is wrong: it caught {what} in {} of {} trials alone",
                seen.caught,
                seen.trials
            );
        }
        Ok(())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "cuts                     outbox   agent")?;
        for phase in Phase::ALL {
            let count = |workload| self.cuts.get(&(workload, phase)).copied().unwrap_or(0);
            let (outbox, agent) = (count(Workload::Outbox), count(Workload::Agent));
            writeln!(f, "  {:<20} {outbox:>8} {agent:>7}", format!("{phase:?}"))?;
        }
        writeln!(f, "  all {:>32}", self.all())?;
        writeln!(
            f,
            "{} acknowledged events had to be there, {} events were; {} entries of the drives were recorded, {} machines booted",
            self.promised, self.found, self.entries, self.boots
        )?;
        writeln!(
            f,
            "cuts that lost acknowledged events: {}; starts refused: {}; damages reported though nothing was missing: {}",
            self.lost, self.refused, self.alarms
        )?;
        write!(
            f,
            "caught: sled's bare flush() in {} of {} cuts, a drive that ignores flushes in {} of {}",
            self.control.caught, self.control.trials, self.lies.caught, self.lies.trials
        )
    }
}

/// Plays a plan; `tell` hears how it goes on.
///
/// # Errors
/// When the rig itself fails. What the cuts did is in the tally.
pub fn run(plan: &Plan, mut tell: impl FnMut(&str)) -> Result<Tally> {
    let dir = tempfile::Builder::new().prefix("powercut-").tempdir()?;
    let kit = Kit::gather(dir.path())?;
    tell(&format!(
        "seed {}, {} cuts; processor: {:?}; images are verified by booting a machine on them",
        plan.seed, plan.cuts, kit.processor
    ));
    let bench_dir = dir.path().join("bench");
    let mut campaign = Campaign {
        plan,
        rng: fastrand::Rng::with_seed(plan.seed),
        tally: Tally::default(),
        bench: Bench::new(&kit, &bench_dir),
    };
    while campaign.tally.all() < plan.cuts {
        let watch = Stopwatch::start();
        let round = record(&kit, &dir.path().join("work"), &mut campaign.rng)?;
        let recorded = watch.elapsed();
        campaign.tally.boots += 1;
        campaign.round(&round, &mut tell)?;
        tell(&format!(
            "{} cuts so far, {} lost, {} refused; recording took {:.1} s, cutting and coming up {:.1} s",
            campaign.tally.all(),
            campaign.tally.lost,
            campaign.tally.refused,
            recorded.as_secs_f64(),
            (watch.elapsed() - recorded).as_secs_f64()
        ));
    }
    campaign.tally.boots += campaign.bench.boots;
    Ok(campaign.tally)
}

/// Comes up once more on the disk of a trial that was kept; returns what is wrong.
///
/// # Errors
/// When the rig itself fails.
pub fn look(trial: &Path) -> Result<Vec<String>> {
    let dir = tempfile::Builder::new().prefix("powercut-").tempdir()?;
    let kit = Kit::gather(dir.path())?;
    let bench_dir = dir.path().join("bench");
    Ok(Bench::new(&kit, &bench_dir)
        .examine(&Trial::read(trial)?)?
        .faults)
}

/// The recordings of a round.
struct Round {
    control: Recording,
    agent: Recording,
    outbox: Recording,
}

fn record(kit: &Kit, dir: &Path, rng: &mut fastrand::Rng) -> Result<Round> {
    let mut machine = Machine::boot(kit, dir, kit.disk.clone())?;
    let mut whole = |machine: &mut Machine, workload, scenes| {
        let seed = rng.u64(..);
        machine.order(&Order::Work {
            workload,
            seed,
            scenes,
        })?;
        while !worked(machine.next()?)? {}
        Ok::<_, anyhow::Error>(machine.change_disk(kit.disk.clone()))
    };
    let control = whole(&mut machine, Workload::Control, CONTROL_SCENES)?;
    let agent = whole(&mut machine, Workload::Agent, AGENT_SCENES)?;
    machine.order(&Order::Work {
        workload: Workload::Outbox,
        seed: rng.u64(..),
        scenes: OUTBOX_SCENES,
    })?;
    // The plug goes at any moment of the second half.
    let mut left = rng.usize(700..1400);
    while left > 0 {
        let word = machine.next()?;
        if matches!(word, Word::Kept { .. }) {
            left -= 1;
        }
        if worked(word)? {
            break;
        }
    }
    Ok(Round {
        control,
        agent,
        outbox: machine.pull()?,
    })
}

/// Returns whether the work is done; a refusal without any cut is none of the drive's.
fn worked(word: Word) -> Result<bool> {
    match word {
        Word::Refused(what) => bail!("the workload failed without any cut: {what}"),
        Word::Done { released: true } => Ok(true),
        Word::Done { released: false } => bail!("the machine cannot let go of the disk"),
        Word::Ready
        | Word::Phase(_)
        | Word::SegmentChanged
        | Word::Kept { .. }
        | Word::AtCentral { .. }
        | Word::Forking { .. }
        | Word::Forked { .. }
        | Word::Opened { .. }
        | Word::Held { .. }
        | Word::Gap { .. }
        | Word::Listed
        | Word::Disorder(_) => Ok(false),
    }
}

struct Campaign<'a> {
    plan: &'a Plan,
    rng: fastrand::Rng,
    tally: Tally,
    bench: Bench<'a>,
}

impl Campaign<'_> {
    fn round(&mut self, round: &Round, tell: &mut impl FnMut(&str)) -> Result<()> {
        let works = [
            (Workload::Outbox, &round.outbox),
            (Workload::Agent, &round.agent),
        ];
        for (_, recording) in works {
            self.tally.entries += recording.entries.len();
        }
        let stretches = works.map(|(_, recording)| Stretches::of_work(recording));
        let nothing = Ledger::default();
        // What the pull left: the drive had power, so it kept what it had.
        let pulled = Coin {
            seed: self.rng.u64(..),
            keep_per_mille: 1000,
            tears: false,
            lies: false,
        };
        let at = round.outbox.entries.len();
        let mut words = round.outbox.words.iter().rev();
        let phase = words.find_map(|heard| {
            if let Word::Phase(phase) = heard.word {
                Some(phase)
            } else {
                None
            }
        });
        let kind = (Workload::Outbox, phase.unwrap_or(Phase::StartUp));
        let trial = Trial::cut(&round.outbox, &nothing, kind, at, pulled);
        self.examine(&trial, Some(&round.outbox), 0, tell)?;
        let goal = (self.tally.all() + CUTS_A_ROUND).min(self.plan.cuts);
        let mut turns = [0; 2];
        while self.tally.all() < goal {
            let which = usize::from(turns[1] * (AGENT_EVERY - 1) < turns[0]);
            let (workload, recording) = works[which];
            let phases = stretches[which].phases();
            let phase = phases[turns[which] % phases.len()];
            turns[which] += 1;
            let Some(at) = stretches[which].draw(phase, &mut self.rng) else {
                continue;
            };
            let coin = Coin::draw(&mut self.rng);
            let trial = Trial::cut(recording, &nothing, (workload, phase), at, coin);
            self.examine(&trial, Some(recording), 0, tell)?;
        }
        self.controls(round)
    }

    fn examine(
        &mut self,
        trial: &Trial,
        recording: Option<&Recording>,
        depth: u32,
        tell: &mut impl FnMut(&str),
    ) -> Result<()> {
        let outcome = self.bench.examine(trial)?;
        self.count(trial, &outcome);
        if !outcome.faults.is_empty() {
            let dir = self.plan.failures.join(format!(
                "seed-{}-cut-{}",
                self.plan.seed,
                self.tally.all()
            ));
            trial.keep(&dir, &outcome.faults, recording)?;
            tell(&format!(
                "FAILED: {}\n  {}\n  kept in {}; `./dev powercut look {}` comes up on it again",
                trial.story,
                outcome.faults.join("\n  "),
                dir.display(),
                dir.display()
            ));
        }
        for alarm in &outcome.alarms {
            tell(&format!(
                "damage reported, nothing missing: {}\n  {alarm}",
                trial.story
            ));
        }
        if depth < DEPTH_MAX
            && self.tally.all() < self.plan.cuts
            && self.rng.u32(0..NESTED_EVERY) == 0
        {
            let stretches = Stretches::of_check(&outcome.recording);
            if let Some(at) = stretches.draw(Phase::Recovery, &mut self.rng) {
                // Ext4 promises itself whole blocks while it replays its own journal: with a torn one it
                // does not mount, whoever stores what on it.
                let coin = Coin {
                    tears: false,
                    ..Coin::draw(&mut self.rng)
                };
                let kind = (trial.workload, Phase::Recovery);
                let nested = Trial::cut(&outcome.recording, &trial.ledger, kind, at, coin);
                self.examine(&nested, Some(&outcome.recording), depth + 1, tell)?;
            }
        }
        Ok(())
    }

    fn count(&mut self, trial: &Trial, outcome: &Outcome) {
        let tally = &mut self.tally;
        *tally.cuts.entry((trial.workload, trial.phase)).or_default() += 1;
        tally.promised += trial.ledger.promised();
        tally.found += outcome.events;
        let refused = outcome.faults.iter().any(|f| f.starts_with("refused"));
        let lost = outcome.faults.iter().any(|f| !f.starts_with("refused"));
        tally.refused += u32::from(refused);
        tally.lost += u32::from(lost);
        tally.alarms += u32::from(!outcome.alarms.is_empty());
    }

    /// Shows that the rig sees a loss: of a store that does not sync, and on a drive that does not obey.
    fn controls(&mut self, round: &Round) -> Result<()> {
        for (workload, recording, trials, lies) in [
            (Workload::Control, &round.control, CONTROLS_A_ROUND, false),
            (Workload::Outbox, &round.outbox, LIES_A_ROUND, true),
        ] {
            for _ in 0..trials {
                // In the second half, where much has been promised, and before the disk is let go.
                let mut promises = recording.words.iter().rev();
                let last = promises.find(|heard| matches!(heard.word, Word::Kept { .. }));
                let end = last.map_or(0, |heard| heard.at);
                let at = self.rng.usize(end / 2..=end);
                // A fair coin: one that keeps everything would make an honest drive of any.
                let coin = Coin {
                    seed: self.rng.u64(..),
                    keep_per_mille: 500,
                    tears: false,
                    lies,
                };
                let kind = (workload, Phase::Append);
                let trial = Trial::cut(recording, &Ledger::default(), kind, at, coin);
                let outcome = self.bench.examine(&trial)?;
                let seen = if lies {
                    &mut self.tally.lies
                } else {
                    &mut self.tally.control
                };
                seen.trials += 1;
                seen.caught += u32::from(!outcome.faults.is_empty());
            }
        }
        Ok(())
    }
}
