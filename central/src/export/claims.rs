//! Claims: codes that terminals printed or that shoppers entered, by their digest.

use serde::Serialize;
use utoipa::ToSchema;

use super::listing::{Key, Listing};
use super::moment::Moment;
use crate::store::StoreError;
use crate::store::statement::Row;

/// Names of the fields, in order.
pub(super) const COLUMNS: &[&str] = &[
    "claim",
    "store",
    "workstation",
    "business_day",
    "sequence",
    "terminal",
    "epoch",
    "seq",
    "state",
    "account",
    "card",
    "member",
    "binding",
    "offered_at",
    "asked_at",
    "decided_at",
    "reason",
    "waits_until",
];

pub(super) static LISTING: Listing = Listing {
    operation: "export claims",
    key: &[Key::Text("cl.claim")],
    columns: "cl.claim, cl.store, cl.workstation, cl.business_day, cl.sequence, cl.terminal, \
              cl.epoch, cl.seq, cl.state, cl.account, b.card, \
              CASE WHEN cl.state <> 'redeemed' THEN NULL \
                  WHEN cl.binding IS NULL THEN a.member ELSE b.member END, \
              cl.binding, cl.offered_ms, cl.asked_ms, cl.decided_ms, cl.reason, \
              CASE WHEN cl.state = 'waiting' THEN cl.waits_until_ms END",
    from: "claims cl LEFT JOIN bindings b ON b.id = cl.binding \
           LEFT JOIN accounts a ON a.account = cl.account",
    always: None,
    time: Some("COALESCE(cl.offered_ms, cl.asked_ms)"),
    store: Some("cl.store"),
    terminal: Some("cl.terminal"),
    open: Some("cl.state = 'waiting'"),
    page_lines: 1_000,
};

/// A claim code by its digest: the sale that it was printed for, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Claim {
    /// Digest of the code.
    claim: String,
    /// Store of the sale; nothing until the terminal has told of the code.
    store: Option<String>,
    /// Workstation of the sale.
    workstation: Option<String>,
    /// Business day of the sale.
    business_day: Option<String>,
    /// Sequence of the sale.
    sequence: Option<String>,
    /// The terminal that printed the code.
    terminal: Option<String>,
    /// The epoch of its event.
    epoch: Option<String>,
    /// The event's place in its epoch.
    seq: Option<i64>,
    /// `offered`, `waiting`, `redeemed` or `refused`.
    state: String,
    /// The account that entered the code.
    account: Option<String>,
    /// The card that was bound by it, or that headquarters is to settle.
    card: Option<String>,
    /// The member that has the card or the sale.
    member: Option<String>,
    /// The binding that it asked for.
    binding: Option<String>,
    /// When the code was printed, corrected to central's clock.
    offered_at: Option<Moment>,
    /// When it was entered.
    asked_at: Option<Moment>,
    /// When it was redeemed or refused.
    decided_at: Option<Moment>,
    /// Why it was refused.
    reason: Option<String>,
    /// When a code that waits must be entered again.
    waits_until: Option<Moment>,
}

pub(super) fn line(row: &Row) -> Result<Claim, StoreError> {
    let mut cells = LISTING.cells(row);
    Ok(Claim {
        claim: cells.text()?,
        store: cells.text_opt()?,
        workstation: cells.text_opt()?,
        business_day: cells.text_opt()?,
        sequence: cells.text_opt()?,
        terminal: cells.text_opt()?,
        epoch: cells.text_opt()?,
        seq: cells.int_opt()?,
        state: cells.text()?,
        account: cells.text_opt()?,
        card: cells.text_opt()?,
        member: cells.text_opt()?,
        binding: cells.text_opt()?,
        offered_at: cells.moment_opt()?,
        asked_at: cells.moment_opt()?,
        decided_at: cells.moment_opt()?,
        reason: cells.text_opt()?,
        waits_until: cells.moment_opt()?,
    })
}
