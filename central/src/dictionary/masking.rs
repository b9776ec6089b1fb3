//! Samples that tell nothing of a person: records with everything replaced that belongs to somebody.
//!
//! Events are masked field by field, without a default: a field that is added to an event does not
//! compile here until somebody has thought about it. What stays is the shape of a record, words of the
//! trade that stand in [`SEEN_MIN`] records at least (goods, departments, kinds of payment, names of
//! stores and devices), and numbers of four digits at most. Cards, accounts, codes, texts of receipts,
//! names of files, reasons, numbers of receipts and goods, times: all become others of the same shape.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use tillbind_protocol::claim::ClaimDigest;
use tillbind_protocol::event::{
    Attribution, BindingRequest, ClaimOffered, Event, EventBody, Evidence, FileRejected,
    ReceiptUnparsed, RetailTransaction, SaleKey, Scan, Stamp, TransactionItem, TransactionTender,
};
use tillbind_protocol::ids::{AccountRef, BindingId, CardNumber, Seq, StoreId, WorkstationId};

use super::dice::Dice;

/// Records that a word must stand in, to be one of the trade and not somebody's.
pub const SEEN_MIN: u32 = 5;
/// A run of so many digits is a number of something or somebody, and never stays.
pub const DIGITS_MIN: usize = 5;
/// Times are drawn from the last month.
const TIMES_MS: u32 = 30 * 24 * 3_600 * 1_000;

/// The words of the trade.
#[derive(Debug, Default)]
pub struct Vocabulary(HashSet<String>);

impl Vocabulary {
    /// Counts the words of all records.
    pub fn of<'e>(events: impl IntoIterator<Item = &'e Event>) -> Self {
        let mut seen: HashMap<&str, u32> = HashMap::new();
        for event in events {
            let words: HashSet<&str> = words(&event.body).into_iter().collect();
            for word in words {
                *seen.entry(word).or_default() += 1;
            }
        }
        let often = seen.into_iter().filter(|(word, seen)| {
            *seen >= SEEN_MIN && digit_runs(word).all(|run| run.len() < DIGITS_MIN)
        });
        Self(often.map(|(word, _)| word.to_owned()).collect())
    }

    fn word(&self, text: &str, dice: &mut Dice) -> String {
        if self.0.contains(text) {
            text.to_owned()
        } else {
            shaped(text, dice)
        }
    }
}

/// The fields that may hold words of the trade.
fn words(body: &EventBody) -> Vec<&str> {
    match body {
        EventBody::Scan(scan) => [Some(&scan.device), scan.symbology.as_ref()]
            .into_iter()
            .chain([scan.card_kind.as_ref()])
            .flatten()
            .map(String::as_str)
            .collect(),
        EventBody::Transaction(sale) => {
            let mut words = vec![sale.store.as_str(), sale.workstation.as_str()];
            words.push(sale.currency.as_str());
            words.extend(sale.card_kind.as_deref());
            words.extend(sale.items.iter().map(|item| item.description.as_str()));
            words.extend(sale.items.iter().filter_map(|i| i.department.as_deref()));
            words.extend(sale.tenders.iter().map(|tender| tender.kind.as_str()));
            words
        }
        EventBody::Attribution(a) => vec![
            a.sale.store.as_str(),
            a.sale.workstation.as_str(),
            a.card_kind.as_str(),
        ],
        EventBody::BindingRequested(b) => vec![b.card_kind.as_str(), b.account.platform()],
        EventBody::ClaimOffered(c) => {
            vec![c.sale.store.as_str(), c.sale.workstation.as_str()]
        }
        EventBody::ReceiptUnparsed(u) => vec![u.tap.as_str()],
        EventBody::FileRejected(f) => vec![f.journal.as_str()],
    }
}

/// Returns the runs of digits in a text.
pub fn digit_runs(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter(|run| !run.is_empty())
}

/// Replaces every letter and digit by another of its kind.
fn shaped(text: &str, dice: &mut Dice) -> String {
    let mut of = |first: u8, kinds: u32| {
        char::from(first + u8::try_from(dice.below(kinds)).unwrap_or_default())
    };
    text.chars()
        .map(|c| match c {
            '0'..='9' => of(b'0', 10),
            'A'..='Z' => of(b'A', 26),
            'a'..='z' => of(b'a', 26),
            c if c.is_ascii() => c,
            _ => of(b'a', 26),
        })
        .collect()
}

