//! One request at central, step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tillbind_protocol::chain::{ChainHash, Mark};
use tillbind_protocol::exchange::{ExchangeResponse, Verdict};
use tillbind_protocol::ids::{Epoch, Seq};
use tillbind_protocol::intake::{Known, decide, places_to_compare};
use tillbind_protocol::replica::Page;

use super::super::fault::Fault;
use super::super::page::has_all;
use super::super::record::{Class, Record};
use super::super::stage::{Happening, Parcel, Stage, Word};
use super::super::timepiece::true_ms;
use super::Central;
use super::store::{Gap, Lock, Stored, Stream, Write};

/// As `sync::exchanging::INTAKE_WAIT`.
const TURN_WAIT: Duration = Duration::from_secs(2);
/// Longest that a poll is held.
const POLL_MAX: Duration = Duration::from_secs(25);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// `Turn::wait` gives up.
    Queue,
    /// `identity::authorise`, `cloned`.
    Authorise,
    /// `intake::take_once`: the stream's row.
    LockStream,
    /// `decide`, `store_events`.
    Decide,
    /// `projection`: bindings under the lock of membership.
    Project,
    /// `Touched::publish`: the counter's row.
    Publish,
    Commit,
    /// `intake::poll`: the watermark …
    PollWatermark,
    /// … and the chain values.
    PollChains,
    /// `note_seen`.
    Seen,
    /// `news`.
    News,
    /// `news`, waiting for a change.
    Held,
}

/// A request that a process works on.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) process: usize,
    pub(super) parcel: Parcel,
    received_ms: i64,
    step: Step,
    /// Which of its steps is due: an earlier one is none any more.
    steps: u64,
    pub(super) has_turn: bool,
    stored: Option<Mark>,
    write: Option<Write>,
    taken: Option<(Verdict, Mark)>,
    held_until: Option<Duration>,
    answered: bool,
}

impl Job {
    pub(super) fn new(id: u64, process: usize, parcel: Parcel, stage: &mut Stage) -> Self {
        let mut job = Self {
            id,
            process,
            parcel,
            received_ms: true_ms(stage.now),
            step: Step::Queue,
            steps: 0,
            has_turn: false,
            stored: None,
            write: None,
            taken: None,
            held_until: None,
            answered: false,
        };
        job.go_on(TURN_WAIT, stage);
        job
    }

    /// Lets the present step come due.
    pub(super) fn go_on(&mut self, pause: Duration, stage: &mut Stage) {
        self.steps += 1;
        let (job, step) = (self.id, self.steps);
        stage.after(pause, Happening::Job { job, step });
    }

    fn go(&mut self, step: Step, typical_ms: u64, stage: &mut Stage) {
        self.step = step;
        let pause = stage.chance.lasts(Duration::from_millis(typical_ms));
        self.go_on(pause, stage);
    }

    pub(super) fn take_turn(&mut self, stage: &mut Stage) {
        self.has_turn = true;
        self.go(Step::Authorise, 2, stage);
    }

    pub(super) fn is_held(&self) -> bool {
        self.step == Step::Held
    }

    /// A change wakes a held poll, somewhat spread.
    pub(super) fn look_again(&mut self, stage: &mut Stage) {
        self.go(Step::News, 100, stage);
    }

    fn sends(&self) -> bool {
        self.parcel.request.sends()
    }

    fn response(&self, verdict: Verdict, acked: Mark, page: Option<Page>, stage: &Stage) -> Word {
        let response = ExchangeResponse {
            v: self.parcel.request.v,
            verdict,
            acked,
            page,
            keys: None,
            dictionary: None,
            received_ms: self.received_ms,
            sent_ms: true_ms(stage.now),
        };
        Word::Answer(Box::new(response.of_its_version()))
    }
}

impl Central {
    /// A step of a job is due; the process may die before it and after it.
    pub(in super::super) fn handle_job(&mut self, id: u64, step: u64, stage: &mut Stage) {
        let Some(job) = self.jobs.get(&id).filter(|job| job.steps == step) else {
            return;
        };
        let process = job.process;
        let risk = match job.step {
            Step::Commit | Step::Seen => 2 * stage.config.death,
            Step::Queue
            | Step::Authorise
            | Step::LockStream
            | Step::Decide
            | Step::Project
            | Step::Publish
            | Step::PollWatermark
            | Step::PollChains
            | Step::News
            | Step::Held => stage.config.death / 2,
        };
        if stage.chance.happens(risk) {
            self.kill(process, stage);
            return;
        }
        self.job_step(id, stage);
        if stage.chance.happens(risk) {
            self.kill(process, stage);
        }
    }

