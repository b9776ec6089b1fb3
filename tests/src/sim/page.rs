//! The replica's pages, as `central::changes`: everything has the version of its newest change; a page is
//! the newest states after a cursor, and a cursor of another history resets the replica.

use std::collections::BTreeMap;

use tillbind_protocol::ids::{AccountRef, BindingId, CardNumber, MemberId};
use tillbind_protocol::replica::{BindingState, BindingVerdict, Change, Cursor, MemberState, Page};

use super::record::Wish;

/// Most changes in a page here: few, so that a snapshot takes several.
const PAGE_CHANGES: usize = 5;
/// A name behind all others.
const END: &str = "~";

/// What a terminal is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Thing {
    Member { points: i64 },
    Binding { wish: Wish, state: BindingState },
}

/// Everything with a version, by its name.
#[derive(Debug, Clone, Default)]
pub(super) struct Things {
    pub(super) by_name: BTreeMap<String, (u64, Thing)>,
}

/// What is newest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// Names this database's history: a restored one gets another.
    pub(super) history: u64,
    pub(super) version: u64,
}

/// The name of a request.
pub(super) fn name_of(n: u64) -> String {
    format!("b-{n}")
}

/// The number of the event that made a request.
pub(super) fn number_of(id: &str) -> u64 {
    let digits = id.trim_start_matches("b-");
    digits.parse().expect("a request of ours")
}

/// Where a cursor stands: `None` for one of another history or from the future.
fn place(cursor: &Cursor, head: Head) -> Option<(u64, String)> {
    let mut parts = cursor.0.splitn(3, ':');
    let history: u64 = parts.next()?.parse().ok()?;
    let version: u64 = parts.next()?.parse().ok()?;
    let name = parts.next()?.to_owned();
    (history == head.history && version <= head.version).then_some((version, name))
}

/// As `sync::exchanging::has_all`.
pub(super) fn has_all(cursor: &Cursor, head: Head) -> bool {
    match place(cursor, head) {
        Some((version, name)) => version == head.version && name == END,
        None => cursor.0.is_empty() && head.version == 0,
    }
}

impl Things {
    /// As `changes::page::after`: `None` if nothing follows.
    pub(super) fn after(&self, head: Head, cursor: &Cursor) -> Option<Page> {
        let known = place(cursor, head);
        let reset = known.is_none() && !cursor.0.is_empty();
        let start = known.unwrap_or_default();
        let mut found: Vec<(u64, &String, &Thing)> = self
            .by_name
            .iter()
            .map(|(name, (version, thing))| (*version, name, thing))
            .filter(|(version, name, _)| (*version, *name) > (start.0, &start.1))
            .collect();
        found.sort_by_key(|(version, name, _)| (*version, *name));
        let more = found.len() > PAGE_CHANGES;
        found.truncate(PAGE_CHANGES);
        if found.is_empty() && !reset {
            return None;
        }
        let to = match found.last() {
            Some((version, name, _)) if more => (*version, name.as_str()),
            Some(_) | None => (head.version, END),
        };
        let from = if reset {
            Cursor::default()
        } else {
            cursor.clone()
        };
        Some(Page {
            from,
            changes: found.iter().filter_map(|(_, n, t)| change(n, t)).collect(),
            to: Cursor(format!("{}:{}:{}", head.history, to.0, to.1)),
            more,
            reset,
        })
    }
}

fn change(name: &str, thing: &Thing) -> Option<Change> {
    Some(match thing {
        Thing::Member { points } => Change::Member(MemberState {
            member: MemberId::new(name).ok()?,
            name: None,
            points: *points,
            tier: None,
            accounts: Vec::new(),
        }),
        Thing::Binding { wish, state } => Change::Binding(BindingVerdict {
            id: BindingId::new(name).ok()?,
            card: CardNumber::new(format!("card-{}", wish.card)).ok()?,
            account: format!("sim:{}", wish.account).parse::<AccountRef>().ok()?,
            state: *state,
            reason: None,
        }),
    })
}
