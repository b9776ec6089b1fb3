//! The outbox with segments as small as it allows, so that much happens within few writes.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tillbind_agent::outbox::{Outbox, OutboxConfig, SEGMENT_BYTES_MIN, Ticket};
use tillbind_agent::vault::{Random, Vault};
use tillbind_protocol::ids::{Epoch, Seq};

use super::port::Port;
use super::{DISK, digest, list};
use crate::clock::Stopwatch;
use crate::powercut::words::{Phase, Word};

const GROUPS_A_SCENE: std::ops::Range<usize> = 15..45;
/// Looks at the figures after an acknowledgement, until tidying has had its time.
const TIDY_LOOKS: usize = 20;

/// A till in the making, with all that it was told.
struct Till<'a> {
    port: &'a mut Port,
    rng: fastrand::Rng,
    outbox: Outbox,
    /// Segments and spares, as last seen.
    segments: (u64, u64),
    events: u64,
}

fn random(seed: u64) -> Random {
    // Keys of a trial guard nothing, so a seeded source will do.
    let source = Mutex::new(fastrand::Rng::with_seed(seed));
    Arc::new(move |bytes: &mut [u8]| {
        let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
        source.fill(bytes);
    })
}

/// Opens the outbox and tells what that found.
fn open(port: &mut Port, rng: &mut fastrand::Rng) -> Result<Outbox> {
    let watch = Stopwatch::start();
    let config = OutboxConfig {
        segment_bytes: SEGMENT_BYTES_MIN,
        ..OutboxConfig::new(
            Path::new(DISK).join("outbox"),
            Arc::new(move || watch.elapsed()),
        )
    };
    let random = random(rng.u64(..));
    let vault = Vault::from_key([7; 32], random.clone());
    let opened = Outbox::open(config, &vault, random).context("the outbox does not open")?;
    let outbox = opened.outbox;
    let damages = opened.recovery.damages.iter();
    port.say(Word::Opened {
        epoch: outbox.epoch().0,
        acked: outbox.acked().seq.0,
        appended: outbox.appended().seq.0,
        damages: damages.map(|damage| format!("{damage:?}")).collect(),
    })?;
    Ok(outbox)
}

pub(super) fn work(port: &mut Port, seed: u64, scenes: u32) -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(seed);
    port.say(Word::Phase(Phase::StartUp))?;
    let outbox = open(port, &mut rng)?;
    let mut till = Till::new(port, rng, outbox);
    for scene in 0..scenes {
        till.append_scene()?;
        if till.rng.u32(0..10) < 7 {
            till.drain()?;
        }
        // One in any case, so that cuts can fall into it.
        if scene == 1 || till.rng.u32(0..10) < 2 {
            till.fork()?;
            till.append_scene()?;
        }
        match till.rng.u32(0..10) {
            0..4 => {
                till.port.say(Word::Phase(Phase::Checkpoint))?;
                till.outbox.close().context("the outbox does not close")?;
                till = till.reopen()?;
            }
            // As after a kill: what was not handed to the disk is gone.
            4..6 => till = till.reopen()?,
            _ => {}
        }
    }
    till.port.say(Word::Phase(Phase::Checkpoint))?;
    till.outbox.close().context("the outbox does not close")
}

/// Opens it after a cut, lists it, goes on a little, and lists it again after another start.
pub(super) fn check(port: &mut Port, seed: u64) -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let outbox = open(port, &mut rng)?;
    list(port, &outbox, digest)?;
    let mut till = Till::new(port, rng, outbox);
    for _ in 0..till.rng.usize(1..6) {
        till.append()?;
    }
    if till.rng.bool() {
        till.drain()?;
        till.append()?;
    }
    if till.rng.bool() {
        till.outbox.close().context("the outbox does not close")?;
    }
    till = till.reopen()?;
    list(till.port, &till.outbox, digest)?;
    till.outbox.close().context("the outbox does not close")
}

impl<'a> Till<'a> {
    fn new(port: &'a mut Port, rng: fastrand::Rng, outbox: Outbox) -> Self {
        let stats = outbox.stats();
        Self {
            port,
            rng,
            segments: (stats.segments, stats.spares),
            events: outbox.appended().seq.0,
            outbox,
        }
    }

