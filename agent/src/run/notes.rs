//! The terminal's own notes on the disk, and what is learnt from them and from the outbox at start.

mod restart;

use std::collections::{HashMap, HashSet};
use std::thread::JoinHandle;

use tillbind_protocol::clock::ClockEstimator;
use tillbind_protocol::event::{BindingRequest, Event as Recorded, EventBody, SaleKey};
use tillbind_protocol::ids::Seq;
use tillbind_protocol::member_code::{KeySet, NONCE_BYTES};
use tokio::sync::mpsc;

use super::effect::{ClockNote, Note};
use crate::downlink::{self, DownlinkError};
use crate::members::{self, MembersError, NoteKind, Replica};
use crate::outbox::{Outbox, ReadError};
use crate::till::known_sales::SALES_MAX;
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

/// What becomes of a note on the disk.
enum Change {
    Keep(NoteKind, members::Note),
    Forget(NoteKind, Vec<Vec<u8>>),
}

impl Change {
    fn of(note: &Note) -> Self {
        // None of these types has a form that JSON lacks.
        let json = |value: serde_json::Result<Vec<u8>>| value.unwrap_or_default();
        let keep = |kind, key: &[u8], value| {
            let key = key.to_vec();
            Self::Keep(kind, members::Note { key, value })
        };
        match note {
            Note::Sale(sale) => {
                let key = json(serde_json::to_vec(&sale.key));
                keep(NoteKind::Sale, &key, json(serde_json::to_vec(sale)))
            }
            Note::SaleForgotten(key) => {
                Self::Forget(NoteKind::Sale, vec![json(serde_json::to_vec(key))])
            }
            Note::Nonce { nonce, until_ms } => {
                keep(NoteKind::SeenNonce, nonce, until_ms.to_le_bytes().to_vec())
            }
            Note::NoncesForgotten(nonces) => {
                let keys = nonces.iter().map(|nonce| nonce.to_vec());
                Self::Forget(NoteKind::SeenNonce, keys.collect())
            }
            Note::Requested(request) => {
                let value = json(serde_json::to_vec(request));
                keep(NoteKind::Binding, request.id.as_str().as_bytes(), value)
            }
            Note::Decided(id) => {
                Self::Forget(NoteKind::Binding, vec![id.as_str().as_bytes().to_vec()])
            }
            Note::Keys(keys) => keep(NoteKind::Setting, KEYS, json(serde_json::to_vec(keys))),
            Note::Clock(clock) => keep(NoteKind::Setting, CLOCK, json(serde_json::to_vec(clock))),
        }
    }
}

fn write(replica: &Replica, note: &Note) -> Result<(), MembersError> {
    write_all(replica, std::slice::from_ref(note))
}

