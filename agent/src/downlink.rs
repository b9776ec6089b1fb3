//! Member data on its way down: a page of changes becomes one durable write of the replica.
//!
//! The replica knows values by one key each. A card's value holds its state and the newest verdicts on
//! its bindings together, because the till asks for all of it by the card's number.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tillbind_protocol::ids::{CardNumber, MemberId};
use tillbind_protocol::replica::{BindingVerdict, CardState, Change, MemberState, Page};

use crate::members::{Key, MembersError, Put, Replica};

/// Most verdicts kept for one card, the newest: older ones have been decided long ago.
const VERDICTS_MAX: usize = 8;

/// What the replica holds under a card's number.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CardEntry {
    /// The card, once central sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<CardState>,
    /// Verdicts on its bindings, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<BindingVerdict>,
}

/// Why member data could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum DownlinkError {
    /// The replica refused.
    #[error(transparent)]
    Members(#[from] MembersError),
    /// A value of the replica is not what was written.
    #[error("an entry of the replica cannot be read")]
    Entry(#[from] serde_json::Error),
}

/// Writes a page, durably, after emptying the replica if `reset`; returns the verdicts that it brought.
/// Blocks on the disk.
///
/// # Errors
/// [`DownlinkError`]; the cursor did not move then and the page may be applied again.
pub fn apply(
    replica: &Replica,
    page: Page,
    reset: bool,
) -> Result<Vec<BindingVerdict>, DownlinkError> {
    if reset {
        replica.reset()?;
    }
    let mut cards: HashMap<CardNumber, Option<CardEntry>> = HashMap::new();
    let mut puts = Vec::new();
    let mut decided = Vec::new();
    for change in page.changes {
        match change {
            Change::Card(card) => {
                let number = card.card.clone();
                entry(replica, &mut cards, &number)?.card = Some(card);
            }
            Change::CardRemoved { card } => {
                cards.insert(card, None);
            }
            Change::Binding(verdict) => {
                let entry = entry(replica, &mut cards, &verdict.card)?;
                entry.verdicts.retain(|known| known.id != verdict.id);
                entry.verdicts.push(verdict.clone());
                let too_many = entry.verdicts.len().saturating_sub(VERDICTS_MAX);
                entry.verdicts.drain(..too_many);
                decided.push(verdict);
            }
            Change::Member(member) => puts.push(Put::Upsert {
                key: Key::Member(member.member.clone()),
                value: serde_json::to_vec(&member)?,
            }),
            Change::MemberRemoved { member } => {
                puts.push(Put::Remove {
                    key: Key::Member(member),
                });
            }
        }
    }
    for (card, entry) in cards {
        let key = Key::Card(card);
        puts.push(match entry {
            Some(entry) => Put::Upsert {
                key,
                value: serde_json::to_vec(&entry)?,
            },
            None => Put::Remove { key },
        });
    }
    replica.apply(&puts, &page.to.0)?;
    Ok(decided)
}

fn entry<'c>(
    replica: &Replica,
    cards: &'c mut HashMap<CardNumber, Option<CardEntry>>,
    card: &CardNumber,
) -> Result<&'c mut CardEntry, DownlinkError> {
    if !cards.contains_key(card) {
        cards.insert(card.clone(), card_entry(replica, card)?);
    }
    Ok(cards
        .entry(card.clone())
        .or_default()
        .get_or_insert_default())
}

/// Returns what the replica holds of a card. Blocks for microseconds.
///
/// # Errors
/// [`DownlinkError`].
pub fn card_entry(
    replica: &Replica,
    card: &CardNumber,
) -> Result<Option<CardEntry>, DownlinkError> {
    let value = replica.get(&Key::Card(card.clone()))?;
    Ok(value
        .map(|value| serde_json::from_slice(&value))
        .transpose()?)
}

/// Returns whether a card has a member, as far as the replica knows; a complete one knows each card
/// that headquarters has. Blocks for microseconds.
pub fn has_member(replica: &Replica, card: &CardNumber, is_complete: bool) -> Option<bool> {
    match card_entry(replica, card) {
        Ok(Some(CardEntry {
            card: Some(card), ..
        })) => Some(card.member.is_some()),
        Ok(Some(CardEntry { card: None, .. }) | None) => is_complete.then_some(false),
        Err(error) => {
            tracing::warn!(%error, "whether a card has a member cannot be read");
            None
        }
    }
}

