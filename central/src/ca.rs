//! Central's own certificate authority: `ca.key` and `ca.pem` in the data directory, made on the
//! first start and the only root that terminals and central trust.
//!
//! Keys stay in files of the data directory rather than in the database: a copy of the database
//! then signs nothing. Processes on several machines share one data directory's keys by copying it.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
    SerialNumber, date_time_ymd,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tillbind_protocol::ids::TerminalId;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use crate::data_dir::{DataDir, FileError};
use crate::entropy::{self, EntropyError};

const CA_KEY: &str = "ca.key";
const CA_CERTIFICATE: &str = "ca.pem";
const SERVER: &str = "server.pem";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The CA outlives every till: changing it means enrolling all of them again.
const CA_LIFE: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
/// Life of the server's certificate; renewed by itself [`SERVER_RENEWED_BEFORE`] its end.
const SERVER_LIFE: Duration = Duration::from_secs(397 * 24 * 60 * 60);
const SERVER_RENEWED_BEFORE: Duration = Duration::from_secs(60 * 24 * 60 * 60);
/// Life of a terminal's certificate; a till that was off for longer is enrolled again.
const TERMINAL_LIFE: Duration = Duration::from_secs(397 * 24 * 60 * 60);

/// A certificate that cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A file of the data directory.
    #[error(transparent)]
    File(#[from] FileError),
    /// Random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A certificate cannot be made.
    #[error("{what} cannot be made")]
    Make {
        /// Which one.
        what: &'static str,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// A file does not hold what it should.
    #[error(
        "{file} in the data directory is damaged: restore it from a backup (without the CA's key, \
         every terminal must be enrolled again)"
    )]
    Damaged {
        /// The file.
        file: &'static str,
    },
}

/// A signing request that cannot be signed.
#[derive(Debug, thiserror::Error)]
#[error("the signing request cannot be used")]
pub struct RequestError(#[source] rcgen::Error);

/// The authority.
pub struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    certificate: CertificateDer<'static>,
}

impl std::fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateAuthority")
            .field("sha256", &self.sha256())
            .finish_non_exhaustive()
    }
}

/// What the server shows to terminals.
#[derive(Debug)]
pub struct ServerIdentity {
    /// The server's certificate, then the CA's.
    pub chain: Vec<CertificateDer<'static>>,
    /// The server's key.
    pub key: PrivateKeyDer<'static>,
}

/// A certificate for a terminal.
#[derive(Debug)]
pub struct TerminalCertificate {
    /// The certificate.
    pub pem: String,
    /// Its serial number in hex, by which a request is matched with what was issued.
    pub serial: String,
}

