//! The sync listener as a terminal meets it: TLS with and without certificates, refusals, polls, the
//! database away and back, and an end in time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/postgres.rs"]
#[expect(dead_code, reason = "the story's databases are of no use here")]
#[expect(clippy::print_stderr, reason = "a part that is left out must say so")]
mod postgres;
#[path = "support/service.rs"]
mod service;
#[path = "support/till.rs"]
#[expect(dead_code, reason = "the story's tills can do more")]
mod till;

use std::time::Duration;

use postgres::Cluster;
use service::{Service, refused, taken};
use till::{Till, hello};
use tillbind_central::dictionary::training;
use tillbind_central::members::create_account;
use tillbind_protocol::dictionary::UNKNOWN_DICTIONARY;
use tillbind_protocol::enrol::{self, EnrolRequest, EnrolResponse};
use tillbind_protocol::exchange::{self, ExchangeRequest, ExchangeResponse, Verdict};
use tillbind_protocol::replica::{Change, Cursor};

/// A request of which central knows nothing yet, with keys to be sent.
fn fresh(till: &Till) -> ExchangeRequest {
    ExchangeRequest {
        keys: 0,
        ..till.all()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_till_enrols_sends_and_hears_back() {
    let service = Service::start("sqlite").await;
    let (identity, pem) = service.enrol("W1").await;
    assert_eq!(identity.workstation.as_str(), "W1");
    let client = service.client(Some(&pem));
    let mut till = Till::new(7);
    till.scan("2900000000017");
    till.sale("1", 1_000, Some("2900000000017"));
    let request = ExchangeRequest {
        hello: Some(hello("machine-1")),
        ..fresh(&till)
    };
    let response = service.exchange(&client, &request).await;
    assert_eq!(
        (response.verdict, response.acked),
        (Verdict::Ok, till.head())
    );
    assert!(response.received_ms <= response.sent_ms && response.received_ms > 1_700_000_000_000);
    assert_eq!(response.keys.unwrap().keys.len(), 1);
    let waiting = ExchangeRequest {
        wait_ms: 5_000,
        ..till.poll()
    };
    let page = service.exchange(&client, &waiting).await.page.unwrap();
    assert!(matches!(&page.changes[..], [Change::Card(card)] if card.points == 10));
    let poll = ExchangeRequest {
        cursor: page.to,
        ..till.poll()
    };
    let quiet = service.exchange(&client, &poll).await;
    assert!(quiet.page.is_none() && quiet.keys.is_none());

    let key = rcgen::KeyPair::generate().unwrap();
    let csr = rcgen::CertificateParams::default();
    let mut renewal = EnrolRequest {
        secret: String::new(),
        csr_pem: csr.serialize_request(&key).unwrap().pem().unwrap(),
        machine: "machine-2".into(),
        version: "0.1.0".into(),
    };
    let copied = service.post(&client, enrol::RENEW_PATH, &renewal).await;
    assert_eq!(refused(copied).await, (403, "cloned".into()));
    renewal.machine = "machine-1".into();
    let renewed = service.post(&client, enrol::RENEW_PATH, &renewal).await;
    let renewed: EnrolResponse = taken(renewed).await;
    assert_eq!(renewed.terminal, identity.terminal);
    // The former certificate counts until the new one is used, and not after.
    assert_eq!(service.exchange(&client, &poll).await.verdict, Verdict::Ok);
    let pem = format!("{}{}", renewed.certificate_pem, key.serialize_pem());
    let next = service.client(Some(&pem));
    assert_eq!(service.exchange(&next, &poll).await.verdict, Verdict::Ok);
    let former = service.post(&client, exchange::PATH, &poll).await;
    assert_eq!(refused(former).await, (403, "revoked".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_certificate_of_ours_or_a_revoked_one_gets_nothing() {
    let service = Service::start("sqlite").await;
    let mut till = Till::new(7);
    till.scan("2900000000017");
    let nobody = service.client(None);
    let answer = service.post(&nobody, exchange::PATH, &till.all()).await;
    assert_eq!(refused(answer).await, (401, "no_certificate".into()));
    let elsewhere = service.post(&nobody, "/metrics", &till.all()).await;
    assert_eq!(refused(elsewhere).await.0, 404);

    let key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::default()
        .self_signed(&key)
        .unwrap();
    let foreign = service.client(Some(&format!("{}{}", own.pem(), key.serialize_pem())));
    let shut = service
        .try_post(&foreign, exchange::PATH, &till.all())
        .await;
    assert!(shut.is_err(), "{shut:?}");

    let (identity, pem) = service.enrol("W1").await;
    let client = service.client(Some(&pem));
    assert_eq!(
        service.exchange(&client, &till.all()).await.verdict,
        Verdict::Ok
    );
    service.revoke(&identity.terminal).await;
    let revoked = service.post(&client, exchange::PATH, &till.all()).await;
    assert_eq!(refused(revoked).await, (403, "revoked".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_identity_a_foreign_version_and_a_flood_are_refused_in_words() {
    let service = Service::start("sqlite").await;
    let (identity, pem) = service.enrol("W1").await;
    let client = service.client(Some(&pem));
    let mut till = Till::new(7);
    till.scan("2900000000017");
    let copied = ExchangeRequest {
        hello: Some(hello("machine-2")),
        ..till.all()
    };
    let answer = service.exchange(&client, &copied).await;
    let Verdict::Refused { reason } = answer.verdict else {
        panic!("{:?}", answer.verdict);
    };
    assert!(reason.contains(identity.terminal.as_str()), "{reason}");
    assert_eq!(answer.acked.seq.0, 0);

    let newer = ExchangeRequest {
        v: exchange::CURRENT + 1,
        ..till.all()
    };
    let answer = service.post(&client, exchange::PATH, &newer).await;
    assert_eq!(refused(answer).await, (426, "version".into()));
    let bomb = vec![" ".repeat(1_024); 8_192];
    let answer = service.post(&client, exchange::PATH, &bomb).await;
    assert_eq!(refused(answer).await, (413, "too_large".into()));

    let guess = EnrolRequest {
        secret: "guess".into(),
        csr_pem: "x".into(),
        machine: "m".into(),
        version: "v".into(),
    };
    let nobody = service.client(None);
    let mut words = Vec::new();
    for _ in 0..=tillbind_central::enrolment::flood::FAILURES_MAX {
        let answer = service.post(&nobody, enrol::PATH, &guess).await;
        words.push(refused(answer).await);
    }
    assert_eq!(words.first().unwrap(), &(403, "unknown_token".to_owned()));
    assert_eq!(words.last().unwrap(), &(429, "busy".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_poll_hears_of_a_change_within_a_second_and_the_end_is_not_held_up() {
    let service = Service::start("sqlite").await;
    let (_, pem) = service.enrol("W1").await;
    let client = service.client(Some(&pem));
    let till = Till::new(7);
    let poll = |cursor: Cursor| ExchangeRequest {
        cursor,
        wait_ms: 15_000,
        ..till.poll()
    };
    let request = poll(Cursor::default());
    let held = service.exchange(&client, &request);
    let changed = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let account = "tmall:1".parse().unwrap();
        create_account(&service.central.store, &account, Some("林"), "cli:t", 1)
            .await
            .unwrap();
        tillbind_central::clock::now_ms()
    };
    let (response, changed_ms) = tokio::join!(held, changed);
    assert!(response.sent_ms - changed_ms < 1_000);
    let page = response.page.unwrap();
    assert!(matches!(&page.changes[..], [Change::Member(_)]));

    let request = poll(page.to);
    let path = exchange::PATH;
    let packed = zstd::bulk::compress(&serde_json::to_vec(&request).unwrap(), 3).unwrap();
    let held = client
        .post(format!("{}{path}", service.base))
        .header("content-encoding", "zstd")
        .body(packed)
        .send();
    let held = tokio::spawn(held);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let took = service.stop().await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(held.await.unwrap().unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_and_comes_back_costs_no_event_and_no_restart() {
    let Some(cluster) = Cluster::start_own() else {
        return;
    };
    let service = Service::start(&cluster.database()).await;
    let (_, pem) = service.enrol("W1").await;
    let client = service.client(Some(&pem));
    let mut till = Till::new(7);
    till.sale("1", 1_000, None);
    service.exchange(&client, &till.all()).await;
    cluster.stop();
    till.sale("2", 1_000, None);
    let away = service
        .post(&client, exchange::PATH, &till.batch(2..=2))
        .await;
    assert_eq!(refused(away).await, (503, "unavailable".into()));
    cluster.start();
    let back = async {
        loop {
            let answer = service
                .post(&client, exchange::PATH, &till.batch(2..=2))
                .await;
            if answer.status() == 200 {
                return answer;
            }
        }
    };
    let back = tokio::time::timeout(Duration::from_secs(15), back).await;
    let back: ExchangeResponse = taken(back.unwrap()).await;
    assert_eq!((back.verdict, back.acked), (Verdict::Ok, till.head()));
    let resent = service.exchange(&client, &till.all()).await;
    assert_eq!(resent.acked, till.head());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_beyond_the_bound_is_told_to_slow_down_and_nobody_gets_an_error() {
    let service = Service::start_with("sqlite", "intakes_max = 1").await;
    let (_, pem) = service.enrol("W1").await;
    let client = service.client(Some(&pem));
    let mut till = Till::new(7);
    till.scan("2900000000017");
    service.exchange(&client, &till.all()).await;
    till.scan("2900000000024");
    // Whoever writes holds the line up.
    let slow = service.central.store.begin().await.unwrap();
    let request = till.all();
    let crowd: Vec<_> = (0..7)
        .map(|_| service.exchange(&client, &request))
        .collect();
    let crowd = futures_util::future::join_all(crowd);
    let release = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        slow.rollback().await.unwrap();
    };
    let (answers, ()) = tokio::join!(crowd, release);
    let (mut taken, mut slowed) = (0, 0);
    for answer in answers {
        match answer.verdict {
            Verdict::Ok => {
                assert_eq!(answer.acked, till.head());
                taken += 1;
            }
            Verdict::SlowDown { for_ms } => {
                assert!((500..5_000).contains(&for_ms), "{for_ms}");
                slowed += 1;
            }
            verdict @ (Verdict::Rewind { .. } | Verdict::Fork { .. } | Verdict::Refused { .. }) => {
                panic!("{verdict:?}");
            }
        }
    }
    assert_eq!((taken, slowed), (1, 6));
    assert_eq!(service.exchange(&client, &request).await.acked, till.head());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dictionary_goes_down_and_requests_packed_with_it_are_read_but_no_unknown_one() {
    let service = Service::start("sqlite").await;
    let (_identity, pem) = service.enrol("W1").await;
    let client = service.client(Some(&pem));
    let mut till = Till::new(7);
    for n in 1..=2_010_u64 {
        let card = format!("29{:011}", n * 7_919);
        till.sale(&format!("{:06}", n + 30_000), 1_050, Some(&card));
    }
    service.exchange(&client, &till.batch(1..=1_000)).await;
    service.exchange(&client, &till.batch(1_001..=2_000)).await;
    let store = &service.central.store;
    let now_ms = tillbind_central::clock::now_ms();
    let id = training::look(store, now_ms).await.unwrap().unwrap();
    // A terminal that waits is told; one of version 1 or on a slow line is not.
    let mut poll = ExchangeRequest {
        v: 1,
        ..till.poll()
    };
    while let Some(page) = service.exchange(&client, &poll).await.page {
        poll.cursor = page.to;
    }
    poll.v = exchange::CURRENT;
    let waiting = ExchangeRequest {
        wait_ms: 5_000,
        ..poll.clone()
    };
    let told = service.exchange(&client, &waiting).await;
    let dictionary = told.dictionary.unwrap();
    assert_eq!(dictionary.id, id);
    for other in [
        ExchangeRequest {
            v: 1,
            ..poll.clone()
        },
        ExchangeRequest {
            page_bytes: 4_096,
            ..poll.clone()
        },
        ExchangeRequest {
            dictionary: id,
            ..poll.clone()
        },
    ] {
        assert!(service.exchange(&client, &other).await.dictionary.is_none());
    }

    let pack = |request: &ExchangeRequest, bytes: &[u8]| {
        let json = serde_json::to_vec(request).unwrap();
        let mut packer = zstd::bulk::Compressor::with_dictionary(9, bytes).unwrap();
        (packer.compress(&json).unwrap(), json)
    };
    let next = ExchangeRequest {
        dictionary: id,
        ..till.batch(2_001..=2_001)
    };
    let (packed, json) = pack(&next, &dictionary.bytes);
    assert!(packed.len() * 2 < zstd::bulk::compress(&json, 3).unwrap().len());
    let answer: ExchangeResponse = taken(service.post_packed(&client, packed).await).await;
    assert_eq!(answer.acked, till.mark(2_001));

    let of_1 = ExchangeRequest { v: 1, ..next };
    let (packed, _) = pack(&of_1, &dictionary.bytes);
    let answer = service.post_packed(&client, packed).await;
    assert_eq!(refused(answer).await, (409, UNKNOWN_DICTIONARY.into()));
    // As after a restored backup: another dictionary, which this database never held.
    let mut lost = dictionary.bytes.clone();
    lost[4] ^= 1;
    let (packed, _) = pack(&till.batch(2_002..=2_002), &lost);
    let answer = service.post_packed(&client, packed).await;
    assert_eq!(refused(answer).await, (409, UNKNOWN_DICTIONARY.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_wants_a_window_of_128_mib_is_refused() {
    let service = Service::start("sqlite").await;
    let (_identity, pem) = service.enrol("W1").await;
    let client = service.client(Some(&pem));
    let json = serde_json::to_vec(&fresh(&Till::new(7))).unwrap();
    let mut packer = zstd::Encoder::new(Vec::new(), 3).unwrap();
    packer.window_log(27).unwrap();
    std::io::Write::write_all(&mut packer, &json).unwrap();
    let answer = service.post_packed(&client, packer.finish().unwrap()).await;
    assert_eq!(refused(answer).await, (400, "bad_request".into()));
}

/// Sends until the batch is taken, and returns how often it was told to slow down.
async fn send_until_taken(
    service: &Service,
    client: &reqwest::Client,
    till: &Till,
) -> Result<u32, reqwest::Error> {
    let request = till.all();
    let mut told_off = 0;
    loop {
        let response = service.try_post(client, exchange::PATH, &request).await?;
        let answer: ExchangeResponse = taken(response).await;
        match answer.verdict {
            Verdict::Ok => {
                assert_eq!(answer.acked, till.head());
                return Ok(told_off);
            }
            Verdict::SlowDown { for_ms } => {
                told_off += 1;
                tokio::time::sleep(Duration::from_millis(for_ms.into())).await;
            }
            verdict @ (Verdict::Rewind { .. } | Verdict::Fork { .. } | Verdict::Refused { .. }) => {
                panic!("{verdict:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_terminals_is_served_whole_within_the_bounds() {
    const TERMINALS: usize = 150;
    let service = Service::start_with("sqlite", "intakes_max = 2").await;
    let mut crowd = Vec::new();
    for n in 0..TERMINALS {
        let (_, pem) = service.enrol(&format!("W{n}")).await;
        let mut till = Till::new(7);
        for event in 0..40 {
            till.scan(&format!("29{n:05}{event:05}"));
        }
        crowd.push((service.client(Some(&pem)), till));
    }
    let serving = crowd
        .iter()
        .map(|(client, till)| send_until_taken(&service, client, till));
    let door = &service.central.door;
    let watching = async {
        let mut most = 0;
        loop {
            let (load, limits) = (door.load(), door.limits());
            assert!(load.working <= 2 && load.sending + load.waiting <= limits.sending);
            assert!(load.bytes <= limits.bytes);
            most = most.max(load.waiting + load.working);
            tokio::time::sleep(Duration::from_millis(5)).await;
            if load.working == 0 && service.central.metrics.exchange.batches.get() == 150 {
                return most;
            }
        }
    };
    let all = futures_util::future::try_join_all(serving);
    let within = Duration::from_secs(120);
    let (served, most) = tokio::time::timeout(within, async { tokio::join!(all, watching) })
        .await
        .expect("a crowd was not served in time");
    assert_eq!(served.unwrap().len(), TERMINALS);
    assert!(most > 2, "nobody ever waited: that was no crowd");
    let metrics = &service.central.metrics;
    assert_eq!(metrics.exchange.events.get(), 150 * 40);
    assert!(metrics.sync.connections.get() >= 150);
    assert_eq!(metrics.exchange.refusals().map(|(_, n)| n).sum::<u64>(), 0);
    assert_eq!(door.load().owed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_to_slow_down_hears_so_while_its_long_body_is_still_on_its_way() {
    // Room for one body.
    let service = Service::start_with("sqlite", "body_mib_max = 0").await;
    let mut crowd = Vec::new();
    for n in 0..12u64 {
        let (_, pem) = service.enrol(&format!("W{n}")).await;
        let mut till = Till::new(7);
        let mut noise = n + 1;
        for _ in 0..400 {
            // Text that does not compress.
            let text: String = std::iter::repeat_with(|| {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                format!("{noise:016x}")
            })
            .take(100)
            .collect();
            till.event(
                "scan",
                serde_json::json!({"code": "unknown", "device": "d", "text": text}),
            );
        }
        crowd.push((service.client(Some(&pem)), till));
    }
    let serving = crowd
        .iter()
        .map(|(client, till)| send_until_taken(&service, client, till));
    let all = futures_util::future::try_join_all(serving);
    let told_off = tokio::time::timeout(Duration::from_secs(60), all).await;
    let told_off = told_off.expect("a crowd was not served in time").unwrap();
    assert!(
        told_off.iter().sum::<u32>() > 0,
        "nobody was told to slow down"
    );
    let metrics = &service.central.metrics.exchange;
    assert!(metrics.slowed_asked.get() > 0);
    assert_eq!(metrics.events.get(), 12 * 400);
}
