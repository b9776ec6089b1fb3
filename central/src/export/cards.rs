//! Membership cards.

use serde::Serialize;
use utoipa::ToSchema;

use super::listing::{Key, Listing};
use super::moment::Moment;
use crate::store::StoreError;
use crate::store::statement::Row;

/// Names of the fields, in order.
pub(super) const COLUMNS: &[&str] = &["card", "kind", "state", "member", "points", "first_seen_at"];

pub(super) static LISTING: Listing = Listing {
    operation: "export cards",
    key: &[Key::Text("c.card")],
    columns: "c.card, c.kind, \
              CASE WHEN c.member IS NOT NULL THEN 'confirmed' \
                   ELSE COALESCE((SELECT b.state FROM bindings b WHERE b.card = c.card \
                                  ORDER BY b.version DESC, b.id DESC LIMIT 1), 'unbound') END, \
              c.member, c.points, c.first_seen_ms",
    from: "cards c",
    always: None,
    time: Some("c.first_seen_ms"),
    store: None,
    terminal: None,
    open: None,
    page_lines: 1_000,
};

/// A membership card.
#[derive(Debug, Serialize, ToSchema)]
pub struct Card {
    /// The number after normalisation.
    card: String,
    /// Kind of the number: `gsrn`, `ean`, `stripe`, `number`, `uid`.
    kind: String,
    /// `confirmed` with a member, else the state of the newest request, else `unbound`: the words that
    /// the till uses.
    state: String,
    /// Its member.
    member: Option<String>,
    /// Points that the card holds itself; 0 once they moved to the member.
    points: i64,
    /// When central first heard of it.
    first_seen_at: Moment,
}

pub(super) fn line(row: &Row) -> Result<Card, StoreError> {
    let mut cells = LISTING.cells(row);
    Ok(Card {
        card: cells.text()?,
        kind: cells.text()?,
        state: cells.text()?,
        member: cells.text_opt()?,
        points: cells.int()?,
        first_seen_at: cells.moment()?,
    })
}
