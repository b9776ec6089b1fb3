//! The outbox's writer, as `agent::outbox::writer`: write, sync, show, answer; then orders; then tidying.

use std::collections::VecDeque;
use std::time::Duration;

use tillbind_protocol::chain::Mark;
use tillbind_protocol::exchange::Fork;
use tillbind_protocol::ids::Seq;

use super::super::disk::Entry;
use super::super::fault::Fault;
use super::super::promise::Promise;
use super::super::record::{Record, SACRIFICES};
use super::super::stage::Due;
use super::{Run, Site};

/// Events given up at once when the disk is full.
const THIN_EVENTS: usize = 3;

/// An order that the uplink waits for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    Acknowledge(Mark),
    Fork(Seq),
}

#[derive(Debug)]
enum Step {
    Write(Vec<Vec<Record>>),
    Thin(Vec<Vec<Record>>),
    Sync,
    Answer(Vec<Entry>),
    Readable,
    Order(Order),
    /// The new epoch is written; the rename comes next.
    Promote(Seq),
    Watermark,
    Release,
}

/// The writer.
#[derive(Debug, Default)]
pub(super) struct Writer {
    appends: Vec<Vec<Record>>,
    orders: VecDeque<Order>,
    releases: bool,
    step: Option<Step>,
}

impl Writer {
    pub(super) fn append(&mut self, group: Vec<Record>) {
        self.appends.push(group);
    }

    pub(super) fn order(&mut self, order: Order) {
        self.orders.push_back(order);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.step.is_none() && self.appends.is_empty() && self.orders.is_empty()
    }

    pub(super) fn is_in_rare_step(&self) -> bool {
        matches!(
            self.step,
            Some(Step::Thin(_) | Step::Order(Order::Fork(_)) | Step::Promote(_) | Step::Release)
        )
    }

    /// Takes up the next thing, if it has none: all appends that wait, then an order, then tidying.
    pub(super) fn begin(&mut self, site: &mut Site<'_>) {
        if self.step.is_some() {
            return;
        }
        if !self.appends.is_empty() {
            self.step = Some(Step::Write(std::mem::take(&mut self.appends)));
        } else if let Some(order) = self.orders.pop_front() {
            self.step = Some(Step::Order(order));
        } else if std::mem::take(&mut self.releases) {
            self.step = Some(Step::Watermark);
        } else {
            return;
        }
        self.wait(site);
    }

    fn go_on(&mut self, step: Step, site: &mut Site<'_>) {
        self.step = Some(step);
        self.wait(site);
    }

    fn wait(&self, site: &mut Site<'_>) {
        let typical_ms = match &self.step {
            Some(Step::Sync | Step::Watermark | Step::Thin(_)) => 5,
            Some(Step::Promote(_)) => 20,
            Some(_) | None => 1,
        };
        site.begin(Due::Writer, Duration::from_millis(typical_ms));
    }
}

impl Run {
    pub(super) fn writer_step(&mut self, site: &mut Site<'_>) {
        let Some(step) = self.writer.step.take() else {
            return;
        };
        match step {
            Step::Write(groups) => self.write(groups, site),
            Step::Thin(groups) => self.thin(groups, site),
            Step::Sync => {
                let synced = site.disk.sync();
                self.outbox.appended = site.disk.head();
                for entry in &synced {
                    if let Some(record) = entry.record() {
                        let (epoch, seq) = (site.disk.epoch, entry.mark.seq);
                        site.stage.model.place(epoch, seq, record.n);
                    }
                }
                self.writer.go_on(Step::Answer(synced), site);
            }
            Step::Answer(synced) => {
                for record in synced.iter().filter_map(Entry::record) {
                    site.stage.model.fact(record.n).answered = true;
                    self.owner.handle_kept(record);
                }
                self.writer.go_on(Step::Readable, site);
            }
            Step::Readable => self.outbox.readable = self.outbox.appended,
            Step::Order(Order::Acknowledge(mark)) => self.acknowledge(mark, site),
            Step::Order(Order::Fork(at)) => self.writer.go_on(Step::Promote(at), site),
            Step::Promote(at) => self.promote(at, site),
            Step::Watermark => {
                site.disk.keep_watermark(self.outbox.acked);
                self.writer.go_on(Step::Release, site);
            }
            Step::Release => site.disk.release(self.outbox.acked.seq),
        }
    }

    fn write(&mut self, groups: Vec<Vec<Record>>, site: &mut Site<'_>) {
        let mut events = groups.iter().map(Vec::len).sum();
        if let Some(room) = &mut site.disk.room {
            if *room < events {
                self.writer.go_on(Step::Thin(groups), site);
                return;
            }
            *room -= std::mem::take(&mut events);
        }
        for group in groups {
            let entries = site.disk.entries(group);
            site.disk.unsynced.push(entries);
        }
        if site.stage.has(Fault::AnswersBeforeSync) {
            for record in site
                .disk
                .unsynced
                .iter()
                .flatten()
                .filter_map(Entry::record)
            {
                site.stage.model.fact(record.n).answered = true;
            }
        }
        self.writer.go_on(Step::Sync, site);
    }

    /// The disk is full: gives up what is worth least, or refuses what comes.
    fn thin(&mut self, groups: Vec<Vec<Record>>, site: &mut Site<'_>) {
        let gone = site
            .disk
            .thin(self.outbox.acked.seq, &SACRIFICES, THIN_EVENTS);
        if let Some(room) = &mut site.disk.room {
            *room += gone.len();
        }
        for record in &gone {
            site.stage.model.fact(record.n).given_up = true;
        }
        site.stage.tell(format_args!(
            "terminal {}: full, gives up {}",
            site.who,
            gone.len()
        ));
        if gone.is_empty() {
            // Refused, and the till is told so.
            return;
        }
        self.writer.go_on(Step::Write(groups), site);
    }

    fn acknowledge(&mut self, mark: Mark, site: &mut Site<'_>) {
        let mark = if site.stage.has(Fault::ForgetsTooMuch) {
            self.outbox.appended
        } else {
            mark
        };
        if mark.seq > self.outbox.acked.seq {
            let own = site.disk.mark_at(self.outbox.acked, mark.seq);
            if own == Some(mark) {
                self.outbox.acked = mark;
                self.writer.releases = site.disk.has_released(mark.seq);
            } else {
                let what = format!("terminal {} was told {mark:?} and has {own:?}", site.who);
                site.stage.break_promise(Promise::OwnHistory, what);
            }
        }
        self.handle_ordered(None, site);
    }

    fn promote(&mut self, at: Seq, site: &mut Site<'_>) {
        let fails = site.disk.room == Some(0) && site.stage.chance.happens(500);
        if !fails {
            let leave_behind = site.stage.has(Fault::ForkLeavesBehind);
            let epoch = site.disk.epoch;
            let lost = site.disk.fork(at, self.outbox.acked, leave_behind);
            let model = &mut site.stage.model;
            let acked = self.outbox.acked.seq;
            let left = Fork { epoch, at };
            model.handle_left(site.identity, left, site.disk.epoch, acked, &lost);
            for entry in &site.disk.journal {
                if let Some(record) = entry.record() {
                    site.stage
                        .model
                        .place(site.disk.epoch, entry.mark.seq, record.n);
                }
            }
            self.outbox.acked = site.disk.acked();
            self.outbox.appended = site.disk.head();
            self.outbox.readable = self.outbox.appended;
            self.writer.releases = false;
        }
        self.handle_ordered(Some(!fails), site);
    }
}
