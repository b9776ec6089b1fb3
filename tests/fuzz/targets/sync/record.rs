//! A record as the terminal reads it back and as central reads it.
//!
//! Oracles: what one side reads as an event the other reads as the same event; an event is written and
//! read back the same; central never lacks a kind, and what it keeps of hostile texts is short.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tillbind_central::intake::reading::{self, Body};
use tillbind_protocol::event::{Event, EventBody};

fuzz_target!(|data: &[u8]| {
    let event = Event::from_record(data).ok();
    if let Some(event) = &event {
        let record = event.to_record().expect("a short event has a record");
        let back = Event::from_record(&record).expect("what was written can be read");
        assert_eq!(&back, event);
    }
    let Ok(text) = std::str::from_utf8(data) else {
        assert!(event.is_none(), "an event that is no text");
        return;
    };
    let reading = reading::read(text);
    assert!(!reading.kind.is_empty() || text.contains("kind"));
    assert!(reading.kind.len() <= 64);
    match (&event, &reading.body) {
        (_, Body::Poison { reason }) => {
            assert!(reason.len() <= 300);
            assert!(event.is_none(), "poison to central alone: {reason}");
        }
        (Some(event), body) => {
            assert_eq!(reading.stamp, Some(event.stamp));
            assert_eq!(reading.kind, event.body.kind());
            match (&event.body, body) {
                (EventBody::Scan(one), Body::Scan(other)) => assert_eq!(one, other),
                (EventBody::Transaction(one), Body::Transaction(other)) => {
                    assert_eq!(one, &**other)
                }
                (EventBody::Attribution(one), Body::Attribution(other)) => assert_eq!(one, other),
                (EventBody::BindingRequested(one), Body::BindingRequested(other)) => {
                    assert_eq!(one, other);
                }
                (EventBody::ClaimOffered(one), Body::ClaimOffered(other)) => assert_eq!(one, other),
                (EventBody::ReceiptUnparsed(_) | EventBody::FileRejected(_), Body::Kept) => {}
                (one, other) => panic!("{one:?} is {other:?} to central"),
            }
        }
        (None, Body::Newer) => {}
        (None, body) => {
            // Central is the more patient reader: it must at least write down what it understood.
            let _ = format!("{body:?}");
        }
    }
});
