//! Central's database: what is committed, and the locks of what is not yet.

use std::collections::{BTreeMap, VecDeque};

use tillbind_protocol::chain::{ChainHash, Mark};
use tillbind_protocol::exchange::Fork;
use tillbind_protocol::ids::{Epoch, Seq};
use tillbind_protocol::replica::BindingState;

use super::super::disk::Replica;
use super::super::model::{Commit, Model};
use super::super::page::{Head, Thing, Things, name_of};
use super::super::record::{Class, Record, Wish};

/// Members who get points by sales.
const MEMBERS: u64 = 12;

/// An event as it was stored.
#[derive(Debug, Clone)]
pub(in super::super) struct Stored {
    pub(in super::super) mark: Mark,
    pub(in super::super) text: String,
    pub(in super::super) record: Record,
}

/// A gap as it was recorded.
#[derive(Debug, Clone)]
pub(in super::super) struct Gap {
    pub(in super::super) from: Seq,
    pub(in super::super) to: Seq,
    pub(in super::super) reason: String,
}

/// A terminal's epoch.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Stream {
    pub(super) mark: Option<Mark>,
    pub(super) chains: BTreeMap<Seq, ChainHash>,
    pub(in super::super) events: Vec<Stored>,
    pub(in super::super) gaps: Vec<Gap>,
    pub(in super::super) forked_from: Option<Fork>,
}

impl Stream {
    /// Returns the gap that a place lies in, if it lies in one.
    pub(in super::super) fn gap_at(&self, seq: Seq) -> Option<&Gap> {
        let within = |gap: &&Gap| (gap.from..=gap.to).contains(&seq);
        self.gaps.iter().find(within)
    }
}

/// A lock that a transaction holds until its end, in the order in which they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lock {
    Stream(usize, Epoch),
    Membership,
    Counter,
}

/// What a transaction writes.
#[derive(Debug, Clone)]
pub(super) struct Write {
    pub(super) stream: (usize, Epoch),
    pub(super) forked_from: Option<Fork>,
    pub(super) events: Vec<Stored>,
    pub(super) gaps: Vec<Gap>,
    pub(super) mark: Option<Mark>,
    pub(super) rulings: Vec<(u64, Wish, BindingState)>,
    pub(super) express: Vec<(u64, Wish)>,
}

/// The database.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Store {
    pub(in super::super) streams: BTreeMap<(usize, Epoch), Stream>,
    pub(super) machines: BTreeMap<usize, String>,
    things: Things,
    pub(super) head: Head,
    holders: BTreeMap<u64, u64>,
    /// How many rulings came before the turn of their event.
    pub(in super::super) express: u64,
    /// Every ruling, in its order.
    pub(in super::super) rulings: Vec<(u64, BindingState)>,
}

impl Store {
    /// Headquarters changes a member.
    pub(super) fn change_member(&mut self, member: u64, points: i64) {
        self.head.version += 1;
        let thing = Thing::Member { points };
        let name = format!("m-{}", member % MEMBERS);
        let change = (self.head.version, thing);
        self.things.by_name.insert(name, change);
    }

    pub(super) fn page(
        &self,
        head: Head,
        cursor: &tillbind_protocol::replica::Cursor,
    ) -> Option<tillbind_protocol::replica::Page> {
        // A process knows the history, and asks the database what is newest.
        let head = Head {
            history: head.history,
            version: self.head.version,
        };
        self.things.after(head, cursor)
    }

    /// Rules on requests in their order, behind what is committed.
    pub(super) fn rule(
        &self,
        wishes: impl IntoIterator<Item = (u64, Wish)>,
        again: bool,
    ) -> Vec<(u64, Wish, BindingState)> {
        let mut holders = self.holders.clone();
        let mut rulings: Vec<(u64, Wish, BindingState)> = Vec::new();
        for (n, wish) in wishes {
            let is_known = self.things.by_name.contains_key(&name_of(n))
                || rulings.iter().any(|(known, ..)| *known == n);
            if is_known && !again {
                continue;
            }
            let holder = *holders.entry(wish.card).or_insert(wish.account);
            let state = if holder == wish.account {
                BindingState::Confirmed
            } else {
                BindingState::Rejected
            };
            rulings.push((n, wish, state));
        }
        rulings
    }

