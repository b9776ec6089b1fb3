//! `kill -9` of agent and central in a loop, under load.
//!
//! One terminal and one central, real processes over TLS and a real database. Several clients call the
//! till's API without a pause while one prints; each writes down what it sent and what it was told. A
//! seed decides who is killed next and when: at work, in the middle of a start, while a backlog drains,
//! in a long poll. At the end the line is left alone until the outbox is empty, and headquarters'
//! exports are compared with the [`book`]: each acknowledged event once, at its place, saying the same.
//!
//! What it does not show: anything that a kernel crash or a power cut takes away.

mod book;
mod load;

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use fastrand::Rng;

use crate::central::{Central, Database};
use crate::clock::Stopwatch;
use crate::printer::Printer;
use crate::receipt;
use crate::scene::Scene;
use crate::terminal::{Setup, Terminal};

pub use book::{Book, Told, Verdict};
use load::{Clients, Shared};

/// Far longer than the backlog of any of these runs takes.
const DRAINED_WITHIN: Duration = Duration::from_secs(120);
/// Longest time at work between two kills.
const AT_WORK_MS_MAX: u64 = 250;
/// Longest time for which central stays away, so that a backlog waits.
const AWAY_MS_MAX: u64 = 700;
/// As long as a quiet till needs to be in its long poll.
const CALM: Duration = Duration::from_millis(250);
/// One in so many kills comes in the middle of a start …
const IN_START_ONE_IN: u32 = 3;
/// … and one in so many while nobody is at the till.
const CALM_ONE_IN: u32 = 6;

/// What to play.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Decides everything but the machine's own timing.
    pub seed: u64,
    /// Kills of the agent.
    pub agent_kills: u32,
    /// Kills of central.
    pub central_kills: u32,
    /// Where central keeps its tables.
    pub database: Database,
}

/// What was seen.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The plan's seed.
    pub seed: u64,
    /// Kills of the agent, those in the middle of a start apart.
    pub agent: Kills,
    /// Kills of central, likewise.
    pub central: Kills,
    /// What headquarters has beside what was told.
    pub verdict: Verdict,
    /// How long all of it took.
    pub took: Duration,
}

/// Kills of one process, and how it came back.
#[derive(Debug, Clone, Default)]
pub struct Kills {
    /// While it was up.
    pub at_work: u32,
    /// While it came up.
    pub in_start: u32,
    /// Longest time from a start to ready.
    pub ready_max: Duration,
    ready_sum: Duration,
    starts: u32,
}

impl Kills {
    fn came_up(&mut self, took: Duration) {
        self.ready_max = self.ready_max.max(took);
        self.ready_sum += took;
        self.starts += 1;
    }

    /// Returns all kills.
    pub fn all(&self) -> u32 {
        self.at_work + self.in_start
    }
}

impl fmt::Display for Kills {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mean = self.ready_sum / self.starts.max(1);
        write!(
            f,
            "{} kills, {} of them in the middle of a start; ready after {} ms on average, {} ms at most",
            self.all(),
            self.in_start,
            mean.as_millis(),
            self.ready_max.as_millis()
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {:.0} s", self.seed, self.took.as_secs_f64())?;
        writeln!(f, "agent: {}", self.agent)?;
        writeln!(f, "central: {}", self.central)?;
        write!(f, "{}", self.verdict)
    }
}

/// A process that can be killed and started.
trait Victim {
    fn launch(&mut self) -> Result<()>;
    fn wait_until_ready(&mut self) -> Result<()>;
    /// Kills it; fails if it had ended by itself.
    fn kill(&mut self) -> Result<()>;
}

impl Victim for Terminal {
    fn launch(&mut self) -> Result<()> {
        Self::launch(self)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        Self::wait_until_ready(self)
    }

    fn kill(&mut self) -> Result<()> {
        self.daemon()?.ensure_running()?;
        Self::kill(self)
    }
}

impl Victim for Central {
    fn launch(&mut self) -> Result<()> {
        Self::launch(self)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        Self::wait_until_ready(self)
    }

    fn kill(&mut self) -> Result<()> {
        self.daemon()?.ensure_running()?;
        Self::kill(self)
    }
}

