use serde_json::json;
use tillbind_central::quarantine::{self, QuarantineError};
use tillbind_central::store::statement::Row;
use tillbind_protocol::exchange::{ExchangeRequest, Fork, Hello, Verdict};
use tillbind_protocol::ids::{Epoch, Seq};

use crate::support::till::{NOW_MS, Till, hello, sale};
use crate::support::{Bench, RULES, trap};

pub(crate) async fn a_batch_is_taken_once_however_often_it_is_sent(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let mut till = Till::new(7);
    for n in 1..=40 {
        till.sale(&format!("{n:06}"), 1_050, Some("2900000000017"));
    }
    let first = bench.take(&terminal, &till.batch(1..=25)).await;
    assert_eq!(
        (first.verdict, first.acked, first.events),
        (Verdict::Ok, till.mark(25), 25)
    );
    let resent = bench.take(&terminal, &till.batch(1..=25)).await;
    assert_eq!(
        (resent.verdict, resent.acked, resent.events),
        (Verdict::Ok, till.mark(25), 0)
    );
    let overlap = bench.take(&terminal, &till.batch(11..=40)).await;
    assert_eq!(
        (overlap.verdict, overlap.acked, overlap.events),
        (Verdict::Ok, till.mark(40), 15)
    );
    let poll = bench.take(&terminal, &till.poll()).await;
    assert_eq!((poll.verdict, poll.acked), (Verdict::Ok, till.mark(40)));

    assert_eq!(bench.number("SELECT COUNT(*) FROM events").await, 40);
    assert_eq!(bench.number("SELECT COUNT(*) FROM transactions").await, 40);
    assert_eq!(bench.number("SELECT points FROM cards").await, 40 * 10);
    let kept = bench.text("SELECT record FROM events WHERE seq = 40").await;
    assert!(kept.contains("\"sequence\":\"000040\""), "{kept}");
    let plain = "SELECT sequence FROM transactions ORDER BY seq DESC LIMIT 1";
    assert_eq!(bench.text(plain).await, "40");
}

pub(crate) async fn a_hole_is_asked_for_and_a_notice_explains_it(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let mut till = Till::new(7);
    for n in 1..=9 {
        till.scan(&format!("290000000{n}"));
    }
    bench.take(&terminal, &till.batch(1..=3)).await;
    let hole = bench.take(&terminal, &till.batch(6..=9)).await;
    assert_eq!(hole.verdict, Verdict::Rewind { to: Seq(4) });
    assert_eq!(bench.number("SELECT COUNT(*) FROM events").await, 3);

    let explained = ExchangeRequest {
        gap: Some(till.gap(3..=5)),
        ..till.batch(6..=9)
    };
    for _ in 0..2 {
        let taken = bench.take(&terminal, &explained).await;
        assert_eq!((taken.verdict, taken.acked), (Verdict::Ok, till.mark(9)));
    }
    assert_eq!(bench.number("SELECT COUNT(*) FROM events").await, 7);
    let gaps = bench
        .rows("SELECT from_seq, to_seq, reason FROM gaps")
        .await;
    assert_eq!(gaps.len(), 1);
    assert_eq!((gaps[0].int(0).unwrap(), gaps[0].int(1).unwrap()), (4, 5));

    // A restored disk still has what was given up.
    let filling = bench.take(&terminal, &till.batch(4..=9)).await;
    assert_eq!((filling.verdict, filling.events), (Verdict::Ok, 2));
    assert_eq!(bench.number("SELECT COUNT(*) FROM events").await, 9);
    assert_eq!(bench.number("SELECT filled FROM gaps").await, 2);
}

