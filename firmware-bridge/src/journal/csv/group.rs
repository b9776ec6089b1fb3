//! A transaction of which rows may still come.

use super::{CsvSettings, RowMeaning};
use crate::journal::draft::{Draft, ItemField, TenderField, Texts};
use crate::journal::entry::{Entry, LineFault, Mark};
use crate::journal::ndjson::PARTS_MAX;

/// Bytes of values kept of one transaction; one with more is refused.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Rows without a readable key that are told with one open transaction; further ones are not.
const LOOSE_FAULTS_MAX: usize = 16;

pub(super) struct Group {
    pub(super) key: Vec<String>,
    pub(super) first_line: u64,
    /// Start of its first row.
    pub(super) start: Mark,
    pub(super) rows: usize,
    /// Whether all rows so far were to be skipped.
    is_skipped: bool,
    bytes: usize,
    /// Rows between its own that could not be read, and whose key nobody knows.
    pub(super) loose: Vec<LineFault>,
    pub(super) draft: Draft,
    pub(super) fault: Option<LineFault>,
}

impl Group {
    pub(super) fn new(key: Vec<String>, first_line: u64, start: Mark, draft: Draft) -> Self {
        Self {
            key,
            first_line,
            start,
            rows: 0,
            is_skipped: true,
            bytes: 0,
            loose: Vec::new(),
            draft,
            fault: None,
        }
    }

    /// Counts a row with so many bytes; returns whether its values are wanted.
    pub(super) fn count(&mut self, bytes: usize, meaning: RowMeaning) -> Result<bool, String> {
        self.rows += 1;
        self.bytes += bytes;
        if self.rows > PARTS_MAX || self.bytes > GROUP_BYTES_MAX {
            self.draft = Draft::new(false);
            return Err(format!(
                "the transaction has more than {PARTS_MAX} rows or {GROUP_BYTES_MAX} bytes: \
                 correct which column is \"sequence\""
            ));
        }
        if self.fault.is_some() || meaning == RowMeaning::Skipped {
            return Ok(false);
        }
        self.is_skipped = false;
        Ok(true)
    }

    /// Adds what a row says of goods or a payment; `has_kinds` tells whether a column says which.
    pub(super) fn add(
        &mut self,
        meaning: RowMeaning,
        has_kinds: bool,
        item: Texts<ItemField>,
        mut tender: Texts<TenderField>,
    ) -> Result<(), String> {
        match meaning {
            RowMeaning::Item => {
                // Without kinds of rows, a payment beside the goods is the transaction's own.
                if !has_kinds
                    && self.draft.tenders.is_empty()
                    && tender.get(TenderField::Amount).is_some()
                {
                    self.draft.tenders.push(tender);
                }
                self.draft.items.push(item);
            }
            RowMeaning::Tender => {
                if let Some(amount) = item.get(ItemField::Amount) {
                    tender.set(TenderField::Amount, amount);
                }
                self.draft.tenders.push(tender);
            }
            RowMeaning::Discount => {
                let amount = item
                    .get(ItemField::Discount)
                    .or_else(|| item.get(ItemField::Amount))
                    .ok_or("a row of a discount has no amount: map \"item_discount\"")?;
                self.draft.discounts.push(amount.to_owned());
            }
            RowMeaning::Transaction | RowMeaning::Skipped => {}
        }
        Ok(())
    }

    /// Keeps a fault that may be of this transaction or of another, to be told with it.
    pub(super) fn add_loose(&mut self, fault: LineFault) {
        if self.loose.len() < LOOSE_FAULTS_MAX {
            self.loose.push(fault);
        }
    }

    /// Returns what comes of the transaction, if anything.
    pub(super) fn settle(self, settings: &CsvSettings) -> Option<Entry> {
        if let Some(fault) = self.fault {
            return Some(Entry::Fault(fault));
        }
        if self.is_skipped {
            return None;
        }
        match self.draft.settle(&settings.rules) {
            Ok(sale) => Some(Entry::Sale(Box::new(sale?))),
            Err(problem) => Some(Entry::Fault(LineFault {
                line: self.first_line,
                problem,
            })),
        }
    }
}
