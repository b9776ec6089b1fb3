use tillbind_firmware_bridge::journal::decoder::LineFormat;

use super::*;

#[test]
fn journals_of_lines_are_read_with_their_maps() {
    let text = r#"
[store]
currency = "EUR"
[[journal]]
name = "own"
format = "ndjson"
dir = "/j"
[[journal]]
name = "other"
format = "ndjson"
dir = "/k"
amounts = "major"
encoding = "gbk"
time_format = "%d.%m.%Y %H:%M:%S"
zone = "+08:00"
[journal.kinds]
VK = "sale"
LADE = "skip"
[journal.fields]
total = "totals.grand"
tenders = ""
[journal.item_fields]
amount = "sum"
[[journal]]
name = "rows"
format = "csv"
dir = "/l"
amounts = "major"
decimal = ","
delimiter = ";"
quiet_s = 30
[journal.columns]
sequence = "Receipt No"
amount = 4
row_kind = "Art"
[journal.row_kinds]
P = "item"
Z = "tender"
"#;
    let config = Config::parse(text).unwrap();
    let lines: Vec<&LineJournal> = config
        .journals
        .iter()
        .map(|journal| match &journal.format {
            JournalFormat::Lines(lines) => lines,
            JournalFormat::Poslog | JournalFormat::GrowingPoslog(_) => panic!("{journal:?}"),
        })
        .collect();
    assert_eq!(lines[0].quiet.as_secs(), 60);
    assert_eq!(lines[0].extensions, ["ndjson", "jsonl", "json"]);
    let LineFormat::Ndjson(other) = &lines[1].format else {
        panic!("{:?}", lines[1]);
    };
    assert!(other.tenders.is_none() && other.items.is_some());
    assert_eq!(other.rules.kinds.len(), 2);
    let LineFormat::Csv(rows) = &lines[2].format else {
        panic!("{:?}", lines[2]);
    };
    assert_eq!((rows.delimiter, lines[2].quiet.as_secs()), (b';', 30));
    assert_eq!(rows.columns.len(), 3);
    assert_eq!(rows.rules.currency.unwrap().as_str(), "EUR");
}

#[test]
fn every_fault_of_a_journals_map_is_told_at_its_line() {
    let found = faults(
        r#"[[journal]]
name = "a"
format = "ndjson"
dir = "/j"
delimiter = ";"
encoding = "klingon"
zone = "Mars"
time_format = "yyyy"
[journal.fields]
totl = "x"
total = "a..b"
[journal.kinds]
VK = "sold"
[[journal]]
name = "b"
format = "csv"
dir = "/k"
header = false
decimal = ";"
quiet_s = 0
extensions = [".csv"]
[journal.columns]
sequence = "No"
colour = 1
amount = 0
date = 3
[[journal]]
name = "c"
format = "poslog"
dir = "/l"
quiet_s = 9
"#,
    );
    let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(
        lines,
        [
            1, 5, 6, 7, 8, 10, 11, 13, 14, 14, 19, 20, 21, 22, 23, 24, 25, 31
        ],
        "{found:#?}"
    );
}

#[test]
fn a_poslog_is_followed_by_setting_and_lines_are_always() {
    let text = "[[journal]]\nname = \"a\"\nformat = \"poslog\"\ndir = \"/j\"\nfollow = true\n\
                quiet_s = 90\n";
    let config = Config::parse(text).unwrap();
    assert_eq!(
        config.journals[0].format,
        JournalFormat::GrowingPoslog(Duration::from_secs(90))
    );
    let found = faults(&text.replace("poslog", "ndjson"));
    assert_eq!(found[0].0, 5, "{found:?}");
    let found = faults(&text.replace("follow = true", "follow = false"));
    assert_eq!(found[0].0, 6, "{found:?}");
}
