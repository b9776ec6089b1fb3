use serde_json::{Value, json};
use tillbind_central::claims::{Gain, Outcome, RedeemError, redeem};
use tillbind_central::export::{Export, Filter, Format, Kind, Request};
use tillbind_central::quarantine;
use tillbind_central::store::Store;
use tillbind_protocol::claim::ClaimCode;
use tillbind_protocol::ids::StoreId;
use tillbind_protocol::replica::BindingState;

use crate::support::till::{NOW_MS, Till, claim_code, sale};
use crate::support::{Bench, CLAIM_RULES, RULES};

const CARD: &str = "2900000000017";

pub(crate) type Redeemed = Result<Outcome, RedeemError>;

pub(crate) async fn redeem_at(
    store: &Store,
    code: &ClaimCode,
    account: &str,
    now_ms: i64,
) -> Redeemed {
    let account = account.parse().unwrap();
    let code = code.to_string();
    redeem(store, &code, &account, "cli:test", now_ms, CLAIM_RULES).await
}

pub(crate) async fn ask(bench: &Bench, code: &ClaimCode, account: &str) -> Redeemed {
    redeem_at(&bench.store, code, account, NOW_MS + 2_000).await
}

pub(crate) fn gain(outcome: Redeemed) -> Gain {
    match outcome.unwrap() {
        Outcome::Redeemed { gain, .. } => gain,
        waiting @ Outcome::Waiting { .. } => panic!("{waiting:?}"),
    }
}

/// Why a code was refused.
pub(crate) fn refusal(outcome: Redeemed) -> String {
    let error = outcome.unwrap_err();
    let RedeemError::Refused(why) = error else {
        panic!("{error:?}");
    };
    why
}

pub(crate) fn is_anothers(outcome: &Redeemed) -> bool {
    matches!(outcome, Err(RedeemError::OtherAccount))
}

/// Whether a code waits, and if so whether its terminal was heard.
pub(crate) fn waits(outcome: Redeemed) -> Option<bool> {
    match outcome.unwrap() {
        Outcome::Waiting { offered, .. } => Some(offered),
        Outcome::Redeemed { .. } => None,
    }
}

pub(crate) async fn state(bench: &Bench, code: &ClaimCode) -> String {
    let sql = format!("SELECT state FROM claims WHERE claim = '{}'", code.digest());
    bench.text(&sql).await
}

pub(crate) async fn points(bench: &Bench, member: &str) -> i64 {
    let sql = format!("SELECT points FROM members WHERE member = '{member}'");
    bench.number(&sql).await
}

pub(crate) async fn lines(bench: &Bench, kind: Kind, filter: Filter) -> Vec<Value> {
    let request = Request {
        kind,
        format: Format::Ndjson,
        filter,
    };
    let mut export = Export::begin(&bench.store, request).await.unwrap();
    let mut all = Vec::new();
    while let Some(page) = export.next_lines().await.unwrap() {
        all.extend(page.iter().map(|line| serde_json::from_str(line).unwrap()));
    }
    all
}

