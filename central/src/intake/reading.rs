//! A record as central understands it: an event, something newer than this program, or neither.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tillbind_protocol::event::{
    Attribution, BindingRequest, ClaimOffered, FileRejected, ReceiptUnparsed, RetailTransaction,
    Scan, Stamp,
};

use crate::plain_text::plain_text;

/// Longest kind that is kept, in bytes.
const KIND_BYTES_MAX: usize = 64;
/// Longest reason that is kept, in bytes.
const REASON_BYTES_MAX: usize = 300;
/// What stands for the kind of a record that names none.
const NO_KIND: &str = "unreadable";

/// A record, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Name of the kind as the record has it.
    pub kind: String,
    /// Its stamp, if it could be read.
    pub stamp: Option<Stamp>,
    /// What it says.
    pub body: Body,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A scan.
    Scan(Scan),
    /// A sale, return or void.
    Transaction(Box<RetailTransaction>),
    /// A card for a sale that had ended.
    Attribution(Attribution),
    /// A request to bind.
    BindingRequested(BindingRequest),
    /// A claim code made for a sale.
    ClaimOffered(ClaimOffered),
    /// Known, and nothing to be projected: kept for reading.
    Kept,
    /// Of a kind that this program does not know: kept until one that does projects it.
    Newer,
    /// Not an event: for the quarantine.
    Poison {
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Envelope<'r> {
    #[serde(borrow)]
    kind: std::borrow::Cow<'r, str>,
}

#[derive(Deserialize)]
struct Header<'r> {
    at: i64,
    #[serde(default)]
    off: i64,
    #[serde(default)]
    unc: Option<u32>,
    #[serde(borrow)]
    kind: std::borrow::Cow<'r, str>,
    #[serde(borrow, default)]
    body: Option<&'r RawValue>,
}

/// Corrects the stamp of a terminal that had never seen central's clock by the difference of the clocks
/// at the exchange that brings the event, so that a till in 1970 has its events in their year. Its
/// uncertainty stays unknown: the clock may have been set in between. What a terminal estimated itself
/// stands.
pub fn compared(stamp: Stamp, sent_local_ms: i64, received_ms: i64) -> Stamp {
    if stamp.uncertainty_ms.is_some() {
        return stamp;
    }
    let difference_ms = received_ms.saturating_sub(sent_local_ms);
    // Nothing was recorded after it came.
    let most_ms = received_ms.saturating_sub(stamp.local_ms);
    Stamp {
        offset_ms: difference_ms.min(most_ms),
        ..stamp
    }
}

/// Reads a record. Never fails: what cannot be read is [`Body::Poison`].
pub fn read(record: &str) -> Reading {
    let header: Header<'_> = match serde_json::from_str(record) {
        Ok(header) => header,
        Err(e) => {
            let kind = serde_json::from_str::<Envelope<'_>>(record).map_or_else(
                |_| NO_KIND.to_owned(),
                |envelope| plain_kind(&envelope.kind),
            );
            return Reading {
                kind,
                stamp: None,
                body: poison(&e),
            };
        }
    };
    let stamp = Stamp {
        local_ms: header.at,
        offset_ms: header.off,
        uncertainty_ms: header.unc,
    };
    let body = header.body.map_or("null", RawValue::get);
    let body = match header.kind.as_ref() {
        "scan" => parse(body, Body::Scan),
        "transaction" => parse(body, |t| Body::Transaction(Box::new(t))),
        "attribution" => parse(body, Body::Attribution),
        "binding_requested" => parse(body, Body::BindingRequested),
        "claim_offered" => parse(body, Body::ClaimOffered),
        "receipt_unparsed" => parse(body, |_: ReceiptUnparsed| Body::Kept),
        "file_rejected" => parse(body, |_: FileRejected| Body::Kept),
        _ => Body::Newer,
    };
    Reading {
        kind: plain_kind(&header.kind),
        stamp: Some(stamp),
        body,
    }
}

fn parse<T: DeserializeOwned>(body: &str, known: impl FnOnce(T) -> Body) -> Body {
    match serde_json::from_str(body) {
        Ok(value) => known(value),
        Err(e) => poison(&e),
    }
}

fn poison(error: &serde_json::Error) -> Body {
    let reason = format!("the record is not an event: {error}");
    Body::Poison {
        reason: plain_text(&reason, REASON_BYTES_MAX),
    }
}

