//! What the API answers, in its own words.

use serde::Serialize;
use utoipa::ToSchema;

use crate::event::ScanAnswer;

/// Something is durable.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Accepted {
    /// Its place.
    pub seq: u64,
}

/// A scan is durable.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ScanAccepted {
    /// Its place.
    pub seq: u64,
    /// `member_card`, `member_code`, `claim_code`, `payment_refused` or `unknown`.
    pub kind: &'static str,
    /// The card's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// What is known of the card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<CardView>,
    /// The account of a member code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Why the code was refused or not recognised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The binding that the scan asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingAccepted>,
}

impl ScanAccepted {
    pub(super) fn of(scan: ScanAnswer, member: Option<CardView>) -> Self {
        Self {
            seq: scan.seq.0,
            kind: scan.kind.as_str(),
            card: scan.card.map(String::from),
            member,
            account: scan.account.map(|account| account.to_string()),
            reason: scan.reason,
            binding: scan.binding.map(|binding| BindingAccepted {
                seq: binding.seq.0,
                state: "requested",
                id: binding.id,
                account: binding.account.to_string(),
            }),
        }
    }
}

/// A binding is requested.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BindingAccepted {
    /// Its place.
    pub seq: u64,
    /// `requested`.
    pub state: &'static str,
    /// Its name.
    pub id: String,
    /// The account.
    pub account: String,
}

/// What the terminal knows of a card.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CardView {
    /// The number after normalisation.
    pub card: String,
    /// Kind of the number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `unbound`, `requested`, `confirmed`, `rejected` or `revoked`.
    pub state: &'static str,
    /// The member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Name to greet with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Points of the member, else of the card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points: Option<i64>,
    /// Tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Online accounts of the member.
    pub accounts: Vec<String>,
    /// Bindings of the card, requested ones included.
    pub bindings: Vec<BindingView>,
    /// When headquarters was last heard, RFC 3339; absent if never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

/// A binding of a card.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BindingView {
    /// The account.
    pub account: String,
    /// How far it is.
    pub state: &'static str,
    /// Why, when rejected or revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The basket.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BasketAnswer {
    /// The card held for the next sale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<HeldCardView>,
    /// How many different cards were scanned; the last counts.
    pub cards_seen: u32,
    /// The member code at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member_code: Option<HeldCodeView>,
    /// The ended sale that still waits for a card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_sale: Option<OpenSaleView>,
}

/// A card at hand.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HeldCardView {
    /// The number.
    pub card: String,
    /// How long ago it was scanned, in seconds.
    pub scanned_s_ago: u64,
    /// What is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<CardView>,
}

/// A member code at hand.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HeldCodeView {
    /// The account.
    pub account: String,
    /// How long ago it was scanned, in seconds.
    pub scanned_s_ago: u64,
}

/// A sale that waits for a card.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OpenSaleView {
    /// Business day.
    pub business_day: String,
    /// Sequence.
    pub sequence: String,
    /// How long it will wait, in seconds.
    pub remaining_s: u64,
}

/// How the terminal is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StatusView {
    /// Version of the agent.
    pub version: &'static str,
    /// Who this terminal is; absent before the enrolment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityView>,
    /// The line to headquarters.
    pub line: LineView,
    /// The durable queue.
    pub outbox: OutboxView,
    /// The copy of member data.
    pub replica: ReplicaView,
    /// The devices.
    pub devices: Vec<DeviceView>,
    /// Headquarters' clock.
    pub clock: ClockView,
    /// The disk under the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskView>,
    /// What was done since the start.
    pub counts: CountsView,
    /// Memory that the agent occupies, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// Who the terminal is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct IdentityView {
    /// The terminal.
    pub terminal: String,
    /// Its store.
    pub store: String,
    /// Its workstation.
    pub workstation: String,
    /// Headquarters' address.
    pub url: String,
    /// End of the certificate, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_until: Option<String>,
}

/// The line to headquarters.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LineView {
    /// `not_enrolled`, `connecting`, `online`, `offline` or `refused`.
    pub state: &'static str,
    /// Last success, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_exchange_at: Option<String>,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// How often a new epoch began in this run.
    pub forks: u32,
    /// Answers of headquarters in this run.
    pub answers: u64,
    /// Exchanges that failed in this run.
    pub retries: u64,
    /// Answers that asked for events again.
    pub rewinds: u64,
    /// Answers that asked for patience.
    pub slow_downs: u64,
    /// Refusals of this terminal.
    pub refusals: u64,
    /// Requests that told of missing events.
    pub gaps: u64,
}

