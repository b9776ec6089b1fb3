//! Which lines a transaction takes back.
//!
//! Three habits are known. NCR ACS appends a line with `VoidFlag` and negative quantity and amount.
//! Wincor appends one with positive amounts and `CreateRefNumber` (or `ItemLink`) pointing back.
//! ARTS itself marks the line. Where an appended line takes back less than the whole, it counts as
//! a negative line, since the line that it points to stands for the rest.

use rust_decimal::Decimal;

use super::element::Element;

/// What of a line decides whether it was taken back.
#[derive(Debug)]
pub(super) struct Posting {
    /// What it is about: goods' number, promotion, kind of payment.
    pub(super) subject: String,
    /// Amount as it stands in the source, sign and all.
    pub(super) amount_minor: i64,
    /// Quantity as it stands in the source.
    pub(super) quantity: Decimal,
    void: bool,
    cancelled: bool,
    number: Option<String>,
    sequence: Option<String>,
    refers_to: Option<String>,
    links_to: Option<String>,
}

impl Posting {
    pub(super) fn new(
        line: &Element,
        subject: String,
        amount_minor: i64,
        quantity: Decimal,
    ) -> Self {
        let text = |name| line.child_text(name).map(str::to_owned);
        let link = line.child_text("ItemLink").map(str::to_owned).or_else(|| {
            line.children()
                .find_map(|child| child.child_text("ItemLink").map(str::to_owned))
        });
        Self {
            subject,
            amount_minor,
            quantity,
            void: line.flag("VoidFlag"),
            cancelled: line.flag("CancelFlag"),
            number: text("CreateNumber"),
            sequence: text("SequenceNumber"),
            refers_to: text("CreateRefNumber"),
            links_to: link,
        }
    }

    fn points_at(&self, other: &Posting) -> bool {
        if let (Some(reference), Some(number)) = (&self.refers_to, &other.number) {
            return reference == number;
        }
        self.subject == other.subject && self.links_to.is_some() && self.links_to == other.sequence
    }

    fn is_as_much_as(&self, other: &Posting) -> bool {
        self.amount_minor.unsigned_abs() == other.amount_minor.unsigned_abs()
            && self.quantity.abs() == other.quantity.abs()
    }
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It counts as it stands.
    Counts,
    /// It counts with its sign turned: it takes back a part of another.
    CountsNegated,
    /// It counts in no sum.
    Voided,
}

/// Decides each line's fate, in the order of the source.
pub(super) fn fates(postings: &[Posting]) -> Vec<Fate> {
    let mut fates: Vec<Fate> = postings
        .iter()
        .map(|posting| match posting.cancelled {
            true => Fate::Voided,
            false => Fate::Counts,
        })
        .collect();
    for (index, posting) in postings.iter().enumerate() {
        if !posting.void || posting.cancelled {
            continue;
        }
        let open = |other: &usize| {
            *other != index && fates[*other] == Fate::Counts && !postings[*other].void
        };
        let referred = (0..postings.len())
            .filter(open)
            .find(|&other| posting.points_at(&postings[other]));
        if let Some(other) = referred {
            if posting.is_as_much_as(&postings[other]) {
                fates[index] = Fate::Voided;
                fates[other] = Fate::Voided;
            } else if posting.amount_minor.signum() == postings[other].amount_minor.signum() {
                fates[index] = Fate::CountsNegated;
            }
            continue;
        }
        let counterpart = (0..index).rev().filter(open).find(|&other| {
            let other = &postings[other];
            other.subject == posting.subject
                && other.amount_minor == -posting.amount_minor
                && posting.is_as_much_as(other)
                && (posting.amount_minor != 0 || other.quantity == -posting.quantity)
        });
        match counterpart {
            Some(other) => {
                fates[index] = Fate::Voided;
                fates[other] = Fate::Voided;
            }
            None if posting.amount_minor < 0 => {}
            None => fates[index] = Fate::Voided,
        }
    }
    fates
}
