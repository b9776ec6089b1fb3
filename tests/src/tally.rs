//! What was played, beside what headquarters has: lost, twice, wrong.
//!
//! Sales are compared by their natural key and their total. Everything that a terminal records is
//! also counted as events: an event that two records at central tell is twice, even where the
//! tables built from it would hide that.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::sale::Sale;

/// Stands before the kind of a scan where scans are counted among other events.
const SCAN_OF: &str = "scan of ";

/// Store, workstation, business day, sequence.
pub type Key = (String, String, String, String);

/// What was played.
#[derive(Debug, Clone, Default)]
pub struct Played {
    sales: BTreeMap<Key, Expected>,
    events: BTreeMap<String, u64>,
    bindings: BTreeSet<(String, String)>,
}

/// What central must have of a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Expected {
    total_minor: i64,
    card: Option<String>,
}

impl Played {
    /// Takes note of a sale, and of the card that it must belong to.
    pub fn sale(&mut self, sale: &Sale, card: Option<&str>) {
        let key = (
            sale.store.clone(),
            sale.workstation.clone(),
            sale.day.to_string(),
            sale.sequence.to_string(),
        );
        let expected = Expected {
            total_minor: sale.total_minor(),
            card: card.map(str::to_owned),
        };
        self.sales.insert(key, expected);
    }

    /// Takes note of a scan of this kind.
    pub fn scan(&mut self, kind: &str) {
        self.event(&format!("{SCAN_OF}{kind}"));
    }

    /// Takes note of something that must become one event of this kind.
    pub fn event(&mut self, kind: &str) {
        *self.events.entry(kind.to_owned()).or_default() += 1;
    }

    /// Adds what was played elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.sales.extend(other.sales.clone());
        self.bindings.extend(other.bindings.iter().cloned());
        for (kind, count) in &other.events {
            *self.events.entry(kind.clone()).or_default() += count;
        }
    }

    /// Takes note of a binding that was asked for.
    pub fn binding(&mut self, card: &str, account: &str) {
        self.bindings.insert((card.to_owned(), account.to_owned()));
    }

    /// Returns how many sales were played.
    pub fn sales(&self) -> usize {
        self.sales.len()
    }

    /// Returns how many scans were played.
    pub fn scans(&self) -> u64 {
        self.events
            .iter()
            .filter(|(kind, _)| kind.starts_with(SCAN_OF))
            .map(|(_, count)| count)
            .sum()
    }

    /// Returns how many bindings were asked for.
    pub fn bindings(&self) -> usize {
        self.bindings.len()
    }

    /// Compares with what headquarters exports.
    ///
    /// # Errors
    /// When an export lacks a field of the contract.
    pub fn compare(
        &self,
        transactions: &[Value],
        events: &[Value],
        bindings: &[Value],
    ) -> Result<Tally> {
        let mut tally = Tally::default();
        self.compare_sales(transactions, &mut tally)?;
        self.compare_events(events, &mut tally)?;
        self.compare_bindings(bindings, &mut tally)?;
        Ok(tally)
    }

    fn compare_sales(&self, transactions: &[Value], tally: &mut Tally) -> Result<()> {
        let mut seen: BTreeMap<Key, u64> = BTreeMap::new();
        for transaction in transactions {
            let key = key(transaction)?;
            *seen.entry(key.clone()).or_default() += 1;
            let Some(expected) = self.sales.get(&key) else {
                tally
                    .wrong
                    .push(format!("a sale that nobody played: {key:?}"));
                continue;
            };
            let found = Expected {
                total_minor: transaction["total_minor"]
                    .as_i64()
                    .with_context(|| format!("no total_minor in {transaction}"))?,
                card: transaction["card"].as_str().map(str::to_owned),
            };
            if found != *expected {
                tally
                    .wrong
                    .push(format!("sale {key:?} is {found:?} and not {expected:?}"));
            }
        }
        for key in self.sales.keys() {
            match seen.get(key) {
                None => tally.lost.push(format!("sale {key:?}")),
                Some(1) => {}
                Some(count) => tally.twice.push(format!("sale {key:?}, {count} times")),
            }
        }
        Ok(())
    }

    fn compare_events(&self, events: &[Value], tally: &mut Tally) -> Result<()> {
        let mut places = BTreeSet::new();
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for event in events {
            let place = (
                text(event, "terminal")?,
                event["epoch"].to_string(),
                event["seq"].to_string(),
            );
            if !places.insert(place.clone()) {
                tally.twice.push(format!("event {place:?}"));
            }
            match text(event, "kind")?.as_str() {
                // Sales and bindings are compared one by one, by what they say.
                "transaction" | "binding_requested" | "attribution" => {}
                "scan" => {
                    let kind = format!("{SCAN_OF}{}", text(&event["body"], "code")?);
                    *counts.entry(kind).or_default() += 1;
                }
                kind => *counts.entry(kind.to_owned()).or_default() += 1,
            }
        }
        let kinds: BTreeSet<&String> = self.events.keys().chain(counts.keys()).collect();
        for kind in kinds {
            let played = self.events.get(kind).copied().unwrap_or_default();
            let found = counts.get(kind).copied().unwrap_or_default();
            let what = format!("{kind}: {found} where {played} were played");
            match found.cmp(&played) {
                std::cmp::Ordering::Less => tally.lost.push(what),
                std::cmp::Ordering::Greater => tally.twice.push(what),
                std::cmp::Ordering::Equal => {}
            }
        }
        Ok(())
    }

    fn compare_bindings(&self, bindings: &[Value], tally: &mut Tally) -> Result<()> {
        let mut seen: BTreeMap<(String, String), u64> = BTreeMap::new();
        for binding in bindings {
            let pair = (text(binding, "card")?, text(binding, "account")?);
            *seen.entry(pair).or_default() += 1;
            if binding["state"] == "confirmed" {
                tally.bindings_confirmed += 1;
            }
        }
        for pair in &self.bindings {
            match seen.get(pair) {
                None => tally.lost.push(format!("binding {pair:?}")),
                Some(1) => {}
                Some(count) => tally.twice.push(format!("binding {pair:?}, {count} times")),
            }
        }
        Ok(())
    }
}

