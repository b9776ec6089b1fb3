//! One byte-exact file per message and version. A file is never edited: a terminal in the field
//! wrote those bytes. When the code can no longer read one, the code is wrong; when it writes other
//! bytes, the version must rise and a new file must be added.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use serde_json::value::RawValue;
use tillbind_protocol::chain::Mark;
use tillbind_protocol::claim::{CLAIM_RANDOM_BYTES, ClaimCode};
use tillbind_protocol::dictionary::Dictionary;
use tillbind_protocol::enrol::{EnrolResponse, Refusal};
use tillbind_protocol::event::{
    Attribution, BindingRequest, ClaimOffered, Event, EventBody, Evidence, FileRejected,
    ReceiptUnparsed, RetailTransaction, SaleKey, Scan, ScanKind, Source, Stamp, TransactionItem,
    TransactionKind, TransactionTender,
};
use tillbind_protocol::exchange::{
    Batch, DiskState, ExchangeRequest, ExchangeResponse, Express, Fork, GapNotice, Hello, Step,
    Verdict, Versions,
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
            holes: Vec::new(),
        }),
        gap: Some(GapNotice {
            from: Seq(8),
            to: Seq(9),
            after: genesis.chain,
            reason: "damaged".into(),
        }),
        express: Vec::new(),
        cursor: Cursor("h:5:card:1".into()),
        keys: 3,
        dictionary: 0,
        page_bytes: 0,
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
            outbox_bytes: None,
            disk: None,
            sacrificed: None,
            quarantined: None,
        }),
    }
}

/// A request with all that version 2 added: events 2, 3 and 6 are gone, and a binding request waits at 7.
fn request_2() -> ExchangeRequest {
    let mut request = request();
    let hole = |from, to, after| GapNotice {
        from: Seq(from),
        to: Seq(to),
        after,
        reason: "given up: the disk was full".into(),
    };
    let mut records: Vec<_> = events().iter().map(|e| e.to_record().unwrap()).collect();
    let urgent = String::from_utf8(records[3].clone()).unwrap();
    let urgent = urgent.replace("00112233", "44556677");
    records.push(urgent.clone().into_bytes());
    let mut marks = vec![Mark::genesis(EPOCH)];
    marks.extend(records.iter().scan(marks[0], |mark, record| {
        *mark = mark.next(record);
        Some(*mark)
    }));
    let batch = request.batch.as_mut().unwrap();
    batch.events.remove(5);
    batch.events.drain(1..3);
    batch.holes = vec![hole(2, 3, marks[3].chain), hole(6, 6, marks[6].chain)];
    let hello = request.hello.take().unwrap();
    ExchangeRequest {
        v: 2,
        head: marks[7],
        gap: None,
        express: vec![Express {
            seq: Seq(7),
            record: RawValue::from_string(urgent).unwrap(),
        }],
        dictionary: 7,
        page_bytes: 20_000,
        hello: Some(Hello {
            outbox_bytes: Some(1_234),
            disk: Some(DiskState::Tight),
            sacrificed: Some(3),
            quarantined: Some(1),
            ..hello
        }),
        ..request
    }
}

fn response_2() -> ExchangeResponse {
    ExchangeResponse {
        v: 2,
        dictionary: Some(Dictionary {
            id: 8,
            bytes: vec![0, 1, 254, 255],
        }),
        ..response(Verdict::Ok)
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
        dictionary: None,
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

/// Kinds that came after the first files were written.
fn later_events() -> Vec<Event> {
    let sale = SaleKey {
        store: "S001".parse().unwrap(),
        workstation: "1".parse().unwrap(),
        business_day: "2026-11-22".parse().unwrap(),
        sequence: "123".into(),
    };
    let claim = ClaimCode::new([7; CLAIM_RANDOM_BYTES]).digest();
    vec![Event {
        stamp: Stamp {
            local_ms: 1_795_000_000_000,
            offset_ms: -12,
            uncertainty_ms: Some(7),
        },
        body: EventBody::ClaimOffered(ClaimOffered { sale, claim }),
    }]
}

#[test]
fn version_1_is_written_and_read_byte_for_byte() {
    golden("records-later.v1.json", &later_events());
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
            versions: None,
        },
    );
}

#[test]
fn version_2_is_written_and_read_byte_for_byte() {
    golden("exchange-request.v2.json", &request_2());
    golden("exchange-response-ok.v2.json", &response_2());
    golden(
        "refusal.v2.json",
        &Refusal {
            error: "version".into(),
            message: "update".into(),
            versions: Some(Versions { min: 1, current: 2 }),
        },
    );
    for state in DiskState::ALL {
        assert_eq!(
            serde_json::to_value(state).unwrap(),
            serde_json::json!(state.as_str())
        );
    }
}

#[test]
fn an_answer_in_version_1_has_the_bytes_of_version_1() {
    let answer = ExchangeResponse {
        v: 1,
        ..response_2()
    };
    golden("exchange-response-ok.v1.json", &answer.of_its_version());
    assert!(response_2().of_its_version().dictionary.is_some());
}

#[test]
fn a_batch_with_holes_is_walked_place_by_place() {
    let request = request_2();
    let batch = request.batch.unwrap();
    assert_eq!(batch.fault(Seq(6)), None);
    assert!(request.express[0].seq > batch.last());
    assert_eq!(batch.last(), Seq(6));
    let places: Vec<_> = batch
        .steps()
        .map(|(last, step)| (last.0, matches!(step, Step::Hole(_))))
        .collect();
    let expected = [(1, false), (3, true), (4, false), (5, false), (6, true)];
    assert_eq!(places, expected);
    assert!(batch.fault(Seq(5)).is_some(), "it ends behind the head");
    let broken = |change: fn(&mut Batch)| {
        let mut batch = batch.clone();
        change(&mut batch);
        batch.fault(Seq(6))
    };
    assert!(broken(|batch| batch.first = Seq(0)).is_some());
    assert!(broken(|batch| batch.holes.swap(0, 1)).is_some());
    assert!(broken(|batch| batch.holes[0].to = Seq(1)).is_some());
    assert!(broken(|batch| batch.holes[1].from = Seq(5)).is_some());
    assert!(broken(|batch| batch.holes[1].from = Seq(7)).is_some());
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
