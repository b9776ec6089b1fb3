//! Bytes on the wire: whole requests as a terminal sends them, around records as it writes them,
//! packed with a dictionary that central trained on other records, beside plain zstd.
//!
//! The records are the real baskets where the samples are there, otherwise made up. The dictionary
//! learns from the first of them, the figures are of the last: neither goods that are new nor the
//! course of time are left out. Headers of HTTP and TLS are not counted.

use anyhow::{Context, Result};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tillbind_agent::uplink::packing::{LEVEL, PACKED_HARD_MAX, PLAIN_LEVEL, Packer};
use tillbind_central::dictionary::dice::Dice;
use tillbind_central::dictionary::training::{RECORDS_MAX, Scene, train};
use tillbind_protocol::chain::{ChainHash, Mark};
use tillbind_protocol::event::{Event, EventBody, RetailTransaction, Stamp};
use tillbind_protocol::exchange::{Batch, CURRENT, ExchangeRequest};
use tillbind_protocol::ids::{Epoch, Seq};
use tillbind_protocol::replica::Cursor;

use super::{Row, percentile};
use crate::clock::Stopwatch;
use crate::environment::{SAMPLES, variable};
use crate::retail;

/// Events of one request.
const BATCHES: [(usize, &str); 3] = [(1, "100 B"), (50, "66 B"), (500, "")];
/// Events that are measured.
const MEASURED: usize = 5_000;
/// Requests of a kind that are measured.
const REQUESTS_MAX: usize = 500;
/// Levels that are tried beside the one that is used.
const OTHER_LEVELS: [i32; 3] = [3, 12, 19];

pub(super) fn measure() -> Result<Vec<Row>> {
    let (records, of) = records()?;
    let learnt = records.len().saturating_sub(MEASURED).min(RECORDS_MAX);
    let mut dice = Dice::new([14; 32]);
    let (first, rest) = records.split_at(learnt);
    let scene = Scene {
        history: history(),
        now_ms: last_ms(first)?,
    };
    let dictionary = train(first, &scene, &mut dice)?;
    let packer = Packer::with(&dictionary.bytes)?;
    let measured = rest
        .get(rest.len().saturating_sub(MEASURED)..)
        .unwrap_or_default();
    let mut rows = Vec::new();
    for (events, goal) in BATCHES {
        let requests = requests(measured, events, packer.dictionary())?;
        let ours = pack(&requests, events, |json| packer.pack(json))?;
        let plain = pack(&requests, events, Packer::pack_plain)?;
        let json: usize = requests.iter().map(Vec::len).sum();
        let mut beside = format!(
            "plain zstd at {PLAIN_LEVEL}: {:.1} B; JSON: {:.0} B",
            plain.bytes,
            json as f64 / (requests.len() * events) as f64
        );
        for level in OTHER_LEVELS {
            let other = zstd::dict::EncoderDictionary::copy(&dictionary.bytes, level);
            let other = pack(&requests, events, |json| {
                zstd::bulk::Compressor::with_prepared_dictionary(&other)?.compress(json)
            })?;
            beside += &format!(
                "; dictionary at {level}: {:.1} B, {:.0} µs",
                other.bytes, other.micros
            );
        }
        rows.push(Row {
            what: format!("bytes on the wire of an event, {events} a request, {of}"),
            measured: format!(
                "{:.1} B ({:.2} × plain), {:.0} µs a request",
                ours.bytes,
                ours.bytes / plain.bytes,
                ours.micros
            ),
            beside,
            goal: goal.to_owned(),
        });
    }
    let bare: Vec<Vec<u8>> = measured
        .iter()
        .take(REQUESTS_MAX)
        .map(|r| r.clone().into())
        .collect();
    let ours = pack(&bare, 1, |json| packer.pack(json))?;
    let plain = pack(&bare, 1, Packer::pack_plain)?;
    rows.push(Row {
        what: format!("the same without the request around it, {of}"),
        measured: format!(
            "{:.1} B ({:.2} × plain)",
            ours.bytes,
            ours.bytes / plain.bytes
        ),
        beside: format!("plain zstd at {PLAIN_LEVEL}: {:.1} B", plain.bytes),
        goal: "100 B".to_owned(),
    });
    rows.push(Row {
        what: format!("the dictionary, trained on {learnt} records"),
        measured: format!(
            "{:.0} kB on its way, {:.0} kB prepared at the terminal (level {LEVEL}, requests up to \
             {} kB)",
            dictionary.bytes.len() as f64 / 1e3,
            packer.memory() as f64 / 1e3,
            PACKED_HARD_MAX / 1_000
        ),
        beside: String::new(),
        goal: String::new(),
    });
    Ok(rows)
}

