//! What `receipts test` shows of each receipt. Payment numbers are masked in all of it.

use serde_json::{Value, json};
use tillbind_firmware_bridge::code::CardRules;
use tillbind_firmware_bridge::code::payment::mask_payment_numbers;
use tillbind_firmware_bridge::receipt::{Examination, NotASale, Profile, Reading};
use tillbind_firmware_bridge::sale::{Sale, SaleKind, SaleTime};

use super::CapturedFile;
use crate::devices::{mask_job, mask_sale};

/// One receipt of one file.
struct Receipt {
    file: String,
    /// Which one of its file, from 1.
    number: usize,
    lines: Vec<String>,
    examination: Examination,
}

/// What a profile makes of captured receipts.
pub(super) struct Tested {
    profile: String,
    receipts: Vec<Receipt>,
    /// Files that no receipt came out of.
    empty: Vec<String>,
}

/// How many receipts there are of each kind.
#[derive(Default)]
struct Counts {
    sales: usize,
    not_sales: usize,
    unparsed: usize,
}

impl Tested {
    pub(super) fn new(profile: &Profile, files: &[CapturedFile], rules: &CardRules) -> Self {
        let mut receipts = Vec::new();
        let mut empty = Vec::new();
        for file in files {
            let jobs = file.captured.jobs(profile.encoding());
            if jobs.is_empty() {
                empty.push(file.name.clone());
            }
            for (index, mut job) in jobs.into_iter().enumerate() {
                let mut examination = profile.examine(&job);
                mask_job(&mut job, rules);
                if let Reading::Sale(sale) = &mut examination.reading {
                    mask_sale(sale, rules);
                    mask_sequence(sale, rules);
                }
                receipts.push(Receipt {
                    file: file.name.clone(),
                    number: index + 1,
                    lines: job.lines,
                    examination,
                });
            }
        }
        Self {
            profile: profile.name().to_owned(),
            receipts,
            empty,
        }
    }

    /// Returns whether something could not be read.
    pub(super) fn has_finding(&self) -> bool {
        self.counts().unparsed > 0 || !self.empty.is_empty()
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for receipt in &self.receipts {
            match receipt.examination.reading {
                Reading::Sale(_) => counts.sales += 1,
                Reading::NotASale(_) => counts.not_sales += 1,
                Reading::Unparsed(_) => counts.unparsed += 1,
            }
        }
        counts
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.receipts.iter().flat_map(Receipt::shown).collect();
        for file in &self.empty {
            lines.push(format!("{file}: no receipt in it"));
        }
        let counts = self.counts();
        lines.push(format!(
            "{} receipts by profile {}: {} sales, {} not sales, {} unparsed",
            self.receipts.len(),
            self.profile,
            counts.sales,
            counts.not_sales,
            counts.unparsed
        ));
        lines
    }

    pub(super) fn json(&self) -> Value {
        let counts = self.counts();
        json!({
            "profile": self.profile,
            "receipts": self.receipts.iter().map(Receipt::json).collect::<Vec<_>>(),
            "empty_files": self.empty,
            "summary": {
                "receipts": self.receipts.len(),
                "sales": counts.sales,
                "not_sales": counts.not_sales,
                "unparsed": counts.unparsed,
            },
        })
    }
}

impl Receipt {
    /// Text of a line, counted from 1.
    fn line(&self, number: usize) -> &str {
        let index = number.saturating_sub(1);
        self.lines.get(index).map_or("", |line| line.trim())
    }

    fn shown(&self) -> Vec<String> {
        let head = format!("{} #{}", self.file, self.number);
        match &self.examination.reading {
            Reading::Sale(sale) => {
                let mut lines = vec![format!("{head}: {}", sale_line(sale))];
                lines.push(format!("    {}", sums(sale)));
                if let Some((list, line)) = self.examination.marker {
                    lines.push(format!(
                        "    marker `{list}`, line {line}: {:?}",
                        self.line(line)
                    ));
                }
                lines
            }
            Reading::NotASale(what) => {
                let marker = match self.examination.marker {
                    Some((list, line)) => {
                        format!(" (marker `{list}`, line {line}: {:?})", self.line(line))
                    }
                    None => String::new(),
                };
                vec![format!("{head}: not a sale: {}{marker}", words(*what))]
            }
            Reading::Unparsed(_) => {
                let mut lines = vec![format!("{head}: unparsed")];
                for finding in &self.examination.findings {
                    lines.push(match finding.line {
                        Some(line) => format!(
                            "    line {line}: {}: {:?}",
                            finding.message,
                            self.line(line)
                        ),
                        None => format!("    {}", finding.message),
                    });
                }
                lines
            }
        }
    }

