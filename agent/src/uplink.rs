//! The shell around [`tillbind_protocol::uplink`]: reads the outbox, talks to central, writes what comes
//! back.
//!
//! `cut` takes a request's share out of the outbox, `ahead` does so before its turn, and `request` writes
//! the rest around it; `line` is the HTTP; `trouble` says what a failure leads to: a smaller request,
//! central's own version, a back-off.
//!
//! One task per identity owns the machine and the replica's cursor. It ends when the agent stops or the
//! identity is another; whoever started it then starts it anew.

mod ahead;
mod cut;
mod dictionary;
mod fork;
pub(crate) mod line;
pub mod packing;
mod request;
mod status;
#[cfg(test)]
mod tests;
mod trouble;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tillbind_protocol::clock::Sample;
use tillbind_protocol::exchange::{ExchangeResponse, Fork, Verdict};
use tillbind_protocol::ids::Seq;
use tillbind_protocol::replica::{Cursor, PageVerdict, ReplicaCursor};
use tillbind_protocol::uplink::{Action, Outcome, Uplink, UplinkConfig, Wake};
use tokio::sync::{mpsc, watch};

use crate::clock::{self, CentralClock};
use crate::config::UplinkSettings;
use crate::downlink;
use crate::event::Event;
use crate::identity::enrolment::Machine;
use crate::identity::tls::TlsError;
use crate::identity::{Identity, SuspectTime};
use crate::members::{MembersError, Replica};
use crate::outbox::{Outbox, Pressure};
use ahead::Ahead;
use cut::{Cut, CutError, Gap, Wanted, cut, show, told};
use fork::kept_fork;
use line::{Answer, Line, LineError};
use packing::KeptDictionary;
pub use status::{LineCounts, LineStatus};

/// Most bytes of records in one batch: a quarter of what central takes, which leaves room for the
/// longest record and the request around it.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// How often central is told how the terminal is.
const HELLO_EVERY: Duration = Duration::from_secs(300);
/// How much later than the machine the HTTP client gives up: it only guards against a lost timer.
const TIMEOUT_SLACK: Duration = Duration::from_secs(90);

/// What the task works on.
#[derive(Debug, Clone)]
pub struct Reach {
    /// Bounds.
    pub settings: UplinkSettings,
    /// The durable queue.
    pub outbox: Outbox,
    /// The member data.
    pub replica: Replica,
    /// Where the compression dictionary is kept.
    pub dictionary: KeptDictionary,
    /// The machine's fingerprint and the agent's version.
    pub machine: Machine,
    /// Where key sets, verdicts and clock samples go.
    pub events: mpsc::Sender<Event>,
    /// Where the line's state goes.
    pub status: watch::Sender<LineStatus>,
    /// Central's clock, as the owner of the state has it.
    pub clock_offset: watch::Receiver<Option<CentralClock>>,
}

/// Why the task ended.
#[derive(Debug, thiserror::Error)]
pub enum UplinkError {
    /// The identity cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The replica cannot be read.
    #[error(transparent)]
    Members(#[from] MembersError),
    /// The outbox is closed.
    #[error("the outbox is closed")]
    Stopped,
}

/// What became of the member data that an answer brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MemberData {
    /// All that there is now is here.
    Complete,
    /// The next page waits at central.
    More,
    /// It could not be kept and would come again.
    NotKept,
}

type Exchange = Pin<Box<dyn Future<Output = Result<Answer, LineError>> + Send>>;

struct Task {
    reach: Reach,
    line: Line,
    machine: Uplink,
    cursor: ReplicaCursor,
    keys_version: u32,
    gap: Option<Gap>,
    forked_from: Option<Fork>,
    hello_at: Option<std::time::Instant>,
    /// Version of the last hello that arrived and how the disk was in it; the same of the one under way.
    told: Option<(u16, Pressure)>,
    telling: Option<(u16, Pressure)>,
    ahead: Option<Ahead>,
}

