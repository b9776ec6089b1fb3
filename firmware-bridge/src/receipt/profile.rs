//! Profiles: how one shop's receipts are read. A profile is a TOML file of patterns.
//!
//! ```toml
//! name = "shop"
//! encoding = "cp858"             # of the printer, where the stream does not say; default cp437
//! currency = "EUR"
//! decimal = ","                  # default "."
//! thousands = "."                # default: none
//! date_formats = ["%d.%m.%Y"]    # as in strftime
//! time_formats = ["%H:%M"]
//! store = "S001"                 # constants, for receipts that do not print them
//! workstation = "1"
//! tax = "included"               # or "added" to the lines
//! item_name = "before"           # or "after" the amount, where it (or the quantity) has its own line
//! item_amounts = "before_discount"   # or "after_discount"
//! return_amounts = "negative"    # or "positive", on receipts with the marker `return`
//! untendered = "cash"            # how was paid where no line says; default: such a receipt fails
//! header = ['^Receipt (?<sequence>\d+)', '(?<date>[\d.]+) (?<time>[\d:]+)$']
//! member = ['^Member (?<card>\d+)']
//! ignore = ['^You saved']
//!
//! [lines]
//! items_begin = ['^-+$']         # items are looked for behind such a line; default: from the top
//! items_end = ['^=+$']           # and before such a line; always before the total
//! item = ['^(?<quantity>\d+) x (?<unit_price>[\d,]+) (?<description>.+?) +(?<amount>[\d,]+)$']
//! item_return = ['^RETURN (?<description>.+?) +(?<amount>[\d,]+)$']   # negative, whatever its sign
//! item_void = ['^VOID (?<description>.+?) +(?<amount>-[\d,]+)$']
//! item_discount = ['^ +Discount +(?<amount>-[\d,]+)$']
//! subtotal = ['^SUBTOTAL']
//! discount = ['^DISCOUNT +(?<amount>-[\d,]+)$']
//! tax = ['^(?<tax_code>[AB]) (?<rate>\d+)% +(?<net>[\d,]+) +(?<amount>[\d,]+) +(?<gross>[\d,]+)$']
//! total = ['^TOTAL +(?<amount>-?[\d,]+)$']
//! tender = ['^(?<kind>CASH|CARD) +(?<amount>-?[\d,]+)$']
//! change = ['^CHANGE +(?<amount>[\d,]+)$']
//!
//! [markers]                      # a match anywhere in the receipt
//! void = []
//! return = []
//! reprint = []
//! training = []
//! order = []                     # order slips, bills before payment
//! kitchen = ['^\*\* KITCHEN']
//! report = []                    # X and Z reports
//! gift = []                      # gift receipts
//! not_a_sale = []                # whatever else is none
//!
//! [tenders]                      # the receipt's words (in either case) to kinds
//! CARD = "card"
//! ```
//!
//! Each line of a job is tried, in this order, against `ignore`, `header` and `member` (every pattern
//! that matches gives its fields, the first value of a field stays), then `total`, `subtotal`,
//! `tender`, `change`, `tax`, `discount`, `item_void`, `item_return`, `item_discount` and `item`; the
//! first list that matches has the line. Lines that match nothing are passed over: the arithmetic tells whether one
//! was missed.
//!
//! Where `tax` captures them, a tax table must hold too: net + amount = gross on each line, the gross
//! amounts give the total, and (without a discount of the whole) the items of a `tax_code` give its
//! gross amount.
//!
//! Groups: `header` store, workstation, sequence, date, time, datetime, business_day; `member` card;
//! `item` description, quantity (default 1), unit_price, amount, discount, item_id, department,
//! tax_code. An `item` pattern without amount gives part of an item: its fields wait for the amount's
//! line, or, with `item_name = "after"`, complete the item above. What a profile can capture it
//! requires: a receipt without a match for sequence, date, store or workstation does not count.
//!
//! Deliberately absent: patterns across lines, rounding to coins (a sum that is off by it is not
//! counted), and anything that would capture a number of a payment instrument.

use std::collections::BTreeMap;

use toml::Spanned;

use super::codepage::{Encoding, EncodingError};
use super::job::Job;
use crate::money::Currency;

mod amount;
mod basket;
mod clock;
mod examination;
mod file;
mod pattern;
mod reader;
mod reading;
mod tax_table;

pub use amount::AmountError;
pub(in crate::receipt) use amount::NumberFormat;
use clock::Formats;
pub use examination::{Examination, Finding, LineRole};
use file::{ItemAmounts, ItemName, ProfileFile, ReturnAmounts, Tax};
use pattern::{Groups, PatternFault, Patterns};
pub use reading::{NotASale, Reading, UnparsedReason};

