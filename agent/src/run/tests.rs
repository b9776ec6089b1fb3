//! The whole daemon on port 0, with and without a central.

use std::net::{Ipv4Addr, SocketAddr};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tillbind_protocol::chain::{ChainHash, Mark};
use tillbind_protocol::dictionary::Dictionary;
use tillbind_protocol::event::{Event as Recorded, EventBody};
use tillbind_protocol::replica::{CardState, Change, Cursor, MemberState, Page};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::api::{ADDRESS_FILE, TOKEN_FILE};
use crate::config::ApiConfig;
use crate::identity::enrolment::enrol;
use crate::identity::fake_central::FakeCentral;

const CARD: &str = "627598123456789";
/// How often a test looks before it gives up, and how long it waits between.
const LOOKS: u32 = 400;
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);

struct Daemon {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), RunError>>,
    client: reqwest::Client,
    base: String,
    token: String,
}

fn config(data_dir: &Path) -> Config {
    let mut config =
        Config::parse("[cards]\nmember_prefixes = [\"627598\"]\n[store]\ncurrency = \"EUR\"\n")
            .unwrap();
    config.data_dir = data_dir.to_owned();
    config.api = ApiConfig {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    };
    config.uplink.backoff.cap = Duration::from_millis(200);
    config
}

impl Daemon {
    async fn start(config: Config) -> Self {
        let data_dir = config.data_dir.clone();
        match std::fs::remove_file(data_dir.join(ADDRESS_FILE)) {
            Ok(()) | Err(_) => {}
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(run(config, Environment::default(), async move {
            let _told = stopped.await.is_ok();
        }));
        let read = |name: &str| std::fs::read_to_string(data_dir.join(name)).ok();
        let address = eventually(|| read(ADDRESS_FILE)).await;
        Self {
            stop,
            task,
            client: reqwest::Client::builder()
                .tls_backend_preconfigured(plain())
                .no_proxy()
                .build()
                .unwrap(),
            base: format!("http://{}", address.trim()),
            token: read(TOKEN_FILE).unwrap(),
        }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        request.bearer_auth(&self.token)
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let answer = self.request(Method::GET, path).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let answer = self
            .request(Method::POST, path)
            .json(body)
            .send()
            .await
            .unwrap();
        (answer.status(), answer.json().await.unwrap())
    }
}

fn plain() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(crate::identity::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

async fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    panic!("it never came");
}

fn sale(sequence: &str) -> Value {
    json!({
        "business_day": "2026-03-01",
        "sequence": sequence,
        "ended_at": "2026-03-01T10:00:00+01:00",
        "total_minor": 595,
        "tax_minor": 95,
        "items": [{ "description": "tea", "quantity": "2", "unit_price_minor": 250, "amount_minor": 500 }],
        "tenders": [{ "kind": "cash", "amount_minor": 1000 }, { "kind": "change", "amount_minor": -405 }],
    })
}

#[tokio::test]
async fn what_the_pos_was_told_is_recorded_outlasts_a_restart_and_is_known_again() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(config(dir.path())).await;
    let (status, scan) = daemon.post("/v1/scans", &json!({ "code": CARD })).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(
        (&scan["seq"], &scan["kind"], &scan["card"]),
        (&json!(1), &json!("member_card"), &json!(CARD))
    );
    let (_, basket) = daemon.get("/v1/basket").await;
    assert_eq!(basket["card"]["card"], CARD);
    let (status, first) = daemon.post("/v1/transactions", &sale("000161")).await;
    assert_eq!((status, &first["seq"]), (StatusCode::ACCEPTED, &json!(2)));
    daemon.stop().await;

    let daemon = Daemon::start(config(dir.path())).await;
    let (status, again) = daemon.post("/v1/transactions", &sale("161")).await;
    assert_eq!((status, &again["seq"]), (StatusCode::ACCEPTED, &json!(2)));
    let (_, event) = daemon.get("/v1/outbox/2").await;
    assert_eq!(event["event"]["body"]["card"], CARD);
    let (_, outbox) = daemon.get("/v1/outbox?limit=10").await;
    assert_eq!(outbox["waiting"].as_array().unwrap().len(), 2);
    let (status, _) = daemon.get("/v1/outbox/3").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (_, status) = daemon.get("/v1/status").await;
    assert_eq!(status["line"]["state"], "not_enrolled");
    assert_eq!(status["outbox"]["events"], 2);
    daemon.stop().await;
}

