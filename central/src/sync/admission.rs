//! Who may come in, and when: twenty thousand terminals may return at once, and central must neither
//! drown nor forget one of them.
//!
//! A request goes through three doors. It **asks** before its body is read; whoever cannot be served
//! soon is told to slow down there, so that no byte of it is held. Whoever may **send** has room for
//! its body reserved; a slow line holds that room and nothing else. When the body is there it **waits**
//! for a turn at the database; when it has its **turn** it is inflated, read and taken.
//!
//! | bound | effect |
//! |---|---|
//! | [`Limits::turns`] | exchanges at work, and with them inflated bodies and database connections |
//! | [`Limits::sending`] | bodies on their way or waiting; beyond: `slow_down` |
//! | [`Limits::bytes`] | bytes of those bodies, as they announced themselves; beyond: `slow_down` |
//! | [`Limits::wait`] | longest wait for a turn; whoever would wait longer: `slow_down` |
//! | [`OWED_MAX`], [`OWED_FOR`] | terminals that are remembered as told off, and how long |
//!
//! **Fair.** Whoever is told to slow down gets an appointment: delays are handed out one after another
//! at the pace at which exchanges have been served, so that the crowd comes back as a queue. Since when
//! a terminal has been asking is remembered; on its return it goes before everybody who began to ask
//! later, and a share of every bound ([`FRESH_SHARE`]) is kept for such as it. A terminal that was
//! served starts anew at the end, however long its backlog: nobody's second batch goes before
//! anybody's first.
//!
//! **Small ones** (a poll, a scan, a binding; [`SMALL_BYTES`]) have turns and room that backlogs may not
//! take ([`SMALL_SHARE`]), and go first, but for one backlog after every [`SMALL_IN_A_ROW`] of them.
//!
//! The machine is synchronous and owns no clock, task or socket. Use: [`Admission::handle_ask`], then
//! [`Admission::handle_sent`], then wait until [`Admission::poll_turn`] names the ticket; whoever is not
//! named within [`Limits::wait`] calls [`Admission::handle_overdue`]; all end with
//! [`Admission::handle_end`], wherever they were.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// A body up to this length, as announced, is a small one.
pub const SMALL_BYTES: usize = 16 * 1024;
/// One of so many turns, bodies and bytes is for small requests alone.
pub const SMALL_SHARE: usize = 4;
/// So many small requests may pass a waiting backlog in a row.
pub const SMALL_IN_A_ROW: u32 = 4;
/// Of bodies and bytes, so many of [`SHARES`] are for whoever was not told off before.
pub const FRESH_SHARE: usize = 3;
/// See [`FRESH_SHARE`].
pub const SHARES: usize = 4;
/// Most terminals that are remembered as told off; beyond, the one that began to ask last is
/// forgotten, and queues as if it had not asked.
pub const OWED_MAX: usize = 50_000;
/// How long a terminal is remembered after its appointment.
pub const OWED_FOR: Duration = Duration::from_secs(600);
/// Shortest time that a terminal is told to stay away.
pub const DELAY_MIN: Duration = Duration::from_millis(500);
/// Longest time that a terminal is told to stay away: a wrong guess of the pace costs no more.
pub const DELAY_MAX: Duration = Duration::from_secs(120);
/// What a turn is taken to last before any was measured.
const SERVICE_GUESS: Duration = Duration::from_millis(20);
/// One measured turn moves the average by one part in so many.
const SERVICE_MEMORY: u32 = 16;
/// Appointments are made for so many percent of what can be served: terminals add up to half to
/// their delay, so that fewer than were told come early.
const BOOKED_PERCENT: u32 = 125;

/// What may be going on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Exchanges at work with the database.
    pub turns: usize,
    /// Bodies on their way in or waiting for a turn.
    pub sending: usize,
    /// Bytes of those bodies.
    pub bytes: usize,
    /// Longest wait for a turn.
    pub wait: Duration,
}

/// Names a request that was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// How much is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Exchanges at work.
    pub working: usize,
    /// Requests whose body is there and that wait for their turn.
    pub waiting: usize,
    /// Bodies on their way in.
    pub sending: usize,
    /// Bytes that bodies have announced or hold.
    pub bytes: usize,
    /// Terminals that were told to slow down and have not been served since.
    pub owed: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Small,
    Large,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Sending,
    Waiting,
    Working { since: Instant },
}

#[derive(Debug)]
struct Guest<K> {
    who: K,
    asks_since: Instant,
    bytes: usize,
    weight: Weight,
    stage: Stage,
}

#[derive(Debug, Clone, Copy)]
struct Debt {
    /// What it was told off with: a poll that comes in meanwhile pays no backlog's debt.
    weight: Weight,
    asks_since: Instant,
    until: Instant,
}

