//! The shell around [`Admission`]: asks it for each request, and wakes whoever has its turn.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tillbind_protocol::ids::TerminalId;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::admission::{Admission, Limits, Load, Ticket};
use crate::clock::monotonic;
use crate::metrics::Metrics;

/// Bodies on their way or waiting, for each exchange at work.
const SENDING_PER_TURN: usize = 64;
/// Longest wait for a turn: well within a terminal's patience for an answer.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(2);

/// What a door lets in at once.
pub(crate) fn limits(turns: usize, body_bytes_max: usize) -> Limits {
    Limits {
        turns,
        sending: turns.saturating_mul(SENDING_PER_TURN),
        bytes: body_bytes_max,
        wait: WAIT_MAX,
    }
}

/// Where requests come in.
#[derive(Debug)]
pub struct Door {
    limits: Limits,
    inside: Mutex<Inside>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Inside {
    admission: Admission<TerminalId>,
    waiting: HashMap<Ticket, oneshot::Sender<()>>,
}

/// A request that was let in, until it is dropped.
#[derive(Debug)]
pub(super) struct Pass {
    door: Arc<Door>,
    ticket: Ticket,
    turn_since: Option<Instant>,
}

impl Door {
    /// Opens a door.
    pub fn new(limits: Limits, metrics: Arc<Metrics>) -> Self {
        let inside = Inside {
            admission: Admission::new(limits),
            waiting: HashMap::new(),
        };
        Self {
            limits,
            inside: Mutex::new(inside),
            metrics,
        }
    }

    /// Returns what it lets in at once.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns where it counts.
    pub(super) fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Returns how much is going on behind it.
    pub fn load(&self) -> Load {
        self.inside().admission.load()
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // The machine holds no state that a panic elsewhere could have left half done.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks to send a body of so many bytes.
    ///
    /// # Errors
    /// How long to stay away.
    pub(super) fn ask(self: &Arc<Self>, who: TerminalId, bytes: usize) -> Result<Pass, Duration> {
        let asked = self.inside().admission.handle_ask(who, bytes, monotonic());
        match asked {
            Ok(ticket) => Ok(Pass {
                door: Arc::clone(self),
                ticket,
                turn_since: None,
            }),
            Err(delay) => {
                self.metrics.exchange.slowed_asked.count();
                Err(delay)
            }
        }
    }
}

impl Inside {
    /// Wakes everybody whose turn it is. Who went away meanwhile gives its turn back when its pass is
    /// dropped.
    fn give_turns(&mut self, now: Instant) {
        while let Some(ticket) = self.admission.poll_turn(now) {
            if let Some(caller) = self.waiting.remove(&ticket) {
                let _heard = caller.send(());
            }
        }
    }
}

impl Pass {
    /// Waits for its turn, now that its body is there.
    ///
    /// # Errors
    /// How long to stay away, if it had to wait for too long.
    pub(super) async fn turn(&mut self) -> Result<(), Duration> {
        let (sender, called) = oneshot::channel();
        {
            let mut inside = self.door.inside();
            inside.waiting.insert(self.ticket, sender);
            inside.admission.handle_sent(self.ticket);
            inside.give_turns(monotonic());
        }
        let waited = timeout(self.door.limits.wait, called).await;
        if waited.is_err()
            && let Some(delay) = self.give_up()
        {
            return Err(delay);
        }
        self.turn_since = Some(monotonic());
        Ok(())
    }

    /// Leaves without a turn; `None` if the turn has come meanwhile.
    pub(super) fn give_up(&mut self) -> Option<Duration> {
        let mut inside = self.door.inside();
        let delay = inside.admission.handle_overdue(self.ticket, monotonic())?;
        inside.waiting.remove(&self.ticket);
        drop(inside);
        self.door.metrics.exchange.slowed_overdue.count();
        Some(delay)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let now = monotonic();
        let mut inside = self.door.inside();
        inside.waiting.remove(&self.ticket);
        inside.admission.handle_end(self.ticket, now);
        inside.give_turns(now);
        drop(inside);
        if let Some(since) = self.turn_since {
            let took = now.saturating_duration_since(since);
            self.door.metrics.exchange.turns.observe(took);
        }
    }
}
