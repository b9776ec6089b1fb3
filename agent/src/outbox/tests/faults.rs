//! What the disk lost, what sled lost, and forks.

use super::*;

#[test]
fn a_lost_event_is_a_gap_to_its_readers_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    for index in 0..20 {
        append(&outbox, index..index + 1);
    }
    drop(outbox);
    let path = &segments(dir.path())[0];
    let mut bytes = fs::read(path).unwrap();
    let frame = journal::Journal::group_bytes(&[record(0)]) as usize;
    let at = 4096 + 4 * frame + 60;
    assert_eq!(record(4).len(), record(0).len());
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
    let opened = open(dir.path());
    let damage = &opened.recovery.damages[0];
    assert_eq!((damage.from, damage.to), (Seq(5), Seq(5)));
    let outbox = opened.outbox;
    assert_eq!(records(&outbox, 0), expected(0..4));
    let Err(ReadError::Gap { from, until, .. }) = outbox.read_after(Seq(4), 10, 1000) else {
        panic!("the gap was not told");
    };
    assert_eq!((from, until.seq), (Seq(5), Seq(5)));
    assert_eq!(records(&outbox, 5), expected(5..20));
    // A clean stop keeps the knowledge of the gap.
    outbox.close().unwrap();
    let outbox = open(dir.path()).outbox;
    assert!(matches!(
        outbox.read_after(Seq(4), 10, 1000),
        Err(ReadError::Gap { .. })
    ));
    outbox.acknowledge(until).unwrap();
    assert_eq!(records(&outbox, 5), expected(5..20));
}

#[test]
fn what_the_journal_lost_after_a_clean_stop_is_a_gap_and_no_number_is_used_twice() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    append(&outbox, 0..5);
    let mark = append(&outbox, 5..8);
    outbox.close().unwrap();
    let path = &segments(dir.path())[0];
    let mut bytes = fs::read(path).unwrap();
    let frame = journal::Journal::group_bytes(&[record(0)]) as usize;
    bytes[4096 + 6 * frame..4096 + 9 * frame].fill(0);
    fs::write(path, bytes).unwrap();
    let opened = open(dir.path());
    let damage = &opened.recovery.damages[0];
    assert_eq!((damage.from, damage.to), (Seq(7), Seq(8)));
    assert_eq!(opened.outbox.appended(), mark);
    // Killed before anything came: the numbers stay used.
    drop(opened);
    let outbox = open(dir.path()).outbox;
    assert_eq!(outbox.appended(), mark);
    assert_eq!(records(&outbox, 0), expected(0..6));
    assert!(matches!(
        outbox.read_after(Seq(6), 1, 1),
        Err(ReadError::Gap { .. })
    ));
    assert_eq!(append(&outbox, 8..9).seq, Seq(9));
}

#[test]
fn a_damaged_record_goes_to_the_quarantine_until_somebody_drops_it() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    for index in 0..20 {
        append(&outbox, index..index + 1);
    }
    drop(outbox);
    let path = &segments(dir.path())[0];
    let mut bytes = fs::read(path).unwrap();
    let frame = journal::Journal::group_bytes(&[record(0)]) as usize;
    bytes[4096 + 4 * frame + 48 + 24 + 10] ^= 1;
    fs::write(path, bytes).unwrap();
    let outbox = open(dir.path()).outbox;
    assert_eq!(outbox.stats().quarantined, 1);
    let entries = outbox.quarantine().unwrap();
    assert_eq!((entries[0].from, entries[0].to), (Seq(5), Seq(5)));
    assert_eq!(entries[0].place, (1, 4096 + 4 * frame as u64));
    assert!(
        !entries[0].bytes.windows(6).any(|w| w == b"627598"),
        "it stays sealed"
    );
    let text = outbox.salvage(&entries[0]).remove(0);
    let right = String::from_utf8(record(4)).unwrap();
    let wrong = text
        .chars()
        .zip(right.chars())
        .filter(|(a, b)| a != b)
        .count();
    assert_eq!((text.len(), wrong), (right.len(), 1), "{text}");
    drop(outbox);
    // Found again, it is the same one.
    let outbox = open(dir.path()).outbox;
    assert_eq!(outbox.quarantine().unwrap().len(), 1);
    outbox.drop_quarantined(1).unwrap();
    assert!(outbox.drop_quarantined(1).is_err());
    assert_eq!(outbox.stats().quarantined, 0);
    drop(outbox);
    let outbox = open(dir.path()).outbox;
    assert_eq!(outbox.quarantine().unwrap(), []);
    assert!(matches!(
        outbox.read_after(Seq(4), 1, 1),
        Err(ReadError::Gap { .. })
    ));
}

