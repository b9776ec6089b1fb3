//! The world: terminals, central, and what happens to them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tillbind_protocol::exchange::MIN;
use tillbind_protocol::ids::Epoch;

use super::central::{Backup, Central};
use super::check;
use super::disk::Disk;
use super::fault::Fault;
use super::promise::{Breach, Promise};
use super::stage::{Happening, Stage};
use super::terminal::{End, Terminal};
use super::timepiece::{Timepiece, true_ms};
use super::transition::Transition;

/// Backups kept of one terminal.
const BACKUPS: usize = 3;
/// How long all may take to come to rest once nothing is in the way: longer than the longest back-off,
/// a refusal's delay and a held poll after each other, with every page and batch of a run behind them.
pub const REST_WITHIN: Duration = Duration::from_secs(900);

/// How long rest is watched, and how many requests a terminal may make meanwhile: polls that are held for
/// 25 seconds each.
const REST_WATCHED: Duration = Duration::from_secs(100);
const REST_REQUESTS: u64 = 8;

/// How rough a run is. Shares are per mille.
#[derive(Debug, Clone, Copy)]
pub struct WorldConfig {
    /// Terminals at the start; a clone may come on top.
    pub terminals: usize,
    /// Most processes of central; at least two.
    pub processes: usize,
    /// Transitions before all is healed.
    pub transitions: u32,
    /// Messages lost.
    pub loss: u32,
    /// Requests delivered twice.
    pub duplication: u32,
    /// Requests that central has no time for.
    pub busy: u32,
    /// Steps before and after which a process dies.
    pub death: u32,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            terminals: 4,
            processes: 4,
            transitions: 500,
            loss: 80,
            duplication: 60,
            busy: 30,
            death: 2,
        }
    }
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Events that happened at tills.
    pub recorded: u64,
    /// Events of which the till was told that they are kept.
    pub answered: u64,
    /// Events that stand at central.
    pub arrived: u64,
    /// Answered events that were on no disk any more when a backup had replaced it.
    pub destroyed: u64,
    /// Events that a full disk cost.
    pub given_up: u64,
    /// Bindings ruled on.
    pub rulings: u64,
    /// How many of them before the turn of their event.
    pub express: u64,
    /// Requests in a version that central did not read.
    pub refused_versions: u64,
    /// Forks found.
    pub forks: u32,
    /// Gaps recorded.
    pub gaps: u64,
    /// Restarts of terminals.
    pub crashes: u32,
    /// Restarts of central's processes.
    pub deaths: u32,
    /// Backups restored, of terminals and of central.
    pub restores: u32,
    /// Requests that came to central.
    pub exchanges: u64,
    /// Requests that came while another of the same terminal was at work.
    pub overlaps: u32,
    /// Virtual time that passed.
    pub took: Duration,
    /// How much of it after everything was healed.
    pub rested_after: Duration,
}

impl Report {
    /// Adds another run up.
    pub fn add(&mut self, other: &Self) {
        self.recorded += other.recorded;
        self.answered += other.answered;
        self.arrived += other.arrived;
        self.destroyed += other.destroyed;
        self.given_up += other.given_up;
        self.rulings += other.rulings;
        self.express += other.express;
        self.refused_versions += other.refused_versions;
        self.forks += other.forks;
        self.gaps += other.gaps;
        self.crashes += other.crashes;
        self.deaths += other.deaths;
        self.restores += other.restores;
        self.exchanges += other.exchanges;
        self.overlaps += other.overlaps;
        self.took += other.took;
        self.rested_after = self.rested_after.max(other.rested_after);
    }
}

/// A run that was played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// What it did.
    pub report: Report,
    /// The promise that it broke, if it broke one.
    pub breach: Option<Breach>,
    /// The hash of its story: equal for equal runs.
    pub hash: String,
    /// Its story, if it was to be kept.
    pub story: Vec<String>,
}

/// All of it.
#[derive(Debug)]
pub struct World {
    stage: Stage,
    origin: Instant,
    terminals: Vec<Terminal>,
    central: Central,
    backups: BTreeMap<usize, Vec<Disk>>,
    central_backup: Option<Backup>,
    transitions_left: u32,
    healed_at: Option<Duration>,
    /// Since when all is at rest, and how many requests there had been.
    resting: Option<(Duration, u64)>,
    restores: u32,
}

impl World {
    /// Makes a world; everything that happens in it follows from `seed`.
    pub fn new(seed: u64, config: WorldConfig) -> Self {
        Self::with_fault(seed, config, None)
    }

