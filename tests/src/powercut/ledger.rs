//! What was promised outside before a cut, and whether it is there afterwards.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::words::Word;

/// An acknowledged event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Promise {
    chain: Option<String>,
    digest: String,
    /// Whether it came into being here and not by a move from the former epoch.
    fresh: bool,
}

/// One epoch as it was promised.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Life {
    epoch: u64,
    promises: BTreeMap<u64, Promise>,
    /// Up to where central has the events: they may be gone.
    at_central: u64,
    /// Whether the outbox said that the move here is complete.
    complete: bool,
}

/// All that was promised; grows by what is heard.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// In the order of coming.
    lives: Vec<Life>,
}

/// What a machine told after a cut.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    epoch: u64,
    acked: u64,
    held: BTreeMap<u64, (String, String)>,
    gaps: Vec<(u64, u64, String)>,
    /// Damages reported when it came up.
    pub damages: Vec<String>,
}

impl Found {
    /// Takes in a word.
    pub(super) fn hear(&mut self, word: &Word) {
        if let Word::Opened {
            epoch,
            acked,
            damages,
            ..
        } = word
        {
            *self = Self {
                epoch: *epoch,
                acked: *acked,
                damages: damages.clone(),
                ..Self::default()
            };
        } else if let Word::Held { seq, chain, digest } = word {
            self.held.insert(*seq, (chain.clone(), digest.clone()));
        } else if let Word::Gap {
            from,
            until,
            reason,
        } = word
        {
            self.gaps.push((*from, *until, reason.clone()));
        }
    }

    /// Returns how many events are there.
    pub(super) fn events(&self) -> usize {
        self.held.len()
    }
}

impl Ledger {
    /// Takes in a word.
    pub(super) fn hear(&mut self, word: &Word) {
        if let Word::Kept {
            epoch,
            seq,
            chain,
            digest,
        } = word
        {
            let promise = Promise {
                chain: chain.clone(),
                digest: digest.clone(),
                fresh: true,
            };
            self.life(*epoch).promises.insert(*seq, promise);
        } else if let Word::AtCentral { epoch, seq } = word {
            let life = self.life(*epoch);
            life.at_central = life.at_central.max(*seq);
        } else if let Word::Forking { epoch, at, into } = word {
            let moved = self.life(*epoch).promises.range(at..);
            let moved = moved.map(|(seq, promise)| {
                let promise = Promise {
                    chain: None,
                    digest: promise.digest.clone(),
                    fresh: false,
                };
                (seq - at + 1, promise)
            });
            let promises = moved.collect();
            self.lives.push(Life {
                epoch: *into,
                promises,
                ..Life::default()
            });
        } else if let Word::Forked { into } = word {
            self.life(*into).complete = true;
        }
    }

    fn life(&mut self, epoch: u64) -> &mut Life {
        let known = self.lives.iter().position(|life| life.epoch == epoch);
        let index = known.unwrap_or_else(|| {
            self.lives.push(Life {
                epoch,
                ..Life::default()
            });
            self.lives.len() - 1
        });
        &mut self.lives[index]
    }

    /// Returns how many acknowledged events must be there, whatever the epoch.
    pub(super) fn promised(&self) -> usize {
        self.lives.iter().map(Life::waiting).sum()
    }

    /// Says what is wrong with what was found; nothing if all that was promised is there.
    pub(super) fn faults(&self, found: &Found) -> Vec<String> {
        let mut faults = Vec::new();
        let Some(index) = self.lives.iter().position(|life| life.epoch == found.epoch) else {
            if self.promised() > 0 {
                faults.push(format!(
                    "lost: the outbox came up in epoch {:016x}, which nobody knows; {} acknowledged events are gone",
                    found.epoch,
                    self.promised()
                ));
            }
            return faults;
        };
        for later in &self.lives[index + 1..] {
            let fresh = later.promises.values().filter(|p| p.fresh).count();
            if fresh > 0 || later.complete {
                faults.push(format!(
                    "lost: epoch {:016x} is gone with {fresh} acknowledged events; the outbox is back in {:016x}",
                    later.epoch, found.epoch
                ));
            }
        }
        self.lives[index].compare(found, &mut faults);
        faults
    }
}

