use std::time::Duration;

use tillbind_protocol::event::{Source, TransactionItem, TransactionKind};
use tillbind_protocol::ids::{CardNumber, Epoch};

use tillbind_protocol::event::BindingRequest;

use super::*;

const ID: [u8; BINDING_ID_BYTES] = [7; BINDING_ID_BYTES];

struct Scene {
    till: Till,
    now: Uptime,
    next_seq: u64,
}

impl Scene {
    fn new() -> Self {
        Self {
            till: Till::new(TillConfig::default(), KnownSales::new(Epoch(1), [])),
            now: Uptime::ZERO,
            next_seq: 1,
        }
    }

    fn after(&mut self, seconds: u64) -> &mut Self {
        self.now = self.now + Duration::from_secs(seconds);
        self
    }

    fn card(&mut self, number: &str) -> CardOutcome {
        self.till.handle_card(&card(number), ID, self.now)
    }

    fn code(&mut self) -> Option<BindingRequest> {
        self.till
            .handle_code(code(), ID, self.now)
            .map(|binding| binding.request)
    }

    /// Ends a sale and makes it durable; returns the card that it carries.
    fn sale(&mut self, sale: RetailTransaction) -> Option<String> {
        let SaleOutcome::Record(sale) = self.till.handle_sale(sale, self.now) else {
            panic!("the sale was expected to be recorded");
        };
        let seq = Seq(self.next_seq);
        self.next_seq += 1;
        assert!(self.till.handle_recorded(&sale.key(), seq).is_some());
        sale.card.map(|card| card.expose().to_owned())
    }

    fn held(&mut self) -> Option<String> {
        let view = self.till.basket(self.now);
        view.card.map(|(card, _)| card.number.expose().to_owned())
    }
}

impl CardOutcome {
    fn is_nothing(&self) -> bool {
        self.attribution.is_none() && self.binding.is_none()
    }
}

fn card(number: &str) -> MemberCard {
    MemberCard {
        number: CardNumber::new(number).unwrap(),
        kind: "number".into(),
    }
}

fn code() -> VerifiedCode {
    VerifiedCode {
        account: "tmall:82731".parse().unwrap(),
        nonce: [3; 16],
        expires_s: 1_000,
        text: "TB1:X".into(),
    }
}

fn sale(sequence: &str) -> RetailTransaction {
    RetailTransaction {
        store: "s1".parse().unwrap(),
        workstation: "w1".parse().unwrap(),
        business_day: "2026-03-01".parse().unwrap(),
        sequence: sequence.into(),
        kind: TransactionKind::Sale,
        began_at: None,
        ended_at: None,
        currency: "EUR".into(),
        total_minor: 500,
        discount_minor: 0,
        tax_minor: 0,
        tax_included: true,
        items: vec![],
        tenders: vec![],
        card: None,
        card_kind: None,
        source: Source::Tap,
        training: false,
        amends: None,
    }
}

fn void(sequence: &str) -> RetailTransaction {
    RetailTransaction {
        kind: TransactionKind::Void,
        ..sale(sequence)
    }
}

fn item() -> TransactionItem {
    TransactionItem {
        line: 1,
        item_id: "4006381333931".into(),
        description: "pen".into(),
        quantity: "1".parse().unwrap(),
        unit_price_minor: 500,
        amount_minor: 500,
        discount_minor: 0,
        department: None,
        voided: false,
    }
}

#[test]
fn a_card_before_the_sale_belongs_to_it_and_to_it_alone() {
    let mut s = Scene::new();
    assert!(s.card("1111").is_nothing());
    assert_eq!(s.after(299).sale(sale("1")).as_deref(), Some("1111"));
    assert_eq!(s.after(5).sale(sale("2")), None);
}

#[test]
fn a_card_that_no_sale_follows_expires() {
    let mut s = Scene::new();
    s.card("1111");
    assert_eq!(s.after(301).sale(sale("1")), None);
}

#[test]
fn of_two_cards_the_last_counts_and_the_basket_shows_both() {
    let mut s = Scene::new();
    s.card("1111");
    s.after(1).card("1111");
    s.after(1).card("2222");
    assert_eq!(s.till.basket(s.now).cards_seen, 2);
    assert_eq!(s.sale(sale("1")).as_deref(), Some("2222"));
    assert_eq!(s.till.basket(s.now).cards_seen, 0);
}

#[test]
fn a_card_just_after_a_sale_without_one_belongs_to_that_sale() {
    let mut s = Scene::new();
    assert_eq!(s.sale(sale("1")), None);
    let a = s.after(20).card("1111").attribution.unwrap();
    assert_eq!((a.sale.sequence.as_str(), a.card.expose()), ("1", "1111"));
    assert_eq!(s.held(), None, "it is not held for the next sale as well");
    assert!(
        s.after(1).card("2222").is_nothing(),
        "a second card belongs to the next basket"
    );
    assert_eq!(s.held().as_deref(), Some("2222"));
}

