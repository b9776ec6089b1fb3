//! Figures in the text form that Prometheus reads (exposition format 0.0.4).
//!
//! A dozen numbers that others count already are written out, so there is no registry to keep in step.

use std::fmt::{self, Write};

use crate::api::view::StatusView;
use crate::outbox::{LATENCY_BOUNDS_US, Pressure, SACRIFICES, Stats};

/// Content type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes the figures.
pub fn encode(status: &StatusView, stats: &Stats) -> String {
    let mut text = String::new();
    // Writing into a string does not fail.
    let _written = write(&mut text, status, stats).is_ok();
    text
}

fn write(out: &mut String, status: &StatusView, stats: &Stats) -> fmt::Result {
    let outbox = &status.outbox;
    gauge(
        out,
        "tillbind_outbox_events",
        "Events that wait for central",
        outbox.events,
    )?;
    gauge(
        out,
        "tillbind_outbox_bytes",
        "Bytes that wait for central",
        outbox.bytes,
    )?;
    gauge(
        out,
        "tillbind_outbox_disk_bytes",
        "Disk that the outbox takes",
        outbox.disk_bytes,
    )?;
    gauge(
        out,
        "tillbind_outbox_degraded",
        "1 while reading goes by the journal alone",
        u64::from(outbox.degraded),
    )?;
    room(out, status, stats)?;
    gauge(
        out,
        "tillbind_outbox_appended_seq",
        "Newest durable place",
        outbox.appended,
    )?;
    gauge(
        out,
        "tillbind_outbox_acked_seq",
        "Place up to which central has all",
        outbox.acked,
    )?;
    counter(
        out,
        "tillbind_outbox_syncs_total",
        "Syncs of the journal",
        stats.syncs,
    )?;
    counter(
        out,
        "tillbind_outbox_failures_total",
        "Appends that the disk refused",
        stats.failures,
    )?;
    latencies(out, stats)?;
    gauge(
        out,
        "tillbind_replica_members",
        "Members in the replica",
        status.replica.members,
    )?;
    gauge(
        out,
        "tillbind_replica_cards",
        "Cards in the replica",
        status.replica.cards,
    )?;
    gauge(
        out,
        "tillbind_line_online",
        "1 while central answers",
        u64::from(status.line.state == "online"),
    )?;
    let line = &status.line;
    for (name, help, count) in [
        (
            "tillbind_line_answers_total",
            "Answers of central",
            line.answers,
        ),
        (
            "tillbind_line_retries_total",
            "Exchanges that failed",
            line.retries,
        ),
        (
            "tillbind_line_rewinds_total",
            "Answers that asked for events again",
            line.rewinds,
        ),
        (
            "tillbind_line_slow_downs_total",
            "Answers that asked for patience",
            line.slow_downs,
        ),
        (
            "tillbind_line_refusals_total",
            "Refusals of this terminal",
            line.refusals,
        ),
        (
            "tillbind_line_gaps_total",
            "Requests that told of missing events",
            line.gaps,
        ),
    ] {
        counter(out, name, help, count)?;
    }
    if let Some(offset_ms) = status.clock.offset_ms {
        gauge(
            out,
            "tillbind_clock_offset_ms",
            "Central's clock less the terminal's",
            offset_ms,
        )?;
    }
    if let Some(disk) = &status.disk {
        gauge(
            out,
            "tillbind_disk_free_bytes",
            "Space that may still be filled",
            disk.free_bytes,
        )?;
    }
    if let Some(bytes) = status.memory_bytes {
        gauge(
            out,
            "process_resident_memory_bytes",
            "Memory of the process",
            bytes,
        )?;
    }
    let counts = &status.counts;
    counter(out, "tillbind_scans_total", "Scans recorded", counts.scans)?;
    counter(
        out,
        "tillbind_transactions_total",
        "Transactions recorded",
        counts.sales,
    )?;
    counter(
        out,
        "tillbind_repeats_total",
        "Transactions told again",
        counts.repeats,
    )?;
    counter(
        out,
        "tillbind_unparsed_total",
        "Receipts kept as unparsed",
        counts.unparsed,
    )?;
    counter(
        out,
        "tillbind_files_rejected_total",
        "Journal files set aside",
        counts.rejected,
    )?;
    counter(
        out,
        "tillbind_bindings_total",
        "Bindings requested",
        counts.bindings,
    )?;
    counter(
        out,
        "tillbind_claims_total",
        "Claim codes recorded for receipts",
        counts.claims,
    )?;
    counter(
        out,
        "tillbind_refused_total",
        "Events not recorded",
        counts.refused,
    )?;
    devices(out, status)
}

