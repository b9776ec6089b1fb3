//! Who sent a request.

use std::net::SocketAddr;

use rustls_pki_types::CertificateDer;
use tillbind_protocol::ids::TerminalId;
use x509_parser::parse_x509_certificate;

use super::refusal::Refused;
use crate::store::Store;
use crate::terminals::{self, Standing, Terminal};

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where it is.
    pub address: SocketAddr,
    /// What its certificate says, if it showed one. TLS has verified it against our CA.
    pub certificate: Option<Shown>,
}

impl Peer {
    /// The other end of a plain connection.
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            certificate: None,
        }
    }
}

/// A certificate of our CA, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The terminal that it names.
    pub terminal: TerminalId,
    /// Its serial number in hex.
    pub serial: String,
}

/// Reads a certificate that TLS has verified; `None` for one that names no terminal.
pub fn shown(certificate: &CertificateDer<'_>) -> Option<Shown> {
    let (_, parsed) = parse_x509_certificate(certificate).ok()?;
    let name = parsed.subject().iter_common_name().next()?.as_str().ok()?;
    Some(Shown {
        terminal: TerminalId::new(name).ok()?,
        serial: hex::encode(parsed.raw_serial()),
    })
}

/// Finds the terminal behind a connection, and whether it may still sync.
///
/// # Errors
/// [`Refused`] when it may not.
pub async fn authorise(store: &Store, peer: &Peer) -> Result<Terminal, Refused> {
    let shown = peer.certificate.as_ref().ok_or(Refused::NoCertificate)?;
    let found = terminals::find(store.reader(), &shown.terminal).await?;
    let terminal = found.ok_or(Refused::Barred)?;
    match terminals::standing(&terminal, &shown.serial) {
        Standing::Current => {}
        Standing::Renewed => {
            let tx = store.begin().await?;
            terminals::adopt_renewed(&*tx, &terminal.id, &shown.serial).await?;
            tx.commit().await?;
        }
        Standing::Barred => return Err(Refused::Barred),
    }
    Ok(terminal)
}
