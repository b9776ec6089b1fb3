//! A PN532 on a serial line (HSU), asked again and again which chip lies on it.
//!
//! ```text
//! wake ─▶ SAMConfiguration ─▶ GetFirmwareVersion ─▶ RFConfiguration ─▶ poll A ─▶ poll FeliCa ─┐
//!  ▲ back-off                                                            ▲────── pause ◀──────┘
//!  └── silent: no ACK, no answer, or a refusal, three times over
//! ```
//!
//! Contract: hand in bytes ([`Pn532::handle_bytes`]) and time ([`Pn532::handle_timeout`]); after
//! each, write what [`Pn532::poll_transmit`] gives and come back at [`Pn532::poll_timeout`]. A time
//! is a span since any fixed start. The commands are those of NXP UM0701-02, chapter 7.
//!
//! Type A (ISO/IEC 14443-3, 106 kbit/s) is asked for always, FeliCa (212 kbit/s) where the chip says
//! that it can. ISO 15693 is beyond a PN532. A card counts as gone after [`MISSES_UNTIL_GONE`] polls
//! without it, since one at the edge of the field answers now and then.
//!
//! Limits: one command at a time, [`ACK_TIMEOUT`] for its ACK and [`ANSWER_TIMEOUT`] for its answer,
//! [`TRIES_MAX`] tries, then a pause that grows to [`BACKOFF_MAX`]. Deliberately lacking: reading
//! what a card holds, and more than one card at once: two cards at once may be anyone's.

pub mod frame;

use std::time::Duration;

use super::Uid;
use frame::{ACK, FROM_CHIP, Frame, Framer, NACK, TO_CHIP};

/// How long a command waits for its ACK. The chip gives it within 15 ms (UM0701-02, 6.2.2).
pub const ACK_TIMEOUT: Duration = Duration::from_millis(100);
/// How long a command waits for its answer behind the ACK.
pub const ANSWER_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How long a poll waits for a card before it is called off; it takes some 50 ms by itself.
pub const POLL_TIMEOUT: Duration = Duration::from_millis(400);
/// How often a command is sent before the reader counts as silent.
pub const TRIES_MAX: u8 = 3;
/// The pause between two polls: so late a card is noticed at the most.
pub const POLL_PAUSE: Duration = Duration::from_millis(150);
/// So many polls in a row must miss a card before it counts as gone.
pub const MISSES_UNTIL_GONE: u8 = 3;
/// The first pause before a silent reader is woken again.
pub const BACKOFF_MIN: Duration = Duration::from_millis(500);
/// The longest such pause.
pub const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// What wakes the chip's serial line: a long preamble. It wants five rising edges.
const WAKE: [u8; 10] = [0; 10];

/// What the chip calls itself.
const IC_PN532: u8 = 0x32;
/// The bit of its features that says FeliCa.
const SUPPORTS_FELICA: u8 = 0b100;

/// Which command is being carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    /// Leave the security module alone; the first command after waking.
    SamConfiguration,
    GetFirmwareVersion,
    /// Try each card a few times instead of for ever.
    RfConfiguration,
    PollTypeA,
    PollFelica,
}

impl Command {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::SamConfiguration => &[0x14, 0x01, 0x00],
            Self::GetFirmwareVersion => &[0x02],
            Self::RfConfiguration => &[0x32, 0x05, 0xff, 0x01, 0x01],
            Self::PollTypeA => &[0x4a, 0x01, 0x00],
            Self::PollFelica => &[0x4a, 0x01, 0x01, 0x00, 0xff, 0xff, 0x00, 0x00],
        }
    }

    fn answer_timeout(self) -> Duration {
        match self {
            Self::SamConfiguration | Self::GetFirmwareVersion | Self::RfConfiguration => {
                ANSWER_TIMEOUT
            }
            Self::PollTypeA | Self::PollFelica => POLL_TIMEOUT,
        }
    }

    /// The answer's code is the command's and one.
    fn answer_code(self) -> u8 {
        self.bytes().first().map_or(0, |code| code + 1)
    }
}

