//! The uplink's shell, as `agent::uplink`: one task, of which every await is a step here.

mod page;

use std::time::{Duration, Instant};

use tillbind_protocol::chain::{Mark, forked_epoch};
use tillbind_protocol::clock::{Sample, Uptime};
use tillbind_protocol::exchange::{ExchangeResponse, Fork, Verdict};
use tillbind_protocol::ids::Seq;
use tillbind_protocol::replica::{Cursor, Page, PageVerdict, ReplicaCursor};
use tillbind_protocol::uplink::{Action, Outcome, Uplink, UplinkConfig, Wake};

use super::super::disk::Replica;
use super::super::fault::Fault;
use super::super::stage::{Due, Happening, Parcel, Word};
use super::request::{self, Cut, Wanted};
use super::writer::Order;
use super::{Run, Site};

/// As `agent::uplink::HELLO_EVERY`.
const HELLO_EVERY: Duration = Duration::from_secs(300);
/// Express copies in a request here: few, as batches are small.
const EXPRESS_MAX: usize = 3;

/// What the task waits for, when not for the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// `begin`: the outbox is read.
    Read {
        after: Seq,
        events_max: usize,
        bytes_max: usize,
        express_after: Seq,
        express_max: usize,
    },
    /// `take`: the clock's sample is told.
    Clock,
    /// `take_member_data`: the replica is emptied …
    Reset,
    /// … its first part is written …
    PagePart,
    /// … and the rest, with the cursor.
    Page,
    /// The verdicts are told.
    Verdicts,
    /// The outbox's writer has the acknowledgement, or the fork.
    Ordered,
    /// `fork`: the note is kept.
    KeepFork(Seq),
    /// The owner of the state hears of the epoch.
    TellEpoch,
}

#[derive(Debug)]
struct Answer {
    response: ExchangeResponse,
    sent: Uptime,
    received: Uptime,
    received_at: Instant,
}

/// The task.
#[derive(Debug)]
pub(super) struct Shell {
    machine: Uplink,
    cursor: ReplicaCursor,
    gap: Option<(Seq, Seq)>,
    /// The newest version that the installed agent speaks.
    installed: u16,
    forked_from: Option<Fork>,
    forking: Option<Fork>,
    hello_at: Option<Instant>,
    under_way: Option<(u64, Uptime)>,
    step: Option<Step>,
    answer: Option<Answer>,
    /// What the outbox's watcher was told last.
    seen: Mark,
    wake: Option<(u64, Duration)>,
    wakes: u64,
    refused: bool,
    forks: u32,
}

impl Shell {
    pub(super) fn open(site: &Site<'_>, acked: Mark, appended: Mark) -> Self {
        let config = UplinkConfig {
            events_max: site.stage.batch_events,
            ..UplinkConfig::default()
        };
        let cursor = site.disk.replica.cursor.clone().unwrap_or_default();
        Self {
            machine: Uplink::new(config, acked, appended),
            cursor: ReplicaCursor::new(cursor),
            gap: None,
            installed: site.version,
            // As `kept_fork`.
            forked_from: site.disk.notes.forks.get(&site.disk.epoch).copied(),
            forking: None,
            hello_at: None,
            under_way: None,
            step: None,
            answer: None,
            seen: appended,
            wake: None,
            wakes: 0,
            refused: false,
            forks: 0,
        }
    }

    pub(super) fn under_way(&self) -> Option<u64> {
        self.under_way.map(|(exchange, _)| exchange)
    }

    pub(super) fn version(&self) -> u16 {
        self.machine.version().min(self.installed)
    }

    pub(super) fn page_bytes(&self) -> u32 {
        self.machine.page_bytes()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.step.is_none()
    }

    pub(super) fn is_refused(&self) -> bool {
        self.refused
    }

    pub(super) fn take_forks(&mut self) -> u32 {
        std::mem::take(&mut self.forks)
    }

