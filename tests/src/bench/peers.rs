//! What a durable append is held against: the least that a disk asks for, and SQLite.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Result;
use rusqlite::Connection;
use rustix::fs::{FallocateFlags, fallocate, fdatasync};

/// Somebody who makes records durable: when `keep` returns, all of them are.
pub(super) trait Keeper {
    /// How it stands in a row.
    fn name(&self) -> &'static str;

    /// Makes records durable, all with one sync.
    fn keep(&mut self, records: &[&[u8]]) -> Result<()>;
}

/// A preallocated file that is appended to, as a journal's segment is.
pub(super) struct Preallocated {
    file: File,
    end: u64,
}

impl Preallocated {
    /// Makes it, with room for `bytes`.
    pub(super) fn create(path: &Path, bytes: u64) -> Result<Self> {
        let file = OpenOptions::new().create_new(true).write(true).open(path)?;
        fallocate(&file, FallocateFlags::empty(), 0, bytes)?;
        // Zeros written once, as a journal's segment has them: no extent changes afterwards.
        let block = vec![0; 1024 * 1024];
        let mut at = 0;
        while at < bytes {
            let piece = block.len().min(usize::try_from(bytes - at)?);
            file.write_all_at(block.get(..piece).unwrap_or_default(), at)?;
            at += piece as u64;
        }
        file.sync_all()?;
        Ok(Self { file, end: 0 })
    }
}

impl Keeper for Preallocated {
    fn name(&self) -> &'static str {
        "raw append to a preallocated file + fdatasync"
    }

    fn keep(&mut self, records: &[&[u8]]) -> Result<()> {
        let joined = records.concat();
        self.file.write_all_at(&joined, self.end)?;
        fdatasync(&self.file)?;
        self.end += joined.len() as u64;
        Ok(())
    }
}

/// A file that grows with every append.
pub(super) struct Growing {
    file: File,
}

impl Growing {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(path)?;
        Ok(Self { file })
    }
}

impl Keeper for Growing {
    fn name(&self) -> &'static str {
        "raw append to a growing file + fdatasync"
    }

    fn keep(&mut self, records: &[&[u8]]) -> Result<()> {
        self.file.write_all(&records.concat())?;
        fdatasync(&self.file)?;
        Ok(())
    }
}

/// SQLite with a write-ahead log and `synchronous=FULL`: one transaction is one sync.
pub(super) struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.execute_batch("CREATE TABLE events (seq INTEGER PRIMARY KEY, record BLOB)")?;
        Ok(Self { connection })
    }
}

impl Keeper for Sqlite {
    fn name(&self) -> &'static str {
        "SQLite, WAL, synchronous=FULL"
    }

    fn keep(&mut self, records: &[&[u8]]) -> Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO events (record) VALUES (?1)")?;
            for record in records {
                insert.execute([record])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_keeps_all_that_it_is_given() {
        let dir = tempfile::tempdir().unwrap();
        let records: [&[u8]; 2] = [b"one", b"three"];
        let raw = dir.path().join("raw");
        Preallocated::create(&raw, 100)
            .unwrap()
            .keep(&records)
            .unwrap();
        let kept = std::fs::read(&raw).unwrap();
        assert_eq!((kept.len(), &kept[..9]), (100, &b"onethree\0"[..]));
        let growing = dir.path().join("growing");
        Growing::create(&growing).unwrap().keep(&records).unwrap();
        assert_eq!(std::fs::read(&growing).unwrap(), b"onethree");
        let mut sqlite = Sqlite::create(&dir.path().join("sqlite")).unwrap();
        sqlite.keep(&records).unwrap();
        let rows: i64 = sqlite
            .connection
            .query_row("SELECT count(*) FROM events", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 2);
    }
}