/// What the machine waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// The port is not open.
    ForPort,
    ForAck {
        command: Command,
        tries: u8,
        until: Duration,
    },
    ForAnswer {
        command: Command,
        tries: u8,
        until: Duration,
    },
    /// Between two polls.
    ToPoll { at: Duration },
    /// Silent, until it is woken again.
    ToWake { at: Duration },
}

/// What happened at a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NfcEvent {
    /// The reader works.
    Ready {
        /// What it is, for people.
        reader: String,
    },
    /// A card was laid on it.
    Card(Uid),
    /// The card is gone.
    Removed,
    /// The reader does not answer; it is woken again and again.
    Silent {
        /// What happened and what to do, for people.
        reason: String,
    },
}

/// What a machine has counted since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pn532Counters {
    /// Cards told.
    pub cards: u64,
    /// Bytes that belonged to no frame.
    pub skipped_bytes: u64,
    /// Frames whose checksum did not hold.
    pub damaged_frames: u64,
    /// Answers that nobody asked for, or that say what they cannot.
    pub odd_answers: u64,
}

/// The machine. It owns no port and no clock.
#[derive(Debug)]
pub struct Pn532 {
    framer: Framer,
    waiting: Waiting,
    /// What is to be written next; one command at the most.
    outgoing: Vec<u8>,
    backoff: Duration,
    reader: String,
    has_felica: bool,
    /// The card that lies there, and how many polls have missed it since.
    present: Option<(Uid, u8)>,
    /// The last thing told of the reader itself: it works, or it does not.
    is_told_ready: bool,
    is_told_silent: bool,
    counters: Pn532Counters,
}

impl Default for Pn532 {
    fn default() -> Self {
        Self {
            framer: Framer::default(),
            waiting: Waiting::ForPort,
            outgoing: Vec::new(),
            backoff: BACKOFF_MIN,
            reader: String::new(),
            has_felica: false,
            present: None,
            is_told_ready: false,
            is_told_silent: false,
            counters: Pn532Counters::default(),
        }
    }
}

impl Pn532 {
    /// The port was opened: wakes the chip.
    pub fn handle_open(&mut self, now: Duration) {
        self.framer.reset();
        self.backoff = BACKOFF_MIN;
        self.is_told_silent = false;
        self.wake(now);
    }

    /// The port is gone. A card that lay there is told again when it is seen again.
    pub fn handle_lost(&mut self) -> Vec<NfcEvent> {
        self.framer.reset();
        self.outgoing.clear();
        self.waiting = Waiting::ForPort;
        self.is_told_ready = false;
        self.forget_card()
    }

