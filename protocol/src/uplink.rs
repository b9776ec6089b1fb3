//! The terminal's side of the exchange: what to send when, and what an answer means.
//!
//! One request is under way at a time. With events to send the next batch goes at once (after
//! [`UplinkConfig::linger`], so that a scan and its binding share a frame); with nothing to send the
//! terminal waits in a long poll, which a new event aborts. Failures back off; `slow down for` and a
//! refusal are obeyed.
//!
//! Use: feed `handle_*`, then call [`Uplink::poll_action`] until it returns `None`, then sleep until
//! [`Uplink::poll_timeout`].

use std::time::{Duration, Instant};

use crate::backoff::{Backoff, BackoffConfig, jitter};
use crate::chain::Mark;
use crate::exchange::{BATCH_EVENTS_MAX, Verdict};
use crate::ids::Seq;

/// Bounds of the uplink.
#[derive(Debug, Clone, Copy)]
pub struct UplinkConfig {
    /// Most events in one batch; at most [`BATCH_EVENTS_MAX`].
    pub events_max: usize,
    /// Most bytes of records in one batch; one record always goes.
    pub bytes_max: usize,
    /// How long the first event waits for company.
    pub linger: Duration,
    /// How long a poll may be held by central.
    pub poll_wait: Duration,
    /// How long an answer may take, on top of the poll's wait, before the attempt has failed.
    pub answer_timeout: Duration,
    /// How long a refused terminal waits before it asks again.
    pub refused_retry: Duration,
    /// Back-off after failures.
    pub backoff: BackoffConfig,
}

impl Default for UplinkConfig {
    fn default() -> Self {
        Self {
            events_max: 1_000,
            bytes_max: 1024 * 1024,
            linger: Duration::from_millis(20),
            poll_wait: Duration::from_secs(25),
            answer_timeout: Duration::from_secs(20),
            refused_retry: Duration::from_secs(60),
            backoff: BackoffConfig::default(),
        }
    }
}

/// What the shell is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Read events after this place, at most so many and so much, and send them.
    SendBatch {
        /// The place before the first event.
        after: Seq,
        /// Most events.
        events_max: usize,
        /// Most bytes of records, but always one record.
        bytes_max: usize,
    },
    /// Send a request without events that central may hold so long.
    SendPoll {
        /// How long central may hold it.
        wait: Duration,
    },
    /// Drop the poll under way: there is something to send.
    AbortPoll,
}

/// Why [`Uplink::poll_timeout`] wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The first event has waited for company long enough.
    Linger,
    /// A failure's delay is over.
    Backoff,
    /// Central's `slow down for` is over.
    SlowDown,
    /// A refused terminal may ask again.
    Refused,
    /// The request under way takes too long: drop it and call [`Uplink::handle_failure`].
    AnswerTimeout,
}

/// What an answer asks of the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Central has everything up to here: the outbox may forget it.
    Acknowledged(Mark),
    /// Move everything from this place on into the epoch that [`crate::chain::forked_epoch`] names,
    /// then call [`Uplink::handle_forked`]. Everything before it is acknowledged.
    Forked {
        /// First place that differs.
        at: Seq,
    },
    /// Central wants events from `from` on, which the outbox no longer holds: the next batch carries
    /// a gap notice for `from ..= to`.
    Gap {
        /// First missing place.
        from: Seq,
        /// Last missing place.
        to: Seq,
    },
}

/// State of the line, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// No exchange has succeeded yet in this run.
    Connecting,
    /// The last exchange succeeded.
    Online,
    /// The last attempts failed, so many in a row.
    Offline {
        /// Failures in a row.
        failures: u32,
    },
    /// Central refuses this identity.
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Sending { deadline: Instant },
    Polling { deadline: Instant },
    Waiting { until: Instant, why: Wake },
}

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
    line: Line,
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
        }
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
        self.state = State::Idle;
        self.more_pages = more_pages;
        match verdict {
            Verdict::Ok => {
                self.succeed();
                self.resend_after = match self.resend_after {
                    Some(_) if acked.seq < self.acked.seq => Some(acked.seq),
                    Some(_) | None => None,
                };
                if acked.seq > self.acked.seq && acked.seq <= self.head.seq {
                    self.acked = acked;
                    return Some(Outcome::Acknowledged(acked));
                }
                None
            }
            Verdict::Rewind { to } => {
                self.succeed();
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
                let least = Duration::from_millis(u64::from(*for_ms));
                self.wait(now, least + jitter(least / 2, entropy), Wake::SlowDown);
                None
            }
            Verdict::Refused { .. } => {
                self.line = Line::Refused;
                let delay = self.config.refused_retry;
                self.wait(now, delay + jitter(delay / 2, entropy), Wake::Refused);
                None
            }
        }
    }

    /// Takes note that the request under way failed or timed out.
    pub fn handle_failure(&mut self, now: Instant, entropy: u64) {
        self.abort_poll = false;
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

    /// Takes note that the line may be back (an interface came up, a technician asked): the next
    /// attempt goes at once.
    pub fn handle_line_hint(&mut self) {
        if let State::Waiting {
            why: Wake::Backoff, ..
        } = self.state
        {
            self.state = State::Idle;
        }
    }

    /// Takes note that the outbox began a new epoch.
    pub fn handle_forked(&mut self, acked: Mark, head: Mark) {
        self.acked = acked;
        self.head = head;
        self.resend_after = None;
        self.linger_until = None;
        self.more_pages = true;
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
        if self.has_unsent() {
            if !self.batch_is_due(now) {
                self.state = State::Idle;
                return None;
            }
            self.linger_until = None;
            self.state = State::Sending {
                deadline: now + self.config.answer_timeout,
            };
            return Some(Action::SendBatch {
                after: self.sent_up_to(),
                events_max: self.config.events_max,
                bytes_max: self.config.bytes_max,
            });
        }
        let wait = if self.more_pages {
            Duration::ZERO
        } else {
            self.config.poll_wait
        };
        self.state = State::Polling {
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
            State::Sending { deadline } => Some((deadline, Wake::AnswerTimeout)),
            State::Polling { deadline } => {
                let answer = (deadline, Wake::AnswerTimeout);
                match linger {
                    Some(l) if !self.abort_poll && l.0 < deadline => Some(l),
                    Some(_) | None => Some(answer),
                }
            }
        }
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

    fn wait(&mut self, now: Instant, delay: Duration, why: Wake) {
        self.state = State::Waiting {
            until: now + delay,
            why,
        };
    }
}

#[cfg(test)]
mod tests;
