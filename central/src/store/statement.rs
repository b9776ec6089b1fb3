//! Raw statements, written once for both engines: `$1`, `$2` … are understood by both.

use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use super::cut;
use super::fault::StoreError;

/// Most parameters in one statement: SQLite's own limit is 32,766.
const SQLITE_PARAMETERS_MAX: usize = 30_000;

/// Lists a statement's values.
#[macro_export]
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$(sea_orm::Value::from($value)),*] };
}

/// Runs a statement and returns how many rows it touched.
///
/// # Errors
/// [`StoreError`] with `operation`.
pub async fn execute(
    on: &impl ConnectionTrait,
    operation: &'static str,
    sql: &str,
    values: Vec<Value>,
) -> Result<u64, StoreError> {
    let statement = Statement::from_sql_and_values(on.get_database_backend(), sql, values);
    let due = cut::before(on, operation).await?;
    let done = on
        .execute_raw(statement)
        .await
        .map_err(|e| StoreError::new(operation, e))?;
    due.settle()?;
    Ok(done.rows_affected())
}

/// Runs a query and returns its rows.
///
/// # Errors
/// [`StoreError`] with `operation`.
pub async fn rows(
    on: &impl ConnectionTrait,
    operation: &'static str,
    sql: &str,
    values: Vec<Value>,
) -> Result<Vec<Row>, StoreError> {
    let statement = Statement::from_sql_and_values(on.get_database_backend(), sql, values);
    let due = cut::before(on, operation).await?;
    let found = on
        .query_all_raw(statement)
        .await
        .map_err(|e| StoreError::new(operation, e))?;
    due.settle()?;
    Ok(found
        .into_iter()
        .map(|result| Row { result, operation })
        .collect())
}

/// Runs a query and returns its first row.
///
/// # Errors
/// [`StoreError`] with `operation`.
pub async fn row(
    on: &impl ConnectionTrait,
    operation: &'static str,
    sql: &str,
    values: Vec<Value>,
) -> Result<Option<Row>, StoreError> {
    let statement = Statement::from_sql_and_values(on.get_database_backend(), sql, values);
    let due = cut::before(on, operation).await?;
    let found = on
        .query_one_raw(statement)
        .await
        .map_err(|e| StoreError::new(operation, e))?;
    due.settle()?;
    Ok(found.map(|result| Row { result, operation }))
}

/// Returns `FOR UPDATE` where rows are locked one by one; SQLite's writers are alone anyway.
pub fn for_update(on: &impl ConnectionTrait) -> &'static str {
    if on.get_database_backend() == DbBackend::Postgres {
        " FOR UPDATE"
    } else {
        ""
    }
}

/// A row that remembers what it was asked for.
#[derive(Debug)]
pub struct Row {
    result: QueryResult,
    operation: &'static str,
}

impl Row {
    fn get<T: sea_orm::TryGetable>(&self, index: usize) -> Result<T, StoreError> {
        self.result
            .try_get_by_index(index)
            .map_err(|e| StoreError::new(self.operation, e))
    }

    /// Returns a text.
    ///
    /// # Errors
    /// [`StoreError`] when the column holds something else.
    pub fn text(&self, index: usize) -> Result<String, StoreError> {
        self.get(index)
    }

    /// Returns a text or nothing.
    ///
    /// # Errors
    /// [`StoreError`] when the column holds something else.
    pub fn text_opt(&self, index: usize) -> Result<Option<String>, StoreError> {
        self.get(index)
    }

    /// Returns a number.
    ///
    /// # Errors
    /// [`StoreError`] when the column holds something else.
    pub fn int(&self, index: usize) -> Result<i64, StoreError> {
        self.get(index)
    }

    /// Returns a flag, 0 or 1, as the engine computed it.
    ///
    /// # Errors
    /// [`StoreError`] when the column holds something else.
    pub fn flag(&self, index: usize) -> Result<bool, StoreError> {
        // PostgreSQL computes in 32 bits what SQLite computes in 64.
        self.get::<i32>(index).map(|flag| flag != 0)
    }

    /// Returns a number or nothing.
    ///
    /// # Errors
    /// [`StoreError`] when the column holds something else.
    pub fn int_opt(&self, index: usize) -> Result<Option<i64>, StoreError> {
        self.get(index)
    }

    /// Returns a text parsed into a name.
    ///
    /// # Errors
    /// [`StoreError`] when the column holds something else.
    pub fn parsed<T>(&self, index: usize) -> Result<T, StoreError>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        self.text(index)?
            .parse()
            .map_err(|e| StoreError::foreign_value(self.operation, e))
    }
}

/// Type of a column in a bulk statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// A number.
    Int,
    /// A number or nothing.
    IntOpt,
    /// A text.
    Text,
    /// A text or nothing.
    TextOpt,
}

/// Stands for nothing in an array of numbers, since the driver's arrays hold no nulls.
const NO_INT: i64 = i64::MIN;
/// Stands for nothing in an array of texts: no name, kind or reason holds a control character.
const NO_TEXT: &str = "\u{1}";

