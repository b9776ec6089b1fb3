//! Central: several processes without state of their own over one database.
//!
//! A request is a job of one process, with the steps of `central::sync::exchanging` and
//! `central::intake`: its turn, the look at the identity, the stream's lock, the decision, the locks of
//! membership and of the counter, the commit, the note that the terminal was seen, the page, the answer.
//! A process dies with all its jobs, before or after any of these; what was not committed is undone.

mod job;
mod store;

use std::collections::BTreeMap;
use std::time::Duration;

use tillbind_protocol::exchange::{CURRENT, Versions};

use super::page::Head;
use super::stage::{Happening, Parcel, Stage, Word};
use job::Job;
pub(super) use store::{Gap, Store, Stored, Stream};
use store::{Lock, Locks};

/// Requests that a process works on at once; more wait.
const TURNS: usize = 3;

/// A process.
#[derive(Debug)]
struct Process {
    /// The newest version of the protocol that it reads.
    version: u16,
    life: u32,
    is_up: bool,
    turns: usize,
    /// Jobs that wait for their turn.
    queue: Vec<u64>,
    head: Head,
}

/// A backup of the database.
#[derive(Debug)]
pub(super) struct Backup {
    store: Store,
    commits: usize,
}

/// All of central.
#[derive(Debug)]
pub(super) struct Central {
    pub(super) store: Store,
    processes: Vec<Process>,
    jobs: BTreeMap<u64, Job>,
    locks: Locks,
    pub(super) exchanges: u64,
    pub(super) deaths: u32,
    pub(super) overlaps: u32,
    pub(super) refused_versions: u64,
}

impl Central {
    pub(super) fn new(processes: usize, history: u64) -> Self {
        let mut store = Store::default();
        store.head.history = history;
        let process = || Process {
            version: CURRENT,
            life: 0,
            is_up: true,
            turns: 0,
            queue: Vec::new(),
            head: store.head,
        };
        Self {
            processes: (0..processes).map(|_| process()).collect(),
            store,
            jobs: BTreeMap::new(),
            locks: Locks::default(),
            exchanges: 0,
            deaths: 0,
            overlaps: 0,
            refused_versions: 0,
        }
    }

    /// Knows a terminal by its machine.
    pub(super) fn enrol(&mut self, identity: usize, machine: &str) {
        self.store.machines.insert(identity, machine.to_owned());
    }

    /// Headquarters changes a member, unless a transaction is in its way.
    pub(super) fn change_member(&mut self, member: u64, points: i64, stage: &mut Stage) {
        if self.locks.is_free(Lock::Counter) {
            self.store.change_member(member, points);
            self.tell_heads(stage);
        }
    }

    pub(super) fn backup(&self, stage: &Stage) -> Backup {
        Backup {
            store: self.store.clone(),
            commits: stage.model.commits.len(),
        }
    }

    /// Stops everything, puts an old database in its place, and starts again.
    pub(super) fn restore(&mut self, backup: Backup, stage: &mut Stage) {
        for process in 0..self.processes.len() {
            self.kill(process, stage);
        }
        self.store = backup.store;
        self.store.head.history = stage.chance.entropy();
        stage.model.handle_central_restored(backup.commits);
    }

    /// Ends a process, and starts it again a little later.
    pub(super) fn kill(&mut self, process: usize, stage: &mut Stage) {
        if !self.processes[process].is_up {
            return;
        }
        stage.tell(format_args!("central {process}: killed"));
        self.deaths += 1;
        let of_it = |job: &&Job| job.process == process;
        let jobs: Vec<u64> = self.jobs.values().filter(of_it).map(|job| job.id).collect();
        let one = &mut self.processes[process];
        one.is_up = false;
        one.life += 1;
        one.queue.clear();
        one.turns = 0;
        let life = one.life;
        for id in jobs {
            let Some(job) = self.jobs.remove(&id) else {
                continue;
            };
            if stage.chance.below(2) == 0 {
                stage.send_word(job.parcel.who, job.parcel.exchange, Word::End);
            }
            self.wake(id, stage);
        }
        let pause = stage.chance.lasts(Duration::from_millis(1_500));
        stage.after(pause, Happening::Process { process, life });
    }