/// Writes notes with few syncs: first what is kept, then what is forgotten.
fn write_all(replica: &Replica, notes: &[Note]) -> Result<(), MembersError> {
    let mut kept = Vec::new();
    let mut forgotten: HashMap<NoteKind, Vec<Vec<u8>>> = HashMap::new();
    for note in notes {
        match Change::of(note) {
            Change::Keep(kind, note) => kept.push((kind, note)),
            Change::Forget(kind, keys) => forgotten.entry(kind).or_default().extend(keys),
        }
    }
    if !kept.is_empty() {
        replica.put_locals(&kept)?;
    }
    for (kind, keys) in forgotten {
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        replica.remove_local(kind, &keys)?;
    }
    Ok(())
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
    let unnoted = learnt.learn_from_outbox(outbox);
    write_all(replica, &unnoted)?;
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

    /// Returns what is to be noted: of the sales those that are still known at the end. A long backlog holds
    /// more than are remembered.
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
            if stored.is_empty() || unnoted.len() > 2 * SALES_MAX {
                self.forget_the_oldest(&mut unnoted);
            }
            let Some(last) = stored.last() else {
                return unnoted;
            };
            after = last.mark.seq;
            for one in &stored {
                match Recorded::from_record(&one.record) {
                    Ok(event) => unnoted.extend(self.learn_from_event(event.body, one.mark.seq)),
                    Err(error) => {
                        tracing::warn!(%error, seq = %one.mark.seq, "an unknown event waits")
                    }
                }
            }
        }
    }

    /// Forgets the sales that are too many, those first that were to be noted.
    fn forget_the_oldest(&mut self, unnoted: &mut Vec<Note>) {
        let mut evicted: HashSet<SaleKey> = self.sales.evict().into_iter().collect();
        unnoted.retain(|note| {
            let Note::Sale(sale) = note else { return true };
            !evicted.remove(&sale.key)
        });
        let noted = evicted.into_iter().map(Note::SaleForgotten);
        unnoted.extend(noted);
    }

    /// Returns what is to be noted of it.
    fn learn_from_event(&mut self, body: EventBody, seq: Seq) -> Vec<Note> {
        match body {
            EventBody::Transaction(sale) => {
                let is_noted = self.sales.get(&sale.key()).is_some();
                let known = self.sales.learn(&sale, seq);
                let note = (!is_noted).then(|| Note::Sale(Box::new(known)));
                note.into_iter().collect()
            }
            EventBody::Attribution(attribution) => {
                self.sales.learn_card(&attribution.sale, &attribution.card);
                Vec::new()
            }
            EventBody::BindingRequested(request) => {
                if self.requested.iter().any(|known| known.id == request.id) {
                    return Vec::new();
                }
                let nonce = self.codes.learn(&request);
                let nonce = nonce.map(|(nonce, until_ms)| Note::Nonce { nonce, until_ms });
                let requested = Note::Requested(Box::new(request.clone()));
                self.requested.push(request);
                nonce.into_iter().chain([requested]).collect()
            }
            EventBody::Scan(_)
            | EventBody::ClaimOffered(_)
            | EventBody::ReceiptUnparsed(_)
            | EventBody::FileRejected(_) => Vec::new(),
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
    use tillbind_protocol::event::{Evidence, RetailTransaction};
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

    fn stores(dir: &std::path::Path) -> (Outbox, Replica) {
        let vault = Vault::from_key([4; 32], test_random(8));
        let config = OutboxConfig::new(dir.join("outbox"), Arc::new(|| Duration::ZERO));
        let outbox = Outbox::open(config, &vault, test_random(9)).unwrap().outbox;
        let (replica, _) = Replica::open(&dir.join("members"), &vault).unwrap();
        (outbox, replica)
    }

    #[test]
    fn a_verdict_that_became_durable_just_before_a_crash_is_found_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let (outbox, replica) = stores(dir.path());
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

    #[test]
    fn of_a_long_backlog_the_newest_sales_are_noted_once_and_the_rest_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let (outbox, replica) = stores(dir.path());
        let sale = |n: usize| {
            let told = serde_json::json!({
                "store": "S1", "workstation": "1", "business_day": "2026-11-25",
                "sequence": format!("{n:06}"), "type": "sale", "currency": "EUR",
                "total_minor": 100, "source": "api",
            });
            serde_json::from_value::<RetailTransaction>(told).unwrap()
        };
        let most = SALES_MAX + 500;
        let record = |n| {
            let event = Recorded {
                stamp: ClockEstimator::default().stamp(Uptime::ZERO, 0),
                body: EventBody::Transaction(sale(n)),
            };
            event.to_record().unwrap()
        };
        for first in (0..most).step_by(500) {
            let records = (first..first + 500).map(record).collect();
            outbox.append_all(records).wait().unwrap();
        }
        // As an earlier run noted it, before newer ones came.
        let oldest = KnownSales::new(outbox.epoch(), []).learn(&sale(0), Seq(1));
        write(&replica, &Note::Sale(Box::new(oldest))).unwrap();
        let started = Restart::now();
        for _ in 0..2 {
            let learnt = learn(&replica, &outbox, &started).unwrap();
            assert!(learnt.sales.get(&sale(most - 1).key()).is_some());
            assert!(learnt.sales.get(&sale(0).key()).is_none());
            let noted = replica.scan_local(NoteKind::Sale).unwrap();
            assert_eq!(noted.len(), SALES_MAX);
            let is_oldest = |note: &members::Note| {
                let known: KnownSale = serde_json::from_slice(&note.value).unwrap();
                known.key == sale(0).key()
            };
            assert!(!noted.iter().any(is_oldest));
        }
    }
}