#[test]
fn a_card_long_after_a_sale_belongs_to_the_next() {
    let mut s = Scene::new();
    s.sale(sale("1"));
    assert!(s.after(21).card("1111").is_nothing());
    assert_eq!(s.sale(sale("2")).as_deref(), Some("1111"));
}

#[test]
fn goods_or_a_member_code_after_a_sale_show_that_the_next_basket_began() {
    let mut s = Scene::new();
    s.sale(sale("1"));
    s.till.handle_goods(s.now);
    assert!(s.after(1).card("1111").is_nothing());
    let mut s = Scene::new();
    s.sale(sale("1"));
    assert!(s.after(1).code().is_none());
    let outcome = s.after(1).card("1111");
    assert!(
        outcome.attribution.is_none() && outcome.binding.is_some(),
        "{outcome:?}"
    );
    assert_eq!(s.held().as_deref(), Some("1111"));
}

#[test]
fn a_card_that_the_source_names_counts_over_a_scanned_one() {
    let mut s = Scene::new();
    s.card("1111");
    let named = RetailTransaction {
        card: Some(card("9999").number),
        ..sale("1")
    };
    assert_eq!(s.sale(named).as_deref(), Some("9999"));
    assert_eq!(
        s.held(),
        None,
        "the scanned card is used up with its basket"
    );
}

#[test]
fn a_cancelled_sale_takes_the_card_away_from_the_next_customer() {
    let mut s = Scene::new();
    s.card("1111");
    assert_eq!(s.sale(void("1")).as_deref(), Some("1111"));
    assert_eq!(s.sale(sale("2")), None);
}

#[test]
fn a_cancelled_sale_waits_for_no_card() {
    let mut s = Scene::new();
    assert_eq!(s.sale(void("1")), None);
    assert!(s.after(1).card("1111").is_nothing());
}

#[test]
fn voiding_an_earlier_sale_leaves_the_present_basket_alone() {
    let mut s = Scene::new();
    s.sale(sale("1"));
    s.after(60).card("1111");
    let SaleOutcome::Record(voided) = s.till.handle_sale(void("1"), s.now) else {
        panic!()
    };
    assert_eq!((voided.amends, voided.card), (Some(Seq(1)), None));
    assert_eq!(s.held().as_deref(), Some("1111"));
}

#[test]
fn a_sale_in_training_takes_the_card_and_waits_for_none() {
    let mut s = Scene::new();
    s.card("1111");
    let training = |n| RetailTransaction {
        training: true,
        ..sale(n)
    };
    assert_eq!(s.sale(training("1")).as_deref(), Some("1111"));
    assert_eq!(s.sale(training("2")), None);
    assert!(s.after(1).card("2222").is_nothing());
}

#[test]
fn a_second_source_that_adds_nothing_gets_the_first_events_place() {
    let mut s = Scene::new();
    s.sale(sale("000161"));
    let again = RetailTransaction {
        source: Source::Poslog,
        ..sale("161")
    };
    assert_eq!(s.till.handle_sale(again, s.now), SaleOutcome::Known(Seq(1)));
}

#[test]
fn a_second_source_that_tells_lines_or_another_total_or_a_card_amends_the_first() {
    let mut s = Scene::new();
    s.card("1111");
    s.sale(sale("1"));
    let lines = RetailTransaction {
        items: vec![item()],
        ..sale("1")
    };
    let SaleOutcome::Record(amended) = s.till.handle_sale(lines.clone(), s.now) else {
        panic!()
    };
    assert_eq!(amended.amends, Some(Seq(1)));
    assert_eq!(
        amended.card.as_ref().map(CardNumber::expose),
        Some("1111"),
        "the card is kept"
    );
    s.till.handle_recorded(&amended.key(), Seq(2));
    assert_eq!(
        s.till.handle_sale(lines.clone(), s.now),
        SaleOutcome::Known(Seq(1))
    );
    let dearer = RetailTransaction {
        total_minor: 501,
        ..lines.clone()
    };
    assert!(matches!(
        s.till.handle_sale(dearer.clone(), s.now),
        SaleOutcome::Record(_)
    ));
    s.till.handle_recorded(&dearer.key(), Seq(3));
    let named = RetailTransaction {
        card: Some(card("9999").number),
        ..dearer
    };
    assert!(matches!(
        s.till.handle_sale(named, s.now),
        SaleOutcome::Record(_)
    ));
}

