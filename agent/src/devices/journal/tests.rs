use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use chrono::DateTime;
use tillbind_firmware_bridge::journal::REJECTED_FOLDER;

mod following;
mod following_poslog;

use super::*;
use crate::devices::status::DeviceKind;
use crate::devices::workbench::within;

/// Notes that outlive a journal's restart.
#[derive(Default)]
struct KeptNotes(
    Mutex<BTreeMap<(String, String), FileSeen>>,
    Mutex<BTreeMap<(String, String), Progress>>,
);

impl FileNotes for KeptNotes {
    fn done(&self, journal: &str) -> Result<Vec<FileSeen>, NotesError> {
        let notes = self.0.lock().unwrap();
        let of_journal = notes.iter().filter(|((name, _), _)| name == journal);
        Ok(of_journal.map(|(_, file)| file.clone()).collect())
    }

    fn remember(&self, journal: &str, file: &FileSeen) -> Result<(), NotesError> {
        let key = (journal.to_owned(), file.name.clone());
        self.0.lock().unwrap().insert(key, file.clone());
        Ok(())
    }

    fn forget(&self, journal: &str, name: &str) -> Result<(), NotesError> {
        self.0
            .lock()
            .unwrap()
            .remove(&(journal.to_owned(), name.to_owned()));
        Ok(())
    }

    fn progress(&self, journal: &str) -> Result<Vec<Progress>, NotesError> {
        let notes = self.1.lock().unwrap();
        let of_journal = notes.iter().filter(|((name, _), _)| name == journal);
        Ok(of_journal.map(|(_, progress)| progress.clone()).collect())
    }

    fn keep_progress(&self, journal: &str, progress: &Progress) -> Result<(), NotesError> {
        let key = (journal.to_owned(), progress.file.name.clone());
        self.1.lock().unwrap().insert(key, progress.clone());
        Ok(())
    }
}

