//! The agent's settings: one TOML file, everything with a default.
//!
//! A setting that nobody knows is a fault, with its line and the nearest name that is known: a
//! misspelt setting that is ignored in silence costs a store a day. Reading collects all faults
//! before it fails.

mod file;
mod place;
mod reading;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::outbox::{BACKLOG_BYTES_MAX_DEFAULT, DISK_PERCENT_MAX_DEFAULT};
use tillbind_firmware_bridge::code::CardRules;
use tillbind_firmware_bridge::journal::decoder::LineFormat;
use tillbind_firmware_bridge::money::Currency;
pub use tillbind_firmware_bridge::scanner::Framing;
use tillbind_firmware_bridge::scanner::dedup::REPEAT_WINDOW;
use tillbind_firmware_bridge::scanner::keyboard::KEY_GAP;
use tillbind_firmware_bridge::scanner::{Layout, LineConfig};
use tillbind_firmware_bridge::transport::serial::READ_TIMEOUT;
use tillbind_protocol::backoff::BackoffConfig;
use tillbind_protocol::ids::{StoreId, WorkstationId};

pub use place::Fault;

/// Where the settings are looked for unless `--config` names another file.
pub const DEFAULT_PATH: &str = "/etc/tillbind/agent.toml";
/// Longest file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Most devices of one sort: each costs a task and a thread.
pub const DEVICES_MAX: usize = 16;

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where identity, outbox and replica live.
    pub data_dir: PathBuf,
    /// The till's HTTP API.
    pub api: ApiConfig,
    /// How cards are known.
    pub cards: CardsConfig,
    /// The store.
    pub store: StoreConfig,
    /// What the POS calls this store and workstation.
    pub pos: PosConfig,
    /// How cards and sales find each other.
    pub till: TillConfig,
    /// How much may wait for central.
    pub outbox: OutboxSettings,
    /// The line to central.
    pub uplink: UplinkSettings,
    /// Scanners.
    pub scanners: Vec<ScannerConfig>,
    /// Contactless readers.
    pub nfc: Vec<NfcConfig>,
    /// Printers whose receipts are read in passing.
    pub receipt_taps: Vec<ReceiptTapConfig>,
    /// Directories that the POS writes its journal to.
    pub journals: Vec<JournalConfig>,
}

/// The till's HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiConfig {
    /// Address to listen on; port 0 takes a free one and writes it to `api.addr`.
    pub listen: SocketAddr,
}

/// How cards are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CardsConfig {
    /// Beginnings of member card numbers, asked before the payment-card test.
    pub member_prefixes: Vec<String>,
}

/// The store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreConfig {
    /// Currency of sales whose source does not name one.
    pub currency: Option<Currency>,
}

/// What the POS calls this store and workstation, where headquarters calls them otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PosConfig {
    /// The POS's own number of the store.
    pub store: Option<StoreId>,
    /// The POS's own number of the workstation.
    pub workstation: Option<WorkstationId>,
}

/// How cards and sales find each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TillConfig {
    /// How long a scanned card waits for the end of its sale.
    pub card_before_sale: Duration,
    /// How long an ended sale without a card waits for one.
    pub card_after_sale: Duration,
    /// How far apart a card and a member code may be to ask for a binding.
    pub code_beside_card: Duration,
}

impl Default for TillConfig {
    fn default() -> Self {
        Self {
            card_before_sale: Duration::from_secs(300),
            card_after_sale: Duration::from_secs(20),
            code_beside_card: Duration::from_secs(120),
        }
    }
}

/// How much may wait for central. Beyond each bound what is worth least is given up, and at last
/// refused; `tillbind status` says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxSettings {
    /// Bytes of events that may wait.
    pub bytes_max: u64,
    /// Share of the file system that they may take, in hundredths.
    pub disk_percent_max: u8,
}

impl Default for OutboxSettings {
    fn default() -> Self {
        Self {
            bytes_max: BACKLOG_BYTES_MAX_DEFAULT,
            disk_percent_max: DISK_PERCENT_MAX_DEFAULT,
        }
    }
}

/// The line to central.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UplinkSettings {
    /// Most events in one batch.
    pub batch_events_max: usize,
    /// How long the first event waits for company.
    pub linger: Duration,
    /// How long central may hold a poll.
    pub poll_wait: Duration,
    /// How long an answer may take on top of that.
    pub answer_timeout: Duration,
    /// How long a refused terminal waits before it asks again.
    pub refused_retry: Duration,
    /// Delays after failures; the cap is the longest that a till needs to notice that central is
    /// back.
    pub backoff: BackoffConfig,
}