/// Exchanges with central until `stop` turns true or its sender is gone.
///
/// # Errors
/// [`UplinkError`] when it cannot begin or go on.
pub async fn run(
    reach: Reach,
    identity: &Identity,
    keys_version: u32,
    mut stop: watch::Receiver<bool>,
) -> Result<(), UplinkError> {
    let settings = reach.settings;
    let config = UplinkConfig {
        events_max: settings.batch_events_max,
        bytes_max: BATCH_BYTES_MAX,
        linger: settings.linger,
        poll_wait: settings.poll_wait,
        answer_timeout: settings.answer_timeout,
        refused_retry: settings.refused_retry,
        backoff: settings.backoff,
    };
    let mut appended = reach.outbox.watch_appended();
    let cursor = Cursor(reach.replica.cursor()?.unwrap_or_default());
    let mut task = Task {
        line: Line::new(identity, SuspectTime::of(reach.clock_offset.clone()))?,
        machine: Uplink::new(config, reach.outbox.acked(), reach.outbox.appended()),
        cursor: ReplicaCursor::new(cursor),
        keys_version,
        gap: None,
        forked_from: kept_fork(&reach.replica, reach.outbox.epoch())?,
        hello_at: None,
        told: None,
        telling: None,
        ahead: None,
        reach,
    };
    task.show(|_| {});
    task.line.set_packer(task.kept_packer().await?);
    let mut under_way: Option<Exchange> = None;
    loop {
        let now = clock::monotonic();
        while let Some(action) = task.machine.poll_action(now) {
            match task.begin(action).await {
                Ok(Some(exchange)) => under_way = Some(exchange),
                Ok(None) => {
                    under_way = None;
                    task.machine.handle_aborted();
                }
                Err(CutError::Stopped) => return Err(UplinkError::Stopped),
                Err(error) => task.fail(&error.to_string()),
            }
        }
        let timeout = task.machine.poll_timeout();
        tokio::select! {
            answer = until_done(&mut under_way) => {
                under_way = None;
                match answer {
                    Ok(answer) => task.take(answer).await?,
                    Err(error) => {
                        if let LineError::Dictionary { is_known, .. } = &error {
                            task.forget_dictionary(*is_known).await?;
                        }
                        task.take_error(&error);
                    }
                }
            }
            changed = appended.changed() => {
                if changed.is_err() {
                    return Err(UplinkError::Stopped);
                }
                let head = *appended.borrow_and_update();
                task.machine.handle_appended(head, clock::monotonic());
            }
            () = until(timeout) => {
                if let Some((_, Wake::AnswerTimeout)) = timeout && under_way.take().is_some() {
                    let (now, entropy) = (clock::monotonic(), draw());
                    task.machine.handle_timeout(now, entropy);
                    task.failed("headquarters took too long to answer");
                }
            }
            () = stopped(&mut stop) => return Ok(()),
        }
    }
}

/// Waits for the stop; a sender that is gone is one too.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _told = stop.wait_for(|stop| *stop).await.is_ok();
}

async fn until_done(under_way: &mut Option<Exchange>) -> Result<Answer, LineError> {
    match under_way {
        Some(exchange) => exchange.await,
        None => std::future::pending().await,
    }
}

