//! One transaction as a tree of the elements that are read, and nothing else.
//!
//! What is kept is listed by name; all other elements are passed over with all that they hold. In
//! a payment only its amounts are listed, so that no card number, track or authorisation reaches
//! any structure.

use std::io::BufRead;

use super::markup::{Markup, Tag, Token, Vocabulary};
use super::text::Position;
use super::{Limit, PosLogError};

/// Bytes of one transaction in the source, receipt image and all; a larger one is refused.
const TRANSACTION_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Elements kept of one transaction (a basket of a thousand lines has about 25,000); a transaction
/// with more is refused.
const ELEMENTS_MAX: usize = 100_000;

/// Bytes of text kept in one element; a longer number, name or date is refused with its
/// transaction.
const TEXT_BYTES_MAX: usize = 4 * 1024;

/// Attributes that are read, by local name.
pub(super) const ATTRIBUTES: &[&str] = &[
    "Action",
    "CancelFlag",
    "Currency",
    "CurrencyCode",
    "ID",
    "Level",
    "ReasonCode",
    "RoundingDirection",
    "SuspendFlag",
    "SuspendedFlag",
    "TaxIncludedInTaxableAmountFlag",
    "TenderType",
    "TotalType",
    "TrainingModeFlag",
    "TransactionStatus",
    "TypeCode",
    "VoidFlag",
    "detailedData",
    "summarizedActivity",
];

/// Elements that are read inside a payment: amounts alone.
const PAYMENT_ELEMENTS: &[&str] = &["Amount", "Cashback", "Rounding", "TenderChange"];

/// Elements that are read elsewhere.
const ELEMENTS: &[&str] = &[
    "ActualSalesUnitPrice",
    "Amount",
    "BeginDateTime",
    "BusinessDayDate",
    "BusinessUnit",
    "ControlTransaction",
    "CreateNumber",
    "CreateRefNumber",
    "CurrencyCode",
    "Customer",
    "CustomerID",
    "CustomerOrderTransaction",
    "Description",
    "Discount",
    "DiscountAmount",
    "EndDateTime",
    "ExtendedAmount",
    "ExtendedDiscountAmount",
    "ExtendedRewardAmount",
    "ItemID",
    "ItemLink",
    "LineItem",
    "LoyaltyAccount",
    "LoyaltyAccountID",
    "LoyaltyID",
    "LoyaltyMembership",
    "LoyaltyProgram",
    "LoyaltyReward",
    "MembershipID",
    "MerchandiseHierarchy",
    "POSIdentity",
    "POSItemID",
    "POSLogDateTime",
    "PromotionID",
    "Quantity",
    "ReceiptDateTime",
    "ReceiptNumber",
    "RegularSalesUnitPrice",
    "RetailPriceModifier",
    "RetailStoreID",
    "RetailTransaction",
    "Return",
    "ReturnForDelivery",
    "ReturnForPickup",
    "RewardCategory",
    "Sale",
    "SaleForDelivery",
    "SaleForPickup",
    "SequenceNumber",
    "Tax",
    "TaxableAmount",
    "Tender",
    "TenderChange",
    "Total",
    "TransactionLink",
    "UnitID",
    "UnitListPrice",
    "WorkstationID",
];

/// An element that is kept.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) at: Position,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    fn new(tag: Tag) -> Self {
        Self {
            name: tag.local,
            at: tag.at,
            attributes: tag.attributes,
            text: String::new(),
            children: Vec::new(),
        }
    }

    /// Returns the text without white space around it.
    pub(super) fn text(&self) -> &str {
        self.text.trim()
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let (_, value) = self.attributes.iter().find(|(key, _)| key == name)?;
        Some(value)
    }

    /// Returns whether the flag stands there as `true` or `1`.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.attribute(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
    }

    pub(super) fn children(&self) -> impl DoubleEndedIterator<Item = &Element> {
        self.children.iter()
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Returns the text of the first child of that name, if it has any.
    pub(super) fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name)
            .map(Element::text)
            .filter(|text| !text.is_empty())
    }

    /// Returns the elements of that name at any depth, in the order of the source.
    pub(super) fn descendants<'a>(&'a self, name: &'a str) -> Vec<&'a Element> {
        let mut found = Vec::new();
        let mut waiting: Vec<&Element> = self.children.iter().rev().collect();
        while let Some(element) = waiting.pop() {
            if element.name == name {
                found.push(element);
            }
            waiting.extend(element.children.iter().rev());
        }
        found
    }
}

