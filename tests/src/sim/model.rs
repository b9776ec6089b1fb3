//! What must be true, kept apart from what is tested: which events there are and what became of them by
//! the world's own doing, and what central made durable in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tillbind_protocol::exchange::Fork;
use tillbind_protocol::ids::{Epoch, Seq};

use super::record::Wish;
use super::timepiece::true_ms;

/// What is known of an event.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub(super) who: usize,
    pub(super) wish: Option<Wish>,
    /// When it happened, by the true time.
    pub(super) true_ms: i64,
    /// Whether the till was told that it is kept.
    pub(super) answered: bool,
    /// Whether a full disk cost it.
    pub(super) given_up: bool,
    /// Whether it was damaged on the disk.
    pub(super) damaged: bool,
    /// Whether it was on a disk alone that a backup replaced.
    pub(super) destroyed: bool,
    /// Whether central had lost it when its terminal, which keeps it no longer, left its place behind as one
    /// of what central has acknowledged: nobody tells of it.
    pub(super) left_behind: bool,
    /// Whether the terminal's disk knows nothing of it any more: only central does.
    pub(super) off_disk: bool,
    /// Whether central had it and lost it to a backup.
    pub(super) lost_at_central: bool,
}

/// A transaction that central committed.
#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub(super) events: Vec<(Seq, u64)>,
    /// Requests for bindings that became durable ahead of their turn.
    pub(super) express: Vec<u64>,
}

/// The model.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) facts: Vec<Fact>,
    /// Events that were durable at a place of an epoch; more than one where histories part.
    pub(super) placed: BTreeMap<(Epoch, Seq), BTreeSet<u64>>,
    pub(super) commits: Vec<Commit>,
    /// Terminals whose disk was ever replaced by a backup.
    pub(super) restored: BTreeSet<usize>,
    /// Terminals of which a fork moved gaps for what waited, after which the chain is another one than on a disk that still
    /// had their events. Restored thereafter, such a disk sends events twice.
    pub(super) renumbered: BTreeSet<usize>,
}

impl Model {
    /// Something happens at a till; returns its number.
    pub(super) fn record(&mut self, who: usize, wish: Option<Wish>, now: Duration) -> u64 {
        self.facts.push(Fact {
            who,
            wish,
            true_ms: true_ms(now),
            answered: false,
            given_up: false,
            damaged: false,
            destroyed: false,
            left_behind: false,
            off_disk: false,
            lost_at_central: false,
        });
        self.facts.len() as u64 - 1
    }

    pub(super) fn fact(&mut self, n: u64) -> &mut Fact {
        let at = usize::try_from(n).unwrap_or(usize::MAX);
        &mut self.facts[at]
    }

    pub(super) fn place(&mut self, epoch: Epoch, seq: Seq, n: u64) {
        self.placed.entry((epoch, seq)).or_default().insert(n);
    }

    /// Events that central has by what it committed.
    pub(super) fn at_central(&self) -> BTreeSet<u64> {
        let events = self.commits.iter().flat_map(|commit| &commit.events);
        events.map(|(_, n)| *n).collect()
    }

    fn held_at(&self, epoch: Epoch, places: &[Seq]) -> BTreeSet<u64> {
        let held = places
            .iter()
            .filter_map(|seq| self.placed.get(&(epoch, *seq)));
        held.flatten().copied().collect()
    }

    /// Events that were at some places of an epoch and are lost there.
    pub(super) fn lost_at(&self, epoch: Epoch, places: &[Seq]) -> BTreeSet<u64> {
        let held = self.held_at(epoch, places);
        let is_lost = |n: &u64| {
            let fact = &self.facts[usize::try_from(*n).unwrap_or(usize::MAX)];
            fact.given_up || fact.damaged || fact.lost_at_central
        };
        held.into_iter().filter(is_lost).collect()
    }

    /// A terminal's disk is replaced by one that holds these events alone. Of all others that happened
    /// there and that central does not have, nobody knows any more.
    pub(super) fn handle_restored(&mut self, who: usize, identity: usize, kept: &BTreeSet<u64>) {
        self.restored.insert(identity);
        let at_central = self.at_central();
        for (n, fact) in self.facts.iter_mut().enumerate() {
            let n = n as u64;
            if fact.who == who {
                fact.off_disk = !kept.contains(&n);
                fact.destroyed |= fact.off_disk && !at_central.contains(&n);
            }
        }
    }

    /// A terminal leaves an epoch at a place for another one. Of what was before that place it never speaks
    /// again; what is lost has moved as a gap.
    pub(super) fn handle_left(
        &mut self,
        identity: usize,
        left: Fork,
        into: Epoch,
        acked: Seq,
        lost: &[(Seq, Seq)],
    ) {
        if lost.iter().any(|(former, _)| *former > acked) {
            self.renumbered.insert(identity);
        }
        for (former, place) in lost {
            for n in self.lost_at(left.epoch, &[*former]) {
                self.place(into, *place, n);
            }
        }
        let at_central = self.at_central();
        let before = (left.epoch, Seq::ZERO)..(left.epoch, left.at);
        let before: BTreeSet<u64> = self
            .placed
            .range(before)
            .flat_map(|(_, n)| n.clone())
            .collect();
        for n in before {
            // Of what central lost before, its record of the gap alone knows from now on.
            let is_there = at_central.contains(&n);
            let fact = self.fact(n);
            fact.off_disk = true;
            fact.left_behind |= fact.lost_at_central && !is_there;
        }
    }

    /// Central is back at the commit of so many.
    pub(super) fn handle_central_restored(&mut self, commits: usize) {
        let lost: Vec<u64> = self
            .commits
            .drain(commits..)
            .flat_map(|commit| commit.events)
            .map(|(_, n)| n)
            .collect();
        for n in lost {
            let fact = self.fact(n);
            fact.lost_at_central = true;
            fact.destroyed |= fact.off_disk;
        }
    }

    /// Who must hold which card, and which requests must have been confirmed: the first that became
    /// durable wins, and whoever asks for the same account again is told yes.
    pub(super) fn rulings(&self) -> BTreeMap<u64, bool> {
        let mut holders = BTreeMap::new();
        let mut rulings = BTreeMap::new();
        for commit in &self.commits {
            let events = commit.events.iter().map(|(_, n)| *n);
            // What is ahead of its turn is ruled on behind what has its turn.
            for n in events.chain(commit.express.iter().copied()) {
                let at = usize::try_from(n).unwrap_or(usize::MAX);
                let Some(wish) = self.facts[at].wish else {
                    continue;
                };
                let holder = *holders.entry(wish.card).or_insert(wish.account);
                rulings.entry(n).or_insert(holder == wish.account);
            }
        }
        rulings
    }
}