    pub(super) fn cursor(&self) -> &Cursor {
        self.cursor.durable()
    }

    pub(super) fn forked_from(&self) -> Option<Fork> {
        self.forked_from
    }

    pub(super) fn handle_wake(&mut self, nonce: u64) {
        if self.wake.is_some_and(|(newest, _)| newest == nonce) {
            self.wake = None;
        }
    }

    /// Whether the task is where it seldom is.
    pub(super) fn is_in_rare_step(&self) -> bool {
        match self.step {
            Some(Step::Reset | Step::KeepFork(_) | Step::TellEpoch | Step::Verdicts) => true,
            Some(Step::Ordered) => self.forking.is_some(),
            Some(Step::Read { .. } | Step::Clock | Step::PagePart | Step::Page) | None => false,
        }
    }

    pub(super) fn hello_is_due(&self, now: Instant) -> bool {
        self.hello_at
            .is_none_or(|at| now.saturating_duration_since(at) >= HELLO_EVERY)
    }

    fn go(&mut self, step: Step, typical_ms: u64, site: &mut Site<'_>) {
        self.step = Some(step);
        site.begin(Due::Uplink, Duration::from_millis(typical_ms));
    }

    fn fail(&mut self, site: &mut Site<'_>) {
        let entropy = site.stage.chance.entropy();
        self.machine.handle_failure(site.monotonic(), entropy);
    }

    fn let_go(&mut self, site: &mut Site<'_>) -> bool {
        let Some((exchange, _)) = self.under_way.take() else {
            return false;
        };
        site.stage.drop_connection(site.who, exchange);
        true
    }

    /// Comes back when the machine wants it.
    fn set_timer(&mut self, site: &mut Site<'_>) {
        let Some((wanted, _)) = self.machine.poll_timeout() else {
            return;
        };
        let at = site.timepiece.when(wanted).max(site.stage.now);
        if self.wake.is_some_and(|(_, set)| set == at) {
            return;
        }
        self.wakes += 1;
        self.wake = Some((self.wakes, at));
        let (who, life, due) = (site.who, site.life, Due::Wake(self.wakes));
        let pause = at - site.stage.now;
        site.stage
            .after(pause, Happening::Terminal { who, life, due });
    }
}

impl Run {
    /// The task's loop, up to where it waits.
    pub(super) fn drain_uplink(&mut self, site: &mut Site<'_>) {
        if self.uplink.step.is_some() {
            return;
        }
        let now = site.monotonic();
        if self.uplink.seen != self.outbox.readable {
            self.uplink.seen = self.outbox.readable;
            self.uplink.machine.handle_appended(self.uplink.seen, now);
        }
        loop {
            while let Some(action) = self.uplink.machine.poll_action(now) {
                match action {
                    Action::AbortPoll => {
                        self.uplink.let_go(site);
                        self.uplink.machine.handle_aborted();
                    }
                    Action::SendPoll { wait } => {
                        let gap = self
                            .uplink
                            .gap
                            .filter(|_| !site.stage.has(Fault::PollWithoutGap));
                        let cut = Cut::of_gap(site.disk, self.outbox.acked, gap);
                        self.send(cut, wait, site);
                    }
                    Action::SendBatch {
                        after,
                        events_max,
                        bytes_max,
                        express_after,
                        express_max,
                    } => {
                        let step = Step::Read {
                            after,
                            events_max,
                            bytes_max,
                            express_after,
                            express_max: express_max.min(EXPRESS_MAX),
                        };
                        self.uplink.go(step, 2, site);
                        return;
                    }
                }
            }
            let overdue = matches!(self.uplink.machine.poll_timeout(),
                Some((at, Wake::AnswerTimeout)) if at <= now);
            if !overdue || !self.uplink.let_go(site) {
                break;
            }
            let entropy = site.stage.chance.entropy();
            self.uplink.machine.handle_timeout(now, entropy);
        }
        self.uplink.set_timer(site);
    }

