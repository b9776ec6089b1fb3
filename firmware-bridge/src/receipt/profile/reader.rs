//! Reads one job by a profile.

use chrono::{NaiveDate, NaiveDateTime};
use regex::Captures;

use super::basket::Basket;
use super::examination::LineRole;
use super::file::{ReturnAmounts, Tax};
use super::reading::{NotASale, Reading, UnparsedReason};
use super::tax_table::{TaxTable, Taxed};
use super::{Patterns, Profile};
use crate::receipt::{Job, JobEnd};
use crate::sale::{Imbalance, Item, Sale, SaleKind, SaleTime, Tender};

/// Kind of the negative tender that change is.
const CHANGE: &str = "change";
/// Kind of a tender whose word holds no letter.
const UNNAMED: &str = "other";

/// What became of the lines, for those who ask.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// One for each line that was looked at.
    pub(super) roles: Vec<LineRole>,
    /// The marker that decided, and its line.
    pub(super) marker: Option<(&'static str, usize)>,
}

pub(super) fn read(profile: &Profile, job: &Job, trace: &mut Trace) -> Reading {
    if let Some(unreadable) = job.unreadable {
        return Reading::Unparsed(unreadable.into());
    }
    if job.lines.iter().all(String::is_empty) {
        return Reading::NotASale(NotASale::NoText);
    }
    let mut marked = |patterns: &Patterns, list: &'static str| {
        let line = job.lines.iter().position(|line| patterns.is_match(line));
        if let Some(index) = line {
            trace.marker = Some((list, index + 1));
        }
        line.is_some()
    };
    let markers = &profile.markers;
    for (patterns, list, what) in [
        (&markers.reprint, "reprint", NotASale::Reprint),
        (&markers.kitchen, "kitchen", NotASale::KitchenTicket),
        (&markers.order, "order", NotASale::OrderSlip),
        (&markers.report, "report", NotASale::Report),
        (&markers.gift, "gift", NotASale::GiftReceipt),
        (&markers.not_a_sale, "not_a_sale", NotASale::OtherSlip),
    ] {
        if marked(patterns, list) {
            return Reading::NotASale(what);
        }
    }
    if job.ended_by == JobEnd::Limit {
        return Reading::Unparsed(UnparsedReason::TooLong);
    }
    let flags = Flags {
        training: marked(&markers.training, "training"),
        returned: marked(&markers.returned, "return"),
        void: marked(&markers.void, "void"),
    };
    let mut draft = Draft::new(profile);
    for (index, line) in job.lines.iter().enumerate() {
        match draft.take_line(line, index + 1) {
            Ok(role) => trace.roles.push(role),
            Err(reason) => return Reading::Unparsed(reason),
        }
    }
    if flags.void && draft.tenders.is_empty() {
        return Reading::NotASale(NotASale::Cancelled);
    }
    match draft.into_sale(flags) {
        Ok(sale) => Reading::Sale(Box::new(sale)),
        Err(reason) => Reading::Unparsed(reason),
    }
}

#[derive(Clone, Copy)]
struct Flags {
    void: bool,
    returned: bool,
    training: bool,
}

/// A captured text and the line it stands on.
type Found = Option<(String, usize)>;

#[derive(Default)]
struct Header {
    store: Found,
    workstation: Found,
    sequence: Found,
    date: Found,
    time: Found,
    datetime: Found,
    business_day: Found,
    card: Found,
}

struct Draft<'p> {
    profile: &'p Profile,
    header: Header,
    basket: Basket<'p>,
    among_items: bool,
    /// Sizes of the discounts of the whole.
    discounts: Vec<i64>,
    tax_table: TaxTable,
    total: Option<(i64, usize)>,
    tenders: Vec<Tender>,
}

