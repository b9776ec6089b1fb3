//! One bit flipped at a random place of a terminal's store, again and again.
//!
//! A [`store::Store`] is written once for each way to stop, with a backlog, a replica and notes. For each
//! flip a fresh copy gets one bit turned, in a kind of file that the seed draws, and is then opened by the
//! products' own doors as the daemon does at its start: vault, outbox, members, identity. All that comes
//! out is compared with all that went in:
//!
//! - an event comes out as it went in, or stands in a gap or a damage, or the start is refused with a
//!   message that names the place and a remedy. Nothing else: no missing event without a word, no other
//!   event, no panic;
//! - a value of the replica is right, or reading it is an error, or its cursor says that it has to be had
//!   from central again; an identity is right or refused;
//! - notes are right, or reading them is an error, or they say that they begin anew or are an older state
//!   of themselves: sled cuts its log at a damage, and the witness beside it tells;
//! - a second start after the first does at least as well.
//!
//! What it does not show: more than one bit, and bits that turn while the agent runs.

mod opening;
mod store;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fastrand::Rng;

use opening::{Found, open};
use store::Store;

pub use store::Stop;

/// Faults that are shown; the rest is counted.
const FAULTS_SHOWN: usize = 12;

/// A kind of file in a terminal's data directory, and how many of a hundred flips go there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Journal segments in use.
    Journal,
    /// Journal segments kept for reuse.
    Spare,
    /// The outbox's sled.
    Buffer,
    /// The acknowledged mark.
    Watermark,
    /// What a clean stop leaves.
    Clean,
    /// The replica's sled.
    Replica,
    /// The notes' sled.
    Notes,
    /// Identity, certificate and key for the line.
    Identity,
    /// The key for data at rest.
    Key,
    /// The fingerprint of that key.
    KeyPrint,
    /// Anything else that the agent keeps.
    Other,
}

impl Part {
    /// Returns whether a flip here can show in the outbox.
    fn concerns_outbox(self) -> bool {
        match self {
            Self::Journal | Self::Spare | Self::Buffer | Self::Watermark | Self::Clean => true,
            Self::Key | Self::KeyPrint | Self::Other => true,
            Self::Replica | Self::Notes | Self::Identity => false,
        }
    }

    /// Returns whether a flip here can show in the member data.
    fn concerns_members(self) -> bool {
        match self {
            Self::Replica | Self::Notes | Self::Key | Self::KeyPrint | Self::Other => true,
            Self::Journal | Self::Spare | Self::Buffer | Self::Watermark | Self::Clean => false,
            Self::Identity => false,
        }
    }

    const ALL: [(Self, u32); 11] = [
        (Self::Journal, 28),
        (Self::Spare, 3),
        (Self::Buffer, 12),
        (Self::Watermark, 6),
        (Self::Clean, 8),
        (Self::Replica, 16),
        (Self::Notes, 12),
        (Self::Identity, 8),
        (Self::Key, 3),
        (Self::KeyPrint, 2),
        (Self::Other, 2),
    ];

    /// Returns the kind of the file at this path within a data directory.
    fn of(path: &str) -> Self {
        let outbox = path.strip_prefix("outbox/");
        match path {
            "vault.key" => Self::Key,
            "vault.id" => Self::KeyPrint,
            "identity/identity.json" => Self::Identity,
            "outbox/clean" => Self::Clean,
            _ if path.ends_with("/watermark") => Self::Watermark,
            _ if path.starts_with("outbox/spare/") => Self::Spare,
            _ if path.ends_with(".segment") => Self::Journal,
            _ if outbox.is_some_and(|rest| rest.starts_with("buffer-")) => Self::Buffer,
            _ if path.starts_with("members/replica/") => Self::Replica,
            _ if path.starts_with("members/notes/") => Self::Notes,
            _ => Self::Other,
        }
    }
}

/// What became of the flips in one kind of file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Everything was as before: the bit meant nothing, or could be made good.
    pub unharmed: u32,
    /// Something was lost, and it was said what.
    pub told: u32,
    /// The start was refused, in words that name place and remedy.
    pub refused: u32,
}

/// What was seen.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Decides every flip.
    pub seed: u64,
    /// What became of them.
    pub outcomes: BTreeMap<Part, Outcomes>,
    /// Everything that must not be, the first few in words.
    pub faults: Vec<String>,
    /// How many there are.
    pub faults_count: usize,
}

impl Report {
    /// Returns how many bits were flipped.
    pub fn flips(&self) -> u32 {
        let of = |one: &Outcomes| one.unharmed + one.told + one.refused;
        let faults = u32::try_from(self.faults_count).unwrap_or(u32::MAX);
        self.outcomes.values().map(of).sum::<u32>() + faults
    }

