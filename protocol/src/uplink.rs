//! The terminal's side of the exchange: what to send when, and what an answer means.
//!
//! One request is under way at a time. With events to send the next batch goes at once (after
//! [`UplinkConfig::linger`], so that a scan and its binding share a frame); with nothing to send the
//! terminal waits in a long poll, which a new event aborts. Failures back off; `slow down for` and a
//! refusal are obeyed.
//!
//! **A slow line.** A request that timed out or was too long is halved, and grows again while there is
//! time to spare, down to one event; so do the pages that come down. **Express:** while a backlog goes
//! up, each request shows copies of the binding requests that wait behind its batch, each once in a
//! run; [`Action::SendBatch`] says which. **Somebody at the till:** an event after a quiet time cuts a
//! back-off short. **Versions:** a central that is older is spoken to in its own version.
//!
//! **No loop without a pause.** An answer that changes nothing and asks again, whatever the reason, is
//! followed by a pause that grows: a rewind to where one led before, a batch that took central no
//! further, a page that could not be kept.
//!
//! Use: feed `handle_*`, then call [`Uplink::poll_action`] until it returns `None`, then sleep until
//! [`Uplink::poll_timeout`].

mod action;
mod config;
mod portion;
mod spoken;
mod state;

use std::time::{Duration, Instant};

use crate::backoff::{Backoff, jitter};
use crate::chain::Mark;
use crate::exchange::{BATCH_EVENTS_MAX, EXPRESS_MAX, Verdict, Versions};
use crate::ids::Seq;
pub use action::{Action, Line, Load, Outcome, Wake};
pub use config::UplinkConfig;
use portion::Portion;
pub use spoken::NEWER_RETRY;
use spoken::Spoken;
use state::State;

/// Smallest batch that a slow line leads to, in bytes of records: about one event.
const BATCH_BYTES_LEAST: u64 = 512;
/// Smallest page that a slow line leads to, in bytes.
const PAGE_BYTES_LEAST: u64 = 4 * 1024;
/// Largest page that a terminal asks for, in bytes; central's own bound is about as large.
const PAGE_BYTES_MOST: u64 = 512 * 1024;
/// Bytes of a batch that go with each express copy, so that these shrink along on a slow line.
const BYTES_PER_EXPRESS: u64 = 512;
/// An event after so long without one tells that somebody is at the till.
const QUIET: Duration = Duration::from_secs(10);
/// Least time between two back-offs that such an event cuts short: as long as the longest back-off, so
/// that a fleet whose central is down asks at most twice as often.
const HINT_EVERY: Duration = Duration::from_secs(30);
/// After so many failures in a row central may be another one, and the newest version is tried again.
const OUTAGE_FAILURES: u32 = 3;
/// Longest `slow down for` that is obeyed: a central that errs must not silence a till for weeks.
const SLOW_DOWN_MAX: Duration = Duration::from_secs(10 * 60);
/// The first version with express copies and short pages.
const EXPRESS_SINCE: u16 = 2;

/// The machine.
#[derive(Debug)]
pub struct Uplink {
    config: UplinkConfig,
    acked: Mark,
    head: Mark,
    /// Central wants events from here on, though they were acknowledged once.
    resend_after: Option<Seq>,
    state: State,
    linger_until: Option<Instant>,
    more_pages: bool,
    abort_poll: bool,
    backoff: Backoff,
    /// Answers of late that changed nothing and asked again.
    stalls: Backoff,
    /// Where the last rewind led.
    rewound: Option<Seq>,
    /// How far central had come by its last answer.
    heard: Option<Seq>,
    line: Line,
    batch: Portion,
    page: Portion,
    spoken: Spoken,
    load: Load,
    shown: Seq,
    appended_at: Option<Instant>,
    hinted_at: Option<Instant>,
}

