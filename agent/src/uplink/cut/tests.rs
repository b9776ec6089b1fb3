use std::collections::{BTreeMap, BTreeSet};

use tillbind_protocol::chain::ChainHash;
use tillbind_protocol::exchange::{ExchangeRequest, Step, Verdict};
use tillbind_protocol::ids::Epoch;
use tillbind_protocol::intake;
use tillbind_protocol::replica::Cursor;

use super::*;

const EPOCH: Epoch = Epoch(3);

/// A central that keeps its watermark alone.
fn known(watermark: Option<&Mark>) -> intake::Known<'_> {
    static NO_CHAINS: BTreeMap<Seq, ChainHash> = BTreeMap::new();
    static NO_FILLERS: BTreeSet<Seq> = BTreeSet::new();
    intake::Known {
        watermark,
        chains: &NO_CHAINS,
        fillers: &NO_FILLERS,
        forks: &[],
    }
}

/// An outbox whose events may be lost, damaged or urgent.
struct Shelf {
    marks: Vec<Mark>,
    records: Vec<Vec<u8>>,
    lost: BTreeMap<u64, (u64, &'static str)>,
    urgent: Vec<u64>,
    acked: u64,
}

impl Shelf {
    fn of(events: u64) -> Self {
        let mut shelf = Self {
            marks: vec![Mark::genesis(EPOCH)],
            records: Vec::new(),
            lost: BTreeMap::new(),
            urgent: Vec::new(),
            acked: 0,
        };
        for n in 1..=events {
            shelf.push(format!("{{\"n\":{n}}}").into_bytes());
        }
        shelf
    }

    fn push(&mut self, record: Vec<u8>) {
        let mark = self.mark(self.records.len() as u64).next(&record);
        self.marks.push(mark);
        self.records.push(record);
    }

    fn lose(&mut self, from: u64, to: u64, reason: &'static str) {
        self.lost.insert(from, (to, reason));
    }

    fn mark(&self, seq: u64) -> Mark {
        self.marks[usize::try_from(seq).unwrap()]
    }

    fn head(&self) -> u64 {
        self.records.len() as u64
    }

    fn hole_at(&self, seq: u64) -> Option<(u64, &'static str)> {
        let (_, hole) = self.lost.range(..=seq).next_back()?;
        (hole.0 >= seq).then_some(*hole)
    }

