//! How the terminal is: status, devices, the queue, metrics.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use chrono::SecondsFormat;
use serde::Deserialize;
use tillbind_protocol::event::Event as Recorded;
use tillbind_protocol::ids::Seq;

use super::Served;
use super::calls::ask;
use super::fault::Fault;
use super::lookup::rfc3339;
use super::view::{
    ClockView, CountsView, DeviceView, DiskView, EventView, GivenUpView, IdentityView, LineView,
    OutboxPage, OutboxView, ReplicaView, StatusView,
};
use crate::clock;
use crate::devices::DeviceStatus;
use crate::event::Call;
use crate::identity::Identity;
use crate::identity::renewal::Validity;
use crate::metrics;
use crate::outbox::{Class, ReadError, Stored};
use crate::platform;

/// Most events in one page of the queue.
const PAGE_EVENTS_MAX: usize = 1_000;
/// Most bytes of events in one page of the queue.
const PAGE_BYTES_MAX: usize = 1024 * 1024;

#[utoipa::path(get, path = "/v1/status", responses(
    (status = 200, description = "How the terminal is", body = StatusView)))]
pub(super) async fn get_status(State(served): State<Served>) -> Result<Json<StatusView>, Fault> {
    status(&served).await.map(Json)
}

#[utoipa::path(get, path = "/v1/devices", responses(
    (status = 200, description = "The devices", body = Vec<DeviceView>)))]
pub(super) async fn get_devices(State(served): State<Served>) -> Json<Vec<DeviceView>> {
    Json(served.board.status().into_iter().map(device).collect())
}

pub(super) async fn get_metrics(State(served): State<Served>) -> Result<impl IntoResponse, Fault> {
    let status = status(&served).await?;
    let text = metrics::encode(&status, &served.outbox.stats());
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text))
}

/// Which page of the queue.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(super) struct PageQuery {
    /// The place before the first event; the acknowledged one if absent.
    after: Option<u64>,
    /// Most events; 0 for the figures alone.
    #[serde(default)]
    limit: usize,
}

#[utoipa::path(get, path = "/v1/outbox", params(PageQuery), responses(
    (status = 200, description = "The queue and a page of what waits", body = OutboxPage)))]
pub(super) async fn get_outbox(
    State(served): State<Served>,
    Query(page): Query<PageQuery>,
) -> Result<Json<OutboxPage>, Fault> {
    let after = page.after.map_or(served.outbox.acked().seq, Seq);
    let limit = page.limit.min(PAGE_EVENTS_MAX);
    let waiting = if limit == 0 {
        Vec::new()
    } else {
        read(&served, after, limit).await?
    };
    Ok(Json(OutboxPage {
        outbox: outbox(&served).await,
        waiting: waiting.into_iter().map(event).collect(),
    }))
}

#[utoipa::path(get, path = "/v1/outbox/{seq}", params(("seq" = u64, Path)), responses(
    (status = 200, description = "An event that waits", body = EventView),
    (status = 404, description = "It was acknowledged, or there is none yet", body = Fault)))]
pub(super) async fn get_event(
    State(served): State<Served>,
    Path(seq): Path<u64>,
) -> Result<Json<EventView>, Fault> {
    let absent = || {
        let acked = served.outbox.acked().seq;
        let message = if seq <= acked.0 {
            format!(
                "event {seq} is at headquarters (acknowledged up to {acked}) and no longer kept here"
            )
        } else {
            format!(
                "event {seq} is not in the outbox: the newest is {}",
                served.outbox.appended().seq
            )
        };
        Fault::new(StatusCode::NOT_FOUND, "no_such_event", message)
    };
    let found = read(&served, Seq(seq).before(), 1).await?;
    let found = found.into_iter().find(|one| one.mark.seq == Seq(seq));
    found.map(event).map(Json).ok_or_else(absent)
}

async fn read(served: &Served, after: Seq, limit: usize) -> Result<Vec<Stored>, Fault> {
    let outbox = served.outbox.clone();
    let read = tokio::task::spawn_blocking(move || {
        let mut after = after;
        loop {
            match outbox.read_after(after, limit, PAGE_BYTES_MAX) {
                Err(ReadError::Gone { .. }) => return Ok(Vec::new()),
                // Gaps with different reasons stand side by side.
                Err(ReadError::Gap { until, .. }) => after = until.seq,
                read => return read,
            }
        }
    });
    read.await
        .map_err(|_| Fault::ending())?
        .map_err(|error| Fault::internal(&error))
}

fn event(stored: Stored) -> EventView {
    EventView {
        seq: stored.mark.seq.0,
        chain: stored.mark.chain.to_string(),
        event: serde_json::from_slice(&stored.record).unwrap_or_default(),
    }
}

