//! `POST /sync/v1/exchange`: takes events in, sends changes down, waits while there is neither.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;
use tillbind_protocol::backoff::jitter;
use tillbind_protocol::chain::{CHAIN_BYTES, ChainHash, Mark};
use tillbind_protocol::dictionary::Dictionary;
use tillbind_protocol::exchange::{
    BATCH_EVENTS_MAX, BATCH_HOLES_MAX, CURRENT, EXPRESS_MAX, ExchangeRequest, ExchangeResponse,
    MIN, Verdict,
};
use tillbind_protocol::ids::Seq;
use tillbind_protocol::member_code::KeySet;
use tillbind_protocol::replica::Page;
use tokio::time::timeout;
use tracing::Instrument;

use super::admission::DELAY_MIN;
use super::door::Pass;
use super::refusal::Refused;
use super::{Head, Service, body, identity};
use crate::changes::{Place, page};
use crate::clock::{monotonic, now_ms};
use crate::entropy;
use crate::intake::{self, Arrival, SEQ_MAX, Taken};
use crate::keys;
use crate::metrics::ExchangeMetrics;
use crate::sync::identity::Peer;
use crate::terminals::{self, Contact, SEEN_GRAIN_MS, Terminal};

/// How long a body may be on its way: a usual batch at 20 kbit/s.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// Polls that a change wakes read their pages spread over a millisecond for each so many of them …
const POLLS_PER_JITTER_MS: u64 = 20;
/// … and over this long at most, so that a change still arrives within a second.
const JITTER_MAX: Duration = Duration::from_millis(400);

/// The version since which requests may be packed with a dictionary.
const DICTIONARY_SINCE: u16 = 2;