impl Life {
    fn waiting(&self) -> usize {
        self.promises
            .range(self.at_central + 1..)
            .filter(|(_, promise)| promise.fresh)
            .count()
    }

    fn compare(&self, found: &Found, faults: &mut Vec<String>) {
        if found.acked > self.at_central {
            faults.push(format!(
                "lost: the outbox takes events up to {} for acknowledged by central, which has no more than {}",
                found.acked, self.at_central
            ));
        }
        let mut missing = Vec::new();
        for (seq, promise) in self.promises.range(found.acked + 1..) {
            match found.held.get(seq) {
                None => missing.push(*seq),
                Some((chain, digest)) => {
                    if *digest != promise.digest {
                        faults.push(format!(
                            "changed: event {seq} is {digest} and not {}",
                            promise.digest
                        ));
                    } else if promise.chain.as_ref().is_some_and(|given| given != chain) {
                        faults.push(format!("changed: the chain at event {seq} is {chain}"));
                    }
                }
            }
        }
        if let (Some(first), Some(last)) = (missing.first(), missing.last()) {
            let reported = found
                .gaps
                .iter()
                .map(|(from, until, reason)| format!("{from} to {until}: {reason}"))
                .collect::<Vec<_>>();
            faults.push(format!(
                "lost: {} acknowledged events between {first} and {last} are gone; gaps reported: {reported:?}",
                missing.len()
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(epoch: u64, seq: u64) -> Word {
        Word::Kept {
            epoch,
            seq,
            chain: None,
            digest: format!("e{seq}"),
        }
    }

    fn ledger(words: &[Word]) -> Ledger {
        let mut ledger = Ledger::default();
        for word in words {
            ledger.hear(word);
        }
        ledger
    }

    fn found(epoch: u64, acked: u64, held: &[(u64, &str)]) -> Found {
        let mut found = Found::default();
        found.hear(&Word::Opened {
            epoch,
            acked,
            appended: 0,
            damages: Vec::new(),
        });
        for (seq, digest) in held {
            found.hear(&Word::Held {
                seq: *seq,
                chain: String::new(),
                digest: (*digest).to_owned(),
            });
        }
        found
    }

    #[test]
    fn an_acknowledged_event_is_missed_and_one_that_central_has_is_not() {
        let central = Word::AtCentral { epoch: 1, seq: 1 };
        let ledger = ledger(&[kept(1, 1), kept(1, 2), kept(1, 3), central]);
        let whole = found(1, 1, &[(2, "e2"), (3, "e3"), (4, "not told")]);
        assert_eq!(ledger.faults(&whole), Vec::<String>::new());
        let short = found(1, 1, &[(2, "e2")]);
        assert_eq!(ledger.faults(&short).len(), 1);
        let changed = found(1, 1, &[(2, "e2"), (3, "e4")]);
        assert_eq!(ledger.faults(&changed).len(), 1);
        let beyond = found(1, 3, &[]);
        assert_eq!(ledger.faults(&beyond).len(), 1);
        let other = found(2, 0, &[]);
        assert_eq!(ledger.faults(&other).len(), 1);
    }

    #[test]
    fn after_a_fork_either_epoch_will_do_until_the_new_one_is_promised() {
        let forking = Word::Forking {
            epoch: 1,
            at: 2,
            into: 9,
        };
        let begun = [kept(1, 1), kept(1, 2), kept(1, 3), forking];
        let old = found(1, 0, &[(1, "e1"), (2, "e2"), (3, "e3")]);
        let new = found(9, 0, &[(1, "e2"), (2, "e3")]);
        let early = ledger(&begun);
        assert_eq!(early.faults(&old), Vec::<String>::new());
        assert_eq!(early.faults(&new), Vec::<String>::new());
        let mut late = early.clone();
        late.hear(&Word::Forked { into: 9 });
        assert_eq!(late.faults(&old).len(), 1);
        assert_eq!(late.faults(&new), Vec::<String>::new());
    }
}
