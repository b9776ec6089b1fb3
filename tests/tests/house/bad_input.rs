//! What goes wrong at a till, with a message that says what, where and what to do, and nothing lost.

use std::fs;
use std::io::{Read, Write};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::read::{ZlibDecoder, ZlibEncoder};
use serde_json::{Value, json};
use tillbind_protocol::enrol::Token;
use tillbind_tests::central::{Central, Database};
use tillbind_tests::clock::{self, Stopwatch, wait_for};
use tillbind_tests::poslog;
use tillbind_tests::postgres::Postgres;
use tillbind_tests::receipt;
use tillbind_tests::sale::Sale;
use tillbind_tests::scene;
use tillbind_tests::shop::{Shop, Way};
use tillbind_tests::terminal::{Setup, Terminal};

const ARRIVES_WITHIN: Duration = Duration::from_secs(30);

/// Fails unless a message holds all of these words.
fn says(message: &str, words: &[&str]) -> Result<()> {
    let lower = message.to_lowercase();
    for word in words {
        ensure!(
            lower.contains(&word.to_lowercase()),
            "the message does not say {word:?}: {message}"
        );
    }
    Ok(())
}

#[test]
fn an_unknown_setting_is_named_with_its_line_and_the_nearest_that_is_known() -> Result<()> {
    scene::play("settings", |scene| {
        let setup = Setup::new("S001", "1").more("[till]\ncard_befor_sale_s = 5");
        let terminal = Terminal::new(&scene.folder("till")?, setup)?;
        let line = fs::read_to_string(terminal.settings())?
            .lines()
            .position(|line| line.starts_with("card_befor_sale_s"))
            .context("no such line")?
            + 1;
        for command in [&["config", "check"][..], &["run"]] {
            let outcome = terminal.command(command)?;
            ensure!(outcome.code != 0, "{command:?} took an unknown setting");
            says(
                &outcome.text(),
                &[
                    &format!("agent.toml:{line}"),
                    "card_befor_sale_s",
                    "card_before_sale_s",
                ],
            )?;
        }

        let central = Central::new(&scene.folder("central")?, &Database::Sqlite)?;
        let good = fs::read_to_string(central.settings())?;
        fs::write(
            central.settings(),
            good.replace("public_names", "publik_names"),
        )?;
        let outcome = central.command(&["serve"])?;
        ensure!(outcome.code != 0, "central took an unknown setting");
        says(&outcome.text(), &["central.toml", "publik_names"])
    })
}

#[test]
fn a_port_that_does_not_exist_is_told_by_doctor_and_stops_no_other_device() -> Result<()> {
    scene::play("no-port", |scene| {
        let central = scene.central("central", &Database::Sqlite)?;
        let nowhere = scene.path().join("no-such-port");
        let setup = Setup::new("S001", "1").scanner("missing", &nowhere);
        let mut shop = Shop::open(scene, "till", &central, setup)?;
        let outcome = shop.terminal.command(&["doctor"])?;
        says(
            &outcome.failure(1)?,
            &["missing", &nowhere.to_string_lossy()],
        )?;
        shop.scan("6275980000000001", "member_card")?;
        let sale = Sale::numbered("S001", "1", clock::now(), 1);
        shop.sell(&sale, Way::Receipt, Some("6275980000000001"))
    })
}

#[test]
fn a_truncated_journal_file_is_waited_for_and_a_foreign_one_set_aside_with_the_reason() -> Result<()>
{
    scene::play("journal", |scene| {
        let central = scene.central("central", &Database::Sqlite)?;
        let mut shop = Shop::open(scene, "till", &central, Setup::new("S001", "1"))?;
        let by = |sequence| Sale::numbered("S001", "1", clock::now(), sequence);
        let (first, second, after) = (by(1), by(2), by(3));
        let whole = poslog::file(&[first.clone(), second.clone()])?;
        let end = whole.rfind("<Total").context("no total")?;
        let folder = shop.terminal.journal();
        let truncated = whole.get(..end).unwrap_or_default();
        poslog::drop_into(&folder, "a-truncated.xml", truncated)?;
        poslog::drop_into(&folder, "b-foreign.xml", "<invoice><line/></invoice>\n")?;
        let good = poslog::file(std::slice::from_ref(&after))?;
        poslog::drop_into(&folder, "c-good.xml", &good)?;

        let told = central.wait_for_export(
            "events",
            "the foreign file to be set aside",
            ARRIVES_WITHIN,
            |events| {
                let told = events.iter().find(|event| event["kind"] == "file_rejected");
                told.map(|event| event["body"].clone())
            },
        )?;
        ensure!(
            told["journal"] == "pos" && told["file"] == "b-foreign.xml",
            "{told}"
        );
        says(&told["reason"].to_string(), &["no POSLog", "invoice"])?;
        ensure!(
            folder.join("rejected/b-foreign.xml").is_file(),
            "the foreign file is not with those set aside"
        );
        ensure!(
            folder.join("a-truncated.xml").is_file(),
            "a file that may still grow was set aside"
        );
        let log = fs::read_to_string(shop.terminal.log())?;
        says(&log, &["a-truncated.xml ends in the middle"])?;

        // The POS goes on writing.
        fs::write(folder.join("a-truncated.xml"), &whole)?;
        for sale in [&first, &second, &after] {
            shop.played.sale(sale, None);
        }
        central.wait_for_export("transactions", "all sales", ARRIVES_WITHIN, |sales| {
            (sales.len() >= 3).then_some(())
        })?;
        shop.played.event("file_rejected");
        clean(&shop, &central)
    })
}

