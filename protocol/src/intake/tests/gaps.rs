use super::*;

#[test]
fn a_gap_notice_lets_the_watermark_pass_and_is_recorded_once() {
    let mut central = fed(&["a"]);
    let mut outbox = Outbox::of(&["a", "b", "c", "d"]);
    outbox.acked = 3;
    let gap = outbox.notice(2, 3, "acknowledged and deleted");
    let request = ExchangeRequest {
        gap: Some(gap.clone()),
        ..outbox.batch(3, 9)
    };
    assert_eq!(central.take(&request), (Verdict::Ok, outbox.mark(4)));
    assert_eq!(central.take(&request), (Verdict::Ok, outbox.mark(4)));
    assert_eq!(central.gaps, [(Seq(2), Seq(3))]);
    assert_eq!(central.stored.len(), 2);
    // Without events behind it, too.
    let mut central = fed(&["a"]);
    let mut drained = Outbox::of(&["a", "b", "c"]);
    drained.acked = 3;
    let request = ExchangeRequest {
        gap: Some(gap),
        ..drained.poll()
    };
    assert_eq!(central.take(&request), (Verdict::Ok, drained.mark(3)));
    assert_eq!(central.gaps, [(Seq(2), Seq(3))]);
}

#[test]
fn a_gap_notice_without_events_lets_the_watermark_pass_though_more_lies_behind_it() {
    let mut central = fed(&["a"]);
    let outbox = Outbox::of(&["a", "b", "c", "d"]);
    let gap = outbox.notice(2, 2, "damaged");
    let request = ExchangeRequest {
        gap: Some(gap),
        ..outbox.poll()
    };
    assert_eq!(central.take(&request), (Verdict::Ok, outbox.mark(2)));
    assert_eq!(central.gaps, [(Seq(2), Seq(2))]);
    assert_eq!(
        central.take(&outbox.batch(2, 9)),
        (Verdict::Ok, outbox.mark(4))
    );
}

#[test]
fn a_restored_disk_fills_the_gap_that_it_still_remembers() {
    let mut central = fed(&["a"]);
    let full = Outbox::of(&["a", "b", "c", "d", "e"]);
    let gap = full.notice(2, 4, "acknowledged and deleted");
    let request = ExchangeRequest {
        gap: Some(gap),
        ..full.batch(4, 9)
    };
    assert_eq!(central.take(&request), (Verdict::Ok, full.mark(5)));
    // The backup had been taken when 2 was acknowledged, and another event was written since.
    let mut restored = Outbox::of(&["a", "b", "c", "X", "Y", "Z"]);
    restored.acked = 2;
    assert_eq!(
        central.take(&restored.batch(2, 1)),
        (Verdict::Ok, restored.mark(3))
    );
    let (verdict, acked) = central.take(&restored.batch(3, 9));
    assert_eq!(
        (verdict, acked),
        (Verdict::Fork { at: Seq(5) }, restored.mark(4))
    );
    let mut records: Vec<_> = central
        .stored
        .iter()
        .map(|(s, r)| (s.0, r.as_str()))
        .collect();
    records.sort_unstable();
    assert_eq!(
        records,
        [(1, "\"a\""), (3, "\"c\""), (4, "\"X\""), (5, "\"e\"")]
    );
}

#[test]
fn what_another_history_filled_a_gap_with_does_not_part_a_disk_that_goes_on_behind_it() {
    let mut central = fed(&["a"]);
    let full = Outbox::of(&["a", "b", "c", "d", "e", "f"]);
    let gap = full.notice(2, 4, "acknowledged and deleted");
    let request = ExchangeRequest {
        gap: Some(gap),
        ..full.batch(4, 1)
    };
    assert_eq!(central.take(&request), (Verdict::Ok, full.mark(5)));
    let restored = Outbox::of(&["a", "X", "Y", "Z", "W"]);
    assert_eq!(
        central.take(&restored.batch(1, 9)),
        (Verdict::Fork { at: Seq(5) }, restored.mark(4))
    );
    // The first disk comes back; what it once had in the gap it keeps no longer.
    let mut back = full;
    back.acked = 4;
    assert_eq!(central.take(&back.batch(4, 1)), (Verdict::Ok, back.mark(5)));
    assert_eq!(central.take(&back.batch(4, 9)), (Verdict::Ok, back.mark(6)));
}

#[test]
fn a_gap_notice_cannot_skip_what_was_never_missing_or_never_written() {
    let mut central = fed(&["a", "b"]);
    let outbox = Outbox::of(&["a", "b", "c", "d"]);
    let skip = |from, to| GapNotice {
        from: Seq(from),
        to: Seq(to),
        after: ChainHash::genesis(EPOCH),
        reason: String::new(),
    };
    let later = ExchangeRequest {
        gap: Some(skip(4, 4)),
        ..outbox.poll()
    };
    central.take(&later);
    let beyond = ExchangeRequest {
        gap: Some(skip(3, 9)),
        ..outbox.poll()
    };
    central.take(&beyond);
    assert_eq!(central.gaps, []);
    assert_eq!(central.mark, Some(outbox.mark(2)));
}
