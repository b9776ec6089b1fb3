//! A terminal's stream in the database: its watermark, its stored chain, its forks and its gaps.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use tillbind_protocol::chain::{ChainHash, Mark};
use tillbind_protocol::exchange::ExchangeRequest;
use tillbind_protocol::ids::{Epoch, Seq, TerminalId};
use tillbind_protocol::intake::{Missing, places_to_compare};

use super::{Arrival, column, place};
use crate::plain_text::plain_text;
use crate::store::StoreError;
use crate::store::statement::{ColumnType, Row, execute, for_update, insert_many, row, rows};
use crate::terminals::Terminal;
use crate::values;

/// Longest reason of a gap that is kept, in bytes.
const GAP_REASON_BYTES_MAX: usize = 500;
/// Stored chain values that one statement asks for by their places.
const PLACES_A_STATEMENT: usize = 500;
/// What is said when a watermark cannot be read.
const READ_WATERMARK: &str = "read a watermark";

pub(super) async fn open_stream(
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

/// Returns how far a stream was taken in.
pub(super) async fn watermark(
    on: &impl ConnectionTrait,
    id: &TerminalId,
    epoch: Epoch,
) -> Result<Option<Mark>, StoreError> {
    let sql = "SELECT watermark, chain FROM streams WHERE terminal = $1 AND epoch = $2";
    let values = values![id.as_str(), epoch.to_string()];
    let found = row(on, READ_WATERMARK, sql, values).await?;
    found.as_ref().map(mark).transpose()
}

/// Locks a stream and returns how far it was taken in, and whether a claim of the terminal's place waits
/// for something: most batches need not ask more about claims than this.
pub(super) async fn locked_watermark(
    tx: &DatabaseTransaction,
    terminal: &Terminal,
    epoch: Epoch,
) -> Result<(Option<Mark>, bool), StoreError> {
    let sql = format!(
        "SELECT watermark, chain, CASE WHEN EXISTS (
                SELECT 1 FROM claims c
                WHERE c.store = $3 AND c.workstation = $4 AND c.state = 'waiting'
            ) THEN 1 ELSE 0 END
         FROM streams WHERE terminal = $1 AND epoch = $2{}",
        for_update(tx)
    );
    let values = values![
        terminal.id.as_str(),
        epoch.to_string(),
        terminal.store.as_str(),
        terminal.workstation.as_str(),
    ];
    match row(tx, READ_WATERMARK, &sql, values).await? {
        Some(row) => Ok((Some(mark(&row)?), row.flag(2)?)),
        None => Ok((None, false)),
    }
}

fn mark(row: &Row) -> Result<Mark, StoreError> {
    Ok(Mark {
        seq: place(row.int(0)?),
        chain: link(READ_WATERMARK, row.text(1)?)?,
    })
}

/// The places at which other epochs of this terminal left this one.
pub(super) async fn forks_of(
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
pub(super) struct Chains {
    pub(super) values: BTreeMap<Seq, ChainHash>,
    pub(super) fillers: BTreeSet<Seq>,
}

pub(super) async fn stored_chains(
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

pub(super) async fn note_gaps(
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
pub(super) async fn count_filled(
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

pub(super) async fn move_watermark(
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

fn link(operation: &'static str, text: String) -> Result<ChainHash, StoreError> {
    text.try_into()
        .map_err(|e| StoreError::foreign_value(operation, e))
}