/// When made-up baskets begin, in milliseconds.
const NOW_MS: i64 = 1_795_348_800_000;

/// The name of a database's history.
fn history() -> String {
    format!("h{:032x}", fastrand::Rng::with_seed(65).u128(..))
}

/// When the last of some records was made, in milliseconds.
fn last_ms(records: &[String]) -> Result<i64> {
    let last = records.last().context("there are records")?;
    Ok(Event::from_record(last.as_bytes())?.stamp.local_ms)
}

struct Packed {
    bytes: f64,
    micros: f64,
}

fn pack(
    requests: &[Vec<u8>],
    events: usize,
    pack: impl Fn(&[u8]) -> std::io::Result<Vec<u8>>,
) -> Result<Packed> {
    let mut bytes = 0;
    let mut times = Vec::new();
    for json in requests {
        let watch = Stopwatch::start();
        bytes += pack(json)?.len();
        times.push(watch.elapsed());
    }
    Ok(Packed {
        bytes: bytes as f64 / (requests.len() * events) as f64,
        micros: percentile(&mut times, 0.5).as_secs_f64() * 1e6,
    })
}

/// Writes the requests that bring these records, so many at a time.
fn requests(records: &[String], events: usize, dictionary: u32) -> Result<Vec<Vec<u8>>> {
    let mut chance = fastrand::Rng::with_seed(66);
    let epoch = Epoch(chance.u64(..));
    let cursor = Cursor(format!("{}:1045::", history()));
    let now_ms = last_ms(records)?;
    let mut acked = Mark {
        seq: Seq(41_000),
        chain: ChainHash(chance.u128(..).to_le_bytes()),
    };
    let mut requests = Vec::new();
    for records in records.chunks_exact(events).take(REQUESTS_MAX) {
        let head = Mark {
            seq: Seq(acked.seq.0 + records.len() as u64),
            chain: ChainHash(chance.u128(..).to_le_bytes()),
        };
        let events: Result<Vec<_>, _> = records
            .iter()
            .map(|record| RawValue::from_string(record.clone()))
            .collect();
        let request = ExchangeRequest {
            v: CURRENT,
            epoch,
            acked,
            head,
            batch: Some(Batch {
                first: acked.seq.next(),
                before: acked.chain,
                events: events?,
                holes: Vec::new(),
            }),
            gap: None,
            express: Vec::new(),
            cursor: cursor.clone(),
            keys: 1,
            dictionary,
            page_bytes: 0,
            wait_ms: 0,
            at_ms: now_ms + chance.i64(0..1_000_000),
            hello: None,
        };
        requests.push(serde_json::to_vec(&request)?);
        acked = head;
    }
    Ok(requests)
}

/// Returns records in the order of time, and what they are.
fn records() -> Result<(Vec<String>, &'static str)> {
    let file =
        variable(SAMPLES).map(|dir| std::path::PathBuf::from(dir).join("retail/sales.csv.gz"));
    let (bodies, of): (Vec<Value>, _) = match file.filter(|file| file.is_file()) {
        Some(file) => {
            let mut baskets = retail::baskets(&file)?;
            baskets.sort_by_key(|basket| basket.ended);
            let kept = baskets.len().saturating_sub(RECORDS_MAX + MEASURED);
            let baskets = baskets.split_off(kept);
            (
                baskets.iter().map(retail::Basket::json).collect(),
                "real baskets",
            )
        }
        None => (made_up(RECORDS_MAX + MEASURED), "made-up baskets"),
    };
    let mut chance = fastrand::Rng::with_seed(67);
    let records: Result<Vec<String>> = bodies
        .into_iter()
        .map(|body| record(body, &mut chance))
        .collect();
    Ok((records?, of))
}

