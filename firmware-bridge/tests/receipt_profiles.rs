//! Every shipped profile reads the receipts of its layout as they were meant: sales, and what is none.
//!
//! The streams lie below `tests/fixtures/profiles/<profile>/`; those of `python-escpos` and
//! `receiptline` were printed by these libraries from documents of our own.

#![expect(
    clippy::unwrap_used,
    reason = "the functions beside the tests fail them, as an assertion does"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use tillbind_firmware_bridge::receipt::{Captured, Examination, Profile, Reading, learn};
use tillbind_firmware_bridge::sale::{Sale, SaleTime};

/// Profiles with fixtures, and what each must show besides a plain sale.
const PROFILES: [&str; 5] = [
    "escpos-restaurant-zh",
    "fashion-returns",
    "grocer-eu",
    "python-escpos",
    "receiptline",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn profile(name: &str) -> Profile {
    let path = root().join(format!("profiles/{name}.toml"));
    Profile::parse(&fs::read_to_string(path).unwrap()).unwrap()
}

fn streams(profile: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(root().join(format!("tests/fixtures/profiles/{profile}")))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "bin"))
            .collect();
    paths.sort();
    paths
}

fn render(profile: &Profile, path: &Path) -> String {
    let mut text = String::new();
    for job in Captured::Stream(fs::read(path).unwrap()).jobs(profile.encoding()) {
        for line in &job.lines {
            // The byte 5C is the yen sign on printers set to Japan; which of the two a decoder shows is no
            // matter of the profile.
            writeln!(text, "|{}", line.replace('\\', "¥")).unwrap();
        }
        render_examination(&mut text, &profile.examine(&job));
    }
    text
}

fn render_examination(text: &mut String, examination: &Examination) {
    if let Some((list, line)) = examination.marker {
        writeln!(text, "marker {list} in line {line}").unwrap();
    }
    match &examination.reading {
        Reading::Sale(sale) => render_sale(text, sale),
        Reading::NotASale(what) => writeln!(text, "not a sale: {what:?}").unwrap(),
        Reading::Unparsed(_) => writeln!(text, "unparsed").unwrap(),
    }
    for finding in &examination.findings {
        let line = finding.line.map(|line| format!("line {line}: "));
        writeln!(text, "{}{}", line.unwrap_or_default(), finding.message).unwrap();
    }
}

fn render_sale(text: &mut String, sale: &Sale) {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let ended_at = sale.ended_at.map(|time| match time {
        SaleTime::Local(local) => local.format("%Y-%m-%dT%H:%M:%S").to_string(),
        SaleTime::Zoned(zoned) => zoned.to_rfc3339(),
    });
    let money = |minor| sale.currency.decimal(minor);
    writeln!(
        text,
        "{:?} {} {} {} at {} {} total={} discount={} tax={} card={}{}",
        sale.kind,
        or_dash(&sale.store),
        or_dash(&sale.workstation),
        or_dash(&sale.sequence),
        or_dash(&ended_at),
        sale.currency,
        money(sale.total_minor),
        money(sale.discount_minor),
        money(sale.tax_minor),
        or_dash(&sale.card),
        if sale.training { " training" } else { "" },
    )
    .unwrap();
    for item in &sale.items {
        writeln!(
            text,
            "item [{}] {}: {} x {} = {} less {}{}",
            item.item_id,
            item.description,
            item.quantity,
            money(item.unit_price_minor),
            money(item.amount_minor),
            money(item.discount_minor),
            if item.voided { " voided" } else { "" },
        )
        .unwrap();
    }
    for tender in &sale.tenders {
        writeln!(
            text,
            "tender {} {}",
            tender.kind,
            money(tender.amount_minor)
        )
        .unwrap();
    }
}

