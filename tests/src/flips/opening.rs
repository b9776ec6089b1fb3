//! Opening a store as the daemon does at its start, and holding what comes out against what went in.

use std::collections::BTreeMap;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use anyhow::{Result, anyhow, bail, ensure};
use tillbind_agent::identity::Identity;
use tillbind_agent::members::{Key, NoteKind, Replica};
use tillbind_agent::outbox::{Outbox, ReadError, Recovery};
use tillbind_agent::vault::Vault;
use tillbind_protocol::ids::Seq;

use super::Part;
use super::store::{Stop, Store, config};

const READ_EVENTS: usize = 64;
const READ_BYTES: usize = 1024 * 1024;

/// What a start came to.
#[derive(Debug)]
pub(super) enum Found {
    /// Everything is as it was.
    Unharmed,
    /// Something is lost, and this was said of it.
    Told(#[expect(dead_code, reason = "shown where an unharmed store tells of a loss")] String),
    /// The agent would not start, for this reason.
    Refused(#[expect(dead_code, reason = "shown where an unharmed store is refused")] String),
}

/// Opens everything in `dir`, reads all, acknowledges all, and stops cleanly.
pub(super) fn open(store: &Store, dir: &Path, part: Part) -> Result<Found> {
    guarded(|| try_open(store, dir, part))
}

fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let why = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Err(anyhow!("it panicked: {}", why.unwrap_or("no reason")))
    })
}

fn try_open(store: &Store, dir: &Path, part: Part) -> Result<Found> {
    let mut told = Vec::new();
    let vault = match Vault::open(dir, None, store.random()) {
        Ok(vault) => vault,
        Err(error) => {
            let is_key = matches!(part, Part::Key | Part::KeyPrint);
            ensure!(is_key, "the vault refuses for a flip elsewhere: {error}");
            return refused(&error, dir);
        }
    };
    ensure!(part != Part::Key, "another key is taken for the right one");
    match Identity::load(dir) {
        Ok(Some(identity)) => {
            ensure!(
                identity == store.identity,
                "another identity is taken for the right one"
            );
        }
        Ok(None) => bail!("the identity is gone without a word"),
        Err(error) => return refused(&error, dir),
    }
    if part.concerns_members() {
        let (replica, recovery) = match Replica::open(&dir.join("members"), &vault) {
            Ok(opened) => opened,
            Err(error) => return refused(&error, dir),
        };
        told.extend(members(store, &replica, recovery.replica_damage)?);
        told.extend(notes(store, &replica, recovery.notes_damage)?);
    }
    if part.concerns_outbox() {
        let opened = match Outbox::open(config(dir), &vault, store.random()) {
            Ok(opened) => opened,
            Err(error) => return refused(&error, dir),
        };
        told.extend(events(store, &opened.outbox, &opened.recovery)?);
        opened.outbox.close()?;
    }
    Ok(if told.is_empty() {
        Found::Unharmed
    } else {
        Found::Told(told.join("; "))
    })
}

/// Opens once more what was opened, read and acknowledged before.
pub(super) fn open_again(store: &Store, dir: &Path, part: Part) -> Result<()> {
    guarded(|| {
        let vault = store.vault(dir)?;
        if part.concerns_members() {
            let (_, recovery) = Replica::open(&dir.join("members"), &vault)?;
            ensure!(
                recovery.replica_damage.is_none() && recovery.notes_damage.is_none(),
                "{recovery:?}"
            );
        }
        if !part.concerns_outbox() {
            return Ok(());
        }
        let opened = Outbox::open(config(dir), &vault, store.random())?;
        ensure!(
            opened.recovery.damages.is_empty() && opened.recovery.events == 0,
            "{:?}",
            opened.recovery
        );
        let mark = opened.outbox.append(b"the next event".to_vec()).wait()?;
        let read = opened.outbox.read_after(mark.seq.before(), 2, READ_BYTES)?;
        ensure!(
            read.len() == 1 && read.iter().all(|one| one.record == b"the next event"),
            "the next event reads as {read:?}"
        );
        Ok(opened.outbox.close()?)
    })
}

/// A refusal has to say where, and what to do.
fn refused(error: &dyn Error, dir: &Path) -> Result<Found> {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    ensure!(
        text.contains(&*dir.to_string_lossy()),
        "a refusal that names no place: {text}"
    );
    let remedies = ["put ", "enrol ", "remove ", "restore ", "replace "];
    ensure!(
        remedies.iter().any(|word| text.contains(word)),
        "a refusal without a remedy: {text}"
    );
    Ok(Found::Refused(text))
}