    /// Makes a world whose shells have a known bug.
    pub fn with_fault(seed: u64, config: WorldConfig, fault: Option<Fault>) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an origin; only differences count"
        )]
        let origin = Instant::now();
        let mut stage = Stage::new(seed, config, fault);
        let processes = 2 + stage.chance.index(config.processes.max(2) - 1);
        let mut central = Central::new(processes, stage.chance.entropy());
        let mut terminals = Vec::new();
        for who in 0..config.terminals {
            let machine = format!("machine-{who}");
            central.enrol(who, &machine);
            let disk = Disk::new(Epoch(stage.chance.entropy()));
            let timepiece = timepiece(origin, &mut stage);
            let mut terminal = Terminal::new(who, machine, disk, timepiece);
            // A fleet whose upgrade is under way.
            if !stage.loses {
                terminal.version = MIN + u16::try_from(stage.chance.below(2)).unwrap_or(0);
            }
            terminal.boot(who, &mut stage);
            terminals.push(terminal);
        }
        stage.after(Duration::ZERO, Happening::Transition);
        Self {
            stage,
            origin,
            terminals,
            central,
            backups: BTreeMap::new(),
            central_backup: None,
            transitions_left: config.transitions,
            healed_at: None,
            resting: None,
            restores: 0,
        }
    }

    /// Keeps the story of the run.
    #[must_use]
    pub fn told(mut self) -> Self {
        self.stage.story.keep();
        self
    }

    /// Plays the whole run and checks its end.
    pub fn play(mut self) -> Played {
        while self.stage.breach.is_none() {
            let Some(happening) = self.stage.next() else {
                break;
            };
            if !self.handle(happening) {
                break;
            }
        }
        if self.stage.breach.is_none() {
            let breach = check::all(&self.terminals, &self.central.store, &self.stage.model).err();
            if let Some(Breach { promise, what }) = breach {
                self.stage.break_promise(promise, what);
            }
        }
        let report = self.report();
        Played {
            report,
            breach: self.stage.breach.take(),
            hash: self.stage.story.hash(),
            story: self.stage.story.into_lines(),
        }
    }

    /// Lets one thing happen; returns whether the run goes on.
    fn handle(&mut self, happening: Happening) -> bool {
        let stage = &mut self.stage;
        match happening {
            Happening::Transition => return self.handle_transition(),
            Happening::Terminal { who, life, due } => {
                self.terminals[who].handle(who, life, due, stage);
            }
            Happening::Request(parcel) => self.central.handle_request(*parcel, stage),
            Happening::Dropped { exchange } => self.central.handle_dropped(exchange, stage),
            Happening::Job { job, step } => self.central.handle_job(job, step, stage),
            Happening::Process { process, life } => self.central.handle_up(process, life),
            Happening::Head { process, life } => self.central.handle_head(process, life, stage),
            Happening::Answer {
                who,
                exchange,
                word,
            } => self.terminals[who].handle_answer(who, exchange, word, stage),
        }
        true
    }

    fn handle_transition(&mut self) -> bool {
        let Some(healed_at) = self.healed_at else {
            if self.transitions_left == 0 {
                self.heal();
            } else {
                self.transitions_left -= 1;
                let who = self.stage.chance.index(self.terminals.len());
                let transition = Transition::draw(&mut self.stage.chance);
                self.apply(who, transition);
            }
            let pause = Duration::from_millis(self.stage.chance.below(500));
            self.stage.after(pause, Happening::Transition);
            return true;
        };
        if self.is_at_rest() {
            let seen = (self.stage.now, self.central.exchanges);
            let (since, exchanges) = *self.resting.get_or_insert(seen);
            if self.stage.now - since < REST_WATCHED {
                self.stage
                    .after(Duration::from_secs(1), Happening::Transition);
                return true;
            }
            let asked = self.central.exchanges - exchanges;
            if asked > REST_REQUESTS * self.terminals.len() as u64 {
                let what =
                    format!("{asked} requests in {REST_WATCHED:?} in which nothing happened");
                self.stage.break_promise(Promise::ComesToRest, what);
            }
            return false;
        }
        self.resting = None;
        if self.stage.now - healed_at > REST_WITHIN {
            let what = self.unrest();
            self.stage.break_promise(Promise::ComesToRest, what);
            return false;
        }
        let pause = Duration::from_secs(1);
        self.stage.after(pause, Happening::Transition);
        true
    }

    fn apply(&mut self, who: usize, transition: Transition) {
        self.stage.tell(format_args!("world: {who} {transition:?}"));
        let stage = &mut self.stage;
        let terminal = &mut self.terminals[who];
        match transition {
            Transition::Record(groups) => {
                for group in groups {
                    terminal.record(who, &group, stage);
                }
            }
            Transition::ChangeMember(member, points) => {
                self.central.change_member(member, points, stage);
            }
            Transition::TurnLine => stage.network.turn(who),
            Transition::Throttle(rate) => stage.network.throttle(who, rate),
            Transition::End(end) => terminal.crash(who, end, stage),
            Transition::Suspend(pause) => terminal.suspend(pause, stage),
            Transition::SetWall(wall_ms) => terminal.timepiece.set_wall(stage.now, wall_ms),
            Transition::Fill(_) | Transition::Damage(_) if !stage.loses => {}
            Transition::Fill(room) => terminal.disk.room = room,
            Transition::Damage(which) => {
                let acked = terminal.acked().seq;
                if let Some(record) = terminal.disk.damage(acked, which) {
                    stage.model.fact(record.n).damaged = true;
                }
            }
            Transition::Backup => {
                let backups = self.backups.entry(who).or_default();
                if backups.len() == BACKUPS {
                    backups.remove(0);
                }
                let mut disk = terminal.disk.clone();
                disk.unsynced.clear();
                backups.push(disk);
            }
            Transition::Restore => self.restore(who),
            Transition::Clone => self.clone_onto_other_hardware(who),
            Transition::KillProcess => {
                let process = stage.chance.index(self.central.processes());
                self.central.kill(process, stage);
            }
            Transition::BackupCentral => self.central_backup = Some(self.central.backup(stage)),
            Transition::RestoreCentral => {
                if let Some(backup) = self.central_backup.take() {
                    self.central.restore(backup, stage);
                    self.restores += 1;
                }
            }
            Transition::Install(_) | Transition::InstallCentral(_) if stage.loses => {}
            Transition::InstallCentral(version) => {
                let process = stage.chance.index(self.central.processes());
                self.central.install(process, version, stage);
            }
            Transition::Install(version) => {
                terminal.version = version;
                terminal.crash(who, End::Kill, stage);
            }
        }
    }

    /// Puts an old backup in the place of a terminal's disk. What the lost disk alone held is gone, and
    /// nobody could have kept it.
    fn restore(&mut self, who: usize) {
        let Some(backups) = self.backups.get(&who) else {
            return;
        };
        let backup = backups[self.stage.chance.index(backups.len())].clone();
        let kept = backup.numbers();
        let identity = self.terminals[who].identity;
        self.stage.model.handle_restored(who, identity, &kept);
        self.terminals[who].restore(who, backup, &mut self.stage);
        self.restores += 1;
    }

    fn clone_onto_other_hardware(&mut self, who: usize) {
        if self.terminals.len() > self.stage.config.terminals {
            return;
        }
        let original = &self.terminals[who];
        let clone = self.terminals.len();
        let machine = format!("{}-clone", original.machine);
        let mut disk = original.disk.clone();
        disk.unsynced.clear();
        let identity = original.identity;
        let timepiece = timepiece(self.origin, &mut self.stage);
        let mut terminal = Terminal::new(identity, machine, disk, timepiece);
        terminal.boot(clone, &mut self.stage);
        self.terminals.push(terminal);
    }

    /// Takes all out of the way.
    fn heal(&mut self) {
        self.stage.tell(format_args!("world: healed"));
        self.healed_at = Some(self.stage.now);
        self.stage.chance.calm_down();
        self.stage.network.heal();
        for terminal in &mut self.terminals {
            terminal.disk.room = None;
        }
    }

    fn is_at_rest(&self) -> bool {
        let truth = self.central.store.truth();
        self.central.is_up() && self.terminals.iter().all(|one| one.is_at_rest(&truth))
    }

    fn unrest(&self) -> String {
        let truth = self.central.store.truth();
        let restless = |(_, one): &(usize, &Terminal)| !one.is_at_rest(&truth);
        let terminals = self.terminals.iter().enumerate().filter(restless);
        let who: Vec<usize> = terminals.map(|(who, _)| who).collect();
        let up = self.central.is_up();
        format!(
            "{REST_WITHIN:?} after the last trouble terminals {who:?} do not rest; central up: {up}"
        )
    }

    fn report(&self) -> Report {
        let facts = &self.stage.model.facts;
        let count = |is: &dyn Fn(&super::model::Fact) -> bool| {
            facts.iter().filter(|fact| is(fact)).count() as u64
        };
        let streams = || self.central.store.streams.values();
        Report {
            recorded: facts.len() as u64,
            answered: count(&|fact| fact.answered),
            arrived: streams().map(|stream| stream.events.len() as u64).sum(),
            destroyed: count(&|fact| fact.answered && fact.destroyed),
            given_up: count(&|fact| fact.given_up),
            rulings: self.central.store.rulings.len() as u64,
            express: self.central.store.express,
            refused_versions: self.central.refused_versions,
            forks: self.terminals.iter().map(|one| one.forks).sum(),
            gaps: streams().map(|stream| stream.gaps.len() as u64).sum(),
            crashes: self.terminals.iter().map(|one| one.crashes).sum(),
            deaths: self.central.deaths,
            restores: self.restores,
            exchanges: self.central.exchanges,
            overlaps: self.central.overlaps,
            took: self.stage.now,
            rested_after: self.stage.now - self.healed_at.unwrap_or(self.stage.now),
        }
    }
}

/// Clocks of a machine: most show the true time, some never did.
fn timepiece(origin: Instant, stage: &mut Stage) -> Timepiece {
    let fast_ppm = i64::try_from(stage.chance.below(181)).unwrap_or(0) - 90;
    let off_ms = match stage.chance.below(4) {
        0 => -true_ms(Duration::ZERO),
        1 => i64::try_from(stage.chance.below(7_200_000)).unwrap_or(0) - 3_600_000,
        _ => 0,
    };
    let battery_off_ms = (stage.chance.below(3) > 0)
        .then(|| i64::try_from(stage.chance.below(7_200_000)).unwrap_or(0) - 3_600_000);
    let mut timepiece = Timepiece::new(origin, fast_ppm, off_ms, battery_off_ms);
    if stage.chance.below(2) == 0 {
        timepiece.handle_start(stage.now, stage.fresh_id());
    }
    timepiece
}