    /// Makes a transaction durable.
    pub(super) fn commit(&mut self, write: Write, model: &mut Model) {
        let numbers = |stored: &Stored| (stored.mark.seq, stored.record.n);
        model.commits.push(Commit {
            events: write.events.iter().map(numbers).collect(),
            express: write.express.iter().map(|(n, _)| *n).collect(),
        });
        let is_express = |(n, ..): &&(u64, Wish, BindingState)| {
            write.express.iter().any(|(shown, _)| shown == n)
        };
        self.express += write.rulings.iter().filter(is_express).count() as u64;
        let touches = !write.rulings.is_empty()
            || write
                .events
                .iter()
                .any(|e| e.record.kind == Class::Transaction);
        if touches {
            self.head.version += 1;
        }
        let version = self.head.version;
        for event in &write.events {
            if event.record.kind == Class::Transaction {
                let name = format!("m-{}", event.record.n % MEMBERS);
                let points = match self.things.by_name.get(&name) {
                    Some((_, Thing::Member { points })) => *points + 1,
                    Some((_, Thing::Binding { .. })) | None => 1,
                };
                let change = (version, Thing::Member { points });
                self.things.by_name.insert(name, change);
            }
        }
        for (n, wish, state) in write.rulings {
            self.rulings.push((n, state));
            self.holders.entry(wish.card).or_insert(wish.account);
            let change = (version, Thing::Binding { wish, state });
            self.things.by_name.insert(name_of(n), change);
        }
        let stream = self.streams.entry(write.stream).or_default();
        stream.forked_from = stream.forked_from.or(write.forked_from);
        for event in &write.events {
            stream.chains.insert(event.mark.seq, event.mark.chain);
        }
        stream.events.extend(write.events);
        // What fills a gap comes late.
        stream.events.sort_by_key(|event| event.mark.seq);
        stream.gaps.extend(write.gaps);
        stream.mark = write.mark.or(stream.mark);
    }

    /// What every replica must hold.
    pub(in super::super) fn truth(&self) -> Replica {
        let mut truth = Replica::default();
        for (name, (_, thing)) in &self.things.by_name {
            match thing {
                Thing::Member { points } => {
                    truth.members.insert(name.clone(), *points);
                }
                Thing::Binding { state, .. } => {
                    truth.verdicts.insert(name.clone(), *state);
                }
            }
        }
        truth
    }
}

/// Who holds which lock, and who waits for it, in turn.
#[derive(Debug, Default)]
pub(super) struct Locks {
    held: BTreeMap<Lock, u64>,
    waiting: BTreeMap<Lock, VecDeque<u64>>,
}

impl Locks {
    /// Takes a lock, or lets the job wait for it.
    pub(super) fn take(&mut self, lock: Lock, job: u64) -> bool {
        let holder = *self.held.entry(lock).or_insert(job);
        if holder != job {
            self.waiting.entry(lock).or_default().push_back(job);
        }
        holder == job
    }

    pub(super) fn is_free(&self, lock: Lock) -> bool {
        !self.held.contains_key(&lock)
    }

    /// Lets go of all that a job has or waits for; returns whose turn it is now.
    pub(super) fn release(&mut self, job: u64) -> Vec<u64> {
        for waiting in self.waiting.values_mut() {
            waiting.retain(|one| *one != job);
        }
        let freed: Vec<Lock> = self
            .held
            .iter()
            .filter(|(_, holder)| **holder == job)
            .map(|(lock, _)| *lock)
            .collect();
        let mut next = Vec::new();
        for lock in freed {
            self.held.remove(&lock);
            let first = self.waiting.get_mut(&lock).and_then(VecDeque::pop_front);
            if let Some(first) = first {
                self.held.insert(lock, first);
                next.push(first);
            }
        }
        next
    }
}
