//! Turns what the devices of a till send into scans and sales.
//!
//! Every decoder takes bytes and yields items: `feed(bytes)` in any chunking gives the same items,
//! nothing panics, every buffer is bounded, and what had to be skipped is counted. A decoder owns no
//! clock, socket, file or thread; the transports that do sit behind the features `serial`, `hidraw` and
//! `evdev`.
//!
//! What this crate deliberately lacks: knowledge of members, of the outbox and of central. It knows
//! no other crate of the workspace.

#[cfg(test)]
mod chunks;
pub mod code;
#[cfg(any(test, feature = "devsim"))]
pub mod devsim;
pub mod journal;
pub mod money;
pub mod nfc;
pub mod poslog;
pub mod receipt;
pub mod sale;
pub mod scanner;
pub mod transport;
