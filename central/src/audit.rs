//! The trail of what people and terminals did at headquarters that changes rights or data.

use sea_orm::ConnectionTrait;

use crate::store::StoreError;
use crate::store::statement::execute;
use crate::values;

/// One line of the trail. Holds no personal data beyond the names of cards and accounts that the
/// action was about, masked.
#[derive(Debug, Clone)]
pub struct Entry<'e> {
    /// Who: `cli:USER`, `api-key:ID@ADDRESS`, `terminal:ID`, `central`.
    pub actor: &'e str,
    /// What, a stable word such as `terminal.revoked`.
    pub action: &'e str,
    /// To what.
    pub subject: &'e str,
    /// In which way.
    pub detail: &'e str,
}

/// Writes a line, in the transaction of what it tells.
///
/// # Errors
/// [`StoreError`].
pub async fn write(
    on: &impl ConnectionTrait,
    entry: &Entry<'_>,
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO audit (at_ms, actor, action, subject, detail)
        VALUES ($1, $2, $3, $4, $5)";
    let values = values![
        now_ms,
        entry.actor,
        entry.action,
        entry.subject,
        entry.detail
    ];
    execute(on, "write the audit trail", sql, values).await?;
    Ok(())
}
