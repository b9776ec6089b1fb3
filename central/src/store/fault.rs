//! What went wrong at the database, sorted by what the caller can do about it.

use sea_orm::{DbErr, RuntimeErr, SqlxError};

/// What a caller can do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The database cannot be reached, or has no room: nothing was taken, try again later.
    Unavailable,
    /// Another transaction was in the way: try the whole transaction again at once.
    Contended,
    /// The database refused these values: they will be refused again.
    Refused,
    /// A statement and the schema do not fit: a defect of this program.
    Defect,
}

/// A statement that failed.
#[derive(Debug, thiserror::Error)]
#[error("central's database could not {operation}")]
pub struct StoreError {
    operation: &'static str,
    #[source]
    source: DbErr,
}

impl StoreError {
    /// Names the operation that failed.
    pub fn new(operation: &'static str, source: DbErr) -> Self {
        Self { operation, source }
    }

    /// Names a value in the database that this program did not write.
    pub fn foreign_value(operation: &'static str, what: impl std::fmt::Display) -> Self {
        Self::new(
            operation,
            DbErr::Type(format!("an unexpected value: {what}")),
        )
    }

    /// Returns what the caller can do about it.
    pub fn fault(&self) -> Fault {
        if matches!(self.source, DbErr::ConnectionAcquire(_)) {
            return Fault::Unavailable;
        }
        let (DbErr::Conn(source) | DbErr::Exec(source) | DbErr::Query(source)) = &self.source
        else {
            return Fault::Defect;
        };
        let RuntimeErr::SqlxError(error) = source else {
            return Fault::Unavailable;
        };
        if let SqlxError::Database(error) = error.as_ref() {
            let code = error.code().unwrap_or_default();
            return match error.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
                Some(_) => sqlite_fault(&code),
                None => postgres_fault(&code),
            };
        }
        if matches!(error.as_ref(), SqlxError::Encode(_)) {
            return Fault::Refused;
        }
        let unreachable = matches!(
            error.as_ref(),
            SqlxError::Io(_)
                | SqlxError::Tls(_)
                | SqlxError::PoolTimedOut
                | SqlxError::PoolClosed
                | SqlxError::WorkerCrashed
                | SqlxError::Protocol(_)
                | SqlxError::BeginFailed
        );
        if unreachable {
            Fault::Unavailable
        } else {
            Fault::Defect
        }
    }
}

fn postgres_fault(code: &str) -> Fault {
    match code {
        "40001" | "40P01" | "55P03" => Fault::Contended,
        _ if code.starts_with("08") || code.starts_with("53") || code.starts_with("57") => {
            Fault::Unavailable
        }
        _ if code.starts_with("22") || code.starts_with("23") || code.starts_with("54") => {
            Fault::Refused
        }
        _ => Fault::Defect,
    }
}

/// Takes extended result codes: the low byte is the primary one.
fn sqlite_fault(code: &str) -> Fault {
    match code.parse::<i32>().unwrap_or_default() & 0xff {
        5 | 6 => Fault::Contended,
        // Read-only, interrupted, I/O error, corrupt, full, cannot open, not a database.
        8..=11 | 13 | 14 | 26 => Fault::Unavailable,
        // Too big, constraint, mismatch.
        18..=20 => Fault::Refused,
        _ => Fault::Defect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refused_value_may_be_blamed_on_the_record() {
        assert_eq!(postgres_fault("22021"), Fault::Refused);
        assert_eq!(postgres_fault("40P01"), Fault::Contended);
        assert_eq!(postgres_fault("57P01"), Fault::Unavailable);
        assert_eq!(postgres_fault("53100"), Fault::Unavailable);
        assert_eq!(postgres_fault("42703"), Fault::Defect);
        assert_eq!(sqlite_fault("2067"), Fault::Refused);
        assert_eq!(sqlite_fault("517"), Fault::Contended);
        assert_eq!(sqlite_fault("13"), Fault::Unavailable);
        assert_eq!(sqlite_fault("1"), Fault::Defect);
    }
}
