mod faults;
mod fullness;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::*;
use crate::storage::sim_disk::SimDisk;
use crate::vault::test_random;

fn ticking() -> Monotonic {
    let micros = AtomicU64::new(0);
    Arc::new(move || Duration::from_micros(micros.fetch_add(50, Ordering::Relaxed)))
}

fn config(dir: &Path) -> OutboxConfig {
    OutboxConfig {
        segment_bytes: SEGMENT_BYTES_MIN,
        ..OutboxConfig::new(dir.join("outbox"), ticking())
    }
}

fn vault() -> Vault {
    Vault::from_key([4; 32], test_random(8))
}

fn open_on(disk: &Arc<dyn Disk>, dir: &Path) -> Opened {
    let seed = dir.read_dir().map_or(0, Iterator::count) as u64;
    Outbox::open_on(Arc::clone(disk), config(dir), &vault(), test_random(seed)).unwrap()
}

fn open(dir: &Path) -> Opened {
    open_on(&local(), dir)
}

fn local() -> Arc<dyn Disk> {
    Arc::new(LocalDisk)
}

fn record(index: u64) -> Vec<u8> {
    format!("{{\"event\":{index},\"card\":\"627598{index:012}\"}}").into_bytes()
}

fn append(outbox: &Outbox, range: std::ops::Range<u64>) -> Mark {
    let tickets: Vec<_> = range.map(|index| outbox.append(record(index))).collect();
    let marks: Vec<_> = tickets.into_iter().map(|t| t.wait().unwrap()).collect();
    *marks.last().unwrap()
}

fn records(outbox: &Outbox, after: u64) -> Vec<Vec<u8>> {
    let stored = outbox
        .read_after(Seq(after), usize::MAX, usize::MAX)
        .unwrap();
    for (index, event) in stored.iter().enumerate() {
        assert_eq!(event.mark.seq.0, after + 1 + index as u64);
    }
    stored.into_iter().map(|event| event.record).collect()
}

fn expected(range: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    range.map(record).collect()
}

/// Files of the journal, in order.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let epochs = dir.join("outbox/epochs");
    let mut found = Vec::new();
    for epoch in fs::read_dir(epochs).unwrap() {
        for file in fs::read_dir(epoch.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|e| e == "segment") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_a_ticket_promised_is_read_back_in_order_before_and_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    let mark = append(&outbox, 0..100);
    assert_eq!(mark.seq, Seq(100));
    assert_eq!(outbox.appended(), mark);
    assert_eq!(records(&outbox, 0), expected(0..100));
    assert_eq!(records(&outbox, 97), expected(97..100));
    assert_eq!(outbox.read_after(Seq(0), 7, usize::MAX).unwrap().len(), 7);
    assert_eq!(outbox.read_after(Seq(0), 100, 50).unwrap().len(), 2);
    let epoch = outbox.epoch();
    drop(outbox);
    let opened = open(dir.path());
    assert!(opened.recovery.rebuilt);
    assert_eq!(opened.recovery.events, 100);
    assert_eq!(opened.recovery.damages, []);
    assert_eq!(opened.outbox.epoch(), epoch);
    assert_eq!(opened.outbox.appended(), mark);
    assert_eq!(records(&opened.outbox, 0), expected(0..100));
}

#[test]
fn a_clean_stop_is_believed_once() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    append(&outbox, 0..50);
    let tenth = outbox.mark_at(Seq(10)).unwrap().unwrap();
    outbox.acknowledge(tenth).unwrap();
    let bytes = expected(10..50).iter().map(|r| r.len() as u64).sum::<u64>();
    outbox.close().unwrap();
    assert!(matches!(outbox.close(), Err(CloseError::Stopped)));
    assert!(matches!(
        outbox.append(vec![1]).wait(),
        Err(AppendError::Stopped)
    ));
    assert!(matches!(
        outbox.read_after(Seq(0), 1, 1),
        Err(ReadError::Stopped)
    ));
    let opened = open(dir.path());
    assert!(!opened.recovery.rebuilt);
    assert_eq!(opened.outbox.acked(), tenth);
    assert_eq!(opened.outbox.stats().events, 40);
    append(&opened.outbox, 50..51);
    assert_eq!(opened.outbox.stats().bytes, bytes + record(50).len() as u64);
    assert_eq!(records(&opened.outbox, 10), expected(10..51));
    drop(opened);
    assert!(open(dir.path()).recovery.rebuilt);
}