impl Uplink {
    /// Starts with what the outbox has.
    pub fn new(config: UplinkConfig, acked: Mark, head: Mark) -> Self {
        let config = UplinkConfig {
            events_max: config.events_max.clamp(1, BATCH_EVENTS_MAX),
            ..config
        };
        Self {
            backoff: Backoff::new(config.backoff),
            stalls: Backoff::new(config.backoff),
            rewound: None,
            heard: None,
            config,
            acked,
            head,
            resend_after: None,
            state: State::Idle,
            linger_until: None,
            // The first exchange of a run must not be held: it tells central how the terminal is.
            more_pages: true,
            abort_poll: false,
            line: Line::Connecting,
            batch: Portion::new(BATCH_BYTES_LEAST, config.bytes_max as u64),
            page: Portion::new(PAGE_BYTES_LEAST, PAGE_BYTES_MOST),
            spoken: Spoken::new(),
            load: Load::default(),
            shown: Seq::ZERO,
            appended_at: None,
            hinted_at: None,
        }
    }

    /// Returns the version to write the next request in.
    pub fn version(&self) -> u16 {
        self.spoken.version()
    }

    /// Returns the longest page to ask for with the next request; 0 leaves it to central.
    pub fn page_bytes(&self) -> u32 {
        if self.page.is_most() || self.version() < EXPRESS_SINCE {
            return 0;
        }
        u32::try_from(self.page.bytes()).unwrap_or(u32::MAX)
    }

    /// Returns what central has acknowledged.
    pub fn acked(&self) -> Mark {
        self.acked
    }

    /// Returns the newest event that is known here.
    pub fn head(&self) -> Mark {
        self.head
    }

    /// Returns the state of the line.
    pub fn line(&self) -> Line {
        self.line
    }

    /// Takes note that events became durable.
    pub fn handle_appended(&mut self, head: Mark, now: Instant) {
        if head.seq <= self.head.seq {
            return;
        }
        let had_nothing = !self.has_unsent();
        self.head = head;
        if had_nothing {
            self.linger_until = Some(now + self.config.linger);
        }
        let passed = |since: Option<Instant>, least| {
            since.is_none_or(|at| now.saturating_duration_since(at) >= least)
        };
        if passed(self.appended_at.replace(now), QUIET)
            && passed(self.hinted_at, HINT_EVERY)
            && self.state.waits_for(Wake::Backoff)
            && matches!(self.line, Line::Offline { .. })
        {
            self.hinted_at = Some(now);
            self.state = State::Idle;
        }
    }

    /// Takes note of what the request carries that [`Action::SendBatch`] asked for.
    pub fn handle_sent(&mut self, load: Load) {
        self.load = load;
    }

    /// Takes the answer of the request under way. `oldest` is the lowest place whose event the outbox
    /// still holds (the place after the newest if it holds none); `more_pages` tells whether the
    /// replica's next page waits at central.
    pub fn handle_answer(
        &mut self,
        verdict: &Verdict,
        acked: Mark,
        more_pages: bool,
        oldest: Seq,
        now: Instant,
        entropy: u64,
    ) -> Option<Outcome> {
        self.abort_poll = false;
        let took = self.state.took(now);
        let was_sending = matches!(self.state, State::Sending { .. });
        self.state = State::Idle;
        self.more_pages = more_pages;
        let load = std::mem::take(&mut self.load);
        match verdict {
            Verdict::Ok => {
                self.succeed();
                let allowed = self.config.answer_timeout;
                self.batch.handle_fit(load.bytes as u64, took, allowed);
                if more_pages {
                    self.page.handle_fit(self.page.bytes(), took, allowed);
                }
                self.shown = self.shown.max(load.express_to.unwrap_or(Seq::ZERO));
                self.resend_after = match self.resend_after {
                    Some(_) if acked.seq < self.acked.seq => Some(acked.seq),
                    Some(_) | None => None,
                };
                let before = self.heard.replace(acked.seq);
                if acked.seq > self.acked.seq && acked.seq <= self.head.seq {
                    self.acked = acked;
                    self.stalls.handle_success();
                    return Some(Outcome::Acknowledged(acked));
                }
                if was_sending && before.is_some_and(|before| acked.seq <= before) {
                    self.stall(now, entropy);
                } else if took >= QUIET {
                    self.stalls.handle_success();
                }
                None
            }
            Verdict::Rewind { to } => {
                self.succeed();
                self.heard = Some(to.before());
                let before = self.rewound.replace(*to);
                if before.is_some_and(|before| *to <= before) {
                    self.stall(now, entropy);
                }
                // A central that lost events has lost what it was shown as well.
                self.shown = Seq::ZERO;
                self.linger_until = None;
                let after = to.before();
                if after > self.head.seq {
                    // Central counts further than this terminal: it will say `fork` once it sees
                    // the head, and must not be asked in a tight loop until then.
                    self.wait(now, self.backoff_delay(entropy), Wake::Backoff);
                    return None;
                }
                if *to < oldest {
                    self.resend_after = Some(oldest.before());
                    return Some(Outcome::Gap {
                        from: *to,
                        to: oldest.before(),
                    });
                }
                self.resend_after = Some(after);
                None
            }
            Verdict::Fork { at } => {
                self.succeed();
                // Nothing goes until the outbox has moved: the shell calls `handle_forked`.
                self.wait(now, self.config.refused_retry, Wake::Backoff);
                Some(Outcome::Forked { at: *at })
            }
            Verdict::SlowDown { for_ms } => {
                self.succeed();
                let least = Duration::from_millis(u64::from(*for_ms)).min(SLOW_DOWN_MAX);
                self.wait(now, least + jitter(least / 2, entropy), Wake::SlowDown);
                None
            }
            Verdict::Refused { .. } => {
                self.handle_refused(now, entropy);
                None
            }
        }
    }

