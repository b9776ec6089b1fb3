//! The replica: member data on its way down.
//!
//! Central numbers its changes and sends, in pages, the newest state of everything that changed after
//! the terminal's cursor. A terminal with an empty cursor therefore gets a snapshot that can be
//! resumed at any page, then changes; a history is never replayed. The cursor is central's own text
//! and moves only when a page is durable on the terminal.

use serde::{Deserialize, Serialize};

use crate::ids::{AccountRef, BindingId, CardNumber, MemberId};

/// Most changes in one page, so that a page fits one durable write on the terminal.
pub const PAGE_CHANGES_MAX: usize = 500;

/// How far a replica has come, in central's own words; empty for nothing yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// Changes that follow a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The cursor that these follow.
    pub from: Cursor,
    /// Newest states, in order.
    pub changes: Vec<Change>,
    /// The cursor once they are durable.
    pub to: Cursor,
    /// Whether more follow at once.
    pub more: bool,
    /// Whether the replica must be emptied first: central does not know the cursor, since its
    /// database was made anew or restored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reset: bool,
}

/// How far a binding has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BindingState {
    /// Durable on a terminal, not decided.
    Requested,
    /// Central took it.
    Confirmed,
    /// Central refused it.
    Rejected,
    /// Confirmed once, ended since.
    Revoked,
}

impl BindingState {
    /// Returns the stable name, as in exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Revoked => "revoked",
        }
    }
}

/// The newest state of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Change {
    /// A card.
    Card(CardState),
    /// A member.
    Member(MemberState),
    /// The verdict on a binding.
    Binding(BindingVerdict),
    /// A card that the terminal holds no longer.
    CardRemoved {
        /// The card.
        card: CardNumber,
    },
    /// A member that the terminal holds no longer.
    MemberRemoved {
        /// The member.
        member: MemberId,
    },
}

/// A card as central has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardState {
    /// The card.
    pub card: CardNumber,
    /// Kind of the number.
    pub kind: String,
    /// Its member, once an account is bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberId>,
    /// Points that the card holds itself; 0 once they moved to the member.
    #[serde(default)]
    pub points: i64,
}

/// A member as central has it. Personal data: `Debug` shows neither name nor accounts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberState {
    /// The member.
    pub member: MemberId,
    /// Name to greet with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Points of all the member's cards and accounts.
    #[serde(default)]
    pub points: i64,
    /// Tier, if there are tiers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Online accounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountRef>,
}

impl std::fmt::Debug for MemberState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemberState")
            .field("member", &self.member)
            .field("points", &self.points)
            .finish_non_exhaustive()
    }
}

/// What became of a binding request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingVerdict {
    /// The request.
    pub id: BindingId,
    /// The card.
    pub card: CardNumber,
    /// The account.
    pub account: AccountRef,
    /// The state.
    pub state: BindingState,
    /// Why, when rejected or revoked, for the cashier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The terminal's side: lets a page in only where it fits, one at a time.
#[derive(Debug)]
pub struct ReplicaCursor {
    durable: Cursor,
    applying: Option<Cursor>,
}

/// What to do with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageVerdict {
    /// Write it, then call [`ReplicaCursor::handle_durable`].
    Apply,
    /// Empty the replica, write it, then call [`ReplicaCursor::handle_durable`].
    ResetAndApply,
    /// It answers an older cursor or nothing new: drop it.
    Ignore,
}

impl ReplicaCursor {
    /// Starts from what is durable.
    pub fn new(durable: Cursor) -> Self {
        Self {
            durable,
            applying: None,
        }
    }

    /// Returns the cursor to ask with.
    pub fn durable(&self) -> &Cursor {
        &self.durable
    }

    /// Judges a page that arrived.
    pub fn handle_page(&mut self, page: &Page) -> PageVerdict {
        if self.applying.is_some() {
            return PageVerdict::Ignore;
        }
        if page.reset {
            self.applying = Some(page.to.clone());
            return PageVerdict::ResetAndApply;
        }
        if page.from != self.durable || page.to == self.durable {
            return PageVerdict::Ignore;
        }
        self.applying = Some(page.to.clone());
        PageVerdict::Apply
    }

    /// Takes note that the page last let in is durable.
    pub fn handle_durable(&mut self) {
        if let Some(cursor) = self.applying.take() {
            self.durable = cursor;
        }
    }

    /// Takes note that the page last let in could not be written: it will be asked for again.
    pub fn handle_failed(&mut self) {
        self.applying = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(from: &str, to: &str, reset: bool) -> Page {
        Page {
            from: Cursor(from.into()),
            changes: vec![],
            to: Cursor(to.into()),
            more: false,
            reset,
        }
    }

    #[test]
    fn a_page_counts_once_and_only_after_it_is_durable() {
        let mut replica = ReplicaCursor::new(Cursor::default());
        assert_eq!(
            replica.handle_page(&page("", "5", false)),
            PageVerdict::Apply
        );
        assert_eq!(replica.durable().0, "");
        assert_eq!(
            replica.handle_page(&page("", "5", false)),
            PageVerdict::Ignore
        );
        replica.handle_durable();
        assert_eq!(replica.durable().0, "5");
        assert_eq!(
            replica.handle_page(&page("", "5", false)),
            PageVerdict::Ignore
        );
        assert_eq!(
            replica.handle_page(&page("5", "9", false)),
            PageVerdict::Apply
        );
        replica.handle_failed();
        assert_eq!(
            replica.handle_page(&page("5", "9", false)),
            PageVerdict::Apply
        );
    }

    #[test]
    fn a_central_that_does_not_know_the_cursor_empties_the_replica() {
        let mut replica = ReplicaCursor::new(Cursor("77".into()));
        assert_eq!(
            replica.handle_page(&page("", "2", true)),
            PageVerdict::ResetAndApply
        );
    }
}