    /// Installs another version in a process, which restarts it.
    pub(super) fn install(&mut self, process: usize, version: u16, stage: &mut Stage) {
        self.processes[process].version = version;
        self.kill(process, stage);
    }

    pub(super) fn handle_up(&mut self, process: usize, life: u32) {
        let one = &mut self.processes[process];
        if one.life == life {
            one.is_up = true;
            one.head = self.store.head;
        }
    }

    /// As `sync::head::follow`: a process hears of what is newest.
    pub(super) fn handle_head(&mut self, process: usize, life: u32, stage: &mut Stage) {
        let one = &mut self.processes[process];
        if one.life != life || one.head == self.store.head {
            return;
        }
        one.head = self.store.head;
        let held = |job: &&mut Job| job.process == process && job.is_held();
        for job in self.jobs.values_mut().filter(held) {
            job.look_again(stage);
        }
    }

    fn tell_heads(&self, stage: &mut Stage) {
        for (process, one) in self.processes.iter().enumerate() {
            let pause = Duration::from_millis(stage.chance.below(200));
            let life = one.life;
            stage.after(pause, Happening::Head { process, life });
        }
    }

    /// A request has come to the door.
    pub(super) fn handle_request(&mut self, parcel: Parcel, stage: &mut Stage) {
        let process = stage.chance.index(self.processes.len());
        if !self.processes[process].is_up {
            stage.send_word(parcel.who, parcel.exchange, Word::End);
            return;
        }
        let version = self.processes[process].version;
        if parcel.request.v > version {
            self.refused_versions += 1;
            // Version 1 does not say what it reads.
            let theirs = (version >= 2).then_some(Versions::OURS);
            stage.send_word(parcel.who, parcel.exchange, Word::Version(theirs));
            return;
        }
        self.exchanges += 1;
        let id = stage.fresh_id();
        let same = |job: &Job| job.parcel.identity == parcel.identity && !job.is_held();
        if self.jobs.values().any(same) {
            self.overlaps += 1;
        }
        let job = Job::new(id, process, parcel, stage);
        self.jobs.insert(id, job);
        self.processes[process].queue.push(id);
        self.give_turns(process, stage);
    }

    /// Nobody waits for the answer any more: the job may be dropped wherever it is.
    pub(super) fn handle_dropped(&mut self, exchange: u64, stage: &mut Stage) {
        let of_it = |job: &&Job| job.parcel.exchange == exchange;
        let jobs: Vec<u64> = self.jobs.values().filter(of_it).map(|job| job.id).collect();
        for id in jobs {
            if stage.chance.below(2) == 0 {
                self.end(id, stage);
            }
        }
    }

    /// Gives turns to jobs that wait for one.
    fn give_turns(&mut self, process: usize, stage: &mut Stage) {
        while self.processes[process].turns < TURNS && !self.processes[process].queue.is_empty() {
            let id = self.processes[process].queue.remove(0);
            if let Some(job) = self.jobs.get_mut(&id) {
                job.take_turn(stage);
                self.processes[process].turns += 1;
            }
        }
    }

    fn give_back_turn(&mut self, id: u64, stage: &mut Stage) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        if std::mem::take(&mut job.has_turn) {
            let process = job.process;
            self.processes[process].turns -= 1;
            self.give_turns(process, stage);
        }
    }

    /// Undoes what a job has not committed, and forgets it.
    fn end(&mut self, id: u64, stage: &mut Stage) {
        self.give_back_turn(id, stage);
        if let Some(job) = self.jobs.remove(&id) {
            self.processes[job.process].queue.retain(|one| *one != id);
        }
        self.wake(id, stage);
    }

    /// Lets go of a job's locks; whose turn it is goes on.
    fn wake(&mut self, id: u64, stage: &mut Stage) {
        for next in self.locks.release(id) {
            if let Some(job) = self.jobs.get_mut(&next) {
                job.go_on(Duration::ZERO, stage);
            }
        }
    }

    /// How many processes there are.
    pub(super) fn processes(&self) -> usize {
        self.processes.len()
    }

    /// Whether all processes are up.
    pub(super) fn is_up(&self) -> bool {
        self.processes.iter().all(|process| process.is_up)
    }
}