/// Largest profile that is read.
pub const PROFILE_BYTES_MAX: usize = 64 << 10;

/// How one shop's receipts are read. The format stands at the head of this module.
#[derive(Debug)]
pub struct Profile {
    name: String,
    encoding: Encoding,
    numbers: NumberFormat,
    formats: Formats,
    store: Option<String>,
    workstation: Option<String>,
    tax: Tax,
    item_name: ItemName,
    item_amounts: ItemAmounts,
    return_amounts: ReturnAmounts,
    untendered: Option<String>,
    header: Patterns,
    member: Patterns,
    ignore: Patterns,
    lines: LinePatterns,
    markers: Markers,
    /// Kinds by the receipt's words in lower case.
    tenders: BTreeMap<String, String>,
}

#[derive(Debug)]
struct LinePatterns {
    items_begin: Patterns,
    items_end: Patterns,
    item: Patterns,
    item_return: Patterns,
    item_void: Patterns,
    item_discount: Patterns,
    subtotal: Patterns,
    discount: Patterns,
    tax: Patterns,
    total: Patterns,
    tender: Patterns,
    change: Patterns,
}

#[derive(Debug)]
struct Markers {
    void: Patterns,
    returned: Patterns,
    reprint: Patterns,
    training: Patterns,
    order: Patterns,
    kitchen: Patterns,
    report: Patterns,
    gift: Patterns,
    not_a_sale: Patterns,
}

/// A fault in a profile's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// The text is longer than [`PROFILE_BYTES_MAX`].
    #[error("the profile is {0} bytes long; at most {PROFILE_BYTES_MAX} are read")]
    TooLong(usize),
    /// A place in the text is wrong.
    #[error("line {line}, column {column}: {message}")]
    At {
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
}

impl Profile {
    /// Reads a profile from its TOML text.
    ///
    /// # Errors
    /// [`ProfileError`] names the place of the first fault: TOML, an unknown key, a regular
    /// expression or its groups, an encoding, a currency, a time format.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        if text.len() > PROFILE_BYTES_MAX {
            return Err(ProfileError::TooLong(text.len()));
        }
        let file: ProfileFile = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            fault_at(text, start, error.message().to_owned())
        })?;
        Self::compile(file).map_err(|fault| fault_at(text, fault.span.start, fault.message))
    }

    fn compile(file: ProfileFile) -> Result<Self, PatternFault> {
        let encoding = match &file.encoding {
            Some(name) => Encoding::parse(name.get_ref())
                .map_err(|error: EncodingError| fault(name, error.to_string()))?,
            None => Encoding::default(),
        };
        let currency = Currency::parse(file.currency.get_ref())
            .map_err(|error| fault(&file.currency, error.to_string()))?;
        if file.name.get_ref().is_empty() {
            return Err(fault(&file.name, "the name is empty".to_owned()));
        }
        let decimal = *file.decimal.get_ref();
        if let Some(thousands) = &file.thousands
            && (*thousands.get_ref() == decimal || thousands.get_ref().is_ascii_digit())
        {
            return Err(fault(
                thousands,
                "thousands must differ from decimal and be no digit".to_owned(),
            ));
        }
        let header = Patterns::compile(&file.header, &HEADER)?;
        let formats = Formats::compile(&file.date_formats, &file.time_formats)?;
        for (name, missing) in [
            ("date", formats.lacks_dates()),
            ("business_day", formats.lacks_dates()),
            ("datetime", formats.lacks_dates() || formats.lacks_times()),
            ("time", formats.lacks_times()),
        ] {
            if missing && header.has_group(name) {
                let span = file.header.first().map_or(0..0, Spanned::span);
                return Err(PatternFault {
                    span,
                    message: format!(
                        "header captures {name:?}, but date_formats or time_formats does not say \
                         how it is written"
                    ),
                });
            }
        }
        Ok(Self {
            name: file.name.into_inner(),
            encoding,
            numbers: NumberFormat {
                decimal,
                thousands: file.thousands.map(Spanned::into_inner),
                currency,
            },
            formats,
            store: file.store,
            workstation: file.workstation,
            tax: file.tax,
            item_name: file.item_name,
            item_amounts: file.item_amounts,
            return_amounts: file.return_amounts,
            untendered: file.untendered,
            header,
            member: Patterns::compile(&file.member, &MEMBER)?,
            ignore: Patterns::compile(&file.ignore, &bare("ignore"))?,
            lines: LinePatterns {
                items_begin: Patterns::compile(&file.lines.items_begin, &bare("items_begin"))?,
                items_end: Patterns::compile(&file.lines.items_end, &bare("items_end"))?,
                item: Patterns::compile(&file.lines.item, &ITEM)?,
                item_return: Patterns::compile(&file.lines.item_return, &ITEM_RETURN)?,
                item_void: Patterns::compile(&file.lines.item_void, &ITEM_VOID)?,
                item_discount: Patterns::compile(&file.lines.item_discount, &sum("item_discount"))?,
                subtotal: Patterns::compile(&file.lines.subtotal, &SUBTOTAL)?,
                discount: Patterns::compile(&file.lines.discount, &sum("discount"))?,
                tax: Patterns::compile(&file.lines.tax, &TAX)?,
                total: Patterns::compile(&file.lines.total, &sum("total"))?,
                tender: Patterns::compile(&file.lines.tender, &TENDER)?,
                change: Patterns::compile(&file.lines.change, &sum("change"))?,
            },
            markers: Markers {
                void: Patterns::compile(&file.markers.void, &bare("void"))?,
                returned: Patterns::compile(&file.markers.returned, &bare("return"))?,
                reprint: Patterns::compile(&file.markers.reprint, &bare("reprint"))?,
                training: Patterns::compile(&file.markers.training, &bare("training"))?,
                order: Patterns::compile(&file.markers.order, &bare("order"))?,
                kitchen: Patterns::compile(&file.markers.kitchen, &bare("kitchen"))?,
                report: Patterns::compile(&file.markers.report, &bare("report"))?,
                gift: Patterns::compile(&file.markers.gift, &bare("gift"))?,
                not_a_sale: Patterns::compile(&file.markers.not_a_sale, &bare("not_a_sale"))?,
            },
            tenders: file
                .tenders
                .into_iter()
                .map(|(word, kind)| (word.to_lowercase(), kind.into_inner()))
                .collect(),
        })
    }

    /// Returns the profile's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the encoding that the decoder of this shop's stream starts with.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Returns the currency of every amount.
    pub fn currency(&self) -> Currency {
        self.numbers.currency
    }

    /// Reads a job as this shop's receipt. A sale comes out only if its sums hold.
    pub fn read(&self, job: &Job) -> Reading {
        reader::read(self, job, &mut reader::Trace::default())
    }

    /// Reads a job and tells what became of each line, and why no sale came of it, if none did.
    pub fn examine(&self, job: &Job) -> Examination {
        examination::examine(self, job)
    }
}

