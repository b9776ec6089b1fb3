use proptest::prelude::*;

use super::*;

const UID: [u8; 7] = [0x04, 0x16, 0xc6, 0xc2, 0xd7, 0x38, 0x81];

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A chip by the manual, with what can go wrong with it.
struct Chip {
    line: Framer,
    /// The type A target of an answer, from SENS_RES on.
    card: Option<Vec<u8>>,
    felica: Option<Vec<u8>>,
    is_mute: bool,
    features: u8,
    /// Waits for a card for ever, whatever it was told.
    is_patient: bool,
    /// How many of the next answers are damaged on the line.
    damaged: u8,
    last: Vec<u8>,
    called_off: u32,
    commands: Vec<u8>,
}

impl Chip {
    fn new() -> Self {
        Self {
            line: Framer::default(),
            card: None,
            felica: None,
            is_mute: false,
            features: 0x07,
            is_patient: false,
            damaged: 0,
            last: Vec::new(),
            called_off: 0,
            commands: Vec::new(),
        }
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<u8> {
        let frames = self.line.feed(bytes);
        if self.is_mute {
            return Vec::new();
        }
        frames.into_iter().flat_map(|f| self.answer(f)).collect()
    }

    fn answer(&mut self, frame: Frame) -> Vec<u8> {
        let data = match frame {
            Frame::Data { direction, data } => {
                assert_eq!(direction, TO_CHIP);
                data
            }
            Frame::Nack => return self.last.clone(),
            Frame::Ack => {
                self.called_off += 1;
                return Vec::new();
            }
            Frame::Error | Frame::Damaged => panic!("the host sends {frame:?}"),
        };
        self.commands.push(data[0]);
        let target = |target: &Option<Vec<u8>>| match target {
            None => vec![0x4b, 0],
            Some(target) => [&[0x4b, 1, 1], target.as_slice()].concat(),
        };
        let answer = match &data[..] {
            [0x14, 0x01, 0x00] => vec![0x15],
            [0x02] => vec![0x03, 0x32, 1, 6, self.features],
            [0x32, 0x05, ..] => vec![0x33],
            [0x4a, ..] if self.is_patient && self.card.is_none() => return ACK.to_vec(),
            [0x4a, 0x01, 0x00] => target(&self.card),
            [0x4a, 0x01, 0x01, ..] => target(&self.felica),
            other => panic!("an unknown command {other:02X?}"),
        };
        self.last = frame::encode(FROM_CHIP, &answer);
        let mut told = self.last.clone();
        if self.damaged > 0 {
            self.damaged -= 1;
            told[6] ^= 0x10;
        }
        [&ACK[..], &told].concat()
    }
}

struct Rig {
    reader: Pn532,
    chip: Chip,
    now: Duration,
    events: Vec<NfcEvent>,
}

impl Rig {
    fn new(chip: Chip) -> Self {
        let mut reader = Pn532::default();
        reader.handle_open(Duration::ZERO);
        Self {
            reader,
            chip,
            now: Duration::ZERO,
            events: Vec::new(),
        }
    }

    /// Runs for so long; returns what happened.
    fn run(&mut self, span: Duration) -> Vec<NfcEvent> {
        let end = self.now + span;
        loop {
            while let Some(bytes) = self.reader.poll_transmit() {
                let answer = self.chip.hear(&bytes);
                self.events
                    .extend(self.reader.handle_bytes(&answer, self.now));
            }
            let next = self.reader.poll_timeout().unwrap();
            if next > end {
                self.now = end;
                return std::mem::take(&mut self.events);
            }
            self.now = next.max(self.now);
            self.events.extend(self.reader.handle_timeout(self.now));
        }
    }
}

fn type_a(uid: &[u8]) -> Vec<u8> {
    let mut target = vec![0x00, 0x44, 0x00, u8::try_from(uid.len()).unwrap()];
    target.extend(uid);
    target
}

fn card(uid: &[u8]) -> NfcEvent {
    NfcEvent::Card(Uid::new(uid).unwrap())
}

fn is_ready(events: &[NfcEvent]) -> bool {
    matches!(events, [NfcEvent::Ready { reader }] if reader == "PN532 32 firmware 1.6")
}

#[test]
fn a_reader_is_woken_set_up_and_polled() {
    let mut rig = Rig::new(Chip::new());
    let woken = rig.reader.poll_transmit().unwrap();
    let first = frame::encode(TO_CHIP, &[0x14, 0x01, 0x00]);
    assert_eq!(woken, [&[0; 10][..], &first].concat());
    let answer = rig.chip.hear(&woken);
    rig.reader.handle_bytes(&answer, rig.now);
    assert!(is_ready(&rig.run(ms(1))));
    assert_eq!(rig.chip.commands, [0x14, 0x02, 0x32, 0x4a, 0x4a]);
}

#[test]
fn a_card_that_rests_is_one_read_and_is_told_again_after_it_left() {
    for uid in [&UID[..], &UID[..4], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]] {
        let mut rig = Rig::new(Chip::new());
        assert!(is_ready(&rig.run(ms(500))));
        rig.chip.card = Some(type_a(uid));
        assert_eq!(rig.run(ms(60_000)), [card(uid)]);
        // It is missed once in a while without having left.
        rig.chip.card = None;
        assert_eq!(rig.run(ms(200)), []);
        rig.chip.card = Some(type_a(uid));
        assert_eq!(rig.run(ms(5_000)), []);
        rig.chip.card = None;
        assert_eq!(rig.run(ms(5_000)), [NfcEvent::Removed]);
        rig.chip.card = Some(type_a(uid));
        assert_eq!(rig.run(ms(5_000)), [card(uid)]);
        // Another card in its place, without a gap.
        rig.chip.card = Some(type_a(&[9, 9, 9, 9]));
        assert_eq!(rig.run(ms(500)), [NfcEvent::Removed, card(&[9, 9, 9, 9])]);
    }
}

