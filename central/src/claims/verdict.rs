//! Whether a sale may be claimed: a function of the facts.

use tillbind_protocol::event::TransactionKind;
use tillbind_protocol::ids::CardNumber;

/// A sale, as far as claiming it needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sale {
    /// Kind by its stable name.
    pub(super) kind: String,
    pub(super) training: bool,
    pub(super) card: Option<CardNumber>,
    pub(super) total_minor: i64,
}

/// What a verdict depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) sale: Sale,
    /// When the code was printed, in milliseconds.
    pub(super) offered_ms: i64,
    /// Codes that were printed before this are expired.
    pub(super) offered_since_ms: i64,
    /// Whether another code of the sale was redeemed.
    pub(super) claimed: bool,
}

/// What is claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Claimed {
    /// The sale's card.
    Card(CardNumber),
    /// The sale, which has none.
    Sale {
        /// What was paid, in minor units.
        total_minor: i64,
    },
}

/// Why a sale cannot be claimed. The text is for the shopper and names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("it has expired")]
    Expired,
    #[error("its sale was claimed already, by another code")]
    Claimed,
    #[error("its sale was voided")]
    Voided,
    #[error("it is from a return, which earns nothing")]
    Return,
    #[error("it is from a training, not from a sale")]
    Training,
    #[error("headquarters does not know its account")]
    NoAccount,
    #[error("the name of its binding stands for another one")]
    NameTaken,
}

/// Gives the verdict.
pub(super) fn judge(facts: Facts) -> Result<Claimed, Refusal> {
    if facts.offered_ms < facts.offered_since_ms {
        return Err(Refusal::Expired);
    }
    if facts.sale.training {
        return Err(Refusal::Training);
    }
    if facts.sale.kind == TransactionKind::Void.as_str() {
        return Err(Refusal::Voided);
    }
    if facts.sale.kind == TransactionKind::Return.as_str() {
        return Err(Refusal::Return);
    }
    if facts.claimed {
        return Err(Refusal::Claimed);
    }
    Ok(match facts.sale.card {
        Some(card) => Claimed::Card(card),
        None => Claimed::Sale {
            total_minor: facts.sale.total_minor,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            sale: Sale {
                kind: "sale".into(),
                training: false,
                card: None,
                total_minor: 1_000,
            },
            offered_ms: 100,
            offered_since_ms: 100,
            claimed: false,
        }
    }

    #[test]
    fn a_sale_is_claimed_by_its_card_if_it_has_one() {
        let claimed = Claimed::Sale { total_minor: 1_000 };
        assert_eq!(judge(facts()), Ok(claimed));
        let card = CardNumber::new("2900000000017").unwrap();
        let mut carded = facts();
        carded.sale.card = Some(card.clone());
        assert_eq!(judge(carded), Ok(Claimed::Card(card)));
    }

    #[test]
    fn what_is_no_sale_any_more_or_was_claimed_or_is_too_old_is_refused() {
        type Change = fn(&mut Facts);
        let changes: [(Change, Refusal); 5] = [
            (|f| f.offered_ms = 99, Refusal::Expired),
            (|f| f.claimed = true, Refusal::Claimed),
            (|f| f.sale.kind = "void".into(), Refusal::Voided),
            (|f| f.sale.kind = "return".into(), Refusal::Return),
            (|f| f.sale.training = true, Refusal::Training),
        ];
        for (change, refusal) in changes {
            let mut facts = facts();
            change(&mut facts);
            assert_eq!(judge(facts), Err(refusal));
        }
    }
}