/// Whether there is room for what comes, and what was given up for want of it.
fn room(out: &mut String, status: &StatusView, stats: &Stats) -> fmt::Result {
    let outbox = &status.outbox;
    let name = "tillbind_outbox_pressure";
    head(out, name, "1 for the state that holds", "gauge")?;
    for state in [Pressure::Ok, Pressure::Tight, Pressure::Full].map(Pressure::as_str) {
        let holds = u8::from(state == outbox.pressure);
        writeln!(out, "{name}{{state=\"{state}\"}} {holds}")?;
    }
    let name = "tillbind_outbox_given_up_total";
    head(out, name, "Events given up for want of room", "counter")?;
    for class in SACRIFICES {
        let (label, count) = (class.as_str(), stats.given_up_of(class));
        writeln!(out, "{name}{{class=\"{label}\"}} {count}")?;
    }
    counter(
        out,
        "tillbind_outbox_refusals_total",
        "Appends refused for want of room",
        stats.refusals,
    )?;
    gauge(
        out,
        "tillbind_outbox_quarantined",
        "Records that could not be read and wait for a person",
        stats.quarantined,
    )?;
    gauge(
        out,
        "tillbind_outbox_oldest_age_seconds",
        "How long the oldest waiting event has waited by the terminal's clock",
        outbox.oldest_age_s.unwrap_or(0),
    )?;
    counter(
        out,
        "tillbind_outbox_events_total",
        "Events made durable",
        stats.commits,
    )?;
    counter(
        out,
        "tillbind_outbox_written_bytes_total",
        "Bytes that the journal wrote to the disk, in whole blocks",
        stats.bytes_written,
    )?;
    counter(
        out,
        "tillbind_line_forks_total",
        "Epochs begun because the history differed",
        status.line.forks,
    )
}

fn devices(out: &mut String, status: &StatusView) -> fmt::Result {
    head(
        out,
        "tillbind_device_up",
        "1 while the device works",
        "gauge",
    )?;
    for device in &status.devices {
        let (name, kind) = (escaped(&device.name), device.kind);
        let up = u8::from(matches!(device.state, "open" | "listening"));
        writeln!(
            out,
            "tillbind_device_up{{device=\"{name}\",kind=\"{kind}\"}} {up}"
        )?;
    }
    head(
        out,
        "tillbind_device_bytes_total",
        "Bytes that came from the device",
        "counter",
    )?;
    for device in &status.devices {
        let (name, kind) = (escaped(&device.name), device.kind);
        let bytes = device.bytes;
        writeln!(
            out,
            "tillbind_device_bytes_total{{device=\"{name}\",kind=\"{kind}\"}} {bytes}"
        )?;
    }
    Ok(())
}

fn latencies(out: &mut String, stats: &Stats) -> fmt::Result {
    let name = "tillbind_outbox_commit_seconds";
    head(out, name, "How long commits took", "histogram")?;
    let mut below = 0;
    for (bound_us, count) in LATENCY_BOUNDS_US.iter().zip(stats.commit_latency.buckets) {
        below += count;
        writeln!(
            out,
            "{name}_bucket{{le=\"{}\"}} {below}",
            *bound_us as f64 / 1e6
        )?;
    }
    writeln!(
        out,
        "{name}_bucket{{le=\"+Inf\"}} {}",
        stats.commit_latency.count
    )?;
    writeln!(out, "{name}_sum {}", stats.commit_latency.sum.as_secs_f64())?;
    writeln!(out, "{name}_count {}", stats.commit_latency.count)
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn gauge(out: &mut String, name: &str, help: &str, value: impl fmt::Display) -> fmt::Result {
    head(out, name, help, "gauge")?;
    writeln!(out, "{name} {value}")
}

fn counter(out: &mut String, name: &str, help: &str, value: impl fmt::Display) -> fmt::Result {
    head(out, name, help, "counter")?;
    writeln!(out, "{name} {value}")
}

fn escaped(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