#[test]
fn a_receipt_that_is_an_image_is_printed_and_kept_as_unreadable() -> Result<()> {
    scene::play("image", |scene| {
        let central = scene.central("central", &Database::Sqlite)?;
        let mut shop = Shop::open(scene, "till", &central, Setup::new("S001", "1"))?;
        shop.print(&receipt::image())?;
        let kept = central.wait_for_export("events", "the receipt", ARRIVES_WITHIN, |events| {
            events
                .iter()
                .find(|event| event["kind"] == "receipt_unparsed")
                .map(|event| event["body"].clone())
        })?;
        ensure!(kept["tap"] == "printer" && kept["images"] == 1, "{kept}");
        says(&kept["reason"].to_string(), &["image", "text"])
    })
}

#[test]
fn expired_and_forged_member_codes_are_refused_and_bind_nothing() -> Result<()> {
    scene::play("codes", |scene| {
        let central = scene.central("central", &Database::Sqlite)?;
        central.account("tmall:82731", "Lin Yue")?;
        let mut shop = Shop::open(scene, "till", &central, Setup::new("S001", "1"))?;
        shop.terminal.wait_for_drained(ARRIVES_WITHIN)?;

        let expired = central.member_code("tmall:82731", "1s")?;
        let age = Stopwatch::start();
        wait_for("the code to expire", ARRIVES_WITHIN, || {
            Ok((age.elapsed() > Duration::from_millis(2_500)).then_some(()))
        })?;
        let forged = forged(&central.member_code("tmall:82731", "10m")?)?;
        for (code, words) in [
            (&expired, &["expired", "refresh"][..]),
            (&forged, &["forged", "signature"]),
        ] {
            let api = shop.terminal.api()?;
            let body = json!({"card": "6275980000000001", "code": code});
            let reply = api.post("/v1/bindings", &body)?;
            ensure!((400..500).contains(&reply.status), "{reply:?}");
            says(&reply.body.to_string(), words)?;
            let by_hand =
                shop.terminal
                    .command(&["bind", "--card", "6275980000000001", "--code", code])?;
            ensure!(by_hand.code != 0, "{}", by_hand.text());
            says(&by_hand.text(), words)?;
            shop.scan("6275980000000001", "member_card")?;
            shop.scan(code, "member_code")?;
        }
        shop.terminal.wait_for_drained(ARRIVES_WITHIN)?;
        let events = central.export("events")?;
        let refused: Vec<&Value> = events
            .iter()
            .filter(|event| event["body"]["code"] == "member_code")
            .collect();
        ensure!(
            refused.len() == 2 && refused.iter().all(|e| e["body"]["reason"].is_string()),
            "{refused:?}"
        );
        ensure!(central.export("bindings")?.is_empty(), "a binding was made");
        clean(&shop, &central)
    })
}

/// Changes one bit of the signature, which is the last of what is signed.
fn forged(code: &str) -> Result<String> {
    let packed = base45::decode(code.strip_prefix("TB1:").context("no member code")?)?;
    let mut signed = Vec::new();
    ZlibDecoder::new(packed.as_slice()).read_to_end(&mut signed)?;
    let last = signed.last_mut().context("an empty code")?;
    *last ^= 1;
    let mut packed = Vec::new();
    ZlibEncoder::new(signed.as_slice(), Compression::best()).read_to_end(&mut packed)?;
    Ok(format!("TB1:{}", base45::encode(packed)))
}

#[test]
fn a_wrong_or_used_token_enrols_nobody_and_says_what_to_do() -> Result<()> {
    scene::play("tokens", |scene| {
        let central = scene.central("central", &Database::Sqlite)?;
        let terminal = |name: &str| Terminal::new(&scene.folder(name)?, Setup::new("S001", "1"));
        let (first, second) = (terminal("first")?, terminal("second")?);

        refused(&second, "TBE1.bm90LWEtdG9rZW4", &["token create"])?;
        let token = central.token("S001", "1")?;
        let cut = token.get(..token.len() / 2).unwrap_or_default();
        refused(&second, cut, &["token create"])?;
        let mut unknown = Token::decode(&token)?;
        unknown.secret = unknown.secret.chars().rev().collect();
        refused(&second, &unknown.encode()?, &["token"])?;

        first.command(&["enrol", &token])?.success()?;
        refused(&second, &token, &["token", "used"])?;
        ensure!(
            central.export("terminals")?.len() == 1,
            "more than one terminal is enrolled"
        );
        let fresh = central.token("S001", "2")?;
        second.command(&["enrol", &fresh])?.success()?;
        Ok(())
    })
}