    fn send(&mut self, cut: Cut, wait: Duration, site: &mut Site<'_>) {
        let request = self.request(cut, wait, site);
        let exchange = site.stage.fresh_id();
        let events = request.batch.as_ref().map_or(0, |batch| batch.events.len());
        let first = request.batch.as_ref().map_or(0, |batch| batch.first.0);
        site.stage.tell(format_args!(
            "terminal {}: asks {exchange}, epoch {}, {}..{}, {events} events from {first}, gap {:?}, express {:?}{}",
            site.who,
            request.epoch,
            request.acked.seq,
            request.head.seq,
            request.gap.as_ref().map(|gap| (gap.from, gap.to)),
            request.express.iter().map(|one| one.seq.0).collect::<Vec<_>>(),
            if request.hello.is_some() { ", hello" } else { "" },
        ));
        self.uplink.under_way = Some((exchange, site.uptime()));
        site.stage.send_request(&Parcel {
            who: site.who,
            identity: site.identity,
            exchange,
            request,
        });
    }

    pub(super) fn handle_answer(&mut self, exchange: u64, word: Word, site: &mut Site<'_>) {
        let Some((_, sent)) = self.uplink.under_way.take_if(|(id, _)| *id == exchange) else {
            return;
        };
        let response = match word {
            Word::Answer(response) => response,
            Word::Version(theirs) => {
                // As `turn_to_version`.
                let (now, entropy) = (site.monotonic(), site.stage.chance.entropy());
                let shell = &mut self.uplink;
                if shell.machine.handle_version_refused(theirs, now, entropy) {
                    shell.hello_at = None;
                }
                return;
            }
            Word::End => {
                self.uplink.fail(site);
                return;
            }
        };
        site.stage.tell(format_args!(
            "terminal {}: answer {exchange}: {:?}, acked {}, page {}",
            site.who,
            response.verdict,
            response.acked.seq,
            response.page.as_ref().map_or(0, |page| page.changes.len()),
        ));
        self.uplink.answer = Some(Answer {
            response: *response,
            sent,
            received: site.uptime(),
            received_at: site.monotonic(),
        });
        self.uplink.go(Step::Clock, 1, site);
    }

    pub(super) fn uplink_step(&mut self, site: &mut Site<'_>) {
        let Some(step) = self.uplink.step.take() else {
            return;
        };
        match step {
            Step::Read {
                after,
                events_max,
                bytes_max,
                express_after,
                express_max,
            } => {
                if self.outbox.readable != self.outbox.appended {
                    // As `View::reader`: what is durable is waited for until it can be read.
                    self.uplink.go(step, 1, site);
                    return;
                }
                let version = self.uplink.version();
                let wanted = Wanted {
                    after,
                    events_max,
                    bytes_max,
                    express_after,
                    express_max: if version < 2 { 0 } else { express_max },
                    version,
                    gap: self.uplink.gap,
                };
                match request::cut(site.disk, self.outbox.acked, wanted) {
                    Some(cut) => {
                        self.uplink.machine.handle_sent(cut.load);
                        self.send(cut, Duration::ZERO, site);
                    }
                    None => self.uplink.fail(site),
                }
            }
            Step::Clock => self.take(site),
            Step::Reset => {
                site.disk.replica = Replica::default();
                self.uplink.go(Step::PagePart, 3, site);
            }
            Step::PagePart | Step::Page => self.write_page(step == Step::Page, site),
            Step::Verdicts => {
                let more = self.page().is_some_and(|page| page.more);
                let decided: Vec<u64> = self.page().into_iter().flat_map(page::decided).collect();
                self.owner.handle_verdicts(decided);
                self.decide(more, site);
            }
            // The writer answers by itself.
            Step::Ordered => self.uplink.step = Some(Step::Ordered),
            Step::KeepFork(at) => {
                let fork = Fork {
                    epoch: site.disk.epoch,
                    at,
                };
                let epoch = forked_epoch(fork.epoch, at);
                site.disk.notes.forks.insert(epoch, fork);
                self.uplink.forking = Some(fork);
                self.uplink.step = Some(Step::Ordered);
                self.writer.order(Order::Fork(at));
            }
            Step::TellEpoch => {}
        }
    }