fn plain_kind(kind: &str) -> String {
    plain_text(kind, KIND_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tillbind_protocol::claim::ClaimDigest;
    use tillbind_protocol::event::{Event, EventBody};
    use tillbind_protocol::ids::{BindingId, CardNumber};

    use super::*;

    #[test]
    fn a_till_in_1970_that_never_saw_centrals_clock_has_its_events_in_their_year() {
        let now_ms = 1_795_348_800_000;
        let at = |local_ms, uncertainty_ms| Stamp {
            local_ms,
            offset_ms: 0,
            uncertainty_ms,
        };
        // Recorded an hour before it was sent, by a clock that began at 0, or is in 2099.
        for sent_ms in [7_200_000, 4_070_908_800_000] {
            let stamp = compared(at(sent_ms - 3_600_000, None), sent_ms, now_ms);
            assert_eq!(stamp.corrected_ms(), now_ms - 3_600_000);
            assert_eq!(stamp.uncertainty_ms, None);
        }
        // A clock that was set back before the exchange brings nothing into the future.
        let stamp = compared(at(now_ms, None), 0, now_ms);
        assert_eq!(stamp.corrected_ms(), now_ms);
        assert_eq!(compared(at(5, Some(3)), 0, now_ms), at(5, Some(3)));
        let _wild = compared(at(i64::MIN, None), i64::MAX, now_ms);
    }

    fn bodies() -> Vec<EventBody> {
        let card = CardNumber::new("2900000000017").unwrap();
        let request = BindingRequest {
            id: BindingId::new("b1").unwrap(),
            card: card.clone(),
            card_kind: "ean".into(),
            account: "tmall:1".parse().unwrap(),
            evidence: tillbind_protocol::event::Evidence::MemberCode {
                code: "TB1:".into(),
            },
        };
        let sale = serde_json::json!({"store":"S1","workstation":"1","business_day":"2026-09-01",
            "sequence":"0007","type":"sale","currency":"CNY","total_minor":100,"source":"tap"});
        let sale: RetailTransaction = serde_json::from_value(sale).unwrap();
        let sale_key = sale.key();
        vec![
            EventBody::Scan(Scan {
                kind: tillbind_protocol::event::ScanKind::Unknown,
                device: "d".into(),
                symbology: None,
                card: None,
                card_kind: None,
                account: None,
                text: Some("\u{0}".into()),
                reason: None,
            }),
            EventBody::Attribution(Attribution {
                sale: sale.key(),
                card,
                card_kind: "ean".into(),
            }),
            EventBody::Transaction(sale),
            EventBody::BindingRequested(request),
            EventBody::ClaimOffered(ClaimOffered {
                sale: sale_key,
                claim: ClaimDigest([1; 16]),
            }),
            EventBody::ReceiptUnparsed(ReceiptUnparsed {
                tap: "t".into(),
                reason: "r".into(),
                text: "x".into(),
                images: 0,
            }),
            EventBody::FileRejected(FileRejected {
                journal: "j".into(),
                file: "f".into(),
                reason: "r".into(),
            }),
        ]
    }

    #[test]
    fn every_kind_that_a_terminal_writes_is_read_with_its_name_and_stamp() {
        for body in bodies() {
            let event = Event {
                stamp: Stamp {
                    local_ms: 5,
                    offset_ms: -7,
                    uncertainty_ms: Some(3),
                },
                body,
            };
            let record = String::from_utf8(event.to_record().unwrap()).unwrap();
            let reading = read(&record);
            assert_eq!(reading.kind, event.body.kind());
            assert_eq!(reading.stamp, Some(event.stamp));
            let understood = !matches!(reading.body, Body::Newer | Body::Poison { .. });
            assert!(understood, "{record}: {reading:?}");
        }
    }

    #[test]
    fn a_newer_kind_is_kept_and_a_broken_record_of_a_known_kind_is_poison() {
        let newer = read(r#"{"at":1,"kind":"drawer_opened","body":{"why":1}}"#);
        assert_eq!(newer.body, Body::Newer);
        for record in [
            r#"{"at":1,"kind":"scan","body":{}}"#,
            r#"{"at":1,"kind":"scan"}"#,
            r#"{"at":"soon","kind":"scan","body":{}}"#,
            r#"{"kind":"scan"}"#,
            "[]",
            "7",
        ] {
            let reading = read(record);
            assert!(matches!(reading.body, Body::Poison { .. }), "{record}");
        }
        assert_eq!(read(r#"{"at":"soon","kind":"scan"}"#).kind, "scan");
        assert_eq!(read("7").kind, NO_KIND);
    }

    proptest! {
        #[test]
        fn no_json_panics(text in "[{}\\[\\]\":,a-z0-9\\\\u]{0,80}") {
            let _read = read(&text);
        }
    }
}
