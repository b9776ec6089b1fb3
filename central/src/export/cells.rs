//! A row read from left to right, in the order in which its select names the columns.

use super::moment::Moment;
use crate::store::StoreError;
use crate::store::statement::Row;

/// What is left of a row.
#[derive(Debug)]
pub(super) struct Cells<'r> {
    row: &'r Row,
    next: usize,
}

impl<'r> Cells<'r> {
    /// Begins at the column `next`.
    pub(super) fn new(row: &'r Row, next: usize) -> Self {
        Self { row, next }
    }

    fn index(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    pub(super) fn text(&mut self) -> Result<String, StoreError> {
        self.row.text(self.index())
    }

    pub(super) fn text_opt(&mut self) -> Result<Option<String>, StoreError> {
        self.row.text_opt(self.index())
    }

    pub(super) fn int(&mut self) -> Result<i64, StoreError> {
        self.row.int(self.index())
    }

    pub(super) fn int_opt(&mut self) -> Result<Option<i64>, StoreError> {
        self.row.int_opt(self.index())
    }

    pub(super) fn flag(&mut self) -> Result<bool, StoreError> {
        Ok(self.int()? != 0)
    }

    pub(super) fn moment(&mut self) -> Result<Moment, StoreError> {
        Ok(Moment(self.int()?))
    }

    pub(super) fn moment_opt(&mut self) -> Result<Option<Moment>, StoreError> {
        Ok(self.int_opt()?.map(Moment))
    }
}
