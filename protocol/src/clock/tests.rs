use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn at_ms(awake_ms: u64) -> Uptime {
    Uptime {
        awake: Duration::from_millis(awake_ms),
        asleep: Duration::ZERO,
    }
}

fn sample(sent: u64, received: u64, central: (i64, i64)) -> Sample {
    Sample {
        sent: at_ms(sent),
        received: at_ms(received),
        central_received_ms: central.0,
        central_sent_ms: central.1,
    }
}

/// An exchange at `at` with as much time out as back, while central is ahead by `ahead_ms`.
fn exchange(clock: &mut ClockEstimator, at: u64, each_way: u64, ahead_ms: i64) {
    let central = i64::try_from(at + each_way).unwrap() + ahead_ms;
    clock.handle_sample(&sample(at, at + 2 * each_way, (central, central)));
}

fn ahead_ms(clock: &ClockEstimator, at: u64) -> (i64, u32) {
    let estimate = clock.estimate(at_ms(at)).unwrap();
    let ahead_ms = estimate.central_ms - i64::try_from(at).unwrap();
    (ahead_ms, estimate.uncertainty_ms)
}

#[test]
fn a_long_poll_is_as_good_a_sample_as_a_short_exchange() {
    let mut clock = ClockEstimator::default();
    // 20 ms each way, held for 25 s, in which the clocks may drift by 2.5 ms.
    clock.handle_sample(&sample(0, 25_040, (1_000_020, 1_025_020)));
    let e = clock.estimate(at_ms(25_040)).unwrap();
    assert!(e.central_ms.abs_diff(1_025_040) <= 2, "{e:?}");
    assert!(e.uncertainty_ms <= 24, "{e:?}");
}

#[test]
fn a_wall_clock_that_jumps_moves_the_offset_and_not_the_corrected_time() {
    let mut clock = ClockEstimator::default();
    exchange(&mut clock, 0, 5, 5_000_000);
    let corrected_ms = |local_ms| clock.stamp(at_ms(1_010), local_ms).corrected_ms();
    let before = corrected_ms(4_990_000);
    let year_2099 = 4_070_908_800_000;
    let past_2038 = i64::from(i32::MAX) * 1_000 + 1;
    for local_ms in [0, -1, -62_135_596_800_000, past_2038, year_2099] {
        assert_eq!(corrected_ms(local_ms), before, "{local_ms}");
    }
}

#[test]
fn nonsense_moves_nothing_and_overflows_nothing() {
    let mut clock = ClockEstimator::default();
    // Set back while it held the request; held for longer than the exchange took; answered before.
    clock.handle_sample(&sample(0, 10, (1_000, 900)));
    clock.handle_sample(&sample(0, 10, (1_000, 2_000)));
    clock.handle_sample(&sample(10, 0, (1_000, 1_000)));
    assert_eq!(clock.estimate(at_ms(10)), None);
    for far in [i64::MIN, i64::MAX] {
        let mut clock = ClockEstimator::default();
        clock.handle_sample(&sample(0, 10, (far, far)));
        let later = at_ms(u64::MAX);
        assert!(clock.estimate(later).is_some());
        let _stamp = clock.stamp(later, far);
    }
}

#[test]
fn uncertainty_grows_until_the_next_sample() {
    let mut clock = ClockEstimator::default();
    exchange(&mut clock, 0, 5, 1_000);
    let day = 86_400_000;
    let (_, aged_ms) = ahead_ms(&clock, day);
    assert!((8_640..8_700).contains(&aged_ms), "{aged_ms}");
    exchange(&mut clock, day, 5, 1_000);
    assert!(ahead_ms(&clock, day + 10).1 < 10);
}

#[test]
fn a_slow_exchange_takes_nothing_from_a_good_estimate() {
    let mut clock = ClockEstimator::default();
    exchange(&mut clock, 0, 5, 1_000);
    exchange(&mut clock, 10_000, 30_000, 1_000);
    assert!(ahead_ms(&clock, 70_000).1 < 20);
}

#[test]
fn one_outlier_is_doubted_and_forgotten() {
    let mut clock = ClockEstimator::default();
    exchange(&mut clock, 0, 5, 1_000);
    for round in 1..20 {
        exchange(&mut clock, round * 1_000, 5, 90_000);
        assert!(ahead_ms(&clock, round * 1_000).0.abs_diff(1_000) < 10);
        exchange(&mut clock, round * 1_000 + 500, 5, 1_000);
    }
}