/// What is told apart by weight.
#[derive(Debug)]
struct Lane {
    /// Bodies on their way in.
    sending: usize,
    /// Whoever waits for a turn, whoever began to ask first going first.
    waiting: BTreeSet<(Instant, Ticket)>,
    working: usize,
    bytes: usize,
    /// How long a turn lasts of late.
    service: Duration,
    /// Up to when appointments have been made.
    booked_until: Option<Instant>,
}

/// The machine. `K` names a terminal.
#[derive(Debug)]
pub struct Admission<K> {
    limits: Limits,
    guests: BTreeMap<Ticket, Guest<K>>,
    small: Lane,
    large: Lane,
    small_in_a_row: u32,
    next: u64,
    owed: BTreeMap<K, Debt>,
    owed_by_age: BTreeSet<(Instant, K)>,
}

impl<K: Ord + Clone> Admission<K> {
    /// Starts with nobody inside. At least one turn and one body are always possible.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: Limits {
                turns: limits.turns.max(1),
                sending: limits.sending.max(1),
                ..limits
            },
            guests: BTreeMap::new(),
            small: Lane::new(),
            large: Lane::new(),
            small_in_a_row: 0,
            next: 0,
            owed: BTreeMap::new(),
            owed_by_age: BTreeSet::new(),
        }
    }

    /// Returns how much is going on.
    pub fn load(&self) -> Load {
        Load {
            working: self.small.working + self.large.working,
            waiting: self.small.waiting.len() + self.large.waiting.len(),
            sending: self.small.sending + self.large.sending,
            bytes: self.small.bytes + self.large.bytes,
            owed: self.owed.len(),
        }
    }

    /// Takes a request that announces a body of so many bytes: it may send it, or its terminal is told
    /// to stay away for so long.
    ///
    /// # Errors
    /// How long to stay away.
    pub fn handle_ask(&mut self, who: K, bytes: usize, now: Instant) -> Result<Ticket, Duration> {
        let owed = self
            .owed
            .get(&who)
            .filter(|debt| debt.until >= now)
            .copied();
        let asks_since = owed.map_or(now, |debt| debt.asks_since);
        let weight = if bytes <= SMALL_BYTES {
            Weight::Small
        } else {
            Weight::Large
        };
        let has_room = self.has_room(weight, bytes, owed.is_some());
        // Whoever was told when to come has waited long enough: its place in the queue is by age.
        if !has_room || (owed.is_none() && self.wait_of_next(weight) > self.limits.wait) {
            return Err(self.tell_off(who, asks_since, weight, now));
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        let lane = self.lane(weight);
        lane.sending += 1;
        lane.bytes += bytes;
        let guest = Guest {
            who,
            asks_since,
            bytes,
            weight,
            stage: Stage::Sending,
        };
        self.guests.insert(ticket, guest);
        Ok(ticket)
    }

    /// Takes note that a body is there whole: it waits for its turn from now on.
    pub fn handle_sent(&mut self, ticket: Ticket) {
        let Some(guest) = self.guests.get_mut(&ticket) else {
            return;
        };
        if guest.stage != Stage::Sending {
            return;
        }
        guest.stage = Stage::Waiting;
        let (weight, place) = (guest.weight, (guest.asks_since, ticket));
        let lane = self.lane(weight);
        lane.sending -= 1;
        lane.waiting.insert(place);
    }

    /// Names the next whose turn it is, until nobody's is.
    pub fn poll_turn(&mut self, now: Instant) -> Option<Ticket> {
        let weight = self.next_weight()?;
        let (_, ticket) = self.lane(weight).waiting.pop_first()?;
        self.small_in_a_row = match weight {
            Weight::Small => self.small_in_a_row.saturating_add(1),
            Weight::Large => 0,
        };
        self.lane(weight).working += 1;
        let guest = self.guests.get_mut(&ticket)?;
        guest.stage = Stage::Working { since: now };
        let who = guest.who.clone();
        if self
            .owed
            .get(&who)
            .is_some_and(|debt| debt.weight <= weight)
        {
            self.forget(&who);
        }
        Some(ticket)
    }

    /// Takes note that a request waited for its turn for too long: it is out, and its terminal is told
    /// to stay away for so long. `None` if it has its turn by now, or is out already.
    pub fn handle_overdue(&mut self, ticket: Ticket, now: Instant) -> Option<Duration> {
        let guest = self.guests.get(&ticket)?;
        match guest.stage {
            Stage::Working { .. } => return None,
            Stage::Sending | Stage::Waiting => {}
        }
        let (who, asks_since, weight) = (guest.who.clone(), guest.asks_since, guest.weight);
        self.handle_end(ticket, now);
        Some(self.tell_off(who, asks_since, weight, now))
    }

    /// Takes note that a request is over, wherever it was.
    pub fn handle_end(&mut self, ticket: Ticket, now: Instant) {
        let Some(guest) = self.guests.remove(&ticket) else {
            return;
        };
        let lane = self.lane(guest.weight);
        lane.bytes -= guest.bytes;
        match guest.stage {
            Stage::Sending => lane.sending -= 1,
            Stage::Waiting => {
                lane.waiting.remove(&(guest.asks_since, ticket));
            }
            Stage::Working { since } => {
                lane.working -= 1;
                let took = now.saturating_duration_since(since);
                let kept = lane.service * (SERVICE_MEMORY - 1);
                lane.service = (kept + took) / SERVICE_MEMORY;
            }
        }
    }

    fn lane(&mut self, weight: Weight) -> &mut Lane {
        match weight {
            Weight::Small => &mut self.small,
            Weight::Large => &mut self.large,
        }
    }

    /// Most turns of a weight at once. Where there is but one turn, nobody's is kept free.
    fn turns_of(&self, weight: Weight) -> usize {
        let turns = self.limits.turns;
        match weight {
            Weight::Small => turns,
            Weight::Large => (turns - turns.div_ceil(SMALL_SHARE)).max(1),
        }
    }

    fn has_room(&self, weight: Weight, bytes: usize, owed: bool) -> bool {
        let share = |limit: usize| {
            let limit = match weight {
                Weight::Small => limit,
                Weight::Large => limit - limit / SMALL_SHARE,
            };
            if owed {
                limit
            } else {
                limit / SHARES * FRESH_SHARE + limit % SHARES
            }
        };
        let load = self.load();
        let bodies = load.sending + load.waiting;
        bodies < share(self.limits.sending).max(1)
            // One body always has room, or the longest that is allowed never came in.
            && (load.bytes == 0 || load.bytes + bytes <= share(self.limits.bytes))
    }

    /// How long whoever comes in now will wait for its turn, as far as can be told.
    fn wait_of_next(&self, weight: Weight) -> Duration {
        let lane = match weight {
            Weight::Small => &self.small,
            Weight::Large => &self.large,
        };
        let turns = self.turns_of(weight);
        if lane.waiting.is_empty() && lane.working < turns {
            // Bodies may be on their way on slow lines, but somebody could be served at once.
            return Duration::ZERO;
        }
        let before = lane.waiting.len() + lane.sending;
        times(self.pace(weight), before)
    }

    /// Time from one turn's begin to the next one's while all are taken.
    fn pace(&self, weight: Weight) -> Duration {
        let lane = match weight {
            Weight::Small => &self.small,
            Weight::Large => &self.large,
        };
        lane.service / u32::try_from(self.turns_of(weight)).unwrap_or(u32::MAX)
    }

    fn next_weight(&self) -> Option<Weight> {
        let working = self.small.working + self.large.working;
        if working >= self.limits.turns {
            return None;
        }
        let small = !self.small.waiting.is_empty();
        let large =
            !self.large.waiting.is_empty() && self.large.working < self.turns_of(Weight::Large);
        match (small, large) {
            (true, true) if self.small_in_a_row >= SMALL_IN_A_ROW => Some(Weight::Large),
            (true, _) => Some(Weight::Small),
            (false, true) => Some(Weight::Large),
            (false, false) => None,
        }
    }

    /// Makes an appointment and remembers since when the terminal has been asking.
    fn tell_off(&mut self, who: K, asks_since: Instant, weight: Weight, now: Instant) -> Duration {
        let step = self.pace(weight) * 100 / BOOKED_PERCENT;
        let backlog = self.wait_of_next(weight);
        let lane = self.lane(weight);
        let earliest = now + backlog.min(DELAY_MAX);
        let booked = lane.booked_until.filter(|booked| *booked > earliest);
        let at = booked.unwrap_or(earliest).min(now + DELAY_MAX) + step;
        lane.booked_until = Some(at);
        let delay = at
            .saturating_duration_since(now)
            .clamp(DELAY_MIN, DELAY_MAX);
        let former = self.owed.get(&who).map(|debt| debt.weight);
        self.forget(&who);
        let debt = Debt {
            weight: former.unwrap_or(weight).max(weight),
            asks_since,
            // Terminals add up to half of the delay.
            until: now + delay * 3 / 2 + OWED_FOR,
        };
        self.owed.insert(who.clone(), debt);
        self.owed_by_age.insert((asks_since, who));
        while let Some((_, oldest)) = self.owed_by_age.first().cloned()
            && self.owed.get(&oldest).is_none_or(|debt| debt.until < now)
        {
            self.forget(&oldest);
        }
        while self.owed.len() > OWED_MAX
            && let Some((_, youngest)) = self.owed_by_age.pop_last()
        {
            self.owed.remove(&youngest);
        }
        delay
    }

    fn forget(&mut self, who: &K) {
        if let Some(debt) = self.owed.remove(who) {
            self.owed_by_age.remove(&(debt.asks_since, who.clone()));
        }
    }
}

impl Lane {
    fn new() -> Self {
        Self {
            sending: 0,
            waiting: BTreeSet::new(),
            working: 0,
            bytes: 0,
            service: SERVICE_GUESS,
            booked_until: None,
        }
    }
}

fn times(one: Duration, count: usize) -> Duration {
    one.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
