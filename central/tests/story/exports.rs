use serde_json::{Map, Value, json};
use tillbind_central::export::{Export, Filter, Format, Kind, Request};
use tillbind_protocol::ids::{StoreId, TerminalId};

use crate::support::Bench;
use crate::support::till::{NOW_MS, Till, claim_code};

const CARD: &str = "2900000000017";

/// What DESIGN promises to other programs; more may follow after these.
const CONTRACT: [(Kind, &str); 6] = [
    (
        Kind::Transactions,
        "terminal epoch seq store workstation business_day sequence kind began_at ended_at \
         recorded_at clock_offset_ms currency total_minor discount_minor tax_minor items tenders \
         card member source training",
    ),
    (Kind::Events, "terminal epoch seq recorded_at kind body"),
    (Kind::Cards, "card kind state member points first_seen_at"),
    (Kind::Members, "member accounts cards name points tier"),
    (
        Kind::Bindings,
        "id card account member state evidence terminal requested_at decided_at reason",
    ),
    (
        Kind::Terminals,
        "terminal store workstation epoch watermark last_seen_at outbox_events clock_offset_ms \
         version",
    ),
];

async fn bytes(bench: &Bench, kind: Kind, format: Format, filter: Filter) -> Vec<u8> {
    let request = Request {
        kind,
        format,
        filter,
    };
    let mut export = Export::begin(&bench.store, request).await.unwrap();
    let mut all = Vec::new();
    while let Some(mut bytes) = export.next_bytes().await.unwrap() {
        all.append(&mut bytes);
    }
    all
}

async fn text(bench: &Bench, kind: Kind) -> String {
    let all = bytes(bench, kind, Format::Ndjson, Filter::default()).await;
    String::from_utf8(all).unwrap()
}

/// A day with one of everything. Returns the terminal.
async fn day(bench: &Bench) -> TerminalId {
    let terminal = bench.terminal("S1", "W1").await;
    bench.account("tmall:1", NOW_MS).await;
    bench.account("tmall:2", NOW_MS).await;
    let mut till = Till::new(7);
    till.event(
        "transaction",
        json!({"store": "S1", "workstation": "W1", "business_day": "2026-09-21",
            "sequence": "000161", "type": "sale", "ended_at": "2026-09-21T10:00:00.5Z",
            "currency": "CNY", "total_minor": 1_999,
            "items": [{"line": 1, "description": "=茶\n\"绿\"", "quantity": "0.1230",
                "unit_price_minor": 16_252, "amount_minor": 1_999}],
            "tenders": [{"kind": "cash", "amount_minor": 2_000},
                {"kind": "change", "amount_minor": -1}],
            "card": CARD, "card_kind": "ean", "source": "tap"}),
    );
    till.scan(CARD);
    let code = bench.code("tmall:1").await;
    till.bind("b1", CARD, "tmall:1", &code);
    let code = bench.code("tmall:2").await;
    till.bind("b2", CARD, "tmall:2", &code);
    till.raw("{\"kind\":\"scan\",\"at\":\"=never\"}");
    till.scan("2900000000024");
    till.scan("2900000000024");
    bench.take(&terminal, &till.batch(1..=5)).await;
    let mut gap = till.poll();
    gap.acked = till.mark(5);
    gap.gap = Some(till.gap(6..=7));
    bench.take(&terminal, &gap).await;
    let mut later = Till::new(8);
    later.offer("161", &claim_code(1));
    bench.take(&terminal, &later.all()).await;
    terminal.id
}

pub(crate) async fn every_kind_has_the_fields_of_the_contract_in_their_order(bench: &Bench) {
    day(bench).await;
    for (kind, fields) in CONTRACT {
        let promised: Vec<&str> = fields.split_whitespace().collect();
        assert!(kind.columns().starts_with(&promised), "{kind:?}");
    }
    for kind in Kind::ALL {
        let text = text(bench, kind).await;
        assert!(!text.is_empty(), "{kind:?} has no line");
        for line in text.lines() {
            let object: Map<String, Value> = serde_json::from_str(line).unwrap();
            // The line's own order, which the map does not keep.
            let mut places: Vec<(usize, &str)> = object
                .keys()
                .map(|name| (line.find(&format!("\"{name}\":")).unwrap(), name.as_str()))
                .collect();
            places.sort_unstable();
            let names: Vec<&str> = places.into_iter().map(|(_, name)| name).collect();
            assert_eq!(names, kind.columns(), "{kind:?}: {line}");
        }
    }
}

