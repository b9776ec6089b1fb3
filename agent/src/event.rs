//! Everything that can happen to the agent, in one closed enum.

use std::fmt;

use tillbind_firmware_bridge::code::{CardError, Symbology};
use tillbind_firmware_bridge::sale::{Imbalance, Sale};
use tillbind_protocol::chain::Mark;
use tillbind_protocol::clock::Sample;
use tillbind_protocol::event::{BindingRequest, RecordError, SaleKey, ScanKind};
use tillbind_protocol::ids::{AccountRef, CardNumber, Epoch, Seq};
use tillbind_protocol::member_code::KeySet;
use tillbind_protocol::replica::BindingVerdict;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::devices::{ClaimReply, DeviceEvent};
use crate::outbox::AppendError;
use crate::till::BasketView;
use crate::till::conversion::{ConversionError, Names};
use crate::till::member_codes::CodeRefused;

/// Names an append that is on its way to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A device told something.
    Device(DeviceEvent),
    /// The till's API asks for something.
    Call(Call),
    /// An append is durable up to this mark, or was refused.
    Durable(Ticket, Result<Mark, AppendError>),
    /// Central sent a key set.
    Keys(KeySet),
    /// Central's clock was seen.
    Clock(Sample),
    /// The replica was asked about the card of a sale whose receipt may bear a claim code.
    Holder {
        /// The sale.
        sale: SaleKey,
        /// Its card.
        card: CardNumber,
        /// Whether the card has a member; nothing when the replica cannot tell.
        has_member: Option<bool>,
        /// Waits for the code.
        claim: ClaimReply,
    },
    /// Verdicts on bindings are durable in the replica.
    Verdicts(Vec<BindingVerdict>),
    /// The outbox began a new epoch.
    Epoch(Epoch),
    /// The terminal was enrolled.
    Enrolled(Names),
    /// Time has passed.
    Tick,
}

/// What the till's API asks for.
pub enum Call {
    /// A code was scanned by the POS itself.
    Scan {
        /// The code.
        code: Zeroizing<String>,
        /// What the POS's scanner said that it read.
        symbology: Option<Symbology>,
        /// Answers once it is durable.
        reply: Reply<ScanAnswer>,
    },
    /// The POS tells a finished sale.
    Sale {
        /// The sale.
        sale: Box<Sale>,
        /// Answers once it is durable.
        reply: Reply<Seq>,
    },
    /// A binding is asked for.
    Bind {
        /// The card, as typed.
        card: String,
        /// The member code.
        code: Zeroizing<String>,
        /// Answers once it is durable.
        reply: Reply<BindAnswer>,
    },
    /// What is in the basket?
    Basket(oneshot::Sender<BasketView>),
    /// How is the owner of the state?
    State(oneshot::Sender<StateView>),
    /// Which bindings of this card were requested here and are not decided?
    Requested(CardNumber, oneshot::Sender<Vec<BindingRequest>>),
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scan { .. } => "Scan",
            Self::Sale { .. } => "Sale",
            Self::Bind { .. } => "Bind",
            Self::Basket(_) => "Basket",
            Self::State(_) => "State",
            Self::Requested(..) => "Requested",
        })
    }
}

/// Where an answer goes.
pub type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// A scan is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanAnswer {
    /// Its place.
    pub seq: Seq,
    /// What the code was.
    pub kind: ScanKind,
    /// The card.
    pub card: Option<CardNumber>,
    /// The account of a member code.
    pub account: Option<AccountRef>,
    /// Why a code was refused or not recognised.
    pub reason: Option<String>,
    /// The binding that the scan asked for.
    pub binding: Option<BindAnswer>,
}

/// A binding request is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindAnswer {
    /// Its place.
    pub seq: Seq,
    /// Its name.
    pub id: String,
    /// The card.
    pub card: CardNumber,
    /// The account.
    pub account: AccountRef,
}

/// How the owner of the state is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateView {
    /// The names that sales are recorded under; none before the enrolment.
    pub names: Option<Names>,
    /// Estimate of central's clock less the terminal's, and how far it may be off, in milliseconds.
    pub clock: Option<(i64, u32)>,
    /// Version of the key set; 0 for none.
    pub keys_version: u32,
    /// What was done since the start.
    pub counts: Counts,
    /// Bindings requested here and not decided.
    pub bindings_requested: usize,
}

/// What was done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Scans recorded.
    pub scans: u64,
    /// Sales recorded.
    pub sales: u64,
    /// Sales that a second source told again.
    pub repeats: u64,
    /// Receipts kept as unparsed.
    pub unparsed: u64,
    /// Journal files set aside.
    pub rejected: u64,
    /// Bindings requested.
    pub bindings: u64,
    /// Claim codes recorded.
    pub claims: u64,
    /// Events that the disk refused.
    pub refused: u64,
}

/// Why something was not accepted. The text is for the cashier or the technician.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The outbox did not take it.
    #[error("nothing was recorded: {0}")]
    NotKept(#[source] AppendError),
    /// It would not fit an event.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The card's number cannot be used.
    #[error(transparent)]
    Card(#[from] CardError),
    /// The card's number cannot be used in an event.
    #[error("the card number cannot be used")]
    CardName,
    /// The member code was refused.
    #[error(transparent)]
    Code(#[from] CodeRefused),
    /// The sale lacks what names it.
    #[error(transparent)]
    Sale(#[from] ConversionError),
    /// The sale's sums contradict each other.
    #[error("the sale does not add up: {0}")]
    Imbalance(#[from] Imbalance),
    /// More waits than memory is set aside for.
    #[error("too much waits for the disk: try again shortly")]
    Busy,
}