impl KeptNotes {
    /// Waits until a file's note is so.
    async fn until(&self, name: &str, is_so: impl Fn(&Progress) -> bool) {
        within(async {
            loop {
                let notes = self.progress("pos").unwrap();
                let mut of_file = notes.iter().filter(|note| note.file.name == name);
                if of_file.any(&is_so) {
                    break;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Waits until so much of a file is noted as told.
    async fn told(&self, name: &str, bytes: usize) {
        self.until(name, |note| note.mark.offset == bytes as u64)
            .await;
    }

    /// Waits until it is noted where something waits for its rest.
    async fn open(&self, name: &str, byte: usize) {
        self.until(name, |note| note.open_at == Some(byte as u64))
            .await;
    }
}

/// A POS's folder, and what the agent keeps of its files.
struct Folder {
    dir: tempfile::TempDir,
    notes: Arc<KeptNotes>,
}

impl Folder {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            notes: Arc::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts the folder's journal, or starts it again.
    fn start(&self, format: JournalFormat) -> Rig {
        Rig::start_as(format, self.dir.path(), &self.notes, LONG)
    }
}

struct Rig {
    events: mpsc::Receiver<DeviceEvent>,
    stop: watch::Sender<bool>,
    ended: mpsc::Receiver<()>,
    lamp: Lamp,
}

impl Rig {
    fn start(dir: &Path, notes: &Arc<KeptNotes>, patience: Duration) -> Self {
        Self::start_as(JournalFormat::Poslog, dir, notes, patience)
    }

    fn start_as(
        format: JournalFormat,
        dir: &Path,
        notes: &Arc<KeptNotes>,
        patience: Duration,
    ) -> Self {
        let (sender, events) = mpsc::channel(4);
        let (stop, stopped) = watch::channel(false);
        let (alive, ended) = mpsc::channel(1);
        let started = started_at();
        let clocks = Clocks {
            wall: Arc::new(|| DateTime::UNIX_EPOCH),
            elapsed: Arc::new(move || started.elapsed()),
        };
        let kind = DeviceKind::Journal;
        let lamp = Lamp::new(
            "pos",
            kind,
            dir.display().to_string(),
            Arc::clone(&clocks.wall),
        );
        let config = JournalConfig {
            name: "pos".to_owned(),
            format,
            dir: dir.to_owned(),
        };
        let notes: Arc<dyn FileNotes> = Arc::clone(notes) as Arc<dyn FileNotes>;
        let rules = Arc::new(CardRules::default());
        let mut journal = Journal::new(&config, rules, notes, sender, lamp.clone(), &clocks);
        journal.pace = Pace {
            list_every: Duration::from_millis(20),
            retry_pause: Duration::from_millis(20),
            watch: WatchSettings {
                settle: Duration::from_millis(60),
                patience,
                ..WatchSettings::for_extensions(&["xml"])
            },
        };
        journal.start(stopped, alive);
        Self {
            events,
            stop,
            ended,
            lamp,
        }
    }

    /// Answers the next sale with `answer` and returns its number.
    async fn sale(&mut self, answer: Result<(), String>) -> String {
        match within(self.events.recv()).await {
            Some(DeviceEvent::JournalSale { sale, reply, .. }) => {
                reply.send(answer).unwrap();
                sale.sequence.clone().unwrap()
            }
            other => panic!("a sale was expected, not {other:?}"),
        }
    }

    /// Sees that the next thing told is this sale, and answers it.
    async fn expect(&mut self, sequence: &str) {
        assert_eq!(self.sale(Ok(())).await, sequence);
    }

    /// Answers the next rejection and returns its reason.
    async fn rejection(&mut self) -> String {
        match within(self.events.recv()).await {
            Some(DeviceEvent::JournalRejected { reason, reply, .. }) => {
                reply.send(Ok(())).unwrap();
                reason
            }
            other => panic!("a rejection was expected, not {other:?}"),
        }
    }

    /// Waits until the journal's counts are so.
    async fn counts(&self, is_so: impl Fn(&crate::devices::DeviceCounts) -> bool) {
        let reached = async {
            while !is_so(&self.lamp.view().borrow().counts) {
                tokio::task::yield_now().await;
            }
        };
        within(reached).await;
    }

    async fn stop(mut self) {
        self.stop.send_replace(true);
        drop(self.events);
        within(self.ended.recv()).await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are the shell that owns this clock"
)]
fn started_at() -> Instant {
    Instant::now()
}

fn transaction(sequence: u32, total: &str) -> String {
    format!(
        r#"<Transaction CancelFlag="false">
<RetailStoreID>12</RetailStoreID><WorkstationID>3</WorkstationID>
<SequenceNumber>{sequence}</SequenceNumber><BusinessDayDate>2026-05-01</BusinessDayDate>
<EndDateTime>2026-05-01T10:00:00</EndDateTime><CurrencyCode>EUR</CurrencyCode>
<RetailTransaction TransactionStatus="Totaled">
<LineItem><SequenceNumber>1</SequenceNumber><Sale><ItemID>4001</ItemID>
<Description>Tea</Description><RegularSalesUnitPrice>5.00</RegularSalesUnitPrice>
<ActualSalesUnitPrice>5.00</ActualSalesUnitPrice><ExtendedAmount>5.00</ExtendedAmount>
<Quantity>1</Quantity></Sale></LineItem>
<LineItem><SequenceNumber>2</SequenceNumber><Tender TenderType="Cash"><Amount>5.00</Amount></Tender></LineItem>
<Total TotalType="TransactionGrandAmount">{total}</Total>
</RetailTransaction></Transaction>"#
    )
}

fn file_of(transactions: &[String]) -> String {
    let namespace = "http://www.nrf-arts.org/IXRetail/namespace/";
    format!(
        "<POSLog xmlns=\"{namespace}\">{}</POSLog>",
        transactions.concat()
    )
}

const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_file_is_told_once_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let notes = Arc::new(KeptNotes::default());
    fs::write(
        dir.path().join("a.xml"),
        file_of(&[transaction(1, "5.00"), transaction(2, "5.00")]),
    )
    .unwrap();
    let mut rig = Rig::start(dir.path(), &notes, LONG);
    assert_eq!(rig.sale(Ok(())).await, "1");
    assert_eq!(rig.sale(Ok(())).await, "2");
    rig.counts(|counts| (counts.files, counts.sales) == (1, 2))
        .await;
    rig.stop().await;
    assert_eq!(notes.done("pos").unwrap().len(), 1);

    let mut rig = Rig::start(dir.path(), &notes, LONG);
    fs::write(dir.path().join("b.xml"), file_of(&[transaction(3, "5.00")])).unwrap();
    assert_eq!(rig.sale(Ok(())).await, "3");
    rig.stop().await;
}

#[tokio::test]
async fn a_file_whose_sales_are_not_durable_is_told_again_and_never_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let notes = Arc::new(KeptNotes::default());
    fs::write(dir.path().join("a.xml"), file_of(&[transaction(1, "5.00")])).unwrap();
    // The patience with the file itself is long over when the disk gives in.
    let mut rig = Rig::start(dir.path(), &notes, Duration::from_millis(1));
    for _ in 0..5 {
        assert_eq!(rig.sale(Err("the disk is full".to_owned())).await, "1");
        assert!(notes.done("pos").unwrap().is_empty());
    }
    assert!(
        rig.lamp
            .view()
            .borrow()
            .last_error
            .as_deref()
            .unwrap()
            .contains("the disk is full")
    );
    assert_eq!(rig.sale(Ok(())).await, "1");
    rig.counts(|counts| (counts.files, counts.sales) == (1, 1))
        .await;
    rig.stop().await;
}

#[tokio::test]
async fn a_file_being_written_is_waited_for_and_told_once_when_whole() {
    let dir = tempfile::tempdir().unwrap();
    let notes = Arc::new(KeptNotes::default());
    let whole = file_of(&[transaction(1, "5.00"), transaction(2, "5.00")]);
    let path = dir.path().join("a.xml");
    fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    let mut rig = Rig::start(dir.path(), &notes, LONG);
    // Another file, told meanwhile, shows that the first one was looked at and left.
    fs::write(dir.path().join("b.xml"), file_of(&[transaction(9, "5.00")])).unwrap();
    assert_eq!(rig.sale(Ok(())).await, "9");
    fs::write(&path, &whole).unwrap();
    assert_eq!(rig.sale(Ok(())).await, "1");
    assert_eq!(rig.sale(Ok(())).await, "2");
    rig.counts(|counts| counts.files == 2).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_file_that_stays_cut_off_gives_its_whole_sales_and_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let notes = Arc::new(KeptNotes::default());
    let whole = file_of(&[transaction(1, "5.00"), transaction(2, "5.00")]);
    fs::write(dir.path().join("a.xml"), &whole[..whole.len() - 100]).unwrap();
    let mut rig = Rig::start(dir.path(), &notes, Duration::from_millis(200));
    assert_eq!(rig.sale(Ok(())).await, "1");
    let reason = rig.rejection().await;
    assert!(reason.contains("ends in the middle"), "{reason}");
    let moved = dir.path().join(REJECTED_FOLDER).join("a.xml");
    within(async {
        while !moved.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    rig.stop().await;
}

#[tokio::test]
async fn a_bad_transaction_costs_itself_and_the_file_is_set_aside_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let notes = Arc::new(KeptNotes::default());
    let text = file_of(&[
        transaction(1, "5.00"),
        transaction(2, "6.66"),
        transaction(3, "5.00"),
    ]);
    fs::write(dir.path().join("a.xml"), text).unwrap();
    let mut rig = Rig::start(dir.path(), &notes, LONG);
    assert_eq!(rig.sale(Ok(())).await, "1");
    assert_eq!(rig.sale(Ok(())).await, "3");
    let reason = rig.rejection().await;
    assert!(reason.starts_with("1 of 3 transactions"), "{reason}");
    let rejected = dir.path().join(REJECTED_FOLDER);
    within(async {
        while !rejected.join("a.xml").exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!dir.path().join("a.xml").exists());
    let beside = fs::read_to_string(rejected.join("a.xml.reason.txt")).unwrap();
    assert!(beside.contains("do not add up"), "{beside}");
    rig.counts(|counts| (counts.rejected, counts.files) == (1, 0))
        .await;
    rig.stop().await;
}

#[tokio::test]
async fn a_bad_file_that_cannot_be_moved_stays_and_is_not_told_again() {
    let dir = tempfile::tempdir().unwrap();
    let notes = Arc::new(KeptNotes::default());
    // A file stands where the folder would have to be, which stops root as well.
    fs::write(dir.path().join(REJECTED_FOLDER), "in the way").unwrap();
    fs::write(dir.path().join("a.xml"), "<Other/>").unwrap();
    let mut rig = Rig::start(dir.path(), &notes, LONG);
    let reason = rig.rejection().await;
    assert!(reason.contains("no POSLog"), "{reason}");
    within(async {
        while notes.done("pos").unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    rig.stop().await;
    assert!(dir.path().join("a.xml").exists());

    let mut rig = Rig::start(dir.path(), &notes, LONG);
    fs::write(dir.path().join("b.xml"), file_of(&[transaction(3, "5.00")])).unwrap();
    assert_eq!(rig.sale(Ok(())).await, "3");
    rig.stop().await;
}

#[tokio::test]
async fn a_folder_that_is_missing_is_said_and_found_when_it_is_made() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("journal");
    let notes = Arc::new(KeptNotes::default());
    let mut rig = Rig::start(&dir, &notes, LONG);
    let mut view = rig.lamp.view();
    within(view.wait_for(|status| status.state.as_str() == "unopenable"))
        .await
        .unwrap();
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("a.xml"), file_of(&[transaction(1, "5.00")])).unwrap();
    assert_eq!(rig.sale(Ok(())).await, "1");
    assert_eq!(view.borrow().state, PortState::Open);
    rig.stop().await;
}

#[test]
fn notes_in_the_replicas_store_survive_and_keep_journals_apart() {
    let dir = tempfile::tempdir().unwrap();
    let vault = crate::vault::Vault::from_key([4; 32], crate::vault::test_random(8));
    let file = FileSeen {
        name: "a.xml".to_owned(),
        modified_ms: -5,
        len: 77,
    };
    {
        let (replica, _) = crate::members::Replica::open(dir.path(), &vault).unwrap();
        let other = FileSeen {
            name: "b.xml".to_owned(),
            ..file.clone()
        };
        replica.remember("pos", &file).unwrap();
        replica.remember("pos2", &other).unwrap();
        replica.remember("pos", &other).unwrap();
        replica.forget("pos", "b.xml").unwrap();
    }
    let (replica, _) = crate::members::Replica::open(dir.path(), &vault).unwrap();
    assert_eq!(replica.done("pos").unwrap(), [file]);
    assert_eq!(replica.done("pos2").unwrap().len(), 1);
}
