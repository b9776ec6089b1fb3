//! Intake: what a terminal sends becomes durable and is projected, all in one transaction.
//!
//! Within it: the stream's row is locked, [`tillbind_protocol::intake`] decides what of the batch is
//! new, the records are stored byte for byte, projected into sales, cards, points and bindings,
//! unusable ones put into quarantine, gaps recorded, and the watermark moved; requests that were shown
//! before their turn are ruled on (`express`). A crash anywhere
//! leaves either all of it or nothing, and the terminal sends again what it saw no answer for.
//!
//! A record that the database itself refuses must not stop the stream: the batch is then taken
//! again with every record in a savepoint of its own.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use tillbind_protocol::chain::{ChainHash, Mark};
use tillbind_protocol::exchange::{ExchangeRequest, Verdict};
use tillbind_protocol::ids::{Epoch, Seq, TerminalId};
use tillbind_protocol::intake::{Accepted, Decision, Known, Missing, decide, places_to_compare};

use crate::changes::Touched;
use crate::members;
use crate::plain_text::plain_text;
use crate::quarantine::{self, Poisoned};
use crate::store::statement::{ColumnType, execute, for_update, insert_many, row, rows};
use crate::store::{Fault, Store, StoreError};
use crate::terminals::Terminal;
use crate::values;

mod cards;
mod express;
pub mod projection;
pub mod reading;
pub mod rules;
pub mod sale;
mod sales;
mod shelf;

use projection::{Item, Origin, Rules};

/// How often a transaction that was in another's way is tried before the terminal is told that
/// central is unavailable.
const ATTEMPTS_MAX: usize = 5;
/// Longest reason of a gap that is kept, in bytes.
const GAP_REASON_BYTES_MAX: usize = 500;
/// Stored chain values that one statement asks for by their places.
const PLACES_A_STATEMENT: usize = 500;
/// Largest place that the database can hold.
pub const SEQ_MAX: u64 = i64::MAX as u64;

/// What was taken of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// What to answer.
    pub verdict: Verdict,
    /// The mark to acknowledge.
    pub acked: Mark,
    /// How many events were new.
    pub events: usize,
    /// How many of them went into quarantine.
    pub quarantined: usize,
    /// How many gaps were recorded.
    pub gaps: usize,
    /// How often it was tried again, since another transaction was in the way.
    pub contended: usize,
}

/// A request's terminal and time.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Who sent it.
    pub terminal: &'a Terminal,
    /// Central's clock when it had arrived, in milliseconds.
    pub received_ms: i64,
    /// What counts.
    pub rules: Rules,
}

/// Takes a request in. A request without events that tells of no fork changes nothing and locks nothing.
///
/// # Errors
/// [`StoreError`]: then nothing was taken.
pub async fn take(
    store: &Store,
    arrival: &Arrival<'_>,
    request: &ExchangeRequest,
) -> Result<Taken, StoreError> {
    if !request.sends() && !request.tells_of_fork() {
        return poll(store, arrival, request).await;
    }
    let mut careful = false;
    let mut contended = 0;
    loop {
        let error = match take_once(store, arrival, request, careful).await {
            Ok(taken) => return Ok(Taken { contended, ..taken }),
            Err(error) => error,
        };
        match error.fault() {
            Fault::Contended if contended + 1 < ATTEMPTS_MAX => contended += 1,
            Fault::Refused if !careful => {
                tracing::warn!(
                    terminal = %arrival.terminal.id,
                    "the database refused a batch: taking its records one by one"
                );
                careful = true;
            }
            Fault::Contended | Fault::Refused | Fault::Unavailable | Fault::Defect => {
                return Err(error);
            }
        }
    }
}

async fn poll(
    store: &Store,
    arrival: &Arrival<'_>,
    request: &ExchangeRequest,
) -> Result<Taken, StoreError> {
    let on = store.reader();
    let id = &arrival.terminal.id;
    let stored = watermark(on, id, request.epoch, "").await?;
    let chains = stored_chains(on, id, stored.as_ref(), request).await?;
    // Nothing of a poll is stored, so no fork can be in its way.
    let known = Known {
        watermark: stored.as_ref(),
        chains: &chains.values,
        fillers: &chains.fillers,
        forks: &[],
    };
    let decision = decide(&known, request);
    Ok(Taken {
        verdict: decision.verdict,
        acked: decision.acked,
        events: 0,
        quarantined: 0,
        gaps: 0,
        contended: 0,
    })
}

