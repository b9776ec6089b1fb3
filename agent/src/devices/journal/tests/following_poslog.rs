use super::following::{QUIET, append, started};
use super::*;

const END: &str = "</POSLog>";

fn growing(quiet: Duration) -> JournalFormat {
    JournalFormat::GrowingPoslog(quiet)
}

/// The head and the first transaction of a day.
fn begun(number: u32) -> String {
    let whole = file_of(&[transaction(number, "5.00")]);
    whole[..whole.len() - END.len()].to_owned()
}

/// A transaction as far as the POS wrote it before it crashed: in a tag, behind the number.
fn torn(number: u32) -> String {
    let whole = transaction(number, "5.00");
    whole[..whole.find("TransactionStatus").unwrap() + 21].to_owned()
}

/// Sees that a reason tells of a cut at `byte`, and of the transaction, and what to do.
fn see_cut_off(reason: &str, byte: usize, number: u32) {
    let at = format!("byte {byte}: the transaction number {number} that starts here is cut off");
    assert!(reason.contains(&at), "{reason}");
    assert!(reason.starts_with("line "), "{reason}");
    assert!(reason.contains("have it written again"), "{reason}");
}

#[tokio::test]
async fn a_poslog_that_grows_is_told_by_transaction_though_its_last_tag_is_written_over() {
    let pos = Folder::new();
    let path = pos.path("day.xml");
    let all: Vec<String> = (1..=4)
        .map(|n| format!("\n{}", transaction(n, "5.00")))
        .collect();
    fs::write(&path, file_of(&all[..1])).unwrap();
    let format = JournalFormat::GrowingPoslog(LONG);
    let mut rig = pos.start(format.clone());
    rig.expect("1").await;
    let told = file_of(&all[..1]).len() - "</POSLog>".len();
    pos.notes.told("day.xml", told).await;
    let half = file_of(&all[..3]);
    fs::write(&path, &half[..half.len() - 40]).unwrap();
    rig.expect("2").await;
    pos.notes
        .told("day.xml", file_of(&all[..2]).len() - "</POSLog>".len())
        .await;
    rig.stop().await;

    // The third does not add up; the fourth comes all the same, and none again.
    let bad = [
        all[0].clone(),
        all[1].clone(),
        transaction(3, "6.66"),
        all[3].clone(),
        format!("\n{}", transaction(5, "5.00")),
    ];
    fs::write(&path, file_of(&bad)).unwrap();
    let mut rig = pos.start(format);
    let reason = rig.rejection().await;
    assert!(reason.contains("do not add up"), "{reason}");
    rig.expect("4").await;
    rig.expect("5").await;
    rig.counts(|counts| (counts.rejected, counts.sales) == (1, 2))
        .await;
    rig.stop().await;
}

#[tokio::test]
async fn a_file_that_ends_in_mid_transaction_is_reported_once_though_a_new_one_is_begun() {
    let (pos, first, mut rig) = started("monday.xml", &(begun(1) + &torn(2)), growing(QUIET));
    rig.expect("1").await;
    fs::write(pos.path("tuesday.xml"), begun(3)).unwrap();
    rig.expect("3").await;
    see_cut_off(&rig.rejection().await, begun(1).len(), 2);
    rig.counts(|counts| (counts.files, counts.rejected) == (2, 1))
        .await;
    rig.stop().await;

    // A restart, and a touch of the file, tell nothing again.
    let mut rig = pos.start(growing(QUIET));
    let touched = fs::File::options().append(true).open(&first).unwrap();
    touched
        .set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    rig.counts(|counts| counts.files == 1).await;
    append(&pos.path("tuesday.xml"), &transaction(4, "5.00"));
    rig.expect("4").await;
    rig.stop().await;
}

#[tokio::test]
async fn a_pos_that_goes_on_behind_a_torn_transaction_loses_that_one_alone() {
    let (pos, path, mut rig) = started("day.xml", &(begun(1) + &torn(2)), growing(LONG));
    rig.expect("1").await;
    append(&path, &transaction(3, "5.00"));
    see_cut_off(&rig.rejection().await, begun(1).len(), 2);
    rig.expect("3").await;
    // It is known across a restart that all this was told.
    let told = begun(1).len() + torn(2).len() + transaction(3, "5.00").len();
    pos.notes.told("day.xml", told).await;
    rig.stop().await;
    let mut rig = pos.start(growing(LONG));
    append(&path, &transaction(4, "5.00"));
    rig.expect("4").await;
    rig.stop().await;
}

#[tokio::test]
async fn a_torn_transaction_that_was_reported_is_not_reported_again_when_the_pos_goes_on() {
    for first in [begun(1), file_of(&[]).replace(END, "")] {
        let (_pos, path, mut rig) =
            started("day.xml", &format!("{first}{}", torn(2)), growing(QUIET));
        if first.contains("Transaction") {
            rig.expect("1").await;
        }
        see_cut_off(&rig.rejection().await, first.len(), 2);
        rig.counts(|counts| counts.files == 1).await;
        append(&path, &transaction(3, "5.00"));
        rig.expect("3").await;
        rig.stop().await;
    }
}

#[tokio::test]
async fn the_rest_of_a_transaction_is_taken_though_it_comes_after_it_was_given_up() {
    let (_pos, path, mut rig) = started("day.xml", &(begun(1) + &torn(2)), growing(QUIET));
    rig.expect("1").await;
    see_cut_off(&rig.rejection().await, begun(1).len(), 2);
    rig.counts(|counts| counts.files == 1).await;
    append(&path, &transaction(2, "5.00")[torn(2).len()..]);
    rig.expect("2").await;
    rig.counts(|counts| (counts.files, counts.rejected) == (2, 1))
        .await;
    rig.stop().await;
}

