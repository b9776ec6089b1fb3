mod gaps;
mod holes;

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::exchange::{Batch, CURRENT};
use crate::ids::Epoch;
use crate::replica::Cursor;

const EPOCH: Epoch = Epoch(5);

/// A terminal's history: records with the marks after them.
#[derive(Debug, Clone)]
struct Outbox {
    records: Vec<String>,
    acked: u64,
}

impl Outbox {
    fn of(records: &[&str]) -> Self {
        Self {
            records: records.iter().map(|r| format!("{r:?}")).collect(),
            acked: 0,
        }
    }

    fn mark(&self, seq: u64) -> Mark {
        self.records[..usize::try_from(seq).unwrap()]
            .iter()
            .fold(Mark::genesis(EPOCH), |m, r| m.next(r.as_bytes()))
    }

    /// A notice that some places are missing.
    fn notice(&self, from: u64, to: u64, reason: &str) -> GapNotice {
        GapNotice {
            from: Seq(from),
            to: Seq(to),
            after: self.mark(to).chain,
            reason: reason.into(),
        }
    }

    fn head(&self) -> u64 {
        self.records.len() as u64
    }

    fn poll(&self) -> ExchangeRequest {
        ExchangeRequest {
            v: CURRENT,
            epoch: EPOCH,
            acked: self.mark(self.acked),
            head: self.mark(self.head()),
            batch: None,
            gap: None,
            express: Vec::new(),
            cursor: Cursor::default(),
            keys: 0,
            dictionary: 0,
            page_bytes: 0,
            wait_ms: 0,
            at_ms: 0,
            hello: None,
        }
    }

    /// A batch of so many events and holes, where the places of `gone` are holes.
    fn holed(&self, after: u64, most: usize, gone: &BTreeSet<u64>) -> ExchangeRequest {
        let mut batch = Batch {
            first: Seq(after + 1),
            before: self.mark(after).chain,
            events: Vec::new(),
            holes: Vec::new(),
        };
        let mut place = after + 1;
        while place <= self.head() && batch.events.len() + batch.holes.len() < most {
            let last = (place..=self.head())
                .take_while(|p| gone.contains(p))
                .last();
            if let Some(last) = last {
                batch.holes.push(GapNotice {
                    from: Seq(place),
                    to: Seq(last),
                    after: self.mark(last).chain,
                    reason: "given up".into(),
                });
                place = last + 1;
            } else {
                let record = self.records[usize::try_from(place - 1).unwrap()].clone();
                batch.events.push(RawValue::from_string(record).unwrap());
                place += 1;
            }
        }
        ExchangeRequest {
            batch: Some(batch),
            ..self.poll()
        }
    }

    fn batch(&self, after: u64, most: usize) -> ExchangeRequest {
        let events: Vec<_> = self.records[usize::try_from(after).unwrap()..]
            .iter()
            .take(most)
            .map(|r| RawValue::from_string(r.clone()).unwrap())
            .collect();
        let batch = Batch {
            first: Seq(after + 1),
            before: self.mark(after).chain,
            events,
            holes: Vec::new(),
        };
        ExchangeRequest {
            batch: Some(batch),
            ..self.poll()
        }
    }
}

/// Central's memory of the stream, as a database would keep it.
#[derive(Debug, Default)]
struct Central {
    mark: Option<Mark>,
    chains: BTreeMap<Seq, ChainHash>,
    stored: Vec<(Seq, String)>,
    gaps: Vec<(Seq, Seq)>,
    forks: Vec<Seq>,
}

impl Central {
    fn take(&mut self, request: &ExchangeRequest) -> (Verdict, Mark) {
        let wanted: BTreeMap<_, _> = places_to_compare(self.mark.as_ref(), request)
            .into_iter()
            .filter_map(|p| self.chains.get(&p).map(|c| (p, *c)))
            .collect();
        let in_gap = |seq: &Seq| self.gaps.iter().any(|gap| (gap.0..=gap.1).contains(seq));
        let known = Known {
            watermark: self.mark.as_ref(),
            chains: &wanted,
            fillers: &wanted.keys().copied().filter(in_gap).collect(),
            forks: &self.forks,
        };
        let decision = decide(&known, request);
        for event in &decision.accepted {
            self.chains.insert(event.mark.seq, event.mark.chain);
            self.stored.push((event.mark.seq, event.record.to_owned()));
        }
        let gaps = decision.gaps.iter().map(|gap| (gap.from, gap.to));
        self.gaps.extend(gaps);
        if let Some(mark) = decision.watermark {
            self.mark = Some(mark);
        }
        (decision.verdict, decision.acked)
    }
}