    /// Lets go of the outbox, as it is, and opens it again.
    fn reopen(self) -> Result<Self> {
        let Self {
            port,
            mut rng,
            outbox,
            ..
        } = self;
        port.say(Word::Phase(Phase::StartUp))?;
        drop(outbox);
        let outbox = open(port, &mut rng)?;
        Ok(Self::new(port, rng, outbox))
    }

    fn record(&mut self) -> Vec<u8> {
        self.events += 1;
        let length = match self.rng.u32(0..40) {
            0 => self.rng.usize(3_000..20_000),
            1..6 => self.rng.usize(0..40),
            _ => self.rng.usize(150..700),
        };
        let text: String = (0..length).map(|_| self.rng.alphanumeric()).collect();
        format!(
            r#"{{"at":{},"kind":"scan","body":{{"code":"unknown","text":"{text}"}}}}"#,
            self.events
        )
        .into_bytes()
    }

    /// Appends a few groups that share a commit, or do not, as it comes.
    fn append(&mut self) -> Result<()> {
        let mut waiting: Vec<(Vec<String>, Ticket)> = Vec::new();
        for _ in 0..self.rng.usize(1..5) {
            let count = if self.rng.u32(0..4) == 0 {
                self.rng.usize(2..6)
            } else {
                1
            };
            let records: Vec<_> = (0..count).map(|_| self.record()).collect();
            let digests = records.iter().map(|record| digest(record)).collect();
            waiting.push((digests, self.outbox.append_all(records)));
        }
        let epoch = self.outbox.epoch().0;
        for (digests, ticket) in waiting {
            let mark = ticket.wait().context("the outbox takes no events")?;
            let first = mark.seq.0 + 1 - digests.len() as u64;
            for (digest, seq) in digests.into_iter().zip(first..) {
                let chain = (seq == mark.seq.0).then(|| mark.chain.to_string());
                self.port.mention(Word::Kept {
                    epoch,
                    seq,
                    chain,
                    digest,
                })?;
            }
        }
        self.look_at_segments()
    }

    fn look_at_segments(&mut self) -> Result<()> {
        let stats = self.outbox.stats();
        let now = (stats.segments, stats.spares);
        if std::mem::replace(&mut self.segments, now) != now {
            self.port.mention(Word::SegmentChanged)?;
        }
        self.port.flush()
    }

    fn append_scene(&mut self) -> Result<()> {
        self.port.say(Word::Phase(Phase::Append))?;
        for _ in 0..self.rng.usize(GROUPS_A_SCENE) {
            self.append()?;
        }
        Ok(())
    }

    /// Plays the uplink: reads a batch, lets central have it, and says so.
    fn drain(&mut self) -> Result<()> {
        self.port.say(Word::Phase(Phase::Drain))?;
        for _ in 0..self.rng.usize(1..6) {
            let acked = self.outbox.acked();
            let batch = self.rng.usize(1..200);
            let events = self
                .outbox
                .read_after(acked.seq, batch, usize::MAX)
                .context("the outbox cannot be read")?;
            let Some(last) = events.last() else {
                break;
            };
            self.port.say(Word::AtCentral {
                epoch: self.outbox.epoch().0,
                seq: last.mark.seq.0,
            })?;
            self.outbox
                .acknowledge(last.mark)
                .context("the outbox takes no acknowledgement")?;
            for _ in 0..TIDY_LOOKS {
                self.look_at_segments()?;
            }
            if self.rng.bool() {
                self.append()?;
            }
        }
        Ok(())
    }

    /// Central knows another history from some place on: the rest moves to a new epoch.
    fn fork(&mut self) -> Result<()> {
        self.port.say(Word::Phase(Phase::Fork))?;
        let (acked, appended) = (self.outbox.acked().seq.0, self.outbox.appended().seq.0);
        let at = self.rng.u64(acked + 1..=appended + 1);
        let (epoch, into) = (self.outbox.epoch().0, self.rng.u64(..));
        self.port.say(Word::AtCentral { epoch, seq: at - 1 })?;
        self.port.say(Word::Forking { epoch, at, into })?;
        self.outbox
            .fork(Seq(at), Epoch(into))
            .context("the outbox does not fork")?;
        self.port.say(Word::Forked { into })
    }
}
