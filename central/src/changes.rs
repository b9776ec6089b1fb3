//! Changes on their way down: versions, and the replica's pages.
//!
//! Cards, members and bindings carry the version of their newest change. A transaction that touched
//! any draws one version, last, from a counter whose lock it holds until it commits: versions become
//! visible in their order, and a cursor never passes a change that is still on its way. A page is the
//! newest states after the cursor in the order (version, kind, name), a range scan of three indices.
//!
//! A cursor is `history:version:kind:name`. One of another history, or from beyond the counter (the
//! database was restored), gets a page that resets the replica.
//!
//! Every terminal is sent every member for now; what a terminal should hold is to be decided here.

use std::collections::BTreeSet;

use sea_orm::ConnectionTrait;
use tillbind_protocol::replica::Cursor;

use crate::store::StoreError;
use crate::store::statement::{execute, one_of, row};
use crate::values;

pub mod page;

/// What a transaction touched.
#[derive(Debug, Default)]
pub struct Touched {
    cards: BTreeSet<String>,
    members: BTreeSet<String>,
    bindings: BTreeSet<String>,
}

impl Touched {
    /// Notes a card.
    pub fn card(&mut self, card: &str) {
        self.cards.insert(card.to_owned());
    }

    /// Notes a member.
    pub fn member(&mut self, member: &str) {
        self.members.insert(member.to_owned());
    }

    /// Notes a binding.
    pub fn binding(&mut self, id: &str) {
        self.bindings.insert(id.to_owned());
    }

    fn is_empty(&self) -> bool {
        self.cards.is_empty() && self.members.is_empty() && self.bindings.is_empty()
    }

    /// Gives everything touched one new version. Call it last before the commit: from here on all
    /// other publishers wait.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn publish(self, on: &impl ConnectionTrait) -> Result<(), StoreError> {
        if self.is_empty() {
            return Ok(());
        }
        let draw =
            "UPDATE change_counter SET version = version + 1 WHERE one = 1 RETURNING version";
        let operation = "draw a version";
        let Some(drawn) = row(on, operation, draw, vec![]).await? else {
            return Err(StoreError::foreign_value(operation, "no counter"));
        };
        let version = drawn.int(0)?;
        for (table, key, names) in [
            ("cards", "card", self.cards),
            ("members", "member", self.members),
            ("bindings", "id", self.bindings),
        ] {
            if names.is_empty() {
                continue;
            }
            let (condition, mut list) = one_of(on, key, 2, names);
            let mut values = values![version];
            values.append(&mut list);
            let sql = format!("UPDATE {table} SET version = $1 WHERE {condition}");
            execute(on, "publish changes", &sql, values).await?;
        }
        Ok(())
    }
}

/// Returns the newest version that is visible.
///
/// # Errors
/// [`StoreError`].
pub async fn newest_version(on: &impl ConnectionTrait) -> Result<i64, StoreError> {
    let sql = "SELECT version FROM change_counter WHERE one = 1";
    match row(on, "read the newest version", sql, vec![]).await? {
        Some(row) => row.int(0),
        None => Ok(0),
    }
}

/// What kinds of things have versions, in the order within one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A member: before the cards that name it.
    Member,
    /// A card.
    Card,
    /// A binding.
    Binding,
    /// Nothing: the place after all things of a version.
    End,
}

impl Kind {
    /// The kinds that have rows.
    const ALL: [Self; 3] = [Self::Member, Self::Card, Self::Binding];

    fn letter(self) -> &'static str {
        match self {
            Self::Member => "m",
            Self::Card => "c",
            Self::Binding => "b",
            Self::End => "z",
        }
    }

    fn from_letter(letter: &str) -> Option<Self> {
        let end = [Self::End];
        let mut kinds = Self::ALL.into_iter().chain(end);
        kinds.find(|kind| kind.letter() == letter)
    }
}

/// A place in the order of changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The version.
    pub version: i64,
    /// The kind.
    pub kind: Kind,
    /// The name of the thing.
    pub name: String,
}

impl Place {
    /// Returns the place before all changes.
    pub fn start() -> Self {
        Self {
            version: 0,
            kind: Kind::Member,
            name: String::new(),
        }
    }

    /// Returns the place after all changes of a version.
    pub fn end(version: i64) -> Self {
        Self {
            version,
            kind: Kind::End,
            name: String::new(),
        }
    }

    /// Returns whether nothing of its version follows.
    pub fn is_end(&self) -> bool {
        self.kind == Kind::End
    }

    /// Writes the place as a cursor of `history`.
    pub fn cursor(&self, history: &str) -> Cursor {
        Cursor(format!(
            "{history}:{}:{}:{}",
            self.version,
            self.kind.letter(),
            self.name
        ))
    }

    /// Reads a cursor: `None` for one of another history, of another form, or from beyond `newest`.
    pub fn of_cursor(cursor: &Cursor, history: &str, newest: i64) -> Option<Self> {
        let mut parts = cursor.0.splitn(4, ':');
        let named = parts.next()?;
        let place = Self {
            version: parts.next()?.parse().ok()?,
            kind: Kind::from_letter(parts.next()?)?,
            name: parts.next()?.to_owned(),
        };
        (named == history && place.version <= newest).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_a_foreign_or_future_one_does_not() {
        let place = Place {
            version: 7,
            kind: Kind::Card,
            name: "29:00:1".into(),
        };
        let cursor = place.cursor("h1");
        assert_eq!(Place::of_cursor(&cursor, "h1", 7), Some(place));
        assert_eq!(Place::of_cursor(&cursor, "h2", 7), None);
        assert_eq!(Place::of_cursor(&cursor, "h1", 6), None);
        for odd in ["", "h1", "h1:7", "h1:x:c:n", "h1:7:q:n", "h1:-"] {
            assert_eq!(Place::of_cursor(&Cursor(odd.into()), "h1", 7), None);
        }
    }
}
