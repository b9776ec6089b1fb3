//! Answers of the daemon as people read them.

use serde_json::Value;

fn text<'v>(value: &'v Value, path: &str) -> &'v str {
    value.pointer(path).and_then(Value::as_str).unwrap_or("-")
}

fn number(value: &Value, path: &str) -> i64 {
    value.pointer(path).and_then(Value::as_i64).unwrap_or(0)
}

fn megabytes(bytes: i64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// `tillbind status`.
pub(super) fn status(status: &Value) -> Vec<String> {
    let mut lines = vec![match status.get("identity") {
        None => {
            "Identity  not enrolled: get a token from headquarters and run `tillbind enrol`".into()
        }
        Some(_) => format!(
            "Identity  {} (store {}, workstation {}), certificate until {}",
            text(status, "/identity/terminal"),
            text(status, "/identity/store"),
            text(status, "/identity/workstation"),
            text(status, "/identity/certificate_until"),
        ),
    }];
    lines.push(format!(
        "Line      {}, last exchange {}",
        text(status, "/line/state"),
        text(status, "/line/last_exchange_at")
    ));
    if status.pointer("/line/last_error").is_some() {
        lines.push(format!("          {}", text(status, "/line/last_error")));
    }
    lines.extend(status.get("outbox").map(outbox).unwrap_or_default());
    lines.push(format!(
        "Replica   {} members, {} cards, version {}, as of {}{}",
        number(status, "/replica/members"),
        number(status, "/replica/cards"),
        text(status, "/replica/version"),
        text(status, "/replica/as_of"),
        if status.pointer("/replica/complete") == Some(&Value::Bool(true)) {
            ""
        } else {
            ", incomplete"
        },
    ));
    lines.push(match status.pointer("/clock/offset_ms") {
        None => "Clock     headquarters' clock was never seen".to_owned(),
        Some(offset) => format!(
            "Clock     headquarters' clock less this one: {offset} ms, within {} ms",
            number(status, "/clock/uncertainty_ms")
        ),
    });
    if status.get("disk").is_some() {
        lines.push(format!(
            "Disk      {} free of {}",
            megabytes(number(status, "/disk/free_bytes")),
            megabytes(number(status, "/disk/total_bytes"))
        ));
    }
    lines.extend(status.get("devices").map(devices).unwrap_or_default());
    lines
}

/// `tillbind outbox`.
pub(super) fn outbox(outbox: &Value) -> Vec<String> {
    let mut lines = vec![format!(
        "Outbox    {} events wait ({}), oldest {}; recorded up to {}, at headquarters up to {}",
        number(outbox, "/events"),
        megabytes(number(outbox, "/bytes")),
        text(outbox, "/oldest_at"),
        number(outbox, "/appended"),
        number(outbox, "/acked"),
    )];
    let given_up = ["telemetry", "unparsed_receipts", "scans"]
        .map(|class| number(outbox, &format!("/given_up/{class}")));
    match text(outbox, "/pressure") {
        "full" => lines.push(format!(
            "          FULL: given up {} reports, {} unread receipts, {} scans without a sale; {} refused \
             (see `tillbind doctor`)",
            given_up[0],
            given_up[1],
            given_up[2],
            number(outbox, "/refusals"),
        )),
        "tight" => lines.push("          room is tight (see `tillbind doctor`)".into()),
        _ => {}
    }
    match number(outbox, "/quarantined") {
        0 => {}
        count => lines.push(format!(
            "          {count} records could not be read (see `tillbind outbox quarantine list`)"
        )),
    }
    if outbox.get("degraded") == Some(&Value::Bool(true)) {
        lines.push(
            "          its index is out of order: reading is slow until it is made anew".into(),
        );
    }
    lines
}

/// `tillbind outbox quarantine list`.
pub(super) fn quarantine(listed: &Value) -> Vec<String> {
    let entries = listed.as_array().map(Vec::as_slice).unwrap_or_default();
    if entries.is_empty() {
        return vec!["Quarantine  is empty".to_owned()];
    }
    let line = |entry: &Value| {
        format!(
            "Entry {}  events {} to {} of epoch {}: {} ({} bytes in segment {} at {})",
            number(entry, "/id"),
            number(entry, "/from"),
            number(entry, "/to"),
            text(entry, "/epoch"),
            text(entry, "/reason"),
            number(entry, "/bytes"),
            number(entry, "/segment"),
            number(entry, "/offset"),
        )
    };
    entries.iter().map(line).collect()
}

/// `tillbind outbox quarantine drop`.
pub(super) fn dropped(dropped: &Value) -> Vec<String> {
    let id = number(dropped, "/id");
    vec![format!("Dropped   entry {id}; it is noted in audit.log")]
}

/// `tillbind devices`.
pub(super) fn devices(devices: &Value) -> Vec<String> {
    let each = devices.as_array().map(Vec::as_slice).unwrap_or_default();
    if each.is_empty() {
        return vec!["Devices   none are set up".to_owned()];
    }
    each.iter()
        .flat_map(|device| {
            let kind = text(device, "/kind");
            let (count, told) = match kind {
                "scanner" | "nfc" => ("/scans", "scans"),
                "receipt_tap" => ("/jobs", "receipts"),
                _ => ("/sales", "sales"),
            };
            let line = format!(
                "Device    {} ({kind}) {} at {}: {} {told}",
                text(device, "/name"),
                text(device, "/state"),
                text(device, "/endpoint"),
                number(device, count),
            );
            let rejected = match number(device, "/rejected") {
                0 => None,
                files => Some(format!("{files} files set aside")),
            };
            let footers = match (number(device, "/footers"), number(device, "/footers_late")) {
                (0, 0) => None,
                (printed, late) => Some(format!("{printed} claim codes printed, {late} too late")),
            };
            // A fault that is over still tells why a sale is missing.
            let fault = ["/fault", "/last_error"].into_iter().find_map(|path| {
                device
                    .pointer(path)
                    .and_then(Value::as_str)
                    .map(str::to_owned)
            });
            let below = rejected.into_iter().chain(footers).chain(fault);
            std::iter::once(line).chain(below.map(|said| format!("          {said}")))
        })
        .collect()
}

/// `tillbind card`.
pub(super) fn card(card: &Value) -> Vec<String> {
    let mut lines = vec![format!(
        "Card      {} {}, as of {}",
        text(card, "/card"),
        text(card, "/state"),
        text(card, "/as_of")
    )];
    if card.get("member").is_some() {
        lines.push(format!(
            "Member    {} {}, {} points, tier {}",
            text(card, "/member"),
            text(card, "/name"),
            number(card, "/points"),
            text(card, "/tier"),
        ));
    } else if card.get("points").is_some() {
        lines.push(format!("Points    {}", number(card, "/points")));
    }
    for binding in card
        .get("bindings")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        lines.push(format!(
            "Binding   {} {} {}",
            text(binding, "/account"),
            text(binding, "/state"),
            binding
                .get("reason")
                .and_then(Value::as_str)
                .unwrap_or_default(),
        ));
    }
    lines
}

/// `tillbind bind`.
pub(super) fn binding(bound: &Value) -> Vec<String> {
    vec![format!(
        "Binding   to {} requested, event {}; headquarters decides",
        text(bound, "/account"),
        number(bound, "/seq")
    )]
}

/// A line of `tillbind devices watch`.
pub(super) fn happening(name: &str, data: &Value) -> String {
    let fields = data
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null());
    let fields: Vec<String> = fields
        .map(|(key, value)| match value.as_str() {
            Some(text) => format!("{key}={text}"),
            None => format!("{key}={value}"),
        })
        .collect();
    format!("{name:<18}{}", fields.join(" "))
}