/// Replaces a number that is long enough to be somebody's.
fn number(value: i64, dice: &mut Dice) -> i64 {
    let digits = value.unsigned_abs().to_string();
    if digits.len() < DIGITS_MIN {
        return value;
    }
    let drawn: String = shaped(&digits, dice);
    let drawn = drawn.parse::<i64>().unwrap_or(i64::MAX);
    if value < 0 { -drawn } else { drawn }
}

/// Masks one event. Nothing for one whose names cannot be replaced by others of their shape.
pub fn masked(event: &Event, words: &Vocabulary, dice: &mut Dice, now_ms: i64) -> Option<Event> {
    let at_ms = now_ms.saturating_sub(i64::from(dice.below(TIMES_MS)));
    let time = DateTime::<Utc>::from_timestamp_millis(at_ms)?;
    let Stamp {
        local_ms: _,
        offset_ms,
        uncertainty_ms,
    } = event.stamp;
    let mut mask = Mask { words, dice, time };
    let body = match &event.body {
        EventBody::Scan(scan) => EventBody::Scan(mask.scan(scan)?),
        EventBody::Transaction(sale) => EventBody::Transaction(mask.sale(sale)?),
        EventBody::Attribution(a) => EventBody::Attribution(mask.attribution(a)?),
        EventBody::BindingRequested(b) => EventBody::BindingRequested(mask.binding(b)?),
        EventBody::ClaimOffered(c) => EventBody::ClaimOffered(mask.claim(c)?),
        EventBody::ReceiptUnparsed(u) => EventBody::ReceiptUnparsed(mask.receipt(u)),
        EventBody::FileRejected(f) => EventBody::FileRejected(mask.file(f)),
    };
    let stamp = Stamp {
        local_ms: at_ms,
        offset_ms: number(offset_ms, dice),
        uncertainty_ms: uncertainty_ms
            .map(|ms| u32::try_from(number(ms.into(), dice)).unwrap_or(u32::MAX)),
    };
    Some(Event { stamp, body })
}

struct Mask<'m> {
    words: &'m Vocabulary,
    dice: &'m mut Dice,
    time: DateTime<Utc>,
}

