//! Events: what a terminal records, the unit of outbox and sync.
//!
//! An event's **record** is one JSON object
//! `{"at":…,"off":…,"unc":…,"kind":"scan","body":{…}}`. Its bytes are fixed when it is journaled and
//! never written anew: the chain is taken over them, the wire carries them, central stores them.
//! Records only ever gain fields and kinds; central stores a kind that it does not know and leaves
//! it to be projected later.

use serde::{Deserialize, Serialize};

use crate::claim::ClaimDigest;
use crate::ids::{AccountRef, BindingId, CardNumber};

mod transaction;

pub use transaction::{
    RetailTransaction, SaleKey, Source, TransactionItem, TransactionKind, TransactionTender,
    plain_sequence,
};

/// Longest record, in bytes. A longer one is refused at the door and said so: a batch must always
/// have room for at least one.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;

/// When something happened, as the terminal's suspect clock had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The terminal's wall clock, in milliseconds since 1970-01-01 UTC.
    #[serde(rename = "at")]
    pub local_ms: i64,
    /// Estimate of central's clock less the terminal's, in milliseconds.
    #[serde(rename = "off", default, skip_serializing_if = "is_zero")]
    pub offset_ms: i64,
    /// How far the estimate may be off, in milliseconds; absent when central's clock was never seen.
    #[serde(rename = "unc", default, skip_serializing_if = "Option::is_none")]
    pub uncertainty_ms: Option<u32>,
}

pub(crate) fn is_zero(n: &i64) -> bool {
    *n == 0
}

impl Stamp {
    /// Returns the time by central's clock, in milliseconds since 1970-01-01 UTC.
    pub fn corrected_ms(&self) -> i64 {
        self.local_ms.saturating_add(self.offset_ms)
    }
}

/// One event with its stamp.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When it happened.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

impl Event {
    /// Writes the record whose bytes are journaled, chained and sent.
    ///
    /// # Errors
    /// [`RecordError::TooLong`] past [`RECORD_BYTES_MAX`].
    pub fn to_record(&self) -> Result<Vec<u8>, RecordError> {
        let record = serde_json::to_vec(self).map_err(RecordError::Malformed)?;
        if record.len() > RECORD_BYTES_MAX {
            return Err(RecordError::TooLong {
                bytes: record.len(),
            });
        }
        Ok(record)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`RecordError::Malformed`] when it is no event that this version knows.
    pub fn from_record(record: &[u8]) -> Result<Self, RecordError> {
        serde_json::from_slice(record).map_err(RecordError::Malformed)
    }
}

/// A record that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It would not fit a batch.
    #[error("the event has {bytes} bytes; at most {RECORD_BYTES_MAX} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It is not the JSON of an event.
    #[error("the record is not an event")]
    Malformed(#[source] serde_json::Error),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "body", rename_all = "snake_case")]
pub enum EventBody {
    /// A code was scanned, swiped or tapped.
    Scan(Scan),
    /// A retail transaction ended.
    Transaction(RetailTransaction),
    /// A card was scanned shortly after its sale had ended.
    Attribution(Attribution),
    /// A shopper asked to bind a card to an account.
    BindingRequested(BindingRequest),
    /// A claim code was made for a sale, to be printed on its receipt.
    ClaimOffered(ClaimOffered),
    /// A receipt was printed that no profile could read with its arithmetic holding.
    ReceiptUnparsed(ReceiptUnparsed),
    /// A journal file was set aside.
    FileRejected(FileRejected),
}

impl EventBody {
    /// Returns the stable name of the kind, as it stands in exports.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Scan(_) => "scan",
            Self::Transaction(_) => "transaction",
            Self::Attribution(_) => "attribution",
            Self::BindingRequested(_) => "binding_requested",
            Self::ClaimOffered(_) => "claim_offered",
            Self::ReceiptUnparsed(_) => "receipt_unparsed",
            Self::FileRejected(_) => "file_rejected",
        }
    }
}

/// What a scanned code turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanKind {
    /// A membership card.
    MemberCard,
    /// The signed code of an online account.
    MemberCode,
    /// A claim code from a receipt.
    ClaimCode,
    /// A payment card or payment code: refused, nothing of it kept.
    PaymentRefused,
    /// Anything else.
    Unknown,
}

