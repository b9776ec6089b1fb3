//! Bindings: what was asked for, and what became of it.

use serde::Serialize;
use utoipa::ToSchema;

use super::listing::{Key, Listing};
use super::moment::Moment;
use crate::store::StoreError;
use crate::store::statement::Row;

/// Names of the fields, in order.
pub(super) const COLUMNS: &[&str] = &[
    "id",
    "card",
    "account",
    "member",
    "state",
    "evidence",
    "terminal",
    "requested_at",
    "decided_at",
    "reason",
];

pub(super) static LISTING: Listing = Listing {
    operation: "export bindings",
    key: &[Key::Text("b.id")],
    columns: "b.id, b.card, b.account, b.member, b.state, b.evidence, b.terminal, \
              b.requested_ms, b.decided_ms, b.reason",
    from: "bindings b LEFT JOIN terminals t ON t.terminal = b.terminal",
    always: None,
    time: Some("b.requested_ms"),
    store: Some("t.store"),
    terminal: Some("b.terminal"),
    open: None,
    page_lines: 1_000,
};

/// A card and an account that somebody asked to bind.
#[derive(Debug, Serialize, ToSchema)]
pub struct Binding {
    /// Name of the request.
    id: String,
    /// The card.
    card: String,
    /// The account, `PLATFORM:ID`.
    account: String,
    /// The member, once confirmed.
    member: Option<String>,
    /// `requested`, `confirmed`, `rejected` or `revoked`.
    state: String,
    /// What spoke for it: `member-code`, or `claim`, a code from a receipt.
    evidence: String,
    /// The terminal that asked, or that printed the claim code.
    terminal: String,
    /// When it was asked, corrected to central's clock.
    requested_at: Moment,
    /// When central decided.
    decided_at: Option<Moment>,
    /// Why it was rejected or revoked.
    reason: Option<String>,
}

pub(super) fn line(row: &Row) -> Result<Binding, StoreError> {
    let mut cells = LISTING.cells(row);
    Ok(Binding {
        id: cells.text()?,
        card: cells.text()?,
        account: cells.text()?,
        member: cells.text_opt()?,
        state: cells.text()?,
        evidence: cells.text()?,
        terminal: cells.text()?,
        requested_at: cells.moment()?,
        decided_at: cells.moment_opt()?,
        reason: cells.text_opt()?,
    })
}
