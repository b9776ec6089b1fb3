//! Receipts: from a printer's bytes to sales.
//!
//! ```text
//! bytes → escpos (items) → paper (lines, jobs) → profile (patterns, arithmetic) → Sale
//! ```
//!
//! [`ReceiptDecoder`] does the first two steps, [`Profile::read`] the last. Jobs end at a cut, at a
//! silence, at the connection's end. Nothing is guessed: a job that a profile cannot read, or whose
//! sums contradict each other, says so and keeps its text.

mod codepage;
mod decoder;
mod dialect;
mod escpos;
mod job;
mod paper;
pub mod profile;

pub use codepage::{Charset, Encoding, EncodingError, MultiByte, Page};
pub use decoder::ReceiptDecoder;
pub use dialect::{Dialect, DialectError};
pub use escpos::{CodeKind, EscPos, Item, RESCAN_BYTES};
pub use job::{JOB_BYTES_MAX, JOB_CODES_MAX, JOB_LINES_MAX, Job, JobEnd, Line, Unreadable};
pub use profile::{
    AmountError, NotASale, PROFILE_BYTES_MAX, Profile, ProfileError, Reading, UnparsedReason,
};
