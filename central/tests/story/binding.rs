use std::sync::Arc;

use tillbind_central::binding::dispute::{SettleError, settle_dispute};
use tillbind_central::intake;

use crate::support::till::{NOW_MS, Till};
use crate::support::{Bench, arrival};

const CARD: &str = "2900000000017";
const OTHER: &str = "2900000000024";

async fn state(bench: &Bench, id: &str) -> (String, String) {
    let sql = format!("SELECT state, reason FROM bindings WHERE id = '{id}'");
    let row = bench.rows(&sql).await;
    let reason = row[0].text_opt(1).unwrap();
    (row[0].text(0).unwrap(), reason.unwrap_or_default())
}

async fn points(bench: &Bench, member: &str) -> i64 {
    bench
        .number(&format!(
            "SELECT points FROM members WHERE member = '{member}'"
        ))
        .await
}

pub(crate) async fn a_confirmed_binding_moves_what_the_card_had_earned_once(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let member = bench.account("tmall:1", 1).await;
    let mut till = Till::new(7);
    till.sale("1", 1_000, Some(CARD));
    let code = bench.code("tmall:1").await;
    till.bind("b1", CARD, "tmall:1", &code);
    till.bind("b2", CARD, "tmall:1", &code);
    till.sale("2", 500, Some(CARD));
    bench.take(&terminal, &till.all()).await;
    bench.take(&terminal, &till.all()).await;
    assert_eq!(state(bench, "b1").await.0, "confirmed");
    assert_eq!(state(bench, "b2").await.0, "confirmed");
    assert_eq!(points(bench, &member).await, 15);
    assert_eq!(bench.number("SELECT points FROM cards").await, 0);
    assert_eq!(bench.text("SELECT member FROM cards").await, member);
    assert_eq!(bench.number("SELECT COUNT(*) FROM disputes").await, 0);

    // The request once more under another epoch, and another request under its name.
    let mut moved = Till::new(8);
    moved.bind("b1", CARD, "tmall:1", &code);
    moved.bind("b1", OTHER, "tmall:1", &code);
    let taken = bench.take(&terminal, &moved.all()).await;
    assert_eq!(taken.quarantined, 1);
    assert_eq!(points(bench, &member).await, 15);
}

pub(crate) async fn the_first_of_many_requests_stands_and_the_second_opens_a_dispute(
    bench: &Bench,
) {
    let mut racers = Vec::new();
    for n in 0..6 {
        let account = format!("tmall:{n}");
        bench.account(&account, n).await;
        let mut till = Till::new(7);
        till.bind(
            &format!("b{n}"),
            CARD,
            &account,
            &bench.code(&account).await,
        );
        racers.push((bench.terminal("S1", &format!("W{n}")).await, till));
    }
    let store = Arc::new(bench.store.clone());
    let race: Vec<_> = racers
        .into_iter()
        .map(|(terminal, till)| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                intake::take(&store, &arrival(&terminal), &till.all())
                    .await
                    .unwrap()
            })
        })
        .collect();
    for racer in race {
        assert_eq!(racer.await.unwrap().quarantined, 0);
    }
    let of = |state: &str| format!("SELECT COUNT(*) FROM bindings WHERE state = '{state}'");
    assert_eq!(bench.number(&of("confirmed")).await, 1);
    assert_eq!(bench.number(&of("rejected")).await, 5);
    let disputes = "SELECT COUNT(*) FROM disputes d
        JOIN bindings h ON h.id = d.holder_binding AND h.state = 'confirmed'
        JOIN bindings c ON c.id = d.claimant_binding AND c.state = 'rejected'
            AND c.evidence_body LIKE '%TB1:%'";
    assert_eq!(bench.number(disputes).await, 5);
}

