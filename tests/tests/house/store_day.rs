//! A store's day from the pseudo-terminal and the printer's port to headquarters' exports.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tillbind_tests::central::{Central, Database};
use tillbind_tests::clock::{self, wait_for};
use tillbind_tests::postgres::Postgres;
use tillbind_tests::receipt;
use tillbind_tests::sale::Sale;
use tillbind_tests::scene::{self, Scene};
use tillbind_tests::shop::{DURABLE_WITHIN, Shop, Way};
use tillbind_tests::terminal::Setup;

const VERDICT_WITHIN: Duration = Duration::from_secs(30);

/// A service relation number (GS1), as a scanner with identifiers sends it, and the number itself.
const GSRN: (&str, &str) = ("]C18018950110153123456781", "950110153123456781");

#[test]
fn a_stores_day_arrives_whole_on_sqlite() -> Result<()> {
    scene::play("day-sqlite", |scene| store_day(scene, &Database::Sqlite))
}

#[test]
fn a_stores_day_arrives_whole_on_postgresql() -> Result<()> {
    let postgres = Postgres::start_new()?;
    let database = Database::Postgres(postgres.database("day")?);
    scene::play("day-postgres", |scene| store_day(scene, &database))
}

fn store_day(scene: &Scene, database: &Database) -> Result<()> {
    let mut central = scene.central("central", database)?;
    central.account("tmall:8273155001", "Lin Yue")?;
    central.account("tmall:9001744002", "Zhao Min")?;
    let mut first = Shop::open(scene, "first", &central, Setup::new("S001", "1"))?;
    let mut second = Shop::open(scene, "second", &central, Setup::new("S002", "1"))?;

    every_form_of_a_scan_is_one_scan(&mut first)?;
    a_sale_is_known_from_every_source_and_once(&mut first)?;
    a_card_finds_its_sale(&mut first)?;
    what_is_no_sale_makes_none(&mut first)?;
    binding_goes_on_without_headquarters(&mut central, &mut first)?;
    a_competing_binding_opens_a_dispute(&central, &mut second)?;

    first.terminal.wait_for_drained(VERDICT_WITHIN)?;
    second.terminal.wait_for_drained(VERDICT_WITHIN)?;
    first.played.merge(&second.played);
    let tally = first.played.compare(
        &central.export("transactions")?,
        &central.export("events")?,
        &central.export("bindings")?,
    )?;
    ensure!(tally.is_clean(), "{tally:#?}");
    the_exports_keep_their_contract(&central)?;
    ensure!(first.terminal.stop()?.success(), "the agent ended badly");
    ensure!(central.stop()?.success(), "central ended badly");
    Ok(())
}

fn every_form_of_a_scan_is_one_scan(shop: &mut Shop) -> Result<()> {
    let forms: [(&[u8], usize, &str); 9] = [
        (b"6275980000000101\r", 64, "member_card"),
        (b"6275980000000102\n", 64, "member_card"),
        (b"6275980000000103\r\n", 64, "member_card"),
        (b"6275980000000104\t", 64, "member_card"),
        (b"]C06275980000000105\r\n", 1, "member_card"),
        (b"]E02900000012349\r", 3, "member_card"),
        (b"]C18018950110153123456781\r\n", 2, "member_card"),
        (
            b"%B4111111111111111^DOE/JOHN^25121011200000?;4111111111111111=25121011200000?\r",
            7,
            "payment_refused",
        ),
        (b"]E04001234000017\r", 64, "unknown"),
    ];
    for (bytes, piece, kind) in forms {
        let before = shop.terminal.recorded()?;
        shop.scanner.send_in_pieces(bytes, piece)?;
        shop.terminal
            .wait_for_recorded(before + 1, DURABLE_WITHIN)
            .with_context(|| format!("{:?}", String::from_utf8_lossy(bytes)))?;
        shop.played.scan(kind);
    }
    // The last card before the end of a sale counts.
    let sale = Sale::numbered("S001", "1", clock::now(), 1);
    shop.sell(&sale, Way::Api, Some(GSRN.1))
}