pub(crate) async fn a_batch_goes_on_behind_its_holes_and_each_becomes_a_gap(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let mut till = Till::new(7);
    for n in 1..=60 {
        till.sale(&n.to_string(), 100, None);
    }
    bench.take(&terminal, &till.batch(1..=10)).await;
    let gone = [9..=9, 12..=14, 30..=48, 60..=60];
    for _ in 0..2 {
        let taken = bench.take(&terminal, &till.holed(8..=60, &gone)).await;
        assert_eq!((taken.verdict, taken.acked), (Verdict::Ok, till.mark(60)));
    }
    let gaps = async || {
        let rows = bench.rows("SELECT from_seq, to_seq, filled FROM gaps ORDER BY from_seq");
        let line = |row: &Row| [0, 1, 2].map(|n| row.int(n).unwrap());
        rows.await.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(gaps().await, [[12, 14, 0], [30, 48, 0], [60, 60, 0]]);
    let events = "SELECT COUNT(*) FROM events";
    assert_eq!(bench.number(events).await, 60 - 23);

    // A disk from before the loss still has some of it; what differs from a hole's end is a fork.
    let filling = bench.take(&terminal, &till.batch(12..=20)).await;
    assert_eq!((filling.verdict, filling.events), (Verdict::Ok, 3));
    assert_eq!(gaps().await[0], [12, 14, 3]);
    let mut other = Till::new(7);
    for n in 1..=61 {
        let total_minor = if n < 30 { 100 } else { 101 };
        other.sale(&n.to_string(), total_minor, None);
    }
    let hidden = std::slice::from_ref(&(50..=55));
    let forked = bench.take(&terminal, &other.holed(50..=61, hidden)).await;
    assert!(matches!(
        forked.verdict,
        Verdict::Rewind { .. } | Verdict::Fork { .. }
    ));
    assert_eq!(bench.number(events).await, 60 - 20);
}

pub(crate) async fn a_rolled_back_till_forks_and_both_histories_are_kept(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let mut till = Till::new(7);
    for n in 1..=6 {
        till.sale(&n.to_string(), 100, None);
    }
    bench.take(&terminal, &till.all()).await;
    till.roll_back(4);
    till.sale("1005", 100, None);
    till.sale("1006", 100, None);
    till.sale("1007", 100, None);
    let forked = bench.take(&terminal, &till.batch(5..=7)).await;
    assert_eq!(forked.verdict, Verdict::Fork { at: Seq(5) });
    assert_eq!(forked.acked, till.mark(4));
    assert_eq!(bench.number("SELECT COUNT(*) FROM events").await, 6);

    let mut moved = Till::new(8);
    for sequence in ["1005", "1006", "1007"] {
        moved.sale(sequence, 100, None);
    }
    let taken = bench.take(&terminal, &moved.all()).await;
    assert_eq!((taken.verdict, taken.acked), (Verdict::Ok, moved.mark(3)));
    assert_eq!(bench.number("SELECT COUNT(*) FROM events").await, 9);
    assert_eq!(bench.number("SELECT COUNT(*) FROM transactions").await, 9);
    assert_eq!(bench.number("SELECT COUNT(*) FROM streams").await, 2);
}

pub(crate) async fn a_fork_that_a_poll_tells_of_is_kept(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let mut till = Till::new(7);
    for sequence in ["1", "2", "3"] {
        till.sale(sequence, 100, None);
    }
    bench.take(&terminal, &till.batch(1..=1)).await;
    let forked = Till::new(8);
    let mut request = forked.poll();
    let fork = Fork {
        epoch: Epoch(7),
        at: Seq(2),
    };
    request.hello = Some(Hello {
        forked_from: Some(fork),
        ..hello("m1")
    });
    assert_eq!(bench.take(&terminal, &request).await.verdict, Verdict::Ok);
    let taken = bench.take(&terminal, &till.batch(2..=3)).await;
    assert_eq!(
        (taken.verdict, taken.events),
        (Verdict::Fork { at: Seq(2) }, 0)
    );
}

pub(crate) async fn a_poison_record_stops_nothing_and_can_be_mended(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let mut till = Till::new(7);
    till.sale("1", 500, Some("2900000000017"));
    till.raw(r#"{"at":1,"kind":"transaction","body":{"total":1}}"#);
    till.raw("[1,2,3]");
    let mut foreign = sale("2", 500, None);
    foreign["store"] = json!("S9");
    till.event("transaction", foreign);
    let mut unsound = sale("3", 500, Some("2900000000017"));
    unsound["tenders"][0]["amount_minor"] = json!(499);
    till.event("transaction", unsound);
    till.event("drawer_opened", json!({"why": "\u{0}"}));
    till.sale("4", 500, Some("2900000000017"));
    let taken = bench.take(&terminal, &till.all()).await;
    assert_eq!((taken.acked, taken.quarantined), (till.mark(7), 4));
    assert_eq!(bench.number("SELECT COUNT(*) FROM events").await, 7);
    assert_eq!(bench.number("SELECT COUNT(*) FROM transactions").await, 2);
    assert_eq!(bench.number("SELECT points FROM cards").await, 10);

    let id = bench
        .number("SELECT id FROM quarantine WHERE seq = 5")
        .await;
    let again = quarantine::replay(&bench.store, id, None, RULES, "cli:test", NOW_MS).await;
    assert!(matches!(&again, Err(QuarantineError::StillPoison(why)) if why.contains("499")));
    let mended = json!({"at": NOW_MS, "kind": "transaction",
        "body": sale("3", 500, Some("2900000000017"))})
    .to_string();
    let replay = || quarantine::replay(&bench.store, id, Some(&mended), RULES, "cli:test", NOW_MS);
    replay().await.unwrap();
    assert!(matches!(replay().await, Err(QuarantineError::Resolved(_))));
    assert_eq!(bench.number("SELECT points FROM cards").await, 15);
    let other = bench
        .number("SELECT id FROM quarantine WHERE seq = 3")
        .await;
    quarantine::drop_entry(&bench.store, other, "cli:test", NOW_MS)
        .await
        .unwrap();
    let open = "SELECT COUNT(*) FROM quarantine WHERE resolved_ms IS NULL";
    assert_eq!(bench.number(open).await, 2);
}

pub(crate) async fn a_value_that_the_database_refuses_goes_to_quarantine_alone(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let same_discount = "CREATE UNIQUE INDEX trap ON transactions (discount_minor)
        WHERE discount_minor <> 0";
    trap(bench, same_discount).await;
    let mut till = Till::new(7);
    for n in 1..=3 {
        let mut discounted = sale(&n.to_string(), 900, Some("2900000000017"));
        discounted["discount_minor"] = json!(100);
        discounted["items"][0]["amount_minor"] = json!(1_000);
        till.event("transaction", discounted);
    }
    till.sale("4", 100, Some("2900000000017"));
    let taken = bench.take(&terminal, &till.all()).await;
    assert_eq!((taken.acked, taken.quarantined), (till.mark(4), 2));
    assert_eq!(bench.number("SELECT COUNT(*) FROM events").await, 4);
    assert_eq!(bench.number("SELECT points FROM cards").await, 10);
}
