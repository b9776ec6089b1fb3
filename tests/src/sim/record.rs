//! What terminals record here: a stamp, a kind, and the number by which the model knows the event.

use serde::{Deserialize, Serialize};
use tillbind_protocol::event::Stamp;

/// What an event is worth; a smaller one is given up first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Class {
    FileRejected,
    ReceiptUnparsed,
    Scan,
    Transaction,
    BindingRequested,
}

/// What a full disk may cost, in this order.
pub(super) const SACRIFICES: [Class; 3] =
    [Class::FileRejected, Class::ReceiptUnparsed, Class::Scan];

/// A request to bind a card to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wish {
    pub(super) card: u64,
    pub(super) account: u64,
}

/// An event's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    at: i64,
    off: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unc: Option<u32>,
    pub(super) kind: Class,
    /// The event's number: the model's name for it.
    pub(super) n: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wish: Option<Wish>,
}

impl Record {
    pub(super) fn new(n: u64, kind: Class, stamp: Stamp, wish: Option<Wish>) -> Self {
        Self {
            at: stamp.local_ms,
            off: stamp.offset_ms,
            unc: stamp.uncertainty_ms,
            kind,
            n,
            wish,
        }
    }

    pub(super) fn to_text(self) -> String {
        serde_json::to_string(&self).expect("numbers and names have a JSON form")
    }

    pub(super) fn read(text: &str) -> Self {
        serde_json::from_str(text).expect("a record of ours")
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            local_ms: self.at,
            offset_ms: self.off,
            uncertainty_ms: self.unc,
        }
    }
}
