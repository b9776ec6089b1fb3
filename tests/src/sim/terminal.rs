//! A terminal: its disk and clocks, which outlast a crash, and its process, which does not.
//!
//! The process is the agent's shells, step by step: [`uplink`] as `agent::uplink`, [`writer`] as the
//! outbox's writer thread, [`owner`] as the owner of the state and the writer of its notes. Each step has
//! its own duration, and each is a place to die, before or after what it does to the disk.

mod owner;
mod request;
mod uplink;
mod writer;

use std::time::{Duration, Instant};

use tillbind_protocol::chain::Mark;
use tillbind_protocol::clock::Uptime;
use tillbind_protocol::exchange::CURRENT;

use super::disk::Disk;
use super::record::Class;
use super::record::Wish;
use super::stage::{Due, Happening, Stage, Word};
use super::timepiece::Timepiece;
use owner::Owner;
use uplink::Shell;
use writer::Writer;

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Killed: what was written is kept.
    Kill,
    /// The power went: what was not synced may be lost.
    PowerCut,
}

/// What a step works on besides the process itself.
pub(super) struct Site<'s> {
    pub(super) who: usize,
    pub(super) life: u32,
    pub(super) identity: usize,
    pub(super) machine: &'s str,
    pub(super) version: u16,
    pub(super) disk: &'s mut Disk,
    pub(super) timepiece: &'s Timepiece,
    pub(super) stage: &'s mut Stage,
}

impl Site<'_> {
    fn monotonic(&self) -> Instant {
        self.timepiece.monotonic(self.stage.now)
    }

    fn uptime(&self) -> Uptime {
        self.timepiece.uptime(self.stage.now)
    }

    fn wall_ms(&self) -> i64 {
        self.timepiece.wall_ms(self.stage.now)
    }

    /// Lets a step come due after about so long.
    fn begin(&mut self, due: Due, typical: Duration) {
        let pause = self.stage.chance.lasts(typical);
        let (who, life) = (self.who, self.life);
        self.stage
            .after(pause, Happening::Terminal { who, life, due });
    }
}

/// What the outbox shows of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub(super) acked: Mark,
    pub(super) appended: Mark,
    /// The newest that can be read: what its watchers are told.
    pub(super) readable: Mark,
}

/// The process.
#[derive(Debug)]
struct Run {
    outbox: Shown,
    writer: Writer,
    owner: Owner,
    uplink: Shell,
}

/// A terminal.
#[derive(Debug)]
pub(super) struct Terminal {
    /// Whom its certificate names. A clone shares its original's.
    pub(super) identity: usize,
    pub(super) machine: String,
    pub(super) disk: Disk,
    pub(super) timepiece: Timepiece,
    /// The version of the protocol that the installed agent speaks.
    pub(super) version: u16,
    life: u32,
    run: Option<Run>,
    asleep_until: Duration,
    pub(super) refused: bool,
    pub(super) forks: u32,
    pub(super) crashes: u32,
}

impl Terminal {
    /// A machine that is off.
    pub(super) fn new(identity: usize, machine: String, disk: Disk, timepiece: Timepiece) -> Self {
        Self {
            identity,
            machine,
            disk,
            timepiece,
            version: CURRENT,
            life: 0,
            run: None,
            asleep_until: Duration::ZERO,
            refused: false,
            forks: 0,
            crashes: 0,
        }
    }

    /// Starts the process.
    pub(super) fn boot(&mut self, who: usize, stage: &mut Stage) {
        self.life += 1;
        let life = self.life;
        let pause = stage.chance.lasts(Duration::from_millis(300));
        let due = Due::Booted;
        stage.after(pause, Happening::Terminal { who, life, due });
    }

    /// Ends the process and starts it again.
    pub(super) fn crash(&mut self, who: usize, end: End, stage: &mut Stage) {
        stage.tell(format_args!("terminal {who}: {end:?}"));
        self.crashes += 1;
        if let Some(exchange) = self.run.as_ref().and_then(|run| run.uplink.under_way())
            && end == End::Kill
        {
            stage.drop_connection(who, exchange);
        }
        self.run = None;
        let groups = self.disk.unsynced.len();
        if end == End::PowerCut {
            let kept = stage.chance.index(groups + 1);
            self.disk.unsynced.truncate(kept);
            self.timepiece.handle_start(stage.now, stage.fresh_id());
        }
        // What no disk lost is found by the recovery, answered or not.
        let found = self.disk.sync();
        for entry in &found {
            if let Some(record) = entry.record() {
                stage.model.place(self.disk.epoch, entry.mark.seq, record.n);
            }
        }
        self.boot(who, stage);
    }

    /// Puts another disk in, and starts.
    pub(super) fn restore(&mut self, who: usize, disk: Disk, stage: &mut Stage) {
        self.run = None;
        self.disk = disk;
        self.disk.room = None;
        self.timepiece.handle_start(stage.now, stage.fresh_id());
        self.boot(who, stage);
    }

    /// Lets the machine sleep.
    pub(super) fn suspend(&mut self, pause: Duration, stage: &Stage) {
        if self.asleep_until <= stage.now {
            self.asleep_until = stage.now + pause;
            self.timepiece.handle_suspended(pause);
        }
    }

    pub(super) fn is_asleep(&self, stage: &Stage) -> bool {
        stage.now < self.asleep_until
    }

