//! A till that comes back after months over 20 kbit/s, in virtual time: its batches get through, and
//! the shopper who binds a card meanwhile does not wait for the backlog.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![expect(clippy::disallowed_methods, reason = "any origin of time will do")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tillbind_protocol::chain::{ChainHash, Mark};
use tillbind_protocol::exchange::{Batch, ExchangeRequest, Express, Verdict, Versions};
use tillbind_protocol::ids::{Epoch, Seq};
use tillbind_protocol::intake;
use tillbind_protocol::replica::Cursor;
use tillbind_protocol::uplink::{Action, Load, Outcome, Uplink, UplinkConfig, Wake};

const EPOCH: Epoch = Epoch(1);
/// 20 kbit/s, each way.
const LINE_BYTES_PER_S: u64 = 2_500;
const ROUND_TRIP: Duration = Duration::from_millis(300);
/// What an event takes on the wire, and before compression.
const EVENT_BYTES: u64 = 80;
const RECORD_BYTES: usize = 400;
/// What a request and an answer take besides.
const FRAME_BYTES: u64 = 500;
const BACKLOG: u64 = 200_000;

/// The terminal's events, and which of them ask for a binding.
struct Outbox {
    marks: Vec<Mark>,
    urgent: BTreeSet<Seq>,
}

impl Outbox {
    fn new() -> Self {
        Self {
            marks: vec![Mark::genesis(EPOCH)],
            urgent: BTreeSet::new(),
        }
    }

    fn append(&mut self, is_urgent: bool) -> Mark {
        let head = self.head();
        let mark = head.next(record(head.seq.next()).as_bytes());
        self.marks.push(mark);
        if is_urgent {
            self.urgent.insert(mark.seq);
        }
        mark
    }

    fn head(&self) -> Mark {
        *self.marks.last().unwrap()
    }

    fn mark(&self, seq: Seq) -> Mark {
        self.marks[usize::try_from(seq.0).unwrap()]
    }
}

fn record(seq: Seq) -> String {
    seq.0.to_string()
}

fn raw(seq: Seq) -> Box<RawValue> {
    RawValue::from_string(record(seq)).unwrap()
}

/// Central's memory, as far as this needs one.
#[derive(Default)]
struct Central {
    mark: Option<Mark>,
    chains: BTreeMap<Seq, ChainHash>,
    /// Events in their order, and requests that were decided; each with how often.
    events: BTreeMap<u64, u32>,
    decided: BTreeSet<Seq>,
}

impl Central {
    fn take(&mut self, request: &ExchangeRequest, outbox: &Outbox) -> (Verdict, Mark) {
        let chains = intake::places_to_compare(self.mark.as_ref(), request)
            .into_iter()
            .filter_map(|place| self.chains.get(&place).map(|chain| (place, *chain)))
            .collect();
        let known = intake::Known {
            watermark: self.mark.as_ref(),
            chains: &chains,
            fillers: &BTreeSet::new(),
            forks: &[],
        };
        let decision = intake::decide(&known, request);
        for event in &decision.accepted {
            self.chains.insert(event.mark.seq, event.mark.chain);
            *self.events.entry(event.mark.seq.0).or_default() += 1;
            if outbox.urgent.contains(&event.mark.seq) {
                self.decided.insert(event.mark.seq);
            }
        }
        self.decided
            .extend(request.express.iter().map(|one| one.seq));
        self.mark = decision.watermark.or(self.mark);
        (decision.verdict, decision.acked)
    }
}

/// What came of it.
struct Told {
    /// When each request's verdict was back at the till, since the request, and how many exchanges
    /// that took.
    verdicts: BTreeMap<Seq, (Duration, u32)>,
    drained_after: Duration,
    timeouts: u32,
}

