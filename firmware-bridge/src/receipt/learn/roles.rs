//! What lines with amounts are: words give a first opinion, and whatever makes most receipts add up wins.

use std::collections::{BTreeMap, BTreeSet};

use super::sheet::{Form, Row, Sheet};
use super::words::{self, Marker, Meaning};

/// Most kinds of lines whose meaning is tried out; the commonest first.
const KEYS_MAX: usize = 40;
/// Rounds in which every kind of line is tried in each of its meanings.
const ROUNDS_MAX: usize = 3;
/// Most kinds of lines that are tried as the total.
const TOTALS_MAX: usize = 12;

/// What a kind of line counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Goods.
    Item,
    /// Nothing, and stands among the goods.
    Subtotal,
    Total,
    Tax,
    Discount,
    Tender,
    Change,
    /// Nothing.
    Info,
}

/// One reading of all samples.
#[derive(Debug, Clone)]
pub(super) struct Roles {
    pub(super) of_key: BTreeMap<String, Role>,
    pub(super) tax_added: bool,
    /// Receipts without a tender count as paid.
    pub(super) untendered: bool,
    /// What stands behind the amounts of goods that came back, if they are printed without a minus.
    pub(super) return_tail: Option<String>,
    /// Receipts marked as a return print positive amounts.
    pub(super) returns_positive: bool,
    /// Discounts are told, but the items' amounts have them taken off already.
    pub(super) after_discount: bool,
    /// How many receipts add up, of those that bear a total.
    pub(super) reconciled: usize,
    /// How often the sums overruled the words.
    overruled: usize,
}

/// How one receipt adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sums {
    goods: bool,
    payments: bool,
}

impl Roles {
    /// Returns what a line is, by its kind and by whether it stands before the total.
    pub(super) fn role(&self, key: &str, before_total: bool) -> Role {
        match self.of_key.get(key) {
            Some(Role::Tender | Role::Change) if before_total => Role::Item,
            Some(role) => *role,
            None if before_total => Role::Item,
            None => Role::Info,
        }
    }

    /// Returns the index of the first total.
    pub(super) fn total(&self, sheet: &Sheet) -> Option<usize> {
        sheet.rows.iter().position(|row| match &row.form {
            Form::Amount { key, .. } => self.of_key.get(key) == Some(&Role::Total),
            Form::Detail { .. } | Form::Text | Form::Rule | Form::Blank => false,
        })
    }

    /// Returns whether a receipt adds up by these roles.
    pub(super) fn adds_up(&self, sheet: &Sheet) -> bool {
        self.sums(sheet)
            .is_some_and(|sums| sums.goods && sums.payments)
    }

    fn sums(&self, sheet: &Sheet) -> Option<Sums> {
        let total_at = self.total(sheet)?;
        let total = amount(sheet.rows.get(total_at)?)?;
        let mut goods = 0i64;
        let mut last_sign = 1;
        let mut of_item = false;
        let mut tenders = None;
        for (index, row) in sheet.rows.iter().enumerate() {
            let Form::Amount {
                minor, tail, key, ..
            } = &row.form
            else {
                continue;
            };
            let before = index < total_at;
            match self.role(key, before) {
                Role::Item if before => {
                    let back = self.return_tail.as_ref() == Some(tail);
                    let counted = if back {
                        -minor.saturating_abs()
                    } else {
                        *minor
                    };
                    last_sign = if counted < 0 { -1 } else { 1 };
                    of_item = true;
                    goods = goods.saturating_add(counted);
                }
                Role::Discount if before && !self.after_discount => {
                    let sign = if of_item { last_sign } else { total.signum() };
                    goods = goods.saturating_sub(sign * minor.saturating_abs());
                }
                Role::Tax if before && self.tax_added => goods = goods.saturating_add(*minor),
                Role::Subtotal => of_item = false,
                Role::Tender if !before => {
                    tenders = Some(tenders.unwrap_or(0i64).saturating_add(*minor));
                }
                Role::Change if !before => {
                    tenders = Some(tenders.unwrap_or(0).saturating_sub(minor.saturating_abs()));
                }
                Role::Item
                | Role::Total
                | Role::Discount
                | Role::Tax
                | Role::Tender
                | Role::Change
                | Role::Info => {}
            }
        }
        Some(Sums {
            goods: goods == total,
            payments: match tenders {
                Some(paid) => paid == total,
                None => self.untendered || total == 0 || sheet.has(Marker::Void),
            },
        })
    }

