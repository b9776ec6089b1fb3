//! What the clients sent and what they were told, beside what headquarters has.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::central::Central;
use crate::sale::Sale;

/// Faults that are shown of each kind; the rest is counted.
const FAULTS_SHOWN: usize = 10;

/// One thing that a client told the terminal. Each is told apart from all others of its kind, so that
/// one that headquarters has twice is seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// A scan of this card.
    Scan(String),
    /// A sale by its number, with its total.
    Sale(String, i64),
    /// A request to bind this card to this account.
    Binding(String, String),
}

impl Told {
    /// Returns what a sale tells.
    pub fn sale(sale: &Sale) -> Self {
        Self::Sale(sale.sequence.to_string(), sale.total_minor())
    }

    /// Returns what an exported event tells, if it is one that clients tell.
    fn of_event(event: &Value) -> Option<Self> {
        let body = &event["body"];
        let text = |field: &str| body[field].as_str().map(str::to_owned);
        match event["kind"].as_str()? {
            "scan" if body["code"] == "member_card" => Some(Self::Scan(text("card")?)),
            "transaction" => Some(Self::Sale(
                text("sequence")?.trim_start_matches('0').to_owned(),
                body["total_minor"].as_i64()?,
            )),
            "binding_requested" => Some(Self::Binding(text("card")?, text("account")?)),
            _ => None,
        }
    }
}

/// The book of one client, or of all.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// Everything that may have become an event.
    sent: BTreeSet<Told>,
    /// What was acknowledged, under its place.
    acknowledged: BTreeMap<u64, Told>,
    /// Places that two different things were given.
    given_twice: Vec<String>,
    printed: BTreeSet<Told>,
    unanswered: u64,
    refused: BTreeMap<String, u64>,
}

impl Book {
    /// Takes note of what is about to be told.
    pub fn send(&mut self, told: &Told) {
        self.sent.insert(told.clone());
    }

    /// Takes note of an acknowledgement.
    pub fn acknowledge(&mut self, seq: u64, told: Told) {
        if let Some(other) = self.acknowledged.insert(seq, told.clone())
            && other != told
        {
            self.given_twice
                .push(format!("place {seq}: {other:?} and {told:?}"));
        }
    }

    /// Takes note of a receipt all of whose bytes are on paper.
    pub fn print(&mut self, told: Told) {
        self.printed.insert(told);
    }

    /// Takes note of a call that no answer came to.
    pub fn lose_answer(&mut self) {
        self.unanswered += 1;
    }

    /// Takes note of a call that was refused.
    pub fn refuse(&mut self, why: &str) {
        *self.refused.entry(why.to_owned()).or_default() += 1;
    }

    /// Adds another client's book.
    pub fn merge(&mut self, other: Self) {
        self.sent.extend(other.sent);
        for (seq, told) in other.acknowledged {
            self.acknowledge(seq, told);
        }
        self.given_twice.extend(other.given_twice);
        self.printed.extend(other.printed);
        self.unanswered += other.unanswered;
        for (why, count) in other.refused {
            *self.refused.entry(why).or_default() += count;
        }
    }

    /// Returns how many events were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Compares with all that headquarters exports; `newest` is the terminal's newest place.
    ///
    /// # Errors
    /// When headquarters cannot be asked, or an export lacks a field.
    pub fn compare(&self, central: &Central, newest: u64) -> Result<Verdict> {
        let events = central.export("events")?;
        let mut verdict = self.compare_events(&events, newest)?;
        let transactions = central.export("transactions")?;
        verdict.compare_sales(&self.sent, &events, &transactions)?;
        for kind in ["gaps", "quarantine", "disputes"] {
            for one in central.export(kind)? {
                verdict.fault(format!("headquarters has {kind}: {one}"));
            }
        }
        Ok(verdict)
    }

    fn compare_events(&self, events: &[Value], newest: u64) -> Result<Verdict> {
        let mut verdict = Verdict {
            acknowledged: self.acknowledged.len(),
            events: events.len(),
            unanswered: self.unanswered,
            refused: self.refused.clone(),
            printed: self.printed.len(),
            ..Verdict::default()
        };
        for line in &self.given_twice {
            verdict.fault(format!("given to two: {line}"));
        }
        let mut places: BTreeMap<u64, Option<Told>> = BTreeMap::new();
        let mut seen: BTreeMap<Told, u64> = BTreeMap::new();
        let mut epochs = BTreeSet::new();
        for event in events {
            let seq = event["seq"]
                .as_u64()
                .with_context(|| format!("no place in {event}"))?;
            epochs.insert(event["epoch"].to_string());
            let told = Told::of_event(event);
            if let Some(told) = &told {
                if !self.sent.contains(told) {
                    verdict.fault(format!("nobody sent event {seq}: {event}"));
                }
                if let Some(first) = seen.insert(told.clone(), seq) {
                    verdict.fault(format!("events {first} and {seq} both tell {told:?}"));
                }
            }
            if places.insert(seq, told).is_some() {
                verdict.fault(format!("headquarters has event {seq} twice"));
            }
        }
        for seq in 1..=newest {
            if !places.contains_key(&seq) {
                verdict.fault(format!("headquarters lacks event {seq} of {newest}"));
            }
        }
        if let Some(beyond) = places.keys().find(|seq| **seq > newest) {
            verdict.fault(format!(
                "headquarters has event {beyond}, the terminal ends with {newest}"
            ));
        }
        if epochs.len() > 1 {
            verdict.fault(format!("the history forked: {epochs:?}"));
        }
        for (seq, told) in &self.acknowledged {
            match places.get(seq) {
                Some(Some(found)) if found == told => {}
                found => {
                    verdict.lost += 1;
                    verdict.fault(format!(
                        "event {seq} was acknowledged as {told:?}, headquarters has {found:?}"
                    ));
                }
            }
        }
        verdict.printed_known = self
            .printed
            .iter()
            .filter(|told| seen.contains_key(told))
            .count();
        Ok(verdict)
    }
}