#[test]
fn numbers_go_on_behind_a_journal_whose_end_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    append(&outbox, 0..2000);
    let used = outbox.appended();
    let epoch = outbox.epoch();
    drop(outbox);
    let files = segments(dir.path());
    assert!(files.len() >= 3);
    let last = files.last().unwrap();
    let mut bytes = fs::read(last).unwrap();
    bytes[9] ^= 1;
    fs::write(last, &bytes).unwrap();
    let opened = open(dir.path());
    let damage = opened.recovery.damages.last().unwrap().clone();
    assert!(damage.to >= used.seq, "{damage:?} covers {used:?}");
    let outbox = opened.outbox;
    assert_eq!((outbox.epoch(), outbox.appended().seq), (epoch, damage.to));
    let readable = damage.from.0 - 1;
    assert_eq!(records(&outbox, 0), expected(0..readable));
    let Err(ReadError::Gap { until, reason, .. }) = outbox.read_after(damage.from.before(), 9, 9)
    else {
        panic!("the gap was not told");
    };
    assert_eq!(until, outbox.appended());
    assert!(reason.contains("damaged/"), "{reason}");
    // Killed at once, it is the same; the file is kept for people.
    drop(outbox);
    let outbox = open(dir.path()).outbox;
    assert_eq!(outbox.appended().seq, damage.to);
    let next = append(&outbox, 5000..5001);
    assert_eq!(next.seq, damage.to.next());
    assert_eq!(records(&outbox, damage.to.0), expected(5000..5001));
    let aside = fs::read_dir(dir.path().join("outbox/damaged")).unwrap();
    let aside: Vec<_> = aside
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert_eq!(aside, [bytes]);
    outbox.acknowledge(next).unwrap();
}

#[test]
fn an_unreadable_front_is_a_gap_and_nothing_is_taken_for_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    append(&outbox, 0..2000);
    drop(outbox);
    let files = segments(dir.path());
    let epoch_dir = files[0].parent().unwrap();
    fs::write(epoch_dir.join("watermark"), b"spoilt").unwrap();
    fs::write(&files[0], b"spoilt too").unwrap();
    let outbox = open(dir.path()).outbox;
    assert_eq!(outbox.acked().seq, Seq(0));
    let Err(ReadError::Gap { from, until, .. }) = outbox.read_after(Seq(0), 9, 9) else {
        panic!("the gap was not told");
    };
    assert_eq!(from, Seq(1));
    assert_eq!(records(&outbox, until.seq.0), expected(until.seq.0..2000));
}

#[test]
fn a_journal_of_which_nothing_can_be_read_is_set_aside_whole_and_central_hears_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    append(&outbox, 0..100);
    let old = outbox.epoch();
    drop(outbox);
    let file = segments(dir.path()).remove(0);
    let epoch_dir = file.parent().unwrap().to_owned();
    fs::write(epoch_dir.join("watermark"), b"spoilt").unwrap();
    fs::write(&file, b"spoilt too").unwrap();
    let outbox = open(dir.path()).outbox;
    assert_ne!(outbox.epoch(), old);
    assert_eq!(outbox.stats().events, 1);
    let Err(ReadError::Gap {
        from,
        until,
        reason,
    }) = outbox.read_after(Seq(0), 9, 9)
    else {
        panic!("the gap was not told");
    };
    assert_eq!((from, until.seq), (Seq(1), Seq(1)));
    assert!(reason.contains(&old.to_string()), "{reason}");
    let epoch = outbox.epoch();
    append(&outbox, 0..3);
    drop(outbox);
    let outbox = open(dir.path()).outbox;
    assert_eq!(outbox.epoch(), epoch);
    assert_eq!(records(&outbox, 1), expected(0..3));
    outbox.acknowledge(until).unwrap();
    let aside = fs::read_dir(dir.path().join("outbox/damaged")).unwrap();
    let kept = aside.map(|entry| entry.unwrap().path()).next().unwrap();
    assert_eq!(
        fs::read(kept.join(file.file_name().unwrap())).unwrap(),
        b"spoilt too"
    );
}