impl CertificateAuthority {
    /// Opens the authority, and makes it if the data directory has none.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn open(data_dir: &DataDir, now_ms: i64) -> Result<Self, CaError> {
        let make = |source| CaError::Make {
            what: "the CA",
            source,
        };
        let unique = entropy::name("")?;
        let key_pem = match data_dir.read(CA_KEY)? {
            Some(pem) => pem,
            None => {
                let fresh = KeyPair::generate().map_err(make)?.serialize_pem();
                data_dir.create(CA_KEY, &unique, &fresh)?
            }
        };
        let damaged = |file| move |_| CaError::Damaged { file };
        let key = KeyPair::from_pem(&key_pem).map_err(damaged(CA_KEY))?;
        let certificate_pem = match data_dir.read(CA_CERTIFICATE)? {
            Some(pem) => pem,
            None => {
                let fresh = ca_params(now_ms)?.self_signed(&key).map_err(make)?;
                data_dir.create(CA_CERTIFICATE, &unique, &fresh.pem())?
            }
        };
        let certificate =
            CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(|_| {
                CaError::Damaged {
                    file: CA_CERTIFICATE,
                }
            })?;
        let issuer =
            Issuer::from_ca_cert_pem(&certificate_pem, key).map_err(damaged(CA_CERTIFICATE))?;
        Ok(Self {
            issuer,
            certificate_pem,
            certificate,
        })
    }

    /// Returns the CA's certificate.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Returns the CA's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Returns the fingerprint that tokens carry: SHA-256 of the certificate, 64 hex digits.
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(&self.certificate))
    }

    /// Signs a terminal's key. Of the request only the public key counts, and its proof of
    /// possession; the subject is the terminal's name.
    ///
    /// # Errors
    /// [`RequestError`] when the request is malformed or its signature does not hold.
    pub fn sign_terminal(
        &self,
        csr_pem: &str,
        terminal: &TerminalId,
        random: [u8; 16],
        now_ms: i64,
    ) -> Result<TerminalCertificate, RequestError> {
        let csr = CertificateSigningRequestParams::from_pem(csr_pem).map_err(RequestError)?;
        let serial = positive(random);
        let mut params = params(now_ms, TERMINAL_LIFE, terminal.as_str());
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let signed = params
            .signed_by(&csr.public_key, &self.issuer)
            .map_err(RequestError)?;
        Ok(TerminalCertificate {
            pem: signed.pem(),
            serial: hex::encode(serial),
        })
    }

    /// Returns what the server shows, and makes it anew when it is missing, ends soon or lacks a
    /// name.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn server_identity(
        &self,
        data_dir: &DataDir,
        public_names: &[String],
        now_ms: i64,
    ) -> Result<ServerIdentity, CaError> {
        let mut names: Vec<String> = public_names.to_vec();
        for own in ["localhost", "127.0.0.1", "::1"] {
            if !names.iter().any(|name| name == own) {
                names.push(own.to_owned());
            }
        }
        if let Some(pem) = data_dir.read(SERVER)?
            && let Some(identity) = self.read_server(&pem)
            && serves(&identity, &names, now_ms)
        {
            return Ok(identity);
        }
        let pem = self.make_server(&names, now_ms)?;
        data_dir.replace(SERVER, &entropy::name("")?, &pem)?;
        self.read_server(&pem)
            .ok_or(CaError::Damaged { file: SERVER })
    }

    fn make_server(&self, names: &[String], now_ms: i64) -> Result<String, CaError> {
        let make = |source| CaError::Make {
            what: "the server's certificate",
            source,
        };
        let key = KeyPair::generate().map_err(make)?;
        let mut params = params(now_ms, SERVER_LIFE, "tillbind-central");
        params.serial_number = Some(SerialNumber::from_slice(&positive(entropy::bytes()?)));
        let named = CertificateParams::new(names.to_vec()).map_err(make)?;
        params.subject_alt_names = named.subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let signed = params.signed_by(&key, &self.issuer).map_err(make)?;
        Ok(format!("{}{}", signed.pem(), key.serialize_pem()))
    }

    fn read_server(&self, pem: &str) -> Option<ServerIdentity> {
        let own = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()?;
        let (_, parsed) = parse_x509_certificate(&own).ok()?;
        let (_, ca) = parse_x509_certificate(&self.certificate).ok()?;
        parsed.verify_signature(Some(ca.public_key())).ok()?;
        Some(ServerIdentity {
            chain: vec![own, self.certificate.clone()],
            key,
        })
    }
}

/// Returns the SHA-256 of the public key that a request asks to be signed: what stays the same when
/// a terminal writes its request anew.
///
/// # Errors
/// [`RequestError`] when the request is malformed or its signature does not hold.
pub fn requested_key(csr_pem: &str) -> Result<String, RequestError> {
    let csr = CertificateSigningRequestParams::from_pem(csr_pem).map_err(RequestError)?;
    Ok(hex::encode(Sha256::digest(csr.public_key.der_bytes())))
}