/// Returns what the replica holds of a member. Blocks for microseconds.
///
/// # Errors
/// [`DownlinkError`].
pub fn member(replica: &Replica, member: &MemberId) -> Result<Option<MemberState>, DownlinkError> {
    let value = replica.get(&Key::Member(member.clone()))?;
    Ok(value
        .map(|value| serde_json::from_slice(&value))
        .transpose()?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tillbind_protocol::replica::{BindingState, Cursor};

    use super::*;
    use crate::vault::Vault;

    fn replica(dir: &std::path::Path) -> Replica {
        let random = Arc::new(|bytes: &mut [u8]| crate::clock::fill_random(bytes));
        Replica::open(&dir.join("members"), &Vault::from_key([1; 32], random))
            .unwrap()
            .0
    }

    fn number() -> CardNumber {
        CardNumber::new("950110153123456781").unwrap()
    }

    fn verdict(id: usize, state: BindingState) -> BindingVerdict {
        BindingVerdict {
            id: format!("b{id}").parse().unwrap(),
            card: number(),
            account: "tmall:82731".parse().unwrap(),
            state,
            reason: None,
        }
    }

    fn page(changes: Vec<Change>, to: &str) -> Page {
        Page {
            from: Cursor::default(),
            changes,
            to: Cursor(to.into()),
            more: false,
            reset: false,
        }
    }

    #[test]
    fn a_card_and_its_verdicts_are_found_together_however_the_pages_cut_them() {
        let dir = tempfile::tempdir().unwrap();
        let replica = replica(dir.path());
        let binding = Change::Binding(verdict(1, BindingState::Confirmed));
        let decided = apply(&replica, page(vec![binding], "1"), false).unwrap();
        assert_eq!(decided.len(), 1);
        let card = CardState {
            card: number(),
            kind: "gsrn".into(),
            member: None,
            points: 7,
        };
        apply(&replica, page(vec![Change::Card(card)], "2"), false).unwrap();
        let entry = card_entry(&replica, &number()).unwrap().unwrap();
        assert_eq!(entry.card.unwrap().points, 7);
        assert_eq!(entry.verdicts.len(), 1);
        assert_eq!(replica.cursor().unwrap().as_deref(), Some("2"));
    }

    #[test]
    fn verdicts_are_bounded_and_the_newest_of_a_binding_counts() {
        let dir = tempfile::tempdir().unwrap();
        let replica = replica(dir.path());
        let mut changes: Vec<_> = (0..20)
            .map(|n| Change::Binding(verdict(n, BindingState::Rejected)))
            .collect();
        changes.push(Change::Binding(verdict(19, BindingState::Revoked)));
        apply(&replica, page(changes, "1"), false).unwrap();
        let entry = card_entry(&replica, &number()).unwrap().unwrap();
        assert_eq!(entry.verdicts.len(), VERDICTS_MAX);
        assert_eq!(entry.verdicts.last().unwrap().state, BindingState::Revoked);
    }

    #[test]
    fn a_removed_card_and_a_reset_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let replica = replica(dir.path());
        apply(
            &replica,
            page(
                vec![Change::Binding(verdict(1, BindingState::Confirmed))],
                "1",
            ),
            false,
        )
        .unwrap();
        apply(
            &replica,
            page(vec![Change::CardRemoved { card: number() }], "2"),
            false,
        )
        .unwrap();
        assert_eq!(card_entry(&replica, &number()).unwrap(), None);
        apply(
            &replica,
            page(
                vec![Change::Binding(verdict(1, BindingState::Confirmed))],
                "3",
            ),
            false,
        )
        .unwrap();
        apply(&replica, page(vec![], "9"), true).unwrap();
        assert_eq!(card_entry(&replica, &number()).unwrap(), None);
        assert_eq!(replica.cursor().unwrap().as_deref(), Some("9"));
    }
}
