//! Central's side of the exchange: what of a request to take, and what to answer.
//!
//! Central keeps, per terminal and epoch, a watermark with the chain's value there, and the chain's
//! value after every event. The decision compares the two histories wherever they overlap:
//!
//! - equal and beyond the watermark: the new events are taken;
//! - equal and wholly behind it: a resend, acknowledged again;
//! - a hole before the batch: `rewind`, unless a gap notice explains it;
//! - a hole inside the batch that reaches beyond the watermark: the watermark passes it, and it becomes
//!   a gap; wholly behind the watermark: the chain at its end is compared like an event's, and nothing
//!   is recorded, since every place there is an event or a gap already;
//! - inside a recorded gap: taken after all. A restored disk may hold what was given up, and only
//!   its place is known, so nothing can be compared until the gap's end. (Where two histories differ
//!   before the end of a gap and are the same behind it, the second to come moves as a whole, and what both
//!   have behind the gap comes twice; a sale still counts once, by its natural key);
//! - different: `fork` at the first event that differs. The terminal starts a new epoch and sends
//!   everything from there on under it.
//!
//! A terminal whose newest event lies behind the watermark has been rolled back (a restored disk)
//! and would reuse numbers: it is told to fork even before it does.
//!
//! The decision is a function of its arguments. The caller holds the stream's row locked from
//! reading the watermark to writing the new one.

use std::collections::{BTreeMap, BTreeSet};

use crate::chain::{ChainHash, Mark};
use crate::exchange::{Batch, ExchangeRequest, GapNotice, Step, Verdict};
use crate::ids::Seq;

/// What to do with a request.
#[derive(Debug)]
pub struct Decision<'r> {
    /// What to answer.
    pub verdict: Verdict,
    /// The acknowledged mark to answer: the newest place on which both histories are known to agree.
    pub acked: Mark,
    /// The stream's new watermark, if it moved.
    pub watermark: Option<Mark>,
    /// Events to store, in order. Those that fill a gap lie behind the watermark. Also to be stored
    /// when the verdict is `fork`: the terminal will not send what precedes the fork again.
    pub accepted: Vec<Accepted<'r>>,
    /// Gaps to record, in order: what the watermark passes without an event.
    pub gaps: Vec<Missing<'r>>,
}

/// Places to record as a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing<'r> {
    /// The first; behind the watermark as it was.
    pub from: Seq,
    /// The last.
    pub to: Seq,
    /// Why they are gone, in the terminal's words.
    pub reason: &'r str,
}

/// An event to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted<'r> {
    /// Its place, and the chain's value after it.
    pub mark: Mark,
    /// Its record, byte for byte.
    pub record: &'r str,
}

/// Returns the places whose stored chain value [`decide`] wants to see, in order. Few: the events and
/// ends of holes of the batch that lie behind the watermark, and the terminal's two marks.
pub fn places_to_compare(stored: Option<&Mark>, request: &ExchangeRequest) -> Vec<Seq> {
    let Some(stored) = stored else {
        return Vec::new();
    };
    let mut places = vec![request.acked.seq, request.head.seq];
    if let Some(batch) = &request.batch {
        places.push(batch.first.before());
        places.extend(batch.steps().map(|(last, _)| last));
    }
    places.retain(|place| *place > Seq::ZERO && *place < stored.seq);
    places.sort_unstable();
    places.dedup();
    places
}

/// What central knows of a stream, as far as a request asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Known<'k> {
    /// The stream's watermark; none for an epoch never seen.
    pub watermark: Option<&'k Mark>,
    /// The stored chain values of [`places_to_compare`]; a place without one counts as one whose event
    /// central does not have.
    pub chains: &'k BTreeMap<Seq, ChainHash>,
    /// Those of these places that lie inside a recorded gap. What fills a gap may be of another history
    /// than what lies around it, so there a chain that differs says nothing of what follows.
    pub fillers: &'k BTreeSet<Seq>,
    /// The places at which other epochs of this terminal left this one
    /// ([`crate::exchange::Hello::forked_from`]): what a restored disk still has from such a place on
    /// stands in that other epoch already.
    pub forks: &'k [Seq],
}

/// Decides on a request.
pub fn decide<'r>(known: &Known<'_>, request: &'r ExchangeRequest) -> Decision<'r> {
    let history = History {
        watermark: known
            .watermark
            .copied()
            .unwrap_or_else(|| Mark::genesis(request.epoch)),
        genesis: Mark::genesis(request.epoch),
        known: *known,
    };
    let (start, gap) = match passed_gap(&history, request) {
        Some((start, gap)) => (start, Some(gap)),
        None => (history.watermark, None),
    };
    let mut decision = match &request.batch {
        Some(batch) if !batch.is_empty() => decide_batch(&history, start, batch, request),
        Some(_) | None => decide_poll(&history, start, request),
    };
    if let Some(gap) = gap.filter(|_| decision.acked.seq >= start.seq) {
        decision.gaps.insert(0, history.missing(gap));
        decision.watermark = decision.watermark.or(Some(start));
    }
    decision
}

