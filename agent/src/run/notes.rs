//! The terminal's own notes on the disk, and what is learnt from them and from the outbox at start.

mod restart;

use std::thread::JoinHandle;

use tillbind_protocol::clock::ClockEstimator;
use tillbind_protocol::event::{BindingRequest, Event as Recorded, EventBody};
use tillbind_protocol::ids::Seq;
use tillbind_protocol::member_code::{KeySet, NONCE_BYTES};
use tokio::sync::mpsc;

use super::effect::{ClockNote, Note};
use crate::downlink::{self, DownlinkError};
use crate::members::{MembersError, NoteKind, Replica};
use crate::outbox::{Outbox, ReadError};
use crate::till::{KnownSale, KnownSales, MemberCodes};
pub(super) use restart::Restart;
use restart::{restored, with_battery};

/// Notes that wait for the disk at most; beyond it the owner of the state waits with them.
const QUEUE_MAX: usize = 1_024;
/// Events read at a time while learning.
const LEARN_EVENTS: usize = 1_000;
const LEARN_BYTES: usize = 1024 * 1024;
const KEYS: &[u8] = b"member code keys";
const CLOCK: &[u8] = b"central clock";
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
    use std::time::Duration;

    use tillbind_protocol::clock::Uptime;
    use tillbind_protocol::event::Evidence;
    use tillbind_protocol::ids::CardNumber;
    use tillbind_protocol::replica::{BindingState, BindingVerdict, Change, Cursor, Page};

    use super::*;
    use crate::outbox::OutboxConfig;
    use crate::vault::{Vault, test_random};

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
        let started = Restart::now();
        for _ in 0..2 {
            let learnt = learn(&replica, &outbox, &started).unwrap();
            assert_eq!(learnt.requested, [request("b2")]);
        }
        assert_eq!(replica.scan_local(NoteKind::Binding).unwrap().len(), 1);
    }
}
