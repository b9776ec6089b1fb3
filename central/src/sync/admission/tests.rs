#![expect(clippy::disallowed_methods, reason = "any origin of time will do")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tillbind_protocol::chain::{ChainHash, Mark};
use tillbind_protocol::exchange::Verdict;
use tillbind_protocol::ids::Seq;
use tillbind_protocol::uplink::{Action, Load as Sent, Uplink, UplinkConfig};

use super::*;

const LIMITS: Limits = Limits {
    turns: 4,
    sending: 100,
    bytes: 10_000_000,
    wait: Duration::from_secs(2),
};
const LARGE: usize = 100_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Lets somebody in whose body is there at once.
fn enter(admission: &mut Admission<u32>, who: u32, bytes: usize, now: Instant) -> Ticket {
    let ticket = admission.handle_ask(who, bytes, now).unwrap();
    admission.handle_sent(ticket);
    ticket
}

#[test]
fn whoever_comes_when_nothing_is_going_on_has_its_turn_at_once() {
    let (mut admission, now) = (Admission::new(LIMITS), Instant::now());
    let ticket = enter(&mut admission, 1, LARGE, now);
    assert_eq!(admission.poll_turn(now), Some(ticket));
    assert_eq!(admission.poll_turn(now), None);
    admission.handle_end(ticket, now);
    assert_eq!(admission.load(), Load::default());
}

#[test]
fn backlogs_leave_a_turn_and_room_to_small_requests() {
    let (mut admission, now) = (Admission::new(LIMITS), Instant::now());
    for who in 0..4 {
        enter(&mut admission, who, LARGE, now);
    }
    let turns = std::iter::from_fn(|| admission.poll_turn(now)).count();
    assert_eq!(turns, 3, "a backlog took the turn that is kept free");
    let small = enter(&mut admission, 9, 500, now);
    assert_eq!(admission.poll_turn(now), Some(small));

    let mut admission = Admission::new(Limits {
        bytes: 8 * LARGE,
        ..LIMITS
    });
    let mut backlogs = (0..20).map(|who| admission.handle_ask(who, LARGE, now).is_ok());
    assert_eq!(backlogs.by_ref().filter(|let_in| *let_in).count(), 4);
    drop(backlogs);
    assert!(admission.handle_ask(30, SMALL_BYTES, now).is_ok());
    assert!(admission.load().bytes <= 8 * LARGE);
}

#[test]
fn small_requests_do_not_starve_a_backlog() {
    let limits = Limits { turns: 1, ..LIMITS };
    let (mut admission, now) = (Admission::new(limits), Instant::now());
    let large = enter(&mut admission, 0, LARGE, now);
    for who in 1..20 {
        enter(&mut admission, who, 500, now);
    }
    for passed in 0.. {
        let ticket = admission.poll_turn(now).unwrap();
        if ticket == large {
            assert!(passed <= SMALL_IN_A_ROW, "{passed} passed it");
            return;
        }
        admission.handle_end(ticket, now);
    }
}

#[test]
fn whoever_was_told_off_goes_before_everybody_who_asked_later() {
    let limits = Limits {
        turns: 1,
        sending: 16,
        ..LIMITS
    };
    let (mut admission, now) = (Admission::new(limits), Instant::now());
    let working = enter(&mut admission, 0, LARGE, now);
    assert_eq!(admission.poll_turn(now), Some(working));
    // Newcomers fill what there is, but for the shares of small ones and of whoever was told off.
    for who in 1..=9 {
        enter(&mut admission, who, LARGE, now + ms(1));
    }
    let delay = admission.handle_ask(99, LARGE, now + ms(2)).unwrap_err();
    assert!((DELAY_MIN..=DELAY_MAX).contains(&delay), "{delay:?}");
    admission.handle_end(working, now + ms(3));
    let next = admission.poll_turn(now + ms(3)).unwrap();
    let newcomer = enter(&mut admission, 20, LARGE, now + ms(4));
    assert!(admission.handle_ask(21, LARGE, now + ms(4)).is_err());
    let later = now + ms(2) + delay;
    let returned = enter(&mut admission, 99, LARGE, later);
    admission.handle_end(next, later);
    let order: Vec<Ticket> = std::iter::from_fn(|| {
        let ticket = admission.poll_turn(later)?;
        admission.handle_end(ticket, later);
        Some(ticket)
    })
    .collect();
    assert_eq!(order.len(), 10);
    assert_eq!(order[8..], [returned, newcomer]);
    let load = admission.load();
    assert_eq!((load.working, load.waiting, load.bytes), (0, 0, 0));
    assert_eq!(load.owed, 1, "the one that did not come back yet");
}