async fn take_once(
    store: &Store,
    arrival: &Arrival<'_>,
    request: &ExchangeRequest,
    careful: bool,
) -> Result<Taken, StoreError> {
    let tx = store.begin().await?;
    let id = &arrival.terminal.id;
    open_stream(&tx, arrival, request).await?;
    let stored = watermark(&*tx, id, request.epoch, for_update(&*tx)).await?;
    let chains = stored_chains(&*tx, id, stored.as_ref(), request).await?;
    let forks = forks_of(&*tx, id, request.epoch).await?;
    let known = Known {
        watermark: stored.as_ref(),
        chains: &chains.values,
        fillers: &chains.fillers,
        forks: &forks,
    };
    let decision = decide(&known, request);
    let changes_nothing = decision.watermark.is_none() && decision.accepted.is_empty();
    if changes_nothing && request.express.is_empty() {
        if request.tells_of_fork() {
            tx.commit().await?;
        } else {
            tx.rollback().await?;
        }
        return Ok(Taken {
            verdict: decision.verdict,
            acked: decision.acked,
            events: 0,
            quarantined: 0,
            gaps: 0,
            contended: 0,
        });
    }
    let items = read_all(&decision, arrival, request.at_ms);
    store_events(&tx, arrival, request.epoch, &decision.accepted, &items).await?;
    let origin = Origin {
        terminal: arrival.terminal,
        epoch: request.epoch,
        sent_local_ms: request.at_ms,
        received_ms: arrival.received_ms,
        rules: arrival.rules,
    };
    let mut touched = Touched::default();
    if !request.express.is_empty() {
        // Before any card's row, as everywhere.
        members::lock(&tx).await?;
    }
    let poisoned = project_all(&tx, &origin, &items, careful, &mut touched).await?;
    let ruled = express::rule(&tx, &origin, request, careful, &mut touched).await?;
    let quarantined = poisoned.len();
    quarantine::put(&tx, id, request.epoch, poisoned, arrival.received_ms).await?;
    note_gaps(&tx, arrival, request.epoch, &decision.gaps).await?;
    let filled = decision.accepted.first().map(|first| first.mark.seq);
    if let Some(first) = filled.filter(|first| stored.is_some_and(|mark| *first <= mark.seq)) {
        count_filled(&tx, id, request.epoch, first).await?;
    }
    if let Some(mark) = &decision.watermark {
        move_watermark(&tx, id, request.epoch, mark).await?;
    }
    touched.publish(&*tx).await?;
    tx.commit().await?;
    if ruled > 0 {
        tracing::debug!(terminal = %id, ruled, "requests were ruled on before their turn");
    }
    Ok(Taken {
        verdict: decision.verdict,
        acked: decision.acked,
        events: items.len(),
        quarantined,
        gaps: decision.gaps.len(),
        contended: 0,
    })
}

fn read_all(decision: &Decision<'_>, arrival: &Arrival<'_>, sent_local_ms: i64) -> Vec<Item> {
    let read = |accepted: &Accepted<'_>| {
        let mut reading = reading::read(accepted.record);
        let compared = |stamp| reading::compared(stamp, sent_local_ms, arrival.received_ms);
        reading.stamp = reading.stamp.map(compared);
        Item {
            seq: accepted.mark.seq,
            reading,
        }
    };
    decision.accepted.iter().map(read).collect()
}

async fn project_all(
    tx: &DatabaseTransaction,
    origin: &Origin<'_>,
    items: &[Item],
    careful: bool,
    touched: &mut Touched,
) -> Result<Vec<Poisoned>, StoreError> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    if careful {
        return project_one_by_one(tx, origin, items, touched).await;
    }
    projection::project(tx, origin, items, touched).await
}

async fn project_one_by_one(
    tx: &DatabaseTransaction,
    origin: &Origin<'_>,
    items: &[Item],
    touched: &mut Touched,
) -> Result<Vec<Poisoned>, StoreError> {
    let operation = "set a record apart";
    let mut poisoned = Vec::new();
    for item in items {
        execute(tx, operation, "SAVEPOINT record", vec![]).await?;
        match projection::project(tx, origin, std::slice::from_ref(item), touched).await {
            Ok(mut found) => poisoned.append(&mut found),
            Err(e) if e.fault() == Fault::Refused => {
                execute(tx, operation, "ROLLBACK TO SAVEPOINT record", vec![]).await?;
                poisoned.push(Poisoned {
                    seq: item.seq,
                    kind: item.reading.kind.clone(),
                    reason: "the database refused its values".to_owned(),
                });
            }
            Err(e) => return Err(e),
        }
        execute(tx, operation, "RELEASE SAVEPOINT record", vec![]).await?;
    }
    Ok(poisoned)
}

