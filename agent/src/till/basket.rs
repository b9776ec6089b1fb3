//! The basket under way: the card and the member code at hand, and the sale that has just ended.

use std::time::Duration;

use tillbind_protocol::clock::Uptime;
use tillbind_protocol::event::{RetailTransaction, SaleKey, TransactionKind};
use tillbind_protocol::ids::CardNumber;

use super::member_codes::VerifiedCode;
use crate::config::TillConfig;

/// A membership card that was scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberCard {
    /// Its number.
    pub number: CardNumber,
    /// Kind of the number, as in events.
    pub kind: String,
}

/// What the cashier sees of the basket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasketView {
    /// The card held for the next sale, and how long ago it was scanned.
    pub card: Option<(MemberCard, Duration)>,
    /// How many different cards were scanned in this basket; the last counts.
    pub cards_seen: u32,
    /// The member code at hand, and how long ago it was scanned.
    pub code: Option<(VerifiedCode, Duration)>,
    /// The ended sale that still waits for a card, and for how long it will.
    pub open_sale: Option<(SaleKey, Duration)>,
}

#[derive(Debug)]
struct Held<T> {
    what: T,
    at: Uptime,
}

/// The basket under way.
#[derive(Debug)]
pub struct Basket {
    config: TillConfig,
    card: Option<Held<MemberCard>>,
    cards_seen: u32,
    code: Option<Held<VerifiedCode>>,
    open_sale: Option<Held<SaleKey>>,
    /// The card that went to the ended sale, for a code that its shopper shows right after it.
    attributed: Option<Held<MemberCard>>,
}

impl Basket {
    pub(super) fn new(config: TillConfig) -> Self {
        Self {
            config,
            card: None,
            cards_seen: 0,
            code: None,
            open_sale: None,
            attributed: None,
        }
    }

    /// Takes a card. Returns the ended sale that it belongs to, if any, and the code that it stands
    /// beside, if any; the code is used up.
    pub(super) fn handle_card(
        &mut self,
        card: &MemberCard,
        now: Uptime,
    ) -> (Option<SaleKey>, Option<VerifiedCode>) {
        self.expire(now);
        let code = self.code.take().map(|held| held.what);
        self.attributed = None;
        if let Some(sale) = self.open_sale.take() {
            if code.is_none() {
                self.attributed = Some(Held {
                    what: card.clone(),
                    at: now,
                });
            }
            return (Some(sale.what), code);
        }
        if self
            .card
            .as_ref()
            .is_none_or(|held| held.what.number != card.number)
        {
            self.cards_seen = self.cards_seen.saturating_add(1);
        }
        self.card = Some(Held {
            what: card.clone(),
            at: now,
        });
        (None, code)
    }

    /// Takes a code. Returns the card that it stands beside, if any, and gives the code back then.
    pub(super) fn handle_code(
        &mut self,
        code: VerifiedCode,
        now: Uptime,
    ) -> Option<(MemberCard, VerifiedCode)> {
        self.expire(now);
        self.begin_next();
        if let Some(card) = self.attributed.take() {
            return Some((card.what, code));
        }
        let beside = self.config.code_beside_card;
        match &self.card {
            Some(card) if now.since(card.at) <= beside => Some((card.what.clone(), code)),
            Some(_) | None => {
                self.code = Some(Held {
                    what: code,
                    at: now,
                });
                None
            }
        }
    }

    pub(super) fn handle_goods(&mut self, now: Uptime) {
        self.expire(now);
        self.begin_next();
        self.attributed = None;
    }

    /// Ends the basket with a sale that is told for the first time, and gives the sale its card.
    pub(super) fn handle_sale(&mut self, sale: &mut RetailTransaction, now: Uptime) {
        self.expire(now);
        self.begin_next();
        self.attributed = None;
        let held = self.card.take();
        self.cards_seen = 0;
        if sale.card.is_none()
            && let Some(card) = held
        {
            sale.card = Some(card.what.number);
            sale.card_kind = Some(card.what.kind);
        }
        let waits_for_card = sale.card.is_none()
            && !sale.training
            && match sale.kind {
                TransactionKind::Sale | TransactionKind::Return => true,
                TransactionKind::Void => false,
            };
        if waits_for_card {
            self.open_sale = Some(Held {
                what: sale.key(),
                at: now,
            });
        } else {
            self.code = None;
        }
    }

    /// The POS gave the basket up without a transaction.
    pub(super) fn handle_given_up(&mut self) {
        self.card = None;
        self.cards_seen = 0;
        self.code = None;
        self.open_sale = None;
        self.attributed = None;
    }

    /// A second source named the card of a sale that still waited for one.
    pub(super) fn handle_card_told(&mut self, sale: &SaleKey) {
        if self
            .open_sale
            .as_ref()
            .is_some_and(|open| open.what == *sale)
        {
            self.begin_next();
        }
    }

    /// The sale could not be recorded: the till will tell it again, so its card waits for it.
    pub(super) fn handle_sale_lost(&mut self, sale: &RetailTransaction, now: Uptime) {
        self.handle_card_told(&sale.key());
        if self.card.is_none()
            && let (Some(number), Some(kind)) = (&sale.card, &sale.card_kind)
        {
            let card = MemberCard {
                number: number.clone(),
                kind: kind.clone(),
            };
            self.card = Some(Held {
                what: card,
                at: now,
            });
            self.cards_seen = 1;
        }
    }

    pub(super) fn view(&mut self, now: Uptime) -> BasketView {
        self.expire(now);
        let age = |at: Uptime| now.since(at);
        let after = self.config.card_after_sale;
        BasketView {
            card: self
                .card
                .as_ref()
                .map(|held| (held.what.clone(), age(held.at))),
            cards_seen: self.cards_seen,
            code: self
                .code
                .as_ref()
                .map(|held| (held.what.clone(), age(held.at))),
            open_sale: self
                .open_sale
                .as_ref()
                .map(|held| (held.what.clone(), after.saturating_sub(age(held.at)))),
        }
    }

    /// The sale that waited for a card waits no longer, and the code of its basket goes with it.
    fn begin_next(&mut self) {
        if self.open_sale.take().is_some() {
            self.code = None;
        }
    }

    fn expire(&mut self, now: Uptime) {
        let older = |at: Uptime, than: Duration| now.since(at) > than;
        if self
            .open_sale
            .as_ref()
            .is_some_and(|held| older(held.at, self.config.card_after_sale))
        {
            self.begin_next();
        }
        if self
            .attributed
            .as_ref()
            .is_some_and(|held| older(held.at, self.config.card_after_sale))
        {
            self.attributed = None;
        }
        if self
            .card
            .as_ref()
            .is_some_and(|held| older(held.at, self.config.card_before_sale))
        {
            self.card = None;
            self.cards_seen = 0;
        }
        if self
            .code
            .as_ref()
            .is_some_and(|held| older(held.at, self.config.code_beside_card))
        {
            self.code = None;
        }
    }
}
