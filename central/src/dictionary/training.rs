//! When a dictionary is trained, on what, and whether it is any better.
//!
//! Samples are whole requests around one masked record each, as terminals send them when a sale has
//! just ended: so the envelope is learnt as well. Of the records every [`HELD_BACK_EVERY`]th is held
//! back; the candidate must pack requests around those, as they really are, by [`GAIN_PERCENT_MIN`]
//! better than what terminals hold now.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use serde_json::value::RawValue;
use tillbind_protocol::chain::{ChainHash, Mark};
use tillbind_protocol::dictionary::Dictionary;
use tillbind_protocol::event::Event;
use tillbind_protocol::exchange::{Batch, CURRENT, ExchangeRequest};
use tillbind_protocol::ids::{Epoch, Seq};
use tillbind_protocol::replica::Cursor;

use super::dice::Dice;
use super::guard::Guard;
use super::masking::{Vocabulary, masked};
use super::{BYTES_MAX, keep, newest};
use crate::clock::now_ms;
use crate::entropy::{self, EntropyError};
use crate::store::statement::rows;
use crate::store::{Store, StoreError};
use crate::values;

/// Records that are enough to learn from: fewer make a dictionary of one shop's day.
pub const RECORDS_MIN: usize = 2_000;
/// Records that are looked at: more make training slow and the dictionary hardly better.
pub const RECORDS_MAX: usize = 8_000;
/// Epochs that records are taken from, drawn by chance.
const STREAMS_MAX: usize = 256;
/// Epochs that are drawn among.
const STREAMS_LISTED_MAX: u32 = 20_000;
/// Longest record that is learnt from: what is longer packs well by itself.
const RECORD_BYTES_MAX: usize = 8 * 1024;
/// One record of so many is held back.
const HELD_BACK_EVERY: usize = 5;
/// Records held back that are packed for the comparison.
const COMPARED_MAX: usize = 500;
/// By how much a dictionary must pack better than what there is, to be worth its way to every
/// terminal.
const GAIN_PERCENT_MIN: usize = 5;
/// Age at which a dictionary is tried to be bettered.
const RETRAINED_AFTER: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How often it is looked whether one is due.
const LOOKED_EVERY: Duration = Duration::from_secs(10 * 60);
/// Level at which terminals pack with a dictionary.
const LEVEL: i32 = 12;

/// A training that failed. The present dictionary stays.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// zstd makes nothing of the samples.
    #[error("no dictionary can be trained on these records")]
    Zstd(#[from] std::io::Error),
    /// The task was cut short.
    #[error("the training was cut short")]
    CutShort,
}

/// What all requests of an installation have in common.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Name of the database's history, which stands in every cursor.
    pub history: String,
    /// The present time, in milliseconds: made-up times lie shortly before it.
    pub now_ms: i64,
}

/// Looks from time to time whether a dictionary is due, for as long as the service runs.
pub async fn keep_trained(store: Store) {
    loop {
        tokio::time::sleep(LOOKED_EVERY).await;
        match look(&store, now_ms()).await {
            Ok(None) => {}
            Ok(Some(id)) => tracing::info!(id, "a compression dictionary was trained"),
            Err(error) => tracing::warn!(%error, "no compression dictionary was trained"),
        }
    }
}

/// Trains a dictionary if one is due and worth it; returns its id.
///
/// # Errors
/// [`TrainError`].
pub async fn look(store: &Store, now_ms: i64) -> Result<Option<u32>, TrainError> {
    let present = newest(store.reader()).await?;
    let is_due = present.is_none_or(|(_, created_ms)| {
        now_ms.saturating_sub(created_ms).unsigned_abs() >= age_ms(RETRAINED_AFTER)
    });
    if !is_due {
        return Ok(None);
    }
    let mut dice = Dice::new(entropy::bytes()?);
    let records = fresh_records(store.reader(), &mut dice).await?;
    if records.len() < RECORDS_MIN {
        return Ok(None);
    }
    let present = match present {
        Some((id, _)) => super::read(store.reader(), id).await?,
        None => None,
    };
    let count = records.len();
    let scene = Scene {
        history: store.history().await?,
        now_ms,
    };
    let trained = tokio::task::spawn_blocking(move || {
        let candidate = train(&records, &scene, &mut dice)?;
        let is_better = is_better(&candidate, present.as_ref(), &records, &scene, &mut dice)?;
        Ok::<_, TrainError>(is_better.then_some(candidate))
    });
    let Some(dictionary) = trained.await.map_err(|_| TrainError::CutShort)?? else {
        return Ok(None);
    };
    keep(store, &dictionary, count, now_ms).await?;
    Ok(Some(dictionary.id))
}