pub(crate) async fn a_code_entered_after_its_receipt_was_printed_binds_the_card_once(
    bench: &Bench,
) {
    let terminal = bench.terminal("S1", "W1").await;
    let member = bench.account("tmall:82731946", 1).await;
    bench.account("tmall:2", 2).await;
    let code = claim_code(1);
    let mut till = Till::new(7);
    till.sale("1", 1_000, Some(CARD));
    till.offer("000001", &code);
    bench.take(&terminal, &till.all()).await;
    assert_eq!(state(bench, &code).await, "offered");

    let first = ask(bench, &code, "tmall:82731946").await.unwrap();
    let Outcome::Redeemed {
        gain:
            Gain::Card {
                binding,
                state: BindingState::Confirmed,
                reason: None,
                ..
            },
        ..
    } = &first
    else {
        panic!("{first:?}");
    };
    let kept = "SELECT evidence, evidence_body, terminal, epoch, seq, requested_ms, member, id
        FROM bindings";
    let kept = &bench.rows(kept).await[0];
    let digest = code.digest();
    assert_eq!(kept.text(0).unwrap(), "claim");
    let evidence = format!(r#"{{"type":"claim","claim":"{digest}"}}"#);
    assert_eq!(kept.text(1).unwrap(), evidence);
    assert_eq!(kept.text(2).unwrap(), terminal.id.as_str());
    assert_eq!(kept.text(3).unwrap(), till.epoch.to_string());
    assert_eq!(kept.int(4).unwrap(), 2);
    assert_eq!(kept.int(5).unwrap(), NOW_MS + 2_000);
    assert_eq!(kept.text(6).unwrap(), member);
    assert_eq!(kept.text(7).unwrap(), binding.as_str());
    assert_eq!(points(bench, &member).await, 10);

    // The same again; another's attempt; the event again, in another epoch.
    let again = ask(bench, &code, "tmall:82731946").await.unwrap();
    assert_eq!(again, first);
    assert!(is_anothers(&ask(bench, &code, "tmall:2").await));
    let mut moved = Till::new(8);
    moved.offer("1", &code);
    let taken = bench.take(&terminal, &moved.all()).await;
    assert_eq!(taken.quarantined, 0);
    assert_eq!(bench.number("SELECT COUNT(*) FROM bindings").await, 1);
    assert_eq!(bench.trail("claim.redeemed").await, 1);
    let trail = format!("{:?}", lines(bench, Kind::Audit, Filter::default()).await);
    assert!(trail.contains(&digest.to_string()), "{trail}");
    assert!(!trail.contains("82731946") && !trail.contains(&code.to_string()));
}

pub(crate) async fn what_is_no_sale_any_more_is_refused_with_the_reason(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    bench.account("tmall:1", 1).await;
    let mut till = Till::new(7);
    till.sale("1", 1_000, None);
    let mut void = sale("1", 0, None);
    void["type"] = json!("void");
    till.event("transaction", void);
    till.sale("2", -1_000, Some(CARD));
    let mut training = sale("3", 1_000, None);
    training["training"] = json!(true);
    till.event("transaction", training);
    for n in 1..=3 {
        till.offer(&n.to_string(), &claim_code(n));
    }
    bench.take(&terminal, &till.all()).await;
    for (n, word) in [(1, "voided"), (2, "return"), (3, "training")] {
        for _ in 0..2 {
            let why = refusal(ask(bench, &claim_code(n), "tmall:1").await);
            assert!(why.contains(word), "{why}");
        }
    }
    assert_eq!(bench.number("SELECT COUNT(*) FROM bindings").await, 0);
    assert_eq!(bench.trail("claim.refused").await, 3);

    let unknown = ask(bench, &claim_code(1), "tmall:9").await;
    let text = unknown.unwrap_err().to_string();
    assert!(text.contains("account create"), "{text}");
    let account = "tmall:1".parse().unwrap();
    let now_ms = NOW_MS + 2_000;
    let typed = redeem(
        &bench.store,
        "5D9B-TJPM",
        &account,
        "c",
        now_ms,
        CLAIM_RULES,
    )
    .await;
    assert!(matches!(typed, Err(RedeemError::Code(_))));
    assert_eq!(bench.number("SELECT COUNT(*) FROM claims").await, 3);
}

pub(crate) async fn a_void_takes_back_what_was_credited_from_whoever_is_the_accounts_member_now(
    bench: &Bench,
) {
    let terminal = bench.terminal("S1", "W1").await;
    let older = bench.account("taobao:1", 1).await;
    let younger = bench.account("tmall:1", 2).await;
    let code = claim_code(1);
    let mut till = Till::new(7);
    till.sale("1", 1_000, None);
    till.offer("1", &code);
    till.bind("b1", CARD, "taobao:1", &bench.code("taobao:1").await);
    bench.take(&terminal, &till.all()).await;
    gain(ask(bench, &code, "tmall:1").await);
    assert_eq!(points(bench, &younger).await, 10);
    // Both turn out to be one person.
    till.bind("b2", CARD, "tmall:1", &bench.code("tmall:1").await);
    bench.take(&terminal, &till.batch(4..=4)).await;
    assert_eq!(points(bench, &older).await, 10);
    let exported = &lines(bench, Kind::Transactions, Filter::default()).await[0];
    assert_eq!(exported["member"], json!(older));
    let claim = &lines(bench, Kind::Claims, Filter::default()).await[0];
    assert_eq!(claim["member"], json!(older));

    let mut void = sale("1", 0, None);
    void["type"] = json!("void");
    for seq in 5..=6 {
        till.event("transaction", void.clone());
        bench.take(&terminal, &till.batch(seq..=seq)).await;
        assert_eq!(points(bench, &older).await, 0);
    }
    let expected = Gain::Sale {
        member: older.parse().unwrap(),
        points: 0,
    };
    assert_eq!(gain(ask(bench, &code, "tmall:1").await), expected);
}

pub(crate) async fn a_card_that_comes_after_the_claim_earns_nothing_by_the_sale(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let member = bench.account("tmall:1", 1).await;
    let code = claim_code(1);
    let mut till = Till::new(7);
    till.sale("1", 1_000, None);
    till.offer("1", &code);
    bench.take(&terminal, &till.all()).await;
    gain(ask(bench, &code, "tmall:1").await);
    let mut journal = sale("1", 1_000, Some(CARD));
    journal["source"] = json!("poslog");
    till.event("transaction", journal);
    let late = json!({"sale": {"store": "S1", "workstation": "W1",
        "business_day": "2026-09-21", "sequence": "1"}, "card": CARD, "card_kind": "ean"});
    till.event("attribution", late);
    let taken = bench.take(&terminal, &till.batch(3..=4)).await;
    assert_eq!(taken.quarantined, 0);
    assert_eq!(points(bench, &member).await, 10);
    assert_eq!(bench.number("SELECT points FROM cards").await, 0);
    let exported = &lines(bench, Kind::Transactions, Filter::default()).await[0];
    assert_eq!(
        (&exported["card"], &exported["member"]),
        (&json!(CARD), &json!(member))
    );
    let mut void = sale("1", 0, Some(CARD));
    void["type"] = json!("void");
    till.event("transaction", void);
    bench.take(&terminal, &till.batch(5..=5)).await;
    assert_eq!(points(bench, &member).await, 0);
    assert_eq!(bench.number("SELECT points FROM cards").await, 0);
}

pub(crate) async fn an_offer_of_anothers_sale_is_set_apart_and_counts_once_mended(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let member = bench.account("tmall:1", 1).await;
    let code = claim_code(1);
    assert_eq!(waits(ask(bench, &code, "tmall:1").await), Some(false));
    let mut till = Till::new(7);
    let foreign = till.offer("1", &code);
    let foreign = till.record(foreign).replace("\"W1\"", "\"W2\"");
    let mut till = Till::new(7);
    till.raw(&foreign);
    let mut wrong = sale("1", 1_000, None);
    wrong["total_minor"] = json!(999);
    till.event("transaction", wrong);
    let taken = bench.take(&terminal, &till.all()).await;
    assert_eq!(taken.quarantined, 2);
    assert_eq!(waits(ask(bench, &code, "tmall:1").await), Some(false));
    let replay = async |id, from: &str, to: &str| {
        let record = till.record(u64::try_from(id).unwrap()).replace(from, to);
        let mended = Some(record.as_str());
        let replayed =
            quarantine::replay(&bench.store, id, mended, RULES, "cli:t", NOW_MS + 5_000).await;
        replayed.unwrap();
    };
    replay(1, "\"W2\"", "\"W1\"").await;
    assert_eq!(waits(ask(bench, &code, "tmall:1").await), Some(true));
    replay(2, "\"total_minor\":999", "\"total_minor\":1000").await;
    assert_eq!(state(bench, &code).await, "redeemed");
    let decided = "SELECT decided_ms FROM claims";
    assert_eq!(bench.number(decided).await, NOW_MS + 5_000);
    assert_eq!(points(bench, &member).await, 10);
}

pub(crate) async fn a_terminal_may_not_send_a_claim_as_evidence(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    bench.account("tmall:1", 1).await;
    let code = claim_code(1);
    let mut till = Till::new(7);
    till.sale("1", 1_000, Some(CARD));
    till.offer("1", &code);
    let body = json!({"id": "b1", "card": CARD, "card_kind": "ean", "account": "tmall:1",
        "evidence": {"type": "claim", "claim": code.digest()}});
    till.event("binding_requested", body);
    let taken = bench.take(&terminal, &till.all()).await;
    assert_eq!(taken.quarantined, 1);
    assert_eq!(bench.number("SELECT COUNT(*) FROM bindings").await, 0);
    // Nor may it take the name of its code's binding.
    let id = format!("claim-{}", code.digest());
    till.bind(&id, CARD, "tmall:1", &bench.code("tmall:1").await);
    bench.take(&terminal, &till.batch(4..=4)).await;
    let why = refusal(ask(bench, &code, "tmall:1").await);
    assert!(why.contains("name"), "{why}");
}

pub(crate) async fn claims_are_exported_by_their_digest_alone(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let member = bench.account("tmall:1", 1).await;
    let (redeemed, offered, waiting) = (claim_code(1), claim_code(2), claim_code(3));
    let mut till = Till::new(7);
    till.sale("1", 1_000, Some(CARD));
    till.offer("1", &redeemed);
    till.offer("1", &offered);
    bench.take(&terminal, &till.all()).await;
    gain(ask(bench, &redeemed, "tmall:1").await);
    assert_eq!(waits(ask(bench, &waiting, "tmall:1").await), Some(false));
    let all = lines(bench, Kind::Claims, Filter::default()).await;
    assert_eq!(all.len(), 3);
    let of = |code: &ClaimCode| {
        let digest = json!(code.digest());
        all.iter().find(|line| line["claim"] == digest).unwrap()
    };
    let digest = redeemed.digest();
    assert_eq!(
        *of(&redeemed),
        json!({"claim": digest, "store": "S1", "workstation": "W1",
            "business_day": "2026-09-21", "sequence": "1", "terminal": terminal.id,
            "epoch": till.epoch, "seq": 2, "state": "redeemed", "account": "tmall:1",
            "card": CARD, "member": member, "binding": format!("claim-{digest}"),
            "offered_at": "2026-09-21T14:13:20.000Z", "asked_at": "2026-09-21T14:13:22.000Z",
            "decided_at": "2026-09-21T14:13:22.000Z", "reason": null, "waits_until": null})
    );
    assert_eq!(of(&offered)["state"], "offered");
    assert_eq!(of(&offered)["account"], Value::Null);
    assert_eq!(of(&waiting)["state"], "waiting");
    assert_eq!(of(&waiting)["store"], Value::Null);
    assert_eq!(of(&waiting)["waits_until"], "2026-09-28T14:13:22.000Z");
    let open = Filter {
        open: true,
        ..Filter::default()
    };
    assert_eq!(lines(bench, Kind::Claims, open).await.len(), 1);
    let of_store = Filter {
        store: Some(StoreId::new("S1").unwrap()),
        terminal: Some(terminal.id.clone()),
        since: Some("2026-09-21T14:13:20Z".parse().unwrap()),
        until: Some("2026-09-21T14:13:21Z".parse().unwrap()),
        ..Filter::default()
    };
    assert_eq!(lines(bench, Kind::Claims, of_store).await.len(), 2);
}
