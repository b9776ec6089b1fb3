use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use serde_json::json;
use tillbind_central::intake;
use tillbind_protocol::exchange::Verdict;

use crate::support::till::{Till, sale};
use crate::support::{Bench, arrival};

/// Polls a future a number of times and then drops it, as a killed process does.
struct KilledAfter<F> {
    polls_left: usize,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for KilledAfter<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls_left == 0 {
            return Poll::Ready(None);
        }
        self.polls_left -= 1;
        match self.future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.polls_left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

pub(crate) async fn a_crash_at_any_moment_leaves_nothing_twice(bench: &Bench) {
    let terminal = bench.terminal("S1", "W1").await;
    let member = bench.account("tmall:1", 1).await;
    let mut till = Till::new(7);
    let mut done = 0;
    let mut killed = 0;
    for round in 1..=60usize {
        let sequence = round.to_string();
        let card = format!("29{:04}", round % 5);
        let first = till.sale(&sequence, 1_000, None);
        let mut journal = sale(&sequence, 1_000, Some(&card));
        journal["source"] = json!("poslog");
        till.event("transaction", journal);
        till.raw("[]");
        if round == 30 {
            till.bind("b1", "290000", "tmall:1", &bench.code("tmall:1").await);
        }
        let last = till.head().seq.0;
        let request = till.batch(first..=last);
        let arrival = arrival(&terminal);
        let taking = intake::take(&bench.store, &arrival, &request);
        let crash = KilledAfter {
            polls_left: round,
            future: Box::pin(taking),
        };
        match crash.await {
            Some(taken) => assert_eq!(taken.unwrap().verdict, Verdict::Ok),
            None => killed += 1,
        }
        let resent = bench.take(&terminal, &request).await;
        assert_eq!((resent.verdict, resent.acked), (Verdict::Ok, till.head()));
        done += 1;
        assert_eq!(
            bench.number("SELECT COUNT(*) FROM transactions").await,
            done
        );
        assert_eq!(
            bench.number("SELECT COUNT(*) FROM events").await,
            i64::try_from(last).unwrap()
        );
        assert_eq!(bench.number("SELECT COUNT(*) FROM quarantine").await, done);
        let earned = "SELECT CAST(SUM(points) AS BIGINT) FROM ledger";
        assert_eq!(bench.number(earned).await, 10 * done);
    }
    assert!(killed > 0, "no attempt was killed in the middle");
    let points = format!("SELECT points FROM members WHERE member = '{member}'");
    assert_eq!(bench.number(&points).await, 12 * 10);
}