    /// Takes bytes from the port; returns what they tell.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Duration) -> Vec<NfcEvent> {
        let mut events = Vec::new();
        for frame in self.framer.feed(bytes) {
            events.extend(self.handle_frame(frame, now));
        }
        events
    }

    /// Takes the time; returns what its passing tells.
    pub fn handle_timeout(&mut self, now: Duration) -> Vec<NfcEvent> {
        match self.waiting {
            Waiting::ForAck {
                command,
                tries,
                until,
            } if until <= now => {
                self.framer.reset();
                self.try_again(command, tries, now, "does not answer")
            }
            Waiting::ForAnswer {
                command,
                tries,
                until,
            } if until <= now => {
                self.framer.reset();
                let events = match command {
                    // A chip that tries each card for ever whatever it was told: nothing lies there.
                    Command::PollTypeA if self.has_felica => {
                        self.send(Command::PollFelica, 1, now);
                        Vec::new()
                    }
                    Command::PollTypeA | Command::PollFelica => self.after_poll(None, now),
                    Command::SamConfiguration
                    | Command::GetFirmwareVersion
                    | Command::RfConfiguration => {
                        self.try_again(command, tries, now, "does not finish what it began")
                    }
                };
                // An ACK from the host calls off what still runs.
                self.outgoing.splice(..0, ACK);
                events
            }
            Waiting::ToPoll { at } if at <= now => {
                self.send(Command::PollTypeA, 1, now);
                Vec::new()
            }
            Waiting::ToWake { at } if at <= now => {
                self.wake(now);
                Vec::new()
            }
            Waiting::ForPort
            | Waiting::ForAck { .. }
            | Waiting::ForAnswer { .. }
            | Waiting::ToPoll { .. }
            | Waiting::ToWake { .. } => Vec::new(),
        }
    }

    /// Returns what is to be written to the port now.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        (!self.outgoing.is_empty()).then(|| std::mem::take(&mut self.outgoing))
    }

    /// Returns when [`Self::handle_timeout`] wants to be called; `None` while the port is closed.
    pub fn poll_timeout(&self) -> Option<Duration> {
        match self.waiting {
            Waiting::ForPort => None,
            Waiting::ForAck { until, .. } | Waiting::ForAnswer { until, .. } => Some(until),
            Waiting::ToPoll { at } | Waiting::ToWake { at } => Some(at),
        }
    }

    /// Returns what has been counted so far.
    pub fn counters(&self) -> Pn532Counters {
        Pn532Counters {
            skipped_bytes: self.framer.skipped_bytes(),
            ..self.counters
        }
    }

    fn wake(&mut self, now: Duration) {
        self.send(Command::SamConfiguration, 1, now);
    }

    fn send(&mut self, command: Command, tries: u8, now: Duration) {
        self.outgoing.clear();
        // The chip may have fallen asleep, so each first command is preceded by a long preamble.
        if command == Command::SamConfiguration {
            self.outgoing.extend(WAKE);
        }
        self.outgoing
            .extend(frame::encode(TO_CHIP, command.bytes()));
        self.waiting = Waiting::ForAck {
            command,
            tries,
            until: now + ACK_TIMEOUT,
        };
    }

    fn handle_frame(&mut self, frame: Frame, now: Duration) -> Vec<NfcEvent> {
        match (self.waiting, frame) {
            (Waiting::ForAck { command, tries, .. }, Frame::Ack) => {
                self.waiting = Waiting::ForAnswer {
                    command,
                    tries,
                    until: now + command.answer_timeout(),
                };
                Vec::new()
            }
            (Waiting::ForAck { command, tries, .. }, Frame::Nack) => {
                self.try_again(command, tries, now, "takes no command")
            }
            (
                Waiting::ForAnswer { command, .. },
                Frame::Data {
                    direction: FROM_CHIP,
                    data,
                },
            ) => match data.split_first() {
                Some((&code, answer)) if code == command.answer_code() => {
                    self.handle_answer(command, answer, now)
                }
                Some(_) | None => {
                    self.counters.odd_answers += 1;
                    Vec::new()
                }
            },
            (Waiting::ForAnswer { command, tries, .. }, Frame::Damaged) => {
                self.counters.damaged_frames += 1;
                if tries >= TRIES_MAX {
                    return self.fall_silent(now, "sends damaged answers");
                }
                // The chip keeps its last answer for the host to ask for again.
                self.outgoing = NACK.to_vec();
                self.waiting = Waiting::ForAnswer {
                    command,
                    tries: tries + 1,
                    until: now + ANSWER_TIMEOUT,
                };
                Vec::new()
            }
            // A chip that knows no FeliCa after all is not asked again.
            (
                Waiting::ForAnswer {
                    command: Command::PollFelica,
                    ..
                },
                Frame::Error,
            ) => {
                self.has_felica = false;
                self.after_poll(None, now)
            }
            (Waiting::ForAnswer { command, tries, .. }, Frame::Error) => {
                self.try_again(command, tries, now, "refuses a command")
            }
            (_, Frame::Damaged) => {
                self.counters.damaged_frames += 1;
                Vec::new()
            }
            (_, Frame::Ack | Frame::Nack | Frame::Error | Frame::Data { .. }) => {
                self.counters.odd_answers += 1;
                Vec::new()
            }
        }
    }

    fn handle_answer(&mut self, command: Command, answer: &[u8], now: Duration) -> Vec<NfcEvent> {
        match command {
            Command::SamConfiguration => self.send(Command::GetFirmwareVersion, 1, now),
            Command::GetFirmwareVersion => {
                let (ic, version, revision, features) = match answer {
                    &[ic, version, revision, features, ..] => (ic, version, revision, features),
                    _ => (0, 0, 0, 0),
                };
                let chip = if ic == IC_PN532 { "PN532" } else { "chip" };
                self.reader = format!("{chip} {ic:02X} firmware {version}.{revision}");
                self.has_felica = features & SUPPORTS_FELICA != 0;
                self.send(Command::RfConfiguration, 1, now);
            }
            Command::RfConfiguration => {
                self.backoff = BACKOFF_MIN;
                self.is_told_silent = false;
                self.send(Command::PollTypeA, 1, now);
                if !std::mem::replace(&mut self.is_told_ready, true) {
                    return vec![NfcEvent::Ready {
                        reader: self.reader.clone(),
                    }];
                }
            }
            Command::PollTypeA => {
                let found = self.target(answer, type_a_number);
                if found.is_some() || !self.has_felica {
                    return self.after_poll(found, now);
                }
                self.send(Command::PollFelica, 1, now);
            }
            Command::PollFelica => {
                let found = self.target(answer, felica_number);
                return self.after_poll(found, now);
            }
        }
        Vec::new()
    }

    /// Reads the number of the one target that an answer to a poll names.
    fn target(&mut self, answer: &[u8], number: fn(&[u8]) -> Option<&[u8]>) -> Option<Uid> {
        let targets = match answer {
            [] | [0, ..] => return None,
            // How many, and the logical number of the first, which nothing here needs.
            [1, _, target @ ..] => number(target).and_then(Uid::new),
            [..] => None,
        };
        if targets.is_none() {
            self.counters.odd_answers += 1;
        }
        targets
    }

    fn after_poll(&mut self, found: Option<Uid>, now: Duration) -> Vec<NfcEvent> {
        self.waiting = Waiting::ToPoll {
            at: now + POLL_PAUSE,
        };
        match (found, self.present) {
            (Some(uid), Some((present, _))) if uid.may_be_same_card(&present) => {
                self.present = Some((present, 0));
                Vec::new()
            }
            (Some(uid), _) => {
                let mut events = self.forget_card();
                self.present = Some((uid, 0));
                self.counters.cards += 1;
                events.push(NfcEvent::Card(uid));
                events
            }
            (None, Some((present, misses))) if misses + 1 < MISSES_UNTIL_GONE => {
                self.present = Some((present, misses + 1));
                Vec::new()
            }
            (None, Some(_)) => self.forget_card(),
            (None, None) => Vec::new(),
        }
    }

    fn forget_card(&mut self) -> Vec<NfcEvent> {
        let was_there = self.present.take().is_some();
        was_there.then_some(NfcEvent::Removed).into_iter().collect()
    }

    fn try_again(
        &mut self,
        command: Command,
        tries: u8,
        now: Duration,
        fault: &str,
    ) -> Vec<NfcEvent> {
        if tries >= TRIES_MAX {
            return self.fall_silent(now, fault);
        }
        self.send(command, tries + 1, now);
        Vec::new()
    }

    fn fall_silent(&mut self, now: Duration, fault: &str) -> Vec<NfcEvent> {
        self.outgoing.clear();
        self.waiting = Waiting::ToWake {
            at: now + self.backoff,
        };
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
        self.is_told_ready = false;
        let mut events = self.forget_card();
        if !std::mem::replace(&mut self.is_told_silent, true) {
            events.push(NfcEvent::Silent {
                reason: format!(
                    "the NFC reader {fault}: look at its cable and power, that its switches say \
                     HSU (serial), and that baud is its speed, mostly 115200"
                ),
            });
        }
        events
    }
}

/// Finds the number in a type A target: SENS_RES (2), SEL_RES, length, number.
fn type_a_number(target: &[u8]) -> Option<&[u8]> {
    match target {
        &[_, _, _, len, ref rest @ ..] if matches!(len, 4 | 7 | 10) => rest.get(..len.into()),
        _ => None,
    }
}

/// Finds the number in a FeliCa target: length, 01, IDm (8), PAD (8) and perhaps the system.
fn felica_number(target: &[u8]) -> Option<&[u8]> {
    match target {
        [18 | 20, 0x01, rest @ ..] if rest.len() >= 16 => rest.get(..8),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
