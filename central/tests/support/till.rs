//! A terminal as central sees it: records, chain marks and requests.

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tillbind_protocol::chain::Mark;
use tillbind_protocol::claim::{CLAIM_RANDOM_BYTES, ClaimCode};
use tillbind_protocol::exchange::{
    Batch, CURRENT, DiskState, ExchangeRequest, Express, GapNotice, Hello,
};
use tillbind_protocol::ids::{Epoch, Seq};
use tillbind_protocol::replica::Cursor;

/// When the tests take place, in milliseconds.
pub(crate) const NOW_MS: i64 = 1_790_000_000_000;

/// A till's outbox.
#[derive(Debug, Clone)]
pub(crate) struct Till {
    pub(crate) epoch: Epoch,
    records: Vec<String>,
    marks: Vec<Mark>,
}

impl Till {
    pub(crate) fn new(epoch: u64) -> Self {
        let epoch = Epoch(epoch);
        Self {
            epoch,
            records: Vec::new(),
            marks: vec![Mark::genesis(epoch)],
        }
    }

    /// Records text as it is and returns its place.
    pub(crate) fn raw(&mut self, record: &str) -> u64 {
        let mark = self.head().next(record.as_bytes());
        self.marks.push(mark);
        self.records.push(record.to_owned());
        mark.seq.0
    }

    /// Records an event at [`NOW_MS`].
    pub(crate) fn event(&mut self, kind: &str, body: Value) -> u64 {
        let record = json!({"at": NOW_MS, "off": 0, "unc": 5, "kind": kind, "body": body});
        self.raw(&record.to_string())
    }

    pub(crate) fn sale(&mut self, sequence: &str, total_minor: i64, card: Option<&str>) -> u64 {
        self.event("transaction", sale(sequence, total_minor, card))
    }

    pub(crate) fn scan(&mut self, card: &str) -> u64 {
        let body = json!({"code": "member_card", "device": "d", "card": card, "card_kind": "ean"});
        self.event("scan", body)
    }

    pub(crate) fn bind(&mut self, id: &str, card: &str, account: &str, code: &str) -> u64 {
        let body = json!({"id": id, "card": card, "card_kind": "ean", "account": account,
            "evidence": {"type": "member-code", "code": code}});
        self.event("binding_requested", body)
    }

    pub(crate) fn offer(&mut self, sequence: &str, code: &ClaimCode) -> u64 {
        let body = json!({"sale": {"store": "S1", "workstation": "W1",
            "business_day": "2026-09-21", "sequence": sequence}, "claim": code.digest()});
        self.event("claim_offered", body)
    }

    pub(crate) fn head(&self) -> Mark {
        *self.marks.last().unwrap()
    }

    pub(crate) fn mark(&self, seq: u64) -> Mark {
        self.marks[usize::try_from(seq).unwrap()]
    }

    /// Drops what was recorded after a place, as a restored disk does.
    pub(crate) fn roll_back(&mut self, seq: u64) {
        let seq = usize::try_from(seq).unwrap();
        self.records.truncate(seq);
        self.marks.truncate(seq + 1);
    }

    pub(crate) fn poll(&self) -> ExchangeRequest {
        ExchangeRequest {
            v: CURRENT,
            epoch: self.epoch,
            acked: Mark::genesis(self.epoch),
            head: self.head(),
            batch: None,
            gap: None,
            express: Vec::new(),
            cursor: Cursor::default(),
            keys: u32::MAX,
            dictionary: 0,
            page_bytes: 0,
            wait_ms: 0,
            at_ms: NOW_MS,
            hello: None,
        }
    }

    /// A request with the events of some places.
    pub(crate) fn batch(&self, places: std::ops::RangeInclusive<u64>) -> ExchangeRequest {
        let first = *places.start();
        let events = places.map(|seq| {
            let record = self.records[usize::try_from(seq - 1).unwrap()].clone();
            RawValue::from_string(record).unwrap()
        });
        let before = self.mark(first - 1);
        ExchangeRequest {
            acked: before,
            batch: Some(Batch {
                first: Seq(first),
                before: before.chain,
                events: events.collect(),
                holes: Vec::new(),
            }),
            ..self.poll()
        }
    }

    /// A request with the events of some places but for those that are gone.
    pub(crate) fn holed(
        &self,
        places: std::ops::RangeInclusive<u64>,
        gone: &[std::ops::RangeInclusive<u64>],
    ) -> ExchangeRequest {
        let mut request = self.batch(places.clone());
        if let Some(batch) = &mut request.batch {
            let mut place = places.into_iter();
            batch.events.retain(|_| {
                let seq = place.next().unwrap();
                !gone.iter().any(|lost| lost.contains(&seq))
            });
            batch.holes = gone.iter().map(|lost| self.gap(lost.clone())).collect();
        }
        request
    }

    /// A copy of an event.
    pub(crate) fn express(&self, seq: u64) -> Express {
        Express {
            seq: Seq(seq),
            record: RawValue::from_string(self.record(seq).to_owned()).unwrap(),
        }
    }

    pub(crate) fn record(&self, seq: u64) -> &str {
        &self.records[usize::try_from(seq - 1).unwrap()]
    }

    pub(crate) fn all(&self) -> ExchangeRequest {
        self.batch(1..=self.head().seq.0)
    }

    /// A notice that some places are lost.
    pub(crate) fn gap(&self, places: std::ops::RangeInclusive<u64>) -> GapNotice {
        GapNotice {
            from: Seq(*places.start()),
            to: Seq(*places.end()),
            after: self.mark(*places.end()).chain,
            reason: "the disk lost them".into(),
        }
    }
}

pub(crate) fn sale(sequence: &str, total_minor: i64, card: Option<&str>) -> Value {
    json!({"store": "S1", "workstation": "W1", "business_day": "2026-09-21",
        "sequence": sequence, "type": if total_minor < 0 { "return" } else { "sale" },
        "currency": "CNY", "total_minor": total_minor,
        "items": [{"line": 1, "item_id": "4901", "description": "茶", "quantity": "1",
            "unit_price_minor": total_minor, "amount_minor": total_minor}],
        "tenders": [{"kind": "cash", "amount_minor": total_minor}],
        "card": card, "card_kind": card.map(|_| "ean"), "source": "tap"})
}

/// A claim code; each number has its own.
pub(crate) fn claim_code(n: u8) -> ClaimCode {
    ClaimCode::new([n; CLAIM_RANDOM_BYTES])
}

pub(crate) fn hello(machine: &str) -> Hello {
    Hello {
        machine: machine.into(),
        version: "0.1.0".into(),
        outbox_events: 3,
        clock_offset_ms: Some(-250),
        forked_from: None,
        outbox_bytes: Some(4_096),
        disk: Some(DiskState::Tight),
        sacrificed: Some(7),
        quarantined: Some(1),
    }
}