fn refused(terminal: &Terminal, token: &str, words: &[&str]) -> Result<()> {
    let outcome = terminal.command(&["enrol", token])?;
    ensure!(
        outcome.code != 0,
        "a bad token was taken: {}",
        outcome.text()
    );
    says(&outcome.text(), words)
}

#[test]
fn a_server_of_another_ca_is_not_spoken_to_and_nothing_is_lost() -> Result<()> {
    scene::play("another-ca", |scene| {
        let central = scene.central("central", &Database::Sqlite)?;
        let impostor = scene.central("impostor", &Database::Sqlite)?;
        let mut shop = Shop::open(scene, "till", &central, Setup::new("S001", "1"))?;
        let line = central.line();
        line.lead_to(impostor.sync()?);
        line.hiccup();

        let late = Terminal::new(&scene.folder("late")?, Setup::new("S001", "2"))?;
        let outcome = late.enrol(&central)?;
        ensure!(outcome.code != 0, "enrolled with an impostor");
        says(&outcome.text(), &["CA", "address", "new token"])?;

        let sale = Sale::numbered("S001", "1", clock::now(), 1);
        shop.sell(&sale, Way::Api, None)?;
        wait_for("doctor to tell", ARRIVES_WITHIN, || {
            let outcome = shop.terminal.command(&["doctor"])?;
            Ok((outcome.code == 1 && outcome.text().contains("certificate")).then_some(()))
        })?;
        ensure!(
            impostor.export("events")?.is_empty(),
            "the impostor got events"
        );
        line.lead_to(central.sync()?);
        shop.terminal.wait_for_drained(ARRIVES_WITHIN)?;
        clean(&shop, &central)
    })
}

#[test]
fn a_database_that_goes_away_and_comes_back_loses_nothing() -> Result<()> {
    let mut postgres = Postgres::start_new()?;
    let database = Database::Postgres(postgres.database("house")?);
    scene::play("database", |scene| {
        let mut central = scene.central("central", &database)?;
        let mut shop = Shop::open(scene, "till", &central, Setup::new("S001", "1"))?;
        let by = |sequence| Sale::numbered("S001", "1", clock::now(), sequence);
        shop.sell(&by(1), Way::Api, None)?;
        shop.terminal.wait_for_drained(ARRIVES_WITHIN)?;

        postgres.stop()?;
        for sequence in 2..20 {
            shop.sell(&by(sequence), Way::Api, None)?;
        }
        let told = central.command(&["export", "transactions"])?;
        ensure!(
            told.code != 0,
            "an export without a database: {}",
            told.text()
        );
        says(&told.text(), &["database"])?;
        central.daemon()?.ensure_running()?;
        wait_for("central's log to tell", ARRIVES_WITHIN, || {
            Ok(fs::read_to_string(central.log())?
                .contains("database")
                .then_some(()))
        })?;
        ensure!(
            shop.terminal.status()?["outbox"]["events"].as_u64() >= Some(18),
            "events were acknowledged without a database"
        );

        postgres.start()?;
        shop.terminal.wait_for_drained(ARRIVES_WITHIN)?;
        clean(&shop, &central)
    })
}

#[test]
fn a_hostile_caller_of_the_till_gets_nothing() -> Result<()> {
    scene::play("caller", |scene| {
        let central = scene.central("central", &Database::Sqlite)?;
        let shop = Shop::open(scene, "till", &central, Setup::new("S001", "1"))?;
        let address = shop.terminal.api_address()?;
        let token = fs::read_to_string(shop.terminal.data().join("api.token"))?;
        let token = token.trim();
        let ask = |host: &str, token: &str, more: &str| -> Result<u16> {
            let mut stream = std::net::TcpStream::connect(address)?;
            write!(
                stream,
                "GET /v1/status HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
                 {more}Connection: close\r\n\r\n"
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            answer
                .split(' ')
                .nth(1)
                .and_then(|status| status.parse().ok())
                .with_context(|| answer.clone())
        };
        let host = address.to_string();
        ensure!(ask(&host, token, "")? == 200);
        ensure!(ask(&host, "wrong", "")? == 401);
        let rebound = ask("evil.example", token, "")?;
        ensure!((400..500).contains(&rebound), "another Host got {rebound}");
        let page = ask(&host, token, "Origin: https://evil.example\r\n")?;
        ensure!((400..500).contains(&page), "another Origin got {page}");
        Ok(())
    })
}

fn clean(shop: &Shop, central: &Central) -> Result<()> {
    let tally = shop.played.compare(
        &central.export("transactions")?,
        &central.export("events")?,
        &central.export("bindings")?,
    )?;
    ensure!(tally.is_clean(), "{tally:#?}");
    Ok(())
}