    /// Two for each receipt that adds up whole, one for a half.
    fn score(&self, sheets: &[&Sheet]) -> usize {
        let halves = |sums: Sums| usize::from(sums.goods) + usize::from(sums.payments);
        sheets
            .iter()
            .filter_map(|sheet| self.sums(sheet))
            .map(halves)
            .sum()
    }
}

/// A kind of line over all samples.
#[derive(Debug, Default)]
struct Seen {
    receipts: BTreeSet<usize>,
    negative: bool,
    positive: bool,
    /// All of its lines are set in.
    indented: bool,
}

/// Finds the readings that make most receipts add up, best first.
pub(super) fn solve(sheets: &[&Sheet]) -> Vec<Roles> {
    let seen = survey(sheets);
    let enough = (sheets.len() * 2).div_ceil(5).max(2);
    let meanings: BTreeMap<&str, Meaning> = seen
        .keys()
        .filter_map(|key| Some((key.as_str(), words::meaning(key)?.what)))
        .collect();
    let mut totals: Vec<&str> = meanings
        .iter()
        .filter(|(_, meaning)| **meaning == Meaning::Total)
        .map(|(key, _)| *key)
        .collect();
    let mut sets: Vec<Vec<&str>> = Vec::new();
    if totals.is_empty() {
        // Without a word that is known, each kind of line that most receipts have may be the total.
        totals = commonest(&seen, enough);
        totals.truncate(TOTALS_MAX);
    } else {
        sets.push(totals.clone());
        // With two totals on one receipt that differ, only one is the total.
        totals.truncate(TOTALS_MAX);
    }
    sets.extend(totals.into_iter().map(|key| vec![key]));
    let mut found = Vec::new();
    for set in &sets {
        for tax_added in [false, true] {
            let roles = first_opinion(&seen, &meanings, set, tax_added, enough);
            found.push(improved(roles, sheets, &seen, &meanings, enough));
        }
    }
    // The sort is stable, so what was tried first wins where nothing tells.
    found.sort_by_key(|roles: &Roles| (std::cmp::Reverse(roles.reconciled), roles.overruled));
    found
}

fn survey(sheets: &[&Sheet]) -> BTreeMap<String, Seen> {
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    for (index, sheet) in sheets.iter().enumerate() {
        for row in &sheet.rows {
            if let Form::Amount { key, minor, .. } = &row.form {
                let indented = row.indent > 0;
                let seen = seen.entry(key.clone()).or_insert_with(|| Seen {
                    indented,
                    ..Seen::default()
                });
                seen.receipts.insert(index);
                seen.negative |= *minor < 0;
                seen.positive |= *minor > 0;
                seen.indented &= indented;
            }
        }
    }
    seen
}

fn commonest(seen: &BTreeMap<String, Seen>, enough: usize) -> Vec<&str> {
    let mut common: Vec<(&str, usize)> = seen
        .iter()
        .filter(|(key, seen)| seen.receipts.len() >= enough && key.chars().any(char::is_alphabetic))
        .map(|(key, seen)| (key.as_str(), seen.receipts.len()))
        .collect();
    common.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    common.into_iter().map(|(key, _)| key).collect()
}

fn first_opinion(
    seen: &BTreeMap<String, Seen>,
    meanings: &BTreeMap<&str, Meaning>,
    totals: &[&str],
    tax_added: bool,
    enough: usize,
) -> Roles {
    let mut of_key = BTreeMap::new();
    let indented = seen.values().filter(|seen| seen.indented).count();
    let is_indented_paper = indented * 2 > seen.len();
    for (key, seen) in seen {
        if totals.contains(&key.as_str()) {
            of_key.insert(key.clone(), Role::Total);
            continue;
        }
        let role = match meanings.get(key.as_str()) {
            Some(Meaning::Total | Meaning::Subtotal) => Role::Subtotal,
            Some(Meaning::Tax) => Role::Tax,
            Some(Meaning::Change) => Role::Change,
            // Goods may be called so too; a discount takes off or comes again.
            Some(Meaning::Discount)
                if seen.negative
                    || !seen.positive
                    || seen.receipts.len() >= enough
                    || is_bare(key) =>
            {
                Role::Discount
            }
            Some(Meaning::Info) => Role::Info,
            Some(Meaning::Cash | Meaning::Card | Meaning::Wallet | Meaning::Voucher) => {
                Role::Tender
            }
            // Set in below lines that are not, and taken off: a discount of the item above.
            Some(Meaning::Discount) | None
                if seen.indented && !seen.positive && !is_indented_paper =>
            {
                Role::Discount
            }
            Some(Meaning::Discount) | None => continue,
        };
        of_key.insert(key.clone(), role);
    }
    Roles {
        of_key,
        tax_added,
        untendered: false,
        return_tail: None,
        returns_positive: false,
        after_discount: false,
        reconciled: 0,
        overruled: 0,
    }
}

