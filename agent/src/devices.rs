//! The devices of a till, each by itself: scanners, contactless readers, receipt taps, journals.
//!
//! ```text
//! scanner (a thread each) ────────────────┐
//! NFC reader (a thread or a process each) ┤
//! tap (a thread for all) ─────────────────┼─▶ DeviceEvent ─▶ the agent's owner of state
//! journal (a task each) ──────────────────┘
//! ```
//!
//! No device waits for another, and none is ever given up: what is missing, broken or unplugged is
//! tried again, and says so through [`Board`] and [`DeviceEvent::Port`]. The taps start first and
//! need nothing but the settings, so a receipt is printed before, and without, everything else.
//!
//! Limits: the channel of events is the owner's; what a device does while it is full stands in the
//! device's module. Deliberately lacking: any opinion on what a scan or a sale means.

mod journal;
mod masking;
mod nfc;
mod scanner;
mod status;
mod stop;
mod tap;
#[cfg(test)]
mod workbench;

use std::sync::Arc;

use tillbind_firmware_bridge::code::{CardRules, Code};
use tillbind_firmware_bridge::receipt::{Job, NotASale};
use tillbind_firmware_bridge::sale::Sale;
use tillbind_protocol::claim::ClaimCode;
use tillbind_protocol::event::Source;
use tokio::sync::{mpsc, oneshot, watch};

use crate::config::{JournalConfig, NfcConfig, ReceiptTapConfig, ScannerConfig};
use journal::Journal;
pub use journal::{FileNotes, NotesError, Progress};
pub(crate) use masking::{mask_job, mask_sale};
use status::Lamp;
pub use status::{
    Board, Clocks, DeviceCounts, DeviceKind, DeviceStatus, Elapsed, PortState, WallClock,
};
pub(crate) use tap::load_profile;

/// What a profile made of a print job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptReading {
    /// A sale whose sums hold.
    Sale(Box<Sale>),
    /// Printed matter that is known not to be a sale.
    NotASale(NotASale),
    /// Maybe a sale, and not readable: to be kept with its text.
    Unparsed {
        /// Why, for people; repeats nothing of the receipt.
        reason: String,
    },
}

/// Where a claim code goes that is durable at the terminal and may be printed. Dropped, the receipt is
/// cut without one.
pub type ClaimReply = oneshot::Sender<ClaimCode>;

