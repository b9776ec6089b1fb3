//! Claim codes: printed before the cut by printing libraries of other people's making, redeemed at
//! headquarters.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tillbind_firmware_bridge::receipt::{Dialect, Encoding, Job, ReceiptDecoder};
use tillbind_protocol::claim::{CLAIM_PREFIX, ClaimCode};
use tillbind_tests::central::{Central, Database};
use tillbind_tests::clock;
use tillbind_tests::environment;
use tillbind_tests::printer::Printer;
use tillbind_tests::receipt;
use tillbind_tests::sale::Sale;
use tillbind_tests::scene::{self, Scene};
use tillbind_tests::shop::{DURABLE_WITHIN, Shop};
use tillbind_tests::terminal::Setup;

use super::clients::{Client, Place, described};

const ARRIVES_WITHIN: Duration = Duration::from_secs(30);
/// A hold that no slow machine outlasts.
const FOOTER: &str = "footer = \"Points for this receipt:\\n{code}\"\nfooter_hold_ms = 1000";
const CARD: &str = "6275980000000301";

/// Opens a shop whose tap `footed` prints claim codes.
fn open(scene: &Scene, central: &Central) -> Result<(Shop, Printer)> {
    let printer = Printer::switch_on()?;
    let setup = Setup::new("S001", "1").tap_with(
        "footed",
        &printer.address().to_string(),
        Some(receipt::profile()?),
        FOOTER,
    );
    Ok((Shop::open(scene, "till", central, setup)?, printer))
}

/// Prints a sale through the tap and beside it; returns what the tap added before the cut.
fn printed(
    scene: &Scene,
    shop: &mut Shop,
    printer: &Printer,
    client: Client,
    sale: &Sale,
) -> Result<Vec<u8>> {
    let clients = environment::clients()?.context("the clients are there")?;
    let file = scene.path().join(format!("{}.json", sale.sequence));
    std::fs::write(&file, described(sale).to_string())?;
    let direct = Printer::switch_on()?;
    client.print(&clients, &Place::Network(direct.address()), &file)?;
    let direct = direct.bytes();
    printer.tear_off();
    let tap = shop.terminal.tap("footed")?;
    client.print(&clients, &Place::Network(tap), &file)?;
    let paper = clock::wait_for("the whole receipt", DURABLE_WITHIN, || {
        let paper = printer.bytes();
        let same = paper
            .iter()
            .zip(&direct)
            .take_while(|(a, b)| a == b)
            .count();
        let rest = direct.get(same..).unwrap_or_default();
        Ok((paper.len() >= direct.len() && paper.ends_with(rest)).then_some((paper, same)))
    });
    let (paper, same) = paper.with_context(|| {
        format!(
            "{client:?}: without the footer the receipt is not as it was sent: {:?}",
            String::from_utf8_lossy(&printer.bytes())
        )
    })?;
    Ok(paper
        .get(same..same + paper.len() - direct.len())
        .unwrap_or_default()
        .to_vec())
}

/// Reads the receipt with its footer, as a person would, and returns its claim code.
fn code_on(paper: &[u8]) -> Result<ClaimCode> {
    let mut decoder = ReceiptDecoder::new(Dialect::Auto, Encoding::default());
    let mut jobs: Vec<Job> = decoder.feed(paper);
    jobs.extend(decoder.finish());
    let job = jobs.first().context("nothing was printed")?;
    let content = job
        .codes
        .iter()
        .find(|code| code.starts_with(CLAIM_PREFIX))
        .with_context(|| format!("no QR code holds a claim: {job:#?}"))?;
    let code = ClaimCode::parse(content)?;
    ensure!(
        job.lines.iter().any(|line| line.trim() == code.to_string()),
        "the code is not to be read: {job:#?}"
    );
    Ok(code)
}

fn redeem(central: &Central, code: &ClaimCode, account: &str) -> Result<Value> {
    let code = code.to_string();
    let args = ["--json", "claim", "redeem", &code, "--account", account];
    Ok(serde_json::from_str(&central.command(&args)?.success()?)?)
}

fn transaction(central: &Central, sequence: u32) -> Result<Value> {
    central.wait_for_export("transactions", "the sale", ARRIVES_WITHIN, |sales| {
        let sequence = sequence.to_string();
        sales
            .iter()
            .find(|sale| sale["sequence"] == sequence)
            .cloned()
    })
}

