//! The admin listener as headquarters' programs meet it: keys and roles, refusals, exports, changes
//! and their trail.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/postgres.rs"]
#[expect(dead_code, reason = "no database is stopped here")]
#[expect(clippy::print_stderr, reason = "a part that is left out must say so")]
mod postgres;
mod redemption;
mod scrape;
#[path = "../support/service.rs"]
#[expect(dead_code, reason = "terminals' half is the listener's test")]
mod service;
#[path = "../support/till.rs"]
#[expect(dead_code, reason = "the story's tills can do more")]
mod till;

use postgres::Cluster;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use service::Service;
use tillbind_central::admin;
use tillbind_central::api_keys::{self, Role};
use tillbind_central::clock::now_ms;

struct Desk {
    service: Service,
    client: Client,
    base: String,
}

impl Desk {
    async fn start(database: &str) -> Self {
        let service = Service::start(database).await;
        let address = loop {
            if let Some(address) = service.central.data_dir.read("admin.addr").unwrap() {
                break address;
            }
            tokio::task::yield_now().await;
        };
        Self {
            service,
            client: Client::new(),
            base: format!("http://{}", address.trim()),
        }
    }

    async fn key(&self, role: Role) -> String {
        let made = api_keys::create_api_key(&self.service.central.store, role, "cli:t", now_ms());
        made.await.unwrap().secret
    }

    async fn get(&self, key: &str, path: &str) -> Response {
        let request = self.client.get(format!("{}{path}", self.base));
        request.bearer_auth(key).send().await.unwrap()
    }

    async fn post(&self, key: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.base));
        let response = request.bearer_auth(key).json(body).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }
}

async fn error(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let problem: Value = response.json().await.unwrap();
    assert!(!problem["message"].as_str().unwrap().is_empty());
    (status, problem["error"].as_str().unwrap().to_owned())
}