struct History<'c> {
    watermark: Mark,
    genesis: Mark,
    known: Known<'c>,
}

impl History<'_> {
    /// The stored chain value at a place, where there is one.
    fn at(&self, seq: Seq) -> Option<ChainHash> {
        if seq == self.watermark.seq {
            return Some(self.watermark.chain);
        }
        if seq == Seq::ZERO {
            return Some(self.genesis.chain);
        }
        self.known.chains.get(&seq).copied()
    }

    /// The first place among some at which another epoch left this one.
    fn left_within(&self, from: Seq, to: Seq) -> Option<Seq> {
        let within = self
            .known
            .forks
            .iter()
            .filter(|at| (from..=to).contains(at));
        within.min().copied()
    }

    /// The part of a notice that lies beyond the watermark.
    fn missing<'r>(&self, notice: &'r GapNotice) -> Missing<'r> {
        Missing {
            from: notice.from.max(self.watermark.seq.next()),
            to: notice.to,
            reason: &notice.reason,
        }
    }

    fn agrees(&self, mark: &Mark) -> Agreement {
        if mark.seq > self.watermark.seq {
            return Agreement::Beyond;
        }
        match self.at(mark.seq) {
            Some(chain) if chain == mark.chain => Agreement::Equal,
            Some(_) => Agreement::Different,
            None => Agreement::NotKept,
        }
    }

    /// Whether a history joins at a mark: as [`History::agrees`], but for what fills a gap.
    fn joins(&self, mark: &Mark) -> Agreement {
        let agreement = self.agrees(mark);
        if agreement == Agreement::Different && self.known.fillers.contains(&mark.seq) {
            return Agreement::NotKept;
        }
        agreement
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agreement {
    Equal,
    Different,
    /// Central has no event there: the place lies inside a gap.
    NotKept,
    /// The place lies beyond the watermark.
    Beyond,
}

/// A gap notice counts when it begins at or before the place that central waits for, ends beyond the
/// watermark, and the batch goes on where it ends.
fn passed_gap<'r>(
    history: &History<'_>,
    request: &'r ExchangeRequest,
) -> Option<(Mark, &'r GapNotice)> {
    let gap = request.gap.as_ref()?;
    let wanted = history.watermark.seq.next();
    let follows = request
        .batch
        .as_ref()
        .is_none_or(|batch| batch.first == gap.to.next());
    (gap.from <= wanted && gap.to >= wanted && gap.to <= request.head.seq && follows).then_some((
        Mark {
            seq: gap.to,
            chain: gap.after,
        },
        gap,
    ))
}

fn decide_batch<'r>(
    history: &History<'_>,
    start: Mark,
    batch: &'r Batch,
    request: &'r ExchangeRequest,
) -> Decision<'r> {
    if batch.fault(request.head.seq).is_some() {
        // The caller refuses such a batch; nothing of it is taken in any case.
        return answer(
            Verdict::Rewind {
                to: start.seq.next(),
            },
            agreed(history, request),
        );
    }
    let before = Mark {
        seq: batch.first.before(),
        chain: batch.before,
    };
    if before.seq > start.seq {
        return answer(
            Verdict::Rewind {
                to: start.seq.next(),
            },
            agreed(history, request),
        );
    }
    let joins = if before.seq == start.seq {
        if before.chain == start.chain {
            Agreement::Equal
        } else {
            Agreement::Different
        }
    } else {
        history.joins(&before)
    };
    match joins {
        Agreement::Equal | Agreement::NotKept => {}
        Agreement::Different | Agreement::Beyond => return diverged_before(history, request),
    }
    let mut mark = before;
    let mut taken = Shown::default();
    for (last, step) in batch.steps() {
        let from = mark.seq.next();
        let next = match step {
            Step::Event(record) => mark.next(record.as_bytes()),
            Step::Hole(hole) => Mark {
                seq: last,
                chain: hole.after,
            },
        };
        let agreement = history.agrees(&next);
        let left = match agreement {
            Agreement::Equal => None,
            Agreement::Different => Some(from),
            Agreement::NotKept | Agreement::Beyond => history.left_within(from, last),
        };
        if let Some(at) = left {
            return fork_at(history, at, mark, taken);
        }
        match (agreement, step) {
            (Agreement::NotKept | Agreement::Beyond, Step::Event(record)) => {
                taken.accepted.push(Accepted { mark: next, record });
            }
            (Agreement::Beyond, Step::Hole(hole)) => taken.gaps.push(history.missing(hole)),
            // Every place of it is an event or a gap already.
            (Agreement::NotKept, Step::Hole(_))
            | (Agreement::Equal | Agreement::Different, Step::Event(_) | Step::Hole(_)) => {}
        }
        mark = next;
    }
    if request.head.seq < history.watermark.seq && mark.seq >= request.head.seq {
        return fork_at(history, request.head.seq.next(), mark, taken);
    }
    Decision {
        watermark: (mark.seq > history.watermark.seq).then_some(mark),
        accepted: taken.accepted,
        gaps: taken.gaps,
        ..answer(Verdict::Ok, mark)
    }
}

