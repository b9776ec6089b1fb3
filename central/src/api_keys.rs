//! Keys for the admin listener. Only their SHA-256 is stored.

use sha2::{Digest, Sha256};

use crate::audit::{self, Entry};
use crate::entropy::{self, EntropyError};
use crate::store::statement::{execute, row, rows};
use crate::store::{Store, StoreError};
use crate::values;

/// What a key's holder may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// May read.
    Reader,
    /// May also settle disputes, replay quarantine, make accounts and codes.
    Operator,
    /// May also enrol and revoke terminals and make keys.
    Admin,
}

/// A word that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role: use reader, operator or admin")]
pub struct RoleError(String);

impl Role {
    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = RoleError;
    fn from_str(text: &str) -> Result<Self, RoleError> {
        [Self::Reader, Self::Operator, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| RoleError(text.chars().take(32).collect()))
    }
}

/// A new key. The secret is shown once.
#[derive(Clone)]
pub struct NewKey {
    /// Its name, for the trail.
    pub id: String,
    /// What its holder sends as bearer token.
    pub secret: String,
}

/// Who holds a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The key's name.
    pub id: String,
    /// What it may do.
    pub role: Role,
}

/// A key that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// A key as it is listed, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// Its name.
    pub id: String,
    /// What its holder may do.
    pub role: Role,
    /// When it was made.
    pub created_ms: i64,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
}

/// Lists every key that was ever made.
///
/// # Errors
/// [`StoreError`].
pub async fn list_api_keys(store: &Store) -> Result<Vec<KeyEntry>, StoreError> {
    let sql = "SELECT id, role, created_ms, revoked_ms FROM api_keys ORDER BY created_ms, id";
    let mut keys = Vec::new();
    for row in rows(store.reader(), "list API keys", sql, values![]).await? {
        keys.push(KeyEntry {
            id: row.text(0)?,
            role: row.parsed(1)?,
            created_ms: row.int(2)?,
            revoked_ms: row.int_opt(3)?,
        });
    }
    Ok(keys)
}

/// Revokes a key: the next request with it is refused. Returns whether there is such a key.
///
/// # Errors
/// [`StoreError`].
pub async fn revoke_api_key(
    store: &Store,
    id: &str,
    actor: &str,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let tx = store.begin().await?;
    let sql = "UPDATE api_keys SET revoked_ms = COALESCE(revoked_ms, $2) WHERE id = $1";
    let found = execute(&*tx, "revoke an API key", sql, values![id, now_ms]).await? > 0;
    if found {
        let entry = Entry {
            actor,
            action: "api_key.revoked",
            subject: id,
            detail: "",
        };
        audit::write(&*tx, &entry, now_ms).await?;
    }
    tx.commit().await?;
    Ok(found)
}

/// Makes a key.
///
/// # Errors
/// [`ApiKeyError`].
pub async fn create_api_key(
    store: &Store,
    role: Role,
    actor: &str,
    now_ms: i64,
) -> Result<NewKey, ApiKeyError> {
    let key = NewKey {
        id: entropy::short_name("a")?,
        secret: format!("tbk_{}", entropy::secret()?),
    };
    let tx = store.begin().await?;
    let sql = "INSERT INTO api_keys (id, key_hash, role, created_ms) VALUES ($1, $2, $3, $4)";
    let values = values![key.id.as_str(), hashed(&key.secret), role.as_str(), now_ms];
    execute(&*tx, "keep an API key", sql, values).await?;
    let entry = Entry {
        actor,
        action: "api_key.created",
        subject: &key.id,
        detail: role.as_str(),
    };
    audit::write(&*tx, &entry, now_ms).await?;
    tx.commit().await?;
    Ok(key)
}

/// Finds who holds a key that was not revoked.
///
/// # Errors
/// [`StoreError`].
pub async fn holder(store: &Store, secret: &str) -> Result<Option<Holder>, StoreError> {
    // The look-up goes by the hash of a 256-bit secret: its timing tells nothing of use.
    let sql = "SELECT id, role FROM api_keys WHERE key_hash = $1 AND revoked_ms IS NULL";
    let values = values![hashed(secret)];
    let Some(row) = row(store.reader(), "look up an API key", sql, values).await? else {
        return Ok(None);
    };
    Ok(Some(Holder {
        id: row.text(0)?,
        role: row.parsed(1)?,
    }))
}

fn hashed(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}