/// What headquarters has beside the book.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Events that a client was told are safe.
    pub acknowledged: usize,
    /// Of them, those that headquarters has not, or otherwise.
    pub lost: usize,
    /// Events at headquarters.
    pub events: usize,
    /// Receipts whose bytes all came out on paper.
    pub printed: usize,
    /// Of them, those that became a sale: a tap promises paper, and a kill may take the copy.
    pub printed_known: usize,
    /// Calls whose answer a kill took.
    pub unanswered: u64,
    /// Calls that were refused, by what the answer said.
    pub refused: BTreeMap<String, u64>,
    /// Everything that must not be, the first few in words.
    pub faults: Vec<String>,
    /// How many there are.
    pub faults_count: usize,
}

impl Verdict {
    fn fault(&mut self, fault: String) {
        self.faults_count += 1;
        if self.faults.len() < FAULTS_SHOWN {
            self.faults.push(fault);
        }
    }

    /// Every transaction event is one sale, with its sum, and no sale comes from elsewhere.
    fn compare_sales(
        &mut self,
        sent: &BTreeSet<Told>,
        events: &[Value],
        sales: &[Value],
    ) -> Result<()> {
        let mut found = BTreeSet::new();
        for sale in sales {
            let number = sale["sequence"].as_str().context("a sale without number")?;
            let total = sale["total_minor"].as_i64().context("a sale without sum")?;
            let told = Told::Sale(number.trim_start_matches('0').to_owned(), total);
            if !sent.contains(&told) {
                self.fault(format!("nobody sold {sale}"));
            }
            if !found.insert(told) {
                self.fault(format!("headquarters has sale {number} twice"));
            }
        }
        for told in events.iter().filter_map(Told::of_event) {
            if matches!(told, Told::Sale(..)) && !found.contains(&told) {
                self.fault(format!("the event {told:?} made no sale"));
            }
        }
        Ok(())
    }

    /// Returns whether nothing is lost, doubled or changed.
    pub fn is_clean(&self) -> bool {
        self.faults_count == 0 && self.lost == 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "acknowledged {}, at headquarters {}, lost {}; {} answers taken by a kill; {} receipts on \
             paper, {} of them known as sales",
            self.acknowledged,
            self.events,
            self.lost,
            self.unanswered,
            self.printed,
            self.printed_known
        )?;
        for (why, count) in &self.refused {
            writeln!(f, "refused {count} times: {why}")?;
        }
        for fault in &self.faults {
            writeln!(f, "FAULT: {fault}")?;
        }
        write!(f, "{} faults", self.faults_count)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scan(seq: u64, card: &str) -> Value {
        json!({"epoch": "e", "seq": seq, "kind": "scan",
            "body": {"code": "member_card", "card": card}})
    }

    fn book() -> Book {
        let mut book = Book::default();
        for (seq, card) in [(1, "a"), (2, "b")] {
            let told = Told::Scan(card.to_owned());
            book.send(&told);
            book.acknowledge(seq, told);
        }
        book
    }

    #[test]
    fn what_arrived_once_at_its_place_is_clean() {
        let verdict = book()
            .compare_events(&[scan(1, "a"), scan(2, "b")], 2)
            .unwrap();
        assert!(verdict.is_clean(), "{verdict}");
    }

    #[test]
    fn what_is_lost_doubled_swapped_or_invented_is_a_fault() {
        let wrong: [&[Value]; 5] = [
            &[scan(1, "a")],
            &[scan(1, "a"), scan(2, "b"), scan(2, "b")],
            &[scan(1, "b"), scan(2, "a")],
            &[scan(1, "a"), scan(2, "b"), scan(3, "c")],
            &[scan(1, "a"), scan(2, "a")],
        ];
        for events in wrong {
            let verdict = book().compare_events(events, 2).unwrap();
            assert!(!verdict.is_clean(), "{events:?}");
        }
    }
}