/// Answers one exchange.
pub(super) async fn exchange(
    State(service): State<Arc<Service>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, Refused> {
    let answer = |answer| Ok(body::answer(&answer, body::accepts_zstd(&headers)));
    let shown = peer.certificate.as_ref().ok_or(Refused::NoCertificate)?;
    let announced = body::announced(&headers)?;
    let mut pass = match service.door.ask(shown.terminal.clone(), announced) {
        Ok(pass) => pass,
        Err(delay) => return answer(&slow_down(delay)),
    };
    let Ok(bytes) = timeout(BODY_TIMEOUT, body::collect(sent, announced)).await else {
        let delay = pass.give_up().unwrap_or(DELAY_MIN);
        return answer(&slow_down(delay));
    };
    let bytes = bytes?;
    let received_ms = now_ms();
    if let Err(delay) = pass.turn().await {
        return answer(&slow_down(delay));
    }
    let request = read(&service, &headers, &bytes).await?;
    drop(bytes);
    check(&request)?;
    let span = tracing::info_span!(
        "exchange",
        terminal = %shown.terminal,
        epoch = %request.epoch,
        verdict = tracing::field::Empty,
        events = tracing::field::Empty,
        took_ms = tracing::field::Empty,
    );
    let response = respond(&service, &peer, request, received_ms, pass);
    answer(&response.instrument(span).await?.of_its_version())
}

/// An answer of which nothing was read: no epoch is known yet, so that its mark names none, and the
/// version is one that every terminal reads.
fn slow_down(delay: Duration) -> ExchangeResponse {
    let now_ms = now_ms();
    ExchangeResponse {
        v: MIN,
        verdict: Verdict::SlowDown {
            for_ms: u32::try_from(delay.as_millis()).unwrap_or(u32::MAX),
        },
        acked: Mark {
            seq: Seq::ZERO,
            chain: ChainHash([0; CHAIN_BYTES]),
        },
        page: None,
        keys: None,
        dictionary: None,
        received_ms: now_ms,
        sent_ms: now_ms,
    }
}

/// Reads a request with the dictionary that its frame names.
async fn read(
    service: &Service,
    headers: &HeaderMap,
    bytes: &Bytes,
) -> Result<ExchangeRequest, Refused> {
    let Some(id) = body::dictionary_id(headers, bytes) else {
        return body::read(headers, bytes, None);
    };
    let Some(held) = service.dictionaries.get(id).await? else {
        return Err(Refused::Dictionary(id));
    };
    let request: ExchangeRequest = body::read(headers, bytes, Some(&held.decoder))?;
    if request.v < DICTIONARY_SINCE {
        return Err(Refused::Dictionary(id));
    }
    Ok(request)
}

pub(super) fn check(request: &ExchangeRequest) -> Result<(), Refused> {
    if !(MIN..=CURRENT).contains(&request.v) {
        return Err(Refused::Version(request.v));
    }
    if let Some(batch) = &request.batch
        && (batch.events.len() > BATCH_EVENTS_MAX || batch.holes.len() > BATCH_HOLES_MAX)
    {
        return Err(Refused::TooLarge);
    }
    if request.express.len() > EXPRESS_MAX {
        return Err(Refused::TooLarge);
    }
    if let Some(why) = request.fault() {
        return Err(Refused::BadRequest(why.to_owned()));
    }
    if request.highest_place().0 > SEQ_MAX {
        let why = "a place is beyond 2^63: start a new epoch";
        return Err(Refused::BadRequest(why.to_owned()));
    }
    Ok(())
}

async fn respond(
    service: &Service,
    peer: &Peer,
    request: ExchangeRequest,
    received_ms: i64,
    turn: Pass,
) -> Result<ExchangeResponse, Refused> {
    let began = monotonic();
    let sends = request.sends();
    let terminal = identity::authorise(&service.store, peer).await?;
    if let Some(reason) = cloned(service, &terminal, &request, received_ms).await? {
        return Ok(verdict(&request, Verdict::Refused { reason }, received_ms));
    }
    let taken = take(service, &terminal, &request, received_ms).await?;
    note_seen(service, &terminal, &request, &taken, received_ms).await?;
    drop(turn);
    trace(&taken, began.elapsed());
    let wait = if sends || taken.verdict != Verdict::Ok {
        Duration::ZERO
    } else {
        Duration::from_millis(request.wait_ms.min(service.poll_ms_max).into())
    };
    let News {
        page,
        keys,
        dictionary,
    } = news(service, &request, wait).await?;
    Ok(ExchangeResponse {
        v: request.v,
        verdict: taken.verdict,
        acked: taken.acked,
        page,
        keys,
        dictionary,
        received_ms,
        sent_ms: now_ms(),
    })
}

/// An answer that takes nothing.
fn verdict(request: &ExchangeRequest, verdict: Verdict, received_ms: i64) -> ExchangeResponse {
    ExchangeResponse {
        v: request.v,
        verdict,
        acked: Mark::genesis(request.epoch),
        page: None,
        keys: None,
        dictionary: None,
        received_ms,
        sent_ms: now_ms(),
    }
}

/// Returns why an identity that turned up on other hardware is refused.
async fn cloned(
    service: &Service,
    terminal: &Terminal,
    request: &ExchangeRequest,
    received_ms: i64,
) -> Result<Option<String>, Refused> {
    let Some(hello) = &request.hello else {
        return Ok(None);
    };
    if hello.machine == terminal.machine {
        return Ok(None);
    }
    tracing::warn!(terminal = %terminal.id, "a terminal's identity was used on another machine");
    terminals::note_cloned(&service.store, &terminal.id, &hello.machine, received_ms).await?;
    Ok(Some(format!(
        "this identity belongs to another machine: terminal {} was enrolled elsewhere and its disk \
         or data directory was copied; enrol this machine with a token of its own",
        terminal.id
    )))
}

async fn take(
    service: &Service,
    terminal: &Terminal,
    request: &ExchangeRequest,
    received_ms: i64,
) -> Result<Taken, Refused> {
    let arrival = Arrival {
        terminal,
        received_ms,
        rules: service.rules,
    };
    let taken = intake::take(&service.store, &arrival, request).await?;
    if taken.quarantined > 0 {
        tracing::warn!(
            terminal = %terminal.id, records = taken.quarantined, "records went into quarantine"
        );
    }
    if let Verdict::Fork { at } = taken.verdict {
        tracing::warn!(
            terminal = %terminal.id, epoch = %request.epoch, %at, "a terminal's history forked"
        );
    }
    count(&service.metrics.exchange, &taken);
    Ok(taken)
}

fn count(metrics: &ExchangeMetrics, taken: &Taken) {
    if taken.events > 0 {
        metrics.batches.count();
    }
    metrics.events.add(taken.events);
    metrics.quarantined.add(taken.quarantined);
    metrics.gaps.add(taken.gaps);
    metrics.contended.add(taken.contended);
    match taken.verdict {
        Verdict::Rewind { .. } => metrics.rewinds.count(),
        Verdict::Fork { .. } => metrics.forks.count(),
        Verdict::Ok | Verdict::SlowDown { .. } | Verdict::Refused { .. } => {}
    }
}

/// Writes into the exchange's span what came of it. A poll that changed nothing makes no line.
fn trace(taken: &Taken, took: Duration) {
    let verdict = match taken.verdict {
        Verdict::Ok => "ok",
        Verdict::Rewind { .. } => "rewind",
        Verdict::Fork { .. } => "fork",
        Verdict::SlowDown { .. } => "slow_down",
        Verdict::Refused { .. } => "refused",
    };
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let span = tracing::Span::current();
    span.record("verdict", verdict);
    span.record("events", taken.events);
    span.record("took_ms", took_ms);
    if taken.events > 0 || taken.verdict != Verdict::Ok {
        tracing::debug!("a request was taken");
    }
}

async fn note_seen(
    service: &Service,
    terminal: &Terminal,
    request: &ExchangeRequest,
    taken: &Taken,
    now_ms: i64,
) -> Result<(), Refused> {
    let fresh = terminal
        .last_seen_ms
        .is_some_and(|seen| (0..SEEN_GRAIN_MS).contains(&now_ms.saturating_sub(seen)));
    if fresh && terminal.epoch == Some(request.epoch) && request.hello.is_none() {
        return Ok(());
    }
    let tx = service.store.begin().await?;
    let hello = request.hello.as_ref();
    let contact = Contact {
        epoch: request.epoch,
        outbox_events: request.head.seq.0.saturating_sub(taken.acked.seq.0),
        clock_offset_ms: hello
            .and_then(|hello| hello.clock_offset_ms)
            .unwrap_or_else(|| now_ms.saturating_sub(request.at_ms)),
        hello,
    };
    terminals::note_seen(&*tx, &terminal.id, &contact, now_ms).await?;
    tx.commit().await?;
    if let Some(disk) = hello.and_then(|hello| hello.disk) {
        terminals::warn_of_disk(terminal, disk);
    }
    Ok(())
}

/// What goes down.
#[derive(Debug, Default)]
struct News {
    page: Option<Page>,
    keys: Option<KeySet>,
    dictionary: Option<Dictionary>,
}

/// Returns the newest dictionary if the terminal reads dictionaries, holds another, and asked for no
/// answer shorter than that.
async fn dictionary(
    service: &Service,
    request: &ExchangeRequest,
    newest: &Head,
) -> Result<Option<Dictionary>, Refused> {
    let id = newest.dictionary;
    if request.v < DICTIONARY_SINCE || id == 0 || id == request.dictionary {
        return Ok(None);
    }
    let held = service.dictionaries.get(id).await?;
    let bytes_max = match usize::try_from(request.page_bytes) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(bytes) => bytes,
    };
    let fits = held.filter(|held| held.dictionary.bytes.len() <= bytes_max);
    Ok(fits.map(|held| held.dictionary.clone()))
}

