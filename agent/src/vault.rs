//! The terminal's key for data at rest, and what is derived from it.
//!
//! One master key of 32 bytes stands behind everything that is sealed on the disk. It comes from
//! systemd's credential directory (`tillbind.key`, 32 raw bytes or 64 hex digits), else from
//! `<data_dir>/vault.key` (0600), which is made on the first start. Each purpose has a key of its own
//! by `blake3::derive_key`, so that a value of one store never opens in another.
//!
//! `<data_dir>/vault.id` holds a fingerprint of the key. It is written before anything is sealed: a key
//! that is missing or another than last time is an error, never a silent new key under which all that
//! waits for central would be unreadable.
//!
//! What it lacks: rotation of the master key, and protection against someone who holds the running
//! machine. A stolen disk with `vault.key` on it is open; the credential (bound to a TPM by systemd) is
//! the answer to that.

mod seal;

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tillbind_protocol::ids::CardNumber;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub(crate) use seal::SEAL_PRINT_BYTES;
pub use seal::{OpenSealedError, SEAL_OVERHEAD_BYTES, Seal};

use crate::storage::disk::{Disk, LocalDisk};

/// Fills a buffer with random bytes that nobody can foresee.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// Length of the master key and of every derived key, in bytes.
pub const KEY_BYTES: usize = 32;
/// Length of a card number's keyed hash, in bytes: no accidental match among a million cards.
pub const CARD_INDEX_BYTES: usize = 16;

const CREDENTIAL_NAME: &str = "tillbind.key";
const KEY_NAME: &str = "vault.key";
const ID_NAME: &str = "vault.id";
/// Directories that hold sealed data; one of them filled without a key is the case to refuse.
const SEALED_DIRS: [&str; 2] = ["outbox", "members"];

/// What a sealing key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Events in the journal and the buffer.
    Journal,
    /// Member data from central.
    Replica,
    /// The terminal's own durable notes.
    Notes,
}

impl Purpose {
    fn context(self) -> &'static str {
        match self {
            Self::Journal => "tillbind 2026 vault journal v1",
            Self::Replica => "tillbind 2026 vault replica v1",
            Self::Notes => "tillbind 2026 vault notes v1",
        }
    }
}

const CARD_INDEX_CONTEXT: &str = "tillbind 2026 vault card index v1";
const CLAIM_CONTEXT: &str = "tillbind 2026 vault claim codes v1";
/// Length of the key's fingerprint, in bytes.
const ID_BYTES: usize = 8;
const ID_CONTEXT: &str = "tillbind 2026 vault fingerprint v1";

/// Why the vault cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Sealed data is there but the key is not.
    #[error(
        "the key {path} is missing, but sealed data is in {data_dir}: put the key back (or pass it as \
         the credential tillbind.key); without it the data cannot be read"
    )]
    Missing {
        /// Where the key should be.
        path: PathBuf,
        /// The directory that holds sealed data.
        data_dir: PathBuf,
    },
    /// The key is not the one that sealed the data.
    #[error(
        "the key from {path} is not the one that sealed the data in {data_dir}: put the former key back"
    )]
    Other {
        /// Where the key came from.
        path: PathBuf,
        /// The directory that holds sealed data.
        data_dir: PathBuf,
    },
    /// What tells the key from another cannot be read; the key itself may be right.
    #[error(
        "{path} is damaged: it should tell whether the key is the one that sealed the data. Restore it from \
         a backup, or, if you are sure of the key, remove it: it is made anew"
    )]
    Fingerprint {
        /// The file.
        path: PathBuf,
    },
    /// The key file has the wrong length.
    #[error("the key {path} is not 32 bytes or 64 hex digits: put the right file there")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The disk refused.
    #[error("cannot {doing} {path}")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct Key([u8; KEY_BYTES]);

