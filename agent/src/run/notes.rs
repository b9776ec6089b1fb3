//! The terminal's own notes on the disk, and what is learnt from them and from the outbox at start.

use std::thread::JoinHandle;
use std::time::Duration;

use tillbind_protocol::clock::{ClockEstimator, Estimate, Uptime};
use tillbind_protocol::event::{BindingRequest, Event as Recorded, EventBody};
use tillbind_protocol::ids::Seq;
use tillbind_protocol::member_code::{KeySet, NONCE_BYTES};
use tokio::sync::mpsc;

use super::effect::{ClockNote, Note};
use crate::clock::{self, Moment};
use crate::downlink::{self, DownlinkError};
use crate::members::{MembersError, NoteKind, Replica};
use crate::outbox::{Outbox, ReadError};
use crate::platform;
use crate::till::{KnownSale, KnownSales, MemberCodes};

/// Notes that wait for the disk at most; beyond it the owner of the state waits with them.
const QUEUE_MAX: usize = 1_024;
/// Events read at a time while learning.
const LEARN_EVENTS: usize = 1_000;
const LEARN_BYTES: usize = 1024 * 1024;
const KEYS: &[u8] = b"member code keys";
const CLOCK: &[u8] = b"central clock";
/// How far the wall clock may be off after the machine started anew, at least, in milliseconds: the
/// clock on the battery counts seconds, and someone may have set it by his watch.
const RESTART_MS: u64 = 30_000;
/// How much it may have drifted for each unit of time in which the machine was off, in parts in a
/// million: a cheap quartz in the cold.
const BATTERY_PPM: u64 = 200;
/// How far the wall clock and the clock on the battery may differ, in milliseconds, where one was set
/// from the other: at the note as well as after the start.
const BATTERY_APART_MS: u64 = 5 * 60 * 1_000;

/// Writes notes, one after the other, on a thread of its own.
#[derive(Debug)]
pub(super) struct NoteWriter {
    queue: mpsc::Sender<Note>,
    thread: JoinHandle<()>,
}

impl NoteWriter {
    pub(super) fn start(replica: Replica) -> std::io::Result<Self> {
        let (queue, mut notes) = mpsc::channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("notes".to_owned())
            .spawn(move || {
                let mut was_kept = true;
                while let Some(note) = notes.blocking_recv() {
                    let kept = write(&replica, &with_battery(note));
                    // What it says is learnt again from the outbox, or asked of central again. A full disk
                    // refuses every one: said once.
                    if let Err(error) = &kept
                        && was_kept
                    {
                        tracing::error!(%error, "notes cannot be kept for the time being");
                    }
                    was_kept = kept.is_ok();
                }
            })?;
        Ok(Self { queue, thread })
    }

    pub(super) async fn keep(&self, note: Note) {
        if self.queue.send(note).await.is_err() {
            tracing::error!("the writer of the notes has ended");
        }
    }

    /// Writes what waits and ends. Blocks on the disk.
    pub(super) fn finish(self) {
        drop(self.queue);
        if self.thread.join().is_err() {
            tracing::error!("the writer of the notes panicked");
        }
    }
}

