//! Keys that sign member codes: the private half in the data directory, public halves in the
//! database, where every key that was ever valid stays so that old evidence can be verified again.

use ed25519_dalek::SigningKey;
use sea_orm::ConnectionTrait;
use tillbind_protocol::ids::AccountRef;
use tillbind_protocol::member_code::{self, Claims, IssueError, KeySet, PublicKey};
use zeroize::Zeroizing;

use crate::data_dir::{DataDir, FileError};
use crate::entropy::{self, EntropyError};
use crate::members;
use crate::store::statement::{execute, row, rows};
use crate::store::{Store, StoreError};
use crate::values;

const FILE: &str = "member-code.key";
/// Longest life of a member code: it is shown on a screen, photographed and forwarded.
pub const TTL_S_MAX: i64 = 24 * 60 * 60;

/// A key that cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file of the data directory.
    #[error(transparent)]
    File(#[from] FileError),
    /// Random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file holds no key.
    #[error("{FILE} in the data directory is damaged: remove it, and a new key is made")]
    Damaged,
    /// The account does not exist.
    #[error(
        "account {account} does not exist: make it with `tillbind-central account create`",
        account = .0.masked()
    )]
    NoAccount(AccountRef),
    /// The life has no sense.
    #[error("a member code lives from 1 s to {TTL_S_MAX} s, not {0} s")]
    Ttl(i64),
    /// The code cannot be written.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

struct PrivateKey {
    kid: String,
    key: SigningKey,
}

/// Makes the installation's key if it has none, and makes sure that the database knows its public
/// half.
///
/// # Errors
/// [`KeyError`].
pub async fn ensure(store: &Store, data_dir: &DataDir, now_ms: i64) -> Result<(), KeyError> {
    let private = open(data_dir)?;
    let public = PublicKey::of(private.kid, &private.key.verifying_key());
    let tx = store.begin().await?;
    // The new version is drawn and written by one statement: two processes that start at once make
    // one row.
    let sql = "INSERT INTO keys (kid, ed25519, version, created_ms)
        SELECT $1, $2, COALESCE(MAX(version), 0) + 1, $3 FROM keys
        WHERE true ON CONFLICT (kid) DO NOTHING";
    let values = values![public.kid, public.ed25519, now_ms];
    execute(&*tx, "note the key of member codes", sql, values).await?;
    tx.commit().await?;
    Ok(())
}

fn open(data_dir: &DataDir) -> Result<PrivateKey, KeyError> {
    let text = match data_dir.read(FILE)? {
        Some(text) => Zeroizing::new(text),
        None => {
            let seed = Zeroizing::new(hex::encode(entropy::bytes::<32>()?));
            let fresh = Zeroizing::new(format!("{} {}\n", entropy::name("k")?, *seed));
            Zeroizing::new(data_dir.create(FILE, &entropy::name("")?, &fresh)?)
        }
    };
    let (kid, seed) = text.trim().split_once(' ').ok_or(KeyError::Damaged)?;
    let mut bytes = Zeroizing::new([0u8; 32]);
    hex::decode_to_slice(seed, bytes.as_mut_slice()).map_err(|_| KeyError::Damaged)?;
    Ok(PrivateKey {
        kid: kid.to_owned(),
        key: SigningKey::from_bytes(&bytes),
    })
}

/// Returns the keys that terminals verify against.
///
/// # Errors
/// [`StoreError`].
pub async fn valid(on: &impl ConnectionTrait) -> Result<KeySet, StoreError> {
    read(
        on,
        "SELECT kid, ed25519 FROM keys WHERE retired_ms IS NULL ORDER BY version",
    )
    .await
}

/// Returns every key that was ever valid: evidence stays evidence after its key retired.
///
/// # Errors
/// [`StoreError`].
pub async fn ever_valid(on: &impl ConnectionTrait) -> Result<KeySet, StoreError> {
    read(on, "SELECT kid, ed25519 FROM keys ORDER BY version").await
}

async fn read(on: &impl ConnectionTrait, sql: &str) -> Result<KeySet, StoreError> {
    let mut keys = Vec::new();
    for row in rows(on, "read the keys of member codes", sql, vec![]).await? {
        keys.push(PublicKey {
            kid: row.text(0)?,
            ed25519: row.text(1)?,
        });
    }
    Ok(KeySet {
        version: version(on).await?,
        keys,
    })
}

/// Returns the key set's version.
///
/// # Errors
/// [`StoreError`].
pub async fn version(on: &impl ConnectionTrait) -> Result<u32, StoreError> {
    let sql = "SELECT COALESCE(MAX(version), 0) FROM keys";
    match row(on, "read the key set's version", sql, vec![]).await? {
        Some(row) => Ok(u32::try_from(row.int(0)?).unwrap_or(u32::MAX)),
        None => Ok(0),
    }
}

/// Signs a member code for an account that exists.
///
/// # Errors
/// [`KeyError`] when the account does not exist or the life has no sense.
pub async fn create_member_code(
    store: &Store,
    data_dir: &DataDir,
    account: &AccountRef,
    ttl_s: i64,
    now_ms: i64,
) -> Result<String, KeyError> {
    if !(1..=TTL_S_MAX).contains(&ttl_s) {
        return Err(KeyError::Ttl(ttl_s));
    }
    if members::member_of_account(store.reader(), account)
        .await?
        .is_none()
    {
        return Err(KeyError::NoAccount(account.clone()));
    }
    ensure(store, data_dir, now_ms).await?;
    let private = open(data_dir)?;
    let issued_s = now_ms.div_euclid(1_000);
    let claims = Claims {
        account: account.clone(),
        issued_s,
        expires_s: issued_s + ttl_s,
        nonce: entropy::bytes()?,
    };
    Ok(member_code::issue(&claims, &private.kid, &private.key)?)
}
