//! Receipts: from a printer's bytes to sales.
//!
//! ```text
//! bytes → stream (items, by the grammar of escpos or star) → paper (lines, pages, jobs) → profile
//! (patterns, arithmetic) → Sale
//! ```
//!
//! [`ReceiptDecoder`] does the first two steps and finds out the dialect, [`Profile::read`] does the
//! last. Jobs end at a cut, at a silence, at the connection's end. Nothing is guessed: a job that a
//! profile cannot read, or whose sums contradict each other, says so and keeps its text.

mod captured;
mod codepage;
mod command;
mod decoder;
mod dialect;
mod escpos;
mod footer;
mod item;
mod job;
pub mod learn;
mod paper;
pub mod profile;
mod star;
mod stream;
mod symbol;

pub use captured::{CAPTURE_BYTES_MAX, Captured, captured_head};
pub use codepage::{Charset, Encoding, EncodingError, MultiByte, Page};
pub use decoder::{LOOK_BACK_BYTES, ReceiptDecoder};
pub use dialect::{Dialect, DialectError, Language};
pub use footer::{CutFinder, FOOTER_CONTENT_BYTES_MAX, Footer, FoundCut, HOLD_BYTES_MAX};
pub use item::{Item, PageStep};
pub use job::{JOB_BYTES_MAX, JOB_CODES_MAX, JOB_LINES_MAX, Job, JobEnd, Line, Unreadable};
pub use learn::{LearnError, Learned, SAMPLES_ENOUGH, learn};
pub use profile::{
    AmountError, Examination, Finding, LineRole, NotASale, PROFILE_BYTES_MAX, Profile,
    ProfileError, Reading, UnparsedReason,
};
pub use stream::{RESCAN_BYTES, Stream};
pub use symbol::Symbology;
