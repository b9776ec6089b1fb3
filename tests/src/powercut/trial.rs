//! One power cut: what was promised, what the drive kept, and what a machine makes of it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::disk_log::{self, Coin};
use super::image::Image;
use super::kit::Kit;
use super::ledger::{Found, Ledger};
use super::machine::Machine;
use super::tape::Recording;
use super::words::{Order, Phase, Word, Workload};

/// A disk as a power cut left it.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    /// What ran on it.
    pub workload: Workload,
    /// What was going on.
    pub phase: Phase,
    /// Seed of how the machine goes on.
    pub seed: u64,
    /// What had been promised.
    pub ledger: Ledger,
    /// The disk.
    pub disk: Image,
    /// Where the cut was and how the coin fell, for people.
    pub story: String,
}

/// What a kept trial is read back from, beside its disk.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    workload: Workload,
    phase: Phase,
    seed: u64,
    ledger: Ledger,
    story: String,
}

/// What came of a trial.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What is wrong; nothing if the promise was kept.
    pub faults: Vec<String>,
    /// Damages reported though nothing acknowledged is missing.
    pub alarms: Vec<String>,
    /// Events that were there at the first look.
    pub events: usize,
    /// What the drive did while the machine came up.
    pub recording: Recording,
}

impl Trial {
    /// Cuts a recording after `at` entries. `before` is what was promised before it began.
    pub(super) fn cut(
        recording: &Recording,
        before: &Ledger,
        (workload, phase): (Workload, Phase),
        at: usize,
        coin: Coin,
    ) -> Self {
        let mut ledger = before.clone();
        for heard in recording.words.iter().take_while(|heard| heard.at <= at) {
            ledger.hear(&heard.word);
        }
        let entries = &recording.entries;
        let story = format!(
            "cut in {phase:?} of {workload:?} after {at} of {} entries, the first {} durable; {coin:?}",
            entries.len(),
            disk_log::durable(entries, at),
        );
        Self {
            workload,
            phase,
            seed: coin.seed,
            ledger,
            disk: disk_log::cut(&recording.start, entries, at, coin),
            story,
        }
    }

    /// Keeps disk and promises in `dir`, and what led to them for people.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn keep(
        &self,
        dir: &Path,
        faults: &[String],
        recording: Option<&Recording>,
    ) -> Result<()> {
        fs::create_dir_all(dir)?;
        self.disk.write(&dir.join("disk.img"))?;
        let kept = Kept {
            workload: self.workload,
            phase: self.phase,
            seed: self.seed,
            ledger: self.ledger.clone(),
            story: self.story.clone(),
        };
        fs::write(dir.join("trial.json"), serde_json::to_vec(&kept)?)?;
        fs::write(
            dir.join("faults.txt"),
            format!("{}\n{}\n", self.story, faults.join("\n")),
        )?;
        let Some(recording) = recording else {
            return Ok(());
        };
        let mut log = String::new();
        let mut words = recording.words.iter().peekable();
        for (line, count) in disk_log::shown(&recording.entries).zip(0..) {
            while let Some(heard) = words.next_if(|heard| heard.at <= count) {
                log.push_str(&format!("    heard {:?}\n", heard.word));
            }
            log.push_str(&line);
            log.push('\n');
        }
        Ok(fs::write(dir.join("log.txt"), log)?)
    }

    /// Reads back what [`Self::keep`] kept.
    ///
    /// # Errors
    /// When it is not there.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let text = fs::read(dir.join("trial.json"))
            .with_context(|| format!("{} holds no trial.json", dir.display()))?;
        let kept: Kept = serde_json::from_slice(&text)?;
        Ok(Self {
            workload: kept.workload,
            phase: kept.phase,
            seed: kept.seed,
            ledger: kept.ledger,
            disk: Image::read(&dir.join("disk.img"))?,
            story: kept.story,
        })
    }
}

/// A machine that comes up on one disk after another; booted anew when it cannot let go of one.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    kit: &'a Kit,
    dir: &'a Path,
    machine: Option<Machine>,
    /// How often it was booted.
    pub boots: u32,
}

impl<'a> Bench<'a> {
    /// Makes a bench whose machine keeps its sockets in `dir`.
    pub(super) fn new(kit: &'a Kit, dir: &'a Path) -> Self {
        Self {
            kit,
            dir,
            machine: None,
            boots: 0,
        }
    }

    /// Has a machine come up on the trial's disk, and compares with what was promised.
    ///
    /// # Errors
    /// When the rig fails, not the trial.
    pub(super) fn examine(&mut self, trial: &Trial) -> Result<Outcome> {
        let mut machine = match self.machine.take() {
            Some(machine) => {
                machine.change_disk(trial.disk.clone());
                machine
            }
            None => {
                self.boots += 1;
                Machine::boot(self.kit, self.dir, trial.disk.clone())?
            }
        };
        machine.order(&Order::Check {
            workload: trial.workload,
            seed: trial.seed,
        })?;
        let mut ledger = trial.ledger.clone();
        let mut found = Found::default();
        let (mut faults, mut alarms) = (Vec::new(), Vec::new());
        let mut listed = Vec::new();
        loop {
            let word = machine.next()?;
            ledger.hear(&word);
            found.hear(&word);
            match word {
                Word::Listed => {
                    listed.push(found.events());
                    faults.extend(ledger.faults(&found));
                    alarms.append(&mut found.damages);
                }
                Word::Gap {
                    from,
                    until,
                    reason,
                } => alarms.push(format!("gap from {from} to {until}: {reason}")),
                Word::Disorder(what) => faults.push(format!("disorder: {what}")),
                Word::Refused(what) => faults.push(format!("refused: {what}")),
                Word::Done { released } => {
                    ensure!(machine.has_read(), "the machine did not look at its disk");
                    if listed.is_empty() && faults.is_empty() {
                        faults.push("refused: the machine told nothing".to_owned());
                    }
                    let recording = if released {
                        let recording = machine.recording();
                        self.machine = Some(machine);
                        recording
                    } else {
                        machine.pull()?
                    };
                    return Ok(Outcome {
                        faults,
                        alarms,
                        events: listed.first().copied().unwrap_or(0),
                        recording,
                    });
                }
                Word::Ready
                | Word::Phase(_)
                | Word::SegmentChanged
                | Word::Kept { .. }
                | Word::AtCentral { .. }
                | Word::Forking { .. }
                | Word::Forked { .. }
                | Word::Opened { .. }
                | Word::Held { .. } => {}
            }
        }
    }
}
