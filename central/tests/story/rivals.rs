use serde_json::json;
use tillbind_central::binding::dispute::settle_dispute;
use tillbind_central::claims::{Gain, Outcome, RedeemError};
use tillbind_central::intake;
use tillbind_central::store::Store;
use tillbind_central::store::cut::{Cut, with_cut};
use tillbind_protocol::claim::{CLAIM_RANDOM_BYTES, ClaimCode};
use tillbind_protocol::replica::BindingState;

use super::claims::{ask, gain, is_anothers, points, redeem_at, refusal, state, waits};
use crate::support::till::{NOW_MS, Till, claim_code, sale};
use crate::support::{Bench, arrival};

const CARD: &str = "2900000000017";

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

/// What may happen to one sale.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Happening {
    Sale,
    Journal,
    Attribution,
    Offer(usize),
    Wish(usize, &'static str),
    Binding,
    Void,
}

pub(crate) async fn whatever_happens_to_a_sale_in_whatever_order_it_earns_once(bench: &Bench) {
    use Happening::{Attribution, Binding, Journal, Offer, Sale, Void, Wish};

    let terminal = bench.terminal("S1", "W1").await;
    let mut dice = 0x5eed_u64;
    let mut till = Till::new(7);
    let mut standing = 0;
    for round in 0..60 {
        let mut happenings = vec![
            Sale,
            Journal,
            Attribution,
            Offer(0),
            Offer(1),
            Wish(0, "a"),
            Wish(0, "b"),
            Wish(1, "b"),
            Binding,
        ];
        if round % 3 == 0 {
            happenings.push(Void);
        }
        if round % 2 == 0 {
            // No card at all.
            happenings.retain(|what| ![Journal, Attribution, Binding].contains(what));
        }
        for n in (1..happenings.len()).rev() {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            happenings.swap(n, usize::try_from(dice >> 33).unwrap() % (n + 1));
        }
        let (sequence, card) = (round.to_string(), format!("29{round:04}"));
        let codes = [numbered(2 * round), numbered(2 * round + 1)];
        let mut accounts = Vec::new();
        for name in ["a", "b"] {
            let account = format!("tmall:{name}{round}");
            bench.account(&account, i64::from(round)).await;
            accounts.push(account);
        }
        let code = bench.code(&accounts[0]).await;
        for what in &happenings {
            let seq = match what {
                Sale => till.sale(&sequence, 1_000, None),
                Journal => till.sale(&sequence, 1_000, Some(&card)),
                Attribution => {
                    let late = json!({"sale": {"store": "S1", "workstation": "W1",
                        "business_day": "2026-09-21", "sequence": sequence},
                        "card": card, "card_kind": "ean"});
                    till.event("attribution", late)
                }
                Offer(n) => till.offer(&sequence, &codes[*n]),
                Binding => till.bind(&format!("b{round}"), &card, &accounts[0], &code),
                Void => {
                    let mut void = sale(&sequence, 0, None);
                    void["type"] = json!("void");
                    till.event("transaction", void)
                }
                Wish(n, name) => {
                    let asked = ask(bench, &codes[*n], &format!("tmall:{name}{round}")).await;
                    let refused = matches!(
                        asked,
                        Ok(_) | Err(RedeemError::OtherAccount | RedeemError::Refused(_))
                    );
                    assert!(refused, "{happenings:?}: {asked:?}");
                    continue;
                }
            };
            bench.take(&terminal, &till.batch(seq..=seq)).await;
        }
        let undecided = format!(
            "SELECT COUNT(*) FROM claims WHERE sequence = '{sequence}'
                AND state NOT IN ('redeemed', 'refused')"
        );
        assert_eq!(bench.number(&undecided).await, 0, "{happenings:?}");
        if happenings.contains(&Void) {
            let earned = "SELECT CAST(COALESCE(SUM(points), 0) AS BIGINT) FROM ledger
                WHERE kind IN ('sale', 'void') AND reference LIKE";
            let earned = format!("{earned} '% {sequence}'");
            assert_eq!(bench.number(&earned).await, 0, "{happenings:?}");
        } else {
            standing += 10;
        }
        let all = "SELECT CAST((SELECT COALESCE(SUM(points), 0) FROM cards)
            + (SELECT COALESCE(SUM(points), 0) FROM members) AS BIGINT)";
        assert_eq!(bench.number(all).await, standing, "{happenings:?}");
    }
}

pub(crate) async fn a_code_joins_no_two_members_of_different_platforms(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let holder = bench.account("jd:1", 1).await;
    let finder = bench.account("tmall:2", 2).await;
    let code = claim_code(1);
    let mut till = Till::new(7);
    till.bind("b1", CARD, "jd:1", &bench.code("jd:1").await);
    till.sale("1", 1_000, Some(CARD));
    till.offer("1", &code);
    bench.take(&terminal, &till.all()).await;
    let Gain::Card { state, reason, .. } = gain(ask(bench, &code, "tmall:2").await) else {
        panic!("the sale has a card");
    };
    assert_eq!(state, BindingState::Rejected);
    assert!(reason.unwrap().contains("has a member already"));
    let disputes = "SELECT COUNT(*) FROM disputes WHERE holder_account = 'jd:1'";
    assert_eq!(bench.number(disputes).await, 1);
    assert_eq!(
        (points(bench, &holder).await, points(bench, &finder).await),
        (10, 0)
    );
}