fn ca_params(now_ms: i64) -> Result<CertificateParams, CaError> {
    let name = format!("Tillbind CA {}", hex::encode(entropy::bytes::<4>()?));
    let mut params = params(now_ms, CA_LIFE, &name);
    params.serial_number = Some(SerialNumber::from_slice(&positive(entropy::bytes()?)));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn params(now_ms: i64, life: Duration, common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let now = Duration::from_millis(u64::try_from(now_ms).unwrap_or_default());
    // A till whose clock is some days behind must not take a fresh certificate for one of the future.
    params.not_before = date_time_ymd(1970, 1, 1) + now.saturating_sub(DAY * 30);
    params.not_after = date_time_ymd(1970, 1, 1) + now + life;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, common_name);
    params.distinguished_name = subject;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

/// A serial number is a positive integer whose first byte is not zero.
fn positive(mut random: [u8; 16]) -> [u8; 16] {
    random[0] = (random[0] & 0x3f) | 0x40;
    random
}

fn serves(identity: &ServerIdentity, names: &[String], now_ms: i64) -> bool {
    let Some((_, certificate)) = identity
        .chain
        .first()
        .and_then(|der| parse_x509_certificate(der).ok())
    else {
        return false;
    };
    let needed_s =
        now_ms / 1_000 + i64::try_from(SERVER_RENEWED_BEFORE.as_secs()).unwrap_or(i64::MAX / 2);
    if certificate.validity().not_after.timestamp() < needed_s {
        return false;
    }
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
        return false;
    };
    let mut held: Vec<String> = Vec::new();
    for name in &alternatives.value.general_names {
        if let GeneralName::DNSName(name) = name {
            held.push((*name).to_owned());
        } else if let GeneralName::IPAddress(bytes) = name {
            held.extend(address(bytes));
        }
    }
    names.iter().all(|name| held.contains(name))
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(four).to_string());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(std::net::Ipv6Addr::from(sixteen).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_790_000_000_000;
    const DAY_MS: i64 = 86_400_000;

    fn csr() -> String {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["hq.example".to_owned()]).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "someone-else");
        params.serialize_request(&key).unwrap().pem().unwrap()
    }

    #[test]
    fn a_terminal_is_named_by_central_and_not_by_its_request() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let ca = CertificateAuthority::open(&data, NOW_MS).unwrap();
        let terminal = TerminalId::new("t-1").unwrap();
        let issued = ca
            .sign_terminal(&csr(), &terminal, [0xff; 16], NOW_MS)
            .unwrap();
        let der = CertificateDer::from_pem_slice(issued.pem.as_bytes()).unwrap();
        let (_, parsed) = parse_x509_certificate(&der).unwrap();
        let name = parsed.subject().iter_common_name().next().unwrap();
        assert_eq!(name.as_str().unwrap(), "t-1");
        assert!(parsed.subject_alternative_name().unwrap().is_none());
        assert_eq!(hex::encode(parsed.raw_serial()), issued.serial);
        assert!(
            ca.sign_terminal("nonsense", &terminal, [1; 16], NOW_MS)
                .is_err()
        );
    }

    #[test]
    fn the_authority_stays_and_the_servers_certificate_follows_its_names_and_its_age() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let first = CertificateAuthority::open(&data, NOW_MS).unwrap();
        let again = CertificateAuthority::open(&data, NOW_MS).unwrap();
        assert_eq!(first.sha256(), again.sha256());

        let names = vec!["hq.example".to_owned(), "10.0.0.7".to_owned()];
        let one = first.server_identity(&data, &names, NOW_MS).unwrap();
        let same = again
            .server_identity(&data, &names, NOW_MS + 300 * DAY_MS)
            .unwrap();
        assert_eq!(one.chain, same.chain);
        let old = again
            .server_identity(&data, &names, NOW_MS + 350 * DAY_MS)
            .unwrap();
        assert_ne!(one.chain, old.chain);
        let more = vec!["hq2.example".to_owned()];
        let renamed = again
            .server_identity(&data, &more, NOW_MS + 350 * DAY_MS)
            .unwrap();
        assert_ne!(old.chain, renamed.chain);
    }
}