#[test]
fn a_spoilt_buffer_is_not_believed_and_the_journal_answers() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    append(&outbox, 0..30);
    let buffer = outbox.inner.view.reader().buffer.unwrap();
    let there = buffer.entry(Seq(8)).unwrap().unwrap();
    let buffer::Entry::Event { class, at, .. } = there else {
        panic!("an event stands there");
    };
    let mark = Mark {
        seq: Seq(7),
        ..Mark::genesis(Epoch(3))
    };
    let wrong = buffer::Entry::Event { mark, class, at };
    buffer.put(wrong).unwrap();
    drop(buffer);
    assert_eq!(records(&outbox, 0), expected(0..30));
    assert_eq!(outbox.mark_at(Seq(20)).unwrap().unwrap().seq, Seq(20));
    append(&outbox, 30..40);
    assert_eq!(records(&outbox, 5), expected(5..40));
    while outbox.stats().degraded {
        thread::yield_now();
    }
    assert_eq!(records(&outbox, 6), expected(6..40));
}

#[test]
fn reading_goes_by_the_journal_while_there_is_no_buffer() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    append(&outbox, 0..2000);
    let mark = outbox.mark_at(Seq(1500)).unwrap().unwrap();
    outbox.acknowledge(mark).unwrap();
    let mut reader = outbox.inner.view.reader();
    reader.buffer = None;
    let limits = Limits {
        events: 300,
        bytes: usize::MAX,
    };
    let read = reader.read_after(Seq(1600), limits, |_| {}).unwrap();
    let read: Vec<_> = read.into_iter().map(|event| event.record).collect();
    assert_eq!(read, expected(1600..1900));
    assert_eq!(
        reader.read_after(Seq(1990), limits, |_| {}).unwrap().len(),
        10
    );
    let with_buffer = outbox.mark_at(Seq(1700)).unwrap();
    assert_eq!(reader.mark_at(Seq(1700)).unwrap(), with_buffer);
}

#[test]
fn a_fork_moves_what_central_does_not_have_to_a_new_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    append(&outbox, 0..1000);
    outbox
        .acknowledge(outbox.mark_at(Seq(300)).unwrap().unwrap())
        .unwrap();
    let old = outbox.epoch();
    assert!(matches!(
        outbox.fork(Seq(1002), Epoch(9)),
        Err(ForkError::Beyond { .. })
    ));
    assert!(matches!(
        outbox.fork(Seq(500), old),
        Err(ForkError::SameEpoch { .. })
    ));
    let forked = outbox.fork(Seq(501), Epoch(9)).unwrap();
    assert_eq!((forked.moved, forked.gone), (500, None));
    assert_eq!(outbox.epoch(), Epoch(9));
    assert_eq!(outbox.acked(), Mark::genesis(Epoch(9)));
    assert_eq!(records(&outbox, 0), expected(500..1000));
    append(&outbox, 1000..1001);
    drop(outbox);
    let opened = open(dir.path());
    assert_eq!(opened.outbox.epoch(), Epoch(9));
    assert_eq!(records(&opened.outbox, 0), expected(500..1001));
    // Central has lost what it once acknowledged: the terminal says what it cannot send.
    opened
        .outbox
        .acknowledge(opened.outbox.mark_at(Seq(50)).unwrap().unwrap())
        .unwrap();
    let forked = opened.outbox.fork(Seq(11), Epoch(10)).unwrap();
    assert_eq!((forked.moved, forked.gone), (451, Some((Seq(11), Seq(50)))));
    let (until, reason) = gap_after(&opened.outbox, 0);
    assert_eq!(until.seq, Seq(40));
    let from = format!("from epoch {}, places 11 to 50", Epoch(9));
    assert!(reason.contains(&from), "{reason}");
    assert_eq!(records(&opened.outbox, 40), expected(550..1001));
}

fn gap_after(outbox: &Outbox, after: u64) -> (Mark, String) {
    match outbox.read_after(Seq(after), 10, 1000) {
        Err(ReadError::Gap {
            from,
            until,
            reason,
        }) => {
            assert_eq!(from, Seq(after + 1));
            (until, reason)
        }
        other => panic!("the gap was not told: {other:?}"),
    }
}

