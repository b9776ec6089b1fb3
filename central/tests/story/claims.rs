use serde_json::{Value, json};
use tillbind_central::binding::dispute::settle_dispute;
use tillbind_central::claims::{Gain, Outcome, RedeemError, WAITING_MAX, redeem};
use tillbind_central::export::{Export, Filter, Format, Kind, Request};
use tillbind_central::intake::{self, Arrival};
use tillbind_central::quarantine;
use tillbind_central::store::Store;
use tillbind_central::store::cut::{Cut, with_cut};
use tillbind_protocol::claim::{CLAIM_RANDOM_BYTES, ClaimCode};
use tillbind_protocol::ids::StoreId;
use tillbind_protocol::replica::BindingState;

use crate::support::till::{NOW_MS, Till, claim_code, sale};
use crate::support::{Bench, CLAIM_RULES, DAY_MS, RULES, arrival};

const CARD: &str = "2900000000017";

type Redeemed = Result<Outcome, RedeemError>;

async fn redeem_at(store: &Store, code: &ClaimCode, account: &str, now_ms: i64) -> Redeemed {
    let account = account.parse().unwrap();
    let code = code.to_string();
    redeem(store, &code, &account, "cli:test", now_ms, CLAIM_RULES).await
}

async fn ask(bench: &Bench, code: &ClaimCode, account: &str) -> Redeemed {
    redeem_at(&bench.store, code, account, NOW_MS + 2_000).await
}

fn gain(outcome: Redeemed) -> Gain {
    match outcome.unwrap() {
        Outcome::Redeemed { gain, .. } => gain,
        waiting @ Outcome::Waiting { .. } => panic!("{waiting:?}"),
    }
}

/// Why a code was refused.
fn refusal(outcome: Redeemed) -> String {
    match outcome.unwrap_err() {
        RedeemError::Refused(why) => why,
        other => panic!("{other:?}"),
    }
}

fn is_anothers(outcome: &Redeemed) -> bool {
    matches!(outcome, Err(RedeemError::OtherAccount))
}

/// Whether a code waits, and if so whether its terminal was heard.
fn waits(outcome: Redeemed) -> Option<bool> {
    match outcome.unwrap() {
        Outcome::Waiting { offered, .. } => Some(offered),
        Outcome::Redeemed { .. } => None,
    }
}

async fn state(bench: &Bench, code: &ClaimCode) -> String {
    let sql = format!("SELECT state FROM claims WHERE claim = '{}'", code.digest());
    bench.text(&sql).await
}

async fn points(bench: &Bench, member: &str) -> i64 {
    let sql = format!("SELECT points FROM members WHERE member = '{member}'");
    bench.number(&sql).await
}