fn a_sale_is_known_from_every_source_and_once(shop: &mut Shop) -> Result<()> {
    let by = |sequence| Sale::numbered("S001", "1", clock::now(), sequence);
    shop.sell(&by(2), Way::Receipt, None)?;
    shop.sell(&by(3), Way::Journal, None)?;
    shop.sell(&by(4), Way::Api, None)?;
    shop.sell(
        &by(5).with_card("6275980000000555"),
        Way::Receipt,
        Some("6275980000000555"),
    )?;

    let twice = by(6);
    shop.sell(&twice, Way::Receipt, None)?;
    let before = shop.terminal.recorded()?;
    let api = shop.terminal.api()?;
    let again = api.post("/v1/transactions", &twice.json())?.expect(202)?;
    ensure!(
        again["seq"].as_u64().is_some_and(|seq| seq <= before + 1),
        "{again}"
    );
    let marker = by(7);
    shop.drop_journal(&[twice, marker.clone()])?;
    // The journal's second sale shows that its first was read.
    wait_for("the journal to be read", DURABLE_WITHIN, || {
        Ok((shop.terminal.recorded()? > before).then_some(()))
    })?;
    shop.played.sale(&marker, None);
    Ok(())
}

fn a_card_finds_its_sale(shop: &mut Shop) -> Result<()> {
    let by = |sequence| Sale::numbered("S001", "1", clock::now(), sequence);
    // Before.
    shop.scan("6275980000000201", "member_card")?;
    shop.sell(&by(11), Way::Receipt, Some("6275980000000201"))?;
    // Not the one before: a basket ends with its sale.
    shop.sell(&by(12), Way::Api, None)?;
    // During: the basket shows it.
    shop.scan("6275980000000202", "member_card")?;
    let basket = shop.terminal.api()?.get("/v1/basket")?.expect(200)?;
    ensure!(
        basket.to_string().contains("0202"),
        "the basket does not show its card: {basket}"
    );
    shop.sell(&by(13), Way::Api, Some("6275980000000202"))?;
    // Shortly after.
    let open = by(14);
    shop.sell(&open, Way::Receipt, None)?;
    let before = shop.terminal.recorded()?;
    shop.scanner.scan("6275980000000203")?;
    shop.terminal
        .wait_for_recorded(before + 2, DURABLE_WITHIN)?;
    shop.played.scan("member_card");
    shop.played.sale(&open, Some("6275980000000203"));
    Ok(())
}

fn what_is_no_sale_makes_none(shop: &mut Shop) -> Result<()> {
    let sale = Sale::numbered("S001", "1", clock::now(), 21);
    shop.sell(&sale, Way::Receipt, None)?;
    shop.print(&receipt::reprinted(&sale))?;
    shop.print(&receipt::voided(&Sale::numbered(
        "S001",
        "1",
        clock::now(),
        22,
    )))?;
    let before = shop.terminal.recorded()?;
    shop.print(&receipt::image())?;
    shop.terminal
        .wait_for_recorded(before + 1, DURABLE_WITHIN)?;
    shop.played.event("receipt_unparsed");
    Ok(())
}

fn binding_goes_on_without_headquarters(central: &mut Central, shop: &mut Shop) -> Result<()> {
    let card = "6275980000000301";
    // The key set has to be there before headquarters goes away; an accepted code shows that it is.
    shop.terminal.wait_for_drained(VERDICT_WITHIN)?;
    let code = central.member_code("tmall:8273155001", "10m")?;
    central.kill()?;
    shop.bind((card, card), &code, "tmall:8273155001")?;
    let sale = Sale::numbered("S001", "1", clock::now(), 31);
    shop.sell(&sale, Way::Receipt, Some(card))?;
    ensure!(
        shown(shop, card)?["state"] == "requested",
        "offline the card shows {}",
        shown(shop, card)?
    );
    // The same code again asks for nothing: its nonce was seen.
    let api = shop.terminal.api()?;
    let body = serde_json::json!({"card": "6275980000000302", "code": code});
    let refused = api.post("/v1/bindings", &body)?;
    ensure!(
        (400..500).contains(&refused.status),
        "a code that was seen before is answered with {refused:?}"
    );
    shop.kill_and_restart()?;
    ensure!(
        shown(shop, card)?["state"] == "requested",
        "after a kill the card shows {}",
        shown(shop, card)?
    );

    central.start()?;
    wait_for("the verdict", VERDICT_WITHIN, || {
        Ok((shown(shop, card)?["state"] == "confirmed").then_some(()))
    })
    .with_context(|| format!("the card shows {:?}", shown(shop, card)))?;
    let confirmed = shown(shop, card)?;
    ensure!(
        confirmed["member"].is_string() || confirmed["member"].is_object(),
        "{confirmed}"
    );
    ensure!(confirmed["points"].is_i64(), "{confirmed}");
    let people = shop.terminal.command(&["card", card])?.success()?;
    ensure!(people.contains("confirmed"), "{people}");
    Ok(())
}

