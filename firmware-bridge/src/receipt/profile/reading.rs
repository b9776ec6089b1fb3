//! What a profile makes of a job.

use super::amount::AmountError;
use crate::receipt::Unreadable;
use crate::sale::{Imbalance, Sale};

/// What a profile makes of a job. Only [`Reading::Sale`] counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// A retail transaction whose sums hold.
    Sale(Box<Sale>),
    /// Printed matter that is known not to be a sale.
    NotASale(NotASale),
    /// Maybe a sale, and not readable: kept with its text.
    Unparsed(UnparsedReason),
}

/// What a job is that is no sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotASale {
    /// Another print of a receipt that was counted when it was first printed.
    Reprint,
    /// An order slip or a bill that is not paid yet: a marker of `order` was found.
    OrderSlip,
    /// A ticket for the kitchen or the bar.
    KitchenTicket,
    /// A report of the till, as X and Z reports are.
    Report,
    /// A receipt without prices, to be given away with the goods.
    GiftReceipt,
    /// Anything else that a marker of `not_a_sale` tells.
    OtherSlip,
    /// Voided before it was paid for.
    Cancelled,
    /// Codes alone, without any text.
    NoText,
}

/// Why a job cannot be read as a sale. Lines count from 1 and no text of the receipt is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnparsedReason {
    /// The job is not text that this version reads.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The job was cut off at the decoder's limit.
    #[error("the receipt is longer than the decoder's limit: only its beginning is known")]
    TooLong,
    /// No line gave a field that the profile has patterns for.
    #[error("no line matches the profile's patterns for the {field}")]
    Missing {
        /// Name of the field as in the profile.
        field: &'static str,
    },
    /// A pattern captured something that is no amount or quantity.
    #[error("line {line}: the {field} cannot be read: {why}")]
    Amount {
        /// Name of the group as in the profile.
        field: &'static str,
        /// Line of the job.
        line: usize,
        /// What is wrong with it.
        why: AmountError,
    },
    /// A pattern captured something that none of the profile's formats reads.
    #[error("line {line}: the {field} fits none of the profile's formats")]
    Time {
        /// Name of the group as in the profile.
        field: &'static str,
        /// Line of the job.
        line: usize,
    },
    /// A line contradicts another one or the markers.
    #[error("line {line}: {what}")]
    Contradiction {
        /// Line of the job.
        line: usize,
        /// What contradicts what.
        what: &'static str,
    },
    /// The sums do not hold.
    #[error(transparent)]
    Imbalance(#[from] Imbalance),
}
