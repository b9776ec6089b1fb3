use std::collections::BTreeMap;

use tillbind_protocol::chain::Mark;
use tillbind_protocol::ids::Epoch;

use super::page::PAGE_PLACES;
use super::*;
use crate::outbox::journal::{Address, Gap};
use crate::outbox::worth::Class;

/// Sealed bytes of every event here.
const SEALED_BYTES: u32 = 100 + SEAL_OVERHEAD_BYTES as u32;

fn mark(seq: u64) -> Mark {
    Mark {
        seq: Seq(seq),
        ..Mark::genesis(Epoch(1)).next(&seq.to_be_bytes())
    }
}

fn event(seq: u64, segment: u64) -> Entry {
    Entry::Event {
        mark: mark(seq),
        class: Class::Scan,
        at: Address {
            segment,
            offset: 64 + seq * 200,
            sealed_bytes: SEALED_BYTES,
        },
    }
}

fn gap(from: u64, until: u64) -> Entry {
    Entry::Gap(Gap {
        from: Seq(from),
        until: mark(until),
        reason: "why".to_owned(),
    })
}

fn after(buffer: &Buffer, after: u64) -> Vec<Entry> {
    let mut seen = Vec::new();
    buffer
        .visit_after(Seq(after), |entry| {
            seen.push(entry);
            Ok(true)
        })
        .unwrap();
    seen
}

#[test]
fn events_and_gaps_come_back_in_order_and_go_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let buffer = Buffer::open(&dir.path().join("b"), Seq::ZERO).unwrap();
    let last = PAGE_PLACES * 3 + 5;
    let put: Vec<Entry> = (1..=last)
        .filter(|seq| !(140..150).contains(seq))
        .map(|seq| {
            if seq == 150 {
                gap(140, 150)
            } else {
                event(seq, 7)
            }
        })
        .collect();
    for entry in &put {
        buffer.put(entry.clone()).unwrap();
    }
    assert_eq!(after(&buffer, 0), put);
    assert_eq!(after(&buffer, last - 2), put[put.len() - 2..]);
    assert_eq!(after(&buffer, last), []);
    assert_eq!(buffer.entry(Seq(150)).unwrap(), Some(gap(140, 150)));
    assert_eq!(buffer.entry(Seq(145)).unwrap(), None);
    assert_eq!(buffer.entry(Seq(last + 1)).unwrap(), None);
    let first = buffer.remove_to(Seq(300), 1).unwrap();
    assert_eq!((first.bytes, first.done), ((PAGE_PLACES - 1) * 100, false));
    let rest = buffer.remove_to(Seq(300), 9).unwrap();
    assert_eq!(
        (rest.bytes, rest.done),
        ((300 - PAGE_PLACES + 1 - 11) * 100, true)
    );
    assert_eq!(
        buffer.entry(Seq(300)).unwrap(),
        None,
        "its page is still there"
    );
    assert_eq!(
        buffer.ends().unwrap(),
        Some((event(301, 7), event(last, 7)))
    );
    let all = buffer.remove_to(Seq(last), 9).unwrap();
    assert_eq!((all.bytes, all.done), ((last - 300) * 100, true));
    assert_eq!(buffer.ends().unwrap(), None);
    buffer.put(event(last + 1, 8)).unwrap();
    assert_eq!(after(&buffer, last), [event(last + 1, 8)]);
}

#[test]
fn a_buffer_that_was_closed_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b");
    let buffer = Buffer::open(&path, Seq::ZERO).unwrap();
    for seq in 1..=200 {
        buffer.put(event(seq, 1)).unwrap();
    }
    assert!(buffer.remove_to(Seq(20), 9).unwrap().done);
    buffer.sync().unwrap();
    drop(buffer);
    let buffer = Buffer::open(&path, Seq(20)).unwrap();
    buffer.put(event(201, 1)).unwrap();
    let expected: Vec<Entry> = (21..=201).map(|seq| event(seq, 1)).collect();
    assert_eq!(after(&buffer, 0), expected);
    assert_eq!(buffer.remove_to(Seq(201), 9).unwrap().bytes, 181 * 100);
}

#[test]
fn what_is_amended_stands_as_if_it_had_been_put_so() {
    let dir = tempfile::tempdir().unwrap();
    let buffer = Buffer::open(&dir.path().join("b"), Seq::ZERO).unwrap();
    let mut model: BTreeMap<u64, Entry> = BTreeMap::new();
    for seq in 1..=PAGE_PLACES * 3 {
        buffer.put(event(seq, 1)).unwrap();
        model.insert(seq, event(seq, 1));
    }
    let gone = [(100, 299), (310, 310), (380, 383)].map(|(from, to)| Seq(from)..=Seq(to));
    let put = [
        gap(100, 300),
        event(301, 9),
        gap(310, 311),
        gap(380, 384),
        event(99, 9),
    ];
    buffer.amend(&gone, put.to_vec()).unwrap();
    model.retain(|seq, _| !gone.iter().any(|range| range.contains(&Seq(*seq))));
    model.extend(put.map(|entry| (entry.seq().0, entry)));
    let expected: Vec<Entry> = model.into_values().collect();
    assert_eq!(after(&buffer, 0), expected);
}