#[test]
fn what_was_lost_before_a_fork_moves_as_a_gap_of_as_many_places() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    for index in 0..20 {
        append(&outbox, index..index + 1);
    }
    let epoch = outbox.epoch();
    drop(outbox);
    let path = &segments(dir.path())[0];
    let mut bytes = fs::read(path).unwrap();
    let frame = journal::Journal::group_bytes(&[record(0)]) as usize;
    bytes[4096 + 4 * frame + 60] ^= 1;
    bytes[4096 + 5 * frame + 60] ^= 1;
    fs::write(path, bytes).unwrap();
    let outbox = open(dir.path()).outbox;
    let (_, reason) = gap_after(&outbox, 4);
    let forked = outbox.fork(Seq(3), Epoch(9)).unwrap();
    assert_eq!((forked.moved, forked.gone), (16, None));
    let lost: u64 = forked.damages.iter().map(|d| d.to.0 - d.from.0 + 1).sum();
    assert_eq!(lost, 2);
    let mut told = Vec::new();
    // Before and after a kill, and a clean stop.
    let mut outbox = outbox;
    for stops_cleanly in [false, true, false] {
        assert_eq!(outbox.appended().seq, Seq(18));
        let before = outbox.read_after(Seq(0), 10, 1000).unwrap();
        assert_eq!(before.len(), 2);
        let mut after = 2;
        while after < 4 {
            let (until, reason) = gap_after(&outbox, after);
            assert_eq!(outbox.mark_at(until.seq).unwrap(), Some(until));
            after = until.seq.0;
            told.push((until, reason));
        }
        assert_eq!(after, 4);
        assert_eq!(records(&outbox, 4), expected(6..20));
        if stops_cleanly {
            outbox.close().unwrap();
        }
        drop(outbox);
        outbox = open(dir.path()).outbox;
    }
    assert!(told[0].1.starts_with(&reason), "{}", told[0].1);
    let from = format!("from epoch {epoch}, places 5 to ");
    assert!(told[0].1.contains(&from), "{}", told[0].1);
    assert_eq!(told[0], told[told.len() / 3]);
    // It moves again, from within.
    outbox.fork(Seq(4), Epoch(10)).unwrap();
    let (until, reason) = gap_after(&outbox, 0);
    assert_eq!(until.seq, Seq(1));
    assert!(reason.contains(&epoch.to_string()), "{reason}");
    assert_eq!(records(&outbox, 1), expected(6..20));
    outbox.acknowledge(until).unwrap();
    append(&outbox, 20..21);
    assert_eq!(records(&outbox, 1), expected(6..21));
}

#[test]
fn a_fork_that_the_disk_refuses_leaves_all_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let sim = SimDisk::default();
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let outbox = open_on(&disk, dir.path()).outbox;
    append(&outbox, 0..100);
    let old = outbox.epoch();
    sim.set_space_left(Some(100));
    assert!(matches!(
        outbox.fork(Seq(50), Epoch(9)),
        Err(ForkError::Disk(_) | ForkError::NotKept(_))
    ));
    sim.set_space_left(None);
    assert_eq!(outbox.epoch(), old);
    append(&outbox, 100..101);
    drop(outbox);
    sim.cut_power(4);
    let disk: Arc<dyn Disk> = Arc::new(sim.revived());
    let opened = open_on(&disk, dir.path());
    assert_eq!(opened.outbox.epoch(), old);
    assert_eq!(records(&opened.outbox, 0), expected(0..101));
}

#[test]
fn a_power_cut_at_any_step_of_a_fork_leaves_one_whole_epoch() {
    let mut old_stayed = 0;
    for calls in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let sim = SimDisk::default();
        let disk: Arc<dyn Disk> = Arc::new(sim.clone());
        let outbox = open_on(&disk, dir.path()).outbox;
        append(&outbox, 0..30);
        let old = outbox.epoch();
        sim.cut_power_after(calls, calls);
        let forked = outbox.fork(Seq(11), Epoch(9));
        if !sim.is_cut() {
            assert_eq!(forked.unwrap().moved, 20);
            break;
        }
        drop(outbox);
        let disk: Arc<dyn Disk> = Arc::new(sim.revived());
        let opened = open_on(&disk, dir.path());
        assert_eq!(opened.recovery.damages, [], "after {calls} calls");
        let outbox = opened.outbox;
        if outbox.epoch() == old {
            assert!(forked.is_err(), "after {calls} calls");
            assert_eq!(records(&outbox, 0), expected(0..30));
            old_stayed += 1;
        } else {
            assert_eq!(outbox.epoch(), Epoch(9));
            assert_eq!(records(&outbox, 0), expected(10..30));
        }
        // Whatever stands goes on.
        let mark = append(&outbox, 30..31);
        assert_eq!(records(&outbox, mark.seq.0 - 1), expected(30..31));
    }
    assert!(old_stayed > 5, "the cuts fell into the fork");
}
