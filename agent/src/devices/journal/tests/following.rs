use std::fs::OpenOptions;
use std::io::Write;

use tillbind_firmware_bridge::journal::csv::{Column, ColumnRole, CsvSettings};
use tillbind_firmware_bridge::journal::decoder::LineFormat;
use tillbind_firmware_bridge::journal::ndjson::NdjsonSettings;
use tillbind_firmware_bridge::journal::value::{AmountUnit, ValueRules};
use tillbind_firmware_bridge::money::Currency;

use super::*;
use crate::config::LineJournal;

/// Short enough for a test to wait for, long enough to write within.
pub(super) const QUIET: Duration = Duration::from_millis(300);

fn ndjson(quiet: Duration) -> JournalFormat {
    let settings = NdjsonSettings::new(AmountUnit::Minor);
    JournalFormat::Lines(LineJournal {
        format: LineFormat::Ndjson(Box::new(settings)),
        extensions: vec!["ndjson".to_owned()],
        quiet,
    })
}

fn csv(quiet: Duration) -> JournalFormat {
    let mut rules = ValueRules::new(AmountUnit::Major);
    rules.currency = Some(Currency::parse("EUR").unwrap());
    let mut settings = CsvSettings::new(rules);
    settings.columns = [("sequence", "No"), ("amount", "Amount")]
        .map(|(role, name)| {
            let role = ColumnRole::parse(role).unwrap();
            (role, Column::Named(name.to_owned()))
        })
        .into();
    JournalFormat::Lines(LineJournal {
        format: LineFormat::Csv(Box::new(settings)),
        extensions: vec!["csv".to_owned()],
        quiet,
    })
}

fn line(sequence: u32) -> String {
    format!(
        "{{\"sequence\":\"{sequence}\",\"currency\":\"EUR\",\"items\":[{{\"amount_minor\":500}}],\
         \"tenders\":[{{\"amount_minor\":500}}]}}\n"
    )
}

pub(super) fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// A folder with one file, and its journal just started.
pub(super) fn started(name: &str, text: &str, format: JournalFormat) -> (Folder, PathBuf, Rig) {
    let pos = Folder::new();
    let path = pos.path(name);
    append(&path, text);
    let rig = pos.start(format);
    (pos, path, rig)
}

#[tokio::test]
async fn a_growing_file_is_told_line_by_line_and_once_across_restarts() {
    let pos = Folder::new();
    let path = pos.path("a.ndjson");
    let (first, second) = (line(1), line(2));
    // The second line is written slowly.
    append(&path, &format!("{first}{}", &second[..20]));
    let mut rig = pos.start(ndjson(LONG));
    rig.expect("1").await;
    pos.notes.told("a.ndjson", first.len()).await;
    append(&path, &second[20..]);
    rig.expect("2").await;
    pos.notes.told("a.ndjson", first.len() + second.len()).await;
    rig.stop().await;

    let mut rig = pos.start(ndjson(LONG));
    append(&path, &line(3));
    rig.expect("3").await;
    rig.stop().await;
}

#[tokio::test]
async fn a_line_whose_sale_was_not_durable_is_told_again_and_the_durable_ones_once() {
    let (pos, path, mut rig) = started("a.ndjson", &line(1), ndjson(LONG));
    rig.expect("1").await;
    pos.notes.told("a.ndjson", line(1).len()).await;
    append(&path, &line(2));
    for _ in 0..3 {
        assert_eq!(rig.sale(Err("the disk is full".to_owned())).await, "2");
    }
    rig.expect("2").await;
    pos.notes
        .told("a.ndjson", line(1).len() + line(2).len())
        .await;
    rig.stop().await;
}

#[tokio::test]
async fn a_rotated_file_is_told_to_its_end_and_the_new_one_from_its_start() {
    let (pos, path, mut rig) = started("a.ndjson", &line(1), ndjson(LONG));
    rig.expect("1").await;
    pos.notes.told("a.ndjson", line(1).len()).await;
    rig.stop().await;

    // While the agent is away the POS writes on, renames the file and begins another.
    append(&path, &line(2));
    fs::rename(&path, pos.path("a.ndjson.1")).unwrap();
    append(&path, &format!("{}{}", line(3), line(4)));
    let mut rig = pos.start(ndjson(LONG));
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(rig.sale(Ok(())).await);
    }
    told.sort();
    assert_eq!(told, ["2", "3", "4"]);
    append(&path, &line(5));
    rig.expect("5").await;
    rig.stop().await;
}