    fn note(&mut self, part: Part, found: Result<Found>, flip: &Flip) {
        let outcomes = self.outcomes.entry(part).or_default();
        match found {
            Ok(Found::Unharmed) => outcomes.unharmed += 1,
            Ok(Found::Told(_)) => outcomes.told += 1,
            Ok(Found::Refused(_)) => outcomes.refused += 1,
            Err(fault) => {
                self.faults_count += 1;
                if self.faults.len() < FAULTS_SHOWN {
                    self.faults.push(format!("{flip}: {fault:#}"));
                }
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {} flips", self.seed, self.flips())?;
        for (part, one) in &self.outcomes {
            writeln!(
                f,
                "{:<10} unharmed {:>3}, told {:>3}, refused {:>3}",
                format!("{part:?}"),
                one.unharmed,
                one.told,
                one.refused
            )?;
        }
        for fault in &self.faults {
            writeln!(f, "FAULT: {fault}")?;
        }
        write!(f, "{} faults", self.faults_count)
    }
}

/// One bit.
#[derive(Debug, Clone)]
struct Flip {
    number: u32,
    stop: Stop,
    file: String,
    bit: u64,
}

impl fmt::Display for Flip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (byte, bit) = (self.bit / 8, self.bit % 8);
        write!(
            f,
            "flip {} ({:?}): byte {byte} bit {bit} of {}",
            self.number, self.stop, self.file
        )
    }
}

/// Flips `count` bits, one at a time, in copies of a store under `dir`.
///
/// # Errors
/// When the stores cannot be made. What a flip does is no error: it stands in the report.
pub fn play(dir: &Path, seed: u64, count: u32) -> Result<Report> {
    let mut rng = Rng::with_seed(seed);
    let stores = [Stop::Clean, Stop::Killed]
        .into_iter()
        .map(|stop| Store::write(&dir.join(format!("{stop:?}")), stop, rng.u64(..)))
        .collect::<Result<Vec<_>>>()?;
    let mut report = Report {
        seed,
        ..Report::default()
    };
    let copy = dir.join("copy");
    for store in &stores {
        store.copy_to(&copy)?;
        match open(store, &copy, Part::Other) {
            Ok(Found::Unharmed) => {}
            other => anyhow::bail!("an unharmed store ({:?}) gives {other:?}", store.stop),
        }
    }
    for number in 0..count {
        let store = stores
            .get(rng.usize(..stores.len()))
            .context("no store was made")?;
        let (part, flip) = draw(store, &mut rng, number)?;
        store.copy_to(&copy)?;
        turn(&copy.join(&flip.file), flip.bit)?;
        let first = open(store, &copy, part);
        let again = match &first {
            // The first start has acknowledged all: a second one finds an outbox without events.
            Ok(Found::Unharmed | Found::Told(_)) => opening::open_again(store, &copy, part),
            Ok(Found::Refused(_)) => open(store, &copy, part).map(drop),
            Err(_) => Ok(()),
        };
        let found = again.context("the second start does worse").and(first);
        report.note(part, found, &flip);
    }
    Ok(report)
}

fn draw(store: &Store, rng: &mut Rng, number: u32) -> Result<(Part, Flip)> {
    let weights: u32 = Part::ALL.iter().map(|(_, weight)| weight).sum();
    loop {
        let mut choice = rng.u32(..weights);
        let mut drawn = Part::Other;
        for (part, weight) in Part::ALL {
            if choice < weight {
                drawn = part;
                break;
            }
            choice -= weight;
        }
        let files: Vec<_> = store
            .files
            .iter()
            .filter(|(path, bytes)| *bytes > 0 && Part::of(path) == drawn)
            .collect();
        // A store may lack a kind of file: one that was killed has no `clean`.
        let Some((file, bytes)) = files.get(rng.usize(..files.len().max(1))) else {
            continue;
        };
        // Half of the flips of a large file go where its content is: most of it may be unused.
        let used = store.used(file).unwrap_or(*bytes);
        let within = if rng.bool() { used } else { *bytes };
        let flip = Flip {
            number,
            stop: store.stop,
            file: file.clone(),
            bit: rng.u64(..within.max(1) * 8),
        };
        return Ok((drawn, flip));
    }
}

fn turn(path: &Path, bit: u64) -> Result<()> {
    let shown = || path.display().to_string();
    let mut bytes = fs::read(path).with_context(shown)?;
    let place = usize::try_from(bit / 8)?;
    let byte = bytes.get_mut(place).with_context(shown)?;
    *byte ^= 1 << (bit % 8);
    fs::write(path, bytes).with_context(shown)
}

/// Returns the files under `dir` with their lengths, by their path within.
fn files(dir: &Path) -> Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir)?.to_string_lossy().into_owned();
                found.push((name, entry.metadata()?.len()));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_file_is_known_by_its_path() {
        for (path, part) in [
            ("outbox/epochs/1-a/000000000001.segment", Part::Journal),
            ("outbox/epochs/1-a/watermark", Part::Watermark),
            ("outbox/spare/000000000002.segment", Part::Spare),
            ("outbox/buffer-3/db", Part::Buffer),
            ("outbox/clean", Part::Clean),
            ("members/replica/db", Part::Replica),
            ("members/notes/snap.0", Part::Notes),
            ("identity/identity.json", Part::Identity),
            ("vault.key", Part::Key),
            ("vault.id", Part::KeyPrint),
            ("outbox/lock", Part::Other),
        ] {
            assert_eq!(Part::of(path), part, "{path}");
        }
    }
}