/// Adds to a note on central's clock what the clock on the battery said when the note was made: here,
/// since asking it may take a while.
fn with_battery(note: Note) -> Note {
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

fn write(replica: &Replica, note: &Note) -> Result<(), MembersError> {
    // None of these types has a form that JSON lacks.
    let json = |value: serde_json::Result<Vec<u8>>| value.unwrap_or_default();
    match note {
        Note::Sale(sale) => {
            let key = json(serde_json::to_vec(&sale.key));
            replica.put_local(NoteKind::Sale, &key, &json(serde_json::to_vec(sale)))
        }
        Note::SaleForgotten(key) => {
            replica.remove_local(NoteKind::Sale, &[&json(serde_json::to_vec(key))])
        }
        Note::Nonce { nonce, until_ms } => {
            replica.put_local(NoteKind::SeenNonce, nonce, &until_ms.to_le_bytes())
        }
        Note::NoncesForgotten(nonces) => {
            let keys: Vec<&[u8]> = nonces.iter().map(<[u8; NONCE_BYTES]>::as_slice).collect();
            replica.remove_local(NoteKind::SeenNonce, &keys)
        }
        Note::Requested(request) => {
            let value = json(serde_json::to_vec(request));
            replica.put_local(NoteKind::Binding, request.id.as_str().as_bytes(), &value)
        }
        Note::Decided(id) => replica.remove_local(NoteKind::Binding, &[id.as_str().as_bytes()]),
        Note::Keys(keys) => {
            replica.put_local(NoteKind::Setting, KEYS, &json(serde_json::to_vec(keys)))
        }
        Note::Clock(clock) => {
            replica.put_local(NoteKind::Setting, CLOCK, &json(serde_json::to_vec(clock)))
        }
    }
}

/// What earlier runs left.
#[derive(Debug)]
pub(super) struct Learnt {
    pub(super) sales: KnownSales,
    pub(super) codes: MemberCodes,
    pub(super) requested: Vec<BindingRequest>,
    pub(super) clock: ClockEstimator,
    /// When central was last seen, in milliseconds by its clock.
    pub(super) last_contact_ms: Option<i64>,
}

/// Reads the notes, then the events that wait: a crash may have come between an event and its notes.
/// Blocks on the disk.
pub(super) fn learn(
    replica: &Replica,
    outbox: &Outbox,
    restart: &Restart,
) -> Result<Learnt, MembersError> {
    let sales = replica.scan_local(NoteKind::Sale)?;
    let sales = sales
        .iter()
        .filter_map(|note| serde_json::from_slice::<KnownSale>(&note.value).ok());
    let nonces = replica.scan_local(NoteKind::SeenNonce)?;
    let nonces = nonces.iter().filter_map(|note| {
        let nonce: [u8; NONCE_BYTES] = note.key.as_slice().try_into().ok()?;
        Some((
            nonce,
            i64::from_le_bytes(note.value.as_slice().try_into().ok()?),
        ))
    });
    let requested = replica.scan_local(NoteKind::Binding)?;
    let requested: Vec<BindingRequest> = requested
        .iter()
        .filter_map(|note| serde_json::from_slice(&note.value).ok())
        .collect();
    let keys: KeySet = setting(replica, KEYS)?.unwrap_or_default();
    let clock: Option<ClockNote> = setting(replica, CLOCK)?;
    let mut learnt = Learnt {
        sales: KnownSales::new(outbox.epoch(), sales),
        codes: MemberCodes::new(keys, nonces),
        requested,
        clock: clock
            .as_ref()
            .and_then(|note| restored(note, restart))
            .unwrap_or_default(),
        last_contact_ms: clock.map(|note| note.local_ms.saturating_add(note.offset_ms)),
    };
    // What a crash kept from being noted is noted now: once central has the event, only the note knows.
    for note in learnt.learn_from_outbox(outbox) {
        write(replica, &note)?;
    }
    learnt.forget_decided(replica)?;
    Ok(learnt)
}

fn setting<T: serde::de::DeserializeOwned>(
    replica: &Replica,
    name: &[u8],
) -> Result<Option<T>, MembersError> {
    let value = replica.get_local(NoteKind::Setting, name)?;
    Ok(value.and_then(|value| serde_json::from_slice(&value).ok()))
}

/// What the machine tells when the agent starts.
#[derive(Debug)]
pub(super) struct Restart {
    pub(super) now: Moment,
    /// The machine's run.
    pub(super) boot: Option<String>,
    /// What the clock on the battery says, in milliseconds.
    pub(super) battery_ms: Option<i64>,
}

impl Restart {
    /// Asks the machine.
    pub(super) fn now() -> Self {
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
fn restored(note: &ClockNote, restart: &Restart) -> Option<ClockEstimator> {
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

impl Learnt {
    /// Drops requests whose verdict came: it became durable with its page, and a crash kept the owner of
    /// the state from hearing of it. Central does not send it again.
    fn forget_decided(&mut self, replica: &Replica) -> Result<(), MembersError> {
        let mut open = Vec::new();
        for request in std::mem::take(&mut self.requested) {
            if is_decided(replica, &request)? {
                write(replica, &Note::Decided(request.id))?;
            } else {
                open.push(request);
            }
        }
        self.requested = open;
        Ok(())
    }

    fn learn_from_outbox(&mut self, outbox: &Outbox) -> Vec<Note> {
        let mut unnoted = Vec::new();
        let mut after = outbox.acked().seq;
        loop {
            let stored = match outbox.read_after(after, LEARN_EVENTS, LEARN_BYTES) {
                Ok(stored) => stored,
                Err(ReadError::Gap { until, .. }) => {
                    after = until.seq;
                    continue;
                }
                Err(ReadError::Gone { acked }) if acked.seq > after => {
                    after = acked.seq;
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, "the waiting events could not all be read at start");
                    return unnoted;
                }
            };
            let Some(last) = stored.last() else {
                return unnoted;
            };
            after = last.mark.seq;
            for one in &stored {
                match Recorded::from_record(&one.record) {
                    Ok(event) => self.learn_from_event(event.body, one.mark.seq, &mut unnoted),
                    Err(error) => {
                        tracing::warn!(%error, seq = %one.mark.seq, "an unknown event waits")
                    }
                }
            }
        }
    }

    fn learn_from_event(&mut self, body: EventBody, seq: Seq, unnoted: &mut Vec<Note>) {
        match body {
            EventBody::Transaction(sale) => {
                let is_noted = self.sales.get(&sale.key()).is_some();
                let known = self.sales.learn(&sale, seq);
                if !is_noted {
                    unnoted.push(Note::Sale(Box::new(known)));
                }
            }
            EventBody::Attribution(attribution) => {
                self.sales.learn_card(&attribution.sale, &attribution.card);
            }
            EventBody::BindingRequested(request) => {
                if self.requested.iter().any(|known| known.id == request.id) {
                    return;
                }
                if let Some((nonce, until_ms)) = self.codes.learn(&request) {
                    unnoted.push(Note::Nonce { nonce, until_ms });
                }
                unnoted.push(Note::Requested(Box::new(request.clone())));
                self.requested.push(request);
            }
            EventBody::Scan(_) | EventBody::ReceiptUnparsed(_) | EventBody::FileRejected(_) => {}
        }
    }
}

fn is_decided(replica: &Replica, request: &BindingRequest) -> Result<bool, MembersError> {
    match downlink::card_entry(replica, &request.card) {
        Ok(Some(entry)) => Ok(entry.verdicts.iter().any(|one| one.id == request.id)),
        Ok(None) => Ok(false),
        Err(DownlinkError::Members(error)) => Err(error),
        Err(DownlinkError::Entry(error)) => {
            tracing::warn!(%error, id = request.id.as_str(), "whether a binding is decided cannot be read");
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tillbind_protocol::event::Evidence;
    use tillbind_protocol::ids::CardNumber;
    use tillbind_protocol::replica::{BindingState, BindingVerdict, Change, Cursor, Page};

    use super::*;
    use crate::outbox::OutboxConfig;
    use crate::vault::{Vault, test_random};

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

    fn request(id: &str) -> BindingRequest {
        BindingRequest {
            id: id.parse().unwrap(),
            card: CardNumber::new("950110153123456781").unwrap(),
            card_kind: "gsrn".to_owned(),
            account: "tmall:82731".parse().unwrap(),
            evidence: Evidence::MemberCode { code: "x".into() },
        }
    }

    #[test]
    fn a_verdict_that_became_durable_just_before_a_crash_is_found_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::from_key([4; 32], test_random(8));
        let config = OutboxConfig::new(dir.path().join("outbox"), Arc::new(|| Duration::ZERO));
        let outbox = Outbox::open(config, &vault, test_random(9)).unwrap().outbox;
        let (replica, _) = Replica::open(&dir.path().join("members"), &vault).unwrap();
        for id in ["b1", "b2"] {
            write(&replica, &Note::Requested(Box::new(request(id)))).unwrap();
        }
        // One waits besides, whose copy went ahead of it.
        let waiting = Recorded {
            stamp: ClockEstimator::default().stamp(Uptime::ZERO, 0),
            body: EventBody::BindingRequested(request("b3")),
        };
        outbox.append(waiting.to_record().unwrap()).wait().unwrap();
        let decided = ["b1", "b3"].map(|id| {
            Change::Binding(BindingVerdict {
                id: id.parse().unwrap(),
                card: request(id).card,
                account: request(id).account,
                state: BindingState::Confirmed,
                reason: None,
            })
        });
        let page = Page {
            from: Cursor::default(),
            changes: decided.to_vec(),
            to: Cursor("1".into()),
            more: false,
            reset: false,
        };
        downlink::apply(&replica, page, false).unwrap();
        let started = restart("one", 60_000, 0, None);
        for _ in 0..2 {
            let learnt = learn(&replica, &outbox, &started).unwrap();
            assert_eq!(learnt.requested, [request("b2")]);
        }
        assert_eq!(replica.scan_local(NoteKind::Binding).unwrap().len(), 1);
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
