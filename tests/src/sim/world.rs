//! The world: virtual time, chance, the network, and the checks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::{Duration, Instant};

use fastrand::Rng;
use tillbind_protocol::exchange::{ExchangeRequest, ExchangeResponse, Verdict};
use tillbind_protocol::ids::{Epoch, Seq};

use super::central::Central;
use super::terminal::{Disk, Terminal};

/// How rough a run is. Shares are per mille.
#[derive(Debug, Clone, Copy)]
pub struct WorldConfig {
    /// Terminals at the start; clones come on top.
    pub terminals: usize,
    /// Steps of chance before the line is healed.
    pub steps: u32,
    /// Messages lost.
    pub loss: u32,
    /// Requests delivered twice.
    pub duplication: u32,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            terminals: 4,
            steps: 600,
            loss: 100,
            duplication: 50,
        }
    }
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Events that terminals acknowledged to their users.
    pub recorded: u64,
    /// Events that stand at central.
    pub arrived: u64,
    /// Events that vanished with a terminal's disk when a backup was put in its place.
    pub lost_with_a_disk: u64,
    /// Forks found.
    pub forks: u32,
    /// Gaps recorded.
    pub gaps: usize,
    /// Restarts of terminals.
    pub crashes: u32,
    /// Backups restored.
    pub restores: u32,
    /// Requests that central took.
    pub exchanges: u64,
    /// Virtual time that passed.
    pub took: Duration,
}

#[derive(Debug)]
enum Message {
    Request {
        terminal: usize,
        id: u64,
        request: Box<ExchangeRequest>,
    },
    Answer {
        terminal: usize,
        id: u64,
        answer: Box<ExchangeResponse>,
    },
}

/// All of it.
#[derive(Debug)]
pub struct World {
    config: WorldConfig,
    rng: Rng,
    now: Instant,
    started: Instant,
    terminals: Vec<Terminal>,
    central: Central,
    backups: BTreeMap<usize, Disk>,
    central_backup: Option<Central>,
    network: BinaryHeap<Reverse<(Instant, u64)>>,
    messages: BTreeMap<u64, Message>,
    next_id: u64,
    partitioned: BTreeSet<usize>,
    healed: bool,
    /// Every event recorded, by number: who recorded it.
    recorded: BTreeMap<u64, usize>,
    /// Events that a restore destroyed before central had them.
    destroyed: BTreeSet<u64>,
    /// Events that central had acknowledged and then lost to its own restore.
    lost_at_central: BTreeSet<u64>,
    report: Report,
}