/// Every documented route with its role: `None` where no key is needed.
fn documented() -> Vec<(Method, String, Option<Role>)> {
    let document = serde_json::to_value(admin::document()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else {
                continue;
            };
            let role = operation["tags"][0].as_str().unwrap();
            routes.push((method, path.replace("{id}", "7"), role.parse().ok()));
        }
    }
    routes
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_asks_for_a_key_and_for_its_role() {
    let desk = Desk::start("sqlite").await;
    let mut keys = Vec::new();
    for role in [Role::Reader, Role::Operator, Role::Admin] {
        keys.push((role, desk.key(role).await));
    }
    let routes = documented();
    assert!(routes.len() >= 25, "{routes:?}");
    for (method, path, needs) in routes {
        let request = || {
            desk.client
                .request(method.clone(), format!("{}{path}", desk.base))
        };
        let bare = request().send().await.unwrap();
        let Some(needs) = needs else {
            assert_eq!(bare.status(), 200, "{path}");
            continue;
        };
        assert_eq!(bare.headers()["www-authenticate"], "Bearer", "{path}");
        assert_eq!(error(bare).await, (401, "no_key".to_owned()), "{path}");
        for (role, key) in &keys {
            let answer = request().bearer_auth(key).send().await.unwrap();
            let status = answer.status().as_u16();
            if *role < needs {
                assert_eq!(error(answer).await, (403, "role".to_owned()), "{path}");
            } else {
                assert!(!matches!(status, 401 | 403 | 405), "{path}: {status}");
            }
        }
    }
    desk.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_and_revoked_keys_are_refused_and_guessers_held_back() {
    let desk = Desk::start("sqlite").await;
    let key = desk.key(Role::Reader).await;
    assert_eq!(desk.get(&key, "/api/v1/cards").await.status(), 200);
    let store = &desk.service.central.store;
    let id = api_keys::list_api_keys(store).await.unwrap()[0].id.clone();
    let revoked = api_keys::revoke_api_key(store, &id, "cli:t", now_ms()).await;
    assert!(revoked.unwrap());
    let refused = error(desk.get(&key, "/api/v1/cards").await).await;
    assert_eq!(refused, (401, "wrong_key".to_owned()));
    let mut last = 0;
    for _ in 0..tillbind_central::enrolment::flood::FAILURES_MAX {
        last = desk
            .get("tbk_guess", "/api/v1/cards")
            .await
            .status()
            .as_u16();
    }
    assert_eq!(last, 429);
    desk.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_in_a_browser_reaches_nothing() {
    let desk = Desk::start("sqlite").await;
    let health = format!("{}/api/v1/health", desk.base);
    let origin = desk
        .client
        .get(&health)
        .header("origin", "https://evil.example");
    let refused = error(origin.send().await.unwrap()).await;
    assert_eq!(refused, (403, "browser".to_owned()));
    let rebound = desk.client.get(&health).header("host", "evil.example");
    let refused = error(rebound.send().await.unwrap()).await;
    assert_eq!(refused, (421, "host".to_owned()));
    let health: Value = desk
        .client
        .get(&health)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(health["status"], "ok");
    desk.service.stop().await;
}

async fn a_day_at_the_desk(database: &str) {
    let desk = Desk::start(database).await;
    let (reader, clerk) = (desk.key(Role::Reader).await, desk.key(Role::Operator).await);
    let chief = desk.key(Role::Admin).await;
    let account = json!({"account": "tmall:82731", "name": "Li"});
    let (status, made) = desk.post(&clerk, "/api/v1/accounts", &account).await;
    assert_eq!((status, &made["account"]), (200, &json!("tmall:82731")));
    let wish = json!({"account": "tmall:82731", "ttl_s": 60});
    let (status, code) = desk.post(&clerk, "/api/v1/member-codes", &wish).await;
    assert_eq!(status, 200);
    assert!(code["code"].as_str().unwrap().starts_with("TB1:"));
    let wish = json!({"account": "tmall:9"});
    let (status, _) = desk.post(&clerk, "/api/v1/member-codes", &wish).await;
    assert_eq!(status, 404);
    let wish = json!({"store": "S1", "workstation": "W1", "url": "https://hq.example:1"});
    let (status, token) = desk.post(&chief, "/api/v1/tokens", &wish).await;
    assert_eq!(status, 200);
    assert!(token["token"].as_str().unwrap().starts_with("TBE1."));
    let (identity, _) = desk.service.enrol("W1").await;
    let path = format!("/api/v1/terminals/{}/revoke", identity.terminal);
    let (status, revoked) = desk.post(&chief, &path, &json!({})).await;
    assert_eq!((status, &revoked["state"]), (200, &json!("revoked")));
    for (path, body, status) in [
        ("/api/v1/terminals/t0/revoke", json!({}), 404),
        ("/api/v1/disputes/d0/settle", json!({"to": "tmall:1"}), 404),
        ("/api/v1/quarantine/7/replay", json!({}), 404),
        ("/api/v1/quarantine/7/drop", json!({}), 404),
        ("/api/v1/quarantine/x/drop", json!({}), 400),
        ("/api/v1/accounts", json!({"account": "nobody"}), 400),
        (
            "/api/v1/accounts",
            json!({"account": "a:1", "nme": "x"}),
            400,
        ),
        (
            "/api/v1/tokens",
            json!({"store": "S", "workstation": "1", "expires_s": 0}),
            400,
        ),
        ("/api/v1/api-keys", json!({"role": "root"}), 400),
    ] {
        assert_eq!(desk.post(&chief, path, &body).await.0, status, "{path}");
    }

    let exported = desk.get(&reader, "/api/v1/members").await;
    assert_eq!(exported.headers()["content-type"], "application/x-ndjson");
    let member: Value = serde_json::from_str(&exported.text().await.unwrap()).unwrap();
    assert_eq!(member["member"], made["member"]);
    let csv = desk
        .get(&reader, "/api/v1/terminals?format=csv&store=S1")
        .await;
    let csv = csv.text().await.unwrap();
    assert!(
        csv.starts_with("terminal,store,workstation,epoch,"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 2);
    for odd in ["?format=xml", "?store=S1", "?since=today", "?page=2"] {
        let refused = error(desk.get(&reader, &format!("/api/v1/cards{odd}")).await).await;
        assert_eq!(refused, (400, "bad_request".to_owned()), "{odd}");
    }
    let metrics = desk.get(&reader, "/metrics").await.text().await.unwrap();
    assert!(metrics.contains("\ntillbind_terminals 0\n"), "{metrics}");

    let trail = desk
        .get(&chief, "/api/v1/audit")
        .await
        .text()
        .await
        .unwrap();
    for action in ["account.created", "token.created", "terminal.revoked"] {
        let done = trail.lines().any(|line| {
            line.contains(action) && line.contains("\"api-key:") && line.contains("@127.0.0.1\"")
        });
        assert!(done, "{action} is missing in {trail}");
    }
    desk.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_at_the_desk_over_sqlite() {
    a_day_at_the_desk("sqlite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_at_the_desk_over_postgres() {
    let Some(cluster) = tokio::task::spawn_blocking(Cluster::shared).await.unwrap() else {
        return;
    };
    a_day_at_the_desk(&cluster.database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_in_quarantine_is_masked_until_somebody_with_the_right_asks_and_is_named() {
    let desk = Desk::start("sqlite").await;
    let (reader, clerk) = (desk.key(Role::Reader).await, desk.key(Role::Operator).await);
    let chief = desk.key(Role::Admin).await;
    let (_, pem) = desk.service.enrol("W1").await;
    let client = desk.service.client(Some(&pem));
    let mut till = till::Till::new(7);
    till.raw(r#"{"at":"never","kind":"scan","body":{"card":"2900000000024"}}"#);
    desk.service.exchange(&client, &till.all()).await;
    let shown = desk
        .get(&reader, "/api/v1/quarantine/1")
        .await
        .text()
        .await
        .unwrap();
    assert!(
        shown.contains("never") && !shown.contains("2900000000024"),
        "{shown}"
    );
    let path = "/api/v1/quarantine/1/reveal";
    assert_eq!(desk.post(&reader, path, &json!({})).await.0, 403);
    let (status, revealed) = desk.post(&clerk, path, &json!({})).await;
    assert_eq!(status, 200);
    assert!(
        revealed["record"]
            .as_str()
            .unwrap()
            .contains("2900000000024")
    );
    assert_eq!(
        desk.post(&clerk, "/api/v1/quarantine/7/reveal", &json!({}))
            .await
            .0,
        404
    );
    let (status, done) = desk
        .post(
            &clerk,
            "/api/v1/quarantine/replay",
            &json!({"kind": "scan"}),
        )
        .await;
    assert_eq!(
        (status, &done["replayed"], &done["still_waiting"]),
        (200, &json!(0), &json!(1))
    );
    let trail = desk
        .get(&chief, "/api/v1/audit")
        .await
        .text()
        .await
        .unwrap();
    let named = |line: &str| line.contains("quarantine.revealed") && line.contains("\"api-key:");
    assert_eq!(
        trail.lines().filter(|line| named(line)).count(),
        1,
        "{trail}"
    );
    desk.service.stop().await;
}
