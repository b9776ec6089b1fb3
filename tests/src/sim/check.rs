//! The checks after a run: what the model says must be, against what is.

use std::collections::{BTreeMap, BTreeSet};

use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::{Epoch, Seq};
use tillbind_protocol::replica::BindingState;

use super::central::{Gap, Store, Stored, Stream};
use super::disk::{DAMAGED, GIVEN_UP, GONE};
use super::model::{Fact, Model};
use super::page::name_of;
use super::promise::{Breach, Promise};
use super::terminal::Terminal;

type Checked = Result<(), Breach>;

/// Checks every promise that can be seen at the end.
pub(super) fn all(terminals: &[Terminal], store: &Store, model: &Model) -> Checked {
    let checks = Checks {
        terminals,
        store,
        model,
    };
    checks.nothing_twice()?;
    for ((identity, epoch), stream) in &store.streams {
        let which = format!("terminal {identity} epoch {epoch}");
        in_order(&which, *epoch, stream, model.restored.contains(identity))?;
        checks.gaps_explained(&which, *epoch, stream)?;
    }
    checks.nothing_lost()?;
    checks.ruled_once()?;
    checks.time_is_honest()?;
    checks.replicas_are_true()
}

struct Checks<'c> {
    terminals: &'c [Terminal],
    store: &'c Store,
    model: &'c Model,
}

fn broken(promise: Promise, what: String) -> Checked {
    Err(Breach { promise, what })
}

/// Places rise by one but for gaps, each event chains to the one before it, and events have the order in
/// which they were recorded; what a restored disk filled a gap with is of another time, and so may be
/// what follows a gap of one.
fn in_order(which: &str, epoch: Epoch, stream: &Stream, was_restored: bool) -> Checked {
    let mut before = Some(Mark::genesis(epoch));
    let mut newest = None;
    let mut expected = Seq(1);
    for event in &stream.events {
        let seq = event.mark.seq;
        while expected < seq {
            if stream.gap_at(expected).is_none() {
                let what = format!("{which}: place {expected} is empty and no gap says why");
                return broken(Promise::GapsExplained, what);
            }
            before = None;
            newest = newest.filter(|_| !was_restored);
            expected = expected.next();
        }
        if let Some(before) = before
            && stream.gap_at(seq).is_none()
            && before.next(event.text.as_bytes()) != event.mark
        {
            let what = format!("{which}: the event at {seq} does not chain");
            return broken(Promise::InOrder, what);
        }
        if stream.gap_at(seq).is_none() {
            if newest >= Some(event.record.n) {
                let what = format!("{which}: event {} at {seq} is late", event.record.n);
                return broken(Promise::InOrder, what);
            }
            newest = Some(event.record.n);
        } else {
            newest = newest.filter(|_| !was_restored);
        }
        // What fills a gap is of a history that nobody can compare.
        before = stream.gap_at(seq).is_none().then_some(event.mark);
        expected = seq.next();
    }
    Ok(())
}

