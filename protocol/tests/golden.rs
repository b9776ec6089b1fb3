//! One byte-exact file per message and version. A file is never edited: a terminal in the field
//! wrote those bytes. When the code can no longer read one, the code is wrong; when it writes other
//! bytes, the version must rise and a new file must be added.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use serde_json::value::RawValue;
use tillbind_protocol::chain::Mark;
use tillbind_protocol::enrol::{EnrolResponse, Refusal};
use tillbind_protocol::event::{
    Attribution, BindingRequest, Event, EventBody, Evidence, FileRejected, ReceiptUnparsed,
    RetailTransaction, SaleKey, Scan, ScanKind, Source, Stamp, TransactionItem, TransactionKind,
    TransactionTender,
};
use tillbind_protocol::exchange::{
    Batch, ExchangeRequest, ExchangeResponse, Fork, GapNotice, Hello, Verdict,
};
use tillbind_protocol::ids::{BindingId, CardNumber, Epoch, MemberId, Seq, StoreId, WorkstationId};
use tillbind_protocol::member_code::{KeySet, PublicKey};
use tillbind_protocol::replica::{
    BindingState, BindingVerdict, CardState, Change, Cursor, MemberState, Page,
};

const EPOCH: Epoch = Epoch(0x00c0_ffee_0000_0001);

fn card() -> CardNumber {
    CardNumber::new("950110153123456781").unwrap()
}

fn day() -> chrono::NaiveDate {
    chrono::NaiveDate::from_ymd_opt(2026, 11, 22).unwrap()
}

fn at(text: &str) -> Option<chrono::DateTime<chrono::Utc>> {
    Some(text.parse().unwrap())
}

fn events() -> Vec<Event> {
    let store = || StoreId::new("S001").unwrap();
    let workstation = || WorkstationId::new("1").unwrap();
    let bodies = [
        EventBody::Scan(Scan {
            kind: ScanKind::MemberCard,
            device: "counter".into(),
            symbology: Some("gs1-128".into()),
            card: Some(card()),
            card_kind: Some("gsrn".into()),
            account: None,
            text: None,
            reason: None,
        }),
        EventBody::Transaction(RetailTransaction {
            store: store(),
            workstation: workstation(),
            business_day: day(),
            sequence: "000123".into(),
            kind: TransactionKind::Sale,
            began_at: at("2026-11-22T10:00:00Z"),
            ended_at: at("2026-11-22T10:01:30Z"),
            currency: "EUR".into(),
            total_minor: 250,
            discount_minor: 50,
            tax_minor: 40,
            tax_included: true,
            items: vec![TransactionItem {
                line: 1,
                item_id: "4006381333931".into(),
                description: "Milk".into(),
                quantity: "2".parse().unwrap(),
                unit_price_minor: 150,
                amount_minor: 300,
                discount_minor: 0,
                department: Some("dairy".into()),
                voided: false,
            }],
            tenders: vec![
                TransactionTender {
                    kind: "cash".into(),
                    amount_minor: 500,
                },
                TransactionTender {
                    kind: "change".into(),
                    amount_minor: -250,
                },
            ],
            card: Some(card()),
            card_kind: Some("gsrn".into()),
            source: Source::Poslog,
            training: false,
            amends: Some(Seq(1)),
        }),
        EventBody::Attribution(Attribution {
            sale: SaleKey {
                store: store(),
                workstation: workstation(),
                business_day: day(),
                sequence: "123".into(),
            },
            card: card(),
            card_kind: "gsrn".into(),
        }),
        EventBody::BindingRequested(BindingRequest {
            id: BindingId::new("00112233445566778899aabbccddeeff").unwrap(),
            card: card(),
            card_kind: "gsrn".into(),
            account: "tmall:82731".parse().unwrap(),
            evidence: Evidence::MemberCode {
                code: "TB1:ABC".into(),
            },
        }),
        EventBody::ReceiptUnparsed(ReceiptUnparsed {
            tap: "printer".into(),
            reason: "no total".into(),
            text: "HELLO".into(),
            images: 1,
        }),
        EventBody::FileRejected(FileRejected {
            journal: "pos".into(),
            file: "a.xml".into(),
            reason: "line 3: cut off".into(),
        }),
    ];
    bodies
        .into_iter()
        .zip(0i64..)
        .map(|(body, n)| Event {
            stamp: Stamp {
                local_ms: 1_795_000_000_000 + n,
                offset_ms: -12,
                uncertainty_ms: Some(7),
            },
            body,
        })
        .collect()
}

