//! Twenty thousand terminals that return at once, in virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tillbind_protocol::chain::{ChainHash, Mark};
use tillbind_protocol::exchange::Verdict;
use tillbind_protocol::ids::Seq;
use tillbind_protocol::uplink::{Action, Load as Sent, Uplink, UplinkConfig};

use super::*;

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