#[test]
fn acknowledged_events_go_and_their_disk_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    let mut watch = outbox.watch_appended();
    for round in 0..10 {
        let mark = append(&outbox, round * 1000..(round + 1) * 1000);
        // Who reads waits until all that is durable can be read, and so has been told.
        assert_eq!(outbox.mark_at(mark.seq).unwrap(), Some(mark));
        while watch.borrow_and_update().seq < mark.seq {
            thread::yield_now();
        }
        outbox.acknowledge(mark).unwrap();
        assert_eq!(records(&outbox, mark.seq.0), Vec::<Vec<u8>>::new());
    }
    let acked = outbox.acked();
    assert!(matches!(
        outbox.read_after(Seq(9_000), 1, 1),
        Err(ReadError::Gone { .. })
    ));
    outbox.acknowledge(Mark::genesis(outbox.epoch())).unwrap();
    assert_eq!(outbox.acked(), acked, "a late answer changes nothing");
    let stats = outbox.stats();
    assert_eq!((stats.events, stats.oldest), (0, None));
    outbox.close().unwrap();
    assert!(segments(dir.path()).len() <= 2);
    let opened = open(dir.path());
    assert_eq!(opened.outbox.acked(), acked);
    assert_eq!(append(&opened.outbox, 0..1).seq, acked.seq.next());
}

#[test]
fn another_history_or_a_place_beyond_is_not_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    let mark = append(&outbox, 0..5);
    let beyond = Mark {
        seq: Seq(6),
        ..mark
    };
    assert!(matches!(
        outbox.acknowledge(beyond),
        Err(AckError::Beyond { .. })
    ));
    let other = Mark {
        seq: Seq(3),
        ..mark
    };
    assert!(matches!(
        outbox.acknowledge(other),
        Err(AckError::OtherHistory { .. })
    ));
    assert_eq!(outbox.acked().seq, Seq(0));
    assert_eq!(outbox.mark_at(Seq(6)).unwrap(), None);
    assert_eq!(
        outbox.mark_at(Seq(0)).unwrap(),
        Some(Mark::genesis(outbox.epoch()))
    );
}

#[test]
fn a_lost_watermark_only_causes_resends_and_a_foreign_one_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    append(&outbox, 0..20);
    let mark = outbox.mark_at(Seq(12)).unwrap().unwrap();
    outbox.acknowledge(mark).unwrap();
    drop(outbox);
    let opened = open(dir.path());
    assert_eq!(records(&opened.outbox, 0), expected(0..20));
    drop(opened);
    let epoch_dir = segments(dir.path())[0].parent().unwrap().to_owned();
    let foreign = Mark::genesis(Epoch(1));
    let foreign = Mark {
        seq: Seq(12),
        ..foreign
    };
    Watermark::default()
        .write(&LocalDisk, &epoch_dir.join("watermark"), foreign)
        .unwrap();
    let opened = open(dir.path());
    assert_eq!(opened.outbox.acked().seq, Seq(0));
    assert_eq!(records(&opened.outbox, 0), expected(0..20));
}

