#![expect(clippy::disallowed_methods, reason = "any origin of time will do")]

mod flood;

use super::*;

const LIMITS: Limits = Limits {
    turns: 4,
    sending: 100,
    bytes: 10_000_000,
    wait: Duration::from_secs(2),
};
const LARGE: usize = 100_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Lets somebody in whose body is there at once.
fn enter(admission: &mut Admission<u32>, who: u32, bytes: usize, now: Instant) -> Ticket {
    let ticket = admission.handle_ask(who, bytes, now).unwrap();
    admission.handle_sent(ticket);
    ticket
}

#[test]
fn whoever_comes_when_nothing_is_going_on_has_its_turn_at_once() {
    let (mut admission, now) = (Admission::new(LIMITS), Instant::now());
    let ticket = enter(&mut admission, 1, LARGE, now);
    assert_eq!(admission.poll_turn(now), Some(ticket));
    assert_eq!(admission.poll_turn(now), None);
    admission.handle_end(ticket, now);
    assert_eq!(admission.load(), Load::default());
}

#[test]
fn backlogs_leave_a_turn_and_room_to_small_requests() {
    let (mut admission, now) = (Admission::new(LIMITS), Instant::now());
    for who in 0..4 {
        enter(&mut admission, who, LARGE, now);
    }
    let turns = std::iter::from_fn(|| admission.poll_turn(now)).count();
    assert_eq!(turns, 3, "a backlog took the turn that is kept free");
    let small = enter(&mut admission, 9, 500, now);
    assert_eq!(admission.poll_turn(now), Some(small));

    let mut admission = Admission::new(Limits {
        bytes: 8 * LARGE,
        ..LIMITS
    });
    let mut backlogs = (0..20).map(|who| admission.handle_ask(who, LARGE, now).is_ok());
    assert_eq!(backlogs.by_ref().filter(|let_in| *let_in).count(), 4);
    drop(backlogs);
    assert!(admission.handle_ask(30, SMALL_BYTES, now).is_ok());
    assert!(admission.load().bytes <= 8 * LARGE);
}

#[test]
fn small_requests_do_not_starve_a_backlog() {
    let limits = Limits { turns: 1, ..LIMITS };
    let (mut admission, now) = (Admission::new(limits), Instant::now());
    let large = enter(&mut admission, 0, LARGE, now);
    for who in 1..20 {
        enter(&mut admission, who, 500, now);
    }
    for passed in 0.. {
        let ticket = admission.poll_turn(now).unwrap();
        if ticket == large {
            assert!(passed <= SMALL_IN_A_ROW, "{passed} passed it");
            return;
        }
        admission.handle_end(ticket, now);
    }
}

#[test]
fn whoever_was_told_off_goes_before_everybody_who_asked_later() {
    let limits = Limits {
        turns: 1,
        sending: 16,
        ..LIMITS
    };
    let (mut admission, now) = (Admission::new(limits), Instant::now());
    let working = enter(&mut admission, 0, LARGE, now);
    assert_eq!(admission.poll_turn(now), Some(working));
    // Newcomers fill what there is, but for the shares of small ones and of whoever was told off.
    for who in 1..=9 {
        enter(&mut admission, who, LARGE, now + ms(1));
    }
    let delay = admission.handle_ask(99, LARGE, now + ms(2)).unwrap_err();
    assert!((DELAY_MIN..=DELAY_MAX).contains(&delay), "{delay:?}");
    admission.handle_end(working, now + ms(3));
    let next = admission.poll_turn(now + ms(3)).unwrap();
    let newcomer = enter(&mut admission, 20, LARGE, now + ms(4));
    assert!(admission.handle_ask(21, LARGE, now + ms(4)).is_err());
    let later = now + ms(2) + delay;
    let returned = enter(&mut admission, 99, LARGE, later);
    admission.handle_end(next, later);
    let order: Vec<Ticket> = std::iter::from_fn(|| {
        let ticket = admission.poll_turn(later)?;
        admission.handle_end(ticket, later);
        Some(ticket)
    })
    .collect();
    assert_eq!(order.len(), 10);
    assert_eq!(order[8..], [returned, newcomer]);
    let load = admission.load();
    assert_eq!((load.working, load.waiting, load.bytes), (0, 0, 0));
    assert_eq!(load.owed, 1, "the one that did not come back yet");
}

