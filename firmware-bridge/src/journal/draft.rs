//! A transaction as texts, before the rules make a sale of it.

use rust_decimal::Decimal;
use rust_decimal::RoundingStrategy;
use rust_decimal::prelude::ToPrimitive;
use zeroize::Zeroize;

use super::value::{KindMeaning, ValueRules, is_set};
use crate::money::Currency;
use crate::sale::{Imbalance, Item, Sale, SaleKind, Tender};

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$of])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the name in the settings.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Finds one by its name in the settings.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == text)
            }
        }
    };
}

names! {
    /// What a journal may tell of a transaction.
    Field {
        /// The POS's number for the store.
        Store = "store",
        /// The POS's number for the till.
        Workstation = "workstation",
        /// Business day.
        BusinessDay = "business_day",
        /// Number of the receipt.
        Sequence = "sequence",
        /// Sale, return or void, in the POS's word.
        Kind = "kind",
        /// Begin, with date.
        BeganAt = "began_at",
        /// End, with date.
        EndedAt = "ended_at",
        /// Date of the end, where it stands apart from the time.
        Date = "date",
        /// Time of day of the end.
        Time = "time",
        /// Currency (ISO 4217).
        Currency = "currency",
        /// What the customer owed.
        Total = "total",
        /// All discounts.
        Discount = "discount",
        /// Tax.
        Tax = "tax",
        /// Whether the lines hold the tax.
        TaxIncluded = "tax_included",
        /// Change given back, as a positive amount.
        Change = "change",
        /// Membership number.
        Card = "card",
        /// Mark of the training mode.
        Training = "training",
        /// Mark of a transaction that was voided.
        Voided = "voided",
    }
}

names! {
    /// What a journal may tell of a line of goods.
    ItemField {
        /// Number of the line.
        Line = "line",
        /// Number of the goods.
        ItemId = "item_id",
        /// Text.
        Description = "description",
        /// Quantity.
        Quantity = "quantity",
        /// Price of one unit.
        UnitPrice = "unit_price",
        /// Amount of the line.
        Amount = "amount",
        /// Discount of the line.
        Discount = "discount",
        /// Department.
        Department = "department",
        /// Mark of a line that was voided.
        Voided = "voided",
    }
}

names! {
    /// What a journal may tell of a payment.
    TenderField {
        /// How it was paid, in the POS's word.
        Kind = "kind",
        /// Amount.
        Amount = "amount",
    }
}

/// Texts by what they mean; each at most once.
#[derive(Clone)]
pub(super) struct Texts<F>(Vec<(F, String)>);

impl<F: Copy + PartialEq> Texts<F> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// Keeps the first text that says something.
    pub(super) fn set(&mut self, field: F, text: &str) {
        if !text.trim().is_empty() && self.get(field).is_none() {
            self.0.push((field, text.trim().to_owned()));
        }
    }

    pub(super) fn get(&self, field: F) -> Option<&str> {
        self.0
            .iter()
            .find(|(of, _)| *of == field)
            .map(|(_, text)| text.as_str())
    }

    fn owned(&self, field: F) -> Option<String> {
        self.get(field).map(str::to_owned)
    }

    fn is_set(&self, field: F) -> bool {
        self.get(field).is_some_and(is_set)
    }
}

impl<F> Drop for Texts<F> {
    fn drop(&mut self) {
        // A card's number may be among them.
        for (_, text) in &mut self.0 {
            text.zeroize();
        }
    }
}

/// A transaction as texts.
pub(super) struct Draft {
    pub(super) fields: Texts<Field>,
    pub(super) items: Vec<Texts<ItemField>>,
    pub(super) tenders: Vec<Texts<TenderField>>,
    /// Discounts of the whole that stand in lines of their own.
    pub(super) discounts: Vec<String>,
    /// Whether the source tells payments at all; where it does not, they prove nothing.
    pub(super) tells_tenders: bool,
}

impl Draft {
    pub(super) fn new(tells_tenders: bool) -> Self {
        Self {
            fields: Texts::new(),
            items: Vec::new(),
            tenders: Vec::new(),
            discounts: Vec::new(),
            tells_tenders,
        }
    }

