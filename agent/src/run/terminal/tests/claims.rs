//! Which receipts get a claim code, and that it is durable first.

use tokio::sync::oneshot::error::TryRecvError;

use super::*;

/// Tells the receipt of a sale whose cut waits.
fn printed(s: &mut Scene, sale: Sale) -> (Vec<Effect>, oneshot::Receiver<ClaimCode>) {
    let (reply, code) = oneshot::channel();
    let reading = ReceiptReading::Sale(Box::new(sale));
    let event = receipt("TEA 5.00", reading, Some(reply));
    (s.apply(Event::Device(event)), code)
}

fn scanned(s: &mut Scene) {
    let (effects, _answer) = s.scan(CARD);
    s.settle(effects);
}

/// Takes the question for a card's member out of what is to be done, and answers it.
fn answered(s: &mut Scene, effects: Vec<Effect>, has_member: Option<bool>) -> Vec<Effect> {
    let mut rest = Vec::new();
    let mut asked = 0;
    for effect in effects {
        if let Effect::FindHolder { sale, card, claim } = effect {
            asked += 1;
            assert_eq!(card.expose(), CARD);
            rest.extend(s.apply(Event::Holder {
                sale,
                card,
                has_member,
                claim,
            }));
        } else {
            rest.push(effect);
        }
    }
    assert_eq!(asked, 1);
    rest
}

fn no_code(code: &mut oneshot::Receiver<ClaimCode>) {
    assert_eq!(
        code.try_recv(),
        Err(TryRecvError::Closed),
        "a cut waits in vain"
    );
}

#[test]
fn a_sale_without_a_card_has_its_code_once_sale_and_claim_are_durable() {
    let mut s = Scene::new();
    let (effects, mut code) = printed(&mut s, sale(500));
    assert_eq!(code.try_recv(), Err(TryRecvError::Empty));
    let (bodies, after) = s.settle(effects);
    let [
        EventBody::Transaction(sale),
        EventBody::ClaimOffered(offered),
    ] = bodies.as_slice()
    else {
        panic!("{bodies:?}")
    };
    assert_eq!(offered.sale, sale.key());
    assert_eq!(code.try_recv(), Err(TryRecvError::Empty));
    deliver(after);
    assert_eq!(code.try_recv().unwrap().digest(), offered.claim);
}

#[test]
fn a_receipt_that_is_printed_twice_bears_one_code() {
    let mut s = Scene::new();
    let mut codes = Vec::new();
    for first in [true, false] {
        let (effects, mut code) = printed(&mut s, sale(500));
        let (bodies, after) = s.settle(effects);
        assert_eq!(bodies.len(), if first { 2 } else { 1 }, "{bodies:?}");
        deliver(after);
        codes.push(code.try_recv().unwrap());
    }
    assert_eq!(codes[0], codes[1]);
}

#[test]
fn a_card_without_a_member_gets_a_code_and_one_with_a_member_or_unknown_does_not() {
    for (has_member, expected) in [(Some(false), true), (Some(true), false), (None, false)] {
        let mut s = Scene::new();
        scanned(&mut s);
        let (effects, mut code) = printed(&mut s, sale(500));
        let effects = answered(&mut s, effects, has_member);
        let (bodies, after) = s.settle(effects);
        deliver(after);
        let kinds: Vec<&str> = bodies.iter().map(EventBody::kind).collect();
        if expected {
            assert!(kinds.contains(&"claim_offered"), "{kinds:?}");
            assert!(code.try_recv().is_ok());
        } else {
            assert_eq!(kinds, ["transaction"], "{has_member:?}");
            no_code(&mut code);
        }
    }
}

#[test]
fn a_card_whose_binding_is_under_way_needs_no_code() {
    let mut s = Scene::new();
    scanned(&mut s);
    let (effects, _answer) = s.scan(&code());
    let (bodies, _) = s.settle(effects);
    assert_eq!(bodies.last().unwrap().kind(), "binding_requested");
    let (effects, mut code) = printed(&mut s, sale(500));
    let effects = answered(&mut s, effects, Some(false));
    s.settle(effects);
    no_code(&mut code);
}

#[test]
fn returns_voids_and_training_are_cut_at_once() {
    let training = Sale {
        training: true,
        ..sale(500)
    };
    let of_kind = |kind| Sale { kind, ..sale(500) };
    for sale in [training, of_kind(SaleKind::Return), of_kind(SaleKind::Void)] {
        let mut s = Scene::new();
        let (effects, mut code) = printed(&mut s, sale);
        no_code(&mut code);
        let (bodies, _) = s.settle(effects);
        let kinds: Vec<&str> = bodies.iter().map(EventBody::kind).collect();
        assert_eq!(kinds, ["transaction"]);
    }
}

#[test]
fn before_the_enrolment_nothing_can_be_claimed() {
    let mut s = Scene::new();
    s.terminal.names = None;
    let (_effects, mut code) = printed(&mut s, sale(500));
    no_code(&mut code);
}

#[test]
fn a_sale_that_the_disk_refuses_has_no_code() {
    let mut s = Scene::new();
    let (effects, mut code) = printed(&mut s, sale(500));
    for effect in effects {
        if let Effect::Append(ticket, _) = effect {
            let full = Err(AppendError::Busy);
            deliver(s.apply(Event::Durable(ticket, full)));
        }
    }
    no_code(&mut code);
}

#[test]
fn what_is_not_a_sale_lets_the_cut_go() {
    let mut s = Scene::new();
    for reading in [
        ReceiptReading::NotASale(NotASale::KitchenTicket),
        ReceiptReading::NotASale(NotASale::Cancelled),
        ReceiptReading::Unparsed {
            reason: "no total".into(),
        },
    ] {
        let (reply, mut code) = oneshot::channel();
        s.apply(Event::Device(receipt("TEA", reading, Some(reply))));
        no_code(&mut code);
    }
}

#[test]
fn a_code_that_is_scanned_leaves_its_digest_alone() {
    let mut s = Scene::new();
    let code = ClaimCode::new([7; 10]);
    let (effects, _answer) = s.scan(&code.content());
    let (bodies, _) = s.settle(effects);
    let [EventBody::Scan(scan)] = bodies.as_slice() else {
        panic!("{bodies:?}")
    };
    assert_eq!(scan.kind, ScanKind::ClaimCode);
    assert_eq!(scan.text, Some(code.digest().to_string()));
    let (effects, _answer) = s.scan("TBC:0000-0000-0000-0001");
    let (bodies, _) = s.settle(effects);
    let [EventBody::Scan(mistyped)] = bodies.as_slice() else {
        panic!("{bodies:?}")
    };
    assert_eq!(mistyped.text, None);
    assert!(mistyped.reason.as_deref().unwrap().contains("mistyped"));
}
