//! Baskets: which card belongs to which sale, and which account to which card.
//!
//! The rules, each with a test of its own in `till/tests.rs`:
//!
//! 1. A scanned card is held for the next sale that ends, for `card_before_sale` at most. A card that
//!    no sale follows expires; its scan stands by itself.
//! 2. Of several cards before the end of a sale the last counts; every scan is recorded, and the
//!    basket shows how many there were.
//! 3. A sale that ended without a card stays open for `card_after_sale`. A card scanned in that time
//!    belongs to it (an `attribution`), unless a sign of the next basket came first: goods, an unknown
//!    code, a member code, the end of another sale.
//! 4. A card that the source itself names counts over a scanned one.
//! 5. A cancelled sale carries the held card and the card is dropped: it must not pass to the next
//!    customer. Voiding a sale that is known already leaves the present basket alone.
//! 6. A sale in training takes the held card and earns nothing; it stays open for no card.
//! 7. The same sale from a second source is known by its natural key. If it adds nothing there is no
//!    second event; if it adds a card or lines, or contradicts what was told, an event amends the first.
//! 8. A verified member code and a card within `code_beside_card` of one another in the same basket,
//!    in either order, ask for a binding, once per code: its nonce is remembered until it has expired.
//!    A card that went to the sale just ended (rule 3) still stands beside a code for
//!    `card_after_sale`, unless a sign of the next basket came first.
//! 9. A basket ends with its sale. What follows belongs to the next, save for rule 3.
//! 10. A sale that was paid for real and has no card, or a card without a member, may bear a claim code
//!     on its receipt. Each sale has one code, however often its receipt is printed.
//!
//! Nothing here reads a clock: `now` is the caller's time since the machine started, sleep
//! included, so that what was at hand before a night's sleep is not at hand after it.

pub mod basket;
pub mod claims;
pub mod conversion;
pub mod known_sales;
pub mod member_codes;

use tillbind_protocol::clock::Uptime;
use tillbind_protocol::event::{Attribution, RetailTransaction, SaleKey};
use tillbind_protocol::ids::{Epoch, Seq};

pub use basket::{Basket, BasketView, MemberCard};
pub use claims::{ClaimKey, is_claimable};
pub use known_sales::{KnownSale, KnownSales, Seen};
pub use member_codes::{Binding, MemberCodes, VerifiedCode};

use crate::config::TillConfig;

/// Length of the random number that names a binding request, in bytes.
pub const BINDING_ID_BYTES: usize = 16;

/// The till as its devices tell it.
#[derive(Debug)]
pub struct Till {
    basket: Basket,
    sales: KnownSales,
}

/// What follows from a scanned card besides its scan.
#[derive(Debug, PartialEq)]
pub struct CardOutcome {
    /// It belongs to the sale that has just ended.
    pub attribution: Option<Attribution>,
    /// It stands beside a member code.
    pub binding: Option<Binding>,
}

/// What a sale came to.
#[derive(Debug, PartialEq)]
pub enum SaleOutcome {
    /// An event to record; it carries the card, and says if it amends an earlier one. Call
    /// [`Till::handle_recorded`] or [`Till::handle_lost`] once it is known whether it is durable.
    Record(Box<RetailTransaction>),
    /// It was told before and adds nothing: this is the first event's place.
    Known(Seq),
    /// It was told before and that event is not durable yet: ask again once it is.
    Undecided,
}

impl Till {
    /// Starts with an empty basket and the sales that earlier runs recorded.
    pub fn new(config: TillConfig, sales: KnownSales) -> Self {
        Self {
            basket: Basket::new(config),
            sales,
        }
    }

    /// Takes a scanned card and returns what follows from it besides the scan. `binding_id` is random.
    pub fn handle_card(
        &mut self,
        card: &MemberCard,
        binding_id: [u8; BINDING_ID_BYTES],
        now: Uptime,
    ) -> CardOutcome {
        let (sale, code) = self.basket.handle_card(card, now);
        if let Some(sale) = &sale {
            self.sales.handle_card_added(sale, &card.number);
        }
        CardOutcome {
            attribution: sale.map(|sale| Attribution {
                sale,
                card: card.number.clone(),
                card_kind: card.kind.clone(),
            }),
            binding: code.and_then(|code| Binding::new(binding_id, card, &code)),
        }
    }

    /// Takes a verified member code and returns the binding that follows from it, if a card is at
    /// hand. `binding_id` is random.
    pub fn handle_code(
        &mut self,
        code: VerifiedCode,
        binding_id: [u8; BINDING_ID_BYTES],
        now: Uptime,
    ) -> Option<Binding> {
        let (card, code) = self.basket.handle_code(code, now)?;
        Binding::new(binding_id, &card, &code)
    }

    /// Takes note that the POS gave the basket up without a transaction: its card goes with it.
    pub fn handle_given_up(&mut self) {
        self.basket.handle_given_up();
    }

    /// Takes note of goods or an unknown code: the next basket has begun.
    pub fn handle_goods(&mut self, now: Uptime) {
        self.basket.handle_goods(now);
    }

    /// Takes a finished sale.
    pub fn handle_sale(&mut self, mut sale: RetailTransaction, now: Uptime) -> SaleOutcome {
        match self.sales.see(&sale) {
            Seen::Same(seq) => SaleOutcome::Known(seq),
            Seen::Pending => SaleOutcome::Undecided,
            Seen::Differs { first, card } => {
                if sale.card.is_none() {
                    sale.card = card;
                } else {
                    self.basket.handle_card_told(&sale.key());
                }
                sale.amends = first;
                self.sales.handle_pending(&sale);
                SaleOutcome::Record(Box::new(sale))
            }
            Seen::New => {
                self.basket.handle_sale(&mut sale, now);
                self.sales.handle_pending(&sale);
                SaleOutcome::Record(Box::new(sale))
            }
        }
    }

    /// Takes note that the event of a sale is durable at `seq`, and returns what to remember of it.
    pub fn handle_recorded(&mut self, key: &SaleKey, seq: Seq) -> Option<KnownSale> {
        self.sales.handle_recorded(key, seq)
    }

    /// Takes note that the event of a sale could not be made durable: it was never seen, and its card
    /// waits again.
    pub fn handle_lost(&mut self, sale: &RetailTransaction, now: Uptime) {
        self.sales.handle_lost(&sale.key());
        self.basket.handle_sale_lost(sale, now);
    }

    /// Returns what the cashier sees.
    pub fn basket(&mut self, now: Uptime) -> BasketView {
        self.basket.view(now)
    }

    /// Takes note that the outbox began a new epoch.
    pub fn handle_epoch(&mut self, epoch: Epoch) {
        self.sales.handle_epoch(epoch);
    }

    /// Returns what is remembered of a sale.
    pub fn known_sale(&self, key: &SaleKey) -> Option<&KnownSale> {
        self.sales.get(key)
    }

    /// Returns the sales to forget so that memory stays bounded.
    pub fn evict_sales(&mut self) -> Vec<SaleKey> {
        self.sales.evict()
    }
}

#[cfg(test)]
mod tests;