/// Gathers all of it.
pub(super) async fn status(served: &Served) -> Result<StatusView, Fault> {
    let state = ask(served, Call::State).await?;
    let line = served.line.borrow().clone();
    let counts = served
        .replica
        .counts()
        .map_err(|error| Fault::internal(&error))?;
    let cursor = served
        .replica
        .cursor()
        .map_err(|error| Fault::internal(&error))?;
    let as_of = line.last_exchange_ms.and_then(rfc3339);
    let identity = Identity::load(&served.config.data_dir).ok().flatten();
    Ok(StatusView {
        version: env!("CARGO_PKG_VERSION"),
        identity: identity.map(|identity| IdentityView {
            certificate_until: Validity::of(&identity)
                .ok()
                .and_then(|v| rfc3339(v.until_ms)),
            terminal: identity.terminal.to_string(),
            store: identity.store.to_string(),
            workstation: identity.workstation.to_string(),
            url: identity.url,
        }),
        outbox: outbox(served).await,
        replica: ReplicaView {
            members: counts.members,
            cards: counts.cards,
            version: cursor.unwrap_or_default(),
            complete: line.replica_complete,
            as_of: as_of.clone(),
            disk_bytes: served.replica.disk_bytes(),
            keys_version: state.keys_version,
        },
        line: LineView {
            state: line.as_str(),
            last_exchange_at: as_of,
            last_error: line.last_error,
            forks: line.forks,
            answers: line.counts.answers,
            retries: line.counts.retries,
            rewinds: line.counts.rewinds,
            slow_downs: line.counts.slow_downs,
            refusals: line.counts.refusals,
            gaps: line.counts.gaps,
        },
        devices: served.board.status().into_iter().map(device).collect(),
        clock: ClockView {
            offset_ms: state.clock.map(|(offset_ms, _)| offset_ms),
            uncertainty_ms: state.clock.map(|(_, uncertainty_ms)| uncertainty_ms),
        },
        disk: platform::disk_space(&served.config.data_dir)
            .ok()
            .map(|space| DiskView {
                free_bytes: space.free,
                total_bytes: space.total,
            }),
        counts: CountsView {
            scans: state.counts.scans,
            sales: state.counts.sales,
            repeats: state.counts.repeats,
            unparsed: state.counts.unparsed,
            rejected: state.counts.rejected,
            bindings: state.counts.bindings,
            claims: state.counts.claims,
            bindings_requested: state.bindings_requested as u64,
            refused: state.counts.refused,
        },
        memory_bytes: platform::resident_memory(),
    })
}

async fn outbox(served: &Served) -> OutboxView {
    let stats = served.outbox.stats();
    let oldest_ms = match stats.oldest {
        None => None,
        Some(oldest) => {
            let first = read(served, oldest.before(), 1).await.unwrap_or_default();
            let event = first
                .first()
                .and_then(|one| Recorded::from_record(&one.record).ok());
            event.map(|event| event.stamp.local_ms)
        }
    };
    let now_ms = clock::wall().timestamp_millis();
    OutboxView {
        epoch: served.outbox.epoch().to_string(),
        events: stats.events,
        bytes: stats.bytes,
        oldest_seq: stats.oldest.map(|seq| seq.0),
        oldest_at: oldest_ms.and_then(rfc3339),
        oldest_age_s: oldest_ms
            .and_then(|at_ms| u64::try_from(now_ms.saturating_sub(at_ms) / 1_000).ok()),
        appended: served.outbox.appended().seq.0,
        acked: served.outbox.acked().seq.0,
        disk_bytes: stats.disk_bytes,
        failures: stats.failures,
        degraded: stats.degraded,
        pressure: stats.pressure.as_str(),
        refusals: stats.refusals,
        given_up: GivenUpView {
            telemetry: stats.given_up_of(Class::Telemetry),
            unparsed_receipts: stats.given_up_of(Class::Receipt),
            scans: stats.given_up_of(Class::Scan),
        },
        quarantined: stats.quarantined,
        bytes_written: stats.bytes_written,
    }
}

fn device(status: DeviceStatus) -> DeviceView {
    DeviceView {
        kind: status.kind.as_str(),
        state: status.state.as_str(),
        since: status.since.to_rfc3339_opts(SecondsFormat::Secs, true),
        fault: status.fault().map(str::to_owned),
        name: status.name,
        endpoint: status.endpoint,
        last_error: status.last_error,
        scans: status.counts.scans,
        ambiguous: status.counts.ambiguous,
        jobs: status.counts.jobs,
        sales: status.counts.sales,
        files: status.counts.files,
        rejected: status.counts.rejected,
        bytes: status.counts.bytes,
        skipped_bytes: status.counts.skipped_bytes,
        dropped_bytes: status.counts.dropped_bytes,
        footers: status.counts.footers,
        footers_late: status.counts.footers_late,
    }
}
