//! Batches that skip places.

use super::*;

#[test]
fn a_batch_skips_its_holes_and_each_is_recorded_once() {
    let mut central = fed(&["a"]);
    let outbox = Outbox::of(&["a", "b", "c", "d", "e", "f"]);
    let request = outbox.holed(0, 9, &BTreeSet::from([2, 4, 5]));
    assert_eq!(central.take(&request), (Verdict::Ok, outbox.mark(6)));
    assert_eq!(central.take(&request), (Verdict::Ok, outbox.mark(6)));
    assert_eq!(central.gaps, [(Seq(2), Seq(2)), (Seq(4), Seq(5))]);
    assert_eq!(central.stored.len(), 3);
}

#[test]
fn a_hole_over_what_central_has_is_no_gap_and_one_over_its_edge_begins_there() {
    let mut central = fed(&["a", "b", "c"]);
    let outbox = Outbox::of(&["a", "b", "c", "d", "e"]);
    let request = outbox.holed(0, 9, &BTreeSet::from([2, 4]));
    assert_eq!(central.take(&request), (Verdict::Ok, outbox.mark(5)));
    assert_eq!(central.gaps, [(Seq(4), Seq(4))]);
    let mut central = fed(&["a", "b", "c"]);
    let request = outbox.holed(0, 9, &BTreeSet::from([2, 3, 4]));
    assert_eq!(central.take(&request), (Verdict::Ok, outbox.mark(5)));
    assert_eq!(central.gaps, [(Seq(4), Seq(4))]);
}

#[test]
fn a_batch_of_holes_alone_takes_the_watermark_along() {
    let mut central = fed(&["a"]);
    let outbox = Outbox::of(&["a", "b", "c"]);
    let request = outbox.holed(1, 9, &BTreeSet::from([2, 3]));
    assert_eq!(central.take(&request), (Verdict::Ok, outbox.mark(3)));
    assert_eq!(central.gaps, [(Seq(2), Seq(3))]);
}

#[test]
fn a_difference_hidden_in_a_hole_is_a_fork_where_the_hole_begins() {
    let mut central = fed(&["a", "b", "c", "d"]);
    let restored = Outbox::of(&["a", "X", "Y", "Z", "W"]);
    let request = restored.holed(0, 9, &BTreeSet::from([2, 3]));
    assert_eq!(
        central.take(&request),
        (Verdict::Fork { at: Seq(2) }, restored.mark(1))
    );
    assert_eq!(central.stored.len(), 4);
}

#[test]
fn a_hole_over_the_place_where_another_epoch_left_leads_there() {
    let mut central = fed(&["a"]);
    central.forks = vec![Seq(3)];
    let restored = Outbox::of(&["a", "b", "moved", "d"]);
    let request = restored.holed(1, 9, &BTreeSet::from([2, 3]));
    assert_eq!(
        central.take(&request),
        (Verdict::Fork { at: Seq(3) }, restored.mark(1))
    );
    assert_eq!(central.gaps, []);
}

#[test]
fn nothing_is_taken_of_a_batch_whose_holes_do_not_fit() {
    let mut central = fed(&["a"]);
    let outbox = Outbox::of(&["a", "b", "c", "d"]);
    let mut request = outbox.holed(1, 9, &BTreeSet::from([3]));
    request.batch.as_mut().unwrap().holes[0].from = Seq(4);
    request.batch.as_mut().unwrap().holes[0].to = Seq(9);
    assert_eq!(central.take(&request).0, Verdict::Rewind { to: Seq(2) });
    assert_eq!((central.gaps.len(), central.stored.len()), (0, 1));
}