#[test]
fn appointments_are_spread_at_the_pace_of_what_can_be_served() {
    let limits = Limits {
        turns: 1,
        sending: 1,
        ..LIMITS
    };
    let (mut admission, now) = (Admission::new(limits), Instant::now());
    let working = enter(&mut admission, 0, LARGE, now);
    admission.poll_turn(now).unwrap();
    admission.handle_end(working, now + SERVICE_GUESS);
    enter(&mut admission, 0, LARGE, now);
    let delays: Vec<Duration> = (1..=1_000)
        .map(|who| admission.handle_ask(who, LARGE, now).unwrap_err())
        .collect();
    assert!(delays.is_sorted());
    let last = *delays.last().unwrap();
    let served_in = SERVICE_GUESS * 1_000;
    assert!(last > served_in / 2 && last < served_in * 3 / 2, "{last:?}");
    // Guesses that are off cost no more than this.
    for who in 1_001..20_000 {
        let delay = admission.handle_ask(who, LARGE, now).unwrap_err();
        assert!(delay <= DELAY_MAX);
    }
}

#[test]
fn an_overdue_wait_ends_with_an_appointment_and_a_turn_in_time_does_not() {
    let limits = Limits { turns: 1, ..LIMITS };
    let (mut admission, now) = (Admission::new(limits), Instant::now());
    let first = enter(&mut admission, 1, 500, now);
    let second = enter(&mut admission, 2, 500, now);
    assert_eq!(admission.poll_turn(now), Some(first));
    assert_eq!(admission.handle_overdue(first, now + ms(2_000)), None);
    assert!(admission.handle_overdue(second, now + ms(2_000)).is_some());
    assert_eq!(admission.handle_overdue(second, now + ms(2_000)), None);
    assert_eq!(admission.load().waiting, 0);
    assert_eq!(admission.load().owed, 1);
}

#[test]
fn a_poll_that_is_served_meanwhile_pays_no_backlogs_debt() {
    let limits = Limits {
        bytes: LARGE * 2,
        ..LIMITS
    };
    let (mut admission, now) = (Admission::new(limits), Instant::now());
    enter(&mut admission, 1, LARGE, now);
    admission.handle_ask(9, LARGE, now).unwrap_err();
    let poll = enter(&mut admission, 9, 500, now);
    assert_eq!(admission.load().owed, 1);
    while admission.poll_turn(now).is_some() {}
    admission.handle_end(poll, now);
    assert_eq!(admission.load().owed, 1, "the backlog's place is lost");
}

#[test]
fn the_longest_body_comes_in_however_little_room_there_is() {
    let limits = Limits { bytes: 1, ..LIMITS };
    let (mut admission, now) = (Admission::new(limits), Instant::now());
    let ticket = admission.handle_ask(1, 4 << 20, now).unwrap();
    assert!(admission.handle_ask(2, LARGE, now).is_err());
    admission.handle_end(ticket, now);
    assert!(admission.handle_ask(2, LARGE, now).is_ok());
}

#[test]
fn terminals_that_never_come_back_are_forgotten_in_the_end() {
    let limits = Limits {
        sending: 1,
        ..LIMITS
    };
    let (mut admission, now) = (Admission::new(limits), Instant::now());
    enter(&mut admission, 0, LARGE, now);
    for who in 1..=u32::try_from(OWED_MAX).unwrap() + 100 {
        admission.handle_ask(who, LARGE, now).unwrap_err();
    }
    assert_eq!(admission.load().owed, OWED_MAX);
    let later = now + DELAY_MAX * 2 + OWED_FOR;
    admission.handle_ask(1, LARGE, later).unwrap_err();
    assert_eq!(admission.load().owed, 1);
}

