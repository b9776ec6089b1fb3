#![expect(clippy::disallowed_methods, reason = "any origin of time will do")]

use super::*;
use crate::ids::Epoch;

const EPOCH: Epoch = Epoch(1);

fn mark(events: u64) -> Mark {
    (0..events).fold(Mark::genesis(EPOCH), |m, n| m.next(&n.to_le_bytes()))
}

fn idle(acked: u64, head: u64) -> (Uplink, Instant) {
    (
        Uplink::new(UplinkConfig::default(), mark(acked), mark(head)),
        Instant::now(),
    )
}

fn answered(uplink: &mut Uplink, verdict: Verdict, acked: u64, now: Instant) -> Option<Outcome> {
    uplink.handle_answer(
        &verdict,
        mark(acked),
        false,
        uplink.acked().seq.next(),
        now,
        0,
    )
}

#[test]
fn the_first_exchange_is_not_held_and_the_next_is_a_long_poll() {
    let (mut uplink, now) = idle(0, 0);
    assert_eq!(
        uplink.poll_action(now),
        Some(Action::SendPoll {
            wait: Duration::ZERO
        })
    );
    assert_eq!(uplink.poll_action(now), None);
    answered(&mut uplink, Verdict::Ok, 0, now);
    assert_eq!(uplink.line(), Line::Online);
    assert_eq!(
        uplink.poll_action(now),
        Some(Action::SendPoll {
            wait: UplinkConfig::default().poll_wait
        })
    );
}

#[test]
fn a_new_event_waits_for_company_then_aborts_the_poll_and_goes() {
    let (mut uplink, now) = idle(0, 0);
    uplink.poll_action(now);
    uplink.handle_appended(mark(1), now);
    assert_eq!(uplink.poll_action(now), None);
    let (due, why) = uplink.poll_timeout().unwrap();
    assert_eq!(why, Wake::Linger);
    uplink.handle_appended(mark(2), due - Duration::from_millis(1));
    assert_eq!(uplink.poll_action(due), Some(Action::AbortPoll));
    assert_eq!(uplink.poll_action(due), None);
    uplink.handle_aborted();
    assert!(matches!(
        uplink.poll_action(due),
        Some(Action::SendBatch { after: Seq(0), .. })
    ));
    assert_eq!(
        answered(&mut uplink, Verdict::Ok, 2, due),
        Some(Outcome::Acknowledged(mark(2)))
    );
}

#[test]
fn a_failed_batch_is_sent_again_from_the_same_place_after_the_back_off() {
    let (mut uplink, now) = idle(3, 5);
    let first = uplink.poll_action(now);
    uplink.handle_failure(now, u64::MAX / 3);
    assert_eq!(uplink.line(), Line::Offline { failures: 1 });
    let (until, why) = uplink.poll_timeout().unwrap();
    assert_eq!(why, Wake::Backoff);
    assert_eq!(uplink.poll_action(until - Duration::from_nanos(1)), None);
    assert_eq!(uplink.poll_action(until), first);
}

#[test]
fn a_lost_answer_costs_a_resend_and_nothing_else() {
    let (mut uplink, now) = idle(0, 4);
    uplink.poll_action(now);
    uplink.handle_failure(now, 0);
    let again = uplink.poll_action(now + Duration::from_secs(60));
    assert!(matches!(
        again,
        Some(Action::SendBatch { after: Seq(0), .. })
    ));
    assert_eq!(
        answered(&mut uplink, Verdict::Ok, 4, now),
        Some(Outcome::Acknowledged(mark(4)))
    );
}

#[test]
fn central_without_its_last_day_gets_what_is_still_here_and_a_gap_for_the_rest() {
    let (mut uplink, now) = idle(10, 12);
    uplink.poll_action(now);
    let outcome = uplink.handle_answer(
        &Verdict::Rewind { to: Seq(5) },
        mark(4),
        false,
        Seq(8),
        now,
        0,
    );
    assert_eq!(
        outcome,
        Some(Outcome::Gap {
            from: Seq(5),
            to: Seq(7)
        })
    );
    assert!(matches!(
        uplink.poll_action(now),
        Some(Action::SendBatch { after: Seq(7), .. })
    ));
    // A part of it arrived: go on from there, not from the old watermark.
    assert_eq!(answered(&mut uplink, Verdict::Ok, 9, now), None);
    assert!(matches!(
        uplink.poll_action(now),
        Some(Action::SendBatch { after: Seq(9), .. })
    ));
    assert_eq!(
        answered(&mut uplink, Verdict::Ok, 12, now),
        Some(Outcome::Acknowledged(mark(12)))
    );
}

