//! Figures for Prometheus: what headquarters should worry about, asked of the database, and what this
//! process counts ([`crate::metrics`] has their table).

use std::fmt::{self, Write};
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::refusal::Refused;
use super::{Admin, CONNECTIONS_MAX};
use crate::clock::now_ms;
use crate::metrics::ExchangeMetrics;
use crate::serve::Central;
use crate::store::statement::row;
use crate::values;

/// Name, meaning and query of each figure. `$1` is the time.
const GAUGES: [(&str, &str, &str); 12] = [
    (
        "tillbind_terminals",
        "Terminals that may sync.",
        "SELECT COUNT(*) FROM terminals WHERE revoked_ms IS NULL AND $1 > 0",
    ),
    (
        "tillbind_terminals_silent",
        "Terminals that may sync, stand in nobody's place and were not in touch for five minutes.",
        "SELECT COUNT(*) FROM terminals WHERE revoked_ms IS NULL AND superseded_ms IS NULL
            AND COALESCE(last_seen_ms, 0) < $1 - 300000",
    ),
    (
        "tillbind_terminals_outbox_events",
        "Events that wait on terminals, as they last said.",
        "SELECT CAST(COALESCE(SUM(outbox_events), 0) AS BIGINT) FROM terminals
            WHERE revoked_ms IS NULL AND $1 > 0",
    ),
    (
        "tillbind_central_terminal_disk_tight",
        "Terminals with little room left for their events, as they last said.",
        "SELECT COUNT(*) FROM terminals WHERE revoked_ms IS NULL AND disk = 'tight' AND $1 > 0",
    ),
    (
        "tillbind_central_terminal_disk_full",
        "Terminals without room, which give up events or refuse them, as they last said.",
        "SELECT COUNT(*) FROM terminals WHERE revoked_ms IS NULL AND disk = 'full' AND $1 > 0",
    ),
    (
        "tillbind_central_terminal_outbox_bytes",
        "Bytes of the events that wait on terminals, as they last said.",
        "SELECT CAST(COALESCE(SUM(outbox_bytes), 0) AS BIGINT) FROM terminals
            WHERE revoked_ms IS NULL AND $1 > 0",
    ),
    (
        "tillbind_central_terminal_sacrificed_events",
        "Events that terminals gave up for want of room since their start, as they last said.",
        "SELECT CAST(COALESCE(SUM(sacrificed), 0) AS BIGINT) FROM terminals WHERE $1 > 0",
    ),
    (
        "tillbind_central_terminal_quarantined_records",
        "Records in the quarantines of terminals, as they last said.",
        "SELECT CAST(COALESCE(SUM(quarantined), 0) AS BIGINT) FROM terminals
            WHERE revoked_ms IS NULL AND $1 > 0",
    ),
    (
        "tillbind_quarantine_waiting",
        "Records that could not be used and wait for somebody.",
        "SELECT COUNT(*) FROM quarantine WHERE resolved_ms IS NULL AND $1 > 0",
    ),
    (
        "tillbind_disputes_open",
        "Cards that two accounts claim.",
        "SELECT COUNT(*) FROM disputes WHERE settled_ms IS NULL AND $1 > 0",
    ),
    (
        "tillbind_claims_waiting",
        "Claim codes that were entered and wait for their terminal or their sale.",
        "SELECT COUNT(*) FROM claims WHERE state = 'waiting' AND waits_until_ms > $1",
    ),
    (
        "tillbind_gaps_events",
        "Events that terminals could no longer send and that did not come after all.",
        "SELECT CAST(COALESCE(SUM(to_seq - from_seq + 1 - filled), 0) AS BIGINT) FROM gaps WHERE $1 > 0",
    ),
];

/// Tells the figures in Prometheus' text form.
#[utoipa::path(get, path = "/metrics", tag = "reader",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn show(State(admin): State<Arc<Admin>>) -> Result<Response, Refused> {
    let reader = admin.central.store.reader();
    let mut text = String::new();
    for (name, help, sql) in GAUGES {
        let found = row(reader, "count for the metrics", sql, values![now_ms()]).await?;
        let figure = found.map_or(Ok(0), |row| row.int(0))?;
        series(&mut text, "gauge", name, help, &[("", count_of(figure))]).map_err(defect)?;
    }
    process(&mut text, &admin.central).map_err(defect)?;
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media_type)], text).into_response())
}

fn defect(error: fmt::Error) -> Refused {
    Refused::Defect(Box::new(error))
}

fn count_of(figure: i64) -> u64 {
    u64::try_from(figure).unwrap_or_default()
}

/// Writes the lines of one name, each with its labels.
fn series(
    text: &mut String,
    kind: &str,
    name: &str,
    help: &str,
    lines: &[(&str, u64)],
) -> fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
    for (labels, figure) in lines {
        if labels.is_empty() {
            writeln!(text, "{name} {figure}")?;
        } else {
            writeln!(text, "{name}{{{labels}}} {figure}")?;
        }
    }
    Ok(())
}

