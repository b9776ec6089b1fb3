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
    buffer
        .put(&buffer::Entry::Event { mark, class, at })
        .unwrap();
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
    assert_eq!(records(&opened.outbox, 0), expected(550..1001));
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