impl Checks<'_> {
    fn stored(&self) -> impl Iterator<Item = &Stored> {
        self.store.streams.values().flat_map(|one| &one.events)
    }

    fn fact(&self, n: u64) -> &Fact {
        &self.model.facts[usize::try_from(n).unwrap_or(usize::MAX)]
    }

    fn nothing_twice(&self) -> Checked {
        let mut seen: BTreeMap<u64, (usize, Epoch, Seq)> = BTreeMap::new();
        for ((identity, epoch), stream) in &self.store.streams {
            for event in &stream.events {
                let place = (*identity, *epoch, event.mark.seq);
                let other = seen.insert(event.record.n, place);
                let is_promised = |other: &(usize, Epoch, Seq)| {
                    !self.model.renumbered.contains(identity)
                        && !self.rejoined(*other, place)
                        && !self.rejoined(place, *other)
                };
                if let Some(other) = other.filter(is_promised) {
                    let n = event.record.n;
                    let what = format!("event {n} stands at {other:?} and at {place:?}");
                    return broken(Promise::NothingTwice, what);
                }
            }
        }
        Ok(())
    }

    /// Whether the second place is of an epoch that left the first one's, by others or not, and the first
    /// place lies behind a gap since: the histories parted before the gap's end, and were one again behind
    /// it.
    fn rejoined(&self, first: (usize, Epoch, Seq), second: (usize, Epoch, Seq)) -> bool {
        let (identity, epoch, place) = first;
        let stream = |epoch: Epoch| self.store.streams.get(&(identity, epoch));
        let left_by = |epoch: Epoch| stream(epoch).and_then(|stream| stream.forked_from);
        let lefts = std::iter::successors(left_by(second.1), |left| left_by(left.epoch));
        let mut lefts = lefts.take(self.store.streams.len());
        let Some((left, stream)) = lefts.find(|left| left.epoch == epoch).zip(stream(epoch)) else {
            return false;
        };
        let between = |gap: &Gap| (left.at..place).contains(&gap.to);
        identity == second.0 && stream.gaps.iter().any(between)
    }

    /// Every empty place of a gap held an event that is gone for the gap's reason.
    fn gaps_explained(&self, which: &str, epoch: Epoch, stream: &Stream) -> Checked {
        let filled: BTreeSet<Seq> = stream.events.iter().map(|event| event.mark.seq).collect();
        for gap in &stream.gaps {
            for place in (gap.from.0..=gap.to.0).map(Seq) {
                if filled.contains(&place) {
                    continue;
                }
                let mut held = self.model.placed.get(&(epoch, place)).into_iter().flatten();
                let fits = held.any(|n| {
                    let fact = self.fact(*n);
                    // In version 1 one notice may speak of several gaps.
                    let says = |reason| gap.reason.contains(reason);
                    (says(GIVEN_UP) && fact.given_up)
                        || (says(DAMAGED) && fact.damaged)
                        || (says(GONE) && (fact.lost_at_central || fact.given_up || fact.damaged))
                });
                if !fits {
                    let what = format!("{which}: nothing at {place} was {}", gap.reason);
                    return broken(Promise::GapsExplained, what);
                }
            }
        }
        Ok(())
    }

    fn nothing_lost(&self) -> Checked {
        let at_central: BTreeSet<u64> = self.stored().map(|event| event.record.n).collect();
        let refused = self.terminals.iter().filter(|one| one.refused);
        let waiting: BTreeSet<u64> = refused
            .flat_map(|one| {
                let lost = one.disk.lost_places();
                let lost = self.model.lost_at(one.disk.epoch, &lost);
                one.disk.numbers().into_iter().chain(lost)
            })
            .collect();
        let told = self.told_gone();
        for (n, fact) in self.model.facts.iter().enumerate() {
            let n = n as u64;
            let is_there = at_central.contains(&n) || waiting.contains(&n);
            if !fact.answered || is_there || fact.destroyed {
                continue;
            }
            let who = fact.who;
            if !(fact.given_up || fact.damaged || fact.lost_at_central) {
                let what = format!("event {n} of terminal {who} is nowhere: {fact:?}");
                return broken(Promise::NothingLost, what);
            }
            if !told.contains(&n) && !fact.left_behind {
                let what = format!("event {n} of terminal {who} is gone and untold: {fact:?}");
                return broken(Promise::GapsExplained, what);
            }
        }
        Ok(())
    }

    /// Events at whose places gaps are recorded; or, where a restored disk parted from its former history
    /// in a gap of both, events of that history, among which the loss cannot be seen.
    fn told_gone(&self) -> BTreeSet<u64> {
        let mut told = BTreeSet::new();
        for ((_, epoch), stream) in &self.store.streams {
            for gap in &stream.gaps {
                let range = (*epoch, gap.from)..=(*epoch, gap.to);
                told.extend(self.model.placed.range(range).flat_map(|(_, held)| held));
            }
            for event in stream.events.iter().filter(|_| !stream.gaps.is_empty()) {
                let held = self.model.placed.get(&(*epoch, event.mark.seq));
                told.extend(held.into_iter().flatten());
            }
        }
        told
    }

    fn ruled_once(&self) -> Checked {
        let mut ruled = BTreeMap::new();
        for (n, state) in &self.store.rulings {
            if ruled
                .insert(*n, *state == BindingState::Confirmed)
                .is_some()
            {
                return broken(
                    Promise::RuledOnce,
                    format!("request {n} was ruled on twice"),
                );
            }
        }
        let must = self.model.rulings();
        if ruled != must {
            let off: Vec<_> = must
                .iter()
                .filter(|(n, yes)| ruled.get(n) != Some(yes))
                .collect();
            return broken(Promise::RuledOnce, format!("rulings must be {off:?}"));
        }
        Ok(())
    }

    fn time_is_honest(&self) -> Checked {
        for event in self.stored() {
            let stamp = event.record.stamp();
            let Some(uncertainty_ms) = stamp.uncertainty_ms else {
                continue;
            };
            let fact = self.fact(event.record.n);
            let off_ms = stamp.corrected_ms().abs_diff(fact.true_ms);
            // Both times have a grain of a millisecond.
            if off_ms > u64::from(uncertainty_ms) + 2 {
                let n = event.record.n;
                let who = fact.who;
                let what = format!(
                    "event {n} of terminal {who} is off by {off_ms} ms and says {uncertainty_ms} ms"
                );
                return broken(Promise::TimeIsHonest, what);
            }
        }
        Ok(())
    }

    fn replicas_are_true(&self) -> Checked {
        let truth = self.store.truth();
        for (who, terminal) in self.terminals.iter().enumerate() {
            if terminal.refused {
                continue;
            }
            let replica = &terminal.disk.replica;
            if replica.members != truth.members || replica.verdicts != truth.verdicts {
                let what = format!("the replica of terminal {who} is not what central has");
                return broken(Promise::ReplicaIsTrue, what);
            }
            for n in terminal.requested() {
                if truth.verdicts.contains_key(&name_of(n)) {
                    let what = format!("terminal {who} still asks for binding {n}");
                    return broken(Promise::VerdictArrives, what);
                }
            }
        }
        Ok(())
    }
}
