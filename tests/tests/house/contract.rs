//! Commands and addresses that are fixed, on a terminal and at headquarters that are well.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tillbind_tests::api::Api;
use tillbind_tests::central::{Central, Database};
use tillbind_tests::clock;
use tillbind_tests::sale::Sale;
use tillbind_tests::scene;
use tillbind_tests::shop::{DURABLE_WITHIN, Shop, Way};
use tillbind_tests::terminal::Setup;

const CARD: &str = "6275980000000777";

#[test]
fn every_command_and_address_of_a_terminal_and_of_headquarters_answers() -> Result<()> {
    scene::play("contract", |scene| {
        let central = scene.central("central", &Database::Sqlite)?;
        central.account("tmall:82731", "Lin Yue")?;
        let mut shop = Shop::open(scene, "till", &central, Setup::new("S001", "1"))?;
        shop.scan(CARD, "member_card")?;
        let sale = Sale::numbered("S001", "1", clock::now(), 1);
        shop.sell(&sale, Way::Receipt, Some(CARD))?;
        shop.terminal.wait_for_drained(DURABLE_WITHIN)?;
        clock::wait_for("the card to come down", DURABLE_WITHIN, || {
            let reply = shop.terminal.api()?.get(&format!("/v1/cards/{CARD}"))?;
            Ok((reply.status == 200).then_some(()))
        })?;

        the_terminals_commands(&shop)?;
        the_terminals_api(&mut shop)?;
        headquarters_api(&central)?;

        shop.terminal.stop()?;
        for command in [&["status"][..], &["outbox"], &["card", CARD]] {
            let told = shop.terminal.command(command)?.failure(3)?;
            ensure!(
                told.contains("start it"),
                "{command:?} without a daemon: {told}"
            );
        }
        Ok(())
    })
}

fn the_terminals_commands(shop: &Shop) -> Result<()> {
    for command in [
        &["status"][..],
        &["devices"],
        &["outbox"],
        &["outbox", "stats"],
        &["card", CARD],
        &["doctor"],
        &["config", "check"],
    ] {
        let people = shop.terminal.command(command)?.success()?;
        ensure!(!people.trim().is_empty(), "{command:?} prints nothing");
        let json = [command, &["--json"]].concat();
        let machines = shop.terminal.command(&json)?.success()?;
        serde_json::from_str::<Value>(&machines)
            .with_context(|| format!("{json:?} prints {machines}"))?;
    }
    let status: Value =
        serde_json::from_str(&shop.terminal.command(&["status", "--json"])?.success()?)?;
    for part in [
        "identity", "line", "outbox", "replica", "devices", "clock", "disk",
    ] {
        ensure!(status.get(part).is_some(), "status has no {part}: {status}");
    }
    shop.terminal.command(&["nonsense"])?.failure(2)?;
    let unknown = shop.terminal.command(&["card", "6275980000000778"])?;
    ensure!(unknown.code == 1, "an unknown card: {unknown:?}");
    Ok(())
}

fn the_terminals_api(shop: &mut Shop) -> Result<()> {
    let api = shop.terminal.api()?;
    let document = api.get("/openapi.json")?.expect(200)?;
    for path in [
        "/v1/scans",
        "/v1/transactions",
        "/v1/cards/{number}",
        "/v1/bindings",
        "/v1/basket",
        "/v1/status",
        "/v1/events",
    ] {
        ensure!(
            document["paths"].get(path).is_some(),
            "the document lacks {path}"
        );
    }
    let card = api.get(&format!("/v1/cards/{CARD}"))?.expect(200)?;
    ensure!(
        card["card"] == CARD && card["state"] == "unbound" && card["as_of"].is_string(),
        "{card}"
    );
    let unknown = api.get("/v1/cards/6275980000000778")?.expect(404)?;
    ensure!(unknown["known_to_chain"] == false, "{unknown}");
    let metrics = api.get("/metrics")?.expect(200)?;
    ensure!(
        metrics
            .as_str()
            .is_some_and(|text| text.contains("\ntillbind_outbox_events 0\n")),
        "{metrics}"
    );
    let wrong = serde_json::json!({
        "sequence": "9", "currency": "EUR", "total_minor": 5,
        "items": [{"amount_minor": 4}], "tenders": [{"kind": "cash", "amount_minor": 5}],
    });
    let refused = api.post("/v1/transactions", &wrong)?;
    ensure!(
        refused.status == 422,
        "a sale that does not add up: {refused:?}"
    );
    a_listener_hears_of_a_scan(shop)
}

/// `GET /v1/events` tells what happens as it happens.
fn a_listener_hears_of_a_scan(shop: &mut Shop) -> Result<()> {
    let address = shop.terminal.api_address()?;
    let token = std::fs::read_to_string(shop.terminal.data().join("api.token"))?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(
        stream,
        "GET /v1/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
         Accept: text/event-stream\r\n\r\n",
        token.trim()
    )?;
    let mut lines = BufReader::new(stream).lines();
    // The answer's head comes before anything that happens afterwards.
    let head = lines.next().context("no answer")??;
    ensure!(head.contains(" 200 "), "{head}");
    shop.scan("6275980000000888", "member_card")?;
    for line in lines {
        let line = line.context("the scan was not told")?;
        if line.contains("member_card") {
            ensure!(
                !line.contains("6275980000000888"),
                "a listener is told the whole number: {line}"
            );
            return Ok(());
        }
    }
    anyhow::bail!("the agent ended the stream")
}

fn headquarters_api(central: &Central) -> Result<()> {
    let key = central
        .command(&["api-key", "create", "--role", "reader"])?
        .success()?;
    let reader = Api::new(central.admin()?, key.trim())?;
    let stranger = Api::new(central.admin()?, "nobody")?;
    for kind in [
        "transactions",
        "events",
        "cards",
        "members",
        "bindings",
        "terminals",
        "gaps",
        "quarantine",
        "disputes",
    ] {
        let path = format!("/api/v1/{kind}");
        ensure!(
            stranger.get(&path)?.status == 401,
            "{path} is open to strangers"
        );
        let shown = reader.get(&path)?;
        ensure!(shown.status == 200, "{path}: {shown:?}");
    }
    let document = reader.get("/openapi.json")?.expect(200)?;
    ensure!(
        document["paths"].get("/api/v1/transactions").is_some(),
        "headquarters' document lacks the transactions"
    );
    let forbidden = reader.post(
        "/api/v1/accounts",
        &serde_json::json!({"account": "tmall:1"}),
    )?;
    ensure!(
        forbidden.status == 403,
        "a reader made an account: {forbidden:?}"
    );
    Ok(())
}
