//! From records to sales, cards, points, bindings and claims.
//!
//! The kinds of one batch are projected one after another rather than event by event: what they
//! amount to does not depend on their order among kinds, and so many rows go into few statements.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{DatabaseTransaction, Value};
use tillbind_protocol::event::{Attribution, BindingRequest, RetailTransaction, Stamp};
use tillbind_protocol::ids::{CardNumber, Epoch, Seq};

use super::cards::{self, Mention};
use super::reading::{Body, Reading};
use super::{rules, sales};
use crate::binding::registry::{Registered, Requested, register};
use crate::changes::Touched;
use crate::claims::offer;
use crate::members;
use crate::quarantine::Poisoned;
use crate::store::StoreError;
use crate::terminals::Terminal;

/// What counts, from the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// What must be spent for one point, in minor units.
    pub minor_per_point: i64,
    /// Most cards that one account may hold.
    pub cards_per_account_max: usize,
}

/// Where records come from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'o> {
    /// The terminal.
    pub terminal: &'o Terminal,
    /// Its epoch.
    pub epoch: Epoch,
    /// The terminal's wall clock at the exchange, in milliseconds.
    pub sent_local_ms: i64,
    /// Central's clock at the exchange, in milliseconds.
    pub received_ms: i64,
    /// Central's clock now, in milliseconds: later than the exchange for a record that is replayed.
    pub now_ms: i64,
    /// Whether a claim may wait for one of its sales.
    pub claims_wait: bool,
    /// What counts.
    pub rules: Rules,
}

impl Origin<'_> {
    /// Returns the columns of a row that say whose record it is from.
    pub(crate) fn columns(&self) -> Vec<(&'static str, Value)> {
        let own = self.terminal;
        vec![
            ("store", own.store.as_str().into()),
            ("workstation", own.workstation.as_str().into()),
            ("terminal", own.id.as_str().into()),
            ("epoch", self.epoch.to_string().into()),
        ]
    }
}

/// A record with its place.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its place.
    pub seq: Seq,
    /// What it says.
    pub reading: Reading,
}

/// A sale as one record told it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'i> {
    pub(super) seq: Seq,
    pub(super) stamp: Stamp,
    pub(super) sale: &'i RetailTransaction,
}