/// Everything that happens in the simulated flood, ordered by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A terminal looks what is to be done.
    Act(usize),
    /// A request's head is at central.
    Ask(usize),
    /// A request's body is at central.
    Sent(usize, Ticket),
    /// A request has waited too long.
    Overdue(usize, Ticket),
    /// A turn is over.
    Done(usize, Ticket),
    /// An answer is at the terminal: how long to stay away, or what is acknowledged.
    Answer(usize, Result<u64, u32>),
}

struct Till {
    uplink: Uplink,
    /// Newest event of the request under way; 0 for a poll.
    sends_up_to: u64,
    bytes: usize,
    /// How long a thousand bytes take on its line.
    line: Duration,
    first_asked: Option<Duration>,
    /// When its first turn came.
    served: Option<Duration>,
    recovered: Option<Duration>,
    told_off: u32,
    failures: u32,
}

/// A flood, in virtual time, of real uplink machines against the real admission.
struct Flood {
    admission: Admission<usize>,
    tills: Vec<Till>,
    begin: Instant,
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    order: u64,
    seed: u64,
    most: Load,
}

/// Bytes of an event on the wire, and of its record.
const EVENT_BYTES: u64 = 70;
const RECORD_BYTES: u64 = 400;
/// Work of one exchange, and of each event in it.
const EXCHANGE_WORK: Duration = Duration::from_millis(4);
const EVENT_WORK: Duration = Duration::from_micros(40);

fn mark(seq: u64) -> Mark {
    Mark {
        seq: Seq(seq),
        chain: ChainHash([0; 16]),
    }
}

impl Flood {
    fn new(limits: Limits, waiting: impl Iterator<Item = u64>) -> Self {
        let mut flood = Self {
            admission: Admission::new(limits),
            tills: Vec::new(),
            begin: Instant::now(),
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            order: 0,
            seed: 20_000,
            most: Load::default(),
        };
        for events in waiting {
            let till = flood.tills.len();
            flood.tills.push(Till {
                uplink: Uplink::new(UplinkConfig::default(), mark(0), mark(events)),
                sends_up_to: 0,
                bytes: 0,
                // One in twenty has 128 kbit/s, the others 4 Mbit/s.
                line: if till.is_multiple_of(20) {
                    ms(62)
                } else {
                    ms(2)
                },
                first_asked: None,
                served: None,
                recovered: None,
                told_off: 0,
                failures: 0,
            });
            // The line of the whole chain comes back: all within a second.
            let at = ms(flood.random() % 1_000);
            flood.at(at, Event::Act(till));
        }
        flood
    }

    fn random(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed
    }

    fn at(&mut self, at: Duration, event: Event) {
        self.order += 1;
        self.events.push(Reverse((at, self.order, event)));
    }

    fn instant(&self) -> Instant {
        self.begin + self.now
    }

    fn way(&mut self) -> Duration {
        ms(10 + self.random() % 40)
    }

