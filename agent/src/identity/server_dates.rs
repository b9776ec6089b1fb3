//! Whether the dates of central's certificate hold, judged by a terminal whose own clock is suspect.
//!
//! By central's time where an exchange told it within [`CONFIRMED_FOR`]: then the dates are judged as
//! anywhere. Otherwise the best guess is asked first, and if the certificate is not valid at that time,
//! the guess may be what is wrong: a till that thinks it is 1970 or 2099 must be able to ask what time
//! it is. It then takes the certificate at the earliest moment that it can be: not before the
//! certificate began, and not before this terminal's own certificate was issued. So a server
//! certificate that had ended before that is refused whatever the clock says; a later one that has
//! ended passes until the first exchange, which is the price. Signatures, names and the CA are verified
//! in every case.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use tokio::sync::watch;
use x509_parser::parse_x509_certificate;

use crate::clock::{self, CentralClock};

/// For how long an exchange vouches for the time. Past it the estimate is suspect as well: if central
/// had told a wrong time, its certificate would otherwise be refused for good.
pub const CONFIRMED_FOR: Duration = Duration::from_secs(3_600);

/// What a terminal goes by when it verifies a certificate.
#[derive(Debug, Clone)]
pub struct SuspectTime(Option<watch::Receiver<Option<CentralClock>>>);

/// A time to verify at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Now {
    pub(super) time: UnixTime,
    pub(super) is_confirmed: bool,
}

impl SuspectTime {
    /// Goes by what is known of central's clock.
    pub fn of(central: watch::Receiver<Option<CentralClock>>) -> Self {
        Self(Some(central))
    }

    /// Goes by the wall clock alone.
    pub fn wall() -> Self {
        Self(None)
    }

    pub(super) fn now(&self) -> Now {
        let known = self.0.as_ref().and_then(|known| *known.borrow());
        let offset_ms = known.map_or(0, |known| known.offset_ms);
        let now_ms = clock::wall().timestamp_millis().saturating_add(offset_ms);
        Now {
            time: unix_time(now_ms.div_euclid(1_000)),
            is_confirmed: known.is_some_and(|known| known.is_confirmed),
        }
    }
}

impl TimeProvider for SuspectTime {
    /// Always tells a time: rustls takes a clock before 1970 for none at all.
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.now().time)
    }
}

fn unix_time(seconds: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// When a certificate begins and ends.
pub(super) fn dates(certificate: &CertificateDer<'_>) -> Option<(UnixTime, UnixTime)> {
    let (_, read) = parse_x509_certificate(certificate).ok()?;
    let validity = read.validity();
    Some((
        unix_time(validity.not_before.timestamp()),
        unix_time(validity.not_after.timestamp()),
    ))
}

/// How a certificate's dates and a time disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misdated {
    /// The certificate begins later.
    NotYet,
    /// It has ended.
    Ended,
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "another crate's errors: whatever is not about dates stands as it is"
)]
pub(super) fn misdated(error: &Error) -> Option<Misdated> {
    match error {
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => Some(Misdated::NotYet),
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => Some(Misdated::Ended),
        _ => None,
    }
}

/// Verifies central's certificate as usual, save for the dates where the time is suspect.
#[derive(Debug)]
pub(super) struct ServerDates {
    pub(super) usual: Arc<WebPkiServerVerifier>,
    pub(super) time: SuspectTime,
    /// When the terminal's own certificate was issued: central's time is past it.
    pub(super) floor: UnixTime,
}

impl ServerCertVerifier for ServerDates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let now = self.time.now();
        let verify = |at| {
            self.usual
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at)
        };
        let error = match verify(now.time) {
            Ok(verified) => return Ok(verified),
            Err(error) => error,
        };
        if now.is_confirmed || misdated(&error).is_none() {
            return Err(error);
        }
        let Some((begins, _)) = dates(end_entity) else {
            return Err(error);
        };
        let verified = verify(begins.max(self.floor))?;
        tracing::warn!(
            "this machine's clock does not fit headquarters' certificate: it is taken until \
             headquarters has told the time"
        );
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
