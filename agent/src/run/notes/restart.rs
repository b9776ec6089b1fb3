//! What a note on central's clock is worth after a start.

use std::time::Duration;

use tillbind_protocol::clock::{ClockEstimator, Estimate, Uptime};

use super::super::effect::{ClockNote, Note};
use crate::clock::{self, Moment};
use crate::platform;

/// How far the wall clock may be off after the machine started anew, at least, in milliseconds: the
/// clock on the battery counts seconds, and someone may have set it by his watch.
const RESTART_MS: u64 = 30_000;
/// How much it may have drifted for each unit of time in which the machine was off, in parts in a
/// million: a cheap quartz in the cold.
const BATTERY_PPM: u64 = 200;
/// How far the wall clock and the clock on the battery may differ, in milliseconds, where one was set
/// from the other: at the note as well as after the start.
const BATTERY_APART_MS: u64 = 5 * 60 * 1_000;

/// What the machine tells when the agent starts.
#[derive(Debug)]
pub(in crate::run) struct Restart {
    pub(in crate::run) now: Moment,
    /// The machine's run.
    pub(in crate::run) boot: Option<String>,
    /// What the clock on the battery says, in milliseconds.
    pub(in crate::run) battery_ms: Option<i64>,
}

impl Restart {
    /// Asks the machine.
    pub(in crate::run) fn now() -> Self {
        Self {
            now: clock::now(),
            boot: platform::boot(),
            battery_ms: platform::battery_clock_ms(),
        }
    }
}

/// Goes on from what was noted.
///
/// Within one run of the machine the time since its start went on, whatever became of the wall clock:
/// the estimate is as good as ever. After a start of the machine only the wall clock can tell how long
/// it was off, and only where a clock on a battery bears it out, then as now: one without goes on from
/// where it had stopped, or from 1970; and a wall clock that was set while the machine ran is another one
/// after the start, which goes by the battery. Nothing is claimed then until the first exchange. What the
/// clocks differed by, then and now, is how far the wall clock may have stepped in between. What cannot
/// be told is a battery's clock that somebody set meanwhile; the first exchange contradicts it.
pub(super) fn restored(note: &ClockNote, restart: &Restart) -> Option<ClockEstimator> {
    let now = restart.now;
    let noted_at = note.noted_at();
    let is_same_run = restart.boot.is_some() && restart.boot == note.boot;
    if is_same_run && noted_at.total() <= now.uptime.total() {
        let estimate = Estimate {
            central_ms: note.local_ms.saturating_add(note.offset_ms),
            uncertainty_ms: note.uncertainty_ms,
        };
        return Some(ClockEstimator::restored(noted_at, estimate));
    }
    let off_ms = u64::try_from(now.local_ms.saturating_sub(note.local_ms)).ok()?;
    let apart_ms = now.local_ms.abs_diff(restart.battery_ms?);
    let was_apart_ms = note.local_ms.abs_diff(note.battery_ms?);
    if apart_ms.max(was_apart_ms) > BATTERY_APART_MS {
        return None;
    }
    let drift_ms = off_ms.saturating_mul(BATTERY_PPM) / 1_000_000;
    let widened_ms = drift_ms + RESTART_MS + apart_ms + was_apart_ms;
    let widened_ms = u32::try_from(widened_ms).unwrap_or(u32::MAX);
    let estimate = Estimate {
        central_ms: now.local_ms.saturating_add(note.offset_ms),
        uncertainty_ms: note.uncertainty_ms.saturating_add(widened_ms),
    };
    Some(ClockEstimator::restored(now.uptime, estimate))
}

/// Adds to a note on central's clock what the clock on the battery said when the note was made: here,
/// since asking it may take a while.
pub(super) fn with_battery(note: Note) -> Note {
    let Note::Clock(clock) = note else {
        return note;
    };
    let battery_ms = platform::battery_clock_ms();
    Note::Clock(clock.with_battery(battery_ms, clock::uptime()))
}

impl ClockNote {
    fn noted_at(&self) -> Uptime {
        Uptime {
            awake: Duration::from_millis(self.awake_ms),
            asleep: Duration::from_millis(self.asleep_ms),
        }
    }