#[test]
fn a_second_source_that_names_the_card_closes_the_wait_for_one() {
    let mut s = Scene::new();
    s.sale(sale("1"));
    let named = RetailTransaction {
        card: Some(card("9999").number),
        ..sale("1")
    };
    assert!(matches!(
        s.till.handle_sale(named, s.now),
        SaleOutcome::Record(_)
    ));
    assert!(s.after(1).card("1111").is_nothing());
}

#[test]
fn a_sale_on_its_way_to_the_disk_is_undecided_and_one_that_is_lost_was_never_seen() {
    let mut s = Scene::new();
    s.card("1111");
    let SaleOutcome::Record(first) = s.till.handle_sale(sale("1"), s.now) else {
        panic!()
    };
    assert_eq!(s.till.handle_sale(sale("1"), s.now), SaleOutcome::Undecided);
    s.till.handle_lost(&first, s.now);
    assert_eq!(
        s.sale(sale("1")).as_deref(),
        Some("1111"),
        "the card waits for the retry"
    );
}

#[test]
fn a_code_and_a_card_side_by_side_ask_for_a_binding_in_either_order_and_once() {
    let mut s = Scene::new();
    s.code();
    let b = s.after(120).card("1111").binding.unwrap().request;
    assert_eq!(
        (b.card.expose(), b.id.as_str()),
        ("1111", "07".repeat(16).as_str())
    );
    assert!(s.card("1111").is_nothing(), "the code is used up");

    let mut s = Scene::new();
    s.card("1111");
    assert_eq!(s.after(120).code().unwrap().card.expose(), "1111");
}

#[test]
fn a_code_and_a_card_far_apart_or_in_two_baskets_bind_nothing() {
    let mut s = Scene::new();
    s.card("1111");
    assert!(s.after(121).code().is_none());
    let mut s = Scene::new();
    s.card("1111");
    s.sale(sale("1"));
    assert!(s.after(1).code().is_none());
    let mut s = Scene::new();
    s.code();
    s.card("1111");
    s.sale(sale("1"));
    assert!(s.after(1).card("2222").is_nothing());
}

#[test]
fn a_shopper_who_paid_first_may_still_show_card_and_code_but_the_next_one_may_not() {
    let mut scene = Scene::new();
    scene.sale(sale("1"));
    assert!(scene.after(3).card("111111111").attribution.is_some());
    assert!(scene.after(5).code().is_some(), "the same shopper");
    scene.sale(sale("2"));
    scene.after(3).card("111111111");
    let after = TillConfig::default().card_after_sale.as_secs();
    assert!(
        scene.after(after + 1).code().is_none(),
        "too late to be the same shopper"
    );
    let mut scene = Scene::new();
    scene.sale(sale("1"));
    scene.after(3).card("111111111");
    scene.till.handle_goods(scene.now);
    assert!(
        scene.after(1).code().is_none(),
        "the next shopper's goods came first"
    );
}

#[test]
fn a_code_before_the_sale_and_a_card_just_after_it_still_bind() {
    let mut s = Scene::new();
    s.code();
    s.after(5).sale(sale("1"));
    let outcome = s.after(5).card("1111");
    assert!(
        outcome.attribution.is_some() && outcome.binding.is_some(),
        "{outcome:?}"
    );
}

#[test]
fn a_late_card_is_remembered_with_its_sale() {
    let mut s = Scene::new();
    s.sale(sale("1"));
    s.after(5).card("1111");
    let named = RetailTransaction {
        card: Some(card("1111").number),
        ..sale("1")
    };
    assert_eq!(s.till.handle_sale(named, s.now), SaleOutcome::Known(Seq(1)));
}

mod codes {
    use tillbind_protocol::event::Stamp;
    use tillbind_protocol::member_code::KeySet;

    use super::super::member_codes::{CodeRefused, MemberCodes, NONCES_MAX};

    #[test]
    fn without_keys_a_code_is_refused_with_the_reason() {
        let codes = MemberCodes::new(KeySet::default(), []);
        let stamp = Stamp {
            local_ms: 0,
            offset_ms: 0,
            uncertainty_ms: None,
        };
        let refused = codes.verify("TB1:X", &stamp).unwrap_err();
        assert!(matches!(refused, CodeRefused::NoKeys));
        assert!(refused.to_string().contains("no keys from headquarters"));
    }

    #[test]
    fn nonces_are_forgotten_after_their_time_and_never_grow_without_bound() {
        let many = (0..NONCES_MAX as u64 + 2).map(|n| {
            let mut nonce = [0; 16];
            nonce[..8].copy_from_slice(&n.to_le_bytes());
            (nonce, 1_000 + n as i64)
        });
        let mut codes = MemberCodes::new(KeySet::default(), many);
        assert_eq!(
            codes.evict(1_001).len(),
            2,
            "one has expired, and one is too many"
        );
        let gone = codes.evict(i64::MAX);
        assert!(gone.len() >= NONCES_MAX);
    }
}
