//! TLS 1.3 to central, and the HTTP client over it.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use super::Identity;
use super::pinned_ca::PinnedCa;
use super::server_dates::{ServerDates, SuspectTime, dates};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often an idle connection is tried, so that a dead line is noticed in a long poll.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);

/// Why no connection to central can be prepared.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The identity's certificate, key or CA cannot be read.
    #[error("the identity's {0} cannot be read: enrol this terminal again with --again")]
    Pem(&'static str),
    /// TLS refuses them.
    #[error("the identity's key and certificate cannot be used for TLS")]
    Tls(#[from] rustls::Error),
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made")]
    Client(#[from] reqwest::Error),
}

/// Returns the cryptography that all of the agent uses.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn builder(time: SuspectTime) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    Ok(
        ClientConfig::builder_with_details(provider(), Arc::new(time))
            .with_protocol_versions(&[&rustls::version::TLS13])?,
    )
}

/// Makes the client that shows the terminal's certificate and trusts the CA of its identity.
/// Dates are judged by `time`.
///
/// # Errors
/// [`TlsError`].
pub fn client_of(identity: &Identity, time: SuspectTime) -> Result<reqwest::Client, TlsError> {
    let mut roots = RootCertStore::empty();
    for ca in certificates(&identity.ca_pem, "CA")? {
        roots.add(ca)?;
    }
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes())
        .map_err(|_| TlsError::Pem("key"))?;
    let own = certificates(&identity.certificate_pem, "certificate")?;
    let Some((floor, _)) = own.first().and_then(dates) else {
        return Err(TlsError::Pem("certificate"));
    };
    let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|_| TlsError::Pem("CA"))?;
    let verifier = ServerDates {
        usual,
        time: time.clone(),
        floor,
    };
    let config = builder(time)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(own, key)?;
    client(config)
}

/// Makes the client of the enrolment, which trusts a fingerprint alone.
pub(super) fn pinning_client(ca: Arc<PinnedCa>) -> Result<reqwest::Client, TlsError> {
    let config = builder(SuspectTime::wall())?
        .dangerous()
        .with_custom_certificate_verifier(ca)
        .with_no_client_auth();
    client(config)
}

pub(super) fn certificates(
    pem: &str,
    what: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    found
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or(TlsError::Pem(what))
}

fn client(mut config: ClientConfig) -> Result<reqwest::Client, TlsError> {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .https_only(true)
        // A proxy out of the environment could be anyone's.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE_EVERY)
        .http2_keep_alive_timeout(KEEPALIVE_EVERY)
        .pool_max_idle_per_host(1)
        .build()?)
}