fn fed(records: &[&str]) -> Central {
    let mut central = Central::default();
    let outbox = Outbox::of(records);
    assert_eq!(
        central.take(&outbox.batch(0, 99)),
        (Verdict::Ok, outbox.mark(outbox.head()))
    );
    central
}

#[test]
fn a_resend_and_an_overlap_store_nothing_twice() {
    let mut central = fed(&["a", "b", "c"]);
    let outbox = Outbox::of(&["a", "b", "c", "d"]);
    assert_eq!(
        central.take(&outbox.batch(0, 2)),
        (Verdict::Ok, outbox.mark(2))
    );
    assert_eq!(
        central.take(&outbox.batch(1, 9)),
        (Verdict::Ok, outbox.mark(4))
    );
    assert_eq!(central.stored.len(), 4);
}

#[test]
fn a_hole_is_refused_until_it_is_filled() {
    let mut central = fed(&["a"]);
    let outbox = Outbox::of(&["a", "b", "c"]);
    assert_eq!(
        central.take(&outbox.batch(2, 9)).0,
        Verdict::Rewind { to: Seq(2) }
    );
    assert_eq!(central.stored.len(), 1);
    assert_eq!(
        central.take(&outbox.batch(1, 9)),
        (Verdict::Ok, outbox.mark(3))
    );
}

#[test]
fn a_restored_backup_that_wrote_on_is_told_where_it_differs() {
    let mut central = fed(&["a", "b", "c", "d"]);
    let mut restored = Outbox::of(&["a", "b", "X", "Y", "Z"]);
    restored.acked = 1;
    let (verdict, acked) = central.take(&restored.batch(1, 9));
    assert_eq!(verdict, Verdict::Fork { at: Seq(3) });
    assert_eq!(acked, restored.mark(2));
    assert_eq!(central.stored.len(), 4);
}

#[test]
fn a_restored_backup_is_told_to_fork_before_it_reuses_a_number() {
    let mut central = fed(&["a", "b", "c"]);
    let mut restored = Outbox::of(&["a", "b"]);
    restored.acked = 1;
    assert_eq!(
        central.take(&restored.poll()),
        (Verdict::Fork { at: Seq(3) }, restored.mark(2))
    );
    assert_eq!(
        central.take(&restored.batch(1, 9)).0,
        Verdict::Fork { at: Seq(3) }
    );
}

#[test]
fn a_poll_of_a_diverged_terminal_asks_for_the_evidence_first() {
    let mut central = fed(&["a", "b", "c"]);
    let mut restored = Outbox::of(&["a", "X", "Y"]);
    restored.acked = 1;
    assert_eq!(
        central.take(&restored.poll()).0,
        Verdict::Rewind { to: Seq(2) }
    );
    assert_eq!(
        central.take(&restored.batch(1, 9)).0,
        Verdict::Fork { at: Seq(2) }
    );
}

#[test]
fn a_central_restored_from_a_backup_asks_for_what_it_lost() {
    let mut central = fed(&["a"]);
    let mut outbox = Outbox::of(&["a", "b", "c", "d"]);
    outbox.acked = 3;
    assert_eq!(
        central.take(&outbox.poll()).0,
        Verdict::Rewind { to: Seq(2) }
    );
    assert_eq!(
        central.take(&outbox.batch(3, 9)).0,
        Verdict::Rewind { to: Seq(2) }
    );
    assert_eq!(
        central.take(&outbox.batch(1, 9)),
        (Verdict::Ok, outbox.mark(4))
    );
}

#[test]
fn a_disk_from_before_a_fork_is_led_to_the_epoch_that_has_its_events() {
    // Central lost its newest data to a restore, but knows that another epoch left this one at 3.
    let mut central = fed(&["a"]);
    central.forks = vec![Seq(3)];
    let restored = Outbox::of(&["a", "b", "moved"]);
    assert_eq!(
        central.take(&restored.batch(1, 9)),
        (Verdict::Fork { at: Seq(3) }, restored.mark(2))
    );
    assert_eq!(central.mark, Some(restored.mark(2)));
    assert_eq!(central.stored.len(), 2);
}

