//! The store that bits are flipped in: what went in, and where it lies.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use tillbind_agent::identity::Identity;
use tillbind_agent::members::{Key, NoteKind, Put, Replica};
use tillbind_agent::outbox::{Outbox, OutboxConfig, SEGMENT_BYTES_MIN};
use tillbind_agent::vault::{Random, Vault};
use tillbind_protocol::ids::{CardNumber, Epoch, Seq, StoreId, TerminalId, WorkstationId};

use super::files;

/// Events that are written, of them acknowledged, and their longest text.
const EVENTS: u64 = 420;
const ACKNOWLEDGED: u64 = 130;
const EVENT_BYTES_MAX: usize = 900;
const CARDS: u32 = 300;
/// Cards in one page of the replica.
const PAGE_CARDS: usize = 100;
const NOTES: u32 = 60;

/// How the agent was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// By SIGTERM.
    Clean,
    /// By SIGKILL.
    Killed,
}

/// A data directory with what is in it.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) stop: Stop,
    pub(super) dir: PathBuf,
    pub(super) epoch: Epoch,
    /// The place after which events wait.
    pub(super) acked: Seq,
    /// Record of each place, from 1 on.
    pub(super) events: Vec<Vec<u8>>,
    pub(super) cards: Vec<(CardNumber, Vec<u8>)>,
    pub(super) notes: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) identity: Identity,
    pub(super) files: Vec<(String, u64)>,
    used: Vec<(String, u64)>,
    seed: u64,
}

impl Store {
    pub(super) fn write(dir: &Path, stop: Stop, seed: u64) -> Result<Self> {
        let mut rng = Rng::with_seed(seed);
        fs::create_dir_all(dir)?;
        let identity = Identity {
            terminal: TerminalId::new("t-0123")?,
            store: StoreId::new("S001")?,
            workstation: WorkstationId::new("1")?,
            url: "https://hq.example:7443".to_owned(),
            certificate_pem: pem("CERTIFICATE", &mut rng),
            ca_pem: pem("CERTIFICATE", &mut rng),
            key_pem: pem("PRIVATE KEY", &mut rng).into(),
        };
        let mut store = Self {
            stop,
            dir: dir.to_owned(),
            epoch: Epoch(0),
            acked: Seq(ACKNOWLEDGED),
            events: (1..=EVENTS).map(|seq| event(seq, &mut rng)).collect(),
            cards: (0..CARDS)
                .map(|number| {
                    let card = CardNumber::new(format!("627598{number:010}"))?;
                    Ok((card, text(format!("card {number} "), 200, &mut rng)))
                })
                .collect::<Result<_>>()?,
            notes: (0..NOTES)
                .map(|number| {
                    let name = format!("note {number}").into_bytes();
                    (name, text(format!("says {number} "), 120, &mut rng))
                })
                .collect(),
            identity,
            files: Vec::new(),
            used: Vec::new(),
            seed: rng.u64(..),
        };
        store.fill()?;
        store.files = files(dir)?;
        store.used = used(dir, &store.files)?;
        Ok(store)
    }

    fn fill(&mut self) -> Result<()> {
        let vault = self.vault(&self.dir)?;
        self.identity.store(&self.dir)?;
        let (replica, _) = Replica::open(&self.dir.join("members"), &vault)?;
        for (page, cards) in self.cards_by_page() {
            let page_of = |(card, value): &(CardNumber, Vec<u8>)| Put::Upsert {
                key: Key::Card(card.clone()),
                value: value.clone(),
            };
            let puts: Vec<_> = cards.iter().map(page_of).collect();
            replica.apply(&puts, &cursor_after(page))?;
        }
        for (name, value) in &self.notes {
            replica.put_local(NoteKind::Setting, name, value)?;
        }
        let outbox = Outbox::open(config(&self.dir), &vault, self.random())?.outbox;
        self.epoch = outbox.epoch();
        let mut rest = self.events.as_slice();
        let mut rng = Rng::with_seed(self.seed);
        while !rest.is_empty() {
            let (group, after) = rest.split_at(rng.usize(1..6).min(rest.len()));
            let mark = outbox.append_all(group.to_vec()).wait()?;
            if mark.seq.0 >= ACKNOWLEDGED && outbox.acked().seq.0 < ACKNOWLEDGED {
                let mark = outbox
                    .mark_at(self.acked)?
                    .context("the mark of a waiting event is unknown")?;
                outbox.acknowledge(mark)?;
            }
            rest = after;
        }
        ensure!(outbox.appended().seq.0 == EVENTS);
        ensure!(outbox.acked().seq == self.acked);
        match self.stop {
            Stop::Clean => outbox.close()?,
            // As after a kill: the last handle goes without a word.
            Stop::Killed => drop(outbox),
        }
        Ok(())
    }

