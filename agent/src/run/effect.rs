//! What the owner of the state wants done.

use serde::{Deserialize, Serialize};
use tillbind_protocol::claim::ClaimCode;
use tillbind_protocol::event::{BindingRequest, EventBody, SaleKey, ScanKind, TransactionKind};
use tillbind_protocol::ids::{AccountRef, BindingId, CardNumber, Seq};
use tillbind_protocol::member_code::{KeySet, NONCE_BYTES};
use tillbind_protocol::replica::BindingState;
use tokio::sync::oneshot;

use crate::devices::{ClaimReply, DeviceKind, PortState};
use crate::event::{BindAnswer, Refusal, Reply, ScanAnswer, StateView, Ticket};
use crate::till::{BasketView, KnownSale};

/// Something to do, in order.
#[derive(Debug)]
pub enum Effect {
    /// Make these records durable as one group, then tell.
    Append(Ticket, Vec<Vec<u8>>),
    /// Keep or drop a note of the terminal's own. May follow later; what is lost with it is learnt
    /// again from the outbox.
    Note(Note),
    /// Answer someone.
    Answer(Answer),
    /// Ask the replica whether the card of a sale has a member, and tell by [`crate::event::Event::Holder`].
    FindHolder {
        /// The sale.
        sale: SaleKey,
        /// Its card.
        card: CardNumber,
        /// Waits for a claim code.
        claim: ClaimReply,
    },
    /// Tell whoever listens.
    Publish(Published),
}

/// An answer and where it goes. One who no longer listens misses it.
#[derive(Debug)]
pub enum Answer {
    /// To a scan.
    Scan(Reply<ScanAnswer>, Result<ScanAnswer, Refusal>),
    /// To a sale.
    Sale(Reply<Seq>, Result<Seq, Refusal>),
    /// To a request for a binding.
    Bind(Reply<BindAnswer>, Result<BindAnswer, Refusal>),
    /// To a device.
    Device(oneshot::Sender<Result<(), String>>, Result<(), String>),
    /// To a receipt whose cut waits.
    Claim(ClaimReply, ClaimCode),
    /// What is in the basket.
    Basket(oneshot::Sender<BasketView>, BasketView),
    /// How the owner of the state is.
    State(oneshot::Sender<StateView>, Box<StateView>),
    /// The bindings of a card that are not decided.
    Requested(oneshot::Sender<Vec<BindingRequest>>, Vec<BindingRequest>),
}

impl Answer {
    /// Delivers it.
    pub fn deliver(self) {
        let missed = match self {
            Self::Scan(reply, answer) => reply.send(answer).is_err(),
            Self::Sale(reply, answer) => reply.send(answer).is_err(),
            Self::Bind(reply, answer) => reply.send(answer).is_err(),
            Self::Device(reply, answer) => reply.send(answer).is_err(),
            Self::Claim(reply, code) => reply.send(code).is_err(),
            Self::Basket(reply, view) => reply.send(view).is_err(),
            Self::State(reply, view) => reply.send(*view).is_err(),
            Self::Requested(reply, requested) => reply.send(requested).is_err(),
        };
        if missed {
            tracing::debug!("someone asked and did not wait for the answer");
        }
    }
}

/// A note of the terminal's own that must outlast a restart.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// A sale that was recorded.
    Sale(Box<KnownSale>),
    /// A sale that need not be known any longer.
    SaleForgotten(SaleKey),
    /// A nonce that was used.
    Nonce {
        /// The nonce.
        nonce: [u8; NONCE_BYTES],
        /// Until when it counts, in milliseconds by central's clock.
        until_ms: i64,
    },
    /// Nonces whose time is over.
    NoncesForgotten(Vec<[u8; NONCE_BYTES]>),
    /// A binding that was requested.
    Requested(Box<BindingRequest>),
    /// A binding that central decided.
    Decided(BindingId),
    /// Central's keys.
    Keys(KeySet),
    /// Central's clock.
    Clock(ClockNote),
}

/// What was known of central's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockNote {
    /// The wall clock then, in milliseconds.
    pub local_ms: i64,
    /// Central's clock less the wall clock, in milliseconds.
    pub offset_ms: i64,
    /// How far that could be off, in milliseconds.
    pub uncertainty_ms: u32,
    /// The machine's run, where the system tells it.
    #[serde(default)]
    pub boot: Option<String>,
    /// Time since that run began, awake, in milliseconds.
    #[serde(default)]
    pub awake_ms: u64,
    /// Time since that run began, asleep, in milliseconds.
    #[serde(default)]
    pub asleep_ms: u64,
    /// The clock on the battery then, in milliseconds, where there is one; the writer of the notes asks
    /// it.
    #[serde(default)]
    pub battery_ms: Option<i64>,
}

/// What listeners are told; shown masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// A scan was recorded.
    Scan {
        /// The scanner.
        device: String,
        /// What it was.
        kind: ScanKind,
        /// The card.
        card: Option<CardNumber>,
        /// The account.
        account: Option<AccountRef>,
        /// Why it was refused.
        reason: Option<String>,
    },
    /// A sale was recorded.
    Sale {
        /// Its natural key.
        key: SaleKey,
        /// What it did.
        kind: TransactionKind,
        /// What the customer owed.
        total_minor: i64,
        /// ISO 4217 code.
        currency: String,
        /// The card.
        card: Option<CardNumber>,
    },
    /// A card was added to a sale that had ended.
    Attribution {
        /// The sale.
        key: SaleKey,
        /// The card.
        card: CardNumber,
    },
    /// A binding was requested or decided.
    Binding {
        /// The card.
        card: CardNumber,
        /// The account.
        account: AccountRef,
        /// How far it is.
        state: BindingState,
    },
    /// A claim code was made for a sale.
    ClaimOffered {
        /// The sale.
        key: SaleKey,
    },
    /// A receipt could not be read.
    Unparsed {
        /// The tap.
        tap: String,
        /// Why.
        reason: String,
    },
    /// A journal's file was set aside.
    Rejected {
        /// The journal.
        journal: String,
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A device's port changed.
    Port {
        /// The device.
        device: String,
        /// Its sort.
        kind: DeviceKind,
        /// What it is doing now.
        state: PortState,
    },
}

impl Published {
    /// Says what an event tells listeners.
    pub fn of(body: &EventBody) -> Self {
        match body {
            EventBody::Scan(scan) => Self::Scan {
                device: scan.device.clone(),
                kind: scan.kind,
                card: scan.card.clone(),
                account: scan.account.clone(),
                reason: scan.reason.clone(),
            },
            EventBody::Transaction(sale) => Self::Sale {
                key: sale.key(),
                kind: sale.kind,
                total_minor: sale.total_minor,
                currency: sale.currency.clone(),
                card: sale.card.clone(),
            },
            EventBody::Attribution(a) => Self::Attribution {
                key: a.sale.clone(),
                card: a.card.clone(),
            },
            EventBody::BindingRequested(b) => Self::Binding {
                card: b.card.clone(),
                account: b.account.clone(),
                state: BindingState::Requested,
            },
            EventBody::ClaimOffered(c) => Self::ClaimOffered {
                key: c.sale.clone(),
            },
            EventBody::ReceiptUnparsed(u) => Self::Unparsed {
                tap: u.tap.clone(),
                reason: u.reason.clone(),
            },
            EventBody::FileRejected(r) => Self::Rejected {
                journal: r.journal.clone(),
                file: r.file.clone(),
                reason: r.reason.clone(),
            },
        }
    }
}
