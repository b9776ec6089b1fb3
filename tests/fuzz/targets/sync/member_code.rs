//! The member code: base45, zlib, COSE, claims.
//!
//! The first byte says from which layer on the input is hostile: the text, what it packs, what is
//! packed, or the claims under a good signature. Oracles: nothing verifies that was not signed by the
//! known key; claims that verify are the same once issued anew; time never turns a refusal of the form
//! into a pass.
#![no_main]

use std::io::Read;
use std::sync::LazyLock;

use coset::{CborSerializable, CoseSign1Builder, HeaderBuilder, iana};
use ed25519_dalek::{Signer, SigningKey};
use flate2::Compression;
use flate2::read::ZlibEncoder;
use libfuzzer_sys::fuzz_target;
use tillbind_protocol::member_code::{
    CODE_BYTES_MAX, KeySet, PREFIX, PublicKey, VerifyTime, issue, verify, verify_signature,
};

const KID: &str = "k1";
static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_bytes(&[1; 32]));
static KEYS: LazyLock<KeySet> = LazyLock::new(|| KeySet {
    version: 1,
    keys: vec![PublicKey::of(KID, &KEY.verifying_key())],
});

fuzz_target!(|data: &[u8]| {
    let Some((layer, data)) = data.split_first() else {
        return;
    };
    match layer % 4 {
        0 => {
            if let Ok(text) = std::str::from_utf8(data) {
                assert!(verify_signature(text, &KEYS).is_err(), "a text is signed");
            }
        }
        1 => assert!(check(&text_of(data)).is_err(), "bytes are signed"),
        2 => assert!(check(&text_of(&zlib(data))).is_err(), "bytes are signed"),
        _ => claims(data),
    }
});

fn claims(payload: &[u8]) {
    let protected = HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .key_id(KID.as_bytes().to_vec())
        .build();
    let signed = CoseSign1Builder::new()
        .protected(protected)
        .payload(payload.to_vec())
        .create_signature(b"", |message| KEY.sign(message).to_bytes().to_vec())
        .build()
        .to_vec()
        .expect("CBOR holds any payload");
    let code = text_of(&zlib(&signed));
    let Ok(claims) = check(&code) else { return };
    assert!(code.len() <= CODE_BYTES_MAX);
    let again = issue(&claims, KID, &KEY).expect("claims that were read can be written");
    if again.len() <= CODE_BYTES_MAX {
        assert_eq!(check(&again).expect("a good code verifies"), claims);
    }
}

fn check(
    code: &str,
) -> Result<tillbind_protocol::member_code::Claims, tillbind_protocol::member_code::MemberCodeError>
{
    let form = verify_signature(code, &KEYS);
    for now_ms in [i64::MIN, 0, 1_790_000_000_000, i64::MAX] {
        for uncertainty_ms in [0, u32::MAX] {
            let at = VerifyTime {
                now_ms,
                uncertainty_ms,
            };
            if let Ok(claims) = verify(code, &KEYS, at) {
                assert_eq!(form.as_ref().ok(), Some(&claims));
            }
        }
    }
    form
}

fn text_of(packed: &[u8]) -> String {
    format!("{PREFIX}{}", base45::encode(packed))
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    ZlibEncoder::new(bytes, Compression::fast())
        .read_to_end(&mut packed)
        .expect("memory takes anything");
    packed
}