    fn page(&self) -> Option<&Page> {
        self.uplink.answer.as_ref()?.response.page.as_ref()
    }

    /// `take`, from the sample to the page.
    fn take(&mut self, site: &mut Site<'_>) {
        let shell = &mut self.uplink;
        let Some(answer) = &shell.answer else {
            return;
        };
        let sample = Sample {
            sent: answer.sent,
            received: answer.received,
            central_received_ms: answer.response.received_ms,
            central_sent_ms: answer.response.sent_ms,
        };
        self.owner.handle_sample(&sample, site);
        let now = site.monotonic();
        shell.refused = false;
        match &answer.response.verdict {
            Verdict::Refused { .. } => shell.refused = true,
            Verdict::Ok => {
                let due = shell.hello_is_due(now);
                shell.hello_at = shell.hello_at.filter(|_| !due);
                shell.hello_at.get_or_insert(answer.received_at);
                shell.gap = None;
            }
            Verdict::Rewind { .. } => shell.hello_at = None,
            Verdict::Fork { .. } | Verdict::SlowDown { .. } => {}
        }
        let Some(page) = &answer.response.page else {
            self.decide(false, site);
            return;
        };
        let more = page.more && page.from == *shell.cursor.durable();
        match shell.cursor.handle_page(page) {
            PageVerdict::Ignore => self.decide(more, site),
            PageVerdict::Apply => shell.go(Step::PagePart, 3, site),
            PageVerdict::ResetAndApply => shell.go(Step::Reset, 5, site),
        }
    }

    /// `take`, from the machine to its end.
    fn decide(&mut self, more: bool, site: &mut Site<'_>) {
        let Some(answer) = self.uplink.answer.take() else {
            return;
        };
        let oldest = if self.outbox.appended.seq > self.outbox.acked.seq {
            self.outbox.acked.seq.next()
        } else {
            self.outbox.appended.seq.next()
        };
        let outcome = self.uplink.machine.handle_answer(
            &answer.response.verdict,
            answer.response.acked,
            more,
            oldest,
            answer.received_at,
            site.stage.chance.entropy(),
        );
        match outcome {
            None => {}
            Some(Outcome::Acknowledged(mark)) => {
                self.uplink.step = Some(Step::Ordered);
                self.writer.order(Order::Acknowledge(mark));
            }
            Some(Outcome::Gap { from, to }) => self.uplink.gap = Some((from, to)),
            Some(Outcome::Forked { .. }) if site.stage.has(Fault::IgnoresFork) => {
                let (acked, head) = (self.outbox.acked, self.outbox.appended);
                self.uplink.machine.handle_forked(acked, head);
            }
            Some(Outcome::Forked { at }) => self.uplink.go(Step::KeepFork(at), 5, site),
        }
    }

    /// The writer has done what it was ordered: a fork says whether it did.
    pub(super) fn handle_ordered(&mut self, forked: Option<bool>, site: &mut Site<'_>) {
        self.uplink.step = None;
        let fork = self.uplink.forking.take();
        match forked {
            None => {}
            Some(false) => self.uplink.fail(site),
            Some(true) => {
                site.stage.tell(format_args!(
                    "terminal {}: epoch {} from {fork:?}",
                    site.who, site.disk.epoch
                ));
                let (acked, head) = (self.outbox.acked, self.outbox.appended);
                self.uplink.machine.handle_forked(acked, head);
                self.uplink.forked_from = fork.filter(|_| !site.stage.has(Fault::ForkUntold));
                self.uplink.hello_at = None;
                self.uplink.gap = None;
                self.uplink.forks += 1;
                self.uplink.go(Step::TellEpoch, 1, site);
            }
        }
    }
}
