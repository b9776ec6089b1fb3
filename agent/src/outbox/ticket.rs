//! The promise that stands between an append and the disk.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tillbind_protocol::chain::Mark;
use tokio::sync::oneshot;

use super::AppendError;

/// The answer to an append that is still to come: the mark of its last event, once that is durable.
#[derive(Debug)]
pub struct Ticket {
    pub(super) answer: oneshot::Receiver<Result<Mark, AppendError>>,
}

impl Ticket {
    /// Blocks until the event is durable or refused; not for async code, which awaits the ticket.
    ///
    /// # Errors
    /// [`AppendError`]; the event was then not kept.
    pub fn wait(self) -> Result<Mark, AppendError> {
        self.answer
            .blocking_recv()
            .unwrap_or(Err(AppendError::Stopped))
    }
}

impl Future for Ticket {
    type Output = Result<Mark, AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer)
            .poll(context)
            .map(|answer| answer.unwrap_or(Err(AppendError::Stopped)))
    }
}