#[test]
fn every_layout_is_read_as_it_was_meant() {
    let mut wrong = Vec::new();
    for name in PROFILES {
        let profile = profile(name);
        for path in streams(name) {
            let expected = fs::read_to_string(path.with_extension("expected")).unwrap_or_default();
            let got = render(&profile, &path);
            if got != expected {
                wrong.push(format!(
                    "{}:\n{got}--- expected\n{expected}",
                    path.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_layout_tells_a_sale_from_all_that_is_none() {
    for name in PROFILES {
        let profile = profile(name);
        let all: String = streams(name)
            .iter()
            .map(|path| render(&profile, path))
            .collect();
        for needed in [
            "\nSale ",
            "\nVoid ",
            "\nReturn ",
            " training\n",
            "not a sale: Reprint\n",
            "not a sale: OrderSlip\n",
            "not a sale: KitchenTicket\n",
            "not a sale: Report\n",
            "unparsed\n",
        ] {
            assert!(all.contains(needed), "{name} shows no {needed:?}");
        }
    }
}

#[test]
fn no_profile_takes_the_receipts_of_another_for_its_own() {
    for name in PROFILES {
        let profile = profile(name);
        for other in PROFILES.iter().filter(|other| **other != name) {
            for path in streams(other) {
                let jobs = Captured::Stream(fs::read(&path).unwrap()).jobs(profile.encoding());
                for job in jobs {
                    assert!(
                        !matches!(profile.read(&job), Reading::Sale(_)),
                        "{name} reads {}",
                        path.display()
                    );
                }
            }
        }
    }
}

/// Real tills' streams that hold a total, and what a profile learned from the one stream must read: total,
/// tax, items, kind of the first tender. The others of the samples are demonstrations without a sale.
const REAL: [(&str, i64, i64, usize, &str); 4] = [
    ("a-epson-retail-2012", 11_470, 874, 4, "card"),
    ("a-gbk-restaurant-snaildev", 6_800, 0, 2, "other"),
    ("a-zebra-farmers-market", 2_720, 225, 5, "other"),
    ("b-escpos-php-receipt-with-logo", 1_425, 130, 4, "other"),
];

#[test]
fn the_streams_of_real_tills_are_learned_as_far_as_they_hold_a_total() {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's only way to learn where the samples lie"
    )]
    let Ok(samples) = std::env::var("TILLBIND_SAMPLES") else {
        println!("TILLBIND_SAMPLES is not set: nothing is learned from the streams of real tills");
        return;
    };
    for (name, total, tax, items, kind) in REAL {
        let path = PathBuf::from(&samples).join(format!("escpos/{name}.bin"));
        let captured = Captured::Stream(fs::read(path).unwrap());
        let learned = learn(std::slice::from_ref(&captured), "learned").unwrap();
        assert!(learned.is_weak(), "{name}");
        let profile = Profile::parse(&learned.profile).unwrap();
        let job = captured.jobs(profile.encoding()).remove(0);
        let Reading::Sale(sale) = profile.read(&job) else {
            panic!("{name}: {:?}\n{}", profile.examine(&job), learned.profile);
        };
        let got = (sale.total_minor, sale.tax_minor, sale.items.len());
        assert_eq!(got, (total, tax, items), "{name}\n{}", learned.profile);
        assert_eq!(sale.tenders[0].kind, kind, "{name}\n{}", learned.profile);
    }
}

#[test]
fn a_profile_learned_from_the_fixtures_reads_them_as_the_shipped_one_does() {
    // What the learner has no way to know: sums that hold though the table of the taxes does not, since
    // some of the few samples are wrong on purpose.
    let beyond = ["tax-table-"];
    for name in PROFILES {
        let captures: Vec<Captured> = streams(name)
            .iter()
            .map(|path| Captured::Stream(fs::read(path).unwrap()))
            .collect();
        let learned = learn(&captures, name).unwrap();
        let model = profile(name);
        let profile = Profile::parse(&learned.profile).unwrap();
        for path in streams(name) {
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            if beyond.iter().any(|start| stem.starts_with(start)) {
                continue;
            }
            let captured = Captured::Stream(fs::read(&path).unwrap());
            let expected = model.read(&captured.jobs(model.encoding()).remove(0));
            let job = captured.jobs(profile.encoding()).remove(0);
            match (expected, profile.read(&job)) {
                (Reading::Sale(expected), Reading::Sale(got)) => {
                    let sums = |sale: &Sale| {
                        (
                            sale.kind,
                            sale.total_minor,
                            sale.discount_minor,
                            sale.items.len(),
                        )
                    };
                    assert_eq!(
                        sums(&got),
                        sums(&expected),
                        "{name} {stem}\n{}",
                        learned.profile
                    );
                }
                (Reading::NotASale(expected), Reading::NotASale(got)) => {
                    assert_eq!(got, expected, "{name} {stem}\n{}", learned.profile);
                }
                (Reading::Unparsed(_), Reading::Unparsed(_)) => {}
                (expected, got) => {
                    panic!(
                        "{name} {stem}: {expected:?}, learned {got:?}\n{}",
                        learned.profile
                    )
                }
            }
        }
    }
}