pub(crate) async fn lines_read_as_they_were_promised(bench: &Bench) {
    let terminal = day(bench).await;
    let member = bench.text("SELECT member FROM cards").await;
    let sale = text(bench, Kind::Transactions).await;
    let expected = format!(
        concat!(
            r#"{{"terminal":"{}","epoch":"0000000000000007","seq":1,"store":"S1","#,
            r#""workstation":"W1","business_day":"2026-09-21","sequence":"161","kind":"sale","#,
            r#""began_at":null,"ended_at":"2026-09-21T10:00:00.500Z","#,
            r#""recorded_at":"2026-09-21T14:13:20.000Z","clock_offset_ms":0,"currency":"CNY","#,
            r#""total_minor":1999,"discount_minor":0,"tax_minor":0,"#,
            r#""items":[{{"line":1,"item_id":"","description":"=茶\n\"绿\"","quantity":0.1230,"#,
            r#""unit_price_minor":16252,"amount_minor":1999,"discount_minor":0,"#,
            r#""department":null,"voided":false}}],"#,
            r#""tenders":[{{"kind":"cash","amount_minor":2000}},"#,
            r#"{{"kind":"change","amount_minor":-1}}],"card":"2900000000017","member":"{}","#,
            r#""source":"tap","training":false,"tax_included":false,"sources":["tap"],"#,
            r#""recorded_at_uncertainty_ms":5}}"#,
            "\n"
        ),
        terminal, member
    );
    assert_eq!(sale, expected);

    let events = text(bench, Kind::Events).await;
    let scan = events.lines().nth(1).unwrap();
    let begin = format!(
        concat!(
            r#"{{"terminal":"{}","epoch":"0000000000000007","seq":2,"#,
            r#""recorded_at":"2026-09-21T14:13:20.000Z","kind":"scan","body":{{"#
        ),
        terminal
    );
    assert!(scan.starts_with(&begin), "{scan}");
    let poison: Value = serde_json::from_str(events.lines().nth(4).unwrap()).unwrap();
    assert_eq!(poison["body"], Value::Null);

    let card = text(bench, Kind::Cards).await;
    assert_eq!(
        card,
        format!(
            concat!(
                r#"{{"card":"2900000000017","kind":"ean","state":"confirmed","member":"{}","#,
                r#""points":0,"first_seen_at":"2026-09-21T14:13:20.000Z"}}"#,
                "\n"
            ),
            member
        )
    );
    let members = text(bench, Kind::Members).await;
    assert_eq!(members.lines().count(), 2);
    let bound = format!(
        concat!(
            r#"{{"member":"{}","accounts":["tmall:1"],"cards":["2900000000017"],"#,
            r#""name":null,"points":19,"tier":null}}"#
        ),
        member
    );
    assert!(members.lines().any(|line| line == bound), "{members}");
    let gap: Value = serde_json::from_str(&text(bench, Kind::Gaps).await).unwrap();
    assert_eq!((&gap["from_seq"], &gap["to_seq"]), (&json!(6), &json!(7)));
    let dispute: Value = serde_json::from_str(&text(bench, Kind::Disputes).await).unwrap();
    assert_eq!(dispute["holder_account"], "tmall:1");
    assert_eq!(dispute["claimant_account"], "tmall:2");
    assert_eq!(dispute["state"], "open");
    let waiting: Value = serde_json::from_str(&text(bench, Kind::Quarantine).await).unwrap();
    assert_eq!(waiting["record"], "{\"kind\":\"scan\",\"at\":\"=never\"}");
    assert_eq!(
        (&waiting["seq"], &waiting["state"]),
        (&json!(5), &json!("waiting"))
    );
}