#[test]
fn a_phone_with_a_random_number_is_told_once_however_often_the_number_changes() {
    let mut rig = Rig::new(Chip::new());
    rig.run(ms(500));
    rig.chip.card = Some(type_a(&[8, 1, 1, 1]));
    assert_eq!(rig.run(ms(500)), [card(&[8, 1, 1, 1])]);
    rig.chip.card = Some(type_a(&[8, 2, 2, 2]));
    assert_eq!(rig.run(ms(5_000)), []);
}

#[test]
fn felica_is_asked_for_where_the_chip_can_alone() {
    let mut target = vec![18, 0x01, 1, 2, 3, 4, 5, 6, 7, 8];
    target.extend([0; 8]);
    let mut rig = Rig::new(Chip::new());
    rig.chip.felica = Some(target.clone());
    let events = rig.run(ms(2_000));
    assert_eq!(events[1..], [card(&[1, 2, 3, 4, 5, 6, 7, 8])]);
    let mut chip = Chip::new();
    chip.features = 0x01;
    chip.felica = Some(target);
    assert!(is_ready(&Rig::new(chip).run(ms(2_000))));
}

#[test]
fn a_damaged_answer_is_asked_for_again() {
    let mut rig = Rig::new(Chip::new());
    rig.run(ms(500));
    rig.chip.card = Some(type_a(&UID));
    rig.chip.damaged = 2;
    assert_eq!(rig.run(ms(500)), [card(&UID)]);
    assert_eq!(rig.reader.counters().damaged_frames, 2);
}

#[test]
fn a_silent_reader_is_told_once_and_woken_again_with_growing_pauses() {
    let mut chip = Chip::new();
    chip.is_mute = true;
    let mut rig = Rig::new(chip);
    let events = rig.run(ms(120_000));
    let [NfcEvent::Silent { reason }] = &events[..] else {
        panic!("{events:?}")
    };
    assert!(reason.contains("cable"), "{reason}");
    // 0.5 + 1 + 2 + 4 + 8 s, then every 10 s: some 15 times three tries in two minutes.
    rig.chip.is_mute = false;
    rig.chip.card = Some(type_a(&UID));
    let events = rig.run(ms(11_000));
    assert!(is_ready(&events[..1]), "{events:?}");
    assert_eq!(events[1..], [card(&UID)]);
    // The plug is pulled from the reader while the port stays.
    rig.chip.is_mute = true;
    let events = rig.run(ms(5_000));
    assert!(
        matches!(events[..], [NfcEvent::Removed, NfcEvent::Silent { .. }]),
        "{events:?}"
    );
}

#[test]
fn a_chip_that_polls_for_ever_is_called_off_and_is_not_silent() {
    let mut chip = Chip::new();
    chip.is_patient = true;
    let mut rig = Rig::new(chip);
    assert!(is_ready(&rig.run(ms(30_000))));
    rig.chip.card = Some(type_a(&UID));
    assert_eq!(rig.run(ms(2_000)), [card(&UID)]);
    rig.chip.card = None;
    assert_eq!(rig.run(ms(5_000)), [NfcEvent::Removed]);
    assert!(rig.chip.called_off > 20);
}