    /// Something happens at the till.
    pub(super) fn record(
        &mut self,
        who: usize,
        kinds: &[(Class, Option<Wish>)],
        stage: &mut Stage,
    ) {
        if self.is_asleep(stage) {
            return;
        }
        let Some((run, mut site)) = self.running(who, self.life, stage) else {
            return;
        };
        run.record(kinds, &mut site);
        run.drain(&mut site);
    }

    /// Does what is due in one of the process's lives, unless that is over.
    pub(super) fn handle(&mut self, who: usize, life: u32, due: Due, stage: &mut Stage) {
        if life != self.life {
            return;
        }
        if self.is_asleep(stage) {
            let pause = self.asleep_until - stage.now;
            stage.after(pause, Happening::Terminal { who, life, due });
            return;
        }
        if self.dies(who, due, stage) {
            return;
        }
        if due == Due::Booted {
            self.open(who, stage);
        }
        let forks = self.forks;
        let Some((run, mut site)) = self.running(who, life, stage) else {
            return;
        };
        match due {
            Due::Booted => {}
            Due::Wake(nonce) => run.uplink.handle_wake(nonce),
            Due::Writer => run.writer_step(&mut site),
            Due::Notes => run.owner.note_step(&mut site),
            Due::Uplink => run.uplink_step(&mut site),
        }
        run.drain(&mut site);
        let (refused, forked) = (run.uplink.is_refused(), run.uplink.take_forks());
        self.refused = refused;
        self.forks = forks + forked;
        self.dies(who, due, stage);
    }

    /// Takes word from central.
    pub(super) fn handle_answer(
        &mut self,
        who: usize,
        exchange: u64,
        word: Word,
        stage: &mut Stage,
    ) {
        if self.is_asleep(stage) {
            let pause = self.asleep_until - stage.now;
            let what = Happening::Answer {
                who,
                exchange,
                word,
            };
            stage.after(pause, what);
            return;
        }
        let Some((run, mut site)) = self.running(who, self.life, stage) else {
            return;
        };
        run.handle_answer(exchange, word, &mut site);
        run.drain(&mut site);
    }

    /// Whether everything was sent and everything was had, and nothing is going on.
    pub(super) fn is_at_rest(&self, truth: &super::disk::Replica) -> bool {
        let Some(run) = &self.run else {
            return false;
        };
        let sent = run.outbox.acked.seq == run.outbox.appended.seq;
        let had = self.disk.replica.members == truth.members
            && self.disk.replica.verdicts == truth.verdicts;
        let idle = run.writer.is_idle() && run.owner.is_idle() && run.uplink.is_idle();
        idle && (self.refused || (sent && had))
    }

    /// Bindings that the running process takes for undecided.
    pub(super) fn requested(&self) -> Vec<u64> {
        let run = self.run.iter();
        run.flat_map(|run| run.owner.requested()).collect()
    }

    /// What the process takes for acknowledged; of one that is down, what it will.
    pub(super) fn acked(&self) -> Mark {
        let run = self.run.as_ref();
        run.map_or_else(|| self.disk.acked(), |run| run.outbox.acked)
    }

    fn open(&mut self, who: usize, stage: &mut Stage) {
        let timepiece = self.timepiece.clone();
        let mut site = Site {
            who,
            life: self.life,
            identity: self.identity,
            machine: &self.machine,
            version: self.version,
            disk: &mut self.disk,
            timepiece: &timepiece,
            stage,
        };
        let (acked, appended) = (site.disk.acked(), site.disk.head());
        site.stage.tell(format_args!(
            "terminal {who}: up, epoch {}, {}..{}",
            site.disk.epoch, acked.seq, appended.seq
        ));
        self.run = Some(Run {
            outbox: Shown {
                acked,
                appended,
                readable: appended,
            },
            writer: Writer::default(),
            owner: Owner::open(&mut site),
            uplink: Shell::open(&site, acked, appended),
        });
    }

    fn running<'t>(
        &'t mut self,
        who: usize,
        life: u32,
        stage: &'t mut Stage,
    ) -> Option<(&'t mut Run, Site<'t>)> {
        let run = self.run.as_mut()?;
        let site = Site {
            who,
            life,
            identity: self.identity,
            machine: &self.machine,
            version: self.version,
            disk: &mut self.disk,
            timepiece: &self.timepiece,
            stage,
        };
        Some((run, site))
    }

    fn dies(&mut self, who: usize, due: Due, stage: &mut Stage) -> bool {
        let rare = self.run.as_ref().is_some_and(|run| match due {
            Due::Uplink => run.uplink.is_in_rare_step(),
            Due::Writer => run.writer.is_in_rare_step(),
            Due::Booted | Due::Wake(_) | Due::Notes => false,
        });
        let risk = if rare { 30 } else { stage.config.death };
        if !stage.chance.happens(risk) {
            return false;
        }
        let end = if stage.chance.below(2) == 0 {
            End::Kill
        } else {
            End::PowerCut
        };
        self.crash(who, end, stage);
        true
    }
}

impl Run {
    /// Begins whatever can begin.
    fn drain(&mut self, site: &mut Site<'_>) {
        self.writer.begin(site);
        self.owner.begin(site);
        self.drain_uplink(site);
    }
}
