use chrono::Utc;
use ed25519_dalek::SigningKey;
use tillbind_firmware_bridge::money::Currency;
use tillbind_firmware_bridge::receipt::{Job, JobEnd, NotASale};
use tillbind_firmware_bridge::sale::{Item, Sale, SaleKind, SaleTime, Tender};
use tillbind_protocol::chain::{ChainHash, Mark};
use tillbind_protocol::clock::Uptime;
use tillbind_protocol::event::Event as Recorded;
use tillbind_protocol::ids::{Epoch, Seq};
use tillbind_protocol::member_code::{Claims, KeySet, PublicKey, issue};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::*;
use crate::config::{PosConfig, TillConfig};
use crate::devices::{ClaimReply, ReceiptReading};
use crate::event::ScanAnswer;
use crate::outbox::AppendError;
use crate::till::KnownSales;

mod claims;

const CARD: &str = "627598123456789";

struct Scene {
    terminal: Terminal<Utc>,
    now: Moment,
    seq: u64,
}

impl Scene {
    fn new() -> Self {
        let names = Names {
            store: "s1".parse().unwrap(),
            workstation: "w1".parse().unwrap(),
            pos: PosConfig::default(),
        };
        let keys = KeySet {
            version: 3,
            keys: vec![PublicKey::of("k1", &key().verifying_key())],
        };
        let start = Start {
            till: Till::new(TillConfig::default(), KnownSales::new(Epoch(1), [])),
            codes: MemberCodes::new(keys, []),
            claims: ClaimKey::new(Zeroizing::new([3; 32])),
            requested: vec![],
            clock: ClockEstimator::default(),
            boot: None,
            names: Some(names.clone()),
            provisional: names,
        };
        let rules = CardRules::new(["627598"]).unwrap();
        Self {
            terminal: Terminal::new(rules, Utc, start, || [9; BINDING_ID_BYTES]),
            now: Moment {
                uptime: Uptime::ZERO,
                local_ms: 1_000_000,
            },
            seq: 0,
        }
    }

    fn apply(&mut self, event: Event) -> Vec<Effect> {
        self.terminal.apply(event, self.now)
    }

    /// Makes every append among `effects` durable; returns what was recorded and what followed.
    fn settle(&mut self, effects: Vec<Effect>) -> (Vec<EventBody>, Vec<Effect>) {
        let mut bodies = Vec::new();
        let mut after = Vec::new();
        for effect in effects {
            if let Effect::Append(ticket, records) = effect {
                self.seq += records.len() as u64;
                bodies.extend(
                    records
                        .iter()
                        .map(|record| Recorded::from_record(record).unwrap().body),
                );
                let mark = Mark {
                    seq: Seq(self.seq),
                    chain: ChainHash([0; 16]),
                };
                after.extend(self.apply(Event::Durable(ticket, Ok(mark))));
            } else {
                after.push(effect);
            }
        }
        (bodies, after)
    }

    fn scan(
        &mut self,
        code: &str,
    ) -> (Vec<Effect>, oneshot::Receiver<Result<ScanAnswer, Refusal>>) {
        let (reply, answer) = oneshot::channel();
        let code = Zeroizing::new(code.to_owned());
        let call = Call::Scan {
            code,
            symbology: None,
            reply,
        };
        (self.apply(Event::Call(call)), answer)
    }