    /// Takes note, after [`Self::handle_answer`], that what came along with the answer could not be kept:
    /// central would send it again at once.
    pub fn handle_unkept(&mut self, now: Instant, entropy: u64) {
        if self.state == State::Idle {
            self.stall(now, entropy);
        }
    }

    /// Takes note that the request under way failed.
    pub fn handle_failure(&mut self, now: Instant, entropy: u64) {
        self.back_off(now, entropy);
        if self.backoff.failures() == OUTAGE_FAILURES {
            self.spoken.handle_outage();
        }
    }

    /// Takes note that the request under way was dropped at its [`Wake::AnswerTimeout`]: the next one
    /// asks less of the line.
    pub fn handle_timeout(&mut self, now: Instant, entropy: u64) {
        if matches!(self.state, State::Sending { .. }) {
            self.batch.handle_too_much(self.load.bytes as u64);
        }
        self.page.handle_too_much(self.page.bytes());
        self.handle_failure(now, entropy);
    }

    /// Takes note that central, or something before it, found the request too long.
    pub fn handle_too_large(&mut self, now: Instant, entropy: u64) {
        let smaller = self.batch.handle_too_much(self.load.bytes as u64);
        self.handle_failure(now, entropy);
        if smaller {
            self.state = State::Idle;
        }
    }

    /// Takes note that central does not read the version spoken; `theirs` is what it reads, if it said
    /// so. Returns whether another version will be tried; otherwise this terminal is refused until one
    /// of the two is updated.
    pub fn handle_version_refused(
        &mut self,
        theirs: Option<Versions>,
        now: Instant,
        entropy: u64,
    ) -> bool {
        if self.spoken.handle_refused(theirs, now) {
            self.back_off(now, entropy);
            return true;
        }
        self.handle_refused(now, entropy);
        false
    }

    /// Takes note that central refuses this terminal.
    pub fn handle_refused(&mut self, now: Instant, entropy: u64) {
        self.abort_poll = false;
        self.load = Load::default();
        self.line = Line::Refused;
        let delay = self.config.refused_retry;
        self.wait(now, delay + jitter(delay / 2, entropy), Wake::Refused);
    }

    fn back_off(&mut self, now: Instant, entropy: u64) {
        self.abort_poll = false;
        self.load = Load::default();
        let delay = self.backoff.handle_failure(entropy);
        self.line = Line::Offline {
            failures: self.backoff.failures(),
        };
        self.wait(now, delay, Wake::Backoff);
    }

    /// Takes note that the poll was dropped after [`Action::AbortPoll`].
    pub fn handle_aborted(&mut self) {
        if matches!(self.state, State::Polling { .. }) {
            self.state = State::Idle;
        }
        self.abort_poll = false;
    }

