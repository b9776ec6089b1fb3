//! What is given up when there is no room, and in which order.
//!
//! Telemetry first, then receipts that nobody could read, then scans without a sale; sales, bindings and
//! whatever this version does not know are never given up. Within a class the oldest segment goes first, and
//! only for something that is worth at least as much. Each leaves a gap with its reason, so that central
//! hears of it. A scan stays if a sale near it names its card, or if its sale may still come.
//!
//! The last reserve is taken for a segment once nothing is left to give up: from then on sales have what
//! is in it, and then they are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::ControlFlow;

use tillbind_protocol::ids::Seq;

use super::super::buffer::Entry;
use super::super::journal::{CommitError, Found, Reserve, Thinned};
use super::super::room::Room;
use super::super::worth::{Class, SACRIFICES, card_of};
use super::Writer;

/// A scan belongs to a sale that names its card within so many events.
const SALE_WITHIN_EVENTS: u64 = 512;
/// The newest events keep their scans: the sale may still come.
const RECENT_EVENTS: u64 = 64;
/// Events that must come before it is worth looking again where nothing could be given up.
const FRUITLESS_FOR_EVENTS: u64 = 256;

/// Where a search ended without anything to give up.
#[derive(Debug, Default)]
pub(in super::super) struct Fruitless {
    until: BTreeMap<Class, Seq>,
}

impl Fruitless {
    fn is(&self, class: Class, head: Seq) -> bool {
        self.until.get(&class).is_some_and(|until| head < *until)
    }

    fn note(&mut self, class: Class, head: Seq) {
        let until = Seq(head.0.saturating_add(FRUITLESS_FOR_EVENTS));
        self.until.insert(class, until);
    }
}

impl Writer {
    /// Gives up waiting events until so many more bytes may wait.
    pub(super) fn lighten(&mut self, class_max: Class, bytes: u64) -> bool {
        // Some more at once, or each following event would have to give up another.
        let slack = self.room.backlog_bytes_max() / 32;
        self.give_up(class_max, |writer| {
            writer.room.allows(writer.waiting_bytes + bytes + slack)
        });
        self.room.allows(self.waiting_bytes + bytes)
    }

    /// Begins a segment that a group of some class fits into.
    pub(super) fn make_segment(
        &mut self,
        class: Class,
        group_bytes: u64,
    ) -> Result<(), CommitError> {
        let mut made = self.try_segment(group_bytes, Reserve::Spared);
        if !made.as_ref().is_err_and(CommitError::is_full) {
            return made;
        }
        self.give_up(class, |writer| {
            made = writer.try_segment(group_bytes, Reserve::Spared);
            made.is_ok()
        });
        if made.is_err() && self.acked == self.journal.head() {
            // Central has all of it: what it takes on the disk is room.
            made = match self
                .write_watermark()
                .and_then(|()| self.journal.give_last_back())
            {
                Ok(true | false) => self.journal.make_room(group_bytes, Reserve::Taken),
                Err(_) => made,
            };
        }
        if made.is_err() && class >= Class::Sale {
            made = self.journal.make_room(group_bytes, Reserve::Taken);
        }
        if made.is_ok() {
            // Room was short, whatever came of it.
            self.room.note_refusal();
        }
        made
    }

    fn try_segment(&mut self, group_bytes: u64, reserve: Reserve) -> Result<(), CommitError> {
        if self.journal.fits(group_bytes) {
            return Ok(());
        }
        self.room.look(&*self.layout.disk, &self.layout.root);
        let grows_bytes = self.journal.growth_bytes(group_bytes);
        if !self.room.has(grows_bytes, self.journal.stats().disk_bytes) {
            return Err(Room::refusal());
        }
        self.journal.make_room(group_bytes, reserve)
    }

    /// Gives up events, those that are worth the least first, until it is enough or nothing is left.
    fn give_up(&mut self, class_max: Class, mut is_enough: impl FnMut(&mut Self) -> bool) {
        let head = self.journal.head().seq;
        for class in SACRIFICES.into_iter().filter(|class| *class <= class_max) {
            if self.fruitless.is(class, head) {
                continue;
            }
            for segment in self.tally.holding(class) {
                match self.thin(segment, class) {
                    Ok(true) if is_enough(self) => return,
                    Ok(true | false) => {}
                    Err(error) => {
                        tracing::warn!(%error, "a segment of the journal could not be thinned out");
                    }
                }
            }
            self.fruitless.note(class, head);
        }
    }

