//! Real files of real tills, through the daemons to headquarters.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tillbind_tests::central::{Central, Database};
use tillbind_tests::environment;
use tillbind_tests::leak;
use tillbind_tests::poslog;
use tillbind_tests::scene;
use tillbind_tests::shop::{DURABLE_WITHIN, Shop};
use tillbind_tests::terminal::Setup;

const ARRIVES_WITHIN: Duration = Duration::from_secs(60);

/// A real POSLog and what headquarters must have of it, worked out by hand from the file.
struct Expected {
    file: &'static str,
    store: &'static str,
    workstation: &'static str,
    day: &'static str,
    sequence: &'static str,
    currency: &'static str,
    total_minor: i64,
    discount_minor: i64,
    items: usize,
    voided: usize,
    card: Option<&'static str>,
}

const POSLOGS: [Expected; 3] = [
    Expected {
        file: "ncr-acs-small.xml",
        store: "9",
        workstation: "34",
        day: "2017-09-30",
        sequence: "161",
        currency: "USD",
        total_minor: 107,
        discount_minor: 19,
        items: 1,
        voided: 0,
        card: Some("40000066677"),
    },
    Expected {
        file: "wincor-uae.xml",
        store: "502",
        workstation: "2",
        day: "2018-07-14",
        sequence: "2729",
        currency: "AED",
        total_minor: 0,
        discount_minor: 0,
        items: 2,
        voided: 2,
        card: None,
    },
    Expected {
        file: "ncr-r10-sainsburys-0.xml",
        store: "0610",
        workstation: "140",
        day: "2016-08-22",
        sequence: "451",
        currency: "GBP",
        total_minor: 657,
        discount_minor: 0,
        items: 3,
        voided: 0,
        card: None,
    },
];

#[test]
fn real_poslog_files_become_sales_with_totals_voids_and_the_member() -> Result<()> {
    let Some(samples) = environment::samples("the POSLog files of real tills") else {
        return Ok(());
    };
    scene::play("poslog", |scene| {
        let central = scene.central("central", &Database::Sqlite)?;
        let mut tills = Vec::new();
        for expected in &POSLOGS {
            let setup = Setup::new(expected.store, expected.workstation).journal();
            let till = scene.terminal(expected.store, &central, setup)?;
            let file = samples.join("poslog").join(expected.file);
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            poslog::drop_into(&till.journal(), expected.file, &text)?;
            tills.push(till);
        }
        let sales = central.wait_for_export(
            "transactions",
            "a sale of each file",
            ARRIVES_WITHIN,
            |sales| (sales.len() >= POSLOGS.len()).then(|| sales.to_vec()),
        )?;
        ensure!(sales.len() == POSLOGS.len(), "{sales:?}");
        for expected in &POSLOGS {
            let sale = sales
                .iter()
                .find(|sale| sale["sequence"] == expected.sequence)
                .with_context(|| format!("nothing of {}: {sales:?}", expected.file))?;
            as_expected(sale, expected)?;
        }
        Ok(())
    })
}

fn as_expected(sale: &Value, expected: &Expected) -> Result<()> {
    let empty = Vec::new();
    let items = sale["items"].as_array().unwrap_or(&empty);
    let voided = items.iter().filter(|item| item["voided"] == true).count();
    ensure!(
        sale["store"] == expected.store
            && sale["workstation"] == expected.workstation
            && sale["business_day"] == expected.day
            && sale["currency"] == expected.currency
            && sale["total_minor"] == expected.total_minor
            && sale["discount_minor"] == expected.discount_minor
            && sale["card"] == json!(expected.card)
            && sale["source"] == "poslog"
            && items.len() == expected.items
            && voided == expected.voided,
        "{} became {sale}",
        expected.file
    );
    Ok(())
}

/// Published test numbers beside those of the samples: a Discover, a Diners Club, an American
/// Express, a UnionPay.
const TEST_NUMBERS: [&str; 4] = [
    "6011000990139424",
    "30569309025904",
    "378282246310005",
    "6250941006528599",
];
/// The number of all swipes in the samples.
const SAMPLE_NUMBER: &str = "4111111111111111";
/// So many digits in a row of the samples' number must stand nowhere.
const RUN: usize = 6;
/// So many of the other numbers: they have more different runs, and six digits of a log's
/// microseconds would be taken for one of them every few hundred test runs.
const LONG_RUN: usize = 8;

#[test]
fn swipes_of_payment_cards_leave_no_digits_on_any_disk_log_or_export() -> Result<()> {
    let Some(samples) = environment::samples("the swipes of real stripe readers") else {
        return Ok(());
    };
    let file = samples.join("magstripe/swipe_strings.txt");
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let mut swipes: Vec<String> = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(str::to_owned)
        .collect();
    ensure!(swipes.len() >= 5, "only {} swipes", swipes.len());
    for number in TEST_NUMBERS {
        swipes.push(format!("%B{number}^ROE/JANE^29121010000000000?"));
        swipes.push(format!(";{number}=29121010000000000?"));
        swipes.push(number.to_owned());
    }
    let mut secrets = leak::digit_runs(&[SAMPLE_NUMBER], RUN);
    secrets.extend(leak::digit_runs(&TEST_NUMBERS, LONG_RUN));

    scene::play("swipes", |scene| {
        let central = scene.central("central", &Database::Sqlite)?;
        let mut shop = Shop::open(scene, "till", &central, Setup::new("S001", "1"))?;
        for swipe in &swipes {
            let answer = shop
                .terminal
                .api()?
                .post("/v1/scans", &json!({"code": swipe}))?
                .expect(202)?;
            ensure!(answer["kind"] == "payment_refused", "a swipe is {answer}");
        }
        let through_the_port = swipes.len() as u64;
        let before = shop.terminal.recorded()?;
        for (place, swipe) in swipes.iter().enumerate() {
            // A scan between two swipes keeps them from being taken for one that was read twice.
            shop.scanner
                .send_in_pieces(format!("{swipe}\r\n").as_bytes(), 5)?;
            shop.scanner.scan(&format!("62759800000{place:05}"))?;
        }
        shop.terminal
            .wait_for_recorded(before + 2 * through_the_port, DURABLE_WITHIN)?;
        shop.terminal.wait_for_drained(ARRIVES_WITHIN)?;
        nothing_is_left(scene.path(), &central, &secrets)?;
        let refused = central.export("events")?;
        let refused = refused
            .iter()
            .filter(|event| event["body"]["code"] == "payment_refused")
            .count();
        ensure!(
            refused as u64 == 2 * through_the_port,
            "{refused} swipes were refused, {through_the_port} went each way"
        );
        // Once more with everything written out by an orderly end.
        shop.terminal.stop()?;
        nothing_is_left(scene.path(), &central, &secrets)
    })
}

fn nothing_is_left(folder: &std::path::Path, central: &Central, secrets: &[String]) -> Result<()> {
    let files = leak::files(&[PathBuf::from(folder)])?;
    ensure!(files.len() > 5, "only {} files were searched", files.len());
    let mut found = leak::in_files(&files, secrets)?;
    for kind in ["events", "transactions", "cards", "quarantine"] {
        let export = central.command(&["export", kind])?.success()?;
        let here = leak::in_bytes(export.as_bytes(), secrets);
        found.extend(
            here.iter()
                .map(|secret| format!("{secret:?} in the export {kind}")),
        );
    }
    ensure!(found.is_empty(), "payment numbers were kept: {found:#?}");
    Ok(())
}