#[test]
fn a_central_whose_clock_was_set_is_followed_at_the_third_exchange() {
    let mut clock = ClockEstimator::default();
    for round in 0..20 {
        exchange(&mut clock, round * 1_000, 5, 1_000);
    }
    for round in 20..22 {
        exchange(&mut clock, round * 1_000, 5, -3_600_000);
        assert!(ahead_ms(&clock, round * 1_000).0.abs_diff(1_000) < 10);
    }
    exchange(&mut clock, 22_000, 5, -3_600_000);
    assert!(ahead_ms(&clock, 22_010).0.abs_diff(-3_600_000) < 10);
}

#[test]
fn what_an_earlier_run_left_holds_until_a_sample_contradicts_it() {
    let guess = Estimate {
        central_ms: 1_000,
        uncertainty_ms: 30_000,
    };
    let mut clock = ClockEstimator::restored(at_ms(0), guess);
    assert_eq!(clock.confirmed_at(), None);
    assert!(ahead_ms(&clock, 0).1 >= 30_000);
    let mut agreed = clock.clone();
    exchange(&mut agreed, 0, 60_000, 2_000);
    assert!(ahead_ms(&agreed, 120_000).1 < 31_000);
    exchange(&mut clock, 0, 5, 90_000_000);
    assert!(ahead_ms(&clock, 10).0.abs_diff(90_000_000) < 10);
    assert_eq!(clock.confirmed_at(), Some(at_ms(10)));
}

#[test]
fn a_till_that_slept_eight_hours_knows_the_time_and_how_well() {
    let mut clock = ClockEstimator::default();
    exchange(&mut clock, 0, 5, 1_000);
    let night = Duration::from_secs(8 * 3_600);
    let woken = Uptime {
        awake: Duration::from_millis(20),
        asleep: night,
    };
    let estimate = clock.estimate(woken).unwrap();
    assert!(estimate.central_ms.abs_diff(8 * 3_600_000 + 1_020) < 10);
    assert!((30_000..40_000).contains(&estimate.uncertainty_ms));
    // The answer that had waited for it all night says so.
    clock.handle_sample(&Sample {
        sent: at_ms(10),
        received: woken,
        central_received_ms: 1_015,
        central_sent_ms: 1_015,
    });
    let estimate = clock.estimate(woken).unwrap();
    assert!(
        estimate.central_ms.abs_diff(8 * 3_600_000 + 1_020) <= u64::from(estimate.uncertainty_ms)
    );
}

#[test]
fn without_a_sample_nothing_is_claimed() {
    let stamp = ClockEstimator::default().stamp(Uptime::ZERO, 42);
    assert_eq!(
        stamp,
        Stamp {
            local_ms: 42,
            offset_ms: 0,
            uncertainty_ms: None
        }
    );
}

/// What happens to a terminal and its central.
#[derive(Debug, Clone)]
enum Happening {
    /// Time passes while the terminal is awake, in microseconds.
    Wait(u64),
    /// The terminal sleeps for this long and is told wrong by so much, both in milliseconds.
    Sleep(u64, i64),
    /// The way out, the time held, the way back, in microseconds.
    Exchange(u64, u64, u64),
    /// The quartzes change their rates against true time, in parts in a billion.
    Rates(i64, i64),
    /// The terminal's wall clock is set to anything.
    Wall(i64),
}

fn way() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0_u64..50_000, 1 => 0_u64..5_000_000, 1 => 0_u64..120_000_000]
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (0_u64..7_200_000_000).prop_map(Happening::Wait),
        1 => (1_000_000_u64..36_000_000, -1_000_i64..=1_000)
            .prop_map(|(ms, wrong)| Happening::Sleep(ms, wrong)),
        6 => (way(), prop_oneof![Just(0), 0_u64..25_000_000], way())
            .prop_map(|(out, held, back)| Happening::Exchange(out, held, back)),
        1 => (-50_000_i64..=50_000, -50_000_i64..=50_000)
            .prop_map(|(own, central)| Happening::Rates(own, central)),
        1 => any::<i64>().prop_map(Happening::Wall),
    ]
}

/// True time, and what each clock makes of it, in nanoseconds.
struct World {
    awake_ns: i64,
    asleep_ns: i64,
    central_ns: i128,
    own_ppb: i64,
    central_ppb: i64,
    wall_ms: i64,
}

impl World {
    fn new(central_ms: i64) -> Self {
        Self {
            awake_ns: 0,
            asleep_ns: 0,
            central_ns: i128::from(central_ms) * 1_000_000,
            own_ppb: 0,
            central_ppb: 0,
            wall_ms: 0,
        }
    }