#[test]
fn appointments_are_spread_at_the_pace_of_what_can_be_served() {
    let limits = Limits {
        turns: 1,
        sending: 1,
        ..LIMITS
    };
    let (mut admission, now) = (Admission::new(limits), Instant::now());
    let working = enter(&mut admission, 0, LARGE, now);
    admission.poll_turn(now).unwrap();
    admission.handle_end(working, now + SERVICE_GUESS);
    enter(&mut admission, 0, LARGE, now);
    let delays: Vec<Duration> = (1..=1_000)
        .map(|who| admission.handle_ask(who, LARGE, now).unwrap_err())
        .collect();
    assert!(delays.is_sorted());
    let last = *delays.last().unwrap();
    let served_in = SERVICE_GUESS * 1_000;
    assert!(last > served_in / 2 && last < served_in * 3 / 2, "{last:?}");
    // Guesses that are off cost no more than this.
    for who in 1_001..20_000 {
        let delay = admission.handle_ask(who, LARGE, now).unwrap_err();
        assert!(delay <= DELAY_MAX);
    }
}

#[test]
fn an_overdue_wait_ends_with_an_appointment_and_a_turn_in_time_does_not() {
    let limits = Limits { turns: 1, ..LIMITS };
    let (mut admission, now) = (Admission::new(limits), Instant::now());
    let first = enter(&mut admission, 1, 500, now);
    let second = enter(&mut admission, 2, 500, now);
    assert_eq!(admission.poll_turn(now), Some(first));
    assert_eq!(admission.handle_overdue(first, now + ms(2_000)), None);
    assert!(admission.handle_overdue(second, now + ms(2_000)).is_some());
    assert_eq!(admission.handle_overdue(second, now + ms(2_000)), None);
    assert_eq!(admission.load().waiting, 0);
    assert_eq!(admission.load().owed, 1);
}

#[test]
fn a_poll_that_is_served_meanwhile_pays_no_backlogs_debt() {
    let limits = Limits {
        bytes: LARGE * 2,
        ..LIMITS
    };
    let (mut admission, now) = (Admission::new(limits), Instant::now());
    enter(&mut admission, 1, LARGE, now);
    admission.handle_ask(9, LARGE, now).unwrap_err();
    let poll = enter(&mut admission, 9, 500, now);
    assert_eq!(admission.load().owed, 1);
    while admission.poll_turn(now).is_some() {}
    admission.handle_end(poll, now);
    assert_eq!(admission.load().owed, 1, "the backlog's place is lost");
}

#[test]
fn the_longest_body_comes_in_however_little_room_there_is() {
    let limits = Limits { bytes: 1, ..LIMITS };
    let (mut admission, now) = (Admission::new(limits), Instant::now());
    let ticket = admission.handle_ask(1, 4 << 20, now).unwrap();
    assert!(admission.handle_ask(2, LARGE, now).is_err());
    admission.handle_end(ticket, now);
    assert!(admission.handle_ask(2, LARGE, now).is_ok());
}

#[test]
fn terminals_that_never_come_back_are_forgotten_in_the_end() {
    let limits = Limits {
        sending: 1,
        ..LIMITS
    };
    let (mut admission, now) = (Admission::new(limits), Instant::now());
    enter(&mut admission, 0, LARGE, now);
    for who in 1..=u32::try_from(OWED_MAX).unwrap() + 100 {
        admission.handle_ask(who, LARGE, now).unwrap_err();
    }
    assert_eq!(admission.load().owed, OWED_MAX);
    let later = now + DELAY_MAX * 2 + OWED_FOR;
    admission.handle_ask(1, LARGE, later).unwrap_err();
    assert_eq!(admission.load().owed, 1);
}
