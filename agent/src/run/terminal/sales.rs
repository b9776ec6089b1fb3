//! Sales on their way in: from receipts, journals and the till's own call, and the claim codes that the
//! receipts of some of them bear.

use chrono::TimeZone;
use tillbind_firmware_bridge::receipt::{Job, NotASale};
use tillbind_firmware_bridge::sale::Sale;
use tillbind_protocol::event::{
    ClaimOffered, EventBody, ReceiptUnparsed, RetailTransaction, SaleKey, Source,
};
use tillbind_protocol::ids::{CardNumber, Seq};

use super::Terminal;
use crate::clock::Moment;
use crate::devices::{ClaimReply, ReceiptReading};
use crate::event::Refusal;
use crate::run::effect::Effect;
use crate::run::pending::Waiter;
use crate::till::conversion::{self, ConversionError};
use crate::till::{SaleOutcome, is_claimable};

/// Most sales that wait for an earlier event of the same sale to become durable. Beyond it the source
/// is told that the terminal is busy.
const DEFERRED_MAX: usize = 256;

impl<Z: TimeZone> Terminal<Z> {
    /// `claim` waits with the receipt's cut; dropped, the receipt is cut as it is.
    pub(super) fn handle_receipt(
        &mut self,
        tap: String,
        job: &Job,
        reading: ReceiptReading,
        claim: Option<ClaimReply>,
        now: Moment,
        todo: &mut Vec<Effect>,
    ) {
        let reason = match reading {
            ReceiptReading::Sale(sale) => match self.convert(*sale, Source::Tap) {
                Ok(sale) => {
                    let waiter = claim.map_or(Waiter::Nobody, |reply| Waiter::Claim(reply, None));
                    return self.record_sale(sale, waiter, now, todo);
                }
                Err(error) => error.to_string(),
            },
            ReceiptReading::NotASale(NotASale::Cancelled) => return self.till.handle_given_up(),
            ReceiptReading::NotASale(
                NotASale::Reprint
                | NotASale::OrderSlip
                | NotASale::KitchenTicket
                | NotASale::Report
                | NotASale::GiftReceipt
                | NotASale::OtherSlip
                | NotASale::NoText,
            ) => {
                return;
            }
            ReceiptReading::Unparsed { reason } => reason,
        };
        self.counts.unparsed += 1;
        let unparsed = ReceiptUnparsed {
            tap,
            reason,
            text: job.text(),
            images: job.images,
        };
        self.record(
            vec![EventBody::ReceiptUnparsed(unparsed)],
            Waiter::Nobody,
            now,
            todo,
        );
    }

    pub(super) fn convert(
        &self,
        sale: Sale,
        source: Source,
    ) -> Result<RetailTransaction, ConversionError> {
        let names = self.names.as_ref().unwrap_or(&self.provisional);
        conversion::to_transaction(sale, source, names, &self.rules, &self.zone)
    }

    pub(super) fn journal_sale(
        &self,
        sale: Sale,
        source: Source,
        now: Moment,
    ) -> Result<RetailTransaction, Refusal> {
        let sale = self.convert(sale, source)?;
        self.check_length(&sale, now)?;
        Ok(sale)
    }

    pub(super) fn record_sale(
        &mut self,
        sale: RetailTransaction,
        waiter: Waiter,
        now: Moment,
        todo: &mut Vec<Effect>,
    ) {
        match self.till.handle_sale(sale.clone(), now.uptime) {
            SaleOutcome::Record(sale) => {
                self.counts.sales += 1;
                let (mut waiter, claim) = waiter.without_claim();
                let offer = claim.and_then(|claim| {
                    let card = sale.card.clone();
                    self.claim_unheld(&sale, card, claim, todo)
                });
                let mut bodies = vec![EventBody::Transaction(*sale)];
                if let Some((offered, waits)) = offer {
                    // One sync for both: the paper waits for it.
                    bodies.push(offered);
                    waiter = waits;
                }
                self.append(bodies, waiter, None, None, now, todo);
            }
            SaleOutcome::Known(seq) => {
                self.counts.repeats += 1;
                let (waiter, claim) = waiter.without_claim();
                todo.extend(waiter.accepted(Seq::ZERO, seq).map(Effect::Answer));
                let Some(claim) = claim else {
                    return;
                };
                let known = self.till.known_sale(&sale.key());
                let card = known.and_then(|known| known.card().cloned());
                if let Some((offered, waiter)) = self.claim_unheld(&sale, card, claim, todo) {
                    self.record(vec![offered], waiter, now, todo);
                }
            }
            SaleOutcome::Undecided if self.deferred.len() < DEFERRED_MAX => {
                self.deferred.push((sale, waiter));
            }
            SaleOutcome::Undecided => {
                todo.extend(waiter.refused(Refusal::Busy).map(Effect::Answer));
            }
        }
    }

    /// The replica has answered for the card of a sale whose receipt waits for a claim code.
    pub(super) fn handle_holder(
        &mut self,
        sale: SaleKey,
        card: &CardNumber,
        has_member: Option<bool>,
        claim: ClaimReply,
        now: Moment,
        todo: &mut Vec<Effect>,
    ) {
        // A card of which nothing is known may be a member's.
        let has_member = has_member.unwrap_or(true);
        let is_requested = self.requested.values().any(|request| request.card == *card);
        if !has_member && !is_requested {
            let (offered, waiter) = self.claim(sale, claim);
            self.record(vec![offered], waiter, now, todo);
        }
    }

    /// Before the enrolment a sale bears names that headquarters does not know; and of a cut that has gone
    /// on without waiting there is nothing to print.
    fn may_be_claimed(&self, sale: &RetailTransaction, claim: &ClaimReply) -> bool {
        self.names.is_some() && is_claimable(sale) && !claim.is_closed()
    }

    /// Offers a sale that no card was shown for; of one with a `card` the replica is asked first who holds
    /// it. What may not be claimed is cut as it is.
    fn claim_unheld(
        &mut self,
        sale: &RetailTransaction,
        card: Option<CardNumber>,
        claim: ClaimReply,
        todo: &mut Vec<Effect>,
    ) -> Option<(EventBody, Waiter)> {
        if !self.may_be_claimed(sale, &claim) {
            return None;
        }
        let sale = sale.key();
        match card {
            Some(card) => {
                todo.push(Effect::FindHolder { sale, card, claim });
                None
            }
            None => Some(self.claim(sale, claim)),
        }
    }

    fn claim(&mut self, sale: SaleKey, reply: ClaimReply) -> (EventBody, Waiter) {
        let code = self.claims.code(&sale);
        let claim = code.digest();
        self.counts.claims += 1;
        (
            EventBody::ClaimOffered(ClaimOffered { sale, claim }),
            Waiter::Claim(reply, Some(code)),
        )
    }
}
