//! A scanner that is pulled out and plugged in again.

use std::time::Duration;

use anyhow::{Result, ensure};
use tillbind_tests::central::Database;
use tillbind_tests::clock;
use tillbind_tests::sale::Sale;
use tillbind_tests::scanner::Scanner;
use tillbind_tests::scene;
use tillbind_tests::shop::{DURABLE_WITHIN, Shop, Way};
use tillbind_tests::terminal::Setup;

const NOTICED_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn an_unplugged_scanner_is_found_again_without_a_restart_and_stops_nothing_else() -> Result<()> {
    scene::play("replug", |scene| {
        let central = scene.central("central", &Database::Sqlite)?;
        let mut second = Scanner::plug_in(&scene.path().join("second-scanner"))?;
        let setup = Setup::new("S001", "1").scanner("second", second.path());
        let mut shop = Shop::open(scene, "till", &central, setup)?;
        shop.terminal
            .wait_for_device("second", &["open"], NOTICED_WITHIN)?;
        shop.scan("6275980000000001", "member_card")?;
        let pid = shop.terminal.daemon()?.pid();

        for round in 0..2u32 {
            shop.scanner.unplug()?;
            shop.terminal
                .wait_for_device("counter", &["lost", "unopenable"], NOTICED_WITHIN)?;

            let sale = Sale::numbered("S001", "1", clock::now(), 100 + round);
            let before = shop.terminal.recorded()?;
            second.scan(&format!("627598000000001{round}"))?;
            shop.terminal
                .wait_for_recorded(before + 1, DURABLE_WITHIN)?;
            let card = format!("627598000000001{round}");
            shop.sell(&sale, Way::Receipt, Some(&card))?;

            shop.scanner.replug()?;
            shop.terminal
                .wait_for_device("counter", &["open"], NOTICED_WITHIN)?;
            shop.scan(&format!("627598000000002{round}"), "member_card")?;
        }
        ensure!(
            shop.terminal.daemon()?.pid() == pid,
            "the agent was started anew"
        );
        shop.terminal.wait_for_drained(DURABLE_WITHIN)?;
        let cards = central.export("cards")?;
        for number in [
            "6275980000000001",
            "6275980000000010",
            "6275980000000011",
            "6275980000000020",
            "6275980000000021",
        ] {
            ensure!(
                cards.iter().any(|card| card["card"] == number),
                "card {number} never came to headquarters: {cards:?}"
            );
        }
        Ok(())
    })
}
