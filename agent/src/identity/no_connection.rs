//! Why a connection did not come about, in words that a technician can act on.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError};

/// Returns the reason of a failed request with its remedy where one is known. The outer layers of an
/// HTTP client say nothing that helps; TLS says it in words of its own.
pub(crate) fn explain(error: &reqwest::Error) -> String {
    let mut layer: &(dyn Error + 'static) = error;
    loop {
        if let Some(reason) = tls_fault(layer).and_then(tls_reason) {
            return reason.to_owned();
        }
        if let Some(io) = layer.downcast_ref::<io::Error>()
            && io.kind() == io::ErrorKind::UnexpectedEof
        {
            return "the connection ended in the middle: something on the way cut it, or \
                    headquarters stopped"
                .to_owned();
        }
        match layer.source() {
            Some(inner) => layer = inner,
            None => return layer.to_string(),
        }
    }
}

/// An error of TLS stands in the chain itself or inside an I/O error, which does not show it as its
/// source.
fn tls_fault<'e>(layer: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    layer
        .downcast_ref()
        .or_else(|| layer.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref())
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "another crate's errors: what is not named here keeps its own text"
)]
fn tls_reason(fault: &rustls::Error) -> Option<&'static str> {
    match fault {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Some(
                "the server's certificate comes from another CA than headquarters': the address \
                 leads to somebody else, or headquarters was made anew; if so, enrol again with \
                 `tillbind enrol --again TOKEN`",
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Some(
                    "the server's certificate does not name the address that this terminal uses: \
                     add it to `public_names` at headquarters",
                )
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Some(
                "the server's certificate is not valid at this terminal's time: check the \
                 terminal's clock, then headquarters' certificate",
            ),
            _ => None,
        },
        rustls::Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::DecryptError,
        ) => Some(
            "headquarters does not accept this terminal's certificate: enrol again with \
             `tillbind enrol --again TOKEN`",
        ),
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
        | rustls::Error::PeerIncompatible(_) => Some(
            "the other side does not speak TLS 1.3: the address leads to somebody else, or a \
             middlebox breaks the line",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_tls_is_found_inside_an_io_error_and_says_what_to_do() {
        let fault = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::new(io::ErrorKind::InvalidData, fault);
        let reason = tls_fault(&wrapped).and_then(tls_reason).unwrap();
        assert!(reason.contains("enrol --again"), "{reason}");
        let alert = rustls::Error::AlertReceived(AlertDescription::CertificateUnknown);
        assert!(tls_fault(&alert).and_then(tls_reason).is_some());
        assert!(tls_fault(&io::Error::other("else")).is_none());
    }
}
