//! What a till has waiting after a long time without a line: records as an agent writes them, and the
//! requests that carry them.

use std::path::Path;

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::Epoch;

use crate::retail;
use crate::sale::Sale;

/// Of so many events one is a request to bind, as long as there are codes.
const EVENTS_PER_BINDING: usize = 400;
/// Between two events.
const EVENT_EVERY: TimeDelta = TimeDelta::seconds(7);
/// So many customers of the store hold a card.
const CARDS: usize = 3_000;

/// A till's waiting events.
#[derive(Debug, Clone)]
pub struct Backlog {
    epoch: Epoch,
    records: Vec<String>,
    marks: Vec<Mark>,
}

/// Whose till it is and what happened at it.
#[derive(Debug, Clone)]
pub struct Past<'p> {
    /// Store.
    pub store: &'p str,
    /// Workstation.
    pub workstation: &'p str,
    /// Life of the outbox.
    pub epoch: Epoch,
    /// When the line went.
    pub began: DateTime<Utc>,
    /// Accounts with a code of theirs, each of which asks for a binding once, at the times of
    /// [`bindings_at`].
    pub codes: &'p [(String, String)],
}

/// Returns when the requests to bind of a played backlog are made, each of which wants a code that lives
/// then.
pub fn bindings_at(began: DateTime<Utc>, events: usize) -> impl Iterator<Item = DateTime<Utc>> {
    let numbers = (0..events).filter(|n| asks_to_bind(*n));
    numbers.map(move |n| at(began, n))
}

fn asks_to_bind(n: usize) -> bool {
    n % EVENTS_PER_BINDING == EVENTS_PER_BINDING - 1
}

fn at(began: DateTime<Utc>, n: usize) -> DateTime<Utc> {
    began + EVENT_EVERY * i32::try_from(n).unwrap_or(i32::MAX)
}

impl Backlog {
    /// Plays so many events of the harness's own shop: sales of one to four lines, half of them with a
    /// card, scans of cards and of goods, cards scanned late, bindings. What happens follows from the
    /// number of the event alone.
    ///
    /// # Errors
    /// Never: what is played can always be written.
    pub fn played(past: &Past<'_>, events: usize) -> Result<Self> {
        let mut backlog = Self::begin(past.epoch);
        let mut codes = past.codes.iter();
        for n in 0..events {
            let at = at(past.began, n);
            if asks_to_bind(n)
                && let Some((account, code)) = codes.next()
            {
                let request = json!({"id": format!("{}-{n}", past.epoch), "card": card(n),
                    "card_kind": "ean", "account": account,
                    "evidence": {"type": "member-code", "code": code}});
                backlog.event(at, "binding_requested", &request);
                continue;
            }
            match n % 20 {
                // A member's basket: the card, then the sale.
                0 | 4 | 8 | 12 | 16 => backlog.event(at, "scan", &card_scan(&card(n))),
                1 | 5 | 9 | 13 | 17 => {
                    let sale = sale(past, at, n, Some(&card(n - 1)))?;
                    backlog.event(at, "transaction", &sale);
                }
                19 => {
                    let body = json!({"sale": {"store": past.store,
                        "workstation": past.workstation,
                        "business_day": at.date_naive().to_string(),
                        "sequence": (n - 1).to_string()},
                        "card": card(n), "card_kind": "ean"});
                    backlog.event(at, "attribution", &body);
                }
                // Goods at a scanner that reads for the till as well.
                2 | 6 | 10 | 14 => backlog.event(
                    at,
                    "scan",
                    &json!({"code": "unknown", "device": "counter", "symbology": "]E0",
                        "text": crate::sale::goods_code(n)}),
                ),
                _ => backlog.event(at, "transaction", &sale(past, at, n, None)?),
            }
        }
        Ok(backlog)
    }

    /// Takes the real baskets of the samples, each a scan of the household's card and the sale, until
    /// there are so many events.
    ///
    /// # Errors
    /// When the samples cannot be read.
    pub fn real(past: &Past<'_>, samples: &Path, events: usize) -> Result<Self> {
        let mut backlog = Self::begin(past.epoch);
        let baskets = retail::baskets(&samples.join("retail/sales.csv.gz"))?;
        for basket in baskets.iter().cycle().take(events / 2) {
            let round = backlog.records.len() / 2 / baskets.len();
            let at = basket.ended.and_utc();
            backlog.event(at, "scan", &card_scan(&basket.card));
            let mut body = basket.json();
            // A second round of the same baskets is another day's.
            let sequence = format!("{round}-{}", basket.id);
            complete(&mut body, past, &sequence);
            body["card_kind"] = json!("number");
            backlog.event(at, "transaction", &body);
        }
        Ok(backlog)
    }