impl Mask<'_> {
    fn word(&mut self, text: &str) -> String {
        self.words.word(text, self.dice)
    }

    fn shaped(&mut self, text: &str) -> String {
        shaped(text, self.dice)
    }

    fn number(&mut self, value: i64) -> i64 {
        number(value, self.dice)
    }

    fn card(&mut self, card: &CardNumber) -> Option<CardNumber> {
        CardNumber::new(self.shaped(card.expose())).ok()
    }

    fn account(&mut self, account: &AccountRef) -> Option<AccountRef> {
        let platform = self.word(account.platform());
        let id = self.shaped(account.external_id());
        format!("{platform}:{id}").parse().ok()
    }

    fn store(&mut self, store: &StoreId) -> Option<StoreId> {
        StoreId::new(self.word(store.as_str())).ok()
    }

    fn workstation(&mut self, workstation: &WorkstationId) -> Option<WorkstationId> {
        WorkstationId::new(self.word(workstation.as_str())).ok()
    }

    fn scan(&mut self, scan: &Scan) -> Option<Scan> {
        let Scan {
            kind,
            device,
            symbology,
            card,
            card_kind,
            account,
            text,
            reason,
        } = scan;
        Some(Scan {
            kind: *kind,
            device: self.word(device),
            symbology: symbology.as_deref().map(|text| self.word(text)),
            card: match card {
                Some(card) => Some(self.card(card)?),
                None => None,
            },
            card_kind: card_kind.as_deref().map(|text| self.word(text)),
            account: match account {
                Some(account) => Some(self.account(account)?),
                None => None,
            },
            text: text.as_deref().map(|text| self.shaped(text)),
            reason: reason.as_deref().map(|text| self.shaped(text)),
        })
    }

    fn sale(&mut self, sale: &RetailTransaction) -> Option<RetailTransaction> {
        let RetailTransaction {
            store,
            workstation,
            business_day: _,
            sequence,
            kind,
            began_at,
            ended_at,
            currency,
            total_minor,
            discount_minor,
            tax_minor,
            tax_included,
            items,
            tenders,
            card,
            card_kind,
            source,
            training,
            amends,
        } = sale;
        Some(RetailTransaction {
            store: self.store(store)?,
            workstation: self.workstation(workstation)?,
            business_day: self.time.date_naive(),
            sequence: self.shaped(sequence),
            kind: *kind,
            began_at: began_at.map(|_| whole_second(self.time)),
            ended_at: ended_at.map(|_| whole_second(self.time)),
            currency: self.word(currency),
            total_minor: self.number(*total_minor),
            discount_minor: self.number(*discount_minor),
            tax_minor: self.number(*tax_minor),
            tax_included: *tax_included,
            items: items.iter().map(|item| self.item(item)).collect(),
            tenders: tenders.iter().map(|tender| self.tender(tender)).collect(),
            card: match card {
                Some(card) => Some(self.card(card)?),
                None => None,
            },
            card_kind: card_kind.as_deref().map(|text| self.word(text)),
            source: *source,
            training: *training,
            amends: amends.map(|_| Seq(self.dice.below(10_000).into())),
        })
    }

    fn item(&mut self, item: &TransactionItem) -> TransactionItem {
        let TransactionItem {
            line,
            item_id,
            description,
            quantity,
            unit_price_minor,
            amount_minor,
            discount_minor,
            department,
            voided,
        } = item;
        let is_short = digit_runs(&quantity.to_string()).all(|run| run.len() < DIGITS_MIN);
        TransactionItem {
            line: *line,
            item_id: self.shaped(item_id),
            description: self.word(description),
            quantity: if is_short {
                *quantity
            } else {
                rust_decimal::Decimal::ONE
            },
            unit_price_minor: self.number(*unit_price_minor),
            amount_minor: self.number(*amount_minor),
            discount_minor: self.number(*discount_minor),
            department: department.as_deref().map(|text| self.word(text)),
            voided: *voided,
        }
    }

    fn tender(&mut self, tender: &TransactionTender) -> TransactionTender {
        let TransactionTender { kind, amount_minor } = tender;
        TransactionTender {
            kind: self.word(kind),
            amount_minor: self.number(*amount_minor),
        }
    }

    fn attribution(&mut self, attribution: &Attribution) -> Option<Attribution> {
        let Attribution {
            sale,
            card,
            card_kind,
        } = attribution;
        Some(Attribution {
            sale: self.sale_key(sale)?,
            card: self.card(card)?,
            card_kind: self.word(card_kind),
        })
    }

    fn claim(&mut self, offered: &ClaimOffered) -> Option<ClaimOffered> {
        let ClaimOffered { sale, claim: _ } = offered;
        let digest =
            std::array::from_fn(|_| u8::try_from(self.dice.below(256)).unwrap_or_default());
        Some(ClaimOffered {
            sale: self.sale_key(sale)?,
            claim: ClaimDigest(digest),
        })
    }

    fn sale_key(&mut self, key: &SaleKey) -> Option<SaleKey> {
        let SaleKey {
            store,
            workstation,
            business_day: _,
            sequence,
        } = key;
        Some(SaleKey {
            store: self.store(store)?,
            workstation: self.workstation(workstation)?,
            business_day: self.time.date_naive(),
            sequence: self.shaped(sequence),
        })
    }

    fn binding(&mut self, request: &BindingRequest) -> Option<BindingRequest> {
        let BindingRequest {
            id,
            card,
            card_kind,
            account,
            evidence,
        } = request;
        let Evidence::MemberCode { code } = evidence;
        Some(BindingRequest {
            id: BindingId::new(self.shaped(id.as_str())).ok()?,
            card: self.card(card)?,
            card_kind: self.word(card_kind),
            account: self.account(account)?,
            evidence: Evidence::MemberCode {
                code: self.shaped(code),
            },
        })
    }

    fn receipt(&mut self, receipt: &ReceiptUnparsed) -> ReceiptUnparsed {
        let ReceiptUnparsed {
            tap,
            reason,
            text,
            images,
        } = receipt;
        ReceiptUnparsed {
            tap: self.word(tap),
            reason: self.shaped(reason),
            text: self.shaped(text),
            images: *images,
        }
    }

    fn file(&mut self, rejected: &FileRejected) -> FileRejected {
        let FileRejected {
            journal,
            file,
            reason,
        } = rejected;
        FileRejected {
            journal: self.word(journal),
            file: self.shaped(file),
            reason: self.shaped(reason),
        }
    }
}

fn whole_second(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp(time.timestamp(), 0).unwrap_or(time)
}

#[cfg(test)]
mod tests;