    fn request(&self, cut: Cut) -> ExchangeRequest {
        ExchangeRequest {
            v: 2,
            epoch: EPOCH,
            acked: self.mark(self.acked),
            head: self.mark(self.head()),
            batch: cut.batch,
            gap: cut.gap,
            express: cut.express,
            cursor: Cursor::default(),
            keys: 0,
            dictionary: 0,
            page_bytes: 0,
            wait_ms: 0,
            at_ms: 0,
            hello: None,
        }
    }
}

impl Queue for Shelf {
    fn read_after(
        &self,
        after: Seq,
        events_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Stored>, ReadError> {
        if after.0 < self.acked {
            let acked = self.mark(self.acked);
            return Err(ReadError::Gone { acked });
        }
        let mut found: Vec<Stored> = Vec::new();
        let mut bytes = 0;
        for seq in after.0 + 1..=self.head() {
            if let Some((to, reason)) = self.hole_at(seq) {
                if found.is_empty() {
                    return Err(ReadError::Gap {
                        from: Seq(seq),
                        until: self.mark(to),
                        reason: reason.to_owned(),
                    });
                }
                break;
            }
            if found.len() >= events_max || bytes >= bytes_max {
                break;
            }
            let record = self.records[usize::try_from(seq - 1).unwrap()].clone();
            bytes += record.len();
            let mark = self.mark(seq);
            found.push(Stored { mark, record });
        }
        Ok(found)
    }

    fn mark_at(&self, seq: Seq) -> Result<Option<Mark>, ReadError> {
        let inside = self.hole_at(seq.0).is_some_and(|(to, _)| to != seq.0);
        let kept = seq.0 >= self.acked && (seq.0 == self.acked || !inside);
        Ok(kept.then(|| self.mark(seq.0)))
    }

    fn urgent_after(&self, after: Seq, events_max: usize) -> Result<Vec<Stored>, ReadError> {
        let behind = self.urgent.iter().filter(|seq| **seq > after.0);
        let stored = |seq: &u64| Stored {
            mark: self.mark(*seq),
            record: self.records[usize::try_from(*seq - 1).unwrap()].clone(),
        };
        Ok(behind.take(events_max).map(stored).collect())
    }
}

#[test]
fn a_poll_tells_of_what_central_lost_and_the_outbox_no_longer_has() {
    let mut shelf = Shelf::of(5);
    shelf.acked = 5;
    let gap = Gap {
        from: Seq(3),
        to: Seq(5),
    };
    let cut = told(&shelf, &gap).unwrap();
    assert!(cut.batch.is_none());
    let request = shelf.request(cut);
    let stored = shelf.mark(2);
    let decision = intake::decide(&known(Some(&stored)), &request);
    assert_eq!(decision.verdict, Verdict::Ok);
    assert_eq!(decision.watermark, Some(shelf.mark(5)));
    assert_eq!(
        (decision.gaps[0].from, decision.gaps[0].to),
        (Seq(3), Seq(5))
    );
}

fn wanted(after: u64) -> Wanted {
    Wanted {
        after: Seq(after),
        events_max: 1_000,
        bytes_max: 1024 * 1024,
        express_after: Seq::ZERO,
        express_max: 32,
        version: 2,
        gap: None,
    }
}

fn shape(cut: &Cut) -> Vec<(u64, bool)> {
    let Some(batch) = &cut.batch else {
        return Vec::new();
    };
    batch
        .steps()
        .map(|(last, step)| (last.0, matches!(step, Step::Hole(_))))
        .collect()
}

#[test]
fn a_batch_goes_on_behind_every_hole_and_central_takes_it() {
    let mut shelf = Shelf::of(900);
    for from in (1..=900).step_by(3) {
        shelf.lose(from, from, "given up");
    }
    let cut = cut(&shelf, &wanted(0)).unwrap();
    let batch = cut.batch.as_ref().unwrap();
    assert_eq!((batch.events.len(), batch.holes.len()), (600, 300));
    assert_eq!(batch.fault(Seq(900)), None);
    let request = shelf.request(cut);
    let decision = intake::decide(&known(None), &request);
    assert_eq!(
        (decision.verdict, decision.acked),
        (Verdict::Ok, shelf.mark(900))
    );
    assert_eq!((decision.accepted.len(), decision.gaps.len()), (600, 300));
}

#[test]
fn holes_side_by_side_are_one_unless_their_reasons_differ() {
    let mut shelf = Shelf::of(9);
    shelf.lose(2, 3, "given up");
    shelf.lose(4, 5, "given up");
    shelf.lose(6, 6, "damaged");
    let cut = cut(&shelf, &wanted(0)).unwrap();
    let expected = [
        (1, false),
        (5, true),
        (6, true),
        (7, false),
        (8, false),
        (9, false),
    ];
    assert_eq!(shape(&cut), expected);
}

#[test]
fn a_record_that_is_not_text_goes_up_as_a_hole_with_the_reason() {
    for poison in [b"\xff\xfe".to_vec(), b"{\"cut off".to_vec()] {
        let mut shelf = Shelf::of(2);
        shelf.push(poison.clone());
        shelf.push(b"{}".to_vec());
        let two = cut(&shelf, &wanted(0)).unwrap();
        assert_eq!(shape(&two), [(1, false), (2, false), (3, true), (4, false)]);
        assert!(two.batch.unwrap().holes[0].reason.contains("not text"));
        // In version 1 the batch ends before it, and the next one begins behind it.
        let in_1 = |after| Wanted {
            version: 1,
            express_max: 0,
            ..wanted(after)
        };
        let first = cut(&shelf, &in_1(0)).unwrap();
        assert_eq!(shape(&first), [(1, false), (2, false)]);
        assert_eq!(first.gap, None);
        let second = cut(&shelf, &in_1(2)).unwrap();
        assert_eq!(shape(&second), [(4, false)]);
        assert_eq!(second.gap.unwrap().to, Seq(3));
    }
}

#[test]
fn in_version_1_a_batch_ends_at_a_hole_and_one_notice_stands_before_it() {
    let mut shelf = Shelf::of(9);
    shelf.lose(1, 2, "damaged");
    shelf.lose(4, 4, "damaged");
    shelf.lose(5, 5, "given up");
    let mut after = 0;
    let mut mark = None;
    let mut seen = Vec::new();
    while after < 9 {
        let cut = cut(
            &shelf,
            &Wanted {
                version: 1,
                express_max: 0,
                ..wanted(after)
            },
        )
        .unwrap();
        assert!(
            cut.batch
                .as_ref()
                .is_none_or(|batch| batch.holes.is_empty())
        );
        assert!(cut.express.is_empty());
        let request = shelf.request(cut);
        let decision = intake::decide(&known(mark.as_ref()), &request);
        assert_eq!(decision.verdict, Verdict::Ok);
        seen.extend(decision.gaps.iter().map(|gap| (gap.from.0, gap.to.0)));
        assert!(decision.acked.seq.0 > after, "it goes on");
        after = decision.acked.seq.0;
        mark = Some(decision.acked);
    }
    assert_eq!(seen, [(1, 2), (4, 5)]);
}

#[test]
fn a_cut_ends_at_its_limits_and_holds_one_record_at_least() {
    let mut shelf = Shelf::of(20);
    shelf.lose(3, 4, "given up");
    let events = |events_max| Wanted {
        events_max,
        ..wanted(0)
    };
    assert_eq!(shape(&cut(&shelf, &events(4)).unwrap()).len(), 4);
    let bytes = |bytes_max| Wanted {
        bytes_max,
        ..wanted(0)
    };
    assert_eq!(shape(&cut(&shelf, &bytes(1)).unwrap()), [(1, false)]);
    let some = cut(&shelf, &bytes(40)).unwrap();
    assert_eq!(shape(&some), [(1, false), (2, false), (4, true)]);
    assert!(some.load.bytes >= 40);
}

#[test]
fn what_central_lost_and_the_outbox_gave_away_becomes_a_notice() {
    let mut shelf = Shelf::of(9);
    shelf.acked = 5;
    let cut = cut(&shelf, &wanted(2)).unwrap();
    let gap = cut.gap.as_ref().unwrap();
    assert_eq!((gap.from, gap.to), (Seq(3), Seq(5)));
    assert_eq!(shape(&cut).first(), Some(&(6, false)));
}

#[test]
fn central_may_ask_from_the_middle_of_a_hole_that_has_grown() {
    let mut shelf = Shelf::of(9);
    shelf.lose(3, 7, "given up");
    let cut = cut(&shelf, &wanted(5)).unwrap();
    let gap = cut.gap.as_ref().unwrap();
    assert_eq!((gap.from, gap.to), (Seq(6), Seq(7)));
    let at_5 = shelf.mark(5);
    let request = shelf.request(cut);
    let decision = intake::decide(&known(Some(&at_5)), &request);
    assert_eq!(
        (decision.verdict, decision.acked),
        (Verdict::Ok, shelf.mark(9))
    );
}

#[test]
fn express_shows_what_lies_behind_the_batch_and_was_not_shown_before() {
    let mut shelf = Shelf::of(400);
    shelf.urgent = (1..=400).step_by(4).collect();
    let few = |express_after, express_max| Wanted {
        events_max: 10,
        express_after: Seq(express_after),
        express_max,
        ..wanted(0)
    };
    let places = |cut: &Cut| cut.express.iter().map(|e| e.seq.0).collect::<Vec<_>>();
    let first = cut(&shelf, &few(0, 3)).unwrap();
    assert_eq!(places(&first), [13, 17, 21]);
    assert_eq!(first.load.express_to, Some(Seq(21)));
    assert_eq!(places(&cut(&shelf, &few(21, 2)).unwrap()), [25, 29]);
    assert!(places(&cut(&shelf, &few(397, 9)).unwrap()).is_empty());
    assert!(places(&cut(&shelf, &few(0, 0)).unwrap()).is_empty());
    assert!(
        places(&cut(&shelf, &wanted(0)).unwrap()).is_empty(),
        "all fit the batch"
    );
}

#[test]
fn express_is_bounded_in_bytes_and_passes_over_what_is_not_text() {
    let mut shelf = Shelf::of(3);
    shelf.push(b"\xff".to_vec());
    shelf.push(format!("\"{}\"", "x".repeat(EXPRESS_BYTES_MAX)).into_bytes());
    shelf.push(b"{}".to_vec());
    shelf.urgent = vec![4, 5, 6];
    let one_event = |express_after| Wanted {
        events_max: 1,
        express_after: Seq(express_after),
        ..wanted(0)
    };
    let first = cut(&shelf, &one_event(0)).unwrap();
    assert_eq!(first.express.len(), 1);
    assert_eq!(first.load.express_to, Some(Seq(5)));
    let second = cut(&shelf, &one_event(5)).unwrap();
    assert_eq!(second.load.express_to, Some(Seq(6)));
}
