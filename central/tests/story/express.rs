//! Binding requests that are shown before their turn.

use serde_json::json;
use tillbind_protocol::exchange::{ExchangeRequest, Express, Verdict};
use tillbind_protocol::ids::Seq;

use crate::support::till::{Till, sale};
use crate::support::{Bench, trap};

const CARD: &str = "2900000000017";

async fn bindings(bench: &Bench) -> Vec<(String, String)> {
    let rows = bench.rows("SELECT id, state FROM bindings ORDER BY id");
    let line = |row: &tillbind_central::store::statement::Row| {
        (row.text(0).unwrap(), row.text(1).unwrap())
    };
    rows.await.iter().map(line).collect()
}

fn ruled(id: &str, state: &str) -> (String, String) {
    (id.to_owned(), state.to_owned())
}

fn showing(request: ExchangeRequest, express: Vec<Express>) -> ExchangeRequest {
    ExchangeRequest { express, ..request }
}

pub(crate) async fn a_request_shown_before_its_turn_is_ruled_on_at_once_and_only_once(
    bench: &Bench,
) {
    let terminal = bench.terminal("S1", "W1").await;
    let member = bench.account("tmall:1", 1).await;
    let mut till = Till::new(7);
    for n in 1..=20 {
        till.sale(&n.to_string(), 1_000, Some(CARD));
    }
    let code = bench.code("tmall:1").await;
    let seq = till.bind("b1", CARD, "tmall:1", &code);
    till.sale("22", 1_000, Some(CARD));
    let points = format!("SELECT points FROM members WHERE member = '{member}'");

    let first = showing(till.batch(1..=5), vec![till.express(seq)]);
    for _ in 0..2 {
        let taken = bench.take(&terminal, &first).await;
        assert_eq!((taken.verdict, taken.acked), (Verdict::Ok, till.mark(5)));
        assert_eq!(bindings(bench).await, [ruled("b1", "confirmed")]);
        assert_eq!(bench.number(&points).await, 50);
    }
    assert_eq!(bench.number("SELECT COUNT(*) FROM events").await, 5);
    let version = bench.number("SELECT version FROM bindings").await;
    assert!(version > 0, "the verdict goes down to the tills");

    // The rest, with the event itself; then all of it once more.
    for request in [till.batch(6..=22), till.batch(1..=22)] {
        let taken = bench.take(&terminal, &request).await;
        assert_eq!((taken.acked, taken.quarantined), (till.mark(22), 0));
        assert_eq!(bindings(bench).await, [ruled("b1", "confirmed")]);
        assert_eq!(bench.number(&points).await, 210);
    }
    assert_eq!(bench.number("SELECT version FROM bindings").await, version);
    assert_eq!(bench.number("SELECT COUNT(*) FROM events").await, 22);
}

pub(crate) async fn a_request_shown_before_its_turn_is_known_in_the_epoch_that_a_fork_leads_to(
    bench: &Bench,
) {
    let terminal = bench.terminal("S1", "W1").await;
    let member = bench.account("tmall:1", 1).await;
    let mut till = Till::new(7);
    for n in 1..=4 {
        till.sale(&n.to_string(), 1_000, Some(CARD));
    }
    bench.take(&terminal, &till.all()).await;
    till.roll_back(2);
    till.sale("1003", 1_000, Some(CARD));
    let code = bench.code("tmall:1").await;
    let seq = till.bind("b1", CARD, "tmall:1", &code);
    let forked = showing(till.batch(3..=3), vec![till.express(seq)]);
    let taken = bench.take(&terminal, &forked).await;
    assert_eq!(taken.verdict, Verdict::Fork { at: Seq(3) });
    assert_eq!(bindings(bench).await, [ruled("b1", "confirmed")]);

    let mut moved = Till::new(8);
    moved.sale("1003", 1_000, Some(CARD));
    let seq = moved.raw(till.record(seq));
    let shown = showing(moved.batch(1..=1), vec![moved.express(seq)]);
    for request in [shown, moved.all()] {
        let taken = bench.take(&terminal, &request).await;
        assert_eq!((taken.verdict, taken.quarantined), (Verdict::Ok, 0));
        assert_eq!(bindings(bench).await, [ruled("b1", "confirmed")]);
    }
    let points = format!("SELECT points FROM members WHERE member = '{member}'");
    assert_eq!(bench.number(&points).await, 50);
}