/// What devices tell the owner of the agent's state.
#[derive(Debug)]
pub enum DeviceEvent {
    /// A scan, repeats left out. What it holds of a payment card was zeroised before it got here.
    Scanned {
        /// Name of the scanner or contactless reader.
        device: String,
        /// What the scan means.
        code: Code,
    },
    /// A print job; payment numbers are masked in all of it.
    Receipt {
        /// Name of the tap.
        tap: String,
        /// The job.
        job: Job,
        /// What it is.
        reading: ReceiptReading,
        /// Waits, with the cut, for the claim code that goes on its footer.
        claim: Option<ClaimReply>,
    },
    /// Bytes were printed and not read, since reading fell behind.
    ReceiptsDropped {
        /// Name of the tap.
        tap: String,
        /// How many.
        bytes: u64,
    },
    /// A sale from a journal's file. The file counts as done when all of its sales were answered.
    JournalSale {
        /// Name of the journal.
        journal: String,
        /// Name of the file in its folder.
        file: String,
        /// What the file holds.
        source: Source,
        /// The sale.
        sale: Box<Sale>,
        /// Wants `Ok` once the sale is durable, or why it cannot be; dropped, it is told again.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// A journal's file, or part of it, could not be read and is set aside.
    JournalRejected {
        /// Name of the journal.
        journal: String,
        /// Name of the file in its folder.
        file: String,
        /// Why, for people.
        reason: String,
        /// Wants `Ok` once the report is durable; until then the file stays where it is.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// A device's port changed its state.
    Port {
        /// Name of the device.
        device: String,
        /// Its sort.
        kind: DeviceKind,
        /// What it is doing now.
        state: PortState,
    },
}

/// The devices that were started. Dropped, it leaves them running until they are told to stop.
pub struct Devices {
    rules: Arc<CardRules>,
    events: mpsc::Sender<DeviceEvent>,
    stop: watch::Receiver<bool>,
    clocks: Clocks,
    board: Board,
    /// Each device holds a sender as long as it has something to tell.
    alive: (mpsc::Sender<()>, mpsc::Receiver<()>),
}

impl Devices {
    /// Makes an empty set. Devices end when `stop` becomes true or its sender is dropped; the
    /// wall clock is shown in their status.
    pub fn new(
        rules: Arc<CardRules>,
        events: mpsc::Sender<DeviceEvent>,
        stop: watch::Receiver<bool>,
        clocks: Clocks,
    ) -> Self {
        let board = Board::default();
        Self {
            rules,
            events,
            stop,
            clocks,
            board,
            alive: mpsc::channel(1),
        }
    }

    /// Starts the receipt taps. Wants to be called first of all, within a runtime.
    pub fn start_taps(&mut self, taps: &[ReceiptTapConfig]) {
        let taps = taps
            .iter()
            .map(|config| {
                let endpoint = tap::endpoint(config);
                let lamp = self.light(&config.name, DeviceKind::ReceiptTap, endpoint);
                (config.clone(), lamp)
            })
            .collect();
        tap::start(
            taps,
            &self.rules,
            &self.events,
            &self.stop,
            self.alive.0.clone(),
        );
    }

    /// Starts the scanners.
    pub fn start_scanners(&mut self, scanners: &[ScannerConfig]) {
        for config in scanners {
            let lamp = self.light(&config.name, DeviceKind::Scanner, config.port.clone());
            let (rules, events) = (Arc::clone(&self.rules), self.events.clone());
            let (stop, alive) = (self.stop.clone(), self.alive.0.clone());
            scanner::start(config, rules, events, lamp, &self.clocks, stop, alive);
        }
    }

    /// Starts the contactless readers.
    pub fn start_nfc(&mut self, readers: &[NfcConfig]) {
        for config in readers {
            let lamp = self.light(&config.name, DeviceKind::Nfc, nfc::endpoint(config));
            let events = self.events.clone();
            let (stop, alive) = (self.stop.clone(), self.alive.0.clone());
            nfc::start(config, events, lamp, &self.clocks, stop, alive);
        }
    }

    /// Starts the journals; `notes` keeps durably which files are done.
    pub fn start_journals(&mut self, journals: &[JournalConfig], notes: &Arc<dyn FileNotes>) {
        for config in journals {
            let endpoint = config.dir.display().to_string();
            let lamp = self.light(&config.name, DeviceKind::Journal, endpoint);
            let (rules, events) = (Arc::clone(&self.rules), self.events.clone());
            let journal =
                Journal::new(config, rules, Arc::clone(notes), events, lamp, &self.clocks);
            journal.start(self.stop.clone(), self.alive.0.clone());
        }
    }

    /// Returns a view of all devices started so far.
    pub fn board(&self) -> Board {
        self.board.clone()
    }

    /// Returns every device as it is now.
    pub fn status(&self) -> Vec<DeviceStatus> {
        self.board.status()
    }

    /// Waits until every device has ended and told all that it had to tell. Events must be taken
    /// meanwhile.
    pub async fn stopped(self) {
        let (alive, mut ended) = self.alive;
        drop(alive);
        // Nothing is ever sent: the wait ends when the last sender is gone.
        while ended.recv().await.is_some() {}
    }

    fn light(&mut self, name: &str, kind: DeviceKind, endpoint: String) -> Lamp {
        let lamp = Lamp::new(name, kind, endpoint, Arc::clone(&self.clocks.wall));
        self.board.add(lamp.view());
        tokio::spawn(status::report(lamp.view(), self.events.clone()));
        lamp
    }
}