/// Returns what the terminal does not have yet, and waits for it as long as allowed.
async fn news(
    service: &Service,
    request: &ExchangeRequest,
    wait: Duration,
) -> Result<News, Refused> {
    let mut head = service.head.clone();
    let mut stopping = service.stopping.clone();
    let deadline = tokio::time::sleep(wait);
    tokio::pin!(deadline);
    loop {
        let newest = head.borrow_and_update().clone();
        let keys = if newest.keys > request.keys {
            Some(keys::valid(service.store.reader()).await?)
        } else {
            None
        };
        let page = if has_all(request, &newest) {
            None
        } else {
            let _turn = service.pages.acquire().await;
            let bytes_max = page::bytes_max(request.page_bytes);
            let reader = service.store.reader();
            page::after(reader, &newest.history, &request.cursor, bytes_max).await?
        };
        // By itself: with a page it would make a long answer longer.
        let dictionary = if page.is_none() {
            dictionary(service, request, &newest).await?
        } else {
            None
        };
        let told = page.is_some() || keys.is_some() || dictionary.is_some();
        if told || wait.is_zero() || *stopping.borrow() {
            return Ok(News {
                page,
                keys,
                dictionary,
            });
        }
        let polls = &service.metrics.exchange.polls;
        let held = polls.enter();
        tokio::select! {
            () = &mut deadline => return Ok(News::default()),
            _ = stopping.changed() => return Ok(News::default()),
            changed = head.changed() => {
                if changed.is_err() {
                    return Ok(News::default());
                }
            }
        }
        let spread = spread(polls.get());
        tokio::time::sleep(jitter(spread, u64::from(draw()) * 1_000_003)).await;
        drop(held);
    }
}

fn has_all(request: &ExchangeRequest, newest: &Head) -> bool {
    let place = Place::of_cursor(&request.cursor, &newest.history, newest.version);
    match place {
        Some(place) => place.version == newest.version && place.is_end(),
        None => request.cursor.0.is_empty() && newest.version == 0,
    }
}

/// Over how long polls that wake together are spread.
fn spread(polls: u64) -> Duration {
    Duration::from_millis(polls / POLLS_PER_JITTER_MS).min(JITTER_MAX)
}

/// Draws a number for jitter; without random bytes there is none, and no harm.
fn draw() -> u32 {
    entropy::bytes::<4>().map_or(0, u32::from_le_bytes)
}