#[tokio::test]
async fn refusals_say_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(config(dir.path())).await;
    let mut wrong = sale("1");
    wrong["total_minor"] = json!(600);
    let (status, fault) = daemon.post("/v1/transactions", &wrong).await;
    assert_eq!(
        (status, &fault["error"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("imbalance"))
    );
    assert!(
        fault["message"].as_str().unwrap().contains("600"),
        "{fault}"
    );
    let (status, fault) = daemon.post("/v1/scans", &json!({ "kode": "1" })).await;
    assert_eq!(
        (status, &fault["error"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("bad_request"))
    );
    let code = json!({ "card": CARD, "code": "TB1:X" });
    let (status, fault) = daemon.post("/v1/bindings", &code).await;
    assert_eq!(
        (status, &fault["error"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("code_refused"))
    );
    assert!(
        fault["message"].as_str().unwrap().contains("no keys"),
        "{fault}"
    );
    let (status, fault) = daemon.get(&format!("/v1/cards/{CARD}")).await;
    assert_eq!(
        (status, fault.get("known_to_chain")),
        (StatusCode::NOT_FOUND, None),
        "a terminal that never saw headquarters must not claim to know: {fault}"
    );
    let (status, scan) = daemon
        .post("/v1/scans", &json!({ "code": "4111111111111111" }))
        .await;
    assert_eq!(
        (status, &scan["kind"]),
        (StatusCode::ACCEPTED, &json!("payment_refused"))
    );
    let mut paid = sale("2");
    paid["card"] = json!("4111111111111111");
    let (status, fault) = daemon.post("/v1/transactions", &paid).await;
    assert_eq!(
        (status, &fault["error"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("bad_card"))
    );
    assert!(!fault.to_string().contains("4111"), "{fault}");
    let long = "x".repeat(api::BODY_BYTES_MAX);
    let (status, fault) = daemon.post("/v1/scans", &json!({ "code": long })).await;
    assert_eq!(
        (status, &fault["error"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &json!("too_large"))
    );
    daemon.stop().await;
}

#[tokio::test]
async fn only_the_tokens_bearer_on_this_host_from_no_foreign_page_may_call() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(config(dir.path())).await;
    let port = daemon.base.rsplit_once(':').unwrap().1;
    let status = async |header: &'static str, value: String| {
        let request = daemon
            .request(Method::GET, "/v1/basket")
            .header(header, value);
        request.send().await.unwrap().status()
    };
    assert_eq!(
        status("host", "evil.example".into()).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        status("host", format!("evil.example:{port}")).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        status("host", format!("localhost:{port}")).await,
        StatusCode::OK
    );
    assert_eq!(
        status("origin", "https://evil.example".into()).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(status("origin", "null".into()).await, StatusCode::FORBIDDEN);
    assert_eq!(
        status("origin", format!("http://127.0.0.1:{port}")).await,
        StatusCode::OK
    );
    let bare = daemon
        .client
        .get(format!("{}/v1/status", daemon.base))
        .send()
        .await
        .unwrap();
    assert_eq!(bare.status(), StatusCode::UNAUTHORIZED);
    let wrong = daemon
        .client
        .get(format!("{}/metrics", daemon.base))
        .bearer_auth("x");
    assert_eq!(
        wrong.send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    daemon.stop().await;
}

#[tokio::test]
async fn the_description_names_every_route_and_the_figures_are_read_by_prometheus() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(config(dir.path())).await;
    let (_, description) = daemon.get("/openapi.json").await;
    let paths = description["paths"].as_object().unwrap();
    for path in [
        "/v1/scans",
        "/v1/transactions",
        "/v1/cards/{number}",
        "/v1/outbox/{seq}",
    ] {
        assert!(paths.contains_key(path), "{path} is missing");
    }
    let answer = daemon
        .request(Method::GET, "/metrics")
        .send()
        .await
        .unwrap();
    let text = answer.text().await.unwrap();
    assert!(text.contains("\ntillbind_outbox_events 0\n"), "{text}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn listeners_hear_of_a_scan_and_see_no_whole_number() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(config(dir.path())).await;
    let mut stream = daemon
        .request(Method::GET, "/v1/events")
        .send()
        .await
        .unwrap();
    daemon.post("/v1/scans", &json!({ "code": CARD })).await;
    let mut heard = String::new();
    while !heard.contains("\n\n") {
        heard.push_str(&String::from_utf8_lossy(
            &stream.chunk().await.unwrap().unwrap(),
        ));
    }
    assert!(heard.starts_with("event: scan\n"), "{heard}");
    assert!(heard.contains("6789") && !heard.contains(CARD), "{heard}");
    drop(stream);
    daemon.stop().await;
}

#[tokio::test]
async fn a_terminal_enrolled_while_it_runs_sends_what_waits_and_receives_members() {
    let central = FakeCentral::start().await;
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(config(dir.path())).await;
    daemon.post("/v1/scans", &json!({ "code": CARD })).await;
    let card = CARD.parse::<String>().unwrap();
    let number = tillbind_protocol::ids::CardNumber::new(card).unwrap();
    let member: tillbind_protocol::ids::MemberId = "m1".parse().unwrap();
    central.held.lock().unwrap().page = Some(Page {
        from: Cursor::default(),
        changes: vec![
            Change::Card(CardState {
                card: number,
                kind: "number".into(),
                member: Some(member.clone()),
                points: 0,
            }),
            Change::Member(MemberState {
                member,
                name: Some("Ada".into()),
                points: 42,
                tier: None,
                accounts: vec!["tmall:82731".parse().unwrap()],
            }),
        ],
        to: Cursor("7".into()),
        more: false,
        reset: false,
    });
    enrol(dir.path(), &central.token("one"), false, &machine())
        .await
        .unwrap();
    let held = &central.held;
    let record = eventually(|| held.lock().unwrap().records.first().cloned()).await;
    let event = Recorded::from_record(record.as_bytes()).unwrap();
    assert!(matches!(event.body, EventBody::Scan(_)));
    daemon.post("/v1/transactions", &sale("1")).await;
    eventually(|| (held.lock().unwrap().records.len() == 2).then_some(())).await;
    let mut view = Value::Null;
    for _ in 0..LOOKS {
        let (status, found) = daemon.get(&format!("/v1/cards/{CARD}")).await;
        if status == StatusCode::OK {
            view = found;
            break;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    assert_eq!(
        (&view["state"], &view["points"], &view["name"]),
        (&json!("confirmed"), &json!(42), &json!("Ada"))
    );
    let (_, status) = daemon.get("/v1/status").await;
    assert_eq!(status["line"]["state"], "online");
    assert_eq!(status["identity"]["terminal"], "t1");
    assert!(status["clock"]["offset_ms"].is_i64());
    daemon.stop().await;
}

#[tokio::test]
async fn a_history_that_central_does_not_share_goes_on_in_a_new_epoch_and_loses_nothing() {
    let central = FakeCentral::start().await;
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(config(dir.path())).await;
    for n in 1..=3 {
        daemon.post("/v1/transactions", &sale(&n.to_string())).await;
    }
    let (_, outbox) = daemon.get("/v1/outbox").await;
    let epoch: tillbind_protocol::ids::Epoch = outbox["epoch"].as_str().unwrap().parse().unwrap();
    let foreign = Mark {
        seq: tillbind_protocol::ids::Seq(3),
        chain: ChainHash([7; 16]),
    };
    central
        .held
        .lock()
        .unwrap()
        .streams
        .insert(epoch, (foreign, Default::default()));
    enrol(dir.path(), &central.token("one"), false, &machine())
        .await
        .unwrap();
    eventually(|| (central.held.lock().unwrap().records.len() == 3).then_some(())).await;
    assert_eq!(central.held.lock().unwrap().streams.len(), 2);
    daemon.stop().await;
}

#[tokio::test]
async fn a_refusal_is_shown_and_nothing_is_lost() {
    let central = FakeCentral::start().await;
    let dir = tempfile::tempdir().unwrap();
    enrol(dir.path(), &central.token("one"), false, &machine())
        .await
        .unwrap();
    central.held.lock().unwrap().refuse = Some("revoked by headquarters: ask them".into());
    let daemon = Daemon::start(config(dir.path())).await;
    let mut status = Value::Null;
    for _ in 0..LOOKS {
        status = daemon.get("/v1/status").await.1;
        if status["line"]["state"] == "refused" {
            break;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    assert!(
        status["line"]["last_error"]
            .as_str()
            .unwrap()
            .contains("revoked"),
        "{status}"
    );
    let (answer, _) = daemon.post("/v1/scans", &json!({ "code": CARD })).await;
    assert_eq!(answer, StatusCode::ACCEPTED);
    daemon.stop().await;
}

#[tokio::test]
async fn requests_are_packed_with_headquarters_dictionary_until_it_has_lost_it() {
    let central = FakeCentral::start().await;
    let dir = tempfile::tempdir().unwrap();
    enrol(dir.path(), &central.token("one"), false, &machine())
        .await
        .unwrap();
    let bytes = include_bytes!("../../tests/fixtures/dictionary/scans.zdict").to_vec();
    let id = zstd::zstd_safe::get_dict_id_from_dict(&bytes)
        .unwrap()
        .get();
    let packed_with = || central.held.lock().unwrap().packed_with.clone();
    central.held.lock().unwrap().dictionary = Some(Dictionary { id, bytes });
    let daemon = Daemon::start(config(dir.path())).await;
    eventually(|| packed_with().contains(&id).then_some(())).await;
    daemon.stop().await;

    // It outlasts a restart: the first request of the next run is packed with it.
    central.held.lock().unwrap().packed_with.clear();
    let daemon = Daemon::start(config(dir.path())).await;
    eventually(|| packed_with().first().copied()).await;
    assert_eq!(packed_with()[0], id);

    central.held.lock().unwrap().dictionary = None;
    central.held.lock().unwrap().packed_with.clear();
    eventually(|| packed_with().contains(&0).then_some(())).await;
    let (status, _) = daemon.post("/v1/transactions", &sale("7")).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    eventually(|| {
        let records = central.held.lock().unwrap().records.len();
        (records == 1).then_some(())
    })
    .await;
    daemon.stop().await;
}
