//! Printing libraries of other people, through the tap.

use std::time::Duration;

use anyhow::{Result, ensure};
use tillbind_tests::cable::Cable;
use tillbind_tests::central::Database;
use tillbind_tests::clock;
use tillbind_tests::environment;
use tillbind_tests::printer::Printer;
use tillbind_tests::receipt;
use tillbind_tests::sale::Sale;
use tillbind_tests::scene;
use tillbind_tests::shop::{DURABLE_WITHIN, Shop};
use tillbind_tests::terminal::Setup;

use super::clients::{Client, Place, described};

const ARRIVES_WITHIN: Duration = Duration::from_secs(30);

#[test]
fn other_peoples_libraries_print_unchanged_over_the_network_and_their_sales_arrive() -> Result<()> {
    let Some(clients) = environment::clients()? else {
        return Ok(());
    };
    scene::play("clients", |scene| {
        let central = scene.central("central", &Database::Sqlite)?;
        let mut shop = Shop::open(scene, "till", &central, Setup::new("S001", "1"))?;
        let mut sales = Vec::new();
        for (sequence, client) in [
            (101, Client::PythonEscpos),
            (102, Client::Receiptline),
            (103, Client::NodeThermalPrinter),
            (104, Client::ReceiptlineStarLine),
            (105, Client::ReceiptlineStarPrnt),
        ] {
            let mut sale = Sale::numbered("S001", "1", clock::now(), 7);
            sale.sequence = sequence;
            let file = scene.path().join(format!("{sequence}.json"));
            std::fs::write(&file, described(&sale).to_string())?;

            let direct = Printer::switch_on()?;
            client.print(&clients, &Place::Network(direct.address()), &file)?;
            let before = shop.terminal.recorded()?;
            shop.printer.tear_off();
            let tap = shop.terminal.tap("printer")?;
            client.print(&clients, &Place::Network(tap), &file)?;
            shop.terminal
                .wait_for_recorded(before + 1, DURABLE_WITHIN)?;
            let paper = shop
                .printer
                .wait_for_bytes(direct.bytes().len(), DURABLE_WITHIN)?;
            ensure!(
                paper == direct.bytes(),
                "{client:?}: the printer behind the tap got other bytes than the one beside it"
            );
            shop.played.sale(&sale, None);
            sales.push(sale);
        }
        shop.terminal.wait_for_drained(ARRIVES_WITHIN)?;
        let transactions = central.export("transactions")?;
        let tally = shop
            .played
            .compare(&transactions, &central.export("events")?, &[])?;
        ensure!(tally.is_clean(), "{tally:#?}");
        for sale in &sales {
            let found = transactions.iter().find(|transaction| {
                tillbind_tests::tally::key(transaction)
                    .is_ok_and(|key| key.3 == sale.sequence.to_string())
            });
            let items = found.and_then(|found| found["items"].as_array());
            let told: Vec<(&str, i64)> = items
                .into_iter()
                .flatten()
                .filter_map(|item| {
                    Some((
                        item["description"].as_str()?,
                        item["amount_minor"].as_i64()?,
                    ))
                })
                .collect();
            let played: Vec<(&str, i64)> = sale
                .goods
                .iter()
                .map(|goods| (goods.description.as_str(), goods.amount_minor()))
                .collect();
            ensure!(told == played, "{played:?} arrived as {told:?}");
        }
        Ok(())
    })
}

#[test]
fn other_peoples_libraries_print_unchanged_over_a_serial_cable_and_their_sales_arrive() -> Result<()>
{
    let Some(clients) = environment::clients()? else {
        return Ok(());
    };
    scene::play("serial-clients", |scene| {
        let central = scene.central("central", &Database::Sqlite)?;
        let printer = Printer::switch_on()?;
        let cable = Cable::lay()?;
        let tap = format!(
            "[[receipt_tap]]\nname = \"cable\"\nlisten = {:?}\nprinter = \"{}\"\nprofile = {:?}\n",
            cable.tap(),
            printer.address(),
            receipt::profile()?,
        );
        let mut shop = Shop::open(scene, "till", &central, Setup::new("S001", "1").more(&tap))?;
        shop.terminal
            .wait_for_device("cable", &["listening"], DURABLE_WITHIN)?;
        for (sequence, client) in [
            (201, Client::PythonEscpos),
            (202, Client::NodeThermalPrinter),
        ] {
            let mut sale = Sale::numbered("S001", "1", clock::now(), 7);
            sale.sequence = sequence;
            let file = scene.path().join(format!("{sequence}.json"));
            std::fs::write(&file, described(&sale).to_string())?;

            let direct = Printer::switch_on()?;
            client.print(&clients, &Place::Network(direct.address()), &file)?;
            let before = shop.terminal.recorded()?;
            printer.tear_off();
            client.print(&clients, &Place::Port(cable.pos().to_owned()), &file)?;
            shop.terminal
                .wait_for_recorded(before + 1, DURABLE_WITHIN)?;
            let paper = printer.wait_for_bytes(direct.bytes().len(), DURABLE_WITHIN)?;
            ensure!(
                paper == direct.bytes(),
                "{client:?}: the printer behind the cable got other bytes than the one beside it"
            );
            shop.played.sale(&sale, None);
        }
        shop.terminal.wait_for_drained(ARRIVES_WITHIN)?;
        let tally = shop.played.compare(
            &central.export("transactions")?,
            &central.export("events")?,
            &[],
        )?;
        ensure!(tally.is_clean(), "{tally:#?}");
        Ok(())
    })
}
