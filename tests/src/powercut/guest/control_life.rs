//! sled 0.34 as one would use it who believes its documentation: insert, `flush()`, acknowledge.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::port::Port;
use super::{DISK, digest};
use crate::powercut::words::{Phase, Word};

const EVENTS_A_SCENE: u64 = 20;
const RECORD_BYTES: usize = 400;

fn open() -> Result<sled::Db> {
    sled::Config::new()
        .path(Path::new(DISK).join("sled"))
        .flush_every_ms(None)
        .open()
        .context("sled does not open")
}

pub(super) fn work(port: &mut Port, seed: u64, scenes: u32) -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let store = open()?;
    port.say(Word::Phase(Phase::Append))?;
    for seq in 1..=u64::from(scenes) * EVENTS_A_SCENE {
        let mut record = vec![0; RECORD_BYTES];
        rng.fill(&mut record);
        store.insert(seq.to_be_bytes(), record.clone())?;
        store.flush()?;
        port.say(Word::Kept {
            epoch: 0,
            seq,
            chain: None,
            digest: digest(&record),
        })?;
    }
    Ok(())
}

pub(super) fn check(port: &mut Port) -> Result<()> {
    let store = open()?;
    port.say(Word::Opened {
        epoch: 0,
        acked: 0,
        appended: 0,
        damages: Vec::new(),
    })?;
    for entry in store.iter() {
        let (key, record) = entry?;
        ensure!(key.len() == 8, "sled has a key that nobody put in");
        let seq = key.iter().fold(0, |seq, b| seq << 8 | u64::from(*b));
        port.mention(Word::Held {
            seq,
            chain: String::new(),
            digest: digest(&record),
        })?;
    }
    port.say(Word::Listed)
}