/// Lets a till come back with its backlog and a request at its end; another request follows after half
/// an hour.
fn come_back(central_reads: Versions) -> Told {
    let start = Instant::now();
    let mut now = start;
    let mut outbox = Outbox::new();
    for _ in 0..BACKLOG {
        outbox.append(false);
    }
    let mut asked = BTreeMap::from([(outbox.append(true).seq, (now, 0u32))]);
    let late = start + Duration::from_secs(1_800);
    let mut central = Central::default();
    let genesis = Mark::genesis(EPOCH);
    let mut uplink = Uplink::new(UplinkConfig::default(), genesis, outbox.head());
    let mut told = Told {
        verdicts: BTreeMap::new(),
        drained_after: Duration::ZERO,
        timeouts: 0,
    };
    while uplink.acked().seq < uplink.head().seq {
        let Some(action) = uplink.poll_action(now) else {
            now = uplink.poll_timeout().unwrap().0;
            continue;
        };
        let Action::SendBatch {
            after,
            events_max,
            bytes_max,
            express_after,
            express_max,
        } = action
        else {
            panic!("a backlog is there: {action:?}");
        };
        let most = (bytes_max / RECORD_BYTES).clamp(1, events_max) as u64;
        let last = Seq((after.0 + most).min(outbox.head().seq.0));
        let events: Vec<_> = (after.0 + 1..=last.0).map(|n| raw(Seq(n))).collect();
        let behind = express_after.max(last).next()..;
        let waiting = outbox.urgent.range(behind).take(express_max);
        let express: Vec<_> = waiting
            .map(|seq| Express {
                seq: *seq,
                record: raw(*seq),
            })
            .collect();
        uplink.handle_sent(Load {
            bytes: events.len() * RECORD_BYTES,
            express_to: express.last().map(|one| one.seq),
        });
        let on_the_wire = FRAME_BYTES + EVENT_BYTES * (events.len() + express.len()) as u64;
        let request = ExchangeRequest {
            v: uplink.version(),
            epoch: EPOCH,
            acked: uplink.acked(),
            head: outbox.head(),
            batch: Some(Batch {
                first: after.next(),
                before: outbox.mark(after).chain,
                events,
                holes: Vec::new(),
            }),
            gap: None,
            express,
            cursor: Cursor::default(),
            keys: 0,
            dictionary: 0,
            page_bytes: uplink.page_bytes(),
            wait_ms: 0,
            at_ms: 0,
            hello: None,
        };
        for (_, exchanges) in asked.values_mut() {
            *exchanges += 1;
        }
        let (deadline, why) = uplink.poll_timeout().unwrap();
        assert_eq!(why, Wake::AnswerTimeout);
        let arrives = now + took(on_the_wire) + ROUND_TRIP / 2;
        let answered = arrives + took(FRAME_BYTES) + ROUND_TRIP / 2;
        // What is under way when the till gives up does not reach central as a whole.
        let answer = (arrives <= deadline && request.v <= central_reads.current)
            .then(|| central.take(&request, &outbox));
        now = answered.min(deadline);
        if now >= late && outbox.head().seq.0 == BACKLOG + 1 {
            let head = outbox.append(true);
            asked.insert(head.seq, (now, 0));
            uplink.handle_appended(head, now);
        }
        if answered > deadline {
            told.timeouts += 1;
            uplink.handle_timeout(now, u64::MAX);
            continue;
        }
        let Some((verdict, acked)) = answer else {
            assert!(uplink.handle_version_refused(Some(central_reads), now, 0));
            continue;
        };
        for seq in &central.decided {
            if let Some((since, exchanges)) = asked.get(seq) {
                let entry = told.verdicts.entry(*seq);
                entry.or_insert((now - *since, *exchanges));
            }
        }
        let oldest = uplink.acked().seq.next();
        match uplink.handle_answer(&verdict, acked, false, oldest, now, 0) {
            Some(Outcome::Acknowledged(_)) | None => {}
            Some(other) => panic!("{other:?}"),
        }
    }
    told.drained_after = now - start;
    assert_eq!(central.mark, Some(outbox.head()));
    assert!(central.events.values().all(|times| *times == 1));
    assert_eq!(central.events.len() as u64, outbox.head().seq.0);
    told
}

fn took(bytes: u64) -> Duration {
    Duration::from_millis(bytes * 1_000 / LINE_BYTES_PER_S)
}

#[test]
fn a_long_backlog_on_a_slow_line_gets_through_and_keeps_no_shopper_waiting() {
    let told = come_back(Versions::OURS);
    let at_best = took(BACKLOG * EVENT_BYTES);
    assert!(at_best > Duration::from_secs(6_000));
    assert!(
        told.drained_after < at_best * 11 / 10,
        "{:?} where the line alone needs {at_best:?}",
        told.drained_after
    );
    assert!(told.timeouts <= 2, "{} timeouts", told.timeouts);
    assert_eq!(told.verdicts.len(), 2);
    for (seq, (after, exchanges)) in told.verdicts {
        assert!(
            exchanges <= 3 && after < Duration::from_secs(60),
            "the verdict on {seq} took {after:?} and {exchanges} exchanges"
        );
    }
}

#[test]
fn without_the_express_lane_of_version_2_the_same_shopper_waits_for_hours() {
    let told = come_back(Versions { min: 1, current: 1 });
    let (after, _) = told.verdicts[&Seq(BACKLOG + 1)];
    assert!(after > Duration::from_secs(6_000), "{after:?}");
}
