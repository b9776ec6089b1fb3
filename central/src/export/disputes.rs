//! Disputes: two accounts that want the same card.

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
    "platform",
    "holder_account",
    "holder_binding",
    "claimant_account",
    "claimant_binding",
    "reason",
    "state",
    "opened_at",
    "settled_at",
    "settled_to",
    "settled_by",
];

pub(super) static LISTING: Listing = Listing {
    operation: "export disputes",
    key: &[Key::Text("d.id")],
    columns: "d.id, d.card, d.platform, d.holder_account, d.holder_binding, d.claimant_account, \
              d.claimant_binding, d.reason, \
              CASE WHEN d.settled_ms IS NULL THEN 'open' ELSE 'settled' END, \
              d.opened_ms, d.settled_ms, d.settled_to, d.settled_by",
    from: "disputes d",
    always: None,
    time: Some("d.opened_ms"),
    store: None,
    terminal: None,
    open: Some("d.settled_ms IS NULL"),
    page_lines: 1_000,
};

/// A card that two accounts want. The bindings named here hold the evidence.
#[derive(Debug, Serialize, ToSchema)]
pub struct Dispute {
    /// Name of the dispute.
    id: String,
    /// The card.
    card: String,
    /// The platform within which it can have one account.
    platform: String,
    /// The account that holds it.
    holder_account: String,
    /// The binding by which it does.
    holder_binding: Option<String>,
    /// The account that wants it.
    claimant_account: String,
    /// The binding that was rejected.
    claimant_binding: String,
    /// What they disagree on.
    reason: String,
    /// `open` or `settled`.
    state: String,
    /// When it began.
    opened_at: Moment,
    /// When headquarters settled it.
    settled_at: Option<Moment>,
    /// The account that got the card.
    settled_to: Option<String>,
    /// Who settled it.
    settled_by: Option<String>,
}

pub(super) fn line(row: &Row) -> Result<Dispute, StoreError> {
    let mut cells = LISTING.cells(row);
    Ok(Dispute {
        id: cells.text()?,
        card: cells.text()?,
        platform: cells.text()?,
        holder_account: cells.text()?,
        holder_binding: cells.text_opt()?,
        claimant_account: cells.text()?,
        claimant_binding: cells.text()?,
        reason: cells.text()?,
        state: cells.text()?,
        opened_at: cells.moment()?,
        settled_at: cells.moment_opt()?,
        settled_to: cells.text_opt()?,
        settled_by: cells.text_opt()?,
    })
}