#[tokio::test]
async fn a_file_that_grew_after_it_was_quiet_is_watched_to_its_end_across_a_restart() {
    let (pos, path, mut rig) = started("day.xml", &begun(1), growing(QUIET));
    rig.expect("1").await;
    rig.counts(|counts| counts.files == 1).await;
    rig.stop().await;
    append(&path, &torn(2));
    let rig = pos.start(growing(LONG));
    pos.notes.open("day.xml", begun(1).len()).await;
    rig.stop().await;
    let mut rig = pos.start(growing(QUIET));
    see_cut_off(&rig.rejection().await, begun(1).len(), 2);
    rig.stop().await;
}

#[tokio::test]
async fn a_slow_writer_is_waited_for_and_reported_by_no_one() {
    let (_pos, path, mut rig) = started("day.xml", &begun(1), growing(QUIET));
    rig.expect("1").await;
    // In all it takes longer than the quiet time, but no pause does.
    let second = transaction(2, "5.00");
    for piece in second.as_bytes().chunks(second.len() / 10) {
        append(&path, std::str::from_utf8(piece).unwrap());
        sleep(QUIET / 6).await;
    }
    rig.expect("2").await;
    rig.counts(|counts| (counts.files, counts.rejected) == (1, 0))
        .await;
    rig.stop().await;
}

#[tokio::test]
async fn what_waited_for_its_rest_in_a_file_that_is_replaced_or_removed_is_reported() {
    for first in [begun(1), file_of(&[]).replace(END, "")] {
        for is_replaced in [true, false] {
            let (pos, path, mut rig) =
                started("day.xml", &format!("{first}{}", torn(2)), growing(LONG));
            if first.contains("Transaction") {
                rig.expect("1").await;
            }
            pos.notes.open("day.xml", first.len()).await;
            rig.stop().await;
            // The agent is away meanwhile, and looks with a shorter patience then.
            match is_replaced {
                true => fs::write(&path, begun(3)).unwrap(),
                false => fs::remove_file(&path).unwrap(),
            }
            let mut rig = pos.start(growing(QUIET));
            if is_replaced {
                rig.expect("3").await;
            }
            let reason = rig.rejection().await;
            let at = format!("byte {}: the file was replaced or taken away", first.len());
            assert!(reason.starts_with(&at), "{reason}");
            rig.counts(|counts| counts.rejected == 1).await;
            rig.stop().await;
            let mut rig = pos.start(growing(QUIET));
            fs::write(pos.path("next.xml"), begun(9)).unwrap();
            rig.expect("9").await;
            rig.stop().await;
        }
    }
}

#[tokio::test]
async fn what_waits_for_its_rest_in_a_rotated_file_is_that_files_and_no_loss() {
    let (pos, path, mut rig) = started("day.xml", &(begun(1) + &torn(2)), growing(QUIET * 3));
    rig.expect("1").await;
    pos.notes.open("day.xml", begun(1).len()).await;
    fs::rename(&path, pos.path("day.xml.1")).unwrap();
    fs::write(&path, begun(3)).unwrap();
    rig.expect("3").await;
    // The rest comes, in the file's new place.
    append(
        &pos.path("day.xml.1"),
        &transaction(2, "5.00")[torn(2).len()..],
    );
    rig.expect("2").await;
    rig.counts(|counts| (counts.files, counts.rejected) == (2, 0))
        .await;
    // Whatever was missed would be reported by now.
    sleep(QUIET * 4).await;
    rig.counts(|counts| counts.rejected == 0).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_fault_behind_the_last_whole_transaction_is_reported_once() {
    let (_pos, path, mut rig) = started(
        "day.xml",
        &(begun(1) + &transaction(2, "6.66")),
        growing(QUIET),
    );
    rig.expect("1").await;
    let reason = rig.rejection().await;
    assert!(reason.contains("do not add up"), "{reason}");
    rig.counts(|counts| counts.files == 1).await;
    append(&path, &transaction(3, "5.00"));
    rig.expect("3").await;
    rig.counts(|counts| (counts.files, counts.rejected) == (2, 1))
        .await;
    rig.stop().await;
}

#[tokio::test]
async fn a_torn_transaction_in_a_file_that_is_read_once_costs_only_itself() {
    let pos = Folder::new();
    let text = begun(1) + &torn(2) + &transaction(3, "5.00") + END;
    fs::write(pos.path("a.xml"), text).unwrap();
    let mut rig = pos.start(JournalFormat::Poslog);
    rig.expect("1").await;
    rig.expect("3").await;
    let reason = rig.rejection().await;
    assert!(reason.starts_with("1 of 3 transactions"), "{reason}");
    assert!(
        reason.contains("number 2 that starts here is cut off"),
        "{reason}"
    );
    rig.stop().await;
}

#[test]
fn a_note_of_an_older_version_is_read_as_one_with_nothing_open() {
    let file = FileSeen {
        name: "a.xml".to_owned(),
        modified_ms: 5,
        len: 77,
    };
    let mut progress = Progress::start(file);
    progress.mark.offset = 70;
    progress.print = [7; 16];
    let note = progress.to_note();
    let older = &note[..note.len() - 16];
    assert_eq!(
        Progress::from_note("a.xml".to_owned(), older),
        Some(progress.clone())
    );
    assert_eq!(
        Progress::from_note("a.xml".to_owned(), &note[..note.len() - 8]),
        None
    );
    (progress.open_at, progress.reported_to) = (Some(71), 77);
    let note = progress.to_note();
    assert_eq!(
        Progress::from_note("a.xml".to_owned(), &note),
        Some(progress)
    );
}
