//! Intake: what a terminal sends becomes durable and is projected, all in one transaction.
//!
//! Within it: the stream's row is locked, [`tillbind_protocol::intake`] decides what of the batch is
//! new, the records are stored byte for byte, projected into sales, cards, points, bindings and claims,
//! unusable ones put into quarantine, gaps recorded, and the watermark moved; requests that were shown
//! before their turn are ruled on (`express`). A crash anywhere
//! leaves either all of it or nothing, and the terminal sends again what it saw no answer for.
//!
//! A record that the database itself refuses must not stop the stream: the batch is then taken
//! again with every record in a savepoint of its own.

use sea_orm::DatabaseTransaction;
use tillbind_protocol::chain::Mark;
use tillbind_protocol::exchange::{ExchangeRequest, Verdict};
use tillbind_protocol::ids::{Epoch, Seq};
use tillbind_protocol::intake::{Accepted, Decision, Known, decide};

use crate::changes::Touched;
use crate::members;
use crate::quarantine::{self, Poisoned};
use crate::store::statement::{ColumnType, execute, insert_many};
use crate::store::{Fault, Store, StoreError};
use crate::terminals::Terminal;
use crate::values;

pub(crate) mod cards;
mod express;
pub mod projection;
pub mod reading;
pub mod rules;
pub mod sale;
mod sales;
mod shelf;
mod stream;

use projection::{Item, Origin, Rules};
use stream::{
    count_filled, forks_of, locked_watermark, move_watermark, note_gaps, open_stream,
    stored_chains, watermark,
};

/// How often a transaction that was in another's way is tried before the terminal is told that
/// central is unavailable.
const ATTEMPTS_MAX: usize = 5;
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
    let stored = watermark(on, id, request.epoch).await?;
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
    let (stored, claims_wait) = locked_watermark(&tx, arrival.terminal, request.epoch).await?;
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
        now_ms: arrival.received_ms,
        claims_wait,
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

/// Returns a place as the database holds it. Larger ones are refused at the door.
pub(crate) fn column(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

/// Returns a place that the database held.
pub(crate) fn place(column: i64) -> Seq {
    Seq(u64::try_from(column).unwrap_or_default())
}
