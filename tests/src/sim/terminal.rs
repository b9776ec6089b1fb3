//! A terminal as the simulation has it: durable state that survives a crash, and the machines that
//! do not.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::value::RawValue;
use tillbind_protocol::chain::{Mark, forked_epoch};
use tillbind_protocol::exchange::{
    Batch, CURRENT, ExchangeRequest, ExchangeResponse, Fork, GapNotice, Hello, Verdict,
};
use tillbind_protocol::ids::{Epoch, Seq};
use tillbind_protocol::replica::{Change, Cursor, PageVerdict, ReplicaCursor};
use tillbind_protocol::uplink::{Action, Outcome, Uplink, UplinkConfig, Wake};

/// What is on a terminal's disk.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) epoch: Epoch,
    pub(super) acked: Mark,
    /// Events still held, with the marks after them.
    pub(super) events: Vec<(Mark, String)>,
    pub(super) forked_from: Option<Fork>,
    pub(super) cursor: Cursor,
    pub(super) members: BTreeMap<String, i64>,
}

impl Disk {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            acked: Mark::genesis(epoch),
            events: Vec::new(),
            forked_from: None,
            cursor: Cursor::default(),
            members: BTreeMap::new(),
        }
    }

    pub(super) fn head(&self) -> Mark {
        self.events.last().map_or(self.acked, |(mark, _)| *mark)
    }

    fn oldest(&self) -> Seq {
        self.events
            .first()
            .map_or(self.head().seq.next(), |(mark, _)| mark.seq)
    }

    fn mark_at(&self, seq: Seq) -> Option<Mark> {
        if seq == self.acked.seq {
            return Some(self.acked);
        }
        self.events
            .iter()
            .map(|(mark, _)| *mark)
            .find(|mark| mark.seq == seq)
    }

    fn append(&mut self, record: String) {
        let mark = self.head().next(record.as_bytes());
        self.events.push((mark, record));
    }

    fn acknowledge(&mut self, mark: Mark) {
        assert_eq!(
            self.mark_at(mark.seq),
            Some(mark),
            "acknowledged what differs here"
        );
        self.acked = mark;
        self.events.retain(|(held, _)| held.seq > mark.seq);
    }

    /// Moves everything from `at` on into a new epoch.
    fn fork(&mut self, at: Seq) {
        let moved: Vec<String> = self
            .events
            .drain(..)
            .filter(|(m, _)| m.seq >= at)
            .map(|(_, r)| r)
            .collect();
        let fork = Fork {
            epoch: self.epoch,
            at,
        };
        self.epoch = forked_epoch(self.epoch, at);
        self.acked = Mark::genesis(self.epoch);
        self.forked_from = Some(fork);
        moved.into_iter().for_each(|record| self.append(record));
    }
}

/// A terminal: its disk and the machines of its present run.
#[derive(Debug)]
pub(super) struct Terminal {
    /// The identity that its certificate names. A clone shares its original's.
    pub(super) identity: usize,
    pub(super) machine: String,
    pub(super) disk: Disk,
    uplink: Uplink,
    cursor: ReplicaCursor,
    said_hello: bool,
    gap: Option<(Seq, Seq)>,
    /// The request under way; answers to any other are dropped, as a closed connection would.
    pub(super) under_way: Option<u64>,
    pub(super) refused: bool,
    pub(super) forks: u32,
}

impl Terminal {
    pub(super) fn boot(identity: usize, machine: String, disk: Disk) -> Self {
        Self {
            identity,
            machine,
            uplink: Uplink::new(UplinkConfig::default(), disk.acked, disk.head()),
            cursor: ReplicaCursor::new(disk.cursor.clone()),
            disk,
            said_hello: false,
            gap: None,
            under_way: None,
            refused: false,
            forks: 0,
        }
    }

    /// Pulls the plug and starts again: the machines are gone, the disk stays.
    pub(super) fn crash(&mut self) {
        let forks = self.forks;
        *self = Self::boot(self.identity, self.machine.clone(), self.disk.clone());
        self.forks = forks;
    }

    pub(super) fn record(&mut self, record: String, now: Instant) {
        self.disk.append(record);
        self.uplink.handle_appended(self.disk.head(), now);
    }

    pub(super) fn wakes_at(&self) -> Option<Instant> {
        self.uplink.poll_timeout().map(|(at, _)| at)
    }

