//! The real shell and a fake central over TLS.

use std::sync::Arc;

use serde_json::Value;
use tillbind_protocol::backoff::BackoffConfig;
use tillbind_protocol::chain::{Mark, forked_epoch};
use tillbind_protocol::exchange::{CURRENT, Fork};
use tillbind_protocol::ids::Epoch;
use tillbind_protocol::replica::Page;
use tokio::task::JoinHandle;

use super::fork::keep_fork;
use super::*;
use crate::identity::enrolment::enrol;
use crate::identity::fake_central::{FakeCentral, Held};
use crate::outbox::OutboxConfig;
use crate::vault::{Vault, test_random};

/// How often a test looks before it gives up, and how long it waits between.
const LOOKS: u32 = 400;
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);

/// Every field of a request of version 1, and of what lies in it.
const FIELDS_OF_1: [&str; 11] = [
    "v", "epoch", "acked", "head", "batch", "gap", "cursor", "keys", "wait_ms", "at_ms", "hello",
];
const HELLO_OF_1: [&str; 5] = [
    "machine",
    "version",
    "outbox_events",
    "clock_offset_ms",
    "forked_from",
];

struct Running {
    central: FakeCentral,
    outbox: Outbox,
    status: watch::Receiver<LineStatus>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), UplinkError>>,
    _events: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

fn settings() -> UplinkSettings {
    UplinkSettings {
        backoff: BackoffConfig {
            base: Duration::from_millis(10),
            cap: Duration::from_millis(50),
        },
        ..UplinkSettings::default()
    }
}

impl Running {
    /// Starts the shell over an outbox that holds some records already.
    async fn start(
        settings: UplinkSettings,
        records: Vec<Vec<u8>>,
        prepare: impl FnOnce(&mut Held),
    ) -> Self {
        let central = FakeCentral::start().await;
        prepare(&mut central.held.lock().unwrap());
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine {
            fingerprint: "m".into(),
            version: "0".into(),
        };
        let token = central.token("one");
        let identity = enrol(dir.path(), &token, false, &machine).await.unwrap();
        let vault = Vault::from_key([4; 32], test_random(8));
        let config = OutboxConfig::new(dir.path().join("outbox"), Arc::new(|| Duration::ZERO));
        let outbox = Outbox::open(config, &vault, test_random(9)).unwrap().outbox;
        outbox.append_all(records).await.unwrap();
        let (replica, _) = Replica::open(&dir.path().join("members"), &vault).unwrap();
        let (events, mut heard) = mpsc::channel(16);
        let (status, shown) = watch::channel(LineStatus::unenrolled());
        let (stop, stopped) = watch::channel(false);
        let reach = Reach {
            settings,
            outbox: outbox.clone(),
            replica,
            dictionary: KeptDictionary::of(dir.path()),
            machine,
            events,
            status,
            clock_offset: watch::channel(None).1,
        };
        Self {
            central,
            outbox,
            status: shown,
            stop,
            task: tokio::spawn(async move { run(reach, &identity, 0, stopped).await }),
            _events: tokio::spawn(async move { while heard.recv().await.is_some() {} }),
            _dir: dir,
        }
    }

    async fn append(&self, record: Vec<u8>) {
        self.outbox.append(record).await.unwrap();
    }