    fn pass(&mut self, true_us: u64) {
        let true_ns = i64::try_from(true_us).unwrap() * 1_000;
        let with = |ppb: i64| {
            true_ns + true_ns / 1_000_000_000 * ppb + true_ns % 1_000_000_000 * ppb / 1_000_000_000
        };
        self.awake_ns += with(self.own_ppb);
        self.central_ns += i128::from(with(self.central_ppb));
    }

    fn sleep(&mut self, true_ms: u64, wrong_ms: i64) {
        let awake_ns = self.awake_ns;
        self.pass(true_ms * 1_000);
        self.asleep_ns += self.awake_ns - awake_ns + wrong_ms * 1_000_000;
        self.awake_ns = awake_ns;
    }

    fn uptime(&self) -> Uptime {
        let ns = |ns: i64| Duration::from_nanos(u64::try_from(ns).unwrap());
        Uptime {
            awake: ns(self.awake_ns),
            asleep: ns(self.asleep_ns),
        }
    }

    fn central_ms(&self) -> i64 {
        i64::try_from(self.central_ns.div_euclid(1_000_000)).unwrap()
    }

    fn exchange(&mut self, (out, held, back): (u64, u64, u64)) -> Sample {
        let sent = self.uptime();
        self.pass(out);
        let central_received_ms = self.central_ms();
        self.pass(held);
        let central_sent_ms = self.central_ms();
        self.pass(back);
        Sample {
            sent,
            received: self.uptime(),
            central_received_ms,
            central_sent_ms,
        }
    }

    fn happens(&mut self, happening: &Happening, clock: &mut ClockEstimator) {
        match *happening {
            Happening::Wait(us) => self.pass(us),
            Happening::Sleep(ms, wrong_ms) => self.sleep(ms, wrong_ms),
            Happening::Exchange(out, held, back) => {
                clock.handle_sample(&self.exchange((out, held, back)));
            }
            Happening::Rates(own, central) => (self.own_ppb, self.central_ppb) = (own, central),
            Happening::Wall(ms) => self.wall_ms = ms,
        }
    }

    /// Checks the estimate, also by way of a stamp.
    fn check(&self, clock: &ClockEstimator) -> Result<(), TestCaseError> {
        let Some(estimate) = clock.estimate(self.uptime()) else {
            return Ok(());
        };
        let off_ns = (i128::from(estimate.central_ms) * 1_000_000 - self.central_ns).abs();
        prop_assert!(
            off_ns <= i128::from(estimate.uncertainty_ms) * 1_000_000,
            "{estimate:?} is off by {off_ns} ns"
        );
        let stamp = clock.stamp(self.uptime(), self.wall_ms);
        let is_far = self.wall_ms.unsigned_abs() > u64::MAX / 4;
        prop_assert!(is_far || stamp.corrected_ms() == estimate.central_ms);
        Ok(())
    }
}

proptest! {
    #[test]
    fn centrals_time_lies_within_the_estimate(
        central_ms in -10_000_000_000_i64..5_000_000_000_000,
        happenings in vec(happening(), 1..60),
    ) {
        let mut world = World::new(central_ms);
        let mut clock = ClockEstimator::default();
        for happening in &happenings {
            world.happens(happening, &mut clock);
            world.check(&clock)?;
        }
    }

    #[test]
    fn a_step_of_centrals_clock_is_followed_within_the_promised_exchanges(
        before in vec(happening(), 1..40),
        step_ms in prop_oneof![-100_i64..100, -100_000_000_i64..100_000_000],
        after in vec(happening(), 1..60),
    ) {
        let mut world = World::new(1_700_000_000_000);
        let mut clock = ClockEstimator::default();
        for happening in &before {
            world.happens(happening, &mut clock);
        }
        world.central_ns += i128::from(step_ms) * 1_000_000;
        let mut exchanges = 0;
        for happening in &after {
            world.happens(happening, &mut clock);
            exchanges += usize::from(matches!(happening, Happening::Exchange(..)));
            if exchanges >= FOLLOWED_WITHIN {
                world.check(&clock)?;
            }
        }
    }

    #[test]
    fn no_sample_makes_it_panic(
        samples in vec((any::<u64>(), any::<u64>(), any::<i64>(), any::<i64>()), 0..20),
        now in any::<u64>(),
        local_ms in any::<i64>(),
    ) {
        let mut clock = ClockEstimator::default();
        for (sent, received, central_received_ms, central_sent_ms) in samples {
            clock.handle_sample(&sample(sent, received, (central_received_ms, central_sent_ms)));
            let _stamp = clock.stamp(at_ms(now), local_ms);
        }
    }
}