#[test]
fn a_rewind_beyond_what_exists_does_not_spin() {
    let (mut uplink, now) = idle(2, 2);
    uplink.poll_action(now);
    assert_eq!(
        answered(&mut uplink, Verdict::Rewind { to: Seq(9) }, 0, now),
        None
    );
    assert_eq!(uplink.poll_action(now), None);
    assert!(matches!(uplink.poll_timeout(), Some((_, Wake::Backoff))));
}

#[test]
fn slow_down_and_refusal_are_obeyed_at_least_as_long_as_asked() {
    let (mut uplink, now) = idle(0, 1);
    uplink.poll_action(now);
    answered(&mut uplink, Verdict::SlowDown { for_ms: 5_000 }, 0, now);
    assert_eq!(uplink.poll_action(now + Duration::from_millis(4_999)), None);
    assert!(
        uplink
            .poll_action(now + Duration::from_millis(5_000))
            .is_some()
    );
    answered(
        &mut uplink,
        Verdict::Refused {
            reason: "cloned".into(),
        },
        0,
        now,
    );
    assert_eq!(uplink.line(), Line::Refused);
    assert!(matches!(uplink.poll_timeout(), Some((_, Wake::Refused))));
}

#[test]
fn nothing_is_sent_between_a_fork_and_the_new_epoch() {
    let (mut uplink, now) = idle(1, 3);
    uplink.poll_action(now);
    assert_eq!(
        answered(&mut uplink, Verdict::Fork { at: Seq(2) }, 1, now),
        Some(Outcome::Forked { at: Seq(2) })
    );
    assert_eq!(uplink.poll_action(now), None);
    let genesis = Mark::genesis(Epoch(2));
    uplink.handle_forked(genesis, genesis.next(b"x").next(b"y"));
    assert!(matches!(
        uplink.poll_action(now),
        Some(Action::SendBatch { after: Seq(0), .. })
    ));
}

