use proptest::prelude::*;

use super::*;

fn seen(name: &str, len: u64, modified_ms: i64) -> FileSeen {
    FileSeen {
        name: name.to_owned(),
        modified_ms,
        len,
    }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn watch() -> Watch {
    Watch::new(WatchSettings::for_extensions(&["xml"]), [])
}

fn read(name: &str) -> Action {
    Action::Read {
        name: name.to_owned(),
    }
}

/// Lists twice, so that `file` has settled and is being read.
fn reading(file: &FileSeen) -> Watch {
    let mut watch = watch();
    assert_eq!(watch.handle_listing(ms(0), vec![file.clone()]), []);
    let actions = watch.handle_listing(ms(1_000), vec![file.clone()]);
    assert_eq!(actions, [read(&file.name)]);
    watch
}

#[test]
fn a_file_is_read_only_after_it_stayed_unchanged() {
    let mut watch = watch();
    assert_eq!(watch.handle_listing(ms(0), vec![seen("a.xml", 10, 1)]), []);
    assert_eq!(watch.poll_timeout(), Some((ms(1_000), WakeReason::Settled)));
    assert_eq!(
        watch.handle_listing(ms(900), vec![seen("a.xml", 20, 2)]),
        []
    );
    assert_eq!(
        watch.handle_listing(ms(1_800), vec![seen("a.xml", 20, 2)]),
        []
    );
    let actions = watch.handle_listing(ms(1_900), vec![seen("a.xml", 20, 2)]);
    assert_eq!(actions, [read("a.xml")]);
    assert_eq!(watch.poll_timeout(), None);
}

#[test]
fn a_done_file_is_remembered_and_not_read_again_even_after_a_restart() {
    let file = seen("a.xml", 10, 1);
    let mut first = reading(&file);
    let actions = first.handle_result("a.xml", ReadResult::Done, ms(1_100));
    assert_eq!(actions, [Action::Remember { file: file.clone() }]);
    assert_eq!(first.handle_listing(ms(9_000), vec![file.clone()]), []);

    let mut second = Watch::new(WatchSettings::for_extensions(&["xml"]), [file.clone()]);
    assert_eq!(second.handle_listing(ms(0), vec![file.clone()]), []);
    assert_eq!(second.handle_listing(ms(90_000), vec![file]), []);
}

#[test]
fn a_replaced_file_is_read_again() {
    let mut watch = reading(&seen("a.xml", 10, 1));
    watch.handle_result("a.xml", ReadResult::Done, ms(1_100));
    let forget = Action::Forget {
        name: "a.xml".to_owned(),
    };
    let replaced = seen("a.xml", 10, 2);
    assert_eq!(
        watch.handle_listing(ms(5_000), vec![replaced.clone()]),
        [forget]
    );
    assert_eq!(
        watch.handle_listing(ms(6_000), vec![replaced]),
        [read("a.xml")]
    );
}

#[test]
fn a_truncated_file_is_read_again_when_it_has_grown() {
    let mut watch = reading(&seen("a.xml", 10, 1));
    assert_eq!(
        watch.handle_result("a.xml", ReadResult::Truncated, ms(1_100)),
        []
    );
    assert_eq!(
        watch.handle_listing(ms(30_000), vec![seen("a.xml", 10, 1)]),
        []
    );
    assert_eq!(
        watch.handle_listing(ms(31_000), vec![seen("a.xml", 15, 2)]),
        []
    );
    // The patience counts from the last change, not from the first sight.
    assert_eq!(
        watch.handle_listing(ms(61_000), vec![seen("a.xml", 15, 2)]),
        [read("a.xml")]
    );
}

#[test]
fn a_truncated_file_that_never_grows_is_set_aside_once() {
    let file = seen("a.xml", 10, 1);
    let mut watch = reading(&file);
    watch.handle_result("a.xml", ReadResult::Truncated, ms(1_100));
    assert_eq!(
        watch.poll_timeout(),
        Some((ms(60_000), WakeReason::PatienceEnds))
    );
    assert_eq!(watch.handle_listing(ms(59_999), vec![file.clone()]), []);
    let actions = watch.handle_listing(ms(60_000), vec![file.clone()]);
    assert!(
        matches!(&actions[..], [Action::SetAside { name, reason }]
            if name == "a.xml" && reason.contains("60 s")),
        "{actions:?}"
    );
    assert_eq!(watch.handle_listing(ms(99_000), vec![file]), []);
}

#[test]
fn a_bad_file_is_set_aside_with_the_reason() {
    let mut watch = reading(&seen("a.xml", 10, 1));
    let reason = "line 3: no POSLog".to_owned();
    let bad = ReadResult::Bad {
        reason: reason.clone(),
    };
    let actions = watch.handle_result("a.xml", bad, ms(1_100));
    let name = "a.xml".to_owned();
    assert_eq!(actions, [Action::SetAside { name, reason }]);
}

#[test]
fn an_unreadable_file_is_tried_again_until_the_patience_ends() {
    let file = seen("a.xml", 10, 1);
    let mut watch = reading(&file);
    let unreadable = || ReadResult::Unreadable {
        reason: "it is locked".to_owned(),
    };
    watch.handle_result("a.xml", unreadable(), ms(1_100));
    assert_eq!(watch.poll_timeout(), Some((ms(6_100), WakeReason::Retry)));
    assert_eq!(watch.handle_listing(ms(6_000), vec![file.clone()]), []);
    assert_eq!(
        watch.handle_listing(ms(6_100), vec![file.clone()]),
        [read("a.xml")]
    );
    watch.handle_result("a.xml", unreadable(), ms(59_000));
    let actions = watch.handle_listing(ms(60_000), vec![file]);
    assert!(matches!(&actions[..], [Action::SetAside { reason, .. }] if reason == "it is locked"));
}

#[test]
fn a_file_that_changes_while_it_is_read_is_read_again() {
    let mut watch = reading(&seen("a.xml", 10, 1));
    let grown = seen("a.xml", 20, 2);
    assert_eq!(watch.handle_listing(ms(1_500), vec![grown.clone()]), []);
    assert_eq!(
        watch.handle_result("a.xml", ReadResult::Done, ms(1_600)),
        []
    );
    assert_eq!(
        watch.handle_listing(ms(2_500), vec![grown]),
        [read("a.xml")]
    );
}

#[test]
fn unfinished_hidden_rejected_and_foreign_files_are_left_alone() {
    let mut watch = watch();
    let names = [
        ".a.xml",
        "a.xml.tmp",
        "a.part",
        "a.TMP",
        "rejected",
        "rejected/a.xml",
        "a.csv",
        "noending",
    ];
    let listing: Vec<FileSeen> = names.iter().map(|name| seen(name, 1, 1)).collect();
    assert_eq!(watch.handle_listing(ms(0), listing.clone()), []);
    assert_eq!(watch.handle_listing(ms(5_000), listing), []);
    assert_eq!(watch.poll_timeout(), None);
}

#[test]
fn files_are_read_in_the_order_of_their_names() {
    let mut watch = watch();
    let listing = vec![
        seen("b.XML", 1, 1),
        seen("a.xml", 1, 9),
        seen("c.xml", 1, 0),
    ];
    watch.handle_listing(ms(0), listing.clone());
    assert_eq!(
        watch.handle_listing(ms(1_000), listing),
        [read("a.xml"), read("b.XML"), read("c.xml")]
    );
}

#[test]
fn a_done_file_that_vanishes_for_a_while_is_not_read_again() {
    let file = seen("a.xml", 10, 1);
    let mut watch = reading(&file);
    watch.handle_result("a.xml", ReadResult::Done, ms(1_100));
    assert_eq!(watch.handle_listing(ms(2_000), vec![]), []);
    assert_eq!(watch.handle_listing(ms(3_000), vec![file.clone()]), []);
    assert_eq!(watch.handle_listing(ms(9_000), vec![file]), []);
}

#[test]
fn memory_is_bounded_and_the_file_gone_longest_is_forgotten_first() {
    let done = (0..FILES_MAX).map(|n| seen(&format!("{n:06}.xml"), 1, 1));
    let mut watch = Watch::new(WatchSettings::for_extensions(&["xml"]), done);
    let still_there: Vec<FileSeen> = (1..FILES_MAX)
        .map(|n| seen(&format!("{n:06}.xml"), 1, 1))
        .collect();
    assert_eq!(watch.handle_listing(ms(0), still_there.clone()), []);
    let mut more = still_there;
    more.push(seen("new-1.xml", 1, 1));
    more.push(seen("new-2.xml", 1, 1));
    let forgotten = Action::Forget {
        name: "000000.xml".to_owned(),
    };
    assert_eq!(watch.handle_listing(ms(1_000), more), [forgotten]);
    assert_eq!(watch.overlooked(), 1);
    assert_eq!(watch.files.len(), FILES_MAX);
}

proptest! {
    /// Whatever is written when: once it rests, each file's last content is read exactly once.
    #[test]
    fn every_file_is_read_once_after_its_last_change(
        changes in prop::collection::vec((0usize..4, 0u64..3_000), 0..40)
    ) {
        let mut watch = watch();
        let mut present: BTreeMap<usize, FileSeen> = BTreeMap::new();
        let mut last_read: BTreeMap<String, FileSeen> = BTreeMap::new();
        let mut now = Duration::ZERO;
        let rest = (0..3).map(|_| (None, 2_000));
        let steps = changes.iter().map(|&(file, pause)| (Some(file), pause));
        for (version, (file, pause)) in steps.chain(rest).enumerate() {
            now += ms(pause);
            if let Some(file) = file {
                let version = i64::try_from(version).unwrap();
                present.insert(file, seen(&format!("{file}.xml"), 1, version));
            }
            let listing: Vec<FileSeen> = present.values().cloned().collect();
            for action in watch.handle_listing(now, listing.clone()) {
                let Action::Read { name } = action else { continue };
                let content = listing.iter().find(|f| f.name == name).unwrap().clone();
                let before = last_read.insert(name.clone(), content.clone());
                prop_assert_ne!(before, Some(content), "the same content was read twice");
                watch.handle_result(&name, ReadResult::Done, now);
            }
        }
        let expected: BTreeMap<String, FileSeen> =
            present.into_values().map(|f| (f.name.clone(), f)).collect();
        prop_assert_eq!(last_read, expected);
    }
}
