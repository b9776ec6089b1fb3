//! PostgreSQL's own COPY, as the limit of what central can take: the very rows that an intake wrote,
//! copied into another database of the same cluster with the same tables and indices, [`ROWS`] a commit.
//! Both are durable at each commit.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use sqlx::{Connection, PgConnection};
use tillbind_central::config::DatabaseConfig;
use tillbind_central::store::Store;

use super::Row;
use crate::clock::Stopwatch;
use crate::postgres::Postgres;

/// Rows of one commit.
const ROWS: usize = 500;
/// Tables that an intake writes, parents first.
const TABLES: [&str; 8] = [
    "members",
    "accounts",
    "streams",
    "events",
    "transactions",
    "cards",
    "ledger",
    "bindings",
];

/// How long the copying took.
#[derive(Debug)]
pub(super) struct Copied {
    rows: usize,
    all: Duration,
    events: Duration,
}

impl Copied {
    /// Copies what an intake has written into the database at `from` into a new one.
    pub(super) async fn again(postgres: &Postgres, from: &str, to: &str) -> Result<Self> {
        let mut source = PgConnection::connect(from).await?;
        let dir = tempfile::tempdir()?;
        let to = postgres.database(to)?;
        // The tables and indices of a new installation.
        open(&to, dir.path()).await?.close().await?;
        let mut connection = PgConnection::connect(&to).await?;
        let mut copied = Self {
            rows: 0,
            all: Duration::ZERO,
            events: Duration::ZERO,
        };
        for table in TABLES {
            let text = copy_out(&mut source, table).await?;
            let watch = Stopwatch::start();
            copied.rows += copy_in(&mut connection, table, &text).await?;
            copied.all += watch.elapsed();
            if table == "events" {
                copied.events = watch.elapsed();
            }
        }
        Ok(copied)
    }

    /// Writes the row of an intake of so many events that took so long.
    pub(super) fn row(&self, what: String, events: usize, took: Duration) -> Row {
        let per_second = |elapsed: Duration| events as f64 / elapsed.as_secs_f64();
        let ratio = |peer: Duration| peer.as_secs_f64() / took.as_secs_f64();
        Row {
            what,
            measured: format!(
                "{:.0} events/s ({:.2} ×)",
                per_second(took),
                ratio(self.all)
            ),
            beside: format!(
                "COPY of the same {} rows of all tables, {ROWS} a commit: {:.0} events/s; of the \
                 events alone: {:.0}/s ({:.2} ×)",
                self.rows,
                per_second(self.all),
                per_second(self.events),
                ratio(self.events)
            ),
            goal: "0.7 ×".to_owned(),
        }
    }
}

/// Opens a database as central does, making its tables.
pub(super) async fn open(url: &str, dir: &Path) -> Result<Store> {
    let database = DatabaseConfig::Postgres {
        url: url.to_owned(),
        connections: 4,
    };
    Ok(Store::open(&database, dir, "h-bench").await?)
}

async fn copy_out(connection: &mut PgConnection, table: &str) -> Result<Vec<u8>> {
    let sql = format!("COPY {table} TO STDOUT");
    let mut stream = connection.copy_out_raw(&sql).await?;
    let mut text = Vec::new();
    while let Some(chunk) = stream.next().await {
        text.extend_from_slice(&chunk?);
    }
    Ok(text)
}

/// Copies a table's text and returns its rows.
async fn copy_in(connection: &mut PgConnection, table: &str, text: &[u8]) -> Result<usize> {
    let sql = format!("COPY {table} FROM STDIN");
    let mut rest = text;
    let mut rows = 0;
    while !rest.is_empty() {
        let ends = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let (lines, end) = ends
            .take(ROWS)
            .zip(1..)
            .last()
            .map(|((end, _), lines)| (lines, end + 1))
            .context("a line without an end")?;
        let (chunk, after) = rest.split_at(end);
        let mut copy = connection.copy_in_raw(&sql).await?;
        copy.send(chunk).await?;
        copy.finish().await?;
        rows += lines;
        rest = after;
    }
    Ok(rows)
}
