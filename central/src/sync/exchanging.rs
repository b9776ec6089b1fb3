//! `POST /sync/v1/exchange`: takes events in, sends changes down, waits while there is neither.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;
use tillbind_protocol::backoff::jitter;
use tillbind_protocol::chain::Mark;
use tillbind_protocol::dictionary::Dictionary;
use tillbind_protocol::exchange::{
    BATCH_EVENTS_MAX, BATCH_HOLES_MAX, CURRENT, EXPRESS_MAX, ExchangeRequest, ExchangeResponse,
    MIN, Verdict,
};
use tillbind_protocol::member_code::KeySet;
use tillbind_protocol::replica::Page;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

use super::refusal::Refused;
use super::{Head, Service, body, identity};
use crate::changes::{Place, page};
use crate::clock::now_ms;
use crate::entropy;
use crate::intake::{self, Arrival, SEQ_MAX, Taken};
use crate::keys;
use crate::sync::identity::Peer;
use crate::terminals::{self, Contact, SEEN_GRAIN_MS, Terminal};

/// How long a request waits for its turn before its terminal is told to slow down.
const INTAKE_WAIT: Duration = Duration::from_secs(2);
/// Shortest and longest that a terminal is told to stay away under pressure, in milliseconds.
const SLOW_DOWN_MS: std::ops::Range<u32> = 500..5_000;
/// Polls that a change wakes read their pages spread over a millisecond for each so many of them …
const POLLS_PER_JITTER_MS: usize = 20;
/// … and over this long at most, so that a change still arrives within a second.
const JITTER_MAX: Duration = Duration::from_millis(400);

/// The version since which requests may be packed with a dictionary.
const DICTIONARY_SINCE: u16 = 2;

/// Answers one exchange.
pub(super) async fn exchange(
    State(service): State<Arc<Service>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Refused> {
    let received_ms = now_ms();
    if peer.certificate.is_none() {
        return Err(Refused::NoCertificate);
    }
    let request = read(&service, &headers, &bytes).await?;
    drop(bytes);
    check(&request)?;
    let answer = respond(&service, &peer, request, received_ms)
        .await?
        .of_its_version();
    Ok(body::answer(&answer, body::accepts_zstd(&headers)))
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
) -> Result<ExchangeResponse, Refused> {
    let sends = request.sends();
    let Some(turn) = Turn::wait(service, sends).await else {
        let for_ms = SLOW_DOWN_MS.start + draw() % (SLOW_DOWN_MS.end - SLOW_DOWN_MS.start);
        return Ok(verdict(&request, Verdict::SlowDown { for_ms }, received_ms));
    };
    let terminal = identity::authorise(&service.store, peer).await?;
    if let Some(reason) = cloned(service, &terminal, &request, received_ms).await? {
        return Ok(verdict(&request, Verdict::Refused { reason }, received_ms));
    }
    let taken = take(service, &terminal, &request, received_ms).await?;
    note_seen(service, &terminal, &request, &taken, received_ms).await?;
    drop(turn);
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

/// The right to work with the database, for everything of an exchange but its wait and its page.
/// Requests beyond queue in their order, for a while; of those that hold a batch, and so memory,
/// only a bounded number may.
struct Turn<'s> {
    _queued: Option<SemaphorePermit<'s>>,
    _turn: SemaphorePermit<'s>,
}

impl<'s> Turn<'s> {
    async fn wait(service: &'s Service, sends: bool) -> Option<Self> {
        let queued = if sends {
            Some(service.intakes_queue.try_acquire().ok()?)
        } else {
            None
        };
        let turn = timeout(INTAKE_WAIT, service.intakes.acquire()).await;
        Some(Self {
            _queued: queued,
            _turn: turn.ok()?.ok()?,
        })
    }
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
    tracing::debug!(terminal = %terminal.id, events = taken.events, "a request was taken");
    Ok(taken)
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
        let polls = Waiting::begin(service);
        tokio::select! {
            () = &mut deadline => return Ok(News::default()),
            _ = stopping.changed() => return Ok(News::default()),
            changed = head.changed() => {
                if changed.is_err() {
                    return Ok(News::default());
                }
            }
        }
        tokio::time::sleep(jitter(polls.spread(), u64::from(draw()) * 1_000_003)).await;
    }
}

fn has_all(request: &ExchangeRequest, newest: &Head) -> bool {
    let place = Place::of_cursor(&request.cursor, &newest.history, newest.version);
    match place {
        Some(place) => place.version == newest.version && place.is_end(),
        None => request.cursor.0.is_empty() && newest.version == 0,
    }
}

/// Counts a waiting poll as long as it lives.
struct Waiting<'s> {
    service: &'s Service,
    polls: usize,
}

impl<'s> Waiting<'s> {
    fn begin(service: &'s Service) -> Self {
        let polls = service.polls.fetch_add(1, Ordering::Relaxed) + 1;
        Self { service, polls }
    }

    fn spread(&self) -> Duration {
        let spread_ms = u64::try_from(self.polls / POLLS_PER_JITTER_MS).unwrap_or(u64::MAX);
        Duration::from_millis(spread_ms).min(JITTER_MAX)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.service.polls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Draws a number for jitter; without random bytes there is none, and no harm.
fn draw() -> u32 {
    entropy::bytes::<4>().map_or(0, u32::from_le_bytes)
}
