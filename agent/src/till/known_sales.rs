//! The sales that this terminal has recorded, so that a second source does not record them again.
//!
//! At most [`SALES_MAX`] are remembered, the newest business days first: a journal that comes back
//! after that is recorded again, and central tells by the natural key that it is the same sale.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tillbind_protocol::event::{RetailTransaction, SaleKey, TransactionKind};
use tillbind_protocol::ids::{CardNumber, Epoch, Seq};

/// Most sales remembered: about ten days of a busy till.
pub const SALES_MAX: usize = 10_000;

/// What is remembered of a sale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownSale {
    /// Its natural key.
    pub key: SaleKey,
    /// The epoch of its event.
    pub epoch: Epoch,
    /// The place of its first event.
    pub seq: Seq,
    /// What it told.
    #[serde(flatten)]
    pub told: Told,
}

/// What a sale told that a second source may add to or contradict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    kind: TransactionKind,
    currency: String,
    total_minor: i64,
    items: usize,
    card: Option<CardNumber>,
}

impl Told {
    fn by(sale: &RetailTransaction) -> Self {
        Self {
            kind: sale.kind,
            currency: sale.currency.clone(),
            total_minor: sale.total_minor,
            items: sale.items.len(),
            card: sale.card.clone(),
        }
    }

    /// Whether `later` says something that this does not.
    fn is_changed_by(&self, later: &Self) -> bool {
        self.kind != later.kind
            || self.currency != later.currency
            || self.total_minor != later.total_minor
            || (self.items == 0 && later.items > 0)
            || (later.card.is_some() && later.card != self.card)
    }
}

impl KnownSale {
    /// Returns the card that is known of it.
    pub fn card(&self) -> Option<&CardNumber> {
        self.told.card.as_ref()
    }
}

/// How a sale compares with those known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Not known.
    New,
    /// Known, and it says nothing more; the first event's place.
    Same(Seq),
    /// Known, and it says more or something else.
    Differs {
        /// The first event's place, if it stands in the present epoch.
        first: Option<Seq>,
        /// The card that is known.
        card: Option<CardNumber>,
    },
    /// An event of this sale is on its way to the disk.
    Pending,
}

#[derive(Debug)]
enum Entry {
    Recorded(KnownSale),
    Pending {
        before: Option<KnownSale>,
        told: Told,
    },
}

/// The sales that this terminal has recorded.
#[derive(Debug)]
pub struct KnownSales {
    epoch: Epoch,
    /// Ordered by business day first, which is the order of forgetting.
    sales: BTreeMap<(chrono::NaiveDate, SaleKey), Entry>,
}

impl KnownSales {
    /// Starts with what earlier runs recorded; `epoch` is the present one.
    pub fn new(epoch: Epoch, known: impl IntoIterator<Item = KnownSale>) -> Self {
        let sales = known
            .into_iter()
            .map(|sale| {
                (
                    (sale.key.business_day, sale.key.clone()),
                    Entry::Recorded(sale),
                )
            })
            .collect();
        Self { epoch, sales }
    }

    /// Learns a sale from its event, as it waits in the outbox at start.
    pub fn learn(&mut self, sale: &RetailTransaction, seq: Seq) -> KnownSale {
        let key = sale.key();
        let first = match self.sales.get(&place(&key)) {
            Some(Entry::Recorded(known)) => (known.epoch, known.seq),
            Some(Entry::Pending { .. }) | None => (self.epoch, seq),
        };
        let known = KnownSale {
            key,
            epoch: first.0,
            seq: first.1,
            told: Told::by(sale),
        };
        self.sales
            .insert(place(&known.key), Entry::Recorded(known.clone()));
        known
    }

    /// Takes note that the outbox began a new epoch: earlier places mean nothing in it.
    pub fn handle_epoch(&mut self, epoch: Epoch) {
        self.epoch = epoch;
    }

    pub(super) fn see(&self, sale: &RetailTransaction) -> Seen {
        match self.sales.get(&place(&sale.key())) {
            None => Seen::New,
            Some(Entry::Pending { .. }) => Seen::Pending,
            Some(Entry::Recorded(known)) if known.told.is_changed_by(&Told::by(sale)) => {
                Seen::Differs {
                    first: (known.epoch == self.epoch).then_some(known.seq),
                    card: known.told.card.clone(),
                }
            }
            Some(Entry::Recorded(known)) => Seen::Same(known.seq),
        }
    }

    pub(super) fn handle_pending(&mut self, sale: &RetailTransaction) {
        let place = place(&sale.key());
        let before = match self.sales.remove(&place) {
            Some(Entry::Recorded(known)) => Some(known),
            Some(Entry::Pending { before, .. }) => before,
            None => None,
        };
        self.sales.insert(
            place,
            Entry::Pending {
                before,
                told: Told::by(sale),
            },
        );
    }

    pub(super) fn handle_recorded(&mut self, key: &SaleKey, seq: Seq) -> Option<KnownSale> {
        let Some(Entry::Pending { before, told }) = self.sales.remove(&place(key)) else {
            return None;
        };
        let (epoch, seq) = before.map_or((self.epoch, seq), |first| (first.epoch, first.seq));
        let known = KnownSale {
            key: key.clone(),
            epoch,
            seq,
            told,
        };
        self.sales
            .insert(place(key), Entry::Recorded(known.clone()));
        Some(known)
    }

    pub(super) fn handle_lost(&mut self, key: &SaleKey) {
        if let Some(Entry::Pending {
            before: Some(before),
            ..
        }) = self.sales.remove(&place(key))
        {
            self.sales.insert(place(key), Entry::Recorded(before));
        }
    }

    /// Learns a late card from its event, as it waits in the outbox at start.
    pub fn learn_card(&mut self, key: &SaleKey, card: &CardNumber) {
        self.handle_card_added(key, card);
    }

    pub(super) fn handle_card_added(&mut self, key: &SaleKey, card: &CardNumber) {
        match self.sales.get_mut(&place(key)) {
            Some(Entry::Recorded(KnownSale { told, .. }) | Entry::Pending { told, .. }) => {
                told.card = Some(card.clone());
            }
            None => {}
        }
    }

    /// Returns what is remembered of a recorded sale.
    pub fn get(&self, key: &SaleKey) -> Option<&KnownSale> {
        match self.sales.get(&place(key)) {
            Some(Entry::Recorded(known)) => Some(known),
            Some(Entry::Pending { .. }) | None => None,
        }
    }

    /// Forgets what is beyond [`SALES_MAX`], the oldest business days first; returns what it was.
    pub fn evict(&mut self) -> Vec<SaleKey> {
        let mut evicted = Vec::new();
        while self.sales.len() > SALES_MAX
            && let Some(((_, key), _)) = self.sales.pop_first()
        {
            evicted.push(key);
        }
        evicted
    }
}

fn place(key: &SaleKey) -> (chrono::NaiveDate, SaleKey) {
    (key.business_day, key.clone())
}