impl Profile {
    /// Reads a captured amount, if the group took part in the match.
    pub(super) fn amount(
        &self,
        captures: &Captures<'_>,
        field: &'static str,
        line: usize,
    ) -> Result<Option<i64>, UnparsedReason> {
        captures
            .name(field)
            .map(|text| self.numbers.minor(text.as_str()))
            .transpose()
            .map_err(|why| UnparsedReason::Amount { field, line, why })
    }

    /// Returns the kind of a tender by the receipt's word. Whatever is not a letter goes, so that no
    /// number of an instrument stays in it.
    fn tender_kind(&self, word: &str) -> String {
        let word = word.trim().to_lowercase();
        if let Some(kind) = self.tenders.get(&word) {
            return kind.clone();
        }
        let letters: String = word
            .chars()
            .filter(|c| c.is_alphabetic() || *c == ' ')
            .collect();
        let word = letters.split_whitespace().collect::<Vec<_>>().join(" ");
        if word.is_empty() {
            return UNNAMED.to_owned();
        }
        self.tenders.get(&word).cloned().unwrap_or(word)
    }
}

impl<'p> Draft<'p> {
    fn new(profile: &'p Profile) -> Self {
        Self {
            profile,
            header: Header::default(),
            basket: Basket::new(profile),
            among_items: profile.lines.items_begin.is_empty(),
            discounts: Vec::new(),
            tax_table: TaxTable::default(),
            total: None,
            tenders: Vec::new(),
        }
    }

    /// Gives the line to the first list of patterns that matches it.
    fn take_line(&mut self, line: &str, number: usize) -> Result<LineRole, UnparsedReason> {
        let lists = &self.profile.lines;
        if line.is_empty() {
            return Ok(LineRole::Blank);
        }
        if self.profile.ignore.is_match(line) {
            return Ok(LineRole::Ignored);
        }
        if self.take_header(line, number) {
            return Ok(LineRole::Header);
        }
        if let Some(captures) = lists.total.captures(line) {
            self.take_total(&captures, number)?;
            return Ok(LineRole::Total);
        }
        if lists.subtotal.is_match(line) {
            return Ok(LineRole::Subtotal);
        }
        if let Some(captures) = lists.tender.captures(line) {
            self.take_tender(&captures, number)?;
            return Ok(LineRole::Tender);
        }
        if let Some(amount) = self.amount_of(&lists.change, line, number)? {
            self.tenders.push(Tender {
                kind: CHANGE.to_owned(),
                amount_minor: -amount.saturating_abs(),
            });
            return Ok(LineRole::Change);
        }
        if let Some(captures) = lists.tax.captures(line) {
            self.tax_table.take(self.profile, &captures, number)?;
            return Ok(LineRole::Tax);
        }
        if let Some(amount) = self.amount_of(&lists.discount, line, number)? {
            self.discounts.push(amount.saturating_abs());
            return Ok(LineRole::Discount);
        }
        self.take_goods(line, number)
    }

    /// Items stand between their marks and always before the total.
    fn take_goods(&mut self, line: &str, number: usize) -> Result<LineRole, UnparsedReason> {
        let lists = &self.profile.lines;
        if self.total.is_some() {
            return Ok(LineRole::PassedOver);
        }
        if !self.among_items {
            self.among_items = lists.items_begin.is_match(line);
            return Ok(if self.among_items {
                LineRole::ItemsMark
            } else {
                LineRole::PassedOver
            });
        }
        if lists.items_end.is_match(line) {
            self.among_items = false;
            return Ok(LineRole::ItemsMark);
        }
        if let Some(captures) = lists.item_void.captures(line) {
            self.basket.take_void(&captures, number)?;
            return Ok(LineRole::ItemVoid);
        }
        if let Some(captures) = lists.item_return.captures(line) {
            self.basket.take_return(&captures, number)?;
            return Ok(LineRole::Item);
        }
        if let Some(amount) = self.amount_of(&lists.item_discount, line, number)? {
            self.basket.discount_last(amount, number)?;
            return Ok(LineRole::ItemDiscount);
        }
        if let Some(captures) = lists.item.captures(line) {
            self.basket.take_item(&captures, number)?;
            return Ok(LineRole::Item);
        }
        Ok(LineRole::PassedOver)
    }

