//! Reads one file and tells its sales, each until it is durable. Blocks.

use std::collections::VecDeque;
use std::path::Path;

use tillbind_firmware_bridge::code::CardRules;
use tillbind_firmware_bridge::poslog::{Place, PosLogError, PosLogFile, PosLogItem};
use tillbind_firmware_bridge::sale::Sale;
use tillbind_protocol::event::Source;
use tokio::sync::{mpsc, oneshot, watch};

use super::growing::cannot_read;
use super::growing_poslog::Opened;
use crate::devices::DeviceEvent;
use crate::devices::masking::mask_sale;

/// Sales on their way to the disk at once. Fewer, and each waits for its own sync; more, and a stop
/// waits longer.
pub(super) const IN_FLIGHT_MAX: usize = 64;
/// Faults named in the reason for a file; further ones are counted.
const FAULTS_NAMED_MAX: usize = 20;

/// What came of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It was read to its end; every sale in it is durable.
    All,
    /// It ends in the middle; nothing of it was told, unless that was asked for.
    Truncated,
    /// It could not be read.
    Unreadable { reason: String },
    /// Part of it or all is bad; every sale that could be read is durable.
    Bad { reason: String },
    /// A sale could not be made durable: the file has to be told again.
    NotDurable { reason: String },
    /// The agent ends.
    Stopped,
}

/// What telling a file needs.
pub(super) struct Teller {
    pub(super) journal: String,
    pub(super) source: Source,
    pub(super) rules: std::sync::Arc<CardRules>,
    pub(super) events: mpsc::Sender<DeviceEvent>,
    pub(super) stop: watch::Receiver<bool>,
    /// Called with each sale that has become durable.
    pub(super) on_durable: Box<dyn Fn() + Send>,
}

/// What a look through a file found.
#[derive(Debug, Default)]
struct Faults {
    transactions: usize,
    named: Vec<String>,
    count: usize,
    truncated: bool,
}

impl Teller {
    /// Tells the sales of the file at `path`. One that ends in the middle is told only if
    /// `as_far_as_it_goes`: it is looked through first, since its sales would come again with the
    /// grown file.
    pub(super) fn tell(&self, path: &Path, name: &str, as_far_as_it_goes: bool) -> Told {
        let faults = match self.look_through(path, as_far_as_it_goes) {
            Ok(Some(faults)) => faults,
            Ok(None) => return Told::Stopped,
            Err(told) => return told,
        };
        if faults.truncated && !as_far_as_it_goes {
            return Told::Truncated;
        }
        if let Err(told) = self.tell_sales(path, name, as_far_as_it_goes) {
            return told;
        }
        if faults.count > 0 {
            return Told::Bad {
                reason: faults.reason(),
            };
        }
        if faults.truncated {
            Told::Truncated
        } else {
            Told::All
        }
    }

    fn look_through(&self, path: &Path, ended: bool) -> Result<Option<Faults>, Told> {
        let mut faults = Faults::default();
        let (file, len) = Opened::at(path)?;
        let mut items = PosLogFile::new(&file, len, Place::default(), ended);
        while let Some(item) = items.next() {
            if *self.stop.borrow() {
                return Ok(None);
            }
            faults.transactions += 1;
            let Err(fault) = item else {
                continue;
            };
            if let error @ PosLogError::Io(_) = fault.error() {
                return Err(unreadable(error));
            }
            if matches!(fault.error(), PosLogError::Truncated { .. }) {
                faults.truncated = true;
                continue;
            }
            faults.add(&items.tell(fault).map_err(cannot_read)?);
        }
        Ok(Some(faults))
    }

    fn tell_sales(&self, path: &Path, name: &str, ended: bool) -> Result<(), Told> {
        let mut in_flight = VecDeque::with_capacity(IN_FLIGHT_MAX);
        let (file, len) = Opened::at(path)?;
        for item in PosLogFile::new(&file, len, Place::default(), ended) {
            if *self.stop.borrow() {
                return Err(Told::Stopped);
            }
            let sale = match item {
                Ok(PosLogItem::Sale(sale)) => sale,
                Ok(PosLogItem::Skipped { .. }) => continue,
                Err(fault) => {
                    if let error @ PosLogError::Io(_) = fault.error() {
                        return Err(unreadable(error));
                    }
                    // Named by the look before.
                    continue;
                }
            };
            if in_flight.len() == IN_FLIGHT_MAX
                && let Some(oldest) = in_flight.pop_front()
            {
                self.wait_for(oldest)?;
            }
            in_flight.push_back(self.send(name, sale)?);
        }
        in_flight
            .into_iter()
            .try_for_each(|reply| self.wait_for(reply))
    }

    pub(super) fn send(&self, file: &str, mut sale: Sale) -> Result<Reply, Told> {
        mask_sale(&mut sale, &self.rules);
        let (reply, answer) = oneshot::channel();
        let (journal, file, sale) = (self.journal.clone(), file.to_owned(), Box::new(sale));
        let event = DeviceEvent::JournalSale {
            journal,
            file,
            source: self.source,
            sale,
            reply,
        };
        // Nobody takes events any more only when the agent ends.
        self.events
            .blocking_send(event)
            .map_err(|_| Told::Stopped)?;
        Ok(answer)
    }

    pub(super) fn wait_for(&self, reply: Reply) -> Result<(), Told> {
        match reply.blocking_recv() {
            Ok(Ok(())) => {
                (self.on_durable)();
                Ok(())
            }
            Ok(Err(reason)) => Err(Told::NotDurable { reason }),
            Err(_) => Err(Told::NotDurable {
                reason: "the sale was not answered".to_owned(),
            }),
        }
    }
}

pub(super) type Reply = oneshot::Receiver<Result<(), String>>;

impl Faults {
    fn add(&mut self, error: &PosLogError) {
        self.count += 1;
        if self.named.len() < FAULTS_NAMED_MAX {
            self.named.push(in_full(error));
        }
    }

    fn reason(&self) -> String {
        let mut reason = format!(
            "{} of {} transactions could not be read; the others were taken",
            self.count, self.transactions
        );
        for fault in &self.named {
            reason.push_str("\n- ");
            reason.push_str(fault);
        }
        if self.count > self.named.len() {
            reason.push_str(&format!("\n- and {} more", self.count - self.named.len()));
        }
        reason
    }
}

fn unreadable(error: &PosLogError) -> Told {
    Told::Unreadable {
        reason: in_full(error),
    }
}

/// Writes an error with its causes, which its own text leaves out.
pub(super) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(" ({cause})"));
        source = cause.source();
    }
    text
}