/// The durable queue.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OutboxView {
    /// Life of the queue.
    pub epoch: String,
    /// Events that wait.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Place of the oldest that waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_seq: Option<u64>,
    /// Its time by the terminal's clock, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_at: Option<String>,
    /// How long it has waited by that clock, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_age_s: Option<u64>,
    /// Newest durable place.
    pub appended: u64,
    /// Up to where headquarters has everything.
    pub acked: u64,
    /// What it takes on the disk, in bytes.
    pub disk_bytes: u64,
    /// Appends that the disk refused.
    pub failures: u64,
    /// Whether reading goes by the journal alone, which is slower: the buffer is out of order.
    pub degraded: bool,
    /// Whether there is room: `ok`, `tight` or `full`. While `full`, events are given up or refused.
    pub pressure: &'static str,
    /// Events refused for want of room since the start.
    pub refusals: u64,
    /// Events given up for want of room since the start.
    pub given_up: GivenUpView,
    /// Records that could not be read and wait for a person.
    pub quarantined: u64,
    /// What the journal wrote to the disk since the start, in bytes: its wear.
    pub bytes_written: u64,
}

/// Events given up for want of room, by what they are worth. Each leaves a gap that headquarters sees.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct GivenUpView {
    /// Word of files that are still on the disk.
    pub telemetry: u64,
    /// Receipts that no profile could read.
    pub unparsed_receipts: u64,
    /// Scans without a sale.
    pub scans: u64,
}

/// A record that could not be read.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct QuarantineView {
    /// Its number here.
    pub id: u64,
    /// The epoch of its events.
    pub epoch: String,
    /// The first of them.
    pub from: u64,
    /// The last of them.
    pub to: u64,
    /// What is wrong.
    pub reason: String,
    /// The journal segment.
    pub segment: u64,
    /// Where in its file the damage begins.
    pub offset: u64,
    /// How many bytes are damaged.
    pub bytes: u64,
    /// What can be read of the events, unverified; only when asked for, since it is personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub texts: Option<Vec<String>>,
    /// The damaged bytes, sealed, in hexadecimal; only when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
}

/// The copy of member data.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReplicaView {
    /// Members.
    pub members: u64,
    /// Cards.
    pub cards: u64,
    /// Headquarters' version of it.
    pub version: String,
    /// Whether it has everything that headquarters has for this terminal.
    pub complete: bool,
    /// When headquarters was last heard, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    /// What it takes on the disk, in bytes.
    pub disk_bytes: u64,
    /// Version of the keys that member codes are verified with; 0 for none.
    pub keys_version: u32,
}

/// A device.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeviceView {
    /// Name in the settings.
    pub name: String,
    /// `scanner`, `receipt_tap` or `journal`.
    pub kind: &'static str,
    /// Port, addresses or directory.
    pub endpoint: String,
    /// `starting`, `listening`, `open`, `lost` or `unopenable`.
    pub state: &'static str,
    /// Since when, RFC 3339.
    pub since: String,
    /// Why it does not work, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// The last fault, also when it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Scans.
    pub scans: u64,
    /// Scans of a number that is by rule two things, which the settings settled.
    pub ambiguous: u64,
    /// Print jobs.
    pub jobs: u64,
    /// Sales of journals.
    pub sales: u64,
    /// Journal files read.
    pub files: u64,
    /// Journal files set aside.
    pub rejected: u64,
    /// Bytes that came.
    pub bytes: u64,
    /// Bytes that could not be read.
    pub skipped_bytes: u64,
    /// Bytes printed and not read.
    pub dropped_bytes: u64,
    /// Footers printed before a cut.
    pub footers: u64,
    /// Cuts that waited for a footer in vain.
    pub footers_late: u64,
}

/// Headquarters' clock as it is known here.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ClockView {
    /// Headquarters' clock less the terminal's, in milliseconds; absent if never seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset_ms: Option<i64>,
    /// How far that may be off, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncertainty_ms: Option<u32>,
}

/// A disk.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DiskView {
    /// Bytes that may still be filled.
    pub free_bytes: u64,
    /// All bytes.
    pub total_bytes: u64,
}

/// What was done since the start.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CountsView {
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
    /// Claim codes recorded for receipts.
    pub claims: u64,
    /// Bindings requested and not decided.
    pub bindings_requested: u64,
    /// Events that the disk refused.
    pub refused: u64,
}

/// Events that wait, a page of them.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OutboxPage {
    /// The queue in figures.
    #[serde(flatten)]
    pub outbox: OutboxView,
    /// Events after the place asked for.
    pub waiting: Vec<EventView>,
}

/// A recorded event.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EventView {
    /// Its place.
    pub seq: u64,
    /// The chain after it.
    pub chain: String,
    /// The event as it is sent.
    pub event: serde_json::Value,
}