    fn amount_of(
        &self,
        list: &Patterns,
        line: &str,
        number: usize,
    ) -> Result<Option<i64>, UnparsedReason> {
        match list.captures(line) {
            Some(captures) => self.profile.amount(&captures, "amount", number),
            None => Ok(None),
        }
    }

    fn take_header(&mut self, line: &str, number: usize) -> bool {
        let mut matched = false;
        let profile = self.profile;
        let all = profile
            .header
            .all_captures(line)
            .chain(profile.member.all_captures(line));
        for captures in all {
            matched = true;
            let header = &mut self.header;
            for (slot, group) in [
                (&mut header.store, "store"),
                (&mut header.workstation, "workstation"),
                (&mut header.sequence, "sequence"),
                (&mut header.date, "date"),
                (&mut header.time, "time"),
                (&mut header.datetime, "datetime"),
                (&mut header.business_day, "business_day"),
                (&mut header.card, "card"),
            ] {
                let text = captures.name(group).map(|m| m.as_str().trim());
                if slot.is_none()
                    && let Some(text) = text.filter(|t| !t.is_empty())
                {
                    *slot = Some((text.to_owned(), number));
                }
            }
        }
        matched
    }

    fn take_total(&mut self, captures: &Captures<'_>, line: usize) -> Result<(), UnparsedReason> {
        let Some(amount) = self.profile.amount(captures, "amount", line)? else {
            return Ok(());
        };
        match self.total {
            Some((first, _)) if first != amount => Err(UnparsedReason::Contradiction {
                line,
                what: "a second total differs from the first",
            }),
            Some(_) => Ok(()),
            None => {
                self.total = Some((amount, line));
                Ok(())
            }
        }
    }

    fn take_tender(&mut self, captures: &Captures<'_>, line: usize) -> Result<(), UnparsedReason> {
        let word = captures.name("kind").map_or("", |m| m.as_str());
        let kind = self.profile.tender_kind(word);
        if let Some(amount_minor) = self.profile.amount(captures, "amount", line)? {
            self.tenders.push(Tender { kind, amount_minor });
        }
        Ok(())
    }

    fn into_sale(self, flags: Flags) -> Result<Sale, UnparsedReason> {
        let profile = self.profile;
        let (business_day, ended_at) = when(profile, &self.header)?;
        let store = constant_or_found(&profile.store, self.header.store, profile, "store")?;
        let workstation = constant_or_found(
            &profile.workstation,
            self.header.workstation,
            profile,
            "workstation",
        )?;
        let sequence = constant_or_found(&None, self.header.sequence, profile, "sequence")?;
        let Some((printed_total, total_line)) = self.total else {
            return Err(UnparsedReason::Missing { field: "total" });
        };
        let negate = flags.returned && profile.return_amounts == ReturnAmounts::Positive;
        let signed = |amount: i64| if negate { -amount } else { amount };
        let total_minor = signed(printed_total);
        let (mut items, tax_codes) = self.basket.into_items();
        if items.is_empty() {
            return Err(UnparsedReason::Missing { field: "item" });
        }
        if negate {
            items.iter_mut().for_each(turn_over);
        }
        let of_whole = add(self.discounts.into_iter())?;
        if flags.returned && !flags.void && total_minor > 0 {
            return Err(UnparsedReason::Contradiction {
                line: total_line,
                what: "the receipt is marked as a return, but its total is to be paid",
            });
        }
        let mut tenders = self.tenders;
        if negate {
            for tender in &mut tenders {
                tender.amount_minor = -tender.amount_minor;
            }
        }
        if let (true, Some(kind)) = (tenders.is_empty(), &profile.untendered) {
            tenders.push(Tender {
                kind: kind.clone(),
                amount_minor: total_minor,
            });
        }
        let of_whole = if total_minor < 0 { -of_whole } else { of_whole };
        let of_items = items.iter().filter(|i| !i.voided).map(|i| i.discount_minor);
        let sale = Sale {
            store,
            workstation,
            business_day,
            sequence,
            kind: kind_of(flags, total_minor),
            began_at: None,
            ended_at,
            currency: profile.currency(),
            total_minor,
            discount_minor: add(of_items.chain(std::iter::once(of_whole)))?,
            tax_minor: signed(self.tax_table.sum()?),
            tax_included: profile.tax == Tax::Included,
            items,
            tenders,
            card: self.header.card.map(|(card, _)| card),
            training: flags.training,
        };
        sale.reconcile()?;
        self.tax_table.check(&Taxed {
            items: &sale.items,
            codes: &tax_codes,
            printed_total,
            is_whole: of_whole == 0 && !negate,
        })?;
        Ok(sale)
    }
}