#[test]
fn a_command_that_does_not_end_is_called_off() {
    let mut reader = Pn532::default();
    reader.handle_open(Duration::ZERO);
    reader.poll_transmit().unwrap();
    reader.handle_bytes(&ACK, ms(10));
    let due = reader.poll_timeout().unwrap();
    assert_eq!(due, ms(10) + ANSWER_TIMEOUT);
    assert_eq!(reader.handle_timeout(due), []);
    assert!(reader.poll_transmit().unwrap().starts_with(&ACK));
}

#[test]
fn a_chip_that_refuses_a_command_is_silent_and_one_that_knows_no_felica_is_not() {
    let refusal = [&ACK[..], &[0, 0, 0xff, 1, 0xff, 0x7f, 0x81, 0]].concat();
    let mut reader = Pn532::default();
    reader.handle_open(Duration::ZERO);
    let mut events = Vec::new();
    for _ in 0..TRIES_MAX {
        reader.poll_transmit().unwrap();
        events.extend(reader.handle_bytes(&refusal, ms(1)));
    }
    assert!(matches!(&events[..], [NfcEvent::Silent { reason }] if reason.contains("refuses")));

    let mut rig = Rig::new(Chip::new());
    rig.run(ms(500));
    while rig.reader.poll_transmit().is_none() {
        let due = rig.reader.poll_timeout().unwrap();
        rig.reader.handle_timeout(due);
    }
    let none = [&ACK[..], &frame::encode(FROM_CHIP, &[0x4b, 0])].concat();
    rig.reader.handle_bytes(&none, rig.now);
    rig.reader.poll_transmit().unwrap();
    assert_eq!(rig.reader.handle_bytes(&refusal, rig.now), []);
    rig.chip.commands.clear();
    assert_eq!(rig.run(ms(2_000)), []);
    assert!(rig.chip.commands.len() > 5);
    assert!(!rig.reader.has_felica);
}

#[test]
fn a_lost_port_forgets_the_card_and_waits() {
    let mut rig = Rig::new(Chip::new());
    rig.chip.card = Some(type_a(&UID));
    rig.run(ms(500));
    assert_eq!(rig.reader.handle_lost(), [NfcEvent::Removed]);
    assert_eq!(
        (rig.reader.poll_timeout(), rig.reader.poll_transmit()),
        (None, None)
    );
    rig.reader.handle_open(rig.now);
    let events = rig.run(ms(500));
    assert!(is_ready(&events[..1]));
    assert_eq!(events[1..], [card(&UID)]);
}

#[test]
fn targets_that_say_what_they_cannot_are_no_cards() {
    // A Type 1 tag, a length of 5, a number cut off, two targets.
    for answer in [
        &[0x4b, 1, 1, 0x0c, 0x00, 0xb2, 0x56, 0x54, 0x00][..],
        &[0x4b, 1, 1, 0, 0x44, 0, 5, 1, 2, 3, 4, 5],
        &[0x4b, 1, 1, 0, 0x44, 0, 7, 1, 2, 3],
        &[0x4b, 2, 1, 0, 0x44, 0, 4, 1, 2, 3, 4],
        &[0x4b, 1],
    ] {
        let mut chip = Chip::new();
        chip.features = 0x01;
        let mut rig = Rig::new(chip);
        rig.run(ms(10));
        let due = rig.reader.poll_timeout().unwrap();
        rig.reader.handle_timeout(due);
        rig.reader.poll_transmit().unwrap();
        let line = [&ACK[..], &frame::encode(FROM_CHIP, answer)].concat();
        assert_eq!(rig.reader.handle_bytes(&line, due), [], "{answer:02X?}");
        assert_eq!(rig.reader.counters().odd_answers, 1, "{answer:02X?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_at_any_time_cause_no_panic_and_one_command_at_a_time(
        steps in proptest::collection::vec(
            (proptest::collection::vec(prop_oneof![Just(0u8), Just(0xff), Just(0xd5), any::<u8>()], 0..20), 0u64..2_000),
            0..40,
        ),
    ) {
        let mut reader = Pn532::default();
        reader.handle_open(Duration::ZERO);
        let mut now = Duration::ZERO;
        for (bytes, wait) in steps {
            reader.handle_bytes(&bytes, now);
            now += ms(wait);
            reader.handle_timeout(now);
            prop_assert!(reader.poll_timeout().is_some());
            let written = reader.poll_transmit().unwrap_or_default();
            prop_assert!(written.len() < 40);
        }
    }
}