    /// Returns the cards of each page, counted from 1.
    pub(super) fn cards_by_page(&self) -> impl Iterator<Item = (usize, &[(CardNumber, Vec<u8>)])> {
        (1..).zip(self.cards.chunks(PAGE_CARDS))
    }

    /// Returns how many pages there are.
    pub(super) fn pages(&self) -> usize {
        self.cards.len().div_ceil(PAGE_CARDS)
    }

    /// Returns how many pages a cursor lies behind.
    pub(super) fn pages_before(&self, cursor: Option<&str>) -> Result<usize> {
        let Some(cursor) = cursor else { return Ok(0) };
        (1..=self.pages())
            .find(|page| cursor_after(*page) == cursor)
            .with_context(|| format!("the cursor {cursor:?} is none that was written"))
    }

    pub(super) fn random(&self) -> Random {
        let rng = std::sync::Mutex::new(Rng::with_seed(self.seed));
        Arc::new(move |bytes: &mut [u8]| {
            rng.lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .fill(bytes);
        })
    }

    pub(super) fn vault(&self, dir: &Path) -> Result<Vault> {
        Ok(Vault::open(dir, None, self.random())?)
    }

    /// Makes `to` a fresh copy.
    pub(super) fn copy_to(&self, to: &Path) -> Result<()> {
        if to.exists() {
            fs::remove_dir_all(to)?;
        }
        for (name, _) in &self.files {
            let target = to.join(name);
            if let Some(folder) = target.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::copy(self.dir.join(name), target)?;
        }
        for folder in ["outbox/spare", "outbox/damaged"] {
            fs::create_dir_all(to.join(folder))?;
        }
        Ok(())
    }

    /// Returns up to where a file holds anything but zeros.
    pub(super) fn used(&self, name: &str) -> Option<u64> {
        self.used
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, used)| *used)
    }
}

fn cursor_after(page: usize) -> String {
    format!("h:{page}:c:")
}

pub(super) fn config(dir: &Path) -> OutboxConfig {
    let mut config = OutboxConfig::new(dir.join("outbox"), Arc::new(|| Duration::ZERO));
    config.segment_bytes = SEGMENT_BYTES_MIN;
    config
}

fn used(dir: &Path, files: &[(String, u64)]) -> Result<Vec<(String, u64)>> {
    files
        .iter()
        .map(|(name, _)| {
            let bytes = fs::read(dir.join(name))?;
            let end = bytes
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |at| at + 1);
            Ok((name.clone(), end as u64))
        })
        .collect()
}

fn event(seq: u64, rng: &mut Rng) -> Vec<u8> {
    text(format!("event {seq} "), EVENT_BYTES_MAX, rng)
}

fn text(begin: String, bytes_max: usize, rng: &mut Rng) -> Vec<u8> {
    let mut text = begin.into_bytes();
    let length = rng.usize(..bytes_max);
    text.extend((0..length).map(|_| rng.alphanumeric() as u8));
    text
}

fn pem(what: &str, rng: &mut Rng) -> String {
    let lines: String = (0..8)
        .map(|_| {
            let line: String = std::iter::repeat_with(|| rng.alphanumeric())
                .take(64)
                .collect();
            format!("{line}\n")
        })
        .collect();
    format!("-----BEGIN {what}-----\n{lines}-----END {what}-----\n")
}
