use serde_json::json;

use crate::support::Bench;
use crate::support::till::{Till, sale};

const CARD: &str = "2900000000017";

pub(crate) async fn one_sale_told_by_two_sources_is_one_sale_and_earns_once(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let mut till = Till::new(7);
    let mut tap = sale("000161", 1_999, None);
    tap["items"] = json!([]);
    till.event("transaction", tap);
    let mut journal = sale("161", 1_999, Some(CARD));
    journal["source"] = json!("poslog");
    journal["began_at"] = json!("2026-09-21T10:00:00Z");
    till.event("transaction", journal.clone());
    let mut contrary = journal.clone();
    contrary["total_minor"] = json!(2_000);
    contrary["items"] = json!([]);
    contrary["tenders"] = json!([]);
    till.event("transaction", contrary);
    // The first observation and its amendment in one batch, and once more in another.
    let taken = bench.take(&terminal, &till.all()).await;
    assert_eq!(taken.quarantined, 1);
    till.event("transaction", journal);
    bench.take(&terminal, &till.batch(4..=4)).await;

    let told = "SELECT sources, card, items, began_ms, source FROM transactions";
    let told = bench.rows(told).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].text(0).unwrap(), "tap poslog");
    assert_eq!(told[0].text(1).unwrap(), CARD);
    assert!(told[0].text(2).unwrap().contains("4901"));
    assert!(told[0].int_opt(3).unwrap().is_some());
    assert_eq!(told[0].text(4).unwrap(), "tap");
    assert_eq!(bench.number("SELECT COUNT(*) FROM ledger").await, 1);
    assert_eq!(bench.number("SELECT points FROM cards").await, 19);
}

pub(crate) async fn a_void_takes_back_what_its_sale_earned_from_whoever_holds_the_card_now(
    bench: &Bench,
) {
    let terminal = bench.terminal("S1", "W1").await;
    let member = bench.account("tmall:1", 1).await;
    let mut till = Till::new(7);
    till.sale("1", 1_000, Some(CARD));
    till.sale("2", -300, Some(CARD));
    let mut training = sale("3", 9_000, Some(CARD));
    training["training"] = json!(true);
    till.event("transaction", training);
    till.bind("b1", CARD, "tmall:1", &bench.code("tmall:1").await);
    let mut void = sale("1", 0, None);
    void["type"] = json!("void");
    till.event("transaction", void.clone());
    bench.take(&terminal, &till.batch(1..=4)).await;
    let points = format!("SELECT points FROM members WHERE member = '{member}'");
    assert_eq!(bench.number(&points).await, 7);
    bench.take(&terminal, &till.batch(5..=5)).await;
    till.event("transaction", void);
    till.sale("1", 1_000, Some(CARD));
    let told_again = bench.take(&terminal, &till.batch(6..=7)).await;
    assert_eq!(told_again.quarantined, 0);
    assert_eq!(bench.number(&points).await, -3);
    let voided = "SELECT kind, total_minor FROM transactions WHERE sequence = '1'";
    let voided = bench.rows(voided).await;
    assert_eq!(voided[0].text(0).unwrap(), "void");
    assert_eq!(voided[0].int(1).unwrap(), 1_000);
}

pub(crate) async fn a_card_scanned_after_the_sale_earns_its_points(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let mut till = Till::new(7);
    let attribution = |sequence: &str, card: &str| {
        json!({"sale": {"store": "S1", "workstation": "W1", "business_day": "2026-09-21",
            "sequence": sequence}, "card": card, "card_kind": "ean"})
    };
    till.event("attribution", attribution("1", CARD));
    till.sale("1", 1_000, None);
    till.event("attribution", attribution("1", CARD));
    till.event("attribution", attribution("1", "2900000000024"));
    till.event("attribution", attribution("9", CARD));
    let taken = bench.take(&terminal, &till.all()).await;
    assert_eq!(taken.quarantined, 2);
    let earned = format!("SELECT points FROM cards WHERE card = '{CARD}'");
    assert_eq!(bench.number(&earned).await, 10);
    assert_eq!(bench.text("SELECT card FROM transactions").await, CARD);
}