    fn sale(&mut self, sale: Sale) -> (Vec<Effect>, oneshot::Receiver<Result<Seq, Refusal>>) {
        let (reply, answer) = oneshot::channel();
        let call = Call::Sale {
            sale: Box::new(sale),
            reply,
        };
        (self.apply(Event::Call(call)), answer)
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn code() -> String {
    let claims = Claims {
        account: "tmall:82731".parse().unwrap(),
        issued_s: 1_000,
        expires_s: 1_120,
        nonce: [5; 16],
    };
    issue(&claims, "k1", &key()).unwrap()
}

fn receipt(text: &str, reading: ReceiptReading, claim: Option<ClaimReply>) -> DeviceEvent {
    let job = Job {
        lines: vec![text.into()],
        cuts: 1,
        drawer_kicks: 0,
        images: 0,
        codes: vec![],
        ended_by: JobEnd::Cut,
        skipped_bytes: 0,
        unknown_commands: 0,
        unreadable: None,
    };
    DeviceEvent::Receipt {
        tap: "printer".into(),
        job,
        reading,
        claim,
    }
}

fn sale(total_minor: i64) -> Sale {
    Sale {
        store: None,
        workstation: None,
        business_day: Some("2026-03-01".parse().unwrap()),
        sequence: Some("161".into()),
        kind: SaleKind::Sale,
        began_at: None,
        ended_at: Some(SaleTime::Local("2026-03-01T10:00:00".parse().unwrap())),
        currency: Currency::parse("EUR").unwrap(),
        total_minor,
        discount_minor: 0,
        tax_minor: 0,
        tax_included: true,
        items: vec![Item {
            line: 1,
            item_id: "1".into(),
            description: "tea".into(),
            quantity: "1".parse().unwrap(),
            unit_price_minor: 500,
            amount_minor: 500,
            discount_minor: 0,
            department: None,
            voided: false,
        }],
        tenders: vec![Tender {
            kind: "cash".into(),
            amount_minor: 500,
        }],
        card: None,
        training: false,
    }
}

fn deliver(effects: Vec<Effect>) {
    for effect in effects {
        if let Effect::Answer(answer) = effect {
            answer.deliver();
        }
    }
}

#[test]
fn nobody_is_answered_before_the_event_is_durable() {
    let mut s = Scene::new();
    let (effects, mut answer) = s.scan(CARD);
    assert!(
        matches!(effects.as_slice(), [Effect::Append(..)]),
        "{effects:?}"
    );
    assert!(answer.try_recv().is_err());
    let (bodies, after) = s.settle(effects);
    assert_eq!(bodies.len(), 1);
    deliver(after);
    let scan = answer.try_recv().unwrap().unwrap();
    assert_eq!((scan.seq, scan.kind), (Seq(1), ScanKind::MemberCard));
}

#[test]
fn a_disk_that_refuses_is_told_and_the_same_sale_may_come_again_with_its_card() {
    let mut s = Scene::new();
    let (effects, _) = s.scan(CARD);
    s.settle(effects);
    let (effects, mut answer) = s.sale(sale(500));
    let [Effect::Append(ticket, _)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    let full = AppendError::Full {
        backlog_bytes_max: 1,
    };
    let after = s.apply(Event::Durable(*ticket, Err(full)));
    deliver(after);
    assert!(matches!(
        answer.try_recv().unwrap(),
        Err(Refusal::NotKept(_))
    ));
    let (effects, _) = s.sale(sale(500));
    let (bodies, _) = s.settle(effects);
    let [EventBody::Transaction(sale)] = bodies.as_slice() else {
        panic!("{bodies:?}")
    };
    assert_eq!(sale.card.as_ref().unwrap().expose(), CARD);
}

#[test]
fn the_same_sale_told_twice_at_once_is_recorded_once_and_both_get_its_place() {
    let mut s = Scene::new();
    let (first, mut answer) = s.sale(sale(500));
    let (second, mut again) = s.sale(sale(500));
    assert!(second.is_empty(), "it waits for the first: {second:?}");
    let (bodies, after) = s.settle(first);
    assert_eq!(bodies.len(), 1);
    deliver(after);
    assert_eq!(answer.try_recv().unwrap().unwrap(), Seq(1));
    assert_eq!(again.try_recv().unwrap().unwrap(), Seq(1));
    assert!(s.terminal.is_settled());
}

#[test]
fn a_sale_that_does_not_add_up_is_refused_with_the_sums() {
    let mut s = Scene::new();
    let (effects, mut answer) = s.sale(sale(501));
    deliver(effects);
    let refusal = answer.try_recv().unwrap().unwrap_err().to_string();
    assert!(
        refusal.contains("501") && refusal.contains("500"),
        "{refusal}"
    );
}

#[test]
fn a_card_and_a_code_make_one_group_with_the_binding_and_its_notes_follow() {
    let mut s = Scene::new();
    let (effects, _) = s.scan(&code());
    let (bodies, _) = s.settle(effects);
    let [EventBody::Scan(scan)] = bodies.as_slice() else {
        panic!("{bodies:?}")
    };
    assert_eq!(scan.account.as_ref().unwrap().to_string(), "tmall:82731");
    let (effects, mut answer) = s.scan(CARD);
    let (bodies, after) = s.settle(effects);
    assert!(
        matches!(
            bodies.as_slice(),
            [EventBody::Scan(_), EventBody::BindingRequested(_)]
        ),
        "{bodies:?}"
    );
    let noted = |wanted: fn(&Note) -> bool| {
        after
            .iter()
            .any(|effect| matches!(effect, Effect::Note(note) if wanted(note)))
    };
    assert!(noted(|note| matches!(note, Note::Nonce { .. })));
    assert!(noted(|note| matches!(note, Note::Requested(_))));
    deliver(after);
    let answer = answer.try_recv().unwrap().unwrap();
    assert_eq!((answer.seq, answer.binding.unwrap().seq), (Seq(2), Seq(3)));
    let (effects, mut answer) = s.scan(&code());
    let (_, after) = s.settle(effects);
    deliver(after);
    let reason = answer.try_recv().unwrap().unwrap().reason.unwrap();
    assert!(reason.contains("used before"), "{reason}");
}

#[test]
fn without_centrals_clock_a_code_is_taken_and_the_stamp_says_that_the_time_is_unknown() {
    let mut s = Scene::new();
    let (effects, _) = s.scan(&code());
    let [Effect::Append(_, records)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    let event = Recorded::from_record(&records[0]).unwrap();
    assert_eq!(event.stamp.uncertainty_ms, None);
}

#[test]
fn a_payment_card_leaves_no_digit_in_the_event() {
    let mut s = Scene::new();
    let (effects, _) = s.scan("4111111111111111");
    let [Effect::Append(_, records)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    let record = String::from_utf8(records[0].clone()).unwrap();
    assert!(
        record.contains("payment_refused") && !record.contains("4111"),
        "{record}"
    );
}

#[test]
fn a_receipt_that_cannot_name_its_sale_is_kept_as_unparsed() {
    let mut s = Scene::new();
    let nameless = Sale {
        sequence: None,
        ..sale(500)
    };
    let event = receipt("TEA 5.00", ReceiptReading::Sale(Box::new(nameless)), None);
    let effects = s.apply(Event::Device(event));
    let (bodies, _) = s.settle(effects);
    let [EventBody::ReceiptUnparsed(unparsed)] = bodies.as_slice() else {
        panic!("{bodies:?}")
    };
    assert!(
        unparsed.reason.contains("number of the transaction"),
        "{unparsed:?}"
    );
    assert_eq!(unparsed.text, "TEA 5.00");
}

#[test]
fn a_journals_file_is_answered_only_once_its_sale_is_durable() {
    let mut s = Scene::new();
    let (reply, mut answer) = oneshot::channel();
    let event = DeviceEvent::JournalSale {
        journal: "pos".into(),
        file: "a.xml".into(),
        source: Source::Poslog,
        sale: Box::new(sale(500)),
        reply,
    };
    let effects = s.apply(Event::Device(event));
    assert!(answer.try_recv().is_err());
    let (_, after) = s.settle(effects);
    deliver(after);
    assert_eq!(answer.try_recv().unwrap(), Ok(()));
}

#[test]
fn a_verdict_ends_the_wait_for_it() {
    let mut s = Scene::new();
    for code in [code(), CARD.to_owned()] {
        let (effects, _) = s.scan(&code);
        s.settle(effects);
    }
    let requested = s.terminal.requested.values().next().unwrap().clone();
    let verdict = tillbind_protocol::replica::BindingVerdict {
        id: requested.id,
        card: requested.card,
        account: requested.account,
        state: tillbind_protocol::replica::BindingState::Confirmed,
        reason: None,
    };
    let effects = s.apply(Event::Verdicts(vec![verdict]));
    assert!(
        matches!(effects[0], Effect::Note(Note::Decided(_))),
        "{effects:?}"
    );
    assert!(s.terminal.requested.is_empty());
}

#[test]
fn a_journals_sale_that_cannot_be_recorded_is_reported_and_the_journal_goes_on() {
    let mut s = Scene::new();
    let long = Item {
        description: "x".repeat(300_000),
        ..sale(500).items.remove(0)
    };
    let nameless = Sale {
        sequence: None,
        ..sale(500)
    };
    let endless = Sale {
        items: vec![long],
        ..sale(500)
    };
    for (sale, why) in [(nameless, "number of the transaction"), (endless, "300")] {
        let (reply, mut answer) = oneshot::channel();
        let event = DeviceEvent::JournalSale {
            journal: "pos".into(),
            file: "a.xml".into(),
            source: Source::Poslog,
            sale: Box::new(sale),
            reply,
        };
        let effects = s.apply(Event::Device(event));
        let (bodies, after) = s.settle(effects);
        let [EventBody::FileRejected(rejected)] = bodies.as_slice() else {
            panic!("{bodies:?}")
        };
        assert!(rejected.reason.contains(why), "{rejected:?}");
        deliver(after);
        assert_eq!(answer.try_recv().unwrap(), Ok(()));
    }
}

#[test]
fn a_basket_that_the_pos_gave_up_takes_its_card_along() {
    let mut s = Scene::new();
    let (effects, _) = s.scan(CARD);
    s.settle(effects);
    let reading = ReceiptReading::NotASale(NotASale::Cancelled);
    let effects = s.apply(Event::Device(receipt("CANCELLED", reading, None)));
    assert!(effects.is_empty(), "{effects:?}");
    let (effects, _) = s.sale(sale(500));
    let (bodies, _) = s.settle(effects);
    let [EventBody::Transaction(sale)] = bodies.as_slice() else {
        panic!("{bodies:?}")
    };
    assert_eq!(sale.card, None);
}

#[test]
fn a_card_scanned_before_a_nights_sleep_belongs_to_no_sale_after_it() {
    let mut scene = Scene::new();
    let (scanned, _answer) = scene.scan(CARD);
    scene.settle(scanned);
    scene.now.uptime.asleep += Duration::from_secs(8 * 3_600);
    let (reply, mut basket) = oneshot::channel();
    for effect in scene.apply(Event::Call(Call::Basket(reply))) {
        if let Effect::Answer(answer) = effect {
            answer.deliver();
        }
    }
    assert_eq!(basket.try_recv().unwrap().card, None);
}