async fn open_stream(
    tx: &DatabaseTransaction,
    arrival: &Arrival<'_>,
    request: &ExchangeRequest,
) -> Result<(), StoreError> {
    let fork = request.hello.as_ref().and_then(|hello| hello.forked_from);
    let genesis = Mark::genesis(request.epoch);
    let sql = "INSERT INTO streams (terminal, epoch, watermark, chain, forked_from, forked_at,
            first_seen_ms)
        VALUES ($1, $2, 0, $3, $4, $5, $6)
        ON CONFLICT (terminal, epoch) DO UPDATE SET
            forked_from = COALESCE(streams.forked_from, excluded.forked_from),
            forked_at = COALESCE(streams.forked_at, excluded.forked_at)";
    let values = values![
        arrival.terminal.id.as_str(),
        request.epoch.to_string(),
        genesis.chain.to_string(),
        fork.map(|fork| fork.epoch.to_string()),
        fork.map(|fork| column(fork.at)),
        arrival.received_ms,
    ];
    execute(tx, "open a stream", sql, values).await?;
    Ok(())
}

async fn watermark(
    on: &impl ConnectionTrait,
    id: &TerminalId,
    epoch: Epoch,
    lock: &str,
) -> Result<Option<Mark>, StoreError> {
    let operation = "read a watermark";
    let sql =
        format!("SELECT watermark, chain FROM streams WHERE terminal = $1 AND epoch = $2{lock}");
    let values = values![id.as_str(), epoch.to_string()];
    let Some(row) = row(on, operation, &sql, values).await? else {
        return Ok(None);
    };
    Ok(Some(Mark {
        seq: place(row.int(0)?),
        chain: link(operation, row.text(1)?)?,
    }))
}

/// The places at which other epochs of this terminal left this one.
async fn forks_of(
    on: &impl ConnectionTrait,
    id: &TerminalId,
    epoch: Epoch,
) -> Result<Vec<Seq>, StoreError> {
    let sql = "SELECT forked_at FROM streams
        WHERE terminal = $1 AND forked_from = $2 AND forked_at IS NOT NULL";
    let values = values![id.as_str(), epoch.to_string()];
    rows(on, "read where a stream was left", sql, values)
        .await?
        .iter()
        .map(|row| Ok(place(row.int(0)?)))
        .collect()
}

/// Stored chain values, and which of them fill a gap.
#[derive(Default)]
struct Chains {
    values: BTreeMap<Seq, ChainHash>,
    fillers: BTreeSet<Seq>,
}

async fn stored_chains(
    on: &impl ConnectionTrait,
    id: &TerminalId,
    stored: Option<&Mark>,
    request: &ExchangeRequest,
) -> Result<Chains, StoreError> {
    let operation = "read stored chain values";
    let places = places_to_compare(stored, request);
    let mut chains = Chains::default();
    let Some((first, last)) = places.first().zip(places.last()) else {
        return Ok(chains);
    };
    // One range when it is about as short as the list (a resend), lists of places otherwise.
    let span = last.0 - first.0;
    let ranges: Vec<(String, Vec<Value>)> = if span <= places.len() as u64 * 2 {
        let range = "seq BETWEEN $3 AND $4".to_owned();
        vec![(range, values![column(*first), column(*last)])]
    } else {
        places
            .chunks(PLACES_A_STATEMENT)
            .map(|some| {
                let names: Vec<String> = (3..3 + some.len()).map(|n| format!("${n}")).collect();
                let list = format!("seq IN ({})", names.join(", "));
                (list, some.iter().map(|seq| column(*seq).into()).collect())
            })
            .collect()
    };
    for (condition, mut of_places) in ranges {
        let sql = format!(
            "SELECT seq, chain, CAST(CASE WHEN EXISTS (
                    SELECT 1 FROM gaps g WHERE g.terminal = events.terminal
                        AND g.epoch = events.epoch AND events.seq BETWEEN g.from_seq AND g.to_seq
                ) THEN 1 ELSE 0 END AS BIGINT)
            FROM events WHERE terminal = $1 AND epoch = $2 AND {condition}"
        );
        let mut values = values![id.as_str(), request.epoch.to_string()];
        values.append(&mut of_places);
        for row in rows(on, operation, &sql, values).await? {
            let seq = place(row.int(0)?);
            chains.values.insert(seq, link(operation, row.text(1)?)?);
            if row.int(2)? != 0 {
                chains.fillers.insert(seq);
            }
        }
    }
    Ok(chains)
}

