//! The outbox against a model that only remembers what was promised, across refusals of the disk, kills,
//! power cuts, clean stops and forks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::storage::sim_disk::SimDisk;
use crate::vault::test_random;

type Group = Vec<Vec<u8>>;

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<usize>),
    /// Central acknowledges this share of what waits, in percent.
    Acknowledge(u64),
    Read(u64),
    /// The next append meets a failing write.
    FailWrite(usize),
    /// The next append meets a failing sync.
    FailSync(usize),
    /// The disk has no room for new segments until the next step of this kind.
    TurnFull,
    CleanStop,
    /// The process is killed while these groups are under way.
    Kill(Vec<usize>),
    /// The same, with the power; chance decides what the disk kept.
    PowerCut(Vec<usize>, u64),
    /// Everything from this share on, in percent, moves to a new epoch.
    Fork(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let length = || prop_oneof![4 => 0_usize..600, 1 => 5_000_usize..30_000];
    let lengths = move || proptest::collection::vec(length(), 1..6);
    prop_oneof![
        8 => lengths().prop_map(Step::Append),
        3 => (0_u64..=100).prop_map(Step::Acknowledge),
        2 => (0_u64..=100).prop_map(Step::Read),
        1 => length().prop_map(Step::FailWrite),
        1 => length().prop_map(Step::FailSync),
        1 => Just(Step::TurnFull),
        1 => Just(Step::CleanStop),
        1 => lengths().prop_map(Step::Kill),
        3 => (lengths(), any::<u64>()).prop_map(|(lengths, seed)| Step::PowerCut(lengths, seed)),
        1 => (0_u64..=100).prop_map(Step::Fork),
    ]
}

/// What was promised.
struct Model {
    epoch: Epoch,
    /// Every event of the epoch, acknowledged or not; the n-th has number n.
    records: Vec<Vec<u8>>,
    acked: usize,
    /// Groups that failed since the last success: one of them may come back.
    ghosts: Vec<Group>,
}

impl Model {
    fn marks(&self) -> Vec<Mark> {
        let mut marks = vec![Mark::genesis(self.epoch)];
        for record in &self.records {
            let last = marks[marks.len() - 1];
            marks.push(last.next(record));
        }
        marks
    }

    fn share(&self, percent: u64) -> usize {
        self.acked + (self.records.len() - self.acked) * percent as usize / 100
    }
}

