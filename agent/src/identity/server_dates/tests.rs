use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::RootCertStore;

use super::super::pinned_ca::{PinnedCa, fingerprint};
use super::super::tls::provider;
use super::*;

/// Central's certificate is valid from 2026 to the end of 2027, its CA to 2056.
struct Scene {
    ca: CertificateDer<'static>,
    server: CertificateDer<'static>,
}

fn at(year: i32) -> UnixTime {
    unix_time(date_time_ymd(year, 6, 1).unix_timestamp())
}

impl Scene {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = date_time_ymd(2056, 1, 1);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut params = CertificateParams::new(vec!["hq.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2028, 1, 1);
        let server = params
            .signed_by(&KeyPair::generate().unwrap(), &ca)
            .unwrap();
        Self {
            ca: ca.der().clone(),
            server: server.der().clone(),
        }
    }

    /// Verifies at a terminal that was enrolled in `enrolled`, takes this year for the present one,
    /// and has it from an exchange or not.
    fn verify(&self, enrolled: i32, year: i32, is_confirmed: bool, name: &str) -> bool {
        let offset_ms =
            i64::try_from(at(year).as_secs()).unwrap() * 1_000 - clock::wall().timestamp_millis();
        let (_central, known) = watch::channel(Some(CentralClock {
            offset_ms,
            is_confirmed,
        }));
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.clone()).unwrap();
        let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        let verifier = ServerDates {
            usual: usual.build().unwrap(),
            time: SuspectTime::of(known),
            floor: at(enrolled),
        };
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier
            .verify_server_cert(&self.server, &[], &name, &[], at(year))
            .is_ok()
    }

    /// Verifies at an enrolment.
    fn verify_pinned(&self, ca: &CertificateDer<'_>, now: UnixTime) -> bool {
        let pinned = PinnedCa::new(&fingerprint(ca), provider());
        let name = ServerName::try_from("hq.example").unwrap();
        let shown = [self.ca.clone()];
        pinned
            .verify_server_cert(&self.server, &shown, &name, &[], now)
            .is_ok()
    }
}

const NAME: &str = "hq.example";

#[test]
fn a_till_that_thinks_it_is_1970_or_2099_reaches_central() {
    let scene = Scene::new();
    for year in [1970, 2000, 2027, 2040, 2099] {
        assert!(scene.verify(2026, year, false, NAME), "{year}");
        // The terminal was enrolled before the server's certificate was renewed.
        assert!(scene.verify(2025, year, false, NAME), "{year}");
    }
}

#[test]
fn dates_count_where_an_exchange_told_the_time() {
    let scene = Scene::new();
    assert!(scene.verify(2026, 2027, true, NAME));
    assert!(!scene.verify(2026, 2029, true, NAME));
    assert!(!scene.verify(2026, 2024, true, NAME));
}

#[test]
fn a_certificate_that_had_ended_before_this_terminal_was_enrolled_is_refused_at_any_time() {
    let scene = Scene::new();
    for year in [1970, 2029, 2099] {
        assert!(!scene.verify(2029, year, false, NAME), "{year}");
    }
}

#[test]
fn a_wrong_name_or_ca_is_refused_whatever_the_clock_says() {
    let (scene, other) = (Scene::new(), Scene::new());
    for year in [1970, 2027, 2099] {
        assert!(!scene.verify(2026, year, false, "other.example"));
        let mixed = Scene {
            ca: other.ca.clone(),
            server: scene.server.clone(),
        };
        assert!(!mixed.verify(2026, year, false, NAME));
        assert!(!mixed.verify_pinned(&mixed.ca, at(year)));
        assert!(!scene.verify_pinned(&other.ca, at(year)));
    }
}

#[test]
fn a_till_is_enrolled_in_1970_and_2099_but_not_where_its_clock_may_be_right() {
    let scene = Scene::new();
    for (year, works) in [(1970, true), (2027, true), (2099, true), (2029, false)] {
        assert_eq!(scene.verify_pinned(&scene.ca, at(year)), works, "{year}");
    }
}

#[test]
fn a_clock_before_1970_still_tells_a_time() {
    let (_central, known) = watch::channel(Some(CentralClock {
        offset_ms: i64::MIN,
        is_confirmed: false,
    }));
    let time = SuspectTime::of(known);
    assert_eq!(time.current_time(), Some(unix_time(0)));
}