    fn begin(epoch: Epoch) -> Self {
        Self {
            epoch,
            records: Vec::new(),
            marks: vec![Mark::genesis(epoch)],
        }
    }

    fn event(&mut self, at: DateTime<Utc>, kind: &str, body: &Value) {
        let record = json!({"at": at.timestamp_millis(), "off": -250, "unc": 40, "kind": kind,
            "body": body})
        .to_string();
        self.marks.push(self.head().next(record.as_bytes()));
        self.records.push(record);
    }

    /// Returns the newest event's place and chain.
    pub fn head(&self) -> Mark {
        let genesis = Mark::genesis(self.epoch);
        self.marks.last().copied().unwrap_or(genesis)
    }

    /// Returns the records, oldest first.
    pub fn records(&self) -> &[String] {
        &self.records
    }

    /// Returns how many bytes the records have.
    pub fn bytes(&self) -> usize {
        self.records.iter().map(String::len).sum()
    }

    /// Returns the bodies of the requests that carry everything, at most so many events in one.
    ///
    /// # Errors
    /// When there are no places left.
    pub fn requests(&self, events_max: usize) -> Result<Vec<String>> {
        let head = mark(&self.head());
        let batch = |(records, first): (&[String], usize)| {
            let before = self.marks.get(first).context("no mark before a batch")?;
            Ok(format!(
                r#"{{"v":1,"epoch":"{}","acked":{},"head":{head},"batch":{{"first":{},"before":"{}","events":[{}]}},"keys":4294967295,"at_ms":{}}}"#,
                self.epoch,
                mark(before),
                first + 1,
                before.chain,
                records.join(","),
                crate::clock::now().timestamp_millis(),
            ))
        };
        self.records
            .chunks(events_max)
            .zip((0..).step_by(events_max))
            .map(batch)
            .collect()
    }
}

fn mark(mark: &Mark) -> String {
    format!(r#"{{"seq":{},"chain":"{}"}}"#, mark.seq, mark.chain)
}

fn card(n: usize) -> String {
    format!("29{:011}", n * 7 % CARDS)
}

fn card_scan(card: &str) -> Value {
    json!({"code": "member_card", "device": "counter", "symbology": "]E0", "card": card,
        "card_kind": "ean"})
}

fn sale(past: &Past<'_>, at: DateTime<Utc>, n: usize, card: Option<&str>) -> Result<Value> {
    let sale = Sale::numbered(past.store, past.workstation, at, u32::try_from(n)?);
    let mut body = sale.json();
    complete(&mut body, past, &n.to_string());
    if let Some(card) = card {
        body["card"] = json!(card);
        body["card_kind"] = json!("ean");
    }
    Ok(body)
}

/// Turns what a POS tells into what the terminal records.
fn complete(body: &mut Value, past: &Past<'_>, sequence: &str) {
    body["type"] = body["kind"].take();
    body["store"] = json!(past.store);
    body["workstation"] = json!(past.workstation);
    body["sequence"] = json!(sequence);
    body["source"] = json!("api");
    if let Some(fields) = body.as_object_mut() {
        fields.remove("kind");
    }
    for item in body["items"].as_array_mut().into_iter().flatten() {
        if let Some(quantity) = item["quantity"].as_u64() {
            item["quantity"] = json!(quantity.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use tillbind_protocol::event::Event;
    use tillbind_protocol::exchange::ExchangeRequest;

    use super::*;

    #[test]
    fn what_is_played_is_what_an_agent_writes_and_the_requests_join() {
        let past = Past {
            store: "S1",
            workstation: "1",
            epoch: Epoch(7),
            began: DateTime::UNIX_EPOCH,
            codes: &[("tmall:1".to_owned(), "TB1:x".to_owned())],
        };
        let backlog = Backlog::played(&past, 1_000).unwrap();
        for record in backlog.records() {
            Event::from_record(record.as_bytes()).unwrap();
        }
        let asked = backlog.records()[EVENTS_PER_BINDING - 1].as_bytes();
        let asked_ms = Event::from_record(asked).unwrap().stamp.local_ms;
        let told: Vec<_> = bindings_at(past.began, 1_000).collect();
        assert_eq!((told.len(), told[0].timestamp_millis()), (2, asked_ms));
        let mut before = Mark::genesis(Epoch(7));
        for text in backlog.requests(300).unwrap() {
            let request: ExchangeRequest = serde_json::from_str(&text).unwrap();
            let batch = request.batch.unwrap();
            assert_eq!(
                (batch.first, batch.before),
                (before.seq.next(), before.chain)
            );
            for record in &batch.events {
                before = before.next(record.get().as_bytes());
            }
        }
        assert_eq!(before, backlog.head());
    }
}
