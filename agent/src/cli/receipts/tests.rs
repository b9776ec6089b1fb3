use std::fs;

use tempfile::TempDir;
use tillbind_firmware_bridge::receipt::Profile;

use super::*;

const PROFILE: &str = r#"
name = "shop"
currency = "EUR"
header = ['^Receipt (?<sequence>\d+)$']
[lines]
item = ['^(?<description>[A-Z].*?) +(?<amount>-?\d+\.\d\d)$']
total = ['^TOTAL +(?<amount>-?\d+\.\d\d)$']
tender = ['^(?<kind>CASH|CARD)\b.*? (?<amount>-?\d+\.\d\d)$']
[markers]
reprint = ['^COPY$']
"#;

fn tested(files: &[(&str, &str)]) -> Tested {
    let files: Vec<CapturedFile> = files
        .iter()
        .map(|(name, text)| CapturedFile {
            name: (*name).to_owned(),
            captured: Captured::from_text(text),
        })
        .collect();
    let profile = Profile::parse(PROFILE).unwrap();
    Tested::new(&profile, &files, &CardRules::default())
}

#[test]
fn a_sale_a_reprint_and_a_receipt_that_does_not_add_up_are_told_apart() {
    let tested = tested(&[
        ("a.txt", "Receipt 7\nMilk 12.50\nTOTAL 12.50\nCASH 12.50"),
        ("b.txt", "COPY\nReceipt 7\nMilk 12.50\nTOTAL 12.50"),
        (
            "c.txt",
            "Receipt 8\nMilk 12.40\nbag 0.10\nTOTAL 12.50\nCASH 12.50",
        ),
    ]);
    assert!(tested.has_finding());
    let lines = tested.lines().join("\n");
    for expected in [
        "a.txt #1: sale 7",
        "lines 12.50 − discounts 0.00 (tax 0.00 in it) = total 12.50 EUR = cash 12.50",
        "b.txt #1: not a sale: a reprint (marker `reprint`, line 1: \"COPY\")",
        "c.txt #1: unparsed",
        "sums: lines 12.40 − discounts 0.00 ≠ total 12.50, off by 0.10",
        "line 3: looks like an amount but no pattern of lines.item takes it; it is exactly what the \
         sums lack: \"bag 0.10\"",
        "3 receipts by profile shop: 1 sales, 1 not sales, 1 unparsed",
    ] {
        assert!(lines.contains(expected), "{expected}\n---\n{lines}");
    }
    let json = tested.json();
    assert_eq!(json["summary"]["unparsed"], 1);
    assert_eq!(json["receipts"][1]["what"], "reprint");
    assert_eq!(json["receipts"][2]["findings"][1]["line"], 3);
}

#[test]
fn no_payment_number_is_shown() {
    let tested = tested(&[
        (
            "a.txt",
            "Receipt 4111111111111111\nMilk 4111 1111 1111 1111 1.00\nTOTAL 1.00\nCARD 4111111111111111 1.00",
        ),
        ("b.txt", "Receipt 8\nvisa 4111111111111111 1.00\nTOTAL 1.00"),
    ]);
    let shown = format!("{}\n{}", tested.lines().join("\n"), tested.json());
    assert!(shown.contains("removed"), "{shown}");
    assert!(!shown.contains("1111"), "{shown}");
}

#[test]
fn the_exit_says_whether_all_was_read_or_the_command_was_wrong() {
    let dir = TempDir::new().unwrap();
    let config = dir.path().join("none.toml");
    let profile = dir.path().join("shop.toml");
    fs::write(&profile, PROFILE).unwrap();
    let captured = dir.path().join("captured");
    let run = || test(&config, &profile, &captured, true);
    assert_eq!(run(), Exit::WrongUse);
    fs::create_dir(&captured).unwrap();
    assert_eq!(run(), Exit::WrongUse);
    let sale = "Receipt 7\nMilk 1.00\nTOTAL 1.00\nCASH 1.00\n";
    fs::write(captured.join("a.bin"), format!("\x1b@{sale}\x1dV\x00")).unwrap();
    fs::write(captured.join("notes.md"), "nothing").unwrap();
    assert_eq!(run(), Exit::Fine);
    fs::write(captured.join("b.txt"), sale.replace("TOTAL 1", "TOTAL 2")).unwrap();
    assert_eq!(run(), Exit::Finding);
    fs::write(&profile, "name = ").unwrap();
    assert_eq!(run(), Exit::Finding);
    fs::remove_file(&profile).unwrap();
    assert_eq!(run(), Exit::WrongUse);
}

#[test]
fn a_learned_profile_reads_the_receipts_that_it_was_learned_from_and_replaces_no_file() {
    let dir = TempDir::new().unwrap();
    let captured = dir.path().join("captured");
    let profile = dir.path().join("shop.toml");
    assert_eq!(learn(&captured, Some(&profile), false), Exit::WrongUse);
    fs::create_dir(&captured).unwrap();
    fs::write(captured.join("0.txt"), "Open from nine to five\n").unwrap();
    assert_eq!(learn(&captured, Some(&profile), false), Exit::Finding);
    fs::remove_file(captured.join("0.txt")).unwrap();
    for n in 1..=10 {
        let text = format!(
            "SHOP\nReceipt {:04}\n2026-05-{n:02} 10:{n:02}\nMilk {n}.50\nBread 1.00\nTOTAL {}.50\nCASH {}.50\n",
            n * 7,
            n + 1,
            n + 1
        );
        fs::write(captured.join(format!("{n}.txt")), text).unwrap();
    }
    assert_eq!(learn(&captured, Some(&profile), false), Exit::Fine);
    let config = dir.path().join("none.toml");
    assert_eq!(test(&config, &profile, &captured, false), Exit::Fine);
    let before = fs::read_to_string(&profile).unwrap();
    assert!(before.contains("name = 'shop'"), "{before}");
    assert_eq!(learn(&captured, Some(&profile), true), Exit::WrongUse);
    assert_eq!(fs::read_to_string(&profile).unwrap(), before);
    fs::remove_file(captured.join("1.txt")).unwrap();
    assert_eq!(learn(&captured, None, true), Exit::Finding);
}