    /// Gives up what a segment holds of a class; returns whether it held any.
    fn thin(&mut self, segment: u64, class: Class) -> Result<bool, CommitError> {
        if !self.journal.can_thin(segment) {
            return Ok(false);
        }
        let victims = self.victims(segment, class).map_err(|source| CommitError {
            doing: "read a segment of",
            source: source.into(),
        })?;
        if victims.events.is_empty() {
            if !victims.spared_recent {
                self.tally.clear(segment, class);
            }
            return Ok(false);
        }
        let reason = format!("given up for want of room: {}", class.as_str());
        let shape = self.shape.clone();
        let mut revisions = shape.write();
        let Some(thinned) = self.journal.thin(segment, &victims.events, &reason)? else {
            return Ok(false);
        };
        revisions.insert(segment, self.journal.revision(segment));
        self.follow(&thinned);
        drop(revisions);
        let events = victims.events.len() as u64;
        self.tally.take(segment, class, victims.bytes);
        self.waiting_bytes = self.waiting_bytes.saturating_sub(victims.bytes);
        self.figures.given_up[class.index()] += events;
        self.room.note_refusal();
        tracing::error!(
            events,
            class = class.as_str(),
            freed_bytes = thinned.freed_bytes,
            "there is no room: events were given up"
        );
        Ok(true)
    }

    /// Puts into the buffer where things stand now.
    fn follow(&mut self, thinned: &Thinned) {
        let Some(buffer) = self.buffer.clone() else {
            return;
        };
        let acked = self.acked.seq;
        let gaps = thinned.gaps.iter().filter(|gap| gap.until.seq > acked);
        let gone: Vec<_> = gaps
            .clone()
            .map(|gap| gap.from.max(acked.next())..=gap.until.seq)
            .collect();
        let kept = thinned.kept.iter().filter(|kept| kept.0.seq > acked);
        let kept = kept.map(|(mark, at, class)| Entry::Event {
            mark: *mark,
            class: *class,
            at: *at,
        });
        let entries = gaps.cloned().map(Entry::Gap).chain(kept).collect();
        let amended = buffer.amend(&gone, entries);
        self.check_buffer(amended);
    }

    /// Looks for what a segment holds of a class and can be given up.
    fn victims(&self, segment: u64, class: Class) -> io::Result<Victims> {
        let mut victims = Victims::default();
        let mut scans: Vec<(Seq, u64, Option<String>)> = Vec::new();
        let mut sales: BTreeMap<String, Vec<Seq>> = BTreeMap::new();
        let numbers = self.journal.segment_numbers();
        // The sale of a scan may stand in the next segment.
        let reach = if class == Class::Scan { 2 } else { 1 };
        let read = numbers
            .iter()
            .filter(|number| **number >= segment)
            .take(reach);
        let mut has_card = false;
        for number in read {
            self.journal.read_segment(*number, &mut |found| {
                let Found::Record { mark, plain, .. } = found else {
                    return ControlFlow::Continue(());
                };
                let found_class = Class::of(&plain);
                if *number == segment && found_class == class && mark.seq > self.acked.seq {
                    let card = (class == Class::Scan).then(|| card_of(&plain)).flatten();
                    has_card |= card.is_some();
                    scans.push((mark.seq, plain.len() as u64, card));
                } else if found_class >= Class::Sale
                    && has_card
                    && let Some(card) = card_of(&plain)
                {
                    sales.entry(card).or_default().push(mark.seq);
                }
                ControlFlow::Continue(())
            })?;
        }
        let recent = self.journal.head().seq.0.saturating_sub(RECENT_EVENTS);
        for (seq, bytes, card) in scans {
            let follows = |sale: &Seq| *sale > seq && sale.0 - seq.0 <= SALE_WITHIN_EVENTS;
            let has_sale = card
                .and_then(|card| sales.get(&card))
                .is_some_and(|sales| sales.iter().any(follows));
            let is_recent = class == Class::Scan && seq.0 > recent;
            victims.spared_recent |= is_recent && !has_sale;
            if !has_sale && !is_recent {
                victims.events.insert(seq);
                victims.bytes += bytes;
            }
        }
        Ok(victims)
    }
}

/// What can be given up in a segment.
#[derive(Debug, Default)]
struct Victims {
    events: BTreeSet<Seq>,
    bytes: u64,
    /// Something was spared only because it is new.
    spared_recent: bool,
}