/// Reads all events; returns what was said of those that are lost.
fn events(store: &Store, outbox: &Outbox, recovery: &Recovery) -> Result<Option<String>> {
    let mut gaps: Vec<(u64, u64)> = recovery
        .damages
        .iter()
        .map(|damage| (damage.from.0, damage.to.0))
        .collect();
    let mut told: Vec<String> = recovery
        .damages
        .iter()
        .map(|damage| damage.reason.clone())
        .collect();
    let mut out: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut after = outbox.acked().seq;
    let is_same_epoch = outbox.epoch() == store.epoch;
    loop {
        match outbox.read_after(after, READ_EVENTS, READ_BYTES) {
            Ok(stored) => {
                let Some(last) = stored.last() else { break };
                for one in &stored {
                    ensure!(
                        one.mark.seq == after.next(),
                        "{} follows {after}",
                        one.mark.seq
                    );
                    after = one.mark.seq;
                    ensure!(
                        out.insert(after.0, one.record.clone()).is_none(),
                        "event {after} comes twice"
                    );
                }
                outbox.acknowledge(last.mark)?;
            }
            Err(ReadError::Gap {
                from,
                until,
                reason,
            }) => {
                ensure!(from == after.next(), "a gap from {from} follows {after}");
                gaps.push((from.0, until.seq.0));
                told.push(reason);
                after = until.seq;
                outbox.acknowledge(until)?;
            }
            Err(error) => bail!("the waiting events cannot be read: {error}"),
        }
    }
    ensure!(after == outbox.appended().seq, "reading ends at {after}");
    if is_same_epoch {
        let newest = Seq(store.events.len() as u64);
        for (seq, record) in &out {
            let went_in = usize::try_from(*seq - 1)
                .ok()
                .and_then(|at| store.events.get(at));
            ensure!(
                went_in == Some(record),
                "event {seq} is another than went in"
            );
        }
        let lost: Vec<u64> = (store.acked.0 + 1..=newest.0)
            .filter(|seq| !out.contains_key(seq))
            .filter(|seq| !gaps.iter().any(|(from, to)| (*from..=*to).contains(seq)))
            .collect();
        // Of a last write that does not verify nobody can tell whether it was acknowledged: it is cut
        // off, and counted. A clean stop leaves a mark that tells.
        let is_cut = store.stop == Stop::Killed
            && recovery.torn_bytes > 0
            && lost.iter().all(|seq| *seq + 6 > newest.0);
        ensure!(
            lost.is_empty() || is_cut,
            "events {lost:?} of {newest} are gone without a word ({recovery:?})"
        );
        if is_cut && !lost.is_empty() {
            told.push(format!("{} bytes cut off", recovery.torn_bytes));
        }
    } else {
        salvaged(store, &out)?;
        ensure!(!gaps.is_empty(), "a new epoch without a word");
    }
    Ok((!told.is_empty()).then(|| told.join(", ")))
}

/// In a new epoch events have other places: they must come in their order, each once, as they went in.
fn salvaged(store: &Store, out: &BTreeMap<u64, Vec<u8>>) -> Result<()> {
    let mut rest = store.events.iter();
    for (seq, record) in out {
        ensure!(
            rest.any(|event| event == record),
            "event {seq} of the new epoch is none that went in, or out of order"
        );
    }
    Ok(())
}

fn members(store: &Store, replica: &Replica, damage: Option<String>) -> Result<Option<String>> {
    let cursor = match replica.cursor() {
        Ok(cursor) => cursor,
        Err(error) => bail!("after opening, the cursor cannot be read: {error}"),
    };
    let pages = store.pages_before(cursor.as_deref())?;
    let mut told = damage;
    if pages < store.pages() {
        told.get_or_insert_with(|| format!("the cursor says {cursor:?}"));
    }
    for (page, cards) in store.cards_by_page() {
        for (card, value) in cards {
            match replica.get(&Key::Card(card.clone())) {
                Ok(Some(found)) => {
                    ensure!(&found == value, "a card's value is another than went in");
                }
                // What lies behind the cursor central sends again.
                Ok(None) => ensure!(
                    page > pages,
                    "a card of page {page} is gone without a word, the cursor is {cursor:?}"
                ),
                Err(error) => told = told.or(Some(error.to_string())),
            }
        }
    }
    Ok(told)
}

/// Returns what was said of lost notes.
fn notes(store: &Store, replica: &Replica, damage: Option<String>) -> Result<Option<String>> {
    let mut told = damage;
    let mut absent = 0;
    for (name, value) in &store.notes {
        match replica.get_local(NoteKind::Setting, name) {
            Ok(Some(found)) => {
                ensure!(&found == value, "a note says what it never said");
                ensure!(
                    absent == 0,
                    "a note in the middle is gone without a word, later ones are there"
                );
            }
            Ok(None) => absent += 1,
            Err(error) => told = told.or(Some(error.to_string())),
        }
    }
    match replica.scan_local(NoteKind::Setting) {
        Ok(all) if told.is_none() => {
            let kept = store.notes.len() - absent;
            ensure!(
                all.len() == kept,
                "{} notes are listed, {kept} found",
                all.len()
            );
        }
        Ok(_) => {}
        // The daemon lists its notes at the start and ends when it cannot.
        Err(error) => bail!("one damaged note keeps the agent from starting: {error}"),
    }
    ensure!(
        absent == 0 || told.is_some(),
        "{absent} notes are gone without a word"
    );
    Ok(told)
}