    fn job_step(&mut self, id: u64, stage: &mut Stage) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        match job.step {
            Step::Queue => {
                let for_ms = 500 + u32::try_from(stage.chance.below(4_500)).unwrap_or(0);
                self.answer_verdict(id, Verdict::SlowDown { for_ms }, stage);
            }
            Step::Authorise => self.authorise(id, stage),
            Step::LockStream => {
                let lock = Lock::Stream(job.parcel.identity, job.parcel.request.epoch);
                if stage.has(Fault::DecidesUnlocked) || self.locks.take(lock, id) {
                    job.go(Step::Decide, 4, stage);
                }
            }
            Step::Decide => self.decide(id, stage),
            Step::Project => self.project(id, stage),
            Step::Publish => {
                if self.locks.take(Lock::Counter, id) {
                    job.go(Step::Commit, 4, stage);
                }
            }
            Step::Commit => self.commit(id, stage),
            Step::PollWatermark => {
                let key = (job.parcel.identity, job.parcel.request.epoch);
                job.stored = self.store.streams.get(&key).and_then(|stream| stream.mark);
                job.go(Step::PollChains, 1, stage);
            }
            Step::PollChains => self.poll(id, stage),
            Step::Seen => {
                self.give_back_turn(id, stage);
                if let Some(job) = self.jobs.get_mut(&id) {
                    job.go(Step::News, 2, stage);
                }
            }
            Step::News | Step::Held => self.news(id, stage),
        }
    }

    fn authorise(&mut self, id: u64, stage: &mut Stage) {
        if stage.chance.happens(stage.config.busy) {
            self.answer_verdict(id, Verdict::SlowDown { for_ms: 700 }, stage);
            return;
        }
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let enrolled = self.store.machines.get(&job.parcel.identity);
        let hello = job.parcel.request.hello.as_ref();
        if hello.is_some_and(|hello| enrolled != Some(&hello.machine)) {
            let reason = "this identity belongs to another machine".to_owned();
            self.answer_verdict(id, Verdict::Refused { reason }, stage);
            return;
        }
        let step = if job.sends() || job.parcel.request.tells_of_fork() {
            Step::LockStream
        } else {
            Step::PollWatermark
        };
        job.go(step, 2, stage);
    }

    /// Answers and takes nothing.
    fn answer_verdict(&mut self, id: u64, verdict: Verdict, stage: &mut Stage) {
        if let Some(job) = self.jobs.get(&id) {
            let acked = Mark::genesis(job.parcel.request.epoch);
            let response = job.response(verdict, acked, None, stage);
            stage.send_word(job.parcel.who, job.parcel.exchange, response);
        }
        self.end(id, stage);
    }

    fn decide(&mut self, id: u64, stage: &mut Stage) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let request = &job.parcel.request;
        let key = (job.parcel.identity, request.epoch);
        let forks = forks_of(&self.store.streams, key);
        let empty = Stream::default();
        let stream = self.store.streams.get(&key).unwrap_or(&empty);
        let chains = places_to_compare(stream.mark.as_ref(), request)
            .into_iter()
            .filter_map(|place| stream.chains.get(&place).map(|chain| (place, *chain)))
            .collect();
        // The row is there by now, with the mark before the first event.
        let stored = stream.mark.or(Some(Mark::genesis(request.epoch)));
        let known = Known {
            watermark: stored.as_ref(),
            chains: &chains,
            fillers: &fillers(stream, &chains),
            forks: &forks,
        };
        let decision = decide(&known, request);
        job.taken = Some((decision.verdict.clone(), decision.acked));
        let changes_nothing = decision.watermark.is_none() && decision.accepted.is_empty();
        if changes_nothing && request.express.is_empty() && !request.tells_of_fork() {
            job.go(Step::Seen, 2, stage);
            self.wake(id, stage);
            return;
        }
        let unrecorded = stage.has(Fault::GapUnrecorded);
        let gaps = decision.gaps.iter().filter(|_| !unrecorded).map(|gap| Gap {
            from: gap.from,
            to: gap.to,
            reason: gap.reason.to_owned(),
        });
        let express = request.express.iter();
        let express = express.map(|one| Record::read(one.record.get()));
        let events = decision.accepted.iter().map(|accepted| Stored {
            mark: accepted.mark,
            text: accepted.record.to_owned(),
            record: Record::read(accepted.record),
        });
        job.write = Some(Write {
            stream: key,
            forked_from: request.hello.as_ref().and_then(|hello| hello.forked_from),
            events: events.collect(),
            gaps: gaps.collect(),
            mark: decision.watermark,
            rulings: Vec::new(),
            express: express.filter_map(|one| Some((one.n, one.wish?))).collect(),
        });
        if stage.has(Fault::AnswersBeforeCommit)
            && let Some((verdict, acked)) = job.taken.clone()
        {
            let response = job.response(verdict, acked, None, stage);
            stage.send_word(job.parcel.who, job.parcel.exchange, response);
            job.answered = true;
        }
        job.go(Step::Project, 3, stage);
    }

    fn project(&mut self, id: u64, stage: &mut Stage) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let Some(write) = &mut job.write else {
            return;
        };
        // `express::rule` comes behind the events of the batch.
        let wishes = || {
            let records = write.events.iter().map(|event| event.record);
            let asked = records.filter_map(|record| Some((record.n, record.wish?)));
            asked.chain(write.express.iter().copied())
        };
        if wishes().next().is_some() {
            if !self.locks.take(Lock::Membership, id) {
                return;
            }
            write.rulings = self.store.rule(wishes(), stage.has(Fault::RulesAgain));
        }
        let touches = !write.rulings.is_empty()
            || write
                .events
                .iter()
                .any(|e| e.record.kind == Class::Transaction);
        let next = if touches { Step::Publish } else { Step::Commit };
        job.go(next, 2, stage);
    }

    fn commit(&mut self, id: u64, stage: &mut Stage) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let Some(write) = job.write.take() else {
            return;
        };
        stage.tell(format_args!(
            "central {}: commits {} of terminal {} epoch {} to {:?}, {} events, {} rulings",
            job.process,
            job.parcel.exchange,
            write.stream.0,
            write.stream.1,
            write.mark.map(|mark| mark.seq),
            write.events.len(),
            write.rulings.len(),
        ));
        let before = self.store.head;
        self.store.commit(write, &mut stage.model);
        job.go(Step::Seen, 2, stage);
        if self.store.head != before {
            self.tell_heads(stage);
        }
        self.wake(id, stage);
    }

    fn poll(&mut self, id: u64, stage: &mut Stage) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let request = &job.parcel.request;
        let stream = self
            .store
            .streams
            .get(&(job.parcel.identity, request.epoch));
        let chains = places_to_compare(job.stored.as_ref(), request)
            .into_iter()
            .filter_map(|place| Some((place, *stream?.chains.get(&place)?)))
            .collect();
        let known = Known {
            watermark: job.stored.as_ref(),
            chains: &chains,
            fillers: &stream.map_or(BTreeSet::new(), |stream| fillers(stream, &chains)),
            forks: &[],
        };
        let decision = decide(&known, request);
        job.taken = Some((decision.verdict, decision.acked));
        job.go(Step::Seen, 2, stage);
    }

    fn news(&mut self, id: u64, stage: &mut Stage) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let Some((verdict, acked)) = job.taken.clone() else {
            return;
        };
        let head = self.processes[job.process].head;
        let cursor = &job.parcel.request.cursor;
        let page = if has_all(cursor, head) {
            None
        } else {
            self.store.page(head, cursor)
        };
        let wait = if job.sends() || verdict != Verdict::Ok {
            Duration::ZERO
        } else {
            Duration::from_millis(job.parcel.request.wait_ms.into()).min(POLL_MAX)
        };
        let until = *job.held_until.get_or_insert(stage.now + wait);
        if page.is_none() && stage.now < until {
            job.step = Step::Held;
            job.go_on(until - stage.now, stage);
            return;
        }
        if !job.answered {
            let response = job.response(verdict, acked, page, stage);
            stage.send_word(job.parcel.who, job.parcel.exchange, response);
        }
        self.end(id, stage);
    }
}

/// The places at which other epochs of this terminal left this one: read without a lock of their rows.
fn forks_of(streams: &BTreeMap<(usize, Epoch), Stream>, key: (usize, Epoch)) -> Vec<Seq> {
    streams
        .iter()
        .filter(|((identity, _), _)| *identity == key.0)
        .filter_map(|(_, stream)| stream.forked_from)
        .filter(|fork| fork.epoch == key.1)
        .map(|fork| fork.at)
        .collect()
}

/// The places among some that lie inside a recorded gap.
fn fillers(stream: &Stream, chains: &BTreeMap<Seq, ChainHash>) -> BTreeSet<Seq> {
    let places = chains.keys().copied();
    places.filter(|seq| stream.gap_at(*seq).is_some()).collect()
}