#[test]
fn limits_refuse_with_their_own_error() {
    let dir = tempfile::tempdir().unwrap();
    let small = OutboxConfig {
        backlog_bytes_max: 1000,
        ..config(dir.path())
    };
    let outbox = Outbox::open(small, &vault(), test_random(1))
        .unwrap()
        .outbox;
    let refused = |records| outbox.append_all(records).wait().unwrap_err();
    let large = refused(vec![vec![0; RECORD_BYTES_MAX + 1]]);
    assert!(matches!(large, AppendError::TooLarge { .. }) && large.is_permanent());
    let group = refused(vec![vec![0; RECORD_BYTES_MAX]; 5]);
    assert!(matches!(group, AppendError::TooLarge { .. }));
    let mark = outbox.append(vec![0; 900]).wait().unwrap();
    let full = refused(vec![vec![0; 101]]);
    assert!(matches!(full, AppendError::Full { .. }) && !full.is_permanent());
    outbox.append(vec![0; 100]).wait().unwrap();
    outbox.acknowledge(mark).unwrap();
    // The acknowledged event leaves the buffer in the writer's next step.
    while outbox.stats().bytes > 100 {
        thread::yield_now();
    }
    outbox.append(vec![0; 900]).wait().unwrap();
    let too_small = OutboxConfig {
        segment_bytes: 1,
        ..config(dir.path())
    };
    assert!(matches!(
        Outbox::open(too_small, &vault(), test_random(1)),
        Err(OpenError::SegmentTooSmall { .. })
    ));
}

#[test]
fn two_agents_cannot_have_the_same_outbox() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let second = Outbox::open(config(dir.path()), &vault(), test_random(2));
    assert!(matches!(
        second,
        Err(OpenError::Lock(LockError::InUse { .. }))
    ));
    drop(first);
    open(dir.path());
}

#[test]
fn another_key_gives_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    append(&open(dir.path()).outbox, 0..10);
    let other = Vault::from_key([5; 32], test_random(8));
    let refused = Outbox::open(config(dir.path()), &other, test_random(2));
    assert!(matches!(refused, Err(OpenError::Disk { .. })));
    assert_eq!(records(&open(dir.path()).outbox, 0), expected(0..10));
}

#[test]
fn no_personal_data_stands_in_clear_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    append(&outbox, 0..50);
    outbox.close().unwrap();
    let mut dirs = vec![dir.path().to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let bytes = fs::read(&path).unwrap();
                assert!(
                    !bytes.windows(6).any(|w| w == b"627598"),
                    "{}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn events_of_many_threads_share_syncs_and_none_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let outbox = outbox.clone();
            thread::spawn(move || append(&outbox, thread * 500..(thread + 1) * 500))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let mut all = records(&outbox, 0);
    all.sort();
    let mut wanted = expected(0..2000);
    wanted.sort();
    assert_eq!(all, wanted);
    let stats = outbox.stats();
    assert_eq!((stats.commits, stats.failures), (2000, 0));
    assert!(stats.syncs < 500, "{} syncs", stats.syncs);
    assert_eq!(
        stats.commit_latency.count,
        stats.commit_latency.buckets.iter().sum::<u64>()
    );
}

#[test]
fn a_ticket_can_be_awaited() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mark = runtime
        .block_on(outbox.append_all(vec![record(0), record(1)]))
        .unwrap();
    assert_eq!(mark.seq, Seq(2));
}

#[test]
fn a_large_drained_backlog_gives_the_disk_of_the_buffer_back() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path()).outbox;
    let buffers = || {
        let names = fs::read_dir(dir.path().join("outbox")).unwrap();
        names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("buffer-"))
            .collect::<Vec<_>>()
    };
    let first = buffers();
    // Each full page is written to sled once, and its log keeps what was written before.
    for first in (0..80_000).step_by(1_000) {
        append(&outbox, first..first + 1_000);
    }
    assert_eq!(buffers(), first);
    outbox.acknowledge(outbox.appended()).unwrap();
    while buffers() == first || buffers().len() != 1 {
        thread::yield_now();
    }
    let mark = append(&outbox, 0..10);
    assert_eq!(records(&outbox, mark.seq.0 - 10), expected(0..10));
    outbox.close().unwrap();
    let opened = open(dir.path());
    assert!(!opened.recovery.rebuilt);
    assert_eq!(records(&opened.outbox, mark.seq.0 - 10), expected(0..10));
}