pub(crate) async fn csv_holds_what_ndjson_holds(bench: &Bench) {
    day(bench).await;
    for kind in Kind::ALL {
        let csv = bytes(bench, kind, Format::Csv, Filter::default()).await;
        let mut reader = csv::Reader::from_reader(csv.as_slice());
        assert_eq!(reader.headers().unwrap(), kind.columns());
        let text = text(bench, kind).await;
        let mut lines = text.lines();
        for record in reader.records() {
            let record = record.unwrap();
            let object: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
            for (name, cell) in kind.columns().iter().zip(record.iter()) {
                match &object[*name] {
                    Value::Null => assert_eq!(cell, "", "{kind:?}.{name}"),
                    Value::String(text) => {
                        assert_eq!(cell.strip_prefix('\'').unwrap_or(cell), text);
                    }
                    value @ (Value::Bool(_)
                    | Value::Number(_)
                    | Value::Array(_)
                    | Value::Object(_)) => {
                        let read: Value = serde_json::from_str(cell).unwrap();
                        assert_eq!(&read, value, "{kind:?}.{name}");
                    }
                }
            }
        }
        assert_eq!(lines.next(), None, "{kind:?}");
    }
}

pub(crate) async fn many_pages_hold_everything_once_in_order_as_of_one_moment(bench: &Bench) {
    // Pages of events have 200 lines; the last of three is full, so that a fourth is asked for.
    const EVENTS: u64 = 600;
    let terminal = bench.terminal("S1", "W1").await;
    let mut till = Till::new(7);
    for n in 0..EVENTS {
        till.scan(&format!("29{n:011}"));
    }
    bench.take(&terminal, &till.all()).await;
    let request = Request {
        kind: Kind::Events,
        format: Format::Ndjson,
        filter: Filter::default(),
    };
    let mut export = Export::begin(&bench.store, request).await.unwrap();
    let mut lines = export.next_lines().await.unwrap().unwrap();
    let page_lines = lines.len();
    assert!(page_lines as u64 * 2 < EVENTS, "one page is not many");
    // What happens meanwhile is in the next export.
    till.scan("2900000000017");
    bench
        .take(&terminal, &till.batch(EVENTS + 1..=EVENTS + 1))
        .await;
    let mut other = Till::new(1);
    other.scan("2900000000017");
    bench.take(&terminal, &other.all()).await;
    while let Some(mut page) = export.next_lines().await.unwrap() {
        assert!(page.len() <= page_lines);
        lines.append(&mut page);
    }
    drop(export);
    let places: Vec<u64> = lines
        .iter()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["seq"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(places, (1..=EVENTS).collect::<Vec<_>>());
    let now = text(bench, Kind::Events).await;
    assert_eq!(now.lines().count() as u64, EVENTS + 2);
    let cards = text(bench, Kind::Cards).await;
    assert_eq!(cards.lines().count() as u64, EVENTS);
    assert!(cards.lines().is_sorted());
}

pub(crate) async fn a_filter_leaves_out_what_was_not_asked_for(bench: &Bench) {
    for (store, epoch) in [("S1", 7), ("S2", 8)] {
        let terminal = bench.terminal(store, "W1").await;
        let mut till = Till::new(epoch);
        till.scan(CARD);
        bench.take(&terminal, &till.all()).await;
    }
    let count = async |kind, filter| {
        let all = bytes(bench, kind, Format::Ndjson, filter).await;
        String::from_utf8(all).unwrap().lines().count()
    };
    let of_store = |store: &str| Filter {
        store: Some(StoreId::new(store).unwrap()),
        ..Filter::default()
    };
    assert_eq!(count(Kind::Events, Filter::default()).await, 2);
    assert_eq!(count(Kind::Events, of_store("S2")).await, 1);
    assert_eq!(count(Kind::Terminals, of_store("S3")).await, 0);
    let received = "2026-09-21T14:13:21Z".parse().unwrap();
    let since = Filter {
        since: Some(received),
        ..Filter::default()
    };
    let until = Filter {
        until: Some(received),
        ..Filter::default()
    };
    assert_eq!(count(Kind::Events, since).await, 2);
    assert_eq!(count(Kind::Events, until).await, 0);
    let refused = of_store("S1").check(Kind::Cards).unwrap_err();
    assert!(refused.to_string().contains("store"));
}