#[test]
fn a_notice_on_a_history_that_differs_leads_to_a_fork_and_is_not_asked_for_again() {
    let theirs = ["a", "b", "c", "d", "e"];
    let own = Outbox::of(&["A", "B", "C", "D"]);
    let notice = |to: u64| GapNotice {
        from: Seq(1),
        to: Seq(to),
        after: own.mark(to).chain,
        reason: "damaged".into(),
    };
    let before_a_batch = ExchangeRequest {
        gap: Some(notice(2)),
        ..own.batch(2, 9)
    };
    let by_itself = ExchangeRequest {
        gap: Some(notice(4)),
        ..own.poll()
    };
    for request in [before_a_batch, by_itself] {
        let (verdict, acked) = fed(&theirs).take(&request);
        assert_eq!(
            (verdict, acked),
            (Verdict::Fork { at: Seq(1) }, own.mark(0))
        );
    }
    // One that does not join the batch explains nothing.
    let apart = ExchangeRequest {
        gap: Some(notice(1)),
        ..own.batch(2, 9)
    };
    assert_eq!(fed(&theirs).take(&apart).0, Verdict::Rewind { to: Seq(1) });
}

#[test]
fn an_unknown_epoch_begins_at_its_first_event() {
    let mut central = Central::default();
    let mut outbox = Outbox::of(&["a", "b"]);
    outbox.acked = 1;
    assert_eq!(
        central.take(&outbox.batch(1, 9)).0,
        Verdict::Rewind { to: Seq(1) }
    );
    assert_eq!(
        central.take(&outbox.batch(0, 9)),
        (Verdict::Ok, outbox.mark(2))
    );
}

proptest! {
    /// Whatever prefix central holds, whatever the terminal claims acknowledged and wherever its
    /// batches begin: by following the verdicts every event arrives once and in order, or the fork
    /// is found at the first event that differs.
    #[test]
    fn following_the_verdicts_ends_with_every_event_once_or_at_the_true_fork(
        shared in 0usize..6,
        at_central in 0usize..6,
        on_terminal in 0usize..6,
        acked in 0usize..12,
        most in 1usize..4,
        start in 0usize..12,
    ) {
        let name = |side: &str, n: usize| if n < shared { format!("s{n}") } else { format!("{side}{n}") };
        let theirs: Vec<String> = (0..shared + at_central).map(|n| name("c", n)).collect();
        let ours: Vec<String> = (0..shared + on_terminal).map(|n| name("t", n)).collect();
        let mut central = Central::default();
        if !theirs.is_empty() {
            let refs: Vec<&str> = theirs.iter().map(String::as_str).collect();
            central = fed(&refs);
        }
        let refs: Vec<&str> = ours.iter().map(String::as_str).collect();
        let mut outbox = Outbox::of(&refs);
        // What both share may have been acknowledged, no more.
        outbox.acked = acked.min(shared) as u64;
        let mut after = (start.min(ours.len()) as u64).max(outbox.acked);
        let mut forked = None;
        for _ in 0..64 {
            let request = if after < outbox.head() { outbox.batch(after, most) } else { outbox.poll() };
            let (verdict, mark) = central.take(&request);
            prop_assert_eq!(mark, outbox.mark(mark.seq.0), "acknowledged what differs");
            match verdict {
                Verdict::Ok => {
                    outbox.acked = outbox.acked.max(mark.seq.0);
                    if outbox.acked == outbox.head() && after >= outbox.head() { break }
                    after = outbox.acked;
                }
                Verdict::Rewind { to } => after = to.before().0,
                Verdict::Fork { at } => { forked = Some(at); break }
                Verdict::SlowDown { .. } | Verdict::Refused { .. } => prop_assert!(false),
            }
        }
        if at_central > 0 {
            prop_assert_eq!(forked, Some(Seq(shared as u64 + 1)));
        } else {
            prop_assert_eq!(forked, None);
            let stored: Vec<String> = central.stored.iter().map(|(_, r)| r.clone()).collect();
            prop_assert_eq!(stored, outbox.records.clone());
        }
    }
}
