//! What waits for an append to become durable.

use tillbind_protocol::claim::ClaimCode;
use tillbind_protocol::event::{BindingRequest, RetailTransaction, SaleKey, Scan};
use tillbind_protocol::ids::Seq;
use tokio::sync::oneshot;

use super::effect::{Answer, Published};
use crate::devices::ClaimReply;
use crate::event::{BindAnswer, Refusal, Reply, ScanAnswer};
use crate::till::Binding;

/// Who waits for an append, and with what answer.
#[derive(Debug)]
pub(super) enum Waiter {
    Nobody,
    Scan(Reply<ScanAnswer>, Option<Box<ScanAnswer>>),
    Sale(Reply<Seq>),
    Bind(Reply<BindAnswer>, Box<BindingRequest>),
    Device(oneshot::Sender<Result<(), String>>),
    /// A receipt whose cut waits for a claim code, once it has one.
    Claim(ClaimReply, Option<ClaimCode>),
}

impl Waiter {
    /// Prepares the answer to a scan: all but its place is known.
    pub(super) fn with_scan(self, scan: &Scan, binding: Option<&BindingRequest>) -> Self {
        match self {
            Self::Scan(reply, _) => {
                let answer = ScanAnswer {
                    seq: Seq::ZERO,
                    kind: scan.kind,
                    card: scan.card.clone(),
                    account: scan.account.clone(),
                    reason: scan.reason.clone(),
                    binding: binding.map(|request| bind_answer(request, Seq::ZERO)),
                };
                Self::Scan(reply, Some(Box::new(answer)))
            }
            Self::Nobody | Self::Sale(_) | Self::Bind(..) | Self::Device(_) | Self::Claim(..) => {
                self
            }
        }
    }

    /// Returns who waits for a claim code that is not made yet, and who else waits.
    pub(super) fn without_claim(self) -> (Self, Option<ClaimReply>) {
        match self {
            Self::Claim(reply, None) => (Self::Nobody, Some(reply)),
            Self::Nobody
            | Self::Scan(..)
            | Self::Sale(_)
            | Self::Bind(..)
            | Self::Device(_)
            | Self::Claim(_, Some(_)) => (self, None),
        }
    }

    /// Answers that the events `first ..= last` are durable.
    pub(super) fn accepted(self, first: Seq, last: Seq) -> Option<Answer> {
        match self {
            Self::Nobody => None,
            Self::Scan(reply, answer) => {
                let mut answer = *answer?;
                answer.seq = first;
                // The binding is the last event of the group.
                if let Some(binding) = &mut answer.binding {
                    binding.seq = last;
                }
                Some(Answer::Scan(reply, Ok(answer)))
            }
            Self::Sale(reply) => Some(Answer::Sale(reply, Ok(last))),
            Self::Bind(reply, request) => {
                Some(Answer::Bind(reply, Ok(bind_answer(&request, last))))
            }
            Self::Device(reply) => Some(Answer::Device(reply, Ok(()))),
            Self::Claim(reply, code) => code.map(|code| Answer::Claim(reply, code)),
        }
    }

    /// Answers that nothing was recorded.
    pub(super) fn refused(self, refusal: Refusal) -> Option<Answer> {
        match self {
            // Dropped, a receipt is cut without a code.
            Self::Nobody | Self::Claim(..) => None,
            Self::Scan(reply, _) => Some(Answer::Scan(reply, Err(refusal))),
            Self::Sale(reply) => Some(Answer::Sale(reply, Err(refusal))),
            Self::Bind(reply, _) => Some(Answer::Bind(reply, Err(refusal))),
            Self::Device(reply) => Some(Answer::Device(reply, Err(refusal.to_string()))),
        }
    }
}

fn bind_answer(request: &BindingRequest, seq: Seq) -> BindAnswer {
    BindAnswer {
        seq,
        id: request.id.as_str().to_owned(),
        card: request.card.clone(),
        account: request.account.clone(),
    }
}

/// An append on its way to the disk, and what follows from either end of it.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) waiter: Waiter,
    pub(super) sale: Option<Box<RetailTransaction>>,
    pub(super) attributed: Option<SaleKey>,
    pub(super) binding: Option<Binding>,
    /// One for each event of the group.
    pub(super) published: Vec<Published>,
}
