//! What all of a run share: the time, what is to come, chance, the story, the model, the network.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Arguments;
use std::time::Duration;

use tillbind_protocol::exchange::{ExchangeRequest, ExchangeResponse, Versions};

use super::chance::Chance;
use super::fault::Fault;
use super::model::Model;
use super::network::Network;
use super::promise::{Breach, Promise};
use super::story::Story;
use super::world::WorldConfig;

/// Sizes of batches, one of which a run has.
const BATCH_EVENTS: [usize; 4] = [2, 5, 12, 40];

/// What a terminal waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// The process has come up.
    Booted,
    /// A timer of the uplink's machine; it counts only if it is the newest.
    Wake(u64),
    /// A step of the outbox's writer.
    Writer,
    /// A step of the writer of notes.
    Notes,
    /// A step of the uplink's shell.
    Uplink,
}

/// Something that is to happen.
#[derive(Debug)]
pub(super) enum Happening {
    /// The next transition.
    Transition,
    /// Something in one life of a terminal's process.
    Terminal { who: usize, life: u32, due: Due },
    /// A request has come to central's door.
    Request(Box<Parcel>),
    /// The terminal let go of its connection.
    Dropped { exchange: u64 },
    /// A step of a request at central; it counts only if it is the newest.
    Job { job: u64, step: u64 },
    /// A process of central has come up.
    Process { process: usize, life: u32 },
    /// A process hears of a change.
    Head { process: usize, life: u32 },
    /// A terminal gets an answer, or word that there will be none.
    Answer {
        who: usize,
        exchange: u64,
        word: Word,
    },
}

/// What a terminal hears of a request.
#[derive(Debug)]
pub(super) enum Word {
    Answer(Box<ExchangeResponse>),
    /// HTTP 426, with the versions that central reads, if it says so.
    Version(Option<Versions>),
    /// The connection ended.
    End,
}

/// A request on its way.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    pub(super) who: usize,
    pub(super) identity: usize,
    pub(super) exchange: u64,
    pub(super) request: ExchangeRequest,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) config: WorldConfig,
    pub(super) now: Duration,
    pub(super) chance: Chance,
    pub(super) model: Model,
    pub(super) network: Network,
    pub(super) fault: Option<Fault>,
    /// Most events in a batch; few, so that a backlog takes several.
    pub(super) batch_events: usize,
    pub(super) story: Story,
    pub(super) breach: Option<Breach>,
    /// Whether disks are full and damaged in this run, or fleets of mixed versions. Both at once is more
    /// than version 1 can tell.
    pub(super) loses: bool,
    agenda: BinaryHeap<Reverse<(Duration, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    next_id: u64,
}

impl Stage {
    pub(super) fn new(seed: u64, config: WorldConfig, fault: Option<Fault>) -> Self {
        let mut chance = Chance::new(seed);
        Self {
            config,
            now: Duration::ZERO,
            batch_events: BATCH_EVENTS[chance.index(BATCH_EVENTS.len())],
            loses: chance.below(2) == 0,
            chance,
            model: Model::default(),
            network: Network::default(),
            fault,
            story: Story::new(),
            breach: None,
            agenda: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            next_id: 0,
        }
    }

    pub(super) fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Lets something happen later.
    pub(super) fn after(&mut self, pause: Duration, what: Happening) {
        let id = self.fresh_id();
        self.agenda.push(Reverse((self.now + pause, id)));
        self.happenings.insert(id, what);
    }

    /// Takes what happens next, and moves the time to it.
    pub(super) fn next(&mut self) -> Option<Happening> {
        let Reverse((at, id)) = self.agenda.pop()?;
        self.now = self.now.max(at);
        self.happenings.remove(&id)
    }

    pub(super) fn tell(&mut self, what: Arguments<'_>) {
        self.story.tell(self.now, what);
    }

    /// Takes note that a promise is broken; the first one ends the run.
    pub(super) fn break_promise(&mut self, promise: Promise, what: String) {
        self.tell(format_args!("BROKEN {promise:?}: {what}"));
        self.breach.get_or_insert(Breach { promise, what });
    }

    /// Sends a request to central; now and then it is lost, late, or comes twice.
    pub(super) fn send_request(&mut self, parcel: &Parcel) {
        let bytes = request_bytes(&parcel.request);
        let copies = if self.chance.happens(self.config.duplication) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            if let Some(pause) = self.way(parcel.who, bytes) {
                self.after(pause, Happening::Request(Box::new(parcel.clone())));
            }
        }
    }

    /// Sends word to a terminal.
    pub(super) fn send_word(&mut self, who: usize, exchange: u64, word: Word) {
        let bytes = match &word {
            Word::Answer(answer) => answer_bytes(answer),
            Word::Version(_) | Word::End => 0,
        };
        let Some(pause) = self.way(who, bytes) else {
            return;
        };
        let what = Happening::Answer {
            who,
            exchange,
            word,
        };
        self.after(pause, what);
    }

    /// Lets central know that nobody waits for an answer any more; it may never hear.
    pub(super) fn drop_connection(&mut self, who: usize, exchange: u64) {
        if let Some(pause) = self.way(who, 0) {
            self.after(pause, Happening::Dropped { exchange });
        }
    }

    fn way(&mut self, who: usize, bytes: u64) -> Option<Duration> {
        let lost = self.chance.happens(self.config.loss);
        let late = self.chance.happens(20);
        let latency_ms = if late {
            self.chance.below(30_000)
        } else {
            1 + self.chance.below(200)
        };
        if lost || self.network.is_cut(who) {
            return None;
        }
        Some(Duration::from_millis(latency_ms) + self.network.transfer(who, bytes))
    }
}

fn request_bytes(request: &ExchangeRequest) -> u64 {
    let records = request.batch.iter().flat_map(|batch| &batch.events);
    let express = request.express.iter().map(|one| &one.record);
    let all = records.chain(express);
    300 + all.map(|record| record.get().len() as u64).sum::<u64>()
}

fn answer_bytes(answer: &ExchangeResponse) -> u64 {
    200 + answer
        .page
        .as_ref()
        .map_or(0, |page| 80 * page.changes.len() as u64)
}