fn text(object: &Value, field: &str) -> Result<String> {
    object[field]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("no {field} in {object}"))
}

/// Returns the natural key of an exported transaction, its sequence without padding.
///
/// # Errors
/// When a part is missing.
pub fn key(transaction: &Value) -> Result<Key> {
    let sequence = text(transaction, "sequence")?;
    Ok((
        text(transaction, "store")?,
        text(transaction, "workstation")?,
        text(transaction, "business_day")?,
        match sequence.trim_start_matches('0') {
            "" => sequence,
            plain => plain.to_owned(),
        },
    ))
}

/// What came of the comparison.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// What headquarters has not.
    pub lost: Vec<String>,
    /// What headquarters has more than once.
    pub twice: Vec<String>,
    /// What headquarters has otherwise than it was played.
    pub wrong: Vec<String>,
    /// Bindings that headquarters confirmed.
    pub bindings_confirmed: usize,
}

impl Tally {
    /// Returns whether everything arrived once and as it was played.
    pub fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.twice.is_empty() && self.wrong.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use serde_json::json;

    fn played() -> (Played, Value, Value) {
        let sale = Sale::numbered("S001", "1", DateTime::UNIX_EPOCH, 7);
        let mut played = Played::default();
        played.sale(&sale, Some("29"));
        played.scan("member_card");
        let transaction = json!({
            "store": "S001", "workstation": "1", "business_day": "1970-01-01", "sequence": "0007",
            "total_minor": sale.total_minor(), "card": "29",
        });
        let event = json!({
            "terminal": "t", "epoch": "e", "seq": 1, "kind": "scan", "body": {"code": "member_card"},
        });
        (played, transaction, event)
    }

    #[test]
    fn what_arrived_once_is_clean() {
        let (played, transaction, event) = played();
        let tally = played.compare(&[transaction], &[event], &[]).unwrap();
        assert!(tally.is_clean(), "{tally:?}");
    }

    #[test]
    fn what_is_missing_doubled_or_changed_is_told_apart() {
        let (played, transaction, event) = played();
        let lost = played.compare(&[], &[], &[]).unwrap();
        assert_eq!((lost.lost.len(), lost.twice.len()), (2, 0));
        let twice = played
            .compare(
                &[transaction.clone(), transaction.clone()],
                &[event.clone(), event.clone()],
                &[],
            )
            .unwrap();
        assert_eq!((twice.lost.len(), twice.twice.len()), (0, 3), "{twice:?}");
        let mut changed = transaction;
        changed["total_minor"] = json!(1);
        let wrong = played.compare(&[changed], &[event], &[]).unwrap();
        assert_eq!(wrong.wrong.len(), 1);
    }
}
