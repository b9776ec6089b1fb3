//! Who this terminal is: the identity that central gave it, its key and its certificate.
//!
//! All of it stands in one file, `<data_dir>/identity/identity.json` (0600, its directory 0700), written
//! aside and renamed into place: there is never a key without its certificate. The key is made on this
//! machine and never leaves it. A CRC-32C over the fields stands beside them, so that a store or an
//! address that a failing disk changed is not taken for the one that central gave.

pub mod enrolment;
#[cfg(test)]
pub(crate) mod fake_central;
pub(crate) mod no_connection;
mod pinned_ca;
pub mod renewal;
mod server_dates;
pub mod tls;

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown, fchown};
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use tillbind_protocol::ids::{StoreId, TerminalId, WorkstationId};
use zeroize::Zeroizing;

pub use server_dates::{CONFIRMED_FOR, SuspectTime};

use crate::storage::private_file;

const DIR: &str = "identity";
const FILE: &str = "identity.json";

/// The identity that central gave.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The terminal's name.
    pub terminal: TerminalId,
    /// Its store.
    pub store: StoreId,
    /// Its workstation.
    pub workstation: WorkstationId,
    /// Address of central's sync listener.
    pub url: String,
    /// Client certificate (PEM).
    pub certificate_pem: String,
    /// The CA (PEM) that both sides trust.
    pub ca_pem: String,
    /// The private key (PKCS #8, PEM).
    pub key_pem: Zeroizing<String>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("terminal", &self.terminal)
            .field("store", &self.store)
            .field("workstation", &self.workstation)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Why the identity cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The disk refused.
    #[error("cannot {doing} the identity {}", path.display())]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The file is no identity.
    #[error(
        "the identity {} is damaged: enrol this terminal again with a new token and --again",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// The identity as it stands in its file.
#[derive(Serialize, Deserialize)]
struct Kept<I> {
    #[serde(flatten)]
    identity: I,
    /// CRC-32C of the fields' JSON, in hex. Files that were written before there was one lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crc32c: Option<String>,
}

/// Returns where the identity stands.
pub fn path_in(data_dir: &Path) -> PathBuf {
    data_dir.join(DIR).join(FILE)
}

impl Identity {
    /// Reads the identity; none before the enrolment. Blocks on the disk.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn load(data_dir: &Path) -> Result<Option<Self>, IdentityError> {
        let path = path_in(data_dir);
        let text = match fs::read(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(IdentityError::Disk {
                    doing: "read",
                    path,
                    source,
                });
            }
        };
        match Self::read(&text) {
            Ok(identity) => Ok(Some(identity)),
            Err(source) => Err(IdentityError::Damaged { path, source }),
        }
    }

    fn read(text: &[u8]) -> Result<Self, serde_json::Error> {
        let kept: Kept<Self> = serde_json::from_slice(text)?;
        let holds = match &kept.crc32c {
            Some(crc) => *crc == kept.identity.crc()?,
            None => true,
        };
        if holds {
            Ok(kept.identity)
        } else {
            Err(serde_json::Error::custom("its checksum does not hold"))
        }
    }

    fn crc(&self) -> Result<String, serde_json::Error> {
        let fields = Zeroizing::new(serde_json::to_vec(self)?);
        Ok(format!("{:08x}", crc32c::crc32c(&fields)))
    }

    /// Keeps the identity, durably and in place of a former one. Blocks on the disk.
    ///
    /// # Errors
    /// [`IdentityError`]; the former one then stands as it was.
    pub fn store(&self, data_dir: &Path) -> Result<(), IdentityError> {
        let path = path_in(data_dir);
        self.write(data_dir, &path)
            .map_err(|source| IdentityError::Disk {
                doing: "write",
                path,
                source,
            })
    }

    fn write(&self, data_dir: &Path, path: &Path) -> io::Result<()> {
        let dir = data_dir.join(DIR);
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let kept = Kept {
            identity: self,
            crc32c: Some(self.crc()?),
        };
        let text = Zeroizing::new(serde_json::to_vec_pretty(&kept)?);
        // A technician enrols as root; the daemon, whose directory it is, must read what came of it.
        let owner = fs::metadata(data_dir)?;
        private_file::replace(path, &text, |file| {
            if file.metadata()?.uid() != owner.uid() {
                fchown(file, Some(owner.uid()), Some(owner.gid()))?;
                chown(&dir, Some(owner.uid()), Some(owner.gid()))?;
            }
            Ok(())
        })?;
        File::open(data_dir)?.sync_all()
    }
}

#[cfg(test)]
mod tests;
