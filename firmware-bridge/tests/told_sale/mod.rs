//! A sale as the expectations beside the fixtures write it.

use std::fmt::Write;

use tillbind_firmware_bridge::sale::{Sale, SaleTime};

/// Adds a sale to `out`: a line of what it says of itself, one of its times, one for each item and
/// each tender.
pub(crate) fn tell_sale(out: &mut String, sale: &Sale) {
    let day = sale.business_day.map(|day| day.to_string());
    writeln!(
        out,
        "{:?} {}/{}/{}/{} {} total {} discount {} tax {} {}, card {}{}",
        sale.kind,
        or_dash(&sale.store),
        or_dash(&sale.workstation),
        or_dash(&day),
        or_dash(&sale.sequence),
        sale.currency,
        sale.total_minor,
        sale.discount_minor,
        sale.tax_minor,
        if sale.tax_included {
            "inside"
        } else {
            "on top"
        },
        or_dash(&sale.card),
        if sale.training { ", training" } else { "" },
    )
    .unwrap();
    let (began, ended) = (time(sale.began_at), time(sale.ended_at));
    writeln!(out, "  from {began} to {ended}").unwrap();
    for item in &sale.items {
        writeln!(
            out,
            "  {}: {} {:?} {} x {} = {} - {}{}",
            item.line,
            item.item_id,
            item.description,
            item.quantity,
            item.unit_price_minor,
            item.amount_minor,
            item.discount_minor,
            if item.voided { " voided" } else { "" },
        )
        .unwrap();
    }
    for tender in &sale.tenders {
        writeln!(out, "  {} {}", tender.kind, tender.amount_minor).unwrap();
    }
}

/// Writes what a source may leave out.
pub(crate) fn or_dash(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or("-")
}

fn time(time: Option<SaleTime>) -> String {
    match time {
        None => "-".to_owned(),
        Some(SaleTime::Local(local)) => format!("{local:?} local"),
        Some(SaleTime::Zoned(zoned)) => zoned.to_rfc3339(),
    }
}
