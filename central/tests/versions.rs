//! The sync listener and the bytes of each version: what a terminal of the version before sends is taken
//! and answered with that version's fields and no others.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/service.rs"]
#[expect(dead_code, reason = "the listener's tests need the rest")]
mod service;
#[path = "support/till.rs"]
#[expect(dead_code, reason = "the story's tills can do more")]
mod till;

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::value::RawValue;
use service::{Service, refused, taken};
use till::Till;
use tillbind_central::export::{Export, Filter, Format, Kind, Request};
use tillbind_central::store::statement::rows;
use tillbind_protocol::enrol::Refusal;
use tillbind_protocol::exchange::{self, BATCH_HOLES_MAX, EXPRESS_MAX, ExchangeRequest, Versions};

/// The machine in the golden files.
const MACHINE: &str = "0123456789abcdef";

/// A golden file's bytes, as a terminal in the field wrote them.
fn golden(file: &str) -> Box<RawValue> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../protocol/tests/golden")
        .join(file);
    let text = std::fs::read_to_string(path).unwrap();
    RawValue::from_string(text.trim_end().to_owned()).unwrap()
}

/// The paths of every field, whatever their values.
fn fields(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                let path = format!("{path}.{name}");
                fields(inner, &path, into);
                into.insert(path);
            }
        }
        Value::Array(list) => {
            for inner in list {
                fields(inner, &format!("{path}[]"), into);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn fields_of(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    fields(value, "", &mut found);
    found
}

async fn texts(service: &Service, sql: &str) -> Vec<String> {
    let found = rows(service.central.store.reader(), "look", sql, vec![]).await;
    let found = found.unwrap();
    found.iter().map(|row| row.text(0).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_of_version_1_are_taken_and_answered_with_its_fields_alone() {
    let service = Service::start("sqlite").await;
    let (_, pem) = service.enrol_on(MACHINE, "1").await;
    let client = service.client(Some(&pem));
    let request = golden("exchange-request.v1.json");
    let sent: Value = serde_json::from_str(request.get()).unwrap();
    let answer: Value = taken(service.post(&client, exchange::PATH, &request).await).await;
    assert_eq!(
        (&answer["v"], &answer["verdict"]),
        (&1.into(), &"ok".into())
    );
    assert_eq!(answer["acked"], sent["head"]);
    assert!(answer["page"]["changes"].is_array(), "{answer}");
    let known = golden("exchange-response-ok.v1.json");
    let mut known = fields_of(&serde_json::from_str(known.get()).unwrap());
    // A field of version 1 as well, which the file leaves at its default.
    known.insert(".page.reset".to_owned());
    let told = fields_of(&answer);
    let foreign: Vec<_> = told.difference(&known).collect();
    assert!(foreign.is_empty(), "version 1 has no {foreign:?}");
    let kept = texts(&service, "SELECT record FROM events ORDER BY seq").await;
    assert_eq!(kept.len(), 6);
    let first = format!("\"events\":[{},", kept[0]);
    assert!(request.get().contains(&first), "a record's bytes changed");

    // Once more, as after a lost answer; then the update to version 2, with the same outbox.
    let again: Value = taken(service.post(&client, exchange::PATH, &request).await).await;
    assert_eq!(again["acked"], sent["head"]);
    let updated = golden("exchange-request.v2.json");
    let answer: Value = taken(service.post(&client, exchange::PATH, &updated).await).await;
    assert_eq!(
        (&answer["v"], &answer["verdict"]),
        (&2.into(), &"ok".into())
    );
    assert_eq!(answer["acked"]["seq"], 6);
    assert!(texts(&service, "SELECT reason FROM gaps").await.is_empty());
    let bindings = texts(&service, "SELECT id FROM bindings ORDER BY id").await;
    assert_eq!(bindings.len(), 2, "the second was shown before its turn");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_of_version_2_are_taken_and_headquarters_sees_how_the_terminal_is() {
    let service = Service::start("sqlite").await;
    let (_, pem) = service.enrol_on(MACHINE, "1").await;
    let client = service.client(Some(&pem));
    let request = golden("exchange-request.v2.json");
    let answer: Value = taken(service.post(&client, exchange::PATH, &request).await).await;
    assert_eq!(
        (&answer["v"], &answer["verdict"]),
        (&2.into(), &"ok".into())
    );
    assert_eq!(answer["acked"]["seq"], 6);
    let events = texts(&service, "SELECT kind FROM events ORDER BY seq").await;
    assert_eq!(events, ["scan", "binding_requested", "receipt_unparsed"]);
    let gaps = texts(&service, "SELECT from_seq || '-' || to_seq FROM gaps").await;
    assert_eq!(gaps, ["2-3", "6-6"]);
    let export = Request {
        kind: Kind::Terminals,
        format: Format::Ndjson,
        filter: Filter::default(),
    };
    let mut export = Export::begin(&service.central.store, export).await.unwrap();
    let lines = export.next_lines().await.unwrap().unwrap();
    let terminal: Value = serde_json::from_str(&lines[0]).unwrap();
    let told = [
        "outbox_bytes",
        "disk",
        "sacrificed_events",
        "quarantined_records",
    ];
    let expected: [Value; 4] = [1_234.into(), "tight".into(), 3.into(), 1.into()];
    assert_eq!(told.map(|name| terminal[name].clone()), expected);

    // An agent that was set back to version 1 does not tell, and nothing stale is shown.
    let older = golden("exchange-request.v1.json");
    let _resent: Value = taken(service.post(&client, exchange::PATH, &older).await).await;
    let stale = "SELECT terminal FROM terminals WHERE disk IS NOT NULL";
    assert!(texts(&service, stale).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_code_offered_by_a_terminal_in_the_field_is_known_by_its_digest() {
    let service = Service::start("sqlite").await;
    let (given, pem) = service.enrol("1").await;
    let client = service.client(Some(&pem));
    let records: Vec<Box<RawValue>> =
        serde_json::from_str(golden("records-later.v1.json").get()).unwrap();
    let mut till = Till::new(7);
    for record in &records {
        till.raw(&record.get().replace("S001", "S1"));
    }
    let _answer: Value = taken(service.post(&client, exchange::PATH, &till.all()).await).await;
    let claims = texts(&service, "SELECT claim || ' ' || sequence FROM claims").await;
    assert_eq!(claims, ["8CnOTsKq_EoL1QxDGtSp9A 123"]);
    let terminal = texts(&service, "SELECT terminal FROM claims").await;
    assert_eq!(terminal, [given.terminal.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_not_read_is_refused_with_those_that_are() {
    let service = Service::start("sqlite").await;
    let (_, pem) = service.enrol("W1").await;
    let client = service.client(Some(&pem));
    for v in [0, exchange::CURRENT + 1] {
        let request = ExchangeRequest {
            v,
            ..Till::new(7).poll()
        };
        let answer = service.post(&client, exchange::PATH, &request).await;
        assert_eq!(answer.status(), 426);
        let refusal: Refusal = answer.json().await.unwrap();
        assert_eq!(refusal.error, "version");
        assert_eq!(refusal.versions, Some(Versions::OURS));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn holes_and_express_copies_beyond_their_bounds_are_refused_whole() {
    let service = Service::start("sqlite").await;
    let (_, pem) = service.enrol("W1").await;
    let client = service.client(Some(&pem));
    let mut till = Till::new(7);
    for n in 0..=EXPRESS_MAX {
        till.scan(&format!("29000000{n:05}"));
    }
    let crowded = ExchangeRequest {
        express: (1..=till.head().seq.0)
            .map(|seq| till.express(seq))
            .collect(),
        ..till.poll()
    };
    let mut foreign = till.poll();
    foreign.express = vec![till.express(1)];
    foreign.express[0].seq = till.head().seq.next();
    let mut displaced = till.holed(1..=9, &[3..=4]);
    displaced.batch.as_mut().unwrap().holes = vec![till.gap(9..=9)];
    let mut riddled = till.holed(1..=9, &[3..=4]);
    let hole = till.gap(3..=4);
    riddled.batch.as_mut().unwrap().holes = vec![hole; BATCH_HOLES_MAX + 1];
    for (request, expected) in [
        (crowded, (413, "too_large")),
        (riddled, (413, "too_large")),
        (foreign, (400, "bad_request")),
        (displaced, (400, "bad_request")),
    ] {
        let answer = service.post(&client, exchange::PATH, &request).await;
        let (status, word) = refused(answer).await;
        assert_eq!((status, word.as_str()), expected);
    }
    let events = texts(&service, "SELECT record FROM events").await;
    assert!(events.is_empty());
}