/// Inserts many rows in as few statements as the engine allows: one `UNNEST` on PostgreSQL, whose
/// text stays the same for every number of rows so that it is prepared once; several rows of
/// `VALUES` on SQLite. `same` holds the columns that all rows have alike, which go over once; `suffix`
/// follows the rows (`ON CONFLICT …`, `RETURNING …`).
///
/// # Errors
/// [`StoreError`] with `operation`.
pub async fn insert_many(
    on: &impl ConnectionTrait,
    operation: &'static str,
    table: &str,
    same: Vec<(&str, Value)>,
    columns: &[(&str, ColumnType)],
    lines: Vec<Vec<Value>>,
    suffix: &str,
) -> Result<Vec<Row>, StoreError> {
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let (same_names, same): (Vec<&str>, Vec<Value>) = same.into_iter().unzip();
    let own_names = columns.iter().map(|(name, _)| *name);
    let names: Vec<&str> = same_names.iter().copied().chain(own_names).collect();
    let names = names.join(", ");
    let mut same_list: Vec<String> = (1..=same.len()).map(|n| format!("${n}")).collect();
    if on.get_database_backend() == DbBackend::Postgres {
        same_list.push("u.*".to_owned());
        let rows_of = rows_of(columns, same.len() + 1);
        let list = same_list.join(", ");
        let sql = format!("INSERT INTO {table} ({names}) SELECT {list} FROM {rows_of} u {suffix}");
        let mut values = same;
        values.extend(transposed(columns, lines));
        return rows(on, operation, &sql, values).await;
    }
    let mut found = Vec::new();
    let lines_max = (SQLITE_PARAMETERS_MAX - same.len()) / columns.len();
    let mut rest = lines.into_iter().peekable();
    while rest.peek().is_some() {
        let chunk: Vec<Vec<Value>> = rest.by_ref().take(lines_max).collect();
        let mut sql = format!("INSERT INTO {table} ({names}) VALUES ");
        let mut next = same.len();
        for line in 0..chunk.len() {
            let own = (next + 1..=next + columns.len()).map(|n| format!("${n}"));
            let group: Vec<String> = same_list.iter().cloned().chain(own).collect();
            next += columns.len();
            let comma = if line == 0 { "" } else { ", " };
            sql.push_str(&format!("{comma}({})", group.join(", ")));
        }
        sql.push(' ');
        sql.push_str(suffix);
        let values = same.iter().cloned().chain(chunk.into_iter().flatten());
        found.extend(rows(on, operation, &sql, values.collect()).await?);
    }
    Ok(found)
}

/// Writes a table of given rows for PostgreSQL, its parameters (see [`transposed`]) beginning at
/// `$first`.
pub fn rows_of(columns: &[(&str, ColumnType)], first: usize) -> String {
    let mut selected = Vec::new();
    let mut arrays = Vec::new();
    let mut names = Vec::new();
    for ((name, kind), n) in columns.iter().zip(first..) {
        names.push(*name);
        let (select, array) = match kind {
            ColumnType::Int => (format!("a.{name}"), "bigint[]"),
            ColumnType::Text => (format!("a.{name}"), "text[]"),
            ColumnType::IntOpt => (format!("NULLIF(a.{name}, {NO_INT}) AS {name}"), "bigint[]"),
            ColumnType::TextOpt => (format!("NULLIF(a.{name}, E'\\x01') AS {name}"), "text[]"),
        };
        selected.push(select);
        arrays.push(format!("${n}::{array}"));
    }
    format!(
        "(SELECT {} FROM UNNEST({}) AS a({}))",
        selected.join(", "),
        arrays.join(", "),
        names.join(", ")
    )
}

/// Turns rows into the arrays that [`rows_of`] takes.
pub fn transposed(columns: &[(&str, ColumnType)], lines: Vec<Vec<Value>>) -> Vec<Value> {
    let mut arrays: Vec<Vec<Value>> = columns
        .iter()
        .map(|_| Vec::with_capacity(lines.len()))
        .collect();
    for line in lines {
        for (array, value) in arrays.iter_mut().zip(line) {
            array.push(if value == Value::BigInt(None) {
                Value::from(NO_INT)
            } else if value == Value::String(None) {
                Value::from(NO_TEXT)
            } else {
                value
            });
        }
    }
    columns
        .iter()
        .zip(arrays)
        .map(|((_, kind), array)| {
            let kind = match kind {
                ColumnType::Int | ColumnType::IntOpt => ArrayType::BigInt,
                ColumnType::Text | ColumnType::TextOpt => ArrayType::String,
            };
            Value::Array(kind, Some(Box::new(array)))
        })
        .collect()
}

/// Writes the condition that `column` is one of `texts`, its parameters beginning at `$first`.
pub fn one_of(
    on: &impl ConnectionTrait,
    column: &str,
    first: usize,
    texts: impl IntoIterator<Item = String>,
) -> (String, Vec<Value>) {
    let texts: Vec<Value> = texts.into_iter().map(Value::from).collect();
    if on.get_database_backend() == DbBackend::Postgres {
        let array = Value::Array(ArrayType::String, Some(Box::new(texts)));
        return (format!("{column} = ANY(${first}::text[])"), vec![array]);
    }
    let list: Vec<String> = (first..first + texts.len())
        .map(|n| format!("${n}"))
        .collect();
    (format!("{column} IN ({})", list.join(", ")), texts)
}
