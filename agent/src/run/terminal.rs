//! The owner of the agent's state: [`Terminal::apply`] takes one event and says what to do about it.
//!
//! Nothing here waits, reads a clock or touches a disk, so that each rule can be tested by itself. What
//! must be durable before it is acknowledged leaves as [`Effect::Append`] and comes back as
//! [`Event::Durable`]; only then does the answer leave.

mod recording;
mod sales;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeZone;
use tillbind_firmware_bridge::code::{CardRules, Code, classify_text};
use tillbind_protocol::claim::ClaimCode;
use tillbind_protocol::clock::{ClockEstimator, Uptime};
use tillbind_protocol::event::{
    BindingRequest, EventBody, FileRejected, RetailTransaction, Scan, ScanKind, Source,
};
use tillbind_protocol::ids::BindingId;

use super::effect::{Answer, Effect, Note, Published};
use super::pending::{Pending, Waiter};
use crate::clock::{CentralClock, Moment};
use crate::devices::DeviceEvent;
use crate::event::{Call, Counts, Event, Refusal, StateView, Ticket};
use crate::identity::CONFIRMED_FOR;
use crate::till::conversion::{self, Names};
use crate::till::{BINDING_ID_BYTES, Binding, ClaimKey, MemberCodes, Till};

/// How often the clock's offset is noted while it hardly changes.
const CLOCK_NOTE_EVERY: Duration = Duration::from_secs(600);
/// A change of the offset that is noted at once, in milliseconds.
const CLOCK_NOTE_CHANGE_MS: u64 = 1_000;

/// What a terminal starts with.
#[derive(Debug)]
pub struct Start {
    /// The till with the sales that are known.
    pub till: Till,
    /// Keys and used nonces.
    pub codes: MemberCodes,
    /// What claim codes follow from.
    pub claims: ClaimKey,
    /// Bindings requested here and not decided.
    pub requested: Vec<BindingRequest>,
    /// What is known of central's clock.
    pub clock: ClockEstimator,
    /// The machine's run, where the system tells it.
    pub boot: Option<String>,
    /// The names that sales are recorded under, once enrolled.
    pub names: Option<Names>,
    /// The names until then.
    pub provisional: Names,
}

/// The agent's state.
#[derive(Debug)]
pub struct Terminal<Z> {
    rules: CardRules,
    zone: Z,
    till: Till,
    codes: MemberCodes,
    claims: ClaimKey,
    requested: BTreeMap<BindingId, BindingRequest>,
    clock: ClockEstimator,
    clock_noted: Option<(Uptime, i64)>,
    boot: Option<String>,
    names: Option<Names>,
    provisional: Names,
    pending: BTreeMap<Ticket, Pending>,
    deferred: Vec<(RetailTransaction, Waiter)>,
    next_ticket: u64,
    counts: Counts,
    entropy: fn() -> [u8; BINDING_ID_BYTES],
}

impl<Z: TimeZone> Terminal<Z> {
    /// Starts with what earlier runs left. `entropy` names binding requests.
    pub fn new(
        rules: CardRules,
        zone: Z,
        start: Start,
        entropy: fn() -> [u8; BINDING_ID_BYTES],
    ) -> Self {
        Self {
            rules,
            zone,
            till: start.till,
            codes: start.codes,
            claims: start.claims,
            requested: start
                .requested
                .into_iter()
                .map(|r| (r.id.clone(), r))
                .collect(),
            clock: start.clock,
            clock_noted: None,
            boot: start.boot,
            names: start.names,
            provisional: start.provisional,
            pending: BTreeMap::new(),
            deferred: Vec::new(),
            next_ticket: 0,
            counts: Counts::default(),
            entropy,
        }
    }

    /// Takes one event and returns what to do, in order.
    pub fn apply(&mut self, event: Event, now: Moment) -> Vec<Effect> {
        let mut todo = Vec::new();
        match event {
            Event::Device(event) => self.handle_device(event, now, &mut todo),
            Event::Call(call) => self.handle_call(call, now, &mut todo),
            Event::Durable(ticket, result) => self.handle_durable(ticket, result, now, &mut todo),
            Event::Keys(keys) => {
                todo.push(Effect::Note(Note::Keys(keys.clone())));
                self.codes.handle_keys(keys);
            }
            Event::Clock(sample) => {
                self.clock.handle_sample(&sample);
                self.note_clock(now, &mut todo);
            }
            Event::Holder {
                sale,
                card,
                has_member,
                claim,
            } => self.handle_holder(sale, &card, has_member, claim, now, &mut todo),
            Event::Verdicts(verdicts) => {
                for verdict in verdicts {
                    if self.requested.remove(&verdict.id).is_some() {
                        todo.push(Effect::Note(Note::Decided(verdict.id.clone())));
                    }
                    todo.push(Effect::Publish(Published::Binding {
                        card: verdict.card,
                        account: verdict.account,
                        state: verdict.state,
                    }));
                }
            }
            Event::Epoch(epoch) => self.till.handle_epoch(epoch),
            Event::Enrolled(names) => self.names = Some(names),
            Event::Tick => self.handle_tick(now, &mut todo),
        }
        todo
    }