fn shown(shop: &Shop, card: &str) -> Result<Value> {
    let text = shop
        .terminal
        .command(&["card", card, "--json"])?
        .success()?;
    serde_json::from_str(&text).with_context(|| text.clone())
}

fn a_competing_binding_opens_a_dispute(central: &Central, shop: &mut Shop) -> Result<()> {
    let (card, account) = ("6275980000000301", "tmall:9001744002");
    let code = central.member_code(account, "10m")?;
    shop.bind((card, card), &code, account)?;
    let rejected = central.wait_for_export(
        "bindings",
        "the competing binding to be rejected",
        VERDICT_WITHIN,
        |bindings| {
            bindings
                .iter()
                .find(|binding| binding["account"] == account && binding["state"] == "rejected")
                .cloned()
        },
    )?;
    ensure!(
        rejected["reason"]
            .as_str()
            .is_some_and(|why| !why.is_empty()),
        "no reason in {rejected}"
    );
    let holder = central.export("bindings")?;
    ensure!(
        holder.iter().any(|binding| binding["card"] == card
            && binding["account"] == "tmall:8273155001"
            && binding["state"] == "confirmed"),
        "the first binding does not stand: {holder:?}"
    );
    let disputes = central.export("disputes")?;
    ensure!(
        disputes.iter().any(|dispute| dispute["card"] == card),
        "no dispute: {disputes:?}"
    );
    let list = central.command(&["dispute", "list", "--json"])?.success()?;
    ensure!(list.contains(card), "{list}");
    let sale = Sale::numbered("S002", "1", clock::now(), 1);
    shop.sell(&sale, Way::Api, Some(card))
}

/// The fields of every export, as the contract fixes them.
const FIELDS: [(&str, &[&str]); 6] = [
    (
        "transactions",
        &[
            "terminal",
            "epoch",
            "seq",
            "store",
            "workstation",
            "business_day",
            "sequence",
            "kind",
            "began_at",
            "ended_at",
            "recorded_at",
            "clock_offset_ms",
            "currency",
            "total_minor",
            "discount_minor",
            "tax_minor",
            "items",
            "tenders",
            "card",
            "member",
            "source",
            "training",
        ],
    ),
    (
        "events",
        &["terminal", "epoch", "seq", "recorded_at", "kind", "body"],
    ),
    (
        "cards",
        &["card", "kind", "state", "member", "points", "first_seen_at"],
    ),
    (
        "members",
        &["member", "accounts", "cards", "name", "points", "tier"],
    ),
    (
        "bindings",
        &[
            "id",
            "card",
            "account",
            "member",
            "state",
            "evidence",
            "terminal",
            "requested_at",
            "decided_at",
            "reason",
        ],
    ),
    (
        "terminals",
        &[
            "terminal",
            "store",
            "workstation",
            "epoch",
            "watermark",
            "last_seen_at",
            "outbox_events",
            "clock_offset_ms",
            "version",
        ],
    ),
];
const ITEM_FIELDS: [&str; 9] = [
    "line",
    "item_id",
    "description",
    "quantity",
    "unit_price_minor",
    "amount_minor",
    "discount_minor",
    "department",
    "voided",
];

fn the_exports_keep_their_contract(central: &Central) -> Result<()> {
    for (kind, fields) in FIELDS {
        let exported = central.export(kind)?;
        ensure!(!exported.is_empty(), "{kind} is empty");
        for object in &exported {
            has_fields(kind, object, fields)?;
        }
        let csv = central
            .command(&["export", kind, "--format", "csv"])?
            .success()?;
        let head = csv.lines().next().unwrap_or_default();
        for field in fields {
            ensure!(
                head.split(',').any(|column| column == *field),
                "the CSV of {kind} has no column {field}: {head}"
            );
        }
    }
    for transaction in central.export("transactions")? {
        for item in transaction["items"].as_array().context("items")? {
            has_fields("items", item, &ITEM_FIELDS)?;
        }
        for tender in transaction["tenders"].as_array().context("tenders")? {
            has_fields("tenders", tender, &["kind", "amount_minor"])?;
        }
    }
    for kind in ["gaps", "quarantine"] {
        ensure!(central.export(kind)?.is_empty(), "{kind} is not empty");
    }
    Ok(())
}

fn has_fields(kind: &str, object: &Value, fields: &[&str]) -> Result<()> {
    for field in fields {
        ensure!(
            object.get(field).is_some(),
            "{kind} has no field {field}: {object}"
        );
    }
    Ok(())
}