/// The terminal's key for data at rest. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    master: Arc<Key>,
    card_index: Arc<Key>,
    random: Random,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl Vault {
    /// Takes the key from `credentials_dir` if it is there, else from `data_dir`, where it is made on
    /// the first start. `data_dir` must exist. Blocks on the disk.
    ///
    /// # Errors
    /// [`VaultError`]: above all a key that is missing or another while sealed data is there.
    pub fn open(
        data_dir: &Path,
        credentials_dir: Option<&Path>,
        random: Random,
    ) -> Result<Self, VaultError> {
        let credential = credentials_dir.map(|dir| dir.join(CREDENTIAL_NAME));
        let own = data_dir.join(KEY_NAME);
        let (key, path) =
            if let Some(found) = credential.as_deref().map(read_key).transpose()?.flatten() {
                (found, credential.unwrap_or_else(|| own.clone()))
            } else if let Some(found) = read_key(&own)? {
                close_to_others(&own)?;
                (found, own)
            } else {
                if holds_sealed_data(data_dir)? {
                    return Err(VaultError::Missing {
                        path: own,
                        data_dir: data_dir.to_owned(),
                    });
                }
                (make_key(&own, &random)?, own)
            };
        let vault = Self::from_key(key.0, random);
        vault.check_fingerprint(data_dir, &path)?;
        Ok(vault)
    }

    /// Makes a vault of a key that the caller holds, without any file.
    pub fn from_key(key: [u8; KEY_BYTES], random: Random) -> Self {
        let card_index = Key(blake3::derive_key(CARD_INDEX_CONTEXT, &key));
        Self {
            master: Arc::new(Key(key)),
            card_index: Arc::new(card_index),
            random,
        }
    }

    /// Returns the seal for one purpose.
    pub fn seal(&self, purpose: Purpose) -> Seal {
        let mut key = blake3::derive_key(purpose.context(), &self.master.0);
        let seal = Seal::new(&key, Arc::clone(&self.random));
        key.zeroize();
        seal
    }

    /// Returns the secret that the terminal's claim codes follow from.
    pub fn claim_secret(&self) -> Zeroizing<[u8; KEY_BYTES]> {
        Zeroizing::new(blake3::derive_key(CLAIM_CONTEXT, &self.master.0))
    }

    /// Returns the keyed hash by which a card is looked up on the disk.
    pub fn card_index(&self, card: &CardNumber) -> [u8; CARD_INDEX_BYTES] {
        self.index(card.expose().as_bytes())
    }

    /// Returns the keyed hash of any personal text, in the same key space as the cards.
    pub(crate) fn index(&self, text: &[u8]) -> [u8; CARD_INDEX_BYTES] {
        let hash = blake3::keyed_hash(&self.card_index.0, text);
        let mut short = [0; CARD_INDEX_BYTES];
        short.copy_from_slice(&hash.as_bytes()[..CARD_INDEX_BYTES]);
        short
    }

    fn check_fingerprint(&self, data_dir: &Path, key_path: &Path) -> Result<(), VaultError> {
        let path = data_dir.join(ID_NAME);
        let print = &blake3::derive_key(ID_CONTEXT, &self.master.0)[..ID_BYTES];
        match fs::read(&path) {
            Ok(found) if found == print => Ok(()),
            Ok(found) if found.len() != ID_BYTES => Err(VaultError::Fingerprint { path }),
            Ok(_) => Err(VaultError::Other {
                path: key_path.to_owned(),
                data_dir: data_dir.to_owned(),
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => LocalDisk
                .replace(&path, print)
                .map_err(|e| disk_error("write", &path, e)),
            Err(e) => Err(disk_error("read", &path, e)),
        }
    }
}

fn disk_error(doing: &'static str, path: &Path, source: io::Error) -> VaultError {
    VaultError::Disk {
        doing,
        path: path.to_owned(),
        source,
    }
}

fn read_key(path: &Path) -> Result<Option<Key>, VaultError> {
    let mut bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(disk_error("read", path, e)),
    };
    let key = parse_key(&bytes);
    bytes.zeroize();
    key.map(Some).ok_or_else(|| VaultError::Malformed {
        path: path.to_owned(),
    })
}

fn parse_key(bytes: &[u8]) -> Option<Key> {
    if let Ok(raw) = bytes.try_into() {
        return Some(Key(raw));
    }
    let text = bytes.trim_ascii_end();
    if text.len() != 2 * KEY_BYTES {
        return None;
    }
    let mut key = Key([0; KEY_BYTES]);
    for (byte, pair) in key.0.iter_mut().zip(text.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(key)
}

fn close_to_others(path: &Path) -> Result<(), VaultError> {
    let mode = fs::metadata(path)
        .map_err(|e| disk_error("read the mode of", path, e))?
        .permissions()
        .mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    tracing::warn!(path = %path.display(), "the key could be read by others: its mode is now 0600");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .map_err(|e| disk_error("set the mode of", path, e))
}

fn holds_sealed_data(data_dir: &Path) -> Result<bool, VaultError> {
    if data_dir.join(ID_NAME).exists() {
        return Ok(true);
    }
    for name in SEALED_DIRS {
        let dir = data_dir.join(name);
        match fs::read_dir(&dir) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Ok(true);
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(disk_error("list", &dir, e)),
        }
    }
    Ok(false)
}

fn make_key(path: &Path, random: &Random) -> Result<Key, VaultError> {
    let mut key = Key([0; KEY_BYTES]);
    random(&mut key.0);
    LocalDisk
        .replace(path, &key.0)
        .map_err(|e| disk_error("write", path, e))?;
    Ok(key)
}

#[cfg(test)]
pub(crate) fn test_random(seed: u64) -> Random {
    let stream = std::sync::Mutex::new(
        blake3::Hasher::new_derive_key("tillbind tests")
            .update(&seed.to_le_bytes())
            .finalize_xof(),
    );
    Arc::new(move |bytes: &mut [u8]| stream.lock().unwrap().fill(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path, credentials: Option<&Path>) -> Result<Vault, VaultError> {
        Vault::open(dir, credentials, test_random(1))
    }

    fn card(text: &str) -> CardNumber {
        CardNumber::new(text).unwrap()
    }

    #[test]
    fn the_key_is_made_once_for_its_owner_alone_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path(), None).unwrap();
        let mode = fs::metadata(dir.path().join(KEY_NAME))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let sealed = first.seal(Purpose::Journal).seal(b"aad", b"text");
        let second = Vault::open(dir.path(), None, test_random(2)).unwrap();
        assert_eq!(
            second.seal(Purpose::Journal).open(b"aad", &sealed).unwrap(),
            b"text"
        );
    }

    #[test]
    fn a_missing_key_beside_sealed_data_is_refused_and_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), None).unwrap();
        fs::remove_file(dir.path().join(KEY_NAME)).unwrap();
        let error = open(dir.path(), None).unwrap_err();
        assert!(matches!(error, VaultError::Missing { .. }), "{error}");
        assert!(!dir.path().join(KEY_NAME).exists());

        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("outbox/epochs")).unwrap();
        let error = open(dir.path(), None).unwrap_err();
        assert!(matches!(error, VaultError::Missing { .. }), "{error}");
    }

    #[test]
    fn another_key_than_last_time_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), None).unwrap();
        fs::write(dir.path().join(KEY_NAME), [7; KEY_BYTES]).unwrap();
        let error = open(dir.path(), None).unwrap_err();
        assert!(matches!(error, VaultError::Other { .. }), "{error}");
        fs::write(dir.path().join(KEY_NAME), b"short").unwrap();
        let error = open(dir.path(), None).unwrap_err();
        assert!(matches!(error, VaultError::Malformed { .. }), "{error}");
    }

    #[test]
    fn a_damaged_fingerprint_is_not_blamed_on_the_key() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), None).unwrap();
        let id = dir.path().join(ID_NAME);
        let whole = fs::read(&id).unwrap();
        for damaged in [&b""[..], &whole[..5]] {
            fs::write(&id, damaged).unwrap();
            let error = open(dir.path(), None).unwrap_err();
            assert!(matches!(error, VaultError::Fingerprint { .. }), "{error}");
            assert!(!error.to_string().contains("former key"), "{error}");
        }
        // As the message says.
        fs::remove_file(&id).unwrap();
        open(dir.path(), None).unwrap();
        assert_eq!(fs::read(&id).unwrap(), whole);
    }

    #[test]
    fn the_credential_goes_before_the_file_in_raw_and_in_hex() {
        let dir = tempfile::tempdir().unwrap();
        let credentials = tempfile::tempdir().unwrap();
        let file = credentials.path().join(CREDENTIAL_NAME);
        fs::write(&file, [0xab; KEY_BYTES]).unwrap();
        let raw = open(dir.path(), Some(credentials.path())).unwrap();
        assert!(!dir.path().join(KEY_NAME).exists());
        fs::write(&file, format!("{}\n", "aB".repeat(KEY_BYTES))).unwrap();
        let hex = open(dir.path(), Some(credentials.path())).unwrap();
        assert_eq!(
            raw.card_index(&card("12345")),
            hex.card_index(&card("12345"))
        );
    }

    #[test]
    fn each_purpose_has_a_key_of_its_own() {
        let vault = Vault::from_key([1; KEY_BYTES], test_random(1));
        let sealed = vault.seal(Purpose::Journal).seal(b"", b"text");
        assert!(vault.seal(Purpose::Replica).open(b"", &sealed).is_err());
        let other = Vault::from_key([2; KEY_BYTES], test_random(1));
        assert_ne!(vault.card_index(&card("1")), other.card_index(&card("1")));
        assert_ne!(vault.card_index(&card("1")), vault.card_index(&card("2")));
    }
}
