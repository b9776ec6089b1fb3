//! Why a receipt is not read as a sale, line by line, for the technician who writes the profile.

use super::Profile;
use super::reader::{self, Trace};
use super::reading::{NotASale, Reading, UnparsedReason};
use crate::receipt::Job;
use crate::sale::Imbalance;

/// Most findings of one receipt; further ones add nothing to what the first say.
const FINDINGS_MAX: usize = 12;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineRole {
    /// Without text.
    Blank,
    /// A pattern of `ignore` has it.
    Ignored,
    /// Header or member.
    Header,
    /// The total.
    Total,
    /// A subtotal, which counts for nothing.
    Subtotal,
    /// A payment.
    Tender,
    /// Change.
    Change,
    /// Tax.
    Tax,
    /// A discount of the whole.
    Discount,
    /// A voided item.
    ItemVoid,
    /// A discount of the item above.
    ItemDiscount,
    /// An item or a part of one.
    Item,
    /// Where the items begin or end.
    ItemsMark,
    /// No pattern takes it.
    PassedOver,
}

/// One reason, and the line that it is about. Repeats no text of the receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Line of the job, from 1, where it is about one.
    pub line: Option<usize>,
    /// What is wrong and what was expected.
    pub message: String,
}

/// A reading with its reasons.
#[derive(Debug, Clone)]
pub struct Examination {
    /// What [`Profile::read`] gives.
    pub reading: Reading,
    /// What became of the lines that were looked at, from the first.
    pub roles: Vec<LineRole>,
    /// The list of markers that made it no sale, or an unusual one, and the line.
    pub marker: Option<(&'static str, usize)>,
    /// Why it is unparsed; empty for a sale and for what is known to be none.
    pub findings: Vec<Finding>,
}

pub(super) fn examine(profile: &Profile, job: &Job) -> Examination {
    let mut trace = Trace::default();
    let reading = reader::read(profile, job, &mut trace);
    let findings = match &reading {
        Reading::Sale(_) => Vec::new(),
        Reading::NotASale(
            NotASale::Reprint
            | NotASale::OrderSlip
            | NotASale::KitchenTicket
            | NotASale::Report
            | NotASale::GiftReceipt
            | NotASale::OtherSlip
            | NotASale::Cancelled
            | NotASale::NoText,
        ) => Vec::new(),
        Reading::Unparsed(reason) => reasons(profile, job, &trace, reason),
    };
    Examination {
        reading,
        roles: trace.roles,
        marker: trace.marker,
        findings,
    }
}

fn reasons(profile: &Profile, job: &Job, trace: &Trace, reason: &UnparsedReason) -> Vec<Finding> {
    let mut findings = Vec::new();
    match reason {
        UnparsedReason::Unreadable(_) | UnparsedReason::TooLong => {
            findings.push(of_whole(reason.to_string()));
        }
        UnparsedReason::Missing { field } => {
            findings.push(of_whole(format!(
                "no line matches the patterns of {} for the {field}",
                list_of(field)
            )));
            if matches!(*field, "total" | "item") {
                suspects(profile, job, trace, None, &mut findings);
            }
        }
        UnparsedReason::Amount { field, line, why } => findings.push(Finding {
            line: Some(*line),
            message: format!(
                "the {field} cannot be read: {why}; expected a number as {}",
                profile.numbers.example()
            ),
        }),
        UnparsedReason::Time { field, line } => findings.push(Finding {
            line: Some(*line),
            message: format!(
                "the {field} fits none of the profile's formats: {}",
                profile.formats.shown()
            ),
        }),
        UnparsedReason::Contradiction { line, what } => findings.push(Finding {
            line: Some(*line),
            message: (*what).to_owned(),
        }),
        UnparsedReason::Imbalance(imbalance) => {
            findings.push(of_whole(sums(profile, imbalance)));
            suspects(profile, job, trace, Some(imbalance), &mut findings);
        }
    }
    findings.truncate(FINDINGS_MAX);
    findings
}

fn of_whole(message: String) -> Finding {
    Finding {
        line: None,
        message,
    }
}

/// The list of patterns that gives a field.
fn list_of(field: &str) -> &'static str {
    match field {
        "total" => "lines.total",
        "item" => "lines.item",
        _ => "header",
    }
}

fn sums(profile: &Profile, imbalance: &Imbalance) -> String {
    let money = |minor: i64| profile.currency().decimal(minor);
    match *imbalance {
        Imbalance::Total {
            lines,
            discounts,
            tax,
            sum,
            total,
        } => {
            let tax = if tax == 0 {
                String::new()
            } else {
                format!(" + tax {}", money(tax))
            };
            format!(
                "sums: lines {} − discounts {}{tax} ≠ total {}, off by {}",
                money(lines),
                money(discounts),
                money(total),
                money(total.saturating_sub(sum).saturating_abs())
            )
        }
        Imbalance::Tenders { tenders, total } => format!(
            "sums: tenders less change {} ≠ total {}, off by {}",
            money(tenders),
            money(total),
            money(total.saturating_sub(tenders).saturating_abs())
        ),
        Imbalance::Overflow => imbalance.to_string(),
    }
}

/// Tells the lines that end in an amount and that no pattern takes, where one of them may be missing.
fn suspects(
    profile: &Profile,
    job: &Job,
    trace: &Trace,
    imbalance: Option<&Imbalance>,
    findings: &mut Vec<Finding>,
) {
    let total_line = trace.roles.iter().position(|role| *role == LineRole::Total);
    let after_total = matches!(imbalance, Some(Imbalance::Tenders { .. }));
    let gap = match imbalance {
        Some(Imbalance::Total { sum, total, .. }) => total.checked_sub(*sum),
        Some(Imbalance::Tenders { tenders, total }) => total.checked_sub(*tenders),
        Some(Imbalance::Overflow) | None => None,
    };
    for (index, (role, line)) in trace.roles.iter().zip(&job.lines).enumerate() {
        let is_after = total_line.is_some_and(|total| index > total);
        if *role != LineRole::PassedOver || is_after != after_total {
            continue;
        }
        let Some(amount) = profile.numbers.last_amount(line) else {
            continue;
        };
        let lists = match (total_line, is_after) {
            (Some(_), true) => "lines.tender or lines.change",
            (Some(_), false) => "lines.item",
            (None, _) => "lines.total or lines.item",
        };
        let exact = if gap.is_some_and(|gap| gap.unsigned_abs() == amount.unsigned_abs()) {
            "; it is exactly what the sums lack"
        } else {
            ""
        };
        findings.push(Finding {
            line: Some(index + 1),
            message: format!("looks like an amount but no pattern of {lists} takes it{exact}"),
        });
    }
}