impl Default for UplinkSettings {
    fn default() -> Self {
        Self {
            batch_events_max: 1_000,
            linger: Duration::from_millis(20),
            poll_wait: Duration::from_secs(25),
            answer_timeout: Duration::from_secs(20),
            refused_retry: Duration::from_secs(60),
            backoff: BackoffConfig::default(),
        }
    }
}

/// A scanner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannerConfig {
    /// Name in events and status.
    pub name: String,
    /// Device file; a stable `/dev/serial/by-id/…` name survives a replug.
    pub port: String,
    /// Bits per second, of a serial scanner.
    pub baud: u32,
    /// How one code is told from the next.
    pub framing: Framing,
    /// What plain text looks like.
    pub line: LineConfig,
    /// The keyboard that a scanner plays.
    pub layout: Layout,
    /// After so long a silence what came is a whole scan; of a keyboard: the longest pause between
    /// two keys of one scan.
    pub idle_gap: Duration,
    /// So long the same code is taken for a repeat of itself.
    pub repeat_window: Duration,
}

impl ScannerConfig {
    /// Makes the settings of a scanner of which only name, port and framing are told.
    pub fn new(name: &str, port: &str, framing: Framing) -> Self {
        Self {
            name: name.to_owned(),
            port: port.to_owned(),
            baud: 9_600,
            framing,
            line: LineConfig::default(),
            layout: Layout::default(),
            idle_gap: match framing {
                Framing::Line | Framing::Ssi | Framing::Honeywell | Framing::HidPos => READ_TIMEOUT,
                Framing::Keyboard => KEY_GAP,
            },
            repeat_window: REPEAT_WINDOW,
        }
    }
}

/// A contactless reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NfcConfig {
    /// Name in events and status.
    pub name: String,
    /// Which one it is.
    pub reader: NfcReader,
}

/// How a contactless reader is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NfcReader {
    /// A PN532 on a serial line.
    Serial {
        /// Device file; a stable `/dev/serial/by-id/…` name survives a replug.
        port: PathBuf,
        /// Bits per second.
        baud: u32,
    },
    /// The readers of the system's PC/SC service.
    Pcsc {
        /// What the reader's name must hold; without it, all readers are watched.
        part: Option<String>,
    },
}

/// A printer whose receipts are read in passing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptTapConfig {
    /// Name in events and status.
    pub name: String,
    /// Where the POS prints to.
    pub pos: PosSide,
    /// Where the bytes go on to.
    pub printer: PrinterTarget,
    /// How the serial ports of this tap hold back a sender.
    pub flow_control: FlowControl,
    /// The printer's language.
    pub dialect: DialectSetting,
    /// How a receipt becomes a sale; without one every receipt is kept as unparsed.
    pub profile: Option<PathBuf>,
    /// Where receipts are written down for `tillbind receipts`; nowhere without one.
    pub capture_dir: Option<PathBuf>,
    /// What is printed before the cut of a sale that may be claimed; nothing without one.
    pub footer: Option<FooterConfig>,
}

/// A claim code at the end of receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FooterConfig {
    /// Lines of text, with [`FooterConfig::CODE`] where the code goes.
    pub text: String,
    /// What the QR code holds.
    pub symbol: FooterSymbol,
    /// How long a cut may wait.
    pub hold: Duration,
}

/// The QR code of a footer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FooterSymbol {
    /// It holds the claim code by itself.
    Code,
    /// It holds an address, with [`FooterConfig::CODE`] where the code goes.
    Link(String),
    /// None: the printer draws none.
    Absent,
}

impl FooterConfig {
    /// Stands for the claim code.
    pub const CODE: &str = "{code}";
}

/// Where a POS prints to that thinks it prints to its printer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PosSide {
    /// An address of this machine.
    Network(SocketAddr),
    /// A serial port that a cable or a virtual pair leads to from the POS.
    Port(PathBuf),
    /// A directory that the POS writes its print jobs to, a file each.
    Spool(PathBuf),
}

/// How a serial line holds back who sends too fast. XON and XOFF pass through as data in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FlowControl {
    /// By nothing that the ports know of.
    #[default]
    None,
    /// By the lines RTS and CTS.
    RtsCts,
}

/// Where a tap passes the bytes on to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrinterTarget {
    /// `host:port` of a network printer.
    Tcp(String),
    /// Device file of a serial or USB printer.
    Device(PathBuf),
    /// Nowhere: the tap is a virtual printer.
    Virtual,
}

