//! An answer as the terminal reads it: frame, JSON, uplink, replica's cursor, keys.
//!
//! Oracles: a body under zstd reads as it does plainly; what was read is written and read back the same;
//! the uplink never believes more acknowledged than it has, never goes back, and asks for a gap only
//! where it holds nothing.
#![no_main]

use std::sync::LazyLock;
use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use tillbind_agent::fuzzing;
use tillbind_fuzz::{assert_round_trip, packed};
use tillbind_protocol::chain::Mark;
use tillbind_protocol::exchange::ExchangeResponse;
use tillbind_protocol::ids::{Epoch, Seq};
use tillbind_protocol::member_code::{VerifyTime, verify};
use tillbind_protocol::replica::{Cursor, PageVerdict, ReplicaCursor};
use tillbind_protocol::uplink::{Outcome, Uplink, UplinkConfig};

/// Where time begins for the machine: the same for every input of a run.
#[expect(
    clippy::disallowed_methods,
    reason = "the clock that the exchange is given"
)]
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

fuzz_target!(|data: &[u8]| {
    let framed = fuzzing::answer(true, data);
    let plain = fuzzing::answer(false, data);
    let repacked = fuzzing::answer(true, &packed(data));
    assert_eq!(plain.is_some(), repacked.is_some());
    for answer in framed.iter().chain(&plain) {
        assert_round_trip(answer);
        take(answer, data.len() as u64);
    }
});

fn take(answer: &ExchangeResponse, entropy: u64) {
    let epoch = Epoch(9);
    let acked = Mark::genesis(epoch).next(b"1").next(b"2");
    let head = acked.next(b"3").next(b"4").next(b"5");
    let oldest = Seq(3);
    let mut uplink = Uplink::new(UplinkConfig::default(), acked, head);
    let now = *BEGIN;
    for _ in 0..3 {
        while uplink.poll_action(now).is_some() {}
        let former = uplink.acked();
        let outcome = uplink.handle_answer(
            &answer.verdict,
            answer.acked,
            answer.page.as_ref().is_some_and(|page| page.more),
            oldest,
            now,
            entropy,
        );
        assert!(uplink.acked().seq >= former.seq && uplink.acked().seq <= head.seq);
        assert_eq!(uplink.head(), head);
        match outcome {
            Some(Outcome::Acknowledged(mark)) => assert!(mark.seq <= head.seq),
            Some(Outcome::Gap { from, to }) => assert!(from <= to && to < oldest),
            Some(Outcome::Forked { .. }) | None => {}
        }
        let timeout = uplink.poll_timeout();
        assert!(timeout.is_none_or(|(at, _)| at >= now));
    }
    if let Some(page) = &answer.page {
        let mut cursor = ReplicaCursor::new(Cursor("h:1:z:".to_owned()));
        match cursor.handle_page(page) {
            PageVerdict::Apply | PageVerdict::ResetAndApply => {
                assert_eq!(cursor.handle_page(page), PageVerdict::Ignore);
                cursor.handle_durable();
                assert_eq!(cursor.durable(), &page.to);
            }
            PageVerdict::Ignore => assert_eq!(cursor.durable().0, "h:1:z:"),
        }
    }
    if let Some(keys) = &answer.keys {
        let at = VerifyTime {
            now_ms: answer.sent_ms,
            uncertainty_ms: 0,
        };
        assert!(verify("TB1:6BFOXN", keys, at).is_err());
    }
}
