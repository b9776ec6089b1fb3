//! Cuts for tests: the line to the database breaks at a chosen statement of whatever runs.
//!
//! Only builds with debug assertions look for one. A cut belongs to the task that asked for it: no
//! other task meets it.

use std::cell::Cell;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, RuntimeErr};

use super::StoreError;

/// How the line breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The statement never reaches the database.
    Before,
    /// The database carries the statement out, and its answer is lost.
    After,
    /// The database ends the session before the statement; on SQLite as [`Cut::Before`].
    Session,
}

#[derive(Debug)]
struct Plan {
    cut: Cut,
    statements_left: Cell<usize>,
    struck: Cell<bool>,
}

tokio::task_local! {
    static PLAN: Plan;
}

/// Runs something whose statement number `at`, counted from zero, is cut. Returns what came of it and
/// whether there was such a statement.
pub async fn with_cut<F: Future>(cut: Cut, at: usize, what: F) -> (F::Output, bool) {
    let plan = Plan {
        cut,
        statements_left: Cell::new(at),
        struck: Cell::new(false),
    };
    let ran = async {
        let output = what.await;
        (output, PLAN.with(|plan| plan.struck.get()))
    };
    PLAN.scope(plan, ran).await
}

/// Counts a statement, and returns how it is cut, if it is.
fn strikes() -> Option<Cut> {
    if !cfg!(debug_assertions) {
        return None;
    }
    let strike = |plan: &Plan| {
        if plan.struck.get() {
            return None;
        }
        match plan.statements_left.get() {
            0 => {
                plan.struck.set(true);
                Some(plan.cut)
            }
            left => {
                plan.statements_left.set(left - 1);
                None
            }
        }
    };
    PLAN.try_with(strike).ok().flatten()
}

/// What a statement has to do once it was carried out.
#[derive(Debug)]
#[must_use]
pub(super) struct Due {
    answer_is_lost: bool,
    operation: &'static str,
}

impl Due {
    /// Fails if the answer is to be lost.
    ///
    /// # Errors
    /// [`StoreError`], as if the line had broken.
    pub(super) fn settle(self) -> Result<(), StoreError> {
        if self.answer_is_lost {
            return Err(broken(self.operation));
        }
        Ok(())
    }
}

/// Call before each statement.
///
/// # Errors
/// [`StoreError`], as if the line had broken.
pub(super) async fn before(
    on: &impl ConnectionTrait,
    operation: &'static str,
) -> Result<Due, StoreError> {
    let answer_is_lost = match strikes() {
        None => false,
        Some(Cut::After) => true,
        Some(Cut::Before) => return Err(broken(operation)),
        Some(Cut::Session) if on.get_database_backend() == DbBackend::Postgres => {
            let end = "SELECT pg_terminate_backend(pg_backend_pid())";
            // The session ends before it answers: the statement itself will fail.
            drop(on.execute_unprepared(end).await);
            false
        }
        Some(Cut::Session) => return Err(broken(operation)),
    };
    Ok(Due {
        answer_is_lost,
        operation,
    })
}

fn broken(operation: &'static str) -> StoreError {
    let cut = "the line was cut by a test".to_owned();
    StoreError::new(operation, DbErr::Conn(RuntimeErr::Internal(cut)))
}
