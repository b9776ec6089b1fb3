use std::os::unix::fs::PermissionsExt;

use super::enrolment::{EnrolError, Machine, enrol};
use super::fake_central::FakeCentral;
use super::renewal::renew;
use super::*;

fn machine() -> Machine {
    Machine {
        fingerprint: "m".into(),
        version: "0".into(),
    }
}

#[tokio::test]
async fn a_token_gives_an_identity_that_others_cannot_read() {
    let central = FakeCentral::start().await;
    let dir = tempfile::tempdir().unwrap();
    let token = central.token("one");
    let identity = enrol(dir.path(), &token, false, &machine()).await.unwrap();
    assert_eq!(identity.terminal.as_str(), "t1");
    assert_eq!(Identity::load(dir.path()).unwrap().unwrap(), identity);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path_in(dir.path())), 0o600);
    assert_eq!(mode(&dir.path().join(DIR)), 0o700);
    assert!(!format!("{identity:?}").contains("PRIVATE KEY"));
}

#[tokio::test]
async fn a_token_works_once_and_an_identity_is_replaced_only_when_asked_to() {
    let central = FakeCentral::start().await;
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (central.token("one"), central.token("two"));
    let before = enrol(dir.path(), &first, false, &machine()).await.unwrap();
    let refused = enrol(dir.path(), &second, false, &machine())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, EnrolError::AlreadyEnrolled { .. }),
        "{refused}"
    );
    let refused = enrol(dir.path(), &first, true, &machine())
        .await
        .unwrap_err();
    assert!(matches!(&refused, EnrolError::Refused { error, .. } if error == "token_used"));
    assert_eq!(Identity::load(dir.path()).unwrap().unwrap(), before);
    let after = enrol(dir.path(), &second, true, &machine()).await.unwrap();
    assert_ne!(before.key_pem, after.key_pem);
}

#[tokio::test]
async fn a_server_with_another_ca_gets_nothing() {
    let (central, impostor) = (FakeCentral::start().await, FakeCentral::start().await);
    let dir = tempfile::tempdir().unwrap();
    let token = FakeCentral {
        url: impostor.url.clone(),
        ..central
    }
    .token("one");
    let refused = enrol(dir.path(), &token, false, &machine())
        .await
        .unwrap_err();
    assert!(matches!(refused, EnrolError::WrongCa { .. }), "{refused}");
    assert_eq!(Identity::load(dir.path()).unwrap(), None);
    let again = enrol(dir.path(), &impostor.token("one"), false, &machine()).await;
    assert!(again.is_ok(), "the impostor never saw the secret");
}

#[tokio::test]
async fn nobody_there_and_no_token_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = FakeCentral {
        url: "https://127.0.0.1:1".into(),
        ..FakeCentral::start().await
    };
    let refused = enrol(dir.path(), &nobody.token("x"), false, &machine())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, EnrolError::Unreachable { .. }),
        "{refused}"
    );
    let refused = enrol(dir.path(), "hello", false, &machine())
        .await
        .unwrap_err();
    assert!(matches!(refused, EnrolError::Token(_)), "{refused}");
}

#[tokio::test]
async fn a_renewal_brings_a_new_key_under_the_same_name() {
    let central = FakeCentral::start().await;
    let dir = tempfile::tempdir().unwrap();
    let token = central.token("one");
    let before = enrol(dir.path(), &token, false, &machine()).await.unwrap();
    let after = renew(dir.path(), &before, &machine(), SuspectTime::wall())
        .await
        .unwrap();
    assert_eq!(central.held.lock().unwrap().renewals, 1);
    assert_eq!(before.terminal, after.terminal);
    assert_ne!(before.key_pem, after.key_pem);
    assert_eq!(Identity::load(dir.path()).unwrap().unwrap(), after);
}

#[test]
fn a_damaged_identity_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(DIR)).unwrap();
    fs::write(path_in(dir.path()), "{").unwrap();
    let error = Identity::load(dir.path()).unwrap_err().to_string();
    assert!(error.contains("--again"), "{error}");
}

#[tokio::test]
async fn an_identity_that_root_made_belongs_to_the_owner_of_the_data_directory() {
    const DAEMON: u32 = 4_711;
    let dir = tempfile::tempdir().unwrap();
    if chown(dir.path(), Some(DAEMON), Some(DAEMON)).is_err() {
        // Only root may give a directory away; anyone else has nothing to hand over either.
        return;
    }
    let central = FakeCentral::start().await;
    enrol(dir.path(), &central.token("one"), false, &machine())
        .await
        .unwrap();
    assert_eq!(fs::metadata(path_in(dir.path())).unwrap().uid(), DAEMON);
    assert_eq!(fs::metadata(dir.path().join(DIR)).unwrap().uid(), DAEMON);
}

fn identity() -> Identity {
    Identity {
        terminal: TerminalId::new("t1").unwrap(),
        store: StoreId::new("S001").unwrap(),
        workstation: WorkstationId::new("1").unwrap(),
        url: "https://hq.example:7443".into(),
        certificate_pem: "certificate".into(),
        ca_pem: "ca".into(),
        key_pem: Zeroizing::new("key".into()),
    }
}

#[test]
fn no_flipped_bit_makes_another_identity() {
    let dir = tempfile::tempdir().unwrap();
    identity().store(dir.path()).unwrap();
    let whole = fs::read(path_in(dir.path())).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut bad = whole.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        fs::write(path_in(dir.path()), bad).unwrap();
        match Identity::load(dir.path()) {
            Ok(found) => assert_eq!(found, Some(identity()), "bit {bit}"),
            Err(error) => assert!(error.to_string().contains("enrol"), "{error}"),
        }
    }
}

#[test]
fn an_identity_from_before_the_checksum_is_still_one() {
    let dir = tempfile::tempdir().unwrap();
    identity().store(dir.path()).unwrap();
    let former = serde_json::to_vec(&identity()).unwrap();
    fs::write(path_in(dir.path()), former).unwrap();
    assert_eq!(Identity::load(dir.path()).unwrap(), Some(identity()));
}
