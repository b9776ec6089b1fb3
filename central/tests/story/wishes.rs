use serde_json::{Value, json};
use tillbind_central::claims::{Gain, RedeemError, WAITING_MAX};
use tillbind_central::export::{Filter, Kind};
use tillbind_central::intake::{self, Arrival};
use tillbind_central::store::cut::{Cut, with_cut};

use super::claims::{ask, gain, is_anothers, lines, points, redeem_at, refusal, state, waits};
use crate::support::till::{NOW_MS, Till, claim_code, sale};
use crate::support::{Bench, DAY_MS, arrival};

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
    // The stream, its watermark, its forks, the event, the sale, the watermark again, the commit.
    assert_eq!(statements, [7, 7]);
}
