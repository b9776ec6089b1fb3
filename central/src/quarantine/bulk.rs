//! Replaying many records at once: after an upgrade that reads what an older program could not.

use tillbind_protocol::ids::TerminalId;

use super::{QuarantineError, replay};
use crate::intake::projection::Rules;
use crate::store::statement::rows;
use crate::store::{Store, StoreError};
use crate::values;

/// Records that one call looks at; whoever wants more calls again from where it ended.
pub const RECORDS_MAX: usize = 500;

/// Which waiting records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Of this kind.
    pub kind: Option<String>,
    /// Whose reason begins so.
    pub reason: Option<String>,
    /// Of this terminal.
    pub terminal: Option<TerminalId>,
    /// With a larger number than this.
    pub after: i64,
}

/// What became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replayed {
    /// Records that were taken in.
    pub replayed: usize,
    /// Records that still cannot be used, and wait on.
    pub still_waiting: usize,
    /// Where to go on, if there may be more.
    pub go_on_after: Option<i64>,
}

/// Replays the waiting records that `choice` names, oldest first, each in a transaction of its own with
/// its own line in the trail: one that still cannot be used stops none after it.
///
/// # Errors
/// [`StoreError`]: what was replayed before it stays so.
pub async fn replay_many(
    store: &Store,
    choice: &Choice,
    rules: Rules,
    actor: &str,
    now_ms: i64,
) -> Result<Replayed, StoreError> {
    let sql = format!(
        "SELECT id FROM quarantine
         WHERE resolved_ms IS NULL AND id > $1
            AND (CAST($2 AS TEXT) IS NULL OR kind = $2)
            AND (CAST($3 AS TEXT) IS NULL OR SUBSTR(reason, 1, LENGTH($3)) = $3)
            AND (CAST($4 AS TEXT) IS NULL OR terminal = $4)
         ORDER BY id LIMIT {RECORDS_MAX}"
    );
    let values = values![
        choice.after,
        choice.kind.as_deref(),
        choice.reason.as_deref(),
        choice.terminal.as_ref().map(TerminalId::as_str),
    ];
    let found = rows(store.reader(), "choose quarantined records", &sql, values).await?;
    let mut done = Replayed::default();
    for row in &found {
        let id = row.int(0)?;
        match replay(store, id, None, rules, actor, now_ms).await {
            Ok(()) => done.replayed += 1,
            Err(QuarantineError::StillPoison(_)) => done.still_waiting += 1,
            // Somebody else was faster.
            Err(QuarantineError::Unknown(_) | QuarantineError::Resolved(_)) => {}
            Err(QuarantineError::Store(error)) => return Err(error),
        }
        if found.len() == RECORDS_MAX {
            done.go_on_after = Some(id);
        }
    }
    Ok(done)
}