fn sent(uplink: &mut Uplink, now: Instant) -> (usize, Seq, usize) {
    match uplink.poll_action(now) {
        Some(Action::SendBatch {
            bytes_max,
            express_after,
            express_max,
            ..
        }) => (bytes_max, express_after, express_max),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_event_after_a_quiet_time_ends_the_back_off_once_in_a_while() {
    let (mut uplink, now) = idle(0, 1);
    let at = |seconds| now + Duration::from_secs(seconds);
    let fail = |uplink: &mut Uplink, now| {
        // A back-off of minutes, so that only a hint can end it.
        uplink.backoff = Backoff::new(crate::backoff::BackoffConfig {
            base: Duration::from_secs(600),
            cap: Duration::from_secs(600),
        });
        uplink.handle_failure(now, u64::MAX / 3);
        assert_eq!(uplink.poll_action(now), None);
    };
    uplink.poll_action(now);
    fail(&mut uplink, now);
    uplink.handle_appended(mark(2), at(11));
    sent(&mut uplink, at(11));
    fail(&mut uplink, at(12));
    // The next event follows closely; the one after it comes too soon after the last hint.
    uplink.handle_appended(mark(3), at(13));
    assert_eq!(uplink.poll_action(at(13)), None);
    uplink.handle_appended(mark(4), at(30));
    assert_eq!(uplink.poll_action(at(30)), None);
    uplink.handle_appended(mark(5), at(45));
    sent(&mut uplink, at(45));
}

#[test]
fn nothing_but_a_back_off_is_cut_short_by_an_event() {
    for verdict in [
        Verdict::SlowDown { for_ms: 60_000 },
        Verdict::Refused { reason: "r".into() },
        Verdict::Fork { at: Seq(1) },
    ] {
        let (mut uplink, now) = idle(0, 1);
        uplink.poll_action(now);
        answered(&mut uplink, verdict, 0, now);
        uplink.handle_appended(mark(2), now + Duration::from_secs(20));
        let due = uplink.poll_action(now + Duration::from_secs(20));
        assert_eq!(due, None);
    }
}

#[test]
fn a_batch_that_timed_out_is_halved_and_grows_again_on_a_faster_line() {
    let (mut uplink, now) = idle(0, 10_000);
    let most = UplinkConfig::default().bytes_max;
    let (bytes, ..) = sent(&mut uplink, now);
    assert_eq!(bytes, most);
    let load = |bytes| Load {
        bytes,
        express_to: None,
    };
    uplink.handle_sent(load(400_000));
    uplink.handle_timeout(now, 0);
    assert_eq!(uplink.page_bytes(), 256 * 1024);
    assert_eq!(sent(&mut uplink, now).0, 200_000);
    // Fitted, but slowly: twice as much would not.
    uplink.handle_sent(load(200_000));
    answered(&mut uplink, Verdict::Ok, 1, now + Duration::from_secs(12));
    assert_eq!(sent(&mut uplink, now).0, 200_000);
    uplink.handle_sent(load(200_000));
    answered(&mut uplink, Verdict::Ok, 2, now + Duration::from_secs(1));
    assert_eq!(sent(&mut uplink, now).0, 400_000);
    // A few events are no proof of a faster line.
    uplink.handle_sent(load(500));
    answered(&mut uplink, Verdict::Ok, 3, now + Duration::from_secs(1));
    assert_eq!(sent(&mut uplink, now).0, 400_000);
}

#[test]
fn a_batch_that_is_too_large_is_halved_at_once_and_one_event_backs_off() {
    let (mut uplink, now) = idle(0, 9);
    for _ in 0..20 {
        let (bytes, ..) = sent(&mut uplink, now);
        uplink.handle_sent(Load {
            bytes,
            express_to: None,
        });
        uplink.handle_too_large(now, u64::MAX / 3);
        if bytes == 512 {
            break;
        }
    }
    assert_eq!(uplink.poll_action(now), None);
    assert!(matches!(uplink.poll_timeout(), Some((_, Wake::Backoff))));
}

#[test]
fn a_page_that_timed_out_is_asked_for_in_shorter_ones() {
    let (mut uplink, now) = idle(0, 0);
    assert_eq!(uplink.page_bytes(), 0);
    uplink.poll_action(now);
    uplink.handle_timeout(now, 0);
    assert_eq!(uplink.page_bytes(), 256 * 1024);
    uplink.poll_action(now);
    let after = now + Duration::from_secs(1);
    let next = uplink.acked().seq.next();
    uplink.handle_answer(&Verdict::Ok, mark(0), true, next, after, 0);
    assert_eq!(uplink.page_bytes(), 0);
}

#[test]
fn an_urgent_request_is_shown_once_in_a_run_and_again_to_a_central_that_forgot() {
    let (mut uplink, now) = idle(0, 5_000);
    assert_eq!(sent(&mut uplink, now).1, Seq(0));
    let load = Load {
        bytes: 100,
        express_to: Some(Seq(4_000)),
    };
    uplink.handle_sent(load);
    // A lost answer proves nothing.
    uplink.handle_failure(now, 0);
    assert_eq!(sent(&mut uplink, now).1, Seq(0));
    uplink.handle_sent(load);
    answered(&mut uplink, Verdict::Ok, 10, now);
    assert_eq!(sent(&mut uplink, now).1, Seq(4_000));
    answered(&mut uplink, Verdict::Rewind { to: Seq(5) }, 4, now);
    let oldest = sent(&mut uplink, now).1;
    assert_eq!(oldest, Seq(0));
}

#[test]
fn an_older_central_is_spoken_to_in_its_version_until_the_line_was_away() {
    let (mut uplink, now) = idle(0, 9);
    assert_eq!(uplink.version(), crate::exchange::CURRENT);
    assert!(sent(&mut uplink, now).2 > 0);
    assert!(uplink.handle_version_refused(None, now, 0));
    assert_eq!(uplink.version(), 1);
    assert_eq!(sent(&mut uplink, now).2, 0, "version 1 has no express");
    answered(&mut uplink, Verdict::Ok, 1, now);
    assert_eq!(uplink.line(), Line::Online);
    for _ in 0..OUTAGE_FAILURES {
        assert_eq!(uplink.version(), 1);
        uplink.handle_failure(now, 0);
    }
    assert_eq!(uplink.version(), crate::exchange::CURRENT);
}

#[test]
fn a_central_that_reads_no_version_of_ours_refuses() {
    let (mut uplink, now) = idle(0, 9);
    sent(&mut uplink, now);
    let newer = Versions {
        min: 90,
        current: 91,
    };
    assert!(!uplink.handle_version_refused(Some(newer), now, 0));
    assert_eq!(uplink.line(), Line::Refused);
    assert_eq!(uplink.poll_action(now), None);
}

#[test]
fn an_answer_that_never_comes_times_out() {
    let (mut uplink, now) = idle(0, 1);
    uplink.poll_action(now);
    let (deadline, why) = uplink.poll_timeout().unwrap();
    assert_eq!(why, Wake::AnswerTimeout);
    assert_eq!(deadline, now + UplinkConfig::default().answer_timeout);
}

#[test]
fn a_central_that_acknowledges_what_was_never_sent_is_not_believed() {
    let (mut uplink, now) = idle(0, 1);
    uplink.poll_action(now);
    assert_eq!(answered(&mut uplink, Verdict::Ok, 7, now), None);
    assert_eq!(uplink.acked().seq, Seq(0));
}

/// Asks until a pause comes and answers each time the same; says how often it asked.
fn asked_until_a_pause(uplink: &mut Uplink, verdict: &Verdict, acked: u64, now: Instant) -> usize {
    let oldest = uplink.head().seq.next();
    for asked in 0..20 {
        if uplink.poll_action(now).is_none() {
            assert!(matches!(uplink.poll_timeout(), Some((_, Wake::Backoff))));
            return asked;
        }
        uplink.handle_answer(verdict, mark(acked), false, oldest, now, 0);
    }
    panic!("it asks without end");
}

#[test]
fn a_rewind_that_leads_nowhere_new_is_followed_by_a_pause_that_grows() {
    // Everything was acknowledged and is gone: what central lost can only be told, and is told twice
    // before the first pause.
    let (mut uplink, mut now) = idle(5, 5);
    let rewind = Verdict::Rewind { to: Seq(3) };
    assert_eq!(asked_until_a_pause(&mut uplink, &rewind, 0, now), 2);
    let mut longest = Duration::ZERO;
    for _ in 0..12 {
        let (until, _) = uplink.poll_timeout().unwrap();
        longest = longest.max(until - now);
        now = until;
        assert!(uplink.poll_action(now).is_some());
        let oldest = uplink.head().seq.next();
        let entropy = 10_000_000_000;
        uplink.handle_answer(&rewind, mark(0), false, oldest, now, entropy);
        assert_eq!(uplink.poll_action(now), None);
    }
    assert!(longest > Duration::from_secs(5), "{longest:?}");
}

#[test]
fn a_batch_that_takes_central_no_further_is_not_sent_again_at_once() {
    let (mut uplink, now) = idle(0, 4);
    assert_eq!(asked_until_a_pause(&mut uplink, &Verdict::Ok, 0, now), 2);
}

#[test]
fn a_central_that_asks_again_for_what_it_took_is_not_fed_without_end() {
    let (mut uplink, now) = idle(5, 5);
    for asked in 0..20 {
        if uplink.poll_action(now).is_none() {
            assert!(asked < 5);
            return;
        }
        uplink.handle_answer(
            &Verdict::Rewind { to: Seq(3) },
            mark(2),
            false,
            Seq(1),
            now,
            0,
        );
        if uplink.poll_action(now).is_some() {
            uplink.handle_answer(&Verdict::Ok, mark(5), false, Seq(1), now, 0);
        }
    }
    panic!("it asks without end");
}

#[test]
fn what_could_not_be_kept_is_asked_for_after_a_pause() {
    let (mut uplink, now) = idle(0, 0);
    uplink.poll_action(now);
    answered(&mut uplink, Verdict::Ok, 0, now);
    uplink.handle_unkept(now, 0);
    assert_eq!(uplink.poll_action(now), None);
    let (until, _) = uplink.poll_timeout().unwrap();
    assert!(uplink.poll_action(until).is_some());
}

#[test]
fn no_central_silences_a_terminal_for_weeks() {
    let (mut uplink, now) = idle(0, 1);
    uplink.poll_action(now);
    answered(&mut uplink, Verdict::SlowDown { for_ms: u32::MAX }, 0, now);
    let (until, why) = uplink.poll_timeout().unwrap();
    assert_eq!((until, why), (now + SLOW_DOWN_MAX, Wake::SlowDown));
}