async fn until(timeout: Option<(std::time::Instant, Wake)>) {
    match timeout {
        Some((at, _)) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

impl Task {
    /// Begins what the machine asks for; none for an abort.
    async fn begin(&mut self, action: Action) -> Result<Option<Exchange>, CutError> {
        let (cut, wait) = match action {
            Action::AbortPoll => return Ok(None),
            Action::SendBatch {
                after,
                events_max,
                bytes_max,
                express_after,
                express_max,
            } => {
                let wanted = Wanted {
                    after,
                    events_max,
                    bytes_max,
                    express_after,
                    express_max,
                    version: self.machine.version(),
                    gap: self.gap.clone(),
                };
                let cut = self.cut(wanted).await?;
                self.machine.handle_sent(cut.load);
                (cut, Duration::ZERO)
            }
            Action::SendPoll { wait } => match self.gap.clone() {
                None => (Cut::default(), wait),
                Some(gap) => {
                    let outbox = self.reach.outbox.clone();
                    let read = tokio::task::spawn_blocking(move || told(&outbox, &gap));
                    (read.await.map_err(|_| CutError::Stopped)??, wait)
                }
            },
        };
        if cut.tells_of_gaps() {
            self.show(|status| status.counts.gaps += 1);
        }
        let version = self.machine.version();
        let would_tell = (version, self.reach.outbox.stats().pressure);
        self.telling = self.hello_is_due(would_tell).then_some(would_tell);
        let hello = self.telling.map(|_| {
            let offset = self
                .reach
                .clock_offset
                .borrow()
                .map(|known| known.offset_ms);
            request::hello(
                version,
                &self.reach.outbox,
                &self.reach.machine,
                offset,
                self.forked_from,
            )
        });
        let request = request::exchange(
            &self.reach.outbox,
            cut,
            request::Frame {
                version,
                cursor: self.cursor.durable().clone(),
                keys: self.keys_version,
                page_bytes: self.machine.page_bytes(),
                wait,
                at_ms: clock::wall().timestamp_millis(),
                hello,
            },
        );
        let timeout = wait + self.reach.settings.answer_timeout + TIMEOUT_SLACK;
        Ok(Some(Box::pin(self.line.clone().exchange(request, timeout))))
    }

    /// Cuts what is wanted, and begins to cut what is likely to be wanted next.
    async fn cut(&mut self, wanted: Wanted) -> Result<Cut, CutError> {
        let outbox = self.reach.outbox.clone();
        let ahead = match self.ahead.take() {
            Some(ahead) => ahead.take(outbox.epoch(), &wanted).await,
            None => None,
        };
        let read = tokio::task::spawn_blocking(move || {
            let cut = match ahead {
                Some(mut cut) => show(&outbox, &wanted, &mut cut).map(|()| cut),
                None => cut(&outbox, &wanted),
            };
            cut.map(|cut| (cut, wanted))
        });
        let (cut, wanted) = read.await.map_err(|_| CutError::Stopped)??;
        self.ahead = Ahead::begin(&self.reach.outbox, &wanted, &cut);
        Ok(cut)
    }

    /// Whether headquarters is to hear how the terminal is: now and then, when the disk changed, and when
    /// another version has other words for it.
    fn hello_is_due(&self, would_tell: (u16, Pressure)) -> bool {
        let now = clock::monotonic();
        let is_old = |at| now.saturating_duration_since(at) >= HELLO_EVERY;
        self.told != Some(would_tell) || self.hello_at.is_none_or(is_old)
    }

    async fn take(&mut self, answer: Answer) -> Result<(), UplinkError> {
        let Answer {
            response,
            sent,
            arrived,
            received,
        } = answer;
        let sample = Sample {
            sent,
            received: arrived,
            central_received_ms: response.received_ms,
            central_sent_ms: response.sent_ms,
        };
        self.tell(Event::Clock(sample)).await;
        let refused = match &response.verdict {
            Verdict::Refused { reason } => Some(reason.clone()),
            Verdict::Ok => {
                if let Some(told) = self.telling.take() {
                    self.told = Some(told);
                    self.hello_at = Some(received);
                }
                self.gap = None;
                None
            }
            Verdict::Rewind { .. } => {
                // A central that asks for what it lost has forgotten the rest as well.
                self.hello_at = None;
                None
            }
            Verdict::Fork { .. } | Verdict::SlowDown { .. } => None,
        };
        if let Some(dictionary) = &response.dictionary {
            self.take_dictionary(dictionary.clone()).await?;
        }
        let data = self.take_member_data(&response).await;
        let oldest = self.oldest();
        let outcome = self.machine.handle_answer(
            &response.verdict,
            response.acked,
            data == MemberData::More,
            oldest,
            received,
            draw(),
        );
        if !matches!(outcome, Some(Outcome::Acknowledged(_))) {
            self.ahead = None;
        }
        if data == MemberData::NotKept {
            self.machine.handle_unkept(clock::monotonic(), draw());
        }
        match outcome {
            None => {}
            Some(Outcome::Acknowledged(mark)) => {
                let outbox = self.reach.outbox.clone();
                let acked = blocking(move || outbox.acknowledge(mark)).await?;
                if let Err(error) = acked {
                    tracing::error!(%error, "an acknowledgement could not be taken");
                }
            }
            Some(Outcome::Gap { from, to }) => {
                tracing::warn!(%from, %to, "headquarters wants events that are no longer kept");
                self.gap = Some(Gap { from, to });
            }
            Some(Outcome::Forked { at }) => self.fork(at).await?,
        }
        let now_ms = clock::wall().timestamp_millis();
        self.show(|status| {
            status.counts.answers += 1;
            match &response.verdict {
                Verdict::Rewind { .. } => status.counts.rewinds += 1,
                Verdict::SlowDown { .. } => status.counts.slow_downs += 1,
                Verdict::Refused { .. } => status.counts.refusals += 1,
                Verdict::Ok | Verdict::Fork { .. } => {}
            }
            status.last_exchange_ms = Some(now_ms);
            status.last_error = refused.map(|r| format!("headquarters refuses this terminal: {r}"));
        });
        Ok(())
    }

    /// Writes a page and key set that came along.
    async fn take_member_data(&mut self, response: &ExchangeResponse) -> MemberData {
        if let Some(keys) = &response.keys
            && keys.version != self.keys_version
        {
            self.keys_version = keys.version;
            self.tell(Event::Keys(keys.clone())).await;
        }
        let Some(page) = &response.page else {
            self.show(|status| status.replica_complete = true);
            return MemberData::Complete;
        };
        let reset = match self.cursor.handle_page(page) {
            PageVerdict::Ignore if page.from == *self.cursor.durable() && !page.more => {
                return MemberData::Complete;
            }
            // Whatever central has in mind: to ask again leads nowhere.
            PageVerdict::Ignore => return MemberData::NotKept,
            PageVerdict::Apply => false,
            PageVerdict::ResetAndApply => true,
        };
        let (replica, page, more) = (self.reach.replica.clone(), page.clone(), page.more);
        match blocking(move || downlink::apply(&replica, page, reset)).await {
            Ok(Ok(verdicts)) => {
                self.cursor.handle_durable();
                let now_ms = clock::wall().timestamp_millis();
                self.show(|status| {
                    status.replica_ms = Some(now_ms);
                    status.replica_complete = !more;
                });
                if !verdicts.is_empty() {
                    self.tell(Event::Verdicts(verdicts)).await;
                }
                if more {
                    MemberData::More
                } else {
                    MemberData::Complete
                }
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "member data could not be written; it is asked for again");
                self.cursor.handle_failed();
                MemberData::NotKept
            }
            Err(_) => {
                self.cursor.handle_failed();
                MemberData::NotKept
            }
        }
    }

    fn oldest(&self) -> Seq {
        let outbox = &self.reach.outbox;
        outbox
            .stats()
            .oldest
            .unwrap_or_else(|| outbox.appended().seq.next())
    }

    fn show(&self, change: impl FnOnce(&mut LineStatus)) {
        let state = self.machine.line();
        self.reach.status.send_modify(|status| {
            status.state = Some(state);
            change(status);
        });
    }

    async fn tell(&self, event: Event) {
        if self.reach.events.send(event).await.is_err() {
            tracing::debug!("the owner of the state is gone");
        }
    }
}

fn draw() -> u64 {
    u64::from_le_bytes(clock::random())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, UplinkError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| UplinkError::Stopped)
}
