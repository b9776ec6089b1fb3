//! The terminal's own notes on the disk, and what is learnt from them and from the outbox at start.

use std::thread::JoinHandle;

use tillbind_protocol::clock::ClockEstimator;
use tillbind_protocol::event::{BindingRequest, Event as Recorded, EventBody};
use tillbind_protocol::ids::Seq;
use tillbind_protocol::member_code::{KeySet, NONCE_BYTES};
use tokio::sync::mpsc;

use super::effect::{ClockNote, Note};
use crate::clock::Moment;
use crate::members::{MembersError, NoteKind, Replica};
use crate::outbox::{Outbox, ReadError};
use crate::till::{KnownSale, KnownSales, MemberCodes};

/// Notes that wait for the disk at most; beyond it the owner of the state waits with them.
const QUEUE_MAX: usize = 1_024;
/// Events read at a time while learning.
const LEARN_EVENTS: usize = 1_000;
const LEARN_BYTES: usize = 1024 * 1024;
const KEYS: &[u8] = b"member code keys";
const CLOCK: &[u8] = b"central clock";
/// How far central's clock may have moved against this machine's while the agent was down, at least,
/// in milliseconds. Nobody was there to see.
const DOWNTIME_DRIFT_MS: u32 = 30_000;

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
                while let Some(note) = notes.blocking_recv() {
                    if let Err(error) = write(&replica, &note) {
                        // What it says is learnt again from the outbox, or asked of central again.
                        tracing::error!(%error, "a note could not be kept");
                    }
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
    now: Moment,
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
        clock: clock.map(|note| restored(note, now)).unwrap_or_default(),
        last_contact_ms: clock.map(|note| note.local_ms.saturating_add(note.offset_ms)),
    };
    // What a crash kept from being noted is noted now: once central has the event, only the note knows.
    for note in learnt.learn_from_outbox(outbox) {
        write(replica, &note)?;
    }
    Ok(learnt)
}

fn setting<T: serde::de::DeserializeOwned>(
    replica: &Replica,
    name: &[u8],
) -> Result<Option<T>, MembersError> {
    let value = replica.get_local(NoteKind::Setting, name)?;
    Ok(value.and_then(|value| serde_json::from_slice(&value).ok()))
}

/// An offset holds across a restart as long as the wall clock went on; one that went back (a dead
/// battery: 1970) says nothing of central's time.
fn restored(note: ClockNote, now: Moment) -> ClockEstimator {
    if now.local_ms < note.local_ms {
        return ClockEstimator::default();
    }
    let uncertainty_ms = note.uncertainty_ms.saturating_add(DOWNTIME_DRIFT_MS);
    ClockEstimator::restored(now.instant, now.local_ms, note.offset_ms, uncertainty_ms)
}

impl Learnt {
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
