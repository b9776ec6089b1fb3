//! What an event is worth when not everything can be kept, and which must not wait for the rest.
//!
//! The class is read from the record itself, so that it needs no place of its own on the disk and is the
//! same after a restart. A record of an unknown kind counts as a sale: what nobody understands is not
//! given up.

use tillbind_protocol::event::{Event, EventBody};

/// The name of a record's kind stands before its body, behind a stamp of numbers: within this many bytes.
const KIND_WITHIN_BYTES: usize = 128;
const KIND_KEY: &[u8] = br#""kind":""#;

/// What an event is worth; a smaller one is given up first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Word of something that is still elsewhere on the disk: a journal file set aside.
    Telemetry,
    /// The text of a receipt that no profile could read.
    Receipt,
    /// A scan. One whose card a sale names is kept nonetheless.
    Scan,
    /// A sale, what belongs to one, and whatever is not known. Never given up.
    Sale,
    /// A request for a binding. Never given up, and shown to central ahead of its turn.
    Binding,
}

/// How many classes there are.
pub(super) const CLASSES: usize = 5;
/// What may be given up, in this order.
pub const SACRIFICES: [Class; 3] = [Class::Telemetry, Class::Receipt, Class::Scan];

impl Class {
    /// Returns the stable name, as in metrics and in the reason of a gap.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Telemetry => "telemetry",
            Self::Receipt => "unparsed receipt",
            Self::Scan => "scan",
            Self::Sale => "sale",
            Self::Binding => "binding",
        }
    }

    pub(super) fn index(self) -> usize {
        match self {
            Self::Telemetry => 0,
            Self::Receipt => 1,
            Self::Scan => 2,
            Self::Sale => 3,
            Self::Binding => 4,
        }
    }

    pub(super) fn of_index(index: u8) -> Option<Self> {
        [
            Self::Telemetry,
            Self::Receipt,
            Self::Scan,
            Self::Sale,
            Self::Binding,
        ]
        .get(usize::from(index))
        .copied()
    }

    /// Reads the class off a record's kind.
    pub(super) fn of(record: &[u8]) -> Self {
        match kind(record) {
            Some(b"file_rejected") => Self::Telemetry,
            Some(b"receipt_unparsed") => Self::Receipt,
            Some(b"scan") => Self::Scan,
            Some(b"binding_requested") => Self::Binding,
            Some(_) | None => Self::Sale,
        }
    }
}

fn kind(record: &[u8]) -> Option<&[u8]> {
    let head = &record[..record.len().min(KIND_WITHIN_BYTES)];
    let at = head.windows(KIND_KEY.len()).position(|w| w == KIND_KEY)?;
    let name = &head[at + KIND_KEY.len()..];
    let end = name.iter().position(|byte| *byte == b'"')?;
    Some(&name[..end])
}

/// Returns the card of a scan or of a sale, as text.
pub(super) fn card_of(record: &[u8]) -> Option<String> {
    let card = match Event::from_record(record).ok()?.body {
        EventBody::Scan(scan) => scan.card,
        EventBody::Transaction(sale) => sale.card,
        EventBody::Attribution(attribution) => Some(attribution.card),
        EventBody::BindingRequested(request) => Some(request.card),
        EventBody::ClaimOffered(_) | EventBody::ReceiptUnparsed(_) | EventBody::FileRejected(_) => {
            None
        }
    };
    card.map(|card| card.expose().to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use tillbind_protocol::event::{
        Attribution, FileRejected, ReceiptUnparsed, SaleKey, Scan, ScanKind, Stamp,
    };
    use tillbind_protocol::ids::CardNumber;

    use super::*;

    pub(in super::super) fn recorded(body: EventBody) -> Vec<u8> {
        let stamp = Stamp {
            local_ms: i64::MIN,
            offset_ms: i64::MIN,
            uncertainty_ms: Some(u32::MAX),
        };
        Event { stamp, body }.to_record().unwrap()
    }

    pub(in super::super) fn scan(card: Option<&str>, text: &str) -> Vec<u8> {
        recorded(EventBody::Scan(Scan {
            kind: if card.is_some() {
                ScanKind::MemberCard
            } else {
                ScanKind::Unknown
            },
            device: "counter".to_owned(),
            symbology: None,
            card: card.map(|card| CardNumber::new(card).unwrap()),
            card_kind: card.map(|_| "number".to_owned()),
            account: None,
            text: Some(text.to_owned()),
            reason: None,
        }))
    }

    pub(in super::super) fn attribution(card: &str) -> Vec<u8> {
        recorded(EventBody::Attribution(Attribution {
            sale: SaleKey {
                store: "S1".parse().unwrap(),
                workstation: "1".parse().unwrap(),
                business_day: "2026-05-14".parse().unwrap(),
                sequence: "7".to_owned(),
            },
            card: CardNumber::new(card).unwrap(),
            card_kind: "number".to_owned(),
        }))
    }

    pub(in super::super) fn unparsed(text: &str) -> Vec<u8> {
        recorded(EventBody::ReceiptUnparsed(ReceiptUnparsed {
            tap: "printer".to_owned(),
            reason: "why".to_owned(),
            text: text.to_owned(),
            images: 0,
        }))
    }

    pub(in super::super) fn rejected(file: &str) -> Vec<u8> {
        recorded(EventBody::FileRejected(FileRejected {
            journal: "pos".to_owned(),
            file: file.to_owned(),
            reason: "why".to_owned(),
        }))
    }

    #[test]
    fn a_class_is_read_off_the_records_that_the_agent_writes_and_the_unknown_is_kept() {
        let quoting = r#"has "kind":"file_rejected" inside"#;
        assert_eq!(Class::of(&scan(Some("123456"), quoting)), Class::Scan);
        assert_eq!(Class::of(&unparsed(quoting)), Class::Receipt);
        assert_eq!(Class::of(&rejected("a.xml")), Class::Telemetry);
        assert_eq!(Class::of(&attribution("123456")), Class::Sale);
        assert_eq!(
            Class::of(br#"{"at":5,"kind":"binding_requested","body":{}}"#),
            Class::Binding
        );
        assert_eq!(
            Class::of(br#"{"at":5,"kind":"of tomorrow","body":{}}"#),
            Class::Sale
        );
        assert_eq!(Class::of(b""), Class::Sale);
        assert_eq!(Class::of(br#"{"kind":"sca"#), Class::Sale);
        for (index, class) in [Class::Telemetry, Class::Receipt, Class::Scan]
            .into_iter()
            .enumerate()
        {
            assert_eq!(class.index(), index);
            assert_eq!(SACRIFICES[index], class);
            assert_eq!(Class::of_index(index as u8), Some(class));
        }
        assert_eq!(Class::of_index(5), None);
    }

    #[test]
    fn scans_and_sales_tell_their_card() {
        assert_eq!(
            card_of(&scan(Some("123456"), "")).as_deref(),
            Some("123456")
        );
        assert_eq!(card_of(&attribution("123456")).as_deref(), Some("123456"));
        assert_eq!(card_of(&scan(None, "x")), None);
        assert_eq!(card_of(b"no event"), None);
    }
}