    /// Returns what is known of central's clock.
    pub fn central_clock(&self, now: Moment) -> Option<CentralClock> {
        let stamp = self.clock.stamp(now.uptime, now.local_ms);
        let confirmed_at = self.clock.confirmed_at();
        stamp.uncertainty_ms.map(|_| CentralClock {
            offset_ms: stamp.offset_ms,
            is_confirmed: confirmed_at.is_some_and(|at| now.uptime.since(at) < CONFIRMED_FOR),
        })
    }

    /// Says whether nothing is on its way to the disk.
    pub fn is_settled(&self) -> bool {
        self.pending.is_empty() && self.deferred.is_empty()
    }

    fn handle_device(&mut self, event: DeviceEvent, now: Moment, todo: &mut Vec<Effect>) {
        match event {
            DeviceEvent::Scanned { device, code } => {
                self.record_scan(device, code, Waiter::Nobody, now, todo);
            }
            DeviceEvent::Receipt {
                tap,
                job,
                reading,
                claim,
            } => self.handle_receipt(tap, &job, reading, claim, now, todo),
            DeviceEvent::ReceiptsDropped { tap, bytes } => {
                tracing::warn!(
                    tap,
                    bytes,
                    "receipts were printed and not read: reading fell behind"
                );
            }
            DeviceEvent::JournalSale {
                journal,
                file,
                source,
                sale,
                reply,
            } => match self.journal_sale(*sale, source, now) {
                Ok(sale) => self.record_sale(sale, Waiter::Device(reply), now, todo),
                Err(refusal) => {
                    // Told again it would be no better: it is reported, and the journal goes on.
                    self.counts.rejected += 1;
                    let reason = refusal.to_string();
                    let body = EventBody::FileRejected(FileRejected {
                        journal,
                        file,
                        reason,
                    });
                    self.record(vec![body], Waiter::Device(reply), now, todo);
                }
            },
            DeviceEvent::JournalRejected {
                journal,
                file,
                reason,
                reply,
            } => {
                self.counts.rejected += 1;
                let body = EventBody::FileRejected(FileRejected {
                    journal,
                    file,
                    reason,
                });
                self.record(vec![body], Waiter::Device(reply), now, todo);
            }
            DeviceEvent::Port {
                device,
                kind,
                state,
            } => {
                todo.push(Effect::Publish(Published::Port {
                    device,
                    kind,
                    state,
                }));
            }
        }
    }

    fn handle_call(&mut self, call: Call, now: Moment, todo: &mut Vec<Effect>) {
        match call {
            Call::Scan {
                code,
                symbology,
                reply,
            } => {
                let code = classify_text(&code, symbology, &self.rules);
                self.record_scan("api".to_owned(), code, Waiter::Scan(reply, None), now, todo);
            }
            Call::Sale { sale, reply } => {
                let sale = sale
                    .reconcile()
                    .map_err(Refusal::from)
                    .and_then(|()| Ok(self.convert(*sale, Source::Api)?));
                match sale {
                    Ok(sale) => self.record_sale(sale, Waiter::Sale(reply), now, todo),
                    Err(refusal) => todo.push(Effect::Answer(Answer::Sale(reply, Err(refusal)))),
                }
            }
            Call::Bind { card, code, reply } => match self.bind(&card, &code, now) {
                Ok(binding) => {
                    let body = EventBody::BindingRequested(binding.request.clone());
                    self.codes.handle_used(binding.nonce, binding.expires_s);
                    let waiter = Waiter::Bind(reply, Box::new(binding.request.clone()));
                    self.append(vec![body], waiter, None, Some(binding), now, todo);
                }
                Err(refusal) => todo.push(Effect::Answer(Answer::Bind(reply, Err(refusal)))),
            },
            Call::Basket(reply) => {
                let view = self.till.basket(now.uptime);
                todo.push(Effect::Answer(Answer::Basket(reply, view)));
            }
            Call::State(reply) => {
                let view = self.view(now);
                todo.push(Effect::Answer(Answer::State(reply, Box::new(view))));
            }
            Call::Requested(card, reply) => {
                let requested = self
                    .requested
                    .values()
                    .filter(|r| r.card == card)
                    .cloned()
                    .collect();
                todo.push(Effect::Answer(Answer::Requested(reply, requested)));
            }
        }
    }

    fn view(&self, now: Moment) -> StateView {
        let stamp = self.clock.stamp(now.uptime, now.local_ms);
        StateView {
            names: self.names.clone(),
            clock: stamp
                .uncertainty_ms
                .map(|uncertainty| (stamp.offset_ms, uncertainty)),
            keys_version: self.codes.keys_version(),
            counts: self.counts,
            bindings_requested: self.requested.len(),
        }
    }