    fn run_until(&mut self, end: Duration) {
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            if at > end {
                self.events.push(Reverse((at, 0, event)));
                break;
            }
            self.now = at;
            self.apply(event);
            self.note_load();
        }
    }

    fn note_load(&mut self) {
        let load = self.admission.load();
        self.most.working = self.most.working.max(load.working);
        self.most.waiting = self.most.waiting.max(load.waiting);
        self.most.sending = self.most.sending.max(load.sending + load.waiting);
        self.most.bytes = self.most.bytes.max(load.bytes);
        self.most.owed = self.most.owed.max(load.owed);
    }

    fn apply(&mut self, event: Event) {
        let (now, at) = (self.instant(), self.now);
        match event {
            Event::Act(till) => self.act(till),
            Event::Ask(till) => {
                let bytes = self.tills[till].bytes;
                self.tills[till].first_asked.get_or_insert(at);
                match self.admission.handle_ask(till, bytes, now) {
                    Ok(ticket) => {
                        let kilobytes = u32::try_from(bytes / 1_000).unwrap();
                        let on_its_way = self.tills[till].line * kilobytes;
                        self.at(at + on_its_way, Event::Sent(till, ticket));
                    }
                    Err(delay) => self.tell_off(till, delay),
                }
            }
            Event::Sent(till, ticket) => {
                self.admission.handle_sent(ticket);
                self.at(at + LIMITS.wait, Event::Overdue(till, ticket));
                self.give_turns();
            }
            Event::Overdue(till, ticket) => {
                if let Some(delay) = self.admission.handle_overdue(ticket, now) {
                    self.tell_off(till, delay);
                }
            }
            Event::Done(till, ticket) => {
                self.admission.handle_end(ticket, now);
                self.give_turns();
                self.tills[till].served.get_or_insert(at);
                let way = self.way();
                let acked = self.tills[till].sends_up_to;
                self.at(at + way, Event::Answer(till, Ok(acked)));
            }
            Event::Answer(till, answer) => self.answer(till, answer),
        }
    }

    fn tell_off(&mut self, till: usize, delay: Duration) {
        self.tills[till].told_off += 1;
        let for_ms = u32::try_from(delay.as_millis()).unwrap();
        let way = self.way();
        self.at(self.now + way, Event::Answer(till, Err(for_ms)));
    }

    fn give_turns(&mut self) {
        let now = self.instant();
        while let Some(ticket) = self.admission.poll_turn(now) {
            let till = self.admission.guests[&ticket].who;
            let events = self.sent_events(till);
            let work = EXCHANGE_WORK + EVENT_WORK * u32::try_from(events).unwrap();
            let noise = u32::try_from(50 + self.random() % 100).unwrap();
            self.at(self.now + work * noise / 100, Event::Done(till, ticket));
        }
    }

    fn sent_events(&self, till: usize) -> u64 {
        let till = &self.tills[till];
        till.sends_up_to.saturating_sub(till.uplink.acked().seq.0)
    }

    fn act(&mut self, till: usize) {
        let now = self.instant();
        let way = self.way();
        let tolled = &mut self.tills[till];
        match tolled.uplink.poll_action(now) {
            Some(Action::SendBatch {
                after, events_max, ..
            }) => {
                let head = tolled.uplink.head().seq.0;
                tolled.sends_up_to = head.min(after.0 + events_max as u64);
                let events = tolled.sends_up_to - after.0;
                tolled.bytes = usize::try_from(400 + events * EVENT_BYTES).unwrap();
                tolled.uplink.handle_sent(Sent {
                    bytes: usize::try_from(events * RECORD_BYTES).unwrap(),
                    express_to: None,
                });
                self.at(self.now + way, Event::Ask(till));
            }
            Some(Action::SendPoll { wait }) if wait.is_zero() => {
                tolled.sends_up_to = tolled.uplink.acked().seq.0;
                tolled.bytes = 400;
                self.at(self.now + way, Event::Ask(till));
            }
            // Nothing waits any more. What polls cost is not what this is about.
            Some(Action::SendPoll { .. }) => {
                tolled.recovered.get_or_insert(self.now);
            }
            Some(Action::AbortPoll) => {
                tolled.uplink.handle_aborted();
                self.at(self.now, Event::Act(till));
            }
            None => {
                if let Some((until, _)) = tolled.uplink.poll_timeout() {
                    let at = until.saturating_duration_since(self.begin);
                    self.at(at.max(self.now), Event::Act(till));
                }
            }
        }
    }

    fn answer(&mut self, till: usize, answer: Result<u64, u32>) {
        let (now, entropy) = (self.instant(), self.random());
        let tolled = &mut self.tills[till];
        // The machine's own deadline is the one that counts.
        if tolled
            .uplink
            .poll_timeout()
            .is_some_and(|(until, _)| until < now)
        {
            tolled.failures += 1;
        }
        let (verdict, acked) = match answer {
            Ok(acked) => (Verdict::Ok, mark(acked)),
            Err(for_ms) => (Verdict::SlowDown { for_ms }, mark(0)),
        };
        let oldest = tolled.uplink.acked().seq.next();
        let _outcome = tolled
            .uplink
            .handle_answer(&verdict, acked, false, oldest, now, entropy);
        self.at(self.now, Event::Act(till));
    }
}