pub(crate) async fn a_central_that_asks_for_what_it_lost_rules_on_what_it_is_shown(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    bench.account("tmall:1", 1).await;
    let mut till = Till::new(7);
    for n in 1..=9 {
        till.sale(&n.to_string(), 1_000, Some(CARD));
    }
    let code = bench.code("tmall:1").await;
    let seq = till.bind("b1", CARD, "tmall:1", &code);
    // As if it had acknowledged up to 6 before it was restored.
    let taken = bench
        .take(
            &terminal,
            &showing(till.batch(7..=8), vec![till.express(seq)]),
        )
        .await;
    assert_eq!(taken.verdict, Verdict::Rewind { to: Seq(1) });
    assert_eq!(bindings(bench).await, [ruled("b1", "confirmed")]);
    assert_eq!(bench.number("SELECT COUNT(*) FROM events").await, 0);
    let taken = bench.take(&terminal, &till.all()).await;
    assert_eq!((taken.acked, taken.quarantined), (till.mark(10), 0));
    assert_eq!(bindings(bench).await, [ruled("b1", "confirmed")]);
}

pub(crate) async fn the_first_request_shown_stands_and_the_other_opens_one_dispute(bench: &Bench) {
    let (slow, quick) = (
        bench.terminal("S1", "W1").await,
        bench.terminal("S1", "W2").await,
    );
    bench.account("tmall:1", 1).await;
    bench.account("tmall:2", 2).await;
    let mut behind = Till::new(7);
    behind.scan(CARD);
    let code = bench.code("tmall:1").await;
    let first = behind.bind("b1", CARD, "tmall:1", &code);
    let mut at_once = Till::new(8);
    let code = bench.code("tmall:2").await;
    at_once.bind("b2", CARD, "tmall:2", &code);
    let shown = showing(behind.batch(1..=1), vec![behind.express(first)]);
    bench.take(&slow, &shown).await;
    bench.take(&quick, &at_once.all()).await;
    bench.take(&slow, &behind.all()).await;
    bench.take(&quick, &at_once.all()).await;
    let expected = [ruled("b1", "confirmed"), ruled("b2", "rejected")];
    assert_eq!(bindings(bench).await, expected);
    assert_eq!(bench.number("SELECT COUNT(*) FROM disputes").await, 1);
}

pub(crate) async fn a_copy_of_no_use_is_passed_over_and_judged_when_its_event_comes(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    bench.account("tmall:1", 1).await;
    let code = bench.code("tmall:1").await;
    let mut till = Till::new(7);
    till.scan(CARD);
    let poison = till.raw(r#"{"at":1,"kind":"binding_requested","body":{"id":"b0"}}"#);
    let strange = till.event(
        "binding_requested",
        json!({"id": "b1", "card": CARD, "card_kind": "no such kind!", "account": "tmall:1",
            "evidence": {"type": "member-code", "code": code}}),
    );
    let other = till.event("transaction", sale("9", 1_000, Some(CARD)));
    let good = till.bind("b2", CARD, "tmall:1", &code);
    let copies = [poison, strange, other, good].map(|seq| till.express(seq));
    let taken = bench
        .take(&terminal, &showing(till.batch(1..=1), copies.to_vec()))
        .await;
    assert_eq!((taken.acked, taken.quarantined), (till.mark(1), 0));
    assert_eq!(bindings(bench).await, [ruled("b2", "confirmed")]);
    assert_eq!(bench.number("SELECT COUNT(*) FROM quarantine").await, 0);
    assert_eq!(bench.number("SELECT COUNT(*) FROM transactions").await, 0);

    let taken = bench.take(&terminal, &till.all()).await;
    assert_eq!((taken.acked, taken.quarantined), (till.mark(5), 2));
    assert_eq!(bindings(bench).await, [ruled("b2", "confirmed")]);
}

pub(crate) async fn a_copy_that_the_database_refuses_does_not_stop_its_batch(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    bench.account("tmall:1", 1).await;
    let code = bench.code("tmall:1").await;
    trap(bench, "CREATE UNIQUE INDEX trap ON bindings (platform)").await;
    let mut till = Till::new(7);
    till.sale("1", 1_000, Some(CARD));
    let first = till.bind("b1", CARD, "tmall:1", &code);
    let second = till.bind("b2", CARD, "tmall:1", &code);
    let copies = vec![till.express(first), till.express(second)];
    let taken = bench
        .take(&terminal, &showing(till.batch(1..=1), copies))
        .await;
    assert_eq!((taken.acked, taken.quarantined), (till.mark(1), 0));
    assert_eq!(bindings(bench).await, [ruled("b1", "confirmed")]);
    let taken = bench.take(&terminal, &till.all()).await;
    assert_eq!((taken.acked, taken.quarantined), (till.mark(3), 1));
}