/// What a batch showed up to some place.
#[derive(Debug, Default)]
struct Shown<'r> {
    accepted: Vec<Accepted<'r>>,
    gaps: Vec<Missing<'r>>,
}

fn decide_poll<'r>(
    history: &History<'_>,
    start: Mark,
    request: &'r ExchangeRequest,
) -> Decision<'r> {
    let head = &request.head;
    if start.seq > history.watermark.seq {
        // A gap notice took the watermark along.
        return Decision {
            watermark: Some(start),
            ..answer(Verdict::Ok, start)
        };
    }
    if head.seq > start.seq {
        // It has more than central: either it is about to send it, or it takes for acknowledged
        // what central lost.
        let agreed = agreed(history, request);
        let verdict = if request.acked.seq > start.seq {
            Verdict::Rewind {
                to: start.seq.next(),
            }
        } else {
            Verdict::Ok
        };
        return answer(verdict, agreed);
    }
    match history.agrees(head) {
        Agreement::Equal | Agreement::NotKept if head.seq == history.watermark.seq => {
            answer(Verdict::Ok, history.watermark)
        }
        Agreement::Equal | Agreement::NotKept => answer(
            Verdict::Fork {
                at: head.seq.next(),
            },
            *head,
        ),
        Agreement::Different | Agreement::Beyond => diverged_before(history, request),
    }
}

/// The histories differ somewhere before what this request shows. If the terminal still has the
/// events since its own acknowledged mark, ask for them to find the first that differs.
fn diverged_before<'r>(history: &History<'_>, request: &'r ExchangeRequest) -> Decision<'r> {
    let acked = request.acked;
    let is_shown = shows_from(request, acked.seq.next());
    match history.joins(&acked) {
        Agreement::Equal | Agreement::NotKept if acked.seq < request.head.seq && !is_shown => {
            answer(
                Verdict::Rewind {
                    to: acked.seq.next(),
                },
                acked,
            )
        }
        // Even what it takes for acknowledged differs: what it holds beyond that is all it can give.
        Agreement::Equal | Agreement::NotKept | Agreement::Different | Agreement::Beyond => answer(
            Verdict::Fork {
                at: acked.seq.next(),
            },
            acked,
        ),
    }
}

/// Whether a request tells of everything from a place on: by its batch, or by a notice of what is gone
/// there and the batch behind it.
fn shows_from(request: &ExchangeRequest, wanted: Seq) -> bool {
    let batch = request.batch.as_ref().filter(|batch| !batch.is_empty());
    let joins = |gap: &&GapNotice| batch.is_none_or(|batch| batch.first == gap.to.next());
    match request.gap.as_ref().filter(joins) {
        Some(gap) => gap.from <= wanted && wanted <= gap.to.next(),
        None => batch.is_some_and(|batch| batch.first == wanted),
    }
}

/// The newest of the terminal's marks on which both agree.
fn agreed(history: &History<'_>, request: &ExchangeRequest) -> Mark {
    if history.agrees(&request.acked) == Agreement::Equal {
        request.acked
    } else if request.acked.seq > history.watermark.seq {
        history.watermark
    } else {
        history.genesis
    }
}

fn fork_at<'r>(history: &History<'_>, at: Seq, agreed: Mark, taken: Shown<'r>) -> Decision<'r> {
    let watermark = (agreed.seq > history.watermark.seq).then_some(agreed);
    Decision {
        accepted: taken.accepted,
        gaps: taken.gaps,
        watermark,
        ..answer(Verdict::Fork { at }, agreed)
    }
}

fn answer<'r>(verdict: Verdict, acked: Mark) -> Decision<'r> {
    Decision {
        verdict,
        acked,
        watermark: None,
        accepted: Vec::new(),
        gaps: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