    /// Takes note that the outbox began a new epoch.
    pub fn handle_forked(&mut self, acked: Mark, head: Mark) {
        self.acked = acked;
        self.head = head;
        self.resend_after = None;
        self.linger_until = None;
        self.shown = Seq::ZERO;
        self.more_pages = true;
        self.rewound = None;
        self.heard = None;
        self.state = State::Idle;
    }

    /// Returns the next thing to do.
    pub fn poll_action(&mut self, now: Instant) -> Option<Action> {
        match self.state {
            State::Waiting { until, .. } if now < until => return None,
            State::Sending { .. } => return None,
            State::Polling { .. } => {
                if self.abort_poll || !self.batch_is_due(now) {
                    return None;
                }
                self.abort_poll = true;
                return Some(Action::AbortPoll);
            }
            State::Waiting { .. } | State::Idle => {}
        }
        self.spoken.handle_time(now);
        if self.has_unsent() {
            if !self.batch_is_due(now) {
                self.state = State::Idle;
                return None;
            }
            self.linger_until = None;
            self.state = State::Sending {
                began: now,
                deadline: now + self.config.answer_timeout,
            };
            let bytes_max = usize::try_from(self.batch.bytes()).unwrap_or(usize::MAX);
            self.load = Load {
                bytes: bytes_max,
                express_to: None,
            };
            return Some(Action::SendBatch {
                after: self.sent_up_to(),
                events_max: self.config.events_max,
                bytes_max,
                express_after: self.shown,
                express_max: self.express_max(),
            });
        }
        let wait = if self.more_pages {
            Duration::ZERO
        } else {
            self.config.poll_wait
        };
        self.state = State::Polling {
            began: now,
            deadline: now + wait + self.config.answer_timeout,
        };
        Some(Action::SendPoll { wait })
    }

    /// Returns when to come back if nothing happens, and why; always after `poll_action` returned
    /// `None`.
    pub fn poll_timeout(&self) -> Option<(Instant, Wake)> {
        let linger = self
            .linger_until
            .filter(|_| self.has_unsent())
            .map(|t| (t, Wake::Linger));
        match self.state {
            State::Idle => linger,
            State::Waiting { until, why } => Some((until, why)),
            State::Sending { deadline, .. } => Some((deadline, Wake::AnswerTimeout)),
            State::Polling { deadline, .. } => {
                let answer = (deadline, Wake::AnswerTimeout);
                match linger {
                    Some(l) if !self.abort_poll && l.0 < deadline => Some(l),
                    Some(_) | None => Some(answer),
                }
            }
        }
    }

    fn express_max(&self) -> usize {
        if self.version() < EXPRESS_SINCE {
            return 0;
        }
        let most = usize::try_from(self.batch.bytes() / BYTES_PER_EXPRESS);
        most.unwrap_or(EXPRESS_MAX).clamp(1, EXPRESS_MAX)
    }

    fn sent_up_to(&self) -> Seq {
        self.resend_after.unwrap_or(self.acked.seq)
    }

    fn has_unsent(&self) -> bool {
        self.sent_up_to() < self.head.seq
    }

    fn batch_is_due(&self, now: Instant) -> bool {
        self.has_unsent() && self.linger_until.is_none_or(|until| now >= until)
    }

    fn succeed(&mut self) {
        self.backoff.handle_success();
        self.line = Line::Online;
    }

    fn backoff_delay(&self, entropy: u64) -> Duration {
        self.config.backoff.base + jitter(self.config.backoff.base, entropy)
    }

    /// Pauses, the longer the more often of late.
    fn stall(&mut self, now: Instant, entropy: u64) {
        let delay = self.config.backoff.base + self.stalls.handle_failure(entropy);
        self.wait(now, delay, Wake::Backoff);
    }

    fn wait(&mut self, now: Instant, delay: Duration, why: Wake) {
        self.state = State::Waiting {
            until: now + delay,
            why,
        };
    }
}

#[cfg(test)]
mod tests;
