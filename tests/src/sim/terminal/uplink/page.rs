//! The replica's pages, as `agent::downlink`.

use tillbind_protocol::replica::{Change, Page};

use super::super::super::disk::Replica;
use super::super::super::fault::Fault;
use super::super::super::page::number_of;
use super::super::{Run, Site};
use super::Step;

impl Run {
    /// `downlink::apply`: a page in two parts, of which the last brings the cursor.
    pub(super) fn write_page(&mut self, last: bool, site: &mut Site<'_>) {
        let Some(page) = self.page().cloned() else {
            return;
        };
        if site.disk.room == Some(0) && site.stage.chance.happens(300) {
            self.uplink.cursor.handle_failed();
            self.decide(false, site);
            let (now, entropy) = (site.monotonic(), site.stage.chance.entropy());
            self.uplink.machine.handle_unkept(now, entropy);
            return;
        }
        let half = page.changes.len() / 2;
        let (part, with_cursor) = if last {
            (&page.changes[half..], true)
        } else {
            let early = site.stage.has(Fault::CursorBeforePage);
            (&page.changes[..half], early)
        };
        apply(&mut site.disk.replica, part);
        if with_cursor {
            site.disk.replica.cursor = Some(page.to.clone());
        }
        if !last {
            self.uplink.go(Step::Page, 3, site);
            return;
        }
        self.uplink.cursor.handle_durable();
        if decided(&page).next().is_some() {
            self.uplink.go(Step::Verdicts, 1, site);
        } else {
            self.decide(page.more, site);
        }
    }
}

/// Returns the requests whose verdicts a page brings.
pub(super) fn decided(page: &Page) -> impl Iterator<Item = u64> {
    page.changes.iter().filter_map(|change| match change {
        Change::Binding(verdict) => Some(number_of(verdict.id.as_str())),
        Change::Member(_)
        | Change::Card(_)
        | Change::CardRemoved { .. }
        | Change::MemberRemoved { .. } => None,
    })
}

fn apply(replica: &mut Replica, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Member(member) => {
                let name = member.member.to_string();
                replica.members.insert(name, member.points);
            }
            Change::Binding(verdict) => {
                replica
                    .verdicts
                    .insert(verdict.id.to_string(), verdict.state);
            }
            Change::Card(_) | Change::CardRemoved { .. } | Change::MemberRemoved { .. } => {}
        }
    }
}
