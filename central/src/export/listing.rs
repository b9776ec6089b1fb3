//! Where a kind's lines come from: one select, read in pages that each begin after the last key of
//! the page before, so that the millionth page costs what the first did.

use sea_orm::{ConnectionTrait, Value};

use super::Filter;
use super::cells::Cells;
use crate::store::StoreError;
use crate::store::statement::{Row, rows};
use crate::values;

/// A column of the order.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    /// A text.
    Text(&'static str),
    /// A number.
    Int(&'static str),
}

impl Key {
    fn column(self) -> &'static str {
        match self {
            Self::Text(column) | Self::Int(column) => column,
        }
    }
}

/// The last key of a page.
#[derive(Debug, Clone)]
pub(super) struct Place(Vec<Value>);

/// How a kind is read.
#[derive(Debug)]
pub(super) struct Listing {
    /// What is said when it fails.
    pub(super) operation: &'static str,
    /// A unique key: the order of the lines.
    pub(super) key: &'static [Key],
    /// What a line needs, in its order.
    pub(super) columns: &'static str,
    /// Tables.
    pub(super) from: &'static str,
    /// Which rows are no lines at all.
    pub(super) always: Option<&'static str>,
    /// The time that a filter asks for.
    pub(super) time: Option<&'static str>,
    /// The store.
    pub(super) store: Option<&'static str>,
    /// The terminal.
    pub(super) terminal: Option<&'static str>,
    /// What waits for somebody.
    pub(super) open: Option<&'static str>,
    /// Lines of a page: what is in memory at once.
    pub(super) page_lines: usize,
}

impl Listing {
    /// Reads the page that follows a place.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn page(
        &self,
        on: &impl ConnectionTrait,
        filter: &Filter,
        after: Option<&Place>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut conditions: Vec<String> = self.always.map(str::to_owned).into_iter().collect();
        let mut values: Vec<Value> = Vec::new();
        if let Some(Place(key)) = after {
            let list: Vec<String> = (1..=key.len()).map(|n| format!("${n}")).collect();
            conditions.push(format!("({}) > ({})", self.key_columns(), list.join(", ")));
            values.extend(key.iter().cloned());
        }
        let mut compare = |column: Option<&str>, sign: &str, value: Option<Value>| {
            if let (Some(column), Some(value)) = (column, value) {
                values.push(value);
                conditions.push(format!("{column} {sign} ${}", values.len()));
            }
        };
        let text = |name: &str| Value::from(name);
        compare(self.time, ">=", filter.since.map(|m| Value::from(m.0)));
        compare(self.time, "<", filter.until.map(|m| Value::from(m.0)));
        let store = filter.store.as_ref().map(|id| text(id.as_str()));
        compare(self.store, "=", store);
        let terminal = filter.terminal.as_ref().map(|id| text(id.as_str()));
        compare(self.terminal, "=", terminal);
        if filter.open {
            conditions.extend(self.open.map(str::to_owned));
        }
        let condition = if conditions.is_empty() {
            String::new()
        } else {
            format!("WHERE {}", conditions.join(" AND "))
        };
        let sql = format!(
            "{} {condition} ORDER BY {} LIMIT {}",
            self.select(),
            self.key_columns(),
            self.page_lines
        );
        rows(on, self.operation, &sql, values).await
    }

    /// Reads the line whose `column`, a number, is `number`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn one(
        &self,
        on: &impl ConnectionTrait,
        column: &str,
        number: i64,
    ) -> Result<Option<Row>, StoreError> {
        let sql = format!("{} WHERE {column} = $1", self.select());
        let found = rows(on, self.operation, &sql, values![number]).await?;
        Ok(found.into_iter().next())
    }

    /// Returns the place of a page's last row.
    ///
    /// # Errors
    /// [`StoreError`] when the key holds something else than it should.
    pub(super) fn place(&self, row: &Row) -> Result<Place, StoreError> {
        let mut key = Vec::with_capacity(self.key.len());
        for (index, column) in self.key.iter().enumerate() {
            key.push(match column {
                Key::Text(_) => Value::from(row.text(index)?),
                Key::Int(_) => Value::from(row.int(index)?),
            });
        }
        Ok(Place(key))
    }

    /// Returns what a row has for its line.
    pub(super) fn cells<'r>(&self, row: &'r Row) -> Cells<'r> {
        Cells::new(row, self.key.len())
    }

    fn select(&self) -> String {
        format!(
            "SELECT {}, {} FROM {}",
            self.key_columns(),
            self.columns,
            self.from
        )
    }

    fn key_columns(&self) -> String {
        let columns: Vec<&str> = self.key.iter().map(|key| key.column()).collect();
        columns.join(", ")
    }
}