fn request() -> ExchangeRequest {
    let records: Vec<_> = events().iter().map(|e| e.to_record().unwrap()).collect();
    let genesis = Mark::genesis(EPOCH);
    ExchangeRequest {
        v: 1,
        epoch: EPOCH,
        acked: genesis,
        head: records
            .iter()
            .fold(genesis, |mark, record| mark.next(record)),
        batch: Some(Batch {
            first: Seq(1),
            before: genesis.chain,
            events: records
                .into_iter()
                .map(|r| RawValue::from_string(String::from_utf8(r).unwrap()).unwrap())
                .collect(),
        }),
        gap: Some(GapNotice {
            from: Seq(8),
            to: Seq(9),
            after: genesis.chain,
            reason: "damaged".into(),
        }),
        cursor: Cursor("h:5:card:1".into()),
        keys: 3,
        wait_ms: 25_000,
        at_ms: 1_795_000_000_000,
        hello: Some(Hello {
            machine: "0123456789abcdef".into(),
            version: "0.1.0".into(),
            outbox_events: 5,
            clock_offset_ms: Some(-12),
            forked_from: Some(Fork {
                epoch: Epoch(1),
                at: Seq(4),
            }),
        }),
    }
}

fn response(verdict: Verdict) -> ExchangeResponse {
    ExchangeResponse {
        v: 1,
        verdict,
        acked: Mark::genesis(EPOCH),
        page: Some(Page {
            from: Cursor("h:5:card:1".into()),
            changes: vec![
                Change::Card(CardState {
                    card: card(),
                    kind: "gsrn".into(),
                    member: Some(MemberId::new("m-1").unwrap()),
                    points: 0,
                }),
                Change::Member(MemberState {
                    member: MemberId::new("m-1").unwrap(),
                    name: Some("Ada".into()),
                    points: 12,
                    tier: Some("gold".into()),
                    accounts: vec!["tmall:82731".parse().unwrap()],
                }),
                Change::Binding(BindingVerdict {
                    id: BindingId::new("b-1").unwrap(),
                    card: card(),
                    account: "tmall:82731".parse().unwrap(),
                    state: BindingState::Rejected,
                    reason: Some("bound to another account".into()),
                }),
                Change::CardRemoved { card: card() },
                Change::MemberRemoved {
                    member: MemberId::new("m-2").unwrap(),
                },
            ],
            to: Cursor("h:9:member:2".into()),
            more: true,
            reset: false,
        }),
        keys: Some(KeySet {
            version: 4,
            keys: vec![PublicKey {
                kid: "k1".into(),
                ed25519: "A".repeat(43),
            }],
        }),
        received_ms: 1_795_000_000_100,
        sent_ms: 1_795_000_000_200,
    }
}

/// Writes `value` and holds it against the file, then reads the file and writes it again.
fn golden<T: serde::Serialize + serde::de::DeserializeOwned>(file: &str, value: &T) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(file);
    let written = serde_json::to_string(value).unwrap();
    let kept = std::fs::read_to_string(&path).unwrap_or_else(|e| {
        panic!(
            "{}: {e}; a new version's bytes are:\n{written}",
            path.display()
        )
    });
    assert_eq!(
        written,
        kept.trim_end(),
        "{file}: this code writes other bytes"
    );
    let read: T = serde_json::from_str(&kept).unwrap();
    assert_eq!(
        serde_json::to_string(&read).unwrap(),
        kept.trim_end(),
        "{file}: reading loses something"
    );
}

#[test]
fn version_1_is_written_and_read_byte_for_byte() {
    golden("exchange-request.v1.json", &request());
    golden("exchange-response-ok.v1.json", &response(Verdict::Ok));
    golden(
        "exchange-response-rewind.v1.json",
        &response(Verdict::Rewind { to: Seq(3) }),
    );
    golden(
        "exchange-response-fork.v1.json",
        &response(Verdict::Fork { at: Seq(3) }),
    );
    golden(
        "exchange-response-slow-down.v1.json",
        &response(Verdict::SlowDown { for_ms: 500 }),
    );
    golden(
        "exchange-response-refused.v1.json",
        &response(Verdict::Refused {
            reason: "cloned".into(),
        }),
    );
    golden(
        "enrol-response.v1.json",
        &EnrolResponse {
            terminal: "t-1".parse().unwrap(),
            store: "S001".parse().unwrap(),
            workstation: "1".parse().unwrap(),
            certificate_pem: "PEM".into(),
            ca_pem: "CA".into(),
        },
    );
    golden(
        "refusal.v1.json",
        &Refusal {
            error: "busy".into(),
            message: "come back".into(),
        },
    );
}

#[test]
fn a_newer_peers_additional_fields_are_passed_over() {
    let mut value: serde_json::Value =
        serde_json::from_str(&serde_json::to_string(&response(Verdict::Ok)).unwrap()).unwrap();
    value["something_new"] = serde_json::json!({"a": 1});
    let read: ExchangeResponse = serde_json::from_value(value).unwrap();
    assert_eq!(read.verdict, Verdict::Ok);
}

#[test]
fn every_record_reads_back_as_the_event_that_it_was() {
    for event in events() {
        assert_eq!(
            Event::from_record(&event.to_record().unwrap()).unwrap(),
            event
        );
    }
}