#[test]
fn twenty_thousand_returning_terminals_are_all_served_with_no_error_but_slow_down() {
    let limits = Limits {
        turns: 16,
        sending: 1_024,
        bytes: 64 << 20,
        wait: LIMITS.wait,
    };
    // From a few events to three batches.
    let backlogs: Vec<u64> = (0..20_000u64).map(|n| 1 + n * 37 % 2_500).collect();
    let mut flood = Flood::new(limits, backlogs.iter().copied());
    flood.run_until(Duration::from_secs(3_600));
    let batches = backlogs
        .iter()
        .map(|events| events.div_ceil(1_000))
        .sum::<u64>();
    let work = EXCHANGE_WORK * u32::try_from(batches).unwrap()
        + EVENT_WORK * u32::try_from(backlogs.iter().sum::<u64>()).unwrap();
    let least = work / 16;
    let recovered = |till: &Till| till.recovered.unwrap();
    let last = flood.tills.iter().map(recovered).max().unwrap();
    let told_off: Vec<u32> = flood.tills.iter().map(|till| till.told_off).collect();
    let first_turn = |till: &Till| till.served.unwrap() - till.first_asked.unwrap();
    let mut waits: Vec<Duration> = flood.tills.iter().map(first_turn).collect();
    waits.sort_unstable();
    println!(
        "20,000 terminals, {batches} batches: all recovered after {:.1} s, with 16 turns always \
         taken {:.1} s; first turn after {:.1} s (median) to {:.1} s; told to slow down {:.1} times \
         on average, {} at most; most at once: {:?}",
        last.as_secs_f64(),
        least.as_secs_f64(),
        waits[waits.len() / 2].as_secs_f64(),
        waits[waits.len() - 1].as_secs_f64(),
        f64::from(told_off.iter().sum::<u32>()) / 20_000.0,
        told_off.iter().max().unwrap(),
        flood.most,
    );
    assert_eq!(flood.tills.iter().map(|till| till.failures).sum::<u32>(), 0);
    assert!(flood.most.working <= 16);
    assert!(flood.most.sending <= limits.sending, "{:?}", flood.most);
    assert!(flood.most.bytes <= limits.bytes, "{:?}", flood.most);
    assert!(last < least * 2, "turns lay idle: {last:?} of {least:?}");
    // Nobody's second batch goes before anybody's first for long.
    assert!(waits[waits.len() - 1] < least * 3 / 2, "{waits:?}");
    let load = flood.admission.load();
    assert_eq!(
        (load.working, load.waiting, load.sending, load.bytes),
        (0, 0, 0, 0)
    );
}

#[test]
fn a_binding_has_its_verdict_in_seconds_while_backlogs_pour_in() {
    let limits = Limits {
        turns: 4,
        sending: 1_024,
        bytes: 64 << 20,
        wait: LIMITS.wait,
    };
    // A thousand backlogs of twenty batches each, and a hundred terminals with nothing waiting.
    let backlogs = std::iter::repeat_n(20_000, 1_000).chain(std::iter::repeat_n(0, 100));
    let mut flood = Flood::new(limits, backlogs);
    flood.run_until(Duration::from_secs(30));
    let mut waits = Vec::new();
    for round in 0..10u64 {
        let at = flood.now;
        for till in 1_000..1_100 {
            let now = flood.instant();
            let idle = &mut flood.tills[till];
            idle.recovered = None;
            idle.uplink.handle_appended(mark(round + 1), now);
            idle.uplink.handle_aborted();
            flood.at(at, Event::Act(till));
        }
        flood.run_until(at + Duration::from_secs(20));
        flood.now = at + Duration::from_secs(20);
        for till in &flood.tills[1_000..] {
            waits.push(till.recovered.expect("a binding still waits") - at);
        }
    }
    waits.sort_unstable();
    let worst = waits[waits.len() - 1];
    let unfinished = flood.tills.iter().filter(|till| till.recovered.is_none());
    println!(
        "verdict of a binding among 1,000 backlogs: {:?} (median), {worst:?} at worst; {} backlogs \
         are still pouring in",
        waits[waits.len() / 2],
        unfinished.clone().count(),
    );
    assert!(unfinished.count() > 500, "the backlogs were over too soon");
    assert!(worst < Duration::from_secs(3), "{worst:?}");
}
