//! Central as the simulation has it: what a database would keep, and `protocol::intake` over it.

use std::collections::BTreeMap;

use tillbind_protocol::chain::{ChainHash, Mark};
use tillbind_protocol::exchange::{ExchangeRequest, ExchangeResponse, Fork, Verdict};
use tillbind_protocol::ids::{Epoch, MemberId, Seq};
use tillbind_protocol::intake;
use tillbind_protocol::replica::{Change, Cursor, MemberState, Page};

/// Most changes in a page here: small, so that a snapshot takes several.
const PAGE_CHANGES: usize = 3;

#[derive(Debug, Clone, Default)]
pub(super) struct Stream {
    mark: Option<Mark>,
    chains: BTreeMap<Seq, ChainHash>,
    pub(super) records: Vec<(Seq, String)>,
    pub(super) gaps: Vec<(Seq, Seq)>,
    forked_from: Option<Fork>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Central {
    pub(super) streams: BTreeMap<(usize, Epoch), Stream>,
    machines: BTreeMap<usize, String>,
    /// Points of each member, with the version of the last change.
    pub(super) members: BTreeMap<u64, (u64, i64)>,
    version: u64,
    /// Names this database's history: a restored one gets another.
    history: u64,
}

impl Central {
    pub(super) fn change_member(&mut self, member: u64, points: i64) {
        self.version += 1;
        self.members.insert(member, (self.version, points));
    }

    pub(super) fn handle_restored(&mut self, history: u64) {
        self.history = history;
    }

    /// Takes a request of `terminal` as its certificate names it.
    pub(super) fn handle_request(
        &mut self,
        terminal: usize,
        request: &ExchangeRequest,
        busy: bool,
        now_ms: i64,
    ) -> ExchangeResponse {
        let answer = |verdict, acked, page| ExchangeResponse {
            v: request.v,
            verdict,
            acked,
            page,
            keys: None,
            dictionary: None,
            received_ms: now_ms,
            sent_ms: now_ms,
        };
        if busy {
            return answer(Verdict::SlowDown { for_ms: 700 }, request.acked, None);
        }
        if let Some(hello) = &request.hello {
            let enrolled = self
                .machines
                .entry(terminal)
                .or_insert_with(|| hello.machine.clone());
            if *enrolled != hello.machine {
                let reason = "this identity belongs to another machine".to_owned();
                return answer(Verdict::Refused { reason }, request.acked, None);
            }
        }
        let forks: Vec<Seq> = self
            .streams
            .range((terminal, Epoch(0))..=(terminal, Epoch(u64::MAX)))
            .filter_map(|(_, stream)| stream.forked_from)
            .filter(|fork| fork.epoch == request.epoch)
            .map(|fork| fork.at)
            .collect();
        let stream = self.streams.entry((terminal, request.epoch)).or_default();
        if let Some(hello) = &request.hello {
            stream.forked_from = stream.forked_from.or(hello.forked_from);
        }
        let chains = intake::places_to_compare(stream.mark.as_ref(), request)
            .into_iter()
            .filter_map(|place| stream.chains.get(&place).map(|chain| (place, *chain)))
            .collect();
        let decision = intake::decide(stream.mark.as_ref(), &chains, &forks, request);
        for event in &decision.accepted {
            stream.chains.insert(event.mark.seq, event.mark.chain);
            stream
                .records
                .push((event.mark.seq, event.record.to_owned()));
        }
        // What fills a gap comes late.
        stream.records.sort_by_key(|(seq, _)| *seq);
        stream
            .gaps
            .extend(decision.gaps.iter().map(|gap| (gap.from, gap.to)));
        if let Some(mark) = decision.watermark {
            stream.mark = Some(mark);
        }
        let page = self.page(&request.cursor);
        answer(decision.verdict, decision.acked, page)
    }

    fn page(&self, cursor: &Cursor) -> Option<Page> {
        let known = cursor
            .0
            .split_once(':')
            .and_then(|(h, v)| Some((h.parse::<u64>().ok()?, v.parse::<u64>().ok()?)))
            .filter(|(history, _)| *history == self.history);
        let reset = known.is_none();
        let after = known.map_or(0, |(_, version)| version);
        let mut newest: Vec<_> = self
            .members
            .iter()
            .filter(|(_, (version, _))| *version > after)
            .collect();
        newest.sort_by_key(|(_, (version, _))| *version);
        let more = newest.len() > PAGE_CHANGES;
        newest.truncate(PAGE_CHANGES);
        if newest.is_empty() && !reset {
            return None;
        }
        let to = newest.last().map_or(after, |(_, (version, _))| *version);
        let changes = newest
            .into_iter()
            .filter_map(|(id, (_, points))| {
                Some(Change::Member(MemberState {
                    member: MemberId::new(format!("m-{id}")).ok()?,
                    name: None,
                    points: *points,
                    tier: None,
                    accounts: Vec::new(),
                }))
            })
            .collect();
        let to = Cursor(format!("{}:{to}", self.history));
        Some(Page {
            from: cursor.clone(),
            changes,
            to,
            more,
            reset,
        })
    }
}