pub(crate) async fn a_dispute_settled_to_the_claimant_moves_the_card_and_its_earnings(
    bench: &Bench,
) {
    let terminal = bench.terminal("S1", "W1").await;
    let (first, second) = (
        bench.account("tmall:1", 1).await,
        bench.account("tmall:2", 2).await,
    );
    let mut till = Till::new(7);
    till.sale("1", 1_000, Some(CARD));
    till.sale("2", 700, Some(OTHER));
    till.bind("b1", CARD, "tmall:1", &bench.code("tmall:1").await);
    till.bind("b2", OTHER, "tmall:1", &bench.code("tmall:1").await);
    till.bind("b3", CARD, "tmall:2", &bench.code("tmall:2").await);
    till.sale("3", 500, Some(CARD));
    bench.take(&terminal, &till.all()).await;
    assert_eq!(points(bench, &first).await, 22);
    let (state_before, reason) = state(bench, "b3").await;
    assert_eq!(state_before, "rejected");
    assert!(!reason.contains("tmall:1"), "{reason}");

    let id = bench.text("SELECT id FROM disputes").await;
    let settle = async |to: &str| {
        let to = to.parse().unwrap();
        settle_dispute(&bench.store, &id, &to, "cli:test", NOW_MS).await
    };
    assert!(matches!(
        settle("tmall:9").await,
        Err(SettleError::NoParty { .. })
    ));
    settle("tmall:2").await.unwrap();
    assert!(matches!(
        settle("tmall:1").await,
        Err(SettleError::Settled(_))
    ));
    assert_eq!(points(bench, &first).await, 7);
    assert_eq!(points(bench, &second).await, 15);
    assert_eq!(state(bench, "b1").await.0, "revoked");
    assert_eq!(state(bench, "b2").await.0, "confirmed");
    assert_eq!(
        state(bench, "b3").await,
        ("confirmed".to_owned(), String::new())
    );
    let holder = format!("SELECT member FROM cards WHERE card = '{CARD}'");
    assert_eq!(bench.text(&holder).await, second);
}

pub(crate) async fn two_platforms_of_one_person_become_one_member(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let older = bench.account("tmall:1", 1).await;
    let younger = bench.account("taobao:1", 2).await;
    let stranger = bench.account("taobao:2", 3).await;
    let mut till = Till::new(7);
    till.sale("1", 1_000, Some(CARD));
    till.sale("2", 400, Some(OTHER));
    till.bind("b1", OTHER, "taobao:1", &bench.code("taobao:1").await);
    till.bind("b2", CARD, "tmall:1", &bench.code("tmall:1").await);
    till.bind("b3", CARD, "taobao:1", &bench.code("taobao:1").await);
    till.bind("b4", CARD, "taobao:2", &bench.code("taobao:2").await);
    bench.take(&terminal, &till.all()).await;
    assert_eq!(points(bench, &older).await, 14);
    assert_eq!(points(bench, &younger).await, 0);
    let of_older = format!("SELECT COUNT(*) FROM cards WHERE member = '{older}'");
    assert_eq!(bench.number(&of_older).await, 2);
    let accounts = format!("SELECT COUNT(*) FROM accounts WHERE member = '{older}'");
    assert_eq!(bench.number(&accounts).await, 2);
    assert_eq!(state(bench, "b4").await.0, "rejected");
    assert_eq!(points(bench, &stranger).await, 0);
    let merged = format!("SELECT merged_into FROM members WHERE member = '{younger}'");
    assert_eq!(bench.text(&merged).await, older);
}

pub(crate) async fn bad_evidence_is_rejected_with_its_reason(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    bench.account("tmall:1", 1).await;
    bench.account("tmall:2", 1).await;
    let code = bench.code("tmall:1").await;
    let mut till = Till::new(7);
    till.bind("forged", CARD, "tmall:1", &code.replace("TB1:", "TB1:00"));
    till.bind("others", CARD, "tmall:2", &code);
    till.bind("good", CARD, "tmall:1", &code);
    till.bind("reused", OTHER, "tmall:1", &code);
    // A till that never saw central's clock: half an hour before its exchange, by its own clock.
    let body = serde_json::json!({"id": "old", "card": OTHER, "card_kind": "ean",
        "account": "tmall:2", "evidence": {"type": "member-code",
            "code": bench.code("tmall:2").await}});
    let at = NOW_MS + 1_800_000;
    let record = serde_json::json!({"at": at, "kind": "binding_requested", "body": body});
    till.raw(&record.to_string());
    let request = tillbind_protocol::exchange::ExchangeRequest {
        at_ms: NOW_MS,
        ..till.all()
    };
    let late = intake::Arrival {
        received_ms: NOW_MS + 1_800_000,
        ..arrival(&terminal)
    };
    intake::take(&bench.store, &late, &request).await.unwrap();
    assert_eq!(state(bench, "forged").await.0, "rejected");
    assert!(state(bench, "others").await.1.contains("another account"));
    assert_eq!(state(bench, "good").await.0, "confirmed");
    assert!(state(bench, "reused").await.1.contains("another card"));
    assert!(state(bench, "old").await.1.contains("expired"));
    assert_eq!(bench.number("SELECT COUNT(*) FROM disputes").await, 0);
}