#[test]
fn a_code_on_a_receipt_credits_the_sale_or_binds_its_card() -> Result<()> {
    if environment::clients()?.is_none() {
        return Ok(());
    }
    scene::play("claims", |scene| {
        let central = scene.central("central", &Database::Sqlite)?;
        let (mut shop, printer) = open(scene, &central)?;
        for (sequence, client) in [
            (301, Client::PythonEscpos),
            (302, Client::Receiptline),
            (303, Client::NodeThermalPrinter),
            (304, Client::ReceiptlineStarLine),
            (305, Client::ReceiptlineStarPrnt),
        ] {
            let sale = Sale::numbered("S001", "1", clock::now(), sequence);
            let account = format!("tmall:{sequence}");
            central.account(&account, "Ada")?;
            let footer = printed(scene, &mut shop, &printer, client, &sale)?;
            ensure!(
                !footer.is_empty(),
                "{client:?}: nothing was printed before the cut"
            );
            let code = code_on(&printer.bytes()).with_context(|| format!("{client:?}"))?;
            let arrived = transaction(&central, sequence)?;
            ensure!(arrived["member"].is_null(), "{arrived}");
            shop.terminal.wait_for_drained(ARRIVES_WITHIN)?;
            let first = redeem(&central, &code, &account)?;
            ensure!(first["state"] == "redeemed", "{first}");
            ensure!(redeem(&central, &code, &account)?["state"] == "redeemed");
            let member = transaction(&central, sequence)?["member"].clone();
            ensure!(member.is_string(), "the sale of {client:?} has no member");
            let members = central.export("members")?;
            let found = members.iter().find(|one| one["member"] == member);
            let points = found.and_then(|found| found["points"].as_i64());
            ensure!(
                points == Some(sale.total_minor() / 100),
                "{found:?} for {sale:?}"
            );
        }

        // A card that nobody holds: the code binds it.
        let sale = Sale::numbered("S001", "1", clock::now(), 306);
        let scan = json!({"code": CARD});
        shop.begin_basket()?;
        let answer = shop.terminal.api()?.post("/v1/scans", &scan)?.expect(202)?;
        ensure!(answer["kind"] == "member_card", "{answer}");
        printed(scene, &mut shop, &printer, Client::PythonEscpos, &sale)?;
        let code = code_on(&printer.bytes())?;
        shop.terminal.wait_for_drained(ARRIVES_WITHIN)?;
        let bound = redeem(&central, &code, "tmall:301")?;
        ensure!(bound["binding_state"] == "confirmed", "{bound}");
        let told = clock::wait_for("the verdict at the till", ARRIVES_WITHIN, || {
            let card = shop.card(CARD)?;
            Ok((card["state"] == "confirmed").then_some(card))
        })?;
        ensure!(told["member"].is_string(), "{told}");
        let bindings = central.export("bindings")?;
        ensure!(
            bindings
                .iter()
                .any(|one| one["evidence"] == "claim" && one["state"] == "confirmed"),
            "{bindings:?}"
        );

        // From now on the card has a member: nothing is left to claim.
        shop.terminal.api()?.post("/v1/scans", &scan)?.expect(202)?;
        let sale = Sale::numbered("S001", "1", clock::now(), 307);
        let footer = printed(scene, &mut shop, &printer, Client::PythonEscpos, &sale)?;
        ensure!(
            footer.is_empty(),
            "a member was offered a claim: {footer:?}"
        );
        ensure!(central.export("gaps")?.is_empty() && central.export("quarantine")?.is_empty());
        // No code stands anywhere but on paper.
        for kind in ["events", "claims", "transactions"] {
            let text = serde_json::to_string(&central.export(kind)?)?;
            let symbols = code.to_string().replace('-', "");
            ensure!(
                !text.contains(&symbols) && !text.contains(&code.to_string()),
                "{kind}"
            );
        }
        Ok(())
    })
}

#[test]
fn a_code_that_is_entered_while_the_line_is_down_is_carried_out_when_its_sale_arrives() -> Result<()>
{
    if environment::clients()?.is_none() {
        return Ok(());
    }
    scene::play("early-claim", |scene| {
        let central = scene.central("central", &Database::Sqlite)?;
        let (mut shop, printer) = open(scene, &central)?;
        central.account("tmall:401", "Ada")?;
        central.line().cut();
        let sale = Sale::numbered("S001", "1", clock::now(), 401);
        printed(scene, &mut shop, &printer, Client::PythonEscpos, &sale)?;
        let code = code_on(&printer.bytes())?;
        let waiting = redeem(&central, &code, "tmall:401")?;
        ensure!(waiting["state"] == "waiting", "{waiting}");
        central.line().heal();
        let member = central.wait_for_export(
            "transactions",
            "the sale to be credited",
            ARRIVES_WITHIN,
            |sales| {
                sales
                    .first()
                    .and_then(|sale| sale["member"].as_str().map(str::to_owned))
            },
        )?;
        let claims = central.export("claims")?;
        ensure!(
            claims.len() == 1 && claims[0]["state"] == "redeemed" && claims[0]["member"] == member,
            "{claims:?}"
        );
        Ok(())
    })
}