fn age_ms(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

/// Takes the newest records of epochs drawn by chance. By the primary key alone: on a large database
/// a scan for the newest of all would take minutes.
async fn fresh_records(
    on: &impl ConnectionTrait,
    dice: &mut Dice,
) -> Result<Vec<String>, StoreError> {
    let operation = "draw records for a dictionary";
    let sql = "SELECT terminal, epoch FROM streams WHERE watermark > 0
        ORDER BY first_seen_ms DESC LIMIT $1";
    let listed = values![i64::from(STREAMS_LISTED_MAX)];
    let mut streams = Vec::new();
    for row in rows(on, operation, sql, listed).await? {
        streams.push((row.text(0)?, row.text(1)?));
    }
    let drawn = streams.len().min(STREAMS_MAX);
    for place in 0..drawn {
        let left = u32::try_from(streams.len() - place).unwrap_or(u32::MAX);
        let other = place + usize::try_from(dice.below(left)).unwrap_or_default();
        streams.swap(place, other);
    }
    let each = i64::try_from(RECORDS_MAX.div_ceil(drawn.max(1))).unwrap_or(i64::MAX);
    let longest = i64::try_from(RECORD_BYTES_MAX).unwrap_or(i64::MAX);
    let mut records = Vec::new();
    for (terminal, epoch) in streams.into_iter().take(drawn) {
        let sql = "SELECT record FROM events
            WHERE terminal = $1 AND epoch = $2 AND LENGTH(record) <= $3 ORDER BY seq DESC LIMIT $4";
        for row in rows(on, operation, sql, values![terminal, epoch, longest, each]).await? {
            records.push(row.text(0)?);
        }
    }
    records.truncate(RECORDS_MAX);
    Ok(records)
}

fn held_back(place: usize) -> bool {
    place % HELD_BACK_EVERY == HELD_BACK_EVERY - 1
}

/// Trains a dictionary on records as terminals wrote them. Those that are no event of a known kind
/// are left out.
///
/// # Errors
/// [`TrainError::Zstd`] when there are too few or nothing repeats in them.
pub fn train(records: &[String], scene: &Scene, dice: &mut Dice) -> Result<Dictionary, TrainError> {
    let mut guard = Guard::default();
    for record in records {
        guard.add(record);
    }
    let learnt = records.iter().enumerate().filter(|(n, _)| !held_back(*n));
    let events: Vec<Event> = learnt
        .filter_map(|(_, record)| Event::from_record(record.as_bytes()).ok())
        .collect();
    let words = Vocabulary::of(&events);
    let samples: Vec<Vec<u8>> = events
        .iter()
        .filter_map(|event| {
            let record = masked(event, &words, dice, scene.now_ms)?
                .to_record()
                .ok()?;
            request(String::from_utf8(record).ok()?, scene, dice)
        })
        .collect();
    let mut bytes = zstd::dict::from_samples(&samples, BYTES_MAX)?;
    guard.break_runs(&mut bytes);
    let id = zstd::zstd_safe::get_dict_id_from_dict(&bytes).map_or(0, u32::from);
    if id == 0 || zstd::dict::EncoderDictionary::try_copy(&bytes, LEVEL).is_err() {
        return Err(TrainError::Zstd(std::io::ErrorKind::InvalidData.into()));
    }
    Ok(Dictionary { id, bytes })
}

/// Writes the request that brings a record by itself, with an envelope drawn by chance.
pub fn request(record: String, scene: &Scene, dice: &mut Dice) -> Option<Vec<u8>> {
    let epoch = Epoch(u64::from_le_bytes(dice.bytes()));
    let before = Seq(dice.below(10_000).into());
    let acked = Mark {
        seq: before,
        chain: ChainHash(dice.bytes()),
    };
    let request = ExchangeRequest {
        v: CURRENT,
        epoch,
        acked,
        head: Mark {
            seq: before.next(),
            chain: ChainHash(dice.bytes()),
        },
        batch: Some(Batch {
            first: before.next(),
            before: acked.chain,
            events: vec![RawValue::from_string(record).ok()?],
            holes: Vec::new(),
        }),
        gap: None,
        express: Vec::new(),
        cursor: Cursor(format!("{}:{}::", scene.history, dice.below(10_000))),
        keys: 1,
        dictionary: u32::from_le_bytes(dice.bytes()).max(1),
        page_bytes: 0,
        wait_ms: 0,
        at_ms: scene.now_ms.saturating_sub(dice.below(1_000_000).into()),
        hello: None,
    };
    serde_json::to_vec(&request).ok()
}

/// Says whether the candidate packs what it has not seen by enough better than what there is.
fn is_better(
    candidate: &Dictionary,
    present: Option<&Dictionary>,
    records: &[String],
    scene: &Scene,
    dice: &mut Dice,
) -> Result<bool, TrainError> {
    let unseen: Vec<Vec<u8>> = records
        .iter()
        .enumerate()
        .filter(|(place, _)| held_back(*place))
        .take(COMPARED_MAX)
        .filter_map(|(_, record)| request(record.clone(), scene, dice))
        .collect();
    let with_candidate = packed_bytes(&unseen, Some(candidate))?;
    let with_present = packed_bytes(&unseen, present)?;
    tracing::debug!(with_candidate, with_present, "a dictionary was tried");
    Ok(with_candidate * 100 <= with_present * (100 - GAIN_PERCENT_MIN))
}

fn packed_bytes(
    requests: &[Vec<u8>],
    dictionary: Option<&Dictionary>,
) -> Result<usize, TrainError> {
    let mut packer = match dictionary {
        Some(dictionary) => zstd::bulk::Compressor::with_dictionary(LEVEL, &dictionary.bytes)?,
        None => zstd::bulk::Compressor::new(LEVEL)?,
    };
    let mut bytes = 0;
    for request in requests {
        bytes += packer.compress(request)?.len();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
