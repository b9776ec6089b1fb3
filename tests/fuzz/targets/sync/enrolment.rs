//! Tokens, requests for an identity, signing requests, and what central answers.
//!
//! Oracles: what was read is written and read back the same; a certificate that central signs for
//! hostile bytes names the terminal that central chose, and nothing that the bytes asked for.
#![no_main]

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tillbind_central::ca::{CertificateAuthority, requested_key};
use tillbind_central::data_dir::DataDir;
use tillbind_central::sync::fuzzing;
use tillbind_central::sync::identity::shown;
use tillbind_fuzz::{assert_round_trip, folder, packed};
use tillbind_protocol::enrol::{EnrolRequest, EnrolResponse, Refusal, Token};
use tillbind_protocol::ids::TerminalId;

const NOW_MS: i64 = 1_790_000_000_000;

static CA: LazyLock<CertificateAuthority> = LazyLock::new(|| {
    let data_dir = DataDir::open(&folder("enrolment")).expect("the folder opens");
    CertificateAuthority::open(&data_dir, NOW_MS).expect("a CA is made")
});

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(token) = Token::decode(text) {
            let word = token.encode().expect("three texts have a JSON form");
            assert_eq!(Token::decode(&word).as_ref(), Ok(&token));
        }
        sign(text);
    }
    let plain: Option<EnrolRequest> = fuzzing::read(false, data);
    let repacked: Option<EnrolRequest> = fuzzing::read(true, &packed(data));
    assert_eq!(plain.is_some(), repacked.is_some());
    if let Some(request) = plain {
        assert_round_trip(&request);
        sign(&request.csr_pem);
    }
    if let Ok(answer) = serde_json::from_slice::<EnrolResponse>(data) {
        assert_round_trip(&answer);
    }
    if let Ok(refusal) = serde_json::from_slice::<Refusal>(data) {
        assert_round_trip(&refusal);
    }
    sign(&pem(data));
    // What a peer shows; TLS has verified it by then, so this is more than can come.
    let _ = shown(&CertificateDer::from(data));
});

fn pem(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE REQUEST-----\n");
    text.push_str(&STANDARD.encode(der));
    text.push_str("\n-----END CERTIFICATE REQUEST-----\n");
    text
}

fn sign(csr_pem: &str) {
    let key = requested_key(csr_pem);
    let terminal = TerminalId::new("t-fuzz").expect("a name");
    let signed = CA.sign_terminal(csr_pem, &terminal, [3; 16], NOW_MS);
    assert_eq!(key.is_ok(), signed.is_ok());
    let Ok(signed) = signed else { return };
    let der = CertificateDer::from_pem_slice(signed.pem.as_bytes()).expect("a certificate");
    let shown = shown(&der).expect("a certificate of ours");
    assert_eq!(shown.terminal, terminal);
}
