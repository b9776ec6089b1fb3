//! What a stolen terminal or a log tells of people.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use tillbind_tests::central::Database;
use tillbind_tests::clock::{self, wait_for};
use tillbind_tests::leak;
use tillbind_tests::sale::Sale;
use tillbind_tests::scene;
use tillbind_tests::shop::{Shop, Way};
use tillbind_tests::terminal::Setup;

const ARRIVES_WITHIN: Duration = Duration::from_secs(30);

const CARD: &str = "6275980704070815";
const ACCOUNT: &str = "tmall:shopper-0704-0815";
const NAME: &str = "Annegret Musterfrau";

#[test]
fn a_terminals_disk_and_logs_hold_no_card_name_or_account_in_clear() -> Result<()> {
    scene::play("personal", |scene| {
        let central = scene.central("central", &Database::Sqlite)?;
        central.account(ACCOUNT, NAME)?;
        let setup = Setup::new("S001", "1");
        let mut shop = Shop::open(scene, "till", &central, setup)?;
        shop.terminal.wait_for_drained(ARRIVES_WITHIN)?;
        let code = central.member_code(ACCOUNT, "10m")?;
        shop.bind((CARD, CARD), &code, ACCOUNT)?;
        let sale = Sale::numbered("S001", "1", clock::now(), 1).with_card(CARD);
        shop.sell(&sale, Way::Receipt, Some(CARD))?;
        wait_for("the verdict", ARRIVES_WITHIN, || {
            Ok((shop.card(CARD)?["state"] == "confirmed").then_some(()))
        })?;
        // A card that cannot be read must not be repeated in a complaint either.
        shop.terminal
            .command(&["card", "62759807040708159999999999999999999"])?;
        shop.terminal
            .command(&["bind", "--card", CARD, "--code", &code])?;

        let mut places: Vec<PathBuf> = vec![shop.terminal.data()];
        places.extend(scene.logs()?);
        let secrets: Vec<String> = [
            CARD,
            &CARD[..12],
            NAME,
            "Musterfrau",
            ACCOUNT,
            "shopper-0704",
        ]
        .into_iter()
        .chain([code.as_str(), code.get(..40).unwrap_or_default()])
        .map(str::to_owned)
        .collect();
        for moment in ["while it runs", "after an orderly end"] {
            if moment == "after an orderly end" {
                shop.terminal.stop()?;
            }
            let files = leak::files(&places)?;
            ensure!(files.len() > 5, "only {} files were searched", files.len());
            let found = leak::in_files(&files, &secrets)?;
            ensure!(found.is_empty(), "{moment}: {found:#?}");
        }
        Ok(())
    })
}