/// Writes the record of a sale that the POS told, as the agent does.
fn record(mut body: Value, chance: &mut fastrand::Rng) -> Result<String> {
    let told = body.as_object_mut().context("a sale is an object")?;
    let kind = told.remove("kind").context("a sale has a kind")?;
    told.insert("type".to_owned(), kind);
    for (name, value) in [
        ("store", "s1"),
        ("workstation", "w1"),
        ("source", "api"),
        ("card_kind", "number"),
    ] {
        told.insert(name.to_owned(), value.into());
    }
    let sale: RetailTransaction = serde_json::from_value(body)?;
    let ended_ms = sale.ended_at.map_or(NOW_MS, |at| at.timestamp_millis());
    let event = Event {
        stamp: Stamp {
            local_ms: ended_ms + chance.i64(0..3_000),
            offset_ms: 1_500 + chance.i64(-20..20),
            uncertainty_ms: Some(chance.u32(3..25)),
        },
        body: EventBody::Transaction(sale),
    };
    Ok(String::from_utf8(event.to_record()?)?)
}

const GOODS: [(&str, &str); 12] = [
    ("FLUID MILK WHITE ONLY", "GROCERY"),
    ("BANANAS", "PRODUCE"),
    ("SOFT DRINKS 12/18&15PK CAN CAR", "GROCERY"),
    ("MAINSTREAM WHITE BREAD", "GROCERY"),
    ("YOGURT NOT MULTI-PACKS", "GROCERY"),
    ("LEAN", "MEAT"),
    ("POTATO CHIPS", "GROCERY"),
    ("HEAD LETTUCE", "PRODUCE"),
    ("PREMIUM", "FROZEN"),
    ("CHOICE BEEF", "MEAT"),
    ("TOILET TISSUE", "NON-FOOD"),
    ("GREETING CARDS", "COSMETICS"),
];

fn made_up(count: usize) -> Vec<Value> {
    let mut chance = fastrand::Rng::with_seed(68);
    (0..count)
        .map(|n| {
            let items: Vec<Value> = (1..=chance.usize(1..4))
                .map(|line| {
                    let (description, department) = GOODS[chance.usize(..GOODS.len())];
                    let price = chance.i64(30..2_000);
                    json!({
                        "line": line, "item_id": chance.u32(800_000..9_999_999).to_string(),
                        "description": description, "quantity": "1.0",
                        "unit_price_minor": price, "amount_minor": price,
                        "department": department,
                    })
                })
                .collect();
            let total: i64 = items
                .iter()
                .filter_map(|item| item["amount_minor"].as_i64())
                .sum();
            let ended = chrono::DateTime::from_timestamp_millis(NOW_MS + n as i64 * 40_000);
            let ended = ended.unwrap_or_default();
            json!({
                "business_day": ended.date_naive().to_string(),
                "sequence": (31_198_000_000 + n * 17).to_string(), "kind": "sale",
                "ended_at": ended.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
                "currency": "USD", "total_minor": total, "items": items,
                "tenders": [{"kind": "card", "amount_minor": total}],
                "card": retail::card_of(chance.u64(1..2_500)),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_helps_a_request_of_one_event_most() {
        let records: Result<Vec<String>> = {
            let mut chance = fastrand::Rng::with_seed(1);
            let bodies = made_up(3_000).into_iter();
            bodies.map(|body| record(body, &mut chance)).collect()
        };
        let records = records.unwrap();
        let (first, rest) = records.split_at(2_500);
        let scene = Scene {
            history: history(),
            now_ms: last_ms(first).unwrap(),
        };
        let dictionary = train(first, &scene, &mut Dice::new([1; 32])).unwrap();
        let packer = Packer::with(&dictionary.bytes).unwrap();
        let share = |events| {
            let requests = requests(rest, events, packer.dictionary()).unwrap();
            let ours = pack(&requests, events, |json| packer.pack(json)).unwrap();
            let plain = pack(&requests, events, Packer::pack_plain).unwrap();
            ours.bytes / plain.bytes
        };
        assert!(share(1) < 0.5);
        assert!(share(50) < 1.0);
    }
}