    fn bind(&self, card: &str, code: &str, now: Moment) -> Result<Binding, Refusal> {
        let card = self.rules.normalise(card)?;
        let card = conversion::from_bridge(&card).ok_or(Refusal::CardName)?;
        let stamp = self.clock.stamp(now.uptime, now.local_ms);
        let code = self.codes.verify(code, &stamp)?;
        Binding::new((self.entropy)(), &card, &code).ok_or(Refusal::CardName)
    }

    fn record_scan(
        &mut self,
        device: String,
        code: Code,
        waiter: Waiter,
        now: Moment,
        todo: &mut Vec<Effect>,
    ) {
        let mut scan = Scan {
            kind: ScanKind::Unknown,
            device,
            symbology: None,
            card: None,
            card_kind: None,
            account: None,
            text: None,
            reason: None,
        };
        let mut attribution = None;
        let mut binding = None;
        match code {
            Code::MemberCard(card) => {
                scan.kind = ScanKind::MemberCard;
                if let Some(card) = conversion::from_bridge(&card) {
                    let outcome = self.till.handle_card(&card, (self.entropy)(), now.uptime);
                    (attribution, binding) = (outcome.attribution, outcome.binding);
                    scan.card = Some(card.number);
                    scan.card_kind = Some(card.kind);
                }
            }
            Code::MemberCode(text) => {
                scan.kind = ScanKind::MemberCode;
                let stamp = self.clock.stamp(now.uptime, now.local_ms);
                match self.codes.verify(&text, &stamp) {
                    Ok(code) => {
                        scan.account = Some(code.account.clone());
                        binding = self.till.handle_code(code, (self.entropy)(), now.uptime);
                    }
                    Err(refused) => {
                        scan.reason = Some(refused.to_string());
                        self.till.handle_goods(now.uptime);
                    }
                }
            }
            Code::ClaimCode(text) => {
                scan.kind = ScanKind::ClaimCode;
                // Whoever holds a code may use it: its digest alone is kept.
                match ClaimCode::parse(&text) {
                    Ok(code) => scan.text = Some(code.digest().to_string()),
                    Err(error) => scan.reason = Some(error.to_string()),
                }
            }
            Code::Payment(kind) => {
                scan.kind = ScanKind::PaymentRefused;
                scan.reason = Some(kind.to_string());
            }
            Code::Unknown {
                text,
                symbology,
                reason,
            } => {
                scan.text = Some(text);
                scan.symbology = symbology.map(|s| s.as_str().to_owned());
                scan.reason = Some(reason.to_string());
                self.till.handle_goods(now.uptime);
            }
        }
        // Two codes that were scanned before either was used may carry one nonce.
        let binding = binding.filter(|binding| !self.codes.is_used(&binding.nonce));
        if let Some(binding) = &binding {
            self.codes.handle_used(binding.nonce, binding.expires_s);
        }
        self.counts.scans += 1;
        let waiter = waiter.with_scan(&scan, binding.as_ref().map(|binding| &binding.request));
        let mut bodies = vec![EventBody::Scan(scan)];
        let attributed = attribution.as_ref().map(|a| a.sale.clone());
        bodies.extend(attribution.map(EventBody::Attribution));
        bodies.extend(
            binding
                .as_ref()
                .map(|b| EventBody::BindingRequested(b.request.clone())),
        );
        self.append(bodies, waiter, attributed, binding, now, todo);
    }

    fn handle_tick(&mut self, now: Moment, todo: &mut Vec<Effect>) {
        let stamp = self.clock.stamp(now.uptime, now.local_ms);
        // Nothing is known to have expired that may yet be valid within the clock's uncertainty.
        let now_ms = stamp.uncertainty_ms.map_or(i64::MIN, |uncertainty_ms| {
            stamp
                .corrected_ms()
                .saturating_sub(i64::from(uncertainty_ms))
        });
        let gone = self.codes.evict(now_ms);
        if !gone.is_empty() {
            todo.push(Effect::Note(Note::NoncesForgotten(gone)));
        }
        // A wall clock that was set changes the offset, and the next run goes by it.
        self.note_clock(now, todo);
    }

    fn note_clock(&mut self, now: Moment, todo: &mut Vec<Effect>) {
        let stamp = self.clock.stamp(now.uptime, now.local_ms);
        let Some(uncertainty_ms) = stamp.uncertainty_ms else {
            return;
        };
        let due = self.clock_noted.is_none_or(|(at, offset_ms)| {
            now.uptime.since(at) >= CLOCK_NOTE_EVERY
                || offset_ms.abs_diff(stamp.offset_ms) >= CLOCK_NOTE_CHANGE_MS
        });
        if due {
            self.clock_noted = Some((now.uptime, stamp.offset_ms));
            let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            todo.push(Effect::Note(Note::Clock(super::effect::ClockNote {
                local_ms: now.local_ms,
                offset_ms: stamp.offset_ms,
                uncertainty_ms,
                boot: self.boot.clone(),
                awake_ms: ms(now.uptime.awake),
                asleep_ms: ms(now.uptime.asleep),
                battery_ms: None,
            })));
        }
    }
}

#[cfg(test)]
mod tests;