    pub(super) fn is_drained(&self) -> bool {
        self.disk.events.is_empty()
    }

    /// Drains the uplink; returns a request to send, if it wants one.
    pub(super) fn poll_request(&mut self, now: Instant) -> Option<ExchangeRequest> {
        loop {
            match self.uplink.poll_action(now)? {
                Action::AbortPoll => {
                    self.under_way = None;
                    self.uplink.handle_aborted();
                }
                Action::SendPoll { wait } => {
                    let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
                    return Some(ExchangeRequest {
                        wait_ms,
                        ..self.request(None)
                    });
                }
                Action::SendBatch {
                    after, events_max, ..
                } => {
                    return Some(self.request(Some((after, events_max))));
                }
            }
        }
    }

    fn request(&mut self, events: Option<(Seq, usize)>) -> ExchangeRequest {
        // Small batches, so that a backlog takes several exchanges.
        let batch = events.map(|(after, most)| {
            let before = self
                .disk
                .mark_at(after)
                .expect("the uplink asks for what is held");
            Batch {
                first: after.next(),
                before: before.chain,
                events: self
                    .disk
                    .events
                    .iter()
                    .filter(|(mark, _)| mark.seq > after)
                    .take(most.min(4))
                    .map(|(_, r)| RawValue::from_string(r.clone()).expect("records are JSON"))
                    .collect(),
                holes: Vec::new(),
            }
        });
        let gap = self.gap.map(|(from, to)| GapNotice {
            from,
            to,
            after: self.disk.acked.chain,
            reason: "acknowledged before, deleted here".to_owned(),
        });
        let hello = (!self.said_hello).then(|| Hello {
            machine: self.machine.clone(),
            version: "sim".to_owned(),
            outbox_events: self.disk.events.len() as u64,
            clock_offset_ms: None,
            forked_from: self.disk.forked_from,
            outbox_bytes: None,
            disk: None,
            sacrificed: None,
            quarantined: None,
        });
        ExchangeRequest {
            v: CURRENT,
            epoch: self.disk.epoch,
            acked: self.disk.acked,
            head: self.disk.head(),
            batch,
            gap,
            express: Vec::new(),
            cursor: self.cursor.durable().clone(),
            keys: 0,
            dictionary: 0,
            page_bytes: 0,
            wait_ms: 0,
            at_ms: 0,
            hello,
        }
    }

    /// Whether the request under way has had its time.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        matches!(self.uplink.poll_timeout(), Some((at, Wake::AnswerTimeout)) if at <= now)
    }

    pub(super) fn handle_failure(&mut self, now: Instant, entropy: u64) {
        self.under_way = None;
        self.uplink.handle_failure(now, entropy);
    }

    pub(super) fn handle_answer(&mut self, answer: &ExchangeResponse, now: Instant, entropy: u64) {
        self.under_way = None;
        self.refused = matches!(answer.verdict, Verdict::Refused { .. });
        // A central that asks for what it had lost has forgotten the rest as well.
        self.said_hello = matches!(answer.verdict, Verdict::Ok | Verdict::Fork { .. });
        let more = answer.page.as_ref().is_some_and(|page| page.more);
        let oldest = self.disk.oldest();
        let outcome =
            self.uplink
                .handle_answer(&answer.verdict, answer.acked, more, oldest, now, entropy);
        match outcome {
            Some(Outcome::Acknowledged(mark)) => {
                self.gap = None;
                self.disk.acknowledge(mark);
            }
            Some(Outcome::Forked { at }) => {
                self.gap = None;
                self.forks += 1;
                self.disk.fork(at);
                self.said_hello = false;
                self.uplink.handle_forked(self.disk.acked, self.disk.head());
            }
            Some(Outcome::Gap { from, to }) => self.gap = Some((from, to)),
            None => {}
        }
        if matches!(answer.verdict, Verdict::Ok) {
            self.gap = None;
        }
        let Some(page) = &answer.page else { return };
        match self.cursor.handle_page(page) {
            PageVerdict::Ignore => return,
            PageVerdict::ResetAndApply => self.disk.members.clear(),
            PageVerdict::Apply => {}
        }
        for change in &page.changes {
            if let Change::Member(member) = change {
                self.disk
                    .members
                    .insert(member.member.to_string(), member.points);
            }
        }
        self.disk.cursor = page.to.clone();
        self.cursor.handle_durable();
    }
}