async fn lines(bench: &Bench, kind: Kind, filter: Filter) -> Vec<Value> {
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

pub(crate) async fn a_code_entered_before_its_terminal_is_up_is_redeemed_when_its_event_comes(
    bench: &Bench,
) {
    let terminal = bench.terminal("S1", "W1").await;
    let member = bench.account("tmall:1", 1).await;
    bench.account("tmall:2", 2).await;
    let code = claim_code(1);
    for _ in 0..2 {
        assert_eq!(waits(ask(bench, &code, "tmall:1").await), Some(false));
    }
    assert!(is_anothers(&ask(bench, &code, "tmall:2").await));
    assert_eq!(bench.trail("claim.asked").await, 1);
    let mut till = Till::new(7);
    till.offer("1", &code);
    till.sale("1", 1_050, None);
    for _ in 0..2 {
        assert_eq!(bench.take(&terminal, &till.all()).await.quarantined, 0);
        assert_eq!(state(bench, &code).await, "redeemed");
        assert_eq!(points(bench, &member).await, 10);
    }
    let actor = "SELECT actor FROM audit WHERE action = 'claim.redeemed'";
    assert_eq!(bench.text(actor).await, "central");
    let expected = Gain::Sale {
        member: member.parse().unwrap(),
        points: 10,
    };
    assert_eq!(gain(ask(bench, &code, "tmall:1").await), expected);
    let sale = &lines(bench, Kind::Transactions, Filter::default()).await[0];
    assert_eq!(
        (&sale["card"], &sale["member"]),
        (&Value::Null, &json!(member))
    );
    assert_eq!(bench.number("SELECT COUNT(*) FROM bindings").await, 0);
}

pub(crate) async fn sale_offer_and_wish_may_come_in_any_order(bench: &Bench) {
    #[derive(Clone, Copy, PartialEq)]
    enum Part {
        Sale,
        Offer,
        Wish,
    }
    use Part::{Offer, Sale, Wish};
    let terminal = bench.terminal("S1", "W1").await;
    let orders = [
        [Sale, Offer, Wish],
        [Sale, Wish, Offer],
        [Offer, Sale, Wish],
        [Offer, Wish, Sale],
        [Wish, Sale, Offer],
        [Wish, Offer, Sale],
    ];
    let mut till = Till::new(7);
    let mut n = 0;
    for order in orders {
        for card in [None, Some(format!("2900000{n:06}"))] {
            n += 1;
            let account = format!("tmall:{n}");
            let member = bench.account(&account, i64::from(n)).await;
            let code = claim_code(n);
            for part in order {
                let seq = match part {
                    Sale => till.sale(&n.to_string(), 700, card.as_deref()),
                    Offer => till.offer(&n.to_string(), &code),
                    Wish => {
                        let heard = order.iter().position(|p| *p == Offer)
                            < order.iter().position(|p| *p == Wish);
                        let asked = waits(ask(bench, &code, &account).await);
                        assert_eq!(asked, (part != order[2]).then_some(heard));
                        continue;
                    }
                };
                let taken = bench.take(&terminal, &till.batch(seq..=seq)).await;
                assert_eq!(taken.quarantined, 0);
            }
            assert_eq!(state(bench, &code).await, "redeemed");
            assert_eq!(points(bench, &member).await, 7);
        }
    }
    assert_eq!(bench.number("SELECT COUNT(*) FROM bindings").await, 6);
    assert_eq!(bench.trail("claim.redeemed").await, 12);
}

pub(crate) async fn the_first_account_holds_a_code_and_two_accounts_of_a_card_open_a_dispute(
    bench: &Bench,
) {
    let terminal = bench.terminal("S1", "W1").await;
    let (holder, claimant) = (
        bench.account("tmall:1", 1).await,
        bench.account("tmall:2", 2).await,
    );
    let code = claim_code(1);
    let mut till = Till::new(7);
    till.bind("b1", CARD, "tmall:1", &bench.code("tmall:1").await);
    till.sale("1", 1_000, Some(CARD));
    till.offer("1", &code);
    bench.take(&terminal, &till.all()).await;
    let rejected = gain(ask(bench, &code, "tmall:2").await);
    let Gain::Card { state, reason, .. } = &rejected else {
        panic!("{rejected:?}");
    };
    assert_eq!(*state, BindingState::Rejected);
    assert!(reason.as_ref().unwrap().contains("another tmall account"));
    assert_eq!(gain(ask(bench, &code, "tmall:2").await), rejected);
    assert_eq!(bench.number("SELECT COUNT(*) FROM disputes").await, 1);
    assert_eq!(points(bench, &holder).await, 10);

    let id = bench.text("SELECT id FROM disputes").await;
    let to = "tmall:2".parse().unwrap();
    let settled = settle_dispute(&bench.store, &id, &to, "cli:test", NOW_MS).await;
    settled.unwrap();
    let now = gain(ask(bench, &code, "tmall:2").await);
    assert!(
        matches!(
            now,
            Gain::Card {
                state: BindingState::Confirmed,
                ..
            }
        ),
        "{now:?}"
    );
    assert_eq!(points(bench, &holder).await, 0);
    assert_eq!(points(bench, &claimant).await, 10);

    // No more cards than an account may hold, by whatever evidence.
    for n in 2..=4 {
        let code = claim_code(n);
        till.sale(&n.to_string(), 100, Some(&format!("28{n}")));
        let last = till.offer(&n.to_string(), &code);
        bench.take(&terminal, &till.batch(last - 1..=last)).await;
        gain(ask(bench, &code, "tmall:1").await);
    }
    let code = claim_code(5);
    till.sale("5", 100, Some("285"));
    let last = till.offer("5", &code);
    bench.take(&terminal, &till.batch(last - 1..=last)).await;
    for _ in 0..2 {
        let why = refusal(ask(bench, &code, "tmall:1").await);
        assert!(why.contains("3 cards"), "{why}");
    }
}

pub(crate) async fn a_sale_is_claimed_once_whatever_the_number_of_its_codes(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let member = bench.account("tmall:1", 1).await;
    bench.account("tmall:2", 2).await;
    let codes: Vec<ClaimCode> = (1..=4).map(claim_code).collect();
    let mut till = Till::new(7);
    till.sale("1", 1_000, None);
    till.offer("1", &codes[0]);
    till.offer("1", &codes[1]);
    till.sale("2", 1_000, Some(CARD));
    till.offer("2", &codes[2]);
    till.offer("2", &codes[3]);
    // The same code twice, and for another sale.
    till.offer("1", &codes[0]);
    till.offer("2", &codes[0]);
    let taken = bench.take(&terminal, &till.all()).await;
    assert_eq!(taken.quarantined, 1);
    let reason = bench.text("SELECT reason FROM quarantine").await;
    assert!(reason.contains("another sale"), "{reason}");
    // Once more in a batch of its own.
    let seq = till.offer("2", &codes[1]);
    let taken = bench.take(&terminal, &till.batch(seq..=seq)).await;
    assert_eq!(taken.quarantined, 1);

    for (first, second) in [(0, 1), (2, 3)] {
        gain(ask(bench, &codes[first], "tmall:1").await);
        for account in ["tmall:2", "tmall:2"] {
            let why = refusal(ask(bench, &codes[second], account).await);
            assert!(why.contains("claimed already"), "{why}");
        }
        assert!(is_anothers(&ask(bench, &codes[second], "tmall:1").await));
    }
    assert_eq!(points(bench, &member).await, 20);
    assert_eq!(bench.number("SELECT COUNT(*) FROM disputes").await, 0);
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

pub(crate) async fn a_code_expires_and_a_wish_ends(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    bench.account("tmall:1", 1).await;
    bench.account("tmall:2", 2).await;
    let (expired, early) = (claim_code(1), claim_code(2));
    let mut till = Till::new(7);
    till.sale("1", 1_000, None);
    till.offer("1", &expired);
    till.sale("2", 1_000, None);
    till.offer("2", &early);
    bench.take(&terminal, &till.batch(1..=2)).await;
    let store = &bench.store;
    let last_ms = NOW_MS + 90 * DAY_MS;
    for now_ms in [last_ms + 1, last_ms] {
        let why = refusal(redeem_at(store, &expired, "tmall:1", now_ms).await);
        assert!(why.contains("expired"), "{why}");
    }

    // One waits in vain, another account may then have the code; the event comes later still.
    assert_eq!(waits(ask(bench, &early, "tmall:1").await), Some(false));
    let over_ms = NOW_MS + 2_000 + 7 * DAY_MS;
    assert!(is_anothers(
        &redeem_at(store, &early, "tmall:2", over_ms - 1).await
    ));
    let second = redeem_at(store, &early, "tmall:2", over_ms).await;
    assert_eq!(waits(second), Some(false));
    let late = Arrival {
        received_ms: over_ms + 7 * DAY_MS,
        ..arrival(&terminal)
    };
    let taken = intake::take(store, &late, &till.batch(3..=4)).await;
    assert_eq!(taken.unwrap().quarantined, 0);
    assert_eq!(state(bench, &early).await, "offered");
    gain(redeem_at(store, &early, "tmall:1", late.received_ms).await);

    // A wish for a sale that does not come ends as well, when anybody asks for anything.
    let lost = claim_code(3);
    let seq = till.offer("3", &lost);
    bench.take(&terminal, &till.batch(seq..=seq)).await;
    assert_eq!(waits(ask(bench, &lost, "tmall:1").await), Some(true));
    let other = redeem_at(store, &claim_code(4), "tmall:2", over_ms).await;
    assert_eq!(waits(other), Some(false));
    assert_eq!(state(bench, &lost).await, "offered");
    let forgotten = redeem_at(store, &claim_code(5), "tmall:2", over_ms + 7 * DAY_MS).await;
    assert_eq!(waits(forgotten), Some(false));
    assert_eq!(state(bench, &claim_code(4)).await, "");
}

pub(crate) async fn an_account_has_few_codes_waiting(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    bench.account("tmall:1", 1).await;
    bench.account("tmall:2", 2).await;
    let most = u8::try_from(WAITING_MAX).unwrap();
    for n in 1..=most {
        assert_eq!(
            waits(ask(bench, &claim_code(n), "tmall:1").await),
            Some(false)
        );
    }
    let many = ask(bench, &claim_code(0), "tmall:1").await;
    assert!(matches!(many, Err(RedeemError::TooManyWaiting)), "{many:?}");
    assert_eq!(state(bench, &claim_code(0)).await, "");
    // Those that wait may be asked for again, others may wait, and what can be redeemed at once is.
    assert_eq!(
        waits(ask(bench, &claim_code(1), "tmall:1").await),
        Some(false)
    );
    assert_eq!(
        waits(ask(bench, &claim_code(0), "tmall:2").await),
        Some(false)
    );
    let mut till = Till::new(7);
    till.sale("1", 1_000, None);
    till.offer("1", &claim_code(99));
    bench.take(&terminal, &till.all()).await;
    gain(ask(bench, &claim_code(99), "tmall:1").await);
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

pub(crate) async fn many_processes_that_redeem_at_once_redeem_once(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let second = Store::open(&bench.database, bench.data_dir.path(), "h-other");
    let second = second.await.unwrap();
    let mut till = Till::new(7);
    for account in ["tmall:1", "tmall:2"] {
        bench.account(account, 1).await;
    }
    for round in 1..=10u8 {
        let sequence = round.to_string();
        // Two codes of one sale, each entered by two accounts, in two processes.
        let codes = [claim_code(2 * round), claim_code(2 * round + 1)];
        till.sale(&sequence, 1_000, None);
        till.offer(&sequence, &codes[0]);
        let last = till.offer(&sequence, &codes[1]);
        bench.take(&terminal, &till.batch(last - 2..=last)).await;
        let now_ms = NOW_MS + 2_000;
        let [one, other] = &codes;
        let (here, there) = tokio::join!(
            async {
                tokio::join!(
                    redeem_at(&bench.store, one, "tmall:1", now_ms),
                    redeem_at(&bench.store, other, "tmall:2", now_ms),
                )
            },
            async {
                tokio::join!(
                    redeem_at(&second, one, "tmall:2", now_ms),
                    redeem_at(&second, one, "tmall:1", now_ms),
                )
            },
        );
        let told = [here.0, here.1, there.0, there.1];
        let redeemed = told.iter().filter(|told| told.is_ok()).count();
        assert!((1..=2).contains(&redeemed), "{told:?}");
        for told in told {
            match told {
                Ok(Outcome::Redeemed { .. })
                | Err(RedeemError::OtherAccount | RedeemError::Refused(_)) => {}
                odd => panic!("{odd:?}"),
            }
        }
        let sql = "SELECT COUNT(*) FROM claims WHERE state = 'redeemed'";
        assert_eq!(bench.number(sql).await, i64::from(round));
        let sql = "SELECT CAST(SUM(points) AS BIGINT) FROM members";
        assert_eq!(bench.number(sql).await, 10 * i64::from(round));
    }
    second.close().await.unwrap();
}

pub(crate) async fn no_wish_is_missed_while_its_terminal_sends(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let member = bench.account("tmall:1", 1).await;
    let arrival = arrival(&terminal);
    let mut till = Till::new(7);
    for n in 1..=30u8 {
        let code = claim_code(n);
        let sequence = n.to_string();
        let requests = match n % 3 {
            // Both at once.
            0 => {
                till.sale(&sequence, 1_000, None);
                let last = till.offer(&sequence, &code);
                vec![till.batch(last - 1..=last)]
            }
            // The offer, then the sale.
            1 => {
                let first = till.offer(&sequence, &code);
                let last = till.sale(&sequence, 1_000, None);
                vec![till.batch(first..=first), till.batch(last..=last)]
            }
            _ => {
                let first = till.sale(&sequence, 1_000, None);
                let last = till.offer(&sequence, &code);
                vec![till.batch(first..=first), till.batch(last..=last)]
            }
        };
        let sending = async {
            for request in &requests {
                intake::take(&bench.store, &arrival, request).await.unwrap();
            }
        };
        let (asked, ()) = tokio::join!(ask(bench, &code, "tmall:1"), sending);
        asked.unwrap();
        assert_eq!(state(bench, &code).await, "redeemed", "round {n}");
    }
    assert_eq!(points(bench, &member).await, 300);
}

pub(crate) async fn a_line_that_breaks_at_any_statement_redeems_once(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let member = bench.account("tmall:1", 1).await;
    let mut till = Till::new(7);
    let mut rounds = 0;
    for cut in [Cut::Before, Cut::After, Cut::Session] {
        for at in 0.. {
            rounds += 1;
            // By hand.
            let sequence = format!("1{rounds:04}");
            let code = numbered(rounds);
            till.sale(&sequence, 1_000, None);
            let last = till.offer(&sequence, &code);
            bench.take(&terminal, &till.batch(last - 1..=last)).await;
            let (asked, by_hand) = with_cut(cut, at, ask(bench, &code, "tmall:1")).await;
            assert_eq!(asked.is_err(), by_hand, "{cut:?} at statement {at}");
            gain(ask(bench, &code, "tmall:1").await);

            // When the event comes.
            let sequence = format!("2{rounds:04}");
            let code = numbered(10_000 + rounds);
            assert_eq!(waits(ask(bench, &code, "tmall:1").await), Some(false));
            till.sale(&sequence, 1_000, None);
            let last = till.offer(&sequence, &code);
            let request = till.batch(last - 1..=last);
            let arrived = arrival(&terminal);
            let taking = intake::take(&bench.store, &arrived, &request);
            let (taken, in_turn) = with_cut(cut, at, taking).await;
            assert_eq!(taken.is_err(), in_turn, "{cut:?} at statement {at}");
            bench.take(&terminal, &request).await;
            assert_eq!(state(bench, &code).await, "redeemed");
            if !by_hand && !in_turn {
                assert!(at > 15, "only {at} statements were cut");
                break;
            }
        }
    }
    assert_eq!(points(bench, &member).await, 20 * i64::from(rounds));
    assert_eq!(bench.trail("claim.redeemed").await, 2 * i64::from(rounds));
}

fn numbered(n: u32) -> ClaimCode {
    let mut random = [0; CLAIM_RANDOM_BYTES];
    random[CLAIM_RANDOM_BYTES - 4..].copy_from_slice(&n.to_be_bytes());
    ClaimCode::new(random)
}

pub(crate) async fn a_till_without_claims_is_asked_nothing_of_them(bench: &Bench) {
    let (waited_for, plain) = (
        bench.terminal("S1", "W1").await,
        bench.terminal("S1", "W2").await,
    );
    bench.account("tmall:1", 1).await;
    let mut till = Till::new(7);
    let code = claim_code(1);
    till.offer("none", &code);
    bench.take(&waited_for, &till.all()).await;
    let mut other = Till::new(8);
    let mut statements = Vec::new();
    for _ in 0..2 {
        let mut body = sale(&other.head().seq.0.to_string(), 100, None);
        body["workstation"] = json!("W2");
        let seq = other.event("transaction", body);
        let request = other.batch(seq..=seq);
        let arrived = arrival(&plain);
        let mut count = 0;
        while with_cut(
            Cut::Before,
            count,
            intake::take(&bench.store, &arrived, &request),
        )
        .await
        .1
        {
            count += 1;
        }
        statements.push(count);
        // From now on a claim of another till waits.
        assert_eq!(waits(ask(bench, &code, "tmall:1").await), Some(true));
    }
    assert_eq!(statements[0], statements[1]);
    // Stream, watermark, forks, events, sale, gaps and quarantine that are none, watermark, commit.
    assert!(statements[0] <= 8, "{statements:?}");
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
