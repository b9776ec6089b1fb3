use serde_json::json;
use tillbind_central::intake;
use tillbind_central::store::Store;
use tillbind_central::store::cut::{Cut, with_cut};
use tillbind_protocol::exchange::{ExchangeRequest, Verdict};

use crate::support::till::{Till, sale};
use crate::support::{Bench, arrival};

/// A batch with something of everything that an intake writes: 8 events behind a gap of two.
fn everything(workstation: &str, card: &str, code: &str) -> (Till, ExchangeRequest) {
    let mut till = Till::new(7);
    let of = |sequence: &str, card: Option<&str>| {
        let mut body = sale(sequence, 1_000, card);
        body["workstation"] = json!(workstation);
        body
    };
    till.scan("lost");
    till.scan("lost too");
    till.scan(card);
    till.event("transaction", of("1", Some(card)));
    // Another source tells the same sale again, and it adds what was missing in another.
    let mut journal = of("1", Some(card));
    journal["source"] = json!("poslog");
    till.event("transaction", journal);
    till.event("transaction", of("2", None));
    let late = json!({"sale": {"store": "S1", "workstation": workstation,
        "business_day": "2026-09-21", "sequence": "2"}, "card": card, "card_kind": "ean"});
    till.event("attribution", late);
    till.raw("[]");
    till.bind(&format!("b-{workstation}"), card, "tmall:1", code);
    let mut void = of("1", None);
    void["type"] = json!("void");
    till.event("transaction", void);
    let request = ExchangeRequest {
        gap: Some(till.gap(1..=2)),
        ..till.batch(3..=10)
    };
    (till, request)
}

pub(crate) async fn a_line_that_breaks_at_any_statement_leaves_all_or_nothing_and_a_resend_ends_with_all_once(
    bench: &Bench,
) {
    bench.account("tmall:1", 1).await;
    let code = bench.code("tmall:1").await;
    let mut rounds = 0;
    for cut in [Cut::Before, Cut::After, Cut::Session] {
        for at in 0.. {
            let workstation = format!("W{rounds}");
            let terminal = bench.terminal("S1", &workstation).await;
            let card = format!("29{rounds:06}");
            let (till, request) = everything(&workstation, &card, &code);
            let arrived = arrival(&terminal);
            let taking = intake::take(&bench.store, &arrived, &request);
            let (taken, struck) = with_cut(cut, at, taking).await;
            assert_eq!(taken.is_err(), struck, "{cut:?} at statement {at}");
            rounds += 1;
            let of_terminal = format!(
                "SELECT COUNT(*) FROM events WHERE terminal = '{}'",
                terminal.id
            );
            let there = bench.number(&of_terminal).await;
            assert!(there == 0 || there == 8, "{cut:?} at {at}: {there} events");
            for _ in 0..2 {
                let resent = bench.take(&terminal, &request).await;
                assert_eq!((resent.verdict, resent.acked), (Verdict::Ok, till.head()));
            }
            assert_eq!(bench.number(&of_terminal).await, 8);
            if !struck {
                assert!(at > 15, "only {at} statements were cut");
                break;
            }
        }
    }
    // Each round left the same, once.
    for (of_each, sql) in [
        (2, "SELECT COUNT(*) FROM transactions"),
        (
            1,
            "SELECT COUNT(*) FROM transactions WHERE kind = 'void' AND sources LIKE '%poslog%'",
        ),
        (1, "SELECT COUNT(*) FROM quarantine"),
        (1, "SELECT COUNT(*) FROM gaps"),
        (1, "SELECT COUNT(*) FROM bindings"),
        (1, "SELECT COUNT(*) FROM cards"),
        // The sale that was voided gave its points back, the other's stand.
        (
            10,
            "SELECT CAST(SUM(points) AS BIGINT) FROM ledger WHERE kind IN ('sale', 'void')",
        ),
    ] {
        assert_eq!(bench.number(sql).await, of_each * rounds, "{sql}");
    }
}

pub(crate) async fn many_processes_that_take_one_batch_at_once_take_it_once(bench: &Bench) {
    bench.account("tmall:1", 1).await;
    let code = bench.code("tmall:1").await;
    // Another process has connections of its own.
    let second = Store::open(&bench.database, bench.data_dir.path(), "h-other");
    let second = second.await.unwrap();
    for round in 1..=20 {
        let workstation = format!("W{round}");
        let terminal = bench.terminal("S1", &workstation).await;
        let (till, request) = everything(&workstation, &format!("29{round:06}"), &code);
        let arrived = arrival(&terminal);
        let stores = [&bench.store, &second, &bench.store, &second];
        let takings = stores.map(|store| intake::take(store, &arrived, &request));
        let mut events = 0;
        for taken in futures_util::future::join_all(takings).await {
            let taken = taken.unwrap();
            assert_eq!((taken.verdict, taken.acked), (Verdict::Ok, till.head()));
            events += taken.events;
        }
        assert_eq!(events, 8, "the events were taken by one of them");
        for (of_each, sql) in [
            (8, "SELECT COUNT(*) FROM events"),
            (2, "SELECT COUNT(*) FROM transactions"),
            (1, "SELECT COUNT(*) FROM bindings"),
            (1, "SELECT COUNT(*) FROM gaps"),
            (
                3,
                "SELECT COUNT(*) FROM ledger WHERE kind IN ('sale', 'void')",
            ),
        ] {
            assert_eq!(bench.number(sql).await, of_each * round, "{sql}");
        }
    }
    second.close().await.unwrap();
}

/// A till that was set up anew reads its journal folder from the start: another terminal, another
/// epoch, the same sales.
pub(crate) async fn a_replaced_till_that_tells_the_same_sales_again_adds_none(bench: &Bench) {
    let former = bench.terminal("S1", "W1").await;
    let replaced = bench.terminal("S1", "W1").await;
    assert_ne!(former.id, replaced.id);
    let day = |epoch, padded: bool| {
        let mut till = Till::new(epoch);
        for n in 1..=30 {
            let sequence = if padded {
                format!("{n:06}")
            } else {
                n.to_string()
            };
            let mut body = sale(&sequence, 1_000, Some("2900000000017"));
            body["source"] = json!(if padded { "tap" } else { "poslog" });
            till.event("transaction", body);
        }
        till
    };
    // Both at once, as when the former one still has something to send.
    let (first, second) = (day(7, true), day(8, false));
    let (first, second) = (first.all(), second.all());
    let (former, replaced) = (arrival(&former), arrival(&replaced));
    let (one, other) = tokio::join!(
        intake::take(&bench.store, &former, &first),
        intake::take(&bench.store, &replaced, &second),
    );
    assert_eq!(
        (one.unwrap().quarantined, other.unwrap().quarantined),
        (0, 0)
    );
    assert_eq!(bench.number("SELECT COUNT(*) FROM events").await, 60);
    assert_eq!(bench.number("SELECT COUNT(*) FROM transactions").await, 30);
    assert_eq!(bench.number("SELECT COUNT(*) FROM ledger").await, 30);
    assert_eq!(bench.number("SELECT points FROM cards").await, 300);
    let both = "SELECT COUNT(*) FROM transactions WHERE sources LIKE '% %'";
    assert_eq!(bench.number(both).await, 30);
}