/// Returns whether `tag` is of ARTS' own words, in a file that is written in `root`.
pub(super) fn is_arts(tag: &Tag, root: Vocabulary) -> bool {
    tag.vocabulary == Vocabulary::Arts
        || (root == Vocabulary::Bare && tag.vocabulary == Vocabulary::Bare)
}

/// Why a transaction's tree could not be made.
pub(super) enum Broken {
    /// Its text is at fault; the reader has to resume.
    Fault(PosLogError),
    /// Another transaction starts inside it.
    Overrun(PosLogError, Box<Tag>),
}

/// A transaction as far as it was read: the elements that are open, the outermost first.
struct Tree {
    parents: Vec<Element>,
    current: Element,
}

impl Tree {
    fn transaction(&self) -> &Element {
        self.parents.first().unwrap_or(&self.current)
    }
}

/// Reads the transaction whose tag was just read, to its end; where that fails, `number` is set to
/// the transaction's, as far as it was read.
pub(super) fn read_transaction<R: BufRead>(
    markup: &mut Markup<R>,
    tag: Tag,
    root: Vocabulary,
    number: &mut Option<String>,
) -> Result<Element, Broken> {
    let mut tree = Tree {
        parents: Vec::new(),
        current: Element::new(tag),
    };
    let read = grow(markup, &mut tree, root);
    if read.is_err() {
        let text = |name| tree.transaction().child_text(name);
        let found = text("SequenceNumber").or_else(|| text("ReceiptNumber"));
        *number = found.map(str::to_owned);
    }
    read.map(|()| tree.current)
}

fn grow<R: BufRead>(
    markup: &mut Markup<R>,
    tree: &mut Tree,
    root: Vocabulary,
) -> Result<(), Broken> {
    let Tree { parents, current } = tree;
    let began = current.at;
    let mut kept = 0usize;
    let mut skipped_depth = 0usize;
    let mut in_payment = 0usize;
    loop {
        let skips = skipped_depth > 0;
        let wanted = if skips { &[] } else { ATTRIBUTES };
        let token = markup.next(wanted, !skips).map_err(Broken::Fault)?;
        let too_large = |limit| Broken::Fault(PosLogError::TooLarge { at: began, limit });
        if markup.reached().byte - began.byte > TRANSACTION_BYTES_MAX {
            return Err(too_large(Limit::TransactionBytes));
        }
        match token {
            Token::Open(tag) if tag.local == "Transaction" && is_arts(&tag, root) => {
                let problem = "a transaction starts inside another, which has no end".to_owned();
                return Err(Broken::Overrun(
                    PosLogError::NotWellFormed {
                        at: tag.at,
                        problem,
                    },
                    Box::new(tag),
                ));
            }
            Token::Open(mut tag) => {
                if skipped_depth > 0 || !is_kept(&tag, root, in_payment > 0) {
                    skipped_depth += 1;
                    continue;
                }
                kept += 1;
                if kept > ELEMENTS_MAX {
                    return Err(too_large(Limit::Elements));
                }
                in_payment += usize::from(is_payment(&tag.local));
                if in_payment > 0 {
                    tag.attributes.retain(|(key, _)| key != "ID");
                }
                parents.push(std::mem::replace(current, Element::new(tag)));
            }
            Token::Text(text) => {
                if current.text.len() + text.len() > TEXT_BYTES_MAX {
                    // White space between children is no text to keep.
                    if text.trim().is_empty() {
                        continue;
                    }
                    return Err(too_large(Limit::Text));
                }
                current.text.push_str(&text);
            }
            Token::Close if skipped_depth > 0 => skipped_depth -= 1,
            Token::Close => {
                in_payment -= usize::from(is_payment(&current.name));
                let Some(parent) = parents.pop() else {
                    return Ok(());
                };
                let closed = std::mem::replace(current, parent);
                current.children.push(closed);
            }
            Token::End => return Err(Broken::Fault(PosLogError::Truncated { at: markup.at() })),
        }
    }
}

fn is_payment(name: &str) -> bool {
    matches!(name, "Tender" | "TenderChange")
}

fn is_kept(tag: &Tag, root: Vocabulary, in_payment: bool) -> bool {
    let name = tag.local.as_str();
    if in_payment {
        return is_arts(tag, root) && PAYMENT_ELEMENTS.contains(&name);
    }
    if tag.vocabulary == Vocabulary::Acs {
        return matches!(
            name,
            "LoyaltyMembership"
                | "LoyaltyID"
                | "MembershipID"
                | "RewardCategory"
                | "ExtendedRewardAmount"
        );
    }
    // A kind of transaction that is not known here still says that the transaction is not retail.
    is_arts(tag, root) && (ELEMENTS.contains(&name) || name.ends_with("Transaction"))
}