/// What happens between a terminal with holes and central.
#[derive(Debug, Clone)]
enum Step {
    /// A batch from so far behind or before the acknowledged place; its answer may be lost.
    Send {
        from: usize,
        most: usize,
        answered: bool,
    },
    /// An earlier request arrives once more.
    Again(usize),
    /// The terminal gives up an event that is not acknowledged.
    GiveUp(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0usize..6, 1usize..6, any::<bool>()).prop_map(|(from, most, answered)| Step::Send {
            from,
            most,
            answered
        }),
        (0usize..20).prop_map(Step::Again),
        (0usize..30).prop_map(Step::GiveUp),
    ]
}

proptest! {
    /// A history with holes, cut into batches anyhow, resent, reordered, while more is given up:
    /// central ends at the terminal's newest mark, has every event that the terminal kept and none
    /// twice, and every other place stands in one recorded gap.
    #[test]
    fn whatever_is_cut_resent_and_given_up_every_place_is_an_event_or_in_a_recorded_gap(
        places in 1usize..24,
        gone in proptest::collection::btree_set(1u64..24, 0..12),
        steps in proptest::collection::vec(step(), 0..40),
    ) {
        let records: Vec<String> = (1..=places).map(|n| format!("r{n}")).collect();
        let refs: Vec<&str> = records.iter().map(String::as_str).collect();
        let mut outbox = Outbox::of(&refs);
        let mut gone: BTreeSet<u64> = gone.into_iter().filter(|p| *p <= outbox.head()).collect();
        let mut central = Central::default();
        let mut sent: Vec<ExchangeRequest> = Vec::new();
        for step in steps {
            match step {
                Step::Send { from, most, answered } => {
                    let after = (outbox.acked + from as u64).min(outbox.head());
                    let request = outbox.holed(after, most, &gone);
                    let (verdict, mark) = central.take(&request);
                    prop_assert_eq!(mark, outbox.mark(mark.seq.0), "acknowledged what differs");
                    let forked = matches!(verdict, Verdict::Fork { .. });
                    prop_assert!(!forked);
                    if answered && verdict == Verdict::Ok {
                        outbox.acked = outbox.acked.max(mark.seq.0);
                    }
                    sent.push(request);
                }
                Step::Again(n) => {
                    if let Some(request) = sent.get(n) {
                        central.take(request);
                    }
                }
                Step::GiveUp(n) => {
                    let place = outbox.acked + 1 + n as u64;
                    if place <= outbox.head() {
                        gone.insert(place);
                    }
                }
            }
        }
        let mut after = outbox.acked;
        for _ in 0..64 {
            let (verdict, mark) = central.take(&outbox.holed(after, 3, &gone));
            match verdict {
                Verdict::Ok if mark.seq.0 == outbox.head() => break,
                Verdict::Ok => after = mark.seq.0,
                Verdict::Rewind { to } => after = to.before().0,
                Verdict::Fork { .. } | Verdict::SlowDown { .. } | Verdict::Refused { .. } => {
                    prop_assert!(false, "{:?}", verdict);
                }
            }
        }
        prop_assert_eq!(central.mark, Some(outbox.mark(outbox.head())));
        let mut seen: BTreeMap<u64, u32> = BTreeMap::new();
        for (seq, record) in &central.stored {
            prop_assert_eq!(record, &outbox.records[usize::try_from(seq.0 - 1).unwrap()]);
            *seen.entry(seq.0).or_default() += 1;
        }
        prop_assert!(seen.values().all(|times| *times == 1), "an event was stored twice");
        let mut in_gaps: Vec<u64> = central.gaps.iter().flat_map(|(f, t)| f.0..=t.0).collect();
        let all = in_gaps.len();
        in_gaps.sort_unstable();
        in_gaps.dedup();
        prop_assert_eq!(in_gaps.len(), all, "a place stands in two gaps");
        for place in 1..=outbox.head() {
            let kept = seen.contains_key(&place);
            prop_assert!(kept || in_gaps.contains(&place), "{} is unaccounted for", place);
            prop_assert!(kept || gone.contains(&place), "{} was kept and did not arrive", place);
        }
    }
}