    fn with_battery(self, battery_ms: Option<i64>, now: Uptime) -> Self {
        let since = now.since(self.noted_at()).as_millis();
        let since_ms = i64::try_from(since).unwrap_or(i64::MAX);
        Self {
            battery_ms: battery_ms.map(|ms| ms.saturating_sub(since_ms)),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTED_MS: i64 = 1_700_000_000_000;
    const HOUR_MS: i64 = 3_600_000;

    fn note() -> ClockNote {
        ClockNote {
            local_ms: NOTED_MS,
            offset_ms: 5_000,
            uncertainty_ms: 20,
            boot: Some("one".to_owned()),
            awake_ms: 60_000,
            asleep_ms: 0,
            battery_ms: Some(NOTED_MS - 400),
        }
    }

    fn restart(boot: &str, uptime_ms: u64, local_ms: i64, battery_ms: Option<i64>) -> Restart {
        Restart {
            now: Moment {
                uptime: Uptime::ZERO + Duration::from_millis(uptime_ms),
                local_ms,
            },
            boot: Some(boot.to_owned()),
            battery_ms,
        }
    }

    fn estimate(restart: &Restart) -> Option<Estimate> {
        restored(&note(), restart)?.estimate(restart.now.uptime)
    }

    #[test]
    fn an_agent_that_starts_anew_under_a_wall_clock_that_was_set_still_knows_the_time() {
        for local_ms in [NOTED_MS + HOUR_MS, 0, -1, 4_070_908_800_000] {
            let known = estimate(&restart("one", 3_660_000, local_ms, None)).unwrap();
            assert!(known.central_ms.abs_diff(NOTED_MS + 5_000 + HOUR_MS) <= 1);
            assert!(known.uncertainty_ms < 500, "{known:?}");
        }
    }

    #[test]
    fn a_machine_that_was_off_goes_by_its_battery_and_says_how_far_that_may_be_off() {
        let local_ms = NOTED_MS + 240 * HOUR_MS;
        let known = estimate(&restart("two", 9_000, local_ms, Some(local_ms - 900))).unwrap();
        assert!(known.central_ms.abs_diff(local_ms + 5_000) <= 1);
        assert!((200_000..210_000).contains(&known.uncertainty_ms));
        // Clocks that differ say less, by as much.
        let apart = restart("two", 9_000, local_ms, Some(local_ms - 60_900));
        let wider = estimate(&apart).unwrap();
        assert_eq!(wider.uncertainty_ms, known.uncertainty_ms + 60_000);
    }

    #[test]
    fn a_wall_clock_that_was_set_while_the_machine_ran_claims_nothing_after_it_was_off() {
        let local_ms = NOTED_MS + HOUR_MS;
        let restart = restart("two", 9_000, local_ms, Some(local_ms));
        for battery_ms in [None, Some(NOTED_MS - HOUR_MS), Some(0), Some(i64::MAX)] {
            let note = ClockNote {
                battery_ms,
                ..note()
            };
            let known = restored(&note, &restart);
            assert!(known.is_none(), "{battery_ms:?}");
        }
    }

    #[test]
    fn the_clock_on_the_battery_is_noted_as_of_the_note_however_late_it_is_asked() {
        let asked_at = note().noted_at() + Duration::from_secs(3);
        let noted = note().with_battery(Some(NOTED_MS + 3_000), asked_at);
        assert_eq!(noted.battery_ms, Some(NOTED_MS));
        assert_eq!(note().with_battery(None, asked_at).battery_ms, None);
    }

    #[test]
    fn a_machine_whose_wall_clock_cannot_tell_how_long_it_was_off_claims_nothing() {
        let local_ms = NOTED_MS + HOUR_MS;
        for (local_ms, battery_ms) in [
            // No clock on a battery: the system went on from the time at which it had stopped.
            (local_ms, None),
            // The battery is empty.
            (local_ms, Some(0)),
            (0, Some(0)),
            (i64::MIN, Some(i64::MAX)),
        ] {
            let restart = restart("two", 9_000, local_ms, battery_ms);
            assert_eq!(estimate(&restart), None, "{restart:?}");
        }
    }

    #[test]
    fn a_note_of_an_older_version_is_read() {
        let old = br#"{"local_ms":1700000000000,"offset_ms":5000,"uncertainty_ms":20}"#;
        let note: ClockNote = serde_json::from_slice(old).unwrap();
        assert_eq!((note.boot, note.awake_ms), (None, 0));
    }
}