impl World {
    /// Makes a world; everything that happens in it follows from `seed`.
    pub fn new(seed: u64, config: WorldConfig) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an origin; only differences count"
        )]
        let now = Instant::now();
        let mut rng = Rng::with_seed(seed);
        let terminals = (0..config.terminals)
            .map(|n| Terminal::boot(n, format!("machine-{n}"), Disk::new(Epoch(rng.u64(..)))))
            .collect();
        let mut central = Central::default();
        central.handle_restored(rng.u64(..));
        Self {
            config,
            rng,
            now,
            started: now,
            terminals,
            central,
            backups: BTreeMap::new(),
            central_backup: None,
            network: BinaryHeap::new(),
            messages: BTreeMap::new(),
            next_id: 0,
            partitioned: BTreeSet::new(),
            healed: false,
            recorded: BTreeMap::new(),
            destroyed: BTreeSet::new(),
            lost_at_central: BTreeSet::new(),
            report: Report::default(),
        }
    }

    /// Plays the whole run and checks its end.
    ///
    /// # Panics
    /// When a promise is broken; the message says which event and how.
    pub fn run(mut self) -> Report {
        for _ in 0..self.config.steps {
            self.chance();
            let pause = Duration::from_millis(self.rng.u64(0..400));
            self.advance(self.now + pause);
        }
        self.healed = true;
        self.partitioned.clear();
        // Longer than any back-off and any refusal's delay, many times over.
        for _ in 0..4_000 {
            if self.is_quiescent() {
                break;
            }
            self.advance(self.now + Duration::from_secs(1));
        }
        self.check();
        self.report.took = self.now - self.started;
        self.report
    }

    fn chance(&mut self) {
        let who = self.rng.usize(..self.terminals.len());
        match self.rng.u32(..100) {
            0..50 => self.record(who),
            50..60 => {
                let (member, points) = (self.rng.u64(..12), self.rng.i64(..1_000));
                self.central.change_member(member, points);
            }
            60..70 => {
                if !self.partitioned.remove(&who) {
                    self.partitioned.insert(who);
                }
            }
            70..82 => {
                self.terminals[who].crash();
                self.report.crashes += 1;
            }
            82..88 => {
                self.backups.insert(who, self.terminals[who].disk.clone());
            }
            88..91 => self.restore(who),
            91..92 => self.clone_onto_other_hardware(who),
            92..94 => self.central_backup = Some(self.central.clone()),
            94..95 => self.restore_central(),
            _ => {
                for _ in 0..self.rng.u32(1..20) {
                    self.record(who);
                }
            }
        }
    }

    fn record(&mut self, who: usize) {
        let number = self.recorded.len() as u64;
        self.recorded.insert(number, who);
        self.report.recorded += 1;
        self.terminals[who].record(format!(r#"{{"n":{number}}}"#), self.now);
    }

    /// Puts an old backup in the place of a terminal's disk. What the lost disk alone held is gone,
    /// and nobody could have kept it.
    fn restore(&mut self, who: usize) {
        let Some(backup) = self.backups.get(&who).cloned() else {
            return;
        };
        let kept: BTreeSet<u64> = backup.events.iter().map(|(_, r)| number(r)).collect();
        let held = self.terminals[who]
            .disk
            .events
            .iter()
            .map(|(_, r)| number(r));
        self.destroyed.extend(held.filter(|n| !kept.contains(n)));
        let (identity, machine) = (
            self.terminals[who].identity,
            self.terminals[who].machine.clone(),
        );
        let forks = self.terminals[who].forks;
        self.terminals[who] = Terminal::boot(identity, machine, backup);
        self.terminals[who].forks = forks;
        self.report.restores += 1;
    }

    fn clone_onto_other_hardware(&mut self, who: usize) {
        if self.terminals.len() > self.config.terminals {
            return;
        }
        let original = &self.terminals[who];
        let machine = format!("{}-clone-{}", original.machine, self.terminals.len());
        let clone = Terminal::boot(original.identity, machine, original.disk.clone());
        self.terminals.push(clone);
    }

    /// Puts an old backup in the place of central's database, once a run.
    fn restore_central(&mut self) {
        let Some(backup) = self.central_backup.take() else {
            return;
        };
        let before = self.numbers_at_central();
        self.central = backup;
        self.central.handle_restored(self.rng.u64(..));
        let after = self.numbers_at_central();
        self.lost_at_central
            .extend(before.keys().filter(|n| !after.contains_key(n)));
    }

    fn advance(&mut self, to: Instant) {
        loop {
            for who in 0..self.terminals.len() {
                self.drain(who);
            }
            let arrival = self.network.peek().map(|Reverse((at, _))| *at);
            let wake = self.terminals.iter().filter_map(Terminal::wakes_at).min();
            let next = [arrival, wake].into_iter().flatten().min();
            match next {
                Some(at) if at <= to => self.now = at.max(self.now),
                Some(_) | None => break,
            }
            self.time_out();
            while let Some(Reverse((at, id))) = self.network.peek().copied() {
                if at > self.now {
                    break;
                }
                self.network.pop();
                if let Some(message) = self.messages.remove(&id) {
                    self.deliver(message);
                }
            }
        }
        self.now = to;
    }

    fn drain(&mut self, who: usize) {
        if let Some(request) = self.terminals[who].poll_request(self.now) {
            let id = self.fresh_id();
            self.terminals[who].under_way = Some(id);
            let copies = if self.happens(self.config.duplication) {
                2
            } else {
                1
            };
            for _ in 0..copies {
                let request = Box::new(request.clone());
                self.send(
                    who,
                    Duration::ZERO,
                    Message::Request {
                        terminal: who,
                        id,
                        request,
                    },
                );
            }
        }
    }

    fn time_out(&mut self) {
        for who in 0..self.terminals.len() {
            let terminal = &mut self.terminals[who];
            if terminal.under_way.is_some() && terminal.wakes_at().is_some_and(|at| at <= self.now)
            {
                let entropy = self.rng.u64(..);
                // A wake that only ends a linger is drained by the next poll.
                if terminal.is_overdue(self.now) {
                    terminal.handle_failure(self.now, entropy);
                }
            }
        }
    }

    fn send(&mut self, terminal: usize, held: Duration, message: Message) {
        let cut = self.partitioned.contains(&terminal) || self.happens(self.config.loss);
        if cut {
            return;
        }
        let delay = if self.happens(20) { 30_000 } else { 200 };
        let at = self.now + held + Duration::from_millis(self.rng.u64(1..delay));
        let key = self.fresh_id();
        self.messages.insert(key, message);
        self.network.push(Reverse((at, key)));
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::Request {
                terminal,
                id,
                request,
            } => {
                let busy = self.happens(30);
                let identity = self.terminals[terminal].identity;
                let now_ms =
                    i64::try_from((self.now - self.started).as_millis()).expect("a run is short");
                let answer = self
                    .central
                    .handle_request(identity, &request, busy, now_ms);
                self.report.exchanges += 1;
                // A poll without news is held. A central that is killed after its commit answers
                // nobody.
                let news = answer.page.is_some() || answer.verdict != Verdict::Ok;
                let held_ms = if news { 0 } else { request.wait_ms };
                if !self.happens(20) {
                    let held = Duration::from_millis(u64::from(held_ms));
                    let answer = Box::new(answer);
                    self.send(
                        terminal,
                        held,
                        Message::Answer {
                            terminal,
                            id,
                            answer,
                        },
                    );
                }
            }
            Message::Answer {
                terminal,
                id,
                answer,
            } => {
                if self.terminals[terminal].under_way != Some(id) {
                    return;
                }
                let entropy = self.rng.u64(..);
                self.terminals[terminal].handle_answer(&answer, self.now, entropy);
            }
        }
    }

    fn happens(&mut self, per_mille: u32) -> bool {
        let drawn = self.rng.u32(..1_000);
        !self.healed && drawn < per_mille
    }

    fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn is_quiescent(&self) -> bool {
        let truth = self.members_at_central();
        self.terminals
            .iter()
            .all(|t| t.refused || (t.is_drained() && t.disk.members == truth))
    }

    fn members_at_central(&self) -> BTreeMap<String, i64> {
        self.central
            .members
            .iter()
            .map(|(id, (_, p))| (format!("m-{id}"), *p))
            .collect()
    }

    /// How often each event stands at central.
    fn numbers_at_central(&self) -> BTreeMap<u64, u32> {
        let mut count = BTreeMap::new();
        for stream in self.central.streams.values() {
            for (_, record) in &stream.records {
                *count.entry(number(record)).or_insert(0) += 1;
            }
        }
        count
    }

    /// Where an event stands at central, for the message of a failed check.
    fn places_of(&self, event: u64) -> String {
        let mut places = String::new();
        for ((terminal, epoch), stream) in &self.central.streams {
            for (seq, _) in stream.records.iter().filter(|(_, r)| number(r) == event) {
                let gaps = &stream.gaps;
                places += &format!("terminal {terminal} epoch {epoch} seq {seq} gaps {gaps:?}; ");
            }
        }
        places
    }

    fn check(&mut self) {
        let at_central = self.numbers_at_central();
        for (n, times) in &at_central {
            assert_eq!(
                *times,
                1,
                "event {n} stands at central {times} times: {}",
                self.places_of(*n)
            );
        }
        // A clone that central refuses keeps its events and says so: they are not lost.
        let waiting: BTreeSet<u64> = self
            .terminals
            .iter()
            .filter(|t| t.refused)
            .flat_map(|t| t.disk.events.iter().map(|(_, r)| number(r)))
            .collect();
        for (n, who) in &self.recorded {
            let explained = at_central.contains_key(n)
                || waiting.contains(n)
                || self.destroyed.contains(n)
                || self.lost_at_central.contains(n);
            assert!(explained, "event {n} of terminal {who} is nowhere");
        }
        for stream in self.central.streams.values() {
            check_order(&stream.records, &stream.gaps);
        }
        let truth = self.members_at_central();
        for (who, terminal) in self
            .terminals
            .iter()
            .enumerate()
            .filter(|(_, t)| !t.refused)
        {
            assert!(terminal.is_drained(), "terminal {who} did not drain");
            assert_eq!(terminal.disk.members, truth, "replica of terminal {who}");
        }
        self.report.arrived = at_central.len() as u64;
        self.report.lost_with_a_disk = self
            .destroyed
            .iter()
            .filter(|n| !at_central.contains_key(n))
            .count() as u64;
        self.report.forks = self.terminals.iter().map(|t| t.forks).sum();
        self.report.gaps = self.central.streams.values().map(|s| s.gaps.len()).sum();
    }
}

/// Places rise by one but for recorded gaps, and events of one epoch keep the order in which they
/// were recorded; a gap that a restored disk filled later holds events of another time.
fn check_order(records: &[(Seq, String)], gaps: &[(Seq, Seq)]) {
    let mut expected = Seq(1);
    let mut newest = None;
    for (seq, record) in records {
        while expected < *seq {
            let gap = gaps
                .iter()
                .find(|(from, to)| (*from..=*to).contains(&expected));
            assert!(
                gap.is_some(),
                "place {expected} is missing and no gap explains it"
            );
            expected = expected.next();
        }
        let in_order = newest < Some(number(record)) || !gaps.is_empty();
        assert!(in_order, "event {} out of order", number(record));
        newest = Some(number(record));
        expected = seq.next();
    }
}

/// The number of the event in a record `{"n":…}`.
fn number(record: &str) -> u64 {
    record
        .trim_start_matches(r#"{"n":"#)
        .trim_end_matches('}')
        .parse()
        .expect("a record of ours")
}