const HEADER: Groups = Groups {
    list: "header",
    allowed: &[
        "store",
        "workstation",
        "sequence",
        "date",
        "time",
        "datetime",
        "business_day",
    ],
    required: &[],
    one_of: &[
        "store",
        "workstation",
        "sequence",
        "date",
        "time",
        "datetime",
        "business_day",
    ],
};

const MEMBER: Groups = Groups {
    list: "member",
    allowed: &["card"],
    required: &["card"],
    one_of: &[],
};

const ITEM: Groups = Groups {
    list: "item",
    allowed: &[
        "description",
        "quantity",
        "unit_price",
        "amount",
        "discount",
        "item_id",
        "department",
        "tax_code",
    ],
    required: &[],
    one_of: &["description", "amount", "quantity", "unit_price", "item_id"],
};

const ITEM_RETURN: Groups = Groups {
    list: "item_return",
    allowed: ITEM.allowed,
    required: &["amount"],
    one_of: &[],
};

const ITEM_VOID: Groups = Groups {
    list: "item_void",
    allowed: &["description", "amount", "quantity", "unit_price", "item_id"],
    required: &["amount"],
    one_of: &[],
};

const SUBTOTAL: Groups = Groups {
    list: "subtotal",
    allowed: &["amount"],
    required: &[],
    one_of: &[],
};

const TAX: Groups = Groups {
    list: "tax",
    allowed: &["amount", "rate", "base", "net", "gross", "tax_code"],
    required: &["amount"],
    one_of: &[],
};

const TENDER: Groups = Groups {
    list: "tender",
    allowed: &["kind", "amount"],
    required: &["kind", "amount"],
    one_of: &[],
};

/// A list that is matched and captures nothing.
const fn bare(list: &'static str) -> Groups {
    Groups {
        list,
        allowed: &[],
        required: &[],
        one_of: &[],
    }
}

/// A list whose lines carry an amount and maybe a description.
const fn sum(list: &'static str) -> Groups {
    Groups {
        list,
        allowed: &["amount", "description"],
        required: &["amount"],
        one_of: &[],
    }
}

fn fault<T>(at: &Spanned<T>, message: String) -> PatternFault {
    PatternFault {
        span: at.span(),
        message,
    }
}

fn fault_at(text: &str, byte: usize, message: String) -> ProfileError {
    let before = text.get(..byte).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |line| line.chars().count())
        + 1;
    ProfileError::At {
        line,
        column,
        message,
    }
}

#[cfg(test)]
mod tests;