struct Bench {
    dir: TempDir,
    disk: SimDisk,
    outbox: Option<Outbox>,
    model: Model,
    drawn: u64,
    full: bool,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = SimDisk::default();
        let opened = open(&disk, &dir, 0);
        let model = Model {
            epoch: opened.outbox.epoch(),
            records: Vec::new(),
            acked: 0,
            ghosts: Vec::new(),
        };
        Self {
            dir,
            disk,
            outbox: Some(opened.outbox),
            model,
            drawn: 0,
            full: false,
        }
    }

    fn outbox(&self) -> &Outbox {
        self.outbox.as_ref().unwrap()
    }

    /// Makes a record unlike any other.
    fn record(&mut self, length: usize) -> Vec<u8> {
        self.drawn += 1;
        let mut record = vec![self.drawn as u8; length];
        record.extend_from_slice(&self.drawn.to_le_bytes());
        record
    }

    fn group(&mut self, lengths: &[usize]) -> Group {
        lengths.iter().map(|length| self.record(*length)).collect()
    }

    fn append(&mut self, group: Group) {
        match self.outbox().append_all(group.clone()).wait() {
            Ok(mark) => {
                self.model.records.extend(group);
                self.model.ghosts.clear();
                assert_eq!(Some(&mark), self.model.marks().last());
            }
            Err(_) => self.model.ghosts.push(group),
        }
    }

    fn check_reading(&self, after: usize) {
        let read = self
            .outbox()
            .read_after(Seq(after as u64), usize::MAX, usize::MAX);
        let marks = self.model.marks();
        let read = read.unwrap();
        assert_eq!(read.len(), self.model.records.len() - after);
        for (index, event) in read.iter().enumerate() {
            let place = after + index;
            assert_eq!(event.record, self.model.records[place]);
            assert_eq!(event.mark, marks[place + 1]);
        }
    }

    /// Ends the process with groups under way; returns those that were promised, and those that were not.
    fn end_abruptly(
        &mut self,
        lengths: &[usize],
        power_cut: Option<u64>,
    ) -> (Vec<Group>, Vec<Group>) {
        let groups: Vec<_> = lengths
            .iter()
            .map(|length| self.group(&[*length, 10]))
            .collect();
        let outbox = self.outbox.take().unwrap();
        let tickets: Vec<_> = groups
            .iter()
            .map(|g| outbox.append_all(g.clone()))
            .collect();
        if let Some(seed) = power_cut {
            if seed % 2 == 0 {
                // Sometimes the writer gets a moment.
                thread::yield_now();
            }
            self.disk.cut_power(seed);
        }
        drop(outbox);
        let mut promised = Vec::new();
        let mut open_ended = Vec::new();
        for (group, ticket) in groups.into_iter().zip(tickets) {
            match ticket.wait() {
                Ok(_) => {
                    // What was under way before it has failed for good.
                    open_ended.clear();
                    promised.push(group);
                }
                // Never written: a smaller one behind it may have found room.
                Err(AppendError::NotKept(error)) if error.is_full() => {}
                Err(_) => open_ended.push(group),
            }
        }
        (promised, open_ended)
    }

    fn reopen(&mut self, promised: Vec<Group>, open_ended: &[Group]) {
        if !promised.is_empty() {
            self.model.ghosts.clear();
        }
        self.model.records.extend(promised.into_iter().flatten());
        self.disk = self.disk.revived();
        self.drawn += 1;
        let opened = open(&self.disk, &self.dir, self.drawn);
        assert_eq!(opened.recovery.damages, []);
        assert_eq!(opened.outbox.epoch(), self.model.epoch);
        let acked = opened.outbox.acked();
        assert!(
            acked.seq.0 as usize <= self.model.acked,
            "nobody acknowledged so much"
        );
        assert_eq!(acked, self.model.marks()[acked.seq.0 as usize]);
        self.model.acked = acked.seq.0 as usize;
        // Beyond what was promised, whole groups under way may be there, or one that failed before.
        let stored = opened
            .outbox
            .read_after(acked.seq, usize::MAX, usize::MAX)
            .unwrap();
        let known = self.model.records.len() - self.model.acked;
        assert!(
            stored.len() >= known,
            "{} of {known} are there",
            stored.len()
        );
        let extra: Vec<_> = stored[known..]
            .iter()
            .map(|event| event.record.clone())
            .collect();
        let prefixes = (0..=open_ended.len()).map(|n| open_ended[..n].concat());
        let mut allowed = prefixes.chain(self.model.ghosts.iter().cloned());
        assert!(allowed.any(|allowed| allowed == extra), "{extra:?}");
        self.model.records.extend(extra);
        self.model.ghosts.clear();
        self.outbox = Some(opened.outbox);
        self.check_reading(self.model.acked);
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Append(lengths) => {
                let group = self.group(lengths);
                self.append(group);
            }
            Step::Acknowledge(percent) => {
                let seq = self.model.share(*percent);
                self.outbox().acknowledge(self.model.marks()[seq]).unwrap();
                self.model.acked = seq;
            }
            Step::Read(percent) => self.check_reading(self.model.share(*percent)),
            Step::FailWrite(length) => {
                self.disk.fail_writes(1);
                let group = self.group(&[*length, 10]);
                self.append(group);
                self.disk.fail_writes(0);
            }
            Step::FailSync(length) => {
                self.disk.fail_syncs(1);
                let group = self.group(&[*length, 10]);
                self.append(group);
                self.disk.fail_syncs(0);
            }
            Step::TurnFull => {
                self.full = !self.full;
                self.disk.set_space_left(self.full.then_some(100));
            }
            Step::CleanStop => {
                // The marker of a clean stop needs room as well; without it the stop is as good as a kill.
                let closed = self.outbox.take().unwrap().close();
                assert!(closed.is_ok() || self.full);
                self.reopen(Vec::new(), &[]);
            }
            Step::Kill(lengths) => {
                let (promised, open_ended) = self.end_abruptly(lengths, None);
                self.reopen(promised, &open_ended);
            }
            Step::PowerCut(lengths, seed) => {
                let (promised, open_ended) = self.end_abruptly(lengths, Some(*seed));
                self.reopen(promised, &open_ended);
            }
            Step::Fork(percent) => {
                let at = self.model.share(*percent);
                self.drawn += 1;
                let new_epoch = Epoch(self.drawn);
                match self.outbox().fork(Seq(at as u64 + 1), new_epoch) {
                    Ok(forked) => {
                        let moved = self.model.records.split_off(at);
                        assert_eq!(forked.moved, moved.len() as u64);
                        self.model = Model {
                            epoch: new_epoch,
                            records: moved,
                            acked: 0,
                            ghosts: Vec::new(),
                        };
                    }
                    Err(_) => assert!(self.full, "only a full disk may refuse here"),
                }
                self.check_reading(self.model.acked);
            }
        }
    }
}

fn open(disk: &SimDisk, dir: &TempDir, seed: u64) -> Opened {
    let micros = AtomicU64::new(0);
    let monotonic: Monotonic =
        Arc::new(move || Duration::from_micros(micros.fetch_add(50, Ordering::Relaxed)));
    let config = OutboxConfig {
        segment_bytes: SEGMENT_BYTES_MIN,
        ..OutboxConfig::new(dir.path().join("outbox"), monotonic)
    };
    let vault = Vault::from_key([4; 32], test_random(seed));
    Outbox::open_on(
        Arc::new(disk.clone()),
        config,
        &vault,
        test_random(seed + 1_000),
    )
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn nothing_promised_is_lost_or_changed_whatever_the_disk_does(
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let mut bench = Bench::new();
        for step in &steps {
            bench.take(step);
        }
        bench.check_reading(bench.model.acked);
    }
}
