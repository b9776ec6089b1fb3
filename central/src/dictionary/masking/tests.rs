use tillbind_protocol::event::{ScanKind, Source, TransactionKind};

use super::*;

const NOW_MS: i64 = 1_795_348_800_000;

fn event(body: EventBody) -> Event {
    Event {
        stamp: Stamp {
            local_ms: 1_790_000_123_456,
            offset_ms: 98_765,
            uncertainty_ms: Some(20),
        },
        body,
    }
}

fn sale(description: &str) -> Event {
    event(EventBody::Transaction(RetailTransaction {
        store: "s1".parse().unwrap(),
        workstation: "w1".parse().unwrap(),
        business_day: "2026-11-02".parse().unwrap(),
        sequence: "4711".to_owned(),
        kind: TransactionKind::Sale,
        began_at: None,
        ended_at: Some("2026-11-02T09:08:07Z".parse().unwrap()),
        currency: "CNY".to_owned(),
        total_minor: 1_234_567,
        discount_minor: 0,
        tax_minor: 12,
        tax_included: true,
        items: vec![TransactionItem {
            line: 1,
            item_id: "6901234567892".to_owned(),
            description: description.to_owned(),
            quantity: "1.5".parse().unwrap(),
            unit_price_minor: 1_234_567,
            amount_minor: 399,
            discount_minor: 0,
            department: Some("DAIRY".to_owned()),
            voided: false,
        }],
        tenders: vec![TransactionTender {
            kind: "cash".to_owned(),
            amount_minor: 399,
        }],
        card: Some(CardNumber::new("6275980000000906").unwrap()),
        card_kind: Some("number".to_owned()),
        source: Source::Api,
        training: false,
        amends: Some(Seq(123_456)),
    }))
}

fn all_kinds() -> Vec<Event> {
    vec![
        sale("For Mrs. Zhang Wei"),
        event(EventBody::Scan(Scan {
            kind: ScanKind::MemberCode,
            device: "counter".to_owned(),
            symbology: Some("qr".to_owned()),
            card: Some(CardNumber::new("CARDABCDE").unwrap()),
            card_kind: Some("uid".to_owned()),
            account: Some("tmall:zhangwei".parse().unwrap()),
            text: Some("Scanned Text".to_owned()),
            reason: Some("The Reason".to_owned()),
        })),
        event(EventBody::Attribution(Attribution {
            sale: SaleKey {
                store: "s1".parse().unwrap(),
                workstation: "w1".parse().unwrap(),
                business_day: "2026-11-02".parse().unwrap(),
                sequence: "Receipt-A7".to_owned(),
            },
            card: CardNumber::new("OTHERCARD").unwrap(),
            card_kind: "number".to_owned(),
        })),
        event(EventBody::BindingRequested(BindingRequest {
            id: "bindingname".parse().unwrap(),
            card: CardNumber::new("BOUNDCARD").unwrap(),
            card_kind: "number".to_owned(),
            account: "jd:liming".parse().unwrap(),
            evidence: Evidence::MemberCode {
                code: "TB1:EVIDENCE".to_owned(),
            },
        })),
        event(EventBody::ClaimOffered(ClaimOffered {
            sale: SaleKey {
                store: "s1".parse().unwrap(),
                workstation: "w1".parse().unwrap(),
                business_day: "2026-11-02".parse().unwrap(),
                sequence: "Receipt-B8".to_owned(),
            },
            claim: ClaimDigest([b'z'; 16]),
        })),
        event(EventBody::ReceiptUnparsed(ReceiptUnparsed {
            tap: "printer".to_owned(),
            reason: "no total of Zhang".to_owned(),
            text: "张伟 Zhang Wei\n138 0013 8000".to_owned(),
            images: 1,
        })),
        event(EventBody::FileRejected(FileRejected {
            journal: "pos".to_owned(),
            file: "zhang-wei.xml".to_owned(),
            reason: "bad Total".to_owned(),
        })),
    ]
}

#[test]
fn nothing_of_a_person_and_no_long_number_stays() {
    let events = all_kinds();
    // The words of the trade stand in enough records; what is a person's stands in one.
    let mut seen: Vec<Event> = (0..SEEN_MIN).map(|_| sale("MILK")).collect();
    seen.extend(events.iter().cloned());
    let words = Vocabulary::of(&seen);
    let mut dice = Dice::new([1; 32]);
    for event in &events {
        let masked = masked(event, &words, &mut dice, NOW_MS).unwrap();
        let text = String::from_utf8(masked.to_record().unwrap()).unwrap();
        for secret in [
            "Zhang",
            "Wei",
            "zhang",
            "张",
            "CARD",
            "OTHER",
            "BOUND",
            "liming",
            "EVIDENCE",
            "TB1:E",
            "Scanned",
            "Reason",
            "Receipt-A7",
            "Receipt-B8",
            "enp6enp6",
            "bindingname",
            "Total",
            "4711",
            "09:08:07",
            "2026-11-02",
            "138 0013",
            "123456",
            "98765",
            "1234567",
            "6901234567892",
            "906\"",
        ] {
            assert!(!text.contains(secret), "{secret} stays in {text}");
        }
        assert_eq!(masked.body.kind(), event.body.kind());
    }
}

#[test]
fn words_of_the_trade_stay_and_those_of_few_do_not() {
    let mut events: Vec<Event> = (0..SEEN_MIN).map(|_| sale("MILK")).collect();
    events.extend((1..SEEN_MIN).map(|_| sale("ANNA")));
    events.extend((0..SEEN_MIN).map(|_| sale("CALL 13800138000")));
    let words = Vocabulary::of(&events);
    let mut dice = Dice::new([2; 32]);
    let mut text = |event| {
        let masked = masked(event, &words, &mut dice, NOW_MS).unwrap();
        String::from_utf8(masked.to_record().unwrap()).unwrap()
    };
    let milk = text(&events[0]);
    assert!(milk.contains("MILK") && milk.contains("DAIRY") && milk.contains("cash"));
    assert!(!text(&events[SEEN_MIN as usize]).contains("ANNA"));
    assert!(!text(events.last().unwrap()).contains("13800138000"));
}

#[test]
fn the_shape_stays() {
    let mut dice = Dice::new([3; 32]);
    let shape = shaped("Ab-12 é", &mut dice);
    let kinds: Vec<bool> = shape.chars().map(|c| c.is_ascii_digit()).collect();
    assert_eq!(kinds, [false, false, false, true, true, false, false]);
    assert!(shape.contains('-') && shape.len() == 7);
    assert_eq!(number(9_999, &mut dice), 9_999);
    assert!(number(-123_456, &mut dice) <= 0);
}
