//! Events on their way to the disk: out as one group, back as durable or refused.

use chrono::TimeZone;
use tillbind_protocol::chain::Mark;
use tillbind_protocol::event::{
    Event as Recorded, EventBody, RecordError, RetailTransaction, SaleKey,
};
use tillbind_protocol::ids::Seq;

use super::Terminal;
use crate::clock::Moment;
use crate::event::{Refusal, Ticket};
use crate::outbox::AppendError;
use crate::run::effect::{Effect, Note, Published};
use crate::run::pending::{Pending, Waiter};
use crate::till::Binding;

impl<Z: TimeZone> Terminal<Z> {
    pub(super) fn record(
        &mut self,
        bodies: Vec<EventBody>,
        waiter: Waiter,
        now: Moment,
        todo: &mut Vec<Effect>,
    ) {
        self.append(bodies, waiter, None, None, now, todo);
    }

    /// Sends events to the disk as one group; `waiter` is answered when they are durable.
    pub(super) fn append(
        &mut self,
        bodies: Vec<EventBody>,
        waiter: Waiter,
        attributed: Option<SaleKey>,
        binding: Option<Binding>,
        now: Moment,
        todo: &mut Vec<Effect>,
    ) {
        let stamp = self.clock.stamp(now.uptime, now.local_ms);
        let sale = bodies.iter().find_map(|body| match body {
            EventBody::Transaction(sale) => Some(Box::new(sale.clone())),
            EventBody::Scan(_)
            | EventBody::Attribution(_)
            | EventBody::BindingRequested(_)
            | EventBody::ClaimOffered(_)
            | EventBody::ReceiptUnparsed(_)
            | EventBody::FileRejected(_) => None,
        });
        let published = bodies.iter().map(Published::of).collect();
        let events = bodies.into_iter().map(|body| Recorded { stamp, body });
        let records: Result<Vec<_>, _> = events.map(|event| event.to_record()).collect();
        let pending = Pending {
            waiter,
            sale,
            attributed,
            binding,
            published,
        };
        match records {
            Ok(records) => {
                let ticket = Ticket(self.next_ticket);
                self.next_ticket += 1;
                self.pending.insert(ticket, pending);
                todo.push(Effect::Append(ticket, records));
            }
            Err(error) => self.handle_refused(pending, Refusal::Record(error), now, todo),
        }
    }

    pub(super) fn handle_durable(
        &mut self,
        ticket: Ticket,
        result: Result<Mark, AppendError>,
        now: Moment,
        todo: &mut Vec<Effect>,
    ) {
        let Some(pending) = self.pending.remove(&ticket) else {
            return;
        };
        match result {
            Ok(last) => self.handle_kept(pending, last, todo),
            Err(error) => self.handle_refused(pending, Refusal::NotKept(error), now, todo),
        }
        let deferred = std::mem::take(&mut self.deferred);
        for (sale, waiter) in deferred {
            self.record_sale(sale, waiter, now, todo);
        }
    }

    pub(super) fn handle_kept(&mut self, pending: Pending, last: Mark, todo: &mut Vec<Effect>) {
        let events = pending.published.len() as u64;
        let first = Seq(last.seq.0.saturating_sub(events.saturating_sub(1)));
        todo.extend(pending.waiter.accepted(first, last.seq).map(Effect::Answer));
        if let Some(sale) = pending.sale
            && let Some(known) = self.till.handle_recorded(&sale.key(), first)
        {
            todo.push(Effect::Note(Note::Sale(Box::new(known))));
            todo.extend(
                self.till
                    .evict_sales()
                    .into_iter()
                    .map(Note::SaleForgotten)
                    .map(Effect::Note),
            );
        }
        if let Some(known) = pending
            .attributed
            .and_then(|key| self.till.known_sale(&key))
        {
            todo.push(Effect::Note(Note::Sale(Box::new(known.clone()))));
        }
        if let Some(binding) = pending.binding {
            self.counts.bindings += 1;
            let until_ms = self.codes.handle_used(binding.nonce, binding.expires_s);
            todo.push(Effect::Note(Note::Nonce {
                nonce: binding.nonce,
                until_ms,
            }));
            todo.push(Effect::Note(Note::Requested(Box::new(
                binding.request.clone(),
            ))));
            self.requested
                .insert(binding.request.id.clone(), binding.request);
        }
        todo.extend(pending.published.into_iter().map(Effect::Publish));
    }

    pub(super) fn handle_refused(
        &mut self,
        pending: Pending,
        refusal: Refusal,
        now: Moment,
        todo: &mut Vec<Effect>,
    ) {
        self.counts.refused += 1;
        tracing::error!(error = %refusal, "an event was not recorded");
        if let Some(sale) = pending.sale {
            self.till.handle_lost(&sale, now.uptime);
        }
        if let Some(binding) = pending.binding {
            self.codes.handle_lost(&binding.nonce);
        }
        todo.extend(pending.waiter.refused(refusal).map(Effect::Answer));
    }

    /// Sees that a sale fits an event.
    pub(super) fn check_length(
        &self,
        sale: &RetailTransaction,
        now: Moment,
    ) -> Result<(), RecordError> {
        let stamp = self.clock.stamp(now.uptime, now.local_ms);
        let body = EventBody::Transaction(sale.clone());
        Recorded { stamp, body }.to_record().map(drop)
    }
}
