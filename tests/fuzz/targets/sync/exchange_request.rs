//! A request as central reads it: frame, JSON, check, decision.
//!
//! Oracles: a body under zstd, with and without a dictionary, reads as it does plainly; what was read is written and read back the same;
//! a decision takes each event once (the same request again takes nothing), in order, on its chain,
//! never moves the watermark back, and asks for a bounded number of places.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use libfuzzer_sys::fuzz_target;
use tillbind_central::changes::Place;
use tillbind_central::sync::fuzzing;
use tillbind_fuzz::{DICTIONARY, assert_round_trip, packed, packed_with_dictionary};
use tillbind_protocol::chain::{ChainHash, Mark};
use tillbind_protocol::exchange::{BATCH_EVENTS_MAX, ExchangeRequest, Verdict};
use tillbind_protocol::ids::Seq;
use tillbind_protocol::intake::{Decision, Known, decide, places_to_compare};

fuzz_target!(|data: &[u8]| {
    let framed: Option<ExchangeRequest> = fuzzing::read(true, data);
    let plain: Option<ExchangeRequest> = fuzzing::read(false, data);
    let repacked: Option<ExchangeRequest> = fuzzing::read(true, &packed(data));
    assert_eq!(plain.is_some(), repacked.is_some());
    let framed_with = fuzzing::read_with(DICTIONARY, data);
    let repacked_with = fuzzing::read_with(DICTIONARY, &packed_with_dictionary(data));
    assert_eq!(plain.is_some(), repacked_with.is_some());
    let spoilt_with = fuzzing::read_with(DICTIONARY, &spoilt_frame(data));
    for request in [&framed, &plain, &framed_with, &spoilt_with]
        .into_iter()
        .flatten()
    {
        assert_round_trip(request);
        if fuzzing::is_fit(request) {
            take(request, data);
        }
    }
});

/// Returns a frame packed with the dictionary in which one byte is another: which, say the last three.
fn spoilt_frame(data: &[u8]) -> Vec<u8> {
    let Some((body, [low, high, change])) = data.split_last_chunk() else {
        return Vec::new();
    };
    let mut frame = packed_with_dictionary(body);
    let place = usize::from(u16::from_le_bytes([*low, *high])) % frame.len();
    frame[place] ^= change;
    frame
}

fn take(request: &ExchangeRequest, data: &[u8]) {
    if let Some(place) = Place::of_cursor(&request.cursor, "h", 7) {
        assert_eq!(place.cursor("h"), request.cursor);
    }
    let mut central = Central::default();
    central.take(request);

    // A central that has a part of the batch already, and perhaps another history from some place on.
    let Some(batch) = request.batch.as_ref().filter(|b| !b.events.is_empty()) else {
        return;
    };
    let choice = data.iter().fold(0usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(*byte))
    });
    let mut central = Central::default();
    let mut mark = Mark {
        seq: batch.first.before(),
        chain: batch.before,
    };
    central.chains.insert(mark.seq, mark.chain);
    for record in batch.events.iter().take(choice % (batch.events.len() + 1)) {
        mark = mark.next(record.get().as_bytes());
        if choice % 5 == 0 {
            mark.chain.0[0] ^= 1;
        }
        central.chains.insert(mark.seq, mark.chain);
    }
    central.watermark = Some(mark);
    central.take(request);
}

/// What central stored of one epoch.
#[derive(Default)]
struct Central {
    watermark: Option<Mark>,
    chains: BTreeMap<Seq, ChainHash>,
}

impl Central {
    fn decide<'r>(&self, request: &'r ExchangeRequest) -> Decision<'r> {
        let places = places_to_compare(self.watermark.as_ref(), request);
        assert!(
            places.len() <= BATCH_EVENTS_MAX + 8,
            "{} places",
            places.len()
        );
        let mut seen = BTreeMap::new();
        for place in places {
            if let Some(chain) = self.chains.get(&place) {
                seen.insert(place, *chain);
            }
        }
        let known = Known {
            watermark: self.watermark.as_ref(),
            chains: &seen,
            fillers: &BTreeSet::new(),
            forks: &[],
        };
        decide(&known, request)
    }

    fn take(&mut self, request: &ExchangeRequest) {
        let decision = self.decide(request);
        let former = self.watermark.map_or(Seq::ZERO, |mark| mark.seq);
        let mut before: Option<Mark> = None;
        for accepted in &decision.accepted {
            if let Some(before) = before {
                assert!(accepted.mark.seq > before.seq, "out of order");
                if accepted.mark.seq == before.seq.next() {
                    assert_eq!(before.next(accepted.record.as_bytes()), accepted.mark);
                }
            }
            let known = self.chains.insert(accepted.mark.seq, accepted.mark.chain);
            assert_eq!(known, None, "event {} was taken twice", accepted.mark.seq);
            before = Some(accepted.mark);
        }
        if let Some(moved) = decision.watermark {
            assert!(moved.seq > former, "the watermark went back");
            self.watermark = Some(moved);
        }
        let newest = self.watermark.map_or(Seq::ZERO, |mark| mark.seq);
        if decision.verdict == Verdict::Ok {
            assert!(decision.acked.seq <= newest.max(request.acked.seq));
        }
        let again = self.decide(request);
        assert!(
            again.accepted.is_empty(),
            "the same request again was not known: {again:?}"
        );
    }
}
