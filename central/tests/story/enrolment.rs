use tillbind_central::enrolment::{EnrolError, enrol, renew};
use tillbind_central::terminals::{self, Standing, standing};
use tillbind_protocol::ids::TerminalId;

use crate::support::till::NOW_MS;
use crate::support::{Bench, enrol_request};

pub(crate) async fn a_token_buys_one_identity_and_the_same_till_may_ask_again(bench: &Bench) {
    let secret = bench.token("S1", "W1", 60_000).await;
    let key = rcgen::KeyPair::generate().unwrap();
    // Signing requests are written anew each time, with another signature over the same key.
    let written = || {
        let csr = rcgen::CertificateParams::default();
        csr.serialize_request(&key).unwrap().pem().unwrap()
    };
    let mut one = enrol_request(&secret);
    one.csr_pem = written();
    one.machine = "machine-one".into();
    let other = enrol_request(&secret);
    let (a, b) = tokio::join!(
        enrol(&bench.store, &bench.ca, &one, NOW_MS),
        enrol(&bench.store, &bench.ca, &other, NOW_MS),
    );
    let (won, mut request) = match (a, b) {
        (Ok(won), Err(EnrolError::TokenUsed)) => (won, one),
        (Err(EnrolError::TokenUsed), Ok(won)) => (won, other),
        outcome => panic!("{outcome:?}"),
    };
    assert_eq!((won.store.as_str(), won.workstation.as_str()), ("S1", "W1"));
    if request.machine == "machine-one" {
        request.csr_pem = written();
    }
    let again = enrol(&bench.store, &bench.ca, &request, NOW_MS)
        .await
        .unwrap();
    assert_eq!(again.terminal, won.terminal);
    assert_eq!(again.certificate_pem, won.certificate_pem);

    let late = enrol_request(&bench.token("S1", "W1", 10).await);
    let expired = enrol(&bench.store, &bench.ca, &late, NOW_MS + 10).await;
    assert!(
        matches!(expired, Err(EnrolError::TokenExpired)),
        "{expired:?}"
    );
    let unknown = enrol(&bench.store, &bench.ca, &enrol_request("x"), NOW_MS).await;
    assert!(
        matches!(unknown, Err(EnrolError::UnknownToken)),
        "{unknown:?}"
    );

    let mut odd = enrol_request(&bench.token("S1", "W1", 60_000).await);
    odd.machine = "m".repeat(200);
    let odd = enrol(&bench.store, &bench.ca, &odd, NOW_MS).await;
    assert!(matches!(odd, Err(EnrolError::Malformed(_))), "{odd:?}");

    // A malformed request must not burn the token.
    let mut broken = enrol_request(&bench.token("S1", "W1", 60_000).await);
    let csr = std::mem::replace(&mut broken.csr_pem, "nonsense".into());
    assert!(
        enrol(&bench.store, &bench.ca, &broken, NOW_MS)
            .await
            .is_err()
    );
    broken.csr_pem = csr;
    let second = enrol(&bench.store, &bench.ca, &broken, NOW_MS)
        .await
        .unwrap();
    assert_ne!(second.terminal, won.terminal);
    let superseded = "SELECT terminal FROM terminals WHERE superseded_ms IS NOT NULL";
    assert_eq!(bench.text(superseded).await, won.terminal.to_string());
    let leaked = format!("SELECT COUNT(*) FROM tokens WHERE secret_hash = '{secret}'");
    assert_eq!(bench.number(&leaked).await, 0);
}

pub(crate) async fn a_renewed_certificate_replaces_its_predecessor_when_it_is_first_used(
    bench: &Bench,
) {
    let before = bench.terminal("S1", "W1").await;
    let mut copied = enrol_request("");
    copied.machine = "machine-2".into();
    let refused = renew(&bench.store, &bench.ca, &before, &copied, NOW_MS).await;
    assert!(matches!(refused, Err(EnrolError::Cloned)), "{refused:?}");
    renew(&bench.store, &bench.ca, &before, &enrol_request(""), NOW_MS)
        .await
        .unwrap();
    let found = async |id: &TerminalId| {
        let found = terminals::find(bench.store.reader(), id).await;
        found.unwrap().unwrap()
    };
    let pending = found(&before.id).await;
    let next = pending.serial_pending.clone().unwrap();
    assert_eq!(standing(&pending, &before.serial), Standing::Current);
    assert_eq!(standing(&pending, &next), Standing::Renewed);
    terminals::adopt_renewed(bench.store.reader(), &before.id, &next)
        .await
        .unwrap();
    let renewed = found(&before.id).await;
    assert_eq!(standing(&renewed, &next), Standing::Current);
    assert_eq!(standing(&renewed, &before.serial), Standing::Barred);
    let revoked = terminals::revoke(&bench.store, &before.id, "cli:test", NOW_MS).await;
    assert!(revoked.unwrap());
    assert_eq!(standing(&found(&before.id).await, &next), Standing::Barred);
}