    fn json(&self) -> Value {
        let mut object = json!({ "file": self.file, "receipt": self.number });
        let marker = self
            .examination
            .marker
            .map(|(list, line)| json!({ "list": list, "line": line, "text": self.line(line) }));
        match &self.examination.reading {
            Reading::Sale(sale) => {
                object["reading"] = json!("sale");
                object["sale"] = sale_json(sale);
            }
            Reading::NotASale(what) => {
                object["reading"] = json!("not_a_sale");
                object["what"] = json!(name(*what));
            }
            Reading::Unparsed(reason) => {
                object["reading"] = json!("unparsed");
                object["reason"] = json!(reason.to_string());
                let findings = self.examination.findings.iter().map(|finding| {
                    json!({
                        "line": finding.line,
                        "text": finding.line.map(|line| self.line(line)),
                        "message": finding.message,
                    })
                });
                object["findings"] = findings.collect();
            }
        }
        if let Some(marker) = marker {
            object["marker"] = marker;
        }
        object
    }
}

/// A receipt's number stays in events, since without it a sale could not be told from another; what is
/// shown to people has no need of one that looks like a payment number.
fn mask_sequence(sale: &mut Sale, rules: &CardRules) {
    let numbers = [&mut sale.sequence, &mut sale.store, &mut sale.workstation];
    for text in numbers.into_iter().flatten() {
        *text = mask_payment_numbers(text, rules).into_owned();
    }
}

fn kind(kind: SaleKind) -> &'static str {
    match kind {
        SaleKind::Sale => "sale",
        SaleKind::Return => "return",
        SaleKind::Void => "void",
    }
}

fn words(what: NotASale) -> &'static str {
    match what {
        NotASale::Reprint => "a reprint",
        NotASale::OrderSlip => "an order slip",
        NotASale::KitchenTicket => "a kitchen ticket",
        NotASale::Report => "a report",
        NotASale::GiftReceipt => "a gift receipt",
        NotASale::OtherSlip => "another slip",
        NotASale::Cancelled => "voided before it was paid",
        NotASale::NoText => "no text",
    }
}

fn name(what: NotASale) -> &'static str {
    match what {
        NotASale::Reprint => "reprint",
        NotASale::OrderSlip => "order_slip",
        NotASale::KitchenTicket => "kitchen_ticket",
        NotASale::Report => "report",
        NotASale::GiftReceipt => "gift_receipt",
        NotASale::OtherSlip => "other_slip",
        NotASale::Cancelled => "cancelled",
        NotASale::NoText => "no_text",
    }
}

fn ended_at(sale: &Sale) -> Option<String> {
    sale.ended_at.map(|at| match at {
        SaleTime::Local(local) => local.format("%Y-%m-%dT%H:%M:%S").to_string(),
        SaleTime::Zoned(zoned) => zoned.to_rfc3339(),
    })
}

fn lines_minor(sale: &Sale) -> i64 {
    let counted = sale.items.iter().filter(|item| !item.voided);
    counted.map(|item| item.amount_minor).sum()
}

fn sale_line(sale: &Sale) -> String {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let training = if sale.training { " (training)" } else { "" };
    let day = sale.business_day.map(|day| day.to_string());
    let card = match &sale.card {
        Some(_) => ", with a member's card",
        None => "",
    };
    format!(
        "{}{training} {}, store {}, till {}, {}, {} items{card}",
        kind(sale.kind),
        or_dash(&sale.sequence),
        or_dash(&sale.store),
        or_dash(&sale.workstation),
        ended_at(sale).or(day).unwrap_or_else(|| "-".to_owned()),
        sale.items.len(),
    )
}

fn sums(sale: &Sale) -> String {
    let money = |minor: i64| sale.currency.decimal(minor);
    let tax = if sale.tax_included {
        format!(" (tax {} in it)", money(sale.tax_minor))
    } else {
        format!(" + tax {}", money(sale.tax_minor))
    };
    let paid = sale
        .tenders
        .iter()
        .map(|tender| format!("{} {}", tender.kind, money(tender.amount_minor)));
    format!(
        "lines {} − discounts {}{tax} = total {} {} = {}",
        money(lines_minor(sale)),
        money(sale.discount_minor),
        money(sale.total_minor),
        sale.currency,
        paid.collect::<Vec<_>>().join(", "),
    )
}

fn sale_json(sale: &Sale) -> Value {
    json!({
        "kind": kind(sale.kind),
        "training": sale.training,
        "store": sale.store,
        "workstation": sale.workstation,
        "business_day": sale.business_day.map(|day| day.to_string()),
        "sequence": sale.sequence,
        "ended_at": ended_at(sale),
        "currency": sale.currency.as_str(),
        "lines_minor": lines_minor(sale),
        "discount_minor": sale.discount_minor,
        "tax_minor": sale.tax_minor,
        "tax_included": sale.tax_included,
        "total_minor": sale.total_minor,
        "card": sale.card,
        "items": sale.items.iter().map(|item| json!({
            "line": item.line,
            "item_id": item.item_id,
            "description": item.description,
            "quantity": item.quantity.to_string(),
            "unit_price_minor": item.unit_price_minor,
            "amount_minor": item.amount_minor,
            "discount_minor": item.discount_minor,
            "department": item.department,
            "voided": item.voided,
        })).collect::<Vec<_>>(),
        "tenders": sale.tenders.iter().map(|tender| json!({
            "kind": tender.kind,
            "amount_minor": tender.amount_minor,
        })).collect::<Vec<_>>(),
    })
}