/// A discount's word and nothing else.
fn is_bare(key: &str) -> bool {
    words::meaning(key).is_some_and(|hit| {
        let rest = key.len() - (hit.end - hit.start);
        rest <= 4
    })
}

/// Tries each kind of line in other meanings as long as more receipts add up.
fn improved(
    mut roles: Roles,
    sheets: &[&Sheet],
    seen: &BTreeMap<String, Seen>,
    meanings: &BTreeMap<&str, Meaning>,
    enough: usize,
) -> Roles {
    let has_tender = roles.of_key.values().any(|role| *role == Role::Tender);
    roles.untendered = !has_tender;
    let mut tails: BTreeSet<String> = BTreeSet::new();
    for row in sheets.iter().flat_map(|sheet| &sheet.rows) {
        if let Form::Amount { tail, .. } = &row.form
            && !tail.is_empty()
        {
            tails.insert(tail.clone());
        }
    }
    let mut keys: Vec<(&String, usize)> = seen
        .iter()
        .filter(|(key, seen)| {
            roles.of_key.get(*key) != Some(&Role::Total)
                && key.chars().any(char::is_alphabetic)
                && (seen.receipts.len() >= enough || meanings.contains_key(key.as_str()))
        })
        .map(|(key, seen)| (key, seen.receipts.len()))
        .collect();
    keys.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    keys.truncate(KEYS_MAX);
    let opinion = roles.of_key.clone();
    let mut best = roles.score(sheets);
    for _ in 0..ROUNDS_MAX {
        let before = best;
        for (key, _) in &keys {
            for role in [
                Role::Item,
                Role::Subtotal,
                Role::Discount,
                Role::Tax,
                Role::Tender,
                Role::Change,
                Role::Info,
            ] {
                let mut tried = roles.clone();
                tried.of_key.insert((*key).clone(), role);
                take_better(&mut roles, tried, &mut best, sheets);
            }
        }
        for tail in &tails {
            let mut tried = roles.clone();
            tried.return_tail = Some(tail.clone());
            take_better(&mut roles, tried, &mut best, sheets);
        }
        for untendered in [false, true] {
            let mut tried = roles.clone();
            tried.untendered = untendered && !tried.of_key.values().any(|r| *r == Role::Tender);
            take_better(&mut roles, tried, &mut best, sheets);
        }
        let mut tried = roles.clone();
        tried.after_discount = !tried.after_discount;
        take_better(&mut roles, tried, &mut best, sheets);
        if best == before {
            break;
        }
    }
    roles.returns_positive = sheets.iter().any(|sheet| {
        sheet.has(Marker::Return)
            && roles.adds_up(sheet)
            && roles
                .total(sheet)
                .and_then(|at| amount(sheet.rows.get(at)?))
                .is_some_and(|total| total > 0)
    });
    roles.overruled = roles
        .of_key
        .iter()
        .filter(|(key, role)| opinion.get(*key) != Some(*role))
        .count();
    roles.reconciled = sheets.iter().filter(|sheet| roles.adds_up(sheet)).count();
    roles
}

fn take_better(roles: &mut Roles, tried: Roles, best: &mut usize, sheets: &[&Sheet]) {
    let score = tried.score(sheets);
    if score > *best {
        *best = score;
        *roles = tried;
    }
}

pub(super) fn amount(row: &Row) -> Option<i64> {
    match &row.form {
        Form::Amount { minor, .. } => Some(*minor),
        Form::Detail { .. } | Form::Text | Form::Rule | Form::Blank => None,
    }
}
