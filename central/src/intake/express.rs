//! Express: binding requests that a terminal shows before their turn, since a backlog lies before them.
//!
//! Each is ruled on as if its event had arrived, by the same rules and in the transaction of the batch
//! that it came with. The event itself comes later, in its order; a request is known by its name, so
//! that it then changes nothing, under whatever epoch and however often it comes. A copy that is of no
//! use is passed over: nothing is lost, since what is wrong with it is found when its event has its
//! turn, and put into quarantine then.

use sea_orm::DatabaseTransaction;
use tillbind_protocol::exchange::ExchangeRequest;

use super::project_all;
use super::projection::{Item, Origin};
use super::reading::{self, Body};
use crate::changes::Touched;
use crate::store::StoreError;

/// Rules on the requests that were shown; returns how many of them could be used.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn rule(
    tx: &DatabaseTransaction,
    origin: &Origin<'_>,
    request: &ExchangeRequest,
    careful: bool,
    touched: &mut Touched,
) -> Result<usize, StoreError> {
    let items: Vec<Item> = request
        .express
        .iter()
        .map(|shown| Item {
            seq: shown.seq,
            reading: reading::read(shown.record.get()),
        })
        .collect();
    let (requests, others): (Vec<Item>, Vec<Item>) = items
        .into_iter()
        .partition(|item| matches!(item.reading.body, Body::BindingRequested(_)));
    for other in &others {
        tracing::warn!(
            terminal = %origin.terminal.id, epoch = %origin.epoch, seq = %other.seq,
            "what a terminal showed before its turn is no request to bind: passed over"
        );
    }
    let unusable = project_all(tx, origin, &requests, careful, touched).await?;
    for poisoned in &unusable {
        tracing::warn!(
            terminal = %origin.terminal.id, epoch = %origin.epoch, seq = %poisoned.seq,
            reason = poisoned.reason,
            "a request shown before its turn cannot be used: passed over until its event comes"
        );
    }
    Ok(requests.len().saturating_sub(unusable.len()))
}