/// The printer's language, as set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DialectSetting {
    /// Told apart by the bytes.
    #[default]
    Auto,
    /// Epson ESC/POS.
    Escpos,
    /// Star Line Mode, StarPRNT.
    Star,
}

/// A directory that the POS writes its journal to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalConfig {
    /// Name in events and status.
    pub name: String,
    /// What the files hold.
    pub format: JournalFormat,
    /// The directory.
    pub dir: PathBuf,
}

/// What journal files hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalFormat {
    /// ARTS POSLog XML; a file is read once it is whole.
    Poslog,
    /// ARTS POSLog XML to which transactions are appended; a file is read as it grows, and its end
    /// is taken for whole after this time without growth.
    GrowingPoslog(Duration),
    /// JSON lines or CSV; a file is read as it grows.
    Lines(LineJournal),
}

/// A journal of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineJournal {
    /// How its lines are read.
    pub format: LineFormat,
    /// Endings of its files, without the dot.
    pub extensions: Vec<String>,
    /// How long a file must not grow before its last line and transaction are taken for whole.
    pub quiet: Duration,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(
        "the settings file {} cannot be read: name another with --config, or see that this user \
         may read it",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is longer than [`FILE_BYTES_MAX`].
    #[error("the settings file {} is longer than {FILE_BYTES_MAX} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The file holds faults.
    #[error("{}", list(path, faults))]
    Faulty {
        /// The file.
        path: PathBuf,
        /// All that is wrong, by line.
        faults: Vec<Fault>,
    },
}

fn list(path: &Path, faults: &[Fault]) -> String {
    let lines: Vec<String> = faults
        .iter()
        .map(|fault| format!("{}:{}: {}", path.display(), fault.line, fault.message))
        .collect();
    lines.join("\n")
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("/var/lib/tillbind"),
            api: ApiConfig {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7878)),
            },
            cards: CardsConfig::default(),
            store: StoreConfig::default(),
            pos: PosConfig::default(),
            till: TillConfig::default(),
            outbox: OutboxSettings::default(),
            uplink: UplinkSettings::default(),
            scanners: Vec::new(),
            nfc: Vec::new(),
            receipt_taps: Vec::new(),
            journals: Vec::new(),
        }
    }
}

/// Parts a port's setting into path and bits per second, as in `/dev/ttyS0@19200`; a path may hold the
/// sign itself.
pub fn path_and_baud(setting: &Path) -> (PathBuf, Option<u32>) {
    let text = setting.to_string_lossy();
    let parted = text
        .rsplit_once('@')
        .and_then(|(path, baud)| Some((path, baud.parse().ok()?)));
    match parted {
        Some((path, baud)) => (PathBuf::from(path), Some(baud)),
        None => (setting.to_owned(), None),
    }
}

impl CardsConfig {
    /// Returns what to know of prefixes whose numbers are by rule others' too; nothing of prefixes
    /// that cannot be used, which are faults.
    pub fn warnings(&self) -> Vec<String> {
        let rules = CardRules::new(self.member_prefixes.iter().cloned()).ok();
        let warnings = rules.map(|rules| rules.warnings()).unwrap_or_default();
        warnings.iter().map(ToString::to_string).collect()
    }
}

impl Config {
    /// Returns the local ports that devices have, each with the device's name.
    pub fn device_ports(&self) -> Vec<(&str, PathBuf)> {
        let mut ports: Vec<(&str, PathBuf)> = Vec::new();
        for scanner in &self.scanners {
            ports.push((&scanner.name, PathBuf::from(&scanner.port)));
        }
        for reader in &self.nfc {
            if let NfcReader::Serial { port, .. } = &reader.reader {
                ports.push((&reader.name, port.clone()));
            }
        }
        for tap in &self.receipt_taps {
            if let PosSide::Port(port) = &tap.pos {
                ports.push((&tap.name, path_and_baud(port).0));
            }
            if let PrinterTarget::Device(port) = &tap.printer {
                ports.push((&tap.name, path_and_baud(port).0));
            }
        }
        ports
    }

    /// Reads and judges the file at `path`.
    ///
    /// # Errors
    /// [`ConfigError`] with all faults found.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        };
        if std::fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
            return Err(ConfigError::TooLong {
                path: path.to_owned(),
            });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text).map_err(|faults| ConfigError::Faulty {
            path: path.to_owned(),
            faults,
        })
    }

    /// Reads and judges a text.
    ///
    /// # Errors
    /// All faults, by line.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        reading::read(text)
    }
}

#[cfg(test)]
mod tests;