    async fn until(&self, what: &str, mut look: impl FnMut(&Held) -> bool) {
        for _ in 0..LOOKS {
            if look(&self.central.held.lock().unwrap()) {
                return;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        panic!("it never came: {what}; {:?}", *self.status.borrow());
    }

    async fn stop(self) -> Vec<Value> {
        self.stop.send(true).unwrap();
        self.task.await.unwrap().unwrap();
        std::mem::take(&mut self.central.held.lock().unwrap().requests)
    }
}

fn scan(n: usize) -> Vec<u8> {
    format!("{{\"at\":{n},\"kind\":\"scan\",\"body\":{{\"n\":{n}}}}}").into_bytes()
}

fn binding(n: usize) -> Vec<u8> {
    format!("{{\"at\":{n},\"kind\":\"binding_requested\",\"body\":{{\"id\":\"b{n}\"}}}}")
        .into_bytes()
}

fn events_of(request: &Value) -> usize {
    request["batch"]["events"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn a_central_of_version_1_gets_every_event_in_its_own_words_and_an_updated_one_the_new_ones()
{
    let mut records: Vec<_> = (0..6).map(scan).collect();
    records.insert(3, b"\xff\xfe".to_vec());
    records.push(binding(7));
    let settings = UplinkSettings {
        batch_events_max: 2,
        ..settings()
    };
    let running = Running::start(settings, records, |held| held.is_of_version_1 = true).await;
    running
        .until("all events", |held| held.records.len() == 7)
        .await;
    // It is updated, which takes it away for a while.
    {
        let mut held = running.central.held.lock().unwrap();
        assert_eq!(held.gaps, [(Seq(4), Seq(4))]);
        held.is_of_version_1 = false;
        held.fails = 3;
    }
    running.append(scan(8)).await;
    running
        .until("the new version", |held| {
            let last = held.requests.last().unwrap();
            held.records.len() == 8 && last["v"] == CURRENT
        })
        .await;
    let mut status = running.status.clone();
    let online = status.wait_for(|status| status.as_str() == "online");
    let waited = tokio::time::timeout(BETWEEN_LOOKS * LOOKS, online).await;
    waited.unwrap().unwrap();
    let requests = running.stop().await;
    assert_eq!(requests[0]["v"], CURRENT);
    assert_eq!(requests[1]["v"], 1);
    let of_1: Vec<_> = requests
        .iter()
        .filter(|request| request["v"] == 1)
        .collect();
    assert!(of_1.len() >= 5);
    for request in of_1 {
        for (name, value) in request.as_object().unwrap() {
            assert!(
                FIELDS_OF_1.contains(&name.as_str()),
                "version 1 has no {name}"
            );
            if name == "hello" {
                let told: Vec<_> = value.as_object().unwrap().keys().collect();
                assert!(
                    told.iter().all(|t| HELLO_OF_1.contains(&t.as_str())),
                    "{told:?}"
                );
            }
            if name == "batch" {
                assert_eq!(value.as_object().unwrap().len(), 3, "{value}");
            }
        }
    }
    let newest = requests
        .iter()
        .rfind(|request| request["hello"].is_object());
    assert_eq!(newest.unwrap()["hello"]["disk"], "ok");
}

#[tokio::test]
async fn a_record_that_is_not_text_does_not_stop_the_uplink() {
    let mut records: Vec<_> = (0..9).map(scan).collect();
    records.insert(4, b"{\"cut".to_vec());
    let running = Running::start(settings(), records, |_| {}).await;
    running
        .until("all events", |held| held.records.len() == 9)
        .await;
    assert_eq!(
        running.central.held.lock().unwrap().gaps,
        [(Seq(5), Seq(5))]
    );
    running.stop().await;
}

#[tokio::test]
async fn a_request_that_is_too_long_is_cut_down_until_it_fits() {
    let records = (0..200).map(scan).collect();
    let running = Running::start(settings(), records, |held| {
        held.request_bytes_max = Some(2_500);
    })
    .await;
    running
        .until("all events", |held| held.records.len() == 200)
        .await;
    let requests = running.stop().await;
    let bytes = |request: &Value| request.to_string().len();
    let most = requests.iter().filter(|r| bytes(r) <= 2_500).map(events_of);
    assert!(
        most.max().unwrap() >= 10,
        "they shrink no more than they must"
    );
}

#[tokio::test]
async fn a_batch_that_is_not_answered_in_time_is_halved() {
    let records = (0..120).map(|n| {
        let filler = "x".repeat(200);
        format!("{{\"n\":{n},\"filler\":\"{filler}\"}}").into_bytes()
    });
    let settings = UplinkSettings {
        answer_timeout: Duration::from_millis(400),
        ..settings()
    };
    let running = Running::start(settings, records.collect(), |held| {
        held.slow_beyond = Some((30, Duration::from_secs(30)));
    })
    .await;
    running
        .until("all events", |held| held.records.len() == 120)
        .await;
    let counts = running.status.borrow().counts;
    assert!(counts.retries >= 1 && counts.answers >= 3, "{counts:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_waiting_binding_is_shown_while_the_backlog_goes_up_and_once_only() {
    let mut records: Vec<_> = (0..60).map(scan).collect();
    records.push(binding(61));
    records.push(scan(62));
    let settings = UplinkSettings {
        batch_events_max: 5,
        ..settings()
    };
    let running = Running::start(settings, records, |_| {}).await;
    running
        .until("all events", |held| held.records.len() == 62)
        .await;
    let shown = running.central.held.lock().unwrap().express.clone();
    assert_eq!(shown, [String::from_utf8(binding(61)).unwrap()]);
    let requests = running.stop().await;
    let first = requests.iter().find(|request| events_of(request) > 0);
    let first = first.unwrap();
    assert_eq!(first["batch"]["first"], 1);
    assert_eq!(first["express"][0]["seq"], 61);
}

#[tokio::test]
async fn an_idle_terminal_tells_a_restored_central_once_of_what_neither_has() {
    let running = Running::start(settings(), (0..5).map(scan).collect(), |_| {}).await;
    running
        .until("all events", |held| held.records.len() == 5)
        .await;
    let mut acked = running.outbox.acked();
    while acked.seq < Seq(5) {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        acked = running.outbox.acked();
    }
    // Back to where it had two of them.
    let asked_before = {
        let mut held = running.central.held.lock().unwrap();
        let (mark, chains) = held.streams.get_mut(&running.outbox.epoch()).unwrap();
        chains.retain(|seq, _| *seq <= Seq(2));
        *mark = Mark {
            seq: Seq(2),
            chain: chains[&Seq(2)],
        };
        held.requests.len()
    };
    running
        .until("the gap", |held| held.gaps == [(Seq(3), Seq(5))])
        .await;
    running
        .until("quiet", |held| held.requests.len() >= asked_before + 6)
        .await;
    running.append(scan(6)).await;
    running
        .until("the next event", |held| held.records.len() == 6)
        .await;
    let counts = running.status.borrow().counts;
    assert!(counts.rewinds >= 1, "{counts:?}");
    assert_eq!((counts.gaps, counts.refusals), (1, 0), "{counts:?}");
    let requests = running.stop().await;
    let notices = requests.iter().filter(|one| one["gap"].is_object());
    assert_eq!(notices.count(), 1);
}

#[tokio::test]
async fn a_page_that_cannot_be_kept_is_not_asked_for_without_a_pause() {
    let page = |to: &str| Page {
        from: Cursor::default(),
        changes: Vec::new(),
        to: Cursor(to.into()),
        more: true,
        reset: false,
    };
    let settings = UplinkSettings {
        backoff: BackoffConfig {
            base: Duration::from_millis(200),
            cap: Duration::from_secs(30),
        },
        ..settings()
    };
    // It says that more comes and leads nowhere.
    let running = Running::start(settings, vec![scan(1)], |held| held.page = Some(page(""))).await;
    running
        .until("the event", |held| held.records.len() == 1)
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(running.stop().await.len() <= 8);
}

#[test]
fn a_fork_that_was_cut_short_leaves_the_note_on_the_present_epoch_alone() {
    let dir = tempfile::tempdir().unwrap();
    let vault = Vault::from_key([4; 32], test_random(8));
    let (replica, _) = Replica::open(&dir.path().join("members"), &vault).unwrap();
    let first = Fork {
        epoch: Epoch(7),
        at: Seq(3),
    };
    let present = forked_epoch(first.epoch, first.at);
    let second = Fork {
        epoch: present,
        at: Seq(9),
    };
    keep_fork(&replica, first).unwrap();
    keep_fork(&replica, second).unwrap();
    assert_eq!(kept_fork(&replica, present).unwrap(), Some(first));
    let into = forked_epoch(second.epoch, second.at);
    assert_eq!(kept_fork(&replica, into).unwrap(), Some(second));
    assert_eq!(kept_fork(&replica, first.epoch).unwrap(), None);
}
