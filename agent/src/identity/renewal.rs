//! The certificate's life, and its renewal under a new key before it ends.

use std::path::Path;

use tillbind_protocol::enrol::{EnrolRequest, RENEW_PATH};
use x509_parser::parse_x509_certificate;

use super::Identity;
use super::enrolment::{EnrolError, Machine, identity_of, new_key, post};
use super::pinned_ca::fingerprint;
use super::server_dates::SuspectTime;
use super::tls::{self, TlsError};

/// When a certificate is valid, in milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From when.
    pub from_ms: i64,
    /// Until when.
    pub until_ms: i64,
}

impl Validity {
    /// Reads it from the identity's certificate.
    ///
    /// # Errors
    /// [`TlsError::Pem`] when that is none.
    pub fn of(identity: &Identity) -> Result<Self, TlsError> {
        let unreadable = TlsError::Pem("certificate");
        let chain = tls::certificates(&identity.certificate_pem, "certificate")?;
        let Some(Ok((_, certificate))) = chain.first().map(|der| parse_x509_certificate(der))
        else {
            return Err(unreadable);
        };
        let validity = certificate.validity();
        Ok(Self {
            from_ms: validity.not_before.timestamp().saturating_mul(1_000),
            until_ms: validity.not_after.timestamp().saturating_mul(1_000),
        })
    }

    /// Says whether two thirds of it are over at `now_ms` by central's clock.
    pub fn is_renewal_due(&self, now_ms: i64) -> bool {
        let life = self.until_ms.saturating_sub(self.from_ms);
        now_ms >= self.from_ms.saturating_add(life / 3 * 2)
    }
}

/// Has a new key certified under the present identity and keeps the result in its place.
///
/// # Errors
/// [`EnrolError`]; the present identity then stands as it was.
pub async fn renew(
    data_dir: &Path,
    identity: &Identity,
    machine: &Machine,
    time: SuspectTime,
) -> Result<Identity, EnrolError> {
    let cas = tls::certificates(&identity.ca_pem, "CA")?;
    let ca_sha256 = cas.first().map(fingerprint).unwrap_or_default();
    let client = tls::client_of(identity, time)?;
    let (key_pem, csr_pem) = new_key()?;
    let request = EnrolRequest {
        secret: String::new(),
        csr_pem,
        machine: machine.fingerprint.clone(),
        version: machine.version.clone(),
    };
    let answer = post(&client, &identity.url, RENEW_PATH, &request).await?;
    let renewed = identity_of(answer, identity.url.clone(), key_pem, &ca_sha256)?;
    renewed.store(data_dir)?;
    Ok(renewed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_after_two_thirds_of_its_life() {
        let life = Validity {
            from_ms: 0,
            until_ms: 3_000,
        };
        assert!(!life.is_renewal_due(1_999));
        assert!(life.is_renewal_due(2_000));
    }
}