async fn store_events(
    tx: &DatabaseTransaction,
    arrival: &Arrival<'_>,
    epoch: Epoch,
    accepted: &[Accepted<'_>],
    items: &[Item],
) -> Result<(), StoreError> {
    use ColumnType::{Int, IntOpt, Text};

    let same = vec![
        ("terminal", arrival.terminal.id.as_str().into()),
        ("epoch", epoch.to_string().into()),
        ("received_ms", arrival.received_ms.into()),
    ];
    let columns = [
        ("seq", Int),
        ("chain", Text),
        ("recorded_ms", IntOpt),
        ("clock_offset_ms", IntOpt),
        ("kind", Text),
        ("record", Text),
    ];
    let line = |(accepted, item): (&Accepted<'_>, &Item)| {
        values![
            column(accepted.mark.seq),
            accepted.mark.chain.to_string(),
            item.reading.stamp.map(|stamp| stamp.corrected_ms()),
            item.reading.stamp.map(|stamp| stamp.offset_ms),
            item.reading.kind.as_str(),
            accepted.record,
        ]
    };
    let lines = accepted.iter().zip(items).map(line).collect();
    insert_many(tx, "store events", "events", same, &columns, lines, "").await?;
    Ok(())
}

async fn note_gaps(
    tx: &DatabaseTransaction,
    arrival: &Arrival<'_>,
    epoch: Epoch,
    gaps: &[Missing<'_>],
) -> Result<(), StoreError> {
    use ColumnType::{Int, Text};

    let same = vec![
        ("terminal", arrival.terminal.id.as_str().into()),
        ("epoch", epoch.to_string().into()),
        ("reported_ms", arrival.received_ms.into()),
    ];
    let columns = [("from_seq", Int), ("to_seq", Int), ("reason", Text)];
    let line = |gap: &Missing<'_>| {
        values![
            column(gap.from),
            column(gap.to),
            plain_text(gap.reason, GAP_REASON_BYTES_MAX),
        ]
    };
    let lines = gaps.iter().map(line).collect();
    insert_many(tx, "record gaps", "gaps", same, &columns, lines, "").await?;
    Ok(())
}

/// Counts anew what has come of the gaps from a place on.
async fn count_filled(
    tx: &DatabaseTransaction,
    id: &TerminalId,
    epoch: Epoch,
    first: Seq,
) -> Result<(), StoreError> {
    let sql = "UPDATE gaps SET filled = (SELECT COUNT(*) FROM events e
            WHERE e.terminal = gaps.terminal AND e.epoch = gaps.epoch
                AND e.seq BETWEEN gaps.from_seq AND gaps.to_seq)
        WHERE terminal = $1 AND epoch = $2 AND to_seq >= $3";
    let values = values![id.as_str(), epoch.to_string(), column(first)];
    execute(tx, "count what fills a gap", sql, values).await?;
    Ok(())
}

async fn move_watermark(
    tx: &DatabaseTransaction,
    id: &TerminalId,
    epoch: Epoch,
    mark: &Mark,
) -> Result<(), StoreError> {
    let sql = "UPDATE streams SET watermark = $3, chain = $4 WHERE terminal = $1 AND epoch = $2";
    let values = values![
        id.as_str(),
        epoch.to_string(),
        column(mark.seq),
        mark.chain.to_string()
    ];
    execute(tx, "move a watermark", sql, values).await?;
    Ok(())
}

/// Returns a place as the database holds it. Larger ones are refused at the door.
pub(crate) fn column(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

/// Returns a place that the database held.
pub(crate) fn place(column: i64) -> Seq {
    Seq(u64::try_from(column).unwrap_or_default())
}

fn link(operation: &'static str, text: String) -> Result<ChainHash, StoreError> {
    text.try_into()
        .map_err(|e| StoreError::foreign_value(operation, e))
}
