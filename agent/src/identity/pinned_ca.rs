//! Trusts a server whose chain ends in one CA, known by its fingerprint alone.
//!
//! A till that is enrolled may think that it is 1970, or 2099: a certificate that has not begun by its
//! clock is taken at its beginning, and so is one that has ended where the clock is past the CA's own
//! end, which is decades away. One that has ended by a clock that can be right is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};

use super::server_dates::{Misdated, dates, misdated};

/// Looks in the server's chain for the CA with the fingerprint, then verifies the chain against it as
/// usual: signatures, the server's name, dates as above.
#[derive(Debug)]
pub(super) struct PinnedCa {
    sha256: String,
    provider: Arc<CryptoProvider>,
    saw_another: AtomicBool,
}

impl PinnedCa {
    /// `sha256` is the CA's fingerprint in hex.
    pub(super) fn new(sha256: &str, provider: Arc<CryptoProvider>) -> Self {
        Self {
            sha256: sha256.to_ascii_lowercase(),
            provider,
            saw_another: AtomicBool::new(false),
        }
    }

    /// Says whether a server showed a chain without that CA.
    pub(super) fn saw_another(&self) -> bool {
        self.saw_another.load(Ordering::Relaxed)
    }
}

/// Returns the fingerprint of a certificate, in hex.
pub(super) fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    hex::encode(Sha256::digest(certificate.as_ref()))
}

impl ServerCertVerifier for PinnedCa {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(ca) = intermediates
            .iter()
            .find(|shown| fingerprint(shown) == self.sha256)
        else {
            self.saw_another.store(true, Ordering::Relaxed);
            return Err(CertificateError::UnknownIssuer.into());
        };
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
        let usual = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&self.provider),
        )
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
        let verify = |at| {
            usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at)
        };
        let error = match verify(now) {
            Ok(verified) => return Ok(verified),
            Err(error) => error,
        };
        let clock_is_wrong = match misdated(&error) {
            None => false,
            Some(Misdated::NotYet) => true,
            Some(Misdated::Ended) => dates(ca).is_some_and(|(_, ends)| now > ends),
        };
        match dates(end_entity) {
            Some((begins, _)) if clock_is_wrong => verify(begins),
            Some(_) | None => Err(error),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 alone is spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
