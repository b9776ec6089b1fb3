//! One sale told more than once: what a later observation adds, and what it contradicts.
//!
//! A void of a known sale voids it: the sale keeps its lines and its total and turns into kind
//! `void`, and the points that it earned go back. A sale that is told again after its void stays
//! void: sources arrive in any order.
//!
//! A sale that was claimed for its account before it had a card keeps that account: a card that is told
//! later stands in the sale, and earns nothing by it.

use tillbind_protocol::event::{RetailTransaction, TransactionKind};
use tillbind_protocol::ids::{AccountRef, CardNumber};

/// What is known of a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Kind by its stable name.
    pub kind: String,
    /// Currency.
    pub currency: String,
    /// Total, in minor units.
    pub total_minor: i64,
    /// Whether it was training.
    pub training: bool,
    /// Its card.
    pub card: Option<CardNumber>,
    /// The account that claimed it before it had a card.
    pub account: Option<AccountRef>,
    /// Whether lines are known.
    pub has_items: bool,
    /// Whether tenders are known.
    pub has_tenders: bool,
    /// Names of the sources that told it.
    pub sources: Vec<String>,
}

/// What an observation adds. Begin and end fill what is missing without a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Additions {
    /// A card, where there was none.
    pub card: Option<CardNumber>,
    /// Whether its lines are taken.
    pub items: bool,
    /// Whether its tenders are taken.
    pub tenders: bool,
    /// Whether it voids the sale.
    pub voids: bool,
    /// The sources with this one.
    pub sources: Vec<String>,
}

/// Compares an observation with what is known.
///
/// # Errors
/// What contradicts, for headquarters.
pub fn merge(known: &Known, seen: &RetailTransaction) -> Result<Additions, String> {
    let is_void = |kind: &str| kind == TransactionKind::Void.as_str();
    let (was_void, now_void) = (is_void(&known.kind), is_void(seen.kind.as_str()));
    if known.training != seen.training {
        return Err("the same sale is known with another training mark".to_owned());
    }
    if !was_void && !now_void {
        if known.kind != seen.kind.as_str() {
            return Err(format!(
                "the same sale is known as a {}, this says {}",
                known.kind,
                seen.kind.as_str()
            ));
        }
        if known.currency != seen.currency || known.total_minor != seen.total_minor {
            return Err(format!(
                "the same sale is known with a total of {} {}, this says {} {}",
                known.total_minor, known.currency, seen.total_minor, seen.currency
            ));
        }
    }
    let card = match (&known.card, &seen.card) {
        (Some(known), Some(seen)) if known != seen => {
            return Err("the same sale is known with another card".to_owned());
        }
        (Some(_), _) | (None, None) => None,
        (None, Some(seen)) => Some(seen.clone()),
    };
    let mut sources = known.sources.clone();
    if !sources.iter().any(|source| source == seen.source.as_str()) {
        sources.push(seen.source.as_str().to_owned());
    }
    Ok(Additions {
        card,
        items: !known.has_items && !seen.items.is_empty(),
        tenders: !known.has_tenders && !seen.tenders.is_empty(),
        voids: now_void && !was_void,
        sources,
    })
}

/// Returns whether a sale earns points.
pub fn earns(kind: &str, training: bool) -> bool {
    let earning = [TransactionKind::Sale, TransactionKind::Return];
    !training && earning.iter().any(|earning| earning.as_str() == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(kind: &str, total_minor: i64, card: Option<&str>) -> RetailTransaction {
        let sale = serde_json::json!({"store":"S1","workstation":"1","business_day":"2026-09-01",
            "sequence":"7","type":kind,"currency":"CNY","total_minor":total_minor,
            "card":card,"source":"poslog",
            "items":[{"line":1,"quantity":"1","unit_price_minor":5,"amount_minor":5}]});
        serde_json::from_value(sale).unwrap()
    }

    fn known() -> Known {
        Known {
            kind: "sale".into(),
            currency: "CNY".into(),
            total_minor: 5,
            training: false,
            card: None,
            account: None,
            has_items: false,
            has_tenders: true,
            sources: vec!["tap".into()],
        }
    }

    #[test]
    fn a_second_source_fills_what_was_missing_and_nothing_else() {
        let added = merge(&known(), &seen("sale", 5, Some("2900000000017"))).unwrap();
        assert!(added.card.is_some() && added.items && !added.tenders && !added.voids);
        assert_eq!(added.sources, ["tap", "poslog"]);
    }

    #[test]
    fn another_total_kind_card_or_training_mark_contradicts() {
        assert!(merge(&known(), &seen("sale", 6, None)).is_err());
        assert!(merge(&known(), &seen("return", 5, None)).is_err());
        let carded = Known {
            card: Some(CardNumber::new("1").unwrap()),
            ..known()
        };
        assert!(merge(&carded, &seen("sale", 5, Some("2"))).is_err());
        assert!(merge(&carded, &seen("sale", 5, None)).is_ok());
        let training = Known {
            training: true,
            ..known()
        };
        assert!(merge(&training, &seen("sale", 5, None)).is_err());
    }

    #[test]
    fn a_void_voids_once_and_a_sale_told_after_it_does_not_come_back() {
        assert!(merge(&known(), &seen("void", 0, None)).unwrap().voids);
        let voided = Known {
            kind: "void".into(),
            ..known()
        };
        assert!(!merge(&voided, &seen("void", 0, None)).unwrap().voids);
        assert!(!merge(&voided, &seen("sale", 5, None)).unwrap().voids);
        assert!(!earns("void", false) && !earns("sale", true) && earns("return", false));
    }
}