#[derive(Default)]
struct Sorted<'i> {
    cards: BTreeMap<String, Mention>,
    sales: Vec<Told<'i>>,
    attributions: Vec<(Seq, &'i Attribution)>,
    bindings: Vec<(Seq, Stamp, &'i BindingRequest)>,
    offers: Vec<offer::Told>,
    poisoned: Vec<Poisoned>,
}

/// Projects records and returns those that cannot be used, with the reason. They change nothing.
///
/// # Errors
/// [`StoreError`].
pub async fn project(
    tx: &DatabaseTransaction,
    origin: &Origin<'_>,
    items: &[Item],
    touched: &mut Touched,
) -> Result<Vec<Poisoned>, StoreError> {
    let mut sorted = Sorted::default();
    for item in items {
        sorted.sort(origin, item);
    }
    let Sorted {
        cards,
        sales,
        attributions,
        bindings,
        offers,
        mut poisoned,
    } = sorted;
    if !bindings.is_empty() {
        members::lock(tx).await?;
    }
    let keys = sales.iter().map(|told| told.sale.key());
    let due = offer::note(tx, origin, offers, keys, &mut poisoned).await?;
    let mut involved: BTreeSet<String> = offer::cards_of(tx, &due).await?.into_iter().collect();
    let of_sales = sales.iter().filter_map(|told| told.sale.card.as_ref());
    let of_attributions = attributions.iter().map(|(_, a)| &a.card);
    let of_bindings = bindings.iter().map(|(_, _, b)| &b.card);
    for card in of_sales.chain(of_attributions).chain(of_bindings) {
        involved.insert(card.expose().to_owned());
    }
    cards::note(tx, cards, touched).await?;
    let holders = cards::lock(tx, involved).await?;
    sales::tell(
        tx,
        origin,
        sales,
        &attributions,
        &holders,
        touched,
        &mut poisoned,
    )
    .await?;
    for (seq, stamp, request) in bindings {
        let requested = Requested {
            terminal: &origin.terminal.id,
            epoch: origin.epoch,
            seq,
            stamp,
            sent_local_ms: origin.sent_local_ms,
            received_ms: origin.received_ms,
            request,
        };
        let max = origin.rules.cards_per_account_max;
        match register(tx, &requested, max, touched).await? {
            Registered::Ruled => {}
            Registered::NameTaken => poisoned.push(poison(
                seq,
                "binding_requested",
                "its name stands for another request".to_owned(),
            )),
        }
    }
    offer::carry_out(tx, origin, &due, touched).await?;
    Ok(poisoned)
}

impl<'i> Sorted<'i> {
    fn sort(&mut self, origin: &Origin<'_>, item: &'i Item) {
        let seq = item.seq;
        let fault = match (&item.reading.body, item.reading.stamp) {
            (Body::Poison { reason }, _) => Some(reason.clone()),
            (_, None) => Some("it has no stamp".to_owned()),
            (Body::Kept | Body::Newer, Some(_)) => None,
            (Body::ClaimOffered(offered), Some(stamp)) => {
                let told = offer::Told::new(origin, seq, stamp.corrected_ms(), offered);
                let terminal = origin.terminal;
                let fault = rules::key_fault(&told.sale, &terminal.store, &terminal.workstation);
                if fault.is_none() {
                    self.offers.push(told);
                }
                fault
            }
            (Body::Scan(scan), Some(stamp)) => match &scan.card {
                Some(card) => self.mention(card, scan.card_kind.as_deref(), stamp),
                None => None,
            },
            (Body::Transaction(sale), Some(stamp)) => self.sale(origin, seq, stamp, sale),
            (Body::Attribution(attribution), Some(stamp)) => {
                let kind = Some(attribution.card_kind.as_str());
                rules::key_fault(
                    &attribution.sale,
                    &origin.terminal.store,
                    &origin.terminal.workstation,
                )
                .or_else(|| self.mention(&attribution.card, kind, stamp))
                .or_else(|| {
                    self.attributions.push((seq, attribution));
                    None
                })
            }
            (Body::BindingRequested(request), Some(stamp)) => self
                .mention(&request.card, Some(request.card_kind.as_str()), stamp)
                .or_else(|| {
                    self.bindings.push((seq, stamp, request));
                    None
                }),
        };
        if let Some(reason) = fault {
            self.poisoned.push(poison(seq, &item.reading.kind, reason));
        }
    }

    fn sale(
        &mut self,
        origin: &Origin<'_>,
        seq: Seq,
        stamp: Stamp,
        sale: &'i RetailTransaction,
    ) -> Option<String> {
        let terminal = origin.terminal;
        let fault = rules::key_fault(&sale.key(), &terminal.store, &terminal.workstation)
            .or_else(|| rules::transaction_fault(sale));
        if fault.is_some() {
            return fault;
        }
        if let Some(card) = &sale.card {
            // The kind was judged with the rest of the sale.
            let _judged = self.mention(card, sale.card_kind.as_deref(), stamp);
        }
        self.sales.push(Told { seq, stamp, sale });
        None
    }

    fn mention(&mut self, card: &CardNumber, kind: Option<&str>, stamp: Stamp) -> Option<String> {
        let kind = kind.unwrap_or("number");
        let fault = rules::card_kind_fault(kind);
        if fault.is_none() {
            let mention = || Mention {
                kind: kind.to_owned(),
                seen_ms: stamp.corrected_ms(),
            };
            self.cards
                .entry(card.expose().to_owned())
                .or_insert_with(mention);
        }
        fault
    }
}

fn poison(seq: Seq, kind: &str, reason: String) -> Poisoned {
    Poisoned {
        seq,
        kind: kind.to_owned(),
        reason,
    }
}