fn process(text: &mut String, central: &Central) -> fmt::Result {
    connections(text, central)?;
    admission(text, central)?;
    exchange(text, &central.metrics.exchange)?;
    let pool = central.store.pool();
    let (used, idle) = (wide(pool.used), wide(pool.idle));
    series(
        text,
        "gauge",
        "tillbind_central_database_connections",
        "Connections of this process to its database.",
        &[("state=\"used\"", used), ("state=\"idle\"", idle)],
    )?;
    let name = "tillbind_central_commit_seconds";
    central
        .store
        .commits()
        .write(text, name, "How long a commit at the database takes.")
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn connections(text: &mut String, central: &Central) -> fmt::Result {
    const SYNC: &str = "listener=\"sync\"";
    const ADMIN: &str = "listener=\"admin\"";
    let (sync, admin) = (&central.metrics.sync, &central.metrics.admin);
    series(
        text,
        "gauge",
        "tillbind_central_connections",
        "Open connections.",
        &[
            (SYNC, sync.connections.get()),
            (ADMIN, admin.connections.get()),
        ],
    )?;
    series(
        text,
        "gauge",
        "tillbind_central_connections_max",
        "Most connections at once; further ones are closed.",
        &[
            (SYNC, wide(central.config.sync.connections_max)),
            (ADMIN, wide(CONNECTIONS_MAX)),
        ],
    )?;
    let closed = |listener: &str, why: &str| format!("{listener},why=\"{why}\"");
    let lines = [(SYNC, sync), (ADMIN, admin)].map(|(listener, counted)| {
        [
            (closed(listener, "full"), counted.full.get()),
            (closed(listener, "strangers"), counted.strangers.get()),
            (closed(listener, "handshake"), counted.handshake.get()),
        ]
    });
    let lines = lines.as_flattened();
    let lines: Vec<(&str, u64)> = lines.iter().map(|(l, n)| (l.as_str(), *n)).collect();
    series(
        text,
        "counter",
        "tillbind_central_connections_closed_total",
        "Connections closed at the door.",
        &lines,
    )?;
    series(
        text,
        "gauge",
        "tillbind_central_handshakes_waiting",
        "Connections that wait to shake hands.",
        &[(
            "",
            sync.handshakes_waiting.get() + admin.handshakes_waiting.get(),
        )],
    )
}

fn admission(text: &mut String, central: &Central) -> fmt::Result {
    const SENDING: &str = "stage=\"sending\"";
    const WORKING: &str = "stage=\"working\"";
    let (load, limits) = (central.door.load(), central.door.limits());
    series(
        text,
        "gauge",
        "tillbind_central_exchanges",
        "Exchanges: sending their body, waiting for their turn, working.",
        &[
            (SENDING, wide(load.sending)),
            ("stage=\"waiting\"", wide(load.waiting)),
            (WORKING, wide(load.working)),
        ],
    )?;
    series(
        text,
        "gauge",
        "tillbind_central_exchanges_max",
        "Most exchanges sending or waiting, and most working.",
        &[
            (SENDING, wide(limits.sending)),
            (WORKING, wide(limits.turns)),
        ],
    )?;
    for (name, help, figure) in [
        (
            "tillbind_central_body_bytes",
            "Bytes of bodies in flight, as they were announced.",
            load.bytes,
        ),
        (
            "tillbind_central_body_bytes_max",
            "Most bytes of bodies in flight.",
            limits.bytes,
        ),
        (
            "tillbind_central_terminals_owed",
            "Terminals that were told to slow down and have not been served since.",
            load.owed,
        ),
    ] {
        series(text, "gauge", name, help, &[("", wide(figure))])?;
    }
    let exchange = &central.metrics.exchange;
    series(
        text,
        "counter",
        "tillbind_central_slow_downs_total",
        "Told to slow down: when asked, before the body; overdue, after a wait.",
        &[
            ("why=\"asked\"", exchange.slowed_asked.get()),
            ("why=\"overdue\"", exchange.slowed_overdue.get()),
        ],
    )
}

fn exchange(text: &mut String, exchange: &ExchangeMetrics) -> fmt::Result {
    series(
        text,
        "gauge",
        "tillbind_central_polls",
        "Polls that are held.",
        &[("", exchange.polls.get())],
    )?;
    for (name, help, counter) in [
        (
            "tillbind_central_batches_total",
            "Requests of which events were taken.",
            &exchange.batches,
        ),
        (
            "tillbind_central_events_total",
            "Events taken.",
            &exchange.events,
        ),
        (
            "tillbind_central_quarantined_total",
            "Events taken that could not be used.",
            &exchange.quarantined,
        ),
        (
            "tillbind_central_gaps_total",
            "Gaps recorded.",
            &exchange.gaps,
        ),
        (
            "tillbind_central_rewinds_total",
            "Terminals asked to send again.",
            &exchange.rewinds,
        ),
        (
            "tillbind_central_forks_total",
            "Terminals told that their history forked.",
            &exchange.forks,
        ),
        (
            "tillbind_central_contended_total",
            "Takings tried again, since another transaction was in the way.",
            &exchange.contended,
        ),
    ] {
        series(text, "counter", name, help, &[("", counter.get())])?;
    }
    let refusals: Vec<(String, u64)> = exchange
        .refusals()
        .map(|(word, count)| (format!("word=\"{word}\""), count))
        .collect();
    let refusals: Vec<(&str, u64)> = refusals.iter().map(|(l, n)| (l.as_str(), *n)).collect();
    series(
        text,
        "counter",
        "tillbind_central_refusals_total",
        "Requests refused, by the word of the answer.",
        &refusals,
    )?;
    let name = "tillbind_central_exchange_seconds";
    exchange
        .turns
        .write(text, name, "How long an exchange works with the database.")
}