impl ScanKind {
    /// Returns the stable name, as in the till's API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MemberCard => "member_card",
            Self::MemberCode => "member_code",
            Self::ClaimCode => "claim_code",
            Self::PaymentRefused => "payment_refused",
            Self::Unknown => "unknown",
        }
    }
}

/// A scan. Holds no digit of a payment instrument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// What the code was.
    #[serde(rename = "code")]
    pub kind: ScanKind,
    /// Name of the scanner in the configuration, or `api`.
    pub device: String,
    /// Symbology by its AIM identifier, if the scanner told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbology: Option<String>,
    /// The card, for a membership card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<CardNumber>,
    /// Kind of the card's number: `gsrn`, `ean`, `stripe`, `number`, `uid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_kind: Option<String>,
    /// The account, for a member code that verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// The text, for a code of no known kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Why the code was refused or not recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why a card belongs to a sale that had ended already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribution {
    /// The sale.
    pub sale: SaleKey,
    /// The card.
    pub card: CardNumber,
    /// Kind of the card's number.
    pub card_kind: String,
}

/// A request to bind a card to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingRequest {
    /// The request's name, made by the terminal.
    pub id: BindingId,
    /// The card.
    pub card: CardNumber,
    /// Kind of the card's number.
    pub card_kind: String,
    /// The account.
    pub account: AccountRef,
    /// What speaks for it.
    pub evidence: Evidence,
}

/// A claim code that was made for a sale. It was recorded before the receipt's end was printed, so
/// that no shopper holds a code that headquarters never hears of; whether the printer printed it is not
/// known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimOffered {
    /// The sale.
    pub sale: SaleKey,
    /// By what headquarters knows the code again. The code itself is on the receipt alone.
    pub claim: ClaimDigest,
}

/// What speaks for a binding, strongest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Evidence {
    /// The account's signed code, verified by the terminal and verified again by central.
    MemberCode {
        /// The code as it was scanned.
        code: String,
    },
}

impl Evidence {
    /// Returns the stable name, as in exports.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::MemberCode { .. } => "member-code",
        }
    }
}

/// A receipt that stayed unparsed: kept with its text, never guessed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptUnparsed {
    /// Name of the tap in the configuration.
    pub tap: String,
    /// Which field, line or sum failed and why.
    pub reason: String,
    /// The text, payment numbers removed.
    pub text: String,
    /// How many images it held.
    #[serde(default)]
    pub images: u32,
}

/// A journal file that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRejected {
    /// Name of the journal in the configuration.
    pub journal: String,
    /// Name of the file.
    pub file: String,
    /// What is wrong with it, where.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan() -> Event {
        Event {
            stamp: Stamp {
                local_ms: 5,
                offset_ms: -2,
                uncertainty_ms: Some(7),
            },
            body: EventBody::Scan(Scan {
                kind: ScanKind::MemberCard,
                device: "counter".into(),
                symbology: None,
                card: Some(CardNumber::new("950110153123456781").unwrap()),
                card_kind: Some("gsrn".into()),
                account: None,
                text: None,
                reason: None,
            }),
        }
    }

    #[test]
    fn a_record_is_flat_json_and_reads_back() {
        let record = scan().to_record().unwrap();
        assert_eq!(
            String::from_utf8(record.clone()).unwrap(),
            r#"{"at":5,"off":-2,"unc":7,"kind":"scan","body":{"code":"member_card","device":"counter","card":"950110153123456781","card_kind":"gsrn"}}"#
        );
        assert_eq!(Event::from_record(&record).unwrap(), scan());
    }

    #[test]
    fn a_till_in_1970_still_has_a_time_by_centrals_clock() {
        let stamp = Stamp {
            local_ms: 60_000,
            offset_ms: 1_700_000_000_000,
            uncertainty_ms: None,
        };
        assert_eq!(stamp.corrected_ms(), 1_700_000_060_000);
        let wild = Stamp {
            local_ms: i64::MAX,
            offset_ms: 1,
            uncertainty_ms: None,
        };
        assert_eq!(wild.corrected_ms(), i64::MAX);
    }
}