fn kind_of(flags: Flags, total_minor: i64) -> SaleKind {
    if flags.void {
        SaleKind::Void
    } else if flags.returned || total_minor < 0 {
        SaleKind::Return
    } else {
        SaleKind::Sale
    }
}

fn turn_over(item: &mut Item) {
    item.quantity = -item.quantity;
    item.amount_minor = -item.amount_minor;
    item.discount_minor = -item.discount_minor;
}

pub(super) fn add(mut amounts: impl Iterator<Item = i64>) -> Result<i64, UnparsedReason> {
    amounts
        .try_fold(0i64, i64::checked_add)
        .ok_or(UnparsedReason::Imbalance(Imbalance::Overflow))
}

/// What a profile can capture it requires, unless it names a constant.
fn constant_or_found(
    constant: &Option<String>,
    found: Found,
    profile: &Profile,
    field: &'static str,
) -> Result<Option<String>, UnparsedReason> {
    match found {
        Some((text, _)) => Ok(Some(text)),
        None if constant.is_some() => Ok(constant.clone()),
        None if profile.header.has_group(field) => Err(UnparsedReason::Missing { field }),
        None => Ok(None),
    }
}

/// Returns the business day and the time that the header tells.
fn when(
    profile: &Profile,
    header: &Header,
) -> Result<(Option<NaiveDate>, Option<SaleTime>), UnparsedReason> {
    let formats = &profile.formats;
    let at = |found: &Found, field| {
        let line = found.as_ref().map_or(0, |(_, line)| *line);
        UnparsedReason::Time { field, line }
    };
    let text = |found: &Found| found.as_ref().map(|(text, _)| text.clone());
    let printed_day = text(&header.business_day)
        .map(|t| {
            formats
                .date(&t)
                .ok_or_else(|| at(&header.business_day, "business_day"))
        })
        .transpose()?;
    if let Some(datetime) = text(&header.datetime) {
        let time = formats
            .datetime(&datetime)
            .ok_or_else(|| at(&header.datetime, "datetime"))?;
        let day = match time {
            SaleTime::Local(local) => local.date(),
            SaleTime::Zoned(zoned) => zoned.date_naive(),
        };
        return Ok((Some(printed_day.unwrap_or(day)), Some(time)));
    }
    let date = text(&header.date)
        .map(|t| formats.date(&t).ok_or_else(|| at(&header.date, "date")))
        .transpose()?;
    let time = text(&header.time)
        .map(|t| formats.time(&t).ok_or_else(|| at(&header.time, "time")))
        .transpose()?;
    if date.is_none() && printed_day.is_none() {
        for field in ["date", "datetime", "business_day"] {
            if profile.header.has_group(field) {
                return Err(UnparsedReason::Missing { field });
            }
        }
    }
    let ended_at = date
        .zip(time)
        .map(|(date, time)| SaleTime::Local(NaiveDateTime::new(date, time)));
    Ok((printed_day.or(date), ended_at))
}