#[tokio::test]
async fn a_copied_and_truncated_file_goes_on_in_the_copy_and_starts_anew_in_its_place() {
    let (pos, path, mut rig) =
        started("a.ndjson", &format!("{}{}", line(1), line(2)), ndjson(LONG));
    rig.expect("1").await;
    rig.expect("2").await;
    pos.notes.told("a.ndjson", 2 * line(1).len()).await;
    // The copy has what the original had, and one line that was not told.
    let copy = pos.path("a.ndjson.tmp");
    fs::copy(&path, &copy).unwrap();
    append(&copy, &line(3));
    fs::rename(&copy, pos.path("a.ndjson.1")).unwrap();
    rig.expect("3").await;
    fs::write(&path, line(4)).unwrap();
    rig.expect("4").await;
    rig.stop().await;
}

#[tokio::test]
async fn a_file_that_replaces_another_with_the_same_header_is_told_whole() {
    let pos = Folder::new();
    let path = pos.path("a.csv");
    let yesterday = "No,Amount\n1,5.00\n2,5.00\n";
    fs::write(&path, yesterday).unwrap();
    let mut rig = pos.start(csv(LONG));
    // The second may have more rows.
    rig.expect("1").await;
    pos.notes.told("a.csv", "No,Amount\n1,5.00\n".len()).await;
    fs::write(&path, "No,Amount\n3,5.00\n4,5.00\n5,1.00\n6,1.00\n").unwrap();
    for number in ["3", "4", "5"] {
        rig.expect(number).await;
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_file_that_is_archived_behind_its_last_sale_is_told_to_its_end() {
    let (pos, path, mut rig) = started("a.csv", "No,Amount\n1,5.00\n2,5.00\n", csv(QUIET));
    rig.expect("1").await;
    pos.notes.open("a.csv", "No,Amount\n1,5.00\n".len()).await;
    fs::remove_file(&path).unwrap();
    // Once the disk takes it.
    assert_eq!(rig.sale(Err("the disk is full".to_owned())).await, "2");
    rig.expect("2").await;
    pos.notes
        .until("a.csv", |note| note.open_at.is_none())
        .await;
    rig.counts(|counts| (counts.rejected, counts.sales) == (0, 2))
        .await;
    rig.stop().await;
}

#[tokio::test]
async fn half_a_line_in_a_file_that_is_replaced_is_reported_once() {
    let (pos, path, mut rig) = started(
        "a.ndjson",
        &format!("{}{}", line(1), &line(2)[..20]),
        // Long enough to replace the file within, on any machine.
        ndjson(Duration::from_secs(2)),
    );
    rig.expect("1").await;
    pos.notes.open("a.ndjson", line(1).len()).await;
    fs::write(&path, line(3)).unwrap();
    rig.expect("3").await;
    let reason = rig.rejection().await;
    assert!(reason.starts_with("line 2: this is no JSON"), "{reason}");
    append(&path, &line(4));
    rig.expect("4").await;
    rig.stop().await;
}

#[tokio::test]
async fn what_went_with_its_file_while_the_agent_was_away_is_reported_with_its_place() {
    for torn in [line(2)[..20].to_owned(), line(2).trim_end().to_owned()] {
        let (pos, path, rig) = started("a.ndjson", &torn, ndjson(LONG));
        pos.notes.open("a.ndjson", 0).await;
        rig.stop().await;
        fs::remove_file(&path).unwrap();
        let mut rig = pos.start(ndjson(QUIET));
        let reason = rig.rejection().await;
        assert!(reason.starts_with("byte 0: the file was"), "{reason}");
        append(&path, &line(3));
        rig.expect("3").await;
        rig.stop().await;
    }
}

#[tokio::test]
async fn the_last_transaction_of_a_rotated_file_is_told_once_under_its_new_name() {
    let (pos, path, mut rig) = started("a.csv", "No,Amount\n1,5.00\n2,5.00\n", csv(QUIET));
    rig.expect("1").await;
    pos.notes.open("a.csv", "No,Amount\n1,5.00\n".len()).await;
    fs::rename(&path, pos.path("a.csv.1")).unwrap();
    append(&path, "No,Amount\n3,5.00\n");
    let mut told = [rig.sale(Ok(())).await, rig.sale(Ok(())).await];
    told.sort();
    assert_eq!(told, ["2", "3"]);
    append(&path, "4,5.00\n");
    rig.expect("4").await;
    rig.counts(|counts| (counts.rejected, counts.sales) == (0, 4))
        .await;
    rig.stop().await;
}

#[tokio::test]
async fn a_transaction_waits_for_its_rows_and_is_whole_after_the_quiet_time() {
    let (_pos, path, mut rig) = started(
        "a.csv",
        "No,Amount\n1,5.00\n2,5.00\n2,",
        csv(Duration::from_millis(400)),
    );
    rig.expect("1").await;
    append(&path, "3.00\n");
    match within(rig.events.recv()).await {
        Some(DeviceEvent::JournalSale {
            sale,
            source,
            reply,
            ..
        }) => {
            assert_eq!((sale.total_minor, sale.items.len()), (800, 2));
            assert_eq!(source, Source::Csv);
            reply.send(Ok(())).unwrap();
        }
        other => panic!("a sale was expected, not {other:?}"),
    }
    rig.counts(|counts| (counts.files, counts.sales) == (1, 2))
        .await;
    rig.stop().await;
}

#[tokio::test]
async fn a_poison_line_is_reported_with_its_place_and_the_lines_behind_it_are_told() {
    let (pos, path, mut rig) = started(
        "a.ndjson",
        &format!("{}{{poison}}\n{}", line(1), line(2)),
        ndjson(LONG),
    );
    rig.expect("1").await;
    let reason = rig.rejection().await;
    assert!(reason.starts_with("line 2: this is no JSON"), "{reason}");
    rig.expect("2").await;
    rig.counts(|counts| counts.rejected == 1).await;
    assert!(path.exists());
    // Many more are told by their number alone, across a restart.
    pos.notes
        .told("a.ndjson", line(1).len() + line(2).len() + 9)
        .await;
    rig.stop().await;
    append(&path, &format!("{}{}", "{poison}\n".repeat(200), line(3)));
    let mut rig = pos.start(ndjson(LONG));
    for _ in 0..19 {
        let reason = rig.rejection().await;
        assert!(reason.contains("this is no JSON"), "{reason}");
    }
    let reason = rig.rejection().await;
    assert!(reason.starts_with("more than 20 lines"), "{reason}");
    rig.expect("3").await;
    rig.stop().await;
}

#[tokio::test]
async fn a_column_that_the_header_lacks_is_reported_once_and_shown_and_the_file_stays() {
    let (pos, path, mut rig) = started(
        "a.csv",
        "Number,Amount\n1,5.00\n",
        csv(Duration::from_millis(50)),
    );
    let reason = rig.rejection().await;
    assert!(reason.contains("no column \"No\" (sequence)"), "{reason}");
    append(&path, "2,5.00\n");
    append(&pos.path("b.csv"), "No,Amount\n9,5.00\n");
    rig.expect("9").await;
    let shown = rig.lamp.view().borrow().last_error.clone().unwrap();
    assert!(shown.contains("the header has no column"), "{shown}");
    assert!(path.exists());
    rig.stop().await;
}

#[test]
fn progress_in_the_replicas_store_survives_and_is_no_note_of_a_done_file() {
    let dir = tempfile::tempdir().unwrap();
    let vault = crate::vault::Vault::from_key([4; 32], crate::vault::test_random(8));
    let file = FileSeen {
        name: "a.csv".to_owned(),
        modified_ms: 5,
        len: 77,
    };
    let mut progress = Progress::start(file.clone());
    progress.mark.offset = 70;
    progress.mark.line = 3;
    progress.faults = 2;
    progress.print = [7; 16];
    {
        let (replica, _) = crate::members::Replica::open(dir.path(), &vault).unwrap();
        replica.keep_progress("pos", &progress).unwrap();
        replica.remember("pos2", &file).unwrap();
    }
    let (replica, _) = crate::members::Replica::open(dir.path(), &vault).unwrap();
    assert_eq!(replica.progress("pos").unwrap(), [progress]);
    assert!(replica.done("pos").unwrap().is_empty());
    assert!(replica.progress("pos2").unwrap().is_empty());
}