/// Plays a plan in `scene`.
///
/// # Errors
/// When a process ends by itself or does not come back, or headquarters cannot be asked. What is lost or
/// doubled is no error: it stands in the report.
pub fn play(scene: &Scene, plan: &Plan) -> Result<Report> {
    let watch = Stopwatch::start();
    let mut rng = Rng::with_seed(plan.seed);
    let central = scene.central("central", &plan.database)?;
    let printer = Printer::switch_on()?;
    let setup = Setup::new("S001", "1").tap(
        "printer",
        &printer.address().to_string(),
        Some(receipt::profile()?),
    );
    let codes = load::member_codes(&central, (plan.agent_kills + plan.central_kills) / 2 + 10)?;
    let terminal = scene.terminal("till", &central, setup)?;
    terminal.wait_for_drained(DRAINED_WITHIN)?;
    let shared = Arc::new(Shared::new(terminal.tap("printer")?, printer));
    let mut loop_ = Loop {
        rng: Rng::with_seed(rng.u64(..)),
        shared: Arc::clone(&shared),
        terminal,
        central,
        agent: Kills::default(),
        headquarters: Kills::default(),
    };
    shared.open(&loop_.terminal)?;
    let clients = Clients::start(&shared, codes, &mut rng);
    let killed = loop_.run(plan);
    let book = clients.end()?;
    killed?;
    let Loop {
        terminal, central, ..
    } = &loop_;
    terminal.wait_for_drained(DRAINED_WITHIN)?;
    let verdict = book.compare(central, terminal.recorded()?)?;
    Ok(Report {
        seed: plan.seed,
        agent: loop_.agent,
        central: loop_.headquarters,
        verdict,
        took: watch.elapsed(),
    })
}

struct Loop {
    rng: Rng,
    shared: Arc<Shared>,
    terminal: Terminal,
    central: Central,
    agent: Kills,
    headquarters: Kills,
}

impl Loop {
    fn run(&mut self, plan: &Plan) -> Result<()> {
        loop {
            let agents = plan.agent_kills.saturating_sub(self.agent.all());
            let centrals = plan.central_kills.saturating_sub(self.headquarters.all());
            if agents + centrals == 0 {
                return Ok(());
            }
            let calm = self.rng.u32(..CALM_ONE_IN) == 0;
            if calm {
                self.shared.set_calm(true);
                thread::sleep(CALM);
            }
            thread::sleep(Duration::from_millis(self.rng.u64(..AT_WORK_MS_MAX)));
            if self.rng.u32(..agents + centrals) < agents {
                self.kill_agent(agents)?;
            } else {
                self.kill_central(centrals)?;
            }
            self.shared.set_calm(false);
        }
    }

    fn kill_agent(&mut self, left: u32) -> Result<()> {
        self.shared.close();
        self.terminal.kill()?;
        self.agent.at_work += 1;
        come_back(&mut self.terminal, &mut self.agent, &mut self.rng, left - 1)
            .context("the agent does not come back after a kill")?;
        self.shared.open(&self.terminal)
    }

    fn kill_central(&mut self, left: u32) -> Result<()> {
        self.central.kill()?;
        self.headquarters.at_work += 1;
        if self.rng.bool() {
            thread::sleep(Duration::from_millis(self.rng.u64(..AWAY_MS_MAX)));
        }
        come_back(
            &mut self.central,
            &mut self.headquarters,
            &mut self.rng,
            left - 1,
        )
        .context("central does not come back after a kill")
    }
}

/// Starts a victim, and kills it in the middle of that as often as the dice and `left` allow.
fn come_back(victim: &mut dyn Victim, kills: &mut Kills, rng: &mut Rng, left: u32) -> Result<()> {
    for _ in 0..left {
        if rng.u32(..IN_START_ONE_IN) != 0 {
            break;
        }
        victim.launch()?;
        let usual_ms = (kills.ready_max.as_millis() as u64).clamp(20, 1_000);
        thread::sleep(Duration::from_micros(rng.u64(..usual_ms * 1_000)));
        victim.kill().context("it ended in its start")?;
        kills.in_start += 1;
    }
    let watch = Stopwatch::start();
    victim.launch()?;
    victim.wait_until_ready()?;
    kills.came_up(watch.elapsed());
    Ok(())
}
