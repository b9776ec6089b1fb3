use std::path::Path;

use tillbind_protocol::ids::{Epoch, Seq};

use super::*;
use crate::storage::disk::Disk;
use crate::storage::sim_disk::SimDisk;
use crate::vault::{Purpose, Vault, test_random};

const EPOCH: Epoch = Epoch(0xabc);
const SEGMENT_BYTES: u64 = 64 * 1024;

fn source(disk: &SimDisk) -> Source {
    Source {
        disk: Arc::new(disk.revived()),
        dir: "/j".into(),
        epoch: EPOCH,
        seal: Vault::from_key([9; 32], test_random(3)).seal(Purpose::Journal),
    }
}

/// A journal read back: events, gaps and what was torn.
#[derive(Debug, Default)]
struct Read {
    records: Vec<Vec<u8>>,
    gaps: Vec<(u64, u64)>,
    torn_bytes: u64,
    lost_unknown: bool,
}

fn open(disk: &SimDisk) -> (Journal, Read) {
    let source = source(disk);
    let mut read = Read::default();
    let scan = source
        .scan(Reach::All(None), &mut |found| {
            match found {
                Found::Record { plain, .. } => read.records.push(plain),
                Found::Gap { from, until, .. } => read.gaps.push((from.0, until.seq.0)),
            }
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    read.torn_bytes = scan.torn_bytes;
    read.lost_unknown = scan.lost_front() || scan.lost_back();
    let head = scan.tail.unwrap_or(Mark::genesis(EPOCH));
    let yard = Yard {
        spare_dir: "/spare".into(),
        damaged_dir: "/damaged".into(),
        segment_bytes: SEGMENT_BYTES,
    };
    let journal = Journal::open(source, yard, test_random(head.seq.0 + 77), scan, head).unwrap();
    (journal, read)
}

fn append(journal: &mut Journal, records: &[&[u8]]) -> Result<Mark, CommitError> {
    for record in records {
        let group = [record.to_vec()];
        let bytes = Journal::group_bytes(&group);
        if !journal.fits(bytes) {
            journal.commit()?;
            journal.clear_staged();
            journal.make_room(bytes, Reserve::Spared)?;
        }
        journal.stage(&group);
    }
    let committed = journal.commit();
    journal.clear_staged();
    committed.map(|()| journal.head())
}

fn append_group(journal: &mut Journal, records: &[&[u8]]) -> Result<Mark, CommitError> {
    let group: Vec<Vec<u8>> = records.iter().map(|r| r.to_vec()).collect();
    journal.make_room(Journal::group_bytes(&group), Reserve::Spared)?;
    journal.stage(&group);
    let committed = journal.commit();
    journal.clear_staged();
    committed.map(|()| journal.head())
}

fn segment_files(disk: &SimDisk) -> Vec<PathBuf> {
    disk.files(Path::new("/j"))
}

/// The offset of the n-th record of ten bytes in a segment.
fn nth(index: usize) -> usize {
    HEADER_BYTES as usize + index * segment::frame_bytes(10)
}

fn ten(index: u8) -> Vec<u8> {
    vec![index; 10]
}

/// Twenty records, each its own commit.
fn twenty(disk: &SimDisk) {
    commits(disk, 20);
}

fn commits(disk: &SimDisk, count: u8) {
    let (mut journal, _) = open(disk);
    for index in 0..count {
        append(&mut journal, &[&ten(index)]).unwrap();
    }
}

#[test]
fn what_was_committed_is_there_again_and_numbers_go_on() {
    let disk = SimDisk::default();
    let (mut journal, _) = open(&disk);
    append(&mut journal, &[b"a", b"b"]).unwrap();
    let mark = append(&mut journal, &[b""]).unwrap();
    disk.cut_power(1);
    let (mut journal, read) = open(&disk);
    assert_eq!(read.records, [b"a".to_vec(), b"b".to_vec(), vec![]]);
    assert_eq!(journal.head(), mark);
    assert_eq!(append(&mut journal, &[b"d"]).unwrap(), mark.next(b"d"));
    assert_eq!(read.torn_bytes, 0);
}

#[test]
fn a_commit_is_one_sync_however_many_events_wait() {
    let disk = SimDisk::default();
    let (mut journal, _) = open(&disk);
    append(&mut journal, &[b"first"]).unwrap();
    let before = disk.syncs();
    let many = vec![b"event".as_slice(); 300];
    append(&mut journal, &many).unwrap();
    assert_eq!(disk.syncs() - before, 1);
}

#[test]
fn a_torn_write_goes_and_all_before_it_stays() {
    for seed in 0..200 {
        let disk = SimDisk::default();
        twenty(&disk);
        let (mut journal, _) = open(&disk);
        disk.fail_syncs(1);
        let big = vec![7; 900];
        append(&mut journal, &[&big, &big, &big]).unwrap_err();
        // The pages of a failed sync are lost; write once more without any sync.
        journal.make_room(4000, Reserve::Spared).unwrap();
        journal.stage(&[big.clone(), big.clone(), big.clone()]);
        let active = journal.active.as_ref().unwrap();
        active
            .file
            .write_at(&journal.staging.bytes, active.offset)
            .unwrap();
        disk.cut_power(seed);
        let (_, read) = open(&disk);
        assert!(read.gaps.is_empty(), "seed {seed}: {read:?}");
        assert_eq!(read.records[..20], (0..20).map(ten).collect::<Vec<_>>());
        let (_, again) = open(&disk);
        assert_eq!(again.records, read.records, "seed {seed}");
        assert_eq!(again.torn_bytes, 0, "seed {seed}: the tail was wiped");
    }
}

#[test]
fn a_group_is_kept_whole_or_not_at_all() {
    for seed in 0..200 {
        let disk = SimDisk::default();
        let (mut journal, _) = open(&disk);
        append(&mut journal, &[b"before"]).unwrap();
        journal.stage(&[vec![1; 700], vec![2; 700], vec![3; 700]]);
        let active = journal.active.as_ref().unwrap();
        active
            .file
            .write_at(&journal.staging.bytes, active.offset)
            .unwrap();
        disk.cut_power(seed);
        let (_, read) = open(&disk);
        assert!(matches!(read.records.len(), 1 | 4), "seed {seed}: {read:?}");
        assert!(read.gaps.is_empty());
    }
}

#[test]
fn damage_before_the_tail_is_a_gap_and_the_rest_is_saved() {
    let disk = SimDisk::default();
    twenty(&disk);
    let path = segment_files(&disk).remove(0);
    disk.spoil(&path, |bytes| bytes[nth(4) + 60] ^= 1);
    disk.spoil(&path, |bytes| bytes[nth(9)..nth(12)].fill(0));
    let (mut journal, read) = open(&disk);
    assert_eq!(read.gaps, [(5, 5), (10, 12)]);
    assert_eq!(read.records.len(), 16);
    assert_eq!(read.records[4], ten(5));
    assert_eq!(journal.head().seq, Seq(20));
    append(&mut journal, &[b"after"]).unwrap();
    let (_, read) = open(&disk);
    assert_eq!(read.records.len(), 17);
}

#[test]
fn any_flipped_bit_is_told_and_never_changes_another_event() {
    let disk = SimDisk::default();
    commits(&disk, 5);
    let path = segment_files(&disk).remove(0);
    let whole: Vec<_> = (0..5).map(ten).collect();
    // Steps that meet every field of header, records and terminator in a fraction of the time.
    let header = (0..80 * 8).step_by(7);
    let records = (nth(0) * 8..(nth(5) + RECORD_HEADER_BYTES) * 8).step_by(11);
    for bit in header.chain(records) {
        let in_padding = {
            let at = bit / 8;
            let header_end = 76;
            let payload_end = RECORD_HEADER_BYTES + 40 + 10;
            at < HEADER_BYTES as usize && at >= header_end
                || at >= nth(0)
                    && at < nth(5)
                    && (at - nth(0)) % segment::frame_bytes(10) >= payload_end
        };
        let copy = SimDisk::default();
        let bytes = disk.read(&path).unwrap().unwrap();
        copy.replace(&path, &bytes).unwrap();
        copy.spoil(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let (_, read) = open(&copy);
        let told = !read.gaps.is_empty() || read.torn_bytes > 0 || read.lost_unknown;
        assert_eq!(told, !in_padding, "bit {bit}: {read:?}");
        assert!(read.records.iter().all(|r| whole.contains(r)));
        let lost = 5 - read.records.len();
        assert!(lost <= 1 || read.lost_unknown, "bit {bit}: {read:?}");
    }
}

#[test]
fn an_unreadable_segment_is_set_aside_and_its_events_are_a_gap() {
    let disk = SimDisk::default();
    let (mut journal, _) = open(&disk);
    let big = vec![1; 20_000];
    for _ in 0..9 {
        append(&mut journal, &[&big]).unwrap();
    }
    let files = segment_files(&disk);
    assert_eq!(files.len(), 3);
    disk.spoil(&files[1], |bytes| bytes[3] ^= 1);
    let (journal, read) = open(&disk);
    assert_eq!(read.gaps, [(4, 6)]);
    assert_eq!(journal.head().seq, Seq(9));
    assert!(!read.lost_unknown);
    assert_eq!(disk.files(Path::new("/damaged")).len(), 1);
}

#[test]
fn a_recycled_segment_never_brings_back_its_former_life() {
    let disk = SimDisk::default();
    let (mut journal, _) = open(&disk);
    let big = vec![1; 20_000];
    for _ in 0..9 {
        append(&mut journal, &[&big]).unwrap();
    }
    journal.release(Seq(9), true).unwrap();
    assert_eq!(journal.stats().spares, 2);
    for index in 9..13 {
        append(&mut journal, &[&ten(index), &big]).unwrap();
    }
    assert!(journal.stats().spares < 2, "a spare was taken");
    let head = journal.head();
    for seed in 0..20 {
        disk.cut_power(seed);
        let (journal, read) = open(&disk);
        assert_eq!(journal.head(), head);
        assert_eq!(
            read.records.len(),
            11,
            "7 to 17, and no record of a former life: {:?}",
            read.gaps
        );
        assert!(read.gaps.is_empty());
        assert_eq!(
            read.torn_bytes, 0,
            "stale bytes behind a clean end are no torn write"
        );
    }
}

#[test]
fn a_failed_write_uses_no_number_and_the_next_append_succeeds() {
    let disk = SimDisk::default();
    let (mut journal, _) = open(&disk);
    let first = append(&mut journal, &[b"one"]).unwrap();
    disk.fail_writes(1);
    append(&mut journal, &[&vec![5; 3000], b"lost too"]).unwrap_err();
    assert_eq!(journal.head(), first);
    disk.fail_writes(2);
    append(&mut journal, &[b"lost"]).unwrap_err();
    let (_, read) = open(&disk);
    assert_eq!(read.records, [b"one"], "what failed does not come back");
    let second = append(&mut journal, &[b"two"]).unwrap();
    assert_eq!(second, first.next(b"two"));
    disk.cut_power(3);
    let (_, read) = open(&disk);
    assert_eq!(read.records, [b"one", b"two"]);
    assert!(read.gaps.is_empty());
}

#[test]
fn after_a_failed_sync_the_event_is_written_anew_elsewhere() {
    for seed in 0..50 {
        let disk = SimDisk::default();
        let (mut journal, _) = open(&disk);
        append(&mut journal, &[b"one"]).unwrap();
        disk.fail_syncs(1);
        append(&mut journal, &[b"two, lost"]).unwrap_err();
        append(&mut journal, &[b"two"]).unwrap();
        append(&mut journal, &[b"three"]).unwrap();
        disk.cut_power(seed);
        let (_, read) = open(&disk);
        assert_eq!(
            read.records,
            [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]
        );
        assert!(read.gaps.is_empty());
    }
}

#[test]
fn syncs_that_keep_failing_fill_no_disk() {
    let disk = SimDisk::default();
    let (mut journal, _) = open(&disk);
    append(&mut journal, &[b"one"]).unwrap();
    for _ in 0..20 {
        // The first sync is the new segment's header, the second the commit.
        disk.fail_syncs(1);
        append(&mut journal, &[b"x"]).unwrap_err();
        journal.make_room(100, Reserve::Spared).unwrap();
        disk.fail_syncs(1);
        append(&mut journal, &[b"x"]).unwrap_err();
    }
    assert!(segment_files(&disk).len() <= 2);
    append(&mut journal, &[b"two"]).unwrap();
    let (_, read) = open(&disk);
    assert_eq!(read.records, [b"one", b"two"]);
}

#[test]
fn a_full_disk_refuses_and_takes_up_again_with_room() {
    let disk = SimDisk::default();
    let (mut journal, _) = open(&disk);
    let big = vec![1; 20_000];
    append(&mut journal, &[&big]).unwrap();
    disk.set_space_left(Some(1000));
    append(&mut journal, &[&big]).unwrap();
    append(&mut journal, &[&big]).unwrap();
    let full = append(&mut journal, &[&big]).unwrap_err();
    assert_eq!(full.source.kind(), io::ErrorKind::StorageFull);
    append(&mut journal, &[b"what fits into the segment is kept"]).unwrap();
    disk.set_space_left(None);
    append(&mut journal, &[&big]).unwrap();
    let (_, read) = open(&disk);
    assert_eq!(read.records.len(), 5);
    assert!(read.gaps.is_empty());
}

#[test]
fn a_record_longer_than_a_segment_gets_one_of_its_own() {
    let disk = SimDisk::default();
    let (mut journal, _) = open(&disk);
    let huge = vec![1; 256 * 1024];
    append(&mut journal, &[b"a"]).unwrap();
    append(&mut journal, &[&huge]).unwrap();
    append_group(&mut journal, &[b"b", b"c"]).unwrap();
    let (mut journal, read) = open(&disk);
    assert_eq!(read.records.len(), 4);
    assert_eq!(read.records[1], huge);
    journal.release(Seq(4), true).unwrap();
    assert_eq!(segment_files(&disk).len(), 1);
}

#[test]
fn a_segment_made_ahead_is_taken_without_filling_it_again() {
    let disk = SimDisk::default();
    let (mut journal, _) = open(&disk);
    assert!(journal.wants_spare(), "the reserve");
    journal.make_spare_ahead().unwrap();
    assert!(!journal.wants_spare());
    append(&mut journal, &[&vec![1; 40_000]]).unwrap();
    assert!(journal.wants_spare());
    journal.make_spare_ahead().unwrap();
    assert!(!journal.wants_spare());
    // No byte is left for growth: only the spare can take the next event.
    disk.set_space_left(Some(0));
    append(&mut journal, &[&vec![2; 40_000]]).unwrap();
    disk.cut_power(1);
    let (_, read) = open(&disk);
    assert_eq!(read.records, [vec![1; 40_000], vec![2; 40_000]]);
}
