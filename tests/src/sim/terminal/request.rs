//! What goes up, as `agent::uplink::cut` and `agent::uplink::request`.

use std::time::Duration;

use serde_json::value::RawValue;
use tillbind_protocol::chain::Mark;
use tillbind_protocol::exchange::{Batch, ExchangeRequest, Express, GapNotice, Hello};
use tillbind_protocol::ids::Seq;
use tillbind_protocol::uplink::Load;

use super::super::disk::{Disk, Entry, GONE, Kept, ReadError};
use super::{Run, Site};

/// What a hole takes of a batch.
const HOLE_BYTES: usize = 90;

/// What to cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) after: Seq,
    pub(super) events_max: usize,
    pub(super) bytes_max: usize,
    /// Binding requests up to here were shown before.
    pub(super) express_after: Seq,
    pub(super) express_max: usize,
    pub(super) version: u16,
    /// What central is to be told that it cannot have.
    pub(super) gap: Option<(Seq, Seq)>,
}

/// What was cut.
#[derive(Debug, Default)]
pub(super) struct Cut {
    batch: Option<Batch>,
    gap: Option<GapNotice>,
    express: Vec<Express>,
    pub(super) load: Load,
}

impl Cut {
    /// What a poll carries: with nothing left to send, what central cannot have is told by itself.
    pub(super) fn of_gap(disk: &Disk, acked: Mark, gap: Option<(Seq, Seq)>) -> Self {
        let told = gap.and_then(|(from, to)| {
            let until = disk.mark_at(acked, to)?;
            Some(notice(from, until, GONE))
        });
        Self {
            gap: told,
            ..Self::default()
        }
    }
}

fn notice(from: Seq, until: Mark, reason: &str) -> GapNotice {
    GapNotice {
        from,
        to: until.seq,
        after: until.chain,
        reason: reason.to_owned(),
    }
}

fn text(entry: &Entry) -> Option<Box<RawValue>> {
    match &entry.kept {
        Kept::Event { text, .. } => RawValue::from_string(text.clone()).ok(),
        Kept::Lost(_) => None,
    }
}

/// Cuts a request's share out of the outbox.
pub(super) fn cut(disk: &Disk, acked: Mark, wanted: Wanted) -> Option<Cut> {
    let mut knife = Knife::set(disk, acked, wanted)?;
    while knife.parts() < wanted.events_max && knife.bytes < wanted.bytes_max {
        let events = wanted.events_max - knife.parts();
        let goes_on = match disk.read_after(acked, knife.at.seq, events) {
            Ok(entries) if entries.is_empty() => false,
            Ok(entries) => knife.take_events(&entries),
            Err(ReadError::Gap { until, reason }) => knife.take_hole(until, reason),
            Err(ReadError::Gone { .. }) => false,
        };
        if !goes_on {
            break;
        }
    }
    let (notice, batch, bytes) = (knife.notice, knife.batch, knife.bytes);
    let last = if batch.is_empty() {
        wanted.after
    } else {
        batch.last()
    };
    let behind = last.max(wanted.express_after);
    let shown = disk.urgent_after(acked, behind, wanted.express_max);
    let copy = |entry: &&Entry| {
        let record = text(entry)?;
        let seq = entry.mark.seq;
        Some(Express { seq, record })
    };
    Some(Cut {
        express: shown.iter().filter_map(copy).collect(),
        load: Load {
            bytes,
            express_to: shown.last().map(|entry| entry.mark.seq),
        },
        batch: (!batch.is_empty()).then_some(batch),
        gap: notice,
    })
}

/// A batch in the making.
struct Knife {
    wanted: Wanted,
    notice: Option<GapNotice>,
    batch: Batch,
    /// The last place that the batch, or the notice before it, tells of.
    at: Mark,
    bytes: usize,
}

impl Knife {
    fn set(disk: &Disk, acked: Mark, wanted: Wanted) -> Option<Self> {
        let mut told = wanted.gap.and_then(|(from, to)| {
            let until = disk.mark_at(acked, to)?;
            Some(notice(from, until, GONE))
        });
        let at = match disk.mark_at(acked, wanted.after) {
            Some(mark) => mark,
            None => match disk.read_after(acked, wanted.after, 1) {
                Err(ReadError::Gone { acked }) => {
                    told = Some(notice(wanted.after.next(), acked, GONE));
                    acked
                }
                Err(ReadError::Gap { until, reason }) => {
                    told = Some(notice(wanted.after.next(), until, reason));
                    until
                }
                Ok(_) => return None,
            },
        };
        Some(Self {
            wanted,
            notice: told,
            batch: Batch {
                first: at.seq.next(),
                before: at.chain,
                events: Vec::new(),
                holes: Vec::new(),
            },
            at,
            bytes: 0,
        })
    }

    fn parts(&self) -> usize {
        self.batch.events.len() + self.batch.holes.len()
    }

    fn take_events(&mut self, entries: &[&Entry]) -> bool {
        for entry in entries {
            let record = text(entry);
            self.bytes += record.as_ref().map_or(0, |record| record.get().len());
            self.batch.events.extend(record);
            self.at = entry.mark;
            if self.bytes >= self.wanted.bytes_max {
                break;
            }
        }
        true
    }

    /// Takes a hole up to a place; says whether the batch may go on behind it.
    fn take_hole(&mut self, until: Mark, reason: &str) -> bool {
        let hole = notice(self.at.seq.next(), until, reason);
        if self.wanted.version < 2 {
            return self.take_notice(hole);
        }
        self.at = until;
        self.bytes += HOLE_BYTES;
        self.batch.holes.push(hole);
        true
    }

    /// In version 1 one notice may stand before the batch. It grows over the holes that follow it.
    fn take_notice(&mut self, hole: GapNotice) -> bool {
        if !self.batch.events.is_empty() {
            return false;
        }
        self.at = Mark {
            seq: hole.to,
            chain: hole.after,
        };
        self.batch.first = hole.to.next();
        self.batch.before = hole.after;
        let Some(notice) = &mut self.notice else {
            self.notice = Some(hole);
            return true;
        };
        notice.to = hole.to;
        notice.after = hole.after;
        if !notice.reason.contains(&hole.reason) {
            notice.reason = format!("{}; {}", notice.reason, hole.reason);
        }
        true
    }
}

impl Run {
    /// Writes the request around what was cut.
    pub(super) fn request(&self, cut: Cut, wait: Duration, site: &Site<'_>) -> ExchangeRequest {
        let hello = self.uplink.hello_is_due(site.monotonic()).then(|| Hello {
            machine: site.machine.to_owned(),
            version: "sim".to_owned(),
            outbox_events: self.outbox.appended.seq.0 - self.outbox.acked.seq.0,
            clock_offset_ms: None,
            forked_from: self.uplink.forked_from(),
            outbox_bytes: None,
            disk: None,
            sacrificed: None,
            quarantined: None,
        });
        ExchangeRequest {
            v: self.uplink.version(),
            epoch: site.disk.epoch,
            acked: self.outbox.acked,
            head: self.outbox.appended,
            batch: cut.batch,
            gap: cut.gap,
            express: cut.express,
            cursor: self.uplink.cursor().clone(),
            keys: 0,
            dictionary: 0,
            page_bytes: self.uplink.page_bytes(),
            wait_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
            at_ms: site.wall_ms(),
            hello,
        }
    }
}