    /// Makes the sale; `None` where its kind is passed over.
    pub(super) fn settle(&self, rules: &ValueRules) -> Result<Option<Sale>, String> {
        let meaning = self
            .fields
            .get(Field::Kind)
            .map(|word| rules.kind(word))
            .transpose()?;
        let stated = match meaning {
            Some(KindMeaning::Skipped) => return Ok(None),
            Some(KindMeaning::Is(kind)) => Some(kind),
            None => None,
        };
        let mut sale = self.read(rules, stated)?;
        let voided = stated == Some(SaleKind::Void) || self.fields.is_set(Field::Voided);
        let balanced = self.balance(&mut sale, rules);
        if voided {
            sale.kind = SaleKind::Void;
            if balanced.is_err() {
                withdraw(&mut sale);
            }
            return Ok(Some(sale));
        }
        balanced.map_err(|imbalance| {
            format!("the amounts do not add up ({imbalance}): have the transaction checked")
        })?;
        let returned = sale.total_minor < 0
            || (sale.total_minor == 0
                && sale.items.iter().any(|i| !i.voided && i.amount_minor < 0));
        sale.kind = match (stated, returned) {
            (Some(SaleKind::Return), _) if sale.total_minor > 0 => {
                return Err(
                    "it is a return, yet its total is positive: write returns = \"positive\" if \
                     this POS writes them so"
                        .to_owned(),
                );
            }
            (Some(SaleKind::Return), _) | (None, true) => SaleKind::Return,
            (Some(SaleKind::Sale | SaleKind::Void) | None, _) => SaleKind::Sale,
        };
        Ok(Some(sale))
    }

    fn read(&self, rules: &ValueRules, stated: Option<SaleKind>) -> Result<Sale, String> {
        let fields = &self.fields;
        let currency = match fields.get(Field::Currency) {
            Some(code) => Currency::parse(code)
                .map_err(|_| "currency is no ISO 4217 code, as in EUR".to_owned())?,
            None => rules.currency.ok_or(
                "no currency is named: map the field, or write currency = \"EUR\" in [[journal]]",
            )?,
        };
        let minor = |field: Field| {
            fields
                .get(field)
                .map(|text| rules.minor(field.name(), text, currency))
                .transpose()
        };
        let time = |field: Field| {
            fields
                .get(field)
                .map(|text| rules.time(field.name(), text))
                .transpose()
        };
        let turned = rules.returns_positive && stated == Some(SaleKind::Return);
        let sign = if turned { -1 } else { 1 };
        let mut items = Vec::with_capacity(self.items.len());
        for (index, texts) in self.items.iter().enumerate() {
            items.push(item(texts, index, rules, currency, sign)?);
        }
        let of_lines = items
            .iter()
            .filter(|item| !item.voided)
            .fold(0i64, |sum, item| sum.saturating_add(item.discount_minor));
        let mut of_rows = 0i64;
        for text in &self.discounts {
            let minor = rules.minor("discount", text, currency)?.abs();
            of_rows = of_rows.saturating_add(sign * minor);
        }
        let discount_minor = match minor(Field::Discount)? {
            Some(told) => sign * told,
            None => of_lines.saturating_add(of_rows),
        };
        let ended_at = match (fields.get(Field::Date), fields.get(Field::Time)) {
            (Some(date), Some(clock)) => Some(rules.joined_time(date, clock)?),
            (Some(_) | None, _) => time(Field::EndedAt)?,
        };
        let business_day = match fields.get(Field::BusinessDay) {
            Some(day) => Some(rules.date(Field::BusinessDay.name(), day)?),
            None => None,
        };
        if fields.get(Field::Sequence).is_none() {
            return Err("no number of the transaction is told: map \"sequence\"".to_owned());
        }
        let tax_minor = sign * minor(Field::Tax)?.unwrap_or(0);
        let tax_included = match fields.get(Field::TaxIncluded) {
            Some(text) => Some(is_set(text)),
            None => rules.tax_included,
        };
        let total_minor = match minor(Field::Total)? {
            Some(total) => sign * total,
            None => {
                let lines = items
                    .iter()
                    .filter(|item| !item.voided)
                    .fold(0i64, |sum, item| sum.saturating_add(item.amount_minor));
                let added = if tax_included == Some(true) {
                    0
                } else {
                    tax_minor
                };
                lines.saturating_sub(discount_minor).saturating_add(added)
            }
        };
        let mut tenders = Vec::with_capacity(self.tenders.len() + 1);
        for texts in &self.tenders {
            let Some(amount) = texts.get(TenderField::Amount) else {
                continue;
            };
            let kind = texts.get(TenderField::Kind).unwrap_or("unknown");
            let minor = rules.minor("tender's amount", amount, currency)?;
            tenders.push(Tender {
                kind: kind.to_lowercase(),
                amount_minor: sign * minor,
            });
        }
        if let Some(change) = minor(Field::Change)?.filter(|change| *change != 0) {
            tenders.push(Tender {
                kind: "change".to_owned(),
                amount_minor: -change.abs(),
            });
        }
        Ok(Sale {
            store: fields.owned(Field::Store),
            workstation: fields.owned(Field::Workstation),
            business_day,
            sequence: fields.owned(Field::Sequence),
            kind: SaleKind::Sale,
            began_at: time(Field::BeganAt)?,
            ended_at,
            currency,
            total_minor,
            discount_minor,
            tax_minor,
            tax_included: tax_included.unwrap_or(false),
            items,
            tenders,
            card: fields.owned(Field::Card),
            training: fields.is_set(Field::Training),
        })
    }

    /// Sees that the sums agree. Whether lines hold the tax is tried only where nothing says it.
    fn balance(&self, sale: &mut Sale, rules: &ValueRules) -> Result<(), Imbalance> {
        let told = self.fields.get(Field::TaxIncluded).is_some() || rules.tax_included.is_some();
        let first = self.reconcile(sale);
        if first.is_ok() || told || sale.tax_minor == 0 {
            return first;
        }
        sale.tax_included = true;
        let second = self.reconcile(sale);
        if second.is_err() {
            sale.tax_included = false;
            return first;
        }
        second
    }

    fn reconcile(&self, sale: &Sale) -> Result<(), Imbalance> {
        match sale.reconcile() {
            Err(Imbalance::Tenders { .. }) if !self.tells_tenders => Ok(()),
            result => result,
        }
    }
}

/// Takes everything out of the sums of a void whose amounts do not balance.
fn withdraw(sale: &mut Sale) {
    sale.total_minor = 0;
    sale.discount_minor = 0;
    sale.tax_minor = 0;
    sale.tenders.clear();
    for item in &mut sale.items {
        item.voided = true;
    }
}

fn item(
    texts: &Texts<ItemField>,
    index: usize,
    rules: &ValueRules,
    currency: Currency,
    sign: i64,
) -> Result<Item, String> {
    let quantity = match texts.get(ItemField::Quantity) {
        Some(text) => rules.decimal("quantity", text)? * Decimal::from(sign),
        None => Decimal::from(sign),
    };
    let price = texts
        .get(ItemField::UnitPrice)
        .map(|text| rules.minor_rounded("unit_price", text, currency))
        .transpose()?;
    let minor = |field: ItemField| {
        texts
            .get(field)
            .map(|text| rules.minor(field.name(), text, currency))
            .transpose()
    };
    let discount = minor(ItemField::Discount)?.unwrap_or(0).abs();
    let amount = match (minor(ItemField::Amount)?, price) {
        (Some(amount), _) => sign * amount,
        (None, Some(price)) => whole(Decimal::from(price).checked_mul(quantity))
            .ok_or("quantity × unit_price is too large for an amount")?,
        (None, None) => {
            return Err("a line of goods has neither amount nor unit_price: map one".to_owned());
        }
    };
    let returned = amount < 0 || (amount == 0 && quantity.is_sign_negative());
    let discount_minor = if returned { -discount } else { discount };
    let amount_minor = match rules.amounts_after_discount && texts.get(ItemField::Amount).is_some()
    {
        true => amount.saturating_add(discount_minor),
        false => amount,
    };
    let unit_price_minor = match price {
        Some(price) => price,
        None => whole(Decimal::from(amount_minor).checked_div(quantity)).unwrap_or(amount_minor),
    };
    let counted = u32::try_from(index + 1).unwrap_or(u32::MAX);
    let owned = |field| texts.owned(field).unwrap_or_default();
    Ok(Item {
        line: texts
            .get(ItemField::Line)
            .and_then(|text| text.parse().ok())
            .unwrap_or(counted),
        item_id: owned(ItemField::ItemId),
        description: owned(ItemField::Description),
        quantity,
        unit_price_minor,
        amount_minor,
        discount_minor,
        department: texts.owned(ItemField::Department),
        voided: texts.is_set(ItemField::Voided),
    })
}

fn whole(value: Option<Decimal>) -> Option<i64> {
    value?
        .round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven)
        .to_i64()
}
